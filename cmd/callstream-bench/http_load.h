/*
 * http_load.h - a load generator: many connections, one thread, each sends its next request when
 * the answer to the one before has come
 */
#ifndef CS_BENCH_HTTP_LOAD_H
#define CS_BENCH_HTTP_LOAD_H

#include "base/slice.h"
#include "measure.h"

struct http_load {
	uint16_t port; /* on 127.0.0.1 */
	unsigned connections;
	const struct slice *requests; /* whole, as they go over the wire; sent in turn */
	size_t requests_n;
	/* the result */
	uint64_t answered, refused; /* 200; anything else */
	struct latency latency;     /* from a request's first byte to its answer's last */
};

/* Sends n requests and waits for all answers. 0 or an exit code. */
int http_load_run(struct http_load *load, uint64_t n);

#endif
