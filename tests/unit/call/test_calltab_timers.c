/*
 * Timers against a plain list that is searched whole: whatever is added, moved and removed, and
 * however far the clock is told to be, the first one is the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "call/calltab_timers.h"

#define HANDLES  400u
#define START_MS INT64_C(1773482400000)

static uint64_t state;

static uint64_t below(uint64_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (state >> 33) % n;
}

struct model {
	struct timers t;
	struct {
		bool in;
		uint32_t rank;
		int64_t due_ms;
	} v[HANDLES];
	int64_t now_ms;
};

/* Handles in their order. */
static int tie(const void *arg, uint32_t a, uint32_t b)
{
	(void)arg;
	return (a > b) - (a < b);
}

static bool is_before(const struct model *m, uint32_t a, uint32_t b)
{
	if (m->v[a].due_ms != m->v[b].due_ms)
		return m->v[a].due_ms < m->v[b].due_ms;
	if (m->v[a].rank != m->v[b].rank)
		return m->v[a].rank < m->v[b].rank;
	return a < b;
}

static uint32_t first_of(const struct model *m)
{
	uint32_t first = 0;

	for (uint32_t i = 1; i < HANDLES; i++) {
		if (m->v[i].in && m->v[i].due_ms != INT64_MAX && (!first || is_before(m, i, first)))
			first = i;
	}
	return first;
}

/* Soon or in weeks, behind the clock, at the ends of time, never. */
static int64_t some_time(const struct model *m)
{
	switch (below(16)) {
	case 0:
		return INT64_MAX;
	case 1:
		return INT64_MAX - 1;
	case 2:
		return INT64_MIN + (int64_t)below(3);
	case 3:
		return m->now_ms - (int64_t)below(100000);
	default:
		return m->now_ms + (int64_t)below(UINT64_C(1) << below(33));
	}
}

static void check_first(struct model *m)
{
	uint32_t want = first_of(m), got = timers_first(&m->t);

	/* A timer that is never due may be told as one, where memory was short; not here. */
	assert_int_equal(got, want);
	if (got)
		assert_int_equal(m->t.v[0].handle, got);
}

static void change_one(struct model *m)
{
	uint32_t handle = 1 + (uint32_t)below(HANDLES - 1);

	if (!m->v[handle].in) {
		m->v[handle].in = true;
		m->v[handle].rank = (uint32_t)below(3);
		m->v[handle].due_ms = some_time(m);
		timers_add(&m->t, handle, m->v[handle].rank, m->v[handle].due_ms);
	} else if (below(3) == 0) {
		m->v[handle].in = false;
		timers_remove(&m->t, handle);
	} else {
		m->v[handle].due_ms = some_time(m);
		timers_move(&m->t, handle, m->v[handle].due_ms);
	}
}

static void some_step(struct model *m)
{
	uint32_t first;

	change_one(m);
	if (below(4) == 0)
		check_first(m);
	if (below(4) == 0) {
		m->now_ms += (int64_t)below(UINT64_C(1) << below(26));
		timers_advance(&m->t, m->now_ms);
	}
	if (below(64) == 0)
		timers_advance(&m->t, m->now_ms - 5000); /* a clock that went back */
	if (below(8))
		return;
	/* What is due is run. */
	while ((first = first_of(m)) && m->v[first].due_ms <= m->now_ms) {
		check_first(m);
		m->v[first].due_ms = some_time(m);
		if (m->v[first].due_ms <= m->now_ms)
			m->v[first].due_ms = INT64_MAX;
		timers_move(&m->t, first, m->v[first].due_ms);
	}
}

static void the_first_is_always_the_first(void **unused)
{
	static struct model m;

	(void)unused;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		memset(&m, 0, sizeof(m));
		state = seed;
		m.now_ms = below(2) ? START_MS : (int64_t)below(100000);
		m.t.tie = tie;
		for (uint32_t cap = 8; cap < HANDLES * 2; cap *= 2)
			assert_int_equal(timers_reserve(&m.t, cap), 0);
		for (unsigned i = 0; i < 3000; i++)
			some_step(&m);
		assert_true(timers_bytes(&m.t) > 0);
		for (uint32_t i = 1; i < HANDLES; i++) {
			if (m.v[i].in)
				timers_remove(&m.t, i);
			m.v[i].in = false;
		}
		check_first(&m);
		timers_fini(&m.t);
	}
}

/* A list that was long once keeps little. */
static void lists_give_memory_back(void **unused)
{
	static struct timers t = { .tie = tie };
	size_t full;

	(void)unused;
	assert_int_equal(timers_reserve(&t, 10001), 0);
	timers_advance(&t, START_MS);
	for (uint32_t i = 1; i <= 10000; i++)
		timers_add(&t, i, 0, START_MS + 100000000);
	full = timers_bytes(&t);
	for (uint32_t i = 1; i <= 9990; i++)
		timers_remove(&t, i);
	assert_true(timers_bytes(&t) < full - 9000 * sizeof(struct timer));
	assert_int_equal(timers_first(&t), 9991);
	timers_fini(&t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_always_the_first),
		cmocka_unit_test(lists_give_memory_back),
	};

	return cmocka_run_group_tests_name("calltab timers", tests, NULL, NULL);
}
