/*
 * http_server_priv.h - what the files of the server share
 *
 * A connection is in exactly one list of its loop, by state, oldest first; http_conn_move alone
 * changes it. libevent tells which sockets are ready; reading, parsing and writing are ours.
 */
#ifndef CS_NET_HTTP_SERVER_PRIV_H
#define CS_NET_HTTP_SERVER_PRIV_H

#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/addr.h"
#include "base/metric.h"
#include "net/http_server.h"
#include "net/http_server_parse.h"

#define HTTP_READ_BYTES 65536u /* of one read */

enum conn_state {
	CONN_IDLE,      /* nothing of the next request has come */
	CONN_READING,   /* a request is coming; also a new connection */
	CONN_BUSY,      /* its request waits for an answer */
	CONN_WRITING,   /* the answer is not out yet */
	CONN_LINGERING, /* closed but for what the client still sends, which is dropped */
	CONN_STATES_N
};

/* How far the request is that is coming; it begins at in[0]. All zero between two. */
struct incoming {
	size_t seen_n; /* no line ends behind what was looked at */
	size_t head_n; /* 0: the head is not whole */
	size_t body_n; /* decoded chunks behind the head */
	uint64_t length;
	bool chunked;
	struct chunks chunks;
};

struct conn {
	struct http_loop *loop;
	struct conn *prev, *next;
	TAILQ_ENTRY(conn) next_again;
	struct open_exchange *x; /* of the request that is busy */
	struct event event;      /* reads; writes while there is an answer that is not out */
	int fd;
	enum conn_state state;
	int64_t since_ms;
	char *in; /* what has come and could not be handled yet; NULL without */
	size_t in_n, in_cap;
	struct incoming incoming;
	char *out; /* of an answer that the socket did not take whole */
	size_t out_n, out_at;
	size_t linger_bytes;
	int64_t linger_until_ms;
	bool deaf;     /* reading is off: something came that nobody can take yet */
	bool taking;   /* in http_conn_take: who wants it closed sets over */
	bool over;     /* to be closed */
	bool again;    /* in the loop's list of those with a request that has come already */
	bool close;    /* behind the answer */
	bool linger;   /* after the close, what still comes is dropped for a while */
	bool is_proxy; /* of ours, so it says who the client is */
	char peer[INET6_ADDRSTRLEN];
};

struct conn_list {
	struct conn *first, *last;
};

struct open_exchange {
	struct exchange x;
	struct http_loop *loop;
	struct conn *conn; /* NULL: gone */
	struct open_exchange *next_free;
	bool close, head, keep_alive /* is to be said */;
	max_align_t own[];
};

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct http_loop {
	struct http_server *server;
	void *arg; /* the handler's */
	pthread_t thread;
	int fd; /* to listen at; -1 once libevent has it */
	struct event_base *base;
	struct evconnlistener *listener; /* NULL: closed */
	struct event *inbox_event, *janitor, *again_event, *relief;
	struct conn_list conns[CONN_STATES_N];
	TAILQ_HEAD(, conn) again;
	size_t conns_n, lingering_n, bytes; /* of all that connections keep */
	struct open_exchange *free_exchanges;
	bool closing, accept_paused;
	int64_t closing_ms, accept_told_ms;
	char date[64];
	int64_t date_s;
	struct buf answer;
	char *scratch; /* HTTP_READ_BYTES */

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
void http_conn_accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
			int from_n, void *loop);
void http_conn_accept_failed(struct evconnlistener *listener, void *loop);
/* Closes; counted, where we have a reason of our own. */
void http_conn_end(struct conn *c, const char *reason);
/* The server closes: who says nothing for a moment has to go. */
void http_conn_close_silent(struct http_loop *loop);
void http_conn_end_all(struct http_loop *loop);
void http_conn_janitor(evutil_socket_t fd, short what, void *loop);
void http_conn_relief(evutil_socket_t fd, short what, void *loop);

/* http_server_read.c */
void http_conn_ready(evutil_socket_t fd, short what, void *conn);
/* Frees what it keeps of a request. */
void http_conn_forget(struct conn *c);
void http_conn_again(evutil_socket_t fd, short what, void *loop);

/* http_server_write.c: what goes out; c may be gone behind it unless it is taking */
struct http_answer {
	int status;
	struct slice body;
	bool keep_alive; /* is to be said */
	bool no_body;
	unsigned retry_after_s;
};
void http_conn_answer(struct conn *c, const struct http_answer *answer);
void http_conn_writable(struct conn *c);

/* http_server_exchange.c */
void http_exchange_begin(struct conn *c, const struct request_head *h, struct slice body);
/* The connection of a busy exchange goes. */
void http_exchange_orphan(struct open_exchange *x);
bool http_is_proxy(const struct http_server *s, struct slice address);

#endif
