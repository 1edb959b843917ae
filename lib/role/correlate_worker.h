/*
 * correlate_worker.h - one thread of the correlator: a consumer in the group, a transactional
 * producer, and the partitions that the group gives it
 *
 * A life begins with new handles and no partitions and ends at an error of the log or when the
 * worker is told to stop. Whatever went wrong, the answer is the same: drop all partitions and take
 * them over from what was committed. After an aborted transaction the worker does so where it
 * stands; after all else, or after some aborts in a row, it leaves the group, waits, and begins a
 * new life.
 */
#ifndef CS_ROLE_CORRELATE_WORKER_H
#define CS_ROLE_CORRELATE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "role/partition.h"
#include "role/takeover.h"
#include "role/wall_clock.h"

/* A place in the log where events are gone: met twice, it is stepped over. */
struct correlate_gap {
	int64_t next, got;
};

struct correlate_worker {
	/* made by correlate.c, constant while the thread runs */
	pthread_t thread;
	const struct cfg *cfg;
	struct log *log;
	unsigned index;
	char transactional_id[256];

	/* shared with the main thread */
	atomic_bool stop;
	_Atomic int64_t leave_by_ms; /* clock_mono_ms; what is not written by then is replayed */
	atomic_bool ended, failed;
	pthread_mutex_t lock; /* of ready and why */
	bool ready;
	char why[256];

	/* the thread's own */
	struct partition_env env;
	struct log_worker *worker;
	struct partition **parts; /* by number; NULL: not ours */
	struct correlate_gap *gaps;
	struct log_part *commit;
	struct takeover_job *jobs;
	size_t parts_n, first_part;
	struct wall_clock wall;
	bool holds;           /* the log can hold messages while it is polled on */
	int broken;           /* a hook's error: the life ends with it */
	unsigned aborts;      /* since the last commit */
	int64_t began_ms;     /* of the batch; 0: no event yet */
	int64_t txn_began_us; /* 0: nothing produced yet */
	size_t batch_events, batch_bytes;
	struct log_msg held[CALLTAB_BATCH]; /* of one partition; applied together */
	size_t held_n, polled_n;            /* polled: since the last log_msg_done */
	int64_t wake_ms;                    /* when a timer or a checkpoint may be due */
	int64_t gauges_ms, marks_ms;        /* when they were last set */
};

/* The thread's function; arg is the worker. Ends when stop is set, or with failed. */
void *correlate_worker_run(void *arg);

/* What the parts of a life share (correlate_worker.c, correlate_batch.c). */
struct correlate_now {
	int64_t mono_ms, wall_ms;
};
void correlate_now(struct correlate_worker *w, struct correlate_now *ret);
/* Puts what waits in p's out into the transaction. 0 or a verdict. */
CHECKED int correlate_flush(struct correlate_worker *w, struct partition *p);
/* Ends the batch of every partition that has something to do, and commits. 0 or a verdict. */
CHECKED int correlate_commit(struct correlate_worker *w);
/* Sets the gauges of the partitions, once a second at the most. */
void correlate_tell_gauges(struct correlate_worker *w, int64_t mono_ms);
/* Writes all changed slices of these partitions (NULL: of all), while there is time. */
CHECKED int correlate_write_all(struct correlate_worker *w, const struct log_part *parts,
				size_t parts_n, int64_t deadline_ms);

#endif
