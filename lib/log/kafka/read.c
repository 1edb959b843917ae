/*
 * read.c - one partition read to its end, outside groups
 *
 * The handles for it are kept: taking twelve partitions over reads two topics for each.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"
#include "log/kafka/kafka.h"

#define ASK_AGAIN_US 50000

void kafka_msg_fill(const rd_kafka_message_t *m, enum topic topic, struct log_msg *ret)
{
	rd_kafka_timestamp_type_t type;

	*ret = (struct log_msg){
		.topic = topic,
		.partition = m->partition,
		.offset = m->offset,
		.append_ms = rd_kafka_message_timestamp(m, &type),
		.key = slice_make(m->key, m->key_len),
		.value = slice_make(m->payload, m->len),
		.tombstone = m->payload == NULL,
	};
}

int kafka_reading_handle(struct kafka *k, const char *wait_ms, rd_kafka_t **ret)
{
	char group[KAFKA_NAME_SIZE], bytes[16];
	const struct kafka_setting settings[] = {
		/* Nothing joins it or commits to it: the client wants a name to assign by hand. */
		{ "group.id", group },
		{ "isolation.level", "read_committed" },
		{ "enable.auto.commit", "false" },
		{ "enable.auto.offset.store", "false" },
		{ "enable.partition.eof", "true" },
		{ "auto.offset.reset", "earliest" },
		/* The broker answers a fetch at the end only after this time, and only then is the
		 * end told. */
		{ "fetch.wait.max.ms", wait_ms },
		{ "fetch.max.bytes", bytes },
		{ "max.partition.fetch.bytes", bytes },
		{ "queued.min.messages", "200000" },
		{ "queued.max.messages.kbytes", "65536" },
		{ NULL, NULL },
	};
	rd_kafka_conf_t *conf;
	int r;

	snprintf(group, sizeof(group), "%sreader", k->cfg->kafka.topic_prefix);
	snprintf(bytes, sizeof(bytes), "%u", KAFKA_TOPIC_BYTES_MAX);
	r = kafka_conf_new(k, settings, NULL, &conf);
	if (r == 0)
		r = kafka_handle_new(RD_KAFKA_CONSUMER, conf, ret);
	if (r == 0)
		rd_kafka_poll_set_consumer(*ret);
	return r;
}

/* ---- idle handles ---- */

static int take_idle(struct kafka *k, rd_kafka_t **ret)
{
	rd_kafka_t *rk = NULL;

	pthread_mutex_lock(&k->lock);
	if (k->idle_n > 0)
		rk = k->idle[--k->idle_n];
	pthread_mutex_unlock(&k->lock);
	if (!rk)
		return kafka_reading_handle(k, "10", ret);
	*ret = rk;
	return 0;
}

static void give_back(struct kafka *k, rd_kafka_t *rk, bool usable)
{
	if (rd_kafka_assign(rk, NULL))
		usable = false;
	pthread_mutex_lock(&k->lock);
	if (usable && k->idle_n < KAFKA_READERS_IDLE_MAX) {
		k->idle[k->idle_n++] = rk;
		rk = NULL;
	}
	pthread_mutex_unlock(&k->lock);
	if (rk)
		rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

/* ---- offsets ---- */

int kafka_ask_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int64_t deadline_ms)
{
	rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_copy(list);
	int r = asked ? -EAGAIN : -ENOMEM;

	while (r == -EAGAIN) {
		int left_ms = kafka_left_ms(deadline_ms, KAFKA_ASK_MS);
		rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(rk, list, left_ms);

		for (int i = 0; !err && i < list->cnt; i++)
			err = list->elems[i].err;
		r = kafka_verdict_code(err);
		if (r == 0 || left_ms == 0)
			break;
		for (int i = 0; i < list->cnt; i++) {
			list->elems[i].offset = asked->elems[i].offset;
			list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
		}
		usleep(ASK_AGAIN_US);
	}
	if (asked)
		rd_kafka_topic_partition_list_destroy(asked);
	return r;
}

/* Not by rd_kafka_query_watermark_offsets: while a broker takes questions and answers none, that
 * waits for its socket's time-out (seen: 20 s for a question of 300 ms). */
static int ask_end(struct log *log, enum topic topic, int32_t partition, int64_t which,
		   int64_t deadline_ms, int64_t *ret)
{
	struct kafka *k = kafka_of(log);
	rd_kafka_t *meta = kafka_meta(k);
	rd_kafka_topic_partition_list_t *list;
	char name[KAFKA_NAME_SIZE];
	int r;

	if (!meta)
		return -EINVAL;
	list = rd_kafka_topic_partition_list_new(1);
	if (!list)
		return -ENOMEM;
	kafka_topic_name(k, topic, name);
	rd_kafka_topic_partition_list_add(list, name, partition)->offset = which;
	r = kafka_ask_offsets(meta, list, deadline_ms);
	if (r == 0)
		*ret = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	return r;
}

int kafka_low_watermark(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
			int64_t *ret)
{
	return ask_end(log, topic, partition, RD_KAFKA_OFFSET_BEGINNING, deadline_ms, ret);
}

int kafka_high_watermark(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
			 int64_t *ret)
{
	return ask_end(log, topic, partition, RD_KAFKA_OFFSET_END, deadline_ms, ret);
}

/* ---- reading ---- */

static int assign_one(struct kafka *k, rd_kafka_t *rk, enum topic topic, int32_t partition,
		      int64_t from)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	char name[KAFKA_NAME_SIZE];
	rd_kafka_resp_err_t err;

	if (!list)
		return -ENOMEM;
	kafka_topic_name(k, topic, name);
	rd_kafka_topic_partition_list_add(list, name, partition)->offset = from;
	err = rd_kafka_assign(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	return err ? -EPIPE : 0;
}

#define READ_ON   2
#define READ_DONE 0

/* READ_ON, READ_DONE, 1 (stopped), or an error. */
static int read_one(const rd_kafka_message_t *m, enum topic topic, int64_t until, log_read_fn *each,
		    void *arg)
{
	struct log_msg msg;
	int r;

	if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return m->offset >= until ? READ_DONE : READ_ON;
	if (m->err)
		return kafka_verdict_code(m->err) == -EAGAIN ? READ_ON : -EPIPE;
	if (m->offset >= until)
		return READ_DONE;
	kafka_msg_fill(m, topic, &msg);
	r = each(arg, &msg);
	if (r != 0)
		return r;
	return m->offset + 1 >= until ? READ_DONE : READ_ON;
}

static int read_all(rd_kafka_t *rk, enum topic topic, int64_t until, int64_t deadline_ms,
		    log_read_fn *each, void *arg)
{
	int r = READ_ON;

	while (r == READ_ON) {
		int left_ms = kafka_left_ms(deadline_ms, 1000);
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, left_ms);

		if (m) {
			r = read_one(m, topic, until, each, arg);
			rd_kafka_message_destroy(m);
		} else if (left_ms == 0) {
			r = -EAGAIN;
		}
	}
	return r;
}

int kafka_read_partition(struct log *log, enum topic topic, int32_t partition, int64_t from,
			 int64_t until, int64_t deadline_ms, log_read_fn *each, void *arg)
{
	struct kafka *k = kafka_of(log);
	rd_kafka_t *rk = NULL;
	int r;

	if (until <= 0 || from >= until)
		return 0;
	r = take_idle(k, &rk);
	if (r < 0)
		return r;
	r = assign_one(k, rk, topic, partition, from);
	if (r == 0)
		r = read_all(rk, topic, until, deadline_ms, each, arg);
	give_back(k, rk, r >= 0);
	return r;
}
