/*
 * http_client.h - requests to other people's systems: libcurl's multi interface on a libevent loop
 *
 * A client is one thread with one loop; requests come to it through a bounded inbox. It keeps
 * connections alive, verifies certificates, speaks HTTP/1.1 over http and https and nothing else,
 * asks no proxy, follows no redirect, and bounds what it keeps of an answer. Unless private
 * networks are allowed, the address that a connection really goes to is checked, so neither a name
 * that resolves to an inner address nor one that does so only the second time gets through.
 */
#ifndef CS_NET_HTTP_CLIENT_H
#define CS_NET_HTTP_CLIENT_H

#include "base/slice.h"

#define HTTP_BODY_KEPT ((size_t)64 << 10) /* of an answer; the rest is read and dropped */
#define HTTP_BODY_READ_MAX                                                                         \
	((size_t)1 << 20)                     /* then the connection is closed; the answer counts  \
					       */
#define HTTP_HEAD_READ_MAX ((size_t)64 << 10) /* a longer head is an error */

struct http_client_cfg {
	bool allow_private_networks;
	int64_t connect_timeout_ms; /* name and TLS included */
	int64_t timeout_ms;         /* of a request as a whole */
	const char *user_agent;     /* borrowed for the life of the client */
	size_t requests_max;        /* in the inbox and running; 0: 65536 */
};

enum http_result {
	HTTP_ANSWERED, /* a status came */
	HTTP_TIMEOUT,
	HTTP_NOT_RESOLVED,
	HTTP_NOT_CONNECTED,
	HTTP_ADDRESS_REFUSED, /* only addresses that we must not connect to */
	HTTP_TLS_FAILED,
	HTTP_BAD_URL,   /* no http(s) URL: never sent */
	HTTP_BROKEN,    /* the connection ended before the answer did */
	HTTP_CANCELLED, /* http_client_cancel, or the client was freed */
	HTTP_RESULTS_N
};
/* "timeout", "not_connected" and so on; a label and a reason. */
const char *http_result_text(enum http_result result);

struct http_request {
	const char *method; /* "POST" */
	const char *url;
	struct slice head; /* lines "Name: value\n"; names of ours, values without CR and LF */
	struct slice body;
	const void *tag;     /* for http_client_cancel; NULL: none */
	int64_t start_by_ms; /* clock_mono_ms; not begun by then: cancelled; 0: no matter when */
};

struct http_answer {
	enum http_result result;
	int status;             /* 0 without */
	struct slice body;      /* what was kept of it; lives during the callback */
	int64_t retry_after_ms; /* of header Retry-After, either form; 0 without */
	int64_t ms;             /* from its start to its end */
};

/* Called once for each request that was accepted, in the client's thread. Must not block. */
typedef void http_answer_fn(void *arg, const struct http_answer *answer);

struct http_client;

/* Starts the thread. 0, -ENOMEM, -EAGAIN (no thread). */
CHECKED int http_client_new(const struct http_client_cfg *cfg, struct http_client **ret);
/*
 * Copies all of req. 0: answered is called exactly once. -ENOSPC: too many requests; -ESHUTDOWN
 * after close; -EINVAL: a head that is none; -ENOMEM. Thread: any.
 */
CHECKED int http_client_send(struct http_client *c, const struct http_request *req,
			     http_answer_fn *answered, void *arg);
/* Ends the requests with this tag: HTTP_CANCELLED, if no answer has come. Thread: any. */
void http_client_cancel(struct http_client *c, const void *tag);
/* Running and waiting. Thread: any. */
size_t http_client_busy(struct http_client *c);
/* No new requests; those that are in go on. Thread: any. */
void http_client_close(struct http_client *c);
/* Cancels what is left, ends the thread. NULL allowed. Not from a callback. */
void http_client_free(struct http_client *c);

#endif
