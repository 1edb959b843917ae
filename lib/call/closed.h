/*
 * closed.h - the index of calls that left the table (design.md "Closed index")
 *
 * 12 bytes an entry: 64 bits of the call id, and when it left (s). It tells a late fact from a new
 * call. Entries leave by age and by the limit, the oldest first. Those not yet in a block are
 * pending until closed_take_block. Thread: one owner.
 */
#ifndef CS_CALL_CLOSED_H
#define CS_CALL_CLOSED_H

#include "base/buf.h"
#include "base/uuid.h"

struct closed_index;

/* keep_ms: how long an entry stays; entries_max: how many at the most. */
CHECKED int closed_new(int64_t keep_ms, uint64_t entries_max, struct closed_index **ret);
void closed_free(struct closed_index *x);

/* 0 or -ENOMEM. Adding what is there changes nothing. */
CHECKED int closed_add(struct closed_index *x, const struct uuid *call_id, int64_t left_ms);
/* Its memory will be needed soon. */
void closed_fetch(const struct closed_index *x, const struct uuid *call_id);
bool closed_has(const struct closed_index *x, const struct uuid *call_id);
/* Drops what is older than keep_ms at now_ms. */
void closed_expire(struct closed_index *x, int64_t now_ms);
/* How far back the index can tell: keep_ms, or less once the limit has pushed entries out. */
int64_t closed_covers_ms(const struct closed_index *x, int64_t now_ms);
uint64_t closed_count(const struct closed_index *x);

/*
 * Blocks for the state topic. A block is the pending entries packed; its number b counts up from 1.
 * closed_take_block: appends the pending entries to out and returns b, or 0 when nothing is
 * pending. closed_first_block: the oldest block that still has a live entry (older ones may be
 * deleted), b + 1 of the newest when none has. closed_load_block: 0, -EBADMSG, -ENOMEM.
 */
size_t closed_pending(const struct closed_index *x);
int64_t
closed_pending_since(const struct closed_index *x); /* ms of the oldest pending; INT64_MAX none */
/* Is an entry pending whose call belongs to this slice of the table (calltab_slice_of)? */
bool closed_pending_in(const struct closed_index *x, unsigned slice);
uint64_t closed_take_block(struct closed_index *x, struct buf *out);
uint64_t closed_first_block(const struct closed_index *x);
CHECKED int closed_load_block(struct closed_index *x, uint64_t b, struct slice bytes);
/*
 * What the index has forgotten, as one number: the journal keeps it, because the blocks that tell
 * are deleted in time. closed_set_cutoff: before the blocks are loaded.
 */
uint64_t closed_cutoff(const struct closed_index *x);
void closed_set_cutoff(struct closed_index *x, uint64_t cutoff);

#endif
