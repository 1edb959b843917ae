/*
 * test_mem_log.c - appending and reading on a cluster in memory: what is where, and who sees it
 */
#include "unit/log_mem/house.h"

static int build(void **state)
{
	(void)state;
	house_build(7);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	house_clear();
	return 0;
}

struct acks {
	int ok, again, size, pipe;
};

static void count(void *arg, int err)
{
	struct acks *acks = arg;

	acks->ok += err == 0;
	acks->again += err == -EAGAIN;
	acks->size += err == -EMSGSIZE;
	acks->pipe += err == -EPIPE;
}

static void drain(struct log_appender *a, int64_t ms)
{
	for (int64_t until_ms = soon(ms); log_appender_queued(a) && house.ms < until_ms;)
		log_appender_poll(a, 100);
}

static void appends_each_once_in_order(void **state)
{
	struct log *log = house_client(1);
	struct acks acks = { 0 };
	struct log_appender *a;
	int64_t high;
	char text[8];

	(void)state;
	assert_int_equal(log_appender_new(log, 1000, &a), 0);
	for (int i = 0; i < 100; i++) {
		int n = snprintf(text, sizeof(text), "%d", i);

		assert_int_equal(log_append(a, TOPIC_DEAD, i % 2, SLICE("k"),
					    slice_make(text, (size_t)n), count, &acks),
				 0);
		if (i % 7 == 0)
			pass(1);
	}
	assert_int_equal(log_appender_queued(a), 100);
	drain(a, 100);
	assert_int_equal(acks.ok, 100);
	assert_int_equal(log_high_watermark(log, TOPIC_DEAD, 1, soon(0), &high), 0);
	assert_int_equal(high, 50);
	log_appender_free(a);
	log_close(log);
}

static int in_order(void *arg, const struct log_msg *msg)
{
	int64_t *next = arg;

	assert_int_equal(number_of(msg->value), *next);
	*next += 2;
	return 0;
}

static void order_of_a_partition_stays(void **state)
{
	struct log *log;
	int64_t next = 1;

	appends_each_once_in_order(state);
	log = house_client(2);
	assert_int_equal(
	    log_read_partition(log, TOPIC_DEAD, 1, LOG_BEGIN, 50, soon(0), in_order, &next), 0);
	assert_int_equal(next, 101);
	log_close(log);
}

/* Values of Kafka's own murmur2 (its unit test), positive, modulo 4. */
static const struct {
	const char *key;
	uint32_t hash;
} hashes[] = {
	{ "21", (uint32_t)-973932308 },
	{ "foobar", (uint32_t)-790332482 },
	{ "a-little-bit-long-string", (uint32_t)-985981536 },
	{ "a-little-bit-longer-string", (uint32_t)-1486304829 },
	{ "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", (uint32_t)-58897971 },
	{ "abc", 479470107 },
};

static void keys_lie_where_kafka_puts_them(void **state)
{
	struct log *log = house_client(1);
	struct acks acks = { 0 };
	struct log_appender *a;

	(void)state;
	assert_int_equal(log_appender_new(log, 1000, &a), 0);
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		int32_t partition = (int32_t)((hashes[i].hash & 0x7fffffff) % PARTS);
		int64_t before = memlog_high(house.m, TOPIC_EVENTS, partition);

		assert_int_equal(log_append(a, TOPIC_EVENTS, LOG_ANY_PARTITION,
					    slice_of(hashes[i].key), SLICE("v"), count, &acks),
				 0);
		drain(a, 100);
		assert_int_equal(memlog_high(house.m, TOPIC_EVENTS, partition), before + 1);
	}
	log_appender_free(a);
	log_close(log);
}

static void what_a_dead_process_sent_may_arrive(void **state)
{
	int some = 0, all = 0, none = 0;

	(void)state;
	house_clear();
	for (uint64_t seed = 1; seed < 200; seed++) {
		struct acks acks = { 0 };
		struct log_appender *a;
		struct log *log;
		int64_t high = 0;

		house_build(seed * 7919);
		log = house_client(1);
		assert_int_equal(log_appender_new(log, 1000, &a), 0);
		for (int i = 0; i < 8; i++)
			assert_int_equal(log_append(a, TOPIC_EVENTS, i % PARTS, SLICE("k"),
						    SLICE("v"), count, &acks),
					 0);
		memlog_process_dies(house.m, 1);
		pass(100);
		for (int p = 0; p < PARTS; p++)
			high += memlog_high(house.m, TOPIC_EVENTS, p);
		all += high == 8;
		none += high == 0;
		some += high > 0 && high < 8;
		assert_int_equal(acks.ok, 0);
		log_appender_free(a); /* only so that its memory is back */
		log_close(log);
		house_clear();
	}
	house_build(1);
	assert_true(some > 20 && all > 5 && none > 5);
}

/* ---- faults of appending ---- */

struct fault_case {
	const char *name;
	struct memlog_faults faults;
	int append;          /* what log_append says */
	int ok, again, pipe; /* acknowledgements */
	int64_t high_min, high_max;
};

static void fault_of_appending(void **state)
{
	const struct fault_case *c = *state;
	struct acks acks = { 0 };
	struct log_appender *a;
	struct log *log;
	int64_t high;

	house_build(3);
	log = house_client(1);
	assert_int_equal(log_appender_new(log, 500, &a), 0);
	memlog_set_faults(house.m, &c->faults);
	assert_int_equal(log_append(a, TOPIC_EVENTS, 0, SLICE("k"), SLICE("v"), count, &acks),
			 c->append);
	drain(a, 5000);
	assert_int_equal(acks.ok, c->ok);
	assert_int_equal(acks.again, c->again);
	log_appender_free(a);
	assert_int_equal(acks.pipe, c->pipe);
	high = memlog_high(house.m, TOPIC_EVENTS, 0);
	assert_in_range(high, c->high_min, c->high_max);
	pass(9000);
	high = memlog_high(house.m, TOPIC_EVENTS, 0);
	assert_int_equal(high, c->append == 0 && !c->pipe);
	log_close(log);
	house_clear();
}

static const struct fault_case fault_cases[] = {
	{ "fault: none", { 0 }, 0, 1, 0, 0, 1, 1 },
	{ "fault: the queue is full", { .append_full = 1000000 }, -EAGAIN, 0, 0, 0, 0, 0 },
	{ "fault: the answer is lost", { .append_lost = 1000000 }, 0, 0, 1, 0, 1, 1 },
	{ "fault: written after it was given up", { .append_floats = 1000000 }, 0, 0, 1, 0, 0, 0 },
	{ "fault: of no use any more", { .append_fatal = 1000000 }, -EPIPE, 0, 0, 0, 0, 0 },
};

static void broker_away(void **state)
{
	struct log *log = house_client(1);
	struct acks acks = { 0 };
	struct log_appender *a;
	int64_t high;

	(void)state;
	assert_int_equal(log_appender_new(log, 1000, &a), 0);
	memlog_broker_away(house.m, 5000);
	assert_int_equal(log_append(a, TOPIC_EVENTS, 0, SLICE("k"), SLICE("1"), count, &acks), 0);
	drain(a, 2000);
	assert_int_equal(acks.again, 1); /* its time was over before */
	assert_int_equal(log_high_watermark(log, TOPIC_EVENTS, 0, soon(100), &high), -EAGAIN);
	pass(4500);
	assert_int_equal(log_append(a, TOPIC_EVENTS, 0, SLICE("k"), SLICE("2"), count, &acks), 0);
	drain(a, 2000);
	assert_int_equal(acks.ok, 1);
	assert_int_equal(log_high_watermark(log, TOPIC_EVENTS, 0, soon(100), &high), 0);
	assert_int_equal(high, 1);
	log_appender_free(a);
	log_close(log);
}

static void time_of_appending(void **state)
{
	struct log *log = house_client(1);
	struct acks acks = { 0 };
	struct log_reader *r;
	struct log_appender *a;
	struct log_msg msg;
	static const enum topic both[] = { TOPIC_EVENTS, TOPIC_DEAD };
	int64_t sent_ms = house_wall(NULL), back_ms;
	int got, n = 0;

	(void)state;
	assert_int_equal(log_appender_new(log, 60000, &a), 0);
	memlog_broker_away(house.m, 20000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(log_append(a, both[i], 0, SLICE("k"), SLICE("v"), count, &acks),
				 0);
	pass(19000);
	back_ms = house_wall(NULL);
	drain(a, 10000);
	assert_int_equal(log_reader_new(log, both, 2, LOG_BEGIN, soon(0), &r), 0);
	assert_int_equal(log_reader_left(r), 2);
	while ((got = log_reader_next(r, 10, &msg)) == 1) {
		n++;
		if (msg.topic == TOPIC_EVENTS)
			assert_true(msg.append_ms > back_ms);
		else
			assert_int_equal(msg.append_ms, sent_ms);
	}
	assert_int_equal(got, 2);
	assert_int_equal(n, 2);
	assert_int_equal(log_reader_next(r, 10, &msg), 0);
	log_reader_free(r);
	log_appender_free(a);
	log_close(log);
}

static void topics_are_checked(void **state)
{
	struct buf problem = BUF_EMPTY;
	struct log *log;

	(void)state;
	house.cfg.kafka.create_topics = false;
	assert_int_equal(memlog_client(house.m, &house.cfg, 1, &log), 0);
	assert_int_equal(log_setup_topics(log, soon(300), &problem), -EAGAIN);
	assert_true(slice_ends(buf_slice(&problem), SLICE("kafka.create_topics is off")));
	assert_int_equal(log_partitions(log, TOPIC_DEAD, soon(0)), -ENOENT);
	house.cfg.kafka.create_topics = true;
	assert_int_equal(log_setup_topics(log, soon(300), &problem), 0);
	assert_int_equal(log_partitions(log, TOPIC_DEAD, soon(0)), PARTS);
	house.cfg.kafka.partitions = PARTS + 1;
	assert_int_equal(log_setup_topics(log, soon(300), &problem), -EINVAL);
	assert_true(slice_is(buf_slice(&problem),
			     "topic t.events has 4 partitions, kafka.partitions is 5"));
	buf_fini(&problem);
	log_close(log);
}

/* ---- compaction ---- */

static int say(void *arg, const struct memlog_entry *e)
{
	struct buf *out = arg;

	if (e->fate == MEMLOG_MARKER)
		buf_printf(out, "%d:marker ", (int)e->msg.offset);
	else
		buf_printf(out, "%d:%.*s=%.*s%s ", (int)e->msg.offset, SLICE_ARG(e->msg.key),
			   SLICE_ARG(e->msg.value), e->msg.tombstone ? "gone" : "");
	return 0;
}

static void state_is(const char *want)
{
	struct buf out = BUF_EMPTY;
	char *text;

	memlog_see(house.m, TOPIC_STATE, 0, false, 0, say, &out);
	text = buf_take_text(&out);
	assert_string_equal(text ? text : "", want);
	free(text);
}

static void compacts_old_segments(void **state)
{
	static const char *const lines[] = { "a1", "b1", "a2", "c-", "b2" };
	struct log *log = house_client(1);
	struct acks acks = { 0 };
	struct log_appender *a;

	(void)state;
	assert_int_equal(log_appender_new(log, 1000, &a), 0);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct slice value = lines[i][1] == '-' ? SLICE_NONE : slice_make(lines[i] + 1, 1);

		assert_int_equal(
		    log_append(a, TOPIC_STATE, 0, slice_make(lines[i], 1), value, count, &acks), 0);
	}
	drain(a, 1000);
	assert_int_equal(memlog_compact(house.m, TOPIC_STATE), 0);
	state_is("0:a=1 1:b=1 2:a=2 3:c=gone 4:b=2 "); /* all of it is the newest segment */
	memlog_roll(house.m, TOPIC_STATE);
	assert_int_equal(log_append(a, TOPIC_STATE, 0, SLICE("a"), SLICE("3"), count, &acks), 0);
	drain(a, 1000);
	assert_int_equal(memlog_open_foreign_txn(house.m, TOPIC_STATE, 0, 5000), 0);
	assert_int_equal(memlog_compact(house.m, TOPIC_STATE), 0);
	state_is("2:a=2 3:c=gone 4:b=2 5:a=3 6:nobody's=nobody's ");
	pass(10000);
	memlog_roll(house.m, TOPIC_STATE);
	assert_int_equal(memlog_compact(house.m, TOPIC_STATE), 0);
	state_is("3:c=gone 4:b=2 5:a=3 7:marker ");
	house.ms += 86500000;
	assert_int_equal(memlog_compact(house.m, TOPIC_STATE), 0);
	state_is("4:b=2 5:a=3 ");
	memlog_trim(house.m, TOPIC_STATE, 0, 5);
	state_is("5:a=3 ");
	log_appender_free(a);
	log_close(log);
}

int main(void)
{
	struct CMUnitTest tests[8 + ARRAY_LEN(fault_cases)] = {
		cmocka_unit_test_setup_teardown(appends_each_once_in_order, build, clear),
		cmocka_unit_test_setup_teardown(order_of_a_partition_stays, build, clear),
		cmocka_unit_test_setup_teardown(keys_lie_where_kafka_puts_them, build, clear),
		cmocka_unit_test_setup_teardown(what_a_dead_process_sent_may_arrive, build, clear),
		cmocka_unit_test_setup_teardown(broker_away, build, clear),
		cmocka_unit_test_setup_teardown(time_of_appending, build, clear),
		cmocka_unit_test_setup_teardown(topics_are_checked, build, clear),
		cmocka_unit_test_setup_teardown(compacts_old_segments, build, clear),
	};

	for (size_t i = 0; i < ARRAY_LEN(fault_cases); i++)
		tests[8 + i] =
		    (struct CMUnitTest){ .name = fault_cases[i].name,
					 .test_func = fault_of_appending,
					 .initial_state = (void *)(uintptr_t)&fault_cases[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
