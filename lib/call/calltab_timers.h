/*
 * calltab_timers.h - when each item of the call table is due
 *
 * Most events only move a deadline further away, so the timers do not follow those: a key is an
 * earliest time, and whoever takes the first one compares it with the real deadline and moves it.
 * Only an earlier deadline must be told at once.
 *
 * What is due soon stands in a heap, the rest in lists by spans of time, wider the further they
 * are: of 128 ms, 8 s, 9 min and 9 h, 64 of each. A list goes into the heap, or into narrower ones,
 * when the clock comes to it or when nothing else is first. So the order is that of one heap, by
 * time, rank and tie, and most timers never cost the way through one.
 * Thread: one owner.
 */
#ifndef CS_CALL_CALLTAB_TIMERS_H
#define CS_CALL_CALLTAB_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct timer {
	int64_t due_ms;
	uint32_t handle;
	uint32_t rank; /* orders those that are due together */
};

/* The order of two items that are due together and have the same rank. */
typedef int timers_tie_fn(const void *arg, uint32_t a, uint32_t b);

#define TIMERS_LEVELS     4u
#define TIMERS_SPANS_BITS 6u
#define TIMERS_SPANS      (1u << TIMERS_SPANS_BITS)
#define TIMERS_LISTS      (TIMERS_LEVELS * TIMERS_SPANS + 2) /* the last two: beyond, and never */

struct timer_list {
	struct timer *v;
	uint32_t n, cap;
};

struct timer_place {
	uint32_t list; /* TIMERS_LISTS: the heap */
	uint32_t at;
};

struct timers {
	timers_tie_fn *tie;
	const void *arg;
	struct timer *v; /* the heap */
	void *memory;    /* that v lies in */
	uint32_t n, cap;
	struct timer_place *at;       /* by handle */
	uint64_t reached;             /* the span of 128 ms that the clock is in */
	uint64_t used[TIMERS_LEVELS]; /* bits of the lists that are not empty */
	struct timer_list lists[TIMERS_LISTS];
};

void timers_fini(struct timers *t);
/* Handles are below cap then. 0 or -ENOMEM. */
CHECKED int timers_reserve(struct timers *t, uint32_t cap);
/* INT64_MAX: never. */
void timers_add(struct timers *t, uint32_t handle, uint32_t rank, int64_t due_ms);
/* Another deadline, earlier or later. */
void timers_move(struct timers *t, uint32_t handle, int64_t due_ms);
void timers_remove(struct timers *t, uint32_t handle);
/* The clock has come to now_ms: a hint, which changes nothing but the cost. */
void timers_advance(struct timers *t, int64_t now_ms);
/* The handle that is due first, which is v[0]'s then; 0 when all the others are never due. */
uint32_t timers_first(struct timers *t);
/* Which are due at now_ms, in order: up to max of those in the heap, to fetch their memory early.
 * When more are due it is some of the first. Returns how many. */
size_t timers_due(const struct timers *t, int64_t now_ms, struct timer *ret, size_t max);
/* Bytes that it holds. */
size_t timers_bytes(const struct timers *t);

#endif
