/*
 * spool.h - a queue on disk: many threads append, one drains, nothing acknowledged is ever lost
 *
 * Records go into segments (spool_format.h). One writer thread writes what has gathered and syncs
 * it once for all who wait (group commit). First in, first out: the reader gets records in the
 * order of their appends, says how far they are done, and after a crash may get some again, never
 * fewer.
 *
 * What stays true:
 *   - a waiter gets err 0 only after a sync that covers its record has succeeded;
 *   - a segment whose write or sync failed gets no further record: what it has that was synced is
 *     served, the rest is answered with the error, the next record begins another segment;
 *   - the folder belongs to one process (flock);
 *   - opening changes nothing that is there.
 *
 * In the folder: <id>.seg, lock, cursor (how far it is drained; losing it means repetition),
 * damaged/ (segments with bytes that are no record, moved there once all intact records are done)
 * and rejected/ (what could never be produced, spool_reject). The cursor does not pass what is to
 * be moved before it is, so a restart on the way sees it again.
 *
 * Failures in the background are logged and counted here (SPOOL_* in metric_table.h), since nobody
 * waits for them.
 */
#ifndef CS_STORE_SPOOL_H
#define CS_STORE_SPOOL_H

#include "base/buf.h"
#include "store/spool_format.h"
#include "store/spool_io.h"

#define SPOOL_OUTLETS_MAX 256

struct spool_cfg {
	const char *dir;
	uint64_t bytes_max; /* of records not drained yet */
	uint64_t
	    segment_bytes;     /* a segment ends behind it; 0: 16 MiB, less for a small bytes_max */
	int64_t gather_us_max; /* how long a busy writer waits for more; 0: 20 ms */
	int64_t probe_ms;      /* how often a failing disk is tried; 0: 500 ms */
	const struct spool_io *io; /* NULL: the machine's */
};

struct spool;

/*
 * Takes the folder (made if need be), counts what is there, starts the writer. 0; -EBUSY another
 * process has it; -ENOMEM; or what the disk says. All but -ENOMEM with a text in problem.
 */
CHECKED int spool_open(const struct spool_cfg *cfg, struct spool **ret, struct buf *problem);
/* Writes what was appended, answers all waiters, lets the folder go. Outlets and the reader are
 * gone before. NULL allowed. */
void spool_close(struct spool *s);

/* ---- appending ---- */

/* What waits for its record; lies in the caller's struct, untouched between append and take. */
struct spool_waiter {
	struct spool_waiter *next;
	int err; /* 0 durable; -ENOSPC; -EIO and other errors of the disk: not durable */
};

/* Where a thread gets its waiters back. Thread: one owner, but for the spool's writer. */
struct spool_outlet;
CHECKED int spool_outlet_new(struct spool *s, struct spool_outlet **ret); /* 0, -ENOMEM, -ENOSPC */
/* Readable when there is something to take. */
int spool_outlet_fd(const struct spool_outlet *o);
/* The waiters that are answered, linked in the order of their appends; NULL without. */
struct spool_waiter *spool_outlet_take(struct spool_outlet *o);
/* No waiter may be out. NULL allowed. */
void spool_outlet_free(struct spool_outlet *o);

/*
 * Copies the record; w comes back through o exactly once, never before this returns. 0; -ENOSPC
 * full (bytes_max, or the disk); -EIO the disk fails (tried again in the background); -EMSGSIZE;
 * -ENOMEM; -ESHUTDOWN. On error w is not kept. Thread: any, with an outlet of its own.
 */
CHECKED int spool_append(struct spool *s, struct spool_outlet *o, const struct spool_record *rec,
			 struct spool_waiter *w);

/*
 * The owner of o has more to append at once, and says so when it has no more: the writer waits for
 * it (100 ms at the most), so that what is ready together is synced together. Calls do not nest.
 */
void spool_hold(struct spool_outlet *o);
void spool_release(struct spool_outlet *o);

/* ---- draining. Thread: one reader ---- */

/* Where a record ends: its place, and what was read up to there since the spool was opened. */
struct spool_pos {
	uint64_t segment, offset, records, bytes;
};

struct spool_entry {
	struct spool_record rec; /* valid until the next spool_next or spool_rewind */
	struct spool_pos end;
};

/* 1 the next record; 0 there is none now; -ENOMEM; another error of the disk: call again later
 * (what stays unreadable is skipped after some tries; its segment is set aside as damaged). */
CHECKED int spool_next(struct spool *s, struct spool_entry *ret);
/* Everything up to end is done; it never comes again but after a crash. */
void spool_done(struct spool *s, const struct spool_pos *end);
/* Reads again from behind what is done. */
void spool_rewind(struct spool *s);
/* Keeps a record that can never be produced in rejected/ (synced) and counts it; spool_done is the
 * caller's. Where that fails, the whole segment is kept there later. */
void spool_reject(struct spool *s, const struct spool_entry *entry, const char *reason);
/* Waits until there is a durable record behind the last one read, for timeout_ms at the most. */
bool spool_wait(struct spool *s, int timeout_ms);
/* Ends a spool_wait. Thread: any. */
void spool_wake(struct spool *s);

/* ---- state. Thread: any ---- */

struct spool_state {
	uint64_t records, bytes; /* appended and not done, waiting ones included */
	uint64_t segments, damaged, rejected;
	int err; /* 0: a record of 64 KiB can be taken; else what spool_append would say of it */
};
void spool_state(struct spool *s, struct spool_state *ret);
/* Is there anything that is not done? Cheap: asked for every request. */
bool spool_is_empty(struct spool *s);

#endif
