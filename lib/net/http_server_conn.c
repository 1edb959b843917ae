/* Connections: their states, their time-outs, who has to go, ends without loss. */
#include "net/http_server_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"

#define WRITE_MS         20000 /* until an answer is read */
#define CLOSING_READ_MS  2000  /* what a request may still take once the server closes */
#define CLOSING_FRESH_MS 500   /* for how long silence is waited out then */
#define SLOW_MS          1000  /* a request this old may have to go for a new connection */
#define SILENT_MS        300   /* whoever has just come says something in that time */
#define JUST_ANSWERED_MS 1000
#define RELIEF_BYTES_MIN 16384 /* of a request worth dropping when memory is short */
#define LINGER_MS        5000
#define LINGER_QUIET_MS  1000
#define LINGER_BYTES     (64u << 20)
#define LINGERING_MAX    128u /* of all loops; they have descriptors, too */
#define TELL_MS          10000

/* ---- lists ---- */

static void list_remove(struct conn *c)
{
	struct conn_list *list = &c->loop->conns[c->state];

	*(c->prev ? &c->prev->next : &list->first) = c->next;
	*(c->next ? &c->next->prev : &list->last) = c->prev;
}

static void list_add(struct conn *c)
{
	struct conn_list *list = &c->loop->conns[c->state];

	c->next = NULL;
	c->prev = list->last;
	*(list->last ? &list->last->next : &list->first) = c;
	list->last = c;
}

void http_conn_move(struct conn *c, enum conn_state state)
{
	list_remove(c);
	c->state = state;
	c->since_ms = clock_mono_ms();
	list_add(c);
}

/* ---- going ---- */

/* From now on it is nobody's connection any more. */
static void let_go(struct conn *c)
{
	struct http_loop *loop = c->loop;

	if (c->x)
		http_exchange_orphan(c->x);
	c->x = NULL;
	if (c->again)
		TAILQ_REMOVE(&loop->again, c, next_again);
	c->again = false;
	http_conn_forget(c);
	free(c->out);
	c->out = NULL;
	loop->conns_n--;
	atomic_fetch_sub(&loop->server->connections, 1);
	series_add(loop->server->open, -1);
}

static void drop(struct conn *c)
{
	event_del(&c->event);
	close(c->fd);
	list_remove(c); /* the analyzer does not see that no list has it any more */
	free(c);
}

static void lingering_end(struct conn *c)
{
	c->loop->lingering_n--;
	drop(c);
}

static void lingering_read(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	ssize_t got = recv(fd, c->loop->scratch, HTTP_READ_BYTES, 0);

	(void)what;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0 || (size_t)got >= c->linger_bytes) {
		lingering_end(c);
		return;
	}
	c->linger_bytes -= (size_t)got;
	http_conn_move(c, CONN_LINGERING);
}

/*
 * A close with bytes unread would be a reset, which may eat the answer on its way. When there are
 * too many, the one that has had the most time goes.
 */
static bool lingering_begin(struct conn *c)
{
	struct http_loop *loop = c->loop;

	if (!c->linger)
		return false;
	if (loop->lingering_n >= MAX(LINGERING_MAX / loop->server->loops_n, 1))
		lingering_end(loop->conns[CONN_LINGERING].first);
	shutdown(c->fd, SHUT_WR);
	event_del(&c->event);
	event_assign(&c->event, loop->base, c->fd, EV_READ | EV_PERSIST, lingering_read, c);
	if (event_add(&c->event, NULL))
		return false;
	loop->lingering_n++;
	c->linger_bytes = LINGER_BYTES;
	c->linger_until_ms = clock_mono_ms() + LINGER_MS;
	http_conn_move(c, CONN_LINGERING);
	return true;
}

void http_conn_end(struct conn *c, const char *reason)
{
	if (reason)
		metric_add(M_CONNECTIONS_CLOSED, reason, NULL, 1);
	let_go(c);
	if (!lingering_begin(c))
		drop(c);
}

void http_conn_end_all(struct http_loop *loop)
{
	for (int state = 0; state < CONN_LINGERING; state++) {
		while (loop->conns[state].first) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
			http_conn_end(loop->conns[state].first, NULL);
	}
	while (loop->conns[CONN_LINGERING].first) {
		struct conn *c = loop->conns[CONN_LINGERING].first;

		(void)!recv(c->fd, loop->scratch, HTTP_READ_BYTES, 0);
		lingering_end(c);
	}
}

/* ---- coming ---- */

static int64_t age_ms(const struct conn *c)
{
	return c ? clock_mono_ms() - c->since_ms : -1;
}

/*
 * Who has to go for a new connection: one that came and has said nothing; the longest idle one; a
 * slow one; one that is idle but was answered just now, so that its next request may be on its way;
 * else the new one.
 */
static struct conn *victim(struct http_loop *loop, struct conn *c)
{
	struct conn *idle = loop->conns[CONN_IDLE].first, *slow = loop->conns[CONN_READING].first;
	int64_t idle_ms = age_ms(idle), slow_ms = age_ms(slow);

	if (slow_ms >= SILENT_MS && !slow->in_n)
		return slow;
	if (idle_ms >= JUST_ANSWERED_MS)
		return idle;
	if (slow_ms >= SLOW_MS)
		return slow;
	return idle ? idle : c;
}

static void name_peer(struct conn *c, const struct sockaddr *from)
{
	const struct sockaddr_in *v4 = (const void *)from;
	const struct sockaddr_in6 *v6 = (const void *)from;
	const void *address = &v4->sin_addr;
	int family = from->sa_family;

	if (family == AF_INET6) {
		address = &v6->sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
			address = &v6->sin6_addr.s6_addr[12];
			family = AF_INET;
		}
	}
	if (!inet_ntop(family, address, c->peer, sizeof(c->peer)))
		c->peer[0] = '\0';
	c->is_proxy = http_is_proxy(c->loop->server, slice_of(c->peer));
}

void http_conn_accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
			int from_n, void *arg)
{
	struct http_loop *loop = arg;
	struct conn *c = calloc(1, sizeof(*c));
	int on = 1;

	(void)listener;
	(void)from_n;
	if (!c) {
		close(fd);
		return;
	}
	c->loop = loop;
	c->fd = fd;
	c->state = CONN_READING;
	c->since_ms = clock_mono_ms();
	list_add(c);
	loop->conns_n++;
	atomic_fetch_add(&loop->server->connections, 1);
	series_add(loop->server->open, 1);
	name_peer(c, from);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	event_assign(&c->event, loop->base, fd, EV_READ | EV_PERSIST, http_conn_ready, c);
	if (event_add(&c->event, NULL))
		http_conn_end(c, "memory");
	else if (loop->conns_n > loop->server->conns_per_loop)
		http_conn_end(victim(loop, c), "limit");
}

/* Without a descriptor left, accept fails as long as someone knocks: pause until the janitor comes.
 */
void http_conn_accept_failed(struct evconnlistener *listener, void *arg)
{
	struct http_loop *loop = arg;
	int err = -errno;
	int64_t now_ms = clock_mono_ms();

	if (!loop->accept_told_ms || now_ms - loop->accept_told_ms >= TELL_MS) {
		SLOG(SLOG_ERROR, "cannot accept connections, trying again", SLOG_ERR(err));
		loop->accept_told_ms = now_ms;
	}
	loop->accept_paused = true;
	evconnlistener_disable(listener);
	if (loop->conns[CONN_IDLE].first)
		http_conn_end(loop->conns[CONN_IDLE].first, "limit");
}

/* ---- time and memory ---- */

static void expire(struct http_loop *loop, enum conn_state state, int64_t before_ms,
		   const char *reason)
{
	struct conn *c;

	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	while ((c = loop->conns[state].first) && c->since_ms <= before_ms)
		http_conn_end(c, reason);
}

static void expire_lingering(struct http_loop *loop, int64_t now_ms)
{
	struct conn *c = loop->conns[CONN_LINGERING].first, *next;

	for (; c; c = next) {
		next = c->next;
		if (c->since_ms <= now_ms - LINGER_QUIET_MS || c->linger_until_ms <= now_ms)
			lingering_end(c);
	}
}

void http_conn_janitor(evutil_socket_t fd, short what, void *arg)
{
	struct http_loop *loop = arg;
	const struct http_server_cfg *cfg = &loop->server->cfg;
	int64_t now_ms = clock_mono_ms();
	bool hurry = loop->closing && now_ms - loop->closing_ms >= CLOSING_READ_MS;

	(void)fd;
	(void)what;
	expire(loop, CONN_READING, hurry ? now_ms : now_ms - cfg->read_ms, "slow_request");
	expire(loop, CONN_IDLE, now_ms - cfg->idle_ms, "idle");
	expire(loop, CONN_WRITING, now_ms - WRITE_MS, "slow_answer");
	expire_lingering(loop, now_ms);
	if (loop->closing)
		http_conn_close_silent(loop);
	if (loop->accept_paused && loop->listener) {
		loop->accept_paused = false;
		evconnlistener_enable(loop->listener);
	}
}

static bool is_short(const struct http_loop *loop)
{
	return loop->bytes > loop->server->reading_bytes_per_loop;
}

/* What came behind a request that has no answer yet goes, with the connection behind the answer. */
static void relieve_waiting(struct http_loop *loop, enum conn_state state)
{
	for (struct conn *c = loop->conns[state].first; c && is_short(loop); c = c->next) {
		if (c->in_cap < RELIEF_BYTES_MIN)
			continue;
		if (c->x)
			c->x->close = true;
		c->close = c->linger = true;
		http_conn_forget(c);
	}
}

/* The cheapest first: nobody's answer is lost with what has not been looked at. */
void http_conn_relief(evutil_socket_t fd, short what, void *arg)
{
	struct http_loop *loop = arg;
	struct conn *c, *next;

	(void)fd;
	(void)what;
	relieve_waiting(loop, CONN_WRITING);
	relieve_waiting(loop, CONN_BUSY);
	for (c = loop->conns[CONN_READING].first; c && is_short(loop); c = next) {
		next = c->next;
		if (c->in_cap >= RELIEF_BYTES_MIN)
			http_conn_end(c, "memory");
	}
}

/* ---- closing ---- */

/* What has come and was not read yet will be answered. */
static bool says_nothing(const struct conn *c)
{
	char byte;

	return c->in_n == 0 && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static void close_silent(struct http_loop *loop, enum conn_state state, int64_t before_ms)
{
	struct conn *c = loop->conns[state].first, *next;

	for (; c && c->since_ms <= before_ms; c = next) {
		next = c->next;
		if (says_nothing(c))
			http_conn_end(c, "closing");
	}
}

/* Who has just come, or has just been answered, may have sent what is still on its way. */
void http_conn_close_silent(struct http_loop *loop)
{
	int64_t before_ms = clock_mono_ms() - CLOSING_FRESH_MS;

	close_silent(loop, CONN_IDLE, before_ms);
	close_silent(loop, CONN_READING, before_ms);
}
