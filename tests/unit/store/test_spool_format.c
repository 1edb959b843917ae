/* The bytes of a segment: what is written is read, and nothing else is. */
#include "store/spool_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID 77u

/* Three records behind a segment's head; returns the bytes, ends has where each record ends. */
static size_t three(uint8_t *out, size_t ends[3])
{
	static const struct spool_record recs[3] = {
		{ 1, SLICE_INIT("acme/1"), SLICE_INIT("{\"a\":1}"), 1000 },
		{ 2, SLICE_INIT("acme"), SLICE_INIT(""), 2000 },
		{ 1, SLICE_INIT(""), SLICE_INIT("CCCC1PR\0C1PR{}"), 3000 },
	};
	size_t n = SPOOL_HEAD_BYTES;

	spool_segment_head_write(out, ID);
	for (size_t i = 0; i < 3; i++) {
		spool_record_write(out + n, &recs[i]);
		n += spool_record_seal(out + n, ID, n);
		ends[i] = n;
	}
	return n;
}

struct seen {
	unsigned records, damage;
	int64_t at[8];
};

static void walk(const uint8_t *p, size_t n, struct seen *seen)
{
	size_t at = SPOOL_HEAD_BYTES, step;
	struct spool_record rec;

	*seen = (struct seen){ 0 };
	for (;;) {
		switch (spool_record_parse(slice_make(p + at, n - at), true, ID, at, &rec, &step)) {
		case SPOOL_RECORD:
			seen->at[seen->records++] = rec.at_ms;
			break;
		case SPOOL_DAMAGE:
			assert_true(step > 0);
			seen->damage++;
			break;
		case SPOOL_MORE:
			fail_msg("more of what is final");
			return;
		case SPOOL_END:
			assert_int_equal(at, n);
			return;
		}
		at += step;
		assert_true(at <= n);
	}
}

static void round_trip(void **state)
{
	uint8_t p[512];
	size_t ends[3], n = three(p, ends);
	struct seen seen;

	(void)state;
	assert_true(spool_segment_head_is(slice_make(p, n), ID));
	assert_false(spool_segment_head_is(slice_make(p, n), ID + 1));
	assert_false(spool_segment_head_is(slice_make(p, SPOOL_HEAD_BYTES - 1), ID));
	walk(p, n, &seen);
	assert_int_equal(seen.records, 3);
	assert_int_equal(seen.damage, 0);
	assert_int_equal(seen.at[2], 3000);
}

static void cut_at_every_byte(void **state)
{
	uint8_t p[512];
	size_t ends[3], n = three(p, ends);

	(void)state;
	for (size_t cut = SPOOL_HEAD_BYTES; cut <= n; cut++) {
		unsigned whole = (cut >= ends[0]) + (cut >= ends[1]) + (cut >= ends[2]);
		bool clean = cut == SPOOL_HEAD_BYTES || cut == ends[0] || cut == ends[1] ||
			     cut == ends[2];
		uint8_t *copy = malloc(cut); /* so that a sanitizer sees each read behind it */
		struct seen seen;

		assert_non_null(copy);
		memcpy(copy, p, cut);
		walk(copy, cut, &seen);
		free(copy);
		assert_int_equal(seen.records, whole);
		assert_int_equal(seen.damage > 0, !clean);
	}
}

static void every_bit_counts(void **state)
{
	uint8_t p[512];
	size_t ends[3], n = three(p, ends);
	struct seen seen;

	(void)state;
	for (size_t bit = SPOOL_HEAD_BYTES * 8; bit < n * 8; bit++) {
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		walk(p, n, &seen);
		assert_int_equal(seen.records, 2); /* the other two are intact */
		assert_true(seen.damage > 0);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void only_where_it_was_written(void **state)
{
	uint8_t p[512], moved[600];
	size_t ends[3], n = three(p, ends), step;
	struct spool_record rec;

	(void)state;
	assert_int_equal(spool_record_parse(slice_make(p + SPOOL_HEAD_BYTES, n - SPOOL_HEAD_BYTES),
					    true, ID + 1, SPOOL_HEAD_BYTES, &rec, &step),
			 SPOOL_DAMAGE);
	memset(moved, 0, sizeof(moved));
	memcpy(moved + 8, p + SPOOL_HEAD_BYTES, n - SPOOL_HEAD_BYTES);
	assert_int_equal(
	    spool_record_parse(slice_make(moved, n), true, ID, SPOOL_HEAD_BYTES, &rec, &step),
	    SPOOL_DAMAGE);
	assert_int_equal(step, n);
}

static void more_is_asked_for(void **state)
{
	uint8_t p[512];
	size_t ends[3], step;
	struct spool_record rec;

	(void)state;
	three(p, ends);
	for (size_t n = 0; n < ends[0] - SPOOL_HEAD_BYTES; n++) {
		assert_int_equal(spool_record_parse(slice_make(p + SPOOL_HEAD_BYTES, n), false, ID,
						    SPOOL_HEAD_BYTES, &rec, &step),
				 SPOOL_MORE);
		assert_true(step > n);
		assert_true(step <= ends[0] - SPOOL_HEAD_BYTES);
	}
}

/* Damage is skipped in pieces that never hide the beginning of a record. */
static void damage_in_windows(void **state)
{
	uint8_t p[512];
	size_t ends[3], n = three(p, ends), step;
	struct spool_record rec;

	(void)state;
	memset(p + SPOOL_HEAD_BYTES, 'C', ends[0] - SPOOL_HEAD_BYTES);
	for (size_t window = SPOOL_RECORD_HEAD_BYTES; window < n - SPOOL_HEAD_BYTES; window++) {
		size_t at = SPOOL_HEAD_BYTES;

		while (at < ends[0]) {
			size_t have = MIN(window, n - at);

			assert_int_equal(spool_record_parse(slice_make(p + at, have),
							    have == n - at, ID, at, &rec, &step),
					 SPOOL_DAMAGE);
			at += step;
		}
		assert_int_equal(at, ends[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),        cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(every_bit_counts),  cmocka_unit_test(only_where_it_was_written),
		cmocka_unit_test(more_is_asked_for), cmocka_unit_test(damage_in_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
