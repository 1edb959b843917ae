/*
 * house.h - a cluster in memory for tests: a clock that moves when somebody sleeps, chance by seed
 */
#ifndef CS_TEST_LOG_MEM_HOUSE_H
#define CS_TEST_LOG_MEM_HOUSE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "log/mem/memlog.h"

#define PARTS 4

struct house {
	int64_t ms;
	uint64_t seed;
	struct memlog *m;
	struct cfg cfg;
	const char *point; /* the next time at this point */
	jmp_buf *jump;     /* the process is dead */
};

static struct house house;

static inline int64_t house_mono(void *arg)
{
	(void)arg;
	return house.ms;
}

static inline int64_t house_wall(void *arg)
{
	(void)arg;
	return 1700000000000 + house.ms;
}

static inline void house_sleep(void *arg, int64_t ms)
{
	(void)arg;
	house.ms += ms;
}

static inline uint64_t house_random(void *arg)
{
	(void)arg;
	house.seed ^= house.seed << 13;
	house.seed ^= house.seed >> 7;
	house.seed ^= house.seed << 17;
	return house.seed * 0x2545f4914f6cdd1du >> 7;
}

static inline void house_point(void *arg, const char *name)
{
	(void)arg;
	if (!house.point || strcmp(house.point, name) != 0)
		return;
	house.point = NULL;
	longjmp(*house.jump, 1);
}

static inline void *house_realloc(void *arg, void *p, size_t n)
{
	(void)arg;
	if (n)
		return realloc(p, n);
	free(p);
	return NULL;
}

static inline void house_wake(void *arg)
{
	(void)arg;
}

static inline void house_build_with(uint64_t seed, const struct memlog_settings *settings)
{
	const struct memlog_env env = { .mono_ms = house_mono,
					.wall_ms = house_wall,
					.sleep_ms = house_sleep,
					.random = house_random,
					.point = house_point,
					.realloc = house_realloc,
					.wake = house_wake };

	house = (struct house){ .ms = 1000, .seed = seed * 2 + 1 };
	house.cfg = (struct cfg){ .kafka = { .topic_prefix = "t.",
					     .partitions = PARTS,
					     .replication = 1,
					     .create_topics = true } };
	assert_int_equal(memlog_new(&env, settings, &house.m), 0);
}

static inline void house_build(uint64_t seed)
{
	struct memlog_settings settings;

	memlog_settings_default(&settings);
	house_build_with(seed, &settings);
}

static inline void house_clear(void)
{
	memlog_free(house.m);
}

static inline int64_t soon(int64_t ms)
{
	return house.ms + ms;
}

/* Time passes and things happen. */
static inline void pass(int64_t ms)
{
	for (int64_t until_ms = house.ms + ms; house.ms < until_ms; house.ms++)
		memlog_run(house.m);
	memlog_run(house.m);
}

static inline struct log *house_client(uint64_t process)
{
	struct buf problem = BUF_EMPTY;
	struct log *log;

	assert_int_equal(memlog_client(house.m, &house.cfg, process, &log), 0);
	assert_int_equal(log_setup_topics(log, soon(60000), &problem), 0);
	buf_fini(&problem);
	return log;
}

static inline int64_t number_of(struct slice s)
{
	int64_t n = -1;

	assert_int_equal(slice_i64(s, &n), 0);
	return n;
}

#endif
