/*
 * base64.h - RFC 4648 section 4, with padding
 * Thread: any.
 */
#ifndef CS_WIRE_BASE64_H
#define CS_WIRE_BASE64_H

#include "base/slice.h"

/* Bytes of text for n bytes. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes exactly BASE64_LEN(bytes.n) characters, no NUL; returns how many. */
size_t base64_write(struct slice bytes, char *out);
/*
 * Reads text into out, which has room for text.n / 4 * 3 + 2 bytes. Padding may be left out, the
 * unused bits must be zero, nothing else may stand in the text. 0 with *ret_n, or -EINVAL.
 */
CHECKED int base64_read(struct slice text, void *out, size_t *ret_n);

#endif
