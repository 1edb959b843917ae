#include "call/calltab_timers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Invariants. Spans are numbered in the order of time. A list of level L holds spans that share
 * with `reached` all digits above digit L (of six bits), whose digit L is the list's and greater
 * than that of `reached`; "beyond" holds what differs in a digit above. So all of a level is before
 * all of the next one. The heap may hold anything: what is taken from it is first only when it is
 * due before the first list begins.
 */
#define SPAN_BITS   7u
#define BEYOND      (TIMERS_LEVELS * TIMERS_SPANS)
#define NEVER       (BEYOND + 1)
#define HEAP        TIMERS_LISTS
#define DIGIT(w, l) ((w) >> TIMERS_SPANS_BITS * (l))
#define SPARE_MIN   64u /* timers that a list keeps room for */

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
	for (unsigned i = 0; i < TIMERS_LISTS; i++)
		free(t->lists[i].v);
	free(t->memory);
	free(t->at);
	memset(t, 0, sizeof(*t));
}

int timers_reserve(struct timers *t, uint32_t cap)
{
	struct timer_place *at;
	char *memory;
	struct timer *v;

	if (cap <= t->cap)
		return 0;
	at = realloc(t->at, cap * sizeof(*at));
	if (!at)
		return -ENOMEM;
	t->at = at;
	/* For all of them, if need be; what is never touched is no memory. */
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

/* ---- the heap ---- */

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
	t->at[timer.handle] = (struct timer_place){ HEAP, i };
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

static void heap_add(struct timers *t, struct timer timer)
{
	sift_up(t, t->n++, timer);
}

static void heap_remove(struct timers *t, uint32_t i)
{
	struct timer last = t->v[--t->n];

	if (i == t->n)
		return;
	if (i > 0 && before(t, &last, &t->v[(i - 1) / CHILDREN]))
		sift_up(t, i, last);
	else
		sift_down(t, i, last);
}

/* ---- lists ---- */

static uint64_t span_of(int64_t due_ms)
{
	return ((uint64_t)due_ms ^ (uint64_t)INT64_MIN) >> SPAN_BITS;
}

/* The list that it belongs into when the clock is in span `reached`. */
static unsigned list_of(uint64_t reached, int64_t due_ms)
{
	uint64_t span = span_of(due_ms);
	unsigned level;

	if (due_ms == INT64_MAX)
		return NEVER;
	if (span <= reached)
		return HEAP;
	level = (63u - (unsigned)__builtin_clzll(span ^ reached)) / TIMERS_SPANS_BITS;
	if (level >= TIMERS_LEVELS)
		return BEYOND;
	return level * TIMERS_SPANS + (unsigned)(DIGIT(span, level) % TIMERS_SPANS);
}

static bool list_room(struct timer_list *list)
{
	uint32_t cap = MAX(list->cap + list->cap / 2, 8);
	struct timer *v;

	if (LIKELY(list->n < list->cap))
		return true;
	v = realloc(list->v, cap * sizeof(*v));
	if (!v)
		return false;
	list->v = v;
	list->cap = cap;
	return true;
}

static void list_used(struct timers *t, unsigned i)
{
	uint64_t bit = UINT64_C(1) << i % TIMERS_SPANS;

	if (i >= BEYOND)
		return;
	if (t->lists[i].n)
		t->used[i / TIMERS_SPANS] |= bit;
	else
		t->used[i / TIMERS_SPANS] &= ~bit;
}

/* A list that was long once gives back what it does not need. */
static void list_shrink(struct timer_list *list)
{
	uint32_t cap = list->cap / 2;
	struct timer *v;

	if (list->n > list->cap / 4 || cap < SPARE_MIN)
		return;
	v = realloc(list->v, cap * sizeof(*v));
	if (!v)
		return;
	list->v = v;
	list->cap = cap;
}

static void list_remove(struct timers *t, struct timer_place place)
{
	struct timer_list *list = &t->lists[place.list];
	struct timer last = list->v[--list->n];

	if (place.at < list->n) {
		list->v[place.at] = last;
		t->at[last.handle].at = place.at;
	}
	list_shrink(list);
	if (list->n == 0)
		list_used(t, place.list);
}

/* Without memory for a list the heap takes it. */
static void enter(struct timers *t, struct timer timer)
{
	unsigned i = list_of(t->reached, timer.due_ms);
	struct timer_list *list = &t->lists[i];

	if (i == HEAP || !list_room(list)) {
		heap_add(t, timer);
		return;
	}
	t->at[timer.handle] = (struct timer_place){ i, list->n };
	list->v[list->n++] = timer;
	if (list->n == 1)
		list_used(t, i);
}

/* All of a list to where it belongs; what is due in `last` or before is for the heap. */
static void spill(struct timers *t, unsigned i, uint64_t last)
{
	struct timer_list list = t->lists[i];

	t->lists[i] = (struct timer_list){ NULL, 0, 0 };
	list_used(t, i);
	for (uint32_t k = 0; k < list.n; k++) {
		if (k + 8 < list.n)
			__builtin_prefetch(&t->at[list.v[k + 8].handle], 1);
		if (span_of(list.v[k].due_ms) <= last)
			heap_add(t, list.v[k]);
		else
			enter(t, list.v[k]);
	}
	if (t->lists[i].v || list.cap > SPARE_MIN) {
		free(list.v);
		return;
	}
	list.n = 0;
	t->lists[i] = list;
}

/* The first list that is not empty and the span that it begins with; false: none has a level. */
static bool first_list(const struct timers *t, unsigned *ret, uint64_t *ret_span)
{
	for (unsigned level = 0; level < TIMERS_LEVELS; level++) {
		unsigned slot;

		if (!t->used[level])
			continue;
		slot = (unsigned)__builtin_ctzll(t->used[level]);
		*ret = level * TIMERS_SPANS + slot;
		*ret_span = (DIGIT(t->reached, level + 1) << TIMERS_SPANS_BITS | slot)
			    << TIMERS_SPANS_BITS * level;
		return true;
	}
	return false;
}

/* ---- the header's functions ---- */

void timers_add(struct timers *t, uint32_t handle, uint32_t rank, int64_t due_ms)
{
	enter(t, (struct timer){ due_ms, handle, rank });
}

static struct timer take(struct timers *t, uint32_t handle)
{
	struct timer_place place = t->at[handle];
	struct timer timer;

	if (place.list == HEAP) {
		timer = t->v[place.at];
		heap_remove(t, place.at);
	} else {
		timer = t->lists[place.list].v[place.at];
		list_remove(t, place);
	}
	return timer;
}

void timers_move(struct timers *t, uint32_t handle, int64_t due_ms)
{
	struct timer timer = take(t, handle);

	timer.due_ms = due_ms;
	enter(t, timer);
}

void timers_remove(struct timers *t, uint32_t handle)
{
	(void)take(t, handle);
}

void timers_advance(struct timers *t, int64_t now_ms)
{
	uint64_t reached = span_of(now_ms), span;
	bool turns = DIGIT(reached, TIMERS_LEVELS) != DIGIT(t->reached, TIMERS_LEVELS);
	unsigned i;

	if (reached <= t->reached)
		return;
	while (first_list(t, &i, &span) && span <= reached) {
		t->reached = span;
		spill(t, i, reached);
	}
	t->reached = reached;
	if (turns)
		spill(t, BEYOND, reached);
}

uint32_t timers_first(struct timers *t)
{
	uint64_t span;
	unsigned i;

	while (first_list(t, &i, &span)) {
		if (t->n && span_of(t->v[0].due_ms) < span)
			return t->v[0].handle;
		spill(t, i, UINT64_MAX);
	}
	if (t->lists[BEYOND].n && (!t->n || list_of(t->reached, t->v[0].due_ms) == BEYOND))
		spill(t, BEYOND, UINT64_MAX);
	return t->n ? t->v[0].handle : 0;
}

static int order_of_timers(const void *a, const void *b)
{
	const struct timer *x = a, *y = b;

	if (x->due_ms != y->due_ms)
		return x->due_ms < y->due_ms ? -1 : 1;
	return (x->rank > y->rank) - (x->rank < y->rank);
}

size_t timers_due(const struct timers *t, int64_t now_ms, struct timer *ret, size_t max)
{
	size_t n = 0;

	if (t->n == 0 || max == 0 || t->v[0].due_ms > now_ms)
		return 0;
	ret[n++] = t->v[0];
	/* Whoever is due stands below one who is. */
	for (size_t k = 0; k < n && n + CHILDREN <= max; k++) {
		uint64_t child = (uint64_t)t->at[ret[k].handle].at * CHILDREN + 1;

		for (unsigned i = 0; i < CHILDREN && child < t->n; i++, child++) {
			if (t->v[child].due_ms <= now_ms)
				ret[n++] = t->v[child];
		}
	}
	qsort(ret, n, sizeof(*ret), order_of_timers);
	return n;
}

size_t timers_bytes(const struct timers *t)
{
	size_t n = t->n; /* of the heap what is used: the rest is no memory */

	for (unsigned i = 0; i < TIMERS_LISTS; i++)
		n += t->lists[i].cap;
	return n * sizeof(struct timer) + t->cap * sizeof(*t->at);
}
