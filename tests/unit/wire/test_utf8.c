/* Text that is not quite UTF-8, and small letters. */
#include "unit/base/rows.h"
#include "wire/utf8.h"

#define FFFD "\xef\xbf\xbd"

static const struct mend_row {
	const char *name, *text, *mended;
} mend_rows[] = {
	{ "empty", "", "" },
	{ "ASCII", "abc", "abc" },
	{ "two, three and four bytes", "\xd0\x96\xe2\x82\xac\xf0\x9f\x93\x9e",
	  "\xd0\x96\xe2\x82\xac\xf0\x9f\x93\x9e" },
	{ "single byte of another code page", "caf\xe9", "caf" FFFD },
	{ "continuation alone", "a\x80z", "a" FFFD "z" },
	{ "beginning of three, cut: one mark", "a\xe2\x82z", "a" FFFD "z" },
	{ "beginning of four, cut at the end", "\xf0\x9f\x93", FFFD },
	{ "overlong", "\xc0\xaf", FFFD FFFD },
	{ "overlong of three", "\xe0\x80\x80", FFFD FFFD FFFD },
	{ "surrogate", "\xed\xa0\x80", FFFD FFFD FFFD },
	{ "past the last", "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD },
	{ "no first byte at all", "\xff\xfe", FFFD FFFD },
};

static void mend(void **state)
{
	const struct mend_row *row = *state;
	char out[64];
	size_t n = utf8_mend(slice_of(row->text), out);

	assert_true(slice_is(slice_make(out, n), row->mended));
	assert_true(slice_is_utf8(slice_make(out, n)));
}

static const struct lower_row {
	const char *name, *small;
} lower_rows[] = {
	{ "", "" },
	{ "Talk Started Z@[`", "talk started z@[`" },
	{ "АБВГДЕЁЖЗИЙКЛМНОП", "абвгдеёжзийклмноп" },
	{ "РСТУФХЦЧШЩЪЫЬЭЮЯ", "рстуфхцчшщъыьэюя" },
	{ "Окончание РАЗГОВОРА", "окончание разговора" },
	{ "Ørsted ÄÖ", "Ørsted ÄÖ" }, /* other scripts stay */
	{ "\xd0", "\xd0" },
};

static void lower(void **state)
{
	const struct lower_row *row = *state;
	char out[64];

	utf8_lower(slice_of(row->name), out);
	assert_true(slice_is(slice_make(out, slice_of(row->name).n), row->small));
}

int main(void)
{
	int failed = RUN_ROWS("mended", mend, mend_rows);

	failed += RUN_ROWS("small letters", lower, lower_rows);
	return failed != 0;
}
