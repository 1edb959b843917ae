#include "call/fold.h"

/*
 * Lengths before texts and one word per figure, so that no two records give the same bytes. The
 * state topic keeps a hash of them: what changes here makes each remembered call say once more
 * what it is, under its next revision.
 */
struct packer {
	struct buf *buf;
	uint8_t *p, *end; /* what is free */
};

/* Room for n bytes at p; false without. */
static bool room(struct packer *k, size_t n)
{
	struct buf *b = k->buf;

	if (LIKELY((size_t)(k->end - k->p) >= n))
		return true;
	if (k->p)
		b->n = (size_t)(k->p - (uint8_t *)b->p);
	if (b->bad || !buf_reserve(b, n))
		return false;
	k->p = (uint8_t *)b->p + b->n;
	k->end = (uint8_t *)b->p + b->cap;
	return true;
}

static inline void put_word(struct packer *k, uint64_t v)
{
	if (!room(k, sizeof(v)))
		return;
	memcpy(k->p, &v, sizeof(v));
	k->p += sizeof(v);
}

static inline void put_ms(struct packer *k, int64_t ms)
{
	put_word(k, (uint64_t)ms);
}

/* Texts are short: two words that may overlap take most of them. */
static inline void copy_text(uint8_t *p, const char *from, size_t n)
{
	size_t i = 0;

	if (n >= 8) {
		for (; i + 8 < n; i += 8)
			memcpy(p + i, from + i, 8);
		memcpy(p + n - 8, from + n - 8, 8);
		return;
	}
	if (n >= 4) {
		memcpy(p, from, 4);
		memcpy(p + n - 4, from + n - 4, 4);
		return;
	}
	for (; i < n; i++)
		p[i] = (uint8_t)from[i];
}

static inline void put_text(struct packer *k, struct slice s)
{
	uint32_t n = (uint32_t)s.n;

	if (!room(k, sizeof(n) + s.n))
		return;
	memcpy(k->p, &n, sizeof(n));
	copy_text(k->p + sizeof(n), s.p, s.n);
	k->p += sizeof(n) + s.n;
}

static void put_person(struct packer *k, const struct person *p)
{
	put_text(k, p->id);
	put_text(k, p->extension);
	put_text(k, p->name);
}

static void put_head(struct packer *k, const struct record *rec)
{
	put_text(k, rec->account);
	put_text(k, rec->source);
	put_text(k, rec->call_session_id);
	put_word(k, (uint64_t)rec->complete | (uint64_t)rec->direction << 8 |
			(uint64_t)rec->outcome << 16 | (uint64_t)rec->cause.by << 24 |
			(uint64_t)(uint32_t)rec->cause.q850 << 32);
	put_text(k, rec->cause.vendor);
	put_text(k, rec->cause.text);
	put_text(k, rec->line);
	put_text(k, rec->trunk);
	put_text(k, rec->contact.number);
	put_text(k, rec->contact.uri);
	put_text(k, rec->contact.id);
	put_text(k, rec->contact.name);
	put_ms(k, rec->started_at_ms);
	put_ms(k, rec->answered_at_ms);
	put_ms(k, rec->ended_at_ms);
	put_ms(k, rec->wait_ms);
	put_ms(k, rec->talk_ms);
	put_ms(k, rec->total_ms);
	put_person(k, &rec->employee);
	put_person(k, &rec->caller);
}

static void put_leg(struct packer *k, const struct record_leg *leg)
{
	put_text(k, leg->leg_id);
	put_text(k, leg->location);
	put_text(k, leg->number);
	put_text(k, leg->queue);
	put_text(k, leg->from_leg);
	put_person(k, &leg->employee);
	put_ms(k, leg->ringing_at_ms);
	put_ms(k, leg->answered_at_ms);
	put_ms(k, leg->ended_at_ms);
	put_word(k, leg->outcome);
}

static void put_lists(struct packer *k, const struct record *rec)
{
	put_word(k, rec->legs_n);
	for (size_t i = 0; i < rec->legs_n; i++)
		put_leg(k, &rec->legs[i]);
	put_word(k, rec->transfers_n);
	for (size_t i = 0; i < rec->transfers_n; i++) {
		put_ms(k, rec->transfers[i].at_ms);
		put_text(k, rec->transfers[i].transfer);
		put_text(k, rec->transfers[i].from);
		put_text(k, rec->transfers[i].to);
	}
	put_word(k, rec->recordings_n);
	for (size_t i = 0; i < rec->recordings_n; i++) {
		const struct record_recording *r = &rec->recordings[i];

		put_text(k, r->id);
		put_text(k, r->leg_id);
		put_text(k, r->url);
		put_text(k, r->source_url);
		put_text(k, r->sha256);
		put_word(k, r->state);
		put_ms(k, r->duration_ms);
		put_word(k, (uint64_t)r->bytes);
	}
}

static void put_tail(struct packer *k, const struct record *rec)
{
	put_word(k, rec->tags_n);
	for (size_t i = 0; i < rec->tags_n; i++)
		put_text(k, rec->tags[i]);
	put_text(k, rec->scenario);
	put_text(k, rec->external_id);
	put_text(k, rec->merged_into);
	put_word(k, rec->notes_n);
	for (size_t i = 0; i < rec->notes_n; i++)
		put_text(k, slice_of(rec->notes[i]));
}

void record_pack(struct buf *out, const struct record *rec)
{
	struct packer k = { out, NULL, NULL };

	if (!room(&k, 1))
		return;
	put_head(&k, rec);
	put_lists(&k, rec);
	put_tail(&k, rec);
	if (!out->bad)
		out->n = (size_t)(k.p - (uint8_t *)out->p);
}
