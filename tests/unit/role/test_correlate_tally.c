#include "correlate_case.h"

#include "base/metric.h"
#include "role/correlate_tally.h"

static int64_t value(enum metric_id id, const char *value1, const char *value2)
{
	return series_value(metric(id, value1, value2));
}

static void counts_reach_the_metrics_when_they_are_told(void **state)
{
	struct record rec = { .revision = 1, .outcome = OUTCOME_BUSY, .reason_unknown = true };
	struct correlate_case c;
	struct tally t;

	(void)state;
	case_begin(&c);
	assert_int_equal(0, tally_init(&t, &c.cfg));
	t.events[TALLY_CHANGED] = 5;
	t.dead[TALLY_DEAD_LATE] = 2;
	tally_started(&t, SLICE("acme"));
	tally_started(&t, SLICE("nobody's"));
	tally_record(&t, &rec, CLOSED_BY_SILENCE);
	rec.revision = 2;
	tally_record(&t, &rec, CLOSED_BY_SILENCE);
	assert_int_equal(0, value(M_EVENTS_APPLIED, "changed", NULL));

	tally_tell(&t);
	assert_int_equal(5, value(M_EVENTS_APPLIED, "changed", NULL));
	assert_int_equal(2, value(M_DEAD, "correlate", "late"));
	assert_int_equal(2, value(M_LATE, NULL, NULL));
	assert_int_equal(1, value(M_CALLS_STARTED, "acme", NULL));
	assert_int_equal(1, value(M_CALLS_STARTED, "unknown", NULL));
	assert_int_equal(1, value(M_CALLS_CLOSED, "silent_call", NULL));
	assert_int_equal(1, value(M_RECORDS, "busy", NULL));
	assert_int_equal(1, value(M_REVISIONS, NULL, NULL));
	assert_int_equal(1, value(M_REASONS_UNKNOWN, NULL, NULL));

	tally_tell(&t); /* once only */
	assert_int_equal(5, value(M_EVENTS_APPLIED, "changed", NULL));
	tally_fini(&t);
	case_end(&c);
}

static void a_batch_that_is_dropped_counts_nothing(void **state)
{
	struct correlate_case c;
	struct tally t;

	(void)state;
	case_begin(&c);
	assert_int_equal(0, tally_init(&t, &c.cfg));
	t.events[TALLY_SAME] = 7;
	tally_started(&t, SLICE("acme"));
	tally_reset(&t);
	assert_int_equal(0, t.started[0]);
	tally_tell(&t);
	assert_int_equal(0, value(M_EVENTS_APPLIED, "same", NULL));
	tally_fini(&t);
	case_end(&c);
}

static void reasons_have_names(void **state)
{
	(void)state;
	assert_string_equal("late", tally_dead_text(TALLY_DEAD_LATE));
	assert_string_equal("undecodable", tally_dead_text(TALLY_DEAD_UNDECODABLE));
	assert_string_equal("too_many_events", tally_dead_text(TALLY_DEAD_TOO_MANY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_reach_the_metrics_when_they_are_told),
		cmocka_unit_test(a_batch_that_is_dropped_counts_nothing),
		cmocka_unit_test(reasons_have_names),
	};

	return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
