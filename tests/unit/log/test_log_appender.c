/*
 * test_log_appender.c - appending outside transactions, on the mock cluster
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "unit/log/mock.h"

static struct mock mock;

static int start(void **state)
{
	(void)state;
	return mock_start(&mock) ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	mock_stop(&mock);
	return 0;
}

struct acks {
	int ok, again, size, pipe, other;
};

static void count(void *arg, int err)
{
	struct acks *acks = arg;

	switch (err) {
	case 0:
		acks->ok++;
		break;
	case -EAGAIN:
		acks->again++;
		break;
	case -EMSGSIZE:
		acks->size++;
		break;
	case -EPIPE:
		acks->pipe++;
		break;
	default:
		acks->other++;
	}
}

static struct log *open_log(void)
{
	struct buf problem = BUF_EMPTY;
	struct log *log;

	assert_int_equal(log_open(&mock.cfg, &log, &problem), 0);
	buf_fini(&problem);
	return log;
}

static struct log_appender *appender(struct log *log, int64_t timeout_ms)
{
	struct log_appender *a;

	assert_int_equal(log_appender_new(log, timeout_ms, &a), 0);
	return a;
}

static void acknowledges_each_once(void **state)
{
	struct log *log = open_log();
	struct log_appender *a = appender(log, 10000);
	struct acks acks = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(log_append(a, TOPIC_EVENTS, LOG_ANY_PARTITION, SLICE("key"),
					    SLICE("value"), count, &acks),
				 0);
	assert_int_equal(log_append(a, TOPIC_DEAD, 3, SLICE("key"), SLICE("value"), count, &acks),
			 0);
	assert_int_equal(log_appender_drain(a, clock_mono_ms() + 10000), 0);
	assert_int_equal(acks.ok, 1001);
	assert_int_equal(log_appender_queued(a), 0);
	log_appender_free(a);
	log_close(log);
	assert_int_equal(acks.ok + acks.again + acks.size + acks.pipe + acks.other, 1001);
}

static void descriptor_tells_of_acknowledgements(void **state)
{
	struct log *log = open_log();
	struct log_appender *a = appender(log, 10000);
	struct acks acks = { 0 };

	(void)state;
	for (int round = 1; round <= 20; round++) {
		struct pollfd pfd = { .fd = log_appender_fd(a), .events = POLLIN };

		assert_int_equal(log_append(a, TOPIC_EVENTS, LOG_ANY_PARTITION, SLICE("key"),
					    SLICE("value"), count, &acks),
				 0);
		while (acks.ok < round) {
			assert_int_equal(poll(&pfd, 1, 10000), 1);
			log_appender_poll(a, 0);
		}
	}
	log_appender_free(a);
	log_close(log);
}

static void refuses_what_is_too_large(void **state)
{
	struct log *log = open_log();
	struct log_appender *a = appender(log, 10000);
	struct acks acks = { 0 };
	size_t n = (4u << 20) - 1024;
	char *big = calloc(1, n + 1);

	(void)state;
	assert_int_equal(
	    log_append(a, TOPIC_EVENTS, 0, SLICE_NONE, slice_make(big, n + 1), count, &acks),
	    -EMSGSIZE);
	assert_int_equal(
	    log_append(a, TOPIC_EVENTS, 0, SLICE_NONE, slice_make(big, n), count, &acks), 0);
	assert_int_equal(log_appender_drain(a, clock_mono_ms() + 10000), 0);
	assert_int_equal(acks.ok, 1);
	log_appender_free(a);
	log_close(log);
	free(big);
}

static void queue_is_bounded(void **state)
{
	struct log *log = open_log();
	struct log_appender *a = appender(log, 60000);
	struct acks acks = { 0 };
	int taken = 0, r;

	(void)state;
	rd_kafka_mock_broker_set_down(mock.cluster, 1);
	while ((r = log_append(a, TOPIC_EVENTS, 0, SLICE("k"), SLICE("v"), count, &acks)) == 0)
		taken++;
	assert_int_equal(r, -EAGAIN);
	assert_in_range(taken, 1000, 300000);
	assert_int_equal(log_appender_queued(a), taken);
	/* What is given up is told once, as of no use. */
	log_appender_free(a);
	assert_int_equal(acks.pipe, taken);
	assert_int_equal(acks.ok + acks.again + acks.size + acks.other, 0);
	rd_kafka_mock_broker_set_up(mock.cluster, 1);
	log_close(log);
}

static void time_is_bounded(void **state)
{
	struct log *log = open_log();
	struct log_appender *a = appender(log, 300);
	struct acks acks = { 0 };

	(void)state;
	rd_kafka_mock_broker_set_down(mock.cluster, 1);
	assert_int_equal(log_append(a, TOPIC_EVENTS, 0, SLICE("k"), SLICE("v"), count, &acks), 0);
	assert_int_equal(log_appender_drain(a, clock_mono_ms() - 1), -ETIMEDOUT);
	assert_int_equal(log_appender_drain(a, clock_mono_ms() + 20000), 0);
	assert_int_equal(acks.again, 1);
	rd_kafka_mock_broker_set_up(mock.cluster, 1);
	/* the same appender goes on */
	while (acks.ok == 0) {
		assert_int_equal(
		    log_append(a, TOPIC_EVENTS, 0, SLICE("k"), SLICE("v"), count, &acks), 0);
		assert_int_equal(log_appender_drain(a, clock_mono_ms() + 20000), 0);
		assert_in_range(acks.again, 0, 100);
	}
	log_appender_free(a);
	log_close(log);
}

struct injected {
	const char *name;
	rd_kafka_resp_err_t err;
	int want;  /* of the message; 0: it arrives at last */
	bool dead; /* the appender is of no use then */
};

static void error_of_the_broker(void **state)
{
	const struct injected *c = *state;
	struct log *log = open_log();
	struct log_appender *a = appender(log, 5000);
	struct acks acks = { 0 };

	rd_kafka_mock_push_request_errors(mock.cluster, 0 /* Produce */, 1, c->err);
	assert_int_equal(log_append(a, TOPIC_EVENTS, 0, SLICE("k"), SLICE("v"), count, &acks), 0);
	assert_int_equal(log_appender_drain(a, clock_mono_ms() + 20000), 0);
	assert_int_equal(acks.ok, c->want == 0);
	assert_int_equal(acks.again, c->want == -EAGAIN);
	assert_int_equal(acks.size, c->want == -EMSGSIZE);
	assert_int_equal(acks.pipe, c->want == -EPIPE);
	if (c->dead)
		assert_int_equal(
		    log_append(a, TOPIC_EVENTS, 0, SLICE("k"), SLICE("v"), count, &acks), -EPIPE);
	log_appender_free(a);
	rd_kafka_mock_clear_request_errors(mock.cluster, 0);
	log_close(log);
}

static const struct injected injected[] = {
	{ "error: the leader moved", RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 0, false },
	{ "error: too few replicas", RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 0, false },
	{ "error: too large", RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, -EMSGSIZE, false },
	{ "error: invalid record", RD_KAFKA_RESP_ERR_INVALID_RECORD, -EMSGSIZE, false },
	{ "error: no right", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, -EAGAIN, false },
	{ "error: sequence out of order", RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, -EPIPE,
	  true },
};

static void refuses_wrong_arguments(void **state)
{
	struct log *log = open_log();
	struct log_appender *a;

	(void)state;
	assert_int_equal(log_appender_new(log, 0, &a), -EINVAL);
	assert_int_equal(log_appender_new(log, INT64_MAX, &a), -EINVAL);
	log_appender_free(NULL);
	log_close(log);
	log_close(NULL);
}

int main(void)
{
	struct CMUnitTest tests[6 + ARRAY_LEN(injected)] = {
		cmocka_unit_test(acknowledges_each_once),
		cmocka_unit_test(descriptor_tells_of_acknowledgements),
		cmocka_unit_test(refuses_what_is_too_large),
		cmocka_unit_test(queue_is_bounded),
		cmocka_unit_test(time_is_bounded),
		cmocka_unit_test(refuses_wrong_arguments),
	};

	for (size_t i = 0; i < ARRAY_LEN(injected); i++)
		tests[6 + i] =
		    (struct CMUnitTest){ .name = injected[i].name,
					 .test_func = error_of_the_broker,
					 .initial_state = (void *)(uintptr_t)&injected[i] };
	return cmocka_run_group_tests(tests, start, stop);
}
