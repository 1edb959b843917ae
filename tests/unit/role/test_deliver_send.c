/* Steps to sinks, and what their answers do; the clock that says when. */
#include "deliver_case.h"

#define WAIT_MS 20000
#define HOUR    INT64_C(3600000)

static void take_answers(size_t n)
{
	int64_t by_ms = clock_mono_ms() + WAIT_MS;

	for (size_t taken = 0; taken < n && clock_mono_ms() < by_ms;) {
		size_t before = outlets_busy(desk.outlets);

		deliver_take_answers(&desk.w);
		taken += before - outlets_busy(desk.outlets);
		usleep(500);
	}
	assert_int_equal(outlets_busy(desk.outlets), 0);
}

static struct owned_ledger *own_and_release(void)
{
	struct owned_ledger *o = desk_own(0, 0);

	deliver_release_ledgers(&desk.w);
	return o;
}

static void a_commit_proves_then_the_sink_is_told(void **state UNUSED)
{
	struct owned_ledger *o = own_and_release();

	desk_task("archive", CALL_1, 1, 0);
	deliver_send_due(&desk.w);
	assert_int_equal(desk.w.err, 0);
	assert_int_equal(desk.commits, 1);
	desk_wrote("deliveries archive/" CALL_1 " rev=1 retry\n"); /* before it is told */
	take_answers(1);
	desk_wrote("deliveries archive/" CALL_1 " rev=1 done\n");
	assert_int_equal(desk_waiting(o), 0);
	deliver_send_due(&desk.w); /* nothing due: no proof is asked for */
	assert_int_equal(desk.commits, 1);
}

static void without_proof_nothing_is_told(void **state UNUSED)
{
	struct owned_ledger *o = own_and_release();

	desk.commit_err = -ECANCELED;
	desk_task("archive", CALL_1, 1, 0);
	deliver_send_due(&desk.w);
	assert_int_equal(desk.w.err, -ECANCELED);
	assert_int_equal(outlets_busy(desk.outlets), 0);
	assert_int_equal(desk_waiting(o), 1);
	assert_int_equal(access(desk.path, F_OK), -1);
}

/* It was in the config once, or will be: it waits like one that is away. */
static void a_sink_that_nobody_knows_waits(void **state UNUSED)
{
	struct owned_ledger *o = own_and_release();

	desk_task("gone", CALL_1, 1, 0);
	deliver_send_due(&desk.w);
	assert_int_equal(desk.w.err, 0);
	assert_int_equal(desk_waiting(o), 1);
	assert_true(ledger_next_due(o->ledger) > deliver_now_ms(&desk.w));
}

static void answers_of_a_ledger_that_is_gone_are_ignored(void **state UNUSED)
{
	own_and_release();
	desk_task("archive", CALL_1, 1, 0);
	deliver_send_due(&desk.w);
	buf_reset(&desk.written);
	desk_own(0, 0); /* taken over again while the sink had it */
	take_answers(1);
	desk_wrote("");
}

/* As if the wall clock had been set by that much since this worker began. */
static void step_wall(int64_t by_ms)
{
	int64_t ahead_ms = clock_wall_ms() - clock_mono_ms();

	desk.w.wall = (struct wall_clock){ .ahead_ms = ahead_ms - by_ms, .begun = true };
}

static void a_clock_set_back_stalls_nothing(void **state UNUSED)
{
	struct owned_ledger *o = own_and_release();
	int64_t before_ms = deliver_now_ms(&desk.w);

	desk_task("gone", CALL_1, 1, 0);
	deliver_send_due(&desk.w);
	step_wall(-5 * HOUR);
	assert_true(deliver_now_ms(&desk.w) >= before_ms + 5 * HOUR);
	assert_true(ledger_next_due(o->ledger) <= deliver_now_ms(&desk.w));
}

static void a_clock_set_forward_gives_nothing_up(void **state UNUSED)
{
	struct owned_ledger *o;

	step_wall(5 * HOUR); /* the ledger gives up after one */
	o = own_and_release();
	desk_task("gone", CALL_1, 1, 0);
	deliver_send_due(&desk.w);
	deliver_send_due(&desk.w);
	desk_wrote("deliveries gone/" CALL_1 " rev=1 retry\n");
	assert_int_equal(desk_waiting(o), 1);
	assert_true(ledger_next_due(o->ledger) < clock_wall_ms() - 4 * HOUR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DESK_TEST(a_commit_proves_then_the_sink_is_told),
		DESK_TEST(without_proof_nothing_is_told),
		DESK_TEST(a_sink_that_nobody_knows_waits),
		DESK_TEST(answers_of_a_ledger_that_is_gone_are_ignored),
		DESK_TEST(a_clock_set_back_stalls_nothing),
		DESK_TEST(a_clock_set_forward_gives_nothing_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
