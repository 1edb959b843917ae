#include "log/log.h"

#include <errno.h>

#include "base/clock.h"
#include "log/ops.h"

static const char *const topic_texts[TOPICS_N] = {
	[TOPIC_EVENTS] = "events", [TOPIC_LIVE] = "live",   [TOPIC_CALLS] = "calls",
	[TOPIC_STATE] = "state",   [TOPIC_TASKS] = "tasks", [TOPIC_DELIVERIES] = "deliveries",
	[TOPIC_DEAD] = "dead",
};

const char *topic_text(enum topic topic)
{
	return topic_texts[topic];
}

int log_open(const struct cfg *cfg, struct log **ret, struct buf *problem)
{
	return log_ops_kafka.open(cfg, ret, problem);
}

void log_close(struct log *log)
{
	if (log)
		log->ops->close(log);
}

int log_setup_topics(struct log *log, int64_t deadline_ms, struct buf *problem)
{
	return log->ops->setup_topics(log, deadline_ms, problem);
}

int log_partitions(struct log *log, enum topic topic, int64_t deadline_ms)
{
	return log->ops->partitions(log, topic, deadline_ms);
}

int log_appender_new(struct log *log, int64_t timeout_ms, struct log_appender **ret)
{
	return log->ops->appender_new(log, timeout_ms, ret);
}

int log_append(struct log_appender *a, enum topic topic, int32_t partition, struct slice key,
	       struct slice value, log_acked_fn *acked, void *arg)
{
	return a->ops->append(a, topic, partition, key, value, acked, arg);
}

int log_appender_poll(struct log_appender *a, int timeout_ms)
{
	return a->ops->appender_poll(a, timeout_ms);
}

int log_appender_fd(struct log_appender *a)
{
	return a->ops->appender_fd(a);
}

size_t log_appender_queued(const struct log_appender *a)
{
	return a->ops->appender_queued(a);
}

int log_appender_drain(struct log_appender *a, int64_t deadline_ms)
{
	while (log_appender_queued(a) > 0) {
		int64_t left_ms = deadline_ms - clock_mono_ms();

		if (left_ms <= 0)
			return -ETIMEDOUT;
		log_appender_poll(a, (int)MIN(left_ms, 100));
	}
	return 0;
}

void log_appender_free(struct log_appender *a)
{
	if (a)
		a->ops->appender_free(a);
}

int log_worker_new(struct log *log, const char *role, const char *transactional_id,
		   const enum topic *topics, size_t topics_n, const struct log_worker_hooks *hooks,
		   struct log_worker **ret)
{
	return log->ops->worker_new(log, role, transactional_id, topics, topics_n, hooks, ret);
}

void log_worker_heed(struct log_worker *w, const atomic_bool *stop)
{
	if (w->ops->worker_heed)
		w->ops->worker_heed(w, stop);
}

int log_worker_poll(struct log_worker *w, int timeout_ms, struct log_msg *ret)
{
	return w->ops->worker_poll(w, timeout_ms, ret);
}

int log_worker_poll_held(struct log_worker *w, int timeout_ms, struct log_msg *ret)
{
	if (!w->ops->worker_poll_held)
		return -ENOSPC;
	return w->ops->worker_poll_held(w, timeout_ms, ret);
}

bool log_worker_holds(const struct log_worker *w)
{
	return w->ops->worker_poll_held != NULL;
}

void log_msg_done(struct log_worker *w)
{
	w->ops->msg_done(w);
}

int64_t log_worker_lag(struct log_worker *w, enum topic topic, int32_t partition)
{
	return w->ops->worker_lag(w, topic, partition);
}

int log_worker_seek(struct log_worker *w, enum topic topic, int32_t partition, int64_t offset)
{
	return w->ops->worker_seek(w, topic, partition, offset);
}

int log_worker_pause(struct log_worker *w, enum topic topic, int32_t partition, bool pause)
{
	return w->ops->worker_pause(w, topic, partition, pause);
}

int log_txn_produce(struct log_worker *w, enum topic topic, int32_t partition, struct slice key,
		    struct slice value, bool tombstone)
{
	return w->ops->txn_produce(w, topic, partition, key, value, tombstone);
}

int log_txn_commit(struct log_worker *w, const struct log_part *parts, size_t parts_n)
{
	return w->ops->txn_commit(w, parts, parts_n);
}

int log_txn_abort(struct log_worker *w)
{
	return w->ops->txn_abort(w);
}

bool log_txn_open(const struct log_worker *w)
{
	return w->ops->txn_open(w);
}

void log_worker_free(struct log_worker *w)
{
	if (w)
		w->ops->worker_free(w);
}

int log_committed(struct log_worker *w, enum topic topic, int32_t partition, int64_t deadline_ms,
		  int64_t *ret)
{
	return w->ops->committed(w, topic, partition, deadline_ms, ret);
}

int log_set_committed(struct log_worker *w, enum topic topic, int32_t partition,
		      int64_t deadline_ms, int64_t offset)
{
	if (!w->ops->set_committed)
		return -ENOSYS;
	return w->ops->set_committed(w, topic, partition, deadline_ms, offset);
}

int log_low_watermark(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
		      int64_t *ret)
{
	if (log->ops->low_watermark)
		return log->ops->low_watermark(log, topic, partition, deadline_ms, ret);
	*ret = 0;
	return 0;
}

int log_high_watermark(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
		       int64_t *ret)
{
	return log->ops->high_watermark(log, topic, partition, deadline_ms, ret);
}

int log_read_partition(struct log *log, enum topic topic, int32_t partition, int64_t from,
		       int64_t until, int64_t deadline_ms, log_read_fn *each, void *arg)
{
	return log->ops->read_partition(log, topic, partition, from, until, deadline_ms, each, arg);
}

int log_reader_new(struct log *log, const enum topic *topics, size_t topics_n, int64_t from_ms,
		   int64_t deadline_ms, struct log_reader **ret)
{
	return log->ops->reader_new(log, topics, topics_n, from_ms, deadline_ms, ret);
}

int log_reader_next(struct log_reader *r, int timeout_ms, struct log_msg *ret)
{
	return r->ops->reader_next(r, timeout_ms, ret);
}

int64_t log_reader_left(struct log_reader *r)
{
	return r->ops->reader_left(r);
}

void log_reader_free(struct log_reader *r)
{
	if (r)
		r->ops->reader_free(r);
}
