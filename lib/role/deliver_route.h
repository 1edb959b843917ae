/*
 * deliver_route.h - which sinks are told about a record (contract.md 5 "Routes", rules.md 8)
 *
 * Made from the config once. Every matching route applies, each sink once per record. Pure.
 * Thread: one owner (matching uses scratch memory).
 */
#ifndef CS_ROLE_DELIVER_ROUTE_H
#define CS_ROLE_DELIVER_ROUTE_H

#include "role/deliver_task.h"

struct routes;
/* cfg is borrowed. Relay routes and sinks of kinds that this version lacks are left out. 0 or
 * -ENOMEM. */
CHECKED int routes_new(const struct cfg *cfg, struct routes **ret);
void routes_free(struct routes *r);

/*
 * The sinks for this record, in the order of the routes; they live as long as cfg. *ret_matched:
 * did any route match at all (a sink may still not want this revision: send)? Returns how many.
 */
size_t routes_match(struct routes *r, const struct routed *record,
		    const struct cfg_sink *const **ret_sinks, bool *ret_matched);

/* The key of a sink's tasks: its name, with `/<shard>` where it has shards, by call id. */
void route_key(const struct cfg_sink *sink, struct slice call, struct buf *out);

/* Are two lines the same number in this country ("" none)? SIP addresses compare without case. */
bool line_same(struct slice country, struct slice a, struct slice b);

#endif
