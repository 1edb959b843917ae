#include "role/takeover.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/metric.h"
#include "base/slog.h"
#include "role/read_on.h"
#include "role/restore.h"

#define PAUSE_MS 200

static bool stopped(const atomic_bool *stop)
{
	return stop && atomic_load(stop);
}

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, (long)(ms % 1000) * 1000000 }, NULL);
}

/* ---- the steps ---- */

static int add_state(void *arg, const struct log_msg *msg)
{
	return restore_message(arg, msg->key, msg->value, msg->tombstone);
}

/* (2) How far a read-uncommitted reader sees, and (3) */
int takeover_read_state(struct log *log, int32_t partition, const atomic_bool *stop,
			struct restore *r)
{
	int64_t high;
	int err = read_on_high(log, TOPIC_STATE, partition, stop, &high);

	FAULT(takeover_end_known);
	if (err < 0 || high <= 0)
		return err;
	return read_on(log, TOPIC_STATE, partition, LOG_BEGIN, high, stop, add_state, r);
}

struct replay {
	struct restore *restore;
	struct partition *p;
	int64_t until; /* the committed offset */
	const atomic_bool *stop;
	uint64_t events;
};

static int replay_event(void *arg, const struct log_msg *msg)
{
	struct replay *r = arg;
	int err;

	if (msg->offset >= r->until)
		return 1;
	if (r->events++ % 1024 == 0 && stopped(r->stop))
		return -ECANCELED;
	err = restore_event(r->restore, r->p, msg);
	FAULT(takeover_replaying);
	if (err < 0)
		return err;
	return msg->offset + 1 >= r->until;
}

/* (5) */
static int replay(const struct takeover *t, struct restore *restore, struct partition *p,
		  int64_t until, uint64_t *ret_events)
{
	struct replay r = { restore, p, until, t->stop, 0 };
	int64_t from = restore_from(restore);
	int rc = 0;

	if (from < until)
		rc = read_on(t->log, TOPIC_EVENTS, p->index, from, until, t->stop, replay_event,
			     &r);
	if (rc < 0)
		return rc;
	*ret_events = r.events;
	return restore_finish(restore, p);
}

static int add_record(void *arg, const struct log_msg *msg)
{
	return restore_record(arg, msg->key, msg->value);
}

/* Under other rules what is repeated leaves as next revisions, so those that left must be known. */
static int learn_revisions(const struct takeover *t, int32_t partition, struct restore *r)
{
	const struct journal_entry *last = restore_last(r);
	int64_t high;
	int err;

	if (!last || last->replay_from > last->n || BROKEN(revisions_unlearned))
		return 0;
	err = read_on_high(t->log, TOPIC_CALLS, partition, t->stop, &high);
	if (err < 0 || high <= MAX(last->calls_offset, 0))
		return err;
	return read_on(t->log, TOPIC_CALLS, partition, last->calls_offset, high, t->stop,
		       add_record, r);
}

/* From here on records lie at or above the end of topic calls. */
static int mark_calls(const struct takeover *t, struct partition *p)
{
	int64_t high;
	int err = read_on_high(t->log, TOPIC_CALLS, p->index, t->stop, &high);

	if (err == 0)
		partition_mark_calls(p, high);
	return err;
}

/* What the threads of a take-over share. */
struct crew {
	const struct takeover *t;
	struct takeover_job *jobs;
	size_t jobs_n;
	atomic_size_t next;
	atomic_bool stop; /* one has failed */
};

static int fill(const struct crew *c, const struct partition_env *env, struct restore *restore,
		int plan, struct takeover_job *job)
{
	bool output = BROKEN(other_rules_silent)
			  ? false
			  : plan == RESTORE_OTHER_RULES || BROKEN(replay_loud);
	struct partition *p;
	uint64_t events = 0;
	int err = partition_new(env, job->partition, &p);

	if (err < 0)
		return err;
	err = output ? learn_revisions(c->t, job->partition, restore) : 0;
	if (err == 0)
		err = restore_begin(restore, p, output);
	if (err == 0)
		err = replay(c->t, restore, p, job->committed, &events);
	FAULT(takeover_replayed);
	if (err == 0)
		err = mark_calls(c->t, p);
	if (err < 0) {
		partition_free(p);
		return err;
	}
	p->env = c->t->env; /* the one it was made with ends with the thread */
	SLOG(SLOG_INFO, "partition taken over", SLOG_I("partition", job->partition),
	     SLOG_I("offset", p->next), SLOG_I("commit", p->n), SLOG_I("replayed", events),
	     SLOG_I("other_rules", output));
	if (restore_missing(restore))
		SLOG(SLOG_WARN, "events of the replay are gone from the log, went on without them",
		     SLOG_I("partition", job->partition),
		     SLOG_I("events", restore_missing(restore)));
	job->ret = p;
	return 0;
}

/* A committed offset that topic events does not reach: it is another topic of that name, or the log
 * has lost its end. Waiting for it to grow would end in the middle of other calls. */
static int check_end(const struct takeover *t, struct takeover_job *job)
{
	int64_t high;
	int err = job->committed > 0
		      ? read_on_high(t->log, TOPIC_EVENTS, job->partition, t->stop, &high)
		      : 0;

	job->why = "the end of topic events cannot be read";
	if (err == 0 && job->committed > 0 && high < job->committed) {
		job->why = TAKEOVER_WHY_SHORT;
		err = -ESTALE;
	}
	return err;
}

/* (1) to (4), once. Returns restore_plan's answer. */
static int plan(const struct takeover *t, struct takeover_job *job, struct restore *r)
{
	int err = 0;

	if (!job->committed_known)
		err = read_on_committed(t->worker, TOPIC_EVENTS, job->partition, t->stop,
					&job->committed);
	job->committed_known = false;
	FAULT(takeover_offset_known);
	if (err < 0) {
		job->why = "the committed offset cannot be read";
		return err;
	}
	err = check_end(t, job);
	if (err < 0)
		return err;
	err = takeover_read_state(t->log, job->partition, t->stop, r);
	FAULT(takeover_state_read);
	if (err < 0) {
		job->why = "topic state cannot be read";
		return err;
	}
	return restore_plan(r, job->committed, &t->env->fingerprint, &job->why);
}

static int try_once(const struct crew *c, const struct partition_env *env, struct takeover_job *job)
{
	struct restore *r = restore_new();
	int rc;

	if (!r)
		return -ENOMEM;
	job->why = "memory is missing";
	rc = plan(c->t, job, r);
	FAULT(takeover_planned);
	if (rc >= 0) {
		job->why = "the replay failed";
		rc = fill(c, env, r, rc, job);
	}
	restore_free(r);
	return rc;
}

static int take_over_one(struct crew *c, const struct partition_env *env, struct takeover_job *job)
{
	int64_t began_us = clock_mono_us();
	int rc = -ECANCELED;

	for (int i = 0; i < TAKEOVER_TRIES; i++) {
		if (i > 0)
			pause_ms(PAUSE_MS);
		if (stopped(c->t->stop) || stopped(&c->stop)) { /* one try alone proves nothing */
			job->why = "stopped";
			rc = -ECANCELED;
			break;
		}
		rc = try_once(c, env, job);
		if (rc != -ESTALE && rc != -EBADMSG && rc != -EPROTO)
			break;
	}
	if (rc == 0)
		series_observe_us(metric(M_TAKEOVER_SECONDS, NULL, NULL),
				  clock_mono_us() - began_us);
	return rc;
}

/* A thread's function, also run by the caller. Parsers have one owner, so each has an env. */
static void *take_over_some(void *arg)
{
	struct crew *c = arg;
	struct partition_env env;
	int err = partition_env_init(&env, c->t->env->cfg);

	for (size_t i; (i = atomic_fetch_add(&c->next, 1)) < c->jobs_n;) {
		struct takeover_job *job = &c->jobs[i];

		job->why = "memory is missing";
		job->rc = err < 0 ? err : take_over_one(c, &env, job);
		if (job->rc < 0)
			atomic_store(&c->stop, true);
	}
	if (err == 0)
		partition_env_fini(&env);
	return NULL;
}

/* The first one that failed by itself; without it the first that was stopped for it. */
static int first_error(const struct takeover_job *jobs, size_t jobs_n)
{
	int stopped_rc = 0;

	for (size_t i = 0; i < jobs_n; i++) {
		if (jobs[i].rc < 0 && jobs[i].rc != -ECANCELED)
			return jobs[i].rc;
		stopped_rc = MIN(stopped_rc, jobs[i].rc);
	}
	return stopped_rc;
}

int takeover(const struct takeover *t, struct takeover_job *jobs, size_t jobs_n)
{
	struct crew c = { .t = t, .jobs = jobs, .jobs_n = jobs_n };
	pthread_t threads[TAKEOVER_THREADS - 1];
	size_t threads_n = 0;
	int rc;

	while (threads_n + 1 < MIN(jobs_n, TAKEOVER_THREADS) &&
	       pthread_create(&threads[threads_n], NULL, take_over_some, &c) == 0)
		threads_n++;
	take_over_some(&c);
	while (threads_n > 0)
		pthread_join(threads[--threads_n], NULL);
	rc = first_error(jobs, jobs_n);
	for (size_t i = 0; i < jobs_n && rc < 0; i++) {
		partition_free(jobs[i].ret);
		jobs[i].ret = NULL;
	}
	return rc;
}
