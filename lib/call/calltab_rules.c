#include "call/calltab_priv.h"

/*
 * The closers (contract.md 5) as questions to the set of events. "Ended" means that of each leg, or
 * of each set of legs that talked, the last fact in order is the end.
 */
#define PARTIES_MAX 256 /* facts looked at; a call with more is left to the silence */

bool source_has_summary(struct slice source)
{
	return !slice_is(source, "callgear");
}

static bool is_talk(const struct callev *ev)
{
	return ev->kind == CALLEV_TALK_STARTED || ev->kind == CALLEV_TALK_ENDED;
}

static bool is_leg(const struct callev *ev)
{
	return ev->kind >= CALLEV_LEG_RINGING && ev->kind <= CALLEV_LEG_ENDED && ev->leg_id.n &&
	       source_has_summary(ev->source);
}

/* Place: where it stands when both name their legs in one order, as dialects do. */
static bool has_leg(const struct callev *ev, struct slice leg_id, size_t place)
{
	if (slice_eq(ev->leg_ids[place], leg_id))
		return true;
	for (size_t i = 0; i < ev->leg_ids_n; i++) {
		if (slice_eq(ev->leg_ids[i], leg_id))
			return true;
	}
	return false;
}

/* One talk is one set of legs (rules.md 5); without them, one employee. */
static bool same_talk(const struct callev *a, const struct callev *b)
{
	if (a->leg_ids_n != b->leg_ids_n)
		return false;
	if (a->leg_ids_n == 0)
		return slice_eq(a->employee.id, b->employee.id);
	for (size_t i = 0; i < a->leg_ids_n; i++) {
		if (!has_leg(b, a->leg_ids[i], i))
			return false;
	}
	return true;
}

static bool same_leg(const struct callev *a, const struct callev *b)
{
	return slice_eq(a->leg_id, b->leg_id);
}

struct parties {
	bool (*is_one)(const struct callev *ev);
	bool (*same)(const struct callev *a, const struct callev *b);
	enum callev_kind end;
};
static const struct parties talks = { is_talk, same_talk, CALLEV_TALK_ENDED };
static const struct parties legs = { is_leg, same_leg, CALLEV_LEG_ENDED };

static bool seen(const struct parties *p, const struct callev *const *latest, size_t n,
		 const struct callev *ev)
{
	for (size_t i = 0; i < n; i++) {
		if (p->same(latest[i], ev))
			return true;
	}
	return false;
}

/* There is at least one, and the latest fact about each is its end. */
static bool all_ended(const struct parties *p, const struct callev *events, size_t events_n)
{
	const struct callev *latest[PARTIES_MAX];
	size_t n = 0, looked_at = 0;

	for (size_t i = events_n; i-- > 0;) {
		const struct callev *ev = &events[i];

		if (!p->is_one(ev))
			continue;
		if (++looked_at > PARTIES_MAX)
			return false;
		if (seen(p, latest, n, ev))
			continue;
		if (ev->kind != p->end)
			return false;
		latest[n++] = ev;
	}
	return n > 0;
}

uint8_t facts_flags(const struct callev *events, size_t n)
{
	uint8_t flags = 0;

	for (size_t i = 0; i < n; i++) {
		if (events[i].kind == CALLEV_CALL_ENDED)
			flags |= CALL_HAS_END;
		else if (events[i].kind == CALLEV_CALL_LOST)
			flags |= CALL_HAS_LOST;
	}
	if (all_ended(&talks, events, n))
		flags |= CALL_TALK_DONE;
	if (all_ended(&legs, events, n))
		flags |= CALL_LEGS_DONE;
	return flags;
}

/* Why a call is finished is a matter of its events; which timer came first is not. */
enum closed_by flags_reason(uint8_t flags)
{
	if (flags & CALL_HAS_END)
		return CLOSED_BY_END;
	if (flags & CALL_HAS_LOST)
		return CLOSED_BY_LOST_WITHOUT_END;
	if (flags & CALL_LEGS_DONE)
		return CLOSED_BY_NO_SUMMARY;
	return flags & CALL_TALK_DONE ? CLOSED_BY_TALK_WITHOUT_END : CLOSED_BY_SILENCE;
}

enum closed_by facts_reason(const struct callev *events, size_t n)
{
	for (size_t i = n; i-- > 0;) { /* as with most calls; then nothing else counts */
		if (events[i].kind == CALLEV_CALL_ENDED)
			return CLOSED_BY_END;
	}
	return flags_reason(facts_flags(events, n));
}

static int64_t later(int64_t ms, int64_t by_ms)
{
	int64_t sum;

	return __builtin_add_overflow(ms, by_ms, &sum) ? INT64_MAX - 1 : sum;
}

/* runs: one of these flags is set */
static int64_t sooner(int64_t due_ms, unsigned runs, int64_t from_ms, int64_t after_ms)
{
	return runs && from_ms != TIME_NONE ? MIN(due_ms, later(from_ms, after_ms)) : due_ms;
}

static int64_t open_due(const struct call *call, const struct cfg_closers *c)
{
	int64_t due_ms = later(call->last_ms, c->silent_call_after_ms);

	if (call->item.flags & CALL_HAS_END)
		return sooner(due_ms, 1, call->open.end_ms, c->end_grace_ms);
	due_ms = sooner(due_ms, call->item.flags & CALL_HAS_LOST, call->open.lost_ms,
			c->lost_without_end_after_ms);
	due_ms = sooner(due_ms, call->item.flags & (CALL_TALK_DONE | CALL_UNREAD),
			call->open.talk_end_ms, c->talk_without_end_after_ms);
	return sooner(due_ms, call->item.flags & (CALL_LEGS_DONE | CALL_UNREAD),
		      call->open.leg_end_ms, c->no_summary_after_ms);
}

int64_t item_due(const struct calltab *tab, const struct item *item)
{
	const struct cfg_correlate *cfg = &tab->cfg.cfg->correlate;
	const struct call *call = (const struct call *)(const void *)item;
	const struct cfg_closers *closers;

	if (item->orphan)
		return later(((const struct orphan *)(const void *)item)->append_ms,
			     cfg->orphan_wait_ms);
	closers = tab->accounts[call->account]->closers;
	if (call->item.closed_by == CLOSED_NOT)
		return open_due(call, closers);
	if (!(call->item.flags & CALL_COMPLETE))
		return later(call->closed.closed_ms, closers->recording_wait_ms);
	if (tab->cfg.keep_closed)
		return INT64_MAX;
	return later(call->closed.complete_ms, cfg->remember_closed_ms);
}
