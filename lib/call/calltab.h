/*
 * calltab.h - the calls of one partition: a table of sets of events
 *
 * A call is the merge of the set of its events (rules.md 1); the table keeps each event once, folds
 * the set when the call is finished and again at each later change, and forgets the call
 * remember_closed after it was complete. It never reads a clock: append times come with the events,
 * the clock with calltab_tick, so a log that is replayed in the same order with the same ticks
 * gives the same table, byte for byte.
 *
 * For the state topic (design.md "State") the table is cut into CALLTAB_SLICES by hash of the
 * call id. Each has the number of the commit it was last packed or loaded at; during a replay what
 * happened up to that commit is not applied to it again (the mask).
 * Thread: one owner; nothing here locks.
 */
#ifndef CS_CALL_CALLTAB_H
#define CS_CALL_CALLTAB_H

#include "base/cfg.h"
#include "call/callev.h"
#include "call/closed.h"
#include "call/fold.h"

#define CALLTAB_SLICES 1024u

struct calltab_cfg {
	const struct cfg *cfg; /* accounts, closers, numbers; borrowed, must outlive the table */
	uint64_t calls_max;    /* open and remembered calls of this partition */
	uint64_t orphans_max;
	bool record_role;  /* recordings are awaited until stored */
	bool no_age_limit; /* correlate --stdin: nothing has left the table before */
	bool keep_closed; /* correlate --stdin: a complete call does not leave, only a limit ends it
			   */
	bool end_at_once; /* an end event closes its call when it is applied, without grace */
	bool no_json;     /* nobody reads the JSON of the records: it is not written */
};

/* One revision that leaves. Everything borrows and lives during the callback. */
struct calltab_record {
	const struct record *record; /* with its revision */
	struct slice id_text;        /* of the call, 36 bytes */
	struct slice json;           /* contract.md 3.2; absent under no_json */
	enum closed_by closed_by;
};

/* What the table tells while it works; each may be NULL. They must not call the table. */
struct calltab_out {
	void *arg;
	void (*record)(void *arg, const struct calltab_record *rec);
	/* An orphan whose call never came, or was pushed out: json is the event as it was given. */
	void (*late)(void *arg, const struct uuid *event_id, struct slice json);
	/* The highest revision of a call that is known to have left, although the table does not
	 * know it (a replay under other rules); 0 none. The next one is above it. */
	uint32_t (*revision_known)(void *arg, const struct uuid *call_id);
};

struct calltab;

/* 0 or -ENOMEM. closed may be shared by nobody else; it is borrowed. */
CHECKED int calltab_new(const struct calltab_cfg *cfg, struct closed_index *closed,
			const struct calltab_out *out, struct calltab **ret);
void calltab_free(struct calltab *tab);
/* Other settings (reload, replay under a changed fingerprint): every timer is computed anew. */
void calltab_set_cfg(struct calltab *tab, const struct calltab_cfg *cfg);
/* false: nothing is told (replay); true again when the table is what it was. */
void calltab_set_output(struct calltab *tab, bool on);

/* After a replay under other rules: revision has left before. A call whose last one is below it
 * counts on from there, and says again what it is if it is finished. 0 or -ENOMEM. */
CHECKED int calltab_outrun(struct calltab *tab, const struct uuid *call_id, uint32_t revision,
			   int64_t now_ms);

enum calltab_change {
	CALLTAB_SAME, /* a repetition that says nothing new */
	CALLTAB_CHANGED,
	CALLTAB_OPENED,
	CALLTAB_ORPHAN, /* waits for its call */
	CALLTAB_LATE,   /* its call has left the table: the late path is the caller's */
	CALLTAB_MASKED, /* already in the slice that was loaded */
};

/*
 * Folds one event in. append_ms is when the log took it (timers start there). json is the event as
 * it lies in the log: kept when the event becomes an orphan. Returns an enum calltab_change;
 * -EINVAL when the event has no account, session or time; -ENOSPC when the call has too many
 * events (the caller's dead letter, reason "too_many_events"); -ENOMEM: the table may hold a part
 * of what the event does, drop it and take the partition over again.
 */
CHECKED int calltab_apply(struct calltab *tab, const struct callev *ev, int64_t append_ms,
			  struct slice json);

/*
 * These events will be applied next, in any order: fetches the memory that they will need, so that
 * their cache misses come side by side instead of one after another. Changes nothing; worth it for
 * CALLTAB_BATCH of them at a time.
 */
#define CALLTAB_BATCH 16
void calltab_prefetch(const struct calltab *tab, const struct callev *events, size_t n);

/* When the next timer is due; INT64_MAX when none runs. */
int64_t calltab_next_due(struct calltab *tab);
/* The time, now_ms at the latest, up to which about max timers (1..) run and those of the same
 * moment: for who must not do too much at once. *ret_n: how many may run up to then. */
int64_t calltab_due_by(struct calltab *tab, int64_t now_ms, size_t max, size_t *ret_n);
/* Runs every timer due at now_ms, in the order of their times. 0 or -ENOMEM. */
CHECKED int calltab_tick(struct calltab *tab, int64_t now_ms);

/*
 * The limits, at the end of a batch: while there are more than calls_max calls the longest-silent
 * is closed and leaves; while there are more than orphans_max orphans those of the call with the
 * oldest one are told as late. Appends the ids of these calls (UUID_LEN bytes each) to closed_ids,
 * for the journal. A replay gives them back through calltab_close instead.
 */
CHECKED int calltab_trim(struct calltab *tab, int64_t now_ms, struct buf *closed_ids);
CHECKED int calltab_close(struct calltab *tab, const struct uuid *call_id, int64_t now_ms);

/* The number of the commit that is being made or replayed; 1.. and never back. What is applied
 * after a slice was packed belongs to the next commit: begin it first. */
void calltab_begin_commit(struct calltab *tab, uint64_t n);

unsigned calltab_slice_of(const struct uuid *call_id);
/* Has the slice changed since it was last packed or loaded? */
bool calltab_slice_dirty(const struct calltab *tab, unsigned slice);
size_t calltab_slices_dirty(const struct calltab *tab);
/* The commit at which it was last packed or loaded; 0 never. */
uint64_t calltab_slice_n(const struct calltab *tab, unsigned slice);
/* Appends the slice whole, canonical: the same content gives the same bytes. Its n becomes the
 * current commit, it is clean then. 0 or -ENOMEM. */
CHECKED int calltab_slice_pack(struct calltab *tab, unsigned slice, struct buf *out);
/* Into an empty slice; it counts as taken at n. 0, -EBADMSG (damaged: nothing was taken), -ENOMEM.
 */
CHECKED int calltab_slice_unpack(struct calltab *tab, unsigned slice, uint64_t n,
				 struct slice bytes);

struct calltab_counts {
	uint64_t open, remembered, orphans, bytes;
};
void calltab_counts(const struct calltab *tab, struct calltab_counts *ret);

#endif
