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

#define TAKEOVER_WHY_SHORT "topic events ends before the committed offset (was it made anew?)"
#define TAKEOVER_TRIES     3 /* for a journal and an offset that do not fit */
#define TAKEOVER_THREADS   4 /* partitions that are taken over side by side */

struct takeover {
	struct log *log;
	struct log_worker *worker;
	const struct partition_env *env;
	const atomic_bool *stop; /* set: give up soon */
};

struct takeover_job {
	int32_t partition;
	/* The group's offset, read-committed, if the caller has just learned it (LOG_BEGIN: there
	 * is none); only the first try believes it. */
	bool committed_known;
	int64_t committed;
	/* The partition as it was at its committed offset; ret->next is where to begin reading. */
	struct partition *ret;
	/* 0; -EAGAIN the log made no progress; -ECANCELED stop was set, or another one failed;
	 * -ESTALE, -EBADMSG, -EPROTO what lies in the log is of no use (`callstream state reset`);
	 * -ENOMEM; other verdicts of the log. */
	int rc;
	const char *why; /* constant text on error */
};

/*
 * All of them, or none: on error every ret is NULL. Several at a time, in threads that have ended
 * when it returns: a replay waits for the log as long as it computes. 0, or the first error, whose
 * job says why.
 */
CHECKED int takeover(const struct takeover *t, struct takeover_job *jobs, size_t jobs_n);

/*
 * Reads the partition's messages of topic state up to its end now. 0, -EAGAIN, -ECANCELED, -ENOMEM.
 * stop may be NULL.
 */
struct restore;
CHECKED int takeover_read_state(struct log *log, int32_t partition, const atomic_bool *stop,
				struct restore *r);

#endif
