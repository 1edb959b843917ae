/*
 * deliver_ledger.h - what the sinks of one partition have been told, and what waits until when
 *
 * The delivery of a (sink, call) is a small state machine over the tasks that come for it and the
 * answers that the sink gives. What stays true: a newer revision replaces a waiting older one and
 * never passes one that is on its way; an older one never follows a newer one; whatever waits is in
 * topic deliveries, with its task, as soon as the offset of that task is committed
 * (ledger_flush). Pure: no clock, no IO; time and chance come with the calls.
 *
 * A lane is the queue of one sink: its deliveries by the time of their next try, and how many may
 * be on their way at once. A lane keeps tasks in memory up to lane_bytes_max. What is beyond is
 * parked: only its place in the log is kept, and it is read back when there is room
 * (ledger_wanted, ledger_refill). So a sink that is dead for a day costs about 250 bytes a call and
 * delays nobody.
 *
 * Thread: one owner.
 */
#ifndef CS_ROLE_DELIVER_LEDGER_H
#define CS_ROLE_DELIVER_LEDGER_H

#include "call/deadletter.h"
#include "role/deliver_lane.h"
#include "sink/sink.h"

#define LEDGER_LANES_MAX 4096 /* sinks of one partition; tasks for more share the last lane */

struct ledger_cfg {
	int64_t give_up_after_ms, retry_first_ms, retry_max_ms;
	size_t lane_bytes_max; /* of tasks in memory, per lane */
	size_t told_max;       /* settled calls that are remembered */
};

/* What has to be written, in this order, into the transaction that is open. */
struct ledger_out {
	void *arg;
	void (*entry)(void *arg, struct slice key, const struct entry *entry);
	void (*dead)(void *arg, const struct deadletter *dead);
};

struct ledger;
/* cfg and out are copied. lane_opened gives a new lane its owner and concurrency. 0 or -ENOMEM. */
typedef void ledger_lane_fn(void *arg, struct lane *lane);
CHECKED int ledger_new(const struct ledger_cfg *cfg, const struct ledger_out *out,
		       ledger_lane_fn *lane_opened, struct ledger **ret);
void ledger_free(struct ledger *l);

/* ---- taking over ---- */

/* The next entry of topic deliveries, in the order of the log; json absent: a tombstone. What it
 * says replaces what was known of its key. 0, -EBADMSG (ignored), -ENOMEM. */
CHECKED int ledger_restore(struct ledger *l, struct slice key, struct slice json, int64_t offset,
			   int64_t now_ms);

/*
 * While it is held, nothing is due. A new ledger is not. Before a crash a newer revision may have
 * been told whose offset was not committed, while an older one waits in topic deliveries: so after
 * a take-over nothing may be told before the tasks up to the end that was seen then are read again.
 */
void ledger_hold(struct ledger *l, bool hold);

/* ---- tasks ---- */

enum ledger_change {
	LEDGER_REPEATED, /* known, or older than what is known */
	LEDGER_NEW,
	LEDGER_REPLACED, /* instead of an older one that waited */
	LEDGER_BEHIND,   /* when the one on its way is answered */
};
/* Copies json, which is task as it was written. An enum ledger_change or -ENOMEM. */
CHECKED int ledger_accept(struct ledger *l, const struct task *task, struct slice json,
			  int64_t offset, int64_t now_ms);

/* ---- trying ---- */

size_t ledger_lanes(const struct ledger *l);
struct lane *ledger_lane(struct ledger *l, size_t i);
/* The next delivery of this lane that is due and may be sent. NULL: none. What has waited longer
 * than give_up_after and was tried is settled as dead on the way. */
struct delivery *ledger_due(struct ledger *l, struct lane *lane, int64_t now_ms);
/* It has been handed to the sink. */
void ledger_started(struct ledger *l, struct delivery *d);
/* The sink's answer. chance (any bits) is for the jitter. Frees d when nothing of it waits. */
void ledger_answered(struct ledger *l, struct delivery *d, const struct sink_answer *answer,
		     int64_t now_ms, uint32_t chance);
/* When something is due at the soonest; INT64_MAX: nothing waits in memory. */
int64_t ledger_next_due(const struct ledger *l);
/* The wait before try number attempt + 1: from first, doubling, up to max, of which the upper half
 * is chance. */
int64_t ledger_backoff_ms(const struct ledger_cfg *cfg, uint32_t attempt, uint32_t chance);

/* ---- committing ---- */

/* Is there a waiting delivery whose entry is not written? */
bool ledger_dirty(const struct ledger *l);
/* Writes the entry of each, with its task; then parks what is too much. */
void ledger_flush(struct ledger *l, int64_t now_ms);

/* ---- parked tasks ---- */

struct wanted {
	struct task_place place;
	uint8_t key_n;
	char key[ENTRY_KEY_MAX];
};
/* Appends struct wanted for the next parked tasks of this lane, by place, when there is room for
 * them and none are on their way (lane->refilling_n). How many. */
size_t ledger_wanted(struct ledger *l, struct lane *lane, struct buf *out);
/* A task that was read back; json absent: it is not in the log any more, its delivery is dead.
 * What was settled or replaced meanwhile is ignored. 0 or -ENOMEM. */
CHECKED int ledger_refill(struct ledger *l, const struct wanted *wanted, struct slice json,
			  int64_t now_ms);

/* Of all lanes. */
struct ledger_counts {
	size_t waiting, flying, parked, bytes;
};
void ledger_counts(const struct ledger *l, struct ledger_counts *ret);

#endif
