/*
 * deliver_told.h - the highest revision that was settled, for the calls that were settled last
 *
 * Tasks of a call come in the order of its revisions, so this only has to catch repetitions: of a
 * transaction that was written twice, of a replay. It remembers at least the last `calls_max`
 * (call, sink) pairs and at most twice as many, 16 bytes each, in two generations: when the younger
 * one is full, the elder one is forgotten. Thread: one owner.
 */
#ifndef CS_ROLE_DELIVER_TOLD_H
#define CS_ROLE_DELIVER_TOLD_H

#include "base/slice.h"

struct told_row {
	uint64_t hash; /* of sink and call; 0: an empty row */
	uint32_t revision;
	bool dead; /* it was refused, so the same revision may come again */
};

struct told_generation {
	struct told_row *rows;
	size_t cap, n; /* cap: 0 or a power of two */
};

struct told {
	struct told_generation young, old;
	size_t calls_max;
};

void told_init(struct told *t, size_t calls_max);
void told_fini(struct told *t);
/* Without memory it forgets; nothing depends on it but repetitions. */
void told_put(struct told *t, uint64_t hash, uint32_t revision, bool dead);
/* Would this revision be a repetition, or older than what is settled? */
bool told_has(const struct told *t, uint64_t hash, uint32_t revision);

#endif
