/* What role deliver does with a message: a record becomes tasks, a task a delivery. */
#include "deliver_case.h"

static void a_record_becomes_a_task_for_each_sink(void **state UNUSED)
{
	desk_take(TOPIC_CALLS, CALL_1, RECORD(CALL_1, 3), 7);
	/* The shard is a matter of the call's id. */
	desk_wrote("tasks archive rev=3\ntasks crm/1 rev=3\n");
	assert_true(desk.w.routed);
	assert_int_equal(desk.w.consumed_n, 1);
	assert_int_equal(desk.w.consumed[0].offset, 8);
}

static void a_record_without_a_route_is_passed_over(void **state UNUSED)
{
	desk_take(TOPIC_CALLS, CALL_1,
		  "{\"schema\":\"callstream.call/1\",\"id\":\"" CALL_1
		  "\",\"revision\":1,\"account\":\"nobody\"}",
		  0);
	desk_wrote("");
	assert_false(desk.w.routed);
	assert_int_equal(desk.w.consumed_n, 1);
}

static void what_is_no_record_is_kept(void **state UNUSED)
{
	static const char *const foreign[] = { "", "x", "[]", "{\"schema\":\"other/1\"}",
					       "{\"schema\":\"callstream.call/1\"}" };

	for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
		desk_take(TOPIC_CALLS, "k", foreign[i], (int64_t)i);
	assert_int_equal(desk.w.err, 0);
	desk_wrote("dead k undecodable: no call record\n"
		   "dead k undecodable: no call record\n"
		   "dead k undecodable: no call record\n"
		   "dead k undecodable: no call record\n"
		   "dead k undecodable: no call record\n");
	assert_int_equal(desk.w.consumed[0].offset, ARRAY_LEN(foreign));
}

static void a_record_too_large_for_a_task_is_kept(void **state UNUSED)
{
	char *record = malloc(4u << 20);
	int n = snprintf(record, 4u << 20,
			 "{\"schema\":\"callstream.call/1\",\"id\":\"" CALL_1
			 "\",\"revision\":1,\"account\":\"acme\",\"direction\":\"in\",\"x\":\"");

	memset(record + n, 'x', (4u << 20) - (size_t)n);
	strcpy(record + (4u << 20) - 3, "\"}");
	desk_take(TOPIC_CALLS, CALL_1, record, 0);
	desk_wrote("dead " CALL_1 " too_large\n");
	free(record);
}

static void a_task_becomes_a_delivery_once(void **state UNUSED)
{
	struct owned_ledger *o = desk_own(0, 0);

	desk_task("archive", CALL_1, 1, 0);
	desk_task("archive", CALL_1, 1, 1); /* again */
	desk_task("archive", CALL_2, 1, 2);
	assert_int_equal(desk_waiting(o), 2);
	assert_int_equal(o->tasks_next, 3);
	desk_take(TOPIC_TASKS, "archive", "", 3); /* a tombstone says nothing */
	assert_int_equal(desk_waiting(o), 2);
	assert_int_equal(desk.w.err, 0);
}

static void what_is_no_task_is_kept(void **state UNUSED)
{
	struct owned_ledger *o = desk_own(0, 0);

	desk_take(TOPIC_TASKS, "archive", "{\"schema\":\"callstream.call/1\"}", 4);
	desk_wrote("dead archive undecodable: no task\n");
	assert_int_equal(desk_waiting(o), 0);
	assert_int_equal(o->tasks_next, 5);
}

static void a_task_of_anothers_partition_spoils_the_transaction(void **state UNUSED)
{
	desk_task("archive", CALL_1, 1, 0);
	assert_int_equal(desk.w.err, -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DESK_TEST(a_record_becomes_a_task_for_each_sink),
		DESK_TEST(a_record_without_a_route_is_passed_over),
		DESK_TEST(what_is_no_record_is_kept),
		DESK_TEST(a_record_too_large_for_a_task_is_kept),
		DESK_TEST(a_task_becomes_a_delivery_once),
		DESK_TEST(what_is_no_task_is_kept),
		DESK_TEST(a_task_of_anothers_partition_spoils_the_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
