/*
 * log_scenarios_group.c - members that come, leave, die, sleep
 */
#include "log_scenarios.h"

#include <errno.h>

static const struct order is_open = { .what = DO_OPEN };
static const struct order leave = { .what = DO_LEAVE };

/* Stopped with a transaction open until another has its partitions. */
void scenario_zombie(void)
{
	int a = new_player(), b = new_player();

	append_events(a, 40);
	join(a, "a", false);
	settle_one(a, PARTS);
	say_hooks(a, "the zombie");
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "zombie"));
	wait_high(b, TOPIC_CALLS, 0, 1);
	house->stop(a, true);
	join(b, "b", false);
	settle_one(b, PARTS);
	say_hooks(b, "the heir");
	say_ask(b, "produce of the heir", produce(TOPIC_CALLS, 0, "k", "heir"));
	say_ask(b, "commit of the heir", commit(0, 3));
	say_all(b, "after the time-out", TOPIC_CALLS, 0);
	house->stop(a, false);
	say_ask(a, "commit of the zombie", commit(0, 1));
	say_ask(a, "open", is_open);
	say_poll(a, "poll of the zombie", 200);
	say_all(b, "calls", TOPIC_CALLS, 0);
	say_ask(a, "leave", leave);
}

/* Stopped without one; it wakes and goes on where it was. */
void scenario_zombie_idle(void)
{
	int a = new_player(), b = new_player(), both[2] = { a, b };

	append_events(a, 40);
	join(a, "a", false);
	settle_one(a, PARTS);
	house->stop(a, true);
	join(b, "b", false);
	settle_one(b, PARTS);
	say_ask(b, "commit of the heir", commit(0, 3));
	house->stop(a, false);
	say_ask(a, "produce of the zombie", produce(TOPIC_CALLS, 0, "k", "zombie"));
	wait_high(b, TOPIC_CALLS, 0, 1);
	say_ask(a, "commit of the zombie", commit(0, 1));
	say_ask(a, "open", is_open);
	settle(both, (int[]){ 2, 2 }, 2);
	say_hooks(a, "the zombie");
	say_hooks(b, "the heir");
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "member again"));
	say_ask(a, "commit", commit(-1, 0));
	say_all(b, "calls", TOPIC_CALLS, 0);
	say_ask(a, "leave", leave);
	say_ask(b, "leave", leave);
}

/* A second one comes and leaves, a third comes and dies. */
void scenario_members(void)
{
	int a = new_player(), b = new_player(), c = new_player();
	int ab[2] = { a, b }, ac[2] = { a, c };

	join(a, "a", false);
	settle_one(a, PARTS);
	say_hooks(a, "a");
	join(b, "b", false);
	settle(ab, (int[]){ 2, 2 }, 2);
	say_hooks(a, "a");
	say_hooks(b, "b");
	say_ask(b, "b leaves", leave);
	say("hooks of it: %s", answer.hooks);
	settle_one(a, PARTS);
	say_hooks(a, "a");
	join(c, "c", false);
	settle(ac, (int[]){ 2, 2 }, 2);
	say_hooks(a, "a");
	say_hooks(c, "c");
	house->kill(c);
	settle_one(a, PARTS);
	say_hooks(a, "a");
	say_ask(a, "a leaves", leave);
	say("hooks of it: %s", answer.hooks);
}

/* What a hook commits, and what it leaves open. */
void scenario_open_at_rebalance(void)
{
	int a = new_player(), b = new_player(), both[2] = { a, b };
	int64_t until_ms;
	int r = 0;

	append_events(a, 40);
	join(a, "a", false);
	settle_one(a, PARTS);
	say_hooks(a, "a");
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "1"));
	join(b, "b", false);
	settle(both, (int[]){ 2, 2 }, 2);
	say_hooks(a, "a");
	say_ask(a, "open", is_open);
	say_all(a, "it was committed", TOPIC_CALLS, 0);
	/* partitions come while one is open */
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "2"));
	say_ask(b, "leave", leave);
	settle_one(a, PARTS);
	say_hooks(a, "a");
	say_all(a, "it was committed", TOPIC_CALLS, 0);
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "3"));
	say_ask(a, "leave", leave);
	say("hooks of it: %s", answer.hooks);
	say_all(a, "and that", TOPIC_CALLS, 0);
	/* left open */
	join(a, "a", true);
	settle_one(a, PARTS);
	say_hooks(a, "a");
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "4"));
	join(b, "b", false);
	until_ms = house->now_ms() + 30000;
	while (r >= 0 && house->now_ms() < until_ms) {
		poll_once(b, 30);
		r = poll_once(a, 30);
	}
	say("poll after what was left open: %s", r == -ECANCELED ? "ECANCELED" : "?");
	say_ask(a, "open", is_open);
	settle(both, (int[]){ 2, 2 }, 2);
	say_hooks(a, "a");
	say_all(a, "aborted", TOPIC_CALLS, 0);
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "5"));
	say_ask(a, "leave", leave);
	say("hooks of it: %s", answer.hooks);
	say_all(b, "aborted too", TOPIC_CALLS, 0);
}

/* One of two members does not poll while the group is joined anew. */
void scenario_generation(void)
{
	int a = new_player(), b = new_player(), both[2] = { a, b };

	append_events(a, 40);
	join(a, "a", false);
	settle_one(a, PARTS);
	join(b, "b", false);
	/* a is not polled; in the background it joins again */
	for (int i = 0; i < 60; i++)
		poll_once(b, 50);
	say("b has %d", owned(b));
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "1"));
	say_ask(a, "commit of an offset", commit(0, 5));
	settle(both, (int[]){ 2, 2 }, 2);
	say_hooks(a, "a");
	say_hooks(b, "b");
	say_ask(b, "offset of a partition that may be another's", commit(0, 6));
	say_ask(a, "and from there", commit(0, 7));
	say_all(a, "calls", TOPIC_CALLS, 0);
}

/* More members than partitions. */
void scenario_crowd(void)
{
	static const char *const ids[] = { "a", "b", "c", "d", "e" };
	int p[PARTS + 1], least = PARTS + 1, most = 0, idle = 0, n = 0;

	for (int i = 0; i < PARTS; i++) {
		p[i] = new_player();
		join(p[i], ids[i], false);
	}
	settle(p, (int[]){ 1, 1, 1, 1 }, PARTS);
	p[PARTS] = new_player();
	join(p[PARTS], ids[PARTS], false);
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i <= PARTS; i++)
			CHECK(poll_once(p[i], 20) >= -EAGAIN);
	}
	for (int i = 0; i <= PARTS; i++) {
		n = owned(p[i]);
		least = n < least ? n : least;
		most = n > most ? n : most;
		idle += n == 0;
	}
	say("least %d, most %d, idle %d", least, most, idle);
	say_hooks(p[PARTS], "the idle one");
	say_ask(p[0], "one leaves", leave);
	settle(p + 1, (int[]){ 1, 1, 1, 1 }, PARTS);
	say_hooks(p[PARTS], "the idle one");
}

/* A dead member comes again under its id. */
void scenario_restart(void)
{
	int a = new_player(), b = new_player(), again = new_player(), both[2] = { a, b };
	int64_t began_ms;

	append_events(b, 40);
	join(a, "a", false);
	join(b, "b", false);
	settle(both, (int[]){ 2, 2 }, 2);
	say_ask(b, "committed", commit(-1, 0));
	house->kill(a);
	join(again, "a", false);
	began_ms = house->now_ms();
	settle_one(again, 2); /* b is not polled */
	say("it has its place %s", house->now_ms() - began_ms < 2500 ? "at once" : "late");
	for (int i = 0; i < 20; i++)
		poll_once(b, 50);
	say("b has %d", owned(b));
	say_hooks(again, "a again");
	say_ask(again, "produce", produce(TOPIC_CALLS, 0, "k", "1"));
	say_ask(again, "commit with an offset", commit(0, 1));
	wait_high(b, TOPIC_CALLS, 0, 2);
	say_ask(b, "produce of b", produce(TOPIC_CALLS, 0, "k", "2"));
	say_ask(b, "commit with an offset", commit(1, 1));
	say_all(b, "calls", TOPIC_CALLS, 0);
	say_ask(again, "leave", leave);
	settle_one(b, PARTS);
	say_ask(b, "leave", leave);
}

/* It dies when it has been told to give some up, and comes again before its session is over. */
void scenario_restart_while_moving(void)
{
	int a = new_player(), b = new_player(), again = new_player();

	join(a, "a", false);
	settle_one(a, PARTS);
	join(b, "b", false);
	for (int i = 0; i < 40; i++)
		poll_once(b, 50);
	house->kill(a);
	join(again, "a", false);
	for (int i = 0; i < 200; i++) {
		poll_once(b, 20);
		poll_once(again, 20);
	}
	say("a has %d", owned(again));
	say("b has %d", owned(b));
}

/* Two at once under one id. */
void scenario_same_name(void)
{
	int a = new_player(), b = new_player();

	join(a, "same", false);
	settle_one(a, PARTS);
	say_hooks(a, "a");
	join(b, "same", false);
	settle_one(b, PARTS);
	say_hooks(b, "b");
	say_poll(a, "poll of the first", 5000);
	say_hooks(a, "a");
	say_ask(a, "leave", leave);
	say("hooks of it: %s", answer.hooks);
	say_poll(b, "poll of the second", 300);
	say("b has %d", owned(b));
	say_ask(b, "leave", leave);
	say("hooks of it: %s", answer.hooks);
}

/* The broker answers nobody for less than a session. */
void scenario_away(void)
{
	static const enum topic topics[] = { TOPIC_EVENTS, TOPIC_DEAD };
	int a = new_player(), b = new_player();
	int64_t began_ms;

	append_events(b, 4);
	join(a, "a", false);
	settle_one(a, PARTS);
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "1"));
	house->away(2000);
	say_ask(b, "high watermark", (struct order){ .what = DO_HIGH, .ms = 300 });
	say_ask(a, "committed", (struct order){ .what = DO_COMMITTED, .ms = 300 });
	say_read(b, "read", TOPIC_EVENTS, 1, LOG_BEGIN, 1, 300);
	say_ask(a, "produce", produce(TOPIC_CALLS, 0, "k", "2"));
	say_ask(a, "commit waits", commit(0, 1));
	say_all(b, "calls", TOPIC_CALLS, 0);
	say_hooks(a, "a");
	for (int i = 0; i < 2; i++) {
		house->away(1500);
		CHECK(ask(b, append(topics[i], 2, "k", "late")) == 0);
		began_ms = answer.at_ms;
		say_all(b, "append waits", topics[i], 2);
		say("time of %s: the %s's", topic_text(topics[i]),
		    answer.at_ms - began_ms > 1000 ? "broker" : "sender");
	}
	settle_one(a, PARTS);
	say_hooks(a, "a");
	say_ask(a, "leave", leave);
}
