#include "wire/json_scan.h"

/* ---- texts ---- */

/* What the letter behind a backslash stands for; 0: nothing, or (u) it takes four digits. */
static const char escapes[256] = {
	['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
	['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

/* The code unit of four hex digits, or -1. */
static int32_t code_unit(const char *p, const char *end)
{
	int32_t unit = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		unsigned c = (unsigned char)p[i], digit = c - '0', letter = (c | 0x20) - 'a';

		if (digit > 9 && letter > 5)
			return -1;
		unit = unit << 4 | (int32_t)(digit <= 9 ? digit : letter + 10);
	}
	return unit;
}

/* The code point of the \u at p, or of the pair of them; *p becomes what is behind. -1: none. */
static int32_t code_point(const char **p, const char *end)
{
	int32_t high = code_unit(*p + 2, end), low;

	if (high < 0)
		return -1;
	*p += 6;
	if ((high & 0xf800) != 0xd800)
		return high;
	if (high >= 0xdc00 || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
		return -1;
	low = code_unit(*p + 2, end);
	if (low < 0 || (low & 0xfc00) != 0xdc00)
		return -1;
	*p += 6;
	return 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
}

/* What follows the escape at p; NULL: it is none. */
static inline const char *escape_end(const char *p, const char *end)
{
	if (UNLIKELY(end - p < 2))
		return NULL;
	if (LIKELY(escapes[(unsigned char)p[1]]))
		return p + 2;
	return p[1] == 'u' && code_point(&p, end) >= 0 ? p : NULL;
}

/* What follows the sequences of UTF-8 at p; NULL: one is wrong. Mostly they come in words. */
static inline const char *sequences_end(const char *p, const char *end)
{
	while (end - p >= 8 && utf8_is_cyrillic(p))
		p += 8;
	while (p < end && (unsigned char)*p >= 0x80) {
		size_t n = json_sequence(p, (size_t)(end - p));

		if (UNLIKELY(n == 0))
			return NULL;
		p += n;
	}
	return p;
}

#ifdef __SSE2__
/* As block_end, of a block whose escapes are not all of quotes. */
static const char *mixed_block_end(const char *p, unsigned slashes, unsigned found)
{
	const char *end = p + 16;

	while (found) {
		unsigned at = (unsigned)__builtin_ctz(found);

		if (!(slashes >> at & 1) || !escapes[(unsigned char)p[at + 1]])
			return p + at;
		found &= ~(3U << at);
		end += at == 15;
	}
	return end;
}
#endif

/*
 * Passes what is plain and escapes of one letter in the 16 bytes at p, behind which there is one
 * more: the first byte that is something else, or what is behind the sixteen. The bodies of raw are
 * full of escaped quotes, so those of one block are looked at together.
 */
static inline const char *block_end(const char *p, bool *escaped)
{
#ifdef __SSE2__
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	unsigned strange = (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(v, _mm_set1_epi8(' ')));
	unsigned quotes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
	unsigned slashes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
	unsigned behind = slashes << 1;

	*escaped |= slashes != 0;
	if (UNLIKELY(behind & ~quotes))
		return mixed_block_end(p, slashes, slashes | quotes | strange);
	/* Behind each backslash there is a quote, and no end of a text or a backslash. */
	strange |= quotes ^ behind;
	return strange ? p + __builtin_ctz(strange) : p + 16;
#else
	(void)escaped;
	return json_plain_end(p, p + 16);
#endif
}

/* The first byte that is not plain nor, where they come in blocks, an escape of one letter. */
static inline const char *easy_end(const char *p, const char *end, bool *escaped)
{
	while (end - p > 16) {
		const char *block = p + 16;

		p = block_end(p, escaped);
		if (p < block)
			return p;
	}
	return json_plain_end(p, end);
}

/* The quote that ends the text p lies in; NULL: there is none, or something in it is wrong. */
static const char *text_end(const char *p, const char *end, bool *escaped)
{
	for (;;) {
		p = easy_end(p, end, escaped);
		if (UNLIKELY(p == end))
			return NULL;
		if (*p == '"')
			return p;
		if (*p == '\\') {
			*escaped = true;
			p = escape_end(p, end);
		} else {
			p = (unsigned char)*p >= 0x80 ? sequences_end(p, end) : NULL;
		}
		if (UNLIKELY(!p))
			return NULL;
	}
}

static char *put_code_point(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* Of a text that was checked; no longer than it was. Returns its length. */
static size_t unescape(struct slice text, char *out)
{
	const char *p = text.p, *end = p + text.n;
	char *o = out;

	while (p < end) {
		const char *at = memchr(p, '\\', (size_t)(end - p));
		size_t n = (size_t)((at ? at : end) - p);

		memcpy(o, p, n);
		o += n;
		p += n;
		if (!at)
			break;
		if (p[1] == 'u') {
			o = put_code_point(o, (uint32_t)code_point(&p, end));
		} else {
			*o++ = escapes[(unsigned char)p[1]];
			p += 2;
		}
	}
	return (size_t)(o - out);
}

/* Of a text that is not all plain; at: from here on it is looked at. */
static __attribute__((noinline)) const char *hard_text(struct json_scan *s, const char *p,
						       const char *at, struct slice *ret)
{
	bool escaped = false;
	char *copy;

	at = text_end(at, s->end, &escaped);
	if (!at)
		return NULL;
	*ret = slice_make(p + 1, (size_t)(at - p - 1));
	if (!escaped)
		return at + 1;
	copy = arena_alloc(s->arena, ret->n);
	if (!copy) {
		s->no_memory = true;
		return NULL;
	}
	*ret = slice_make(copy, unescape(*ret, copy));
	return at + 1;
}

const char *json_scan_any_text(struct json_scan *s, const char *p, const char *at,
			       struct slice *ret)
{
	at = json_plain_end(at, s->end);
	if (UNLIKELY(at == s->end || *at != '"'))
		return hard_text(s, p, at, ret);
	*ret = slice_make(p + 1, (size_t)(at - p - 1));
	return at + 1;
}

/* ---- numbers and words ---- */

/* As everywhere here the object's brace ends it at the latest. */
static inline const char *digits_end(const char *p)
{
	while (*p >= '0' && *p <= '9')
		p++;
	return p;
}

/* ".5" and "e-3" where they stand; NULL: something is missing in them. */
static const char *fraction_end(const char *p)
{
	const char *from;

	if (*p == '.') {
		from = p + 1;
		p = digits_end(from);
		if (p == from)
			return NULL;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '+' || *p == '-')
			p++;
		from = p;
		p = digits_end(from);
		if (p == from)
			return NULL;
	}
	return p;
}

static const char *number_end(const char *p)
{
	const char *from = *p == '-' ? p + 1 : p;

	p = digits_end(from);
	if (p == from || (*from == '0' && p - from > 1))
		return NULL;
	return *p == '.' || *p == 'e' || *p == 'E' ? fraction_end(p) : p;
}

static const char *literal_end(const struct json_scan *s, const char *p, enum json_type *ret)
{
	const struct slice left = slice_make(p, (size_t)(s->end - p));

	if (slice_starts(left, SLICE("true")))
		*ret = JSON_TRUE;
	else if (slice_starts(left, SLICE("false")))
		*ret = JSON_FALSE;
	else if (slice_starts(left, SLICE("null")))
		*ret = JSON_NULL;
	else
		return NULL;
	return p + (*ret == JSON_FALSE ? 5 : 4);
}

const char *json_scan_word(const struct json_scan *s, const char *p, struct json_value *ret)
{
	const char *end;

	if (*p == 't' || *p == 'f' || *p == 'n') {
		ret->text = SLICE_NONE;
		return literal_end(s, p, &ret->type);
	}
	end = number_end(p);
	ret->text = slice_make(p, end ? (size_t)(end - p) : 0);
	ret->type = JSON_NUMBER;
	return end;
}

/* ---- the object ---- */

const char *json_scan_begin(struct json_scan *s, struct slice input, struct arena *arena)
{
	input = slice_trim(input);
	*s = (struct json_scan){ input.p + input.n, arena, false };
	return input.n >= 2 && input.p[0] == '{' && s->end[-1] == '}' ? input.p : NULL;
}

/*
 * The brackets that are open, innermost in the lowest bit: 1 an object, 0 a list. Sixty-four lie in
 * the word, the others in the arena.
 */
struct nest {
	uint64_t word;
	size_t depth;
	struct outer {
		uint64_t word;
		struct outer *outer;
	} * outer;
};

static bool nest_push(struct json_scan *s, struct nest *nest, bool object)
{
	if (nest->depth && nest->depth % 64 == 0) {
		struct outer *outer = arena_alloc(s->arena, sizeof(*outer));

		if (!outer) {
			s->no_memory = true;
			return false;
		}
		*outer = (struct outer){ nest->word, nest->outer };
		nest->outer = outer;
	}
	nest->word = nest->word << 1 | object;
	nest->depth++;
	return true;
}

static void nest_pop(struct nest *nest)
{
	nest->word >>= 1;
	nest->depth--;
	if (nest->depth && nest->depth % 64 == 0) {
		nest->word = nest->outer->word;
		nest->outer = nest->outer->outer;
	}
}

static inline const char *skip_text(const struct json_scan *s, const char *p)
{
	bool escaped = false;

	p = text_end(p + 1, s->end, &escaped);
	return p ? p + 1 : NULL;
}

/* In an object up to the value, in a list nothing. */
static inline const char *skip_key(const struct json_scan *s, const struct nest *nest,
				   const char *p)
{
	if (!(nest->word & 1))
		return p;
	p = *p == '"' ? skip_text(s, p) : NULL;
	if (!p)
		return NULL;
	p = json_scan_blanks(p);
	return *p == ':' ? json_scan_blanks(p + 1) : NULL;
}

/* A value that is no list or object, or an empty one; of one with items its first. */
static const char *skip_one(struct json_scan *s, struct nest *nest, const char *p, bool *entered)
{
	struct json_value word;
	char close;

	*entered = false;
	if (*p == '"')
		return skip_text(s, p);
	if (*p != '{' && *p != '[')
		return json_scan_word(s, p, &word);
	close = *p == '{' ? '}' : ']';
	p = json_scan_enter(p);
	if (*p == close)
		return json_scan_leave(s, p);
	*entered = true;
	return nest_push(s, nest, close == '}') ? skip_key(s, nest, p) : NULL;
}

/* What stands behind a value: the ends of what it is in, then the next one. */
static const char *skip_ends(const struct json_scan *s, struct nest *nest, const char *p)
{
	while (p && nest->depth) {
		char close = nest->word & 1 ? '}' : ']';

		p = json_scan_next(p, close);
		if (!p || *p != close)
			return p ? skip_key(s, nest, p) : NULL;
		p = json_scan_leave(s, p);
		nest_pop(nest);
	}
	return p;
}

const char *json_scan_skip(struct json_scan *s, const char *p)
{
	struct nest nest = { 0, 0, NULL };
	bool entered;

	do {
		p = skip_one(s, &nest, p, &entered);
		if (!entered)
			p = skip_ends(s, &nest, p);
	} while (p && nest.depth);
	return p;
}
