#include "net_in.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "loop.h"
#include "net/http_server.h"

#define THREADS_MAX   2
#define LOST_PER_M    2000 /* the connection breaks before the answer is out */
#define DRAIN_STEP_US 2000

/* A request on its way, or being handled. The world's: it outlives the process. */
struct letter {
	struct letter *next;
	struct net_request req;
	net_answer_fn *answered;
	void *arg;
	struct http_loop *loop;
	bool handled;
};

struct sim_exchange {
	struct exchange x;
	struct letter *letter;
	_Alignas(16) char own[];
};

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct http_loop {
	struct http_server *server;
	struct event_base *base;
	struct post *posts;
	void *arg;
	size_t open; /* exchanges */
	pthread_t thread;
	bool runs;
};

struct http_server {
	struct http_server_cfg cfg;
	struct http_loop loops[THREADS_MAX];
	unsigned threads;
	bool closing;
};

static struct http_server *listening;
static struct letter *letters; /* oldest first */

void net_in_reset(void)
{
	listening = NULL;
	letters = NULL;
}

static void letter_end(struct letter *letter, enum net_result result, int status)
{
	struct letter **at = &letters;
	struct process *before = heap_of(NULL);

	while (*at && *at != letter)
		at = &(*at)->next;
	if (*at)
		*at = letter->next;
	letter->answered(letter->arg, result, status);
	free(letter);
	heap_of(before);
}

void net_send(const struct net_request *req, net_answer_fn *answered, void *arg)
{
	struct letter **at = &letters, *letter;
	struct process *before;

	if (!listening || listening->closing) {
		answered(arg, NET_REFUSED, 0);
		return;
	}
	before = heap_of(NULL);
	letter = calloc(1, sizeof(*letter));
	heap_of(before);
	*letter = (struct letter){ .req = *req,
				   .answered = answered,
				   .arg = arg,
				   .loop = &listening->loops[world_below(listening->threads)] };
	while (*at)
		at = &(*at)->next;
	*at = letter;
	loop_kick(letter->loop->base);
}

/* Its process is dead: whoever waited hears nothing. */
static void server_gone(void *arg)
{
	struct http_server *s = arg;
	struct letter *letter = letters, *next;

	if (listening == s)
		listening = NULL;
	for (; letter; letter = next) {
		next = letter->next;
		if (letter->loop->server == s)
			letter_end(letter, NET_LOST, 0);
	}
}

/* ---- a loop ---- */

static bool run_post(struct http_loop *loop)
{
	struct post *post = loop->posts;

	if (!post)
		return false;
	loop->posts = post->next;
	post->fn(post->arg);
	free(post);
	return true;
}

static void handle(struct http_loop *loop, struct letter *letter)
{
	const struct net_request *req = &letter->req;
	struct sim_exchange *e = calloc(1, sizeof(*e) + loop->server->cfg.own_bytes);

	letter->handled = true;
	e->letter = letter;
	e->x = (struct exchange){ .method = req->method,
				  .path = req->path,
				  .query = req->query,
				  .content_type = req->content_type,
				  .signature = SLICE(""),
				  .body = req->body,
				  .peer = SLICE("198.51.100.7"),
				  .received_us = clock_mono_us() };
	loop->open++;
	loop->server->cfg.handle(loop->arg, &e->x);
}

static bool turn(void *arg)
{
	struct http_loop *loop = arg;

	world_point("loop turns");
	if (run_post(loop))
		return true;
	for (struct letter *letter = letters; letter; letter = letter->next) {
		if (letter->loop != loop || letter->handled)
			continue;
		handle(loop, letter);
		return true;
	}
	return false;
}

static void *loop_main(void *arg)
{
	struct http_loop *loop = arg;

	loop_run(loop->base, turn, loop);
	loop->server->cfg.loop_stop(loop->arg);
	return NULL;
}

struct event_base *http_loop_base(struct http_loop *loop)
{
	return loop->base;
}

int http_loop_post(struct http_loop *loop, void (*fn)(void *arg), void *arg)
{
	struct post **at = &loop->posts, *post;

	if (loop->server->closing && !loop->runs)
		return -ESHUTDOWN;
	post = malloc(sizeof(*post));
	if (!post)
		return -ENOMEM;
	*post = (struct post){ NULL, fn, arg };
	while (*at)
		at = &(*at)->next;
	*at = post;
	loop_kick(loop->base);
	return 0;
}

/* ---- exchanges ---- */

void *exchange_own(struct exchange *x)
{
	return CONTAINER_OF(x, struct sim_exchange, x)->own;
}

void exchange_answer(struct exchange *x, int status, struct slice body, unsigned retry_after_s)
{
	struct sim_exchange *e = CONTAINER_OF(x, struct sim_exchange, x);
	struct letter *letter = e->letter;
	struct http_loop *loop = letter->loop;

	(void)body;
	(void)retry_after_s;
	world_point("durable, not answered");
	loop->open--;
	if (world_fault("answer lost", LOST_PER_M))
		letter_end(letter, NET_LOST, 0);
	else
		letter_end(letter, NET_ANSWERED, status);
	free(e);
	world_point("answered");
}

/* ---- the server ---- */

static int loop_begin(struct http_server *s, struct http_loop *loop)
{
	int err;

	loop->server = s;
	loop->base = loop_new();
	if (!loop->base)
		return -ENOMEM;
	err = s->cfg.loop_start(s->cfg.arg, loop, &loop->arg);
	if (err)
		return err;
	err = -pthread_create(&loop->thread, NULL, loop_main, loop);
	if (err)
		s->cfg.loop_stop(loop->arg);
	loop->runs = !err;
	return err;
}

int http_server_new(const struct http_server_cfg *cfg, struct http_server **ret,
		    struct buf *problem)
{
	struct http_server *s = calloc(1, sizeof(*s));
	int err = 0;

	if (!s)
		return -ENOMEM;
	if (listening) {
		buf_add_text(problem, "the address is in use");
		free(s);
		return -EADDRINUSE;
	}
	s->cfg = *cfg;
	s->threads = 1 + (unsigned)world_below(THREADS_MAX);
	for (unsigned i = 0; !err && i < s->threads; i++)
		err = loop_begin(s, &s->loops[i]);
	if (err) {
		http_server_free(s);
		return err;
	}
	listening = s;
	process_at_end(process_now(), server_gone, s);
	*ret = s;
	return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
	(void)s;
	return 8080;
}

unsigned http_server_threads(const struct http_server *s)
{
	return s->threads;
}

size_t http_server_connections(struct http_server *s)
{
	size_t n = 0;

	for (const struct letter *letter = letters; letter; letter = letter->next)
		n += letter->loop->server == s;
	return n;
}

void http_server_close(struct http_server *s)
{
	s->closing = true;
}

int http_server_drain(struct http_server *s, int64_t deadline_ms)
{
	while (http_server_connections(s)) {
		if (clock_mono_ms() >= deadline_ms)
			return -ETIMEDOUT;
		world_sleep(DRAIN_STEP_US);
	}
	return 0;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	s->closing = true;
	for (unsigned i = 0; i < s->threads; i++) {
		struct http_loop *loop = &s->loops[i];

		if (!loop->runs)
			continue;
		loop_stop(loop->base);
		pthread_join(loop->thread, NULL);
		loop_free(loop->base);
	}
	server_gone(s);
	process_at_end(process_now(), NULL, NULL);
	free(s); /* NOLINT(clang-analyzer-unix.Malloc): it takes s for a constant */
}
