/* Bytes that grow, memory that is given back at once. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cfg_mem.h"
#include "unit/base/rows.h"

static void adding(void **state)
{
	struct buf b = BUF_EMPTY;
	char *text;

	(void)state;
	buf_add_text(&b, "a");
	buf_add_char(&b, ' ');
	buf_add_u64(&b, 0);
	buf_add_u64(&b, UINT64_MAX);
	buf_add_char(&b, ' ');
	buf_add_i64(&b, INT64_MIN);
	buf_add_i64(&b, 7);
	buf_add_slice(&b, SLICE(" s"));
	buf_add_slice(&b, SLICE_NONE);
	buf_printf(&b, " %d-%s", 5, "x");
	text = buf_take_text(&b);
	assert_string_equal(text, "a 018446744073709551615 -92233720368547758087 s 5-x");
	assert_int_equal(b.n + b.cap, 0);
	assert_null(b.p);
	free(text);
}

static void growing(void **state)
{
	struct buf b = BUF_EMPTY;
	char *before;

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_add_char(&b, (char)('a' + i % 26));
	assert_int_equal(b.n, 100000);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(b.p[i], 'a' + i % 26);
	before = b.p;
	buf_reset(&b);
	buf_printf(&b, "%0*d", 50000, 1); /* fits into what is there */
	assert_ptr_equal(b.p, before);
	assert_int_equal(b.n, 50000);
	buf_fini(&b);
	assert_null(b.p);
	buf_fini(&b);
}

static void room(void **state)
{
	struct buf b = BUF_EMPTY;

	(void)state;
	assert_true(buf_reserve(&b, 0));
	assert_null(b.p);
	assert_true(buf_reserve(&b, 1000));
	assert_true(b.cap >= 1000 && b.n == 0);
	buf_fini(&b);
}

/* Past its limit a buffer is bad and keeps what it had. */
static void too_much(void **state)
{
	struct buf b = BUF_EMPTY;

	(void)state;
	buf_add_text(&b, "kept");
	assert_false(buf_reserve(&b, BUF_MAX));
	assert_true(b.bad);
	buf_add_text(&b, "ignored");
	buf_printf(&b, "%s", "too");
	assert_true(slice_is(buf_slice(&b), "kept"));
	assert_null(buf_take_text(&b));
	assert_false(b.bad);
	buf_add_text(&b, "anew");
	assert_true(slice_is(buf_slice(&b), "anew"));
	b.bad = true;
	buf_reset(&b);
	assert_false(b.bad);
	buf_fini(&b);
}

static void pile(void **state)
{
	struct cfg_mem mem = CFG_MEM_EMPTY;
	const char *first = cfg_copy(&mem, SLICE("first"));
	uint64_t *numbers = NULL, *to;
	size_t n = 0;
	char *big;

	(void)state;
	for (uint64_t i = 0; i < 10000; i++) {
		to = cfg_append(&mem, (void **)&numbers, &n, sizeof(*to));
		assert_non_null(to);
		assert_int_equal((uintptr_t)to % _Alignof(uint64_t), 0);
		*to = i;
	}
	big = cfg_alloc(&mem, 1 << 20);
	assert_non_null(big);
	for (size_t i = 0; i < 1 << 20; i++)
		assert_int_equal(big[i], 0);
	assert_int_equal(n, 10000);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(numbers[i], i);
	assert_string_equal(first, "first");
	assert_string_equal(cfg_copy(&mem, SLICE_NONE), "");
	assert_non_null(cfg_alloc(&mem, 0));
	assert_false(mem.bad);
	cfg_mem_fini(&mem);
	assert_null(mem.blocks);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(adding),   cmocka_unit_test(growing), cmocka_unit_test(room),
		cmocka_unit_test(too_much), cmocka_unit_test(pile),
	};

	return cmocka_run_group_tests_name("buffers", tests, NULL, NULL);
}
