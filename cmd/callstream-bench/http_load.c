#include "http_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define ANSWER_BYTES_MAX 4096u
#define SILENCE_MS       60000
#define EVENTS_MAX       256

struct conn {
	int fd;
	struct slice left; /* of the request under way */
	int64_t began_us;  /* 0: idle */
	size_t got;
	char answer[ANSWER_BYTES_MAX + 1];
};

struct run {
	struct http_load *load;
	struct conn *conns;
	int epoll;
	uint64_t sent, wanted, done;
};

/* ---- one connection ---- */

static int connect_one(const struct http_load *load, int *ret)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_port = htons(load->port),
					.sin_addr = { htonl(INADDR_LOOPBACK) } };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)(const void *)&to, sizeof(to))) {
		close(fd);
		return -errno;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*ret = fd;
	return 0;
}

/* What does not fit into the socket waits for the next turn. */
static int write_more(struct conn *c)
{
	while (c->left.n > 0) {
		ssize_t n = send(c->fd, c->left.p, c->left.n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return -errno;
		c->left = slice_skip(c->left, (size_t)n);
	}
	return 0;
}

static int send_next(struct run *r, struct conn *c)
{
	const struct http_load *load = r->load;

	c->began_us = 0;
	if (r->sent == r->wanted)
		return 0;
	c->left = load->requests[r->sent++ % load->requests_n];
	c->began_us = clock_mono_us();
	c->got = 0;
	return write_more(c);
}

/* The length of a whole answer, 0 while it is not whole. */
static size_t answer_length(const struct conn *c)
{
	const char *end = memmem(c->answer, c->got, "\r\n\r\n", 4), *length;
	size_t head;

	if (!end)
		return 0;
	head = (size_t)(end - c->answer) + 4;
	length = strcasestr(c->answer, "\r\nContent-Length:");
	if (length && length < end)
		head += strtoull(length + strlen("\r\nContent-Length:"), NULL, 10);
	return c->got >= head ? head : 0;
}

static void count(struct run *r, const struct conn *c)
{
	struct http_load *load = r->load;

	r->done++;
	if (c->got > 12 && memcmp(c->answer + 8, " 200", 4) == 0)
		load->answered++;
	else
		load->refused++;
	latency_add(&load->latency, (double)(clock_mono_us() - c->began_us));
}

static int read_more(struct run *r, struct conn *c)
{
	ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_BYTES_MAX - c->got, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	c->got += (size_t)n;
	c->answer[c->got] = '\0';
	if (answer_length(c) == 0)
		return c->got < ANSWER_BYTES_MAX ? 0 : -EMSGSIZE;
	count(r, c);
	return send_next(r, c);
}

/* ---- all ---- */

static int open_all(struct run *r)
{
	for (unsigned i = 0; i < r->load->connections; i++) {
		struct conn *c = &r->conns[i];
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
		int err = connect_one(r->load, &c->fd);

		if (!err && epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &event))
			err = -errno;
		if (err)
			return err;
	}
	return 0;
}

static int serve(struct run *r)
{
	struct epoll_event events[EVENTS_MAX];
	int err = 0, n;

	while (!err && r->done < r->wanted) {
		n = epoll_wait(r->epoll, events, EVENTS_MAX, SILENCE_MS);
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; !err && i < n; i++) {
			struct conn *c = events[i].data.ptr;

			err = c->left.n > 0 ? write_more(c) : 0;
			if (!err)
				err = read_more(r, c);
		}
	}
	return err;
}

static int run(struct run *r)
{
	int err = open_all(r);

	for (unsigned i = 0; !err && i < r->load->connections; i++)
		err = send_next(r, &r->conns[i]);
	if (!err)
		err = serve(r);
	for (unsigned i = 0; i < r->load->connections; i++) {
		if (r->conns[i].fd >= 0)
			close(r->conns[i].fd);
	}
	return err;
}

int http_load_run(struct http_load *load, uint64_t n)
{
	struct run r = { .load = load, .wanted = n };
	int err = -ENOMEM;

	r.conns = calloc(load->connections, sizeof(*r.conns));
	r.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; r.conns && i < load->connections; i++)
		r.conns[i].fd = -1;
	if (r.conns && r.epoll >= 0)
		err = run(&r);
	if (r.epoll >= 0)
		close(r.epoll);
	free(r.conns);
	return err ? bench_fail(BENCH_WRONG, "load generator: %s", strerror(-err)) : 0;
}
