/*
 * deliver_refill.h - parked tasks are read back from the log, in a thread of their own
 *
 * A task that is no longer where it was (topic tasks keeps 7 days, deliveries is compacted) is
 * looked for in the newest entry of its key. Thread: one owner.
 */
#ifndef CS_ROLE_DELIVER_REFILL_H
#define CS_ROLE_DELIVER_REFILL_H

#include "role/deliver_ledger.h"

struct refill_batch {
	STAILQ_ENTRY(refill_batch) link;
	int32_t partition;
	uint64_t epoch; /* the owner's word for the ledger that asked */
	struct wanted *wanted;
	char **json; /* of each; NULL: it is gone */
	size_t *json_n;
	size_t n;
};

struct refill;
/* Starts the thread. log is borrowed. 0, -ENOMEM, -EAGAIN. */
CHECKED int refill_new(struct log *log, struct refill **ret);
/* NULL allowed. Waits for a read that is running, some seconds at the most. */
void refill_free(struct refill *r);

/* Copies n struct wanted. 0 or -ENOMEM. */
CHECKED int refill_ask(struct refill *r, int32_t partition, uint64_t epoch,
		       const struct wanted *wanted, size_t n);
/* A batch that was read; NULL: none now. To be freed. */
struct refill_batch *refill_take(struct refill *r);
void refill_batch_free(struct refill_batch *batch);

#endif
