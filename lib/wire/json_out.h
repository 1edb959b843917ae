/*
 * json_out.h - writing JSON straight into a buffer
 *
 * jo_begin_object / jo_key / values / jo_end_object; commas are put where they belong. Texts are
 * escaped as RFC 8259 asks (control characters, quote, backslash), other UTF-8 is written as it is;
 * bytes that are no UTF-8 become U+FFFD. Members whose value is absent are best left out by the
 * jo_put_* forms. Thread: one owner.
 */
#ifndef CS_WIRE_JSON_OUT_H
#define CS_WIRE_JSON_OUT_H

#include "base/buf.h"
#include "base/timefmt.h"
#include "base/uuid.h"

struct json_out {
	struct buf *buf;
	bool comma;
};

static inline struct json_out jo_make(struct buf *b)
{
	return (struct json_out){ b, false };
}

void jo_begin_object(struct json_out *j);
void jo_end_object(struct json_out *j);
void jo_begin_array(struct json_out *j);
void jo_end_array(struct json_out *j);
void jo_key(struct json_out *j, struct slice key); /* constant keys: not escaped */
void jo_text(struct json_out *j, struct slice s);
void jo_int(struct json_out *j, int64_t v);
void jo_bool(struct json_out *j, bool v);
void jo_time(struct json_out *j, int64_t ms);
void jo_uuid(struct json_out *j, const struct uuid *id);
void jo_raw(struct json_out *j, struct slice json); /* a finished value */
void jo_base64(struct json_out *j, struct slice bytes);

#define JO_KEY(j, literal) jo_key(j, SLICE(literal))
/* A member, left out when absent: n == 0, TIME_NONE, INT64_MIN. */
#define JO_PUT(j, literal, s)                                                                      \
	do {                                                                                       \
		if ((s).n) {                                                                       \
			JO_KEY(j, literal);                                                        \
			jo_text(j, s);                                                             \
		}                                                                                  \
	} while (0)
#define JO_PUT_TIME(j, literal, t)                                                                 \
	do {                                                                                       \
		if ((t) != TIME_NONE) {                                                            \
			JO_KEY(j, literal);                                                        \
			jo_time(j, t);                                                             \
		}                                                                                  \
	} while (0)
#define JO_PUT_INT(j, literal, v)                                                                  \
	do {                                                                                       \
		if ((v) != INT64_MIN) {                                                            \
			JO_KEY(j, literal);                                                        \
			jo_int(j, v);                                                              \
		}                                                                                  \
	} while (0)

#endif
