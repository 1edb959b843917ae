/*
 * civil.h - days since 1970-01-01 and dates of the Gregorian calendar, for timefmt.c and tz.c
 *
 * Counted in eras of 400 years that begin on 1 March, so that the leap day is the last of a year.
 * Thread: any.
 */
#ifndef CS_BASE_CIVIL_H
#define CS_BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

#define CIVIL_ERA_DAYS 146097 /* 400 years */

struct civil {
	int year, month, day; /* month 1..12, day 1..31 */
};

static inline bool civil_is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static inline int civil_month_days(int64_t year, int month)
{
	return month == 2 ? 28 + civil_is_leap(year) : 30 + ((month + (month > 7)) & 1);
}

static inline int64_t civil_days(int64_t year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	/* 719468 days lie between 0000-03-01 and 1970-01-01. */
	return era * CIVIL_ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* The same of years 1 to 9999, where nothing is negative. */
static inline int32_t civil_days_after_0(uint32_t year, uint32_t month, uint32_t day)
{
	uint32_t y = year - (month <= 2), from_march = month > 2 ? month - 3 : month + 9;
	uint32_t of_year = (153 * from_march + 2) / 5 + day - 1;

	return (int32_t)(y * 365 + y / 4 - y / 100 + y / 400 + of_year) - 719468;
}

/* Of years 1 to about 11 million: then it needs no signs, and 32 bits divide faster. */
static inline struct civil civil_of_days(int64_t days)
{
	uint32_t shifted = (uint32_t)(days + 719468);
	uint32_t era = shifted / CIVIL_ERA_DAYS, of_era = shifted % CIVIL_ERA_DAYS;
	uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint32_t month = (5 * of_year + 2) / 153;

	return (struct civil){
		.year = (int)(year + era * 400 + (month >= 10)),
		.month = (int)(month < 10 ? month + 3 : month - 9),
		.day = (int)(of_year - (153 * month + 2) / 5 + 1),
	};
}

#endif
