#include "net_out.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define ANSWER_US_MAX  60000
#define RETRY_AFTER_MS 2000

struct request {
	struct request *next;
	const void *tag;
	http_answer_fn *answered;
	void *arg;
	struct http_answer answer;
	int64_t heard_us; /* when the CRM hears it; 0: it has, or never will */
	int64_t due_us;   /* when the answer is there */
	char *url;
	struct slice head, body; /* behind the url */
};

struct http_client {
	struct http_client *next; /* of all clients */
	const struct process *process;
	struct http_client_cfg cfg;
	struct request *requests;
	size_t busy;
	bool closed, stop;
	pthread_t thread;
};

static struct {
	const struct crm_faults *faults;
	net_heard_fn *heard;
	void *arg;
} crm;
static struct http_client *clients;

void net_out_reset(const struct crm_faults *faults, net_heard_fn *heard, void *arg)
{
	crm.faults = faults;
	crm.heard = heard;
	crm.arg = arg;
	clients = NULL;
}

static void tell_crm(struct request *r)
{
	const struct http_request req = { .url = r->url, .head = r->head, .body = r->body };
	struct process *before = heap_of(NULL);

	r->heard_us = 0;
	crm.heard(crm.arg, &req);
	heap_of(before);
}

/* Its connection ends: what is on the way arrives, or does not. */
static void cut_off(struct request *r)
{
	if (r->heard_us && world_below(2))
		tell_crm(r);
	r->heard_us = 0;
}

void net_out_arrive(const struct process *p)
{
	for (struct http_client *c = clients; c; c = c->next) {
		for (struct request *r = c->requests; r && c->process == p; r = r->next) {
			if (r->heard_us)
				tell_crm(r);
		}
	}
}

void net_out_forget(const struct process *p)
{
	for (struct http_client **at = &clients; *at;) {
		struct http_client *c = *at;

		if (c->process != p) {
			at = &c->next;
			continue;
		}
		for (struct request *r = c->requests; r; r = r->next)
			cut_off(r);
		*at = c->next;
	}
}

/* What becomes of it, and when that is known. */
static void decide(const struct http_client *c, struct request *r)
{
	int64_t answer_us = (int64_t)world_below(ANSWER_US_MAX) + 100;

	r->due_us = world_us() + answer_us;
	r->answer.result = HTTP_ANSWERED;
	if (world_fault("crm: refused", crm.faults->refused)) {
		r->answer.result = HTTP_NOT_CONNECTED;
		return;
	}
	if (world_fault("crm: 500, forgotten", crm.faults->fails)) {
		r->answer.status = 500;
		return;
	}
	if (world_fault("crm: 429", crm.faults->busy)) {
		r->answer.status = 429;
		r->answer.retry_after_ms = RETRY_AFTER_MS;
		return;
	}
	r->answer.status = 200;
	r->heard_us = world_us() + 1 + (int64_t)world_below((uint64_t)answer_us);
	if (world_fault("crm: heard, hangs", crm.faults->hangs)) {
		r->answer = (struct http_answer){ .result = HTTP_TIMEOUT };
		r->due_us = world_us() + c->cfg.timeout_ms * 1000;
	} else if (world_fault("crm: heard, connection breaks", crm.faults->breaks)) {
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
		us = MIN(us, r->heard_us ? MIN(r->heard_us, r->due_us) : r->due_us);
	return us;
}

static void let_hear(struct http_client *c)
{
	for (struct request *r = c->requests; r; r = r->next) {
		if (r->heard_us && r->heard_us <= world_us())
			tell_crm(r);
	}
}

static void *client_main(void *arg)
{
	struct http_client *c = arg;

	while (!c->stop || c->requests) {
		struct request *r;

		let_hear(c);
		r = take_due(c);
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
	c->process = process_now();
	if (pthread_create(&c->thread, NULL, client_main, c)) {
		free(c);
		return -EAGAIN;
	}
	c->next = clients;
	clients = c;
	*ret = c;
	return 0;
}

static struct request *request_new(const struct http_request *req)
{
	size_t url_n = strlen(req->url) + 1;
	struct request *r = calloc(1, sizeof(*r) + url_n + req->head.n + req->body.n);
	char *at = (char *)(r + 1);

	if (!r)
		return NULL;
	r->url = memcpy(at, req->url, url_n);
	r->head = slice_make(memcpy(at + url_n, req->head.p, req->head.n), req->head.n);
	r->body = slice_make(memcpy(at + url_n + req->head.n, req->body.p, req->body.n),
			     req->body.n);
	return r;
}

int http_client_send(struct http_client *c, const struct http_request *req,
		     http_answer_fn *answered, void *arg)
{
	struct request *r;

	if (c->closed)
		return -ESHUTDOWN;
	r = request_new(req);
	if (!r)
		return -ENOMEM;
	r->tag = req->tag;
	r->answered = answered;
	r->arg = arg;
	world_point("request to crm");
	world_stop_here("stopped before a request to crm", crm.faults->stops);
	if (req->start_by_ms && clock_mono_ms() > req->start_by_ms) {
		r->answer.result = HTTP_CANCELLED;
		r->due_us = world_us();
	} else {
		decide(c, r);
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
		cut_off(r);
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

static void forget(const struct http_client *c)
{
	struct http_client **at = &clients;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	c->closed = c->stop = true;
	for (struct request *r = c->requests; r; r = r->next) {
		cut_off(r);
		r->answer = (struct http_answer){ .result = HTTP_CANCELLED };
		r->due_us = world_us();
	}
	fiber_wake(c, true);
	pthread_join(c->thread, NULL);
	forget(c);
	free(c);
}
