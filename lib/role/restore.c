#include "role/restore.h"

#include <errno.h>
#include <stdlib.h>

#include "base/broken.h"

/* A value as it lies in the log; n 0: absent. */
struct bytes {
	char *p;
	size_t n;
};

struct parts {
	struct bytes *v; /* by part; messages, unread */
	uint32_t n;
};

struct block {
	uint32_t index;
	uint64_t seq;       /* order of the messages */
	uint64_t b, n;      /* read by restore_plan */
	struct bytes value; /* absent: a tombstone */
};

struct restore {
	struct bytes journal[JOURNAL_RING];
	struct parts slices[CALLTAB_SLICES];
	struct block *blocks; /* as they came; restore_plan leaves the newest of each, by b */
	size_t blocks_n, blocks_cap, block_next;
	struct journal_entry last; /* n 0: none; borrows from its slot */
	uint32_t newest_index;     /* of the newest entry in the log; JOURNAL_RING: none */
	int64_t committed;
	struct revisions known; /* records that left under other rules */
	uint64_t step;          /* the next one to repeat */
	uint64_t missing;
};

/* ---- the messages ---- */

static int set_bytes(struct bytes *b, struct slice value)
{
	char *p = NULL;

	if (value.n) {
		p = malloc(value.n);
		if (!p)
			return -ENOMEM;
		memcpy(p, value.p, value.n);
	}
	free(b->p);
	*b = (struct bytes){ p, value.n };
	return 0;
}

static struct slice bytes_slice(const struct bytes *b)
{
	return slice_make(b->p, b->n);
}

struct restore *restore_new(void)
{
	struct restore *r = calloc(1, sizeof(*r));

	if (r)
		r->newest_index = JOURNAL_RING;
	return r;
}

void restore_free(struct restore *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < JOURNAL_RING; i++)
		free(r->journal[i].p);
	for (unsigned i = 0; i < CALLTAB_SLICES; i++) {
		for (uint32_t j = 0; j < r->slices[i].n; j++)
			free(r->slices[i].v[j].p);
		free(r->slices[i].v);
	}
	for (size_t i = 0; i < r->blocks_n; i++)
		free(r->blocks[i].value.p);
	free(r->blocks);
	revisions_fini(&r->known);
	free(r);
}

/* The newest is the last one in the log: after a reset n may begin anew. */
static int add_journal(struct restore *r, uint32_t index, struct slice value)
{
	if (value.n)
		r->newest_index = index;
	else if (r->newest_index == index)
		r->newest_index = JOURNAL_RING;
	return set_bytes(&r->journal[index], value);
}

static int add_part(struct restore *r, const struct state_key *key, struct slice value)
{
	struct parts *parts = &r->slices[key->index];
	struct bytes *v;

	if (key->part >= parts->n) {
		v = realloc(parts->v, (key->part + 1) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		memset(v + parts->n, 0, (key->part + 1 - parts->n) * sizeof(*v));
		*parts = (struct parts){ v, key->part + 1 };
	}
	return set_bytes(&parts->v[key->part], value);
}

static int add_block(struct restore *r, uint32_t index, struct slice value)
{
	struct block block = { .index = index, .seq = r->blocks_n };
	int err;

	if (r->blocks_n == r->blocks_cap) {
		size_t cap = r->blocks_cap ? 2 * r->blocks_cap : 256;
		struct block *blocks = realloc(r->blocks, cap * sizeof(*blocks));

		if (!blocks)
			return -ENOMEM;
		r->blocks = blocks;
		r->blocks_cap = cap;
	}
	err = set_bytes(&block.value, value);
	if (err == 0)
		r->blocks[r->blocks_n++] = block;
	return err;
}

int restore_message(struct restore *r, struct slice key, struct slice value, bool tombstone)
{
	struct state_key k;

	if (state_key_read(key, &k) < 0)
		return 0;
	if (tombstone)
		value = SLICE_NONE;
	switch (k.kind) {
	case STATE_JOURNAL:
		return add_journal(r, k.index, value);
	case STATE_SLICE:
		return add_part(r, &k, value);
	case STATE_BLOCK:
		return add_block(r, k.index, value);
	}
	return 0;
}

/* ---- the plan ---- */

static int by_index(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

static int by_b(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	return (x->b > y->b) - (x->b < y->b);
}

static int read_block(struct block *block)
{
	struct closed_block read;
	int err = closed_block_read(bytes_slice(&block->value), &read);

	if (err == 0 && read.b % BLOCK_RING != block->index)
		err = -EBADMSG;
	if (err == 0) {
		block->b = read.b;
		block->n = read.n;
	}
	return err;
}

/* The newest of each, by number. Of those that cannot be read the keys are kept, for a reset. */
static int sort_blocks(struct restore *r)
{
	size_t kept = 0;
	int err = 0;

	if (r->blocks_n == 0)
		return 0;
	qsort(r->blocks, r->blocks_n, sizeof(*r->blocks), by_index);
	for (size_t i = 0; i < r->blocks_n; i++) {
		bool newest = i + 1 == r->blocks_n || r->blocks[i + 1].index != r->blocks[i].index;
		struct block block = r->blocks[i];
		int bad;

		if (!newest || !block.value.n) {
			free(block.value.p);
			continue;
		}
		bad = read_block(&block);
		err = MIN(err, bad);
		r->blocks[kept++] = block;
	}
	r->blocks_n = kept;
	if (kept)
		qsort(r->blocks, kept, sizeof(*r->blocks), by_b);
	for (size_t i = 0; i < kept; i++)
		r->blocks[i].seq = i;
	return err;
}

static int read_newest(struct restore *r)
{
	int err;

	r->last.n = 0;
	if (r->newest_index == JOURNAL_RING)
		return 0;
	err = journal_entry_read(bytes_slice(&r->journal[r->newest_index]), &r->last);
	if (err == 0 && r->last.n % JOURNAL_RING != r->newest_index)
		err = -EBADMSG;
	if (err < 0)
		r->last.n = 0;
	return err;
}

/* The entry of step n; false when the ring has none or another one there. */
static bool entry_of(const struct restore *r, uint64_t n, struct journal_entry *ret)
{
	const struct bytes *slot = &r->journal[n % JOURNAL_RING];

	return slot->n && journal_entry_read(bytes_slice(slot), ret) == 0 && ret->n == n;
}

static bool journal_is_whole(const struct restore *r)
{
	struct journal_entry e;

	for (uint64_t n = r->last.replay_from; n <= r->last.n; n++) {
		if (!entry_of(r, n, &e))
			return false;
	}
	return true;
}

static int read_part(const struct parts *parts, uint32_t i, struct slice_part *ret)
{
	int err = slice_part_read(bytes_slice(&parts->v[i]), ret);

	return err == 0 && ret->part != i ? -EBADMSG : err;
}

/* How many parts the slice has, *ret_n the commit; 0 none; -EBADMSG when some are missing. */
static int whole_slice(const struct restore *r, unsigned slice, uint64_t *ret_n)
{
	const struct parts *parts = &r->slices[slice];
	struct slice_part part, first;
	int err;

	if (parts->n == 0 || parts->v[0].n == 0)
		return 0;
	err = read_part(parts, 0, &first);
	if (err == 0 && first.parts_n > parts->n)
		err = -EBADMSG;
	for (uint32_t i = 1; err == 0 && i < first.parts_n; i++) {
		err = read_part(parts, i, &part);
		if (err == 0 && part.n != first.n)
			err = -EBADMSG;
	}
	if (err < 0)
		return err;
	*ret_n = first.n;
	return (int)first.parts_n;
}

static int check_slices(const struct restore *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < CALLTAB_SLICES; i++) {
		int parts_n = whole_slice(r, i, &n);

		if (parts_n < 0)
			return parts_n;
		if (n > r->last.n)
			return -EBADMSG;
	}
	return 0;
}

static int read_all(struct restore *r, const char **why)
{
	int err = read_newest(r), blocks_err = sort_blocks(r);

	*why = "the newest journal entry cannot be read";
	if (err == 0) {
		*why = "a block of the closed index cannot be read";
		err = blocks_err;
	}
	if (err == 0 && r->last.n) {
		*why = "a slice cannot be read, is not whole or newer than the journal";
		err = check_slices(r);
	}
	if (err == -EPROTO)
		*why = "a later version wrote it";
	return err;
}

int restore_plan(struct restore *r, int64_t committed, const struct uuid *fingerprint,
		 const char **why)
{
	int err = read_all(r, why);

	r->committed = committed;
	if (err < 0)
		return err;
	if (r->last.n == 0 && committed == LOG_BEGIN)
		return RESTORE_FRESH;
	if (r->last.n == 0) {
		*why = "an offset is committed, but there is no journal";
		return -ESTALE;
	}
	if (r->last.offset != committed && !BROKEN(journal_unchecked)) {
		*why = "the journal ends at another offset than the committed one";
		return -ESTALE;
	}
	if (!journal_is_whole(r)) {
		*why = "the journal lacks an entry that the replay needs";
		return -ESTALE;
	}
	return uuid_eq(&r->last.fingerprint, fingerprint) ? RESTORE_FITS : RESTORE_OTHER_RULES;
}

const struct journal_entry *restore_last(const struct restore *r)
{
	return r->last.n ? &r->last : NULL;
}

int64_t restore_from(const struct restore *r)
{
	return r->last.n && r->last.replay_from <= r->last.n ? r->last.replay_offset : r->committed;
}

/* Our own writing: the revision stands near the beginning. */
int restore_record(struct restore *r, struct slice key, struct slice value)
{
	static const char name[] = "\"revision\":";
	const char *at = value.n ? memmem(value.p, MIN(value.n, 256), name, sizeof(name) - 1)
				 : NULL;
	struct uuid id;
	uint64_t revision = 0;

	if (!at || uuid_read(key, &id) < 0)
		return 0;
	for (at += sizeof(name) - 1; at < value.p + value.n && *at >= '0' && *at <= '9'; at++)
		revision = MIN(revision * 10 + (uint64_t)(*at - '0'), UINT32_MAX - 1);
	return revisions_note(&r->known, &id, (uint32_t)revision);
}

/* ---- filling ---- */

static int load_slice(struct restore *r, struct partition *p, unsigned slice)
{
	struct parts *parts = &r->slices[slice];
	struct slice_part part;
	uint64_t n = 0;
	int parts_n = whole_slice(r, slice, &n), err;

	if (parts_n <= 0)
		return parts_n;
	buf_reset(&p->scratch);
	for (int i = 0; i < parts_n; i++) {
		if (slice_part_read(bytes_slice(&parts->v[i]), &part) < 0)
			return -EBADMSG;
		buf_add_slice(&p->scratch, part.bytes);
	}
	if (p->scratch.bad)
		return -ENOMEM;
	err = calltab_slice_unpack(p->tab, slice, n, buf_slice(&p->scratch));
	for (uint32_t i = 0; i < parts->n; i++) { /* the table has it now */
		free(parts->v[i].p);
		parts->v[i] = (struct bytes){ NULL, 0 };
	}
	return err;
}

/* Blocks are numbered in the order of their commits, so those of one commit are next. */
static int load_blocks(struct restore *r, struct partition *p, uint64_t n_max)
{
	for (; r->block_next < r->blocks_n && r->blocks[r->block_next].n <= n_max;
	     r->block_next++) {
		struct block *block = &r->blocks[r->block_next];
		struct closed_block read;
		int err = closed_block_read(bytes_slice(&block->value), &read);

		if (err == 0)
			err = closed_load_block(p->closed, read.b, read.bytes);
		if (err < 0)
			return err;
	}
	return 0;
}

int restore_begin(struct restore *r, struct partition *p, bool output)
{
	const struct journal_entry *last = restore_last(r);
	int err = 0;

	p->next = r->committed;
	if (!last)
		return 0;
	for (unsigned i = 0; i < CALLTAB_SLICES && err == 0; i++)
		err = load_slice(r, p, i);
	if (err < 0)
		return err;
	closed_set_cutoff(p->closed, last->replay_cutoff);
	p->block_low = r->blocks_n ? r->blocks[0].b : 1;
	p->next = last->replay_offset;
	p->clock_ms = last->replay_clock_ms;
	p->append_newest_ms = last->replay_clock_ms;
	p->calls_offset = last->calls_offset;
	p->output = output;
	p->replaying = true;
	p->known = &r->known;
	calltab_set_output(p->tab, output);
	r->step = last->replay_from;
	err = load_blocks(r, p, last->replay_from - 1);
	if (err == 0)
		partition_begin(p, last->replay_from);
	return err;
}

/* Repeats every step that ends at or below the offset. */
static int repeat_steps(struct restore *r, struct partition *p, int64_t offset)
{
	struct journal_entry e;
	int err;

	for (; r->step && r->step <= r->last.n; r->step++) {
		if (!entry_of(r, r->step, &e))
			return -EBADMSG;
		if (e.offset > offset)
			return 0;
		r->missing += (uint64_t)(e.offset - p->next);
		err = partition_repeat(p, &e);
		if (err == 0 && BROKEN(step_twice))
			err = partition_repeat(p, &e);
		if (err == 0)
			err = load_blocks(r, p, e.n);
		if (err < 0)
			return err;
	}
	return 0;
}

int restore_event(struct restore *r, struct partition *p, const struct log_msg *msg)
{
	int err;

	if (msg->offset >= r->committed)
		return 0;
	err = repeat_steps(r, p, msg->offset);
	if (err < 0)
		return err;
	if (msg->offset < p->next)
		return 0;
	r->missing += (uint64_t)(msg->offset - p->next);
	p->next = msg->offset;
	return partition_apply(p, msg);
}

/* What left under other rules and did not come again says again what it is, as next revision. */
static int outrun_known(struct restore *r, struct partition *p)
{
	int err = 0;

	for (size_t i = 0; i < r->known.cap && err == 0; i++) {
		const struct revision *known = &r->known.slots[i];

		if (known->revision)
			err = calltab_outrun(p->tab, &known->call_id, known->revision, p->clock_ms);
	}
	return err;
}

int restore_finish(struct restore *r, struct partition *p)
{
	int err = r->last.n ? repeat_steps(r, p, r->committed) : 0;

	if (err == 0 && p->output)
		err = outrun_known(r, p);
	p->known = NULL;
	if (err < 0)
		return err;
	p->write_all = p->output && r->last.n && p->n > r->last.replay_from;
	p->output = true;
	p->replaying = false;
	calltab_set_output(p->tab, true);
	return p->out.bad ? -ENOMEM : 0;
}

uint64_t restore_missing(const struct restore *r)
{
	return r->missing;
}

/* ---- for a reset ---- */

static int tell_key(struct buf *key, restore_key_fn *each, void *arg)
{
	int err = key->bad ? -ENOMEM : each(arg, buf_slice(key));

	buf_reset(key);
	return err;
}

int restore_keys(const struct restore *r, restore_key_fn *each, void *arg)
{
	struct buf key = BUF_EMPTY;
	int err = 0;

	for (unsigned i = 0; i < JOURNAL_RING && err == 0; i++) {
		if (!r->journal[i].n)
			continue;
		state_key_journal(&key, i);
		err = tell_key(&key, each, arg);
	}
	for (unsigned i = 0; i < CALLTAB_SLICES; i++) {
		for (uint32_t j = 0; j < r->slices[i].n && err == 0; j++) {
			if (!r->slices[i].v[j].n)
				continue;
			state_key_slice(&key, i, j);
			err = tell_key(&key, each, arg);
		}
	}
	for (size_t i = 0; i < r->blocks_n && err == 0; i++) {
		state_key_block(&key, r->blocks[i].index);
		err = tell_key(&key, each, arg);
	}
	buf_fini(&key);
	return err;
}

void restore_counts(const struct restore *r, unsigned *ret_slices, size_t *ret_blocks)
{
	unsigned slices = 0;

	for (unsigned i = 0; i < CALLTAB_SLICES; i++)
		slices += r->slices[i].n && r->slices[i].v[0].n;
	*ret_slices = slices;
	*ret_blocks = r->blocks_n;
}
