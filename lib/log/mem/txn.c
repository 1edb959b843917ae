/*
 * txn.c - the coordinator of transactions
 *
 * The end of a transaction is decided at once; its markers come a little later, each partition's by
 * itself, and only then is the id free for the next one.
 */
#include <errno.h>
#include <stdio.h>

#include "log/mem/cluster.h"

#define FOREIGN  "nobody's"
#define FLOAT_MS 8000

static int find_id(const struct memlog *m, const char *id)
{
	for (size_t i = 0; i < m->producers_n; i++) {
		if (m->producers[i].id && strcmp(m->producers[i].id, id) == 0)
			return (int)i;
	}
	return -ENOENT;
}

/* When the sweep finds it. */
static int64_t times_out_at(const struct memlog *m, const struct producer *p)
{
	int64_t ms = p->began_ms + p->timeout_ms, sweep_ms = MAX(m->set.sweep_ms, 1);

	return (ms + sweep_ms - 1) / sweep_ms * sweep_ms;
}

/* ---- begun ---- */

int txn_init(struct memlog *m, const char *id, uint64_t process, uint32_t *ret_producer,
	     uint32_t *ret_epoch)
{
	int at = find_id(m, id);
	struct producer *p;

	if (at < 0) {
		int r = producer_new(m, id, process, ret_producer);

		*ret_epoch = 1;
		return r;
	}
	if (m->producers[at].state == TXN_OPEN) {
		m->producers[at].epoch++;
		m->counts.fenced++;
		txn_end(m, (uint32_t)at, false);
	}
	p = &m->producers[at];
	if (p->state != TXN_NONE)
		return -EAGAIN;
	p->process = process;
	p->epoch++;
	p->spoiled = false;
	p->timeout_ms = m->set.txn_ms;
	*ret_producer = (uint32_t)at;
	*ret_epoch = p->epoch;
	return 0;
}

int txn_touch(struct memlog *m, struct producer *p, int32_t group, enum topic topic,
	      int32_t partition)
{
	if (p->state == TXN_ENDING)
		return -EAGAIN;
	for (size_t i = 0; i < p->touched_n; i++) {
		const struct touched *t = &p->touched[i];

		if (t->group == group &&
		    (group >= 0 || (t->topic == topic && t->partition == partition)))
			return 0;
	}
	if (!mem_room(m, &p->touched, &p->touched_cap, p->touched_n, sizeof(*p->touched)))
		return -ENOMEM;
	p->touched[p->touched_n++] = (struct touched){ group, topic, partition, NEVER };
	if (p->state == TXN_NONE) {
		p->state = TXN_OPEN;
		p->began_ms = mem_now(m);
		mem_due(m, times_out_at(m, p));
	}
	return 0;
}

/* ---- ended ---- */

void txn_end(struct memlog *m, uint32_t producer, bool commit)
{
	struct producer *p = &m->producers[producer];
	int64_t most_ms = MEM_FAULT(m, marker_late) ? 20000 : m->set.marker_ms;

	if (p->state != TXN_OPEN)
		return;
	p->state = TXN_ENDING;
	p->commit = commit;
	p->commit_at_ms = NEVER;
	for (size_t i = 0; i < p->touched_n; i++) {
		p->touched[i].due_ms = mem_now(m) + mem_within(m, most_ms);
		mem_due(m, mem_when(m, p->touched[i].due_ms));
	}
	m->counts.commits += commit;
	m->counts.aborts += !commit;
}

void txn_commit_later(struct memlog *m, uint32_t producer)
{
	struct producer *p = &m->producers[producer];

	p->commit_at_ms = mem_now(m) + mem_within(m, FLOAT_MS);
	mem_due(m, p->commit_at_ms);
}

void txn_fence(struct memlog *m, uint32_t producer)
{
	m->producers[producer].epoch++;
	m->counts.fenced++;
	txn_end(m, producer, false);
}

static void mark(struct memlog *m, uint32_t producer, const struct touched *t)
{
	const struct producer *p = &m->producers[producer];

	if (t->group >= 0)
		offsets_end(m, t->group, producer, p->commit);
	else
		part_mark(m, t->topic, t->partition, producer, p->epoch, p->commit);
}

static void finish(struct memlog *m, uint32_t producer, int64_t now_ms)
{
	struct producer *p = &m->producers[producer];
	size_t left = 0;

	for (size_t i = 0; i < p->touched_n; i++) {
		if (p->touched[i].due_ms > now_ms)
			p->touched[left++] = p->touched[i];
		else
			mark(m, producer, &p->touched[i]);
	}
	p->touched_n = left;
	if (left)
		return;
	p->state = TXN_NONE;
	if (p->first) /* waited for this */
		p->due_ms = now_ms;
}

void txns_run(struct memlog *m, int64_t now_ms)
{
	if (!mem_reachable(m))
		return;
	for (size_t i = 0; i < m->producers_n; i++) {
		struct producer *p = &m->producers[i];

		if (p->state == TXN_OPEN && now_ms >= p->commit_at_ms)
			txn_end(m, (uint32_t)i, true);
		if (p->state == TXN_OPEN && now_ms >= times_out_at(m, p)) {
			p->epoch++;
			m->counts.timed_out++;
			txn_end(m, (uint32_t)i, false);
		}
		if (p->state == TXN_ENDING)
			finish(m, (uint32_t)i, now_ms);
	}
}

int64_t txns_due(const struct memlog *m)
{
	int64_t due_ms = NEVER;

	for (size_t i = 0; i < m->producers_n; i++) {
		const struct producer *p = &m->producers[i];

		if (p->state == TXN_OPEN)
			due_ms = MIN(due_ms, mem_when(m, MIN(p->commit_at_ms, times_out_at(m, p))));
		for (size_t j = 0; p->state == TXN_ENDING && j < p->touched_n; j++)
			due_ms = MIN(due_ms, mem_when(m, p->touched[j].due_ms));
	}
	return due_ms;
}

/* ---- on purpose ---- */

bool memlog_fence(struct memlog *m, const char *transactional_id)
{
	int at;

	memlog_run(m);
	at = find_id(m, transactional_id);
	if (at < 0)
		return false;
	txn_fence(m, (uint32_t)at);
	return true;
}

static int foreigner(struct memlog *m, int64_t for_ms, uint32_t *ret)
{
	for (size_t i = 0; i < m->producers_n; i++) {
		struct producer *p = &m->producers[i];

		if (p->id && strcmp(p->id, FOREIGN) == 0 && p->state == TXN_NONE) {
			p->timeout_ms = for_ms;
			*ret = (uint32_t)i;
			return 0;
		}
	}
	if (producer_new(m, FOREIGN, 0, ret) < 0)
		return -ENOMEM;
	m->producers[*ret].timeout_ms = for_ms;
	return 0;
}

int memlog_open_foreign_txn(struct memlog *m, enum topic topic, int32_t partition, int64_t for_ms)
{
	const struct message msg = { .topic = topic,
				     .partition = partition,
				     .key = SLICE("nobody's"),
				     .value = SLICE("nobody's"),
				     .create_ms = m->env.wall_ms(m->env.arg) };
	uint32_t at;
	int r;

	memlog_run(m);
	if (!part_of(m, topic, partition))
		return -ENOENT;
	r = foreigner(m, for_ms, &at);
	if (r == 0)
		r = txn_touch(m, &m->producers[at], -1, topic, partition);
	if (r == 0)
		r = part_append(m, &msg, at, m->producers[at].epoch, true);
	return r;
}

int memlog_open_foreign_offset(struct memlog *m, const char *role, enum topic topic,
			       int32_t partition, int64_t offset, int64_t for_ms)
{
	int group, r;
	uint32_t at;

	memlog_run(m);
	if (!part_of(m, topic, partition))
		return -ENOENT;
	group = group_of(m, role);
	if (group < 0)
		return group;
	r = foreigner(m, for_ms, &at);
	if (r == 0)
		r = txn_touch(m, &m->producers[at], group, topic, partition);
	if (r == 0)
		r = offsets_pend(m, group, at, (struct tp){ (uint8_t)topic, partition }, offset);
	return r;
}
