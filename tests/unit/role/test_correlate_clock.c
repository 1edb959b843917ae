#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "role/wall_clock.h"

#define T0 INT64_C(1773483302000)

struct reading {
	int64_t wall_ms, mono_ms; /* wall: past T0 */
	int64_t want_ms;
	bool stepped;
};

struct clock_case {
	const char *name;
	struct reading readings[6];
	size_t n;
};

static const struct clock_case cases[] = {
	{ "the first reading is believed", { { 0, 500, 0, false } }, 1 },
	{ "both go on: followed", { { 0, 0, 0, false }, { 100, 100, 100, false } }, 2 },
	{ "slewed a little: followed",
	  { { 0, 0, 0, false }, { 40000, 100, 40000, false }, { 90000, 200, 90000, false } },
	  3 },
	{ "a minute back is followed",
	  { { 70000, 0, 70000, false }, { 10000, 0, 10000, false } },
	  2 },
	{ "a step forward is told once and not followed",
	  { { 0, 0, 0, false },
	    { 3600000, 100, 100, true },
	    { 3600100, 200, 200, false },
	    { 3600900, 1000, 1000, false } },
	  4 },
	{ "a step back is told once and not followed",
	  { { 0, 0, 0, false }, { -3600000, 100, 100, true }, { -3599900, 200, 200, false } },
	  3 },
	{ "back where it was: followed again, the next step is told again",
	  { { 0, 0, 0, false },
	    { 3600000, 100, 100, true },
	    { 250, 200, 250, false },
	    { 9000000, 300, 350, true } },
	  4 },
};

static void check(void **state)
{
	const struct clock_case *c = *state;
	struct wall_clock w = { 0 };

	for (size_t i = 0; i < c->n; i++) {
		const struct reading *r = &c->readings[i];
		bool stepped = !r->stepped;

		assert_int_equal(T0 + r->want_ms,
				 wall_clock_read(&w, T0 + r->wall_ms, r->mono_ms, &stepped));
		assert_int_equal(r->stepped, stepped);
	}
}

int main(void)
{
	struct CMUnitTest tests[sizeof(cases) / sizeof(cases[0])];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tests[i] = (struct CMUnitTest){
			.name = cases[i].name,
			.test_func = check,
			.initial_state = (void *)(uintptr_t)&cases[i],
		};
	return cmocka_run_group_tests_name("wall_clock", tests, NULL, NULL);
}
