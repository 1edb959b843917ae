#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "call/calltab.h"
#include "call/journal.h"

/* ---- keys ---- */

struct key_case {
	const char *name, *text;
	int err;
	struct state_key want;
};

static const struct key_case key_cases[] = {
	{ "journal", "j/0", 0, { STATE_JOURNAL, 0, 0 } },
	{ "journal: the last of the ring", "j/16383", 0, { STATE_JOURNAL, 16383, 0 } },
	{ "journal: past the ring", "j/16384", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "slice", "s/1023/0", 0, { STATE_SLICE, 1023, 0 } },
	{ "slice: a later part", "s/7/12", 0, { STATE_SLICE, 7, 12 } },
	{ "slice: no such slice", "s/1024/0", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "slice: without a part", "s/7", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "slice: empty part", "s/7/", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "slice: more behind it", "s/7/1/2", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "block", "c/4194303", 0, { STATE_BLOCK, 4194303, 0 } },
	{ "block: past the ring", "c/4194304", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "unknown kind", "x/1", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "no slash", "j1", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "no number", "j/", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "a sign", "j/-1", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "larger than 64 bits", "c/99999999999999999999", -EINVAL, { STATE_JOURNAL, 0, 0 } },
	{ "empty", "", -EINVAL, { STATE_JOURNAL, 0, 0 } },
};

static void check_key(void **state)
{
	const struct key_case *c = *state;
	struct state_key got = { STATE_JOURNAL, 99, 99 };

	assert_int_equal(c->err, state_key_read(slice_of(c->text), &got));
	if (c->err == 0) {
		assert_int_equal(c->want.kind, got.kind);
		assert_int_equal(c->want.index, got.index);
		assert_int_equal(c->want.part, got.part);
	} else {
		assert_int_equal(99, got.index);
	}
}

static void keys_are_written_within_their_rings(void **state)
{
	struct buf b = BUF_EMPTY;

	(void)state;
	state_key_journal(&b, JOURNAL_RING + 5);
	buf_add_char(&b, ' ');
	state_key_slice(&b, 1023, 4095);
	buf_add_char(&b, ' ');
	state_key_block(&b, (uint64_t)BLOCK_RING * 3 + 4194303);
	assert_true(slice_is(buf_slice(&b), "j/5 s/1023/4095 c/4194303"));
	buf_fini(&b);
}

/* ---- values ---- */

static const char ids[] = "0123456789abcdefFEDCBA9876543210";

static const struct journal_entry entry = {
	.n = 70000,
	.offset = INT64_C(5000000000),
	.clock_ms = INT64_C(1773483302412),
	.replay_from = 69998,
	.replay_offset = INT64_C(4999999000),
	.replay_clock_ms = TIME_NONE,
	.calls_offset = -2,
	.fingerprint = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255 } },
	.replay_cutoff = 172800000,
};

static void write_entry(struct buf *b)
{
	struct journal_entry e = entry;

	e.closed_ids = slice_make(ids, 2 * UUID_LEN);
	journal_entry_write(b, &e);
}

static void write_part(struct buf *b)
{
	slice_part_write(b, &(struct slice_part){ 9, 0, 3, SLICE("a slice's bytes") });
}

static void write_block(struct buf *b)
{
	closed_block_write(b, &(struct closed_block){ UINT64_MAX, 300, SLICE("a block's bytes") });
}

static int read_entry(struct slice value)
{
	struct journal_entry e;

	return journal_entry_read(value, &e);
}

static int read_part(struct slice value)
{
	struct slice_part p;

	return slice_part_read(value, &p);
}

static int read_block(struct slice value)
{
	struct closed_block b;

	return closed_block_read(value, &b);
}

static void what_is_written_is_read(void **state)
{
	struct journal_entry e;
	struct slice_part part;
	struct closed_block block;
	struct buf b = BUF_EMPTY;

	(void)state;
	write_entry(&b);
	assert_int_equal(0, journal_entry_read(buf_slice(&b), &e));
	assert_int_equal(entry.n, e.n);
	assert_int_equal(entry.offset, e.offset);
	assert_int_equal(entry.clock_ms, e.clock_ms);
	assert_int_equal(entry.replay_from, e.replay_from);
	assert_int_equal(entry.replay_offset, e.replay_offset);
	assert_true(entry.replay_clock_ms == e.replay_clock_ms);
	assert_int_equal(entry.calls_offset, e.calls_offset);
	assert_int_equal(entry.replay_cutoff, e.replay_cutoff);
	assert_true(uuid_eq(&entry.fingerprint, &e.fingerprint));
	assert_true(slice_eq(e.closed_ids, slice_make(ids, 2 * UUID_LEN)));

	buf_reset(&b);
	write_part(&b);
	assert_int_equal(0, slice_part_read(buf_slice(&b), &part));
	assert_int_equal(9, part.n);
	assert_int_equal(3, part.parts_n);
	assert_true(slice_is(part.bytes, "a slice's bytes"));

	buf_reset(&b);
	write_block(&b);
	assert_int_equal(0, closed_block_read(buf_slice(&b), &block));
	assert_true(block.b == UINT64_MAX);
	assert_int_equal(300, block.n);
	assert_true(slice_is(block.bytes, "a block's bytes"));
	buf_fini(&b);
}

struct value_case {
	const char *name;
	void (*write)(struct buf *b);
	int (*read)(struct slice value);
	int (*read_other)(struct slice value);
};

static const struct value_case value_cases[] = {
	{ "journal entry: what is damaged is refused", write_entry, read_entry, read_part },
	{ "slice part: what is damaged is refused", write_part, read_part, read_block },
	{ "closed block: what is damaged is refused", write_block, read_block, read_entry },
};

static void check_damage(void **state)
{
	const struct value_case *c = *state;
	struct buf b = BUF_EMPTY;

	c->write(&b);
	assert_int_equal(0, c->read(buf_slice(&b)));
	assert_int_equal(-EBADMSG, c->read_other(buf_slice(&b)));
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(-EBADMSG, c->read(slice_make(b.p, n)));
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 0x40;
		assert_int_equal(-EBADMSG, c->read(buf_slice(&b)));
		b.p[i] ^= 0x40;
	}
	buf_fini(&b);
}

/* Fields that no writer of ours would send, under a right checksum. */
struct field_case {
	const char *name;
	struct journal_entry entry;
};

static const struct field_case field_cases[] = {
	{ "commit 0", { .n = 0, .replay_from = 1 } },
	{ "replay from 0", { .n = 5, .replay_from = 0 } },
	{ "replay from what comes after the next", { .n = 5, .replay_from = 7 } },
	{ "half an id", { .n = 5, .replay_from = 5, .closed_ids = SLICE_INIT("short") } },
	{ "an offset below the first",
	  { .n = 5, .replay_from = 5, .offset = -3, .replay_offset = -3 } },
	{ "no such offset to replay from",
	  { .n = 5, .replay_from = 5, .offset = 9, .replay_offset = INT64_MIN } },
	{ "no such offset of calls", { .n = 5, .replay_from = 5, .calls_offset = -3 } },
	{ "replay from past the end",
	  { .n = 5, .replay_from = 5, .offset = 9, .replay_offset = 10 } },
};

static void check_field(void **state)
{
	const struct field_case *c = *state;
	struct buf b = BUF_EMPTY;

	journal_entry_write(&b, &c->entry);
	assert_int_equal(-EBADMSG, read_entry(buf_slice(&b)));
	buf_fini(&b);
}

static void parts_and_blocks_are_checked(void **state)
{
	static const struct slice_part parts[] = {
		{ 0, 0, 1, SLICE_INIT("no commit") },
		{ 1, 0, 0, SLICE_INIT("part 0 without a number of parts") },
		{ 1, 1, 2, SLICE_INIT("a later part with one") },
		{ 1, SLICE_PARTS_MAX, 0, SLICE_INIT("too many") },
		{ 1, 0, SLICE_PARTS_MAX + 1, SLICE_INIT("too many") },
	};
	static const struct closed_block blocks[] = { { 0, 1, SLICE_INIT("no block") },
						      { 1, 0, SLICE_INIT("no commit") } };
	struct buf b = BUF_EMPTY;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		buf_reset(&b);
		slice_part_write(&b, &parts[i]);
		assert_int_equal(-EBADMSG, read_part(buf_slice(&b)));
	}
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		buf_reset(&b);
		closed_block_write(&b, &blocks[i]);
		assert_int_equal(-EBADMSG, read_block(buf_slice(&b)));
	}
	buf_fini(&b);
}

static size_t add_key_tests(struct CMUnitTest *tests)
{
	for (size_t i = 0; i < ARRAY_LEN(key_cases); i++)
		tests[i] = (struct CMUnitTest){
			.name = key_cases[i].name,
			.test_func = check_key,
			.initial_state = (void *)(uintptr_t)&key_cases[i],
		};
	return ARRAY_LEN(key_cases);
}

int main(void)
{
	struct CMUnitTest
	    tests[ARRAY_LEN(key_cases) + ARRAY_LEN(value_cases) + ARRAY_LEN(field_cases) + 3];
	size_t n = add_key_tests(tests);

	for (size_t i = 0; i < ARRAY_LEN(value_cases); i++)
		tests[n++] = (struct CMUnitTest){
			.name = value_cases[i].name,
			.test_func = check_damage,
			.initial_state = (void *)(uintptr_t)&value_cases[i],
		};
	for (size_t i = 0; i < ARRAY_LEN(field_cases); i++)
		tests[n++] = (struct CMUnitTest){
			.name = field_cases[i].name,
			.test_func = check_field,
			.initial_state = (void *)(uintptr_t)&field_cases[i],
		};
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(keys_are_written_within_their_rings);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_is_written_is_read);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(parts_and_blocks_are_checked);
	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
