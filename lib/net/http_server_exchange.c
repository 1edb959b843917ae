/* Requests to handlers, answers to sockets. */
#include "net/http_server_priv.h"

#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

#define ANSWER_BYTES_MAX 4096u
#define FORWARDED_MAX    32u /* addresses looked at, from the right */

static const struct {
	int status;
	const char *phrase;
} phrases[] = {
	{ 200, "OK" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 413, "Content Too Large" },
	{ 417, "Expectation Failed" },
	{ 429, "Too Many Requests" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
};

const char *http_phrase(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Status";
}

/* ---- answers ---- */

static const char *date_of(struct http_loop *loop)
{
	int64_t now_s = clock_wall_ms() / 1000;
	time_t t = (time_t)now_s;
	struct tm tm;

	if (now_s != loop->date_s && gmtime_r(&t, &tm)) {
		strftime(loop->date, sizeof(loop->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		loop->date_s = now_s;
	}
	return loop->date;
}

size_t http_answer_write(struct http_loop *loop, const struct http_head *head, struct slice body,
			 char *out, size_t out_n)
{
	char retry[40] = "";
	int n;

	if (head->retry_after_s)
		snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", head->retry_after_s);
	n = snprintf(out, out_n,
		     "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: application/json\r\n"
		     "Content-Length: %zu\r\n%s%s%s\r\n",
		     head->status, http_phrase(head->status), date_of(loop), body.n,
		     head->close        ? "Connection: close\r\n"
		     : head->keep_alive ? "Connection: keep-alive\r\n"
					: "",
		     head->status == 405 ? "Allow: GET, POST\r\n" : "", retry);
	if (n < 0 || (size_t)n + body.n >= out_n)
		return 0;
	if (body.n && !head->no_body)
		memcpy(out + n, body.p, body.n);
	return (size_t)n + (head->no_body ? 0 : body.n);
}

static void give_back(struct open_exchange *x)
{
	struct http_loop *loop = x->loop;

	if (x->conn)
		x->conn->x = NULL;
	x->next_free = loop->free_exchanges;
	loop->free_exchanges = x;
}

/* Out it goes: at once where the socket takes it, which spares waiting for it twice. */
static void put_out(struct conn *c, struct evhttp_request *req, const char *p, size_t n)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	ssize_t sent = 0;

	if (evbuffer_get_length(out) == 0)
		sent = send(bufferevent_getfd(c->bev), p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		sent = 0; /* the loop finds out what is wrong */
	http_conn_move(c, CONN_WRITING);
	c->ours = true;
	if ((size_t)sent < n)
		evbuffer_add(out, p + sent, n - (size_t)sent);
	if ((size_t)sent < n)
		bufferevent_enable(c->bev, EV_WRITE);
	req->chunked = 0;           /* it says how the request came; the answer is not chunked */
	evhttp_send_reply_end(req); /* c may be gone behind this */
}

void exchange_answer(struct exchange *ex, int status, struct slice body, unsigned retry_after_s)
{
	struct open_exchange *x = (struct open_exchange *)(void *)ex;
	struct evhttp_request *req = x->req;
	struct conn *c = x->conn;
	struct http_loop *loop = x->loop;
	struct http_head head = { .status = status,
				  .no_body = x->head,
				  .retry_after_s = retry_after_s };
	char out[ANSWER_BYTES_MAX];
	size_t n;

	if (!c) {
		if (req)
			evhttp_send_reply_end(req); /* without a connection it only frees it */
		give_back(x);
		return;
	}
	head.close = x->close || loop->closing;
	if (req->minor == 0 && !head.close) {
		const char *asked = evhttp_find_header(req->input_headers, "Connection");

		head.keep_alive = asked && evutil_ascii_strncasecmp(asked, "keep-alive", 10) == 0;
		head.close = !head.keep_alive;
	}
	if (head.close)
		evhttp_add_header(req->output_headers, "Connection", "close");
	c->linger |= x->close;
	give_back(x);
	n = http_answer_write(loop, &head, body, out, sizeof(out));
	if (!n)
		n = http_answer_write(loop, &head, SLICE_NONE, out, sizeof(out));
	put_out(c, req, out, n);
}

void *exchange_own(struct exchange *ex)
{
	return ((struct open_exchange *)(void *)ex)->own;
}

void http_exchange_orphan(struct open_exchange *x)
{
	/* A request that evhttp has taken from the connection is ours to give back. */
	if (evhttp_request_get_connection(x->req))
		x->req = NULL;
	x->conn = NULL;
}

/* ---- requests ---- */

static struct slice method_of(const struct evhttp_request *req)
{
	switch (req->type) {
	case EVHTTP_REQ_POST:
		return SLICE("POST");
	case EVHTTP_REQ_GET:
		return SLICE("GET");
	case EVHTTP_REQ_HEAD:
		return SLICE("HEAD");
	case EVHTTP_REQ_PUT:
		return SLICE("PUT");
	case EVHTTP_REQ_DELETE:
		return SLICE("DELETE");
	case EVHTTP_REQ_OPTIONS:
		return SLICE("OPTIONS");
	case EVHTTP_REQ_PATCH:
		return SLICE("PATCH");
	default:
		return SLICE("OTHER");
	}
}

/* What counts of the headers. */
struct heads {
	const char *length, *coding, *type, *signature, *connection;
	const char *forwarded[FORWARDED_MAX];
	size_t forwarded_n;
	bool bad;
};

static void keep(const char **at, const char *value, bool once, bool *bad)
{
	if (*at && once)
		*bad = true;
	if (!*at)
		*at = value;
}

static void heads_read(const struct evkeyvalq *headers, struct heads *h)
{
	const struct evkeyval *kv;

	memset(h, 0, sizeof(*h));
	TAILQ_FOREACH(kv, headers, next)
	{
		struct slice key = slice_of(kv->key);

		if (key.n == 0 || key.p[key.n - 1] == ' ' || key.p[key.n - 1] == '\t')
			h->bad = true;
		else if (slice_eq_nocase(key, SLICE("Content-Length")))
			keep(&h->length, kv->value, true, &h->bad);
		else if (slice_eq_nocase(key, SLICE("Transfer-Encoding")))
			keep(&h->coding, kv->value, true, &h->bad);
		else if (slice_eq_nocase(key, SLICE("Content-Type")))
			keep(&h->type, kv->value, false, &h->bad);
		else if (slice_eq_nocase(key, SLICE("Signature")))
			keep(&h->signature, kv->value, false, &h->bad);
		else if (slice_eq_nocase(key, SLICE("Connection")))
			keep(&h->connection, kv->value, false, &h->bad);
		else if (slice_eq_nocase(key, SLICE("X-Forwarded-For")) &&
			 h->forwarded_n < FORWARDED_MAX)
			h->forwarded[h->forwarded_n++] = kv->value;
	}
}

/* May where this request ends be seen otherwise by somebody before us? */
static bool is_ambiguous(const struct evhttp_request *req, const struct heads *h)
{
	if (h->bad || req->major != 1 || (h->length && h->coding))
		return true;
	if (h->length && !slice_is_digits(slice_of(h->length)))
		return true;
	if (h->coding && !slice_eq_nocase(slice_of(h->coding), SLICE("chunked")))
		return true;
	/* Other methods are refused as such, and their connection is closed. */
	return req->type == EVHTTP_REQ_GET &&
	       (h->coding || (h->length && strcmp(h->length, "0") != 0));
}

static bool is_proxy(const struct http_server *s, const struct addr *a)
{
	for (size_t i = 0; i < s->proxies_n; i++) {
		if (net_has_addr(&s->proxies[i], a))
			return true;
	}
	return false;
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

/* The first address from the right that is no proxy of ours; what is left of it anyone may write.
 */
static struct slice peer_of(const struct http_server *s, const struct evhttp_request *req,
			    const struct heads *h)
{
	struct slice peer = slice_of(req->remote_host);
	struct addr a;
	size_t looked = 0;

	if (!s->proxies_n || addr_read(peer, &a) || !is_proxy(s, &a))
		return peer;
	for (size_t i = h->forwarded_n; i-- > 0;) {
		struct slice list = slice_of(h->forwarded[i]);

		while (list.n) {
			struct slice last = take_last(&list);

			if (++looked > FORWARDED_MAX || addr_read(last, &a))
				return peer;
			peer = last;
			if (!is_proxy(s, &a))
				return peer;
		}
	}
	return peer;
}

static void target_of(const struct evhttp_request *req, struct exchange *x)
{
	struct slice target = slice_of(req->uri), rest;

	if (target.n && target.p[0] != '/') { /* http://host/path */
		x->path = slice_of(evhttp_uri_get_path(req->uri_elems));
		x->query = slice_of(evhttp_uri_get_query(req->uri_elems));
		return;
	}
	rest = slice_cut(&target, '#');
	x->path = slice_cut(&rest, '?');
	x->query = rest;
}

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

static void fill_in(struct open_exchange *x, const struct heads *h)
{
	struct evhttp_request *req = x->req;
	struct evbuffer *in = req->input_buffer;
	size_t n = evbuffer_get_length(in);

	x->x.method = method_of(req);
	x->x.content_type = slice_of(h->type);
	x->x.signature = slice_of(h->signature);
	x->x.peer = peer_of(x->loop->server, req, h);
	x->x.received_us = clock_mono_us();
	x->x.body = n ? slice_make(evbuffer_pullup(in, -1), n) : SLICE_NONE;
	target_of(req, &x->x);
	x->head = req->type == EVHTTP_REQ_HEAD;
	x->close = h->connection && evutil_ascii_strcasecmp(h->connection, "close") == 0;
}

void http_exchange_begin(struct evhttp_request *req, void *arg)
{
	struct http_loop *loop = arg;
	const struct http_server_cfg *cfg = &loop->server->cfg;
	struct conn *c = http_conn_of(loop, req);
	struct open_exchange *x = exchange_get(loop);
	struct heads h;

	if (!x || !c) {
		free(x);
		evhttp_connection_free(evhttp_request_get_connection(req));
		return;
	}
	/* evhttp goes on reading behind a request without a body, and ends the process when
	 * something comes. */
	bufferevent_disable(c->bev, EV_READ);
	http_conn_busy(c, x);
	evhttp_request_set_on_complete_cb(req, http_conn_completed, c);
	x->conn = c;
	x->req = req;
	heads_read(req->input_headers, &h);
	fill_in(x, &h);
	if (is_ambiguous(req, &h)) {
		x->close = c->linger = true;
		if (cfg->refused)
			cfg->refused(loop->arg, 400);
		exchange_answer(&x->x, 400, SLICE("{\"error\":\"unreadable request\"}"), 0);
		return;
	}
	if (req->type != EVHTTP_REQ_POST && req->type != EVHTTP_REQ_GET)
		x->close = c->linger = true; /* who knows whether a body follows */
	cfg->handle(loop->arg, &x->x);
}
