/*
 * mem_log.h - a log in memory with one group, for the tests of the correlator
 *
 * One partition of each topic is kept. Transactions are all or nothing, offsets lie in them, and
 * the next calls of an operation can be told to fail. Everything is under one lock, so that a test
 * may look on while a worker's thread runs.
 */
#ifndef CS_TEST_ROLE_MEM_LOG_H
#define CS_TEST_ROLE_MEM_LOG_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "log/ops.h"

#define MEM_PARTITION 1
#define MEM_MSGS_MAX  20000

struct mem_msg {
	struct log_msg msg;
	char *bytes;
};

struct mem_topic {
	struct mem_msg *v;
	size_t n;
	int64_t first; /* offset of v[0]: what came before is gone */
};

/* The next n calls of an operation give this error. */
struct mem_fault {
	unsigned n;
	int err;
};

struct mem_log {
	struct log log;
	pthread_mutex_t lock;
	struct mem_topic topics[TOPICS_N], txn; /* txn: what is not committed yet */
	int64_t committed;                      /* of events */
	unsigned commits, aborts, workers;
	struct mem_fault fail_commit, fail_produce, fail_committed, fail_high, fail_poll, fail_new,
	    fail_setup, fail_seek;
	unsigned fail_commit_after; /* commits that still go well */
	bool lose;                  /* the next poll: the partition is lost */
	bool revoke;                /* the next poll: it goes in order and comes again */
	bool skip;                  /* the next poll leaves a message out */
};

struct mem_worker {
	struct log_worker base;
	struct mem_log *m;
	struct log_worker_hooks hooks;
	bool assigned;
	int64_t next;
};

static inline struct mem_log *mem_of(struct log *log)
{
	return CONTAINER_OF(log, struct mem_log, log);
}

static inline struct mem_worker *mem_worker_of(struct log_worker *w)
{
	return CONTAINER_OF(w, struct mem_worker, base);
}

/* The lock is held. */
static inline int mem_fails(struct mem_fault *fault)
{
	if (fault->n == 0)
		return 0;
	fault->n--;
	return fault->err;
}

static inline int mem_fails_now(struct mem_log *m, struct mem_fault *fault)
{
	int err;

	pthread_mutex_lock(&m->lock);
	err = mem_fails(fault);
	pthread_mutex_unlock(&m->lock);
	return err;
}

static inline void mem_put(struct mem_topic *t, const struct log_msg *from)
{
	struct mem_msg *m = &t->v[t->n];

	if (t->n == MEM_MSGS_MAX)
		abort();
	*m = (struct mem_msg){ *from, malloc(from->key.n + from->value.n + 1) };
	memcpy(m->bytes, from->key.n ? from->key.p : "", from->key.n);
	memcpy(m->bytes + from->key.n, from->value.n ? from->value.p : "", from->value.n);
	m->msg.key.p = m->bytes;
	m->msg.value.p = m->bytes + from->key.n;
	t->n++;
}

/* Into a topic, as its next message. The lock is held, or nobody else looks. */
static inline void mem_append_to(struct mem_log *m, enum topic topic, struct slice key,
				 struct slice value, bool tombstone)
{
	struct mem_topic *t = &m->topics[topic];

	mem_put(t, &(struct log_msg){ topic, MEM_PARTITION, t->first + (int64_t)t->n,
				      clock_wall_ms(), key, value, tombstone });
}

static inline void mem_event(struct mem_log *m, struct slice json)
{
	pthread_mutex_lock(&m->lock);
	mem_append_to(m, TOPIC_EVENTS, SLICE("acme/1"), json, false);
	pthread_mutex_unlock(&m->lock);
}

static inline void mem_forget(struct mem_topic *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].bytes);
	t->n = 0;
}

static inline int64_t mem_end(const struct mem_topic *t)
{
	return t->first + (int64_t)t->n;
}

/* ---- topics ---- */

static inline int mem_setup(struct log *log, int64_t deadline_ms, struct buf *problem)
{
	struct mem_log *m = mem_of(log);
	int err = mem_fails_now(m, &m->fail_setup);

	(void)deadline_ms;
	if (err)
		buf_add_text(problem, "topic events is not there");
	return err;
}

static inline int mem_partitions(struct log *log, enum topic topic, int64_t deadline_ms)
{
	(void)log;
	(void)topic;
	(void)deadline_ms;
	return MEM_PARTITION + 1;
}

static inline int mem_high(struct log *log, enum topic topic, int32_t partition,
			   int64_t deadline_ms, int64_t *ret)
{
	struct mem_log *m = mem_of(log);
	int err = mem_fails_now(m, &m->fail_high);

	(void)partition;
	(void)deadline_ms;
	pthread_mutex_lock(&m->lock);
	*ret = mem_end(&m->topics[topic]);
	pthread_mutex_unlock(&m->lock);
	return err;
}

static inline int mem_read(struct log *log, enum topic topic, int32_t partition, int64_t from,
			   int64_t until, int64_t deadline_ms, log_read_fn *each, void *arg)
{
	const struct mem_topic *t = &mem_of(log)->topics[topic];

	(void)partition;
	(void)until;
	(void)deadline_ms;
	for (size_t i = 0; i < t->n; i++) {
		int rc = t->v[i].msg.offset < from ? 0 : each(arg, &t->v[i].msg);

		if (rc != 0)
			return rc;
	}
	return 0;
}

/* ---- a worker; its hooks run without the lock ---- */

static inline int mem_worker_new(struct log *log, const char *role, const char *id,
				 const enum topic *topics, size_t topics_n,
				 const struct log_worker_hooks *hooks, struct log_worker **ret)
{
	struct mem_log *m = mem_of(log);
	int err = mem_fails_now(m, &m->fail_new);
	struct mem_worker *w;

	(void)role;
	(void)id;
	(void)topics;
	(void)topics_n;
	if (err < 0)
		return err;
	w = calloc(1, sizeof(*w));
	*w = (struct mem_worker){ .base = { log->ops }, .m = m, .hooks = *hooks };
	pthread_mutex_lock(&m->lock);
	m->workers++;
	pthread_mutex_unlock(&m->lock);
	*ret = &w->base;
	return 0;
}

static inline int mem_assign(struct mem_worker *w)
{
	struct log_part part = { TOPIC_EVENTS, MEM_PARTITION, w->m->committed };
	int rc;

	while (mem_fails_now(w->m, &w->m->fail_committed))
		; /* asked until it is known */
	rc = w->hooks.assigned(w->hooks.arg, &part, 1);
	if (rc < 0)
		return rc;
	w->assigned = true;
	w->next = MAX(part.offset, w->m->topics[TOPIC_EVENTS].first);
	return 0;
}

static inline void mem_revoke(struct mem_worker *w, bool lost)
{
	const struct log_part part = { TOPIC_EVENTS, MEM_PARTITION, w->next };

	if (w->assigned)
		w->hooks.revoked(w->hooks.arg, &part, 1, lost);
	w->assigned = false;
}

static inline int mem_rebalance(struct mem_worker *w)
{
	struct mem_log *m = w->m;
	bool lose, revoke;

	pthread_mutex_lock(&m->lock);
	lose = m->lose;
	revoke = m->revoke;
	m->lose = m->revoke = false;
	pthread_mutex_unlock(&m->lock);
	if (lose || revoke)
		mem_revoke(w, lose);
	return w->assigned ? 0 : mem_assign(w);
}

/* The lock is held. */
static inline int mem_next(struct mem_worker *w, struct log_msg *ret)
{
	const struct mem_topic *t = &w->m->topics[TOPIC_EVENTS];
	int err = mem_fails(&w->m->fail_poll);

	if (err < 0)
		return err;
	if (w->m->skip && w->next + 1 < mem_end(t)) {
		w->m->skip = false;
		w->next++;
	}
	if (w->next >= mem_end(t))
		return 0;
	*ret = t->v[w->next++ - t->first].msg;
	return 1;
}

static inline int mem_poll(struct log_worker *base, int timeout_ms, struct log_msg *ret)
{
	struct mem_worker *w = mem_worker_of(base);
	int rc = mem_rebalance(w);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&w->m->lock);
	rc = mem_next(w, ret);
	pthread_mutex_unlock(&w->m->lock);
	if (rc == 0)
		nanosleep(&(struct timespec){ 0, MIN(timeout_ms, 2) * 1000000 }, NULL);
	return rc;
}

static inline void mem_done(struct log_worker *w)
{
	(void)w;
}

static inline int64_t mem_lag(struct log_worker *base, enum topic topic, int32_t partition)
{
	struct mem_worker *w = mem_worker_of(base);
	int64_t lag;

	(void)topic;
	(void)partition;
	pthread_mutex_lock(&w->m->lock);
	lag = mem_end(&w->m->topics[TOPIC_EVENTS]) - w->next;
	pthread_mutex_unlock(&w->m->lock);
	return lag;
}

static inline int mem_seek(struct log_worker *base, enum topic topic, int32_t partition,
			   int64_t offset)
{
	struct mem_worker *w = mem_worker_of(base);

	(void)topic;
	(void)partition;
	if (!w->assigned)
		return -EAGAIN;
	w->next = MAX(offset, w->m->topics[TOPIC_EVENTS].first);
	return mem_fails_now(w->m, &w->m->fail_seek);
}

static inline int mem_produce(struct log_worker *base, enum topic topic, int32_t partition,
			      struct slice key, struct slice value, bool tombstone)
{
	struct mem_log *m = mem_worker_of(base)->m;
	const struct log_msg msg = { topic, partition, 0, 0, key, value, tombstone };
	int err;

	pthread_mutex_lock(&m->lock);
	err = mem_fails(&m->fail_produce);
	if (err == 0)
		mem_put(&m->txn, &msg);
	pthread_mutex_unlock(&m->lock);
	return err;
}

/* The lock is held. */
static inline int mem_end_txn(struct mem_log *m)
{
	if (m->fail_commit_after == 0)
		return mem_fails(&m->fail_commit);
	m->fail_commit_after--;
	return 0;
}

static inline int mem_commit(struct log_worker *base, const struct log_part *parts, size_t n)
{
	struct mem_log *m = mem_worker_of(base)->m;
	int err;

	pthread_mutex_lock(&m->lock);
	err = mem_end_txn(m);
	for (size_t i = 0; err == 0 && i < m->txn.n; i++) {
		const struct log_msg *msg = &m->txn.v[i].msg;

		mem_append_to(m, msg->topic, msg->key, msg->value, msg->tombstone);
	}
	if (err == 0 && n)
		m->committed = parts[0].offset;
	mem_forget(&m->txn);
	m->commits += err == 0;
	m->aborts += err != 0;
	pthread_mutex_unlock(&m->lock);
	return err;
}

static inline int mem_abort(struct log_worker *base)
{
	struct mem_log *m = mem_worker_of(base)->m;

	pthread_mutex_lock(&m->lock);
	mem_forget(&m->txn);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static inline void mem_worker_free(struct log_worker *base)
{
	mem_revoke(mem_worker_of(base), false);
	(void)mem_abort(base);
	free(mem_worker_of(base));
}

/* There is no member while it is asked. */
static inline int mem_set_committed(struct log_worker *base, enum topic topic, int32_t partition,
				    int64_t deadline_ms, int64_t offset)
{
	struct mem_log *m = mem_worker_of(base)->m;

	(void)topic;
	(void)partition;
	(void)deadline_ms;
	pthread_mutex_lock(&m->lock);
	m->committed = offset;
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static inline int mem_committed(struct log_worker *base, enum topic topic, int32_t partition,
				int64_t deadline_ms, int64_t *ret)
{
	struct mem_log *m = mem_worker_of(base)->m;
	int err = mem_fails_now(m, &m->fail_committed);

	(void)topic;
	(void)partition;
	(void)deadline_ms;
	pthread_mutex_lock(&m->lock);
	*ret = m->committed;
	pthread_mutex_unlock(&m->lock);
	return err;
}

/* ---- appenders: acknowledged at once ---- */

struct mem_appender {
	struct log_appender base;
	struct mem_log *m;
};

static inline int mem_appender_new(struct log *log, int64_t timeout_ms, struct log_appender **ret)
{
	struct mem_appender *a = calloc(1, sizeof(*a));

	(void)timeout_ms;
	*a = (struct mem_appender){ { log->ops }, mem_of(log) };
	*ret = &a->base;
	return 0;
}

static inline int mem_append(struct log_appender *base, enum topic topic, int32_t partition,
			     struct slice key, struct slice value, log_acked_fn *acked, void *arg)
{
	struct mem_log *m = CONTAINER_OF(base, struct mem_appender, base)->m;
	int err;

	(void)partition;
	pthread_mutex_lock(&m->lock);
	err = mem_fails(&m->fail_produce);
	if (err == 0)
		mem_append_to(m, topic, key, value, value.n == 0);
	pthread_mutex_unlock(&m->lock);
	if (err == 0)
		acked(arg, 0);
	return err;
}

static inline int mem_appender_poll(struct log_appender *a, int timeout_ms)
{
	(void)a;
	(void)timeout_ms;
	return 0;
}

static inline size_t mem_queued(const struct log_appender *a)
{
	(void)a;
	return 0;
}

static inline void mem_appender_free(struct log_appender *a)
{
	free(CONTAINER_OF(a, struct mem_appender, base));
}

static const struct log_ops mem_ops = {
	.name = "memory",
	.setup_topics = mem_setup,
	.partitions = mem_partitions,
	.appender_new = mem_appender_new,
	.append = mem_append,
	.appender_poll = mem_appender_poll,
	.appender_queued = mem_queued,
	.appender_free = mem_appender_free,
	.worker_new = mem_worker_new,
	.worker_poll = mem_poll,
	.worker_poll_held = mem_poll, /* its bytes stay where they are */
	.msg_done = mem_done,
	.worker_lag = mem_lag,
	.worker_seek = mem_seek,
	.txn_produce = mem_produce,
	.txn_commit = mem_commit,
	.txn_abort = mem_abort,
	.worker_free = mem_worker_free,
	.committed = mem_committed,
	.set_committed = mem_set_committed,
	.high_watermark = mem_high,
	.read_partition = mem_read,
};

static inline void mem_init(struct mem_log *m)
{
	*m = (struct mem_log){ .log = { &mem_ops }, .committed = LOG_BEGIN };
	pthread_mutex_init(&m->lock, NULL);
	for (int i = 0; i < TOPICS_N; i++)
		m->topics[i].v = calloc(MEM_MSGS_MAX, sizeof(struct mem_msg));
	m->txn.v = calloc(MEM_MSGS_MAX, sizeof(struct mem_msg));
}

static inline void mem_fini(struct mem_log *m)
{
	for (int i = 0; i < TOPICS_N; i++) {
		mem_forget(&m->topics[i]);
		free(m->topics[i].v);
	}
	mem_forget(&m->txn);
	free(m->txn.v);
	pthread_mutex_destroy(&m->lock);
}

#endif
