#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

#include "wire/json_out.h"

struct text_row {
	const char *name;
	struct slice in;
	const char *want;
};

static struct text_row texts[] = {
	{ "empty", SLICE_INIT(""), "\"\"" },
	{ "shorter than a word", SLICE_INIT("abc"), "\"abc\"" },
	{ "exactly a word", SLICE_INIT("abcdefgh"), "\"abcdefgh\"" },
	{ "two words and a tail", SLICE_INIT("abcdefghijklmnopqrs"), "\"abcdefghijklmnopqrs\"" },
	{ "a quote in a word", SLICE_INIT("abc\"efghij"), "\"abc\\\"efghij\"" },
	{ "a quote at the end", SLICE_INIT("abcdefgh\""), "\"abcdefgh\\\"\"" },
	{ "a backslash", SLICE_INIT("C:\\x"), "\"C:\\\\x\"" },
	{ "short escapes", SLICE_INIT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"" },
	{ "other control characters", SLICE_INIT("\x01\x1f"), "\"\\u0001\\u001f\"" },
	{ "a NUL", SLICE_INIT("a\0b"), "\"a\\u0000b\"" },
	{ "delete is no control of JSON", SLICE_INIT("\x7f"), "\"\x7f\"" },
	{ "a slash stays", SLICE_INIT("a/b"), "\"a/b\"" },
	{ "two-byte letters", SLICE_INIT("Жалоба и ещё"), "\"Жалоба и ещё\"" },
	{ "three and four bytes", SLICE_INIT("株式\xf0\x9f\x93\x9e!"),
	  "\"株式\xf0\x9f\x93\x9e!\"" },
	{ "a lone byte",
	  SLICE_INIT("a\xff"
		     "b"),
	  "\"a\xef\xbf\xbd"
	  "b\"" },
	{ "a sequence cut short", SLICE_INIT("\xd0"), "\"\xef\xbf\xbd\"" },
	{ "a tail without its head", SLICE_INIT("\x80x"), "\"\xef\xbf\xbdx\"" },
	{ "an overlong slash", SLICE_INIT("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ "an overlong three", SLICE_INIT("\xe0\x80\x80"),
	  "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ "a surrogate", SLICE_INIT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ "past the last character", SLICE_INIT("\xf4\x90\x80\x80"),
	  "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ "the last character", SLICE_INIT("\xf4\x8f\xbf\xbf"), "\"\xf4\x8f\xbf\xbf\"" },
	{ "an overlong four", SLICE_INIT("\xf0\x80\x80\x80"),
	  "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ "a broken third byte", SLICE_INIT("\xe4\xb8(x"), "\"\xef\xbf\xbd\xef\xbf\xbd(x\"" },
};

static void check_text(void **state)
{
	const struct text_row *row = *state;
	struct buf b = BUF_EMPTY;
	struct json_out j = jo_make(&b);

	jo_text(&j, row->in);
	assert_int_equal(b.n, strlen(row->want));
	assert_memory_equal(b.p, row->want, b.n);
	assert_true(j.comma);
	buf_fini(&b);
}

static void expect(struct buf *b, const char *want)
{
	assert_false(b->bad);
	buf_add_char(b, '\0');
	assert_string_equal(b->p, want);
	buf_fini(b);
}

static void commas(void **state)
{
	struct buf b = BUF_EMPTY;
	struct json_out j = jo_make(&b);

	(void)state;
	jo_begin_object(&j);
	JO_KEY(&j, "a");
	jo_begin_array(&j);
	jo_int(&j, 1);
	jo_begin_object(&j);
	jo_end_object(&j);
	jo_text(&j, SLICE("x"));
	jo_begin_array(&j);
	jo_end_array(&j);
	jo_bool(&j, true);
	jo_end_array(&j);
	JO_KEY(&j, "b");
	jo_bool(&j, false);
	JO_KEY(&j, "c");
	jo_raw(&j, SLICE("{\"d\":null}"));
	jo_end_object(&j);
	expect(&b, "{\"a\":[1,{},\"x\",[],true],\"b\":false,\"c\":{\"d\":null}}");
}

static void numbers(void **state)
{
	static const int64_t values[] = { 0, 7, -1, 1000000, INT64_MAX, INT64_MIN };
	struct buf b = BUF_EMPTY;
	struct json_out j = jo_make(&b);

	(void)state;
	jo_begin_array(&j);
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		jo_int(&j, values[i]);
	jo_end_array(&j);
	expect(&b, "[0,7,-1,1000000,9223372036854775807,-9223372036854775808]");
}

static void times_and_ids(void **state)
{
	struct uuid id;
	struct buf b = BUF_EMPTY;
	struct json_out j = jo_make(&b);

	(void)state;
	assert_int_equal(uuid_read(SLICE("d74265c1-8fb4-540d-9e96-c913dfe35a1b"), &id), 0);
	jo_begin_array(&j);
	jo_time(&j, 1773483302000);
	jo_uuid(&j, &id);
	jo_end_array(&j);
	expect(&b, "[\"2026-03-14T10:15:02.000Z\",\"d74265c1-8fb4-540d-9e96-c913dfe35a1b\"]");
}

static void base64(void **state)
{
	static const struct {
		struct slice in;
		const char *want;
	} rows[] = {
		{ SLICE_INIT(""), "\"\"" },
		{ SLICE_INIT("f"), "\"Zg==\"" },
		{ SLICE_INIT("fo"), "\"Zm8=\"" },
		{ SLICE_INIT("foo"), "\"Zm9v\"" },
		{ SLICE_INIT("foob"), "\"Zm9vYg==\"" },
		{ SLICE_INIT("\xff\xfe\xfb"), "\"//77\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_EMPTY;
		struct json_out j = jo_make(&b);

		jo_base64(&j, rows[i].in);
		expect(&b, rows[i].want);
	}
}

/* Blocks are written whole and room is made ahead: nothing may depend on where a text ends. */
static void texts_of_any_length(void **state)
{
	static const struct {
		struct slice in;
		const char *want;
	} units[] = {
		{ SLICE_INIT("a"), "a" },
		{ SLICE_INIT("Ж"), "Ж" },
		{ SLICE_INIT("é"), "é" },
		{ SLICE_INIT("\""), "\\\"" },
		{ SLICE_INIT("\x01"), "\\u0001" },
		{ SLICE_INIT("\xff"), "\xef\xbf\xbd" },
		{ SLICE_INIT("seventeen letters\""), "seventeen letters\\\"" },
		{ SLICE_INIT("Ночная смена \n"), "Ночная смена \\n" },
	};

	(void)state;
	for (size_t u = 0; u < ARRAY_LEN(units); u++) {
		struct buf in = BUF_EMPTY, want = BUF_EMPTY;

		for (unsigned n = 0; n < 2600; n++) {
			struct buf out = BUF_EMPTY; /* anew, so that its end is met */
			struct json_out j = jo_make(&out);

			jo_text(&j, buf_slice(&in));
			assert_int_equal(out.n, want.n + 2);
			assert_memory_equal(out.p + 1, want.n ? want.p : "", want.n);
			buf_fini(&out);
			for (unsigned step = n < 80 ? 1 : 7; step; step--) {
				buf_add_slice(&in, units[u].in);
				buf_add_text(&want, units[u].want);
			}
			n += n < 80 ? 0 : 6;
		}
		buf_fini(&in);
		buf_fini(&want);
	}
}

static void long_keys(void **state)
{
	struct buf b = BUF_EMPTY;
	struct json_out j = jo_make(&b);

	(void)state;
	jo_begin_object(&j);
	JO_PUT_INT(&j, "thirteen_byte", 1); /* with its marks a block */
	JO_PUT_INT(&j, "fourteen_bytes", 2);
	JO_PUT(&j, "a_key_of_twenty_nine_bytes_ok", SLICE("t"));
	JO_KEY(&j, "a_key_of_twenty_nine_bytes_no");
	jo_int(&j, 3);
	jo_end_object(&j);
	expect(&b, "{\"thirteen_byte\":1,\"fourteen_bytes\":2,"
		   "\"a_key_of_twenty_nine_bytes_ok\":\"t\",\"a_key_of_twenty_nine_bytes_no\":3}");
}

static void absent_members_are_left_out(void **state)
{
	struct buf b = BUF_EMPTY;
	struct json_out j = jo_make(&b);

	(void)state;
	jo_begin_object(&j);
	JO_PUT(&j, "no", SLICE_NONE);
	JO_PUT(&j, "text", SLICE("t"));
	JO_PUT_TIME(&j, "never", TIME_NONE);
	JO_PUT_TIME(&j, "time", 0);
	JO_PUT_INT(&j, "none", INT64_MIN);
	JO_PUT_INT(&j, "zero", 0);
	jo_end_object(&j);
	expect(&b, "{\"text\":\"t\",\"time\":\"1970-01-01T00:00:00.000Z\",\"zero\":0}");
}

/* A bad buffer keeps what it had, whatever is written. */
static void bad_buffer(void **state)
{
	struct buf b = BUF_EMPTY;
	struct json_out j = jo_make(&b);
	struct uuid id = { { 0 } };

	(void)state;
	jo_begin_array(&j);
	b.bad = true;
	jo_begin_object(&j);
	JO_KEY(&j, "k");
	jo_text(&j, SLICE("a\"b"));
	jo_int(&j, 1);
	jo_bool(&j, true);
	jo_time(&j, 0);
	jo_uuid(&j, &id);
	jo_raw(&j, SLICE("1"));
	jo_base64(&j, SLICE("x"));
	jo_end_object(&j);
	jo_end_array(&j);
	assert_true(b.bad);
	assert_int_equal(b.n, 1);
	buf_fini(&b);
}

/* Any bytes give text that another library reads back: the same where they were UTF-8. */
static void any_bytes_read_back(void **state)
{
	uint64_t seed = 0x9e3779b97f4a7c15;
	struct buf b = BUF_EMPTY;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char text[40];
		size_t n = (size_t)round % sizeof(text);
		struct json_out j = jo_make(&b);
		json_t *read;

		for (size_t i = 0; i < n; i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			text[i] = (char)(seed >> (round % 3 ? 57 : 56)); /* mostly ASCII */
		}
		buf_reset(&b);
		jo_text(&j, slice_make(text, n));
		read = json_loadb(b.p, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		assert_non_null(read);
		if (slice_is_utf8(slice_make(text, n))) {
			assert_int_equal(json_string_length(read), n);
			assert_memory_equal(json_string_value(read), text, n);
		}
		json_decref(read);
	}
	buf_fini(&b);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_LEN(texts) + 9] = {
		cmocka_unit_test(commas),
		cmocka_unit_test(numbers),
		cmocka_unit_test(times_and_ids),
		cmocka_unit_test(base64),
		cmocka_unit_test(bad_buffer),
		cmocka_unit_test(texts_of_any_length),
		cmocka_unit_test(long_keys),
		cmocka_unit_test(absent_members_are_left_out),
		cmocka_unit_test(any_bytes_read_back),
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		tests[9 + i] = (struct CMUnitTest){ .name = texts[i].name,
						    .test_func = check_text,
						    .initial_state = &texts[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
