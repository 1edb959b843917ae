/*
 * Requests as bytes. A head that reads says where it ends, the same in pieces, and what it says
 * lies in it. Chunks give the same body whatever pieces they come in. The first byte is the size of
 * a piece.
 */
#include <stdlib.h>

#include "net/http_server_parse.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool is_in(struct slice s, struct slice whole)
{
	return s.n == 0 || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n);
}

static void check_head(struct slice in)
{
	struct request_head h, again;
	ssize_t n = request_head_read(in, &h);
	struct slice whole;

	if (n <= 0)
		return;
	check((size_t)n <= in.n && in.p[n - 1] == '\n');
	whole = slice_head(in, (size_t)n);
	check(is_in(h.method, whole) && h.method.n > 0 && is_in(h.target, whole));
	check(is_in(h.query, whole) && h.path.n > 0);
	check(h.path.p[0] == '/' || slice_is(h.path, "*") || slice_is(h.method, "CONNECT"));
	check(is_in(h.content_type, whole) && is_in(h.signature, whole));
	check(!(h.chunked && h.length_text.p) && h.forwarded_n <= HTTP_FORWARDED_MAX);
	for (size_t i = 0; i < h.forwarded_n; i++)
		check(is_in(h.forwarded[i], whole));
	check(request_head_read(slice_head(in, (size_t)n - 1), &again) == 0);
}

/* Its result, or 0 when all was read without one; the body in p. */
static int decode(struct slice in, size_t piece, char *p, size_t *body_n)
{
	struct chunks c = { 0 };
	size_t at = 0, raw, part;
	int got = 0;

	*body_n = 0;
	while (at < in.n && got == 0) {
		part = MIN(piece, in.n - at);
		memcpy(p + *body_n, in.p + at, part);
		raw = *body_n;
		at += part;
		got = chunks_read(&c, p, body_n, &raw, *body_n + part, BODY_MAX);
		check(*body_n <= BODY_MAX && raw >= *body_n);
	}
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	char *one = malloc(size + BODY_MAX + 1), *many = malloc(size + BODY_MAX + 1);
	size_t one_n, many_n;

	check(one && many);
	check_head(in);
	if (size > 0) {
		in = slice_skip(in, 1);
		check(decode(in, in.n, one, &one_n) == decode(in, data[0] + 1u, many, &many_n));
		check(one_n == many_n && memcmp(one, many, one_n) == 0);
	}
	free(one);
	free(many);
	return 0;
}
