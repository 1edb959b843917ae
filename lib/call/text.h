/*
 * text.h - comparing, copying and hashing short texts without a call into the C library
 *
 * Nearly all texts of an event are shorter than two words, so that the call, and the choice of how
 * to go about it, would cost more than the work. What is longer is done word by word.
 * Thread: any.
 */
#ifndef CS_CALL_TEXT_H
#define CS_CALL_TEXT_H

#include "base/slice.h"

/* Up to eight bytes as one number; two texts of the same n have the same one only if they are. */
static inline uint64_t text_word(const void *text, size_t n)
{
	const uint8_t *p = text;
	uint32_t low, high;
	uint64_t v;

	if (n >= 8) {
		memcpy(&v, p, 8);
		return v;
	}
	if (n >= 4) {
		memcpy(&low, p, 4);
		memcpy(&high, p + n - 4, 4);
		return (uint64_t)high << 32 | low;
	}
	return n ? (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16 : 0;
}

static inline bool text_same(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	if (n <= 8)
		return text_word(x, n) == text_word(y, n);
	for (size_t i = 0; i + 8 < n; i += 8) {
		if (text_word(x + i, 8) != text_word(y + i, 8))
			return false;
	}
	return text_word(x + n - 8, 8) == text_word(y + n - 8, 8);
}

static inline bool text_eq(struct slice a, struct slice b)
{
	return a.n == b.n && text_same(a.p, b.p, a.n);
}

/* Behind what was written. */
static inline uint8_t *text_put(uint8_t *to, const void *text, size_t n)
{
	const uint8_t *p = text;

	if (n >= 8) {
		for (size_t i = 0; i + 8 < n; i += 8)
			memcpy(to + i, p + i, 8);
		memcpy(to + n - 8, p + n - 8, 8);
		return to + n;
	}
	if (n >= 4) {
		memcpy(to, p, 4);
		memcpy(to + n - 4, p + n - 4, 4);
		return to + n;
	}
	for (size_t i = 0; i < n; i++)
		to[i] = p[i];
	return to + n;
}

static inline uint64_t text_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* For maps in memory alone: it may be another one tomorrow. */
static inline uint64_t text_hash(struct slice text, uint64_t seed)
{
	const char *p = text.p;
	size_t n = text.n;
	uint64_t h = seed ^ n * UINT64_C(0x9e3779b97f4a7c15);

	for (; n > 16; n -= 8, p += 8)
		h = text_mix(h ^ text_word(p, 8), UINT64_C(0xa0761d6478bd642f));
	return text_mix(h ^ text_word(p, n) ^ UINT64_C(0xe7037ed1a0b428db),
			(n > 8 ? text_word(p + n - 8, 8) : n) ^ UINT64_C(0x8ebc6af09c88c6e3));
}

#endif
