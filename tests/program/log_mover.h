/*
 * log_mover.h - what the scenarios of log_probe.c share: a log with topics of its own, and a
 * worker that moves events to calls
 */
#ifndef CS_TESTS_LOG_MOVER_H
#define CS_TESTS_LOG_MOVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "check.h"
#include "log/log.h"

#define PARTS 4

extern char prefix[64];
extern struct cfg cfg;

struct mover {
	struct log *log;
	struct log_worker *w;
	const char *id;
	int64_t next[PARTS]; /* -3: not ours */
	bool dirty[PARTS], renew;
	int assigned, revoked, lost, gaps, renewed;
	bool may_die;
	char order[4096]; /* the hooks as they came: a, r, l; c: commit inside revoked */
	_Atomic bool stop;
	_Atomic int64_t moved;
	pthread_t thread;
};

int64_t soon(int64_t ms);
struct log *open_log(void);
struct log *open_ready(void);

int commit(struct mover *m);
void new_worker(struct mover *m);
void start_mover(struct mover *m, struct log *log, const char *id);
int move_one(struct mover *m, const struct log_msg *msg);
void run_mover(struct mover *m);
void end_mover(struct mover *m);
/* Polls in this thread until the worker has n partitions. */
void poll_until_owned(struct mover *m, int n);

#endif
