/* Log lines as they reach stderr. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "base/slog.h"
#include "unit/base/rows.h"

static char written[65536];

/* What a line looks like without its time; stderr is a pipe meanwhile. */
static struct slice line_of(bool json, const char *text, const struct slog_field *fields)
{
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	slog_setup(json, SLOG_INFO);
	slog_write(SLOG_WARN, text, fields);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	close(ends[1]);
	n = read(ends[0], written, sizeof(written));
	close(ends[0]);
	assert_true(n >= 0);
	return slice_make(written, (size_t)n);
}

static const struct line_row {
	const char *name;
	struct slog_field fields[3];
	const char *text, *json; /* behind msg */
} line_rows[] = {
	{ "no fields", { { SLOG_END, NULL, SLICE_INIT(""), 0 } }, "", "" },
	{ "plain",
	  { { SLOG_SLICE, "sink", SLICE_INIT("own-backend"), 0 } },
	  " sink=own-backend",
	  ",\"sink\":\"own-backend\"" },
	{ "blank: quoted",
	  { { SLOG_SLICE, "why", SLICE_INIT("no route"), 0 } },
	  " why=\"no route\"",
	  ",\"why\":\"no route\"" },
	{ "empty", { { SLOG_SLICE, "why", SLICE_INIT(""), 0 } }, " why=\"\"", ",\"why\":\"\"" },
	{ "number",
	  { { SLOG_INT, "status", SLICE_INIT(""), -422 } },
	  " status=-422",
	  ",\"status\":-422" },
	{ "two",
	  { { SLOG_INT, "a", SLICE_INIT(""), 1 }, { SLOG_INT, "b", SLICE_INIT(""), 2 } },
	  " a=1 b=2",
	  ",\"a\":1,\"b\":2" },
	{ "error",
	  { { SLOG_ERRNO, "error", SLICE_INIT(""), -ENOENT } },
	  " error=\"No such file or directory\"",
	  ",\"error\":\"No such file or directory\"" },
	{ "number of a person",
	  { { SLOG_PHONE, "contact", SLICE_INIT("79161234567"), 0 } },
	  " contact=*********67",
	  ",\"contact\":\"*********67\"" },
	{ "address of a person",
	  { { SLOG_PHONE, "contact", SLICE_INIT("sip:dana@pbx"), 0 } },
	  " contact=************",
	  ",\"contact\":\"************\"" },
	{ "short number",
	  { { SLOG_PHONE, "contact", SLICE_INIT("42"), 0 } },
	  " contact=**",
	  ",\"contact\":\"**\"" },
	{ "long number",
	  { { SLOG_PHONE, "contact", SLICE_INIT("123456789012345678901234567890"), 0 } },
	  " contact=**********************90",
	  ",\"contact\":\"**********************90\"" },
	{ "quote and backslash",
	  { { SLOG_SLICE, "x", SLICE_INIT("a\"\\b"), 0 } },
	  " x=\"a\\\"\\\\b\"",
	  ",\"x\":\"a\\\"\\\\b\"" },
	{ "line end: one line all the same",
	  { { SLOG_SLICE, "x", SLICE_INIT("a\nb\x01"), 0 } },
	  " x=\"a\\nb\\x01\"",
	  ",\"x\":\"a\\nb\\u0001\"" },
	{ "UTF-8",
	  { { SLOG_SLICE, "x", SLICE_INIT("\xc3\xa9"), 0 } },
	  " x=\"\xc3\xa9\"",
	  ",\"x\":\"\xc3\xa9\"" },
	{ "no UTF-8",
	  { { SLOG_SLICE, "x", SLICE_INIT("\xff"), 0 } },
	  " x=\"\\xff\"",
	  ",\"x\":\"\\ufffd\"" },
};

static void line(void **state)
{
	const struct line_row *row = *state;
	char want[1000];
	struct slice got = line_of(false, "something happened", row->fields);

	snprintf(want, sizeof(want), " level=warn msg=\"something happened\"%s\n", row->text);
	assert_true(slice_starts(got, SLICE("time=20")));
	got = slice_skip(got, sizeof("time=2026-03-14T10:15:02.000Z") - 1);
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.p, want, got.n);
}

static void line_json(void **state)
{
	const struct line_row *row = *state;
	char want[1000];
	struct slice got = line_of(true, "something happened", row->fields);
	json_t *value = json_loadb(got.p, got.n, 0, NULL);

	assert_true(json_is_object(value));
	json_decref(value);
	snprintf(want, sizeof(want), "\"level\":\"warn\",\"msg\":\"something happened\"%s}\n",
		 row->json);
	got = slice_skip(got, sizeof("{\"time\":\"2026-03-14T10:15:02.000Z\",") - 1);
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.p, want, got.n);
}

/* Long values are cut between characters, fields too many are left out, and JSON stays JSON. */
static void bounded(void **state)
{
	char many[4000], wide[2049];
	struct slog_field fields[21];
	struct slice got;
	json_t *value;

	(void)state;
	memset(many, 1, sizeof(many));
	for (size_t i = 0; i < sizeof(wide); i++)
		wide[i] = i % 2 ? (char)0xa9 : (char)0xc3;
	for (size_t i = 0; i < ARRAY_LEN(fields) - 1; i++)
		fields[i] = SLOG_S("many", slice_make(many, sizeof(many)));
	fields[19] = SLOG_T("last", "small");
	fields[20] = (struct slog_field){ SLOG_END, NULL, SLICE_NONE, 0 };
	got = line_of(true, "much", fields);
	assert_true(got.n < 8192 && got.n > 6000);
	value = json_loadb(got.p, got.n, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(value, "last")), "small");
	json_decref(value);

	fields[0] = SLOG_S("wide", slice_make(wide + 1, sizeof(wide) - 1));
	fields[1] = SLOG_S("wide", slice_make(wide, sizeof(wide) - 1));
	fields[2] = fields[20];
	got = line_of(false, "wide", fields);
	assert_true(slice_ends(got, SLICE("\xc3\xa9...\"\n")));
	assert_true(slice_is_utf8(slice_skip(got, got.n - 505)));
}

static void below_the_level(void **state)
{
	int ends[2], saved = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	slog_setup(false, SLOG_WARN);
	errno = 4711;
	SLOG(SLOG_INFO, "not seen");
	SLOG(SLOG_ERROR, "seen", SLOG_I("n", 1), SLOG_T("t", NULL), SLOG_ERR(-EINVAL),
	     SLOG_NUMBER("who", SLICE("79161234567")), SLOG_S("s", SLICE("x")));
	assert_int_equal(errno, 4711);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	close(ends[1]);
	memset(written, 0, sizeof(written));
	assert_true(read(ends[0], written, sizeof(written) - 1) > 0);
	close(ends[0]);
	assert_null(strstr(written, "not seen"));
	assert_non_null(
	    strstr(written, "level=error msg=seen n=1 t=\"\" error=\"Invalid argument\""));
	assert_null(strstr(written, "7916"));
}

static void level_names(void **state)
{
	enum slog_level level = SLOG_INFO;

	(void)state;
	assert_true(slog_level_read(SLICE("error"), &level) && level == SLOG_ERROR);
	assert_true(slog_level_read(SLICE("debug"), &level) && level == SLOG_DEBUG);
	assert_true(slog_level_read(SLICE("warn"), &level) && level == SLOG_WARN);
	assert_true(slog_level_read(SLICE("info"), &level) && level == SLOG_INFO);
	assert_false(slog_level_read(SLICE("ERROR"), &level));
	assert_false(slog_level_read(SLICE_NONE, &level));
	assert_int_equal(level, SLOG_INFO);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(bounded),
		cmocka_unit_test(below_the_level),
		cmocka_unit_test(level_names),
	};
	int failed = RUN_ROWS("lines of key=value", line, line_rows);

	failed += RUN_ROWS("lines of JSON", line_json, line_rows);
	failed += cmocka_run_group_tests_name("log", single, NULL, NULL);
	return failed != 0;
}
