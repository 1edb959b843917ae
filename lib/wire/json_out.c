#include "wire/json_out.h"

#include "wire/base64.h"
#include "wire/json_text.h"

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

/* Up to stop or a little behind it; as much of that is read and written at once. */
static char *put_escaped(char *p, const unsigned char **text, const unsigned char *stop,
			 const unsigned char *end)
{
	const unsigned char *s = *text;

	while (s < stop) {
		if (end - s >= JSON_BLOCK) {
			size_t n = json_plain_n((const char *)s);

			memcpy(p, s, JSON_BLOCK);
			p += n;
			s += n;
			if (n == JSON_BLOCK)
				continue;
		} else if (json_is_plain(*s)) {
			*p++ = (char)*s++;
			continue;
		}
		for (; s < stop && end - s >= 8 && utf8_is_cyrillic((const char *)s);
		     p += 8, s += 8)
			memcpy(p, s, 8);
		if (s < end && !json_is_plain(*s))
			p = put_special(p, &s, end);
	}
	*text = s;
	return p;
}

static void add_escaped(struct buf *b, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + n;

	while (s < end) {
		const unsigned char *stop = s + MIN((size_t)(end - s), (size_t)CHUNK_BYTES);

		if (!buf_reserve(b, (size_t)(stop - s) * 6 + (size_t)4 * JSON_BLOCK))
			return;
		b->n = (size_t)(put_escaped(b->p + b->n, &s, stop, end) - b->p);
	}
}

/* Of fewer than eight bytes, as two fours or three ones that may overlap; false: not all are plain.
 */
static inline bool put_few(char *p, const char *s, size_t n)
{
	uint32_t first, last;

	if (n == 0)
		return true;
	if (n < 4) {
		p[0] = s[0];
		p[n / 2] = s[n / 2];
		p[n - 1] = s[n - 1];
		return json_is_plain((unsigned char)s[0]) &&
		       json_is_plain((unsigned char)s[n / 2]) &&
		       json_is_plain((unsigned char)s[n - 1]);
	}
	memcpy(&first, s, 4);
	memcpy(&last, s + n - 4, 4);
	memcpy(p, &first, 4);
	memcpy(p + n - 4, &last, 4);
	return json_not_plain(first | (uint64_t)last << 32) == 0;
}

static inline uint64_t put_eight(char *p, const char *s)
{
	uint64_t v;

	memcpy(&v, s, 8);
	memcpy(p, &v, 8);
	return json_not_plain(v);
}

/* The text where all of it is plain, which is nearly always; else false, and it was not written. */
static inline bool put_plain(char *p, struct slice s)
{
	size_t i = 0;

	if (s.n < 8)
		return put_few(p, s.p, s.n);
	if (s.n < JSON_BLOCK)
		return !(put_eight(p, s.p) | put_eight(p + s.n - 8, s.p + s.n - 8));
	for (; i + JSON_BLOCK <= s.n; i += JSON_BLOCK) {
		memcpy(p + i, s.p + i, JSON_BLOCK);
		if (json_plain_n(s.p + i) < JSON_BLOCK)
			return false;
	}
	/* The last block once more, where it is not the last of these. */
	i = s.n - JSON_BLOCK;
	memcpy(p + i, s.p + i, JSON_BLOCK);
	return json_plain_n(s.p + i) == JSON_BLOCK;
}

/* From the quote at p on, where there is room for it as it is. */
static inline void put_text(struct json_out *j, char *p, struct slice s)
{
	*p++ = '"';
	if (LIKELY(put_plain(p, s))) {
		p[s.n] = '"';
		done(j, p + s.n + 1);
		return;
	}
	done(j, p);
	add_escaped(j->buf, s.p, s.n);
	buf_add_char(j->buf, '"');
}

void jo_text(struct json_out *j, struct slice s)
{
	char *p = room(j, s.n + 3);

	if (p)
		put_text(j, put_comma(j, p), s);
}

static inline char *put_int(char *p, int64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	uint64_t size = v < 0 ? -(uint64_t)v : (uint64_t)v;

	if (v < 0)
		*p++ = '-';
	do {
		digits[--at] = (char)('0' + size % 10);
		size /= 10;
	} while (size);
	memcpy(p, digits + at, sizeof(digits) - at);
	return p + sizeof(digits) - at;
}

void jo_int(struct json_out *j, int64_t v)
{
	char *p = room(j, 22);

	if (p)
		done(j, put_int(put_comma(j, p), v));
}

/* ---- members ---- */

#define KEY_BYTES_MAX ((size_t)2 * JSON_BLOCK)

/* Comma and key; room for KEY_BYTES_MAX + 1 bytes is there. */
static inline char *put_key(struct json_out *j, char *p, const char *key, size_t n)
{
	p = put_comma(j, p);
	memcpy(p, key, JSON_BLOCK);
	if (n > JSON_BLOCK)
		memcpy(p + JSON_BLOCK, key + JSON_BLOCK, JSON_BLOCK);
	return p + n;
}

void jo_put_key(struct json_out *j, const char *key, size_t key_n)
{
	char *p = room(j, KEY_BYTES_MAX + 1);

	if (!p)
		return;
	done(j, put_key(j, p, key, key_n));
	j->comma = false;
}

void jo_put_text(struct json_out *j, const char *key, size_t key_n, struct slice s)
{
	char *p = room(j, KEY_BYTES_MAX + 1 + s.n + 2);

	if (p)
		put_text(j, put_key(j, p, key, key_n), s);
}

void jo_put_int(struct json_out *j, const char *key, size_t key_n, int64_t v)
{
	char *p = room(j, KEY_BYTES_MAX + 1 + 21);

	if (p)
		done(j, put_int(put_key(j, p, key, key_n), v));
}

static inline char *put_time(char *p, int64_t ms)
{
	*p++ = '"';
	time_iso_write(ms, p);
	p += TIME_ISO_LEN;
	*p++ = '"';
	return p;
}

void jo_put_time(struct json_out *j, const char *key, size_t key_n, int64_t ms)
{
	char *p = room(j, KEY_BYTES_MAX + 1 + TIME_ISO_LEN + 2);

	if (p)
		done(j, put_time(put_key(j, p, key, key_n), ms));
}

/* ---- other values ---- */

void jo_bool(struct json_out *j, bool v)
{
	jo_raw(j, v ? SLICE("true") : SLICE("false"));
}

void jo_time(struct json_out *j, int64_t ms)
{
	char *p = room(j, TIME_ISO_LEN + 3);

	if (p)
		done(j, put_time(put_comma(j, p), ms));
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
