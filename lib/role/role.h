/*
 * role.h - a long-running part of the pipeline, as `callstream run` drives it
 *
 * start makes the role's threads and returns at once, also while Kafka is not reachable: the role
 * waits and tries again with back-off, not ready meanwhile. A role ends by itself only for a wrong
 * config (failed returns true then). The end has three steps: close, drain, free.
 */
#ifndef CS_ROLE_ROLE_H
#define CS_ROLE_ROLE_H

#include "base/cfg.h"

struct role {
	const char *name;    /* as `callstream run` takes it */
	const char *summary; /* for --help */
	/* Does the config enable it (rules.md 9)? */
	bool (*enabled)(const struct cfg *cfg);
	/* 0; -EINVAL: the config cannot work here (said in problem); -ENOMEM. cfg outlives the
	 * role. */
	int (*start)(const struct cfg *cfg, void **ret_state, struct buf *problem);
	/* true: ready. false: the reason in why. Thread: any. */
	bool (*ready)(void *state, char *why, size_t why_size);
	/* true when it ended by itself for a wrong config; the reason in why. Thread: any. */
	bool (*failed)(void *state, char *why, size_t why_size);
	/* No new work; returns at once. */
	void (*close)(void *state);
	/* Waits until done, until deadline (clock_mono_ms) at the most. 0 or -ETIMEDOUT. */
	int (*drain)(void *state, int64_t deadline_ms);
	/* After drain; ends what is left. */
	void (*free)(void *state);
};

extern const struct role role_ingest, role_correlate, role_deliver;
extern const struct role *const roles[]; /* NULL at the end; in the order of the pipeline */
const struct role *role_find(struct slice name);

#endif
