/* Other people's JSON: numbers as they were written, and what is mended. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit/base/rows.h"
#include "wire/json_in.h"

static const struct text_row {
	const char *name; /* the JSON */
	const char *text; /* NULL: it has none */
	int err;
} text_rows[] = {
	{ "7312450098", "7312450098", 0 },
	{ "9007199254740993", "9007199254740993", 0 },
	{ "36893488147419103233", "36893488147419103233", 0 },
	{ "1e3", "1e3", 0 },
	{ "12.0", "12.0", 0 },
	{ "-5", "-5", 0 },
	{ " true ", "true", 0 },
	{ "false", "false", 0 },
	{ "\"\"", "", 0 },
	{ "\"a\\\"\\u0416\\n\"", "a\"\xd0\x96\n", 0 },
	{ "\"\\ud83d\\udcde\"", "\xf0\x9f\x93\x9e", 0 },
	{ "null", NULL, 0 },
	{ "[1]", NULL, 0 },
	{ "{\"a\":1}", NULL, 0 },
	{ "", NULL, -EBADMSG },
	{ "{", NULL, -EBADMSG },
	{ "1 2", NULL, -EBADMSG },
	{ "01", NULL, -EBADMSG },
	{ "NaN", NULL, -EBADMSG },
	{ "[1,]", NULL, -EBADMSG },
	{ "\"\\ud800\"", NULL, -EBADMSG },
	{ "\"\xff\"", NULL, -EBADMSG },
	{ "\"a\nb\"", NULL, -EBADMSG },
	{ "{\"a\":{{b}}}", NULL, -EBADMSG },
};

static void text(void **state)
{
	const struct text_row *row = *state;
	struct arena a = ARENA_EMPTY;
	yyjson_val *v;
	int err = json_read(&a, slice_of(row->name), &v);

	assert_int_equal(err, row->err);
	if (!err)
		assert_true(slice_eq(json_text(v), slice_of(row->text)));
	arena_fini(&a);
}

static const struct mend_row {
	const char *name, *in, *out;
} mend_rows[] = {
	{ "nothing to do", "{\"a\":\"b\", \"c\":[1,\"\"]}", "{\"a\":\"b\", \"c\":[1,\"\"]}" },
	{ "doubled quotes", "{\"a\": \"\"Dana\"\"}", "{\"a\": \"Dana\"}" },
	{ "doubled, blanks and escapes inside", "{\"a\":\n \"\"D \\\"x\\\" y\"\"}",
	  "{\"a\":\n \"D \\\"x\\\" y\"}" },
	{ "doubled and empty", "{\"a\":\"\"\"\"}", "{\"a\":\"\"}" },
	{ "empty texts are not doubled", "{\"a\":\"\",\"b\":\"\" , \"c\":\"\"}",
	  "{\"a\":\"\",\"b\":\"\" , \"c\":\"\"}" },
	{ "quotes inside doubled ones: left", "{\"a\":\"\"x\"y\"\"}", "{\"a\":\"\"x\"y\"\"}" },
	{ "macro", "{\"a\":{{name}}}", "{\"a\":null}" },
	{ "macro with blanks", "{\"a\":{{ contact_id\t}},\"b\":1}", "{\"a\":null,\"b\":1}" },
	{ "macro in a list", "[{{a}},{{b}}]", "[null,null]" },
	{ "macro within a text stays", "{\"a\":\"{{name}}\",\"b\":{{c}}}",
	  "{\"a\":\"{{name}}\",\"b\":null}" },
	{ "macro within doubled quotes", "{\"a\":\"\"{{name}}\"\"}", "{\"a\":\"{{name}}\"}" },
	{ "objects are no macros", "{\"a\":{\"b\":{}}}", "{\"a\":{\"b\":{}}}" },
	{ "no name, no end", "{{}} {{a} {{ {{a", "{{}} {{a} {{ {{a" },
	{ "quoted list of texts", "{\"a\":\"[\"x\",\"y\"]\",\"b\":1}",
	  "{\"a\":[\"x\",\"y\"],\"b\":1}" },
	{ "quoted list without its end", "{\"a\":\"[\"x\",\"b\":\"[\"y\"}",
	  "{\"a\":\"[\"x\",\"b\":\"[\"y\"}" },
	{ "text that does not end", "{\"a\":\"b\\", "{\"a\":\"b\\" },
	{ "doubled that does not end", "{\"a\":\"\"b", "{\"a\":\"\"b" },
	{ "nothing", "", "" },
};

static void mend(void **state)
{
	const struct mend_row *row = *state;
	const struct slice in = slice_of(row->in);
	char *out = malloc(in.n + 1); /* exactly, so that a sanitizer sees one byte too much */
	size_t n;

	assert_non_null(out);
	n = json_mend(in, out);
	assert_true(n <= in.n);
	assert_true(slice_is(slice_make(out, n), row->out));
	free(out);
}

static const struct macro_row {
	const char *name; /* the text */
	bool macro;
} macro_rows[] = {
	{ "{{a}}", true },    { "{{ tag_ids }}", true }, { "{{a.b-c}}", true },
	{ "{{}}", false },    { "{{a}} b", false },      { " {{a}}", false },
	{ "{{a b}}", false }, { "{a}", false },          { "{{a}", false },
	{ "", false },        { "{{ a", false },
};

static void macro(void **state)
{
	const struct macro_row *row = *state;

	assert_int_equal(is_macro(slice_of(row->name)), row->macro);
}

/* A megabyte of brackets, or of what begins to be mended, costs its bytes and no stack. */
static void deep_and_long(void **state)
{
	static const char *const units[] = { "[",      "{\"a\":", "{{", "\"[\"",
					     ":\"[\"", ":\"\"a",  "{{ " };
	const size_t n = 1 << 20;
	char *text = malloc(n), *out = malloc(n);
	struct arena a = ARENA_EMPTY;

	(void)state;
	assert_true(text && out);
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		const struct slice unit = slice_of(units[i]);
		yyjson_val *v;

		for (size_t k = 0; k < n; k++)
			text[k] = unit.p[k % unit.n];
		assert_int_equal(json_read(&a, slice_make(text, n), &v), -EBADMSG);
		assert_true(json_mend(slice_make(text, n), out) <= n);
		arena_reset(&a);
	}
	arena_fini(&a);
	free(text);
	free(out);
}

int main(void)
{
	static const struct CMUnitTest single[] = { cmocka_unit_test(deep_and_long) };
	int failed = RUN_ROWS("texts", text, text_rows);

	failed += RUN_ROWS("mended", mend, mend_rows);
	failed += RUN_ROWS("macros", macro, macro_rows);
	failed += cmocka_run_group_tests_name("bounds", single, NULL, NULL);
	return failed != 0;
}
