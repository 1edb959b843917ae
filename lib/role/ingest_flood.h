/*
 * ingest_flood.h - how many refusals an address gets before it is told to come more slowly
 *
 * A token bucket per address (an IPv6 client owns a /64, so that is its address), in a table of
 * fixed size: of addresses that fall into one place the longest silent is forgotten. Authentic
 * requests never come here. Thread: any.
 */
#ifndef CS_ROLE_INGEST_FLOOD_H
#define CS_ROLE_INGEST_FLOOD_H

#include "base/slice.h"

struct flood;

/* per_second refusals, as many at once; 0: no limit. NULL without memory. */
struct flood *flood_new(uint32_t per_second);
void flood_free(struct flood *f);
/* One more refusal for this address: false when it is one too many. */
bool flood_allows(struct flood *f, struct slice address, int64_t now_ms);

#endif
