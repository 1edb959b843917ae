#include "wire/utf8.h"

/* The range of the second byte behind this first one, and the length; 0: it begins no sequence. */
static size_t shape_of(unsigned char first, unsigned char *low, unsigned char *high)
{
	*low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	*high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Bytes at the front that are a sequence (*whole) or the beginning of one; at least 1. */
static size_t front(struct slice text, bool *whole)
{
	const unsigned char *p = (const unsigned char *)text.p;
	unsigned char low, high;
	size_t length = shape_of(p[0], &low, &high), n = 1;

	while (n < length && n < text.n && p[n] >= low && p[n] <= high) {
		low = 0x80;
		high = 0xbf;
		n++;
	}
	*whole = n == length;
	return n;
}

size_t utf8_mend(struct slice text, char *out)
{
	char *o = out;

	while (text.n) {
		bool whole;
		size_t n = front(text, &whole);

		memcpy(o, whole ? text.p : "\xef\xbf\xbd", whole ? n : 3);
		o += whole ? n : 3;
		text = slice_skip(text, n);
	}
	return (size_t)(o - out);
}

/* Both bytes of a Cyrillic capital (U+0401, U+0410..U+042F) become those of its small letter. */
static void lower_cyrillic(unsigned char *p)
{
	if (p[0] != 0xd0)
		return;
	if (p[1] == 0x81) {
		p[0] = 0xd1;
		p[1] = 0x91;
	} else if (p[1] >= 0x90 && p[1] <= 0x9f) {
		p[1] += 0x20;
	} else if (p[1] >= 0xa0 && p[1] <= 0xaf) {
		p[0] = 0xd1;
		p[1] -= 0x20;
	}
}

void utf8_lower(struct slice text, char *out)
{
	if (text.n)
		memcpy(out, text.p, text.n);
	for (size_t i = 0; i < text.n; i++) {
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] + ('a' - 'A'));
		else if (i + 1 < text.n)
			lower_cyrillic((unsigned char *)out + i);
	}
}
