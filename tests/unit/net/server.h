/*
 * server.h - a server on a loopback port that plays one scripted answer per connection
 *
 * A script is what it writes once the head of a request has come; NULL: it says nothing and waits
 * until the client hangs up. The last script serves all later connections. Thread: its own.
 */
#ifndef CS_TESTS_SERVER_H
#define CS_TESTS_SERVER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_REQUEST_MAX 65536

struct server {
	int fd, port;
	pthread_t thread;
	const char *const *scripts;
	size_t scripts_n;
	atomic_int connections, requests;
	atomic_bool stop;
	pthread_mutex_t lock;
	char request[SERVER_REQUEST_MAX]; /* the last one, head and body */
};

static inline int server_readable(struct server *s, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (!atomic_load(&s->stop)) {
		if (poll(&p, 1, 20) > 0)
			return 1;
	}
	return 0;
}

/* Head and the body that Content-Length tells. 0 at the end of the connection. */
static inline int server_read(struct server *s, int fd)
{
	char *head_end, *length;
	size_t n = 0, want = SERVER_REQUEST_MAX;
	static _Thread_local char text[SERVER_REQUEST_MAX];

	while (n < want && n < sizeof(text) - 1) {
		ssize_t r = server_readable(s, fd) ? read(fd, text + n, sizeof(text) - 1 - n) : 0;

		if (r <= 0)
			return 0;
		n += (size_t)r;
		text[n] = '\0';
		head_end = strstr(text, "\r\n\r\n");
		length = strcasestr(text, "content-length:");
		if (head_end)
			want = (size_t)(head_end - text) + 4 +
			       (length ? (size_t)strtoul(length + 15, NULL, 10) : 0);
	}
	pthread_mutex_lock(&s->lock);
	memcpy(s->request, text, n + 1);
	pthread_mutex_unlock(&s->lock);
	atomic_fetch_add(&s->requests, 1);
	return 1;
}

static inline void server_connection(struct server *s, int fd, const char *script)
{
	while (server_read(s, fd)) {
		if (!script) {
			char c;

			while (server_readable(s, fd) && read(fd, &c, 1) > 0)
				;
			return;
		}
		if (write(fd, script, strlen(script)) < 0)
			return;
		if (strstr(script, "Connection: close") || !strstr(script, "Content-Length"))
			return;
	}
}

static inline void *server_run(void *arg)
{
	struct server *s = arg;

	while (server_readable(s, s->fd)) {
		int fd = accept(s->fd, NULL, NULL);
		int i = atomic_fetch_add(&s->connections, 1);

		if (fd < 0)
			continue;
		server_connection(
		    s, fd, s->scripts[(size_t)i < s->scripts_n ? (size_t)i : s->scripts_n - 1]);
		close(fd);
	}
	return NULL;
}

static inline void server_start(struct server *s, const char *const *scripts, size_t scripts_n)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t n = sizeof(sa);

	memset(s, 0, sizeof(*s));
	s->scripts = scripts;
	s->scripts_n = scripts_n;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(0, bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)));
	assert_int_equal(0, listen(s->fd, 16));
	assert_int_equal(0, getsockname(s->fd, (struct sockaddr *)&sa, &n));
	s->port = ntohs(sa.sin_port);
	pthread_mutex_init(&s->lock, NULL);
	assert_int_equal(0, pthread_create(&s->thread, NULL, server_run, s));
}

static inline void server_stop(struct server *s)
{
	atomic_store(&s->stop, true);
	pthread_join(s->thread, NULL);
	close(s->fd);
	pthread_mutex_destroy(&s->lock);
}

#endif
