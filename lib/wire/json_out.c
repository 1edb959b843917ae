#include "wire/json_out.h"

#include "wire/base64.h"
#include "wire/json_text.h"

/*
 * A text is copied eight bytes at a time until one needs care; only what is behind that goes the
 * slow way. Most texts of events never leave the fast loop.
 */

/* Room for n more bytes behind the text so far; NULL (and bad) without. */
static inline char *room(struct json_out *j, size_t n)
{
	struct buf *b = j->buf;

	if (UNLIKELY(b->bad) || !buf_reserve(b, n))
		return NULL;
	return b->p + b->n;
}

static inline char *put_comma(struct json_out *j, char *p)
{
	if (j->comma)
		*p++ = ',';
	return p;
}

/* The value that ends at p is written; the next member or element needs a comma. */
static inline void done(struct json_out *j, const char *p)
{
	j->buf->n = (size_t)(p - j->buf->p);
	j->comma = true;
}

static void open_with(struct json_out *j, char bracket)
{
	char *p = room(j, 2);

	if (!p)
		return;
	p = put_comma(j, p);
	*p++ = bracket;
	done(j, p);
	j->comma = false;
}

static void close_with(struct json_out *j, char bracket)
{
	char *p = room(j, 1);

	if (!p)
		return;
	*p++ = bracket;
	done(j, p);
}

void jo_begin_object(struct json_out *j)
{
	open_with(j, '{');
}

void jo_end_object(struct json_out *j)
{
	close_with(j, '}');
}

void jo_begin_array(struct json_out *j)
{
	open_with(j, '[');
}

void jo_end_array(struct json_out *j)
{
	close_with(j, ']');
}

void jo_key(struct json_out *j, struct slice key)
{
	char *p = room(j, key.n + 4);

	if (!p)
		return;
	p = put_comma(j, p);
	*p++ = '"';
	memcpy(p, key.p, key.n);
	p += key.n;
	*p++ = '"';
	*p++ = ':';
	done(j, p);
	j->comma = false;
}

/* The letter behind the backslash; 0 where there is none. */
static const char letters[256] = {
	['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
	['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
};

/* Copies what may be written as it is, a word at a time; 8 bytes more than that may be written. */
static inline char *put_plain(char *p, const unsigned char **s, const unsigned char *end)
{
	while (end - *s >= 8) {
		uint64_t w, found;

		memcpy(&w, *s, 8);
		memcpy(p, &w, 8);
		found = json_not_plain(w);
		if (found) {
			size_t n = (size_t)__builtin_ctzll(found) / 8;

			*s += n;
			return p + n;
		}
		*s += 8;
		p += 8;
	}
	while (*s < end && json_is_plain(**s))
		*p++ = (char)*(*s)++;
	return p;
}

/* What begins at s and needs care: an escape, a sequence of UTF-8, or no text at all. At most 6
 * bytes. */
static inline char *put_special(char *p, const unsigned char **s, const unsigned char *end)
{
	static const char hex[] = "0123456789abcdef";
	static const char replacement[] = { '\xef', '\xbf', '\xbd' }; /* U+FFFD */
	unsigned char c = **s;
	size_t n = 1;

	if (letters[c]) {
		*p++ = '\\';
		*p++ = letters[c];
	} else if (c < 0x20) {
		const char code[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

		memcpy(p, code, sizeof(code));
		p += sizeof(code);
	} else if ((n = json_sequence((const char *)*s, (size_t)(end - *s)))) {
		memcpy(p, *s, n);
		p += n;
	} else {
		memcpy(p, replacement, sizeof(replacement));
		p += sizeof(replacement);
		n = 1;
	}
	*s += n;
	return p;
}

#define CHUNK_BYTES 512 /* how far room is made ahead, at six bytes for each */

static void add_escaped(struct buf *b, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + n;

	while (s < end) {
		const unsigned char *stop = s + MIN((size_t)(end - s), (size_t)CHUNK_BYTES);
		char *p;

		if (!buf_reserve(b, (size_t)(stop - s) * 6 + 16))
			return;
		p = b->p + b->n;
		while (s < stop) {
			const unsigned char *ahead = s + MIN(end - s, stop - s + 7);

			p = put_plain(p, &s, ahead);
			if (s < stop)
				p = put_special(p, &s, end);
		}
		b->n = (size_t)(p - b->p);
	}
}

void jo_text(struct json_out *j, struct slice s)
{
	char *p = room(j, s.n + 3);
	size_t i = 0;

	if (!p)
		return;
	p = put_comma(j, p);
	*p++ = '"';
	for (; s.n - i >= 8; i += 8) {
		uint64_t w;

		memcpy(&w, s.p + i, 8);
		if (json_not_plain(w))
			break;
		memcpy(p + i, &w, 8);
	}
	for (; i < s.n && json_is_plain((unsigned char)s.p[i]); i++)
		p[i] = s.p[i];
	p += i;
	if (LIKELY(i == s.n)) {
		*p++ = '"';
		done(j, p);
		return;
	}
	done(j, p);
	add_escaped(j->buf, s.p + i, s.n - i);
	buf_add_char(j->buf, '"');
}

void jo_int(struct json_out *j, int64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	uint64_t size = v < 0 ? -(uint64_t)v : (uint64_t)v;
	char *p = room(j, sizeof(digits) + 2);

	if (!p)
		return;
	p = put_comma(j, p);
	if (v < 0)
		*p++ = '-';
	do {
		digits[--at] = (char)('0' + size % 10);
		size /= 10;
	} while (size);
	memcpy(p, digits + at, sizeof(digits) - at);
	done(j, p + sizeof(digits) - at);
}

void jo_bool(struct json_out *j, bool v)
{
	jo_raw(j, v ? SLICE("true") : SLICE("false"));
}

void jo_time(struct json_out *j, int64_t ms)
{
	char *p = room(j, TIME_ISO_LEN + 3);

	if (!p)
		return;
	p = put_comma(j, p);
	*p++ = '"';
	time_iso_write(ms, p);
	p += TIME_ISO_LEN;
	*p++ = '"';
	done(j, p);
}

void jo_uuid(struct json_out *j, const struct uuid *id)
{
	char *p = room(j, UUID_TEXT_LEN + 3);

	if (!p)
		return;
	p = put_comma(j, p);
	*p++ = '"';
	uuid_write(id, p);
	p += UUID_TEXT_LEN;
	*p++ = '"';
	done(j, p);
}

void jo_raw(struct json_out *j, struct slice json)
{
	char *p = room(j, json.n + 1);

	if (!p)
		return;
	p = put_comma(j, p);
	if (json.n)
		memcpy(p, json.p, json.n);
	done(j, p + json.n);
}

void jo_base64(struct json_out *j, struct slice bytes)
{
	char *p = room(j, BASE64_LEN(bytes.n) + 3);

	if (!p)
		return;
	p = put_comma(j, p);
	*p++ = '"';
	p += base64_write(bytes, p);
	*p++ = '"';
	done(j, p);
}
