/*
 * member.c - a member's client: what it hears of its group and when, the calls that it owes
 */
#include "log/mem/cluster.h"

/* ---- the client's side ---- */

static struct member *namesake(struct group *g, const struct member *mb)
{
	for (size_t i = 0; mb->name && i < g->n; i++) {
		struct member *other = &g->v[i];

		if (other != mb && other->in && other->name && strcmp(other->name, mb->name) == 0)
			return other;
	}
	return NULL;
}

/*
 * The group keeps its generation and nobody else hears of it: who comes gets what the other one was
 * to have. What that one had still to give up, so that others could have it, is nobody's then.
 */
static bool take_place(struct memlog *m, struct group *g, struct member *mb, int64_t now_ms)
{
	struct member *other = namesake(g, mb);

	if (mb->in && mb->name && mb->generation < 0) /* its own, of which it had heard nothing */
		other = mb;
	if (!other)
		return false;
	if (other == mb && g->state == GROUP_STABLE) {
		mb->joined = true;
		mb->sync_at_ms = now_ms + mem_within(m, m->set.answer_ms);
	}
	if (other == mb)
		return g->state == GROUP_STABLE;
	other->in = other->joined = false;
	other->join_at_ms = other->sync_at_ms = NEVER;
	other->fenced_ms = now_ms + mem_within(m, m->set.heartbeat_ms);
	if (g->state != GROUP_STABLE)
		return false;
	tps_copy(m, &mb->target, &other->target);
	mb->joined = true;
	mb->sync_at_ms = now_ms + mem_within(m, m->set.answer_ms);
	return true;
}

static void arrive(struct memlog *m, struct group *g, struct member *mb, int64_t now_ms)
{
	mb->join_at_ms = mb->sync_at_ms = NEVER;
	mb->heard_ms = now_ms;
	if (take_place(m, g, mb, now_ms)) {
		mb->in = true;
		return;
	}
	mb->in = true;
	group_rebalance(m, g);
	mb->joined = true;
	mb->join_at_ms = NEVER;
}

static void add_missing(struct memlog *m, struct tps *to, const struct tps *from,
			const struct tps *without)
{
	to->n = 0;
	for (size_t i = 0; i < from->n; i++) {
		if (!tps_has(without, from->v[i]))
			tps_add(m, to, from->v[i]);
	}
}

static void hear_assignment(struct memlog *m, struct group *g, struct member *mb)
{
	mb->sync_at_ms = NEVER;
	mb->generation = g->generation;
	mb->placed = true;
	add_missing(m, &mb->come, &mb->target, &mb->owned);
	add_missing(m, &mb->list, &mb->owned, &mb->target);
	if (mb->list.n) {
		mb->call = CALL_REVOKE;
		mb->then_assign = mb->then_join = true;
	} else {
		mb->call = CALL_ASSIGN;
		tps_copy(m, &mb->list, &mb->come);
	}
	mem_wake(m);
}

/* It learns that the group goes on without it. */
static void hear_out(struct memlog *m, struct member *mb, int64_t now_ms)
{
	mb->told_out_ms = NEVER;
	mb->generation = -1;
	mb->join_at_ms = mb->sync_at_ms = NEVER;
	if (mb->owned.n == 0) {
		mb->join_at_ms = now_ms + mem_within(m, m->set.answer_ms);
		return;
	}
	mb->call = CALL_REVOKE;
	mb->lost = true;
	mb->then_assign = false;
	mb->then_join = true;
	tps_copy(m, &mb->list, &mb->owned);
	m->counts.lost++;
	mem_wake(m);
}

bool group_fenced(struct memlog *m, int group, uint64_t uid)
{
	const struct member *mb = member_of(m, group, uid);

	return mb && mem_now(m) >= mb->fenced_ms;
}

enum call group_call(struct memlog *m, int group, uint64_t uid)
{
	struct member *mb = member_of(m, group, uid);

	if (!mb)
		return CALL_NONE;
	mb->polled_ms = mem_now(m);
	mb->calling = mb->call != CALL_NONE;
	return mb->call;
}

static void call_over(struct memlog *m, struct group *g, struct member *mb)
{
	int64_t now_ms = mem_now(m);

	mb->call = CALL_NONE;
	mb->lost = false;
	if (mb->then_join)
		mb->join_at_ms = now_ms;
	else if (g->state == GROUP_JOINING && mb->in && !mb->joined)
		mb->join_at_ms = now_ms + mem_within(m, m->set.heartbeat_ms);
	mb->then_join = false;
	mem_due(m, now_ms);
	mem_due(m, mb->join_at_ms);
}

void group_called(struct memlog *m, int group, uint64_t uid)
{
	struct member *mb = member_of(m, group, uid);

	if (!mb || !mb->calling)
		return;
	mb->calling = false;
	mb->polled_ms = mem_now(m);
	for (size_t i = 0; i < mb->list.n; i++) {
		if (mb->call == CALL_ASSIGN)
			tps_add(m, &mb->owned, mb->list.v[i]);
		else
			tps_remove(&mb->owned, mb->list.v[i]);
	}
	if (mb->then_assign) {
		mb->then_assign = false;
		mb->call = CALL_ASSIGN;
		tps_copy(m, &mb->list, &mb->come);
		return;
	}
	call_over(m, &m->groups[group], mb);
}

/* ---- what is due ---- */

/* While the broker was away nobody's session ran. */
static int64_t expires_at(const struct memlog *m, const struct member *mb)
{
	return MAX(mb->heard_ms, m->away_until_ms) + m->set.session_ms;
}

/* The client ends its session itself when nobody answers it; the broker knows nothing of that. */
static int64_t gives_up_at(const struct memlog *m, const struct member *mb, int64_t now_ms)
{
	bool given_up = mb->generation < 0 || mb->told_out_ms != NEVER || mb->lost;

	return now_ms < m->away_until_ms && !given_up ? m->away_since_ms + m->set.session_ms
						      : NEVER;
}

/* It leaves the group when it is not polled. */
static int64_t gets_stuck_at(const struct memlog *m, const struct member *mb)
{
	return mb->polled_ms + m->set.rebalance_ms + 1;
}

/* At its heartbeat, or when it wants to join. */
static bool hears_out(struct memlog *m, const struct member *mb, int64_t now_ms)
{
	return now_ms >= mb->told_out_ms ||
	       (mb->told_out_ms != NEVER && now_ms >= mb->join_at_ms && mem_reachable(m));
}

/* true: the array has changed. */
bool member_run(struct memlog *m, struct group *g, struct member *mb, int64_t now_ms)
{
	if (mb->silent) {
		if (mb->process == 0 && !mb->in) {
			group_erase(m, g, mb);
			return true;
		}
		if (!mb->in || !mem_reachable(m) || now_ms < expires_at(m, mb))
			return false;
		m->counts.expired++;
		group_drop(m, g, mb);
		return true;
	}
	if (mb->fenced_ms != NEVER)
		return false;
	if (mb->in && now_ms >= gets_stuck_at(m, mb) && mem_reachable(m))
		group_drop(m, g, mb);
	if (mb->in && now_ms >= gives_up_at(m, mb, now_ms))
		mb->told_out_ms = now_ms;
	if (mb->call == CALL_NONE && hears_out(m, mb, now_ms))
		hear_out(m, mb, now_ms);
	if (mem_reachable(m) && mb->call == CALL_NONE && now_ms >= mb->join_at_ms)
		arrive(m, g, mb, now_ms);
	if (mem_reachable(m) && mb->call == CALL_NONE && now_ms >= mb->sync_at_ms)
		hear_assignment(m, g, mb);
	return false;
}

int64_t member_due(const struct memlog *m, const struct member *mb)
{
	int64_t now_ms = m->env.mono_ms(m->env.arg), due_ms;

	if (mb->silent)
		return mb->in ? expires_at(m, mb) : NEVER;
	due_ms = mb->in ? MIN(gives_up_at(m, mb, now_ms), mem_when(m, gets_stuck_at(m, mb)))
			: NEVER;
	if (mb->call != CALL_NONE)
		return due_ms;
	if (mb->fenced_ms > now_ms)
		due_ms = MIN(due_ms, mb->fenced_ms);
	due_ms = MIN(due_ms, mb->told_out_ms);
	return MIN(due_ms, mem_when(m, MIN(mb->join_at_ms, mb->sync_at_ms)));
}
