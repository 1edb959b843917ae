/*
 * log_scenarios_txn.c - transactions: what is seen of them, offsets in them, who may end them
 */
#include "log_scenarios.h"

static const struct order abort_it = { .what = DO_ABORT };
static const struct order is_open = { .what = DO_OPEN };

static struct order committed(int32_t partition, int ms)
{
	return (struct order){
		.what = DO_COMMITTED, .topic = TOPIC_EVENTS, .partition = partition, .ms = ms
	};
}

static void say_committed(int player, const char *text, int32_t partition, int ms)
{
	int r = ask(player, committed(partition, ms));

	if (r == 0)
		say("%s: %lld", text, (long long)answer.v);
	else
		say_ask(player, text, committed(partition, 100));
}

static struct order foreign_txn(enum topic topic, int32_t partition, int ms)
{
	return (struct order){
		.what = DO_FOREIGN_TXN, .topic = topic, .partition = partition, .ms = ms
	};
}

static struct order foreign_offset(int32_t partition, int64_t offset, int ms)
{
	return (struct order){ .what = DO_FOREIGN_OFFSET,
			       .topic = TOPIC_EVENTS,
			       .partition = partition,
			       .from = offset,
			       .ms = ms };
}

/* Committed, aborted, open, committed behind the open one. */
void scenario_view(void)
{
	int a = new_player(), b = new_player();

	join(a, "a", false);
	settle_one(a, PARTS);
	join(b, "b", false);
	while (poll_once(b, 50) < 0)
		;
	say_ask(a, "commit of nothing", commit(-1, 0));
	say_ask(a, "produce", produce(TOPIC_STATE, 1, "k", "1"));
	say_ask(a, "open", is_open);
	say_ask(a, "produce", produce(TOPIC_STATE, 1, "k", "2"));
	wait_high(a, TOPIC_STATE, 1, 2);
	say_read(b, "open is not seen", TOPIC_STATE, 1, LOG_BEGIN, LOG_END, 700);
	say_ask(a, "commit", commit(-1, 0));
	say_ask(a, "open", is_open);
	wait_high(a, TOPIC_STATE, 1, 3);
	say_all(b, "committed is seen", TOPIC_STATE, 1);
	say_ask(a, "produce", produce(TOPIC_STATE, 1, "k", "3"));
	wait_high(a, TOPIC_STATE, 1, 4);
	say_ask(a, "abort", abort_it);
	say_ask(a, "abort again", abort_it);
	say_ask(a, "commit after abort", commit(-1, 0));
	wait_high(a, TOPIC_STATE, 1, 5);
	say_all(b, "aborted is not seen", TOPIC_STATE, 1);
	say_ask(b, "produce of b", produce(TOPIC_STATE, 1, "k", "4"));
	wait_high(a, TOPIC_STATE, 1, 6);
	say_ask(a, "produce of a", produce(TOPIC_STATE, 1, "k", NULL));
	say_ask(a, "commit of a", commit(-1, 0));
	wait_high(a, TOPIC_STATE, 1, 8);
	say_read(b, "behind an open one nothing is seen", TOPIC_STATE, 1, LOG_BEGIN, LOG_END, 700);
	say_ask(a, "outside of transactions", append(TOPIC_STATE, 1, "k", "5"));
	say_read(b, "and that neither", TOPIC_STATE, 1, LOG_BEGIN, LOG_END, 700);
	say_ask(b, "abort of b", abort_it);
	wait_high(a, TOPIC_STATE, 1, 10);
	say_all(b, "then all", TOPIC_STATE, 1);
	say_ask(b, "produce of b", produce(TOPIC_STATE, 1, "k", "6"));
	say_ask(a, "produce of a", produce(TOPIC_STATE, 1, "k", "7"));
	say_ask(b, "commit of b", commit(-1, 0));
	say_ask(a, "commit of a", commit(-1, 0));
	wait_high(a, TOPIC_STATE, 1, 14);
	say_ask(a, "leave", (struct order){ .what = DO_LEAVE });
	say_ask(b, "leave", (struct order){ .what = DO_LEAVE });
}

/* Its process is dead; a transaction of nobody's. */
void scenario_abandoned(void)
{
	int a = new_player(), b = new_player(), again;

	join(a, "a", false);
	settle_one(a, PARTS);
	say_ask(a, "produce", produce(TOPIC_STATE, 0, "k", "dead"));
	wait_high(b, TOPIC_STATE, 0, 1);
	house->kill(a);
	say_ask(b, "append behind", append(TOPIC_STATE, 0, "k", "behind"));
	say_read(b, "hidden", TOPIC_STATE, 0, LOG_BEGIN, LOG_END, 1000);
	say_all(b, "after its time-out", TOPIC_STATE, 0);
	wait_high(b, TOPIC_STATE, 0, 3);
	/* one with the same id ends it at once */
	again = new_player();
	join(again, "a", false);
	while (poll_once(again, 50) < 0)
		;
	say_ask(again, "produce", produce(TOPIC_STATE, 0, "k", "dead too"));
	wait_high(b, TOPIC_STATE, 0, 4);
	house->kill(again);
	say_read(b, "hidden", TOPIC_STATE, 0, LOG_BEGIN, LOG_END, 700);
	again = new_player();
	join(again, "a", false);
	while (poll_once(again, 50) < 0)
		;
	wait_high(b, TOPIC_STATE, 0, 5);
	say_read(b, "seen at once", TOPIC_STATE, 0, LOG_BEGIN, LOG_END, 3000);
	say_ask(b, "nobody's", foreign_txn(TOPIC_STATE, 3, 3000));
	say_ask(b, "append behind", append(TOPIC_STATE, 3, "k", "behind"));
	say_read(b, "hidden", TOPIC_STATE, 3, LOG_BEGIN, LOG_END, 700);
	say_all(b, "after its time-out", TOPIC_STATE, 3);
}

/* An offset in an open transaction is waited for, by a question and by who comes. */
void scenario_pending(void)
{
	int a = new_player(), b = new_player();

	append_events(b, 40);
	join(a, "a", false);
	settle_one(a, PARTS);
	say_ask(a, "commit", commit(2, 4));
	say_committed(a, "committed", 2, 10000);
	say_ask(a, "leave", (struct order){ .what = DO_LEAVE });
	say_ask(b, "nobody's", foreign_offset(2, 9, 5000));
	join(b, "b", false);
	say_committed(b, "of another partition", 1, 10000);
	say_committed(b, "within its time", 2, 700);
	settle_one(b, PARTS);
	say_hooks(b, "b");
	CHECK(ask(b, (struct order){ .what = DO_OWNED }) == 0);
	say("owned from: %s", answer.text);
	say_committed(b, "after its time-out", 2, 30000);
}

static struct order set_committed(int32_t partition, int64_t offset)
{
	return (struct order){ .what = DO_SET_COMMITTED,
			       .topic = TOPIC_EVENTS,
			       .partition = partition,
			       .from = offset,
			       .ms = 3000 };
}

/* Offsets and messages of a transaction come together or not at all. */
void scenario_committed(void)
{
	int a = new_player(), b = new_player();

	append_events(a, 40);
	join(a, "a", false);
	settle_one(a, PARTS);
	say_committed(a, "never committed", 1, 10000);
	say_ask(a, "produce", produce(TOPIC_CALLS, 1, "k", "1"));
	say_ask(a, "commit with an offset", commit(1, 5));
	say_committed(a, "committed", 1, 10000);
	say_ask(a, "offsets alone", commit(1, 6));
	say_committed(a, "committed", 1, 10000);
	say_ask(a, "back", commit(1, 2));
	say_committed(a, "committed", 1, 10000);
	wait_high(a, TOPIC_CALLS, 1, 2);
	say_ask(a, "produce", produce(TOPIC_CALLS, 1, "k", "2"));
	wait_high(a, TOPIC_CALLS, 1, 3);
	say_ask(a, "abort", abort_it);
	say_committed(a, "committed", 1, 10000);
	wait_high(a, TOPIC_CALLS, 1, 4);
	say_all(a, "calls", TOPIC_CALLS, 1);
	/* several partitions, and where the next one of the group begins */
	say_ask(a, "of two partitions",
		(struct order){ .what = DO_COMMIT,
				.list = { { TOPIC_EVENTS, 0, 3 }, { TOPIC_EVENTS, 1, 7 } },
				.list_n = 2 });
	say_ask(a, "leave", (struct order){ .what = DO_LEAVE });
	join(a, "b", false);
	say_ask(a, "commit before it has joined", commit(0, 9));
	say_ask(a, "set by hand", set_committed(3, 6));
	settle_one(a, PARTS);
	say_ask(a, "set by hand by a member", set_committed(3, 7));
	join(b, "c", false);
	say_ask(b, "set by hand while there are members", set_committed(3, 8));
	say_committed(b, "committed", 3, 10000);
	CHECK(ask(a, (struct order){ .what = DO_OWNED }) == 0);
	say("owned from: %s", answer.text);
	say_hooks(a, "a");
}

/* The second of an id while the first has a transaction open. */
void scenario_fence_open(void)
{
	int a = new_player(), b = new_player(), c = new_player();

	join(a, "same", false);
	settle_one(a, PARTS);
	say_ask(a, "produce", produce(TOPIC_STATE, 0, "k", "a"));
	wait_high(a, TOPIC_STATE, 0, 1);
	join(b, "same", false);
	while (poll_once(b, 50) < 0)
		;
	wait_high(a, TOPIC_STATE, 0, 2);
	say_ask(a, "commit of the first", commit(-1, 0));
	say_ask(a, "open", is_open);
	say_ask(a, "produce of the first", produce(TOPIC_STATE, 0, "k", "a"));
	say_ask(a, "abort of the first", abort_it);
	say_poll(a, "poll of the first", 200);
	say_ask(b, "produce of the second", produce(TOPIC_STATE, 0, "k", "b"));
	wait_high(a, TOPIC_STATE, 0, 3);
	join(c, "same", false);
	while (poll_once(c, 50) < 0)
		;
	wait_high(c, TOPIC_STATE, 0, 4);
	say_ask(b, "abort of the second", abort_it);
	say_ask(b, "open", is_open);
	say_ask(b, "produce of the second", produce(TOPIC_STATE, 0, "k", "b"));
	say_ask(c, "produce of the third", produce(TOPIC_STATE, 0, "k", "c"));
	say_ask(c, "commit of the third", commit(-1, 0));
	say_all(c, "state", TOPIC_STATE, 0);
	say_ask(a, "leave", (struct order){ .what = DO_LEAVE });
	say_ask(b, "leave", (struct order){ .what = DO_LEAVE });
}

/* The second of an id while the first has none open; and between produce and commit. */
void scenario_fence_idle(void)
{
	int a = new_player(), b = new_player(), c = new_player();

	join(a, "same", false);
	settle_one(a, PARTS);
	say_ask(a, "produce", produce(TOPIC_STATE, 0, "k", "a"));
	say_ask(a, "commit", commit(-1, 0));
	wait_high(a, TOPIC_STATE, 0, 2);
	join(b, "same", false);
	while (poll_once(b, 50) < 0)
		;
	say_ask(a, "commit of nothing", commit(-1, 0));
	say_ask(a, "produce of the first", produce(TOPIC_STATE, 0, "k", "late"));
	say_ask(a, "commit of the first", commit(-1, 0));
	say_ask(a, "open", is_open);
	say_ask(a, "produce again", produce(TOPIC_STATE, 0, "k", "late"));
	/* offsets alone */
	join(c, "same", false);
	while (poll_once(c, 50) < 0)
		;
	say_ask(b, "offsets alone of the second", commit(0, 1));
	say_ask(b, "produce of the second", produce(TOPIC_STATE, 0, "k", "late"));
	say_all(c, "state", TOPIC_STATE, 0);
	say_ask(a, "leave", (struct order){ .what = DO_LEAVE });
	say_ask(b, "leave", (struct order){ .what = DO_LEAVE });
}

/* A transaction that is older than its time: three ways to end it. */
void scenario_timed_out(void)
{
	static const char *const ids[] = { "commits", "aborts", "produces" };
	int p[3];

	for (int i = 0; i < 3; i++) {
		p[i] = new_player();
		join(p[i], ids[i], false);
		while (poll_once(p[i], 50) < 0)
			;
	}
	for (int i = 0; i < 3; i++) {
		say_ask(p[i], "produce", produce(TOPIC_STATE, i, "k", "v"));
		wait_high(p[i], TOPIC_STATE, i, 1);
	}
	for (int i = 0; i < 3; i++)
		wait_high(p[i], TOPIC_STATE, i, 2);
	say_ask(p[0], "commit", commit(-1, 0));
	say_ask(p[0], "open", is_open);
	say_ask(p[0], "produce", produce(TOPIC_STATE, 0, "k", "v"));
	say_ask(p[1], "abort", abort_it);
	say_ask(p[1], "open", is_open);
	say_ask(p[1], "produce", produce(TOPIC_STATE, 1, "k", "v"));
	say_ask(p[2], "produce", produce(TOPIC_STATE, 2, "k", "v"));
	say_ask(p[2], "commit", commit(-1, 0));
	say_ask(p[2], "open", is_open);
	say_ask(p[2], "produce", produce(TOPIC_STATE, 2, "k", "v"));
	for (int i = 0; i < 3; i++)
		say_all(p[0], "nothing of it", TOPIC_STATE, i);
}
