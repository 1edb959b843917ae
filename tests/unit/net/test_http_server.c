/* The server over loopback: what is answered, what is refused, and who has to go. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http_server.h"
#include "unit/base/rows.h"
#include "unit/net/handler.h"

/* ---- one request each ---- */

static const struct row {
	const char *name, *sent, *want;
	bool closed; /* the server ends the connection */
} rows[] = {
	{ "post",
	  "POST /a/b?x=1 HTTP/1.1\r\nHost: h\r\nContent-Type: t/t\r\nContent-Length: 3\r\n\r\nabc",
	  "{\"m\":\"POST\",\"p\":\"/a/b\",\"q\":\"x=1\",\"b\":3,\"t\":\"t/"
	  "t\",\"from\":\"127.0.0.1\"}",
	  false },
	{ "get", "GET / HTTP/1.1\r\n\r\n", "\"m\":\"GET\",\"p\":\"/\",\"q\":\"\",\"b\":0", false },
	{ "get with an empty body said", "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
	  "HTTP/1.1 200", false },
	{ "post without a body", "POST / HTTP/1.1\r\n\r\n", "\"b\":0", false },
	{ "chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\n", "",
	  false },
	{ "chunked with a trailer",
	  "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-T: "
	  "1\r\n\r\n",
	  "\"b\":7", false },
	{ "absolute target", "GET http://h/x?y HTTP/1.1\r\nHost: h\r\n\r\n",
	  "\"p\":\"/x\",\"q\":\"y\"", false },
	{ "two slashes", "GET //x/y HTTP/1.1\r\n\r\n", "\"p\":\"//x/y\"", false },
	{ "colon in the path", "GET /a:b/c HTTP/1.1\r\n\r\n", "\"p\":\"/a:b/c\"", false },
	{ "fragment dropped", "GET /x?y#z HTTP/1.1\r\n\r\n", "\"q\":\"y\"", false },
	{ "head has no body", "HEAD /x HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed", true },
	{ "unknown method", "BREW /x HTTP/1.1\r\n\r\n", "\"m\":\"BREW\"", true },
	{ "1.0 closes", "GET /x HTTP/1.0\r\n\r\n", "Connection: close", true },
	{ "1.0 kept alive", "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	  "Connection: keep-alive", false },
	{ "asked to close", "GET /x HTTP/1.1\r\nConnection: Close\r\n\r\n", "Connection: close",
	  true },
	{ "asked to close in a second header",
	  "GET /x HTTP/1.1\r\nConnection: keep-alive\r\nConnection: x, close\r\n\r\n",
	  "Connection: close", true },
	{ "1.0, both asked for",
	  "GET /x HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
	  "Connection: close", true },
	{ "nothing encourages what is refused",
	  "PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", "\"m\":\"PUT\"",
	  true },
	{ "a target without its slash", "GET x/y HTTP/1.1\r\n\r\n", "HTTP/1.1 400", true },
	{ "version 2, as one begins it", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400", true },
	{ "an upgrade nobody follows",
	  "GET /x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "HTTP/1.1 200", false },
	{ "lengths with an underscore count for nothing",
	  "POST /x HTTP/1.1\r\nContent_Length: 9\r\nTransfer_Encoding: chunked\r\n\r\n", "\"b\":0",
	  false },
	{ "small method", "post /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "\"m\":\"post\"",
	  true },
	{ "percent signs stay", "GET /%2e%2e/%2Fa?%00 HTTP/1.1\r\n\r\n",
	  "\"p\":\"/%2e%2e/%2Fa\",\"q\":\"%00\"", false },
	{ "100-continue", "POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
	  "HTTP/1.1 100", false },
	{ "another expectation", "POST /x HTTP/1.1\r\nExpect: gold\r\nContent-Length: 3\r\n\r\nabc",
	  "{\"error\":\"expectation not supported\"}", true },
	{ "two lengths by name",
	  "POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	  "HTTP/1.1 400 Bad Request", true },
	{ "two lengths", "POST /x HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
	  "{\"error\":", true },
	{ "length with a sign", "POST /x HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", "HTTP/1.1 400",
	  true },
	{ "length that is none", "POST /x HTTP/1.1\r\nContent-Length: 3x\r\n\r\nabc",
	  "{\"error\":\"unreadable request\"}", true },
	{ "negative length", "POST /x HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc",
	  "{\"error\":", true },
	{ "unknown coding", "POST /x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc",
	  "HTTP/1.1 400", true },
	{ "two codings", "POST /x HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	  "HTTP/1.1 400", true },
	{ "get with a body, which means nothing",
	  "GET /x?y HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "\"q\":\"y\",\"b\":0", true },
	{ "get with chunks",
	  "GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "\"b\":0",
	  true },
	{ "a second request hidden in the body of a get",
	  "GET /x HTTP/1.1\r\nContent-Length: 28\r\n\r\nGET /hidden HTTP/1.1\r\nX: 1\r\n"
	  "\r\nGET /y HTTP/1.1\r\n\r\n",
	  "\"p\":\"/x\"", true },
	{ "get with a body that is too large", "GET /x HTTP/1.1\r\nContent-Length: 20001\r\n\r\n",
	  "HTTP/1.1 413", true },
	{ "blank before the colon", "POST /x HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc",
	  "HTTP/1.1 400", true },
	{ "kept alive without a length", "POST /x HTTP/1.1\r\nConnection: keep-alive\r\n\r\n",
	  "\"b\":0", false },
	{ "folded header", "GET / HTTP/1.1\r\nX: 1\r\n y\r\n\r\n", "HTTP/1.1 400", true },
	{ "bare line feeds", "GET / HTTP/1.1\n\n", "HTTP/1.1 400", true },
	{ "a second request hidden behind a bare line feed",
	  "POST /x HTTP/1.1\r\nContent-Length: 0\nX: 1\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n",
	  "HTTP/1.1 400", true },
	{ "a second request hidden in a chunk size",
	  "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\n\r\nGET /hidden "
	  "HTTP/1.1\r\n\r\n",
	  "HTTP/1.1 400", true },
	{ "chunks in 1.0", "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	  "HTTP/1.1 400", true },
	{ "empty lines before it", "\r\n\r\nGET /x HTTP/1.1\r\n\r\n", "\"p\":\"/x\"", false },
	{ "chunk extensions",
	  "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0;c\r\n\r\n",
	  "\"b\":3", false },
	{ "length that fits in no number",
	  "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", "HTTP/1.1 413",
	  true },
	{ "no request line", "hello\r\n\r\n", "{\"error\":\"unreadable request\"}", true },
	{ "another version", "GET / HTTP/2.0\r\n\r\n", "{\"error\":", true },
	{ "version 0.9", "GET / HTTP/0.9\r\n\r\n", "HTTP/1.1 400", true },
	{ "a header that is none", "GET / HTTP/1.1\r\nnonsense\r\n\r\n", "{\"error\":", true },
	{ "chunk size that is none", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	  "{\"error\":", true },
	{ "length too large", "POST / HTTP/1.1\r\nContent-Length: 20001\r\n\r\n",
	  "HTTP/1.1 413 Content Too Large", true },
	{ "length far too large", "POST / HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n",
	  "{\"error\":\"body too large\"}", true },
	{ "length too large, expecting",
	  "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 20001\r\n\r\n",
	  "{\"error\":\"body too large\"}", true },
	{ "chunk too large", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4e21\r\n",
	  "{\"error\":\"body too large\"}", true },
};

static void one(void **state)
{
	const struct row *row = *state;
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd = dial(http_server_port(s));
	const char *got;

	put(fd, row->sent);
	if (!row->want[0]) { /* not whole: completed in a second piece */
		put(fd, "de\r\n0\r\n\r\n");
		get(fd, "\"b\":5", 1);
	} else if (row->closed) {
		got = get(fd, NULL, 0);
		if (!strstr(got, row->want))
			fail_msg("no %s in %s", row->want, got);
		assert_null(strstr(got, "HTML"));
		assert_int_equal(count(got, "HTTP/1.1 "), 1);
	} else {
		get(fd, row->want, 1);
		if (strstr(row->sent, "Expect"))
			put(fd, "abc");
		else
			put(fd, "GET /again HTTP/1.1\r\n\r\n"); /* the connection goes on */
		get(fd, "}", 1);
	}
	close(fd);
	http_server_free(s);
}

/* ---- bodies ---- */

static void early_answer_is_not_lost(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	static char piece[65536];
	int fd;

	(void)state;
	memset(piece, 'x', sizeof(piece));
	for (int chunked = 0; chunked < 2; chunked++) {
		fd = dial(http_server_port(s));
		put(fd, chunked ? "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n800000\r\n"
				: "POST / HTTP/1.1\r\nContent-Length: 8388608\r\n\r\n");
		for (int i = 0; i < 128; i++) /* all of it, whatever is answered meanwhile */
			assert_int_equal(send(fd, piece, sizeof(piece), MSG_NOSIGNAL),
					 sizeof(piece));
		assert_non_null(strstr(get(fd, NULL, 0), "{\"error\":\"body too large\"}"));
		close(fd);
	}
	http_server_free(s);
}

static void largest_body(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	static char body[BODY_MAX + 1];
	int fd = dial(http_server_port(s));

	(void)state;
	memset(body, 'x', BODY_MAX);
	put(fd, "POST / HTTP/1.1\r\nContent-Length: 20000\r\n\r\n");
	put(fd, body);
	get(fd, "\"b\":20000", 1);
	put(fd, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n");
	put(fd, body);
	put(fd, "\r\n0\r\n\r\n");
	get(fd, "\"b\":20000", 1);
	close(fd);
	http_server_free(s);
}

static void long_head(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	char pad[6000];
	int fd = dial(http_server_port(s));

	(void)state;
	memset(pad, 'p', sizeof(pad) - 1);
	pad[sizeof(pad) - 1] = '\0';
	put(fd, "GET / HTTP/1.1\r\nX: ");
	put(fd, pad);
	assert_non_null(strstr(get(fd, NULL, 0), "{\"error\":"));
	close(fd);
	http_server_free(s);
}

/* Whatever pieces the same requests come in, they are the same. */
static void in_pieces(void **state)
{
	static const char sent[] = "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\r\n"
				   "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
				   "2\r\nde\r\n3\r\nfgh\r\n0\r\nX: 1\r\n\r\n"
				   "GET /c HTTP/1.1\r\n\r\n";
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd = dial(http_server_port(s)), on = 1;
	const char *got;

	(void)state;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t first = 1; first < sizeof(sent) - 1; first++) {
		assert_int_equal(send(fd, sent, first, MSG_NOSIGNAL), first);
		if (first % 3 == 0)
			usleep(200); /* mostly a read of its own; nothing depends on it */
		assert_int_equal(send(fd, sent + first, sizeof(sent) - 1 - first, MSG_NOSIGNAL),
				 sizeof(sent) - 1 - first);
		got = get(fd, "\"m\":", 3);
		got = strstr(got, "\"p\":\"/a\",\"q\":\"\",\"b\":3");
		assert_non_null(got);
		got = strstr(got, "\"p\":\"/b\",\"q\":\"\",\"b\":5");
		assert_non_null(got);
		assert_non_null(strstr(got, "\"p\":\"/c\",\"q\":\"\",\"b\":0"));
	}
	for (size_t i = 0; i < sizeof(sent) - 1; i++) {
		assert_int_equal(send(fd, sent + i, 1, MSG_NOSIGNAL), 1);
		usleep(100);
	}
	get(fd, "\"m\":", 3);
	close(fd);
	http_server_free(s);
}

/* ---- order and later answers ---- */

/* A client that reads late gets all of it, and its next request waits. */
static void answer_larger_than_the_socket(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd = dial(http_server_port(s));
	static char piece[65536];
	size_t n = 0;
	ssize_t got = 1;

	(void)state;
	handled = 0;
	put(fd, "GET /big HTTP/1.1\r\n\r\nGET /big HTTP/1.1\r\nConnection: close\r\n\r\n");
	usleep(20000);
	assert_int_equal(handled, 1);
	while (got > 0) {
		got = recv(fd, piece, sizeof(piece), 0);
		n += got > 0 ? (size_t)got : 0;
	}
	assert_int_equal(got, 0);
	assert_true(n > 2 * (size_t)BIG_BYTES && n < 2 * (size_t)BIG_BYTES + 1000);
	close(fd);
	http_server_free(s);
}

/* Who has said all it wants to say may still read. */
static void client_ends_its_side_first(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd = dial(http_server_port(s));

	(void)state;
	put(fd, "GET /later HTTP/1.1\r\n\r\n");
	shutdown(fd, SHUT_WR);
	assert_non_null(strstr(get(fd, NULL, 0), "{\"later\":true}"));
	close(fd);
	http_server_free(s);
}

static void pipelined(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd = dial(http_server_port(s));
	const char *got;
	char text[64];

	(void)state;
	handled = 0;
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "GET /%d HTTP/1.1\r\n\r\n", i);
		put(fd, text);
	}
	got = get(fd, "\"m\":\"GET\"", 50);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "\"p\":\"/%d\"", i);
		got = strstr(got, text);
		assert_non_null(got);
	}
	close(fd);
	http_server_free(s);
}

/* What comes behind a request that is not answered waits for its turn. */
static void bytes_behind_a_later_answer(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd = dial(http_server_port(s));

	(void)state;
	put(fd, "GET /later HTTP/1.1\r\n\r\n");
	usleep(5000);
	put(fd, "GET /later HTTP/1.1\r\n\r\nPOST /later HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
	get(fd, "{\"later\":true}", 3);
	put(fd, "GET /x HTTP/1.1\r\n\r\n");
	get(fd, "\"p\":\"/x\"", 1);
	close(fd);
	http_server_free(s);
}

/* Bytes that come while nobody reads do not make the loop spin: it waits as if there were none. */
static void no_spin_behind_a_busy_request(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd = dial(http_server_port(s));
	struct timespec before, after;

	(void)state;
	handled = 0;
	put(fd, "GET /never HTTP/1.1\r\n\r\n");
	while (!handled)
		usleep(1000);
	put(fd, "GET /x HTTP/1.1\r\n\r\n");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	usleep(200000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000 +
			(after.tv_nsec - before.tv_nsec) / 1000000 <
		    100);
	close(fd);
	http_server_free(s);
}

static void client_gone_before_the_answer(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	const struct linger reset = { 1, 0 };
	int fd;

	(void)state;
	orphans = 0;
	for (int i = 0; i < 20; i++) {
		fd = dial(http_server_port(s));
		put(fd, i % 2 ? "GET /later HTTP/1.1\r\n\r\n"
			      : "POST /later HTTP/1.1\r\nExpect: 100-continue\r\n"
				"Content-Length: 1\r\n\r\nx");
		usleep(1000);
		if (i % 4 < 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	until_count(&orphans, 20);
	fd = dial(http_server_port(s));
	put(fd, "GET /x HTTP/1.1\r\n\r\n");
	get(fd, "\"p\":\"/x\"", 1);
	close(fd);
	http_server_free(s);
}

/* ---- who has to go ---- */

static void slow_and_idle(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s;
	int slow, silent, idle;

	(void)state;
	cfg.read_ms = 300;
	cfg.idle_ms = 300;
	s = start(&cfg);
	silent = dial(http_server_port(s));
	slow = dial(http_server_port(s));
	idle = dial(http_server_port(s));
	put(slow, "POST / HTTP/1.1\r\nContent-Len");
	put(idle, "GET /x HTTP/1.1\r\n\r\n");
	get(idle, "\"p\":\"/x\"", 1);
	assert_string_equal(get(slow, NULL, 0), "");
	assert_string_equal(get(silent, NULL, 0), "");
	assert_string_equal(get(idle, NULL, 0), "");
	close(slow);
	close(silent);
	close(idle);
	http_server_free(s);
}

static void connection_limit(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s;
	int first, second, third;

	(void)state;
	cfg.connections_max = 2;
	s = start(&cfg);
	first = dial(http_server_port(s));
	put(first, "GET /1 HTTP/1.1\r\n\r\n");
	get(first, "\"p\":\"/1\"", 1);
	second = dial(http_server_port(s));
	put(second, "GET /2 HTTP/1.1\r\n\r\n");
	get(second, "\"p\":\"/2\"", 1);
	third = dial(http_server_port(s));
	put(third, "GET /3 HTTP/1.1\r\n\r\n");
	get(third, "\"p\":\"/3\"", 1);
	assert_string_equal(get(first, NULL, 0), ""); /* the longest idle one went */
	put(second, "GET /never HTTP/1.1\r\n\r\n");
	put(third, "GET /never HTTP/1.1\r\n\r\n");
	handled = 3;
	until_count(&handled, 4);
	close(first);
	first = dial(http_server_port(
	    s)); /* nobody is idle: the new one goes, when it is not needed elsewhere */
	get(first, NULL, 0);
	close(first);
	close(second);
	close(third);
	http_server_free(s);
}

static void memory_limit(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s;
	static char body[18001];
	int fds[8], fd;

	(void)state;
	cfg.reading_bytes_max = 80000;
	s = start(&cfg);
	memset(body, 'x', sizeof(body) - 1);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(http_server_port(s));
		put(fds[i], "POST / HTTP/1.1\r\nContent-Length: 20000\r\n\r\n");
		put(fds[i], body);
	}
	get(fds[0], NULL, 0); /* the oldest ones go; a small request passes */
	fd = dial(http_server_port(s));
	put(fd, "GET /x HTTP/1.1\r\n\r\n");
	get(fd, "\"p\":\"/x\"", 1);
	close(fd);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	http_server_free(s);
}

/* ---- who sends ---- */

#define FORGED_ONE "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 1.2.3.4\r\n"
#define FORGED     FORGED_ONE FORGED_ONE FORGED_ONE FORGED_ONE

static const struct peer_row {
	const char *name, *head, *want;
} peer_rows[] = {
	{ "no header", "", "127.0.0.1" },
	{ "one proxy", "X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9" },
	{ "what the client claims does not count", "X-Forwarded-For: 1.2.3.4, 203.0.113.9\r\n",
	  "203.0.113.9" },
	{ "two proxies", "X-Forwarded-For: 1.2.3.4, 203.0.113.9, 10.1.2.3\r\n", "203.0.113.9" },
	{ "two headers", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.1.2.3\r\n",
	  "203.0.113.9" },
	{ "proxies only", "X-Forwarded-For: 10.1.2.4, 10.1.2.3\r\n", "10.1.2.4" },
	{ "garbage ends the search", "X-Forwarded-For: 203.0.113.9, x, 10.1.2.3\r\n", "10.1.2.3" },
	{ "IPv6", "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1" },
	{ "empty", "X-Forwarded-For: \r\n", "127.0.0.1" },
	{ "more lines than are looked at, the proxy's is the last",
	  FORGED FORGED FORGED FORGED FORGED "X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9" },
	{ "with a port", "X-Forwarded-For: 1.2.3.4, 203.0.113.9:65535, 10.1.2.3:1\r\n",
	  "203.0.113.9" },
	{ "IPv6 with a port", "X-Forwarded-For: [2001:db8::1]:80\r\n", "[2001:db8::1]" },
	{ "IPv6 that ends in digits", "X-Forwarded-For: 2001:db8::80\r\n", "2001:db8::80" },
	{ "a port without digits ends the search", "X-Forwarded-For: 203.0.113.9:\r\n",
	  "127.0.0.1" },
	{ "a port that is none ends the search", "X-Forwarded-For: 203.0.113.9:123456\r\n",
	  "127.0.0.1" },
	{ "nothing but a port", "X-Forwarded-For: :80\r\n", "127.0.0.1" },
	{ "underscores are another header", "X_Forwarded_For: 203.0.113.9\r\n", "127.0.0.1" },
};

static void peer(void **state)
{
	const struct peer_row *row = *state;
	const char *nets[] = { "127.0.0.0/8", "10.0.0.0/8" };
	const struct cfg_texts proxies = { nets, 2 };
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s;
	char text[2000];
	int fd;

	cfg.trusted_proxies = &proxies;
	s = start(&cfg);
	fd = dial(http_server_port(s));
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n", row->head);
	put(fd, text);
	snprintf(text, sizeof(text), "\"from\":\"%s\"", row->want);
	get(fd, text, 1);
	close(fd);
	http_server_free(s);
}

/* ---- beginning and end ---- */

static void refused_configs(void **state)
{
	static const char *const listens[] = { "nowhere", "127.0.0.1:99999", "203.0.113.1:80" };
	const char *nets[] = { "10.0.0.0/99" };
	const struct cfg_texts proxies = { nets, 1 };
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg), *second;
	struct buf problem = BUF_EMPTY;
	char taken[40];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(listens); i++) {
		cfg.listen = listens[i];
		assert_true(http_server_new(&cfg, &second, &problem) < 0);
	}
	snprintf(taken, sizeof(taken), "127.0.0.1:%u", http_server_port(s));
	cfg.listen = taken;
	assert_int_equal(http_server_new(&cfg, &second, &problem), -EADDRINUSE);
	cfg.listen = "127.0.0.1:0";
	cfg.trusted_proxies = &proxies;
	assert_int_equal(http_server_new(&cfg, &second, &problem), -EINVAL);
	assert_true(problem.n > 0);
	buf_fini(&problem);
	http_server_free(s);
}

static int no_start(void *arg, struct http_loop *loop, void **ret)
{
	(void)arg;
	(void)loop;
	(void)ret;
	return -ENOMEM;
}

static void loop_that_cannot_start(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct buf problem = BUF_EMPTY;
	struct http_server *s;

	(void)state;
	cfg.loop_start = no_start;
	assert_int_equal(http_server_new(&cfg, &s, &problem), -ENOMEM);
	buf_fini(&problem);
}

static void close_and_drain(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s;
	int busy, idle, fresh;
	const char *got;

	(void)state;
	cfg.threads = 2;
	s = start(&cfg);
	assert_int_equal(http_server_threads(s), 2);
	busy = dial(http_server_port(s));
	idle = dial(http_server_port(s));
	fresh = dial(http_server_port(s));
	put(idle, "GET /x HTTP/1.1\r\n\r\n");
	get(idle, "\"p\":\"/x\"", 1);
	handled = 0;
	put(busy, "GET /later HTTP/1.1\r\n\r\n");
	until_count(&handled, 1);
	http_server_close(s);
	got = get(busy, NULL, 0);
	assert_non_null(strstr(got, "{\"later\":true}"));
	assert_non_null(strstr(got, "Connection: close"));
	get(idle, NULL, 0);
	get(fresh, NULL, 0);
	assert_int_equal(http_server_drain(s, clock_mono_ms() + WAIT_MS), 0);
	close(busy);
	close(idle);
	close(fresh);
	http_server_free(s);
}

static void drain_has_a_deadline(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd = dial(http_server_port(s));

	(void)state;
	handled = 0;
	put(fd, "GET /never HTTP/1.1\r\n\r\n");
	until_count(&handled, 1);
	http_server_close(s);
	assert_int_equal(http_server_drain(s, clock_mono_ms() + 20), -ETIMEDOUT);
	http_server_free(s);
	assert_non_null(strstr(get(fd, NULL, 0), "\"stopped\"")); /* loop_stop answered it */
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(early_answer_is_not_lost),
		cmocka_unit_test(largest_body),
		cmocka_unit_test(long_head),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(pipelined),
		cmocka_unit_test(answer_larger_than_the_socket),
		cmocka_unit_test(client_ends_its_side_first),
		cmocka_unit_test(bytes_behind_a_later_answer),
		cmocka_unit_test(no_spin_behind_a_busy_request),
		cmocka_unit_test(client_gone_before_the_answer),
		cmocka_unit_test(slow_and_idle),
		cmocka_unit_test(connection_limit),
		cmocka_unit_test(memory_limit),
		cmocka_unit_test(refused_configs),
		cmocka_unit_test(loop_that_cannot_start),
		cmocka_unit_test(close_and_drain),
		cmocka_unit_test(drain_has_a_deadline),
	};
	int failed = RUN_ROWS("one request", one, rows);

	failed += RUN_ROWS("peer", peer, peer_rows);
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
