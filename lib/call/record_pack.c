#include "call/fold.h"
#include "call/text.h"

/*
 * Which texts are there before them, each behind its length, and one word per figure, so that no
 * two records give the same bytes. The state topic keeps a hash of them: what changes here makes
 * each remembered call say once more what it is, under its next revision.
 */
struct packer {
	struct buf *buf;
	uint8_t *p, *end; /* what is free */
	uint64_t said;    /* which texts are there: a 1, then a bit for each */
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

static inline void put_text(struct packer *k, struct slice s)
{
	uint32_t n = (uint32_t)s.n;

	k->said = k->said << 1 | (n != 0);
	if (n == 0 || !room(k, sizeof(n) + s.n))
		return;
	memcpy(k->p, &n, sizeof(n));
	k->p = text_put(k->p + sizeof(n), s.p, s.n);
}

/* Before up to 63 texts: a word that will say which of them are there. Returns where it stands. */
static size_t begin_texts(struct packer *k)
{
	k->said = 1;
	put_word(k, 0);
	return (size_t)(k->p - (uint8_t *)k->buf->p);
}

static void end_texts(struct packer *k, size_t at)
{
	if (!k->buf->bad)
		memcpy(k->buf->p + at - sizeof(k->said), &k->said, sizeof(k->said));
}

static void put_person(struct packer *k, const struct person *p)
{
	put_text(k, p->id);
	put_text(k, p->extension);
	put_text(k, p->name);
}

static void put_head(struct packer *k, const struct record *rec)
{
	size_t texts = begin_texts(k);

	put_text(k, rec->account);
	put_text(k, rec->source);
	put_text(k, rec->call_session_id);
	put_text(k, rec->cause.vendor);
	put_text(k, rec->cause.text);
	put_text(k, rec->line);
	put_text(k, rec->trunk);
	put_text(k, rec->contact.number);
	put_text(k, rec->contact.uri);
	put_text(k, rec->contact.id);
	put_text(k, rec->contact.name);
	put_person(k, &rec->employee);
	put_person(k, &rec->caller);
	put_text(k, rec->scenario);
	put_text(k, rec->external_id);
	put_text(k, rec->merged_into);
	end_texts(k, texts);
	put_word(k, (uint64_t)rec->complete | (uint64_t)rec->direction << 8 |
			(uint64_t)rec->outcome << 16 | (uint64_t)rec->cause.by << 24 |
			(uint64_t)(uint32_t)rec->cause.q850 << 32);
	put_ms(k, rec->started_at_ms);
	put_ms(k, rec->answered_at_ms);
	put_ms(k, rec->ended_at_ms);
	put_ms(k, rec->wait_ms);
	put_ms(k, rec->talk_ms);
	put_ms(k, rec->total_ms);
}

static void put_leg(struct packer *k, const struct record_leg *leg)
{
	size_t texts = begin_texts(k);

	put_text(k, leg->leg_id);
	put_text(k, leg->location);
	put_text(k, leg->number);
	put_text(k, leg->queue);
	put_text(k, leg->from_leg);
	put_person(k, &leg->employee);
	end_texts(k, texts);
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
		size_t texts = begin_texts(k);

		put_text(k, rec->transfers[i].transfer);
		put_text(k, rec->transfers[i].from);
		put_text(k, rec->transfers[i].to);
		end_texts(k, texts);
		put_ms(k, rec->transfers[i].at_ms);
	}
	put_word(k, rec->recordings_n);
	for (size_t i = 0; i < rec->recordings_n; i++) {
		const struct record_recording *r = &rec->recordings[i];
		size_t texts = begin_texts(k);

		put_text(k, r->id);
		put_text(k, r->leg_id);
		put_text(k, r->url);
		put_text(k, r->source_url);
		put_text(k, r->sha256);
		end_texts(k, texts);
		put_word(k, r->state);
		put_ms(k, r->duration_ms);
		put_word(k, (uint64_t)r->bytes);
	}
}

/* Texts of a list, each behind its length. */
static inline void put_item(struct packer *k, struct slice s)
{
	put_word(k, s.n);
	if (s.n && room(k, s.n))
		k->p = text_put(k->p, s.p, s.n);
}

static void put_tail(struct packer *k, const struct record *rec)
{
	put_word(k, rec->tags_n);
	for (size_t i = 0; i < rec->tags_n; i++)
		put_item(k, rec->tags[i]);
	put_word(k, rec->notes_n);
	for (size_t i = 0; i < rec->notes_n; i++)
		put_item(k, slice_of(rec->notes[i]));
}

void record_pack(struct buf *out, const struct record *rec)
{
	struct packer k = { .buf = out };

	if (!room(&k, 1))
		return;
	put_head(&k, rec);
	put_lists(&k, rec);
	put_tail(&k, rec);
	if (!out->bad)
		out->n = (size_t)(k.p - (uint8_t *)out->p);
}
