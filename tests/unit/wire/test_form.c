/* Query strings and form bodies: cut, decoded, searched, with one key taken out. */
#include <stdio.h>
#include <string.h>

#include "unit/base/rows.h"
#include "wire/form.h"

static const struct pairs_row {
	const char *name;  /* the text */
	const char *pairs; /* key|value; */
} pairs_rows[] = {
	{ "", "" },
	{ "a=1", "a|1;" },
	{ "a=1&b=2", "a|1;b|2;" },
	{ "&&a=1&&b=2&&", "a|1;b|2;" },
	{ "a", "a|;" },
	{ "a=", "a|;" },
	{ "=1", "|1;" },
	{ "=", "|;" },
	{ "a=b=c", "a|b=c;" },
	{ "a=1&a=2", "a|1;a|2;" },
	{ "a=%26&b=%3D", "a|%26;b|%3D;" },
	{ "a=1;b=2", "a|1;b=2;" },
};

static void pairs(void **state)
{
	const struct pairs_row *row = *state;
	struct slice rest = slice_of(row->name), key, value;
	char got[256] = "";
	size_t n = 0;

	while (form_next(&rest, &key, &value))
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%.*s|%.*s;", SLICE_ARG(key),
				      SLICE_ARG(value));
	assert_string_equal(got, row->pairs);
}

static const struct decode_row {
	const char *name; /* the coded text */
	struct slice form, path;
	bool plain;
} decode_rows[] = {
	{ "", SLICE_INIT(""), SLICE_INIT(""), true },
	{ "abc", SLICE_INIT("abc"), SLICE_INIT("abc"), true },
	{ "a+b", SLICE_INIT("a b"), SLICE_INIT("a+b"), false },
	{ "a%20b", SLICE_INIT("a b"), SLICE_INIT("a b"), false },
	{ "%2B%2b", SLICE_INIT("++"), SLICE_INIT("++"), false },
	{ "%00", SLICE_INIT("\0"), SLICE_INIT("\0"), false },
	{ "%D0%96", SLICE_INIT("\xd0\x96"), SLICE_INIT("\xd0\x96"), false },
	{ "%", SLICE_INIT("%"), SLICE_INIT("%"), false },
	{ "%4", SLICE_INIT("%4"), SLICE_INIT("%4"), false },
	{ "%4g%41", SLICE_INIT("%4gA"), SLICE_INIT("%4gA"), false },
	{ "%%41", SLICE_INIT("%A"), SLICE_INIT("%A"), false },
	{ "%u0041", SLICE_INIT("%u0041"), SLICE_INIT("%u0041"), false },
};

static void decode(void **state)
{
	const struct decode_row *row = *state;
	const struct slice coded = slice_of(row->name);
	char out[64];
	size_t n = form_decode(coded, out);

	assert_int_equal(n, row->form.n);
	assert_memory_equal(out, row->form.p, n);
	n = form_decode_path(coded, out);
	assert_int_equal(n, row->path.n);
	assert_memory_equal(out, row->path.p, n);
	assert_int_equal(form_is_plain(coded), row->plain);
}

static const struct without_row {
	const char *name;  /* the text */
	const char *value; /* of the key "token"; NULL: it has none */
	const char *rest;
} without_rows[] = {
	{ "", NULL, "" },
	{ "a=1", NULL, "a=1" },
	{ "token=x", "x", "" },
	{ "token", "", "" },
	{ "a=1&token=x", "x", "a=1" },
	{ "token=x&a=1", "x", "a=1" },
	{ "a=1&token=x&b=%20", "x", "a=1&b=%20" },
	{ "token=x&token=y&a", "x", "a" },
	{ "%74oken=x%2F&a", "x%2F", "a" },
	{ "tokens=x", NULL, "tokens=x" },
	{ "a=token", NULL, "a=token" },
	{ "a=1&&b=2", NULL, "a=1&&b=2" },
	{ "%000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	  "00"
	  "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	  "0"
	  "0000000000000000000000000000000=1&token=2",
	  "2",
	  "%000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	  "00"
	  "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	  "0"
	  "0000000000000000000000000000000=1" },
};

static void without(void **state)
{
	const struct without_row *row = *state;
	const struct slice text = slice_of(row->name), token = SLICE("token");
	struct slice value = SLICE_NONE;
	char out[512];
	size_t n = form_without(text, token, out);

	assert_int_equal(form_find(text, token, &value), row->value != NULL);
	if (row->value)
		assert_true(slice_is(value, row->value));
	assert_true(slice_is(slice_make(out, n), row->rest));
}

int main(void)
{
	int failed = RUN_ROWS("pairs", pairs, pairs_rows);

	failed += RUN_ROWS("decoding", decode, decode_rows);
	failed += RUN_ROWS("one key taken out", without, without_rows);
	return failed != 0;
}
