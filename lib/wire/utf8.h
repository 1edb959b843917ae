/*
 * utf8.h - text that should be UTF-8 and is not quite
 * Thread: any.
 */
#ifndef CS_WIRE_UTF8_H
#define CS_WIRE_UTF8_H

#include "base/slice.h"

/* Copies text; each run of bytes that is the beginning of a sequence but no whole one, and each
 * byte that begins none, becomes one U+FFFD (Unicode 3.9). Writes at most 3 * text.n bytes; returns
 * how many. */
size_t utf8_mend(struct slice text, char *out);

/* ASCII and Cyrillic capitals become small letters, all else is copied. Writes exactly text.n
 * bytes. */
void utf8_lower(struct slice text, char *out);

#endif
