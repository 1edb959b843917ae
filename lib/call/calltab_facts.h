/*
 * calltab_facts.h - the events of one call, packed into one piece of memory
 *
 * A stream: the session, then the facts. A text that a fact repeats, as most do, is one byte: the
 * fields that events of a call say again have a slot each, and a fact refers to what was said last
 * in it. The stream is what the state topic stores, so facts that are in order are packed by one
 * copy; where the slots' last texts stand is known in memory alone.
 *
 * The order is the core's (rules.md 1.1): time, seq, id. Facts are appended as they come; `sorted`
 * says whether that was in order.
 * Thread: one owner.
 */
#ifndef CS_CALL_CALLTAB_FACTS_H
#define CS_CALL_CALLTAB_FACTS_H

#include "call/callev.h"
#include "wire/arena.h"

#define FACTS_MAX       2000u
#define FACTS_BYTES_MAX (256u * 1024u)
#define FACTS_SLOTS     16u

struct facts {
	int64_t base_ms;   /* the first fact's time; the others are distances from it */
	uint32_t cap;      /* of bytes */
	uint32_t stream_n; /* bytes of the stream */
	uint16_t n;        /* facts */
	uint8_t source;    /* the first fact's: a row of the table of sources; 0: another */
	bool sorted;
	/* Where each slot's last text stands in the stream; 0: none, or too far behind to tell. */
	uint16_t places[FACTS_SLOTS];
	uint8_t bytes[];
};

/* What a fact is found and ordered by. */
struct fact_key {
	struct uuid id;
	int64_t time_ms, seq;
	int64_t received_ms; /* TIME_NONE: none */
	enum callev_kind kind;
};
struct fact_key fact_key_of(const struct callev *ev);
int fact_key_cmp(const struct fact_key *a, const struct fact_key *b); /* time, seq, id */

/* Memory that all calls share while they are read and written. */
struct facts_scratch {
	uint8_t *fact;                /* the one being written */
	uint32_t fact_n, fact_cap;    /* fact_cap: for its texts */
	uint32_t fresh;               /* bits of the slots that it says something new in, */
	uint32_t placed[FACTS_SLOTS]; /* and where it does */
	uint8_t source;
	struct slice last[FACTS_SLOTS]; /* the slots' last texts, of the call read last */
	struct arena lists;             /* of its events */
	struct callev *events;          /* they themselves, in order */
	uint64_t *has;                  /* what each of them has: the rest is absent */
	struct fact_key *keys;
	uint32_t *ranks;
	size_t events_cap;
};
void facts_scratch_fini(struct facts_scratch *s);

/* Bytes that facts_begin needs behind the header. */
#define FACTS_BEGIN_ROOM(session_n) ((session_n) + 8u)
/* No facts yet. cap is set and large enough. */
void facts_begin(struct facts *f, struct slice session);
struct slice facts_session(const struct facts *f);
bool facts_is_session(const struct facts *f, struct slice session);

/*
 * Adding: encode, make room, take. ev is the event whose key is given. facts_encode returns the
 * bytes that must be behind the header, -ENOSPC
 * when the call is full, -ENOMEM.
 */
CHECKED int facts_encode(struct facts_scratch *s, const struct facts *f, const struct callev *ev);
void facts_take(const struct facts_scratch *s, struct facts *f, const struct fact_key *key,
		const struct fact_key *last);

/* 1 with *ret when the event is there, else 0 with the last fact's key in *ret_last (when n). */
int facts_find(const struct facts *f, const struct uuid *id, struct fact_key *ret,
	       struct fact_key *ret_last);
/*
 * All events in order into s->events (f->n of them), borrowing from f. account is filled in.
 * 0, -EBADMSG (a stream that was not written here), -ENOMEM.
 */
CHECKED int facts_decode(struct facts_scratch *s, const struct facts *f, struct slice account);
/* Another event in the place of one of s->events. */
void facts_replace(struct facts_scratch *s, struct callev *there, const struct callev *ev);
/* A stream that came from outside: checks it whole (0, -EBADMSG, -ENOMEM), finds the places.
 * All other fields of f are set but sorted. */
CHECKED int facts_adopt(struct facts_scratch *s, struct facts *f);

#endif
