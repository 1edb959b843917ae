#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"
#include "role/deliver_worker.h"
#include "role/instance.h"
#include "role/role.h"

#define SETUP_MS         5000
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS   10000
#define HEALTHY_MS       30000 /* a life of this length ends a row of failures */
#define WHY_MAX          256

struct deliver {
	const struct cfg *cfg;
	struct log *log;
	struct outlets *outlets;
	char transactional_id[INSTANCE_ID_MAX];
	pthread_t thread;
	atomic_bool closing;
	_Atomic int64_t deadline_ms;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	bool ready, failed, ended;
	char why[WHY_MAX];
};

/* ---- what others may ask ---- */

static void set_status(struct deliver *d, bool ready, const char *why)
{
	pthread_mutex_lock(&d->lock);
	d->ready = ready;
	if (why)
		snprintf(d->why, sizeof(d->why), "%s", why);
	pthread_mutex_unlock(&d->lock);
	metric_set(M_ROLE_READY, "deliver", NULL, ready);
}

static void fail(struct deliver *d, struct buf *problem)
{
	buf_add_char(problem, '\0');
	set_status(d, false, problem->bad ? "the config cannot work" : problem->p);
	pthread_mutex_lock(&d->lock);
	d->failed = true;
	pthread_mutex_unlock(&d->lock);
}

static bool ask(struct deliver *d, const bool *what, bool told_when, char *why, size_t why_size)
{
	bool is;

	pthread_mutex_lock(&d->lock);
	is = *what;
	if (is == told_when)
		snprintf(why, why_size, "%s", d->why);
	pthread_mutex_unlock(&d->lock);
	return is;
}

static bool ready(void *state, char *why, size_t why_size)
{
	struct deliver *d = state;

	return ask(d, &d->ready, false, why, why_size);
}

static bool failed(void *state, char *why, size_t why_size)
{
	struct deliver *d = state;

	return ask(d, &d->failed, true, why, why_size);
}

/* ---- the thread: one life after the other ---- */

static void on_joined(void *arg, bool joined)
{
	struct deliver *d = arg;

	set_status(d, joined, joined ? "" : "not in the consumer group");
}

/* 0; -EINVAL: this role can never work so, said in problem. */
static int live(struct deliver *d, struct buf *problem)
{
	const struct deliver_worker_cfg cfg = {
		.cfg = d->cfg,
		.log = d->log,
		.outlets = d->outlets,
		.transactional_id = d->transactional_id,
		.closing = &d->closing,
		.deadline_ms = &d->deadline_ms,
		.joined = on_joined,
		.arg = d,
	};
	int err;

	set_status(d, false, "waiting for kafka");
	err = log_setup_topics(d->log, clock_mono_ms() + SETUP_MS, problem);
	if (err)
		return err;
	set_status(d, false, "joining the consumer group");
	err = deliver_worker_run(&cfg);
	return err == -EINVAL ? -EPIPE : err;
}

static void wait_or_close(struct deliver *d, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&d->lock);
	while (!atomic_load(&d->closing) &&
	       pthread_cond_timedwait(&d->changed, &d->lock, &until) == 0)
		;
	pthread_mutex_unlock(&d->lock);
}

static void begin_again(struct deliver *d, int err, struct slice problem, int64_t *wait_ms)
{
	char why[WHY_MAX];

	if (problem.n)
		snprintf(why, sizeof(why), "%.*s", SLICE_ARG(problem));
	else if (err == -EAGAIN)
		snprintf(why, sizeof(why), "kafka is not reachable, trying again");
	else
		snprintf(why, sizeof(why), "beginning again after an error: %s", strerror(-err));
	set_status(d, false, why);
	metric_add(M_ROLE_RESTARTS, "deliver", NULL, 1);
	SLOG(SLOG_WARN, "deliver ended, beginning again", SLOG_T("why", why), SLOG_ERR(err),
	     SLOG_I("wait_ms", *wait_ms));
	wait_or_close(d, *wait_ms);
	*wait_ms = MIN(*wait_ms * 2, BACKOFF_MAX_MS);
}

static void *run(void *arg)
{
	struct deliver *d = arg;
	int64_t wait_ms = BACKOFF_FIRST_MS;

	while (!atomic_load(&d->closing)) {
		struct buf problem = BUF_EMPTY;
		int64_t began_ms = clock_mono_ms();
		int err = live(d, &problem);

		if (clock_mono_ms() - began_ms >= HEALTHY_MS)
			wait_ms = BACKOFF_FIRST_MS;
		if (err == -EINVAL)
			fail(d, &problem);
		else if (err && !atomic_load(&d->closing))
			begin_again(d, err, buf_slice(&problem), &wait_ms);
		buf_fini(&problem);
		if (err == -EINVAL)
			break;
	}
	pthread_mutex_lock(&d->lock);
	d->ended = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* ---- start and end ---- */

static void release(struct deliver *d)
{
	outlets_free(d->outlets);
	log_close(d->log);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static bool enabled(const struct cfg *cfg)
{
	return cfg->sinks_n > 0;
}

/* Waits must not grow when the wall clock is set back. */
static void make_lock(struct deliver *d)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->changed, &attr);
	pthread_condattr_destroy(&attr);
}

static int start(const struct cfg *cfg, void **ret_state, struct buf *problem)
{
	struct deliver *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->cfg = cfg;
	atomic_init(&d->deadline_ms, INT64_MAX);
	make_lock(d);
	set_status(d, false, "starting");
	err = instance_id(cfg, "deliver", 0, d->transactional_id, problem);
	if (!err)
		err = outlets_new(cfg, &d->outlets, problem);
	if (!err)
		err = log_open(cfg, &d->log, problem);
	if (!err && pthread_create(&d->thread, NULL, run, d) != 0)
		err = -EAGAIN;
	if (err) {
		release(d);
		return err;
	}
	*ret_state = d;
	return 0;
}

static void close_role(void *state)
{
	struct deliver *d = state;

	pthread_mutex_lock(&d->lock);
	if (!atomic_load(&d->closing))
		atomic_store(&d->deadline_ms, clock_mono_ms() + d->cfg->drain_ms);
	atomic_store(&d->closing, true);
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static int drain(void *state, int64_t deadline_ms)
{
	struct deliver *d = state;
	bool ended = false;

	atomic_store(&d->deadline_ms, deadline_ms);
	while (!ended && clock_mono_ms() < deadline_ms) {
		pthread_mutex_lock(&d->lock);
		ended = d->ended;
		pthread_mutex_unlock(&d->lock);
		if (!ended)
			usleep(5000);
	}
	return ended ? 0 : -ETIMEDOUT;
}

static void free_role(void *state)
{
	struct deliver *d = state;

	close_role(d);
	atomic_store(&d->deadline_ms, 0);
	pthread_join(d->thread, NULL);
	release(d);
}

const struct role role_deliver = {
	.name = "deliver",
	.summary = "tells the CRM systems about calls, until each knows the newest",
	.enabled = enabled,
	.start = start,
	.ready = ready,
	.failed = failed,
	.close = close_role,
	.drain = drain,
	.free = free_role,
};
