#include "admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "base/addr.h"
#include "base/metric.h"

#define HEADERS_BYTES_MAX 8192
#define REQUEST_SECONDS   10
#define WHY_BYTES         300
#define BACKLOG           128

struct admin {
	struct event_base *base;
	struct evhttp *http;
	struct event *stop; /* becomes readable when the end is wanted */
	struct running *running;
	pthread_t thread;
	int stop_pipe[2];
	char address[80];
	bool threaded;
};

/* ---- answers ---- */

static void answer(struct evhttp_request *req, int status, const char *type, struct slice body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evbuffer *out = evhttp_request_get_output_buffer(req);

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evbuffer_add(out, body.p, body.n);
	evhttp_send_reply(req, status, NULL, out);
}

static void answer_text(struct evhttp_request *req, int status, struct slice text)
{
	answer(req, status, "text/plain; charset=utf-8", text);
}

/* Is this one role ready? The reason is added to why. */
static bool is_ready(const struct running *running, size_t i, struct buf *why)
{
	const struct role *role = running->v[i].role;
	char reason[WHY_BYTES] = "";
	bool ready = role->ready(running->v[i].state, reason, sizeof(reason));

	if (!ready)
		buf_printf(why, "%s: %s\n", role->name, *reason ? reason : "not ready");
	return ready;
}

static bool has_role(const struct running *running, const char *name)
{
	for (size_t i = 0; i < running->n; i++) {
		if (strcmp(running->v[i].role->name, name) == 0)
			return true;
	}
	return false;
}

/* Where ingest runs it is what counts: can requests be made durable? Else all roles do. only may
 * name one; NULL without. */
static bool are_ready(const struct running *running, const char *only, struct buf *why)
{
	bool ready = true;

	if (running->ending || !running->started) {
		buf_add_text(why, running->ending ? "ending\n" : "starting\n");
		return false;
	}
	if (!only && has_role(running, "ingest"))
		only = "ingest";
	for (size_t i = 0; i < running->n; i++) {
		if (!only || strcmp(running->v[i].role->name, only) == 0)
			ready &= is_ready(running, i, why);
	}
	return ready;
}

static void answer_ready(struct evhttp_request *req, const struct running *running,
			 const char *only)
{
	struct buf why = BUF_EMPTY;

	if (are_ready(running, only, &why))
		answer_text(req, HTTP_OK, SLICE("ready\n"));
	else
		answer_text(req, HTTP_SERVUNAVAIL, buf_slice(&why));
	buf_fini(&why);
}

static void answer_metrics(struct evhttp_request *req, const struct running *running)
{
	struct buf out = BUF_EMPTY;

	for (size_t i = 0; i < running->n; i++) {
		char why[WHY_BYTES];

		metric_set(M_ROLE_READY, running->v[i].role->name, NULL,
			   running->v[i].role->ready(running->v[i].state, why, sizeof(why)));
	}
	metric_render(&out);
	if (out.bad)
		answer_text(req, HTTP_INTERNAL, SLICE("out of memory\n"));
	else
		answer(req, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&out));
	buf_fini(&out);
}

static void on_request(struct evhttp_request *req, void *arg)
{
	const struct running *running = ((struct admin *)arg)->running;
	enum evhttp_cmd_type method = evhttp_request_get_command(req);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *text = uri ? evhttp_uri_get_path(uri) : NULL;
	struct slice path = slice_of(text ? text : ""), role = SLICE("/readyz/");

	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD)
		answer_text(req, HTTP_BADMETHOD, SLICE("GET wanted\n"));
	else if (slice_is(path, "/healthz"))
		answer_text(req, HTTP_OK, SLICE("ok\n"));
	else if (slice_is(path, "/readyz"))
		answer_ready(req, running, NULL);
	else if (slice_starts(path, role) && has_role(running, slice_skip(path, role.n).p))
		answer_ready(req, running, slice_skip(path, role.n).p);
	else if (slice_is(path, "/metrics"))
		answer_metrics(req, running);
	else
		answer_text(req, HTTP_NOTFOUND,
			    SLICE("there are /healthz, /readyz, /readyz/ROLE of a "
				  "role that runs here, /metrics\n"));
}

/* ---- its thread ---- */

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static void *serve(void *arg)
{
	struct admin *admin = arg;

	event_base_dispatch(admin->base);
	return NULL;
}

static int listen_socket(const struct sockaddr_storage *ss, socklen_t n)
{
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)ss, n) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static void write_address(struct admin *admin, int fd)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} at;
	socklen_t n = sizeof(at);
	char host[INET6_ADDRSTRLEN] = "";

	memset(&at, 0, sizeof(at));
	getsockname(fd, &at.sa, &n);
	if (at.sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &at.in6.sin6_addr, host, sizeof(host));
	else
		inet_ntop(AF_INET, &at.in.sin_addr, host, sizeof(host));
	snprintf(admin->address, sizeof(admin->address),
		 at.sa.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, ntohs(at.in.sin_port));
}

static int set_up(struct admin *admin, const char *listen)
{
	struct sockaddr_storage ss;
	socklen_t n;
	int fd, err = addr_listen_read(slice_of(listen), &ss, &n);

	if (err)
		return err;
	if (pipe2(admin->stop_pipe, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	admin->base = event_base_new();
	admin->http = admin->base ? evhttp_new(admin->base) : NULL;
	admin->stop = admin->base ? event_new(admin->base, admin->stop_pipe[0], EV_READ, on_stop,
					      admin->base)
				  : NULL;
	if (!admin->http || !admin->stop || event_add(admin->stop, NULL))
		return -ENOMEM;
	evhttp_set_allowed_methods(admin->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
						    EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE);
	evhttp_set_max_headers_size(admin->http, HEADERS_BYTES_MAX);
	evhttp_set_max_body_size(admin->http, HEADERS_BYTES_MAX);
	evhttp_set_timeout(admin->http, REQUEST_SECONDS);
	evhttp_set_gencb(admin->http, on_request, admin);
	fd = listen_socket(&ss, n);
	if (fd < 0)
		return fd;
	write_address(admin, fd);
	if (evhttp_accept_socket(admin->http, fd)) {
		close(fd);
		return -ENOMEM;
	}
	return 0;
}

int admin_start(const char *listen, struct running *running, struct admin **ret)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	int err;

	if (!admin)
		return -ENOMEM;
	admin->running = running;
	admin->stop_pipe[0] = admin->stop_pipe[1] = -1;
	err = set_up(admin, listen);
	if (!err)
		err = -pthread_create(&admin->thread, NULL, serve, admin);
	if (err) {
		admin_stop(admin);
		return err;
	}
	admin->threaded = true;
	*ret = admin;
	return 0;
}

const char *admin_address(const struct admin *admin)
{
	return admin->address;
}

void admin_stop(struct admin *admin)
{
	if (!admin)
		return;
	if (admin->threaded) {
		while (write(admin->stop_pipe[1], "", 1) < 0 && errno == EINTR)
			;
		pthread_join(admin->thread, NULL);
	}
	if (admin->stop)
		event_free(admin->stop);
	if (admin->http)
		evhttp_free(admin->http);
	if (admin->base)
		event_base_free(admin->base);
	for (int i = 0; i < 2; i++) {
		if (admin->stop_pipe[i] >= 0)
			close(admin->stop_pipe[i]);
	}
	free(admin);
}
