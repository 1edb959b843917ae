#include "correlate_case.h"

#include "role/checkpoint.h"

/* Slices are changed through a real table: one call each, found by trying sessions. */
struct state {
	struct correlate_case c;
	struct partition *p;
	struct checkpoint checkpoint;
	unsigned sessions;
};

static int begin(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	case_begin(&s->c);
	assert_int_equal(0, partition_new(&s->c.env, INDEX, &s->p));
	checkpoint_init(&s->checkpoint, 20000, 100);
	*state = s;
	return 0;
}

static int end(void **state)
{
	struct state *s = *state;

	partition_free(s->p);
	case_end(&s->c);
	free(s);
	return 0;
}

static void change(struct state *s, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++) {
		char session[16];

		snprintf(session, sizeof(session), "%u", s->sessions++);
		feed(s->p, session, CALLEV_CALL_STARTED);
	}
}

static void note(struct state *s, uint64_t n, int64_t mono_ms, uint64_t events)
{
	const struct replay_mark mark = { .n = n, .offset = (int64_t)n * 10 };
	const struct checkpoint_now now = { mono_ms, events, n };

	checkpoint_note(&s->checkpoint, s->p->tab, &mark, &now);
	checkpoint_stepped(&s->checkpoint, &now);
}

static unsigned due(const struct state *s, int64_t mono_ms, uint64_t events, uint64_t n)
{
	const struct checkpoint_now now = { mono_ms, events, n };

	return checkpoint_due(&s->checkpoint, &now);
}

static void nothing_changed(void **state)
{
	struct state *s = *state;

	note(s, 1, 0, 0);
	assert_null(checkpoint_first(&s->checkpoint));
	assert_int_equal(0, due(s, 1000000, 0, 1));
	assert_true(checkpoint_wake_ms(&s->checkpoint) == INT64_MAX);
}

static void the_oldest_change_is_where_a_restart_begins(void **state)
{
	struct state *s = *state;

	change(s, 1);
	note(s, 5, 0, 1);
	change(s, 1);
	note(s, 9, 100, 2);
	assert_int_equal(2, s->checkpoint.n);
	assert_int_equal(5, checkpoint_first(&s->checkpoint)->n);
	assert_int_equal(50, checkpoint_first(&s->checkpoint)->offset);
	checkpoint_pop(&s->checkpoint);
	assert_int_equal(9, checkpoint_first(&s->checkpoint)->n);
	checkpoint_pop(&s->checkpoint);
	assert_null(checkpoint_first(&s->checkpoint));
}

static void a_slice_stands_in_the_ring_once(void **state)
{
	struct state *s = *state;

	change(s, 3000);
	note(s, 1, 0, 3000);
	assert_int_equal(calltab_slices_dirty(s->p->tab), s->checkpoint.n);
	change(s, 3000);
	note(s, 2, 10, 6000);
	assert_int_equal(calltab_slices_dirty(s->p->tab), s->checkpoint.n);
	assert_true(s->checkpoint.n <= CALLTAB_SLICES);
}

struct due_case {
	const char *name;
	int64_t mono_ms;
	uint64_t events, n;
	unsigned least, most; /* of the 950 or so that changed in commit 1 at time 0 */
};

static const struct due_case due_cases[] = {
	{ "young: none", 9999, 3000, 2, 0, 0 },
	{ "half of the time: some, after a pause not all", 10000, 3000, 2, 50, 250 },
	{ "half of the events: all", 100, 1003000, 2, 900, 1024 },
	{ "a quarter of the journal: all", 100, 3000, 4200, 900, 1024 },
};

static void pace_depends_on_what_has_passed(void **state)
{
	struct state *s = *state;

	change(s, 3000);
	note(s, 1, 0, 3000);
	for (size_t i = 0; i < ARRAY_LEN(due_cases); i++) {
		const struct due_case *c = &due_cases[i];
		unsigned got = due(s, c->mono_ms, c->events, c->n);

		if (got < c->least || got > c->most)
			fail_msg("%s: %u", c->name, got);
	}
}

/* However often commits are made: all that changed at one moment are written within the time. */
static void every_slice_goes_round_in_time(void **state)
{
	static const int64_t gaps_ms[] = { 10, 100, 900 };
	struct state *s = *state;

	change(s, 5000);
	for (size_t i = 0; i < ARRAY_LEN(gaps_ms); i++) {
		int64_t at_ms = 0;
		uint64_t n = 1;

		checkpoint_init(&s->checkpoint, 20000, 100);
		note(s, n, at_ms, 5000);
		while (s->checkpoint.n) {
			at_ms += gaps_ms[i];
			n++;
			for (unsigned k = due(s, at_ms, 5000, n); k; k--)
				checkpoint_pop(&s->checkpoint);
			checkpoint_stepped(&s->checkpoint,
					   &(struct checkpoint_now){ at_ms, 5000, n });
			assert_true(at_ms <= 21000);
		}
	}
}

#define WITH_TABLE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TABLE(nothing_changed),
		WITH_TABLE(the_oldest_change_is_where_a_restart_begins),
		WITH_TABLE(a_slice_stands_in_the_ring_once),
		WITH_TABLE(pace_depends_on_what_has_passed),
		WITH_TABLE(every_slice_goes_round_in_time),
	};

	return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
