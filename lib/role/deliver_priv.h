/*
 * deliver_priv.h - what the parts of role deliver's worker share (deliver_worker.h)
 */
#ifndef CS_ROLE_DELIVER_PRIV_H
#define CS_ROLE_DELIVER_PRIV_H

#include "role/deliver_ledger.h"
#include "role/deliver_refill.h"
#include "role/deliver_worker.h"
#include "role/wall_clock.h"

/* A partition of topic tasks that is ours. */
struct owned_ledger {
	struct deliver_worker *worker;
	struct ledger *ledger;
	int32_t partition;
	uint64_t epoch;   /* of this ledger; flights and refills of another one are ignored */
	uint64_t foreign; /* messages of its topic that are no entries */
	bool held;        /* until the tasks that were there at the take-over are read: */
	int64_t tasks_end, tasks_next; /* their end, and the next one to be read */
};

struct deliver_worker {
	const struct deliver_worker_cfg *cfg;
	struct log_worker *log;
	struct routes *routes;
	struct refill *refill;
	struct ledger_cfg ledger_cfg;

	struct log_part *owned; /* of both topics */
	size_t owned_n;
	struct owned_ledger **ledgers;
	size_t ledgers_n;

	struct log_part *consumed; /* the next offset of what was read since the last commit */
	size_t consumed_n;
	size_t txn_msgs;
	int64_t txn_began_ms; /* 0: nothing to commit */
	bool routed;          /* tasks wait for their commit */
	int err;              /* why the open transaction cannot stand */
	int64_t proven_ms;    /* when we knew last that the partitions are ours; 0: never */

	struct wall_clock wall;
	bool joined;
	bool broken; /* what is in memory is of no use any more */
	int64_t began_ms, gauges_ms;
	uint64_t chance;
	struct buf key, value;
};

/*
 * Wall time that does not jump while this worker lives: by it deliveries become due and are given
 * up. A clock that is set by hours lets nothing stand still, and nothing go at once.
 */
int64_t deliver_now_ms(struct deliver_worker *w);

/* ---- deliver_txn.c: the transaction that is open ---- */

/* There is something to commit. */
void deliver_began(struct deliver_worker *w);
/* What goes wrong stays in w->err. */
void deliver_produce(struct deliver_worker *w, enum topic topic, int32_t partition,
		     struct slice key, struct slice value);
void deliver_write_dead(struct deliver_worker *w, const struct deadletter *dead);
/* msg is done with: its offset belongs to the transaction. */
void deliver_consumed(struct deliver_worker *w, const struct log_msg *msg);
/* Everything that waits is written first. 0, or why the transaction does not stand. */
CHECKED int deliver_commit(struct deliver_worker *w);
/* The same when it is old, large, or nothing more comes (idle) and tasks wait for it. */
CHECKED int deliver_commit_when_due(struct deliver_worker *w, bool idle);
/*
 * May sinks be told now? A process that was stopped for a while is not a member any more, does not
 * know it yet, and must not tell what is old by now. The broker takes offsets from members only, so
 * a commit proves that the partitions are ours; they cannot be another's sooner than the session's
 * time-out (session.timeout.ms, 10 s), less a heartbeat, after that.
 */
bool deliver_is_proven(const struct deliver_worker *w);
/* Until when a sink may begin with what it is told now: counted from the proof, since the process
 * may be stopped between any two lines. clock_mono_ms. */
int64_t deliver_start_by_ms(const struct deliver_worker *w);
/* A commit for that purpose. */
CHECKED int deliver_prove(struct deliver_worker *w);
/* It is gone: nothing is to be committed. */
void deliver_txn_over(struct deliver_worker *w);

CHECKED int deliver_set_part(struct log_part **parts, size_t *n, const struct log_part *part);
void deliver_remove_part(struct log_part *parts, size_t *n, const struct log_part *part);

/* ---- deliver_owned.c: the ledgers of our partitions ---- */

/* NULL: not ours. */
struct owned_ledger *deliver_find_ledger(const struct deliver_worker *w, int32_t partition);
/* Reads it from topic deliveries; what was known of the partition before is dropped. tasks_next:
 * where topic tasks is read on. */
CHECKED int deliver_restore_ledger(struct deliver_worker *w, int32_t partition, int64_t tasks_next);
/* Those that have read what was there at their take-over may tell their sinks from now on. */
void deliver_release_ledgers(struct deliver_worker *w);
/* What is on its way is called back, its answers are ignored. */
void deliver_drop_ledger(struct deliver_worker *w, int32_t partition);
void deliver_cancel_flights(struct ledger *l);
/* Waiting deliveries by sink, lag by partition. */
void deliver_set_gauges(struct deliver_worker *w);

/* ---- deliver_input.c: messages ---- */

/* A record becomes tasks, a task a delivery; what is neither a dead letter. */
void deliver_take_message(struct deliver_worker *w, const struct log_msg *msg);

/* ---- deliver_send.c: sinks ---- */

/* Hands what is due to its sink, as far as the lanes allow. */
void deliver_send_due(struct deliver_worker *w);
void deliver_take_answers(struct deliver_worker *w);
/* Parked tasks come back into memory where there is room. */
void deliver_refill(struct deliver_worker *w);

#endif
