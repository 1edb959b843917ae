#include "call/fold_parts.h"

#include <errno.h>
#include <stdlib.h>

#define REPLACED_AFTER_MS 2000 /* rules.md 5: a later ring than this takes the place of a leg */

struct record_leg *fold_leg(const struct fold *f, struct slice leg_id)
{
	uint32_t number = names_find(&f->leg_names, leg_id);

	return number != NAME_NONE ? &f->legs[number] : NULL;
}

static bool is_ring(const struct callev *ev)
{
	return ev->kind == CALLEV_LEG_RINGING && ev->leg_id.n;
}

static struct record_leg *add_leg(struct fold *f, const struct callev *ring)
{
	uint32_t number = names_add(&f->leg_names, ring->leg_id);
	struct record_leg *leg = &f->legs[number];

	if (number < f->legs_n)
		return leg; /* told again */
	f->legs_n++;
	*leg = (struct record_leg){ .leg_id = ring->leg_id,
				    .ringing_at_ms = callev_time(ring),
				    .answered_at_ms = TIME_NONE,
				    .ended_at_ms = TIME_NONE };
	return leg;
}

/* What rang; where the source has one leg for outbound, that which rang first: the contact's. */
static void add_rings(struct fold *f)
{
	const struct fold_in *in = f->in;
	bool one = fold_has_one_leg(f);

	for (size_t i = 0; i < in->events_n; i++) {
		const struct callev *ev = &in->events[i];
		struct record_leg *leg;

		if (!is_ring(ev))
			continue;
		if (one && f->legs_n && !fold_leg(f, ev->leg_id))
			continue;
		leg = add_leg(f, ev);
		first_text(&leg->location, ev->location);
		first_text(&leg->number, ev->number);
		first_text(&leg->queue, ev->queue);
		first_text(&leg->from_leg, ev->from_leg);
		person_fill(&leg->employee, &ev->employee);
	}
}

static void answer(struct record_leg *leg, int64_t at_ms)
{
	if (leg->answered_at_ms == TIME_NONE || at_ms < leg->answered_at_ms)
		leg->answered_at_ms = at_ms;
}

/* A leg was answered when it says so or was in a talk; the last talk's end is its own. */
static void add_answers(struct fold *f)
{
	const struct fold_in *in = f->in;

	for (size_t i = 0; i < in->events_n; i++) {
		const struct callev *ev = &in->events[i];
		struct record_leg *leg;

		if (ev->kind != CALLEV_LEG_ANSWERED)
			continue;
		leg = fold_leg(f, ev->leg_id);
		if (leg)
			answer(leg, callev_time(ev));
	}
	for (size_t t = 0; t < f->talks_n; t++) {
		const struct talk *talk = &f->talks[t];

		for (size_t i = 0; i < talk->told->leg_ids_n; i++) {
			struct record_leg *leg = fold_leg(f, talk->told->leg_ids[i]);

			if (!leg)
				continue;
			answer(leg, talk->start_ms);
			leg->ended_at_ms = MAX(leg->ended_at_ms,
					       talk_until(talk, f->rec->ended_at_ms));
		}
	}
}

/* Answered without a talk: its own last word, else the call's end. */
static void add_ends(struct fold *f)
{
	const struct fold_in *in = f->in;

	for (size_t i = 0; i < in->events_n; i++) {
		const struct callev *ev = &in->events[i];
		struct record_leg *leg;

		if (ev->kind != CALLEV_LEG_ENDED)
			continue;
		leg = fold_leg(f, ev->leg_id);
		if (leg && leg->answered_at_ms != TIME_NONE && leg->ended_at_ms == TIME_NONE)
			leg->ended_at_ms = MAX(leg->answered_at_ms, callev_time(ev));
	}
	for (size_t i = 0; i < f->legs_n; i++) {
		/* legs_n counts what lies there. */
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		if (f->legs[i].answered_at_ms == TIME_NONE)
			continue;
		f->legs[i].outcome = OUTCOME_ANSWERED;
		if (f->legs[i].ended_at_ms == TIME_NONE)
			f->legs[i].ended_at_ms = f->rec->ended_at_ms;
	}
}

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The first of n sorted times that is not before ms; TIME_NONE: none. */
static int64_t first_from(const int64_t *times, size_t n, int64_t ms)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (times[middle] < ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n ? times[low] : TIME_NONE;
}

/*
 * A leg that was never answered ends when a later ring took its place (no_answer), when another leg
 * was answered (cancelled), or with the call and its outcome; whichever is first.
 */
static void end_unanswered(struct fold *f, struct record_leg *leg, const int64_t *rings,
			   const int64_t *answers, size_t answers_n)
{
	int64_t replaced_ms = first_from(rings, f->legs_n,
					 leg->ringing_at_ms + REPLACED_AFTER_MS + 1);
	int64_t taken_ms = first_from(answers, answers_n, leg->ringing_at_ms);

	leg->ended_at_ms = f->rec->ended_at_ms;
	leg->outcome = f->rec->outcome;
	if (taken_ms != TIME_NONE && taken_ms <= leg->ended_at_ms) {
		leg->ended_at_ms = taken_ms;
		leg->outcome = OUTCOME_CANCELLED;
	}
	if (replaced_ms != TIME_NONE && replaced_ms <= leg->ended_at_ms) {
		leg->ended_at_ms = replaced_ms;
		leg->outcome = OUTCOME_NO_ANSWER;
	}
}

static int end_all_unanswered(struct fold *f)
{
	int64_t *rings = fold_alloc(f, f->legs_n, sizeof(*rings));
	int64_t *answers = fold_alloc(f, f->legs_n, sizeof(*answers));
	size_t answers_n = 0;

	if (!rings || !answers)
		return -ENOMEM;
	for (size_t i = 0; i < f->legs_n; i++) {
		rings[i] = f->legs[i].ringing_at_ms; /* in order, as the events are */
		if (f->legs[i].answered_at_ms != TIME_NONE)
			answers[answers_n++] = f->legs[i].answered_at_ms;
	}
	if (answers_n > 1)
		qsort(answers, answers_n, sizeof(*answers), compare_times);
	for (size_t i = 0; i < f->legs_n; i++) {
		if (f->legs[i].answered_at_ms == TIME_NONE)
			end_unanswered(f, &f->legs[i], rings, answers, answers_n);
	}
	return 0;
}

/* Whom each leg belongs to; the one outbound leg to the one who dials (rules.md 5). */
static void name_employees(struct fold *f)
{
	bool one = fold_has_one_leg(f);

	for (size_t i = 0; i < f->legs_n; i++) {
		const struct person *told = &f->legs[i].employee;

		if (one && f->started && person_is_absent(told))
			told = &f->started->employee;
		f->legs[i].employee = fold_person(f, told);
	}
}

int fold_legs(struct fold *f)
{
	if (f->rings_n == 0)
		return 0;
	f->legs = fold_alloc(f, f->rings_n, sizeof(*f->legs));
	if (!f->legs || names_init(&f->leg_names, f->arena, f->rings_n))
		return -ENOMEM;
	add_rings(f);
	add_answers(f);
	add_ends(f);
	name_employees(f);
	return end_all_unanswered(f);
}

static int64_t first_time(const struct record_leg *leg)
{
	return leg->answered_at_ms != TIME_NONE ? MIN(leg->ringing_at_ms, leg->answered_at_ms)
						: leg->ringing_at_ms;
}

static int compare_legs(const void *a, const void *b)
{
	const struct record_leg *x = a, *y = b;

	if (first_time(x) != first_time(y))
		return first_time(x) < first_time(y) ? -1 : 1;
	return slice_cmp_id(x->leg_id, y->leg_id);
}

void fold_legs_sort(struct fold *f)
{
	if (f->legs_n > 1)
		qsort(f->legs, f->legs_n, sizeof(*f->legs), compare_legs);
	f->rec->legs = f->legs;
	f->rec->legs_n = f->legs_n;
}
