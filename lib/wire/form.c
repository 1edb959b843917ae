#include "wire/form.h"

bool form_next(struct slice *rest, struct slice *ret_key, struct slice *ret_value)
{
	while (rest->n) {
		struct slice pair = slice_cut(rest, '&');

		if (pair.n == 0)
			continue;
		*ret_key = slice_cut(&pair, '=');
		*ret_value = pair;
		return true;
	}
	return false;
}

bool form_is_plain(struct slice coded)
{
	return !coded.n || (!memchr(coded.p, '%', coded.n) && !memchr(coded.p, '+', coded.n));
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static size_t decode(struct slice coded, bool plus_is_blank, char *out)
{
	char *o = out;

	for (size_t i = 0; i < coded.n; i++) {
		char c = coded.p[i];

		if (c == '%' && i + 2 < coded.n) {
			int high = hex(coded.p[i + 1]), low = hex(coded.p[i + 2]);

			if (high >= 0 && low >= 0) {
				c = (char)(high << 4 | low);
				i += 2;
			}
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		*o++ = c;
	}
	return (size_t)(o - out);
}

size_t form_decode(struct slice coded, char *out)
{
	return decode(coded, true, out);
}

size_t form_decode_path(struct slice coded, char *out)
{
	return decode(coded, false, out);
}

bool form_key_is(struct slice coded_key, struct slice name)
{
	char decoded[FORM_NAME_MAX * 3];

	if (form_is_plain(coded_key))
		return slice_eq(coded_key, name);
	if (coded_key.n > sizeof(decoded))
		return false;
	return slice_eq(slice_make(decoded, form_decode(coded_key, decoded)), name);
}

bool form_find(struct slice text, struct slice name, struct slice *ret_value)
{
	struct slice key, value;

	while (form_next(&text, &key, &value)) {
		if (form_key_is(key, name)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

size_t form_without(struct slice text, struct slice name, char *out)
{
	char *o = out;

	while (text.n) {
		struct slice pair = slice_cut(&text, '&'), rest = pair;

		if (pair.n && form_key_is(slice_cut(&rest, '='), name))
			continue;
		if (o != out)
			*o++ = '&';
		if (pair.n)
			memcpy(o, pair.p, pair.n);
		o += pair.n;
	}
	return (size_t)(o - out);
}
