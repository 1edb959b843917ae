/*
 * tz.h - zones as timefmt.c uses them; the public part is in timefmt.h
 * Thread: any.
 */
#ifndef CS_BASE_TZ_H
#define CS_BASE_TZ_H

#include "base/timefmt.h"

/* A wall clock, counted as if it were UTC, as an instant (tz_wall_read says which). */
int64_t tz_wall_ms(const struct tz *tz, int64_t wall_ms, int64_t received_ms);

/* The content of a TZif file (RFC 8536). 0, -EBADMSG, -ENOMEM. */
CHECKED int tz_parse(struct slice file, struct tz **ret);

/* The rule of a TZif footer: a POSIX TZ text with RFC 8536's wider hours. */
struct tz_day {
	enum tz_day_kind { TZ_DAY_NONE, TZ_DAY_MONTH, TZ_DAY_JULIAN, TZ_DAY_ZERO } kind;
	int month, week, day; /* M month.week.day; day alone for the other two */
	int32_t time_s;       /* of the wall clock before the change */
};

struct tz_rule {
	int32_t std_s, dst_s; /* offsets to UTC */
	bool has_dst;
	struct tz_day start, end; /* of daylight saving */
};

/* 0 or -EBADMSG. */
CHECKED int tz_rule_read(struct slice text, struct tz_rule *ret);
/* When daylight saving begins and ends in a year, in seconds since 1970. */
int64_t tz_rule_start(const struct tz_rule *rule, int64_t year);
int64_t tz_rule_end(const struct tz_rule *rule, int64_t year);

#endif
