/*
 * http_server.h - HTTP/1.1 in: one loop a core, answers when they are ready
 *
 * Each loop is a thread with its own listening socket (SO_REUSEPORT), its own connections and its
 * own exchanges; nothing is shared but the counts. A handler takes an exchange and answers it now
 * or later, in the loop's thread; the connection may be gone by then, the exchange is not.
 *
 * A request that comes in one piece, as webhooks do, costs one read, one write and no memory: it is
 * parsed where it was read, and its connection keeps bytes only of what is not whole.
 *
 * What a client cannot do: hold a connection for ever (time-outs for a whole request, for silence
 * between requests and for reading answers), send more than it may (413, chunked or not), take all
 * connections or all memory (one that never said a word, the longest idle one, the slowest one is
 * closed), slip a request through by two lengths or an unknown coding (400, closed) or in the body
 * of a GET (dropped, closed), or have two requests of one connection handled at once. Refusals of
 * this layer are {"error":"..."} like all others, and an early answer is not lost in a reset: what
 * the client still sends is read and dropped for a while. A client that ends its sending side still
 * gets its answer.
 *
 * Not here: TLS, HTTP/2.
 */
#ifndef CS_NET_HTTP_SERVER_H
#define CS_NET_HTTP_SERVER_H

#include "base/buf.h"
#include "base/cfg.h"

struct event_base;
struct http_server;
struct http_loop;

/* One request and its answer. The texts live until the handler returns. */
struct exchange {
	struct slice method, path, query;     /* as sent; path without query, query without '?' */
	struct slice content_type, signature; /* headers; "" absent */
	struct slice body;
	struct slice peer;   /* the client's address, behind trusted proxies */
	int64_t received_us; /* clock_mono_us when it was read whole */
};

struct http_server_cfg {
	const char *listen;                      /* "0.0.0.0:8080"; port 0: any */
	const struct cfg_texts *trusted_proxies; /* may be NULL; borrowed while it is made */
	unsigned threads;                        /* 0: one per core */
	size_t body_bytes_max;
	size_t head_bytes_max;    /* 0: 16 KiB */
	size_t reading_bytes_max; /* of requests that are not whole, together; 0: 256 MiB */
	uint32_t connections_max; /* 0: 16384, less where the system allows less */
	int64_t read_ms, idle_ms; /* a whole request; between two. 0: 20 s, 75 s */
	size_t own_bytes;         /* of the handler's struct in each exchange */
	void *arg;
	/* In the loop's thread, before its first connection. 0, or an error: http_server_new fails.
	 */
	int (*loop_start)(void *arg, struct http_loop *loop, void **ret_loop_arg);
	/* Ends in exactly one exchange_answer, now or later, in this thread. Must not block. */
	void (*handle)(void *loop_arg, struct exchange *x);
	/* A refusal by this layer, for the counter. May be NULL. Thread: any loop's. */
	void (*refused)(void *loop_arg, int status);
	/*
	 * What answers a request whose body is too large, 413 or what stands before it and before
	 * all that this layer refuses behind a whole head. May be NULL.
	 */
	int (*too_large)(void *loop_arg, struct slice method, struct slice path);
	/* In the loop's thread, the last call: answers what is still open. */
	void (*loop_stop)(void *loop_arg);
};

/* Listens and starts the loops. 0; -EINVAL, -EADDRINUSE, ... with a text in problem; -ENOMEM. */
CHECKED int http_server_new(const struct http_server_cfg *cfg, struct http_server **ret,
			    struct buf *problem);
uint16_t http_server_port(const struct http_server *s);
unsigned http_server_threads(const struct http_server *s);
size_t http_server_connections(struct http_server *s);
/*
 * No new connections but those the kernel has let in; what has come, or comes within half a second,
 * is answered, and its connection ends. Returns at once. Thread: any.
 */
void http_server_close(struct http_server *s);
/* Waits until no connection is left. 0 or -ETIMEDOUT. */
CHECKED int http_server_drain(struct http_server *s, int64_t deadline_ms);
void http_server_free(struct http_server *s); /* NULL allowed */

/* Events of priority HTTP_IDLE_PRIORITY run when nothing else is ready. */
#define HTTP_IDLE_PRIORITY 2
struct event_base *http_loop_base(struct http_loop *loop);
/* Runs fn in the loop's thread, in the order of the posts. 0, -ENOMEM, -ESHUTDOWN. Thread: any. */
CHECKED int http_loop_post(struct http_loop *loop, void (*fn)(void *arg), void *arg);

/* The handler's own struct; zeroed when the exchange begins. */
void *exchange_own(struct exchange *x);
/*
 * Answers and gives the exchange back. body is JSON. retry_after_s: 0 without. 405 names the
 * methods GET and POST. Thread: the loop's.
 */
void exchange_answer(struct exchange *x, int status, struct slice body, unsigned retry_after_s);

#endif
