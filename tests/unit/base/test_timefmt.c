/* Times as text, zones against the C library's own reading, durations and sizes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/tz.h"
#include "unit/base/rows.h"

/* ---- ISO 8601 ---- */

static const struct iso_row {
	const char *name, *text;
	int64_t want_ms; /* TIME_NONE: refused */
	const char *back;
} iso_rows[] = {
	{ "epoch", "1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z" },
	{ "blank for T", "1970-01-01 00:00:01Z", 1000, NULL },
	{ "contract's example", "2026-03-14T10:15:02.412Z", 1773483302412,
	  "2026-03-14T10:15:02.412Z" },
	{ "offset east", "2026-03-14T13:15:02.412+03:00", 1773483302412, NULL },
	{ "offset west", "2026-03-14T05:45:02.412-04:30", 1773483302412, NULL },
	{ "fraction cut, not rounded", "1970-01-01T00:00:00.999999999Z", 999, NULL },
	{ "short fraction", "1970-01-01T00:00:00.5Z", 500, NULL },
	{ "before the epoch", "1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59.999Z" },
	{ "leap day", "2024-02-29T00:00:00Z", 1709164800000, "2024-02-29T00:00:00.000Z" },
	{ "first instant", "0001-01-01T00:00:00.000Z", TIME_MIN_MS, "0001-01-01T00:00:00.000Z" },
	{ "last instant", "9999-12-31T23:59:59.999Z", TIME_MAX_MS, "9999-12-31T23:59:59.999Z" },
	{ "before the first instant", "0001-01-01T00:00:00+00:01", TIME_NONE, NULL },
	{ "behind the last instant", "9999-12-31T23:59:59-00:01", TIME_NONE, NULL },
	{ "year 0", "0000-01-01T00:00:00Z", TIME_NONE, NULL },
	{ "no leap year", "1900-02-29T00:00:00Z", TIME_NONE, NULL },
	{ "month 13", "2026-13-01T00:00:00Z", TIME_NONE, NULL },
	{ "day 31 of a short month", "2026-04-31T00:00:00Z", TIME_NONE, NULL },
	{ "day 0", "2026-04-00T00:00:00Z", TIME_NONE, NULL },
	{ "hour 24", "2026-04-01T24:00:00Z", TIME_NONE, NULL },
	{ "minute 60", "2026-04-01T00:60:00Z", TIME_NONE, NULL },
	{ "second 60", "2026-04-01T00:00:60Z", TIME_NONE, NULL },
	{ "no zone", "2026-04-01T00:00:00", TIME_NONE, NULL },
	{ "small z", "2026-04-01T00:00:00z", TIME_NONE, NULL },
	{ "offset without colon", "2026-04-01T00:00:00+0300", TIME_NONE, NULL },
	{ "offset past a day", "2026-04-01T00:00:00+24:00", TIME_NONE, NULL },
	{ "point without digits", "2026-04-01T00:00:00.Z", TIME_NONE, NULL },
	{ "fraction of 10 digits", "2026-04-01T00:00:00.0123456789Z", TIME_NONE, NULL },
	{ "more behind it", "2026-04-01T00:00:00Z ", TIME_NONE, NULL },
	{ "sign for a digit", "2026-+4-01T00:00:00Z", TIME_NONE, NULL },
	{ "wrong separators", "2026/04/01T00:00:00Z", TIME_NONE, NULL },
	{ "empty", "", TIME_NONE, NULL },
	{ "cut short", "2026-04-01T00:00", TIME_NONE, NULL },
};

static void iso(void **state)
{
	const struct iso_row *row = *state;
	int64_t ms = 4711;
	char text[TIME_ISO_LEN];

	if (row->want_ms == TIME_NONE) {
		assert_int_equal(time_iso_read(slice_of(row->text), &ms), -EINVAL);
		assert_int_equal(ms, 4711);
		return;
	}
	assert_int_equal(time_iso_read(slice_of(row->text), &ms), 0);
	assert_int_equal(ms, row->want_ms);
	time_iso_write(ms, text);
	if (row->back)
		assert_memory_equal(text, row->back, TIME_ISO_LEN);
}

static void iso_clamps(void **state)
{
	char text[TIME_ISO_LEN];

	(void)state;
	time_iso_write(TIME_NONE, text);
	assert_memory_equal(text, "0001-01-01T00:00:00.000Z", TIME_ISO_LEN);
	time_iso_write(INT64_MAX, text);
	assert_memory_equal(text, "9999-12-31T23:59:59.999Z", TIME_ISO_LEN);
}

/* Every day of 800 years, and back. */
/* Every byte in every place of the usual form: read as where a fourth digit of the fraction makes
 * it an unusual one. */
static void iso_any_byte(void **state)
{
	static const char *const good[] = { "2026-03-14T10:15:02.123Z", "2024-02-29T23:59:59.999Z",
					    "0001-12-31T00:00:00.000Z" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good) * TIME_ISO_LEN * 256; i++) {
		char text[TIME_ISO_LEN], longer[TIME_ISO_LEN + 1];
		int64_t ms = 7, its_ms = 7;
		int err;

		memcpy(text, good[i / 256 / TIME_ISO_LEN], sizeof(text));
		text[i / 256 % TIME_ISO_LEN] = (char)(i % 256);
		memcpy(longer, text, TIME_ISO_LEN - 1);
		longer[TIME_ISO_LEN - 1] = '0';
		longer[TIME_ISO_LEN] = text[TIME_ISO_LEN - 1];
		err = time_iso_read(slice_make(longer, sizeof(longer)), &its_ms);
		assert_int_equal(time_iso_read(slice_make(text, sizeof(text)), &ms), err);
		assert_int_equal(ms, its_ms);
	}
}

static void iso_every_day(void **state)
{
	char text[TIME_ISO_LEN];
	int64_t back;

	(void)state;
	for (int64_t ms = INT64_C(-12219292800000); ms < INT64_C(13569465600000); ms += 86399999) {
		time_iso_write(ms, text);
		assert_int_equal(time_iso_read(slice_make(text, sizeof(text)), &back), 0);
		assert_int_equal(back, ms);
	}
}

/* ---- wall clocks ---- */

static const struct wall_row {
	const char *name, *zone, *wall, *received, *want; /* want NULL: refused */
} wall_rows[] = {
	{ "Moscow", "Europe/Moscow", "2026-03-14 13:15:02.412", NULL, "2026-03-14T10:15:02.412Z" },
	{ "T for the blank", "Europe/Moscow", "2026-03-14T13:15:02", NULL,
	  "2026-03-14T10:15:02.000Z" },
	{ "blanks around it", "UTC", " 2026-03-14 13:15:02 ", NULL, "2026-03-14T13:15:02.000Z" },
	{ "microseconds", "UTC", "2026-03-14 13:15:02.412999", NULL, "2026-03-14T13:15:02.412Z" },
	{ "Moscow in the years of +4", "Europe/Moscow", "2012-01-01 04:00:00", NULL,
	  "2012-01-01T00:00:00.000Z" },
	{ "summer", "Europe/Berlin", "2026-07-01 12:00:00", NULL, "2026-07-01T10:00:00.000Z" },
	{ "winter", "Europe/Berlin", "2026-01-01 12:00:00", NULL, "2026-01-01T11:00:00.000Z" },
	{ "summer behind the file's last change", "Europe/Berlin", "2999-07-01 12:00:00", NULL,
	  "2999-07-01T10:00:00.000Z" },
	{ "winter behind the file's last change", "Europe/Berlin", "2999-12-01 12:00:00", NULL,
	  "2999-12-01T11:00:00.000Z" },
	{ "just before the gap", "Europe/Berlin", "2026-03-29 01:59:59.999", NULL,
	  "2026-03-29T00:59:59.999Z" },
	{ "in the gap: as if the clock had not moved", "Europe/Berlin", "2026-03-29 02:30:00", NULL,
	  "2026-03-29T01:30:00.000Z" },
	{ "just behind the gap", "Europe/Berlin", "2026-03-29 03:00:00", NULL,
	  "2026-03-29T01:00:00.000Z" },
	{ "twice: the earlier", "Europe/Berlin", "2026-10-25 02:30:00", NULL,
	  "2026-10-25T00:30:00.000Z" },
	{ "twice: received near the later", "Europe/Berlin", "2026-10-25 02:30:00",
	  "2026-10-25T01:30:05.000Z", "2026-10-25T01:30:00.000Z" },
	{ "twice: received near the earlier", "Europe/Berlin", "2026-10-25 02:30:00",
	  "2026-10-25T00:30:05.000Z", "2026-10-25T00:30:00.000Z" },
	{ "twice: in the middle the earlier", "Europe/Berlin", "2026-10-25 02:30:00",
	  "2026-10-25T01:00:00.000Z", "2026-10-25T00:30:00.000Z" },
	{ "twice: 2 h behind the later", "Europe/Berlin", "2026-10-25 02:30:00",
	  "2026-10-25T03:30:00.000Z", "2026-10-25T01:30:00.000Z" },
	{ "twice: received too late to tell", "Europe/Berlin", "2026-10-25 02:30:00",
	  "2026-10-25T03:30:00.001Z", "2026-10-25T00:30:00.000Z" },
	{ "twice: received a day before", "Europe/Berlin", "2026-10-25 02:30:00",
	  "2026-10-24T01:30:00.000Z", "2026-10-25T00:30:00.000Z" },
	{ "gap south of the equator", "America/Santiago", "2026-09-06 00:30:00", NULL,
	  "2026-09-06T04:30:00.000Z" },
	{ "half-hour change", "Australia/Lord_Howe", "2026-04-05 01:45:00", NULL,
	  "2026-04-04T14:45:00.000Z" },
	{ "a skipped day", "Pacific/Apia", "2011-12-30 12:00:00", NULL,
	  "2011-12-30T22:00:00.000Z" },
	{ "first second of all", "Asia/Tokyo", "0001-01-01 00:00:00", NULL, NULL },
	{ "no time", "UTC", "yesterday", NULL, NULL },
	{ "date alone", "UTC", "2026-03-14", NULL, NULL },
	{ "with a zone", "UTC", "2026-03-14 13:15:02Z", NULL, NULL },
	{ "empty", "UTC", "", NULL, NULL },
};

static void wall(void **state)
{
	const struct wall_row *row = *state;
	int64_t received = TIME_NONE, ms, want;
	struct tz *tz;
	int err;

	assert_int_equal(tz_load(row->zone, &tz), 0);
	if (row->received)
		assert_int_equal(time_iso_read(slice_of(row->received), &received), 0);
	err = tz_wall_read(tz, slice_of(row->wall), received, &ms);
	tz_free(tz);
	if (!row->want) {
		assert_int_equal(err, -EINVAL);
		return;
	}
	assert_int_equal(err, 0);
	assert_int_equal(time_iso_read(slice_of(row->want), &want), 0);
	assert_int_equal(ms, want);
}

/* The C library reads the same files: both agree at random instants and around each change. */
static const struct zone_row {
	const char *name;
} zone_rows[] = {
	{ "Europe/Moscow" },    { "Europe/Berlin" },       { "Europe/Dublin" },
	{ "America/New_York" }, { "America/Nuuk" },        { "America/Santiago" },
	{ "Asia/Kolkata" },     { "Asia/Gaza" },           { "Africa/Casablanca" },
	{ "Africa/Cairo" },     { "Australia/Lord_Howe" }, { "Pacific/Apia" },
	{ "Antarctica/Troll" }, { "Etc/GMT+12" },          { "UTC" },
};

static int32_t libc_offset(int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;

	assert_non_null(localtime_r(&t, &tm));
	return (int32_t)tm.tm_gmtoff;
}

static void same_as_libc(void **state)
{
	const struct zone_row *row = *state;
	struct tz *tz;
	uint64_t random = 88172645463325252u;

	setenv("TZ", row->name, 1);
	tzset();
	assert_int_equal(tz_load(row->name, &tz), 0);
	for (int i = 0; i < 30000; i++) {
		int64_t s;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		s = (int64_t)(random % (UINT64_C(1100) * 366 * 86400)) - INT64_C(60) * 366 * 86400;
		assert_int_equal(tz_offset_s(tz, s * 1000 + 999), libc_offset(s));
	}
	for (int64_t s = 1577836800; s < 1577836800 + INT64_C(60) * 366 * 86400; s += 3600) {
		assert_int_equal(tz_offset_s(tz, s * 1000), libc_offset(s));
		assert_int_equal(tz_offset_s(tz, s * 1000 - 1), libc_offset(s - 1));
	}
	tz_free(tz);
	unsetenv("TZ");
}

/* Of all instants that a zone shows as this wall clock tz_wall_ms gives the first. */
static void wall_is_inverse(void **state)
{
	const struct zone_row *row = *state;
	struct tz *tz;

	assert_int_equal(tz_load(row->name, &tz), 0);
	for (int64_t s = 1577836800; s < 1577836800 + INT64_C(30) * 366 * 86400; s += 3600) {
		int64_t shown = s + tz_offset_s(tz, s * 1000);
		int64_t got = tz_wall_ms(tz, shown * 1000, TIME_NONE) / 1000;

		assert_true(got <= s);
		assert_int_equal(got + tz_offset_s(tz, got * 1000), shown);
		assert_int_equal(tz_wall_ms(tz, shown * 1000, s * 1000) / 1000, s);
	}
	tz_free(tz);
}

static const struct zone_name_row {
	const char *name, *zone;
} zone_name_rows[] = {
	{ "empty", "" },
	{ "unknown", "Europe/Atlantis" },
	{ "parent", ".." },
	{ "way out", "../../../etc/passwd" },
	{ "absolute", "/etc/localtime" },
	{ "a folder", "Europe" },
	{ "blank", "Europe/Mos cow" },
	{ "small utc", "utc" },
};

static void zone_unknown(void **state)
{
	const struct zone_name_row *row = *state;
	struct tz *tz = NULL;

	assert_int_equal(tz_load(row->zone, &tz), -ENOENT);
	assert_null(tz);
}

/* ---- damaged files ---- */

static struct slice read_file(const char *path)
{
	static char bytes[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, bytes, sizeof(bytes));
	close(fd);
	assert_true(n > 0);
	return slice_make(bytes, (size_t)n);
}

/* Cut anywhere it is refused; the last byte is the footer's LF, without which the rule still reads.
 */
static void zone_cut(void **state)
{
	struct slice file = read_file("/usr/share/zoneinfo/Europe/Berlin");

	(void)state;
	for (size_t n = 0; n < file.n; n++) {
		char *copy = slice_dup(slice_head(file, n)); /* so that a sanitizer sees the end */
		struct tz *tz = NULL;
		int err = tz_parse(slice_make(copy, n), &tz);

		assert_true(err == -EBADMSG || (err == 0 && n > file.n - 40));
		tz_free(tz);
		free(copy);
	}
}

/* Whatever single byte is wrong, nothing worse than another answer comes of it. */
static void zone_changed(void **state)
{
	struct slice file = read_file("/usr/share/zoneinfo/America/Santiago");
	char *copy = slice_dup(file);

	(void)state;
	for (size_t i = 0; i < file.n; i++) {
		struct tz *tz = NULL;

		copy[i] ^= 0x55;
		if (tz_parse(slice_make(copy, file.n), &tz) == 0) {
			(void)tz_offset_s(tz, TIME_MIN_MS);
			(void)tz_wall_ms(tz, INT64_C(1773483302412), TIME_NONE);
			(void)tz_offset_s(tz, TIME_MAX_MS);
		}
		tz_free(tz);
		copy[i] ^= 0x55;
	}
	free(copy);
}

static void zone_of_version_1(void **state)
{
	static const char file[] = "TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"             /* 20 */
				   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\4" /* counts */
				   "\0\0\0\144\1"                 /* at second 100 type 1 */
				   "\0\0\16\20\0\0\0\0\34\40\0\0" /* +1 h, +2 h */
				   "ABC";
	struct tz *tz;

	(void)state;
	assert_int_equal(tz_parse(slice_make(file, sizeof(file)), &tz), 0);
	assert_int_equal(tz_offset_s(tz, 99999), 3600);
	assert_int_equal(tz_offset_s(tz, 100000), 7200);
	tz_free(tz);
}

/* TZDIR names another data base. */
static void zone_folder(void **state)
{
	struct tz *tz = NULL;

	(void)state;
	setenv("TZDIR", SOURCE_DIR "/tests/unit", 1);
	assert_int_equal(tz_load("Europe/Moscow", &tz), -ENOENT);
	assert_int_equal(tz_load("base/rows-h", &tz), -ENOENT);
	setenv("TZDIR", "/usr/share/zoneinfo/Europe", 1);
	assert_int_equal(tz_load("Moscow", &tz), 0);
	unsetenv("TZDIR");
	assert_int_equal(tz_offset_s(tz, INT64_C(1773483302412)), 10800);
	tz_free(tz);
}

/* ---- rules of a footer ---- */

static const struct rule_row {
	const char *name, *text;
	bool ok;
	int64_t start_2026, end_2026; /* 0: no daylight saving */
} rule_rows[] = {
	{ "no daylight saving", "MSK-3", true, 0, 0 },
	{ "name in brackets", "<+0330>-3:30", true, 0, 0 },
	{ "weeks", "CET-1CEST,M3.5.0,M10.5.0/3", true, 1774746000, 1792890000 },
	{ "Julian days", "AAA0BBB,J60,J300", true, 1772330400, 1793062800 },
	{ "days from 0", "AAA0BBB,59,299/3:00:00", true, 1772330400, 1793066400 },
	{ "negative hours", "AAA3BBB,M3.2.0/-1,M11.1.0/+2", true, 1772935200, 1793505600 },
	{ "empty", "", false, 0, 0 },
	{ "short name", "AB3", false, 0, 0 },
	{ "no offset", "MSK", false, 0, 0 },
	{ "no rule", "CET-1CEST", false, 0, 0 },
	{ "one half", "CET-1CEST,M3.5.0", false, 0, 0 },
	{ "month 13", "CET-1CEST,M13.5.0,M10.5.0", false, 0, 0 },
	{ "week 6", "CET-1CEST,M3.6.0,M10.5.0", false, 0, 0 },
	{ "weekday 7", "CET-1CEST,M3.5.7,M10.5.0", false, 0, 0 },
	{ "hour 168", "CET-1CEST,M3.5.0/168,M10.5.0", false, 0, 0 },
	{ "open bracket", "<+03-3", false, 0, 0 },
	{ "more behind it", "CET-1CEST,M3.5.0,M10.5.0/3x", false, 0, 0 },
};

static void rule(void **state)
{
	const struct rule_row *row = *state;
	struct tz_rule rule;

	assert_int_equal(tz_rule_read(slice_of(row->text), &rule), row->ok ? 0 : -EBADMSG);
	if (!row->ok)
		return;
	assert_int_equal(rule.has_dst, row->start_2026 != 0);
	if (row->start_2026)
		assert_int_equal(tz_rule_start(&rule, 2026), row->start_2026);
	if (row->end_2026)
		assert_int_equal(tz_rule_end(&rule, 2026), row->end_2026);
}

/* ---- durations and sizes ---- */

static const struct amount_row {
	const char *name, *text;
	int err;
	int64_t want;
} duration_rows[] = {
	{ "ms", "250ms", 0, 250 },
	{ "s", "5s", 0, 5000 },
	{ "m", "10m", 0, 600000 },
	{ "h", "4h", 0, 14400000 },
	{ "d", "30d", 0, INT64_C(2592000000) },
	{ "zero", "0", 0, 0 },
	{ "zero seconds", "0s", 0, 0 },
	{ "no unit", "5", -EINVAL, 0 },
	{ "unknown unit", "5w", -EINVAL, 0 },
	{ "unit alone", "s", -EINVAL, 0 },
	{ "negative", "-5s", -EINVAL, 0 },
	{ "fraction", "1.5s", -EINVAL, 0 },
	{ "blank", "5 s", -EINVAL, 0 },
	{ "empty", "", -EINVAL, 0 },
	{ "too long by its unit", "106751991168d", -ERANGE, 0 },
	{ "too long by its digits", "99999999999999999999ms", -ERANGE, 0 },
}, size_rows[] = {
	{ "bytes", "512", 0, 512 },
	{ "B", "512B", 0, 512 },
	{ "KiB", "4KiB", 0, 4096 },
	{ "MiB", "1MiB", 0, 1048576 },
	{ "GiB", "2GiB", 0, INT64_C(2147483648) },
	{ "TiB", "1TiB", 0, INT64_C(1099511627776) },
	{ "kB", "4kB", 0, 4000 },
	{ "MB", "1MB", 0, 1000000 },
	{ "GB", "1GB", 0, 1000000000 },
	{ "wrong case", "4kib", -EINVAL, 0 },
	{ "unit alone", "MiB", -EINVAL, 0 },
	{ "empty", "", -EINVAL, 0 },
	{ "too large", "99999999999GiB", -ERANGE, 0 },
	{ "too many digits", "99999999999999999999", -ERANGE, 0 },
};

static void duration(void **state)
{
	const struct amount_row *row = *state;
	int64_t ms = 4711;

	assert_int_equal(duration_read(slice_of(row->text), &ms), row->err);
	assert_int_equal(ms, row->err ? 4711 : row->want);
}

static void size(void **state)
{
	const struct amount_row *row = *state;
	uint64_t bytes = 4711;

	assert_int_equal(size_read(slice_of(row->text), &bytes), row->err);
	assert_int_equal(bytes, row->err ? 4711 : (uint64_t)row->want);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(iso_clamps),   cmocka_unit_test(iso_every_day),
		cmocka_unit_test(iso_any_byte), cmocka_unit_test(zone_cut),
		cmocka_unit_test(zone_changed), cmocka_unit_test(zone_of_version_1),
		cmocka_unit_test(zone_folder),
	};
	int failed = RUN_ROWS("ISO times", iso, iso_rows);

	failed += RUN_ROWS("wall clocks", wall, wall_rows);
	failed += RUN_ROWS("zones as the C library reads them", same_as_libc, zone_rows);
	failed += RUN_ROWS("wall clock and back", wall_is_inverse, zone_rows);
	failed += RUN_ROWS("zones that are none", zone_unknown, zone_name_rows);
	failed += RUN_ROWS("rules of a footer", rule, rule_rows);
	failed += RUN_ROWS("durations", duration, duration_rows);
	failed += RUN_ROWS("sizes", size, size_rows);
	failed += cmocka_run_group_tests_name("times", single, NULL, NULL);
	return failed != 0;
}
