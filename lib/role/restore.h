/*
 * restore.h - a partition from the messages of topic state and a replay of its events
 *
 *   restore_new
 *   restore_message for every message of the partition of `state`, in order
 *   restore_plan    does the journal fit the committed offset? where does the replay begin?
 *   restore_begin   fills an empty partition
 *   restore_event   for every event from there on, below the committed offset
 *   restore_finish  the partition is what it was, byte for byte
 *
 * Pure but for memory. Thread: one owner.
 */
#ifndef CS_ROLE_RESTORE_H
#define CS_ROLE_RESTORE_H

#include "role/partition.h"

struct restore;

/* NULL without memory. */
struct restore *restore_new(void);
void restore_free(struct restore *r);

/* Copies. Messages with unknown keys are passed over. 0 or -ENOMEM: whether they can be read is
 * restore_plan's question, for the newest of each key alone. */
CHECKED int restore_message(struct restore *r, struct slice key, struct slice value,
			    bool tombstone);

enum restore_plan {
	RESTORE_FRESH, /* neither offset nor journal: begin at the earliest event */
	RESTORE_FITS,
	RESTORE_OTHER_RULES, /* fits, but was made under other rules or settings */
};
/*
 * committed: the group's offset, LOG_BEGIN when there is none. Returns an enum restore_plan;
 * -ESTALE when journal and offset do not fit together or the journal has a hole, -EBADMSG when
 * something is damaged or not whole, -EPROTO when a later version wrote it. *why gets a constant
 * text.
 */
CHECKED int restore_plan(struct restore *r, int64_t committed, const struct uuid *fingerprint,
			 const char **why);
/* The newest entry, NULL when there is none. Valid until restore_free. */
const struct journal_entry *restore_last(const struct restore *r);
/* Where the replay begins; the committed offset when nothing is to be replayed. */
int64_t restore_from(const struct restore *r);

/* Of a replay under other rules: a record that left, as topic calls has it from the newest entry's
 * calls_offset on. What does not look like one is passed over. 0 or -ENOMEM. */
CHECKED int restore_record(struct restore *r, struct slice key, struct slice value);

/*
 * Fills p, which is new. output: what the replay changes is told, as under other rules. 0,
 * -EBADMSG (a slice or block cannot be read), -ENOMEM; p is to be freed then.
 */
CHECKED int restore_begin(struct restore *r, struct partition *p, bool output);
/* An event of the replay; one past its end does nothing. 0, -EBADMSG, -ENOMEM. */
CHECKED int restore_event(struct restore *r, struct partition *p, const struct log_msg *msg);
CHECKED int restore_finish(struct restore *r, struct partition *p);
/* Events that the replay should have met, but that the log has no longer. */
uint64_t restore_missing(const struct restore *r);

/* What a reset loses and deletes: every key that is there, each once, tombstoned ones not. */
typedef int restore_key_fn(void *arg, struct slice key);
CHECKED int restore_keys(const struct restore *r, restore_key_fn *each, void *arg);
/* Calls' slices, and blocks of the closed index. */
void restore_counts(const struct restore *r, unsigned *ret_slices, size_t *ret_blocks);

#endif
