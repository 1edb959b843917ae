#include "call/journal.h"

#include <errno.h>
#include <xxhash.h>

#include "call/calltab.h"
#include "wire/cursor.h"

#define FORMAT         1
#define CHECKSUM_BYTES 8
#define OFFSET_NONE    (-2)

/* ---- keys ---- */

static void put_key(struct buf *out, enum state_kind kind, uint64_t index)
{
	buf_add_char(out, (char)kind);
	buf_add_char(out, '/');
	buf_add_u64(out, index);
}

void state_key_journal(struct buf *out, uint64_t n)
{
	put_key(out, STATE_JOURNAL, n % JOURNAL_RING);
}

void state_key_slice(struct buf *out, uint32_t slice, uint32_t part)
{
	put_key(out, STATE_SLICE, slice);
	buf_add_char(out, '/');
	buf_add_u64(out, part);
}

void state_key_block(struct buf *out, uint64_t b)
{
	put_key(out, STATE_BLOCK, b % BLOCK_RING);
}

static int read_index(struct slice text, uint32_t below, uint32_t *ret)
{
	uint64_t value;

	if (slice_u64(text, &value) < 0 || value >= below)
		return -EINVAL;
	*ret = (uint32_t)value;
	return 0;
}

int state_key_read(struct slice key, struct state_key *ret)
{
	struct state_key k = { .kind = STATE_JOURNAL };
	struct slice rest = slice_skip(key, 2), index;

	if (key.n < 3 || key.p[1] != '/')
		return -EINVAL;
	k.kind = (enum state_kind)key.p[0];
	switch (k.kind) {
	case STATE_JOURNAL:
		if (read_index(rest, JOURNAL_RING, &k.index) < 0)
			return -EINVAL;
		break;
	case STATE_BLOCK:
		if (read_index(rest, BLOCK_RING, &k.index) < 0)
			return -EINVAL;
		break;
	case STATE_SLICE:
		index = slice_cut(&rest, '/');
		if (read_index(index, CALLTAB_SLICES, &k.index) < 0 ||
		    read_index(rest, SLICE_PARTS_MAX, &k.part) < 0)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	*ret = k;
	return 0;
}

/* ---- values: format, kind, body, checksum of all before it ---- */

static size_t begin_value(struct buf *out, enum state_kind kind)
{
	size_t start = out->n;

	put_u8(out, FORMAT);
	put_u8(out, (uint8_t)kind);
	return start;
}

static void end_value(struct buf *out, size_t start)
{
	if (!out->bad)
		put_u64le(out, XXH3_64bits(out->p + start, out->n - start));
}

static int open_value(struct slice value, enum state_kind kind, struct cursor *ret)
{
	uint64_t sum;
	size_t body_n;

	if (value.n < 2 + CHECKSUM_BYTES)
		return -EBADMSG;
	body_n = value.n - CHECKSUM_BYTES;
	memcpy(&sum, value.p + body_n, sizeof(sum));
	if (sum != XXH3_64bits(value.p, body_n))
		return -EBADMSG;
	if (value.p[0] != FORMAT)
		return -EPROTO;
	if (value.p[1] != (char)kind)
		return -EBADMSG;
	*ret = cur_make(slice_make(value.p + 2, body_n - 2));
	return 0;
}

static bool read_whole(const struct cursor *c)
{
	return !c->bad && cur_left(c) == 0;
}

void journal_entry_write(struct buf *out, const struct journal_entry *entry)
{
	size_t start = begin_value(out, STATE_JOURNAL);

	put_varint(out, entry->n);
	put_varint_signed(out, entry->offset);
	put_varint_signed(out, entry->clock_ms);
	put_varint(out, entry->replay_from);
	put_varint_signed(out, entry->replay_offset);
	put_varint_signed(out, entry->replay_clock_ms);
	put_varint_signed(out, entry->calls_offset);
	put_varint(out, entry->replay_cutoff);
	buf_add(out, entry->fingerprint.b, UUID_LEN);
	put_slice(out, entry->closed_ids);
	end_value(out, start);
}

/* Offsets count from 0; OFFSET_NONE stands for a place that was never known. */
static bool offsets_fit(const struct journal_entry *e)
{
	return e->offset >= OFFSET_NONE && e->replay_offset >= OFFSET_NONE &&
	       e->calls_offset >= OFFSET_NONE && e->replay_offset <= e->offset;
}

int journal_entry_read(struct slice value, struct journal_entry *ret)
{
	struct journal_entry e = { .n = 0 };
	struct slice fingerprint;
	struct cursor c;
	int err = open_value(value, STATE_JOURNAL, &c);

	if (err < 0)
		return err;
	e.n = cur_varint(&c);
	e.offset = cur_varint_signed(&c);
	e.clock_ms = cur_varint_signed(&c);
	e.replay_from = cur_varint(&c);
	e.replay_offset = cur_varint_signed(&c);
	e.replay_clock_ms = cur_varint_signed(&c);
	e.calls_offset = cur_varint_signed(&c);
	e.replay_cutoff = cur_varint(&c);
	fingerprint = cur_take(&c, UUID_LEN);
	e.closed_ids = cur_slice(&c);
	if (!read_whole(&c) || e.n == 0 || e.replay_from == 0 || e.replay_from > e.n + 1 ||
	    e.closed_ids.n % UUID_LEN != 0 || !offsets_fit(&e))
		return -EBADMSG;
	if (fingerprint.n)
		memcpy(e.fingerprint.b, fingerprint.p, UUID_LEN);
	*ret = e;
	return 0;
}

void slice_part_write(struct buf *out, const struct slice_part *part)
{
	size_t start = begin_value(out, STATE_SLICE);

	put_varint(out, part->n);
	put_varint(out, part->part);
	put_varint(out, part->parts_n);
	buf_add_slice(out, part->bytes);
	end_value(out, start);
}

int slice_part_read(struct slice value, struct slice_part *ret)
{
	uint64_t n, part, parts_n;
	struct cursor c;
	int err = open_value(value, STATE_SLICE, &c);

	if (err < 0)
		return err;
	n = cur_varint(&c);
	part = cur_varint(&c);
	parts_n = cur_varint(&c);
	if (c.bad || n == 0 || part >= SLICE_PARTS_MAX || parts_n > SLICE_PARTS_MAX ||
	    (part == 0) != (parts_n != 0))
		return -EBADMSG;
	*ret = (struct slice_part){ n, (uint32_t)part, (uint32_t)parts_n,
				    cur_take(&c, cur_left(&c)) };
	return 0;
}

void closed_block_write(struct buf *out, const struct closed_block *block)
{
	size_t start = begin_value(out, STATE_BLOCK);

	put_varint(out, block->b);
	put_varint(out, block->n);
	buf_add_slice(out, block->bytes);
	end_value(out, start);
}

int closed_block_read(struct slice value, struct closed_block *ret)
{
	uint64_t b, n;
	struct cursor c;
	int err = open_value(value, STATE_BLOCK, &c);

	if (err < 0)
		return err;
	b = cur_varint(&c);
	n = cur_varint(&c);
	if (c.bad || b == 0 || n == 0)
		return -EBADMSG;
	*ret = (struct closed_block){ b, n, cur_take(&c, cur_left(&c)) };
	return 0;
}
