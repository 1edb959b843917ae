/*
 * worker.c - a worker's life: made, joined, polled, left
 *
 * Messages come through rd_kafka_consumer_poll alone: the batch call of this client loses messages
 * when a rebalance falls into it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"
#include "log/kafka/fault_wire.h"
#include "log/kafka/worker.h"

#define LEAVE_SPARE_MS  1000 /* of WORKER_LEAVE_MS, when the join takes long */
#define MEMBER_NAME_MAX 249  /* Kafka's limit */
#define SEEK_MS         5000
#define SEEK_AGAIN      20000 /* us; a partition that has just come cannot be moved yet */

/* ---- places ---- */

size_t worker_topic_at(const struct worker *w, enum topic topic)
{
	size_t at = 0;

	while (at < w->topics_n && w->topics[at] != topic)
		at++;
	return at < w->topics_n ? at : WORKER_TOPICS_MAX;
}

size_t worker_name_at(const struct worker *w, const char *name)
{
	size_t at = 0;

	while (at < w->topics_n && strcmp(w->names[at], name) != 0)
		at++;
	return at < w->topics_n ? at : WORKER_TOPICS_MAX;
}

struct part *worker_part(struct worker *w, size_t at, int32_t partition)
{
	struct parts *parts = &w->parts[at];
	struct part *v;

	if (LIKELY(partition < parts->n))
		return &parts->v[partition];
	v = realloc(parts->v, sizeof(*v) * ((size_t)partition + 1));
	if (!v)
		return NULL;
	memset(v + parts->n, 0, sizeof(*v) * (size_t)(partition + 1 - parts->n));
	parts->v = v;
	parts->n = partition + 1;
	return &v[partition];
}

bool worker_stopped(const struct worker *w)
{
	return w->stop && atomic_load(w->stop);
}

int64_t worker_deadline(const struct worker *w, int64_t ms)
{
	int64_t deadline_ms = clock_mono_ms() + ms;

	return w->leave_by_ms ? MIN(deadline_ms, w->leave_by_ms) : deadline_ms;
}

/* ---- made ---- */

/*
 * A member with a name takes its own place when it comes back after a crash: nobody waits until the
 * dead one's session is over. It still leaves when it ends in order (leave). What Kafka would not
 * take as a name goes without.
 */
static bool is_member_name(const char *text)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strlen(text);

	return n < MEMBER_NAME_MAX && strspn(text, allowed) == n;
}

static int make_consumer(struct worker *w, const char *role, const char *transactional_id)
{
	char bytes[16], session_ms[16], heartbeat_ms[16];
	const struct kafka_setting settings[] = {
		{ "group.id", w->group },
		{ "partition.assignment.strategy", "cooperative-sticky" },
		{ "isolation.level", "read_committed" },
		{ "enable.auto.commit", "false" },
		{ "enable.auto.offset.store", "false" },
		{ "enable.partition.eof", "true" },
		{ "auto.offset.reset", "earliest" },
		/* rules.md 9. Who comes back under its name does not wait for it. */
		{ "session.timeout.ms", session_ms },
		{ "heartbeat.interval.ms", heartbeat_ms },
		/* Taking partitions over runs inside a poll and may wait for transactions. */
		{ "max.poll.interval.ms", "300000" },
		{ "fetch.wait.max.ms", "100" },
		/* Larger answers cost more: each is memory that the system clears first. */
		{ "fetch.max.bytes", bytes },
		/* A full local queue costs a second without fetching: room for a third of that. */
		{ "queued.min.messages", "200000" },
		{ "queued.max.messages.kbytes", "131072" },
		{ NULL, NULL },
	};
	rd_kafka_conf_t *conf;
	int r;

	if (snprintf(w->group, sizeof(w->group), "%s%s", w->k->cfg->kafka.topic_prefix, role) >=
	    (int)sizeof(w->group))
		return -EINVAL;
	snprintf(bytes, sizeof(bytes), "%u", KAFKA_TOPIC_BYTES_MAX);
	snprintf(session_ms, sizeof(session_ms), "%d", LOG_SESSION_MS);
	snprintf(heartbeat_ms, sizeof(heartbeat_ms), "%d", LOG_HEARTBEAT_MS);
	r = kafka_conf_new(w->k, settings, NULL, &conf);
	if (r < 0)
		return r;
	w->named = is_member_name(transactional_id);
	if (w->named)
		kafka_conf_try(conf, "group.instance.id", transactional_id);
	rd_kafka_conf_set_rebalance_cb(conf, worker_on_rebalance);
	rd_kafka_conf_set_opaque(conf, w);
	kafka_fault_wire(conf);
	r = kafka_handle_new(RD_KAFKA_CONSUMER, conf, &w->consumer);
	if (r == 0)
		rd_kafka_poll_set_consumer(w->consumer);
	return r;
}

static int make_producer(struct worker *w, const char *transactional_id)
{
	char bytes[16], timeout[16];
	const struct kafka_setting settings[] = {
		{ "transactional.id", transactional_id },
		{ "transaction.timeout.ms", timeout },
		{ "compression.codec", "lz4" },
		/* Nothing is seen before the commit, and that sends at once: till then messages
		 * gather to few large batches. */
		{ "linger.ms", "100" },
		{ "partitioner", "murmur2_random" },
		{ "message.max.bytes", bytes },
		{ "queue.buffering.max.messages", "500000" },
		{ "queue.buffering.max.kbytes", "131072" },
		{ NULL, NULL },
	};
	char name[KAFKA_NAME_SIZE];
	rd_kafka_conf_t *conf;
	int r;

	snprintf(bytes, sizeof(bytes), "%u", KAFKA_TOPIC_BYTES_MAX);
	snprintf(timeout, sizeof(timeout), "%d", WORKER_TXN_MS);
	r = kafka_conf_new(w->k, settings, NULL, &conf);
	if (r < 0)
		return r;
	kafka_fault_wire(conf);
	r = kafka_handle_new(RD_KAFKA_PRODUCER, conf, &w->producer);
	for (int i = 0; r == 0 && i < TOPICS_N; i++) {
		kafka_topic_name(w->k, (enum topic)i, name);
		w->out[i] = rd_kafka_topic_new(w->producer, name, NULL);
		if (!w->out[i])
			r = -ENOMEM;
	}
	return r;
}

int kafka_worker_new(struct log *log, const char *role, const char *transactional_id,
		     const enum topic *topics, size_t topics_n,
		     const struct log_worker_hooks *hooks, struct log_worker **ret)
{
	struct worker *w;
	int r;

	if (topics_n < 1 || topics_n > WORKER_TOPICS_MAX || !*transactional_id)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->base.ops = log->ops;
	w->k = kafka_of(log);
	w->hooks = *hooks;
	w->topics_n = topics_n;
	for (size_t i = 0; i < topics_n; i++) {
		w->topics[i] = topics[i];
		kafka_topic_name(w->k, topics[i], w->names[i]);
	}
	r = make_consumer(w, role, transactional_id);
	if (r == 0)
		r = make_producer(w, transactional_id);
	if (r < 0) {
		kafka_worker_free(&w->base);
		return r;
	}
	*ret = &w->base;
	return 0;
}

/* ---- joined ---- */

static int subscribe(struct worker *w)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)w->topics_n);
	rd_kafka_resp_err_t err;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < w->topics_n; i++)
		rd_kafka_topic_partition_list_add(list, w->names[i], RD_KAFKA_PARTITION_UA);
	err = rd_kafka_subscribe(w->consumer, list);
	rd_kafka_topic_partition_list_destroy(list);
	return kafka_verdict_code(err);
}

/* A former owner of the transactional id is fenced before this one can get its partitions. */
static int join(struct worker *w, int timeout_ms)
{
	int r = 0;

	if (!w->fenced_others)
		r = worker_fence_others(w, timeout_ms);
	if (r == 0) {
		w->fenced_others = true;
		r = subscribe(w);
	}
	if (r == 0)
		w->joined = true;
	else if (r != -EAGAIN)
		w->dead = -EPIPE;
	return r == 0 || r == -EAGAIN ? r : -EPIPE;
}

/* What it was given it gives back without having told the role of it. */
static int join_again(struct worker *w)
{
	rd_kafka_resp_err_t err = rd_kafka_unsubscribe(w->consumer);
	int r = err ? kafka_verdict_code(err) : subscribe(w);

	w->again = false;
	w->placed = false;
	if (r < 0)
		w->dead = -EPIPE;
	return r < 0 ? -EPIPE : 0;
}

static void look_again(struct worker *w)
{
	if (w->look_at_ms == 0 || clock_mono_ms() < w->look_at_ms)
		return;
	w->look_at_ms = 0;
	w->again = !worker_owns_any(w) && !worker_all_have_places(w);
}

/* ---- polled ---- */

void kafka_msg_done(struct log_worker *base)
{
	struct worker *w = worker_of(base);

	if (w->msg)
		rd_kafka_message_destroy(w->msg);
	w->msg = NULL;
}

/* false: it was told before. A rebalance makes the client fetch again what it had, for partitions
 * that stayed (librdkafka before 2.4). */
static bool heard(struct worker *w, size_t at, int32_t partition, int64_t from, int64_t next)
{
	struct part *part = worker_part(w, at, partition);

	if (UNLIKELY(!part || from < part->next))
		return false;
	part->next = next;
	part->heard = true;
	return true;
}

static int read_error(struct worker *w, const rd_kafka_message_t *m)
{
	int verdict = kafka_verdict_code(m->err);

	SLOG(SLOG_WARN, "kafka consumer has an error", SLOG_T("code", rd_kafka_err2name(m->err)),
	     SLOG_T("text", rd_kafka_message_errstr(m)));
	/* It has left the group; that its partitions are lost comes through the hook. */
	if (m->err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED)
		return 0;
	if (verdict != -EAGAIN)
		w->dead = verdict = -EPIPE;
	return verdict;
}

/* 1: it is a message and *ret is filled; 0: an end of partition or a repetition; or a verdict. */
static int read_message(struct worker *w, rd_kafka_message_t *m, struct log_msg *ret)
{
	size_t at = 0;

	if (UNLIKELY(m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF))
		return read_error(w, m);
	if (w->topics_n > 1)
		at = worker_name_at(w, rd_kafka_topic_name(m->rkt));
	if (UNLIKELY(at == WORKER_TOPICS_MAX))
		return 0;
	if (m->err) {
		heard(w, at, m->partition, m->offset, m->offset);
		return 0;
	}
	if (!heard(w, at, m->partition, m->offset, m->offset + 1))
		return 0;
	kafka_msg_fill(m, w->topics[at], ret);
	return 1;
}

/* What a callback decided. A message that came with it is dropped: partitions are taken over again
 * and sought then. */
static int take_verdict(struct worker *w)
{
	int verdict = w->dead ? w->dead : w->verdict;

	w->verdict = 0;
	return verdict;
}

void kafka_worker_heed(struct log_worker *base, const atomic_bool *stop)
{
	worker_of(base)->stop = stop;
}

int kafka_worker_poll(struct log_worker *base, int timeout_ms, struct log_msg *ret)
{
	struct worker *w = worker_of(base);
	int64_t deadline_ms = 0;
	int left_ms = timeout_ms, r = take_verdict(w);

	kafka_msg_done(base);
	if (r == 0 && !w->joined)
		r = join(w, timeout_ms);
	if (r < 0)
		return r;
	for (;;) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(w->consumer, left_ms);

		r = take_verdict(w);
		if (LIKELY(m != NULL)) {
			if (r == 0)
				r = read_message(w, m, ret);
			if (r == 1) {
				w->msg = m;
				return 1;
			}
			rd_kafka_message_destroy(m);
		}
		if (r < 0)
			return r;
		if (!m) {
			look_again(w);
			return w->again ? join_again(w) : 0;
		}
		/* What is left of the time is for a message. */
		if (deadline_ms == 0)
			deadline_ms = clock_mono_ms() + timeout_ms;
		left_ms = kafka_left_ms(deadline_ms, timeout_ms);
	}
}

int64_t kafka_worker_lag(struct log_worker *base, enum topic topic, int32_t partition)
{
	struct worker *w = worker_of(base);
	size_t at = worker_topic_at(w, topic);
	int64_t low, high;

	if (at == WORKER_TOPICS_MAX || partition >= w->parts[at].n ||
	    !w->parts[at].v[partition].heard ||
	    rd_kafka_get_watermark_offsets(w->consumer, w->names[at], partition, &low, &high) ||
	    high < 0)
		return -1;
	return MAX(high - w->parts[at].v[partition].next, 0);
}

static rd_kafka_topic_partition_list_t *list_of(struct worker *w, enum topic topic,
						int32_t partition, int64_t offset)
{
	size_t at = worker_topic_at(w, topic);
	rd_kafka_topic_partition_list_t *list;

	if (at == WORKER_TOPICS_MAX || partition < 0)
		return NULL;
	list = rd_kafka_topic_partition_list_new(1);
	if (list)
		rd_kafka_topic_partition_list_add(list, w->names[at], partition)->offset = offset;
	return list;
}

static rd_kafka_resp_err_t seek_once(struct worker *w, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_error_t *error = rd_kafka_seek_partitions(w->consumer, list, SEEK_MS);
	rd_kafka_resp_err_t err = error ? rd_kafka_error_code(error) : list->elems[0].err;

	rd_kafka_error_destroy(error);
	return err;
}

int kafka_worker_seek(struct log_worker *base, enum topic topic, int32_t partition, int64_t offset)
{
	struct worker *w = worker_of(base);
	rd_kafka_topic_partition_list_t *list = list_of(w, topic, partition, offset);
	int64_t deadline_ms = worker_deadline(w, SEEK_MS);
	rd_kafka_resp_err_t err;
	struct part *part;

	if (!list)
		return -EINVAL;
	kafka_msg_done(base);
	while ((err = seek_once(w, list)) == RD_KAFKA_RESP_ERR__STATE &&
	       clock_mono_ms() < deadline_ms) {
		list->elems[0].err = RD_KAFKA_RESP_ERR_NO_ERROR;
		usleep(SEEK_AGAIN);
	}
	rd_kafka_topic_partition_list_destroy(list);
	if (err)
		return err == RD_KAFKA_RESP_ERR__STATE ? -EAGAIN : kafka_verdict_code(err);
	part = worker_part(w, worker_topic_at(w, topic), partition);
	if (!part)
		return -ENOMEM;
	part->next = MAX(offset, 0);
	part->heard = false;
	return 0;
}

int kafka_worker_pause(struct log_worker *base, enum topic topic, int32_t partition, bool pause)
{
	struct worker *w = worker_of(base);
	rd_kafka_topic_partition_list_t *list = list_of(w, topic, partition,
							RD_KAFKA_OFFSET_INVALID);
	rd_kafka_resp_err_t err;

	if (!list)
		return -EINVAL;
	err = pause ? rd_kafka_pause_partitions(w->consumer, list)
		    : rd_kafka_resume_partitions(w->consumer, list);
	if (!err)
		err = list->elems[0].err;
	rd_kafka_topic_partition_list_destroy(list);
	return kafka_verdict_code(err);
}

/* ---- left ---- */

/*
 * The client aborts the process when a member of a cooperative group is destroyed between the
 * group's answer to its join and its first assignment (librdkafka before 2.3). So that assignment
 * is waited for, and where it does not come, the handle is left as it is once the group is left.
 */
static bool half_joined(const struct worker *w)
{
	return w->joined && !w->placed &&
	       strcmp(rd_kafka_rebalance_protocol(w->consumer), "NONE") != 0;
}

/* Asked before the consumer is closed: a closed one never answers. */
static void finish_joining(struct worker *w)
{
	while ((w->stuck = half_joined(w)) && clock_mono_ms() < w->leave_by_ms - LEAVE_SPARE_MS) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(w->consumer, 20);

		if (m)
			rd_kafka_message_destroy(m);
	}
}

/*
 * A named member that closes stays in the group until its session is over: for one that crashed and
 * comes back that is the point, for one that ends in order it must not be. Its subscription given
 * up first makes it leave at once; the client forgets its id with the request to leave.
 */
static void give_up_place(struct worker *w)
{
	int64_t until_ms = w->leave_by_ms - LEAVE_SPARE_MS;
	bool member = rd_kafka_unsubscribe(w->consumer) == RD_KAFKA_RESP_ERR_NO_ERROR;

	while (member && clock_mono_ms() < until_ms) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(w->consumer, 20);
		char *id = rd_kafka_memberid(w->consumer);

		member = id && *id;
		rd_kafka_mem_free(w->consumer, id);
		if (m)
			rd_kafka_message_destroy(m);
	}
}

/* Messages that were on their way come here too and are dropped. */
static void serve_leaving(struct worker *w, rd_kafka_event_t *event)
{
	if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
		worker_on_rebalance(w->consumer, rd_kafka_event_error(event),
				    rd_kafka_event_topic_partition_list(event), w);
	if (event)
		rd_kafka_event_destroy(event);
}

/* Served by hand, because the client's own close waits for as long as its broker is away. */
static bool leave(struct worker *w)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(w->consumer);
	rd_kafka_error_t *error;

	if (!queue)
		return false;
	error = rd_kafka_consumer_close_queue(w->consumer, queue);
	while (!error && !rd_kafka_consumer_closed(w->consumer) && clock_mono_ms() < w->leave_by_ms)
		serve_leaving(w, rd_kafka_queue_poll(queue, 50));
	rd_kafka_error_destroy(error);
	rd_kafka_queue_destroy(queue);
	return rd_kafka_consumer_closed(w->consumer);
}

static void destroy_consumer(struct worker *w, bool left)
{
	if (w->stuck)
		SLOG(SLOG_WARN, "kafka consumer cannot be freed, it is left idle");
	else
		rd_kafka_destroy_flags(w->consumer,
				       left ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

void kafka_worker_free(struct log_worker *base)
{
	struct worker *w = worker_of(base);
	bool left = false;

	kafka_msg_done(base);
	w->leave_by_ms = clock_mono_ms() + WORKER_LEAVE_MS;
	finish_joining(w);
	if (w->joined && w->named && !w->stuck)
		give_up_place(w);
	if (w->joined)
		left = leave(w);
	if (w->txn_open && kafka_txn_abort(base) < 0)
		SLOG(SLOG_WARN, "open transaction is left to its time-out");
	for (size_t i = 0; i < TOPICS_N; i++) {
		if (w->out[i])
			rd_kafka_topic_destroy(w->out[i]);
	}
	if (w->consumer)
		destroy_consumer(w, left);
	if (w->producer)
		rd_kafka_destroy(w->producer);
	for (size_t i = 0; i < w->topics_n; i++)
		free(w->parts[i].v);
	free(w);
}
