/*
 * net_out.h - the network behind deliver: requests to CRM systems
 *
 * Stands in for lib/net/http_client: the same functions, a model behind them. The other side is the
 * world's: it hears what was sent, or does not, and its answer comes late, or never.
 */
#ifndef CS_SIM_NET_OUT_H
#define CS_SIM_NET_OUT_H

#include "net/http_client.h"
#include "world.h"

/* The CRM heard a request: what it answers (a status). In the world's heap, must not wait. */
typedef int net_heard_fn(void *arg, const struct http_request *req);
void net_out_reset(net_heard_fn *heard, void *arg);

#endif
