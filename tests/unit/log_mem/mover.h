/*
 * mover.h - a worker that moves events to calls, for the tests of the cluster in memory
 */
#ifndef CS_TEST_LOG_MEM_MOVER_H
#define CS_TEST_LOG_MEM_MOVER_H

#include "unit/log_mem/house.h"

struct mover {
	struct log *log;
	struct log_worker *w;
	const char *id;
	int64_t next[PARTS]; /* -3: not ours */
	bool dirty[PARTS];
	int renew; /* what a commit inside a hook said: take over again */
	int lost;
	char order[256]; /* the hooks as they came: a, r, l; c: a commit in it, !: that failed; e:
			    without a list */
};

static inline void mover_note(struct mover *m, char c)
{
	size_t n = strlen(m->order);

	if (n + 1 < sizeof(m->order))
		m->order[n] = c;
}

static inline int mover_commit(struct mover *m)
{
	struct log_part parts[PARTS];
	size_t n = 0;

	for (int32_t p = 0; p < PARTS; p++) {
		if (m->next[p] >= 0 && m->dirty[p])
			parts[n++] = (struct log_part){ TOPIC_EVENTS, p, m->next[p] };
		m->dirty[p] = false;
	}
	return log_txn_commit(m->w, parts, n);
}

static inline int mover_assigned(void *arg, struct log_part *parts, size_t n)
{
	struct mover *m = arg;

	assert_false(log_txn_open(m->w));
	mover_note(m, n ? 'a' : 'e');
	for (size_t i = 0; i < n; i++) {
		int64_t c = 0;

		if (log_committed(m->w, TOPIC_EVENTS, parts[i].partition, soon(60000), &c) < 0)
			return -EPIPE;
		assert_int_equal(c, parts[i].offset);
		m->next[parts[i].partition] = MAX(c, 0);
		m->dirty[parts[i].partition] = false;
	}
	return 0;
}

static inline void mover_revoked(void *arg, const struct log_part *parts, size_t n, bool lost)
{
	struct mover *m = arg;

	mover_note(m, lost ? 'l' : 'r');
	m->lost += lost;
	if (!lost && log_txn_open(m->w)) {
		m->renew = mover_commit(m);
		mover_note(m, m->renew ? '!' : 'c');
	}
	for (size_t i = 0; i < n; i++)
		m->next[parts[i].partition] = -3;
}

static inline void mover_start(struct mover *m, struct log *log, const char *id)
{
	static const enum topic topics[] = { TOPIC_EVENTS };
	const struct log_worker_hooks hooks = { m, mover_assigned, mover_revoked };

	m->log = log;
	m->id = id;
	m->renew = 0;
	for (int32_t p = 0; p < PARTS; p++) {
		m->next[p] = -3;
		m->dirty[p] = false;
	}
	assert_int_equal(log_worker_new(log, "correlate", id, topics, 1, &hooks, &m->w), 0);
}

/* After -ECANCELED: everything as the log has it. */
static inline int mover_again(struct mover *m)
{
	int r = log_txn_abort(m->w);

	for (int32_t p = 0; r == 0 && p < PARTS; p++) {
		int64_t c = 0;

		if (m->next[p] < 0)
			continue;
		r = log_committed(m->w, TOPIC_EVENTS, p, soon(60000), &c);
		if (r == 0)
			r = log_worker_seek(m->w, TOPIC_EVENTS, p, c);
		m->next[p] = MAX(c, 0);
		m->dirty[p] = false;
	}
	return r;
}

static inline int mover_take(struct mover *m, const struct log_msg *msg)
{
	if (m->next[msg->partition] != msg->offset)
		return -ECANCELED; /* taken over again */
	m->next[msg->partition] = msg->offset + 1;
	m->dirty[msg->partition] = true;
	return log_txn_produce(m->w, TOPIC_CALLS, msg->partition, msg->key, msg->value, false);
}

static inline int mover_owned(const struct mover *m)
{
	int n = 0;

	for (int32_t p = 0; p < PARTS; p++)
		n += m->next[p] >= 0;
	return n;
}

#endif
