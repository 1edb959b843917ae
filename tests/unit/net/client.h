/*
 * client.h - a client that sends bytes and reads until the end, or until a text has come n times
 */
#ifndef TESTS_NET_CLIENT_H
#define TESTS_NET_CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit/base/rows.h"

#define WAIT_MS    10000
#define ANSWER_MAX 65536

static inline int dial(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static inline void put(int fd, const char *text)
{
	size_t n = strlen(text);

	assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

static inline size_t count(const char *in, const char *what)
{
	size_t n = 0;

	for (; (in = strstr(in, what)); in += strlen(what))
		n++;
	return n;
}

/* Reads until `what` has come `times` times, or the end (what NULL). The text in a static buffer.
 */
static inline const char *get(int fd, const char *what, size_t times)
{
	static char in[ANSWER_MAX];
	int64_t until = clock_mono_ms() + WAIT_MS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;
	ssize_t got;

	in[0] = '\0';
	while (!what || count(in, what) < times) {
		if (clock_mono_ms() > until)
			fail_msg("%zu times \"%s\" did not come: %s", times, what ? what : "end",
				 in);
		if (poll(&p, 1, 100) <= 0)
			continue;
		got = recv(fd, in + n, sizeof(in) - 1 - n, 0);
		if (got <= 0 && !what)
			break;
		if (got <= 0)
			fail_msg("closed before %zu times \"%s\": %s", times, what, in);
		n += (size_t)got;
		in[n] = '\0';
	}
	return in;
}

#endif
