/*
 * services.h - the broker a stage needs, its topics, and a role that runs in this process
 */
#ifndef CS_BENCH_SERVICES_H
#define CS_BENCH_SERVICES_H

#include <sys/types.h>

#include "bench.h"
#include "log/log.h"
#include "role/role.h"

struct services {
	char brokers[256];
	char prefix[64];  /* of this run's topics */
	pid_t broker_pid; /* 0: it is somebody else's */
	pid_t janitor;    /* stops the broker when this process ends, however it ends */
	int alive_fd;
};

/*
 * CALLSTREAM_BROKERS, or a broker of our own (scripts/broker), in a scratch folder. Before the
 * first thread. 0 or an exit code.
 */
int services_start(struct services *s);
/* Nobody listens there: for stages whose broker is away. */
int services_none(struct services *s);
void services_stop(struct services *s);
/* A folder and all in it. */
void services_remove(const char *dir);

/* The section `kafka` of a config for it. */
void services_config(const struct services *s, unsigned partitions, struct buf *out);
/* A handle with its topics made. 0 or an exit code. */
int services_log(const struct cfg *cfg, struct log **ret);

/* Runs work in a process of its own and waits for it: what it takes is not in our figures.
 * BENCH_KILLED when a signal ended it. */
typedef int services_work_fn(void *arg);
int services_apart(services_work_fn *work, void *arg);

/* Appends events, as fast as the log takes them. */
struct filler {
	struct log_appender *appender;
	struct buf json, key;
	uint64_t failed, bytes;
};
int filler_begin(struct filler *f, struct log *log);
struct callev;
int filler_add(struct filler *f, const struct callev *ev);
int filler_end(struct filler *f);

struct running_role {
	const struct role *role;
	void *state;
};
/* Starts it and waits until it is ready, 120 s at the most. 0 or an exit code. */
int running_start(const struct role *role, const struct cfg *cfg, struct running_role *ret);
/* Close, drain, free; drain_ms at the most. */
void running_stop(struct running_role *r, int64_t drain_ms);
/* The sum of all series of a metric of this process, by its name. */
double metric_sum(const char *name);

#endif
