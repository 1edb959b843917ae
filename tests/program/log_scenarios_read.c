/*
 * log_scenarios_read.c - where reading begins and ends, what is compacted, keys and sizes
 */
#include "log_scenarios.h"

static struct order seek(int32_t partition, int64_t offset)
{
	return (struct order){ .what = DO_SEEK,
			       .topic = TOPIC_EVENTS,
			       .partition = partition,
			       .from = offset,
			       .ms = 30000 };
}

static struct order pause_it(int32_t partition, bool pause)
{
	return (struct order){
		.what = DO_PAUSE, .topic = TOPIC_EVENTS, .partition = partition, .flag = pause
	};
}

static void say_lag(int player, const char *text, int32_t partition)
{
	CHECK(ask(player, (struct order){ .what = DO_LAG,
					  .topic = TOPIC_EVENTS,
					  .partition = partition }) == 0);
	say("%s: %lld", text, (long long)answer.v);
}

/* The end of a partition is told a little after its last message. */
static void say_end_lag(int player, const char *text, int32_t partition)
{
	int64_t until_ms = house->now_ms() + 20000;

	do {
		poll_once(player, 50);
		CHECK(ask(player, (struct order){ .what = DO_LAG,
						  .topic = TOPIC_EVENTS,
						  .partition = partition }) == 0);
	} while (answer.v < 0 && house->now_ms() < until_ms);
	say_lag(player, text, partition);
}

static void drain(int player)
{
	int64_t until_ms = house->now_ms() + 20000;
	int quiet = 0;

	while (quiet < 6) {
		quiet = poll_once(player, 50) == 1 ? 0 : quiet + 1;
		CHECK(house->now_ms() < until_ms);
	}
}

/* Only partition 1 is read: the others stand still. */
static int alone(void)
{
	int a = new_player();

	append_events(a, 40);
	join(a, "a", false);
	settle_one(a, PARTS);
	for (int32_t p = 0; p < PARTS; p++)
		CHECK(ask(a, pause_it(p, p != 1)) == 0);
	return a;
}

void scenario_seek(void)
{
	int a = alone(), b = new_player();

	join(b, "b", false);
	say_ask(b, "seek before it has joined",
		(struct order){ .what = DO_SEEK, .topic = TOPIC_EVENTS, .partition = 1 });
	say_ask(b, "pause before it has joined", pause_it(1, true));
	say_ask(a, "seek to 3", seek(1, 3));
	say_poll(a, "next", 5000);
	say_poll(a, "next", 5000);
	say_ask(a, "seek to the beginning", seek(1, LOG_BEGIN));
	say_poll(a, "next", 5000);
	say_ask(a, "seek to 0", seek(1, 0));
	say_poll(a, "next", 5000);
	say_ask(a, "seek to the end", seek(1, 10));
	say_poll(a, "next", 700);
	say_ask(a, "seek past the end", seek(1, 12));
	say_poll(a, "next", 1500);
	say_ask(a, "seek into another topic",
		(struct order){ .what = DO_SEEK, .topic = TOPIC_LIVE, .partition = 1 });
	/* aborted ones and markers are stepped over */
	say_ask(a, "produce", produce(TOPIC_EVENTS, 1, "k", "aborted"));
	wait_high(a, TOPIC_EVENTS, 1, 11);
	say_ask(a, "abort", (struct order){ .what = DO_ABORT });
	wait_high(a, TOPIC_EVENTS, 1, 12);
	say_ask(a, "produce", produce(TOPIC_EVENTS, 1, "k", "committed"));
	say_ask(a, "commit", commit(-1, 0));
	wait_high(a, TOPIC_EVENTS, 1, 14);
	say_ask(a, "seek to the aborted", seek(1, 10));
	say_poll(a, "next", 5000);
	say_ask(a, "seek to the marker", seek(1, 11));
	say_poll(a, "next", 5000);
	say_ask(a, "seek to the last marker", seek(1, 13));
	say_poll(a, "next", 700);
	say_ask(a, "append", append(TOPIC_EVENTS, 1, "k", "new"));
	say_poll(a, "next", 5000);
}

void scenario_pause(void)
{
	int a = alone();

	for (int32_t p = 0; p < PARTS; p++)
		CHECK(ask(a, seek(p, 0)) == 0);
	say_poll(a, "next", 5000);
	say_ask(a, "pause", pause_it(1, true));
	say_poll(a, "nothing", 500);
	say_ask(a, "go on", pause_it(1, false));
	say_poll(a, "next", 5000);
	say_ask(a, "pause", pause_it(1, true));
	say_ask(a, "seek to 7", seek(1, 7));
	say_poll(a, "nothing", 500);
	say_ask(a, "go on", pause_it(1, false));
	say_poll(a, "next", 5000);
	say_ask(a, "seek to 5", seek(1, 5));
	say_ask(a, "pause", pause_it(1, true));
	say_poll(a, "nothing", 500);
	say_ask(a, "go on", pause_it(1, false));
	say_ask(a, "go on again", pause_it(1, false));
	say_poll(a, "next", 5000);
	say_ask(a, "of another topic",
		(struct order){ .what = DO_PAUSE, .topic = TOPIC_LIVE, .partition = 1 });
	say_ask(a, "another one goes on", pause_it(2, false));
	say_ask(a, "pause", pause_it(1, true));
	say_poll(a, "next", 5000);
	say_poll(a, "next", 5000);
}

void scenario_lag(void)
{
	int a = new_player(), b = new_player();

	join(a, "a", false);
	say_lag(a, "before it has joined", 1);
	settle_one(a, PARTS);
	drain(a);
	say_end_lag(a, "empty", 1);
	append_events(b, 40);
	for (int32_t p = 0; p < PARTS; p++)
		CHECK(ask(a, pause_it(p, p != 1)) == 0);
	drain(a);
	say_lag(a, "read to the end", 1);
	say_ask(a, "seek", seek(1, 4));
	say_lag(a, "unheard", 1);
	say_poll(a, "next", 5000);
	say_lag(a, "of the last", 1);
	drain(a);
	say_ask(b, "nobody's",
		(struct order){
		    .what = DO_FOREIGN_TXN, .topic = TOPIC_EVENTS, .partition = 1, .ms = 4000 });
	say_ask(b, "append behind", append(TOPIC_EVENTS, 1, "k", "behind"));
	drain(a);
	say_lag(a, "what is hidden counts", 1);
	say_poll(a, "after the time-out", 20000);
	drain(a);
	wait_high(b, TOPIC_EVENTS, 1, 13);
	drain(a);
	say_lag(a, "markers are read too", 1);
	say_lag(a, "of another topic", 9);
}

/* Until where a partition is read. */
void scenario_end(void)
{
	int a = new_player();

	for (int i = 0; i < 3; i++)
		CHECK(ask(a, append(TOPIC_CALLS, 0, "k", i == 0 ? "0" : i == 1 ? "1" : "2")) == 0);
	say_all(a, "empty", TOPIC_CALLS, 1);
	say_read(a, "until 0", TOPIC_CALLS, 0, LOG_BEGIN, 0, 0);
	say_read(a, "from the end", TOPIC_CALLS, 0, 3, 3, 0);
	say_read(a, "until 2", TOPIC_CALLS, 0, LOG_BEGIN, 2, 10000);
	say_read(a, "from 1", TOPIC_CALLS, 0, 1, 3, 10000);
	say_read(a, "from past the end", TOPIC_CALLS, 0, 7, 9, 1000);
	say_read(a, "until what has not come", TOPIC_CALLS, 0, 1, 5, 1000);
	join(a, "a", false);
	while (poll_once(a, 50) < 0)
		;
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "aborted"));
	wait_high(a, TOPIC_CALLS, 0, 4);
	say_ask(a, "abort", (struct order){ .what = DO_ABORT });
	wait_high(a, TOPIC_CALLS, 0, 5);
	say_read(a, "behind markers", TOPIC_CALLS, 0, 1, 5, 10000);
	say_read(a, "from a marker", TOPIC_CALLS, 0, 4, 5, 10000);
	say_ask(a, "stopped by the reader",
		(struct order){ .what = DO_READ,
				.topic = TOPIC_CALLS,
				.from = LOG_BEGIN,
				.until = LOG_END,
				.ms = 10000,
				.id = "stop" });
	say_ask(a, "failed by the reader",
		(struct order){ .what = DO_READ,
				.topic = TOPIC_CALLS,
				.from = LOG_BEGIN,
				.until = LOG_END,
				.ms = 10000,
				.id = "fail" });
	say_ask(a, "watermark of a partition that is not",
		(struct order){ .what = DO_HIGH, .topic = TOPIC_CALLS, .partition = 9, .ms = 700 });
	CHECK(ask(a, (struct order){ .what = DO_LOW, .topic = TOPIC_CALLS, .ms = 10000 }) == 0);
	say("low watermark: %lld", (long long)answer.v);
	say_ask(a, "one that is not",
		(struct order){ .what = DO_READ,
				.topic = TOPIC_CALLS,
				.partition = 9,
				.from = LOG_BEGIN,
				.until = 1,
				.ms = 700 });
}

/* The broker does it when it does: until a read has so many. */
static void compact_until(int player, int64_t want)
{
	int64_t until_ms = house->now_ms() + 40000;
	int64_t n;

	do {
		CHECK(house->now_ms() < until_ms);
		house->compact(TOPIC_STATE);
		CHECK(ask(player, (struct order){ .what = DO_READ,
						  .topic = TOPIC_STATE,
						  .partition = 2,
						  .from = LOG_BEGIN,
						  .until = LOG_END,
						  .ms = 30000 }) == 0);
		n = answer.v;
		house->rest(100);
	} while (n > want);
	say("state: %s", answer.text);
}

void scenario_compaction(void)
{
	int a = house->player();

	CHECK(ask(a, (struct order){ .what = DO_SETUP, .flag = true }) == 0);
	join(a, "a", false);
	while (poll_once(a, 50) < 0)
		;
	CHECK(ask(a, produce(TOPIC_STATE, 2, "a", "1")) == 0);
	CHECK(ask(a, produce(TOPIC_STATE, 2, "b", "1")) == 0);
	CHECK(ask(a, produce(TOPIC_STATE, 2, "c", "1")) == 0);
	say_ask(a, "commit", commit(-1, 0));
	wait_high(a, TOPIC_STATE, 2, 4);
	CHECK(ask(a, produce(TOPIC_STATE, 2, "b", "aborted")) == 0);
	wait_high(a, TOPIC_STATE, 2, 5);
	say_ask(a, "abort", (struct order){ .what = DO_ABORT });
	wait_high(a, TOPIC_STATE, 2, 6);
	CHECK(ask(a, produce(TOPIC_STATE, 2, "a", "2")) == 0);
	CHECK(ask(a, produce(TOPIC_STATE, 2, "c", NULL)) == 0);
	say_ask(a, "commit", commit(-1, 0));
	wait_high(a, TOPIC_STATE, 2, 9);
	house->rest(400);
	say_ask(a, "a new segment begins", append(TOPIC_STATE, 2, "a", "3"));
	compact_until(a, 4);
	say_read(a, "from a hole", TOPIC_STATE, 2, 3, LOG_END, 10000);
	house->rest(1500);
	say_ask(a, "a new segment begins", append(TOPIC_STATE, 2, "d", "1"));
	house->rest(400);
	say_ask(a, "a new segment begins", append(TOPIC_STATE, 2, "e", "1"));
	compact_until(a, 4);
}

void scenario_time(void)
{
	int a = new_player();
	int64_t from_ms;

	for (int i = 0; i < 4; i++) {
		CHECK(ask(a, append(TOPIC_EVENTS, i, "k", "early")) == 0);
		CHECK(ask(a, append(TOPIC_DEAD, i, "k", "early")) == 0);
	}
	CHECK(ask(a, (struct order){ .what = DO_READER, .from = LOG_BEGIN, .flag = true }) == 2);
	say("all of two topics: %lld, %s", (long long)answer.v, answer.text);
	CHECK(ask(a, (struct order){ .what = DO_READER, .from = LOG_END }) == 2);
	say("only what is new: %lld, %s", (long long)answer.v, answer.text);
	from_ms = 1; /* long ago */
	CHECK(ask(a, (struct order){ .what = DO_READER, .from = from_ms }) == 2);
	say("from long ago: %lld, %s", (long long)answer.v, answer.text);
	from_ms = INT64_C(4102444800000); /* not yet */
	CHECK(ask(a, (struct order){ .what = DO_READER, .from = from_ms }) == 2);
	say("from a time to come: %lld, %s", (long long)answer.v, answer.text);
}

/* Absent, empty, and what becomes of them. */
void scenario_null(void)
{
	int a = new_player();

	join(a, "a", false);
	while (poll_once(a, 50) < 0)
		;
	say_ask(a, "empty value", append(TOPIC_CALLS, 0, "k", ""));
	say_ask(a, "no value", append(TOPIC_CALLS, 0, "k", NULL));
	say_ask(a, "empty key", append(TOPIC_CALLS, 0, "", "v"));
	say_ask(a, "no key into a compacted topic", append(TOPIC_STATE, 0, "", "v"));
	say_ask(a, "produce empty", produce(TOPIC_CALLS, 0, "k", ""));
	say_ask(a, "produce a tombstone", produce(TOPIC_CALLS, 0, "k", NULL));
	say_ask(a, "commit", commit(-1, 0));
	wait_high(a, TOPIC_CALLS, 0, 6);
	say_all(a, "calls", TOPIC_CALLS, 0);
	say_all(a, "state", TOPIC_STATE, 0);
}

void scenario_keys(void)
{
	int a = new_player();
	char text[64];

	for (int i = 0; i < 24; i++) {
		int64_t before[PARTS];
		int n = snprintf(text, sizeof(text), "%.*s", i % 13 + 1, "key-of-a-call") + i * 0;

		snprintf(text + n, sizeof(text) - (size_t)n, "%d", i);
		for (int32_t p = 0; p < PARTS; p++)
			before[p] = high(a, TOPIC_TASKS, p);
		CHECK(ask(a, append(TOPIC_TASKS, LOG_ANY_PARTITION, text, "v")) == 0);
		for (int32_t p = 0; p < PARTS; p++) {
			if (high(a, TOPIC_TASKS, p) > before[p])
				say("%s lies in %d", text, (int)p);
		}
	}
}

static struct order sized(struct order o, size_t bytes)
{
	o.bytes = bytes;
	return o;
}

void scenario_size(void)
{
	static const struct {
		enum topic topic;
		size_t bytes;
	} rows[] = {
		{ TOPIC_EVENTS, (4u << 20) - 1025 },
		{ TOPIC_EVENTS, (4u << 20) - 1024 },
		{ TOPIC_LIVE, 900000 },
		{ TOPIC_LIVE, 1500000 },
		{ TOPIC_DELIVERIES, 3000000 },
		{ TOPIC_STATE, 3000000 },
	};
	int a = new_player();

	join(a, "a", false);
	while (poll_once(a, 50) < 0)
		;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		say("%zu bytes into %s", rows[i].bytes, topic_text(rows[i].topic));
		say_ask(a, "append", sized(append(rows[i].topic, 0, "k", "v"), rows[i].bytes));
		say_ask(a, "produce", sized(produce(rows[i].topic, 0, "k", "v"), rows[i].bytes));
		say_ask(a, "commit", commit(-1, 0));
		say_ask(a, "open", (struct order){ .what = DO_OPEN });
	}
	say_ask(a, "produce", produce(TOPIC_LIVE, 1, "k", "small again"));
	say_ask(a, "commit", commit(-1, 0));
	say_all(a, "live", TOPIC_LIVE, 1);
}
