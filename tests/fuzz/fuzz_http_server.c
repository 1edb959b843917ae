/*
 * A connection as bytes, to a server that runs: whatever pieces they come in, the same is answered,
 * and the end comes. The first byte is the size of a piece; paths that begin with /l are answered
 * later.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_server.h"

#define ANSWERS_MAX 1048576
#define PAUSES_MAX  6

struct held {
	struct exchange *x;
	struct event *timer;
};

static struct http_server *server;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the server ---- */

static void later(evutil_socket_t fd, short what, void *arg)
{
	struct held *held = arg;

	(void)fd;
	(void)what;
	exchange_answer(held->x, 503, SLICE("{\"later\":true}"), 1);
	event_free(held->timer);
	free(held);
}

static void handle(void *loop, struct exchange *x)
{
	struct buf out = BUF_EMPTY;
	struct held *held;

	if (slice_starts(x->path, SLICE("/l"))) {
		held = malloc(sizeof(*held));
		check(held != NULL);
		held->x = x;
		held->timer = event_new(http_loop_base(loop), -1, 0, later, held);
		event_active(held->timer, EV_TIMEOUT, 0);
		return;
	}
	buf_printf(&out, "{%.*s %.*s %.*s %.*s %.*s}", SLICE_ARG(x->method), SLICE_ARG(x->path),
		   SLICE_ARG(x->query), SLICE_ARG(x->body), SLICE_ARG(x->peer));
	exchange_answer(x, 200, buf_slice(&out), 0);
	buf_fini(&out);
}

static int loop_start(void *arg, struct http_loop *loop, void **ret)
{
	(void)arg;
	*ret = loop;
	return 0;
}

static void start(void)
{
	static const char *nets[] = { "127.0.0.0/8" };
	static const struct cfg_texts proxies = { nets, 1 };
	static const struct http_server_cfg cfg = { .listen = "127.0.0.1:0",
						    .trusted_proxies = &proxies,
						    .threads = 1,
						    .body_bytes_max = 1000,
						    .head_bytes_max = 60000,
						    .loop_start = loop_start,
						    .handle = handle };
	struct buf problem = BUF_EMPTY;

	check(http_server_new(&cfg, &server, &problem) == 0);
	buf_fini(&problem);
}

/* ---- the client ---- */

static int dial(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(http_server_port(server)),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	check(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* All answers to the bytes, sent in such pieces. -1 when a slow machine had it cut off. */
static ssize_t talk(struct slice sent, size_t piece, char *out)
{
	const struct linger reset = { 1, 0 };
	size_t n = 0;
	ssize_t got = 1;
	int fd = dial();

	for (int i = 0; sent.n && send(fd, sent.p, MIN(piece, sent.n), MSG_NOSIGNAL) > 0; i++) {
		sent = slice_skip(sent, piece);
		if (sent.n && i < PAUSES_MAX)
			usleep(60);
	}
	shutdown(fd, SHUT_WR);
	while (got > 0 && n < ANSWERS_MAX) {
		do
			got = recv(fd, out + n, ANSWERS_MAX - n, 0);
		while (got < 0 && errno == EINTR);
		n += got > 0 ? (size_t)got : 0;
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)); /* no port stays behind */
	close(fd);
	return got < 0 ? -1 : (ssize_t)n;
}

/* Without the time, and without encouragements: who has sent a body already gets none. */
static size_t essence(char *p, size_t n)
{
	static const struct slice go_on = SLICE_INIT("HTTP/1.1 100 Continue\r\n\r\n"),
				  date = SLICE_INIT("\r\nDate: ");
	char *at;

	while ((at = memmem(p, n, go_on.p, go_on.n))) {
		memmove(at, at + go_on.n, n - (size_t)(at - p) - go_on.n);
		n -= go_on.n;
	}
	for (at = p; (at = memmem(at, n - (size_t)(at - p), date.p, date.n)); at += date.n)
		memset(at + date.n, '-',
		       MIN(strlen("Thu, 01 Jan 1970 00:00:00 GMT"), n - (size_t)(at - p) - date.n));
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char one[ANSWERS_MAX], many[ANSWERS_MAX];
	struct slice sent = slice_skip(slice_make(data, size), 1);
	ssize_t one_n, many_n;

	if (!server)
		start();
	if (size < 2)
		return 0;
	one_n = talk(sent, sent.n, one);
	many_n = talk(sent, data[0] + 1u, many);
	if (one_n < 0 || many_n < 0)
		return 0;
	one_n = (ssize_t)essence(one, (size_t)one_n);
	check(one_n == (ssize_t)essence(many, (size_t)many_n));
	check(memcmp(one, many, (size_t)one_n) == 0);
	return 0;
}
