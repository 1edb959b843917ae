/* The ledgers of our partitions: restored, held until they know everything, dropped. */
#include "deliver_case.h"

#define ENTRY(sink, call, verdict, more)                                                           \
	sink "/" call,                                                                             \
	    "{\"schema\":\"callstream.delivery/1\",\"sink\":\"" sink "\",\"call\":\"" call         \
	    "\",\"revision\":1,\"step\":\"record\",\"verdict\":\"" verdict                         \
	    "\",\"attempt\":1,\"at\":\"2026-03-14T10:15:02.000Z\"" more "}"
#define WAITS(sink, call)                                                                          \
	ENTRY(sink, call, "retry",                                                                 \
	      ",\"next_at\":\"2026-03-14T10:15:03.000Z\",\"task\":{\"schema\":"                    \
	      "\"callstream.task/1\",\"sink\":\"" sink "\",\"call\":\"" call                       \
	      "\",\"revision\":1,\"at\":\"2026-03-14T10:15:02.000Z\",\"record\":{}}")

static void what_waits_is_restored(void **state UNUSED)
{
	static const char *const entries[] = { WAITS("archive", CALL_1), WAITS("archive", CALL_2),
					       ENTRY("archive", CALL_2, "done", ""), NULL };
	struct owned_ledger *o;

	desk.entries = entries;
	o = desk_own(2, 0);
	assert_int_equal(desk_waiting(o), 1);
	desk_task("archive", CALL_2, 1, 0); /* partition 0 is not ours */
	assert_int_equal(desk.w.err, -ECANCELED);
	assert_ptr_equal(ledger_lane(o->ledger, 0)->owner,
			 outlets_find(desk.outlets, SLICE("archive")));
}

/* Anyone may write into a topic. */
static void foreign_messages_are_counted(void **state UNUSED)
{
	static const char *const entries[] = { "k",
					       "garbage",
					       "archive",
					       "{\"schema\":\"callstream.delivery/1\"}",
					       "gone",
					       "",
					       WAITS("archive", CALL_1),
					       NULL };
	struct series *counted = metric(M_LOG_ERRORS, "deliver", "no_ledger_entry");
	int64_t before = series_value(counted);
	struct owned_ledger *o;

	desk.entries = entries;
	o = desk_own(0, 0);
	assert_int_equal(desk_waiting(o), 1);
	assert_int_equal(o->foreign, 2);
	assert_int_equal(series_value(counted) - before, 2);
}

static void a_ledger_that_cannot_be_read_is_not_ours(void **state UNUSED)
{
	desk.read_err = -ECANCELED;
	assert_true(deliver_restore_ledger(&desk.w, 0, 0) < 0);
	assert_null(deliver_find_ledger(&desk.w, 0));
	assert_int_equal(desk.w.ledgers_n, 0);
}

static void nothing_is_due_before_the_tasks_are_read_again(void **state UNUSED)
{
	static const char *const entries[] = { WAITS("archive", CALL_1), NULL };
	struct owned_ledger *o;

	desk.entries = entries;
	desk.tasks_high = 6;
	desk.lag = 1;
	o = desk_own(0, 4);
	deliver_release_ledgers(&desk.w);
	assert_true(ledger_next_due(o->ledger) == INT64_MAX);
	desk_task("archive", CALL_2, 1, 4);
	deliver_release_ledgers(&desk.w);
	assert_true(o->held);
	desk_task("archive", CALL_2, 1, 5);
	deliver_release_ledgers(&desk.w);
	assert_false(o->held);
	assert_true(ledger_next_due(o->ledger) <= deliver_now_ms(&desk.w));
}

/* What lies between is markers of transactions: the client says that nothing is left. */
static void markers_hold_nothing(void **state UNUSED)
{
	struct owned_ledger *o;

	desk.tasks_high = 6;
	o = desk_own(0, 5);
	deliver_release_ledgers(&desk.w);
	assert_false(o->held);
}

static void taken_over_again_it_is_another_ledger(void **state UNUSED)
{
	uint64_t epoch = desk_own(0, 0)->epoch;

	desk_task("archive", CALL_1, 1, 0);
	desk_own(1, 0);
	assert_true(desk_own(0, 0)->epoch > epoch);
	assert_int_equal(desk_waiting(deliver_find_ledger(&desk.w, 0)), 0);
	assert_int_equal(desk.w.ledgers_n, 2);
	deliver_drop_ledger(&desk.w, 0);
	deliver_drop_ledger(&desk.w, 0);
	assert_int_equal(desk.w.ledgers_n, 1);
	assert_null(deliver_find_ledger(&desk.w, 0));
}

static void gauges_tell_what_waits(void **state UNUSED)
{
	struct outlet *outlet = outlets_find(desk.outlets, SLICE("archive"));

	desk_own(0, 0);
	desk_task("archive", CALL_1, 1, 0);
	desk_task("archive", CALL_2, 1, 1);
	deliver_set_gauges(&desk.w);
	assert_int_equal(series_value(outlet->waiting), 2);
	deliver_drop_ledger(&desk.w, 0);
	deliver_set_gauges(&desk.w);
	assert_int_equal(series_value(outlet->waiting), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DESK_TEST(what_waits_is_restored),
		DESK_TEST(foreign_messages_are_counted),
		DESK_TEST(a_ledger_that_cannot_be_read_is_not_ours),
		DESK_TEST(nothing_is_due_before_the_tasks_are_read_again),
		DESK_TEST(markers_hold_nothing),
		DESK_TEST(taken_over_again_it_is_another_ledger),
		DESK_TEST(gauges_tell_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
