/* Memory for one message: aligned, grown where it is, given back but for the usual block. */
#include <string.h>

#include "unit/base/rows.h"
#include "wire/arena.h"

static void aligned(void **state)
{
	struct arena a = ARENA_EMPTY;

	(void)state;
	for (size_t n = 0; n < 40; n++) {
		char *p = arena_alloc(&a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		memset(p, 0x5a, n);
	}
	arena_fini(&a);
}

static void grows_in_place(void **state)
{
	struct arena a = ARENA_EMPTY;
	char *p = arena_alloc(&a, 10), *q;

	(void)state;
	memset(p, 7, 10);
	assert_ptr_equal(arena_grow(&a, p, 10, 1000), p);
	q = arena_alloc(&a, 10);
	assert_true(q >= p + 1000);
	q = arena_grow(&a, p, 1000, 2000); /* not the last any more */
	assert_ptr_not_equal(q, p);
	assert_int_equal(q[9], 7);
	assert_non_null(arena_grow(&a, NULL, 0, 5));
	arena_fini(&a);
}

static void grows_into_a_new_block(void **state)
{
	struct arena a = ARENA_EMPTY;
	char *p = arena_alloc(&a, ARENA_BLOCK_BYTES - 16), *q;

	(void)state;
	memset(p, 7, ARENA_BLOCK_BYTES - 16);
	q = arena_grow(&a, p, ARENA_BLOCK_BYTES - 16, 3 * ARENA_BLOCK_BYTES);
	assert_ptr_not_equal(q, p);
	assert_int_equal(q[ARENA_BLOCK_BYTES - 17], 7);
	arena_fini(&a);
}

static void reset_keeps_one_block(void **state)
{
	struct arena a = ARENA_EMPTY;
	char *first = arena_alloc(&a, 100);

	(void)state;
	assert_non_null(arena_alloc(&a, 10 * ARENA_BLOCK_BYTES));
	arena_reset(&a);
	assert_ptr_equal(arena_alloc(&a, 100), first);
	arena_fini(&a);
	assert_null(a.blocks);
}

static void reset_gives_back_what_was_big(void **state)
{
	struct arena a = ARENA_EMPTY;

	(void)state;
	assert_non_null(arena_alloc(&a, 10 * ARENA_BLOCK_BYTES));
	arena_reset(&a);
	assert_null(a.blocks);
	assert_non_null(arena_alloc(&a, 1));
	arena_fini(&a);
}

static void too_much(void **state)
{
	struct arena a = ARENA_EMPTY;

	(void)state;
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX / 2 + 100));
	assert_null(arena_grow(&a, NULL, 0, SIZE_MAX));
	arena_reset(&a);
	arena_fini(&a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligned),
		cmocka_unit_test(grows_in_place),
		cmocka_unit_test(grows_into_a_new_block),
		cmocka_unit_test(reset_keeps_one_block),
		cmocka_unit_test(reset_gives_back_what_was_big),
		cmocka_unit_test(too_much),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
