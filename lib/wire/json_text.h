/*
 * json_text.h - what JSON texts are made of: the inner loops of reading and writing them
 *
 * A plain byte stands for itself in a JSON text: ASCII, no control character, quote or backslash.
 * Thread: any.
 */
#ifndef CS_WIRE_JSON_TEXT_H
#define CS_WIRE_JSON_TEXT_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/slice.h"

static inline bool json_is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The top bit of each byte of the eight that is not plain; above the first such byte there may be
 * false ones. */
static inline uint64_t json_not_plain(uint64_t eight)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	return (eight | (eight - 0x20 * ones) | ((eight ^ ('"' * ones)) - ones) |
		((eight ^ ('\\' * ones)) - ones)) &
	       UINT64_C(0x8080808080808080);
}

/* How many of the JSON_BLOCK bytes at p stand before the first that is not plain. */
#define JSON_BLOCK 16
static inline size_t json_plain_n(const char *p)
{
#ifdef __SSE2__
	/* As signed bytes, what is no ASCII is below the blank too. */
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i found = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(' ')),
				     _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
						  _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));

	return (size_t)__builtin_ctz((unsigned)_mm_movemask_epi8(found) | 1U << JSON_BLOCK);
#else
	for (size_t i = 0; i < JSON_BLOCK; i += 8) {
		uint64_t eight, found;

		memcpy(&eight, p + i, sizeof(eight));
		found = json_not_plain(eight);
		if (found)
			return i + (size_t)__builtin_ctzll(found) / 8;
	}
	return JSON_BLOCK;
#endif
}

/* The first byte that is not plain, or end. */
static inline const char *json_plain_end(const char *p, const char *end)
{
	while (end - p >= JSON_BLOCK) {
		size_t n = json_plain_n(p);

		p += n;
		if (n < JSON_BLOCK)
			return p;
	}
	while (p < end && json_is_plain((unsigned char)*p))
		p++;
	return p;
}

/* How many of the JSON_BLOCK bytes at p stand before the first quote. */
static inline size_t json_quote_n(const char *p)
{
#ifdef __SSE2__
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')));

	return (size_t)__builtin_ctz(found | 1U << JSON_BLOCK);
#else
	const char *quote = memchr(p, '"', JSON_BLOCK);

	return quote ? (size_t)(quote - p) : JSON_BLOCK;
#endif
}

/* Length of the UTF-8 sequence (RFC 3629) of two bytes or more at p; 0 when there is none. left:
 * bytes there are, at least 1. */
static inline size_t json_sequence(const char *text, size_t left)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned char first = p[0], low = 0x80, high = 0xbf;
	size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;

	if (first < 0xc2 || first > 0xf4 || n > left)
		return 0;
	if (first == 0xe0)
		low = 0xa0; /* shorter forms exist */
	else if (first == 0xed)
		high = 0x9f; /* surrogates */
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f; /* past U+10FFFF */
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

#endif
