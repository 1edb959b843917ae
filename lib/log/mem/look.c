/*
 * look.c - what a checker sees of the cluster
 */
#include "log/mem/cluster.h"

int memlog_see(struct memlog *m, enum topic topic, int32_t partition, bool committed, int64_t from,
	       memlog_see_fn *each, void *arg)
{
	const struct mem_part *p;
	int64_t until;
	int r = 0;

	memlog_run(m);
	p = part_of(m, topic, partition);
	if (!p)
		return 0;
	until = committed ? part_stable(p) : p->high;
	for (size_t i = part_find(p, from); r == 0 && i < p->n && p->v[i].offset < until; i++) {
		const struct entry *e = &p->v[i];
		struct memlog_entry seen = { .fate = (enum memlog_fate)e->fate,
					     .producer = e->producer,
					     .epoch = e->epoch };

		if (committed && e->fate != MEMLOG_PLAIN && e->fate != MEMLOG_COMMITTED)
			continue;
		part_fill(p, e, topic, partition, &seen.msg);
		r = each(arg, &seen);
	}
	return r;
}

int memlog_partitions(const struct memlog *m, enum topic topic)
{
	return m->topics[topic].n;
}

int64_t memlog_high(struct memlog *m, enum topic topic, int32_t partition)
{
	const struct mem_part *p;

	memlog_run(m);
	p = part_of(m, topic, partition);
	return p ? p->high : 0;
}

int64_t memlog_stable(struct memlog *m, enum topic topic, int32_t partition)
{
	const struct mem_part *p;

	memlog_run(m);
	p = part_of(m, topic, partition);
	return p ? part_stable(p) : 0;
}

int64_t memlog_group_offset(struct memlog *m, const char *role, enum topic topic, int32_t partition)
{
	int at;

	memlog_run(m);
	at = group_find(m, role);
	if (at < 0 || !m->groups[at].offsets[topic] || partition >= m->topics[topic].n)
		return LOG_BEGIN;
	return m->groups[at].offsets[topic][partition];
}

size_t memlog_members(struct memlog *m, const char *role)
{
	size_t n = 0;
	int at;

	memlog_run(m);
	at = group_find(m, role);
	for (size_t i = 0; at >= 0 && i < m->groups[at].n; i++)
		n += m->groups[at].v[i].in;
	return n;
}

uint64_t memlog_owner(struct memlog *m, const char *role, enum topic topic, int32_t partition)
{
	const struct tp tp = { (uint8_t)topic, partition };
	int at;

	memlog_run(m);
	at = group_find(m, role);
	for (size_t i = 0; at >= 0 && i < m->groups[at].n; i++) {
		const struct member *mb = &m->groups[at].v[i];

		if (mb->in && tps_has(&mb->owned, tp))
			return mb->process;
	}
	return 0;
}
