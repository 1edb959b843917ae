/*
 * offsets.c - the group's committed offsets, and those that are still in a transaction
 */
#include <errno.h>

#include "base/broken.h"
#include "log/mem/cluster.h"

int offsets_get(struct memlog *m, int group, struct tp tp, int64_t *ret)
{
	const struct group *g = &m->groups[group];
	const int64_t *offsets = g->offsets[tp.topic];

	for (size_t i = 0; i < g->pending_n && !BROKEN(pending_ignored); i++) {
		if (g->pending[i].tp.topic == tp.topic &&
		    g->pending[i].tp.partition == tp.partition)
			return -EAGAIN;
	}
	*ret = offsets && tp.partition < m->topics[tp.topic].n ? offsets[tp.partition] : LOG_BEGIN;
	return 0;
}

int offsets_pend(struct memlog *m, int group, uint32_t producer, struct tp tp, int64_t offset)
{
	struct group *g = &m->groups[group];

	if (!mem_room(m, &g->pending, &g->pending_cap, g->pending_n, sizeof(*g->pending)))
		return -ENOMEM;
	g->pending[g->pending_n++] = (struct pending){ producer, tp, offset };
	if (BROKEN(offsets_outside))
		offsets_set(m, group, tp, offset);
	return 0;
}

void offsets_set(struct memlog *m, int group, struct tp tp, int64_t offset)
{
	int64_t **offsets = &m->groups[group].offsets[tp.topic];
	int32_t n = m->topics[tp.topic].n;

	if (!*offsets) {
		*offsets = mem_alloc(m, (size_t)n * sizeof(**offsets));
		for (int32_t i = 0; *offsets && i < n; i++)
			(*offsets)[i] = LOG_BEGIN;
	}
	if (*offsets && tp.partition < n)
		(*offsets)[tp.partition] = offset;
}

void offsets_end(struct memlog *m, int group, uint32_t producer, bool commit)
{
	struct group *g = &m->groups[group];
	size_t left = 0;

	for (size_t i = 0; i < g->pending_n; i++) {
		if (g->pending[i].producer != producer)
			g->pending[left++] = g->pending[i];
		else if (commit)
			offsets_set(m, group, g->pending[i].tp, g->pending[i].offset);
	}
	g->pending_n = left;
	mem_wake(m);
}

bool memlog_set_offset(struct memlog *m, const char *role, enum topic topic, int32_t partition,
		       int64_t offset)
{
	int group = group_find(m, role);

	if (group < 0 || !part_of(m, topic, partition))
		return false;
	offsets_set(m, group, (struct tp){ (uint8_t)topic, partition }, offset);
	return true;
}
