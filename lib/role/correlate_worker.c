#include "role/correlate_worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/metric.h"
#include "base/slog.h"

#define POLL_MS          100 /* at the most: then stop is looked at */
#define LOOK_EVERY       64  /* events between two looks at the clock */
#define BATCH_EVENTS_MAX 50000u
#define BATCH_BYTES_MAX  (16u << 20) /* produced in one transaction */
#define FLUSH_BYTES      (256u << 10)
#define HAND_OVER_MS_MAX 10000 /* in a rebalance: the taker waits */
#define TOPICS_MS        5000  /* one try to reach a broker */
#define BACKOFF_MS_MIN   100
#define BACKOFF_MS_MAX   5000
#define STUCK_MS         15000 /* what only an operator can mend */
#define STEADY_MS        30000 /* a life this long was a good one */
#define ABORTS_MAX       3     /* in a row, then the life ends */

static bool stopped(const struct correlate_worker *w)
{
	return atomic_load(&w->stop);
}

static void say(struct correlate_worker *w, bool ready, const char *why)
{
	pthread_mutex_lock(&w->lock);
	w->ready = ready;
	snprintf(w->why, sizeof(w->why), "worker %u: %s", w->index, why);
	pthread_mutex_unlock(&w->lock);
}

static void rest(struct correlate_worker *w, int64_t ms)
{
	int64_t until_ms = clock_mono_ms() + ms;

	while (!stopped(w) && clock_mono_ms() < until_ms)
		nanosleep(&(struct timespec){ 0, 20 * 1000000 }, NULL);
}

/* ---- events ---- */

/* Events that the log has lost, or that the client has: to tell them apart, look twice. */
static int meet_gap(struct correlate_worker *w, struct partition *p, const struct log_msg *msg)
{
	struct correlate_gap *gap = &w->gaps[p->index];

	if (gap->next != p->next || gap->got != msg->offset || msg->offset < p->next) {
		*gap = (struct correlate_gap){ p->next, msg->offset };
		SLOG(SLOG_WARN, "event is not the next one, taking over again",
		     SLOG_I("partition", p->index), SLOG_I("next", p->next),
		     SLOG_I("got", msg->offset));
		return -ECANCELED;
	}
	SLOG(SLOG_ERROR, "events are gone from the log, going on behind them",
	     SLOG_I("partition", p->index), SLOG_I("next", p->next), SLOG_I("got", msg->offset));
	p->next = msg->offset;
	return partition_apply(p, msg);
}

/* Messages of one partition in their order. */
static int apply(struct correlate_worker *w, const struct log_msg *msgs, size_t n)
{
	struct partition *p = (size_t)msgs->partition < w->parts_n ? w->parts[msgs->partition]
								   : NULL;
	size_t done;
	int rc = 0;

	if (!p)
		return -ECANCELED; /* cannot be: only ours are polled */
	for (size_t i = 0; i < n && rc >= 0; i += done) {
		rc = partition_apply_batch(p, &msgs[i], n - i, &done);
		if (rc == -EILSEQ) {
			rc = meet_gap(w, p, &msgs[i + done]);
			done++;
		}
	}
	if (rc < 0)
		return rc;
	w->batch_events += n;
	if (p->out.bytes.n >= FLUSH_BYTES)
		rc = correlate_flush(w, p);
	return rc;
}

static int apply_held(struct correlate_worker *w)
{
	size_t n = w->held_n;

	w->held_n = 0;
	return n ? apply(w, w->held, n) : 0;
}

/* A message waits for its next ones, so that their memory is fetched together. */
static int hold(struct correlate_worker *w, const struct log_msg *msg)
{
	int rc = 0;

	if (w->held_n && w->held[0].partition != msg->partition)
		rc = apply_held(w);
	w->held[w->held_n++] = *msg;
	if (rc == 0 && w->held_n == ARRAY_LEN(w->held))
		rc = apply_held(w);
	return rc;
}

/* Applies what is held and gives back what was polled. */
static int end_held(struct correlate_worker *w)
{
	int rc = apply_held(w);

	log_msg_done(w->worker);
	w->polled_n = 0;
	return rc;
}

/* ---- partitions come and go ---- */

static void drop(struct correlate_worker *w, int32_t partition)
{
	char number[12];

	if ((size_t)partition >= w->parts_n || !w->parts[partition])
		return;
	partition_free(w->parts[partition]);
	w->parts[partition] = NULL;
	snprintf(number, sizeof(number), "%d", partition);
	metric_set(M_CALLS_OPEN, number, NULL, 0);
	metric_set(M_CALLS_REMEMBERED, number, NULL, 0);
	metric_set(M_LAG_MSGS, "correlate", number, 0);
}

/* A take-over that failed, or was stopped: told once, for the one that is to blame. */
static void tell_refused(struct correlate_worker *w, const struct takeover_job *job)
{
	int rc = job->rc;
	char text[160];

	snprintf(text, sizeof(text), "partition %d cannot be taken over: %s", job->partition,
		 job->why);
	say(w, false, text);
	SLOG(rc == -ECANCELED ? SLOG_INFO : SLOG_ERROR,
	     rc == -ESTALE || rc == -EBADMSG
		 ? "partition cannot be taken over, left the group; see callstream state reset"
		 : "partition cannot be taken over, left the group",
	     SLOG_I("partition", job->partition), SLOG_T("why", job->why), SLOG_ERR(rc));
}

/* The topic has grown since it was checked: its keys lie in other partitions now, so the events of
 * a call are in two. Nothing here can put that right. */
static int refuse_grown(struct correlate_worker *w, const struct log_part *part)
{
	char text[sizeof(w->why) - 20];

	snprintf(
	    text, sizeof(text),
	    "topic events has a partition %d, kafka.partitions is %zu: that cannot be changed; "
	    "make the topics anew under another kafka.topic_prefix",
	    part->partition, w->parts_n);
	say(w, false, text);
	SLOG(SLOG_ERROR, "topic events has more partitions than the config says, left the group",
	     SLOG_I("partition", part->partition), SLOG_I("partitions", w->parts_n));
	return -EPROTO;
}

/* The jobs, of which the first jobs_n are filled in. */
static int take(struct correlate_worker *w, size_t jobs_n)
{
	const struct takeover t = { w->log, w->worker, &w->env, &w->stop };
	struct takeover_job *jobs = w->jobs;
	int rc;

	for (size_t i = 0; i < jobs_n; i++)
		drop(w, jobs[i].partition);
	rc = takeover(&t, jobs, jobs_n);
	FAULT(takeover_done);
	for (size_t i = 0; i < jobs_n && rc == 0; i++)
		w->parts[jobs[i].partition] = jobs[i].ret;
	for (size_t i = 0; i < jobs_n && rc < 0; i++) {
		if (jobs[i].rc != rc)
			continue;
		tell_refused(w, &jobs[i]);
		break;
	}
	return rc;
}

static int take_given(struct correlate_worker *w, struct log_part *parts, size_t parts_n)
{
	int rc;

	for (size_t i = 0; i < parts_n; i++) {
		if ((size_t)parts[i].partition >= w->parts_n)
			return refuse_grown(w, &parts[i]);
	}
	for (size_t i = 0; i < parts_n; i++)
		w->jobs[i] = (struct takeover_job){ .partition = parts[i].partition,
						    .committed_known = true,
						    .committed = parts[i].offset };
	rc = take(w, parts_n);
	for (size_t i = 0; i < parts_n && rc == 0; i++)
		parts[i].offset = w->parts[parts[i].partition]->next;
	return rc;
}

/* What is open is committed first: a take-over may take longer than a transaction lives. */
static int on_assigned(void *arg, struct log_part *parts, size_t parts_n)
{
	struct correlate_worker *w = arg;
	int rc = w->broken;

	if (rc == 0)
		rc = apply_held(w);
	if (rc == 0)
		rc = correlate_commit(w);
	if (rc == 0 && parts_n > 0)
		rc = take_given(w, parts, parts_n);
	if (rc == 0) {
		say(w, true, "ready");
		w->wake_ms = 0;
	}
	w->broken = rc;
	return rc;
}

static int hand_over(struct correlate_worker *w, const struct log_part *parts, size_t parts_n)
{
	int64_t most_ms = MIN(w->cfg->drain_ms, HAND_OVER_MS_MAX);
	int64_t deadline_ms = clock_mono_ms() + most_ms;
	int rc;

	if (stopped(w))
		deadline_ms = MIN(deadline_ms, atomic_load(&w->leave_by_ms));
	FAULT(handover_begun);
	rc = apply_held(w);
	if (rc == 0)
		rc = correlate_commit(w);
	FAULT(handover_committed);
	if (rc == 0 && parts_n)
		rc = correlate_write_all(w, parts, parts_n, deadline_ms);
	FAULT(handover_written);
	return rc;
}

static void on_revoked(void *arg, const struct log_part *parts, size_t parts_n, bool lost)
{
	struct correlate_worker *w = arg;

	if (lost && w->broken == 0) {
		SLOG(SLOG_WARN, "partitions lost, taking over again", SLOG_I("count", parts_n));
		w->broken = -ECANCELED;
	}
	if (w->broken == 0)
		w->broken = hand_over(w, parts, parts_n);
	w->held_n = 0; /* lost: what is held is read again by whoever has it now */
	for (size_t i = 0; i < parts_n; i++)
		drop(w, parts[i].partition);
}

/* ---- a life ---- */

/* Looks at the clock; ends the batch when it is time. */
static int look(struct correlate_worker *w)
{
	int64_t now_ms = clock_mono_ms();
	bool full = w->batch_events >= BATCH_EVENTS_MAX || w->batch_bytes >= BATCH_BYTES_MAX;

	correlate_tell_gauges(w, now_ms);
	if (w->batch_events && !w->began_ms)
		w->began_ms = now_ms;
	if (full || now_ms >= w->wake_ms ||
	    (w->began_ms && now_ms - w->began_ms >= w->cfg->correlate.commit_every_ms))
		return correlate_commit(w);
	return 0;
}

static int poll_ms(const struct correlate_worker *w)
{
	int64_t at_ms = w->wake_ms, left_ms;

	if (w->began_ms)
		at_ms = MIN(at_ms, w->began_ms + w->cfg->correlate.commit_every_ms);
	if (at_ms == INT64_MAX)
		return POLL_MS;
	left_ms = at_ms - clock_mono_ms();
	return (int)MAX(MIN(left_ms, POLL_MS), 0);
}

/* As one message after the other where the log can only do that. */
static int poll_one(struct correlate_worker *w, int timeout_ms, struct log_msg *ret)
{
	int rc = w->holds ? log_worker_poll_held(w->worker, timeout_ms, ret)
			  : log_worker_poll(w->worker, timeout_ms, ret);

	w->polled_n += rc == 1;
	return w->broken ? w->broken : rc;
}

static int take_one(struct correlate_worker *w, int timeout_ms)
{
	struct log_msg msg;
	int rc = poll_one(w, timeout_ms, &msg), err;

	if (rc != 1)
		return rc;
	err = hold(w, &msg);
	if (err == 0 && (!w->holds || w->polled_n == LOG_HELD_MAX))
		err = end_held(w);
	return err < 0 ? err : 1;
}

/* One burst of events, up to the next look at the clock. */
static int burst(struct correlate_worker *w)
{
	int timeout_ms = poll_ms(w), rc = 1;

	for (unsigned i = 0; i < LOOK_EVERY && rc == 1; i++) {
		rc = take_one(w, timeout_ms);
		timeout_ms = 0;
	}
	if (rc == -EAGAIN)
		nanosleep(&(struct timespec){ 0, POLL_MS * 1000000 / 2 }, NULL);
	if (rc < 0 && rc != -EAGAIN)
		return rc;
	return end_held(w);
}

static void begin_batch(struct correlate_worker *w)
{
	tally_reset(w->env.tally);
	w->began_ms = 0;
	w->txn_began_us = 0;
	w->batch_events = w->batch_bytes = 0;
	w->wake_ms = 0;
	w->held_n = w->polled_n = 0;
}

static size_t plan_retake(struct correlate_worker *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->parts_n; i++) {
		if (w->parts[i])
			w->jobs[n++] = (struct takeover_job){ .partition = (int32_t)i };
	}
	return n;
}

/*
 * After a transaction that does not stand: all partitions once more from what is committed. Mostly
 * the group has moved on below it (design.md "Kafka" 6), so the member stays where it is.
 */
static int take_over_again(struct correlate_worker *w)
{
	int rc = log_txn_abort(w->worker);
	size_t n;

	metric_add(M_LOG_ERRORS, "correlate", "abort", 1);
	log_msg_done(w->worker);
	begin_batch(w);
	say(w, false, "taking its partitions over again");
	rest(w, BACKOFF_MS_MIN); /* the group may need a moment to tell what is ours */
	n = plan_retake(w);
	SLOG(SLOG_WARN, "transaction aborted, taking the partitions over again",
	     SLOG_I("worker", w->index), SLOG_I("partitions", n));
	if (rc == 0 && n)
		rc = take(w, n);
	for (size_t i = 0; i < w->parts_n && rc == 0; i++) {
		if (w->parts[i])
			rc = log_worker_seek(w->worker, TOPIC_EVENTS, (int32_t)i,
					     w->parts[i]->next);
	}
	if (rc == 0)
		say(w, true, "ready");
	return rc;
}

/* Not what a hook met: then the client has its partitions without our yes. */
static bool may_take_again(struct correlate_worker *w, int rc)
{
	return rc == -ECANCELED && w->broken == 0 && !stopped(w) && ++w->aborts < ABORTS_MAX;
}

static int work(struct correlate_worker *w)
{
	int rc = 0;

	while (rc == 0 && !stopped(w)) {
		rc = burst(w);
		if (rc == 0)
			rc = look(w);
		if (may_take_again(w, rc))
			rc = take_over_again(w);
	}
	if (rc == 0)
		rc = correlate_commit(w);
	FAULT(leave_committed);
	if (rc == 0)
		rc = correlate_write_all(w, NULL, 0, atomic_load(&w->leave_by_ms));
	return rc;
}

static int live(struct correlate_worker *w)
{
	static const enum topic topics[] = { TOPIC_EVENTS };
	const struct log_worker_hooks hooks = { w, on_assigned, on_revoked };
	int rc;

	begin_batch(w);
	w->broken = 0;
	w->aborts = 0;
	rc = log_worker_new(w->log, "correlate", w->transactional_id, topics, ARRAY_LEN(topics),
			    &hooks, &w->worker);
	if (rc < 0)
		return rc;
	w->holds = log_worker_holds(w->worker);
	log_worker_heed(w->worker, &w->stop);
	rc = work(w);
	w->broken = rc; /* what the hooks shall not try to commit any more */
	log_worker_free(w->worker);
	w->worker = NULL;
	for (size_t i = 0; i < w->parts_n; i++)
		drop(w, (int32_t)i);
	return rc;
}

/* ---- the thread ---- */

/* Why it waits, for /readyz; in the log once for each reason. */
static void say_topics(struct correlate_worker *w, struct buf *problem, const char *otherwise)
{
	char before[sizeof(w->why)];

	memcpy(before, w->why, sizeof(before));
	buf_add_char(problem, '\0');
	say(w, false, !problem->bad && problem->n > 1 ? problem->p : otherwise);
	if (strcmp(before, w->why) != 0)
		SLOG(SLOG_WARN, "topics cannot be used yet", SLOG_T("why", w->why));
}

/* Waits until the topics are there. -EINVAL: they do not fit the config; nothing else is a reason
 * to give up. */
static int wait_for_topics(struct correlate_worker *w)
{
	struct buf problem = BUF_EMPTY;
	int rc = -EAGAIN;

	while (rc != 0 && rc != -EINVAL && !stopped(w)) {
		buf_reset(&problem);
		rc = log_setup_topics(w->log, clock_mono_ms() + TOPICS_MS, &problem);
		if (rc == -EINVAL)
			say_topics(w, &problem, "the topics do not fit");
		else if (rc != 0)
			say_topics(w, &problem, "kafka is not reachable");
		if (rc != 0 && rc != -EINVAL)
			rest(w, rc == -EAGAIN ? BACKOFF_MS_MIN : BACKOFF_MS_MAX / 5);
	}
	buf_fini(&problem);
	return rc;
}

static const char *verdict_text(int rc)
{
	switch (rc) {
	case -EAGAIN:
		return "retry";
	case -ECANCELED:
		return "abort";
	case -ESTALE:
	case -EBADMSG:
	case -EPROTO:
		return "stuck";
	default:
		return "fatal";
	}
}

static int64_t backoff_ms(struct correlate_worker *w, int rc, int64_t lived_ms, int64_t before_ms)
{
	bool stuck = rc == -ESTALE || rc == -EBADMSG || rc == -EPROTO;
	int64_t ms = lived_ms >= STEADY_MS ? BACKOFF_MS_MIN : MIN(2 * before_ms, BACKOFF_MS_MAX);

	(void)w;
	return stuck ? STUCK_MS : MAX(ms, BACKOFF_MS_MIN);
}

static void live_again_and_again(struct correlate_worker *w)
{
	unsigned seed = (unsigned)clock_mono_us() ^ w->index;
	int64_t wait_ms = 0;

	while (!stopped(w)) {
		int64_t began_ms = clock_mono_ms();
		int rc = live(w);

		if (stopped(w))
			break;
		wait_ms = backoff_ms(w, rc, clock_mono_ms() - began_ms, wait_ms);
		metric_add(M_ROLE_RESTARTS, "correlate", NULL, 1);
		metric_add(M_LOG_ERRORS, "correlate", verdict_text(rc), 1);
		SLOG(SLOG_WARN, "correlator begins again", SLOG_I("worker", w->index),
		     SLOG_T("verdict", verdict_text(rc)), SLOG_ERR(rc), SLOG_I("wait_ms", wait_ms));
		if (w->ready)
			say(w, false, "begins again after an error of the log");
		rest(w, wait_ms + rand_r(&seed) % (wait_ms + 1));
	}
}

static int alloc_all(struct correlate_worker *w)
{
	w->parts_n = w->cfg->kafka.partitions;
	w->parts = calloc(w->parts_n, sizeof(struct partition *));
	w->gaps = calloc(w->parts_n, sizeof(*w->gaps));
	w->commit = calloc(w->parts_n, sizeof(*w->commit));
	w->jobs = calloc(w->parts_n, sizeof(*w->jobs));
	if (!w->parts || !w->gaps || !w->commit || !w->jobs)
		return -ENOMEM;
	return partition_env_init(&w->env, w->cfg);
}

void *correlate_worker_run(void *arg)
{
	struct correlate_worker *w = arg;
	int rc = alloc_all(w);

	if (rc == 0)
		rc = wait_for_topics(w);
	else
		say(w, false, "memory is missing");
	if (rc == 0)
		live_again_and_again(w);
	else if (!stopped(w))
		atomic_store(&w->failed, true);
	partition_env_fini(&w->env);
	free(w->parts);
	free(w->gaps);
	free(w->commit);
	free(w->jobs);
	atomic_store(&w->ended, true);
	return NULL;
}
