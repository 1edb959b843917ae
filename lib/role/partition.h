/*
 * partition.h - one partition of the correlator: events in, records and state messages out
 *
 * Pure but for memory: it reads no clock and knows no log. Events are applied one by one; a *step*
 * ends a batch: timers and limits run at the clock it is given, what changed is checkpointed and
 * the journal entry written. All that shall be in the batch's transaction lies in out then. When
 * the transaction does not stand, the partition is dropped and restored (restore.h): there is no
 * way back within it (design.md "State").
 * Thread: one owner.
 */
#ifndef CS_ROLE_PARTITION_H
#define CS_ROLE_PARTITION_H

#include "call/calltab.h"
#include "call/journal.h"
#include "log/log.h"
#include "role/checkpoint.h"
#include "role/correlate_tally.h"
#include "role/outbox.h"
#include "role/revisions.h"

/* What the partitions of one thread share; all borrowed. */
struct partition_env {
	const struct cfg *cfg;
	struct uuid fingerprint;                      /* partition_fingerprint of cfg */
	struct callev_parser *parsers[CALLTAB_BATCH]; /* of events, by place in a batch */
	struct callev *events;                        /* the batch, read */
	struct callev_parser *parser_again;           /* of those that become dead letters later */
	struct tally *tally;
};
/* parser_*, tally and fingerprint made for cfg. 0 or -ENOMEM. */
CHECKED int partition_env_init(struct partition_env *env, const struct cfg *cfg);
void partition_env_fini(struct partition_env *env);

/* Of the rules' version and all settings that decide what the table does (not of employees). */
void partition_fingerprint(const struct cfg *cfg, struct uuid *ret);

/* The closed index's entries wait for their block no longer than this, nor in larger numbers. */
#define PARTITION_BLOCK_EVERY_MS 60000
#define PARTITION_BLOCK_ENTRIES  1000u

/* Blocks of the closed index that have run out, to be deleted once no replay needs them. */
#define PARTITION_RUNS_MAX 32u
struct partition_run {
	uint64_t below; /* blocks below it have run out, */
	uint64_t n;     /* as of this commit */
};

struct partition {
	const struct partition_env *env;
	int32_t index;
	struct calltab *tab;
	struct closed_index *closed;
	struct checkpoint checkpoint;
	struct outbox out;
	bool output;                   /* false during a replay under the same rules */
	bool replaying;                /* nothing is counted */
	const struct revisions *known; /* that left under other rules; NULL but in their replay */
	bool write_all;                /* the next step writes every changed slice (other rules) */

	uint64_t n;               /* the commit that is being made */
	int64_t next;             /* offset of the next event; LOG_BEGIN: whatever comes first */
	int64_t clock_ms;         /* of the last step; never goes back */
	int64_t now_ms;           /* of what is being done, for dead letters */
	int64_t append_newest_ms; /* of the events applied */
	int64_t known_ms, known_mono_ms; /* the newest time known of the log, and since when */
	int64_t calls_offset;     /* the newest known that lies not above what n will write */
	uint64_t events;          /* applied since it was taken over */
	uint64_t events_batch;    /* since the last step */
	int64_t marked_ms;        /* when calls_offset was last asked for, */
	uint64_t marked_events;   /* and after how many events */
	struct replay_mark begun; /* where the commit that is being made began */

	uint64_t block_low; /* the lowest block that may lie in the log */
	struct partition_run runs[PARTITION_RUNS_MAX];
	unsigned runs_n;
	struct buf scratch, closed_ids;
};

/* Empty, at commit 1, before the first event. env is borrowed. 0 or -ENOMEM. */
CHECKED int partition_new(const struct partition_env *env, int32_t index, struct partition **ret);
void partition_free(struct partition *p);

/*
 * Applies one event (undecodable ones too: they become dead letters). 0; -EILSEQ when its offset is
 * not the next one (nothing was done); -ENOMEM.
 */
CHECKED int partition_apply(struct partition *p, const struct log_msg *msg);
/* The same for some in their order, CALLTAB_BATCH at the most, with less waiting for memory. Stops
 * at the first error, *ret_n: how many were applied before it. */
CHECKED int partition_apply_batch(struct partition *p, const struct log_msg *msgs, size_t n,
				  size_t *ret_n);

/*
 * What the clock of a partition says: with lag the newest append time applied, without lag wall_ms.
 * It is never less than before, and without lag never stands still: where the log's time is ahead
 * of the wall (a clock was set), it goes on from there at the pace of mono_ms. lag below 0 is
 * unknown, taken as lag.
 */
int64_t partition_clock(struct partition *p, int64_t lag, int64_t wall_ms, int64_t mono_ms);

/* A clock up to clock_ms at which no more than about timers_max (1..) timers run; the rest is the
 * next step's. *ret_n: how many may. */
int64_t partition_bound_clock(struct partition *p, int64_t clock_ms, size_t timers_max,
			      size_t *ret_n);

/* By the partition's clock: when a step has something to do; INT64_MAX when only events can give
 * it something. */
int64_t partition_due_ms(const struct partition *p);
/* Has a step something to do at this clock? */
bool partition_wants_step(const struct partition *p, int64_t clock_ms, int64_t mono_ms);

struct partition_step {
	int64_t clock_ms; /* partition_clock */
	int64_t mono_ms;
	size_t state_bytes_max; /* of slices to write beyond those that are due; 0: none */
};
/* Ends the batch. out holds everything of it then. 0, -ENOMEM (drop the partition). */
CHECKED int partition_step(struct partition *p, const struct partition_step *step);
/* Repeats a step of the journal: no limits but what it says, nothing is written. */
CHECKED int partition_repeat(struct partition *p, const struct journal_entry *entry);
/* What the commit that has just begun writes to topic calls lies at this offset or above. */
void partition_mark_calls(struct partition *p, int64_t calls_offset);
/* Counts an event that was read, unless it is read again. */
void partition_count(struct partition *p, enum tally_event event);
/* Begins commit n at that place: for restore.h and partition_step. */
void partition_begin(struct partition *p, uint64_t n);

#endif
