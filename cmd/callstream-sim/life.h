/*
 * life.h - one life: some calls, the three roles, and whatever can happen to them, from one seed
 */
#ifndef CS_SIM_LIFE_H
#define CS_SIM_LIFE_H

#include "check.h"
#include "world.h"

struct life_cfg {
	uint64_t seed;
	const uint8_t *suppressed; /* faults that do not happen, see world.h */
	size_t suppressed_n;
	size_t calls_max; /* 0: as many as the seed says */
	bool trace;
};

struct life_result {
	char failure[512]; /* "" none */
	size_t faults;
	uint64_t points, processes;
	int64_t us; /* how long it took, in its own time */
	size_t calls_n;
	struct check_counts counts;
	struct memlog_counts log;
};

/* Once, before the first life. 0; -EINVAL with a text in problem. */
CHECKED int lives_begin(const struct traffic *traffic, struct buf *problem);
void life_run(const struct life_cfg *cfg, struct life_result *ret);
void lives_end(void);

#endif
