#include "net/http_server_parse.h"

#include <errno.h>

#define SIZE_DIGITS_MAX 16u
#define EXTRA_BYTES_MAX 8192u

/* ---- lines ---- */

/* The line at *at, without CR LF; *at moves behind it. 1; 0 it is not whole; -EBADMSG. */
static int next_line(struct slice in, size_t *at, struct slice *ret)
{
	const char *begin = in.p + *at;
	const char *end = in.n > *at ? memchr(begin, '\n', in.n - *at) : NULL;

	if (!end)
		return 0;
	if (end == begin || end[-1] != '\r')
		return -EBADMSG;
	*ret = slice_make(begin, (size_t)(end - begin) - 1);
	*at = (size_t)(end - in.p) + 1;
	return 1;
}

/* RFC 9110 5.6.2 */
static bool is_token_char(char c)
{
	static const bool others[128] = {
		['!'] = true,  ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true,
		['\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true,
		['^'] = true,  ['_'] = true, ['`'] = true, ['|'] = true, ['~'] = true,
	};
	unsigned char u = (unsigned char)c, letter = u | 0x20u;

	return (letter >= 'a' && letter <= 'z') || (u >= '0' && u <= '9') || (u < 128 && others[u]);
}

static size_t token_length(struct slice s)
{
	size_t n = 0;

	while (n < s.n && is_token_char(s.p[n]))
		n++;
	return n;
}

/* Without control characters; from: the first character that is none. */
static bool is_text(struct slice s, unsigned char from)
{
	bool bad = false;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		bad |= (c < from && c != '\t') || c == 0x7f;
	}
	return !bad;
}

static bool is_target(struct slice s)
{
	return s.n > 0 && is_text(s, '!') && !memchr(s.p, '\t', s.n);
}

/* ---- the first line ---- */

/* Of "http://host": 0 s does not begin with one. */
static size_t origin_length(struct slice s)
{
	size_t scheme_n = 0, n;

	if (slice_starts_nocase(s, SLICE("http://")))
		scheme_n = 7;
	else if (slice_starts_nocase(s, SLICE("https://")))
		scheme_n = 8;
	for (n = scheme_n; n < s.n && s.p[n] != '/' && s.p[n] != '?'; n++)
		;
	return n > scheme_n && scheme_n ? n : 0;
}

/* A path, perhaps with a scheme and a host, or what one method alone has. */
static bool split_target(struct request_head *h)
{
	struct slice rest = h->target;

	rest = slice_cut(&rest, '#');
	if (!slice_starts(rest, SLICE("/"))) {
		size_t n = origin_length(rest);

		if (!n && !slice_is(h->method, "CONNECT") &&
		    !(slice_is(h->method, "OPTIONS") && slice_is(rest, "*")))
			return false;
		rest = slice_skip(rest, n);
	}
	h->path = slice_cut(&rest, '?');
	h->query = rest;
	if (!h->path.n)
		h->path = SLICE("/");
	return true;
}

static bool read_first_line(struct slice line, struct request_head *h)
{
	size_t n = token_length(line);
	struct slice rest = slice_skip(line, n), version;

	if (n == 0 || !slice_starts(rest, SLICE(" ")))
		return false;
	h->method = slice_head(line, n);
	version = slice_skip(rest, 1);
	h->target = slice_cut(&version, ' ');
	if (!is_target(h->target) || version.n != 8 || !slice_starts(version, SLICE("HTTP/1.")) ||
	    version.p[7] < '0' || version.p[7] > '9')
		return false;
	h->old = version.p[7] == '0';
	return split_target(h);
}

/* ---- headers ---- */

/* What counts of them. once: a second one makes the request unreadable. */
static const struct field {
	struct slice name;
	size_t at;
	bool once;
} fields[] = {
	{ SLICE_INIT("Host"), offsetof(struct request_head, host), true },
	{ SLICE_INIT("Content-Length"), offsetof(struct request_head, length_text), true },
	{ SLICE_INIT("Transfer-Encoding"), offsetof(struct request_head, coding), true },
	{ SLICE_INIT("Expect"), offsetof(struct request_head, expect), true },
	{ SLICE_INIT("Content-Type"), offsetof(struct request_head, content_type), false },
	{ SLICE_INIT("Signature"), offsetof(struct request_head, signature), false },
};

static struct slice trim_blanks(struct slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_skip(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* An empty value is one too: p tells whether the header was there. */
static bool keep_field(struct request_head *h, const struct field *field, struct slice value)
{
	struct slice *at = (struct slice *)(void *)((char *)h + field->at);

	if (at->p)
		return !field->once;
	*at = value;
	return true;
}

/* What of the list says whether there will be another request. */
static void read_connection(struct request_head *h, struct slice list)
{
	while (list.n) {
		struct slice word = trim_blanks(slice_cut(&list, ','));

		h->says_close |= slice_eq_nocase(word, SLICE("close"));
		h->says_keep |= slice_eq_nocase(word, SLICE("keep-alive"));
	}
}

/* A proxy may write its own behind all others, so the last ones stay. */
static void keep_forwarded(struct request_head *h, struct slice value)
{
	if (h->forwarded_n == HTTP_FORWARDED_MAX)
		memmove(h->forwarded, h->forwarded + 1, --h->forwarded_n * sizeof(h->forwarded[0]));
	h->forwarded[h->forwarded_n++] = value;
}

static bool read_field(struct slice line, struct request_head *h)
{
	size_t n = token_length(line);
	struct slice name = slice_head(line, n), value;

	if (n == 0 || n == line.n || line.p[n] != ':')
		return false;
	value = trim_blanks(slice_skip(line, n + 1));
	if (!is_text(value, ' '))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (n == fields[i].name.n && slice_eq_nocase(name, fields[i].name))
			return keep_field(h, &fields[i], value);
	}
	if (slice_eq_nocase(name, SLICE("Connection")))
		read_connection(h, value);
	else if (slice_eq_nocase(name, SLICE("X-Forwarded-For")))
		keep_forwarded(h, value);
	return true;
}

/* Where does the request end? false: two could answer differently. */
static bool read_framing(struct request_head *h)
{
	if (h->length_text.p) {
		if (h->coding.p || !slice_is_digits(h->length_text))
			return false;
		if (slice_u64(h->length_text, &h->length))
			h->length = UINT64_MAX;
	}
	h->chunked = h->coding.p != NULL;
	return !h->chunked || (!h->old && slice_eq_nocase(h->coding, SLICE("chunked")));
}

ssize_t request_head_read(struct slice in, struct request_head *ret)
{
	struct slice line;
	size_t at = 0;
	int got = next_line(in, &at, &line);

	if (got <= 0)
		return got;
	memset(ret, 0, offsetof(struct request_head, forwarded));
	ret->forwarded_n = 0;
	ret->length = 0;
	ret->says_close = ret->says_keep = false;
	if (!read_first_line(line, ret))
		return -EBADMSG;
	while ((got = next_line(in, &at, &line)) > 0 && line.n) {
		if (!read_field(line, ret))
			return -EBADMSG;
	}
	if (got <= 0)
		return got;
	return read_framing(ret) ? (ssize_t)at : -EBADMSG;
}

/* ---- chunks ---- */

enum {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,
	TRAILER_LINE,
	TRAILER_LF,
	END_LF
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_size(struct chunks *c, char byte)
{
	int digit = hex_digit(byte);

	if (digit >= 0) {
		if (++c->digits > SIZE_DIGITS_MAX)
			return -EBADMSG;
		c->left = c->left * 16 + (uint64_t)digit;
		return 0;
	}
	if (!c->digits)
		return -EBADMSG;
	if (byte == '\r')
		c->state = SIZE_LF;
	else if (byte == ';' || byte == ' ' || byte == '\t')
		c->state = EXTENSION;
	else
		return -EBADMSG;
	return 0;
}

/* Extensions and trailers say nothing to us. */
static int drop(struct chunks *c, char byte, int behind)
{
	if (byte == '\r')
		c->state = behind;
	else if (byte == '\n' || byte == '\0' || ++c->extra_n > EXTRA_BYTES_MAX)
		return -EBADMSG;
	return 0;
}

static int expect(struct chunks *c, char byte, char wanted, int behind)
{
	c->state = behind;
	return byte == wanted ? 0 : -EBADMSG;
}

/* One byte outside of the data. 1: it was the last one. */
static int read_byte(struct chunks *c, char byte)
{
	switch (c->state) {
	case SIZE:
		return read_size(c, byte);
	case EXTENSION:
		return drop(c, byte, SIZE_LF);
	case SIZE_LF:
		c->digits = 0;
		return expect(c, byte, '\n', c->left ? DATA : TRAILER);
	case DATA_CR:
		return expect(c, byte, '\r', DATA_LF);
	case DATA_LF:
		return expect(c, byte, '\n', SIZE);
	case TRAILER: /* at the begin of a line */
		c->state = TRAILER_LINE;
		return drop(c, byte, END_LF);
	case TRAILER_LINE:
		return drop(c, byte, TRAILER_LF);
	case TRAILER_LF:
		return expect(c, byte, '\n', TRAILER);
	default:
		return byte == '\n' ? 1 : -EBADMSG;
	}
}

int chunks_read(struct chunks *c, char *p, size_t *body_n, size_t *raw, size_t n, size_t body_max)
{
	int got = 0;

	while (*raw < n && !got) {
		if (c->state != DATA) {
			got = read_byte(c, p[(*raw)++]);
			if (!got && c->state == DATA && c->left > body_max - *body_n)
				got = -EFBIG;
			continue;
		}
		size_t part = (size_t)MIN(c->left, n - *raw);

		memmove(p + *body_n, p + *raw, part);
		*body_n += part;
		*raw += part;
		c->left -= part;
		if (!c->left)
			c->state = DATA_CR;
	}
	return got;
}
