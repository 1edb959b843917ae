/* Requests to handlers, answers to connections. */
#include "net/http_server_priv.h"

#include <stdlib.h>

#include "base/clock.h"

#define PORT_DIGITS_MAX 5u

/* ---- answers ---- */

static void give_back(struct open_exchange *x)
{
	struct http_loop *loop = x->loop;

	if (x->conn)
		x->conn->x = NULL;
	x->next_free = loop->free_exchanges;
	loop->free_exchanges = x;
}

void exchange_answer(struct exchange *ex, int status, struct slice body, unsigned retry_after_s)
{
	struct open_exchange *x = (struct open_exchange *)(void *)ex;
	const struct http_answer answer = { .status = status,
					    .body = body,
					    .keep_alive = x->keep_alive,
					    .no_body = x->head,
					    .retry_after_s = retry_after_s };
	struct conn *c = x->conn;

	if (c) {
		c->close = c->linger = x->close || x->loop->closing;
	}
	give_back(x);
	if (c)
		http_conn_answer(c, &answer);
}

void *exchange_own(struct exchange *ex)
{
	return ((struct open_exchange *)(void *)ex)->own;
}

void http_exchange_orphan(struct open_exchange *x)
{
	x->conn = NULL;
}

/* ---- who sends ---- */

static bool is_proxy(const struct http_server *s, const struct addr *a)
{
	for (size_t i = 0; i < s->proxies_n; i++) {
		if (net_has_addr(&s->proxies[i], a))
			return true;
	}
	return false;
}

bool http_is_proxy(const struct http_server *s, struct slice address)
{
	struct addr a;

	return s->proxies_n && addr_read(address, &a) == 0 && is_proxy(s, &a);
}

/* The last element of a list; the list becomes what is before it. */
static struct slice take_last(struct slice *list)
{
	size_t at = list->n;
	struct slice last;

	while (at > 0 && list->p[at - 1] != ',')
		at--;
	last = slice_trim(slice_skip(*list, at));
	*list = slice_head(*list, at ? at - 1 : 0);
	return last;
}

/* Some proxies write the client's port, too: "1.2.3.4:5678", "[::1]:80". */
static struct slice without_port(struct slice s)
{
	size_t colon = s.n;

	while (colon > 0 && s.n - colon < PORT_DIGITS_MAX && s.p[colon - 1] >= '0' &&
	       s.p[colon - 1] <= '9')
		colon--;
	if (colon == s.n || colon < 2 || s.p[--colon] != ':')
		return s;
	return s.p[colon - 1] == ']' || slice_find(s, ':') == colon ? slice_head(s, colon) : s;
}

/* The first address from the right that is no proxy of ours; what is left of it anyone may write.
 */
static struct slice peer_of(const struct conn *c, const struct request_head *h)
{
	const struct http_server *s = c->loop->server;
	struct slice peer = slice_of(c->peer);
	struct addr a;
	size_t looked = 0;

	if (!c->is_proxy)
		return peer;
	for (size_t i = h->forwarded_n; i-- > 0;) {
		struct slice list = h->forwarded[i];

		while (list.n) {
			struct slice last = without_port(take_last(&list));

			if (++looked > HTTP_FORWARDED_MAX || addr_read(last, &a))
				return peer;
			peer = last;
			if (!is_proxy(s, &a))
				return peer;
		}
	}
	return peer;
}

/* ---- requests ---- */

static struct open_exchange *exchange_get(struct http_loop *loop)
{
	size_t own = loop->server->cfg.own_bytes;
	struct open_exchange *x = loop->free_exchanges;

	if (x) {
		loop->free_exchanges = x->next_free;
	} else {
		x = malloc(sizeof(*x) + own);
		if (!x)
			return NULL;
	}
	memset(x, 0, sizeof(*x) + own);
	x->loop = loop;
	return x;
}

/*
 * Whatever follows a method without a meaning here has not been looked at, and what a body of a GET
 * is to whoever stands between us and the client, nobody knows (RFC 9110 9.3.1): it means nothing,
 * and no request of this connection is read behind it.
 */
static bool is_the_last(const struct request_head *h)
{
	bool is_get = slice_eq(h->method, SLICE("GET"));

	return h->says_close || (h->old && !h->says_keep) ||
	       !(is_get || slice_eq(h->method, SLICE("POST"))) ||
	       (is_get && (h->chunked || h->length > 0));
}

static void fill_in(struct open_exchange *x, const struct request_head *h, struct slice body)
{
	x->x.method = h->method;
	x->x.path = h->path;
	x->x.query = h->query;
	x->x.content_type = h->content_type;
	x->x.signature = h->signature;
	x->x.body = body.n && !slice_eq(h->method, SLICE("GET")) ? body : SLICE_NONE;
	x->x.peer = peer_of(x->conn, h);
	x->x.received_us = clock_mono_us();
	x->head = slice_eq(h->method, SLICE("HEAD"));
	x->close = is_the_last(h);
	x->keep_alive = h->old && h->says_keep;
}

void http_exchange_begin(struct conn *c, const struct request_head *h, struct slice body)
{
	struct http_loop *loop = c->loop;
	struct open_exchange *x = exchange_get(loop);

	if (!x) {
		c->over = true;
		return;
	}
	x->conn = c;
	c->x = x;
	fill_in(x, h, body);
	http_conn_move(c, CONN_BUSY);
	loop->server->cfg.handle(loop->arg, &x->x);
}
