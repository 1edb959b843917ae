/*
 * The index of closed calls: what it knows, what it forgets, its blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "call/calltab.h"
#include "call/closed.h"

#define KEEP_MS INT64_C(100000)

static struct uuid id_of(unsigned n)
{
	char text[16];
	struct uuid id;
	int size = snprintf(text, sizeof(text), "%u", n);

	uuid_of_call(SLICE("acme"), slice_make(text, (size_t)size), &id);
	return id;
}

static void add(struct closed_index *x, unsigned n, int64_t left_ms)
{
	struct uuid id = id_of(n);

	assert_int_equal(closed_add(x, &id, left_ms), 0);
}

static bool has(const struct closed_index *x, unsigned n)
{
	struct uuid id = id_of(n);

	return closed_has(x, &id);
}

static struct closed_index *new_index(uint64_t entries_max)
{
	struct closed_index *x;

	assert_int_equal(closed_new(KEEP_MS, entries_max, &x), 0);
	return x;
}

static uint64_t take(struct closed_index *x, struct buf *out)
{
	buf_reset(out);
	return closed_take_block(x, out);
}

static void it_knows_who_left(void **state)
{
	struct closed_index *x = new_index(1000);

	(void)state;
	assert_false(has(x, 1));
	add(x, 1, 5000);
	add(x, 1, 9000);
	add(x, 2, 6000);
	assert_true(has(x, 1) && has(x, 2));
	assert_false(has(x, 3));
	assert_int_equal(closed_count(x), 2);
	assert_int_equal(closed_covers_ms(x, 7000), KEEP_MS);
	closed_free(x);
	closed_free(NULL);
}

static void pending_entries_become_blocks(void **state)
{
	struct closed_index *x = new_index(1000);
	struct uuid id = id_of(1);
	struct buf out = BUF_EMPTY;

	(void)state;
	assert_int_equal(closed_pending_since(x), INT64_MAX);
	assert_int_equal(take(x, &out), 0);
	assert_int_equal(closed_first_block(x), 1);
	add(x, 1, 5000);
	add(x, 2, 6000);
	assert_int_equal(closed_pending(x), 2);
	assert_int_equal(closed_pending_since(x), 5000);
	assert_true(closed_pending_in(x, calltab_slice_of(&id)));
	assert_int_equal(take(x, &out), 1);
	assert_int_equal(out.n, 1 + 2 * 12 + 8);
	assert_int_equal(closed_pending(x), 0);
	assert_false(closed_pending_in(x, calltab_slice_of(&id)));
	assert_true(has(x, 1));
	add(x, 3, 7000);
	assert_int_equal(take(x, &out), 2);
	assert_int_equal(closed_first_block(x), 1);
	buf_fini(&out);
	closed_free(x);
}

static void blocks_run_out(void **state)
{
	struct closed_index *x = new_index(1000);
	struct buf out = BUF_EMPTY;

	(void)state;
	add(x, 1, 5000);
	take(x, &out);
	add(x, 2, 60000);
	take(x, &out);
	closed_expire(x, 5000 + KEEP_MS);
	assert_true(has(x, 1));
	closed_expire(x, 5001 + KEEP_MS);
	assert_false(has(x, 1));
	assert_true(has(x, 2));
	assert_int_equal(closed_count(x), 1);
	assert_int_equal(closed_first_block(x), 2);
	closed_expire(x, 60001 + KEEP_MS);
	assert_int_equal(closed_first_block(x), 3);
	assert_int_equal(closed_covers_ms(x, 60001 + KEEP_MS), KEEP_MS);
	add(x, 1, 200000); /* a dead entry comes to life again */
	assert_true(has(x, 1));
	buf_fini(&out);
	closed_free(x);
}

static void the_limit_pushes_out_the_oldest(void **state)
{
	struct closed_index *x = new_index(2), *after = new_index(2);
	struct buf out = BUF_EMPTY;

	(void)state;
	for (unsigned i = 1; i <= 4; i++) {
		add(x, i, 10000 * i);
		take(x, &out);
	}
	assert_false(has(x, 1) || has(x, 2));
	assert_true(has(x, 3) && has(x, 4));
	assert_int_equal(closed_count(x), 2);
	assert_int_equal(closed_first_block(x), 3);
	assert_int_equal(closed_covers_ms(x, 50000), 30000); /* since the last one forgotten */
	/* A restart that finds no old blocks knows from the journal. */
	closed_set_cutoff(after, closed_cutoff(x));
	assert_int_equal(closed_covers_ms(after, 50000), 30000);
	assert_int_equal(closed_load_block(after, 4, buf_slice(&out)), 0);
	assert_int_equal(closed_covers_ms(after, 50000), 30000);
	add(x, 5, 60000);
	add(x, 6, 60000);
	add(x, 7, 60000);
	take(x, &out);
	assert_int_equal(closed_count(x), 0); /* a block goes as a whole */
	assert_int_equal(closed_covers_ms(x, 70000), 10000);
	buf_fini(&out);
	closed_free(x);
	closed_free(after);
}

static void blocks_are_loaded_again(void **state)
{
	struct closed_index *x = new_index(1000), *y = new_index(1000);
	struct buf one = BUF_EMPTY, two = BUF_EMPTY;

	(void)state;
	add(x, 1, 5000);
	add(x, 2, 6000);
	assert_int_equal(closed_take_block(x, &one), 1);
	add(x, 3, 7000);
	assert_int_equal(closed_take_block(x, &two), 2);
	/* The replay had 2, 3 and 4 leave before it came to the blocks. */
	add(y, 2, 6000);
	add(y, 3, 7000);
	add(y, 4, 8000);
	assert_int_equal(closed_load_block(y, 2, buf_slice(&two)), 0);
	assert_int_equal(closed_load_block(y, 1, buf_slice(&one)), 0);
	assert_int_equal(closed_load_block(y, 1, buf_slice(&one)), 0);
	assert_int_equal(closed_pending(y), 1);
	assert_int_equal(closed_count(y), 4);
	assert_true(has(y, 1) && has(y, 2) && has(y, 3) && has(y, 4));
	assert_int_equal(closed_first_block(y), 1);
	buf_reset(&one);
	assert_int_equal(closed_take_block(y, &one), 3);
	buf_fini(&one);
	buf_fini(&two);
	closed_free(x);
	closed_free(y);
}

static void damaged_blocks_are_refused(void **state)
{
	struct closed_index *x = new_index(1000), *y = new_index(1000);
	struct buf out = BUF_EMPTY;

	(void)state;
	add(x, 1, 5000);
	take(x, &out);
	assert_int_equal(closed_load_block(y, 0, buf_slice(&out)), -EBADMSG);
	assert_int_equal(closed_load_block(y, UINT64_MAX, buf_slice(&out)), -EBADMSG);
	for (size_t n = 0; n < out.n; n++)
		assert_int_equal(closed_load_block(y, 1, slice_make(out.p, n)), -EBADMSG);
	for (size_t i = 0; i < out.n; i++) {
		out.p[i] ^= 1;
		assert_int_equal(closed_load_block(y, 1, buf_slice(&out)), -EBADMSG);
		out.p[i] ^= 1;
	}
	assert_int_equal(closed_count(y), 0);
	assert_int_equal(closed_load_block(y, 1, buf_slice(&out)), 0);
	buf_fini(&out);
	closed_free(x);
	closed_free(y);
}

/* Many come and go; a plain array says what must be known. */
static void it_stays_right_while_it_grows_and_is_swept(void **state)
{
	struct closed_index *x = new_index(50000);
	struct buf out = BUF_EMPTY;
	unsigned first = 0, n;

	(void)state;
	for (n = 0; n < 60000; n++) {
		add(x, n, (int64_t)n * 10);
		if (n % 500 != 499)
			continue;
		take(x, &out);
		closed_expire(x, (int64_t)n * 10);
	}
	while (!has(x, first))
		first++;
	/* Kept for 100 s: 10,000 entries, and the rest of the block that holds the oldest. */
	assert_in_range(n - first, 10000, 10700);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(has(x, i), i >= first);
	assert_in_range(closed_count(x), n - first, n - first + 500);
	buf_fini(&out);
	closed_free(x);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_knows_who_left),
		cmocka_unit_test(pending_entries_become_blocks),
		cmocka_unit_test(blocks_run_out),
		cmocka_unit_test(the_limit_pushes_out_the_oldest),
		cmocka_unit_test(blocks_are_loaded_again),
		cmocka_unit_test(damaged_blocks_are_refused),
		cmocka_unit_test(it_stays_right_while_it_grows_and_is_swept),
	};

	return cmocka_run_group_tests_name("closed", tests, NULL, NULL);
}
