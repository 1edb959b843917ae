/*
 * log_house_mem.c - players as process numbers of a cluster in memory, in virtual time
 */
#include "log/mem/memlog.h"
#include "log_player.h"

static struct memlog *cluster;
static int64_t ms = 1000;
static uint64_t seed;
static struct player players[PLAYERS_MAX];
static int players_n;

static int64_t now_ms(void)
{
	return ms;
}

static int64_t wall_ms(void)
{
	return 1700000000000 + ms;
}

static int64_t env_mono(void *arg)
{
	(void)arg;
	return ms;
}

static int64_t env_wall(void *arg)
{
	(void)arg;
	return wall_ms();
}

static void env_sleep(void *arg, int64_t for_ms)
{
	(void)arg;
	ms += for_ms;
}

static uint64_t env_random(void *arg)
{
	(void)arg;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 3;
}

static void *env_realloc(void *arg, void *p, size_t n)
{
	(void)arg;
	if (n)
		return realloc(p, n);
	free(p);
	return NULL;
}

static void begin(void)
{
	const struct memlog_env env = { .mono_ms = env_mono,
					.wall_ms = env_wall,
					.sleep_ms = env_sleep,
					.random = env_random,
					.realloc = env_realloc };
	const char *text = getenv("MEM_SEED");
	struct memlog_settings settings;

	seed = text ? strtoull(text, NULL, 10) * 2 + 1 : 1;
	memlog_settings_default(&settings);
	settings.session_ms = SESSION_MS;
	settings.segment_ms[TOPIC_STATE] = 300;
	settings.tombstone_ms = 1000;
	CHECK(memlog_new(&env, &settings, &cluster) == 0);
	players_n = 0;
}

/* Only the cluster; players are where their processes end. */
static void end(void)
{
	memlog_free(cluster);
}

static int player(void)
{
	struct player *p = &players[players_n];

	CHECK(players_n < PLAYERS_MAX);
	*p = (struct player){ .now_ms = now_ms, .wall_ms = wall_ms };
	CHECK(memlog_client(cluster, &log_cfg, (uint64_t)++players_n, &p->log) == 0);
	return players_n - 1;
}

static void order(int number, const struct order *o, struct answer *ret)
{
	*ret = (struct answer){ .r = 0 };
	switch (o->what) {
	case DO_FOREIGN_TXN:
		ret->r = memlog_open_foreign_txn(cluster, o->topic, o->partition, o->ms);
		break;
	case DO_FOREIGN_OFFSET:
		ret->r = memlog_open_foreign_offset(cluster, "correlate", o->topic, o->partition,
						    o->from, o->ms);
		break;
	default:
		player_do(&players[number], o, ret);
	}
}

static void kill_player(int number)
{
	memlog_process_dies(cluster, (uint64_t)number + 1);
}

static void stop_player(int number, bool stopped)
{
	memlog_process_stops(cluster, (uint64_t)number + 1, stopped);
}

static void rest(int64_t for_ms)
{
	for (; for_ms > 0; for_ms--) {
		ms++;
		memlog_run(cluster);
	}
}

static void compact(enum topic topic)
{
	CHECK(memlog_compact(cluster, topic) == 0);
}

static void away(int64_t for_ms)
{
	memlog_broker_away(cluster, for_ms);
}

const struct house house_mem = {
	"mem", begin, end, player, order, kill_player, stop_player, now_ms, rest, compact, away,
};
