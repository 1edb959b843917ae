/*
 * takeover.h - taking a partition over: the five steps of design.md "Taking over a partition"
 *
 * Blocks, for as long as the broker makes progress; each step that makes none is given up after
 * READ_ON_WAIT_MS. Thread: the worker's.
 */
#ifndef CS_ROLE_TAKEOVER_H
#define CS_ROLE_TAKEOVER_H

#include <stdatomic.h>

#include "role/partition.h"

#define TAKEOVER_TRIES 3 /* for a journal and an offset that do not fit */

struct takeover {
	struct log *log;
	struct log_worker *worker;
	const struct partition_env *env;
	const atomic_bool *stop; /* set: give up soon */
};

/*
 * The partition as it was at its committed offset; (*ret)->next is where to begin reading. 0;
 * -EAGAIN the log made no progress; -ECANCELED stop was set; -ESTALE, -EBADMSG, -EPROTO what lies
 * in the log is of no use (`callstream state reset`); -ENOMEM; other verdicts of the log. *why gets
 * a constant text on error.
 */
CHECKED int takeover(const struct takeover *t, int32_t partition, struct partition **ret,
		     const char **why);

/*
 * Reads the partition's messages of topic state up to its end now. 0, -EAGAIN, -ECANCELED, -ENOMEM.
 * stop may be NULL.
 */
struct restore;
CHECKED int takeover_read_state(struct log *log, int32_t partition, const atomic_bool *stop,
				struct restore *r);

#endif
