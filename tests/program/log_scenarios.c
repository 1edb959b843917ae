/*
 * log_scenarios.c - what a log does, told line by line: log_scenarios kafka|mem SCENARIO [RUN]
 *
 * The same scenario is run over a real broker (CALLSTREAM_BROKERS) and over the cluster in memory;
 * the lines must be equal. So a line says only what is certain: nothing of times, and of what two
 * members share only how much each has.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>

#include "base/slog.h"
#include "log_scenarios.h"

const struct house *house;
struct answer answer;

/* ---- saying ---- */

static const char *code(int r)
{
	static char text[4][24];
	static unsigned at;
	static const struct {
		int r;
		const char *name;
	} names[] = {
		{ -EAGAIN, "EAGAIN" },     { -ECANCELED, "ECANCELED" }, { -EPIPE, "EPIPE" },
		{ -EMSGSIZE, "EMSGSIZE" }, { -EINVAL, "EINVAL" },       { -ENOMSG, "ENOMSG" },
		{ -EBUSY, "EBUSY" },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].r == r)
			return names[i].name;
	}
	at = (at + 1) % ARRAY_LEN(text);
	snprintf(text[at], sizeof(text[at]), "%d", r);
	return text[at];
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* ---- orders ---- */

int ask(int player, struct order o)
{
	house->order(player, &o, &answer);
	return answer.r;
}

void say_ask(int player, const char *text, struct order o)
{
	int r = ask(player, o);

	say("%s: %s", text, code(r));
}

int new_player(void)
{
	int p = house->player();

	CHECK(ask(p, (struct order){ .what = DO_SETUP }) == 0);
	return p;
}

void join(int player, const char *id, bool leaves_open)
{
	struct order o = { .what = DO_JOIN, .flag = leaves_open };

	snprintf(o.id, sizeof(o.id), "%s", id);
	CHECK(ask(player, o) == 0);
}

struct order produce(enum topic topic, int32_t partition, const char *key, const char *value)
{
	struct order o = { .what = DO_PRODUCE, .topic = topic, .partition = partition };

	snprintf(o.key, sizeof(o.key), "%s", key);
	snprintf(o.value, sizeof(o.value), "%s", value ? value : "");
	o.flag = !value;
	return o;
}

struct order append(enum topic topic, int32_t partition, const char *key, const char *value)
{
	struct order o = produce(topic, partition, key, value);

	o.what = DO_APPEND;
	return o;
}

struct order commit(int32_t partition, int64_t offset)
{
	struct order o = { .what = DO_COMMIT };

	if (partition >= 0) {
		o.list[0] = (struct log_part){ TOPIC_EVENTS, partition, offset };
		o.list_n = 1;
	}
	return o;
}

void append_events(int player, int n)
{
	char text[16];

	for (int i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%d", i / PARTS);
		CHECK(ask(player, append(TOPIC_EVENTS, i % PARTS, "k", text)) == 0);
	}
}

int64_t high(int player, enum topic topic, int32_t partition)
{
	CHECK(ask(player,
		  (struct order){
		      .what = DO_HIGH, .topic = topic, .partition = partition, .ms = 10000 }) == 0);
	return answer.v;
}

/* What was sent has arrived, and markers too. */
void wait_high(int player, enum topic topic, int32_t partition, int64_t want)
{
	int64_t until_ms = house->now_ms() + 40000;
	int64_t have;

	while ((have = high(player, topic, partition)) < want) {
		CHECK(house->now_ms() < until_ms);
		house->rest(10);
	}
	say("high watermark of %s: %lld", topic_text(topic), (long long)have);
}

void say_read(int player, const char *text, enum topic topic, int32_t partition, int64_t from,
	      int64_t until, int ms)
{
	int r = ask(player, (struct order){ .what = DO_READ,
					    .topic = topic,
					    .partition = partition,
					    .from = from,
					    .until = until,
					    .ms = ms });

	say("%s: %s %s", text, code(r), answer.text);
}

void say_all(int player, const char *text, enum topic topic, int32_t partition)
{
	say_read(player, text, topic, partition, LOG_BEGIN, LOG_END, 30000);
}

/* ---- polling ---- */

static char hooks_of[PLAYERS_MAX][400];

int poll_once(int player, int ms)
{
	size_t n = strlen(hooks_of[player]);
	int r = ask(player, (struct order){ .what = DO_POLL, .ms = ms });

	snprintf(hooks_of[player] + n, sizeof(hooks_of[player]) - n, "%s", answer.hooks);
	return r;
}

/* Whether who has nothing is told so before it gets something is a matter of ms. */
void say_hooks(int player, const char *name)
{
	bool first = strncmp(hooks_of[player], "a0 a", 4) == 0;

	say("hooks of %s: %s", name, hooks_of[player] + (first ? 3 : 0));
	hooks_of[player][0] = '\0';
}

int owned(int player)
{
	CHECK(ask(player, (struct order){ .what = DO_OWNED }) == 0);
	return (int)answer.v;
}

/* Everybody is polled in turn until each has as many partitions as it should; -1: whoever. Messages
 * that come are dropped. */
void settle(const int *players, const int *wants, size_t n)
{
	int64_t until_ms = house->now_ms() + 60000;
	bool all = false;

	while (!all) {
		all = true;
		for (size_t i = 0; i < n; i++) {
			int r = poll_once(players[i], 30);

			CHECK(r >= 0 || r == -EAGAIN);
			all = all && owned(players[i]) == wants[i];
		}
		CHECK(house->now_ms() < until_ms);
	}
	/* What the group still tells everybody about it. */
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < n; i++)
			CHECK(poll_once(players[i], 50) >= 0);
	}
}

void settle_one(int player, int want)
{
	settle(&player, &want, 1);
}

/* The next message, or a verdict. */
void say_poll(int player, const char *text, int ms)
{
	int64_t until_ms = house->now_ms() + ms;
	int r;

	do
		r = poll_once(player, 50);
	while ((r == 0 || r == -EAGAIN) && house->now_ms() < until_ms);
	if (r == 1)
		say("%s: %d@%lld=%s", text, (int)answer.got.partition, (long long)answer.got.offset,
		    answer.text);
	else
		say("%s: %s", text, r == -EAGAIN ? "0" : code(r));
}

/* ---- which ---- */

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{ "view", scenario_view },
	{ "abandoned", scenario_abandoned },
	{ "pending", scenario_pending },
	{ "committed", scenario_committed },
	{ "fence-open", scenario_fence_open },
	{ "fence-idle", scenario_fence_idle },
	{ "timed-out", scenario_timed_out },
	{ "zombie", scenario_zombie },
	{ "zombie-idle", scenario_zombie_idle },
	{ "members", scenario_members },
	{ "open-at-rebalance", scenario_open_at_rebalance },
	{ "generation", scenario_generation },
	{ "crowd", scenario_crowd },
	{ "restart", scenario_restart },
	{ "restart-while-moving", scenario_restart_while_moving },
	{ "same-name", scenario_same_name },
	{ "away", scenario_away },
	{ "seek", scenario_seek },
	{ "pause", scenario_pause },
	{ "lag", scenario_lag },
	{ "end", scenario_end },
	{ "compaction", scenario_compaction },
	{ "time", scenario_time },
	{ "null", scenario_null },
	{ "keys", scenario_keys },
	{ "size", scenario_size },
};

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	slog_setup(false, SLOG_ERROR);
	if (argc == 2 && strcmp(argv[1], "list") == 0) {
		for (size_t i = 0; i < ARRAY_LEN(scenarios); i++)
			puts(scenarios[i].name);
		return 0;
	}
	for (size_t i = 0; argc >= 3 && i < ARRAY_LEN(scenarios); i++) {
		if (strcmp(argv[2], scenarios[i].name) != 0)
			continue;
		house = strcmp(argv[1], "kafka") == 0 ? &house_kafka : &house_mem;
		snprintf(log_prefix, sizeof(log_prefix), "scenario-%s-%s.", scenarios[i].name,
			 argc > 3 ? argv[3] : "0");
		house->begin();
		scenarios[i].run();
		house->end();
		return 0;
	}
	fputs("usage: log_scenarios list | kafka SCENARIO [RUN] | mem SCENARIO\n", stderr);
	return 2;
}
