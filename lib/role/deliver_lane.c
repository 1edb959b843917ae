#include "role/deliver_lane.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the heap of a lane ---- */

static bool sooner(const struct delivery *a, const struct delivery *b)
{
	return a->next_at_ms != b->next_at_ms ? a->next_at_ms < b->next_at_ms : a->order < b->order;
}

static void heap_set(struct lane *lane, size_t i, struct delivery *d)
{
	lane->heap[i] = d;
	d->heap_at = i;
}

static void heap_up(struct lane *lane, size_t i, struct delivery *d)
{
	while (i > 0 && sooner(d, lane->heap[(i - 1) / 2])) {
		heap_set(lane, i, lane->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_set(lane, i, d);
}

static void heap_down(struct lane *lane, size_t i, struct delivery *d)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= lane->heap_n)
			break;
		if (child + 1 < lane->heap_n && sooner(lane->heap[child + 1], lane->heap[child]))
			child++;
		if (!sooner(lane->heap[child], d))
			break;
		heap_set(lane, i, lane->heap[child]);
		i = child;
	}
	heap_set(lane, i, d);
}

bool lane_reserve(struct lane *lane, size_t n)
{
	size_t cap = lane->heap_cap ? lane->heap_cap : 16;
	struct delivery **heap;

	if (n <= lane->heap_cap)
		return true;
	while (cap < n)
		cap *= 2;
	heap = realloc(lane->heap, cap * sizeof(struct delivery *));
	if (!heap)
		return false;
	lane->heap = heap;
	lane->heap_cap = cap;
	return true;
}

static void heap_remove(struct lane *lane, struct delivery *d)
{
	struct delivery *last = lane->heap[--lane->heap_n];

	if (last == d)
		return;
	heap_up(lane, d->heap_at, last);
	heap_down(lane, last->heap_at, last);
}

/* ---- states ---- */

void lane_leave(struct delivery *d)
{
	struct lane *lane = d->lane;

	switch (d->state) {
	case DELIVERY_WAITING:
		heap_remove(lane, d);
		break;
	case DELIVERY_FLYING:
		TAILQ_REMOVE(&lane->flying, d, state_link);
		lane->flying_n--;
		break;
	case DELIVERY_PARKED:
		TAILQ_REMOVE(&lane->parked, d, state_link);
		lane->parked_n--;
		break;
	}
}

void lane_enter(struct delivery *d, enum delivery_state state)
{
	struct lane *lane = d->lane;

	d->state = state;
	switch (state) {
	case DELIVERY_WAITING:
		heap_up(lane, lane->heap_n++, d);
		break;
	case DELIVERY_FLYING:
		TAILQ_INSERT_TAIL(&lane->flying, d, state_link);
		lane->flying_n++;
		break;
	case DELIVERY_PARKED:
		TAILQ_INSERT_TAIL(&lane->parked, d, state_link);
		lane->parked_n++;
		break;
	}
}

void lane_move(struct delivery *d, enum delivery_state state)
{
	lane_leave(d);
	lane_enter(d, state);
}

/* ---- tasks in memory ---- */

void lane_drop_task(struct lane *lane, struct task_held *held)
{
	if (held->json)
		lane->bytes -= held->json_n;
	free(held->json);
	held->json = NULL;
}

int lane_hold_task(struct lane *lane, struct slice json, struct task_held *held)
{
	char *copy = slice_dup(json);

	if (!copy)
		return -ENOMEM;
	lane_drop_task(lane, held);
	held->json = copy;
	held->json_n = json.n;
	lane->bytes += json.n;
	return 0;
}
