/* The role correlate: its workers, as `callstream run` drives them. */

#include "role/role.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "log/log.h"
#include "role/correlate_worker.h"
#include "role/instance.h"

#define LEAVE_MS 2000 /* of the drain, kept for leaving the group */

struct correlate {
	const struct cfg *cfg;
	struct log *log;
	unsigned workers_n, started_n;
	struct correlate_worker workers[];
};

static bool enabled(const struct cfg *cfg)
{
	return cfg != NULL; /* always (rules.md 9) */
}

static int init_worker(struct correlate *c, unsigned i, struct buf *problem)
{
	struct correlate_worker *w = &c->workers[i];
	int err = instance_id(c->cfg, "correlate", i, w->transactional_id, problem);

	if (err)
		return err;
	w->cfg = c->cfg;
	w->log = c->log;
	w->index = i;
	snprintf(w->why, sizeof(w->why), "worker %u: not in the group yet", i);
	pthread_mutex_init(&w->lock, NULL);
	return 0;
}

static int start_workers(struct correlate *c, struct buf *problem)
{
	for (unsigned i = 0; i < c->workers_n; i++) {
		struct correlate_worker *w = &c->workers[i];
		int err = init_worker(c, i, problem);

		if (err < 0)
			return err;
		if (pthread_create(&w->thread, NULL, correlate_worker_run, w) != 0)
			return -ENOMEM;
		c->started_n++;
	}
	return 0;
}

/*
 * The client reads each fetch into memory of its own, about a megabyte. By default such a piece is
 * mapped and unmapped each time, and the kernel clears every page of it: a tenth of all CPU in the
 * drain of a full topic. Kept by the allocator, the same pages serve again. And each message is
 * made by a thread of the client and freed by a worker: in an arena of its own each thread would
 * grow by what others give back (a tenth of the CPU, a sixth of the memory).
 */
static void set_up_memory(unsigned workers_n)
{
	mallopt(M_ARENA_MAX, (int)workers_n);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

static void end(void *state);

static int start(const struct cfg *cfg, void **ret_state, struct buf *problem)
{
	unsigned n = MAX(cfg->correlate.workers, 1u);
	struct correlate *c = calloc(1, sizeof(*c) + n * sizeof(c->workers[0]));
	int err;

	if (!c)
		return -ENOMEM;
	set_up_memory(n);
	c->cfg = cfg;
	c->workers_n = n;
	err = log_open(cfg, &c->log, problem);
	if (err == 0)
		err = start_workers(c, problem);
	if (err < 0) {
		if (problem->n == 0)
			buf_add_text(problem, "the correlator's threads cannot be made");
		end(c);
		return err;
	}
	*ret_state = c;
	return 0;
}

static bool ready(void *state, char *why, size_t why_size)
{
	struct correlate *c = state;

	for (unsigned i = 0; i < c->workers_n; i++) {
		struct correlate_worker *w = &c->workers[i];
		bool is;

		pthread_mutex_lock(&w->lock);
		is = w->ready;
		if (!is)
			snprintf(why, why_size, "%s", w->why);
		pthread_mutex_unlock(&w->lock);
		if (!is)
			return false;
	}
	return true;
}

static bool failed(void *state, char *why, size_t why_size)
{
	struct correlate *c = state;

	for (unsigned i = 0; i < c->workers_n; i++) {
		struct correlate_worker *w = &c->workers[i];

		if (!atomic_load(&w->failed))
			continue;
		pthread_mutex_lock(&w->lock);
		snprintf(why, why_size, "%s", w->why);
		pthread_mutex_unlock(&w->lock);
		return true;
	}
	return false;
}

static void stop_by(struct correlate *c, int64_t leave_by_ms)
{
	for (unsigned i = 0; i < c->started_n; i++) {
		struct correlate_worker *w = &c->workers[i];

		if (!atomic_load(&w->stop))
			atomic_store(&w->leave_by_ms, leave_by_ms);
		atomic_store(&w->stop, true);
	}
}

static void close_role(void *state)
{
	struct correlate *c = state;

	stop_by(c, clock_mono_ms() + MAX(c->cfg->drain_ms - LEAVE_MS, 0));
}

static bool all_ended(const struct correlate *c)
{
	for (unsigned i = 0; i < c->started_n; i++) {
		if (!atomic_load(&c->workers[i].ended))
			return false;
	}
	return true;
}

static int drain(void *state, int64_t deadline_ms)
{
	struct correlate *c = state;

	while (!all_ended(c)) {
		if (clock_mono_ms() >= deadline_ms)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){ 0, 10 * 1000000 }, NULL);
	}
	return 0;
}

static void end(void *state)
{
	struct correlate *c = state;

	if (!c)
		return;
	stop_by(c, clock_mono_ms());
	for (unsigned i = 0; i < c->started_n; i++)
		pthread_join(c->workers[i].thread, NULL);
	for (unsigned i = 0; i < c->workers_n; i++) {
		if (c->workers[i].cfg)
			pthread_mutex_destroy(&c->workers[i].lock);
	}
	log_close(c->log);
	free(c);
}

const struct role role_correlate = {
	.name = "correlate",
	.summary = "events to one record per call, exactly once",
	.enabled = enabled,
	.start = start,
	.ready = ready,
	.failed = failed,
	.close = close_role,
	.drain = drain,
	.free = end,
};
