/*
 * client.c - a process's handle of the cluster: topics, questions, reading one partition
 */
#include <errno.h>
#include <stdlib.h>

#include "base/broken.h"
#include "log/mem/client.h"

static int open_nowhere(const struct cfg *cfg, struct log **ret, struct buf *problem)
{
	(void)cfg;
	(void)ret;
	buf_add_text(problem, "a log in memory is opened by memlog_client");
	return -EINVAL;
}

static void close_log(struct log *log)
{
	free(client_of(log));
}

const struct log_ops log_ops_mem = {
	.name = "mem",
	.open = open_nowhere,
	.close = close_log,
	.setup_topics = mem_setup_topics,
	.partitions = mem_partitions,
	.appender_new = mem_appender_new,
	.append = mem_append,
	.appender_poll = mem_appender_poll,
	.appender_fd = mem_appender_fd,
	.appender_queued = mem_appender_queued,
	.appender_free = mem_appender_free,
	.worker_new = mem_worker_new,
	.worker_heed = mem_worker_heed,
	.worker_poll = mem_worker_poll,
	.worker_poll_held = mem_worker_poll_held,
	.msg_done = mem_msg_done,
	.worker_lag = mem_worker_lag,
	.worker_seek = mem_worker_seek,
	.worker_pause = mem_worker_pause,
	.txn_produce = mem_txn_produce,
	.txn_commit = mem_txn_commit,
	.txn_abort = mem_txn_abort,
	.txn_open = mem_txn_open,
	.worker_free = mem_worker_free,
	.committed = mem_committed,
	.set_committed = mem_set_committed,
	.low_watermark = mem_low_watermark,
	.high_watermark = mem_high_watermark,
	.read_partition = mem_read_partition,
	.reader_new = mem_reader_new,
	.reader_next = mem_reader_next,
	.reader_left = mem_reader_left,
	.reader_free = mem_reader_free,
};

int memlog_client(struct memlog *m, const struct cfg *cfg, uint64_t process, struct log **ret)
{
	struct memclient *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct memclient){ { &log_ops_mem }, m, cfg, process };
	*ret = &c->log;
	return 0;
}

/* ---- topics ---- */

static int make_topic(struct memlog *m, enum topic topic, uint32_t partitions)
{
	struct mem_topic *t = &m->topics[topic];

	t->parts = mem_alloc(m, partitions * sizeof(*t->parts));
	if (!t->parts)
		return -ENOMEM;
	t->n = (int32_t)partitions;
	return 0;
}

static int setup_once(struct memclient *c, struct buf *problem)
{
	const char *prefix = c->cfg->kafka.topic_prefix;

	for (int i = 0; i < TOPICS_N; i++) {
		const char *name = topic_text((enum topic)i);

		if (c->m->topics[i].n == 0 && !c->cfg->kafka.create_topics) {
			buf_reset(problem);
			buf_printf(problem,
				   "topic %s%s does not exist and kafka.create_topics is off",
				   prefix, name);
			return -EAGAIN;
		}
		if (c->m->topics[i].n == 0 &&
		    make_topic(c->m, (enum topic)i, c->cfg->kafka.partitions) < 0)
			return -ENOMEM;
		if (c->m->topics[i].n == (int32_t)c->cfg->kafka.partitions)
			continue;
		buf_reset(problem);
		buf_printf(problem, "topic %s%s has %d partitions, kafka.partitions is %u", prefix,
			   name, (int)c->m->topics[i].n, c->cfg->kafka.partitions);
		return -EINVAL;
	}
	buf_reset(problem);
	return 0;
}

int mem_setup_topics(struct log *log, int64_t deadline_ms, struct buf *problem)
{
	struct memclient *c = client_of(log);
	int r;

	mem_point(c->m, "setup");
	for (;;) {
		r = mem_reach(c->m, deadline_ms);
		if (r == 0)
			r = setup_once(c, problem);
		if (r != -EAGAIN || mem_now(c->m) >= deadline_ms)
			return r;
		mem_wait(c->m, MIN(deadline_ms, mem_now(c->m) + 100));
	}
}

int mem_partitions(struct log *log, enum topic topic, int64_t deadline_ms)
{
	struct memlog *m = client_of(log)->m;
	int r;

	mem_point(m, "partitions");
	r = mem_reach(m, deadline_ms);
	if (r < 0)
		return r;
	return m->topics[topic].n ? m->topics[topic].n : -ENOENT;
}

/* ---- questions ---- */

static int ask_watermarks(struct memlog *m, enum topic topic, int32_t partition,
			  int64_t deadline_ms, int64_t *ret_low, int64_t *ret_high)
{
	bool stalled = MEM_FAULT(m, stalled);

	mem_point(m, "watermarks");
	for (;;) {
		const struct mem_part *p = part_of(m, topic, partition);

		if (p && !stalled && mem_reachable(m)) {
			*ret_low = p->begin;
			*ret_high = BROKEN(state_to_stable) ? part_stable(p) : p->high;
			return 0;
		}
		if (mem_now(m) >= deadline_ms)
			return -EAGAIN;
		mem_wait(m, deadline_ms);
	}
}

int mem_low_watermark(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
		      int64_t *ret)
{
	int64_t high;

	return ask_watermarks(client_of(log)->m, topic, partition, deadline_ms, ret, &high);
}

int mem_high_watermark(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
		       int64_t *ret)
{
	int64_t low;

	return ask_watermarks(client_of(log)->m, topic, partition, deadline_ms, &low, ret);
}

/* ---- reading one partition ---- */

void held_drop(struct held *h)
{
	if (h->bytes.n)
		memset(h->bytes.p, 0xa5, h->bytes.n);
	buf_reset(&h->bytes);
}

int held_take(struct held *h, const struct mem_part *p, const struct entry *e, enum topic topic,
	      int32_t partition)
{
	struct slice key, value;

	part_fill(p, e, topic, partition, &h->msg);
	key = h->msg.key;
	value = h->msg.value;
	buf_reset(&h->bytes);
	buf_add_slice(&h->bytes, key);
	buf_add_slice(&h->bytes, value);
	if (h->bytes.bad)
		return -ENOMEM;
	if (key.n)
		h->msg.key = slice_make(h->bytes.p, key.n);
	if (value.n)
		h->msg.value = slice_make(h->bytes.p + key.n, value.n);
	return 0;
}

#define READ_ON 2

struct reading {
	struct memlog *m;
	enum topic topic;
	int32_t partition;
	int64_t next, until;
	log_read_fn *each;
	void *arg;
	struct held held;
};

/* READ_ON while there is more or may be, 0 done, 1 stopped, or an error. */
static int read_one(struct reading *r, bool *ret_waits)
{
	struct mem_part *p = part_of(r->m, r->topic, r->partition);
	const struct entry *e;
	int64_t stable;
	int err;

	*ret_waits = true;
	if (!p || !mem_reachable(r->m))
		return READ_ON;
	if (r->next < p->begin || r->next > p->high)
		r->next = p->begin;
	stable = part_stable(p);
	e = part_next(p, &r->next, stable);
	if (!e)
		return r->next >= r->until ? 0 : READ_ON;
	if (e->offset >= r->until)
		return 0;
	err = held_take(&r->held, p, e, r->topic, r->partition);
	r->next = e->offset + 1;
	*ret_waits = false;
	mem_point(r->m, "read");
	if (err == 0)
		err = r->each(r->arg, &r->held.msg);
	if (err != 0)
		return err;
	return r->next >= r->until ? 0 : READ_ON;
}

int mem_read_partition(struct log *log, enum topic topic, int32_t partition, int64_t from,
		       int64_t until, int64_t deadline_ms, log_read_fn *each, void *arg)
{
	struct memlog *m = client_of(log)->m;
	struct reading r = { m,     topic, partition, MAX(from, 0),
			     until, each,  arg,       { .bytes = BUF_EMPTY } };
	bool stalled = MEM_FAULT(m, stalled), waits;
	uint64_t left = stalled ? mem_below(m, 20) : UINT64_MAX;
	int err = READ_ON;

	if (until <= 0 || from >= until)
		return 0;
	mem_point(m, "read");
	while (err == READ_ON) {
		waits = true;
		if (left > 0)
			err = read_one(&r, &waits);
		left -= left > 0 && !waits;
		if (err != READ_ON || !waits)
			continue;
		if (mem_now(m) >= deadline_ms)
			err = -EAGAIN;
		else
			mem_wait(m, deadline_ms);
	}
	buf_fini(&r.held.bytes);
	return err;
}
