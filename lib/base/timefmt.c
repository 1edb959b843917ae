#include "base/timefmt.h"

#include <errno.h>

#include "base/civil.h"
#include "base/tz.h"

#define MS_PER_DAY INT64_C(86400000)

/* Reads n digits at *p, which has that many bytes; -1 when one is none. */
static int digits(const char *p, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		unsigned digit = (unsigned)(unsigned char)p[i] - '0';

		if (digit > 9)
			return -1;
		value = value * 10 + (int)digit;
	}
	return value;
}

/* Two digits at once: a time has eight such pairs. */
static inline void put_pair(char *p, unsigned value)
{
#define TEN(tens)                                                                                  \
	tens "0" tens "1" tens "2" tens "3" tens "4" tens "5" tens "6" tens "7" tens "8" tens "9"
	static const char pairs[] = TEN("0") TEN("1") TEN("2") TEN("3") TEN("4") TEN("5") TEN("6")
	    TEN("7") TEN("8") TEN("9");
#undef TEN

	memcpy(p, pairs + (size_t)2 * value, 2);
}

void time_iso_write(int64_t ms, char out[TIME_ISO_LEN])
{
	static const struct {
		char text[TIME_ISO_LEN];
	} template = { "0000-00-00T00:00:00.000Z" }; /* without a NUL */
	struct civil date;
	int64_t days;
	unsigned of_day;

	ms = MIN(MAX(ms, TIME_MIN_MS), TIME_MAX_MS);
	days = ms / MS_PER_DAY - (ms % MS_PER_DAY < 0);
	of_day = (unsigned)(ms - days * MS_PER_DAY);
	date = civil_of_days(days);
	memcpy(out, &template, sizeof(template));
	put_pair(out, (unsigned)date.year / 100);
	put_pair(out + 2, (unsigned)date.year % 100);
	put_pair(out + 5, (unsigned)date.month);
	put_pair(out + 8, (unsigned)date.day);
	put_pair(out + 11, of_day / 3600000);
	put_pair(out + 14, of_day / 60000 % 60);
	put_pair(out + 17, of_day / 1000 % 60);
	put_pair(out + 20, of_day % 1000 / 10);
	out[22] = (char)('0' + of_day % 10);
}

/* "YYYY-MM-DD?hh:mm:ss" with 'T' or a blank at '?', as if it were UTC; -1 when it is none. */
static int wall_seconds(const char *p, int64_t *ret_s)
{
	int year = digits(p, 4), month = digits(p + 5, 2), day = digits(p + 8, 2);
	int hour = digits(p + 11, 2), minute = digits(p + 14, 2), second = digits(p + 17, 2);

	if (p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != ' ') || p[13] != ':' ||
	    p[16] != ':')
		return -1;
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > civil_month_days(year, month))
		return -1;
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
		return -1;
	*ret_s = civil_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return 0;
}

/* The optional ".fraction" of 1 to 9 digits, cut to ms; what is behind it stays in *s. */
static int fraction_ms(struct slice *s, int *ret_ms)
{
	size_t n = 1;
	int ms = 0;

	*ret_ms = 0;
	if (s->n == 0 || s->p[0] != '.')
		return 0;
	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	if (n < 2 || n > 10)
		return -EINVAL;
	for (size_t i = 1; i <= 3; i++)
		ms = ms * 10 + (i < n ? s->p[i] - '0' : 0);
	*s = slice_skip(*s, n);
	*ret_ms = ms;
	return 0;
}

#define WALL_LEN 19

/* Date, time and fraction; what is behind them stays in *s. */
static int wall_read(struct slice *s, int64_t *ret_s, int *ret_ms)
{
	if (s->n < WALL_LEN || wall_seconds(s->p, ret_s))
		return -EINVAL;
	*s = slice_skip(*s, WALL_LEN);
	return fraction_ms(s, ret_ms);
}

/* "Z", "+hh:mm" or "-hh:mm", and nothing behind it. */
static int zone_read(struct slice s, int64_t *ret_s)
{
	int hours, minutes;

	*ret_s = 0;
	if (s.n == 1 && s.p[0] == 'Z')
		return 0;
	if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':')
		return -EINVAL;
	hours = digits(s.p + 1, 2);
	minutes = digits(s.p + 4, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return -EINVAL;
	*ret_s = (hours * 3600 + minutes * 60) * (s.p[0] == '-' ? -1 : 1);
	return 0;
}

static int in_range(int64_t ms, int64_t *ret_ms)
{
	if (ms < TIME_MIN_MS || ms > TIME_MAX_MS)
		return -EINVAL;
	*ret_ms = ms;
	return 0;
}

/*
 * Eight bytes as digits, the values of pairs of them in the bytes where a pair begins. want has a
 * '0' where a digit must stand, else the byte itself. false: something else stands there.
 */
static inline bool pairs_read(const char *p, const char *want, uint64_t limits, uint64_t *ret)
{
	uint64_t digits, zeros;

	memcpy(&digits, p, 8);
	memcpy(&zeros, want, 8);
	digits ^= zeros;
	*ret = digits * 10 + (digits >> 8);
	/* A byte that is too great, or with which that sum is, has its top bit now. */
	return (((digits + limits) | digits) & UINT64_C(0x8080808080808080)) == 0;
}

static inline unsigned pair(uint64_t pairs, unsigned at)
{
	return pairs >> 8 * at & 0xff;
}

/* "YYYY-MM-DDThh:mm:ss.mmmZ", as we and nearly everybody write it. false: it is not that. */
static bool plain_read(const char *p, int64_t *ret_ms)
{
	/* 0x7f less the limit of each byte, from the last to the first: 9 of a digit, else 0. */
	const uint64_t date_limits = UINT64_C(0x7f76767f76767676),
		       hour_limits = UINT64_C(0x76767f76767f7676),
		       rest_limits = UINT64_C(0x7f7676767f76767f);
	uint64_t date, hour, rest;
	unsigned year, month, day, ms;

	if (!((int)pairs_read(p, "0000-00-", date_limits, &date) &
	      (int)pairs_read(p + 8, "00T00:00", hour_limits, &hour) &
	      (int)pairs_read(p + 16, ":00.000Z", rest_limits, &rest)))
		return false;
	year = pair(date, 0) * 100 + pair(date, 2);
	month = pair(date, 5);
	day = pair(hour, 0);
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
	    day > (unsigned)civil_month_days(year, (int)month) || pair(hour, 3) > 23 ||
	    pair(hour, 6) > 59 || pair(rest, 1) > 59)
		return false;
	ms = pair(rest, 4) * 10 + ((unsigned char)p[22] - '0');
	ms += ((pair(hour, 3) * 60 + pair(hour, 6)) * 60 + pair(rest, 1)) * 1000;
	*ret_ms = civil_days_after_0(year, month, day) * MS_PER_DAY + ms;
	return true;
}

int time_iso_read(struct slice text, int64_t *ret_ms)
{
	int64_t wall_s, offset_s;
	int ms;

	if (text.n == TIME_ISO_LEN && plain_read(text.p, ret_ms))
		return 0;
	if (wall_read(&text, &wall_s, &ms) || zone_read(text, &offset_s))
		return -EINVAL;
	return in_range((wall_s - offset_s) * 1000 + ms, ret_ms);
}

int tz_wall_read(const struct tz *tz, struct slice text, int64_t received_ms, int64_t *ret_ms)
{
	int64_t wall_s;
	int ms;

	text = slice_trim(text);
	if (wall_read(&text, &wall_s, &ms) || text.n)
		return -EINVAL;
	return in_range(tz_wall_ms(tz, wall_s * 1000 + ms, received_ms), ret_ms);
}

struct unit {
	const char *name;
	uint64_t size;
};

/* "<digits><unit>" -> digits * size, at most max. */
static int units_read(struct slice text, const struct unit *units, uint64_t max, uint64_t *ret)
{
	size_t n = 0;
	uint64_t value;
	int err;

	while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
		n++;
	err = slice_u64(slice_head(text, n), &value);
	if (err == -EINVAL)
		return err;
	for (; units->name; units++) {
		if (!slice_is(slice_skip(text, n), units->name))
			continue;
		if (err || __builtin_mul_overflow(value, units->size, &value) || value > max)
			return -ERANGE;
		*ret = value;
		return 0;
	}
	return -EINVAL;
}

int duration_read(struct slice text, int64_t *ret_ms)
{
	static const struct unit units[] = {
		{ "ms", 1 },      { "s", 1000 },     { "m", 60000 },
		{ "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
	};
	uint64_t ms;
	int err;

	if (slice_is(text, "0")) { /* needs no unit */
		*ret_ms = 0;
		return 0;
	}
	err = units_read(text, units, INT64_MAX, &ms);
	if (!err)
		*ret_ms = (int64_t)ms;
	return err;
}

int size_read(struct slice text, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "B", 1 },
		{ "kB", 1000 },
		{ "MB", 1000000 },
		{ "GB", 1000000000 },
		{ "TB", UINT64_C(1000000000000) },
		{ "KiB", UINT64_C(1) << 10 },
		{ "MiB", UINT64_C(1) << 20 },
		{ "GiB", UINT64_C(1) << 30 },
		{ "TiB", UINT64_C(1) << 40 },
		{ NULL, 0 },
	};

	return units_read(text, units, UINT64_MAX, ret_bytes);
}
