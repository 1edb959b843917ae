/*
 * net_in.h - the network before ingest: requests go to a listening process, answers come back, or
 * do not
 *
 * Stands in for lib/net/http_server: the same functions, a model behind them. A client is the
 * world's; it never learns more than a real one does.
 */
#ifndef CS_SIM_NET_IN_H
#define CS_SIM_NET_IN_H

#include "base/slice.h"
#include "world.h"

enum net_result {
	NET_ANSWERED,
	NET_REFUSED, /* nobody listens: not handled */
	NET_LOST     /* no answer came: handled, or not */
};

/* In the loop's fiber, or where the process dies: must not wait. status 0 but for NET_ANSWERED. */
typedef void net_answer_fn(void *arg, enum net_result result, int status);

struct net_request {
	struct slice method, path, query, content_type, body;
};

/* The texts live until answered is called, which is once. */
void net_send(const struct net_request *req, net_answer_fn *answered, void *arg);
/* Before a life. */
void net_in_reset(void);

#endif
