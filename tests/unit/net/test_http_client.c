/* Requests to a server that answers, hangs, breaks off, or is one we must not reach. */
#include "../base/rows.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/http_client.h"
#include "server.h"

#define WAIT_MS 20000

struct got {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int n;
	struct http_answer answer;
	char body[256];
};

static void got_init(struct got *g)
{
	memset(g, 0, sizeof(*g));
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
}

static void on_answer(void *arg, const struct http_answer *answer)
{
	struct got *g = arg;

	pthread_mutex_lock(&g->lock);
	g->answer = *answer;
	snprintf(g->body, sizeof(g->body), "%.*s", SLICE_ARG(answer->body));
	g->n++;
	pthread_cond_signal(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

static void got_wait(struct got *g, int n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_MS / 1000;
	pthread_mutex_lock(&g->lock);
	while (g->n < n)
		assert_int_equal(0, pthread_cond_timedwait(&g->changed, &g->lock, &until));
	pthread_mutex_unlock(&g->lock);
}

static struct http_client *client(bool allow_private, int64_t timeout_ms)
{
	const struct http_client_cfg cfg = {
		.allow_private_networks = allow_private,
		.connect_timeout_ms = timeout_ms,
		.timeout_ms = timeout_ms,
		.user_agent = "callstream/test",
		.requests_max = 4,
	};
	struct http_client *c;

	assert_int_equal(0, http_client_new(&cfg, &c));
	return c;
}

static int post(struct http_client *c, const char *url, struct got *g)
{
	const struct http_request req = {
		.method = "POST",
		.url = url,
		.head = SLICE("Content-Type: application/json\nx-key: v:1\n"),
		.body = SLICE("{\"a\":1}"),
		.tag = g,
	};

	return http_client_send(c, &req, on_answer, g);
}

/* ---- one answer ---- */

struct answer_row {
	const char *name;
	const char *script; /* what the server writes; NULL: nothing */
	enum http_result result;
	int status;
	int64_t retry_after_ms;
	const char *body;
};

#define HEAD(status) "HTTP/1.1 " status " x\r\nConnection: close\r\n"

static const struct answer_row answer_rows[] = {
	{ "200", HEAD("200") "Content-Length: 2\r\n\r\nok", HTTP_ANSWERED, 200, 0, "ok" },
	{ "204 without a body", HEAD("204") "\r\n", HTTP_ANSWERED, 204, 0, "" },
	{ "500", HEAD("500") "Content-Length: 0\r\n\r\n", HTTP_ANSWERED, 500, 0, "" },
	{ "no redirect is followed", HEAD("302") "Location: http://127.0.0.1:1/\r\n\r\n",
	  HTTP_ANSWERED, 302, 0, "" },
	{ "429 with seconds", HEAD("429") "Retry-After: 7\r\nContent-Length: 0\r\n\r\n",
	  HTTP_ANSWERED, 429, 7000, "" },
	{ "503 with nonsense", HEAD("503") "Retry-After: soon\r\nContent-Length: 0\r\n\r\n",
	  HTTP_ANSWERED, 503, 0, "" },
	{ "early hints, then the answer", "HTTP/1.1 103 x\r\n\r\n" HEAD("201") "\r\n",
	  HTTP_ANSWERED, 201, 0, "" },
	{ "closed without a word", "", HTTP_BROKEN, 0, 0, "" },
	{ "no HTTP", "hello\r\n\r\n", HTTP_BROKEN, 0, 0, "" },
	{ "cut in the body", HEAD("200") "Content-Length: 9\r\n\r\nok", HTTP_BROKEN, 200, 0, "ok" },
	{ "never answered", NULL, HTTP_TIMEOUT, 0, 0, "" },
};

static void check_answer(void **state)
{
	const struct answer_row *row = *state;
	struct http_client *c = client(true, row->script ? 10000 : 150);
	struct server server;
	struct got got;
	char url[64];

	got_init(&got);
	server_start(&server, &row->script, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/in?x=1", server.port);
	assert_int_equal(0, post(c, url, &got));
	got_wait(&got, 1);
	assert_string_equal(http_result_text(row->result), http_result_text(got.answer.result));
	assert_int_equal(row->status, got.answer.status);
	assert_int_equal(row->retry_after_ms, got.answer.retry_after_ms);
	assert_string_equal(row->body, got.body);
	http_client_free(c);
	server_stop(&server);
	assert_int_equal(1, got.n);
}

static void the_request_as_it_arrives(void **state UNUSED)
{
	const char *script = HEAD("200") "Content-Length: 0\r\n\r\n";
	struct http_client *c = client(true, 10000);
	struct server server;
	struct got got;
	char url[64], want[512];

	got_init(&got);
	server_start(&server, &script, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/in?x=1", server.port);
	assert_int_equal(0, post(c, url, &got));
	got_wait(&got, 1);
	snprintf(want, sizeof(want),
		 "POST /in?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: callstream/test\r\n"
		 "Accept: */*\r\nContent-Type: application/json\r\nx-key: v:1\r\n"
		 "Content-Length: 7\r\n\r\n{\"a\":1}",
		 server.port);
	assert_string_equal(want, server.request);
	http_client_free(c);
	server_stop(&server);
}

static void connections_are_kept(void **state UNUSED)
{
	const char *script = "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n";
	struct http_client *c = client(true, 10000);
	struct server server;
	struct got got;
	char url[64];

	got_init(&got);
	server_start(&server, &script, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
	for (int i = 1; i <= 5; i++) {
		assert_int_equal(0, post(c, url, &got));
		got_wait(&got, i);
	}
	assert_int_equal(1, atomic_load(&server.connections));
	assert_int_equal(5, atomic_load(&server.requests));
	http_client_free(c);
	server_stop(&server);
}

static void a_long_answer_is_cut(void **state UNUSED)
{
	size_t n = HTTP_BODY_READ_MAX * 2;
	char *script = malloc(n + 200);
	const char *scripts[] = { script };
	struct http_client *c = client(true, 10000);
	struct server server;
	struct got got;
	char url[64];
	int head = snprintf(script, 200, HEAD("200") "Content-Length: %zu\r\n\r\n", n);

	memset(script + head, 'x', n);
	script[(size_t)head + n] = '\0';
	got_init(&got);
	server_start(&server, scripts, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
	assert_int_equal(0, post(c, url, &got));
	got_wait(&got, 1);
	assert_int_equal(HTTP_ANSWERED, got.answer.result);
	assert_int_equal(200, got.answer.status);
	assert_int_equal(HTTP_BODY_KEPT, got.answer.body.n);
	http_client_free(c);
	server_stop(&server);
	free(script);
}

/* ---- where we must not go ---- */

struct url_row {
	const char *name, *url;
	enum http_result result;
};

static const struct url_row url_rows[] = {
	{ "loopback", "http://127.0.0.1:%d/", HTTP_ADDRESS_REFUSED },
	{ "all of loopback", "http://127.8.9.10:%d/", HTTP_ADDRESS_REFUSED },
	{ "a name of it", "http://localhost:%d/", HTTP_ADDRESS_REFUSED },
	{ "IPv6", "http://[::1]:%d/", HTTP_ADDRESS_REFUSED },
	{ "IPv4 in IPv6", "http://[::ffff:127.0.0.1]:%d/", HTTP_ADDRESS_REFUSED },
	{ "one number", "http://2130706433:%d/", HTTP_ADDRESS_REFUSED },
	{ "octal", "http://0177.0.0.1:%d/", HTTP_ADDRESS_REFUSED },
	{ "unspecified", "http://0.0.0.0:%d/", HTTP_ADDRESS_REFUSED },
	{ "private", "http://10.1.2.3:%d/", HTTP_ADDRESS_REFUSED },
	{ "private, second", "http://172.16.0.1:%d/", HTTP_ADDRESS_REFUSED },
	{ "private, third", "http://192.168.1.1:%d/", HTTP_ADDRESS_REFUSED },
	{ "carrier's", "http://100.64.0.1:%d/", HTTP_ADDRESS_REFUSED },
	{ "metadata", "http://169.254.169.254:%d/latest", HTTP_ADDRESS_REFUSED },
	{ "link-local", "http://[fe80::1]:%d/", HTTP_ADDRESS_REFUSED },
	{ "unique local", "http://[fd00::1]:%d/", HTTP_ADDRESS_REFUSED },
	{ "a file", "file:///etc/passwd?%d", HTTP_BAD_URL },
	{ "gopher", "gopher://127.0.0.1:%d/", HTTP_BAD_URL },
	{ "no URL", "http://:%d:x/", HTTP_BAD_URL },
};

static void check_url(void **state)
{
	const struct url_row *row = *state;
	const char *script = HEAD("200") "\r\n";
	struct http_client *c = client(false, 5000);
	struct server server;
	struct got got;
	char url[64];

	got_init(&got);
	server_start(&server, &script, 1);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(url, sizeof(url), row->url, server.port);
#pragma GCC diagnostic pop
	assert_int_equal(0, post(c, url, &got));
	got_wait(&got, 1);
	assert_string_equal(http_result_text(row->result), http_result_text(got.answer.result));
	assert_int_equal(0, atomic_load(&server.connections));
	http_client_free(c);
	server_stop(&server);
}

static void nobody_listens(void **state UNUSED)
{
	struct http_client *c = client(true, 5000);
	struct server server;
	struct got got;
	const char *script = "";
	char url[64];

	got_init(&got);
	server_start(&server, &script, 1);
	server_stop(&server); /* its port is free now */
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
	assert_int_equal(0, post(c, url, &got));
	got_wait(&got, 1);
	assert_int_equal(HTTP_NOT_CONNECTED, got.answer.result);
	assert_int_equal(0, post(c, "http://127.0.0.1:1/%zz\x01", &got));
	got_wait(&got, 2);
	http_client_free(c);
}

static void no_proxy_is_asked(void **state UNUSED)
{
	const char *script = HEAD("200") "\r\n";
	struct http_client *c;
	struct server proxy;
	struct got got;
	char text[64];

	got_init(&got);
	server_start(&proxy, &script, 1);
	snprintf(text, sizeof(text), "http://127.0.0.1:%d", proxy.port);
	setenv("http_proxy", text, 1);
	setenv("ALL_PROXY", text, 1);
	c = client(true, 3000);
	assert_int_equal(0, post(c, "http://127.0.0.1:1/", &got));
	got_wait(&got, 1);
	assert_int_equal(HTTP_NOT_CONNECTED, got.answer.result);
	assert_int_equal(0, atomic_load(&proxy.connections));
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	http_client_free(c);
	server_stop(&proxy);
}

/* A TLS client that talks to something that speaks none. */
static void no_tls(void **state UNUSED)
{
	const char *script = HEAD("200") "\r\n";
	struct http_client *c = client(true, 5000);
	struct server server;
	struct got got;
	char url[64];

	got_init(&got);
	server_start(&server, &script, 1);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server.port);
	assert_int_equal(0, post(c, url, &got));
	pthread_mutex_lock(&server.lock);
	pthread_mutex_unlock(&server.lock);
	got_wait(&got, 1);
	assert_true(got.answer.result == HTTP_TLS_FAILED || got.answer.result == HTTP_BROKEN ||
		    got.answer.result == HTTP_TIMEOUT);
	http_client_free(c);
	server_stop(&server);
}

/* ---- bounds and ends ---- */

static void cancelled_full_closed(void **state UNUSED)
{
	const char *script = NULL;
	struct http_client *c = client(true, 60000);
	struct server server;
	struct got got[5];
	char url[64];

	server_start(&server, &script, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
	for (int i = 0; i < 5; i++)
		got_init(&got[i]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(0, post(c, url, &got[i]));
	assert_int_equal(-ENOSPC, post(c, url, &got[4]));
	assert_int_equal(4, http_client_busy(c));
	http_client_cancel(c, &got[1]);
	http_client_cancel(c, NULL); /* nobody */
	got_wait(&got[1], 1);
	assert_int_equal(HTTP_CANCELLED, got[1].answer.result);
	http_client_close(c);
	assert_int_equal(-ESHUTDOWN, post(c, url, &got[4]));
	http_client_free(c);
	for (int i = 0; i < 4; i++)
		assert_int_equal(1, got[i].n);
	assert_int_equal(HTTP_CANCELLED, got[0].answer.result);
	assert_int_equal(0, got[4].n);
	server_stop(&server);
	http_client_free(NULL);
}

struct head_row {
	const char *name;
	struct slice head;
};

static const struct head_row head_rows[] = {
	{ "no colon", SLICE_INIT("hello\n") },
	{ "no name", SLICE_INIT(": x\n") },
	{ "a carriage return", SLICE_INIT("a: b\rc: d\n") },
	{ "a NUL", SLICE_INIT("a: b\0c\n") },
};

static void check_head(void **state)
{
	const struct head_row *row = *state;
	struct http_client *c = client(true, 1000);
	const struct http_request req = { .method = "POST",
					  .url = "http://127.0.0.1:1/",
					  .head = row->head };

	assert_int_equal(-EINVAL, http_client_send(c, &req, on_answer, NULL));
	assert_int_equal(0, http_client_busy(c));
	http_client_free(c);
}

/* Stopped or busy for too long before it could begin: what it would say is old. */
static void not_begun_in_time(void **state UNUSED)
{
	struct http_client *c = client(true, 10000);
	struct http_request req = { .method = "POST",
				    .url = "http://127.0.0.1:1/",
				    .start_by_ms = clock_mono_ms() - 1 };
	struct got got;

	got_init(&got);
	assert_int_equal(0, http_client_send(c, &req, on_answer, &got));
	got_wait(&got, 1);
	assert_int_equal(HTTP_CANCELLED, got.answer.result);
	http_client_free(c);
}

static void get_has_no_body(void **state UNUSED)
{
	const char *script = HEAD("200") "Content-Length: 0\r\n\r\n";
	struct http_client *c = client(true, 10000);
	struct http_request req = { .method = "GET" };
	struct server server;
	struct got got;
	char url[64];

	got_init(&got);
	server_start(&server, &script, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
	req.url = url;
	assert_int_equal(0, http_client_send(c, &req, on_answer, &got));
	got_wait(&got, 1);
	assert_non_null(strstr(server.request, "GET / HTTP/1.1\r\n"));
	assert_null(strcasestr(server.request, "content-length"));
	http_client_free(c);
	server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_as_it_arrives), cmocka_unit_test(get_has_no_body),
		cmocka_unit_test(not_begun_in_time),         cmocka_unit_test(connections_are_kept),
		cmocka_unit_test(a_long_answer_is_cut),      cmocka_unit_test(nobody_listens),
		cmocka_unit_test(no_proxy_is_asked),         cmocka_unit_test(no_tls),
		cmocka_unit_test(cancelled_full_closed),
	};

	return RUN_ROWS("answers", check_answer, answer_rows) +
	       RUN_ROWS("addresses", check_url, url_rows) +
	       RUN_ROWS("heads", check_head, head_rows) + cmocka_run_group_tests(tests, NULL, NULL);
}
