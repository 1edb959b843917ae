/*
 * calltab_facts_priv.h - how a fact is written, shared by the files that write and read it
 *
 * A fact: its length, id, kind, a bitmap of what it has, then these fields: the three keys of the
 * order, then by type: texts, numbers, moments, words, lists, each in the order of their bits.
 * Integers are LEB128. A text is 0 where it is the one said last in its slot, 1 where it is the one
 * said last in the slot that goes with it, else its length + 2 and its bytes. What is frequent has
 * the low bits, so that most bitmaps take three bytes.
 */
#ifndef CS_CALL_CALLTAB_FACTS_PRIV_H
#define CS_CALL_CALLTAB_FACTS_PRIV_H

#include "call/calltab_facts.h"
#include "call/text.h"
#include "wire/cursor.h"

enum field_type { NUMBER, MOMENT, WORD, TEXT, LIST, FLAG };

/* Fields with a slot are those that events of a call say again. Which field has which is for ever:
 * packed state knows it. */
enum slot {
	SLOT_NONE,
	SLOT_LINE,
	SLOT_CONTACT,
	SLOT_EMPLOYEE,
	SLOT_EXTENSION,
	SLOT_NAME,
	SLOT_LEG,
	SLOT_FIRST_LEG,  /* of leg_ids */
	SLOT_SECOND_LEG, /* and of those behind it */
	SLOT_CALL_SOURCE,
	SLOT_SCENARIO,
	SLOT_EXTERNAL,
	SLOT_CONTACT_ID,
	SLOT_CONTACT_NAME,
	SLOT_VENDOR,
	SLOT_LOCATION,
	SLOTS_N
};
_Static_assert(SLOTS_N == FACTS_SLOTS, "each has its place");
#define SAME       0u
#define SAME_OTHER 1u
#define TEXT_BASE  2u

/*        name, type, member, highest, slot */
#define SPECIAL_FIELDS(X)                                                                          \
	X(AT, MOMENT, at_ms, 0, NONE)                                                              \
	X(RECEIVED, MOMENT, received_at_ms, 0, NONE)                                               \
	X(SEQ, NUMBER, seq, 0, NONE)
#define FREQUENT_FIELDS(X)                                                                         \
	X(DIRECTION, WORD, direction, DIRECTION_INTERNAL, NONE)                                    \
	X(LINE, TEXT, line, 0, LINE)                                                               \
	X(CONTACT_NUMBER, TEXT, contact.number, 0, CONTACT)                                        \
	X(EMPLOYEE_ID, TEXT, employee.id, 0, EMPLOYEE)                                             \
	X(EMPLOYEE_EXTENSION, TEXT, employee.extension, 0, EXTENSION)                              \
	X(EMPLOYEE_NAME, TEXT, employee.name, 0, NAME)                                             \
	X(LEG_ID, TEXT, leg_id, 0, LEG)                                                            \
	X(LEG_IDS, LIST, leg_ids, 0, NONE)                                                         \
	X(CALL_SOURCE, TEXT, call_source, 0, CALL_SOURCE)                                          \
	X(SCENARIO, TEXT, scenario, 0, SCENARIO)                                                   \
	X(EXTERNAL_ID, TEXT, external_id, 0, EXTERNAL)                                             \
	X(CONTACT_ID, TEXT, contact.id, 0, CONTACT_ID)                                             \
	X(CONTACT_NAME, TEXT, contact.name, 0, CONTACT_NAME)                                       \
	X(VENDOR, TEXT, cause.vendor, 0, VENDOR)                                                   \
	X(WAIT, NUMBER, wait_ms, 0, NONE)                                                          \
	X(TALK, NUMBER, talk_ms, 0, NONE)                                                          \
	X(STARTED, MOMENT, started_at_ms, 0, NONE)                                                 \
	X(ENDED, MOMENT, ended_at_ms, 0, NONE)                                                     \
	X(TOTAL, NUMBER, total_ms, 0, NONE)                                                        \
	X(TAGS, LIST, tags, 0, NONE)                                                               \
	X(RECORDING, TEXT, recording, 0, NONE)                                                     \
	X(SOURCE_URL, TEXT, source_url, 0, NONE)                                                   \
	X(DURATION, NUMBER, duration_ms, 0, NONE)
#define RARE_FIELDS(X)                                                                             \
	X(NUMBER, TEXT, number, 0, NONE)                                                           \
	X(LOCATION, TEXT, location, 0, LOCATION)                                                   \
	X(QUEUE, TEXT, queue, 0, NONE)                                                             \
	X(FROM_LEG, TEXT, from_leg, 0, NONE)                                                       \
	X(HELD_BY, WORD, held_by, SIDE_SYSTEM, NONE)                                               \
	X(Q850, WORD, cause.q850, INT32_MAX, NONE)                                                 \
	X(BY, WORD, cause.by, SIDE_SYSTEM, NONE)                                                   \
	X(CAUSE_TEXT, TEXT, cause.text, 0, NONE)                                                   \
	X(ANSWERED, MOMENT, answered_at_ms, 0, NONE)                                               \
	X(OUTCOME, WORD, outcome, OUTCOMES_N - 1, NONE)                                            \
	X(RECORDED, WORD, recorded, TRI_YES, NONE)                                                 \
	X(TRANSFER, TEXT, transfer, 0, NONE)                                                       \
	X(FROM, TEXT, from, 0, NONE)                                                               \
	X(TO, TEXT, to, 0, NONE)                                                                   \
	X(INTO, TEXT, into, 0, NONE)                                                               \
	X(URL, TEXT, url, 0, NONE)                                                                 \
	X(SHA256, TEXT, sha256, 0, NONE)                                                           \
	X(REASON, TEXT, reason, 0, NONE)                                                           \
	X(BYTES, NUMBER, bytes, 0, NONE)                                                           \
	X(NAME, TEXT, name, 0, NONE)                                                               \
	X(NOTE_TEXT, TEXT, text, 0, NONE)                                                          \
	X(TRUNK, TEXT, trunk, 0, NONE)                                                             \
	X(CONTACT_URI, TEXT, contact.uri, 0, NONE)                                                 \
	X(UNAUTHENTICATED, FLAG, unauthenticated, 0, NONE)
#define SOURCE_FIELD(X) X(SOURCE, TEXT, source, 0, NONE) /* where it is not the call's */
#define FIELDS(X)       SPECIAL_FIELDS(X) FREQUENT_FIELDS(X) RARE_FIELDS(X) SOURCE_FIELD(X)

enum field_bit {
#define F(name, type, member, max, slot) FIELD_##name,
	FIELDS(F)
#undef F
	    FIELDS_N
};
_Static_assert(FIELDS_N <= 63, "the bitmap is one word");
#define BIT(name) (UINT64_C(1) << FIELD_##name)
#define KEY_BITS  (BIT(AT) | BIT(RECEIVED) | BIT(SEQ))

/* The bits of a type, without those of the keys; a constant once it is compiled. */
static inline uint64_t bits_of_type(enum field_type wanted)
{
	uint64_t bits = 0;

#define F(name, type, member, max, slot) bits |= (uint64_t)((type) == wanted) << FIELD_##name;
	FIELDS(F)
#undef F
	return bits & ~KEY_BITS;
}

struct field {
	uint16_t offset;
	uint8_t slot, other; /* other: the slot that goes with it */
	uint32_t max;
};
extern const struct field facts_fields[FIELDS_N];
#define SOURCES_N 6
extern const struct slice facts_sources[SOURCES_N];

static inline const struct field *next_field(uint64_t left)
{
	return &facts_fields[__builtin_ctzll(left)];
}

/* Distances wrap, so that no pair of instants overflows. */
static inline int64_t away(int64_t from, int64_t by)
{
	return (int64_t)((uint64_t)from + (uint64_t)by);
}

static inline int64_t distance(int64_t from, int64_t to)
{
	return (int64_t)((uint64_t)to - (uint64_t)from);
}

/* ---- integers ---- */

/* A number of more than four bytes, or one that is cut off: what is behind it, NULL if it is none.
 */
const uint8_t *facts_long_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret);

/* The cursor's varint, quick for what is short: nearly all. */
static inline uint64_t get_varint(struct cursor *c)
{
	const uint8_t *p = c->p;
	uint32_t word, stop;
	uint64_t v;

	if (LIKELY(p < c->end && *p < 0x80)) {
		c->p = p + 1;
		return *p;
	}
	if (LIKELY(c->end - p >= 4)) {
		memcpy(&word, p, 4);
		stop = ~word & 0x80808080;
		if (LIKELY(stop != 0)) {
			word &= stop ^ (stop - 1);
			c->p = p + __builtin_ctz(stop) / 8 + 1;
			return (word & 0x7f) | (word >> 1 & 0x3f80) | (word >> 2 & 0x1fc000) |
			       (word >> 3 & 0xfe00000);
		}
	}
	p = facts_long_varint(p, c->end, &v);
	if (p) {
		c->p = p;
		return v;
	}
	c->bad = true;
	c->p = c->end;
	return 0;
}

static inline int64_t get_signed(struct cursor *c)
{
	uint64_t v = get_varint(c);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline struct slice get_bytes(struct cursor *c, uint64_t n)
{
	const uint8_t *p = c->p;

	if (UNLIKELY(n > (uint64_t)(c->end - c->p))) {
		c->bad = true;
		return SLICE_NONE;
	}
	c->p += n;
	return slice_make(p, (size_t)n);
}

static inline struct slice get_slice(struct cursor *c)
{
	return get_bytes(c, get_varint(c));
}

static inline uint8_t *write_varint(uint8_t *p, uint64_t v)
{
	while (v > 0x7f) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

static inline uint8_t *write_signed(uint8_t *p, int64_t v)
{
	return write_varint(p, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

/* ---- heads ---- */

struct head {
	uint64_t bits;
	int64_t at_ms, received_ms, seq, time_ms;
	enum callev_kind kind;
};

/* The cursor stands behind the keys then. */
static inline void read_head(struct cursor *c, int64_t base_ms, struct uuid *ret_id,
			     struct head *ret)
{
	int64_t from_ms = base_ms;

	*ret = (struct head){ 0, TIME_NONE, TIME_NONE, 0, TIME_NONE, CALLEV_KINDS_N };
	if (UNLIKELY(c->end - c->p < UUID_LEN + 2)) {
		c->bad = true;
		return;
	}
	memcpy(ret_id->b, c->p, UUID_LEN);
	ret->kind = (enum callev_kind)c->p[UUID_LEN];
	c->p += UUID_LEN + 1;
	ret->bits = get_varint(c);
	if (ret->bits & BIT(AT))
		ret->time_ms = ret->at_ms = from_ms = away(base_ms, get_signed(c));
	if (ret->bits & BIT(RECEIVED))
		ret->received_ms = away(from_ms, get_signed(c));
	if (!(ret->bits & BIT(AT)))
		ret->time_ms = ret->received_ms;
	if (ret->bits & BIT(SEQ))
		ret->seq = get_signed(c);
}

static inline void read_key(struct slice fact, int64_t base_ms, struct fact_key *ret)
{
	struct cursor c = cur_make(fact);
	struct head h;

	read_head(&c, base_ms, &ret->id, &h);
	ret->time_ms = h.time_ms;
	ret->seq = h.seq;
	ret->received_ms = h.received_ms;
	ret->kind = h.kind;
}

/* Behind the session. */
static inline struct cursor facts_cursor(const struct facts *f)
{
	struct cursor c = { f->bytes, f->bytes + f->stream_n, false };

	(void)get_slice(&c);
	return c;
}

#endif
