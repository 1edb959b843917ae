/*
 * json_scan.h - reading one JSON object in one pass, building nothing
 *
 * For input whose keys are known and whose reading is hot; everything else goes through json_in.
 * The scanner takes exactly what json_in takes (RFC 8259, UTF-8, whole surrogate pairs), so what is
 * passed over is as well-formed as what is read. Texts borrow from the input; those with escapes
 * lie unescaped in the arena.
 *
 * A place is a pointer into the object. The object's last byte is its brace, at which everything
 * but a text ends, so a place before `end` may always be looked at; functions return such a place,
 * or NULL: no JSON (or, where no_memory is set then, no memory). Nothing recurses.
 * Thread: one owner.
 */
#ifndef CS_WIRE_JSON_SCAN_H
#define CS_WIRE_JSON_SCAN_H

#include "wire/arena.h"
#include "wire/json_text.h"

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_TEXT,
	JSON_LIST,
	JSON_OBJECT,
};

struct json_scan {
	const char *end; /* behind the object's brace */
	struct arena *arena;
	bool no_memory;
};

struct json_value {
	struct slice text; /* of a text, or a number as it was written; else SLICE_NONE */
	enum json_type type;
};

static inline const char *json_scan_blanks(const char *p)
{
	while (UNLIKELY((unsigned char)*p <= ' ') &&
	       (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* The place of the brace that begins the object; NULL: input is none, blanks around it aside. */
CHECKED const char *json_scan_begin(struct json_scan *s, struct slice input, struct arena *arena);

/* The text whose quote is at p, whatever it has; at: up to here it is plain. */
CHECKED const char *json_scan_any_text(struct json_scan *s, const char *p, const char *at,
				       struct slice *ret);

/* The text whose quote is at p. */
CHECKED static inline const char *json_scan_text(struct json_scan *s, const char *p,
						 struct slice *ret)
{
	const char *begin = p + 1;
	size_t n = 0;

	if (LIKELY(s->end - begin >= JSON_BLOCK)) {
		n = json_plain_n(begin);
		if (LIKELY(n < JSON_BLOCK && begin[n] == '"')) {
			*ret = slice_make(begin, n);
			return begin + n + 1;
		}
	}
	return json_scan_any_text(s, p, begin + n, ret);
}

/* A number, true, false, null, or none of them. */
CHECKED const char *json_scan_word(const struct json_scan *s, const char *p,
				   struct json_value *ret);

/* The value at p. Of a list or an object the type alone: it is not entered. */
CHECKED static inline const char *json_scan_value(struct json_scan *s, const char *p,
						  struct json_value *ret)
{
	if (LIKELY(*p == '"')) {
		ret->type = JSON_TEXT;
		return json_scan_text(s, p, &ret->text);
	}
	if (*p != '{' && *p != '[')
		return json_scan_word(s, p, ret);
	ret->text = SLICE_NONE;
	ret->type = *p == '{' ? JSON_OBJECT : JSON_LIST;
	return p;
}

/* Passes over the value at p, which is not the outermost object, checking all of it. */
CHECKED const char *json_scan_skip(struct json_scan *s, const char *p);

/*
 * Walking an object or a list inside it: from json_scan_enter at its bracket on, as long as the
 * place is not the other bracket, there is an item (of an object: json_scan_key, then the value);
 * json_scan_next goes on behind it. json_scan_leave passes the other bracket, which is not that of
 * the outermost object.
 */
static inline const char *json_scan_enter(const char *p)
{
	return json_scan_blanks(p + 1);
}

/* The value that belongs to the key at p. */
CHECKED static inline const char *json_scan_key(struct json_scan *s, const char *p,
						struct slice *ret)
{
	if (UNLIKELY(*p != '"'))
		return NULL;
	p = json_scan_text(s, p, ret);
	if (UNLIKELY(!p))
		return NULL;
	if (UNLIKELY(*p != ':'))
		p = json_scan_blanks(p);
	return LIKELY(*p == ':') ? json_scan_blanks(p + 1) : NULL;
}

/* Behind an item: the next one, or the bracket `close`. */
CHECKED static inline const char *json_scan_next(const char *p, char close)
{
	if (UNLIKELY((unsigned char)*p <= ' '))
		p = json_scan_blanks(p);
	if (*p == ',') {
		p = json_scan_blanks(p + 1);
		return LIKELY(*p != close) ? p : NULL;
	}
	return LIKELY(*p == close) ? p : NULL;
}

CHECKED static inline const char *json_scan_leave(const struct json_scan *s, const char *p)
{
	return LIKELY(p + 1 < s->end) ? p + 1 : NULL;
}

#endif
