/*
 * deliver_lane.h - the queue of one sink: deliveries, each in one of three states
 *
 * WAITING ones lie in a heap by the time of their next try, FLYING and PARKED ones in lists. The
 * lane counts the bytes of the tasks that its deliveries hold in memory. Thread: one owner.
 */
#ifndef CS_ROLE_DELIVER_LANE_H
#define CS_ROLE_DELIVER_LANE_H

#include <sys/queue.h>

#include "log/log.h"
#include "role/deliver_task.h"

/* Where a task lies in the log. */
struct task_place {
	enum topic topic; /* TOPIC_TASKS or TOPIC_DELIVERIES */
	int64_t offset;
};

/* A task as JSON, with what is needed of it at hand. */
struct task_held {
	char *json; /* NULL: parked, or none */
	size_t json_n;
	uint32_t revision; /* 0: none */
	int64_t made_at_ms;
	struct task_place place;
};

enum delivery_state {
	DELIVERY_WAITING, /* in its lane's heap, until next_at_ms */
	DELIVERY_FLYING,  /* the sink has it and has not answered */
	DELIVERY_PARKED,  /* as WAITING, but its task is not in memory */
};

/* Read only, for all but the ledger. */
struct delivery {
	struct delivery *hash_next;
	TAILQ_ENTRY(delivery) state_link; /* FLYING or PARKED: in its lane's list */
	TAILQ_ENTRY(delivery) dirty_link;
	struct lane *lane;
	uint64_t hash, order;
	size_t heap_at;
	enum delivery_state state;
	bool dirty;             /* its waiting entry is not in the log */
	struct task_held task;  /* what is told now */
	struct task_held newer; /* what came while it was flying */
	uint32_t attempt;       /* tries of task that were answered */
	int64_t next_at_ms;
	int64_t changed_at_ms; /* the last answer, else when the task came */
	int status;            /* of the last answer */
	int64_t ms;
	const char *reason;
	void *flight; /* the caller's, while FLYING */
	uint8_t sink_n;
	char key[ENTRY_KEY_MAX]; /* "<sink>/<call id>" */
};

TAILQ_HEAD(deliveries, delivery);

struct lane {
	char name[64];
	void *owner; /* the caller's */
	uint32_t concurrency;
	size_t flying_n, parked_n;
	size_t bytes;                     /* of tasks in memory */
	size_t refilling_n;               /* parked ones that are being read back */
	struct deliveries flying, parked; /* parked: in the order in which it became so */
	struct delivery **heap;           /* WAITING, the next one first */
	size_t heap_n, heap_cap;
};

/* Room for n deliveries, so that a change of state never needs memory. */
bool lane_reserve(struct lane *lane, size_t n);
static inline size_t lane_size(const struct lane *lane)
{
	return lane->heap_n + lane->flying_n + lane->parked_n;
}

/* Into a state at first, out of it at last; in between the only way from one to another. */
void lane_enter(struct delivery *d, enum delivery_state state);
void lane_leave(struct delivery *d);
void lane_move(struct delivery *d, enum delivery_state state);

/* Copies json into held, whose bytes are the lane's. 0 or -ENOMEM. */
CHECKED int lane_hold_task(struct lane *lane, struct slice json, struct task_held *held);
void lane_drop_task(struct lane *lane, struct task_held *held);

static inline struct slice delivery_sink(const struct delivery *d)
{
	return slice_make(d->key, d->sink_n);
}

static inline struct slice delivery_call(const struct delivery *d)
{
	return slice_make(d->key + d->sink_n + 1, UUID_TEXT_LEN);
}

static inline struct slice delivery_key(const struct delivery *d)
{
	return slice_make(d->key, (size_t)d->sink_n + 1 + UUID_TEXT_LEN);
}

#endif
