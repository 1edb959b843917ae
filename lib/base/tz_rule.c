#include "base/tz.h"

#include <errno.h>

#include "base/civil.h"

/* What is left of the text; bad once something did not fit. */
struct reader {
	struct slice left;
	bool bad;
};

static char peek(const struct reader *r)
{
	return r->left.n ? r->left.p[0] : '\0';
}

static bool eat(struct reader *r, char c)
{
	if (peek(r) != c)
		return false;
	r->left = slice_skip(r->left, 1);
	return true;
}

static void expect(struct reader *r, char c)
{
	if (!eat(r, c))
		r->bad = true;
}

/* A number of at most three digits between min and max. */
static int number(struct reader *r, int min, int max)
{
	int value = 0, n = 0;

	while (n < 3 && peek(r) >= '0' && peek(r) <= '9') {
		value = value * 10 + (peek(r) - '0');
		r->left = slice_skip(r->left, 1);
		n++;
	}
	if (n == 0 || value < min || value > max)
		r->bad = true;
	return value;
}

/* "[+-]hh[:mm[:ss]]" in seconds. */
static int32_t clock_time(struct reader *r, int hours_max)
{
	int sign = 1;
	int32_t s;

	if (eat(r, '-'))
		sign = -1;
	else
		(void)eat(r, '+');
	s = number(r, 0, hours_max) * 3600;
	if (eat(r, ':'))
		s += number(r, 0, 59) * 60;
	if (eat(r, ':'))
		s += number(r, 0, 59);
	return s * sign;
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* "MSK" or "<+03>". */
static void zone_name(struct reader *r)
{
	size_t n = 0;

	if (eat(r, '<')) {
		n = slice_find(r->left, '>');
		r->left = slice_skip(r->left, n);
		expect(r, '>');
	} else {
		while (is_letter(peek(r))) {
			r->left = slice_skip(r->left, 1);
			n++;
		}
	}
	if (n < 3)
		r->bad = true;
}

static struct tz_day rule_day(struct reader *r)
{
	struct tz_day day = { .time_s = 2 * 3600 };

	expect(r, ',');
	if (eat(r, 'M')) {
		day.kind = TZ_DAY_MONTH;
		day.month = number(r, 1, 12);
		expect(r, '.');
		day.week = number(r, 1, 5);
		expect(r, '.');
		day.day = number(r, 0, 6);
	} else if (eat(r, 'J')) {
		day.kind = TZ_DAY_JULIAN;
		day.day = number(r, 1, 365);
	} else {
		day.kind = TZ_DAY_ZERO;
		day.day = number(r, 0, 365);
	}
	if (eat(r, '/'))
		day.time_s = clock_time(r, 167);
	return day;
}

int tz_rule_read(struct slice text, struct tz_rule *ret)
{
	struct reader r = { text, false };
	struct tz_rule rule = { 0 };

	zone_name(&r);
	rule.std_s = -clock_time(&r, 24);
	if (!r.bad && r.left.n) {
		rule.has_dst = true;
		zone_name(&r);
		rule.dst_s = peek(&r) == ',' ? rule.std_s + 3600 : -clock_time(&r, 24);
		rule.start = rule_day(&r);
		rule.end = rule_day(&r);
	}
	if (r.bad || r.left.n)
		return -EBADMSG;
	*ret = rule;
	return 0;
}

/* Mm.w.d: the w-th weekday d of the month, the last one for w 5. */
static int64_t month_day(const struct tz_day *day, int64_t year)
{
	int64_t first = civil_days(year, day->month, 1);
	int weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
	int of_month = (day->day - weekday + 7) % 7 + 7 * (day->week - 1);

	if (of_month >= civil_month_days(year, day->month))
		of_month -= 7;
	return first + of_month;
}

static int64_t day_seconds(const struct tz_day *day, int64_t year)
{
	int64_t days;

	if (day->kind == TZ_DAY_MONTH)
		days = month_day(day, year);
	else if (day->kind == TZ_DAY_JULIAN) /* 29 February is never counted */
		days = civil_days(year, 1, 1) + day->day - 1 +
		       (civil_is_leap(year) && day->day >= 60);
	else
		days = civil_days(year, 1, 1) + day->day;
	return days * 86400 + day->time_s;
}

int64_t tz_rule_start(const struct tz_rule *rule, int64_t year)
{
	return day_seconds(&rule->start, year) - rule->std_s;
}

int64_t tz_rule_end(const struct tz_rule *rule, int64_t year)
{
	return day_seconds(&rule->end, year) - rule->dst_s;
}
