/*
 * timefmt.h - instants as text: ISO 8601 in UTC, wall clocks of a zone, durations and sizes
 *
 * An instant is milliseconds since 1970-01-01T00:00:00Z, int64_t; TIME_NONE is absent.
 * Thread: any; zones are read once and never change.
 */
#ifndef CS_BASE_TIMEFMT_H
#define CS_BASE_TIMEFMT_H

#include "base/slice.h"

#define TIME_NONE    INT64_MIN
#define TIME_ISO_LEN 24 /* 2026-03-14T10:15:02.000Z */
/* Instants outside year 1..9999 have no ISO text and are refused by every parser. */
#define TIME_MIN_MS INT64_C(-62135596800000)
#define TIME_MAX_MS INT64_C(253402300799999)

/* Writes exactly TIME_ISO_LEN bytes, no NUL. ms outside the range is clamped to it. */
void time_iso_write(int64_t ms, char out[TIME_ISO_LEN]);
/* "2026-03-14T10:15:02[.fraction](Z|+hh:mm|-hh:mm)"; 'T' may be a blank; fractions are cut to ms.
 * 0 or -EINVAL. */
CHECKED int time_iso_read(struct slice text, int64_t *ret_ms);

/* An IANA zone from the system's zoneinfo. */
struct tz;
/* 0; -ENOENT unknown name (also "", "..", absolute paths); -EBADMSG damaged file; -ENOMEM. */
CHECKED int tz_load(const char *name, struct tz **ret);
void tz_free(struct tz *tz);
/* Offset to UTC in seconds at an instant. */
int32_t tz_offset_s(const struct tz *tz, int64_t ms);
/*
 * A wall clock "YYYY-MM-DD hh:mm:ss[.fraction]" ('T' allowed for the blank) in tz, as rules.md 1.2
 * reads it: one that does not exist is read with the offset before the jump; one that exists twice
 * is the earlier instant, or the one nearer to received_ms when that is within 2 h (TIME_NONE: the
 * earlier). 0 or -EINVAL.
 */
CHECKED int tz_wall_read(const struct tz *tz, struct slice text, int64_t received_ms,
			 int64_t *ret_ms);

/* "250ms", "5s", "10m", "4h", "30d" -> ms. 0, -EINVAL, -ERANGE. */
CHECKED int duration_read(struct slice text, int64_t *ret_ms);
/* "512", "4KiB", "1MiB", "2GiB" (also kB, MB, GB as 10^3n) -> bytes. 0, -EINVAL, -ERANGE. */
CHECKED int size_read(struct slice text, uint64_t *ret_bytes);

#endif
