/*
 * buf.h - bytes that grow
 *
 * Writing never fails loudly: without memory (or past BUF_MAX) the buffer turns bad, keeps
 * what it had, and ignores the rest; check `bad` once at the end. buf_reset keeps the memory, so a
 * buffer that is used again allocates no more.
 * Thread: one owner.
 */
#ifndef CS_BASE_BUF_H
#define CS_BASE_BUF_H

#include <stdarg.h>

#include "base/slice.h"

#define BUF_MAX ((size_t)1 << 31)

struct buf {
	char *p;
	size_t n, cap;
	bool bad;
};

#define BUF_EMPTY ((struct buf){ NULL, 0, 0, false })

void buf_fini(struct buf *b); /* frees the memory; b is empty again */
static inline void buf_reset(struct buf *b)
{
	b->n = 0;
	b->bad = false;
}
/* Room for n more bytes at p + n; false (and bad) without. */
bool buf_grow(struct buf *b, size_t n); /* for buf_reserve alone */
static inline bool buf_reserve(struct buf *b, size_t n)
{
	return LIKELY(n <= b->cap - b->n) || buf_grow(b, n);
}
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_char(struct buf *b, char c);
static inline void buf_add_slice(struct buf *b, struct slice s)
{
	buf_add(b, s.p, s.n);
}
void buf_add_text(struct buf *b, const char *text);
void buf_add_u64(struct buf *b, uint64_t value); /* decimal */
void buf_add_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *format, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF(2, 0);
static inline struct slice buf_slice(const struct buf *b)
{
	return slice_make(b->p, b->n);
}
/* The content as a NUL-terminated text that the caller frees; b is empty then. NULL when bad. */
char *buf_take_text(struct buf *b);

#endif
