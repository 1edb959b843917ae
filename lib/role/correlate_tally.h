/*
 * correlate_tally.h - what one transaction of a correlator did, counted aside until it stands
 *
 * A batch that is dropped is read again, so its counts must not reach the metrics: tally_tell after
 * the commit, tally_reset when it failed. Thread: one owner.
 */
#ifndef CS_ROLE_CORRELATE_TALLY_H
#define CS_ROLE_CORRELATE_TALLY_H

#include "base/cfg.h"
#include "call/fold.h"

/* What an event changed; the label of a metric. */
enum tally_event {
	TALLY_SAME,
	TALLY_CHANGED,
	TALLY_OPENED,
	TALLY_ORPHAN,
	TALLY_LATE,
	TALLY_UNDECODABLE,
	TALLY_TOO_MANY,
	TALLY_EVENTS_N
};

/* Reasons of dead letters. */
enum tally_dead { TALLY_DEAD_LATE, TALLY_DEAD_UNDECODABLE, TALLY_DEAD_TOO_MANY, TALLY_DEAD_N };
const char *tally_dead_text(enum tally_dead reason);

struct tally {
	const struct cfg *cfg;
	uint32_t *started; /* calls that began, by account of cfg; the last one: of unknown ones */
	uint64_t events[TALLY_EVENTS_N], dead[TALLY_DEAD_N];
	uint64_t closed_by[CLOSED_BY_N], outcomes[OUTCOMES_N], revisions, reasons_unknown;
};

/* cfg is borrowed. 0 or -ENOMEM. */
CHECKED int tally_init(struct tally *t, const struct cfg *cfg);
void tally_fini(struct tally *t);
void tally_reset(struct tally *t);
void tally_started(struct tally *t, struct slice account);
void tally_record(struct tally *t, const struct record *rec, enum closed_by closed_by);
/* Adds everything to the metrics, and resets. */
void tally_tell(struct tally *t);

#endif
