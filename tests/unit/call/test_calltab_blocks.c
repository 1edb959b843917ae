#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "call/calltab_blocks.h"

static void sizes_fit_and_stay(void **state)
{
	(void)state;
	for (size_t n = 1; n < 5000; n += 7) {
		assert_true(block_size(n) >= n);
		assert_true(block_size(n) < n + BLOCK_STEP);
		assert_int_equal(block_size(block_size(n)), block_size(n));
	}
}

static void what_is_given_back_is_taken_again(void **state)
{
	struct blocks b = { .used_bytes = 0 };
	size_t small = block_size(300), large = block_size(BLOCK_STEP * BLOCK_CLASSES * 2);
	void *first = block_take(&b, small), *other;

	(void)state;
	assert_non_null(first);
	memset(first, 1, small);
	block_give(&b, first, small);
	assert_int_equal(b.used_bytes, 0);
	assert_int_equal(b.spare_bytes, small);
	other = block_take(&b, small + BLOCK_STEP); /* another class */
	assert_ptr_not_equal(other, first);
	assert_ptr_equal(block_take(&b, small), first);
	assert_int_equal(b.spare_bytes, 0);
	memset(first, 2, small);
	block_give(&b, first, small);
	block_give(&b, other, small + BLOCK_STEP);
	other = block_take(&b, large); /* of no class: none waits */
	assert_non_null(other);
	block_give(&b, other, large);
	assert_int_equal(b.spare_bytes, 2 * small + BLOCK_STEP);
	blocks_fini(&b);
	assert_int_equal(b.spare_bytes, 0);
}

static void what_waits_is_bounded(void **state)
{
	static void *taken[4096];
	struct blocks b = { .used_bytes = 0 };
	size_t size = block_size(1000), n = sizeof(taken) / sizeof(taken[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		taken[i] = block_take(&b, size);
		assert_non_null(taken[i]);
	}
	for (size_t i = 0; i < n; i++)
		block_give(&b, taken[i], size);
	assert_int_equal(b.used_bytes, 0);
	assert_true(b.spare_bytes > 0 && b.spare_bytes < n * size * 3 / 4);
	blocks_fini(&b);
}

/* Blocks of all sizes keep what is written to them while others come, go and are swept. */
static void nobody_writes_into_another(void **state)
{
	enum { N = 20000 };
	static struct {
		unsigned char *p;
		size_t size;
	} v[N];
	struct blocks b = { .used_bytes = 0 };
	uint64_t luck = 1;

	(void)state;
	for (size_t step = 0; step < 6 * (size_t)N; step++) {
		size_t i = (luck = luck * 6364136223846793005u + 1442695040888963407u) >> 33;
		bool comes = step % (2 * (size_t)N) < N; /* tides, so that regions become empty */

		i %= N;
		if (v[i].p) {
			for (size_t k = 0; k < v[i].size; k += 100)
				assert_int_equal(v[i].p[k], i % 251);
			block_give(&b, v[i].p, v[i].size);
			v[i].p = NULL;
		}
		if (!comes)
			continue;
		v[i].size = block_size(100 + (luck >> 20) % 2500);
		v[i].p = block_take(&b, v[i].size);
		assert_non_null(v[i].p);
		assert_int_equal((uintptr_t)v[i].p % 16, 0);
		memset(v[i].p, (int)(i % 251), v[i].size);
	}
	for (size_t i = 0; i < N; i++) {
		if (v[i].p)
			block_give(&b, v[i].p, v[i].size);
	}
	assert_int_equal(b.used_bytes, 0);
	assert_true(b.spare_bytes < (size_t)4 << 20);
	blocks_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_fit_and_stay),
		cmocka_unit_test(what_is_given_back_is_taken_again),
		cmocka_unit_test(what_waits_is_bounded),
		cmocka_unit_test(nobody_writes_into_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
