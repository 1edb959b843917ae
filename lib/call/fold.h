/*
 * fold.h - what a record says: the set of one call's events becomes its record (rules.md 1, 4 to 7)
 *
 * Pure: the result depends on the events alone (contract.md 3.2), and on how the call was closed
 * for complete and notes. Vendors differ only by the row of their source in the tables of fold.c.
 * Thread: any.
 */
#ifndef CS_CALL_FOLD_H
#define CS_CALL_FOLD_H

#include "base/cfg.h"
#include "call/callev.h"

/* What finished a call; the first revision's reason and the label of a metric. */
enum closed_by {
	CLOSED_NOT,
	CLOSED_BY_END,        /* call.ended and its grace */
	CLOSED_BY_NO_SUMMARY, /* all legs ended, no summary */
	CLOSED_BY_LOST_WITHOUT_END,
	CLOSED_BY_TALK_WITHOUT_END,
	CLOSED_BY_SILENCE,
	CLOSED_BY_LIMIT,
	CLOSED_BY_N
};
const char *
closed_by_text(enum closed_by closed_by); /* "end", "no_summary", "lost_without_end",
					     "talk_without_end", "silent_call", "limit" */

struct fold_in {
	const struct callev *events; /* distinct ids, ordered by (time, seq, id); raw not needed */
	size_t events_n;
	struct uuid call_id;
	enum cfg_recordings recordings; /* the account's */
	bool record_role; /* recordings are awaited until stored, not until available */
	enum closed_by closed_by;
	bool recording_wait_over;
};

struct record_leg {
	struct slice leg_id, location, number, queue, from_leg;
	struct person employee;
	int64_t ringing_at_ms, answered_at_ms, ended_at_ms;
	enum outcome outcome;
};

struct record_transfer {
	int64_t at_ms;
	struct slice transfer, from, to;
};

enum recording_state { RECORDING_EXPECTED, RECORDING_AVAILABLE, RECORDING_STORED, RECORDING_LOST };

struct record_recording {
	struct slice id, leg_id, url, source_url, sha256;
	enum recording_state state;
	int64_t duration_ms, bytes;
};

#define RECORD_NOTES_MAX 16

/* All texts borrow from the events. Arrays belong to the folder. */
struct record {
	struct uuid id;
	uint32_t revision;
	bool complete;
	struct slice account, source, call_session_id;
	enum direction direction;
	enum outcome outcome;
	struct cause cause;
	bool reason_unknown; /* the vendor's reason is not in our table */
	struct slice line, trunk;
	struct contact contact;
	int64_t started_at_ms, answered_at_ms, ended_at_ms;
	int64_t wait_ms, talk_ms, total_ms; /* CALLEV_NO_NUMBER absent */
	struct person employee, caller;
	const struct record_leg *legs;
	size_t legs_n;
	const struct record_transfer *transfers;
	size_t transfers_n;
	const struct record_recording *recordings;
	size_t recordings_n;
	const struct slice *tags; /* sorted, unique */
	size_t tags_n;
	struct slice scenario, external_id;
	struct slice merged_into;
	const char *notes[RECORD_NOTES_MAX]; /* sorted, unique, constant texts */
	size_t notes_n;
};

/* Scratch memory of one thread, used again for each call. */
struct folder;
struct folder *folder_new(void); /* NULL without memory */
void folder_free(struct folder *f);

/*
 * The record of a call; valid until the next fold with this folder. revision is left 0 for the
 * caller. complete is what the events and recording_wait_over say. 0 or -ENOMEM; -EINVAL when no
 * event is a call's fact.
 */
CHECKED int fold(struct folder *f, const struct fold_in *in, struct record *ret);

/* Appends contract.md 3.2's object, absent values left out. */
void record_write(struct buf *out, const struct record *rec);
/* Appends all that record_write would say but schema, id and revision, as bytes to compare and
 * hash: cheaper than JSON, and of no other use. */
void record_pack(struct buf *out, const struct record *rec);

#endif
