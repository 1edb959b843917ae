/*
 * callev.h - the canonical event (contract.md 3.1), read from and written to JSON
 *
 * One struct serves every kind; what a kind does not have is absent: slice n == 0, time TIME_NONE,
 * number CALLEV_NO_NUMBER. All texts and lists borrow: from the request and the scratch (dialect),
 * from the parser (JSON) or from the call table. Thread: any; a parser has one owner.
 */
#ifndef CS_CALL_CALLEV_H
#define CS_CALL_CALLEV_H

#include "base/buf.h"
#include "base/timefmt.h"
#include "base/uuid.h"

/* Of leg_ids, and of tags. What says more is undecodable as a whole: nothing is cut off. */
#define CALLEV_LIST_MAX  4096
#define CALLEV_NO_NUMBER INT64_MIN

enum callev_kind {
	CALLEV_CALL_STARTED,
	CALLEV_LEG_RINGING,
	CALLEV_LEG_ANSWERED,
	CALLEV_LEG_HELD,
	CALLEV_LEG_RESUMED,
	CALLEV_LEG_ENDED,
	CALLEV_TALK_STARTED,
	CALLEV_TALK_ENDED,
	CALLEV_CALL_TRANSFERRED,
	CALLEV_CALL_LINKED,
	CALLEV_CALL_LOST,
	CALLEV_CALL_ENDED,
	CALLEV_RECORDING_STARTED,
	CALLEV_RECORDING_AVAILABLE,
	CALLEV_RECORDING_STORED,
	CALLEV_RECORDING_LOST,
	CALLEV_NOTE,
	CALLEV_KINDS_N
};

enum direction { DIRECTION_NONE, DIRECTION_IN, DIRECTION_OUT, DIRECTION_INTERNAL };

/* contract.md 3.2; OUTCOME_NONE is absent. */
enum outcome {
	OUTCOME_NONE,
	OUTCOME_ANSWERED,
	OUTCOME_NO_ANSWER,
	OUTCOME_BUSY,
	OUTCOME_CANCELLED,
	OUTCOME_REJECTED,
	OUTCOME_UNAVAILABLE,
	OUTCOME_NOT_FOUND,
	OUTCOME_BLOCKED,
	OUTCOME_FAILED,
	OUTCOME_UNKNOWN,
	OUTCOMES_N
};

enum side { SIDE_NONE, SIDE_CONTACT, SIDE_EMPLOYEE, SIDE_SYSTEM };

enum tristate { TRI_ABSENT, TRI_NO, TRI_YES };

/* A person of the office; absent when all three are. */
struct person {
	struct slice id, extension, name;
};

/* A party outside: number or uri, never both. */
struct contact {
	struct slice number, uri, id, name;
};

struct cause {
	struct slice vendor, text;
	int32_t q850; /* ITU-T Q.850 cause 1..127; 0 absent */
	enum side by;
};

/* The request as it came (contract.md 3.1), on the first event of a request only. */
struct callev_raw {
	struct slice method, path, type, query;
	struct slice body; /* any bytes; written as body_base64 where they are no UTF-8 */
	bool present;
};

struct callev {
	struct uuid id;
	struct slice account, source, call_session_id, leg_id;
	const struct slice *leg_ids; /* leg_ids_n of them; lives as long as the texts do */
	size_t leg_ids_n;
	enum callev_kind kind;
	enum direction direction;
	/* at absent: received_at counts, with note no_time; written as at, with "timed": false */
	int64_t at_ms, received_at_ms;
	bool untimed; /* as it was read; nobody else looks at it */
	int64_t seq;  /* CALLEV_NO_NUMBER absent; sorts as 0 */
	struct slice line, trunk;
	struct contact contact;
	struct person employee;

	/* what single kinds have */
	struct slice scenario, external_id, call_source;
	struct slice from_leg, number, location, queue;
	enum side held_by;    /* "by" of leg.held */
	bool unauthenticated; /* of any kind: written as "authenticated": false */
	struct cause cause;
	int64_t wait_ms, talk_ms, total_ms; /* the vendor's figures; CALLEV_NO_NUMBER absent */
	int64_t started_at_ms, answered_at_ms, ended_at_ms;
	enum outcome outcome;
	enum tristate recorded;
	const struct slice *tags; /* as leg_ids */
	size_t tags_n;
	struct slice transfer, from, to; /* call.transferred */
	struct slice into;               /* call.linked */
	struct slice recording, url, source_url, sha256, reason;
	int64_t duration_ms, bytes;
	struct slice name, text; /* note; text is what was said, as JSON text */
	struct callev_raw raw;
};

/* Everything absent. */
void callev_init(struct callev *ev);

/* "leg.ringing" and so on; never NULL for a value of the enum. */
const char *callev_kind_text(enum callev_kind kind);
int callev_kind_read(struct slice text, enum callev_kind *ret); /* 0 or -EINVAL */
const char *outcome_text(enum outcome outcome);                 /* NULL for OUTCOME_NONE */
const char *direction_text(enum direction direction);           /* NULL for DIRECTION_NONE */
const char *side_text(enum side side);
int outcome_read(struct slice text, enum outcome *ret);
int direction_read(struct slice text, enum direction *ret);
int side_read(struct slice text, enum side *ret);

/* The time that orders the event: at, else received_at. TIME_NONE when it has neither. */
static inline int64_t callev_time(const struct callev *ev)
{
	return ev->at_ms != TIME_NONE ? ev->at_ms : ev->received_at_ms;
}

/* recording.* and note alone open no call and do not move its end (rules.md 1.5). */
static inline bool callev_is_call_fact(enum callev_kind kind)
{
	return kind < CALLEV_RECORDING_STARTED;
}

/* Appends one JSON object, no line end; keys in the contract's order, absent ones left out. */
void callev_write(struct buf *out, const struct callev *ev);

/*
 * Memory for reading events, used again for each. What an event borrows lies in its parser (and,
 * where callev_parse says so, in its text), so whoever reads N events before applying the first
 * has N parsers, one for each place of the batch: parse all, calltab_prefetch, apply, again.
 */
struct callev_parser;
struct callev_parser *callev_parser_new(void); /* NULL without memory */
void callev_parser_free(struct callev_parser *p);
struct parse_error {
	size_t offset;      /* byte of the input */
	const char *reason; /* constant text: what was expected */
};
/*
 * Reads one event. Unknown keys are ignored (a note without text keeps them, as an object, as its
 * text), values of another type than the contract's are absent, of a key that stands twice the last
 * counts. An error is: what is no JSON or no UTF-8; more leg_ids or tags than CALLEV_LIST_MAX; a
 * missing or wrong schema, id, account, source, call_session_id or kind; neither at nor
 * received_at; a time that is none; an id (leg, employee, contact too) that is neither a text nor a
 * number of digits alone. raw is skipped (raw.present stays false). The texts in *ret live until
 * the next call with this parser, and no longer than json does: they may lie in it. 0; -EBADMSG
 * with *error; -ENOMEM; after an error *ret means nothing.
 */
CHECKED int callev_parse(struct callev_parser *p, struct slice json, struct callev *ret,
			 struct parse_error *error);

#endif
