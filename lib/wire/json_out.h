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

/*
 * A constant key as it is written, with quotes and colon, and its length; the zeros behind it are
 * there so that it can be copied in blocks of 16 bytes. At most 29 bytes without them.
 */
#define JO_LITERAL(literal)                                                                        \
	"\"" literal "\":\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",                                          \
	    sizeof(literal) + 2 + 0 * sizeof(char[sizeof(literal) <= 30 ? 1 : -1])
void jo_put_key(struct json_out *j, const char *key, size_t key_n);
void jo_put_text(struct json_out *j, const char *key, size_t key_n, struct slice s);
void jo_put_time(struct json_out *j, const char *key, size_t key_n, int64_t ms);
void jo_put_int(struct json_out *j, const char *key, size_t key_n, int64_t v);

#define JO_KEY(j, literal) jo_put_key(j, JO_LITERAL(literal))
/* A member, left out when absent: n == 0, TIME_NONE, INT64_MIN. */
#define JO_PUT(j, literal, s)                                                                      \
	do {                                                                                       \
		const struct slice text_ = (s);                                                    \
                                                                                                   \
		if (text_.n)                                                                       \
			jo_put_text(j, JO_LITERAL(literal), text_);                                \
	} while (0)
#define JO_PUT_TIME(j, literal, t)                                                                 \
	do {                                                                                       \
		const int64_t time_ = (t);                                                         \
                                                                                                   \
		if (time_ != TIME_NONE)                                                            \
			jo_put_time(j, JO_LITERAL(literal), time_);                                \
	} while (0)
#define JO_PUT_INT(j, literal, v)                                                                  \
	do {                                                                                       \
		const int64_t value_ = (v);                                                        \
                                                                                                   \
		if (value_ != INT64_MIN)                                                           \
			jo_put_int(j, JO_LITERAL(literal), value_);                                \
	} while (0)

#endif
