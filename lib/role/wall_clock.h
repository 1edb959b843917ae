/*
 * wall_clock.h - wall time that does not jump
 *
 * A step of the wall clock by more than WALL_STEP_MAX_MS against the boot clock is not followed:
 * the timers of calls would all run at once, or not at all. What is slewed, or stepped by less, is.
 * Pure: both clocks are given. Thread: one owner.
 */
#ifndef CS_ROLE_WALL_CLOCK_H
#define CS_ROLE_WALL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define WALL_STEP_MAX_MS 60000

struct wall_clock {
	int64_t ahead_ms; /* of the boot clock */
	bool begun, away; /* away: the wall is somewhere else now */
};

/* The time to go by. *ret_stepped: a step was met, for the first time since they agreed. */
int64_t wall_clock_read(struct wall_clock *w, int64_t wall_ms, int64_t mono_ms, bool *ret_stepped);

#endif
