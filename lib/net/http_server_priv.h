/*
 * http_server_priv.h - what the files of the server share
 *
 * A connection is in exactly one list of its loop, by state, oldest first; http_conn_move alone
 * changes it. evhttp owns the sockets; conns follow them from the accept (bufferevent callback) to
 * the close callback.
 */
#ifndef CS_NET_HTTP_SERVER_PRIV_H
#define CS_NET_HTTP_SERVER_PRIV_H

#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/addr.h"
#include "base/metric.h"
#include "net/http_server.h"

enum conn_state {
	CONN_FRESH,   /* accepted, evhttp is about to take it */
	CONN_IDLE,    /* nothing of the next request has come */
	CONN_READING, /* a request is coming; also a new connection */
	CONN_BUSY,    /* its request waits for an answer */
	CONN_WRITING, /* the answer is not out yet */
	CONN_STATES_N
};

struct conn {
	struct http_loop *loop;
	struct bufferevent *bev;
	struct evhttp_connection *evcon; /* NULL while fresh */
	struct event *watch;
	struct timeval busy_since; /* the loop's time, the same for all that one poll brought */
	struct conn *prev, *next;
	struct open_exchange *x; /* of the request that is busy */
	int64_t since_ms;
	size_t bytes; /* of the request that is coming */
	enum conn_state state;
	char line[160]; /* how the request that is coming begins, as far as it goes */
	uint8_t line_n;
	bool ours;   /* what goes out now is our answer */
	bool linger; /* after the close, what still comes is dropped for a while */
};

struct conn_list {
	struct conn *first, *last;
};

struct open_exchange {
	struct exchange x;
	struct http_loop *loop;
	struct conn *conn;          /* NULL: gone */
	struct evhttp_request *req; /* NULL: gone with it */
	struct open_exchange *next_free;
	bool close, head;
	max_align_t own[];
};

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct lingering {
	struct http_loop *loop;
	struct lingering *prev, *next;
	struct event *event;
	int fd;
	int64_t until_ms;
	size_t bytes_left;
};

struct http_loop {
	struct http_server *server;
	void *arg; /* the handler's */
	pthread_t thread;
	int fd; /* to listen at; -1 once libevent has it */
	struct event_base *base;
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	struct evconnlistener *listener; /* bound's; NULL: closed */
	struct event *inbox_event, *janitor, *fresh, *relief;
	struct conn_list conns[CONN_STATES_N];
	struct conn **by_fd;
	size_t by_fd_n, conns_n, reading_bytes;
	struct open_exchange *free_exchanges;
	struct lingering *lingering;
	size_t lingering_n;
	bool closing, accept_paused;
	int64_t closing_ms;
	char date[64];
	int64_t date_s;

	pthread_mutex_t lock; /* of the inbox */
	struct post *inbox, **inbox_last;
	bool stopped;
	int inbox_fd;
};

struct http_server {
	struct http_server_cfg cfg;
	struct net *proxies;
	size_t proxies_n;
	struct http_loop *loops;
	unsigned loops_n, started_n;
	uint16_t port;
	size_t conns_per_loop, reading_bytes_per_loop;
	atomic_size_t connections;
	pthread_mutex_t lock;
	pthread_cond_t started;
	int start_err;
	struct series *open;
};

/* http_server_conn.c */
void http_conn_move(struct conn *c, enum conn_state state);
struct conn *http_conn_of(struct http_loop *loop, struct evhttp_request *req);
void http_conn_busy(struct conn *c, struct open_exchange *x);
void http_conn_completed(struct evhttp_request *req, void *conn);
struct bufferevent *http_conn_accept(struct event_base *base, void *loop);
void http_conn_fresh(evutil_socket_t fd, short what, void *loop);
void http_conn_relief(evutil_socket_t fd, short what, void *loop);
void http_conn_janitor(evutil_socket_t fd, short what, void *loop);
void http_conn_accept_failed(struct evconnlistener *listener, void *loop);
void http_conn_close_idle(struct http_loop *loop);
void http_lingering_free_all(struct http_loop *loop);

/* http_server_exchange.c */
void http_exchange_begin(struct evhttp_request *req, void *loop);
/* The connection of a busy exchange goes. */
void http_exchange_orphan(struct open_exchange *x);
/* "HTTP/1.1 status ..." up to the empty line, and the body. false: it does not fit. */
struct http_head {
	int status;
	bool close, keep_alive, no_body;
	unsigned retry_after_s;
};
size_t http_answer_write(struct http_loop *loop, const struct http_head *head, struct slice body,
			 char *out, size_t out_n);
const char *http_phrase(int status);

#endif
