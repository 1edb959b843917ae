#include "call/calltab_timers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Four children a node: half the depth of two, and they share a cache line. For that the root is
 * the last timer of its line.
 */
#define CHILDREN   4u
#define LINE_BYTES 64u
#define BEFORE     (LINE_BYTES / sizeof(struct timer) - 1)
_Static_assert(CHILDREN * sizeof(struct timer) == LINE_BYTES, "four timers are a line");

void timers_fini(struct timers *t)
{
	free(t->memory);
	free(t->at);
	t->memory = NULL;
	t->v = NULL;
	t->at = NULL;
	t->n = t->cap = 0;
}

int timers_reserve(struct timers *t, uint32_t cap)
{
	uint32_t *at;
	char *memory;
	struct timer *v;

	if (cap <= t->cap)
		return 0;
	at = realloc(t->at, cap * sizeof(*at));
	if (!at)
		return -ENOMEM;
	t->at = at;
	memory = malloc((cap + BEFORE) * sizeof(*v) + LINE_BYTES);
	if (!memory)
		return -ENOMEM;
	v = (struct timer *)(void *)(memory + (LINE_BYTES - (uintptr_t)memory % LINE_BYTES)) +
	    BEFORE;
	if (t->n)
		memcpy(v, t->v, t->n * sizeof(*v));
	free(t->memory);
	t->memory = memory;
	t->v = v;
	t->cap = cap;
	return 0;
}

static bool before(const struct timers *t, const struct timer *a, const struct timer *b)
{
	if (LIKELY(a->due_ms != b->due_ms))
		return a->due_ms < b->due_ms;
	if (LIKELY(a->rank != b->rank))
		return a->rank < b->rank;
	return t->tie(t->arg, a->handle, b->handle) < 0;
}

static void put(struct timers *t, uint32_t i, struct timer timer)
{
	t->v[i] = timer;
	t->at[timer.handle] = i;
}

static void sift_up(struct timers *t, uint32_t i, struct timer timer)
{
	while (i > 0) {
		uint32_t parent = (i - 1) / CHILDREN;

		if (!before(t, &timer, &t->v[parent]))
			break;
		put(t, i, t->v[parent]);
		i = parent;
	}
	put(t, i, timer);
}

static void sift_down(struct timers *t, uint32_t i, struct timer timer)
{
	for (;;) {
		uint64_t child = (uint64_t)i * CHILDREN + 1, last = MIN(child + CHILDREN, t->n);
		uint64_t least = child;

		if (child >= t->n)
			break;
		for (child++; child < last; child++) {
			if (before(t, &t->v[child], &t->v[least]))
				least = child;
		}
		if (!before(t, &t->v[least], &timer))
			break;
		put(t, i, t->v[least]);
		i = (uint32_t)least;
	}
	put(t, i, timer);
}

static void sift(struct timers *t, uint32_t i, struct timer timer)
{
	if (i > 0 && before(t, &timer, &t->v[(i - 1) / CHILDREN]))
		sift_up(t, i, timer);
	else
		sift_down(t, i, timer);
}

void timers_add(struct timers *t, uint32_t handle, uint32_t rank, int64_t due_ms)
{
	sift_up(t, t->n++, (struct timer){ due_ms, handle, rank });
}

void timers_move(struct timers *t, uint32_t handle, int64_t due_ms)
{
	uint32_t i = t->at[handle];

	sift(t, i, (struct timer){ due_ms, handle, t->v[i].rank });
}

void timers_remove(struct timers *t, uint32_t handle)
{
	uint32_t i = t->at[handle];
	struct timer last = t->v[--t->n];

	if (last.handle != handle)
		sift(t, i, last);
}
