#include <errno.h>
#include <stdlib.h>

#include "call/calltab_facts_priv.h"

const struct field facts_fields[FIELDS_N] = {
#define F(name, type, member, max, slot)                                                           \
	{ offsetof(struct callev, member), SLOT_##slot,                                            \
	  SLOT_##slot == SLOT_LEG ? SLOT_SECOND_LEG : SLOT_NONE, max },
	FIELDS(F)
#undef F
};

/* Sources that take no text. Rows are for ever: packed state has them. */
const struct slice facts_sources[SOURCES_N] = {
	SLICE_INIT(""),        SLICE_INIT("callgear"), SLICE_INIT("mango"),
	SLICE_INIT("zadarma"), SLICE_INIT("sip"),      SLICE_INIT("registrar"),
};

static uint8_t source_row(struct slice source)
{
	for (size_t i = 1; i < SOURCES_N; i++) {
		if (text_eq(facts_sources[i], source))
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

/* ---- the stream ---- */

const uint8_t *facts_long_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
		uint8_t b = *p++;

		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b & 0x80)
			continue;
		*ret = v;
		return p;
	}
	return NULL;
}

struct slice facts_session(const struct facts *f)
{
	struct cursor c = { f->bytes, f->bytes + f->stream_n, false };

	return get_slice(&c);
}

bool facts_is_session(const struct facts *f, struct slice session)
{
	return text_eq(facts_session(f), session);
}

void facts_begin(struct facts *f, struct slice session)
{
	uint8_t *p = text_put(write_varint(f->bytes, session.n), session.p, session.n);

	f->base_ms = 0;
	f->stream_n = (uint32_t)(p - f->bytes);
	f->n = 0;
	f->source = 0;
	f->sorted = true;
	memset(f->places, 0, sizeof(f->places));
}

/* ---- writing a fact ---- */

#define VARINT_MAX      10u
#define FACT_ROOM_FIRST 4096u /* for the texts of nearly all facts */
/* What a fact has beside its texts and their lengths. */
#define REST_MAX (UUID_LEN + 2 + (FIELDS_N + 2) * VARINT_MAX)

/* What the event has; the source only where it is not the call's. */
static uint64_t bits_of(const struct callev *ev)
{
	uint64_t bits = 0, rare = 0;

	/* Not 0 when it is there. */
#define SAYS_NUMBER(member) ((uint64_t)ev->member ^ (uint64_t)CALLEV_NO_NUMBER)
#define SAYS_MOMENT(member) ((uint64_t)ev->member ^ (uint64_t)TIME_NONE)
#define SAYS_WORD(member)   ((uint64_t)ev->member)
#define SAYS_TEXT(member)   ((uint64_t)ev->member.n)
#define SAYS_LIST(member)   ((uint64_t)ev->member##_n)
#define SAYS_FLAG(member)   ((uint64_t)ev->member)
#define F(name, type, member, max, slot)                                                           \
	bits |= (uint64_t)(SAYS_##type(member) != 0) << FIELD_##name;
#define G(name, type, member, max, slot) rare |= SAYS_##type(member);
	SPECIAL_FIELDS(F)
	FREQUENT_FIELDS(F)
	RARE_FIELDS(G)
	if (UNLIKELY(rare != 0)) {
		RARE_FIELDS(F)
	}
#undef F
#undef G
	return bits;
}

struct writer {
	struct facts_scratch *s;
	const struct facts *f;
	uint8_t *p, *end; /* texts end there; the rest has room behind it */
	bool full;
};

/* Is it the text that was said last in the slot, by an earlier fact? */
static inline bool was_said(const struct facts *f, unsigned slot, struct slice text)
{
	const uint8_t *at = f->bytes + f->places[slot];

	if (!f->places[slot])
		return false;
	if (LIKELY(text.n < 0x80 - TEXT_BASE))
		return *at == text.n + TEXT_BASE && text_same(at + 1, text.p, text.n);
	struct cursor c = { at, f->bytes + f->stream_n, false };

	return get_varint(&c) == text.n + TEXT_BASE && text_same(c.p, text.p, text.n);
}

/* The same, by an earlier item of this fact too. */
static bool is_said(const struct writer *w, unsigned slot, struct slice text)
{
	struct cursor c;

	if (!(w->s->fresh >> slot & 1))
		return was_said(w->f, slot, text);
	c = (struct cursor){ w->s->fact + w->s->placed[slot], w->p, false };
	return get_varint(&c) == text.n + TEXT_BASE && text_same(c.p, text.p, text.n);
}

static inline void write_new(struct writer *w, unsigned slot, struct slice text)
{
	if (UNLIKELY(text.n + VARINT_MAX > (size_t)(w->end - w->p))) {
		w->full = true;
		return;
	}
	if (slot) {
		w->s->fresh |= 1u << slot;
		w->s->placed[slot] = (uint32_t)(w->p - w->s->fact);
	}
	w->p = text_put(write_varint(w->p, text.n + TEXT_BASE), text.p, text.n);
}

static void write_texts(struct writer *w, const struct callev *ev, uint64_t bits)
{
	for (uint64_t left = bits; left; left &= left - 1) {
		const struct field *field = next_field(left);
		struct slice text;

		memcpy(&text, (const char *)ev + field->offset, sizeof(text));
		if (was_said(w->f, field->slot, text))
			*w->p++ = SAME;
		else if (field->other && was_said(w->f, field->other, text))
			*w->p++ = SAME_OTHER;
		else
			write_new(w, field->slot, text);
	}
}

static void write_list(struct writer *w, const struct slice *texts, size_t n, bool legs)
{
	w->p = write_varint(w->p, n);
	for (size_t i = 0; i < n && !w->full; i++) {
		unsigned slot = !legs ? SLOT_NONE : i == 0 ? SLOT_FIRST_LEG : SLOT_SECOND_LEG;

		if (w->p >= w->end)
			w->full = true;
		else if (legs && is_said(w, slot, texts[i]))
			*w->p++ = SAME;
		else if (legs && is_said(w, SLOT_LEG, texts[i]))
			*w->p++ = SAME_OTHER;
		else
			write_new(w, slot, texts[i]);
	}
}

static inline int64_t number_of(const struct callev *ev, const struct field *field)
{
	int64_t number;

	memcpy(&number, (const char *)ev + field->offset, sizeof(number));
	return number;
}

static void write_rest(struct writer *w, const struct callev *ev, uint64_t bits)
{
	uint8_t *p = w->p;
	uint32_t word;

	for (uint64_t left = bits & bits_of_type(NUMBER); left; left &= left - 1)
		p = write_signed(p, number_of(ev, next_field(left)));
	for (uint64_t left = bits & bits_of_type(MOMENT); left; left &= left - 1)
		p = write_signed(p, distance(callev_time(ev), number_of(ev, next_field(left))));
	for (uint64_t left = bits & bits_of_type(WORD); left; left &= left - 1) {
		memcpy(&word, (const char *)ev + next_field(left)->offset, sizeof(word));
		p = write_varint(p, word);
	}
	w->p = p;
	if (bits & BIT(LEG_IDS))
		write_list(w, ev->leg_ids, ev->leg_ids_n, true);
	if (bits & BIT(TAGS))
		write_list(w, ev->tags, ev->tags_n, false);
}

static uint8_t *write_head(uint8_t *p, const struct facts *f, const struct callev *ev,
			   uint64_t bits)
{
	int64_t base_ms = f->n ? f->base_ms : callev_time(ev);

	memcpy(p, ev->id.b, UUID_LEN);
	p += UUID_LEN;
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
	return s->source && text_eq(facts_sources[s->source], ev->source) ? 0 : BIT(SOURCE);
}

/* Room for a fact with texts of n bytes. */
static int fact_room(struct facts_scratch *s, uint32_t n)
{
	uint8_t *fact = realloc(s->fact, n + REST_MAX);

	if (!fact)
		return -ENOMEM;
	s->fact = fact;
	s->fact_cap = n;
	return 0;
}

int facts_encode(struct facts_scratch *s, const struct facts *f, const struct callev *ev)
{
	uint64_t bits = bits_of(ev) | source_bit(s, f, ev);
	struct writer w = { .s = s, .f = f };
	size_t room;

	if (f->n >= FACTS_MAX)
		return -ENOSPC;
	if (UNLIKELY(!s->fact) && fact_room(s, FACT_ROOM_FIRST))
		return -ENOMEM;
	s->fresh = 0;
	w.p = write_head(s->fact, f, ev, bits);
	w.end = s->fact + s->fact_cap;
	write_texts(&w, ev, bits & bits_of_type(TEXT));
	write_rest(&w, ev, bits);
	if (UNLIKELY(w.full && s->fact_cap < FACTS_BYTES_MAX))
		return fact_room(s, FACTS_BYTES_MAX) ? -ENOMEM : facts_encode(s, f, ev);
	s->fact_n = (uint32_t)(w.p - s->fact);
	room = f->stream_n + s->fact_n + 3;
	return w.full || room > FACTS_BYTES_MAX ? -ENOSPC : (int)room;
}

void facts_take(const struct facts_scratch *s, struct facts *f, const struct fact_key *key,
		const struct fact_key *last)
{
	uint8_t *p = write_varint(f->bytes + f->stream_n, s->fact_n);
	size_t start = (size_t)(p - f->bytes);

	memcpy(p, s->fact, s->fact_n);
	for (uint32_t left = s->fresh; left; left &= left - 1) {
		unsigned slot = (unsigned)__builtin_ctz(left);
		size_t place = start + s->placed[slot];

		f->places[slot] = place <= UINT16_MAX ? (uint16_t)place : 0;
	}
	if (f->n == 0) {
		f->base_ms = key->time_ms;
		f->source = s->source;
	} else if (fact_key_cmp(last, key) > 0) {
		f->sorted = false;
	}
	f->stream_n = (uint32_t)(start + s->fact_n);
	f->n++;
}

/* ---- finding ---- */

int facts_find(const struct facts *f, const struct uuid *id, struct fact_key *ret,
	       struct fact_key *ret_last)
{
	struct cursor c = facts_cursor(f);
	struct slice fact = SLICE_NONE;

	for (unsigned i = 0; i < f->n; i++) {
		fact = get_slice(&c);
		if (fact.n >= UUID_LEN && text_same(fact.p, id->b, UUID_LEN)) {
			read_key(fact, f->base_ms, ret);
			return 1;
		}
	}
	read_key(fact, f->base_ms, ret_last);
	return 0;
}

void facts_scratch_fini(struct facts_scratch *s)
{
	arena_fini(&s->lists);
	free(s->fact);
	free(s->events);
	free(s->has);
	free(s->keys);
	free(s->ranks);
}
