#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "call/text.h"

#define LEN_MAX 70u

/* A text in memory that ends with it. */
static char *text_of(size_t n)
{
	char *text = malloc(n ? n : 1);

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + i * 7 % 26);
	return text;
}

static void one_byte_makes_another_text(void **state)
{
	(void)state;
	for (size_t n = 0; n < LEN_MAX; n++) {
		char *a = text_of(n), *b = text_of(n);

		assert_true(text_eq(slice_make(a, n), slice_make(b, n)));
		assert_true(text_hash(slice_make(a, n), 1) == text_hash(slice_make(b, n), 1));
		assert_true(text_hash(slice_make(a, n), 1) != text_hash(slice_make(a, n), 2));
		for (size_t i = 0; i < n; i++) {
			b[i] ^= 0x20;
			assert_false(text_same(a, b, n));
			assert_true(text_hash(slice_make(a, n), 1) !=
				    text_hash(slice_make(b, n), 1));
			b[i] ^= 0x20;
		}
		free(a);
		free(b);
	}
	assert_true(text_eq(SLICE_NONE, SLICE("")));
	assert_false(text_eq(SLICE("a"), SLICE("aa")));
}

static void what_is_put_is_the_text(void **state)
{
	(void)state;
	for (size_t n = 0; n < LEN_MAX; n++) {
		char *text = text_of(n);
		uint8_t *to = malloc(n + 1);

		assert_non_null(to);
		to[n] = 0xee;
		assert_ptr_equal(text_put(to, text, n), to + n);
		assert_memory_equal(to, text, n);
		assert_int_equal(to[n], 0xee);
		free(text);
		free(to);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_byte_makes_another_text),
		cmocka_unit_test(what_is_put_is_the_text),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
