/*
 * places.c - has every partition an owner in the group?
 *
 * A member with a name that comes back gets the place of the one before, without a rebalance. If
 * that one died when it had been told to give partitions up and had not yet done so, they are
 * nobody's, and nothing would give them out: only its joining again, which it owed, would have.
 */
#include <stdio.h>

#include "base/slog.h"
#include "log/kafka/worker.h"
#include "wire/cursor.h"

#define ASK_PLACES_MS 3000

static uint32_t u16be(struct cursor *c)
{
	uint32_t high = cur_u8(c);

	return high << 8 | cur_u8(c);
}

static uint32_t u32be(struct cursor *c)
{
	uint32_t high = u16be(c);

	return high << 16 | u16be(c);
}

/* Partitions in a member's assignment: version, then topics with their partitions. */
static size_t count_assigned(struct slice bytes)
{
	struct cursor c = cur_make(bytes);
	size_t n = 0;
	uint32_t topics_n;

	u16be(&c);
	topics_n = u32be(&c);
	for (uint32_t i = 0; i < topics_n && !c.bad; i++) {
		uint32_t name_n = u16be(&c), partitions_n;

		cur_take(&c, name_n);
		partitions_n = u32be(&c);
		cur_take(&c, (size_t)partitions_n * 4);
		n += c.bad ? 0 : partitions_n;
	}
	return n;
}

/* false: the topics are not known yet. */
static bool count_partitions(const struct worker *w, size_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < w->topics_n; i++) {
		int32_t n = atomic_load(&w->k->partitions[w->topics[i]]);

		if (n <= 0)
			return false;
		*ret += (size_t)n;
	}
	return true;
}

static bool all_in(const struct worker *w, const struct rd_kafka_group_info *g)
{
	size_t assigned = 0, all;

	/* While the group is joined anew it gives out all there is. */
	if (g->err || !g->state || strcmp(g->state, "Stable") != 0 || !count_partitions(w, &all))
		return true;
	for (int i = 0; i < g->member_cnt; i++)
		assigned += count_assigned(slice_make(
		    g->members[i].member_assignment, (size_t)g->members[i].member_assignment_size));
	return assigned >= all;
}

bool worker_all_have_places(struct worker *w)
{
	const struct rd_kafka_group_list *list = NULL;
	rd_kafka_resp_err_t err = rd_kafka_list_groups(w->consumer, w->group, &list, ASK_PLACES_MS);
	bool all = !err; /* not known: it joins again, which is always right */

	for (int i = 0; !err && i < list->group_cnt; i++)
		all = all && all_in(w, &list->groups[i]);
	if (list)
		rd_kafka_group_list_destroy(list);
	if (!all)
		SLOG(SLOG_INFO, "partitions may have no owner in the group, joining it again",
		     SLOG_T("code", rd_kafka_err2name(err)));
	return all;
}
