/*
 * slice.h - a piece of somebody else's bytes
 *
 * A slice borrows: it is valid as long as the buffer it points into. An absent text is a slice
 * with n == 0 (p may be NULL then). Nothing here expects or writes a NUL; print with
 * "%.*s", SLICE_ARG(s).
 * Thread: any.
 */
#ifndef CS_BASE_SLICE_H
#define CS_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

struct slice {
	const char *p;
	size_t n;
};

#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })
#define SLICE_INIT(literal)                                                                        \
	{                                                                                          \
		"" literal, sizeof(literal) - 1                                                    \
	} /* in static tables */
#define SLICE_NONE   ((struct slice){ NULL, 0 })
#define SLICE_ARG(s) (int)(s).n, (s).n ? (s).p : ""

static inline struct slice slice_make(const void *p, size_t n)
{
	return (struct slice){ (const char *)p, n };
}

/* text may be NULL: absent. */
static inline struct slice slice_of(const char *text)
{
	return (struct slice){ text, text ? strlen(text) : 0 };
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_is(struct slice a, const char *text)
{
	return slice_eq(a, slice_of(text));
}

/* Order of bytes, a prefix before what is longer. */
static inline int slice_cmp(struct slice a, struct slice b)
{
	size_t n = MIN(a.n, b.n);
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* ASCII letters compare without case; other bytes as they are. */
bool slice_eq_nocase(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_nocase(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
struct slice slice_skip(struct slice s, size_t n); /* without the first n bytes; n is cut to s.n */
struct slice slice_head(struct slice s, size_t n); /* the first n bytes; n is cut to s.n */
struct slice slice_trim(struct slice s);           /* without blanks, tabs, CR, LF at both ends */
struct slice slice_trim_char(struct slice s, char c); /* without c at both ends */
/* Up to the first c; *s becomes what is behind it (empty at the end, c not found: all of it). */
struct slice slice_cut(struct slice *s, char c);
/* Offset of the first c, or s.n. */
size_t slice_find(struct slice s, char c);
bool slice_is_digits(struct slice s); /* at least one, ASCII only */
/* Whole decimal text, no sign, no blanks. 0, -EINVAL (no number) or -ERANGE. */
CHECKED int slice_u64(struct slice s, uint64_t *ret);
CHECKED int slice_i64(struct slice s, int64_t *ret); /* one leading '-' allowed */
/* Digits compare as numbers of any size and stand before all else; the rest as bytes. */
int slice_cmp_id(struct slice a, struct slice b);
/* A NUL-terminated copy, to be freed; NULL without memory. */
char *slice_dup(struct slice s);
/* Constant time in the content (not in the length): for secrets. */
bool slice_eq_secret(struct slice a, struct slice b);
bool slice_is_utf8(struct slice s);
/* Are the eight bytes at p four letters of U+0400 to U+047F, where all of Russian lies? Whoever
 * reads UTF-8 asks this before he goes letter by letter. */
static inline bool utf8_is_cyrillic(const char *p)
{
	uint64_t eight;

	memcpy(&eight, p, sizeof(eight));
	return (eight & UINT64_C(0xc0fec0fec0fec0fe)) == UINT64_C(0x80d080d080d080d0);
}

#endif
