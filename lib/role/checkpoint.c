#include "role/checkpoint.h"

#include <string.h>

#define EVENTS_MAX   2000000u /* of one replay (design.md "Slices") */
#define COMMITS_MAX  8192u    /* half of the journal's ring */
#define CATCH_UP_MIN 1000     /* ms */

void checkpoint_init(struct checkpoint *c, int64_t every_ms, int64_t commit_every_ms)
{
	memset(c, 0, sizeof(*c));
	c->every_ms = MAX(every_ms, 2);
	c->catch_up_ms = MAX(2 * commit_every_ms, CATCH_UP_MIN);
}

static void push(struct checkpoint *c, unsigned slice, const struct replay_mark *mark,
		 const struct checkpoint_now *now)
{
	c->ring[(c->head + c->n) % CALLTAB_SLICES] = (struct checkpoint_slice){ (uint16_t)slice,
										*mark, *now };
	c->in_ring[slice] = true;
	c->n++;
}

void checkpoint_note(struct checkpoint *c, const struct calltab *tab,
		     const struct replay_mark *mark, const struct checkpoint_now *now)
{
	if (calltab_slices_dirty(tab) == c->n)
		return;
	for (unsigned slice = 0; slice < CALLTAB_SLICES; slice++) {
		if (!c->in_ring[slice] && calltab_slice_dirty(tab, slice))
			push(c, slice, mark, now);
	}
}

static bool waited(const struct checkpoint *c, const struct checkpoint_slice *s,
		   const struct checkpoint_now *now)
{
	return now->mono_ms - s->since.mono_ms >= c->every_ms / 2 ||
	       now->events - s->since.events >= EVENTS_MAX / 2 ||
	       now->n - s->since.n >= COMMITS_MAX / 2;
}

/* The share of the second half that has passed since the last step, as slices. */
static unsigned pace(const struct checkpoint *c, const struct checkpoint_now *now)
{
	double passed_ms = (double)MIN(now->mono_ms - c->last.mono_ms, c->catch_up_ms);
	double by_time = 2 * passed_ms / (double)c->every_ms;
	double by_events = 2.0 * (double)(now->events - c->last.events) / EVENTS_MAX;
	double by_commits = 2.0 * (double)(now->n - c->last.n) / COMMITS_MAX;
	double share = MAX(MAX(by_time, by_events), by_commits);

	return share >= 1 ? CALLTAB_SLICES : 1 + (unsigned)(share * CALLTAB_SLICES);
}

unsigned checkpoint_due(const struct checkpoint *c, const struct checkpoint_now *now)
{
	unsigned most = MIN(pace(c, now), c->n), due = 0;

	while (due < most && waited(c, &c->ring[(c->head + due) % CALLTAB_SLICES], now))
		due++;
	return due;
}

void checkpoint_stepped(struct checkpoint *c, const struct checkpoint_now *now)
{
	c->last = *now;
}

int64_t checkpoint_wake_ms(const struct checkpoint *c)
{
	return c->n ? c->ring[c->head].since.mono_ms + c->every_ms / 2 : INT64_MAX;
}

unsigned checkpoint_pop(struct checkpoint *c)
{
	unsigned slice = c->ring[c->head].slice;

	c->in_ring[slice] = false;
	c->head = (c->head + 1) % CALLTAB_SLICES;
	c->n--;
	return slice;
}

const struct replay_mark *checkpoint_first(const struct checkpoint *c)
{
	return c->n ? &c->ring[c->head].mark : NULL;
}
