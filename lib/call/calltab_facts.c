#include "call/calltab_facts.h"

#include <errno.h>
#include <stdlib.h>

#include "wire/cursor.h"

/*
 * A fact: its length, id, kind, a bitmap of what it has, then these fields: the three keys of the
 * order, the texts, the rest, each in the order of their bits. Integers are LEB128. A text is its
 * number; the number after the last one means that length and bytes follow. What is frequent has
 * the low bits, so that most bitmaps take three bytes.
 */
enum field_type { NUMBER, MOMENT, WORD, Q850, TEXT, LEGS, TAGS, FLAG };

#define SPECIAL_FIELDS(X)                                                                          \
	X(AT, MOMENT, at_ms, 0)                                                                    \
	X(RECEIVED, MOMENT, received_at_ms, 0)                                                     \
	X(SEQ, NUMBER, seq, 0)
#define FREQUENT_FIELDS(X)                                                                         \
	X(DIRECTION, WORD, direction, DIRECTION_INTERNAL)                                          \
	X(LINE, TEXT, line, 0)                                                                     \
	X(CONTACT_NUMBER, TEXT, contact.number, 0)                                                 \
	X(EMPLOYEE_ID, TEXT, employee.id, 0)                                                       \
	X(EMPLOYEE_EXTENSION, TEXT, employee.extension, 0)                                         \
	X(EMPLOYEE_NAME, TEXT, employee.name, 0)                                                   \
	X(LEG_ID, TEXT, leg_id, 0)                                                                 \
	X(LEG_IDS, LEGS, leg_ids, 0)                                                               \
	X(CALL_SOURCE, TEXT, call_source, 0)                                                       \
	X(SCENARIO, TEXT, scenario, 0)                                                             \
	X(EXTERNAL_ID, TEXT, external_id, 0)                                                       \
	X(CONTACT_ID, TEXT, contact.id, 0)                                                         \
	X(CONTACT_NAME, TEXT, contact.name, 0)                                                     \
	X(VENDOR, TEXT, cause.vendor, 0)                                                           \
	X(WAIT, NUMBER, wait_ms, 0)                                                                \
	X(TALK, NUMBER, talk_ms, 0)                                                                \
	X(STARTED, MOMENT, started_at_ms, 0)                                                       \
	X(ENDED, MOMENT, ended_at_ms, 0)                                                           \
	X(TOTAL, NUMBER, total_ms, 0)
#define RARE_FIELDS(X)                                                                             \
	X(TAGS, TAGS, tags, 0)                                                                     \
	X(RECORDING, TEXT, recording, 0)                                                           \
	X(SOURCE_URL, TEXT, source_url, 0)                                                         \
	X(DURATION, NUMBER, duration_ms, 0)                                                        \
	X(NUMBER, TEXT, number, 0)                                                                 \
	X(LOCATION, TEXT, location, 0)                                                             \
	X(QUEUE, TEXT, queue, 0)                                                                   \
	X(FROM_LEG, TEXT, from_leg, 0)                                                             \
	X(HELD_BY, WORD, held_by, SIDE_SYSTEM)                                                     \
	X(Q850, Q850, cause.q850, 0)                                                               \
	X(BY, WORD, cause.by, SIDE_SYSTEM)                                                         \
	X(CAUSE_TEXT, TEXT, cause.text, 0)                                                         \
	X(ANSWERED, MOMENT, answered_at_ms, 0)                                                     \
	X(OUTCOME, WORD, outcome, OUTCOMES_N - 1)                                                  \
	X(RECORDED, WORD, recorded, TRI_YES)                                                       \
	X(TRANSFER, TEXT, transfer, 0)                                                             \
	X(FROM, TEXT, from, 0)                                                                     \
	X(TO, TEXT, to, 0)                                                                         \
	X(INTO, TEXT, into, 0)                                                                     \
	X(URL, TEXT, url, 0)                                                                       \
	X(SHA256, TEXT, sha256, 0)                                                                 \
	X(REASON, TEXT, reason, 0)                                                                 \
	X(BYTES, NUMBER, bytes, 0)                                                                 \
	X(NAME, TEXT, name, 0)                                                                     \
	X(NOTE_TEXT, TEXT, text, 0)                                                                \
	X(TRUNK, TEXT, trunk, 0)                                                                   \
	X(CONTACT_URI, TEXT, contact.uri, 0)                                                       \
	X(UNAUTHENTICATED, FLAG, unauthenticated, 0)                                               \
	X(SOURCE, TEXT, source, 0)
#define FIELDS(X) SPECIAL_FIELDS(X) FREQUENT_FIELDS(X) RARE_FIELDS(X)

enum field_bit {
#define F(name, type, member, max) FIELD_##name,
	FIELDS(F)
#undef F
	    FIELDS_N
};
_Static_assert(FIELDS_N <= 63, "the bitmap is one word");
#define BIT(name) (UINT64_C(1) << FIELD_##name)
#define KEY_BITS  (BIT(AT) | BIT(RECEIVED) | BIT(SEQ))

/* The bits of the fields that are one text; a constant once it is compiled. */
static inline uint64_t text_bits(void)
{
	uint64_t bits = 0;

#define IS_NUMBER                  0
#define IS_MOMENT                  0
#define IS_WORD                    0
#define IS_Q850                    0
#define IS_TEXT                    1
#define IS_LEGS                    0
#define IS_TAGS                    0
#define IS_FLAG                    0
#define F(name, type, member, max) bits |= (uint64_t)IS_##type << FIELD_##name;
	FIELDS(F)
#undef F
	return bits;
}

static const struct field {
	uint8_t type, max;
	uint16_t offset;
} fields[FIELDS_N] = {
#define F(name, type, member, max) { type, max, offsetof(struct callev, member) },
	FIELDS(F)
#undef F
};

/* Sources that take no text. Rows are for ever: packed state has them. */
static const struct slice sources[] = {
	SLICE_INIT(""),        SLICE_INIT("callgear"), SLICE_INIT("mango"),
	SLICE_INIT("zadarma"), SLICE_INIT("sip"),      SLICE_INIT("registrar"),
};

static uint8_t source_row(struct slice source)
{
	for (size_t i = 1; i < ARRAY_LEN(sources); i++) {
		if (slice_eq(sources[i], source))
			return (uint8_t)i;
	}
	return 0;
}

/* ---- keys ---- */

struct fact_key fact_key_of(const struct callev *ev)
{
	return (struct fact_key){ ev->id, callev_time(ev),
				  ev->seq == CALLEV_NO_NUMBER ? 0 : ev->seq, ev->received_at_ms,
				  ev->kind };
}

int fact_key_cmp(const struct fact_key *a, const struct fact_key *b)
{
	if (a->time_ms != b->time_ms)
		return a->time_ms < b->time_ms ? -1 : 1;
	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	return uuid_cmp(&a->id, &b->id);
}

/* Distances wrap, so that no pair of instants overflows. */
static int64_t away(int64_t from, int64_t by)
{
	return (int64_t)((uint64_t)from + (uint64_t)by);
}

static int64_t distance(int64_t from, int64_t to)
{
	return (int64_t)((uint64_t)to - (uint64_t)from);
}

/* The cursor's varint and slice, quick for what is one byte long: nearly all. */
static inline uint64_t get_varint(struct cursor *c)
{
	if (LIKELY(c->p < c->end && *c->p < 0x80))
		return *c->p++;
	return cur_varint(c);
}

static inline int64_t get_signed(struct cursor *c)
{
	uint64_t v = get_varint(c);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline struct slice get_slice(struct cursor *c)
{
	uint64_t n = get_varint(c);
	const uint8_t *p = c->p;

	if (UNLIKELY(n > (uint64_t)(c->end - c->p))) {
		c->bad = true;
		return SLICE_NONE;
	}
	c->p += n;
	return slice_make(p, (size_t)n);
}

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

static void read_key(struct slice fact, int64_t base_ms, struct fact_key *ret)
{
	struct cursor c = cur_make(fact);
	struct head h;

	read_head(&c, base_ms, &ret->id, &h);
	ret->time_ms = h.time_ms;
	ret->seq = h.seq;
	ret->received_ms = h.received_ms;
	ret->kind = h.kind;
}

/* ---- the stream and its texts ---- */

/* A directory entry: 14 bits that tell texts apart, 18 bits of place. */
#define PLACE_BITS 18
_Static_assert(FACTS_BYTES_MAX <= 1u << PLACE_BITS, "a place has 18 bits");

static uint32_t *directory(const struct facts *f)
{
	return (uint32_t *)(uintptr_t)(f->bytes + f->cap);
}

static inline uint64_t load(const char *p, size_t n)
{
	uint64_t v = 0;
	uint32_t low, high;

	if (n >= 8) {
		memcpy(&v, p, 8);
	} else if (n >= 4) {
		memcpy(&low, p, 4);
		memcpy(&high, p + n - 4, 4);
		v = (uint64_t)high << 32 | low;
	} else {
		for (size_t i = 0; i < n; i++)
			v = v << 8 | (uint8_t)p[i];
	}
	return v;
}

static inline uint32_t tag_of(struct slice text)
{
	uint64_t mixed = load(text.p, text.n) + text.n;

	if (text.n > 8)
		mixed ^= load(text.p + text.n - 8, 8) * UINT64_C(0xff51afd7ed558ccd);
	return (uint32_t)((mixed * UINT64_C(0x9e3779b97f4a7c15)) >> 50) << PLACE_BITS;
}

/* slice_eq without a call: most texts are shorter than two words. */
static inline bool same_text(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	if (a.n < 8)
		return load(a.p, a.n) == load(b.p, a.n);
	if (load(a.p, 8) != load(b.p, 8) || load(a.p + a.n - 8, 8) != load(b.p + a.n - 8, 8))
		return false;
	return a.n <= 16 || memcmp(a.p + 8, b.p + 8, a.n - 16) == 0;
}

static bool same_id(const char *a, const struct uuid *b)
{
	return load(a, 8) == load((const char *)b->b, 8) &&
	       load(a + 8, 8) == load((const char *)b->b + 8, 8);
}

static inline struct slice text_at(const struct facts *f, uint32_t at)
{
	struct cursor c = { f->bytes + at, f->bytes + f->stream_n, false };

	return get_slice(&c);
}

static struct cursor facts_cursor(const struct facts *f)
{
	struct cursor c = { f->bytes, f->bytes + f->stream_n, false };

	(void)get_slice(&c);
	return c;
}

bool facts_is_session(const struct facts *f, struct slice session)
{
	return same_text(text_at(f, 0), session);
}

struct slice facts_session(const struct facts *f)
{
	return text_at(f, 0);
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

static uint8_t *write_signed(uint8_t *p, int64_t v)
{
	return write_varint(p, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static uint8_t *write_bytes(uint8_t *p, const void *from, size_t n)
{
	memcpy(p, from, n);
	return p + n;
}

void facts_begin(struct facts *f, struct slice session)
{
	uint8_t *p = write_varint(f->bytes, session.n);

	p = write_bytes(p, session.p, session.n);
	f->base_ms = 0;
	f->stream_n = (uint32_t)(p - f->bytes);
	f->texts_n = 1;
	f->n = 0;
	f->source = 0;
	f->sorted = true;
	directory(f)[-1] = tag_of(session);
}

void facts_copy_directory(struct facts *to, const struct facts *from)
{
	size_t n = from->texts_n * sizeof(uint32_t);

	memcpy(to->bytes + to->cap - n, from->bytes + from->cap - n, n);
}

/* ---- writing a fact ---- */

#define VARINT_MAX 10u

static const struct slice *text_field(const struct callev *ev, const struct field *field)
{
	return (const struct slice *)(const void *)((const char *)ev + field->offset);
}

/* What the event has; the source only where it is not the call's. */
static uint64_t bits_of(const struct callev *ev)
{
	uint64_t bits = 0;

#define HAS_NUMBER(member)         (ev->member != CALLEV_NO_NUMBER)
#define HAS_MOMENT(member)         (ev->member != TIME_NONE)
#define HAS_WORD(member)           (ev->member != 0)
#define HAS_Q850(member)           (ev->member != 0)
#define HAS_TEXT(member)           (ev->member.n != 0)
#define HAS_LEGS(member)           (ev->member##_n != 0)
#define HAS_TAGS(member)           (ev->member##_n != 0)
#define HAS_FLAG(member)           (ev->member)
#define F(name, type, member, max) bits |= (uint64_t)HAS_##type(member) << FIELD_##name;
	FIELDS(F)
#undef F
	return bits & ~BIT(SOURCE);
}

static size_t texts_bytes(const struct callev *ev, uint64_t bits)
{
	size_t n = 0;

	for (bits &= text_bits(); bits; bits &= bits - 1)
		n += text_field(ev, &fields[__builtin_ctzll(bits)])->n;
	for (size_t i = 0; i < ev->leg_ids_n; i++)
		n += ev->leg_ids[i].n;
	for (size_t i = 0; i < ev->tags_n; i++)
		n += ev->tags[i].n;
	return n;
}

typedef uint32_t four_entries __attribute__((vector_size(16), aligned(4)));
typedef uint64_t two_words __attribute__((vector_size(16)));

static inline bool tag_fits(uint32_t entry, uint32_t tag)
{
	return (entry ^ tag) >> PLACE_BITS == 0;
}

/* Does one of the four entries up to `entry` fit? Mostly none does. */
static inline bool any_fits(const uint32_t *entry, uint32_t tag)
{
	const four_entries *four = (const four_entries *)(const void *)(entry - 4);
	two_words fits = (two_words)((*four ^ tag) >> PLACE_BITS == 0);

	return (fits[0] | fits[1]) != 0;
}

/* The number of a text that an earlier fact has said, or texts_n. */
static inline uint32_t find_said(const struct facts *f, struct slice text, uint32_t tag)
{
	const uint32_t *entry = directory(f);
	uint32_t i = 0, n = f->texts_n;

	while (i < n) {
		if (i + 4 <= n && !any_fits(entry, tag)) {
			i += 4;
			entry -= 4;
			continue;
		}
		i++;
		entry--;
		if (tag_fits(*entry, tag) && same_text(text_at(f, *entry ^ tag), text))
			return i - 1;
	}
	return n;
}

/* The number of a text that an earlier fact or this one has said, or texts_n + fresh_n. */
static inline uint32_t find_text(const struct facts_scratch *s, const struct facts *f,
				 struct slice text, uint32_t tag)
{
	uint32_t said = find_said(f, text, tag);

	if (said < f->texts_n)
		return said;
	for (uint32_t i = 0; i < s->fresh_n; i++) {
		if (s->fresh[i].tag == tag && same_text(s->fresh[i].text, text))
			return f->texts_n + i;
	}
	return f->texts_n + s->fresh_n;
}

static uint8_t *write_text(struct facts_scratch *s, const struct facts *f, uint8_t *p,
			   struct slice text)
{
	uint32_t tag = tag_of(text);
	uint32_t number = find_text(s, f, text, tag);

	p = write_varint(p, number);
	if (number < f->texts_n + s->fresh_n)
		return p;
	s->fresh[s->fresh_n++] = (struct fact_text){ text, tag,
						     (uint32_t)(p - (uint8_t *)s->fact.p) };
	p = write_varint(p, text.n);
	return write_bytes(p, text.p, text.n);
}

static uint8_t *write_texts(struct facts_scratch *s, const struct facts *f, uint8_t *p,
			    const struct slice *texts, size_t n)
{
	p = write_varint(p, n);
	for (size_t i = 0; i < n; i++)
		p = write_text(s, f, p, texts[i]);
	return p;
}

static uint8_t *write_field(struct facts_scratch *s, const struct facts *f, uint8_t *p,
			    const struct callev *ev, const struct field *field)
{
	const char *from = (const char *)ev + field->offset;
	int64_t number;
	uint32_t word;

	switch ((enum field_type)field->type) {
	case NUMBER:
		memcpy(&number, from, sizeof(number));
		return write_signed(p, number);
	case MOMENT:
		memcpy(&number, from, sizeof(number));
		return write_signed(p, distance(callev_time(ev), number));
	case WORD:
	case Q850:
		memcpy(&word, from, sizeof(word));
		return write_varint(p, word);
	case LEGS:
		return write_texts(s, f, p, ev->leg_ids, ev->leg_ids_n);
	case TAGS:
		return write_texts(s, f, p, ev->tags, ev->tags_n);
	case TEXT:
	case FLAG:
		break;
	}
	return p;
}

static uint8_t *write_head(uint8_t *p, const struct facts *f, const struct callev *ev,
			   uint64_t bits)
{
	int64_t base_ms = f->n ? f->base_ms : callev_time(ev);

	p = write_bytes(p, ev->id.b, UUID_LEN);
	*p++ = (uint8_t)ev->kind;
	p = write_varint(p, bits);
	if (bits & BIT(AT))
		p = write_signed(p, distance(base_ms, ev->at_ms));
	if (bits & BIT(RECEIVED))
		p = write_signed(
		    p, distance(bits & BIT(AT) ? ev->at_ms : base_ms, ev->received_at_ms));
	if (bits & BIT(SEQ))
		p = write_signed(p, ev->seq);
	return p;
}

/* The source of the first fact, and whether this one must say its own. */
static uint64_t source_bit(struct facts_scratch *s, const struct facts *f, const struct callev *ev)
{
	s->source = f->n ? f->source : source_row(ev->source);
	return s->source && slice_eq(sources[s->source], ev->source) ? 0 : BIT(SOURCE);
}

int facts_encode(struct facts_scratch *s, const struct facts *f, const struct callev *ev)
{
	uint64_t bits = bits_of(ev) | source_bit(s, f, ev);
	size_t texts_n = texts_bytes(ev, bits);
	size_t most = FACTS_SINGLE_TEXTS_MAX + ev->leg_ids_n + ev->tags_n;
	size_t room = texts_n + (FIELDS_N + 2 * most) * VARINT_MAX;
	uint8_t *p;

	if (f->n >= FACTS_MAX || texts_n >= FACTS_BYTES_MAX || most > FACTS_TEXTS_MAX)
		return -ENOSPC;
	buf_reset(&s->fact);
	if (!buf_reserve(&s->fact, room))
		return -ENOMEM;
	s->fresh_n = 0;
	p = write_head((uint8_t *)s->fact.p, f, ev, bits);
	for (uint64_t left = bits & text_bits(); left; left &= left - 1)
		p = write_text(s, f, p, *text_field(ev, &fields[__builtin_ctzll(left)]));
	for (uint64_t left = bits & ~(text_bits() | KEY_BITS); left; left &= left - 1)
		p = write_field(s, f, p, ev, &fields[__builtin_ctzll(left)]);
	s->fact.n = (size_t)(p - (uint8_t *)s->fact.p);
	room = f->stream_n + s->fact.n + 3 + (f->texts_n + s->fresh_n) * sizeof(uint32_t);
	return room > FACTS_BYTES_MAX ? -ENOSPC : (int)room;
}

void facts_take(const struct facts_scratch *s, struct facts *f, const struct fact_key *key,
		const struct fact_key *last)
{
	uint8_t *p = write_varint(f->bytes + f->stream_n, s->fact.n);
	uint32_t start = (uint32_t)(p - f->bytes);
	uint32_t *entry = directory(f) - f->texts_n;

	p = write_bytes(p, s->fact.p, s->fact.n);
	for (uint32_t i = 0; i < s->fresh_n; i++)
		*--entry = s->fresh[i].tag | (start + s->fresh[i].at);
	if (f->n == 0) {
		f->base_ms = key->time_ms;
		f->source = s->source;
	} else if (fact_key_cmp(last, key) > 0) {
		f->sorted = false;
	}
	f->stream_n = (uint32_t)(p - f->bytes);
	f->texts_n += s->fresh_n;
	f->n++;
}

/* ---- reading ---- */

int facts_find(const struct facts *f, const struct uuid *id, struct fact_key *ret,
	       struct fact_key *ret_last)
{
	struct cursor c = facts_cursor(f);
	struct slice fact = SLICE_NONE;

	for (unsigned i = 0; i < f->n; i++) {
		fact = get_slice(&c);
		if (fact.n >= UUID_LEN && same_id(fact.p, id)) {
			read_key(fact, f->base_ms, ret);
			return 1;
		}
	}
	read_key(fact, f->base_ms, ret_last);
	return 0;
}

/* The texts read so far; no more than the block says it has. */
struct texts {
	struct slice *v;
	uint32_t n, max;
	struct arena *lists;
	bool no_memory;
};

static inline struct slice read_text(struct cursor *c, struct texts *texts)
{
	uint64_t number = get_varint(c);
	struct slice text;

	if (number < texts->n)
		return texts->v[number];
	text = get_slice(c);
	if (number > texts->n || texts->n == texts->max || text.n == 0) {
		c->bad = true;
		return SLICE_NONE;
	}
	texts->v[texts->n++] = text;
	return text;
}

static size_t read_texts(struct cursor *c, struct texts *texts, const struct slice **ret)
{
	uint64_t n = get_varint(c);
	struct slice *list;

	if (n == 0 || n > CALLEV_LIST_MAX || n > cur_left(c)) {
		c->bad = true;
		return 0;
	}
	list = arena_alloc(texts->lists, (size_t)n * sizeof(*list));
	if (!list) {
		c->bad = texts->no_memory = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		list[i] = read_text(c, texts);
	*ret = list;
	return (size_t)n;
}

static int64_t read_moment(struct cursor *c, int64_t from_ms)
{
	int64_t ms = away(from_ms, get_signed(c));

	c->bad |= ms < TIME_MIN_MS || ms > TIME_MAX_MS;
	return ms;
}

static uint32_t read_word(struct cursor *c, uint32_t max)
{
	uint64_t word = get_varint(c);

	c->bad |= word == 0 || word > max;
	return (uint32_t)word;
}

static void read_field(struct cursor *c, struct texts *texts, struct callev *ev,
		       const struct field *field, int64_t time_ms)
{
	char *to = (char *)ev + field->offset;
	int64_t number;
	uint32_t word;

	switch ((enum field_type)field->type) {
	case NUMBER:
		number = get_signed(c);
		c->bad |= number == CALLEV_NO_NUMBER;
		memcpy(to, &number, sizeof(number));
		break;
	case MOMENT:
		number = read_moment(c, time_ms);
		memcpy(to, &number, sizeof(number));
		break;
	case WORD:
	case Q850:
		word = read_word(c, field->type == Q850 ? INT32_MAX : field->max);
		memcpy(to, &word, sizeof(word));
		break;
	case LEGS:
		ev->leg_ids_n = read_texts(c, texts, &ev->leg_ids);
		break;
	case TAGS:
		ev->tags_n = read_texts(c, texts, &ev->tags);
		break;
	case FLAG:
		*to = 1;
		break;
	case TEXT:
		break;
	}
}

/* An event with nothing in it, without touching the lists that its counts say are empty. */
static void set_absent(struct callev *ev)
{
#define ABSENT_NUMBER(member)      ev->member = CALLEV_NO_NUMBER;
#define ABSENT_MOMENT(member)      ev->member = TIME_NONE;
#define ABSENT_WORD(member)        ev->member = 0;
#define ABSENT_Q850(member)        ev->member = 0;
#define ABSENT_TEXT(member)        ev->member = SLICE_NONE;
#define ABSENT_LEGS(member)        ev->member##_n = 0;
#define ABSENT_TAGS(member)        ev->member##_n = 0;
#define ABSENT_FLAG(member)        ev->member = false;
#define F(name, type, member, max) ABSENT_##type(member)
	FIELDS(F)
#undef F
	ev->raw.present = false;
}

/* One fact; texts grow. The cursor's bad says whether it was whole. */
static void read_fact(struct cursor *c, const struct facts *f, struct texts *texts,
		      struct callev *ev)
{
	struct head h;

	read_head(c, f->base_ms, &ev->id, &h);
	if (h.bits >> FIELDS_N || h.kind >= CALLEV_KINDS_N || h.time_ms < TIME_MIN_MS ||
	    h.time_ms > TIME_MAX_MS)
		c->bad = true;
	if (UNLIKELY(c->bad))
		return;
	set_absent(ev);
	ev->kind = h.kind;
	ev->at_ms = h.at_ms;
	ev->received_at_ms = h.received_ms;
	if (h.bits & BIT(SEQ))
		ev->seq = h.seq;
	ev->source = sources[f->source];
	for (uint64_t left = h.bits & text_bits(); left; left &= left - 1) {
		struct slice text = read_text(c, texts);

		memcpy((char *)ev + fields[__builtin_ctzll(left)].offset, &text, sizeof(text));
	}
	for (uint64_t left = h.bits & ~(text_bits() | KEY_BITS); left; left &= left - 1)
		read_field(c, texts, ev, &fields[__builtin_ctzll(left)], h.time_ms);
	c->bad |= c->p != c->end;
}

static int reserve(struct facts_scratch *s, const struct facts *f)
{
	if (f->texts_n > s->texts_cap) {
		size_t cap = MAX(f->texts_n, s->texts_cap * 2);
		struct slice *texts = realloc(s->texts, cap * sizeof(*texts));

		if (!texts)
			return -ENOMEM;
		s->texts = texts;
		s->texts_cap = cap;
	}
	if (f->n > s->events_cap) {
		size_t cap = MIN(MAX((size_t)f->n * 2, 16), FACTS_MAX);
		struct callev *events = realloc(s->events, cap * sizeof(*events));
		struct fact_key *keys = realloc(s->keys, cap * sizeof(*keys));
		uint32_t *ranks = realloc(s->ranks, cap * sizeof(*ranks));

		s->events = events ? events : s->events;
		s->keys = keys ? keys : s->keys;
		s->ranks = ranks ? ranks : s->ranks;
		if (!events || !keys || !ranks)
			return -ENOMEM;
		s->events_cap = cap;
	}
	return 0;
}

static int order_of_keys(const void *a, const void *b)
{
	return fact_key_cmp(a, b);
}

/* Keys come nearly in order. */
static void sort_keys(struct fact_key *keys, size_t n)
{
	if (n > 32) {
		qsort(keys, n, sizeof(*keys), order_of_keys);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		struct fact_key key = keys[i];
		size_t at = i;

		for (; at > 0 && fact_key_cmp(&keys[at - 1], &key) > 0; at--)
			keys[at] = keys[at - 1];
		keys[at] = key;
	}
}

/* Where each fact of the stream belongs in the order. */
static void rank(struct facts_scratch *s, const struct facts *f)
{
	struct cursor c = facts_cursor(f);

	if (f->sorted) {
		for (unsigned i = 0; i < f->n; i++)
			s->ranks[i] = i;
		return;
	}
	for (unsigned i = 0; i < f->n; i++) {
		read_key(get_slice(&c), f->base_ms, &s->keys[i]);
		s->keys[i].received_ms = i;
	}
	/* received_ms is no part of the order: it carries the place in the stream. */
	sort_keys(s->keys, f->n);
	for (unsigned i = 0; i < f->n; i++)
		s->ranks[s->keys[i].received_ms] = i;
}

int facts_decode(struct facts_scratch *s, const struct facts *f, struct slice account)
{
	struct cursor c = { f->bytes, f->bytes + f->stream_n, false };
	struct texts texts;
	int err = reserve(s, f);

	if (err)
		return err;
	rank(s, f);
	arena_reset(&s->lists);
	texts = (struct texts){ s->texts, 1, f->texts_n, &s->lists, false };
	texts.v[0] = get_slice(&c);
	for (unsigned i = 0; i < f->n; i++) {
		struct callev *ev = &s->events[s->ranks[i]];
		struct cursor payload = cur_make(get_slice(&c));

		read_fact(&payload, f, &texts, ev);
		if (payload.bad)
			return texts.no_memory ? -ENOMEM : -EBADMSG;
		ev->account = account;
		ev->call_session_id = texts.v[0];
	}
	return c.bad || c.p != c.end || texts.n != f->texts_n ? -EBADMSG : 0;
}

/* ---- a stream from outside ---- */

static bool in_order(const struct facts_scratch *s, const struct facts *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		struct fact_key key = fact_key_of(&s->events[i]), before;

		if (i == 0) {
			if (key.time_ms != f->base_ms)
				return false;
			continue;
		}
		before = fact_key_of(&s->events[i - 1]);
		if (fact_key_cmp(&before, &key) >= 0)
			return false;
	}
	return true;
}

static bool has_twice(const struct facts_scratch *s, const struct facts *f)
{
	for (unsigned i = 0; i < f->n; i++)
		s->keys[i] = (struct fact_key){ .id = s->events[i].id };
	sort_keys(s->keys, f->n);
	for (unsigned i = 1; i < f->n; i++) {
		if (uuid_eq(&s->keys[i - 1].id, &s->keys[i].id))
			return true;
	}
	return false;
}

int facts_adopt(struct facts_scratch *s, struct facts *f)
{
	uint32_t *entry = directory(f);
	int err;

	f->sorted = true;
	if (f->n == 0 || f->n > FACTS_MAX || f->source >= ARRAY_LEN(sources) || f->texts_n == 0)
		return -EBADMSG;
	err = facts_decode(s, f, SLICE_NONE);
	if (err)
		return err;
	if (s->texts[0].n == 0 || !in_order(s, f) || has_twice(s, f))
		return -EBADMSG;
	for (uint32_t i = 0; i < f->texts_n; i++) {
		uint32_t at = (uint32_t)((const uint8_t *)s->texts[i].p - f->bytes);

		/* The length stands before the bytes: as many bytes as it takes. */
		for (size_t n = s->texts[i].n; n; n >>= 7)
			at--;
		*--entry = tag_of(s->texts[i]) | at;
	}
	return 0;
}

void facts_scratch_fini(struct facts_scratch *s)
{
	buf_fini(&s->fact);
	arena_fini(&s->lists);
	free(s->texts);
	free(s->events);
	free(s->keys);
	free(s->ranks);
}
