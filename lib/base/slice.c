#include "base/slice.h"

#include <errno.h>
#include <stdlib.h>

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	}
	return true;
}

bool slice_starts(struct slice s, struct slice prefix)
{
	return slice_eq(slice_head(s, prefix.n), prefix);
}

bool slice_starts_nocase(struct slice s, struct slice prefix)
{
	return slice_eq_nocase(slice_head(s, prefix.n), prefix);
}

bool slice_ends(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n && slice_eq(slice_skip(s, s.n - suffix.n), suffix);
}

struct slice slice_skip(struct slice s, size_t n)
{
	n = MIN(n, s.n);
	return s.p ? slice_make(s.p + n, s.n - n) : s;
}

struct slice slice_head(struct slice s, size_t n)
{
	return slice_make(s.p, MIN(n, s.n));
}

struct slice slice_trim(struct slice s)
{
	while (s.n && is_blank(s.p[0]))
		s = slice_skip(s, 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct slice slice_trim_char(struct slice s, char c)
{
	while (s.n && s.p[0] == c)
		s = slice_skip(s, 1);
	while (s.n && s.p[s.n - 1] == c)
		s.n--;
	return s;
}

size_t slice_find(struct slice s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

struct slice slice_cut(struct slice *s, char c)
{
	size_t at = slice_find(*s, c);
	struct slice head = slice_head(*s, at);

	*s = slice_skip(*s, at + 1);
	return head;
}

bool slice_is_digits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	return s.n > 0;
}

int slice_u64(struct slice s, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0;

	/* No 19 digits overflow. */
	for (; i < MIN(s.n, (size_t)19); i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

		if (digit > 9)
			return -EINVAL;
		value = value * 10 + digit;
	}
	if (LIKELY(i == s.n && i > 0)) {
		*ret = value;
		return 0;
	}
	if (!slice_is_digits(s))
		return -EINVAL;
	for (; i < s.n; i++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value))
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

int slice_i64(struct slice s, int64_t *ret)
{
	bool negative = s.n && s.p[0] == '-';
	uint64_t size;
	int err = slice_u64(negative ? slice_skip(s, 1) : s, &size);

	if (err)
		return err;
	if (size > (uint64_t)INT64_MAX)
		return -ERANGE;
	*ret = negative ? -(int64_t)size : (int64_t)size;
	return 0;
}

int slice_cmp_id(struct slice a, struct slice b)
{
	bool a_digits = slice_is_digits(a), b_digits = slice_is_digits(b);
	struct slice x = a, y = b;

	if (!a_digits || !b_digits)
		return a_digits != b_digits ? (a_digits ? -1 : 1) : slice_cmp(a, b);
	while (x.n > 1 && x.p[0] == '0')
		x = slice_skip(x, 1);
	while (y.n > 1 && y.p[0] == '0')
		y = slice_skip(y, 1);
	if (x.n != y.n)
		return x.n < y.n ? -1 : 1;
	return slice_cmp(x, y) ? slice_cmp(x, y) : slice_cmp(a, b);
}

char *slice_dup(struct slice s)
{
	char *copy = malloc(s.n + 1);

	if (!copy)
		return NULL;
	if (s.n)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

bool slice_eq_secret(struct slice a, struct slice b)
{
	unsigned char differs = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		differs |= (unsigned char)(a.p[i] ^ b.p[i]);
	return differs == 0;
}

/* Bytes of the sequence that begins with c; 0 when none may. */
static size_t utf8_length(unsigned char c)
{
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	if ((c & 0xf0) == 0xe0)
		return 3;
	return c >= 0xf0 && c <= 0xf4 ? 4 : 0;
}

/* Overlong forms, surrogates and what lies past U+10FFFF, told by the second byte (RFC 3629 4). */
static bool utf8_second_fits(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0;
	case 0xed:
		return second <= 0x9f;
	case 0xf0:
		return second >= 0x90;
	case 0xf4:
		return second <= 0x8f;
	default:
		return true;
	}
}

/* The first byte at or behind i of the eight that are not all ASCII, or near the end. */
static size_t skip_ascii(struct slice s, size_t i)
{
	uint64_t eight;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&eight, s.p + i, 8);
		if (eight & UINT64_C(0x8080808080808080))
			break;
	}
	return i;
}

bool slice_is_utf8(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = skip_ascii(s, 0);

	while (i < s.n) {
		size_t length = utf8_length(p[i]);

		if (length == 2 && s.n - i >= 8 && utf8_is_cyrillic(s.p + i)) {
			i += 8;
			continue;
		}
		if (length == 0 || length > s.n - i)
			return false;
		if (length > 1 && !utf8_second_fits(p[i], p[i + 1]))
			return false;
		for (size_t k = 1; k < length; k++) {
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
		}
		i += length;
		if (length == 1)
			i = skip_ascii(s, i);
	}
	return true;
}
