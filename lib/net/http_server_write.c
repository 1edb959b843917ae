/* What goes out: answers, at once where the socket takes them. */
#include "net/http_server_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"

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
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
};

static const char *phrase_of(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Status";
}

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

static void write_answer(struct conn *c, const struct http_answer *a)
{
	struct buf *out = &c->loop->answer;

	buf_reset(out);
	buf_add_text(out, "HTTP/1.1 ");
	buf_add_u64(out, (uint64_t)a->status);
	buf_add_char(out, ' ');
	buf_add_text(out, phrase_of(a->status));
	buf_add_text(out, "\r\nDate: ");
	buf_add_text(out, date_of(c->loop));
	buf_add_text(out, "\r\nContent-Type: application/json\r\nContent-Length: ");
	buf_add_u64(out, a->body.n);
	if (c->close)
		buf_add_text(out, "\r\nConnection: close");
	else if (a->keep_alive)
		buf_add_text(out, "\r\nConnection: keep-alive");
	if (a->status == 405)
		buf_add_text(out, "\r\nAllow: GET, POST");
	if (a->retry_after_s) {
		buf_add_text(out, "\r\nRetry-After: ");
		buf_add_u64(out, a->retry_after_s);
	}
	buf_add_text(out, "\r\n\r\n");
	if (!a->no_body)
		buf_add_slice(out, a->body);
}

/* Now, or when the one who is reading it has come back from the handler. */
static void end(struct conn *c)
{
	c->over = true;
	if (!c->taking)
		http_conn_end(c, NULL);
}

/* The answer is out. */
static void answered(struct conn *c)
{
	struct http_loop *loop = c->loop;

	if (c->close) {
		end(c);
		return;
	}
	http_conn_move(c, c->in_n ? CONN_READING : CONN_IDLE);
	if (c->taking)
		return; /* whoever reads goes on with what is there */
	if (c->in_n) {
		c->again = true;
		TAILQ_INSERT_TAIL(&loop->again, c, next_again);
		event_active(loop->again_event, EV_TIMEOUT, 0);
	} else if (c->deaf) {
		c->deaf = false;
		if (event_add(&c->event, NULL))
			end(c);
	}
}

static bool watch(struct conn *c, short what)
{
	event_del(&c->event);
	event_assign(&c->event, c->loop->base, c->fd, what | EV_PERSIST, http_conn_ready, c);
	return event_add(&c->event, NULL) == 0;
}

/* The socket did not take all of it: the rest waits until the client reads. */
static void put_off(struct conn *c, const char *p, size_t n)
{
	c->out = malloc(n);
	if (!c->out || !watch(c, EV_WRITE)) {
		end(c);
		return;
	}
	memcpy(c->out, p, n);
	c->out_n = n;
	c->out_at = 0;
	http_conn_move(c, CONN_WRITING);
}

void http_conn_answer(struct conn *c, const struct http_answer *answer)
{
	const struct buf *out = &c->loop->answer;
	ssize_t sent;

	write_answer(c, answer);
	if (out->bad) {
		end(c);
		return;
	}
	sent = send(c->fd, out->p, out->n, MSG_NOSIGNAL);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		sent = 0;
	if (sent < 0)
		end(c);
	else if ((size_t)sent < out->n)
		put_off(c, out->p + sent, out->n - (size_t)sent);
	else
		answered(c);
}

void http_conn_writable(struct conn *c)
{
	ssize_t sent = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent < 0) {
		end(c);
		return;
	}
	c->out_at += (size_t)sent;
	if (c->out_at < c->out_n)
		return;
	free(c->out);
	c->out = NULL;
	c->deaf = false;
	if (watch(c, EV_READ))
		answered(c);
	else
		end(c);
}
