/* Heads and chunks: what is read, what is refused, and that pieces make no difference. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "net/http_server_parse.h"
#include "unit/base/rows.h"

#define BODY_MAX 20

/* ---- heads ---- */

static const struct head_row {
	const char *name, *sent;
	const char *want; /* method path ? query : length : type : signature; NULL: refused */
} head_rows[] = {
	{ "all of it",
	  "POST /a?b=c HTTP/1.1\r\nHost: h\r\ncontent-TYPE:t/t \r\nSignature: \ts\r\n"
	  "Content-Length: 12\r\nX-Other: 1\r\n\r\n",
	  "POST /a ? b=c : 12 : t/t : s" },
	{ "nothing but the line", "GET / HTTP/1.1\r\n\r\n", "GET / ?  : 0 :  : " },
	{ "chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n",
	  "POST / ?  : chunked :  : " },
	{ "the first of two types", "GET / HTTP/1.1\r\nContent-Type: a\r\nContent-Type: b\r\n\r\n",
	  "GET / ?  : 0 : a : " },
	{ "an empty value is a value", "GET / HTTP/1.1\r\nSignature:\r\nSignature: late\r\n\r\n",
	  "GET / ?  : 0 :  : " },
	{ "a length that fits in no number",
	  "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
	  "POST / ?  : 18446744073709551615 :  : " },
	{ "leading zeros", "POST / HTTP/1.1\r\nContent-Length: 007\r\n\r\n",
	  "POST / ?  : 7 :  : " },
	{ "absolute target", "GET http://u@h:1/x?y#z HTTP/1.1\r\n\r\n", "GET /x ? y : 0 :  : " },
	{ "absolute without a path", "GET http://h?y HTTP/1.1\r\n\r\n", "GET / ? y : 0 :  : " },
	{ "absolute, scheme in large", "GET HTTPS://h/x HTTP/1.1\r\n\r\n", "GET /x ?  : 0 :  : " },
	{ "an address in the query", "GET /x?u=http://h/y HTTP/1.1\r\n\r\n",
	  "GET /x ? u=http://h/y : 0 :  : " },
	{ "an authority", "CONNECT h:443 HTTP/1.1\r\n\r\n", "CONNECT h:443 ?  : 0 :  : " },
	{ "asterisk", "OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS * ?  : 0 :  : " },
	{ "bytes above ASCII", "GET /\xd0\xb0?\xff HTTP/1.1\r\nX: \xd0\xb0\r\n\r\n",
	  "GET /\xd0\xb0 ? \xff : 0 :  : " },
	{ "a later minor version", "GET / HTTP/1.7\r\n\r\n", "GET / ?  : 0 :  : " },

	{ "two lengths", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
	  NULL },
	{ "the same length twice",
	  "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", NULL },
	{ "a list of lengths", "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n", NULL },
	{ "a length with a sign", "POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\n", NULL },
	{ "a length in hex", "POST / HTTP/1.1\r\nContent-Length: 0x3\r\n\r\n", NULL },
	{ "an empty length", "POST / HTTP/1.1\r\nContent-Length: \r\n\r\n", NULL },
	{ "length and chunks",
	  "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", NULL },
	{ "chunks and length",
	  "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", NULL },
	{ "chunks and an empty length",
	  "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length:\r\n\r\n", NULL },
	{ "chunks twice",
	  "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	  NULL },
	{ "chunks in a list", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", NULL },
	{ "another coding", "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", NULL },
	{ "an empty coding", "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", NULL },
	{ "a coding with a tail", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\x0b\r\n\r\n",
	  NULL },
	{ "chunks in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", NULL },
	{ "a blank before the colon", "POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\n", NULL },
	{ "a folded line", "POST / HTTP/1.1\r\nX: 1\r\n Content-Length: 3\r\n\r\n", NULL },
	{ "a folded line, by tab", "POST / HTTP/1.1\r\nX: 1\r\n\tmore\r\n\r\n", NULL },
	{ "folded before the first header", "POST / HTTP/1.1\r\n X: 1\r\n\r\n", NULL },
	{ "bare LF behind the first line", "GET / HTTP/1.1\nX: 1\r\n\r\n", NULL },
	{ "bare LF behind a header", "GET / HTTP/1.1\r\nX: 1\nContent-Length: 3\r\n\r\n", NULL },
	{ "bare LF as the empty line", "GET / HTTP/1.1\r\nX: 1\r\n\n", NULL },
	{ "bare CR in a value", "GET / HTTP/1.1\r\nX: 1\rContent-Length: 3\r\n\r\n", NULL },
	{ "two CR", "GET / HTTP/1.1\r\nX: 1\r\r\n\r\n", NULL },
	{ "an escape in a value", "GET / HTTP/1.1\r\nX: \x1b\r\n\r\n", NULL },
	{ "no colon", "GET / HTTP/1.1\r\nnonsense\r\n\r\n", NULL },
	{ "no name", "GET / HTTP/1.1\r\n: x\r\n\r\n", NULL },
	{ "a name that is no token", "GET / HTTP/1.1\r\nX(y): x\r\n\r\n", NULL },
	{ "absolute, fragment first", "GET x#://y HTTP/1.1\r\n\r\n", NULL },
	{ "no slash, an address in the query", "GET x?u=http://h/y HTTP/1.1\r\n\r\n", NULL },
	{ "no slash", "GET hooks/x HTTP/1.1\r\n\r\n", NULL },
	{ "absolute without a host", "GET http:///x HTTP/1.1\r\n\r\n", NULL },
	{ "absolute of another scheme", "GET ftp://h/x HTTP/1.1\r\n\r\n", NULL },
	{ "an asterisk that is got", "GET * HTTP/1.1\r\n\r\n", NULL },
	{ "two expectations", "POST / HTTP/1.1\r\nExpect: 100-continue\r\nExpect: x\r\n\r\n",
	  NULL },
	{ "a list of codings", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
	  NULL },
	{ "chunked twice in one", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
	  NULL },
	{ "a coding like chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", NULL },
	{ "a coding in quotes", "POST / HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", NULL },
	{ "a coding with a parameter", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
	  NULL },
	{ "a blank in the length", "POST / HTTP/1.1\r\nContent-Length: 1 2\r\n\r\n", NULL },
	{ "a length with digits of Unicode", "POST / HTTP/1.1\r\nContent-Length: \xd9\xa3\r\n\r\n",
	  NULL },
	{ "a tab before the colon", "POST / HTTP/1.1\r\nTransfer-Encoding\t: chunked\r\n\r\n",
	  NULL },
	{ "a blank before the first header's name",
	  "POST / HTTP/1.1\r\n\tTransfer-Encoding: chunked\r\n\r\n", NULL },
	{ "a method of one byte above ASCII", "G\xcbT / HTTP/1.1\r\n\r\n", NULL },
	{ "a delete character", "GET / HTTP/1.1\r\nX: \x7f\r\n\r\n", NULL },
	{ "a form feed behind the target", "GET /\x0c HTTP/1.1\r\n\r\n", NULL },
	{ "an end of line in the target", "GET /\r HTTP/1.1\r\n\r\n", NULL },
	{ "a bare CR as the empty line", "GET / HTTP/1.1\r\n\rX: 1\r\n\r\n", NULL },
	{ "two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", NULL },
	{ "no target", "GET HTTP/1.1\r\n\r\n", NULL },
	{ "two blanks", "GET  / HTTP/1.1\r\n\r\n", NULL },
	{ "a blank in the target", "GET /a b HTTP/1.1\r\n\r\n", NULL },
	{ "a tab in the target", "GET /a\tb HTTP/1.1\r\n\r\n", NULL },
	{ "a blank at the end", "GET / HTTP/1.1 \r\n\r\n", NULL },
	{ "no method", " / HTTP/1.1\r\n\r\n", NULL },
	{ "a method that is no token", "G@T / HTTP/1.1\r\n\r\n", NULL },
	{ "no version", "GET /\r\n\r\n", NULL },
	{ "another version", "GET / HTTP/2.0\r\n\r\n", NULL },
	{ "a version of three digits", "GET / HTTP/1.11\r\n\r\n", NULL },
	{ "a small version", "GET / http/1.1\r\n\r\n", NULL },
};

static void head(void **state)
{
	const struct head_row *row = *state;
	size_t n = strlen(row->sent);
	struct request_head h;
	char length[32] = "chunked", said[300];

	if (!row->want) {
		assert_int_equal(request_head_read(slice_make(row->sent, n), &h), -EBADMSG);
		return;
	}
	for (size_t part = 0; part < n; part++)
		assert_int_equal(request_head_read(slice_make(row->sent, part), &h), 0);
	assert_int_equal(request_head_read(slice_make(row->sent, n), &h), n);
	if (!h.chunked)
		snprintf(length, sizeof(length), "%llu", (unsigned long long)h.length);
	snprintf(said, sizeof(said), "%.*s %.*s ? %.*s : %s : %.*s : %.*s", SLICE_ARG(h.method),
		 SLICE_ARG(h.path), SLICE_ARG(h.query), length, SLICE_ARG(h.content_type),
		 SLICE_ARG(h.signature));
	assert_string_equal(said, row->want);
}

static void nul_is_no_text(void **state)
{
	static const char in_value[] = "GET / HTTP/1.1\r\nX: 1\0002\r\n\r\n";
	static const char in_target[] = "GET /\0 HTTP/1.1\r\n\r\n";
	struct request_head h;

	(void)state;
	assert_int_equal(request_head_read(slice_make(in_value, sizeof(in_value) - 1), &h),
			 -EBADMSG);
	assert_int_equal(request_head_read(slice_make(in_target, sizeof(in_target) - 1), &h),
			 -EBADMSG);
}

static void connection_is_a_list(void **state)
{
	static const char both[] = "GET / HTTP/1.1\r\nConnection: TE ,\tClose, x\r\nX: 1\r\n"
				   "connection: ,keep-Alive,\r\n\r\n";
	static const char none[] = "GET / HTTP/1.1\r\nConnection: closed, xkeep-alive\r\n\r\n";
	struct request_head h;

	(void)state;
	assert_true(request_head_read(slice_of(both), &h) > 0);
	assert_true(h.says_close && h.says_keep);
	assert_true(request_head_read(slice_of(none), &h) > 0);
	assert_false(h.says_close || h.says_keep);
}

static void forwarded_headers_have_a_bound(void **state)
{
	struct buf text = BUF_EMPTY;
	struct request_head h;

	(void)state;
	buf_add_text(&text, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < HTTP_FORWARDED_MAX + 5; i++)
		buf_add_text(&text, "x-forwarded-for: 10.0.0.1\r\n");
	buf_add_text(&text, "x-forwarded-for: 10.0.0.2\r\n\r\n");
	assert_int_equal(request_head_read(buf_slice(&text), &h), text.n);
	assert_int_equal(h.forwarded_n, HTTP_FORWARDED_MAX);
	assert_true(
	    slice_is(h.forwarded[0], "10.0.0.1")); /* the last ones: the proxy's own is there */
	assert_true(slice_is(h.forwarded[HTTP_FORWARDED_MAX - 1], "10.0.0.2"));
	buf_fini(&text);
}

/* ---- chunks ---- */

static const struct chunk_row {
	const char *name, *sent;
	const char *want; /* the body; NULL: an error */
	int err;          /* 0: not whole */
} chunk_rows[] = {
	{ "two", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", 1 },
	{ "none", "0\r\n\r\n", "", 1 },
	{ "hex of both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
	  "01234567890123456789", 1 },
	{ "leading zeros", "0003\r\nabc\r\n000\r\n\r\n", "abc", 1 },
	{ "extensions", "3;a=b\r\nabc\r\n1 ;c\r\nd\r\n0;e\r\n\r\n", "abcd", 1 },
	{ "trailers", "1\r\na\r\n0\r\nX: 1\r\nContent-Length: 9\r\n\r\n", "a", 1 },
	{ "lines in the data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", 1 },
	{ "not whole", "3\r\nab", "ab", 0 },
	{ "exactly as large as it may be", "14\r\n01234567890123456789\r\n0\r\n\r\n",
	  "01234567890123456789", 1 },
	{ "too large", "15\r\n", NULL, -EFBIG },
	{ "too large together", "13\r\n0123456789012345678\r\n2\r\n", NULL, -EFBIG },
	{ "far too large", "ffffffffffffffff\r\n", NULL, -EFBIG },
	{ "more digits than any size has", "00000000000000003\r\n", NULL, -EBADMSG },
	{ "no size", "\r\nabc", NULL, -EBADMSG },
	{ "size that is none", "zz\r\n", NULL, -EBADMSG },
	{ "size with a sign", "+3\r\nabc", NULL, -EBADMSG },
	{ "size in C", "0x3\r\nabc", NULL, -EBADMSG },
	{ "blank before the size", " 3\r\nabc", NULL, -EBADMSG },
	{ "zeros beyond any size", "00000000000000000\r\n\r\n", NULL, -EBADMSG },
	{ "size one below all bits", "fffffffffffffffe\r\n", NULL, -EFBIG },
	{ "a body that is full, and a huge chunk",
	  "14\r\n01234567890123456789\r\nffffffffffffffff\r\n", NULL, -EFBIG },
	{ "extensions in quotes", "3;a=\";\\\"\";b\r\nabc\r\n0\r\n\r\n", "abc", 1 },
	{ "a line's end in quotes", "3;a=\"\r\nabc\r\n0\r\n\r\n", "abc", 1 },
	{ "negative size", "-1\r\n", NULL, -EBADMSG },
	{ "two CR behind the size", "3\r\r\nabc\r\n", NULL, -EBADMSG },
	{ "bare LF behind the size", "3\nabc\r\n", NULL, -EBADMSG },
	{ "bare CR behind the size", "3\rabc\r\n", NULL, -EBADMSG },
	{ "bare LF in an extension", "3;a\nabc\r\n", NULL, -EBADMSG },
	{ "bare LF behind the data", "3\r\nabc\n0\r\n\r\n", NULL, -EBADMSG },
	{ "data longer than said", "3\r\nabcd\r\n", NULL, -EBADMSG },
	{ "bare LF in a trailer", "0\r\nX: 1\n\r\n", NULL, -EBADMSG },
	{ "bare LF at the end", "0\r\n\n", NULL, -EBADMSG },
	{ "CR without LF at the end", "0\r\n\rX", NULL, -EBADMSG },
};

/* Gives p in pieces of that size, as the server would: each behind what was decoded. */
static int read_in_pieces(const char *sent, size_t piece, char *buffer, size_t *body_n,
			  size_t *rest_n)
{
	size_t at = 0, n = strlen(sent), raw = 0, have;
	struct chunks c = { 0 };
	int got = 0;

	*body_n = 0;
	while (at < n && got == 0) {
		size_t part = MIN(piece, n - at);

		memcpy(buffer + *body_n, sent + at, part);
		raw = *body_n;
		have = *body_n + part;
		at += part;
		got = chunks_read(&c, buffer, body_n, &raw, have, BODY_MAX);
		*rest_n = have - raw + (n - at);
	}
	return got;
}

static void chunk(void **state)
{
	const struct chunk_row *row = *state;
	char buffer[300], sent[200];
	size_t body_n, rest_n = 0;

	for (int followed = 0; followed < 2; followed++) {
		snprintf(sent, sizeof(sent), "%s%s", row->sent,
			 followed && row->err ? "GET /" : "");
		for (size_t piece = 1; piece <= strlen(sent); piece++) {
			int got = read_in_pieces(sent, piece, buffer, &body_n, &rest_n);

			assert_int_equal(got, row->err);
			if (!row->want)
				continue;
			assert_int_equal(body_n, strlen(row->want));
			assert_memory_equal(buffer, row->want, body_n);
			if (got == 1)
				assert_int_equal(rest_n, followed ? strlen("GET /") : 0);
		}
	}
}

static void extras_have_a_bound(void **state)
{
	static char sent[20000];
	struct chunks c = { 0 };
	size_t body_n = 0, raw = 0;

	(void)state;
	memset(sent, 'x', sizeof(sent));
	sent[0] = '3';
	sent[1] = ';';
	assert_int_equal(chunks_read(&c, sent, &body_n, &raw, sizeof(sent), BODY_MAX), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nul_is_no_text),
		cmocka_unit_test(connection_is_a_list),
		cmocka_unit_test(forwarded_headers_have_a_bound),
		cmocka_unit_test(extras_have_a_bound),
	};
	int failed = RUN_ROWS("heads", head, head_rows);

	failed += RUN_ROWS("chunks", chunk, chunk_rows);
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
