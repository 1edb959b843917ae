#include "call/closed.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "call/calltab.h"
#include "wire/cursor.h"

/*
 * A set of 64-bit hashes with the second they left, cut into shards so that growing or cleaning one
 * is a matter of milliseconds, and a list of blocks that says how many entries left up to when.
 * What is older than the cut-off is dead at once, wherever it lies; a shard is swept when an eighth
 * of all is dead. 12 bytes a slot, three to four fifths full.
 *
 * The limit acts at whole blocks only, when one is taken or loaded: then a replay, which
 * meets the entries of a block later than the first run did, forgets the same ones.
 */
#define SHARDS        256u
#define SLOTS_MIN     8u
#define BLOCK_VERSION 1
#define ENTRY_BYTES   12u

struct shard {
	uint64_t *hash; /* 0 is empty */
	uint32_t *left_s;
	uint32_t cap, n; /* n: with the dead ones */
};

struct block {
	uint64_t b;
	uint32_t entries_n, oldest_s, newest_s;
};

struct entry {
	uint64_t hash;
	uint32_t left_s;
};

struct closed_index {
	int64_t keep_ms;
	uint64_t entries_max;
	struct shard shards[SHARDS];
	struct block *blocks; /* ascending b, live ones from first on */
	size_t blocks_n, blocks_cap, first;
	uint64_t in_blocks, dead; /* entries of live blocks; of dropped ones, not yet swept */
	uint64_t next_b;
	uint32_t cutoff_s; /* entries up to here are dead */
	bool pushed_out;   /* the limit has moved the cut-off */
	struct entry *pending;
	size_t pending_n, pending_cap;
	uint16_t pending_in[CALLTAB_SLICES];
};

static uint64_t hash_of(const struct uuid *call_id)
{
	uint64_t hash;

	memcpy(&hash, call_id->b + 8, sizeof(hash));
	return hash ? hash : 1;
}

/* As calltab_slice_of takes it from the id. */
static unsigned slice_of_hash(uint64_t hash)
{
	return (unsigned)(hash >> 48) % CALLTAB_SLICES;
}

/* Rounded up, so that nothing is forgotten early. */
static uint32_t seconds_up(int64_t ms)
{
	int64_t s = ms <= 0 ? 0 : ms / 1000 + (ms % 1000 != 0);

	return s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

/* ---- a shard ---- */

/* Bits that neither the shard nor the slice of the table are taken from, spread over the slots. */
static uint32_t home(const struct shard *s, uint64_t hash)
{
	uint64_t mixed = (hash * UINT64_C(0x9e3779b97f4a7c15)) >> 32;

	return (uint32_t)((mixed * s->cap) >> 32);
}

static uint32_t after(const struct shard *s, uint32_t at)
{
	return at + 1 == s->cap ? 0 : at + 1;
}

static unsigned shard_of(uint64_t hash)
{
	return (unsigned)(hash >> 40) % SHARDS;
}

/* Where the hash is, or the empty slot where it would be. cap is not 0. */
static uint32_t find(const struct shard *s, uint64_t hash)
{
	uint32_t at = home(s, hash);

	while (s->hash[at] && s->hash[at] != hash)
		at = after(s, at);
	return at;
}

static int resize(struct shard *s, uint32_t cap, uint32_t cutoff_s)
{
	struct shard bigger = { calloc(cap, sizeof(uint64_t)), malloc(cap * sizeof(uint32_t)), cap,
				0 };

	if (!bigger.hash || !bigger.left_s) {
		free(bigger.hash);
		free(bigger.left_s);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->cap; i++) {
		if (!s->hash[i] || s->left_s[i] <= cutoff_s)
			continue;
		uint32_t at = find(&bigger, s->hash[i]);

		bigger.hash[at] = s->hash[i];
		bigger.left_s[at] = s->left_s[i];
		bigger.n++;
	}
	free(s->hash);
	free(s->left_s);
	*s = bigger;
	return 0;
}

/* 1 when it was new (or dead), 0 when it was there, -ENOMEM. */
static int put(struct closed_index *x, uint64_t hash, uint32_t left_s)
{
	struct shard *s = &x->shards[shard_of(hash)];
	uint32_t at;

	if (!s->cap || (uint64_t)(s->n + 1) * 5 > (uint64_t)s->cap * 4) {
		int err = resize(s, s->cap ? s->cap + s->cap / 4 + 1 : SLOTS_MIN, x->cutoff_s);

		if (err)
			return err;
	}
	at = find(s, hash);
	if (s->hash[at]) {
		bool was_dead = s->left_s[at] <= x->cutoff_s;

		if (was_dead)
			s->left_s[at] = left_s;
		return was_dead;
	}
	s->hash[at] = hash;
	s->left_s[at] = left_s;
	s->n++;
	return 1;
}

/* Empties the slot and moves back what was only behind it because it was taken. */
static void remove_at(struct shard *s, uint32_t hole)
{
	for (uint32_t at = after(s, hole); s->hash[at]; at = after(s, at)) {
		uint32_t from = home(s, s->hash[at]);
		uint32_t reach = at >= from ? at - from : at + s->cap - from;
		uint32_t back = at >= hole ? at - hole : at + s->cap - hole;

		if (reach < back)
			continue;
		s->hash[hole] = s->hash[at];
		s->left_s[hole] = s->left_s[at];
		hole = at;
	}
	s->hash[hole] = 0;
	s->n--;
}

static void sweep(struct closed_index *x)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *s = &x->shards[i];

		/* A dead one that moves back over the end of the array waits for the next time. */
		for (uint32_t at = s->cap; at-- > 0;) {
			while (s->hash[at] && s->left_s[at] <= x->cutoff_s)
				remove_at(s, at);
		}
	}
	x->dead = 0;
}

/* ---- blocks ---- */

static void drop_block(struct closed_index *x)
{
	const struct block *block = &x->blocks[x->first++];

	x->cutoff_s = MAX(x->cutoff_s, block->newest_s);
	x->in_blocks -= block->entries_n;
	x->dead += block->entries_n;
	if (x->first > 64 && x->first * 2 > x->blocks_n) {
		x->blocks_n -= x->first;
		memmove(x->blocks, x->blocks + x->first, x->blocks_n * sizeof(*x->blocks));
		x->first = 0;
	}
}

static void maybe_sweep(struct closed_index *x)
{
	if (x->dead > 4096 && x->dead > x->in_blocks / 8)
		sweep(x);
}

/* A block that left within the second of one that was dropped is dead too. */
static void drop_dead(struct closed_index *x)
{
	while (x->first < x->blocks_n && x->blocks[x->first].newest_s <= x->cutoff_s)
		drop_block(x);
	maybe_sweep(x);
}

static void enforce_limit(struct closed_index *x)
{
	while (x->first < x->blocks_n && x->in_blocks + x->pending_n > x->entries_max) {
		drop_block(x);
		x->pushed_out = true;
		drop_dead(x);
	}
}

static int reserve_block(struct closed_index *x)
{
	size_t cap = x->blocks_cap ? x->blocks_cap * 2 : 64;
	struct block *blocks;

	if (x->blocks_n < x->blocks_cap)
		return 0;
	blocks = realloc(x->blocks, cap * sizeof(*blocks));
	if (!blocks)
		return -ENOMEM;
	x->blocks = blocks;
	x->blocks_cap = cap;
	return 0;
}

/* Room must be there. Blocks come in order of b, nearly always. */
static void insert_block(struct closed_index *x, const struct block *block)
{
	size_t at = x->blocks_n;

	while (at > x->first && x->blocks[at - 1].b > block->b)
		at--;
	memmove(x->blocks + at + 1, x->blocks + at, (x->blocks_n - at) * sizeof(*block));
	x->blocks[at] = *block;
	x->blocks_n++;
	x->in_blocks += block->entries_n;
	x->next_b = MAX(x->next_b, block->b + 1);
}

static bool has_block(const struct closed_index *x, uint64_t b)
{
	for (size_t at = x->blocks_n; at > x->first && x->blocks[at - 1].b >= b; at--) {
		if (x->blocks[at - 1].b == b)
			return true;
	}
	return false;
}

static void widen(struct block *block, uint32_t left_s)
{
	block->oldest_s = block->entries_n ? MIN(block->oldest_s, left_s) : left_s;
	block->newest_s = MAX(block->newest_s, left_s);
	block->entries_n++;
}

/* ---- the header's functions ---- */

int closed_new(int64_t keep_ms, uint64_t entries_max, struct closed_index **ret)
{
	struct closed_index *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->keep_ms = keep_ms;
	x->entries_max = entries_max;
	x->next_b = 1;
	*ret = x;
	return 0;
}

void closed_free(struct closed_index *x)
{
	if (!x)
		return;
	for (unsigned i = 0; i < SHARDS; i++) {
		free(x->shards[i].hash);
		free(x->shards[i].left_s);
	}
	free(x->blocks);
	free(x->pending);
	free(x);
}

int closed_add(struct closed_index *x, const struct uuid *call_id, int64_t left_ms)
{
	struct entry entry = { hash_of(call_id), MAX(seconds_up(left_ms), 1) };
	int fresh;

	if (x->pending_n == x->pending_cap) {
		size_t cap = x->pending_cap ? x->pending_cap * 2 : 64;
		struct entry *pending = realloc(x->pending, cap * sizeof(*pending));

		if (!pending)
			return -ENOMEM;
		x->pending = pending;
		x->pending_cap = cap;
	}
	entry.left_s = MAX(entry.left_s, x->cutoff_s + 1);
	fresh = put(x, entry.hash, entry.left_s);
	if (fresh <= 0)
		return fresh;
	x->pending[x->pending_n++] = entry;
	x->pending_in[slice_of_hash(entry.hash)]++;
	return 0;
}

void closed_fetch(const struct closed_index *x, const struct uuid *call_id)
{
	uint64_t hash = hash_of(call_id);
	const struct shard *s = &x->shards[shard_of(hash)];
	uint32_t at = home(s, hash);

	if (!s->cap)
		return;
	__builtin_prefetch(&s->hash[at], 1);
	__builtin_prefetch(&s->left_s[at], 1);
}

bool closed_has(const struct closed_index *x, const struct uuid *call_id)
{
	uint64_t hash = hash_of(call_id);
	const struct shard *s = &x->shards[shard_of(hash)];
	uint32_t at;

	if (!s->cap)
		return false;
	at = find(s, hash);
	return s->hash[at] && s->left_s[at] > x->cutoff_s;
}

void closed_expire(struct closed_index *x, int64_t now_ms)
{
	while (x->first < x->blocks_n &&
	       (int64_t)x->blocks[x->first].newest_s * 1000 < now_ms - x->keep_ms) {
		drop_block(x);
		drop_dead(x);
	}
}

/* From the cut-off alone: a replay has other blocks and other entries pending. */
int64_t closed_covers_ms(const struct closed_index *x, int64_t now_ms)
{
	if (!x->pushed_out)
		return x->keep_ms;
	return MAX(0, MIN(x->keep_ms, now_ms - (int64_t)x->cutoff_s * 1000));
}

uint64_t closed_count(const struct closed_index *x)
{
	return x->in_blocks + x->pending_n;
}

size_t closed_pending(const struct closed_index *x)
{
	return x->pending_n;
}

int64_t closed_pending_since(const struct closed_index *x)
{
	return x->pending_n ? (int64_t)x->pending[0].left_s * 1000 : INT64_MAX;
}

bool closed_pending_in(const struct closed_index *x, unsigned slice)
{
	return x->pending_in[slice % CALLTAB_SLICES] > 0;
}

static void forget_pending(struct closed_index *x, size_t i)
{
	x->pending_in[slice_of_hash(x->pending[i].hash)]--;
}

uint64_t closed_take_block(struct closed_index *x, struct buf *out)
{
	struct block block = { .b = x->next_b };
	size_t start = out->n;

	if (x->pending_n == 0)
		return 0;
	if (reserve_block(x)) {
		out->bad = true;
		return 0;
	}
	put_u8(out, BLOCK_VERSION);
	for (size_t i = 0; i < x->pending_n; i++) {
		put_u64le(out, x->pending[i].hash);
		put_u32le(out, x->pending[i].left_s);
	}
	if (out->bad)
		return 0;
	put_u64le(out, XXH3_64bits(out->p + start, out->n - start));
	if (out->bad)
		return 0;
	for (size_t i = 0; i < x->pending_n; i++) {
		widen(&block, x->pending[i].left_s);
		forget_pending(x, i);
	}
	x->pending_n = 0;
	insert_block(x, &block);
	enforce_limit(x);
	return block.b;
}

uint64_t closed_first_block(const struct closed_index *x)
{
	return x->first < x->blocks_n ? x->blocks[x->first].b : x->next_b;
}

static bool block_is_whole(struct slice bytes)
{
	uint64_t sum;

	if (bytes.n < 1 + sizeof(sum) + ENTRY_BYTES || bytes.p[0] != BLOCK_VERSION ||
	    (bytes.n - 1 - sizeof(sum)) % ENTRY_BYTES != 0)
		return false;
	memcpy(&sum, bytes.p + bytes.n - sizeof(sum), sizeof(sum));
	return sum == XXH3_64bits(bytes.p, bytes.n - sizeof(sum));
}

static int order_of_hashes(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* A replay had these leave again before it came to the block that has them. */
static void drop_pending_of(struct closed_index *x, const struct entry *sorted, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < x->pending_n; i++) {
		if (bsearch(&x->pending[i], sorted, n, sizeof(*sorted), order_of_hashes))
			forget_pending(x, i);
		else
			x->pending[kept++] = x->pending[i];
	}
	x->pending_n = kept;
}

static int load_entries(struct closed_index *x, struct block *block, struct slice bytes)
{
	size_t n = (bytes.n - 1 - sizeof(uint64_t)) / ENTRY_BYTES;
	struct cursor c = cur_make(slice_skip(bytes, 1));
	struct entry *entries = malloc(n * sizeof(*entries));
	int err = entries ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && err >= 0; i++) {
		entries[i].hash = cur_u64le(&c);
		entries[i].left_s = cur_u32le(&c);
		widen(block, entries[i].left_s);
		if (entries[i].hash)
			err = put(x, entries[i].hash, entries[i].left_s);
	}
	if (err >= 0 && x->pending_n) {
		qsort(entries, n, sizeof(*entries), order_of_hashes);
		drop_pending_of(x, entries, n);
	}
	free(entries);
	return MIN(err, 0);
}

int closed_load_block(struct closed_index *x, uint64_t b, struct slice bytes)
{
	struct block block = { .b = b };
	int err;

	if (b == 0 || b == UINT64_MAX || !block_is_whole(bytes))
		return -EBADMSG;
	if (has_block(x, b))
		return 0;
	err = reserve_block(x);
	if (!err)
		err = load_entries(x, &block, bytes);
	if (err)
		return err;
	if (block.newest_s <= x->cutoff_s) { /* had run out before the replay began */
		x->next_b = MAX(x->next_b, b + 1);
		return 0;
	}
	insert_block(x, &block);
	enforce_limit(x);
	return 0;
}

uint64_t closed_cutoff(const struct closed_index *x)
{
	return (uint64_t)x->cutoff_s << 1 | x->pushed_out;
}

void closed_set_cutoff(struct closed_index *x, uint64_t cutoff)
{
	x->cutoff_s = MAX(x->cutoff_s, (uint32_t)(cutoff >> 1));
	x->pushed_out = x->pushed_out || (cutoff & 1);
}
