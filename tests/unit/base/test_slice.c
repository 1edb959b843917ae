/* Pieces of text: compared, cut, read as numbers, checked as UTF-8. */
#include <errno.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "unit/base/rows.h"

static const struct compare_row {
	const char *name, *a, *b;
	bool eq_nocase, starts, starts_nocase, ends;
	int order;
} compare_rows[] = {
	{ "both empty", "", "", true, true, true, true, 0 },
	{ "empty behind", "a", "", false, true, true, true, 1 },
	{ "empty before", "", "a", false, false, false, false, -1 },
	{ "same", "abc", "abc", true, true, true, true, 0 },
	{ "case", "aBc", "AbC", true, false, true, false, 1 },
	{ "prefix", "abcd", "ab", false, true, true, false, 1 },
	{ "prefix, case", "ABcd", "ab", false, false, true, false, -1 },
	{ "suffix", "abcd", "cd", false, false, false, true, -1 },
	{ "letters that differ by 0x20 alone", "[", "{", false, false, false, false, -1 },
	{ "bytes above 127 are greater", "\xff", "a", false, false, false, false, 1 },
};

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void compare(void **state)
{
	const struct compare_row *row = *state;
	struct slice a = slice_of(row->a), b = slice_of(row->b);

	assert_int_equal(slice_eq_nocase(a, b), row->eq_nocase);
	assert_int_equal(slice_starts(a, b), row->starts);
	assert_int_equal(slice_starts_nocase(a, b), row->starts_nocase);
	assert_int_equal(slice_ends(a, b), row->ends);
	assert_int_equal(sign(slice_cmp(a, b)), row->order);
	assert_int_equal(slice_eq(a, b), row->order == 0);
	assert_int_equal(slice_eq_secret(a, b), row->order == 0);
	assert_int_equal(slice_is(a, row->b), row->order == 0);
}

static void absent(void **state)
{
	struct slice none = SLICE_NONE, rest = none;

	(void)state;
	assert_true(slice_eq(none, SLICE("")) && slice_is(none, "") && slice_is(none, NULL));
	assert_true(slice_starts(none, none) && slice_ends(none, none) &&
		    slice_eq_nocase(none, none));
	assert_int_equal(slice_skip(none, 3).n + slice_head(none, 3).n + slice_trim(none).n, 0);
	assert_int_equal(slice_cut(&rest, ',').n + rest.n, 0);
	assert_int_equal(slice_find(none, 'x'), 0);
	assert_false(slice_is_digits(none));
	assert_true(slice_is_utf8(none));
	assert_int_equal(slice_cmp(none, none), 0);
	assert_int_equal(slice_of(NULL).n, 0);
}

static void pieces(void **state)
{
	struct slice s = SLICE("a,b,,c");

	(void)state;
	assert_true(slice_is(slice_skip(s, 2), "b,,c"));
	assert_true(slice_is(slice_skip(s, 99), ""));
	assert_true(slice_is(slice_head(s, 1), "a"));
	assert_true(slice_is(slice_head(s, 99), "a,b,,c"));
	assert_int_equal(slice_find(s, 'b'), 2);
	assert_int_equal(slice_find(s, 'x'), 6);
	assert_true(slice_is(slice_cut(&s, ','), "a"));
	assert_true(slice_is(slice_cut(&s, ','), "b"));
	assert_true(slice_is(slice_cut(&s, ','), ""));
	assert_true(slice_is(slice_cut(&s, ','), "c"));
	assert_int_equal(s.n, 0);
	assert_true(slice_is(slice_trim(SLICE(" \t\r\na b\n ")), "a b"));
	assert_true(slice_is(slice_trim(SLICE(" \n")), ""));
	assert_true(slice_is(slice_trim_char(SLICE("//a/b/"), '/'), "a/b"));
	assert_true(slice_is(slice_trim_char(SLICE("///"), '/'), ""));
}

static void copy(void **state)
{
	char *text = slice_dup(SLICE("abc")), *empty = slice_dup(SLICE_NONE);

	(void)state;
	assert_string_equal(text, "abc");
	assert_string_equal(empty, "");
	free(text);
	free(empty);
}

static const struct number_row {
	const char *name, *text;
	int u_err;
	uint64_t u;
	int i_err;
	int64_t i;
} number_rows[] = {
	{ "zero", "0", 0, 0, 0, 0 },
	{ "leading zeros", "007", 0, 7, 0, 7 },
	{ "largest signed", "9223372036854775807", 0, INT64_MAX, 0, INT64_MAX },
	{ "beyond signed", "9223372036854775808", 0, UINT64_C(9223372036854775808), -ERANGE, 0 },
	{ "largest", "18446744073709551615", 0, UINT64_MAX, -ERANGE, 0 },
	{ "beyond all", "18446744073709551616", -ERANGE, 0, -ERANGE, 0 },
	{ "far beyond", "99999999999999999999999", -ERANGE, 0, -ERANGE, 0 },
	{ "negative", "-5", -EINVAL, 0, 0, -5 },
	{ "two signs", "--5", -EINVAL, 0, -EINVAL, 0 },
	{ "sign alone", "-", -EINVAL, 0, -EINVAL, 0 },
	{ "plus", "+5", -EINVAL, 0, -EINVAL, 0 },
	{ "blank", " 5", -EINVAL, 0, -EINVAL, 0 },
	{ "exponent", "1e3", -EINVAL, 0, -EINVAL, 0 },
	{ "empty", "", -EINVAL, 0, -EINVAL, 0 },
};

static void number(void **state)
{
	const struct number_row *row = *state;
	uint64_t u = 4711;
	int64_t i = 4711;

	assert_int_equal(slice_u64(slice_of(row->text), &u), row->u_err);
	assert_int_equal(u, row->u_err ? 4711 : row->u);
	assert_int_equal(slice_i64(slice_of(row->text), &i), row->i_err);
	assert_int_equal(i, row->i_err ? 4711 : row->i);
}

static void ids_in_order(void **state)
{
	static const char *const ids[] = {
		"0", "01", "1",  "2", "10", "99999999999999999999999", "100000000000000000000000",
		"",  "-1", "1a", "a",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		for (size_t k = 0; k < ARRAY_LEN(ids); k++) {
			int order = sign(slice_cmp_id(slice_of(ids[i]), slice_of(ids[k])));

			if (order != (i > k) - (i < k))
				print_error("\"%s\" against \"%s\"\n", ids[i], ids[k]);
			assert_int_equal(order, (i > k) - (i < k));
		}
	}
}

static const struct utf8_row {
	const char *name, *text;
	bool ok;
} utf8_rows[] = {
	{ "ASCII", "abc\x7f", true },
	{ "two bytes", "\xc2\x80\xdf\xbf", true },
	{ "three bytes", "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", true },
	{ "four bytes", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true },
	{ "lone continuation", "\x80", false },
	{ "cut after one of two", "\xc3", false },
	{ "cut after two of three", "\xe2\x82", false },
	{ "cut after three of four", "\xf0\x9f\x98", false },
	{ "overlong, two bytes", "\xc0\xaf", false },
	{ "overlong, three bytes", "\xe0\x9f\xbf", false },
	{ "overlong, four bytes", "\xf0\x8f\xbf\xbf", false },
	{ "surrogate", "\xed\xa0\x80", false },
	{ "past U+10FFFF", "\xf4\x90\x80\x80", false },
	{ "byte that never occurs", "\xf8\x88\x80\x80\x80", false },
	{ "continuation missing", "\xc3(", false },
	{ "second continuation missing", "\xe2\x82(", false },
};

static void utf8(void **state)
{
	const struct utf8_row *row = *state;

	assert_int_equal(slice_is_utf8(slice_of(row->text)), row->ok);
}

static const struct nearest_row {
	const char *name, *asked, *words[3], *want;
} nearest_rows[] = {
	{ "one letter wrong", "chexk", { "run", "check" }, "check" },
	{ "one letter missing", "chck", { "run", "check" }, "check" },
	{ "one letter more", "checkk", { "run", "check" }, "check" },
	{ "two swapped", "chekc", { "run", "check" }, "check" },
	{ "the nearer of two", "tial", { "calls", "tail" }, "tail" },
	{ "nothing near", "replay", { "run", "check" }, NULL },
	{ "short words are not all alike", "x", { "in", "of" }, NULL },
	{ "empty", "", { "run" }, NULL },
	{ "very long",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab" },
	  NULL },
};

static void near(void **state)
{
	const struct nearest_row *row = *state;
	struct nearest nearest = nearest_to(slice_of(row->asked));

	for (size_t i = 0; i < ARRAY_LEN(row->words) && row->words[i]; i++)
		nearest_try(&nearest, row->words[i]);
	if (row->want)
		assert_string_equal(nearest.word, row->want);
	else
		assert_null(nearest.word);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(absent),
		cmocka_unit_test(pieces),
		cmocka_unit_test(copy),
		cmocka_unit_test(ids_in_order),
	};
	int failed = RUN_ROWS("comparing", compare, compare_rows);

	failed += RUN_ROWS("numbers", number, number_rows);
	failed += RUN_ROWS("UTF-8", utf8, utf8_rows);
	failed += RUN_ROWS("what was meant", near, nearest_rows);
	failed += cmocka_run_group_tests_name("slices", single, NULL, NULL);
	return failed != 0;
}
