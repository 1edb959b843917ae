#include "net_out.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define ANSWER_US_MAX  60000
#define REFUSED_PER_M  20000 /* no connection: it heard nothing */
#define HANGS_PER_M    10000 /* it heard, no answer comes */
#define BREAKS_PER_M   10000 /* it heard, the connection breaks */
#define FAILS_PER_M    20000 /* it heard, forgot and says 500 */
#define BUSY_PER_M     5000  /* 429, Retry-After */
#define RETRY_AFTER_MS 2000

struct request {
	struct request *next;
	const void *tag;
	http_answer_fn *answered;
	void *arg;
	struct http_answer answer;
	int64_t due_us;
};

struct http_client {
	struct http_client_cfg cfg;
	struct request *requests;
	size_t busy;
	bool closed, stop;
	pthread_t thread;
};

static struct {
	net_heard_fn *heard;
	void *arg;
} crm;

void net_out_reset(net_heard_fn *heard, void *arg)
{
	crm.heard = heard;
	crm.arg = arg;
}

static int tell_crm(const struct http_request *req)
{
	struct process *before = heap_of(NULL);
	int status = crm.heard(crm.arg, req);

	heap_of(before);
	return status;
}

/* What becomes of it, and when that is known. */
static void decide(const struct http_client *c, const struct http_request *req, struct request *r)
{
	r->due_us = world_us() + (int64_t)world_below(ANSWER_US_MAX) + 100;
	r->answer.result = HTTP_ANSWERED;
	if (world_fault("crm: refused", REFUSED_PER_M)) {
		r->answer.result = HTTP_NOT_CONNECTED;
		return;
	}
	if (world_fault("crm: 500, forgotten", FAILS_PER_M)) {
		r->answer.status = 500;
		return;
	}
	if (world_fault("crm: 429", BUSY_PER_M)) {
		r->answer.status = 429;
		r->answer.retry_after_ms = RETRY_AFTER_MS;
		return;
	}
	r->answer.status = tell_crm(req);
	if (world_fault("crm: heard, hangs", HANGS_PER_M)) {
		r->answer = (struct http_answer){ .result = HTTP_TIMEOUT };
		r->due_us = world_us() + c->cfg.timeout_ms * 1000;
	} else if (world_fault("crm: heard, connection breaks", BREAKS_PER_M)) {
		r->answer = (struct http_answer){ .result = HTTP_BROKEN };
	}
}

/* ---- the client's thread ---- */

static struct request *take_due(struct http_client *c)
{
	struct request **at = &c->requests, *r;

	while (*at && (*at)->due_us > world_us())
		at = &(*at)->next;
	r = *at;
	if (r)
		*at = r->next;
	return r;
}

static int64_t next_us(const struct http_client *c)
{
	int64_t us = INT64_MAX;

	for (const struct request *r = c->requests; r; r = r->next)
		us = MIN(us, r->due_us);
	return us;
}

static void *client_main(void *arg)
{
	struct http_client *c = arg;

	while (!c->stop || c->requests) {
		struct request *r = take_due(c);

		if (!r) {
			fiber_wait(c, next_us(c));
			continue;
		}
		world_point("crm answered, not told");
		r->answered(r->arg, &r->answer);
		c->busy--;
		free(r);
		world_point("crm answered");
	}
	return NULL;
}

/* ---- http_client.h ---- */

const char *http_result_text(enum http_result result)
{
	static const char *const texts[HTTP_RESULTS_N] = {
		"answered",   "timeout", "not_resolved", "not_connected", "address_refused",
		"tls_failed", "bad_url", "broken",       "cancelled",
	};

	return texts[result];
}

int http_client_new(const struct http_client_cfg *cfg, struct http_client **ret)
{
	struct http_client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
	if (pthread_create(&c->thread, NULL, client_main, c)) {
		free(c);
		return -EAGAIN;
	}
	*ret = c;
	return 0;
}

int http_client_send(struct http_client *c, const struct http_request *req,
		     http_answer_fn *answered, void *arg)
{
	struct request *r;

	if (c->closed)
		return -ESHUTDOWN;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->tag = req->tag;
	r->answered = answered;
	r->arg = arg;
	if (req->start_by_ms && clock_mono_ms() > req->start_by_ms) {
		r->answer.result = HTTP_CANCELLED;
		r->due_us = world_us();
	} else {
		world_point("request to crm");
		decide(c, req, r);
	}
	r->next = c->requests;
	c->requests = r;
	c->busy++;
	fiber_wake(c, true);
	return 0;
}

void http_client_cancel(struct http_client *c, const void *tag)
{
	for (struct request *r = c->requests; r; r = r->next) {
		if (r->tag != tag)
			continue;
		r->answer = (struct http_answer){ .result = HTTP_CANCELLED };
		r->due_us = world_us();
	}
	fiber_wake(c, true);
}

size_t http_client_busy(struct http_client *c)
{
	return c->busy;
}

void http_client_close(struct http_client *c)
{
	c->closed = true;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	c->closed = c->stop = true;
	for (struct request *r = c->requests; r; r = r->next) {
		r->answer = (struct http_answer){ .result = HTTP_CANCELLED };
		r->due_us = world_us();
	}
	fiber_wake(c, true);
	pthread_join(c->thread, NULL);
	free(c);
}
