/*
 * deliver_json.h - one level of a JSON object as spans of its own bytes
 *
 * A record has to reach a CRM byte for byte as it lies in topic calls, also through a task and a
 * ledger entry, so it is never read into values and written again. Whoever needs to know that a
 * text is JSON to its depths asks a parser first: this looks at the structure only as far as it
 * must, but never past the end. Thread: any.
 */
#ifndef CS_ROLE_DELIVER_JSON_H
#define CS_ROLE_DELIVER_JSON_H

#include "base/slice.h"

struct json_span {
	struct slice key;   /* between the quotes, escapes as they are */
	struct slice value; /* as it is written, without blanks around it */
};

struct json_spans {
	struct slice left;
	bool started, done, bad;
};

/* A text that does not begin with an object is bad. */
struct json_spans json_spans_of(struct slice object);
/* The next member; false at the end, or when the object is damaged (s->bad). */
bool json_spans_next(struct json_spans *s, struct json_span *ret);

/* The content of a text without escapes; absent for all else. */
struct slice json_span_text(struct slice value);
/* 0, or -EINVAL for what is no whole number of that range. */
CHECKED int json_span_u32(struct slice value, uint32_t *ret);
CHECKED int json_span_i64(struct slice value, int64_t *ret);
static inline bool json_span_true(struct slice value)
{
	return slice_is(value, "true");
}

#endif
