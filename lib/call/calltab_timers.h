/*
 * calltab_timers.h - when each item of the call table is due: a heap
 *
 * Most events only move a deadline further away, so the heap does not follow those: its key is an
 * earliest time, and whoever takes the first one compares it with the real deadline and moves it.
 * Only an earlier deadline must be told at once.
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

struct timers {
	timers_tie_fn *tie;
	const void *arg;
	struct timer *v;
	void *memory; /* that v lies in */
	uint32_t *at; /* by handle: where it stands in v */
	uint32_t n, cap;
};

void timers_fini(struct timers *t);
/* Handles are below cap then. 0 or -ENOMEM. */
CHECKED int timers_reserve(struct timers *t, uint32_t cap);
void timers_add(struct timers *t, uint32_t handle, uint32_t rank, int64_t due_ms);
/* Another deadline, earlier or later. */
void timers_move(struct timers *t, uint32_t handle, int64_t due_ms);
void timers_remove(struct timers *t, uint32_t handle);

#endif
