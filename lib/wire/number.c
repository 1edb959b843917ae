#include "wire/number.h"

#include <errno.h>
#include <stdlib.h>

#define TAIL_AFTER_DIGITS 7
#define SECONDS_MAX       (100.0 * 366 * 86400)
#define FIGURE_MAX        64

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_uri(struct slice text)
{
	return slice_starts_nocase(text, SLICE("sip:")) ||
	       slice_starts_nocase(text, SLICE("sips:")) || slice_find(text, '@') < text.n;
}

/* All of it keys of a telephone, and dots between them. */
static bool is_dtmf(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (!is_digit(c) && c != '.' && c != '*' && c != '#')
			return false;
	}
	return text.n > 0;
}

static void cut_tail(struct slice *text, struct slice *tail)
{
	size_t run = 0;

	for (size_t i = 0; i < text->n; i++) {
		if (is_digit(text->p[i])) {
			run++;
			continue;
		}
		if (text->p[i] == '.' && run >= TAIL_AFTER_DIGITS &&
		    is_dtmf(slice_skip(*text, i + 1))) {
			*tail = slice_skip(*text, i + 1);
			*text = slice_head(*text, i);
			return;
		}
		run = 0;
	}
}

/* The digits of a text that consists of them and of what people put between; else nothing. */
static struct slice digits_of(struct slice text, char *digits)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (is_digit(c))
			digits[n++] = c;
		else if (!c || !strchr("+()-./ \t", c))
			return SLICE_NONE;
	}
	return slice_make(digits, n);
}

struct party party_read(struct slice text, char *digits)
{
	struct party party = { SLICE_NONE, SLICE_NONE, SLICE_NONE };

	text = slice_trim(text);
	if (LIKELY(slice_is_digits(text))) {
		party.number = slice_is(text, "0") ? SLICE_NONE : text;
		return party;
	}
	if (is_uri(text)) {
		party.uri = text;
		return party;
	}
	cut_tail(&text, &party.dtmf);
	party.number = digits_of(text, digits);
	if (slice_is(party.number, "0"))
		party.number = SLICE_NONE;
	return party;
}

struct slice extension_read(struct slice text)
{
	size_t dash = slice_find(text, '-');

	if (dash + 1 < text.n && slice_is_digits(slice_head(text, dash)))
		return slice_skip(text, dash + 1);
	return text;
}

static size_t digits_at(struct slice s, size_t i)
{
	size_t begin = i;

	while (i < s.n && is_digit(s.p[i]))
		i++;
	return i - begin;
}

bool is_figure(struct slice s)
{
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'), n = digits_at(s, i);

	i += n;
	if (n == 0)
		return false;
	if (i < s.n && s.p[i] == '.')
		i += 1 + digits_at(s, i + 1);
	if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
		i++;
		if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
			i++;
		n = digits_at(s, i);
		i += n;
		if (n == 0)
			return false;
	}
	return i == s.n;
}

/* To the nearest whole; of two as near, the even one. */
static int64_t rounded(double x)
{
	int64_t whole = (int64_t)x;
	double rest = x - (double)whole;

	if (rest > 0.5 || (rest == 0.5 && whole % 2))
		return whole + 1;
	if (rest < -0.5 || (rest == -0.5 && whole % 2))
		return whole - 1;
	return whole;
}

int seconds_read(struct slice text, int64_t *ret_ms)
{
	char figure[FIGURE_MAX + 1];
	double seconds;

	text = slice_trim(text);
	if (!is_figure(text) || text.n > FIGURE_MAX)
		return -EINVAL;
	if (text.n <= 9 && slice_is_digits(text)) {
		int64_t whole = 0;

		for (size_t i = 0; i < text.n; i++)
			whole = whole * 10 + (text.p[i] - '0');
		*ret_ms = whole * 1000;
		return 0;
	}
	memcpy(figure, text.p, text.n);
	figure[text.n] = '\0';
	seconds = strtod(figure, NULL); /* the program never leaves the C locale */
	if (!(seconds <= SECONDS_MAX && seconds >= -SECONDS_MAX))
		return -ERANGE;
	*ret_ms = rounded(seconds * 1000.0);
	return 0;
}
