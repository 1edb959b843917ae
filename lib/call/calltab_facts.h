/*
 * calltab_facts.h - the events of one call, packed into one piece of memory
 *
 * A stream of facts grows upwards, a directory of texts downwards from the end. Each distinct text
 * of the call stands once, in the fact that said it first; later facts refer to it by number, and
 * the first text is the session. The stream is what the state topic stores, so facts that are in
 * order are packed by one copy; the directory exists in memory alone, to find a text again.
 *
 * The order is the core's (rules.md 1.1): time, seq, id. Facts are appended as they come; `sorted`
 * says whether that was in order.
 * Thread: one owner.
 */
#ifndef CS_CALL_CALLTAB_FACTS_H
#define CS_CALL_CALLTAB_FACTS_H

#include "call/callev.h"
#include "wire/arena.h"

#define FACTS_MAX              2000u
#define FACTS_BYTES_MAX        (256u * 1024u)
#define FACTS_SINGLE_TEXTS_MAX 48
#define FACTS_TEXTS_MAX        (2 * CALLEV_LIST_MAX + FACTS_SINGLE_TEXTS_MAX) /* of one event */

struct facts {
	int64_t base_ms;   /* the first fact's time; the others are distances from it */
	uint32_t cap;      /* of bytes; a multiple of 4 */
	uint32_t stream_n; /* bytes of the stream */
	uint32_t texts_n;  /* distinct texts */
	uint16_t n;        /* facts */
	uint8_t source;    /* the first fact's: a row of the table of sources; 0: another */
	bool sorted;
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
	struct buf fact; /* the one being written */
	struct fact_text {
		struct slice text;
		uint32_t tag, at; /* at: of its length, in fact */
	} fresh[FACTS_TEXTS_MAX]; /* texts that it is the first to say */
	uint32_t fresh_n;
	uint8_t source;
	struct slice *texts;
	size_t texts_cap;
	struct arena lists;    /* of the events of the call read last */
	struct callev *events; /* of the call read last, in order */
	struct fact_key *keys;
	uint32_t *ranks;
	size_t events_cap;
};
void facts_scratch_fini(struct facts_scratch *s);

/* Bytes that facts_begin needs behind the header. */
#define FACTS_BEGIN_ROOM(session_n) (((session_n) + 12u + 3u) & ~(size_t)3)
/* No facts yet, the session as the first text. cap is set and large enough. */
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
/* After all else was copied to memory with another cap. */
void facts_copy_directory(struct facts *to, const struct facts *from);

/* 1 with *ret when the event is there, else 0 with the last fact's key in *ret_last (when n). */
int facts_find(const struct facts *f, const struct uuid *id, struct fact_key *ret,
	       struct fact_key *ret_last);
/*
 * All events in order into s->events (f->n of them), borrowing from f. account is filled in.
 * 0, -EBADMSG (a stream that was not written here), -ENOMEM.
 */
CHECKED int facts_decode(struct facts_scratch *s, const struct facts *f, struct slice account);
/* A stream that came from outside: checks it whole (0, -EBADMSG, -ENOMEM), makes the directory.
 * All fields of f are set but sorted; the room for the directory is there. */
CHECKED int facts_adopt(struct facts_scratch *s, struct facts *f);

#endif
