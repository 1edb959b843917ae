/*
 * checkpoint.h - which slices of a call table changed, since when, and which are written next
 *
 * A ring of the changed slices in the order in which they changed. Its head tells where a restart
 * has to begin its replay. Slices are written from the head once they have waited for half of
 * checkpoint_every (or of the events and commits that bound a replay), at a pace that takes the
 * whole table round in the other half.
 * Pure: times are given. Thread: one owner.
 */
#ifndef CS_ROLE_CHECKPOINT_H
#define CS_ROLE_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "call/calltab.h"

/* Where a commit begins: what a replay has to know to repeat it. */
struct replay_mark {
	uint64_t n;
	int64_t offset;       /* of its first event */
	int64_t clock_ms;     /* before it */
	int64_t calls_offset; /* of topic calls: its records do not lie below */
	uint64_t cutoff;      /* of the closed index before it */
};

/* How far a partition has come, in the three measures that bound a replay. */
struct checkpoint_now {
	int64_t mono_ms;
	uint64_t events; /* applied since the partition was taken over */
	uint64_t n;      /* commits */
};

struct checkpoint_slice {
	uint16_t slice;
	struct replay_mark mark;
	struct checkpoint_now since;
};

struct checkpoint {
	int64_t every_ms;    /* checkpoint_every */
	int64_t catch_up_ms; /* a pause longer than this is not caught up at once */
	struct checkpoint_slice ring[CALLTAB_SLICES];
	unsigned head, n;
	bool in_ring[CALLTAB_SLICES];
	struct checkpoint_now last; /* the step before */
};

void checkpoint_init(struct checkpoint *c, int64_t every_ms, int64_t commit_every_ms);
/* Takes in what the commit that began at mark changed. */
void checkpoint_note(struct checkpoint *c, const struct calltab *tab,
		     const struct replay_mark *mark, const struct checkpoint_now *now);
/* How many slices from the head this commit shall write. */
unsigned checkpoint_due(const struct checkpoint *c, const struct checkpoint_now *now);
/* A commit was made. */
void checkpoint_stepped(struct checkpoint *c, const struct checkpoint_now *now);
/* When the head has waited long enough by time alone; INT64_MAX when nothing changed. */
int64_t checkpoint_wake_ms(const struct checkpoint *c);
/* Removes the head, which has been written. */
unsigned checkpoint_pop(struct checkpoint *c);
/* Where a restart has to begin; NULL when nothing has to be repeated. */
const struct replay_mark *checkpoint_first(const struct checkpoint *c);

#endif
