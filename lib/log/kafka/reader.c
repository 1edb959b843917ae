/*
 * reader.c - whole topics from a time on, for commands
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "log/kafka/kafka.h"

struct spot {
	enum topic topic;
	int32_t partition;
	int64_t next, end; /* end: at the start of the reader */
	bool done;         /* read to that end */
};

struct reader {
	struct log_reader base;
	struct kafka *k;
	rd_kafka_t *rk;
	rd_kafka_message_t *msg;
	struct spot *spots; /* the partitions of a topic lie together, in their order */
	size_t spots_n, done_n, first[TOPICS_N];
	bool told;
};

static struct reader *reader_of(struct log_reader *r)
{
	return CONTAINER_OF(r, struct reader, base);
}

static int add_topic(struct reader *r, enum topic topic, int64_t deadline_ms)
{
	int n = kafka_partitions(&r->k->log, topic, deadline_ms);
	struct spot *spots;

	if (n < 0)
		return n;
	spots = realloc(r->spots, sizeof(*spots) * (r->spots_n + (size_t)n));
	if (!spots)
		return -ENOMEM;
	r->spots = spots;
	r->first[topic] = r->spots_n;
	for (int32_t p = 0; p < n; p++)
		spots[r->spots_n++] = (struct spot){ .topic = topic, .partition = p };
	return 0;
}

/* Every partition with one offset (or time). */
static rd_kafka_topic_partition_list_t *list_of(const struct reader *r, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)r->spots_n +
										  1);
	char name[KAFKA_NAME_SIZE];

	for (size_t i = 0; list && i < r->spots_n; i++) {
		kafka_topic_name(r->k, r->spots[i].topic, name);
		rd_kafka_topic_partition_list_add(list, name, r->spots[i].partition)->offset =
		    offset;
	}
	return list;
}

static int ask(struct reader *r, rd_kafka_t *rk, int64_t what, int64_t deadline_ms,
	       rd_kafka_topic_partition_list_t **ret)
{
	rd_kafka_topic_partition_list_t *list = list_of(r, what);
	int err;

	if (!list)
		return -ENOMEM;
	err = kafka_ask_offsets(rk, list, deadline_ms);
	if (err < 0)
		rd_kafka_topic_partition_list_destroy(list);
	else
		*ret = list;
	return err;
}

/* The ends first: what comes between the two answers is read then, not missed. */
static int place(struct reader *r, int64_t from_ms, int64_t deadline_ms,
		 rd_kafka_topic_partition_list_t **ret)
{
	rd_kafka_topic_partition_list_t *ends, *begins;
	rd_kafka_t *meta = kafka_meta(r->k);
	int err;

	if (!meta)
		return -EINVAL;
	err = ask(r, meta, RD_KAFKA_OFFSET_END, deadline_ms, &ends);
	if (err < 0)
		return err;
	err = ask(r, meta, from_ms == LOG_BEGIN ? RD_KAFKA_OFFSET_BEGINNING : from_ms, deadline_ms,
		  &begins);
	for (size_t i = 0; err == 0 && i < r->spots_n; i++) {
		struct spot *s = &r->spots[i];
		int64_t begin = begins->elems[i].offset;

		s->end = ends->elems[i].offset;
		s->next = from_ms == LOG_END || begin < 0 ? s->end : begin;
		s->done = s->next >= s->end;
		r->done_n += s->done;
		begins->elems[i].offset = s->next;
	}
	rd_kafka_topic_partition_list_destroy(ends);
	if (err == 0)
		*ret = begins;
	return err;
}

static int start(struct reader *r, const enum topic *topics, size_t topics_n, int64_t from_ms,
		 int64_t deadline_ms)
{
	rd_kafka_topic_partition_list_t *list = NULL;
	int err = 0;

	for (size_t i = 0; err == 0 && i < topics_n; i++)
		err = add_topic(r, topics[i], deadline_ms);
	if (err == 0)
		err = kafka_reading_handle(r->k, "100", &r->rk);
	if (err == 0)
		err = place(r, from_ms, deadline_ms, &list);
	if (err < 0)
		return err;
	if (rd_kafka_assign(r->rk, list))
		err = -EPIPE;
	rd_kafka_topic_partition_list_destroy(list);
	return err;
}

int kafka_reader_new(struct log *log, const enum topic *topics, size_t topics_n, int64_t from_ms,
		     int64_t deadline_ms, struct log_reader **ret)
{
	struct reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->base.ops = log->ops;
	r->k = kafka_of(log);
	err = start(r, topics, topics_n, from_ms, deadline_ms);
	if (err < 0) {
		kafka_reader_free(&r->base);
		return err;
	}
	*ret = &r->base;
	return 0;
}

static void reached(struct reader *r, struct spot *s, int64_t next)
{
	s->next = MAX(s->next, next);
	if (s->done || s->next < s->end)
		return;
	s->done = true;
	r->done_n++;
}

/* 1 with *ret, 0 an end of partition, or a verdict. */
static int read_message(struct reader *r, const rd_kafka_message_t *m, struct log_msg *ret)
{
	enum topic topic;
	struct spot *s;

	if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return kafka_verdict_code(m->err);
	topic = kafka_topic_find(r->k, rd_kafka_topic_name(m->rkt));
	if (topic == TOPICS_N)
		return 0;
	s = &r->spots[r->first[topic] + (size_t)m->partition];
	reached(r, s, m->err ? m->offset : m->offset + 1);
	if (m->err)
		return 0;
	kafka_msg_fill(m, topic, ret);
	return 1;
}

int kafka_reader_next(struct log_reader *base, int timeout_ms, struct log_msg *ret)
{
	struct reader *r = reader_of(base);
	int64_t deadline_ms = clock_mono_ms() + timeout_ms;
	int err;

	if (r->msg)
		rd_kafka_message_destroy(r->msg);
	r->msg = NULL;
	for (;;) {
		if (r->done_n == r->spots_n && !r->told) {
			r->told = true;
			return 2;
		}
		r->msg = rd_kafka_consumer_poll(r->rk, kafka_left_ms(deadline_ms, timeout_ms));
		if (!r->msg)
			return 0;
		err = read_message(r, r->msg, ret);
		if (err == 1)
			return 1;
		rd_kafka_message_destroy(r->msg);
		r->msg = NULL;
		if (err < 0)
			return err;
	}
}

int64_t kafka_reader_left(struct log_reader *base)
{
	struct reader *r = reader_of(base);
	char name[KAFKA_NAME_SIZE];
	int64_t left = 0;

	for (size_t i = 0; i < r->spots_n; i++) {
		const struct spot *s = &r->spots[i];
		int64_t low, high;

		kafka_topic_name(r->k, s->topic, name);
		if (rd_kafka_get_watermark_offsets(r->rk, name, s->partition, &low, &high))
			high = s->end;
		left += MAX(MAX(high, s->end) - s->next, 0);
	}
	return left;
}

void kafka_reader_free(struct log_reader *base)
{
	struct reader *r = reader_of(base);

	if (r->msg)
		rd_kafka_message_destroy(r->msg);
	if (r->rk)
		rd_kafka_destroy_flags(r->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	free(r->spots);
	free(r);
}
