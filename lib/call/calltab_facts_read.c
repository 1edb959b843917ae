#include <errno.h>
#include <stdlib.h>

#include "call/calltab_facts_priv.h"

/* An event with nothing in it. */
static const struct callev nothing = {
#define NOTHING_NUMBER(member)           .member = CALLEV_NO_NUMBER,
#define NOTHING_MOMENT(member)           .member = TIME_NONE,
#define NOTHING_WORD(member)             .member = 0,
#define NOTHING_TEXT(member)             .member = { NULL, 0 },
#define NOTHING_LIST(member)             .member = NULL,
#define NOTHING_FLAG(member)             .member = false,
#define F(name, type, member, max, slot) NOTHING_##type(member)
	FIELDS(F)
#undef F
};

struct reader {
	struct facts_scratch *s;
	struct cursor c;
	bool no_memory;
};

static inline struct slice read_text(struct reader *r, unsigned slot, unsigned other)
{
	struct slice *last = r->s->last, text;
	uint64_t v = get_varint(&r->c);

	if (v < TEXT_BASE) {
		text = last[v == SAME ? slot : other];
		r->c.bad |= text.p == NULL;
		return text;
	}
	text = get_bytes(&r->c, v - TEXT_BASE);
	if (slot)
		last[slot] = text;
	return text;
}

static void read_texts(struct reader *r, struct callev *ev, uint64_t bits)
{
	for (uint64_t left = bits; left; left &= left - 1) {
		const struct field *field = next_field(left);
		struct slice text = read_text(r, field->slot, field->other);

		r->c.bad |= text.n == 0;
		memcpy((char *)ev + field->offset, &text, sizeof(text));
	}
}

static size_t read_list(struct reader *r, const struct slice **ret, bool legs)
{
	uint64_t n = get_varint(&r->c);
	struct slice *list;

	if (n == 0 || n > CALLEV_LIST_MAX || n > cur_left(&r->c)) {
		r->c.bad = true;
		return 0;
	}
	list = arena_alloc(&r->s->lists, (size_t)n * sizeof(*list));
	if (!list) {
		r->c.bad = r->no_memory = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned slot = !legs ? SLOT_NONE : i == 0 ? SLOT_FIRST_LEG : SLOT_SECOND_LEG;

		list[i] = read_text(r, slot, legs ? SLOT_LEG : SLOT_NONE);
	}
	*ret = list;
	return (size_t)n;
}

static inline void set_number(struct callev *ev, const struct field *field, int64_t number)
{
	memcpy((char *)ev + field->offset, &number, sizeof(number));
}

static void read_numbers(struct reader *r, struct callev *ev, uint64_t bits, int64_t time_ms)
{
	for (uint64_t left = bits & bits_of_type(NUMBER); left; left &= left - 1) {
		int64_t number = get_signed(&r->c);

		r->c.bad |= number == CALLEV_NO_NUMBER;
		set_number(ev, next_field(left), number);
	}
	for (uint64_t left = bits & bits_of_type(MOMENT); left; left &= left - 1) {
		int64_t ms = away(time_ms, get_signed(&r->c));

		r->c.bad |= ms < TIME_MIN_MS || ms > TIME_MAX_MS;
		set_number(ev, next_field(left), ms);
	}
}

static void read_rest(struct reader *r, struct callev *ev, uint64_t bits)
{
	for (uint64_t left = bits & bits_of_type(WORD); left; left &= left - 1) {
		const struct field *field = next_field(left);
		uint64_t v = get_varint(&r->c);
		uint32_t word = (uint32_t)v;

		r->c.bad |= v == 0 || v > field->max;
		memcpy((char *)ev + field->offset, &word, sizeof(word));
	}
	if (bits & BIT(LEG_IDS))
		ev->leg_ids_n = read_list(r, &ev->leg_ids, true);
	if (bits & BIT(TAGS))
		ev->tags_n = read_list(r, &ev->tags, false);
	ev->unauthenticated = (bits & BIT(UNAUTHENTICATED)) != 0;
}

#define HAS_ANYTHING UINT64_MAX

/* What the last event in this place had and the next one has not. */
static void clear(struct callev *ev, uint64_t had)
{
	const struct slice none = SLICE_NONE;

	if (UNLIKELY(had == HAS_ANYTHING)) {
		memcpy(ev, &nothing, sizeof(*ev));
		return;
	}
	for (uint64_t left = had & bits_of_type(TEXT); left; left &= left - 1)
		memcpy((char *)ev + next_field(left)->offset, &none, sizeof(none));
	for (uint64_t left = had & bits_of_type(NUMBER); left; left &= left - 1)
		set_number(ev, next_field(left), CALLEV_NO_NUMBER);
	for (uint64_t left = had & bits_of_type(MOMENT); left; left &= left - 1)
		set_number(ev, next_field(left), TIME_NONE);
	for (uint64_t left = had & bits_of_type(WORD); left; left &= left - 1)
		memset((char *)ev + next_field(left)->offset, 0, sizeof(uint32_t));
	if (had & BIT(LEG_IDS))
		ev->leg_ids_n = 0;
	if (had & BIT(TAGS))
		ev->tags_n = 0;
}

void facts_replace(struct facts_scratch *s, struct callev *there, const struct callev *ev)
{
	*there = *ev;
	s->has[there - s->events] = HAS_ANYTHING;
}

/* One fact. The cursor's bad says whether it was not whole. */
static void read_fact(struct reader *r, const struct facts *f, struct callev *ev, uint64_t *has)
{
	struct uuid id;
	struct head h;

	read_head(&r->c, f->base_ms, &id, &h);
	if (h.bits >> FIELDS_N || h.kind >= CALLEV_KINDS_N || h.time_ms < TIME_MIN_MS ||
	    h.time_ms > TIME_MAX_MS)
		r->c.bad = true;
	if (UNLIKELY(r->c.bad))
		return;
	clear(ev, *has == HAS_ANYTHING ? *has : *has & ~h.bits);
	*has = h.bits;
	ev->id = id;
	ev->kind = h.kind;
	ev->at_ms = h.at_ms;
	ev->received_at_ms = h.received_ms;
	ev->seq = h.bits & BIT(SEQ) ? h.seq : CALLEV_NO_NUMBER;
	ev->source = facts_sources[f->source];
	read_texts(r, ev, h.bits & bits_of_type(TEXT));
	read_numbers(r, ev, h.bits, h.time_ms);
	read_rest(r, ev, h.bits);
	r->c.bad |= r->c.p != r->c.end;
}

static int reserve(struct facts_scratch *s, size_t n)
{
	size_t cap = MIN(MAX(n * 2, 16), FACTS_MAX);
	struct callev *events;
	struct fact_key *keys;
	uint32_t *ranks;
	uint64_t *has;

	if (LIKELY(n <= s->events_cap))
		return 0;
	events = realloc(s->events, cap * sizeof(*events));
	keys = realloc(s->keys, cap * sizeof(*keys));
	ranks = realloc(s->ranks, cap * sizeof(*ranks));
	has = realloc(s->has, cap * sizeof(*has));
	s->events = events ? events : s->events;
	s->keys = keys ? keys : s->keys;
	s->ranks = ranks ? ranks : s->ranks;
	s->has = has ? has : s->has;
	if (!events || !keys || !ranks || !has)
		return -ENOMEM;
	for (size_t i = s->events_cap; i < cap; i++)
		has[i] = HAS_ANYTHING;
	s->events_cap = cap;
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
	struct reader r = { .s = s };
	struct slice session;
	int err = reserve(s, f->n);

	if (err)
		return err;
	if (!f->sorted)
		rank(s, f);
	arena_reset(&s->lists);
	memset(s->last, 0, sizeof(s->last));
	session = get_slice(&c);
	for (unsigned i = 0; i < f->n; i++) {
		unsigned place = f->sorted ? i : s->ranks[i];
		struct callev *ev = &s->events[place];

		r.c = cur_make(get_slice(&c));
		read_fact(&r, f, ev, &s->has[place]);
		if (UNLIKELY(r.c.bad))
			return r.no_memory ? -ENOMEM : -EBADMSG;
		ev->account = account;
		ev->call_session_id = session;
	}
	return c.bad || c.p != c.end ? -EBADMSG : 0;
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

/* A text stands behind its length, which takes as many bytes as it needs. */
static size_t place_of(const struct facts *f, struct slice text)
{
	size_t place = (size_t)((const uint8_t *)(const void *)text.p - f->bytes);

	for (size_t v = text.n + TEXT_BASE; v; v >>= 7)
		place--;
	return place;
}

int facts_adopt(struct facts_scratch *s, struct facts *f)
{
	int err;

	f->sorted = true;
	if (f->n == 0 || f->n > FACTS_MAX || f->source >= SOURCES_N)
		return -EBADMSG;
	err = facts_decode(s, f, SLICE_NONE);
	if (err)
		return err;
	if (s->events[0].call_session_id.n == 0 || !in_order(s, f) || has_twice(s, f))
		return -EBADMSG;
	for (unsigned slot = 0; slot < FACTS_SLOTS; slot++) {
		size_t place = s->last[slot].p ? place_of(f, s->last[slot]) : 0;

		f->places[slot] = place <= UINT16_MAX ? (uint16_t)place : 0;
	}
	return 0;
}
