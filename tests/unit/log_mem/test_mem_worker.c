/*
 * test_mem_worker.c - workers on a cluster in memory: transactions, fencing, groups
 */
#include "unit/log_mem/mover.h"

static int build(void **state)
{
	(void)state;
	house_build(11);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	house_clear();
	return 0;
}

static void ignore(void *arg, int err)
{
	(void)arg;
	(void)err;
}

static void append(struct log *log, int n)
{
	struct log_appender *a;
	char text[12];

	assert_int_equal(log_appender_new(log, 10000, &a), 0);
	for (int i = 0; i < n; i++) {
		int len = snprintf(text, sizeof(text), "%d", i / PARTS);

		assert_int_equal(log_append(a, TOPIC_EVENTS, i % PARTS, SLICE("k"),
					    slice_make(text, (size_t)len), ignore, NULL),
				 0);
	}
	while (log_appender_queued(a))
		log_appender_poll(a, 100);
	log_appender_free(a);
}

/* Both are polled in turn until each has its number of partitions. */
static void settle(struct mover *a, int a_n, struct mover *b, int b_n)
{
	int64_t until_ms = soon(60000);
	struct log_msg msg;

	while (mover_owned(a) != a_n || (b && mover_owned(b) != b_n)) {
		int r = log_worker_poll(a->w, 20, &msg);

		assert_true(r >= 0 || r == -EAGAIN);
		r = b ? log_worker_poll(b->w, 20, &msg) : 0;
		assert_true(r >= 0 || r == -EAGAIN);
		assert_true(house.ms < until_ms);
	}
}

static int count_one(void *arg, const struct log_msg *msg)
{
	(void)msg;
	++*(int *)arg;
	return 0;
}

static int count_in(struct log *log, enum topic topic, int32_t p)
{
	int n = 0;

	assert_int_equal(log_read_partition(log, topic, p, LOG_BEGIN,
					    memlog_high(house.m, topic, p), soon(30000), count_one,
					    &n),
			 0);
	return n;
}

static int count_seen(void *arg, const struct memlog_entry *e)
{
	(void)e;
	++*(int *)arg;
	return 0;
}

static void only_what_is_committed_is_seen(void **state)
{
	struct log *log = house_client(1);
	struct mover m = { 0 };
	int n = 0;

	(void)state;
	mover_start(&m, log, "a");
	settle(&m, PARTS, NULL, 0);
	assert_int_equal(log_txn_produce(m.w, TOPIC_STATE, 1, SLICE("k"), SLICE("1"), false), 0);
	assert_true(log_txn_open(m.w));
	assert_int_equal(log_txn_commit(m.w, NULL, 0), 0);
	assert_int_equal(log_txn_produce(m.w, TOPIC_STATE, 1, SLICE("k"), SLICE("2"), false), 0);
	pass(30);
	assert_int_equal(memlog_high(house.m, TOPIC_STATE, 1), 3);
	assert_int_equal(memlog_stable(house.m, TOPIC_STATE, 1), 2);
	assert_int_equal(log_txn_abort(m.w), 0);
	assert_int_equal(log_txn_abort(m.w), 0);
	assert_int_equal(log_txn_commit(m.w, NULL, 0), 0);
	assert_int_equal(count_in(log, TOPIC_STATE, 1), 1);
	memlog_see(house.m, TOPIC_STATE, 1, false, 0, count_seen, &n);
	assert_int_equal(n, 4);
	/* nobody's transaction hides what is committed behind it */
	assert_int_equal(memlog_open_foreign_txn(house.m, TOPIC_STATE, 1, 5000), 0);
	assert_int_equal(log_txn_produce(m.w, TOPIC_STATE, 1, SLICE("k"), SLICE("3"), false), 0);
	assert_int_equal(log_txn_commit(m.w, NULL, 0), 0);
	pass(30);
	n = 0;
	assert_int_equal(log_read_partition(log, TOPIC_STATE, 1, LOG_BEGIN,
					    memlog_high(house.m, TOPIC_STATE, 1), soon(500),
					    count_one, &n),
			 -EAGAIN);
	assert_int_equal(n, 1);
	assert_int_equal(count_in(log, TOPIC_STATE, 1), 2);
	log_worker_free(m.w);
	log_close(log);
}

static void second_of_an_id_ends_the_first(void **state)
{
	struct log *log = house_client(1), *other = house_client(2);
	struct mover a = { 0 }, b = { 0 };
	struct log_msg msg;

	(void)state;
	mover_start(&a, log, "same");
	settle(&a, PARTS, NULL, 0);
	assert_int_equal(log_txn_produce(a.w, TOPIC_STATE, 0, SLICE("k"), SLICE("a"), false), 0);
	pass(30);
	mover_start(&b, other, "same");
	assert_int_equal(log_worker_poll(b.w, 100, &msg), 0);
	assert_int_equal(log_txn_commit(a.w, NULL, 0), -EPIPE);
	assert_false(log_txn_open(a.w));
	assert_int_equal(log_txn_produce(a.w, TOPIC_STATE, 0, SLICE("k"), SLICE("a"), false),
			 -EPIPE);
	assert_int_equal(log_worker_poll(a.w, 0, &msg), -EPIPE);
	assert_int_equal(log_txn_produce(b.w, TOPIC_STATE, 0, SLICE("k"), SLICE("b"), false), 0);
	assert_int_equal(log_txn_commit(b.w, NULL, 0), 0);
	assert_int_equal(count_in(log, TOPIC_STATE, 0), 1);
	log_worker_free(a.w);
	log_worker_free(b.w);
	log_close(log);
	log_close(other);
}

static void pending_offsets_are_waited_for(void **state)
{
	struct log *log = house_client(1);
	struct mover m = { 0 };
	int64_t c = -9, began_ms;

	(void)state;
	append(log, 40);
	mover_start(&m, log, "p");
	assert_int_equal(memlog_open_foreign_offset(house.m, "correlate", TOPIC_EVENTS, 2, 9, 4000),
			 0);
	began_ms = house.ms;
	assert_int_equal(log_committed(m.w, TOPIC_EVENTS, 2, soon(700), &c), -EAGAIN);
	assert_int_equal(c, -9);
	assert_int_equal(log_committed(m.w, TOPIC_EVENTS, 3, soon(0), &c), 0);
	assert_int_equal(c, LOG_BEGIN);
	assert_int_equal(log_committed(m.w, TOPIC_EVENTS, 2, soon(60000), &c), 0);
	assert_int_equal(c, LOG_BEGIN);
	assert_in_range(house.ms - began_ms, 3900, 5200);
	log_worker_free(m.w);
	log_close(log);
}

static void partitions_go_before_they_come(void **state)
{
	struct log *log = house_client(1), *other = house_client(2);
	struct mover a = { 0 }, b = { 0 };

	(void)state;
	mover_start(&a, log, "a");
	settle(&a, PARTS, NULL, 0);
	mover_start(&b, other, "b");
	settle(&a, 2, &b, 2);
	assert_string_equal(a.order, "ar");
	assert_string_equal(b.order, "ea");
	log_worker_free(b.w);
	assert_string_equal(b.order, "ear");
	/* what is open is committed before they come */
	assert_int_equal(log_txn_produce(a.w, TOPIC_DEAD, 0, SLICE("k"), SLICE("v"), false), 0);
	settle(&a, PARTS, NULL, 0);
	assert_string_equal(a.order, "arrca");
	log_worker_free(a.w);
	log_close(log);
	log_close(other);
}

static void dead_one_is_waited_for(void **state)
{
	struct log *log = house_client(1), *other = house_client(2);
	struct mover a = { 0 }, b = { 0 };
	int64_t died_ms;

	(void)state;
	mover_start(&a, log, "a");
	mover_start(&b, other, "b");
	settle(&a, 2, &b, 2);
	memlog_process_dies(house.m, 2);
	died_ms = house.ms;
	settle(&a, PARTS, NULL, 0);
	assert_in_range(house.ms - died_ms, 10000, 12000);
	assert_int_equal(memlog_members(house.m, "correlate"), 1);
	assert_int_equal(memlog_owner(house.m, "correlate", TOPIC_EVENTS, 3), 1);
	log_worker_free(b.w); /* only so that its memory is back */
	log_worker_free(a.w);
	log_close(log);
	log_close(other);
}

static void zombie_commits_nothing(void **state)
{
	struct log *log = house_client(1), *other = house_client(2);
	struct mover a = { 0 }, b = { 0 };
	struct log_part part = { TOPIC_EVENTS, 0, 1 };
	struct log_msg msg;
	int r;

	(void)state;
	append(log, 40);
	mover_start(&a, log, "a");
	settle(&a, PARTS, NULL, 0);
	assert_int_equal(log_txn_produce(a.w, TOPIC_CALLS, 0, SLICE("k"), SLICE("0"), false), 0);
	memlog_process_stops(house.m, 1, true);
	mover_start(&b, other, "b");
	settle(&b, PARTS, NULL, 0);
	memlog_process_stops(house.m, 1, false);
	r = log_txn_commit(a.w, &part, 1);
	assert_true(r == -EPIPE || r == -ECANCELED);
	while ((r = log_worker_poll(a.w, 2000, &msg)) == 1)
		;
	assert_true(r == -EPIPE || a.lost == 1);
	assert_int_equal(count_in(log, TOPIC_CALLS, 0), 0);
	log_worker_free(a.w);
	log_worker_free(b.w);
	log_close(log);
	log_close(other);
}

static void kicked_one_loses_and_comes_again(void **state)
{
	struct log *log = house_client(1);
	struct mover a = { 0 };
	struct log_msg msg;

	(void)state;
	mover_start(&a, log, "a");
	settle(&a, PARTS, NULL, 0);
	assert_int_equal(log_txn_produce(a.w, TOPIC_CALLS, 0, SLICE("k"), SLICE("0"), false), 0);
	assert_true(memlog_kick_member(house.m, "correlate", 0));
	assert_false(memlog_kick_member(house.m, "correlate", 0));
	while (a.lost == 0)
		assert_true(log_worker_poll(a.w, 100, &msg) <= 0);
	assert_false(log_txn_open(a.w));
	settle(&a, PARTS, NULL, 0);
	assert_string_equal(a.order, "ala");
	assert_int_equal(count_in(log, TOPIC_CALLS, 0), 0);
	log_worker_free(a.w);
	log_close(log);
}

static void moved_for_no_reason(void **state)
{
	struct log *log = house_client(1), *other = house_client(2);
	struct mover a = { 0 }, b = { 0 };
	struct log_msg msg;

	(void)state;
	assert_false(memlog_rebalance(house.m, "correlate"));
	mover_start(&a, log, "a");
	mover_start(&b, other, "b");
	settle(&a, 2, &b, 2);
	for (int i = 0; i < 5; i++) {
		assert_true(memlog_rebalance(house.m, "correlate"));
		for (int k = 0; k < 200; k++) {
			assert_int_equal(log_worker_poll(a.w, 10, &msg), 0);
			assert_int_equal(log_worker_poll(b.w, 10, &msg), 0);
		}
		settle(&a, 2, &b, 2);
	}
	assert_true(strlen(a.order) > 4);
	assert_int_equal(a.lost + b.lost, 0);
	log_worker_free(a.w);
	log_worker_free(b.w);
	log_close(log);
	log_close(other);
}

static void seek_and_pause(void **state)
{
	struct log *log = house_client(1);
	struct mover a = { 0 };
	struct log_msg msg;

	(void)state;
	append(log, 40);
	mover_start(&a, log, "a");
	settle(&a, PARTS, NULL, 0);
	for (int32_t p = 0; p < PARTS; p++)
		assert_int_equal(log_worker_pause(a.w, TOPIC_EVENTS, p, true), 0);
	assert_int_equal(log_worker_seek(a.w, TOPIC_EVENTS, 2, 3), 0);
	assert_int_equal(log_worker_lag(a.w, TOPIC_EVENTS, 2), -1);
	assert_int_equal(log_worker_poll(a.w, 500, &msg), 0);
	assert_int_equal(log_worker_pause(a.w, TOPIC_EVENTS, 2, false), 0);
	assert_int_equal(log_worker_poll(a.w, 500, &msg), 1);
	assert_int_equal(msg.partition, 2);
	assert_int_equal(msg.offset, 3);
	assert_int_equal(log_worker_lag(a.w, TOPIC_EVENTS, 2), 6);
	assert_int_equal(log_worker_seek(a.w, TOPIC_LIVE, 2, 3), -EINVAL);
	assert_int_equal(log_worker_pause(a.w, TOPIC_LIVE, 2, true), -EINVAL);
	assert_int_equal(log_worker_lag(a.w, TOPIC_LIVE, 2), -1);
	log_worker_free(a.w);
	log_close(log);
}

static void holds_what_was_polled(void **state)
{
	struct log *log = house_client(1);
	struct log_msg msgs[LOG_HELD_MAX];
	struct mover a = { 0 };

	(void)state;
	append(log, 80);
	mover_start(&a, log, "a");
	settle(&a, PARTS, NULL, 0);
	assert_true(log_worker_holds(a.w));
	for (int32_t p = 0; p < PARTS; p++) {
		assert_int_equal(log_worker_pause(a.w, TOPIC_EVENTS, p, p != 1), 0);
		assert_int_equal(log_worker_seek(a.w, TOPIC_EVENTS, p, 0), 0);
	}
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(log_worker_poll_held(a.w, 100, &msgs[i]), 1);
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(number_of(msgs[i].value), (int64_t)i + 8 * round);
		log_msg_done(a.w);
	}
	assert_int_equal(log_worker_seek(a.w, TOPIC_EVENTS, 1, 0), 0);
	for (size_t i = 0; i < LOG_HELD_MAX; i++)
		assert_int_equal(log_worker_poll_held(a.w, 100, &msgs[i]), 1);
	assert_int_equal(log_worker_poll_held(a.w, 100, &msgs[0]), -ENOSPC);
	log_worker_free(a.w);
	log_close(log);
}

/* A name's place is taken at once; what its last owner still had to give up is not lost. */
static void name_takes_its_place(void **state)
{
	struct log *log = house_client(1), *other = house_client(2), *third = house_client(3);
	struct mover a = { 0 }, b = { 0 }, again = { 0 };
	struct log_msg msg;
	int64_t died_ms;

	(void)state;
	mover_start(&a, log, "a");
	settle(&a, PARTS, NULL, 0);
	mover_start(&b, other, "b");
	for (int i = 0; i < 100; i++) /* a hears that it shall give two up, and is not polled */
		assert_int_equal(log_worker_poll(b.w, 20, &msg), 0);
	memlog_process_dies(house.m, 1);
	died_ms = house.ms;
	mover_start(&again, third, "a");
	settle(&again, 2, &b, 2);
	assert_true(house.ms - died_ms < 5000);
	log_worker_free(a.w); /* only so that its memory is back */
	log_worker_free(again.w);
	log_worker_free(b.w);
	log_close(log);
	log_close(other);
	log_close(third);
}

/* ---- faults of a transaction ---- */

struct fault_case {
	const char *name;
	struct memlog_faults faults;
	int produce, commit, seen;
};

static void fault_of_a_transaction(void **state)
{
	const struct fault_case *c = *state;
	struct log_part part = { TOPIC_EVENTS, 0, 1 };
	struct mover m = { 0 };
	struct log *log;
	int r;

	house_build(5);
	log = house_client(1);
	append(log, 4);
	mover_start(&m, log, "a");
	settle(&m, PARTS, NULL, 0);
	memlog_set_faults(house.m, &c->faults);
	r = log_txn_produce(m.w, TOPIC_CALLS, 0, SLICE("k"), SLICE("v"), false);
	assert_int_equal(r, c->produce);
	if (r == 0)
		assert_int_equal(log_txn_commit(m.w, &part, 1), c->commit);
	assert_false(log_txn_open(m.w));
	memlog_set_faults(house.m, &(struct memlog_faults){ 0 });
	pass(25000);
	assert_int_equal(count_in(log, TOPIC_CALLS, 0), c->seen);
	assert_int_equal(memlog_group_offset(house.m, "correlate", TOPIC_EVENTS, 0),
			 c->seen ? 1 : LOG_BEGIN);
	log_worker_free(m.w);
	log_close(log);
	house_clear();
}

static const struct fault_case fault_cases[] = {
	{ "fault: none", { 0 }, 0, 0, 1 },
	{ "fault: produce aborts", { .produce_abort = 1000000 }, -ECANCELED, 0, 0 },
	{ "fault: commit aborts", { .commit_abort = 1000000 }, 0, -ECANCELED, 0 },
	{ "fault: commit is done, nobody says so", { .commit_lost = 1000000 }, 0, -EPIPE, 1 },
	{ "fault: commit is done later", { .commit_floats = 1000000 }, 0, -EPIPE, 1 },
	{ "fault: commit comes too late", { .commit_late = 1000000 }, 0, -EPIPE, 0 },
	{ "fault: the group has moved on", { .illegal = 1000000 }, 0, -ECANCELED, 0 },
	{ "fault: fenced", { .fenced = 1000000 }, 0, -EPIPE, 0 },
	{ "fault: markers come late", { .marker_late = 1000000 }, 0, 0, 1 },
};

int main(void)
{
	struct CMUnitTest tests[11 + ARRAY_LEN(fault_cases)] = {
		cmocka_unit_test_setup_teardown(only_what_is_committed_is_seen, build, clear),
		cmocka_unit_test_setup_teardown(second_of_an_id_ends_the_first, build, clear),
		cmocka_unit_test_setup_teardown(pending_offsets_are_waited_for, build, clear),
		cmocka_unit_test_setup_teardown(partitions_go_before_they_come, build, clear),
		cmocka_unit_test_setup_teardown(dead_one_is_waited_for, build, clear),
		cmocka_unit_test_setup_teardown(zombie_commits_nothing, build, clear),
		cmocka_unit_test_setup_teardown(kicked_one_loses_and_comes_again, build, clear),
		cmocka_unit_test_setup_teardown(moved_for_no_reason, build, clear),
		cmocka_unit_test_setup_teardown(seek_and_pause, build, clear),
		cmocka_unit_test_setup_teardown(holds_what_was_polled, build, clear),
		cmocka_unit_test_setup_teardown(name_takes_its_place, build, clear),
	};

	for (size_t i = 0; i < ARRAY_LEN(fault_cases); i++)
		tests[11 + i] =
		    (struct CMUnitTest){ .name = fault_cases[i].name,
					 .test_func = fault_of_a_transaction,
					 .initial_state = (void *)(uintptr_t)&fault_cases[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
