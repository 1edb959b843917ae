/*
 * number.h - telephone numbers, SIP addresses and extensions as vendors write them (rules.md 4),
 * figures of seconds
 *
 * Nothing is rewritten nationally. Thread: any.
 */
#ifndef CS_WIRE_NUMBER_H
#define CS_WIRE_NUMBER_H

#include "base/slice.h"

struct party {
	struct slice number, uri; /* one of them at the most */
	struct slice dtmf;        /* the tail that was cut off the number, without its '.' */
};

/*
 * digits has room for text.n bytes; the number is written there unless it is a part of text.
 * "0", words and nothing give neither. A tail is what follows a '.' behind at least 7 digits in a
 * row, as in "447700900123.9.2.3".
 */
struct party party_read(struct slice text, char *digits);

/* Without a prefix "<digits>-". */
struct slice extension_read(struct slice text);

/* A decimal figure of seconds ("84", "84.5", "8.4e1", "-1") in ms, rounded half to even. 0, -EINVAL
 * (no number) or -ERANGE (beyond 100 years). */
CHECKED int seconds_read(struct slice text, int64_t *ret_ms);

/* Written as a JSON number, with a sign or not: "12", "-5", "1e3", "12.0". */
bool is_figure(struct slice text);

#endif
