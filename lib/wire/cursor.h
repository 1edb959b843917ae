/*
 * cursor.h - reading binary input: read, then check `bad` once
 *
 * A read past the end sets bad and gives zero or an empty slice; nothing after it advances.
 * Thread: one owner.
 */
#ifndef CS_WIRE_CURSOR_H
#define CS_WIRE_CURSOR_H

#include "base/buf.h"

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct cursor cur_make(struct slice s)
{
	const uint8_t *p = (const uint8_t *)(s.n ? s.p : "");

	return (struct cursor){ p, p + s.n, false };
}

static inline size_t cur_left(const struct cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->p);
}

static inline struct slice cur_take(struct cursor *c, size_t n)
{
	struct slice s = SLICE_NONE;

	if (n > cur_left(c)) {
		c->bad = true;
		return s;
	}
	s = slice_make(c->p, n);
	c->p += n;
	return s;
}

static inline uint8_t cur_u8(struct cursor *c)
{
	struct slice s = cur_take(c, 1);

	return s.n ? (uint8_t)s.p[0] : 0;
}

static inline uint32_t cur_u32le(struct cursor *c)
{
	struct slice s = cur_take(c, 4);
	uint32_t v = 0;

	if (s.n)
		memcpy(&v, s.p,
		       4); /* little-endian machines only; others do not build (base/macros.h) */
	return v;
}

static inline uint64_t cur_u64le(struct cursor *c)
{
	struct slice s = cur_take(c, 8);
	uint64_t v = 0;

	if (s.n)
		memcpy(&v, s.p, 8);
	return v;
}

/* LEB128, 10 bytes at the most. */
static inline uint64_t cur_varint(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = cur_u8(c);

		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	c->bad = true;
	return 0;
}

static inline int64_t cur_varint_signed(struct cursor *c)
{
	uint64_t v = cur_varint(c);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* A length as a varint, then the bytes. */
static inline struct slice cur_slice(struct cursor *c)
{
	uint64_t n = cur_varint(c);

	if (n > cur_left(c)) {
		c->bad = true;
		return SLICE_NONE;
	}
	return cur_take(c, (size_t)n);
}

/* The writing side. */
static inline void put_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

static inline void put_u32le(struct buf *b, uint32_t v)
{
	buf_add(b, &v, 4);
}

static inline void put_u64le(struct buf *b, uint64_t v)
{
	buf_add(b, &v, 8);
}

static inline void put_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	do {
		bytes[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	buf_add(b, bytes, n);
}

static inline void put_varint_signed(struct buf *b, int64_t v)
{
	put_varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static inline void put_slice(struct buf *b, struct slice s)
{
	put_varint(b, s.n);
	buf_add(b, s.p, s.n);
}

#endif
