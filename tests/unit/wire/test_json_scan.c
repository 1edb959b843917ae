/* Passing over values, and what the scanner's user has to see; texts and numbers in detail are
 * compared with the library by prop_callev and fuzz_json. */
#include "base/buf.h"
#include "wire/json_in.h"
#include "wire/json_scan.h"
#include "unit/base/rows.h"

static const struct skip_row {
	const char *name; /* the object */
	bool json;
} skip_rows[] = {
	{ "{}", true },
	{ "{ }", true },
	{ " \r\n\t{\"a\":1} ", true },
	{ "{\"a\":{},\"b\":[],\"c\":[ ],\"d\":{ } }", true },
	{ "{\"a\":[1,-2.5e+3,\"x\",true,false,null,[[]],{\"b\":{\"c\":[0]}}]}", true },
	{ "{\"a\":\"sixteen letters!\\\"sixteen letters\\\\\"}", true },
	{ "{\"a\":\"fifteen letters\\n and so on, more than a block\"}", true },
	{ "{\"a\":\"\\ud83d\\ude00\\u0000\"}", true },
	{ "", false },
	{ "{", false },
	{ "}", false },
	{ "[]", false },
	{ "{}}", false },
	{ "{{}", false },
	{ "{\"a\":1,}", false },
	{ "{,\"a\":1}", false },
	{ "{\"a\":[1,]}", false },
	{ "{\"a\":[,1]}", false },
	{ "{\"a\":[1}", false },
	{ "{\"a\":[1}}", false },
	{ "{\"a\":{\"b\":1]}", false },
	{ "{\"a\"}", false },
	{ "{\"a\":}", false },
	{ "{\"a\" 1}", false },
	{ "{a:1}", false },
	{ "{\"a\":01}", false },
	{ "{\"a\":-}", false },
	{ "{\"a\":1.}", false },
	{ "{\"a\":1e}", false },
	{ "{\"a\":tru}", false },
	{ "{\"a\":nulll}", false },
	{ "{\"a\":\"}", false },
	{ "{\"a\":\"\\}", false },
	{ "{\"a\":\"\\x\"}", false },
	{ "{\"a\":\"\\u12G4\"}", false },
	{ "{\"a\":\"\\ud83d\"}", false },
	{ "{\"a\":\"\\ude00\"}", false },
	{ "{\"a\":\"\\ud83d\\u0041\"}", false },
	{ "{\"a\":\"fifteen letters\\x and more than a block\"}", false },
	{ "{\"a\":\"\x01\"}", false },
	{ "{\"a\":\"\xff\"}", false },
	{ "{\"a\":\"\xd0\"}", false },
	{ "{\"a\":\"\xed\xa0\x80\"}", false },
};

/* All members of the object passed over; is it one? */
static bool skip_all(struct slice input)
{
	struct arena arena = ARENA_EMPTY;
	struct json_scan s;
	const char *p = json_scan_begin(&s, input, &arena);
	struct slice key;

	p = p ? json_scan_enter(p) : NULL;
	while (p && *p != '}') {
		p = json_scan_key(&s, p, &key);
		if (p)
			p = json_scan_skip(&s, p);
		if (p)
			p = json_scan_next(p, '}');
	}
	assert_false(s.no_memory);
	arena_fini(&arena);
	return p && p + 1 == s.end;
}

/* A copy of exactly this size: a read past the end is seen. */
static bool skip_copy(struct slice input)
{
	char *copy = malloc(input.n ? input.n : 1);
	bool json;

	assert_non_null(copy);
	if (input.n)
		memcpy(copy, input.p, input.n);
	json = skip_all(slice_make(copy, input.n));
	free(copy);
	return json;
}

static void passed_over(void **state)
{
	const struct skip_row *row = *state;
	struct slice whole = slice_of(row->name);
	struct arena arena = ARENA_EMPTY;
	const char *reason;
	size_t offset;

	assert_int_equal(skip_copy(whole), row->json);
	if (row->json) {
		whole = slice_trim(whole);
		for (size_t n = 0; n < whole.n; n++)
			assert_false(skip_copy(slice_head(whole, n)));
	}
	/* Nothing is an object here that is none to the library. */
	if (row->json)
		assert_int_equal(json_check(&arena, whole, &offset, &reason), 0);
	arena_fini(&arena);
}

static void nest(struct buf *out, int depth, bool whole)
{
	buf_reset(out);
	buf_add_text(out, "{\"a\":");
	for (int i = 0; i < depth; i++)
		buf_add_text(out, i % 3 ? "[" : "{\"b\":");
	buf_add_char(out, '1');
	for (int i = depth - 1; i >= 0; i--)
		buf_add_text(out, (i % 3 != 0) == (whole || i != depth / 2) ? "]" : "}");
	buf_add_char(out, '}');
}

/* Brackets are counted in words of 64. */
static void depth(void **state)
{
	static const int depths[] = { 1, 2, 63, 64, 65, 66, 127, 128, 129, 200, 100000 };
	struct buf out = BUF_EMPTY;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
		nest(&out, depths[i], true);
		assert_true(skip_copy(buf_slice(&out)));
		nest(&out, depths[i], false);
		assert_false(skip_copy(buf_slice(&out)));
	}
	buf_fini(&out);
}

static const struct value_row {
	const char *name; /* the value */
	enum json_type type;
	const char *text;
} value_rows[] = {
	{ "null", JSON_NULL, "" },
	{ "true", JSON_TRUE, "" },
	{ "false", JSON_FALSE, "" },
	{ "-12.5e3", JSON_NUMBER, "-12.5e3" },
	{ "0", JSON_NUMBER, "0" },
	{ "\"\"", JSON_TEXT, "" },
	{ "\"abc\"", JSON_TEXT, "abc" },
	{ "\"a text that is longer than a block\"", JSON_TEXT,
	  "a text that is longer than a block" },
	{ "\"Ночная смена\"", JSON_TEXT, "Ночная смена" },
	{ "\"\\u041d\\u20ac\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t!\"", JSON_TEXT,
	  "Н€😀\"\\/\b\f\n\r\t!" },
	{ "[1]", JSON_LIST, "" },
	{ "{\"b\":1}", JSON_OBJECT, "" },
};

static void value(void **state)
{
	const struct value_row *row = *state;
	struct arena arena = ARENA_EMPTY;
	char input[128];
	struct json_value v;
	struct json_scan s;
	struct slice key;
	const char *p;

	snprintf(input, sizeof(input), "{\"k\\u0061\" : %s }", row->name);
	p = json_scan_begin(&s, slice_of(input), &arena);
	assert_non_null(p);
	p = json_scan_key(&s, json_scan_enter(p), &key);
	assert_true(p && slice_is(key, "ka"));
	p = json_scan_value(&s, p, &v);
	assert_non_null(p);
	assert_int_equal(v.type, row->type);
	assert_true(slice_is(v.text, row->text));
	if (v.type < JSON_LIST)
		assert_true(*json_scan_next(p, '}') == '}');
	arena_fini(&arena);
}

int main(void)
{
	static const struct CMUnitTest single[] = { cmocka_unit_test(depth) };
	int failed = RUN_ROWS("passed over", passed_over, skip_rows);

	failed += RUN_ROWS("value", value, value_rows);
	failed += cmocka_run_group_tests_name("nesting", single, NULL, NULL);
	return failed != 0;
}
