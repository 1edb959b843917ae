/* The open transaction of role deliver: what belongs to it, when it is committed, what spoils it.
 */
#include "deliver_case.h"

static void nothing_is_no_transaction(void **state UNUSED)
{
	assert_int_equal(deliver_commit(&desk.w), 0);
	assert_int_equal(deliver_commit_when_due(&desk.w, true), 0);
	assert_int_equal(desk.commits, 0);
}

/* Each names our partitions of tasks, so that it does not stand once they are another's. */
static void a_commit_names_what_is_ours(void **state UNUSED)
{
	desk_own(0, 0);
	desk_own(1, 3);
	desk_take(TOPIC_CALLS, CALL_1, RECORD(CALL_1, 1), 7);
	assert_int_equal(deliver_commit(&desk.w), 0);
	assert_int_equal(desk.committed_n, 3);
	assert_int_equal(desk.w.consumed_n, 0);
	assert_true(deliver_is_proven(&desk.w));
	assert_true(deliver_start_by_ms(&desk.w) > clock_mono_ms());
}

static void what_waits_is_written_before_its_offset_is(void **state UNUSED)
{
	desk_own(0, 0);
	desk_task("archive", CALL_1, 2, 0);
	desk_wrote("");
	assert_int_equal(deliver_commit(&desk.w), 0);
	desk_wrote("deliveries archive/" CALL_1 " rev=2 retry\n");
	assert_int_equal(deliver_commit(&desk.w), 0); /* nothing new */
	desk_wrote("");
	assert_int_equal(desk.commits, 1);
}

static void routed_tasks_leave_when_nothing_more_comes(void **state UNUSED)
{
	desk_take(TOPIC_CALLS, CALL_1, RECORD(CALL_1, 1), 0);
	desk.w.txn_began_ms = clock_mono_ms() - 10;
	assert_int_equal(deliver_commit_when_due(&desk.w, false), 0);
	assert_int_equal(desk.commits, 0); /* more may come */
	assert_int_equal(deliver_commit_when_due(&desk.w, true), 0);
	assert_int_equal(desk.commits, 1);
}

static void an_old_one_and_a_large_one_are_committed(void **state UNUSED)
{
	desk_take(TOPIC_CALLS, CALL_1, "x", 0);
	desk.w.txn_began_ms = clock_mono_ms() - 200;
	assert_int_equal(deliver_commit_when_due(&desk.w, false), 0);
	assert_int_equal(desk.commits, 1);
	for (int i = 0; i < 2000; i++)
		desk_take(TOPIC_CALLS, CALL_1, "x", i);
	assert_int_equal(deliver_commit_when_due(&desk.w, false), 0);
	assert_int_equal(desk.commits, 2);
}

static void an_error_stays_until_it_is_over(void **state UNUSED)
{
	desk.produce_err = -ECANCELED;
	desk_take(TOPIC_CALLS, CALL_1, RECORD(CALL_1, 1), 0);
	desk.produce_err = 0;
	desk_take(TOPIC_CALLS, CALL_2, RECORD(CALL_2, 1), 1);
	desk_wrote("");
	assert_int_equal(deliver_commit_when_due(&desk.w, true), -ECANCELED);
	assert_int_equal(deliver_commit(&desk.w), -ECANCELED);
	assert_int_equal(desk.commits, 0);
	deliver_txn_over(&desk.w);
	desk_take(TOPIC_CALLS, CALL_2, RECORD(CALL_2, 1), 1);
	assert_int_equal(deliver_commit(&desk.w), 0);
}

static void a_failed_commit_proves_nothing(void **state UNUSED)
{
	desk_own(0, 0);
	desk.commit_err = -EPIPE;
	assert_int_equal(deliver_prove(&desk.w), -EPIPE);
	assert_false(deliver_is_proven(&desk.w));
	desk.commit_err = 0;
	assert_int_equal(deliver_prove(&desk.w), 0);
	assert_true(deliver_is_proven(&desk.w));
}

/* A proof holds for less than the session that the config asks for. */
static void a_short_session_makes_short_proofs(void **state UNUSED)
{
	struct cfg_pair properties[] = { { "heartbeat.interval.ms", "400" },
					 { "session.timeout.ms", "2000" } };

	desk_own(0, 0);
	assert_int_equal(deliver_prove(&desk.w), 0);
	assert_int_equal(deliver_start_by_ms(&desk.w) - desk.w.proven_ms, 8000);
	desk.w.proven_ms -= 2000;
	assert_true(deliver_is_proven(&desk.w));
	desk.cfg->kafka.properties = properties;
	desk.cfg->kafka.properties_n = ARRAY_LEN(properties);
	assert_int_equal(deliver_start_by_ms(&desk.w) - desk.w.proven_ms, 1400);
	assert_false(deliver_is_proven(&desk.w));
	assert_int_equal(deliver_prove(&desk.w), 0);
	assert_true(deliver_is_proven(&desk.w));
}

/* The broker may take less than we think: one message is lost, told and counted, not the role. */
static void what_the_broker_finds_too_large_is_counted(void **state UNUSED)
{
	struct series *counted = metric(M_LOG_ERRORS, "deliver", "too_large");
	int64_t before = series_value(counted);

	desk.produce_err = -EMSGSIZE;
	desk_take(TOPIC_CALLS, CALL_1, RECORD(CALL_1, 1), 0);
	assert_int_equal(desk.w.err, 0);
	assert_int_equal(series_value(counted) - before, 2);
}

static void parts_are_a_set(void **state UNUSED)
{
	struct log_part *parts = NULL, part = { TOPIC_TASKS, 1, 5 }, later = { TOPIC_TASKS, 1, 9 };
	size_t n = 0;

	assert_int_equal(deliver_set_part(&parts, &n, &part), 0);
	assert_int_equal(deliver_set_part(&parts, &n, &later), 0);
	assert_int_equal(n, 1);
	assert_int_equal(parts[0].offset, 9);
	part.partition = 2;
	deliver_remove_part(parts, &n, &part); /* not in it */
	assert_int_equal(n, 1);
	deliver_remove_part(parts, &n, &later);
	assert_int_equal(n, 0);
	free(parts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DESK_TEST(nothing_is_no_transaction),
		DESK_TEST(a_commit_names_what_is_ours),
		DESK_TEST(what_waits_is_written_before_its_offset_is),
		DESK_TEST(routed_tasks_leave_when_nothing_more_comes),
		DESK_TEST(an_old_one_and_a_large_one_are_committed),
		DESK_TEST(an_error_stays_until_it_is_over),
		DESK_TEST(a_failed_commit_proves_nothing),
		DESK_TEST(a_short_session_makes_short_proofs),
		DESK_TEST(what_the_broker_finds_too_large_is_counted),
		DESK_TEST(parts_are_a_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
