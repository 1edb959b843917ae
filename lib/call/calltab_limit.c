#include <errno.h>
#include <stdlib.h>

#include "call/calltab_priv.h"

/*
 * Who is pushed out is exactly the longest-silent call (the oldest orphan), ties by id. Looking for
 * it costs a walk over all items, so a walk keeps the first thousands of the order for the
 * next times: an event only makes a call less silent, so who is not among them stays behind
 * them, and one of them that has changed is passed over. A newcomer that would belong among them (a
 * log whose append times are out of order) ends their use.
 */
#define VICTIMS_MIN 1024u

void victims_fini(struct victims *victims)
{
	free(victims->v);
	*victims = (struct victims){ NULL, 0, 0, 0, 0 };
}

void victims_note(struct victims *victims, int64_t since_ms)
{
	if (since_ms <= victims->until_ms)
		victims->n = victims->at = 0;
}

static int64_t since(const struct item *item)
{
	return item->orphan ? ((const struct orphan *)(const void *)item)->append_ms
			    : ((const struct call *)(const void *)item)->last_ms;
}

static int order(const void *a, const void *b)
{
	const struct victim *x = a, *y = b;

	if (x->since_ms != y->since_ms)
		return x->since_ms < y->since_ms ? -1 : 1;
	return uuid_cmp(&x->id, &y->id);
}

/* Keeps the first `keep` of the order in a heap whose root is the last of them. */
static void sift(struct victim *v, size_t n, size_t i, struct victim victim)
{
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && order(&v[child + 1], &v[child]) > 0)
			child++;
		if (order(&v[child], &victim) <= 0)
			break;
		v[i] = v[child];
	}
	v[i] = victim;
}

static void offer(struct victims *victims, size_t keep, struct victim victim)
{
	if (victims->n < keep) {
		size_t i = victims->n++;

		for (; i > 0 && order(&victim, &victims->v[(i - 1) / 2]) > 0; i = (i - 1) / 2)
			victims->v[i] = victims->v[(i - 1) / 2];
		victims->v[i] = victim;
	} else if (order(&victim, &victims->v[0]) < 0) {
		sift(victims->v, keep, 0, victim);
	}
}

static int look_for(const struct calltab *tab, struct victims *victims, bool orphans, size_t keep)
{
	if (keep > victims->cap) {
		struct victim *v = realloc(victims->v, keep * sizeof(*v));

		if (!v)
			return -ENOMEM;
		victims->v = v;
		victims->cap = keep;
	}
	victims->n = victims->at = 0;
	for (uint32_t i = 1; i < tab->items_n; i++) {
		const struct item *item = tab->items[i];

		if (item && item->orphan == orphans)
			offer(victims, keep, (struct victim){ since(item), item->id, i });
	}
	qsort(victims->v, victims->n, sizeof(*victims->v), order);
	victims->until_ms = victims->n < keep ? INT64_MAX : victims->v[victims->n - 1].since_ms;
	return 0;
}

static struct item *still_there(const struct calltab *tab, const struct victim *victim, bool orphan)
{
	struct item *item = victim->handle < tab->items_n ? tab->items[victim->handle] : NULL;

	return item && item->orphan == orphan && since(item) == victim->since_ms &&
		       uuid_eq(&item->id, &victim->id)
		   ? item
		   : NULL;
}

/* The next one to go. 0 with *ret, or -ENOMEM. There is one: the count is above its limit. */
static int next_victim(struct calltab *tab, bool orphan, uint64_t over, struct item **ret)
{
	struct victims *victims = orphan ? &tab->oldest : &tab->silent;

	for (;;) {
		while (victims->at < victims->n) {
			*ret = still_there(tab, &victims->v[victims->at++], orphan);
			if (*ret)
				return 0;
		}
		int err = look_for(tab, victims, orphan,
				   MAX(over * 2, MAX(VICTIMS_MIN, tab->items_n / 64)));

		if (err)
			return err;
	}
}

static int push_out(struct calltab *tab, struct item *item, int64_t now_ms)
{
	int err;

	if (item->orphan) {
		orphans_give_up(tab, as_orphan(item));
		return 0;
	}
	err = call_end_wait(tab, as_call(item), now_ms);
	return err ? err : call_leave(tab, as_call(item), now_ms);
}

static int push_out_next(struct calltab *tab, bool orphan, uint64_t over, int64_t now_ms,
			 struct buf *closed_ids)
{
	struct item *item;
	int err = next_victim(tab, orphan, over, &item);

	if (err)
		return err;
	buf_add(closed_ids, item->id.b, UUID_LEN);
	if (closed_ids->bad)
		return -ENOMEM;
	return push_out(tab, item_find(tab, &item->id), now_ms);
}

int calltab_trim(struct calltab *tab, int64_t now_ms, struct buf *closed_ids)
{
	const struct calltab_counts *counts = &tab->counts;
	int err = 0;

	while (!err && counts->open + counts->remembered > tab->cfg.calls_max)
		err = push_out_next(tab, false,
				    counts->open + counts->remembered - tab->cfg.calls_max, now_ms,
				    closed_ids);
	while (!err && counts->orphans > tab->cfg.orphans_max)
		err = push_out_next(tab, true, counts->orphans - tab->cfg.orphans_max, now_ms,
				    closed_ids);
	return err;
}

int calltab_close(struct calltab *tab, const struct uuid *call_id, int64_t now_ms)
{
	struct item *item = item_find(tab, call_id);

	if (!item || slice_masked(tab, call_id))
		return 0;
	return push_out(tab, item, now_ms);
}
