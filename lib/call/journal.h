/*
 * journal.h - the messages of topic state (design.md "State"): journal entries, parts of slices,
 * blocks of the closed index, and their keys
 *
 *   j/<n mod 16384>      what commit n did: the journal
 *   s/<slice>/<part>     a piece of a slice of the call table, with the commit it was taken at
 *   c/<b mod 2^22>       block b of the closed index
 *
 * Every value begins with a format version and a kind and ends with a checksum, so what is damaged
 * or of another version is told from what is old. Reading borrows from the bytes that are read.
 * Pure. Thread: any.
 */
#ifndef CS_CALL_JOURNAL_H
#define CS_CALL_JOURNAL_H

#include "base/buf.h"
#include "base/uuid.h"

/* Raised with each change of rules.md's decisions in fold.c or calltab.c: a journal of other rules
 * is replayed with output on. */
#define CALL_RULES_VERSION 1u

#define JOURNAL_RING     16384u       /* entries kept; n counts on */
#define BLOCK_RING       (1u << 22)   /* blocks kept; b counts on */
#define SLICE_PART_BYTES (512u << 10) /* of a slice in one message */
#define SLICE_PARTS_MAX  4096u        /* 2 GiB in one slice: more than a buffer takes */
#define STATE_KEY_MAX    24u          /* the longest key */

enum state_kind { STATE_JOURNAL = 'j', STATE_SLICE = 's', STATE_BLOCK = 'c' };

struct state_key {
	enum state_kind kind;
	uint32_t index; /* n, slice or b within its ring */
	uint32_t part;  /* of a slice */
};

/* One commit of one partition. */
struct journal_entry {
	uint64_t n;              /* 1.. */
	int64_t offset;          /* events below it are applied; -2: never known, as the next two */
	int64_t clock_ms;        /* at which the timers ran */
	uint64_t replay_from;    /* the oldest commit a restart has to repeat; n + 1: none */
	int64_t replay_offset;   /* where that one begins, */
	int64_t replay_clock_ms; /* and the clock before it */
	int64_t calls_offset;    /* of topic calls: no record of replay_from or later lies below */
	uint64_t replay_cutoff;  /* of the closed index before it (closed_cutoff) */
	struct uuid fingerprint; /* of the rules and settings that it was made under */
	struct slice closed_ids; /* calls that a limit closed, UUID_LEN bytes each, in order */
};

struct slice_part {
	uint64_t n;       /* the commit the slice was taken at */
	uint32_t part;    /* 0.. */
	uint32_t parts_n; /* in part 0: how many there are; else 0 */
	struct slice bytes;
};

struct closed_block {
	uint64_t b; /* 1.. */
	uint64_t n; /* the commit it was taken at */
	struct slice bytes;
};

/* Append the key of a message. */
void state_key_journal(struct buf *out, uint64_t n);
void state_key_slice(struct buf *out, uint32_t slice, uint32_t part);
void state_key_block(struct buf *out, uint64_t b);
/* 0, or -EINVAL: no key of ours. */
CHECKED int state_key_read(struct slice key, struct state_key *ret);

/* Append the value of a message. */
void journal_entry_write(struct buf *out, const struct journal_entry *entry);
void slice_part_write(struct buf *out, const struct slice_part *part);
void closed_block_write(struct buf *out, const struct closed_block *block);
/* 0; -EBADMSG damaged; -EPROTO of a format that this version does not read. */
CHECKED int journal_entry_read(struct slice value, struct journal_entry *ret);
CHECKED int slice_part_read(struct slice value, struct slice_part *ret);
CHECKED int closed_block_read(struct slice value, struct closed_block *ret);

#endif
