/*
 * handler.h - a handler that says what it got: at once, /soon... and /later in a while, /never when
 * it is told
 */
#ifndef TESTS_NET_HANDLER_H
#define TESTS_NET_HANDLER_H

#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "net/http_server.h"
#include "unit/net/client.h"

#define BODY_MAX  20000
#define BIG_BYTES 8000000 /* of an answer that no socket takes at once */

struct held {
	struct exchange *x;
	struct event *timer;
	struct held *next;
	char text[64]; /* the answer */
};

struct handler {
	struct http_loop *loop;
	struct held *never;
};

static atomic_int handled, refused, orphans;
static _Atomic(struct handler *) the_handler; /* the last one that began */

static inline void say(struct exchange *x)
{
	struct buf out = BUF_EMPTY;

	buf_printf(&out,
		   "{\"m\":\"%.*s\",\"p\":\"%.*s\",\"q\":\"%.*s\",\"b\":%zu,\"t\":\"%.*s\","
		   "\"from\":\"%.*s\"}",
		   SLICE_ARG(x->method), SLICE_ARG(x->path), SLICE_ARG(x->query), x->body.n,
		   SLICE_ARG(x->content_type), SLICE_ARG(x->peer));
	if (slice_is(x->path, "/big"))
		buf_printf(&out, "%*s}", BIG_BYTES, "");
	exchange_answer(x, slice_is(x->method, "HEAD") ? 405 : 200, buf_slice(&out), 0);
	buf_fini(&out);
}

static inline void later(evutil_socket_t fd, short what, void *arg)
{
	struct held *held = arg;

	(void)fd;
	(void)what;
	exchange_answer(held->x, 200, slice_of(held->text), 0);
	orphans++;
	event_free(held->timer);
	free(held);
}

static inline void handle(void *arg, struct exchange *x)
{
	struct handler *h = arg;
	bool soon = slice_starts(x->path, SLICE("/soon"));
	const struct timeval wait = { 0, soon ? 500 : 30000 };
	struct held *held;

	handled++;
	*(int *)exchange_own(x) += 1; /* zeroed each time */
	assert_int_equal(*(int *)exchange_own(x), 1);
	if (!soon && !slice_is(x->path, "/later") && !slice_is(x->path, "/never")) {
		say(x);
		return;
	}
	held = calloc(1, sizeof(*held));
	assert_non_null(held);
	held->x = x;
	snprintf(held->text, sizeof(held->text), "{\"later\":true}");
	if (soon)
		snprintf(held->text, sizeof(held->text), "{\"p\":\"%.*s\",\"b\":%zu}",
			 SLICE_ARG(x->path), x->body.n);
	if (slice_is(x->path, "/never")) {
		held->next = h->never;
		h->never = held;
		return;
	}
	held->timer = event_new(http_loop_base(h->loop), -1, 0, later, held);
	event_add(held->timer, &wait);
}

static inline int loop_start(void *arg, struct http_loop *loop, void **ret)
{
	struct handler *h = calloc(1, sizeof(*h));

	(void)arg;
	assert_non_null(h);
	h->loop = loop;
	the_handler = h;
	*ret = h;
	return 0;
}

/* Answers all of /never. In the loop's thread. */
static inline void answer_held(void *arg)
{
	struct handler *h = arg;
	struct held *held, *next;

	for (held = h->never, h->never = NULL; held; held = next) {
		next = held->next;
		exchange_answer(held->x, 503, SLICE("{\"error\":\"stopped\"}"), 1);
		free(held);
	}
}

static inline void loop_stop(void *arg)
{
	answer_held(arg);
	free(arg);
}

static inline void count_refused(void *arg, int status)
{
	(void)arg;
	(void)status;
	refused++;
}

static inline struct http_server_cfg default_cfg(void)
{
	return (struct http_server_cfg){
		.listen = "127.0.0.1:0",
		.threads = 1,
		.body_bytes_max = BODY_MAX,
		.head_bytes_max = 4096,
		.own_bytes = sizeof(int),
		.loop_start = loop_start,
		.handle = handle,
		.refused = count_refused,
		.loop_stop = loop_stop,
	};
}

static inline struct http_server *start(const struct http_server_cfg *cfg)
{
	struct buf problem = BUF_EMPTY;
	struct http_server *s;

	assert_int_equal(http_server_new(cfg, &s, &problem), 0);
	buf_fini(&problem);
	return s;
}

static inline void until_count(atomic_int *n, int want)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	while (*n < want) {
		assert_true(clock_mono_ms() < until);
		usleep(1000);
	}
}

#endif
