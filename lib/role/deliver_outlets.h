/*
 * deliver_outlets.h - the sinks of this process: made from the config, given steps, asked for
 * answers
 *
 * Answers come in threads of the sinks and wait in a queue for the worker. It cannot grow past the
 * steps that are on their way, which the lanes bound. Thread: one owner, but where it says any.
 */
#ifndef CS_ROLE_DELIVER_OUTLETS_H
#define CS_ROLE_DELIVER_OUTLETS_H

#include <sys/queue.h>

#include "base/metric.h"
#include "sink/sink.h"

struct outlet {
	const struct cfg_sink *cfg;
	const struct sink_kind *kind;
	void *state;
	uint32_t concurrency; /* of one lane: a sink with shards has a lane for each */
	struct series *verdicts[3], *superseded, *seconds, *routed, *waiting;
	size_t waiting_n; /* the owner's, while it counts */
	/* Of what is logged: how many answers in a row failed, or did not; and since when. */
	unsigned row_n;
	bool row_failed, trouble_told;
	int64_t trouble_ms;
};

/* A step on its way. delivery, partition and epoch are the worker's words to find its place. */
struct flight {
	TAILQ_ENTRY(flight) link;
	struct outlets *outlets;
	struct outlet *outlet;
	void *delivery;
	int32_t partition;
	uint64_t epoch;
	struct sink_answer answer;
};

struct outlets;

/* Every sink of a kind that this version has. 0; -EINVAL with a text in problem; -ENOMEM. cfg is
 * borrowed. */
CHECKED int outlets_new(const struct cfg *cfg, struct outlets **ret, struct buf *problem);
/* Without answers that were not taken. Waits for what the sinks cannot cancel. NULL allowed. */
void outlets_free(struct outlets *o);

size_t outlets_count(const struct outlets *o);
struct outlet *outlets_at(struct outlets *o, size_t i);
/* NULL: the config has no such sink. */
struct outlet *outlets_find(struct outlets *o, struct slice name);

/* 0: the flight comes back through outlets_take, once, and is the caller's then (outlets_done).
 * Negative as sink_kind.deliver says: nothing happened. */
CHECKED int outlets_send(struct outlets *o, struct outlet *outlet, const struct sink_step *step,
			 const struct flight *as, struct flight **ret);
/* The next answer; NULL: none now. */
struct flight *outlets_take(struct outlets *o);
void outlets_done(struct outlets *o, struct flight *flight);
/* It comes back sooner, if its sink can do that. */
void outlets_cancel(struct flight *flight);
/* A number for a ledger that no other has had: answers outlive the worker that asked for them. */
uint64_t outlets_epoch(struct outlets *o);
/* Steps on their way and answers not taken. */
size_t outlets_busy(const struct outlets *o);

#endif
