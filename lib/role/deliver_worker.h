/*
 * deliver_worker.h - the worker of role deliver: one life in the consumer group
 *
 * One thread reads topics calls and tasks, owns the ledgers of its partitions of tasks, and writes
 * tasks, ledger entries, dead letters and offsets in one transaction after the other. Whatever
 * breaks a transaction drops everything and takes it over again from the log: there is no second
 * way back. Sinks work in threads of their own (deliver_outlets.h).
 */
#ifndef CS_ROLE_DELIVER_WORKER_H
#define CS_ROLE_DELIVER_WORKER_H

#include <stdatomic.h>

#include "log/log.h"
#include "role/deliver_outlets.h"
#include "role/deliver_route.h"

struct deliver_worker_cfg {
	const struct cfg *cfg;
	struct log *log;
	struct outlets *outlets;
	const char *transactional_id;
	/* Others set them: no new work; and when it has to be over (clock_mono_ms). */
	const atomic_bool *closing;
	const _Atomic int64_t *deadline_ms;
	/* In the group with its partitions taken over (true), or not (false). */
	void (*joined)(void *arg, bool joined);
	void *arg;
};

/* Works until closing, then finishes what is on its way and commits. 0; or the error that ended it
 * (-EAGAIN, -EPIPE, -ENOMEM ...): begin again after a while. */
CHECKED int deliver_worker_run(const struct deliver_worker_cfg *cfg);

#endif
