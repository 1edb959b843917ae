#include "wire/base64.h"

#include <errno.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_write(struct slice bytes, char *out)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t i = 0;
	char *o = out;

	for (; i + 2 < bytes.n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2];

		*o++ = letters[v >> 18];
		*o++ = letters[v >> 12 & 63];
		*o++ = letters[v >> 6 & 63];
		*o++ = letters[v & 63];
	}
	if (i < bytes.n) {
		bool two = i + 1 < bytes.n;
		uint32_t v = (uint32_t)p[i] << 16 | (two ? (uint32_t)p[i + 1] << 8 : 0);

		*o++ = letters[v >> 18];
		*o++ = letters[v >> 12 & 63];
		*o++ = two ? letters[v >> 6 & 63] : '=';
		*o++ = '=';
	}
	return (size_t)(o - out);
}

/* The six bits of a letter, or -1. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

static struct slice without_padding(struct slice text)
{
	if (text.n % 4 == 0) {
		for (int i = 0; i < 2 && text.n && text.p[text.n - 1] == '='; i++)
			text.n--;
	}
	return text;
}

int base64_read(struct slice text, void *out, size_t *ret_n)
{
	unsigned char *o = out;
	uint32_t bits = 0;
	unsigned held = 0;

	text = without_padding(text);
	if (text.n % 4 == 1)
		return -EINVAL;
	for (size_t i = 0; i < text.n; i++) {
		int v = value_of(text.p[i]);

		if (v < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)v;
		held += 6;
		if (held >= 8) {
			held -= 8;
			*o++ = (unsigned char)(bits >> held);
			bits &= (1u << held) - 1;
		}
	}
	if (bits)
		return -EINVAL;
	*ret_n = (size_t)(o - (unsigned char *)out);
	return 0;
}
