/*
 * calltab_priv.h - the inside of the call table, shared by its files
 *
 * Items (calls and orphans) live in one array by handle; what they are found by maps to handles:
 * the session of an account to its call (in memory alone: a hash of both), the call id to the call
 * or the chain of its orphans (one map per slice). A call may move in memory when it grows; its
 * handle stays.
 *
 * Invariants: an id has a call or orphans, never both. Every item has a timer, whose key is not
 * later than item_due. What is packed is a function of what was applied and ticked, never of
 * handles, memory or the order of maps.
 */
#ifndef CS_CALL_CALLTAB_PRIV_H
#define CS_CALL_CALLTAB_PRIV_H

#include "call/calltab.h"
#include "call/calltab_blocks.h"
#include "call/calltab_facts.h"
#include "call/calltab_map.h"
#include "call/calltab_timers.h"

struct account {
	uint32_t refs; /* calls */
	uint32_t tag;
	const struct cfg_closers *closers;
	enum cfg_recordings recordings;
	size_t name_n;
	char name[];
};

struct item {
	struct uuid id; /* of the call */
	int64_t key_ms; /* of its timer */
	uint32_t handle;
	bool orphan;
	uint8_t closed_by, flags; /* of a call: enum closed_by, CALL_* */
};

#define CALL_HAS_END   0x01u
#define CALL_HAS_LOST  0x02u
#define CALL_TALK_DONE 0x04u /* there was a talk and none is running */
#define CALL_LEGS_DONE 0x08u /* all legs ended, of a source that sends a summary */
#define CALL_UNREAD    0x10u /* the two above are not known: they may hold */
#define CALL_COMPLETE  0x20u
#define CALL_WAIT_OVER 0x40u /* for its recordings */

/* When the log took what starts a timer; TIME_NONE: not yet. */
struct call_open {
	int64_t end_ms, lost_ms, talk_end_ms, leg_end_ms;
};

struct call_closed {
	uint64_t hash[2]; /* of the last record sent (record_pack) */
	int64_t closed_ms, complete_ms;
};

struct call {
	struct item item;
	uint32_t account;
	uint32_t revision;
	int64_t last_ms; /* when the log took its newest event */
	union {
		struct call_open open;     /* closed_by == CLOSED_NOT */
		struct call_closed closed; /* else */
	};
	struct facts facts; /* its bytes follow */
};

/* A recording or note whose call is not known. */
struct orphan {
	struct item item;
	uint32_t next; /* handle of the next one of the same call; 0 none */
	uint32_t json_n;
	struct uuid event_id;
	int64_t append_ms;
	char json[];
};

struct slice_of_table {
	struct map by_id;
	uint64_t n; /* commit at which it was packed or loaded */
	bool dirty;
};

struct victim {
	int64_t since_ms;
	struct uuid id;
	uint32_t handle;
};

/* The longest-silent calls or the oldest orphans, looked for once for many. */
struct victims {
	struct victim *v;
	size_t n, cap, at;
	int64_t until_ms; /* who is not among them is silent since then at the longest */
};

/* What a tick will come to next: its memory is fetched meanwhile. */
#define AHEAD_MAX 512u
struct ahead {
	struct timer v[AHEAD_MAX];
	size_t n, at;
};

struct calltab {
	struct calltab_cfg cfg;
	struct closed_index *closed;
	struct calltab_out out;
	bool output_on;
	uint64_t commit, masked_until; /* no slice has an n above masked_until */

	struct item **items; /* by handle; handle 0 is none */
	uint32_t *spare;     /* handles that are free */
	uint32_t items_n, items_cap, spare_n;
	struct blocks blocks; /* the calls' memory */
	struct timers timers;
	struct ahead ahead;
	struct map sessions[CALLTAB_SLICES];
	struct slice_of_table slices[CALLTAB_SLICES];
	size_t slices_dirty;

	struct account **accounts; /* by index; 0 is none */
	uint32_t *accounts_spare;  /* indices that are free */
	uint32_t accounts_n, accounts_cap, accounts_spare_n;
	uint32_t account_latest; /* of the call opened last; 0: none */
	struct map accounts_by_name;

	struct calltab_counts counts;
	struct victims silent, oldest;

	struct folder *folder;
	struct callev_parser *parser;
	struct facts_scratch facts;
	struct buf json, packed, text_a, text_b; /* packed: the record, to be compared */
	uint32_t *held;                          /* handles that a tick must not touch */
	size_t held_n, held_cap;
};

static inline struct call *as_call(struct item *item)
{
	return (struct call *)(void *)item;
}

static inline struct orphan *as_orphan(struct item *item)
{
	return (struct orphan *)(void *)item;
}

static inline struct slice account_name(const struct calltab *tab, uint32_t account)
{
	return slice_make(tab->accounts[account]->name, tab->accounts[account]->name_n);
}

/* calltab_items.c: making, finding and removing; nothing here decides. */
uint32_t account_find(const struct calltab *tab, struct slice name); /* 0: none */
CHECKED int account_ref(struct calltab *tab, struct slice name, uint32_t *ret);
void account_unref(struct calltab *tab, uint32_t account);
void accounts_set_cfg(struct calltab *tab);
/* A call is read soon: fetches its lines side by side instead of one after another. First the head,
 * then, when that has come, as many of the facts as there are. */
#define LINE_BYTES_OF_CACHE 64u
static inline void call_fetch_head(const void *call)
{
	for (size_t at = 0; at < 3 * (size_t)LINE_BYTES_OF_CACHE; at += LINE_BYTES_OF_CACHE)
		__builtin_prefetch((const char *)call + at);
}
static inline void call_fetch_facts(const struct call *call)
{
	size_t end = sizeof(*call) + call->facts.stream_n + LINE_BYTES_OF_CACHE / 2;

	for (size_t at = 3 * (size_t)LINE_BYTES_OF_CACHE; at < end; at += LINE_BYTES_OF_CACHE)
		__builtin_prefetch((const char *)call + at);
}
struct call *call_find(const struct calltab *tab, struct slice account, struct slice session);
struct item *item_find(const struct calltab *tab, const struct uuid *call_id);
/* What removing the call will touch. */
void call_fetch_places(const struct calltab *tab, const struct call *call);
/* A call with room for `room` bytes of facts; not in the table yet. NULL without memory. */
struct call *call_new(struct calltab *tab, const struct uuid *id, size_t room);
/* One that is not in the table, or not any more. */
void call_free(struct calltab *tab, struct call *call);
/* Into the table, with a timer; the item is the table's then. 0, or -ENOMEM: it is not. */
CHECKED int call_add(struct calltab *tab, struct call *call);
CHECKED int orphan_add(struct calltab *tab, struct orphan *orphan);
/* The timer again, after a change. */
void item_arm(struct calltab *tab, struct item *item);
/* Out of the table and freed. */
void call_remove(struct calltab *tab, struct call *call);
void orphan_remove(struct calltab *tab, struct orphan *orphan);
/* Room for facts; the call may have moved. 0 or -ENOMEM. */
CHECKED int call_grow(struct calltab *tab, struct call **call, size_t room);
/* The call anew from the events in tab->facts, in order. */
CHECKED int call_rebuild(struct calltab *tab, struct call **call);
size_t call_bytes(const struct call *call);
void slice_touch(struct calltab *tab, const struct uuid *call_id);
bool slice_masked(const struct calltab *tab, const struct uuid *call_id);

/* calltab_rules.c: what the events say about the end of the call, and when it is due. */
uint8_t facts_flags(const struct callev *events, size_t n); /* the first four CALL_* */
enum closed_by flags_reason(uint8_t flags);
enum closed_by facts_reason(const struct callev *events, size_t n); /* both at once */
bool source_has_summary(struct slice source);
/* The earliest time that the item may be due: what is CALL_UNREAD is taken to hold. */
int64_t item_due(const struct calltab *tab, const struct item *item);

/* calltab.c */
/* Nothing is waited for any more: an open call is closed, by the limit where it has no end. */
CHECKED int call_end_wait(struct calltab *tab, struct call *call, int64_t now_ms);
CHECKED int call_leave(struct calltab *tab, struct call *call, int64_t now_ms);
void orphans_give_up(struct calltab *tab, struct orphan *first);

/* calltab_limit.c */
void victims_note(struct victims *victims, int64_t since_ms);
void victims_fini(struct victims *victims);

#endif
