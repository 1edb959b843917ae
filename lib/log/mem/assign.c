/*
 * assign.c - who of a group gets what: evenly, and what has an owner stays there if it can
 *
 * What moves from one owner to another goes to nobody in this round: its owner gives it up first
 * and joins again.
 */
#include "log/mem/cluster.h"

/* ---- lists of partitions ---- */

bool tps_has(const struct tps *l, struct tp tp)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].topic == tp.topic && l->v[i].partition == tp.partition)
			return true;
	}
	return false;
}

void tps_add(struct memlog *m, struct tps *l, struct tp tp)
{
	if (mem_room(m, &l->v, &l->cap, l->n, sizeof(*l->v)))
		l->v[l->n++] = tp;
}

void tps_remove(struct tps *l, struct tp tp)
{
	size_t left = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].topic != tp.topic || l->v[i].partition != tp.partition)
			l->v[left++] = l->v[i];
	}
	l->n = left;
}

void tps_copy(struct memlog *m, struct tps *to, const struct tps *from)
{
	to->n = 0;
	for (size_t i = 0; i < from->n; i++)
		tps_add(m, to, from->v[i]);
}

void tps_fini(struct memlog *m, struct tps *l)
{
	mem_free(m, l->v);
	*l = (struct tps){ 0 };
}

/* ---- sharing out ---- */

static struct member *owner_of(struct group *g, struct tp tp)
{
	for (size_t i = 0; i < g->n; i++) {
		if (g->v[i].in && tps_has(&g->v[i].owned, tp))
			return &g->v[i];
	}
	return NULL;
}

/* What the member will have at last, by its rank among those that have most now. */
static size_t share(const struct group *g, const struct member *mb, size_t all)
{
	size_t members_n = 0, rank = 0;

	for (size_t i = 0; i < g->n; i++) {
		const struct member *other = &g->v[i];

		if (!other->in)
			continue;
		members_n++;
		rank += other->owned.n > mb->owned.n ||
			(other->owned.n == mb->owned.n && other->uid < mb->uid);
	}
	return all / members_n + (rank < all % members_n);
}

static struct member *with_room(struct group *g, size_t all)
{
	for (size_t i = 0; i < g->n; i++) {
		if (g->v[i].in && g->v[i].target.n < share(g, &g->v[i], all))
			return &g->v[i];
	}
	return NULL;
}

static void add_topics(struct memlog *m, const struct member *mb, struct tps *all)
{
	for (size_t t = 0; t < mb->topics_n; t++) {
		for (int32_t p = 0; p < m->topics[mb->topics[t]].n; p++)
			tps_add(m, all, (struct tp){ (uint8_t)mb->topics[t], p });
	}
}

static void keep_owned(struct memlog *m, struct group *g, const struct tps *all)
{
	for (size_t i = 0; i < g->n; i++) {
		struct member *mb = &g->v[i];
		size_t most = mb->in ? share(g, mb, all->n) : 0;

		mb->target.n = 0;
		for (size_t k = 0; mb->in && k < mb->owned.n && mb->target.n < most; k++) {
			if (!tps_has(all, mb->owned.v[k]) || (g->shuffle && mem_below(m, 2)))
				continue;
			tps_add(m, &mb->target, mb->owned.v[k]);
		}
	}
}

bool group_all_have_places(struct memlog *m, int group)
{
	struct group *g = &m->groups[group];
	struct tps all = { 0 };
	size_t assigned = 0;
	bool yes;

	for (size_t i = 0; i < g->n; i++) {
		if (!g->v[i].in)
			continue;
		assigned += g->v[i].target.n;
		if (all.n == 0)
			add_topics(m, &g->v[i], &all);
	}
	yes = g->state != GROUP_STABLE || assigned >= all.n;
	tps_fini(m, &all);
	return yes;
}

void mem_assign(struct memlog *m, struct group *g)
{
	struct tps all = { 0 };

	for (size_t i = 0; all.n == 0 && i < g->n; i++) {
		if (g->v[i].in)
			add_topics(m, &g->v[i], &all);
	}
	keep_owned(m, g, &all);
	for (size_t i = 0; i < all.n; i++) {
		struct member *mb = owner_of(g, all.v[i]) ? NULL : with_room(g, all.n);

		if (mb)
			tps_add(m, &mb->target, all.v[i]);
	}
	g->shuffle = false;
	tps_fini(m, &all);
}
