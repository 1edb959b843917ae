/*
 * test_log_txn.c - what injected errors of the broker become in a transaction, on the mock cluster
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "unit/log/mock.h"

enum {
	PRODUCE = 0,
	FIND_COORDINATOR = 10,
	INIT_ID = 22,
	ADD_PARTITIONS = 24,
	ADD_OFFSETS = 25,
	END_TXN = 26,
	TXN_OFFSETS = 28
};

/*
 * librdkafka 2.0 loses the request of offsets now and then when another error ends its transaction;
 * the place has no name in a library without symbols.
 */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:librdkafka.so\n";
}

static struct mock mock;
static const enum topic topics[] = { TOPIC_EVENTS };

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

static int assigned(void *arg, struct log_part *parts, size_t parts_n)
{
	(void)arg;
	(void)parts;
	(void)parts_n;
	return 0;
}

static void revoked(void *arg, const struct log_part *parts, size_t parts_n, bool lost)
{
	(void)arg;
	(void)parts;
	(void)parts_n;
	(void)lost;
}

static const struct log_worker_hooks hooks = { NULL, assigned, revoked };

static struct log *open_log(void)
{
	struct buf problem = BUF_EMPTY;
	struct log *log;

	assert_int_equal(log_open(&mock.cfg, &log, &problem), 0);
	buf_fini(&problem);
	return log;
}

static struct log_worker *worker(struct log *log, const char *id)
{
	struct log_worker *w;

	assert_int_equal(log_worker_new(log, "correlate", id, topics, 1, &hooks, &w), 0);
	return w;
}

/* Polls until the producer is initialized: the verdict that ends the -EAGAINs. */
static int ready(struct log_worker *w)
{
	int64_t deadline_ms = clock_mono_ms() + 20000;
	struct log_msg msg;
	int r;

	while ((r = log_worker_poll(w, 100, &msg)) == -EAGAIN)
		assert_true(clock_mono_ms() < deadline_ms);
	return r;
}

static int one_txn(struct log_worker *w)
{
	const struct log_part part = { TOPIC_EVENTS, 0, 5 };
	int r = log_txn_produce(w, TOPIC_CALLS, 0, SLICE("k"), SLICE("v"), false);

	if (r < 0)
		return r;
	assert_true(log_txn_open(w));
	return log_txn_commit(w, &part, 1);
}

struct injected {
	const char *name;
	int16_t api;
	rd_kafka_resp_err_t err;
	int want;
};

static const struct injected injected[] = {
	{ "end: the coordinator moved", END_TXN, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, 0 },
	{ "end: another is at work", END_TXN, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, 0 },
	{ "end: fenced", END_TXN, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, -EPIPE },
	{ "end: no right", END_TXN, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
	  -EPIPE },
	{ "end: an error that nobody knows", END_TXN, RD_KAFKA_RESP_ERR_UNKNOWN, -ECANCELED },
	{ "partitions: no right to one", ADD_PARTITIONS,
	  RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, -ECANCELED },
	{ "partitions: fenced", ADD_PARTITIONS, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, -EPIPE },
	{ "offsets: no right to the group", ADD_OFFSETS,
	  RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, -ECANCELED },
	{ "offsets: the coordinator moved", TXN_OFFSETS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, 0 },
	{ "offsets: the group moved on", TXN_OFFSETS, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
	  -ECANCELED },
	{ "offsets: not a member", TXN_OFFSETS, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, -ECANCELED },
	{ "produce: the leader moved", PRODUCE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 0 },
	{ "produce: too large after all", PRODUCE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
	  -ECANCELED },
};

static void error_of_the_broker(void **state)
{
	const struct injected *c = *state;
	struct log *log = open_log();
	struct log_worker *w = worker(log, c->name);
	int r;

	assert_int_equal(ready(w), 0);
	rd_kafka_mock_push_request_errors(mock.cluster, c->api, 1, c->err);
	assert_int_equal(one_txn(w), c->want);
	/* In no case is one left open. */
	assert_false(log_txn_open(w));
	rd_kafka_mock_clear_request_errors(mock.cluster, c->api);
	/* The mock forgets nothing that it refused: its sequence may need one more abort. */
	r = one_txn(w);
	for (int i = 0; r == -ECANCELED && i < 3; i++)
		r = one_txn(w);
	assert_int_equal(r, c->want == -EPIPE ? -EPIPE : 0);
	if (c->want == -EPIPE) {
		struct log_msg msg;

		assert_int_equal(log_worker_poll(w, 0, &msg), -EPIPE);
		assert_int_equal(log_txn_abort(w), -EPIPE);
	}
	log_worker_free(w);
	log_close(log);
}

static void start_is_tried_again(void **state)
{
	struct log *log = open_log();
	struct log_worker *w = worker(log, "start again");

	(void)state;
	rd_kafka_mock_push_request_errors(
	    mock.cluster, INIT_ID, 3, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
	assert_int_equal(ready(w), 0);
	assert_int_equal(one_txn(w), 0);
	log_worker_free(w);
	log_close(log);
}

static void start_without_right_is_fatal(void **state)
{
	struct log *log = open_log();
	struct log_worker *w = worker(log, "no right");

	(void)state;
	rd_kafka_mock_push_request_errors(mock.cluster, INIT_ID, 1,
					  RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
	assert_int_equal(ready(w), -EPIPE);
	assert_int_equal(one_txn(w), -EPIPE);
	log_worker_free(w);
	log_close(log);
}

static void start_waits_for_the_broker(void **state)
{
	struct log *log = open_log();
	struct log_worker *w;
	struct log_msg msg;

	(void)state;
	rd_kafka_mock_broker_set_down(mock.cluster, 1);
	w = worker(log, "away");
	for (int i = 0; i < 3; i++)
		assert_int_equal(log_worker_poll(w, 100, &msg), -EAGAIN);
	rd_kafka_mock_broker_set_up(mock.cluster, 1);
	assert_int_equal(ready(w), 0);
	assert_int_equal(one_txn(w), 0);
	log_worker_free(w);
	log_close(log);
}

static void sizes_and_words(void **state)
{
	struct log *log = open_log();
	struct log_worker *w = worker(log, "sizes");
	size_t n = (4u << 20) - 1023;
	char *big = calloc(1, n);

	(void)state;
	assert_int_equal(ready(w), 0);
	assert_int_equal(log_txn_produce(w, TOPIC_CALLS, 0, SLICE_NONE, slice_make(big, n), false),
			 -EMSGSIZE);
	assert_false(log_txn_open(w));
	assert_int_equal(log_txn_commit(w, NULL, 0), 0);
	assert_int_equal(log_txn_abort(w), 0);
	assert_int_equal(log_txn_produce(w, TOPIC_STATE, 1, SLICE("k"), SLICE_NONE, true), 0);
	assert_int_equal(log_txn_abort(w), 0);
	assert_false(log_txn_open(w));
	assert_int_equal(one_txn(w), 0);
	log_worker_free(w);
	log_worker_free(NULL);
	free(big);
	log_close(log);
}

static void refuses_wrong_arguments(void **state)
{
	static const enum topic five[5] = { TOPIC_EVENTS };
	struct log *log = open_log();
	struct log_worker *w;
	int64_t offset;

	(void)state;
	assert_int_equal(log_worker_new(log, "r", "id", five, 5, &hooks, &w), -EINVAL);
	assert_int_equal(log_worker_new(log, "r", "id", five, 0, &hooks, &w), -EINVAL);
	assert_int_equal(log_worker_new(log, "r", "", topics, 1, &hooks, &w), -EINVAL);
	w = worker(log, "arguments");
	/* Before the first poll nothing can be produced. */
	assert_int_equal(one_txn(w), -EPIPE);
	assert_int_equal(log_worker_lag(w, TOPIC_EVENTS, 0), -1);
	assert_int_equal(log_worker_lag(w, TOPIC_TASKS, 0), -1);
	assert_int_equal(log_worker_seek(w, TOPIC_TASKS, 0, 0), -EINVAL);
	assert_int_equal(log_worker_pause(w, TOPIC_TASKS, 0, true), -EINVAL);
	assert_int_equal(log_committed(w, TOPIC_TASKS, 0, clock_mono_ms(), &offset), -EINVAL);
	log_worker_free(w);
	log_close(log);
}

#define OTHERS 5

int main(void)
{
	struct CMUnitTest tests[OTHERS + ARRAY_LEN(injected)] = {
		cmocka_unit_test(start_is_tried_again),
		cmocka_unit_test(start_without_right_is_fatal),
		cmocka_unit_test(start_waits_for_the_broker),
		cmocka_unit_test(sizes_and_words),
		cmocka_unit_test(refuses_wrong_arguments),
	};

	for (size_t i = 0; i < ARRAY_LEN(injected); i++)
		tests[OTHERS + i] =
		    (struct CMUnitTest){ .name = injected[i].name,
					 .test_func = error_of_the_broker,
					 .initial_state = (void *)(uintptr_t)&injected[i] };
	return cmocka_run_group_tests(tests, start, stop);
}
