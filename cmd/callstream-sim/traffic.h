/*
 * traffic.h - generated calls with their truth, as `callstream-bench gen` writes them
 *
 * The generator shares no code with lib/. A life takes some of the calls; when and how often their
 * requests are sent is the life's matter.
 */
#ifndef CS_SIM_TRAFFIC_H
#define CS_SIM_TRAFFIC_H

#include <yyjson.h>

#include "base/cfg.h"

struct traffic_request {
	struct slice account, method, path, query, content_type, body;
	struct slice event_id; /* of the event that it is; "" none */
	bool dead;             /* kept as undecodable */
	int64_t at_ms;
};

struct traffic_call {
	struct slice id, account;
	struct traffic_request *requests; /* in the generator's order, repetitions among them */
	size_t requests_n;
	yyjson_val *record; /* the truth */
	yyjson_val *open;   /* paths that it leaves open */
	bool delivered;     /* a route matches it */
};

struct traffic {
	struct traffic_call *calls;
	size_t calls_n;
	char *accounts; /* YAML, as the config wants them */
	yyjson_doc **docs;
	size_t docs_n;
};

/* Reads a folder of the generator's. 0, -errno with a text in problem. */
CHECKED int traffic_read(const char *folder, struct traffic *ret, struct buf *problem);
void traffic_free(struct traffic *t);

#endif
