/* What comes in: bytes until a request is whole, and refusals of what never will be one. */
#include "net/http_server_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BUFFER_BYTES_MIN 2048u

/* ---- what a connection keeps ---- */

void http_conn_forget(struct conn *c)
{
	c->loop->bytes -= c->in_cap;
	free(c->in);
	c->in = NULL;
	c->in_n = c->in_cap = 0;
}

/* A buffer of that size or more; what is in it stays. */
static bool resize(struct conn *c, size_t n)
{
	struct http_loop *loop = c->loop;
	char *more;

	if (c->in && n <= c->in_cap)
		return true;
	n = MAX(n, BUFFER_BYTES_MIN);
	more = realloc(c->in, n);
	if (!more)
		return false;
	loop->bytes += n - c->in_cap;
	c->in = more;
	c->in_cap = n;
	if (loop->bytes > loop->server->reading_bytes_per_loop)
		event_active(loop->relief, EV_TIMEOUT, 0);
	return true;
}

/* Room to read into: no more than the request is known to need, and never much more than has come.
 */
static bool make_room(struct conn *c)
{
	const struct incoming *in = &c->incoming;
	size_t want = c->in_n * 2;

	if (c->in_n < c->in_cap)
		return true;
	if (in->head_n && !in->chunked)
		want = MIN(want, in->head_n + (size_t)in->length);
	return resize(c, MAX(want, c->in_n + 1));
}

/* p[0, n) stays for later; it lies in the buffer, if there is one, else in scratch. */
static bool keep(struct conn *c, const char *p, size_t n)
{
	if (n == 0) {
		http_conn_forget(c);
		return true;
	}
	if (c->in)
		memmove(c->in, p, n);
	else if (resize(c, n))
		memcpy(c->in, p, n);
	else
		return false;
	c->in_n = n;
	return true;
}

/* ---- refusals ---- */

static const char *refusal_text(int status)
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
	case 431:
		return "{\"error\":\"request head too large\"}";
	default:
		return "{\"error\":\"unreadable request\"}";
	}
}

static void refuse(struct conn *c, int status)
{
	const struct http_server_cfg *cfg = &c->loop->server->cfg;
	const struct http_answer answer = { .status = status,
					    .body = slice_of(refusal_text(status)) };

	if (cfg->refused)
		cfg->refused(c->loop->arg, status);
	c->close = c->linger = true;
	http_conn_answer(c, &answer);
}

/* A whole head was read: what stands before 413 stands before all others, too. */
static void refuse_request(struct conn *c, const struct request_head *h, int status)
{
	const struct http_server_cfg *cfg = &c->loop->server->cfg;
	int before = cfg->too_large ? cfg->too_large(c->loop->arg, h->method, h->path) : 413;

	refuse(c, before == 413 ? status : before);
}

/* ---- a request ---- */

/* Methods without a meaning here are refused as such, and nobody knows what follows. */
static bool is_readable(const struct request_head *h)
{
	return slice_eq(h->method, SLICE("POST")) || slice_eq(h->method, SLICE("GET"));
}

/* The head is whole. 0, or the status to refuse it with. */
static int judge(const struct conn *c, const struct request_head *h)
{
	if (!is_readable(h))
		return 0;
	if (h->length > c->loop->server->cfg.body_bytes_max)
		return 413;
	if (h->expect.p && !h->old && !slice_eq_nocase(h->expect, SLICE("100-continue")))
		return 417;
	return 0;
}

/* Whoever waits for leave to send a body gets it; who does not, has sent it already. */
static void encourage(struct conn *c, const struct request_head *h, size_t come)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	ssize_t sent = sizeof(go_on) - 1;

	if (h->expect.p && !h->old && (c->incoming.chunked || c->incoming.length) && !come)
		sent = send(c->fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL);
	if (sent > 0 && (size_t)sent < sizeof(go_on) - 1)
		c->over = true; /* none of it may be missing, half of it may not */
}

/* Reads the head at p. true: it is whole, and fine; false: more has to come, or c was refused. */
static bool read_head(struct conn *c, const char *p, size_t n, struct request_head *h)
{
	struct incoming *in = &c->incoming;
	size_t max = c->loop->server->cfg.head_bytes_max;
	ssize_t head_n = 0;
	int status;

	if (memchr(p + in->seen_n, '\n', n - in->seen_n))
		head_n = request_head_read(slice_make(p, n), h);
	in->seen_n = n;
	if (head_n == 0 && n <= max)
		return false;
	if (head_n <= 0 || (size_t)head_n > max) {
		refuse(c, head_n < 0 ? 400 : 431);
		return false;
	}
	status = judge(c, h);
	if (status) {
		refuse_request(c, h, status);
		return false;
	}
	in->head_n = (size_t)head_n;
	in->length = is_readable(h) ? h->length : 0;
	in->chunked = is_readable(h) && h->chunked;
	encourage(c, h, n - in->head_n);
	return true;
}

/*
 * Reads the body behind a whole head at p[0, *n). true: it is whole; *used: where the next request
 * begins. Chunks become shorter when they are decoded, so *n may shrink.
 */
static bool read_body(struct conn *c, char *p, size_t *n, size_t *used)
{
	struct incoming *in = &c->incoming;
	size_t raw = in->body_n;
	struct request_head h;
	int got;

	if (!in->chunked) {
		in->body_n = (size_t)in->length;
		*used = in->head_n + in->body_n;
		return *n >= *used;
	}
	got = chunks_read(&in->chunks, p + in->head_n, &in->body_n, &raw, *n - in->head_n,
			  c->loop->server->cfg.body_bytes_max);
	if (got > 0) {
		*used = in->head_n + raw;
		return true;
	}
	*n = in->head_n + in->body_n;
	if (got == -EFBIG && request_head_read(slice_make(p, in->head_n), &h) > 0)
		refuse_request(c, &h, 413);
	else if (got < 0)
		refuse(c, 400);
	return false;
}

/*
 * Handles the request at p[0, *n). How many bytes it was; 0: it is not whole, and p[0, *n) has to
 * be kept, or it was refused.
 */
static size_t take_one(struct conn *c, char *p, size_t *n)
{
	struct incoming *in = &c->incoming;
	struct request_head h;
	size_t used, head_n, body_n;
	bool known = !in->head_n;

	if (known) {
		if (p[0] == '\r' && !in->seen_n) /* empty lines before a request: RFC 9112 2.2 */
			return *n == 1 ? 0 : p[1] == '\n' ? 2 : (refuse(c, 400), 0);
		if (!read_head(c, p, *n, &h))
			return 0;
	}
	if (!read_body(c, p, n, &used))
		return 0;
	if (!known && request_head_read(slice_make(p, in->head_n), &h) <= 0) {
		refuse(c, 400); /* it was whole before: this cannot be */
		return 0;
	}
	head_n = in->head_n;
	body_n = in->body_n;
	*in = (struct incoming){ 0 };
	http_exchange_begin(c, &h, slice_make(p + head_n, body_n));
	return used;
}

static bool may_read(const struct conn *c)
{
	return !c->over && (c->state == CONN_IDLE || c->state == CONN_READING);
}

static void hear_again(struct conn *c)
{
	c->deaf = false;
	if (event_add(&c->event, NULL))
		http_conn_end(c, "memory");
}

/* Is a request coming? It counts from its first byte, silence from the answer. */
static void note_silence(struct conn *c, bool silent)
{
	enum conn_state state = silent ? CONN_IDLE : CONN_READING;

	if (may_read(c) && c->state != state)
		http_conn_move(c, state);
}

/* p[0, n), in scratch or in the buffer, has come: handles what is whole, and keeps the rest. */
static void take(struct conn *c, char *p, size_t n)
{
	size_t used = 1;

	c->taking = true;
	while (n && used && may_read(c)) {
		used = take_one(c, p, &n);
		p += used;
		n -= used;
	}
	c->taking = false;
	if (c->over || (!c->close && !keep(c, p, n))) {
		http_conn_end(c, c->over ? NULL : "memory");
		return;
	}
	note_silence(c, n == 0);
	if (c->deaf && may_read(c))
		hear_again(c);
}

void http_conn_ready(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	char *p = c->loop->scratch;
	size_t room = HTTP_READ_BYTES;
	ssize_t got;

	if (what & EV_WRITE) {
		http_conn_writable(c);
		return;
	}
	/* One request at a time: what comes now waits in the socket, and the loop must not spin. */
	if (!may_read(c) || c->again) {
		c->deaf = true;
		event_del(&c->event);
		return;
	}
	if (c->in) {
		if (!make_room(c)) {
			http_conn_end(c, "memory");
			return;
		}
		p = c->in + c->in_n;
		room = c->in_cap - c->in_n;
	}
	got = recv(fd, p, room, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		http_conn_end(c, c->in_n ? "cut" : NULL);
	else if (c->in)
		take(c, c->in, c->in_n + (size_t)got);
	else
		take(c, p, (size_t)got);
}

/* Those whose next request came before the answer to the one before was out. */
void http_conn_again(evutil_socket_t fd, short what, void *arg)
{
	struct http_loop *loop = arg;
	size_t n = loop->conns_n; /* no more than once each */
	struct conn *c;

	(void)fd;
	(void)what;
	for (; n-- && (c = TAILQ_FIRST(&loop->again));) {
		TAILQ_REMOVE(&loop->again, c, next_again);
		c->again = false;
		if (c->in)
			take(c, c->in, c->in_n);
	}
	if (!TAILQ_EMPTY(&loop->again))
		event_active(loop->again_event, EV_TIMEOUT, 0);
}
