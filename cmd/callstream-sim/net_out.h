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

struct crm_faults {       /* per million requests */
	uint32_t refused; /* no connection: it heard nothing */
	uint32_t hangs;   /* it heard, no answer comes */
	uint32_t breaks;  /* it heard, the connection breaks */
	uint32_t fails;   /* it heard, forgot and says 500 */
	uint32_t busy;    /* 429, Retry-After */
	uint32_t stops;   /* who sends it is stopped just before */
};

/* faults are borrowed for the life. */
void net_out_reset(const struct crm_faults *faults, net_heard_fn *heard, void *arg);
/* The process is stopped: what it had sent arrives all the same. */
void net_out_arrive(const struct process *p);
/* The process is dead: what it had sent is heard now, or never. */
void net_out_forget(const struct process *p);

#endif
