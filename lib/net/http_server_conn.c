/* Connections: their states, their time-outs, what evhttp says by itself, ends without loss. */
#include "net/http_server_priv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"

#define WRITE_MS         20000 /* until an answer is read */
#define CLOSING_READ_MS  2000  /* what a request may still take once the server closes */
#define SLOW_MS          1000  /* a request this old may have to go for a new connection */
#define RELIEF_BYTES_MIN 16384 /* of a request worth dropping when memory is short */
#define LINGER_MS        5000
#define LINGER_BYTES     (64u << 20)
#define LINGERING_MAX    256u
#define PAGE_BYTES_MAX   1024u

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
	if (state != CONN_READING) {
		c->loop->reading_bytes -= c->bytes;
		c->bytes = 0;
	}
	c->state = state;
	c->since_ms = clock_mono_ms();
	list_add(c);
}

/* ---- lingering: the socket lives on as a copy, so that no reset eats the answer ---- */

static void lingering_free(struct lingering *l)
{
	struct http_loop *loop = l->loop;

	if (l->prev)
		l->prev->next = l->next;
	else
		loop->lingering = l->next;
	if (l->next)
		l->next->prev = l->prev;
	loop->lingering_n--;
	event_free(l->event);
	close(l->fd);
	free(l);
}

static void lingering_read(evutil_socket_t fd, short what, void *arg)
{
	struct lingering *l = arg;
	static __thread char sink[65536];
	ssize_t got;

	if (what & EV_TIMEOUT) {
		lingering_free(l);
		return;
	}
	got = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0 || (size_t)got >= l->bytes_left || clock_mono_ms() >= l->until_ms) {
		lingering_free(l);
		return;
	}
	l->bytes_left -= (size_t)got;
}

static void lingering_start(struct http_loop *loop, int fd)
{
	const struct timeval silence = { 1, 0 };
	struct lingering *l;

	if (loop->lingering_n >= LINGERING_MAX)
		return;
	l = calloc(1, sizeof(*l));
	if (!l)
		return;
	l->loop = loop;
	l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	l->until_ms = clock_mono_ms() + LINGER_MS;
	l->bytes_left = LINGER_BYTES;
	if (l->fd >= 0)
		l->event = event_new(loop->base, l->fd, EV_READ | EV_PERSIST, lingering_read, l);
	if (!l->event) {
		if (l->fd >= 0)
			close(l->fd);
		free(l);
		return;
	}
	l->next = loop->lingering;
	if (l->next)
		l->next->prev = l;
	loop->lingering = l;
	loop->lingering_n++;
	event_add(l->event, &silence);
}

void http_lingering_free_all(struct http_loop *loop)
{
	struct lingering *l, *next;

	for (l = loop->lingering; l; l = next) {
		next = l->next;
		lingering_free(l);
	}
}

/* ---- pages that evhttp writes by itself ---- */

/* "HTTP/1.1 413 ..." -> 413 */
static int page_status(const char *page, size_t n)
{
	struct slice rest = slice_make(page, n);
	uint64_t status;

	slice_cut(&rest, ' ');
	return slice_u64(slice_cut(&rest, ' '), &status) ? 400 : (int)status;
}

static const char *page_error(int status)
{
	switch (status) {
	case 404:
		return "{\"error\":\"not found\"}";
	case 405:
		return "{\"error\":\"method not allowed\"}";
	case 413:
		return "{\"error\":\"body too large\"}";
	case 417:
		return "{\"error\":\"expectation not supported\"}";
	default:
		return "{\"error\":\"unreadable request\"}";
	}
}

static int too_large_status(const struct conn *c)
{
	struct slice line = slice_make(c->line, c->line_n), method = slice_cut(&line, ' '), path;

	path = slice_cut(&line, ' ');
	return c->loop->server->cfg.too_large(c->loop->arg, method, slice_cut(&path, '?'));
}

/*
 * evhttp answers by itself, in HTML, where it cannot read a request or has read too much of it. It
 * knows no way to say it otherwise, so its page is taken out of the buffer before any of it is
 * sent.
 */
static void replace_page(struct evbuffer *out, struct conn *c)
{
	char page[PAGE_BYTES_MAX], answer[PAGE_BYTES_MAX];
	struct http_loop *loop = c->loop;
	size_t n = evbuffer_get_length(out);
	struct http_head head = { .close = true };
	ev_ssize_t got;

	if (n > sizeof(page))
		return;
	got = evbuffer_copyout(out, page, n);
	if (got <= 0 || !slice_ends(slice_make(page, (size_t)got), SLICE("</HTML>\n")))
		return;
	c->ours = true;
	c->linger = true;
	head.status = page_status(page, (size_t)got);
	if (head.status == 413 && loop->server->cfg.too_large)
		head.status = too_large_status(c);
	n = http_answer_write(loop, &head, slice_of(page_error(head.status)), answer,
			      sizeof(answer));
	evbuffer_unfreeze(out, 1);
	evbuffer_drain(out, (size_t)got);
	evbuffer_freeze(out, 1);
	evbuffer_add(out, answer, n);
	http_conn_move(c, CONN_WRITING);
	if (loop->server->cfg.refused)
		loop->server->cfg.refused(loop->arg, head.status);
}

static void output_changed(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	if (info->n_added && !c->ours && c->state == CONN_READING)
		replace_page(out, c);
}

/* evhttp takes the first line out of the buffer as soon as it is whole. */
static void peek(struct conn *c, struct evbuffer *in)
{
	ev_ssize_t got;

	if (c->line_n && memchr(c->line, '\n', c->line_n))
		return;
	got = evbuffer_copyout(in, c->line, sizeof(c->line));
	c->line_n = got > 0 ? (uint8_t)got : 0;
}

static void input_changed(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	if (!info->n_added || (c->state != CONN_IDLE && c->state != CONN_READING))
		return;
	if (c->state == CONN_IDLE)
		http_conn_move(c, CONN_READING);
	if (c->bytes < sizeof(c->line))
		peek(c, in);
	c->bytes += info->n_added;
	c->loop->reading_bytes += info->n_added;
	if (c->loop->reading_bytes > c->loop->server->reading_bytes_per_loop)
		event_active(c->loop->relief, EV_TIMEOUT, 0);
}

/* ---- coming and going ---- */

static void conn_free(struct conn *c)
{
	struct http_loop *loop = c->loop;
	int fd = bufferevent_getfd(c->bev);

	if (c->x)
		http_exchange_orphan(c->x);
	if (c->evcon && fd >= 0 && (size_t)fd < loop->by_fd_n && loop->by_fd[fd] == c)
		loop->by_fd[fd] = NULL;
	loop->reading_bytes -= c->bytes;
	list_remove(c);
	loop->conns_n--;
	atomic_fetch_sub(&loop->server->connections, 1);
	series_add(loop->server->open, -1);
	free(c);
}

static void closed(struct evhttp_connection *evcon, void *arg)
{
	struct conn *c = arg;
	struct bufferevent *bev = c->bev;

	evhttp_connection_set_closecb(evcon, NULL, NULL);
	if (c->linger && !c->loop->closing)
		lingering_start(c->loop, bufferevent_getfd(bev));
	if (c->watch)
		event_free(c->watch);
	evbuffer_remove_cb(bufferevent_get_input(bev), input_changed, c);
	evbuffer_remove_cb(bufferevent_get_output(bev), output_changed, c);
	conn_free(c);
}

static void kick(struct conn *c, const char *reason)
{
	metric_add(M_CONNECTIONS_CLOSED, reason, NULL, 1);
	evhttp_connection_free(c->evcon);
}

struct bufferevent *http_conn_accept(struct event_base *base, void *arg)
{
	struct http_loop *loop = arg;
	struct conn *c = calloc(1, sizeof(*c));
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);

	if (!c || !bev) {
		free(c);
		return bev; /* without a conn its first request ends it */
	}
	c->loop = loop;
	c->bev = bev;
	c->state = CONN_FRESH;
	list_add(c);
	loop->conns_n++;
	atomic_fetch_add(&loop->server->connections, 1);
	series_add(loop->server->open, 1);
	event_active(loop->fresh, EV_TIMEOUT, 0);
	return bev;
}

static bool remember_fd(struct http_loop *loop, struct conn *c)
{
	size_t fd = (size_t)bufferevent_getfd(c->bev);

	if (fd >= loop->by_fd_n) {
		size_t n = MAX(loop->by_fd_n * 2, fd + 64);
		struct conn **more = realloc(loop->by_fd, n * sizeof(struct conn *));

		if (!more)
			return false;
		memset(more + loop->by_fd_n, 0, (n - loop->by_fd_n) * sizeof(struct conn *));
		loop->by_fd = more;
		loop->by_fd_n = n;
	}
	loop->by_fd[fd] = c;
	return true;
}

struct conn *http_conn_of(struct http_loop *loop, struct evhttp_request *req)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(evcon));

	return fd >= 0 && (size_t)fd < loop->by_fd_n ? loop->by_fd[fd] : NULL;
}

/*
 * evhttp stops reading while a request is answered and begins again behind it, which costs two
 * calls of epoll_ctl. This second event on the same socket keeps it registered, so both are only
 * counted. When something comes while nobody reads, it has to go, or the loop would spin.
 */
static void watched(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct timeval now;

	(void)fd;
	(void)what;
	if (c->state != CONN_BUSY && c->state != CONN_WRITING)
		return;
	event_base_gettimeofday_cached(c->loop->base, &now);
	if (timercmp(&now, &c->busy_since, !=))
		event_del(c->watch);
}

void http_conn_busy(struct conn *c, struct open_exchange *x)
{
	event_base_gettimeofday_cached(c->loop->base, &c->busy_since);
	c->x = x;
	http_conn_move(c, CONN_BUSY);
}

void http_conn_completed(struct evhttp_request *req, void *arg)
{
	struct conn *c = arg;
	size_t ahead = evbuffer_get_length(bufferevent_get_input(c->bev));

	(void)req;
	if (!event_pending(c->watch, EV_READ, NULL))
		event_add(c->watch, NULL);
	c->ours = false;
	c->line_n = 0;
	http_conn_move(c, ahead ? CONN_READING : CONN_IDLE);
	c->bytes = ahead; /* the next request is there already */
	if (ahead)
		peek(c, bufferevent_get_input(c->bev));
	c->loop->reading_bytes += ahead;
}

/* Who has to go for a new connection: the longest idle one, else a slow one, else the new one. */
static struct conn *victim(struct http_loop *loop, struct conn *c)
{
	struct conn *idle = loop->conns[CONN_IDLE].first, *slow = loop->conns[CONN_READING].first;

	if (idle)
		return idle;
	return slow && clock_mono_ms() - slow->since_ms >= SLOW_MS ? slow : c;
}

/* Right behind the accept, before anything can have come: now evhttp's connection is known. */
static void adopt(struct conn *c)
{
	struct http_loop *loop = c->loop;
	void *evcon;
	int on = 1;

	bufferevent_getcb(c->bev, NULL, NULL, NULL, &evcon);
	c->evcon = evcon;
	evhttp_connection_set_closecb(c->evcon, closed, c);
	evbuffer_add_cb(bufferevent_get_input(c->bev), input_changed, c);
	evbuffer_add_cb(bufferevent_get_output(c->bev), output_changed, c);
	setsockopt(bufferevent_getfd(c->bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	http_conn_move(c, CONN_READING);
	c->watch = event_new(loop->base, bufferevent_getfd(c->bev), EV_READ | EV_PERSIST, watched,
			     c);
	if (!c->watch || event_add(c->watch, NULL) || !remember_fd(loop, c))
		kick(c, "memory");
	else if (loop->conns_n > loop->server->conns_per_loop)
		kick(victim(loop, c), "limit");
}

void http_conn_fresh(evutil_socket_t fd, short what, void *arg)
{
	struct http_loop *loop = arg;

	(void)fd;
	(void)what;
	while (loop->conns[CONN_FRESH].first)
		adopt(loop->conns[CONN_FRESH].first);
}

/* ---- time and memory ---- */

static void expire(struct http_loop *loop, enum conn_state state, int64_t before_ms,
		   const char *reason)
{
	struct conn *c;

	while ((c = loop->conns[state].first) && c->since_ms <= before_ms)
		kick(c, reason);
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
	if (loop->accept_paused && loop->listener) {
		loop->accept_paused = false;
		evconnlistener_enable(loop->listener);
	}
}

void http_conn_relief(evutil_socket_t fd, short what, void *arg)
{
	struct http_loop *loop = arg;
	struct conn *c = loop->conns[CONN_READING].first, *next;

	(void)fd;
	(void)what;
	for (; c && loop->reading_bytes > loop->server->reading_bytes_per_loop; c = next) {
		next = c->next;
		if (c->bytes >= RELIEF_BYTES_MIN)
			kick(c, "memory");
	}
}

/* Without a descriptor left, accept fails as long as someone knocks: pause until the janitor comes.
 */
void http_conn_accept_failed(struct evconnlistener *listener, void *arg)
{
	struct http_loop *loop = arg;

	if (!loop->accept_paused)
		SLOG(SLOG_ERROR, "cannot accept connections, trying again", SLOG_ERR(-errno));
	loop->accept_paused = true;
	evconnlistener_disable(listener);
	if (loop->conns[CONN_IDLE].first)
		kick(loop->conns[CONN_IDLE].first, "limit");
}

void http_conn_close_idle(struct http_loop *loop)
{
	struct conn *c, *next;

	expire(loop, CONN_IDLE, INT64_MAX, "closing");
	for (c = loop->conns[CONN_READING].first; c; c = next) {
		next = c->next;
		if (c->bytes == 0)
			kick(c, "closing");
	}
}
