#include "role/deliver_json.h"

#include <errno.h>

static void skip_blanks(struct slice *s)
{
	while (s->n && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		*s = slice_skip(*s, 1);
}

/* Bytes of a text with its quotes; 0 when it does not end. */
static size_t text_length(struct slice s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\')
			i++;
	}
	return 0;
}

/* Of an object or an array; brackets of both kinds count as one. */
static size_t nested_length(struct slice s)
{
	size_t depth = 0, i = 0;

	while (i < s.n) {
		char c = s.p[i];
		size_t n = c == '"' ? text_length(slice_skip(s, i)) : 1;

		if (n == 0)
			return 0;
		i += n;
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		if (depth == 0)
			return i;
	}
	return 0;
}

static size_t word_length(struct slice s)
{
	size_t n = 0;

	while (n < s.n && !strchr(",}] \t\r\n\"{[:", s.p[n]))
		n++;
	return n;
}

static size_t value_length(struct slice s)
{
	if (s.n == 0)
		return 0;
	if (s.p[0] == '"')
		return text_length(s);
	return s.p[0] == '{' || s.p[0] == '[' ? nested_length(s) : word_length(s);
}

static bool take(struct json_spans *s, char c)
{
	skip_blanks(&s->left);
	if (s->left.n == 0 || s->left.p[0] != c)
		return false;
	s->left = slice_skip(s->left, 1);
	return true;
}

static struct slice take_value(struct json_spans *s)
{
	struct slice value;

	skip_blanks(&s->left);
	value = slice_head(s->left, value_length(s->left));
	s->left = slice_skip(s->left, value.n);
	return value;
}

static bool damaged(struct json_spans *s)
{
	s->bad = true;
	return false;
}

struct json_spans json_spans_of(struct slice object)
{
	struct json_spans s = { .left = object };

	s.bad = !take(&s, '{');
	return s;
}

static bool at_end(struct json_spans *s)
{
	if (!take(s, '}'))
		return false;
	skip_blanks(&s->left);
	s->bad = s->left.n > 0;
	s->done = true;
	return true;
}

bool json_spans_next(struct json_spans *s, struct json_span *ret)
{
	struct slice key, value;

	if (s->bad || s->done || at_end(s))
		return false;
	if (s->started && !take(s, ','))
		return damaged(s);
	s->started = true;
	key = take_value(s);
	if (key.n < 2 || key.p[0] != '"' || !take(s, ':'))
		return damaged(s);
	value = take_value(s);
	if (value.n == 0)
		return damaged(s);
	ret->key = slice_make(key.p + 1, key.n - 2);
	ret->value = value;
	return true;
}

struct slice json_span_text(struct slice value)
{
	if (value.n < 2 || value.p[0] != '"' || memchr(value.p, '\\', value.n))
		return SLICE_NONE;
	return slice_make(value.p + 1, value.n - 2);
}

int json_span_u32(struct slice value, uint32_t *ret)
{
	uint64_t number;

	if (slice_u64(value, &number) != 0 || number > UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)number;
	return 0;
}

int json_span_i64(struct slice value, int64_t *ret)
{
	return slice_i64(value, ret) == 0 ? 0 : -EINVAL;
}
