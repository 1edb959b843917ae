/* Telephone numbers, extensions and figures as vendors write them (rules.md 4). */
#include <errno.h>

#include "unit/base/rows.h"
#include "wire/number.h"

static const struct party_row {
	const char *name; /* the text */
	const char *number, *uri, *dtmf;
} party_rows[] = {
	{ "447700900123", "447700900123", "", "" },
	{ "+447700900123", "447700900123", "", "" },
	{ " +44 (7700) 900-123 ", "447700900123", "", "" },
	{ "8.495.123.45.67", "84951234567", "", "" },
	{ "8/495/1234567", "84951234567", "", "" },
	{ "8\t495", "8495", "", "" },
	{ "101", "101", "", "" },
	{ "0", "", "", "" },
	{ "+0", "", "", "" },
	{ "00", "00", "", "" },
	{ "", "", "", "" },
	{ "   ", "", "", "" },
	{ "-", "", "", "" },
	{ "anonymous", "", "", "" },
	{ "447700900123x", "", "", "" },
	{ "null", "", "", "" },
	{ "447700900123.9.2.3", "447700900123", "", "9.2.3" },
	{ "+447700900123.1", "447700900123", "", "1" },
	{ "447700900123.*2#", "447700900123", "", "*2#" },
	{ "1234567.1", "1234567", "", "1" },
	{ "123456.1", "1234561", "", "" },
	{ "+44 20 79460101.12", "442079460101", "", "12" },
	{ "447700900123.", "447700900123", "", "" },
	{ "447700900123.abc", "", "", "" },
	{ "sip:dana@pbx.example", "", "sip:dana@pbx.example", "" },
	{ "SIPS:101", "", "SIPS:101", "" },
	{ "dana@pbx.example", "", "dana@pbx.example", "" },
	{ " sip:101@10.0.0.1:5060 ", "", "sip:101@10.0.0.1:5060", "" },
	{ "\xd0\x94\xd0\xb0", "", "", "" },
};

static void party(void **state)
{
	const struct party_row *row = *state;
	const struct slice text = slice_of(row->name);
	char digits[64];
	struct party got = party_read(text, digits);

	assert_true(slice_is(got.number, row->number));
	assert_true(slice_is(got.uri, row->uri));
	assert_true(slice_is(got.dtmf, row->dtmf));
}

static void party_with_zero_byte(void **state)
{
	char digits[8];

	(void)state;
	assert_int_equal(party_read(SLICE("12\0003"), digits).number.n, 0);
	assert_int_equal(party_read(SLICE_NONE, digits).number.n, 0);
}

static const struct extension_row {
	const char *name, *extension;
} extension_rows[] = {
	{ "101", "101" },   { "0190233-101", "101" }, { "1-2-3", "2-3" }, { "a-101", "a-101" },
	{ "-101", "-101" }, { "12-", "12-" },         { "", "" },         { "12-dana", "dana" },
};

static void extension(void **state)
{
	const struct extension_row *row = *state;

	assert_true(slice_is(extension_read(slice_of(row->name)), row->extension));
}

static const struct seconds_row {
	const char *name; /* the text */
	int err;
	int64_t ms;
} seconds_rows[] = {
	{ "0", 0, 0 },
	{ "84", 0, 84000 },
	{ " 84 ", 0, 84000 },
	{ "0084", 0, 84000 },
	{ "84.5", 0, 84500 },
	{ "84.", 0, 84000 },
	{ "0.0005", 0, 0 },
	{ "0.0015", 0, 2 },
	{ "0.0016", 0, 2 },
	{ "-0.0016", 0, -2 },
	{ "-1", 0, -1000 },
	{ "+3", 0, 3000 },
	{ "8.4e1", 0, 84000 },
	{ "1E-2", 0, 10 },
	{ "1234567890", 0, INT64_C(1234567890000) },
	{ "3162240000", 0, INT64_C(3162240000000) },
	{ "3162240001", -ERANGE, 0 },
	{ "-1e300", -ERANGE, 0 },
	{ "1e999", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "null", -EINVAL, 0 },
	{ "1:24", -EINVAL, 0 },
	{ "84 s", -EINVAL, 0 },
	{ ".5", -EINVAL, 0 },
	{ "1e", -EINVAL, 0 },
	{ "1e+", -EINVAL, 0 },
	{ "-", -EINVAL, 0 },
	{ "inf", -EINVAL, 0 },
	{ "nan", -EINVAL, 0 },
	{ "0x10", -EINVAL, 0 },
	{ "true", -EINVAL, 0 },
	{ "00000000000000000000000000000000000000000000000000000000000000001", -EINVAL, 0 },
};

static void seconds(void **state)
{
	const struct seconds_row *row = *state;
	int64_t ms = 0;

	assert_int_equal(seconds_read(slice_of(row->name), &ms), row->err);
	assert_int_equal(ms, row->ms);
}

static const struct figure_row {
	const char *name; /* the text */
	bool figure;
} figure_rows[] = {
	{ "7", true },  { "-7", true },  { "+7", true },   { "1e3", true }, { "12.0", true },
	{ "1.", true }, { "", false },   { "7a", false },  { "1e", false }, { "--1", false },
	{ "a", false }, { "1 ", false }, { "0x1", false }, { ".1", false },
};

static void figure(void **state)
{
	const struct figure_row *row = *state;

	assert_int_equal(is_figure(slice_of(row->name)), row->figure);
}

int main(void)
{
	static const struct CMUnitTest single[] = { cmocka_unit_test(party_with_zero_byte) };
	int failed = RUN_ROWS("parties", party, party_rows);

	failed += RUN_ROWS("extensions", extension, extension_rows);
	failed += RUN_ROWS("seconds", seconds, seconds_rows);
	failed += RUN_ROWS("figures", figure, figure_rows);
	failed += cmocka_run_group_tests_name("numbers", single, NULL, NULL);
	return failed != 0;
}
