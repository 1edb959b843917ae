/*
 * group.c - members and their sessions; how a rebalance goes through them
 *
 * Cooperative: whoever has partitions keeps them while the group is joined again. A member hears of
 * a rebalance at its heartbeat, joins in the background, and gets its new assignment when all have
 * joined. What it loses it gives up in a call (a rebalance callback, run by its next poll), then it
 * gets what comes, then it joins again so that others can have the rest.
 */
#include <errno.h>

#include "log/mem/cluster.h"

/* ---- places ---- */

int group_find(const struct memlog *m, const char *role)
{
	for (size_t i = 0; i < m->groups_n; i++) {
		if (strcmp(m->groups[i].role, role) == 0)
			return (int)i;
	}
	return -ENOENT;
}

int group_of(struct memlog *m, const char *role)
{
	int at = group_find(m, role);
	char *text;

	if (at >= 0)
		return at;
	text = mem_text(m, role);
	if (!text || !mem_room(m, &m->groups, &m->groups_cap, m->groups_n, sizeof(*m->groups))) {
		mem_free(m, text);
		return -ENOMEM;
	}
	m->groups[m->groups_n] = (struct group){ .role = text };
	return (int)m->groups_n++;
}

struct member *member_of(struct memlog *m, int group, uint64_t uid)
{
	struct group *g = &m->groups[group];

	for (size_t i = 0; i < g->n; i++) {
		if (g->v[i].uid == uid)
			return &g->v[i];
	}
	return NULL;
}

static void fini_member(struct memlog *m, struct member *mb)
{
	tps_fini(m, &mb->owned);
	tps_fini(m, &mb->target);
	tps_fini(m, &mb->list);
	tps_fini(m, &mb->come);
	mem_free(m, mb->name);
}

void group_erase(struct memlog *m, struct group *g, struct member *mb)
{
	size_t i = (size_t)(mb - g->v);

	fini_member(m, mb);
	memmove(mb, mb + 1, (--g->n - i) * sizeof(*mb));
}

void groups_fini(struct memlog *m)
{
	for (size_t i = 0; i < m->groups_n; i++) {
		struct group *g = &m->groups[i];

		while (g->n)
			fini_member(m, &g->v[--g->n]);
		for (int t = 0; t < TOPICS_N; t++)
			mem_free(m, g->offsets[t]);
		mem_free(m, g->v);
		mem_free(m, g->pending);
		mem_free(m, g->role);
	}
	mem_free(m, m->groups);
}

/* ---- a rebalance ---- */

/* It hears of it, if it is not busy with a call: then when that is done. */
static void hear_of_it(struct memlog *m, struct member *mb)
{
	/* It hears at once when it asks for its assignment of before. */
	bool asking = mb->sync_at_ms != NEVER;

	mb->joined = false;
	mb->sync_at_ms = NEVER;
	if (mb->join_at_ms != NEVER || mb->call != CALL_NONE)
		return;
	mb->join_at_ms = mem_now(m) +
			 mem_within(m, asking ? m->set.answer_ms : m->set.heartbeat_ms);
	mem_due(m, mb->join_at_ms);
}

void group_rebalance(struct memlog *m, struct group *g)
{
	size_t in_n = 0;

	for (size_t i = 0; i < g->n; i++)
		in_n += g->v[i].in;
	if (in_n == 0) {
		g->state = GROUP_EMPTY;
		return;
	}
	if (g->state == GROUP_JOINING)
		return;
	g->joining_ms = mem_now(m) + (g->state == GROUP_EMPTY ? m->set.join_delay_ms : 0);
	g->state = GROUP_JOINING;
	for (size_t i = 0; i < g->n; i++) {
		if (g->v[i].in)
			hear_of_it(m, &g->v[i]);
	}
	mem_due(m, g->joining_ms);
}

static void complete(struct memlog *m, struct group *g, int64_t now_ms)
{
	g->generation++;
	g->state = GROUP_STABLE;
	m->counts.rebalances++;
	mem_assign(m, g);
	for (size_t i = 0; i < g->n; i++) {
		struct member *mb = &g->v[i];

		if (!mb->in)
			continue;
		mb->sync_at_ms = now_ms + mem_within(m, m->set.answer_ms);
		mem_due(m, mb->sync_at_ms);
	}
}

static void complete_when_all_are_there(struct memlog *m, struct group *g, int64_t now_ms)
{
	bool late = now_ms >= g->joining_ms + m->set.rebalance_ms, all = true;

	if (g->state != GROUP_JOINING || now_ms < g->joining_ms || !mem_reachable(m))
		return;
	for (size_t i = g->n; i-- > 0;) {
		struct member *mb = &g->v[i];

		if (!mb->in || mb->joined)
			continue;
		all = false;
		if (late)
			group_drop(m, g, mb);
	}
	if (all)
		complete(m, g, now_ms);
	else if (late)
		mem_due(m, now_ms);
}

void group_drop(struct memlog *m, struct group *g, struct member *mb)
{
	mb->in = mb->joined = false;
	mb->sync_at_ms = NEVER;
	if (mb->process == 0) {
		group_erase(m, g, mb);
	} else {
		mb->told_out_ms = mem_now(m) + mem_within(m, m->set.heartbeat_ms);
		mem_due(m, mb->told_out_ms);
	}
	if (g->state == GROUP_JOINING)
		mem_due(m, mem_now(m)); /* it may have been the last one to wait for */
	group_rebalance(m, g);
}

/* ---- joined and left ---- */

int group_join(struct memlog *m, int group, uint64_t process, const char *name,
	       const enum topic *topics, size_t topics_n, uint64_t *ret_uid)
{
	struct group *g = &m->groups[group];
	struct member *mb;

	if (!mem_room(m, &g->v, &g->cap, g->n, sizeof(*g->v)))
		return -ENOMEM;
	mb = &g->v[g->n++];
	*mb = (struct member){ .uid = ++m->uid,
			       .process = process,
			       .topics_n = topics_n,
			       .generation = -1,
			       .join_at_ms = mem_now(m) + mem_within(m, 2 * m->set.answer_ms),
			       .sync_at_ms = NEVER,
			       .told_out_ms = NEVER,
			       .fenced_ms = NEVER,
			       .name = name ? mem_text(m, name) : NULL,
			       .polled_ms = mem_now(m) };
	memcpy(mb->topics, topics, topics_n * sizeof(*topics));
	mem_due(m, mb->join_at_ms);
	*ret_uid = mb->uid;
	return 0;
}

void group_leave(struct memlog *m, int group, uint64_t uid)
{
	struct group *g = &m->groups[group];
	struct member *mb = member_of(m, group, uid);
	bool in = mb && mb->in;

	if (!mb)
		return;
	if (in && !mem_reachable(m)) { /* nobody hears that it leaves */
		mb->process = 0;
		mb->silent = true;
		mb->heard_ms = mem_now(m);
		mem_due(m, mb->heard_ms);
		return;
	}
	group_erase(m, g, mb);
	if (!in)
		return;
	if (g->state == GROUP_JOINING)
		mem_due(m, mem_now(m));
	group_rebalance(m, g);
}

/* ---- what is due ---- */

void groups_run(struct memlog *m, int64_t now_ms)
{
	for (size_t i = 0; i < m->groups_n; i++) {
		struct group *g = &m->groups[i];

		for (size_t k = 0; k < g->n; k++) {
			if (member_run(m, g, &g->v[k], now_ms))
				k = (size_t)-1; /* from the beginning */
		}
		complete_when_all_are_there(m, g, now_ms);
	}
}

int64_t groups_due(const struct memlog *m)
{
	int64_t due_ms = NEVER, now_ms = m->env.mono_ms(m->env.arg);

	for (size_t i = 0; i < m->groups_n; i++) {
		const struct group *g = &m->groups[i];

		for (size_t k = 0; k < g->n; k++)
			due_ms = MIN(due_ms, member_due(m, &g->v[k]));
		if (g->state == GROUP_JOINING)
			due_ms = MIN(due_ms, now_ms < g->joining_ms
						 ? g->joining_ms
						 : g->joining_ms + m->set.rebalance_ms);
	}
	return due_ms;
}

/* ---- on purpose ---- */

bool memlog_kick_member(struct memlog *m, const char *role, size_t nth)
{
	int at;

	memlog_run(m);
	at = group_find(m, role);
	for (size_t i = 0; at >= 0 && i < m->groups[at].n; i++) {
		struct group *g = &m->groups[at];

		if (!g->v[i].in || nth-- > 0)
			continue;
		m->counts.kicked++;
		group_drop(m, g, &g->v[i]);
		return true;
	}
	return false;
}

bool memlog_rebalance(struct memlog *m, const char *role)
{
	int at;

	memlog_run(m);
	at = group_find(m, role);
	if (at < 0 || m->groups[at].state == GROUP_EMPTY)
		return false;
	m->groups[at].shuffle = true;
	group_rebalance(m, &m->groups[at]);
	return true;
}
