/* A batch's end: steps of the partitions, one transaction, metrics; and when the next one is due.
 */

#include "role/correlate_worker.h"

#include <errno.h>
#include <stdio.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/metric.h"
#include "base/slog.h"
#include "role/partition_dead.h"

#define LOOK_AGAIN_MS      100 /* at partitions whose lag is not known */
#define GAUGES_EVERY_MS    1000
#define MARKS_EVERY_MS_MIN 1000
#define MARKS_AT_ONCE      4
#define MARK_MS            500
#define WRITE_BYTES_MAX    (16u << 20) /* of slices in one transaction of a hand-over */
#define TIMERS_BYTES_MAX   (64u << 20) /* then partitions that can wait have the next transaction */
#define TIMERS_MAX         20000u      /* in one transaction, of all partitions; but each may run */
#define TIMERS_MIN         100u        /* that many */

void correlate_now(struct correlate_worker *w, struct correlate_now *ret)
{
	int64_t mono_ms = clock_mono_ms();
	bool stepped;

	ret->mono_ms = mono_ms;
	ret->wall_ms = wall_clock_read(&w->wall, clock_wall_ms(), mono_ms, &stepped);
	if (!stepped)
		return;
	metric_add(M_CLOCK_JUMPS, NULL, NULL, 1);
	SLOG(SLOG_ERROR, "wall clock was stepped, not following it",
	     SLOG_I("ms", clock_wall_ms() - ret->wall_ms));
}

/* ---- producing ---- */

/* calls and state lie in the partition of their events, dead where its key belongs. */
static int32_t partition_for(const struct partition *p, enum topic topic)
{
	return topic == TOPIC_DEAD ? LOG_ANY_PARTITION : p->index;
}

/* A message that the log can never take must not stop its partition. */
static int produce_too_large(struct correlate_worker *w, const struct partition *p,
			     const struct outbox_msg *msg)
{
	struct buf value = BUF_EMPTY;
	int rc;

	if (msg->topic == TOPIC_STATE)
		return -EPIPE; /* cannot be: slices are cut */
	SLOG(SLOG_ERROR, "message is too large for its topic, a dead letter says so",
	     SLOG_T("topic", topic_text(msg->topic)), SLOG_S("key", msg->key),
	     SLOG_I("bytes", msg->value.n));
	partition_dead_too_large(msg, p->now_ms, &value);
	rc = value.bad ? -ENOMEM
		       : log_txn_produce(w->worker, TOPIC_DEAD, LOG_ANY_PARTITION, msg->key,
					 buf_slice(&value), false);
	buf_fini(&value);
	return rc;
}

int correlate_flush(struct correlate_worker *w, struct partition *p)
{
	int rc = p->out.bad ? -ENOMEM : 0;

	if (p->out.n && w->txn_began_us == 0)
		w->txn_began_us = clock_mono_us();
	for (size_t i = 0; i < p->out.n && rc == 0; i++) {
		struct outbox_msg msg = outbox_get(&p->out, i);

		rc = log_txn_produce(w->worker, msg.topic, partition_for(p, msg.topic), msg.key,
				     msg.value, msg.tombstone);
		if (rc == -EMSGSIZE)
			rc = produce_too_large(w, p, &msg);
		if (msg.topic == TOPIC_STATE)
			FAULT(correlate_between_slices);
	}
	w->batch_bytes += p->out.bytes.n;
	outbox_reset(&p->out);
	return rc;
}

/* ---- committing ---- */

static void tell_commit(struct correlate_worker *w, int rc)
{
	metric_add(M_TXN_COMMITS, "correlate", rc == 0 ? "committed" : "aborted", 1);
	if (rc != 0)
		return;
	series_observe_us(metric(M_TXN_SECONDS, "correlate", NULL),
			  clock_mono_us() - w->txn_began_us);
	tally_tell(w->env.tally);
}

static int commit(struct correlate_worker *w, size_t n)
{
	int rc = n ? log_txn_commit(w->worker, w->commit, n) : 0;

	if (BROKEN(abort_ignored) && rc == -ECANCELED)
		rc = 0;
	if (n)
		tell_commit(w, rc);
	if (rc == 0) {
		w->aborts = 0;
		w->began_ms = 0;
		w->txn_began_us = 0;
		w->batch_events = 0;
		w->batch_bytes = 0;
	}
	return rc;
}

static int step(struct correlate_worker *w, struct partition *p, const struct partition_step *s,
		size_t *commit_n)
{
	int rc = partition_step(p, s);

	if (rc == 0)
		rc = correlate_flush(w, p);
	if (rc == 0)
		w->commit[(*commit_n)++] = (struct log_part){ TOPIC_EVENTS, p->index,
							      p->next + BROKEN(offset_too_far) };
	return rc;
}

static int64_t lag_of(struct correlate_worker *w, const struct partition *p)
{
	return log_worker_lag(w->worker, TOPIC_EVENTS, p->index);
}

/*
 * After an hour without a correlator the timers of all calls may be due: in one transaction they
 * would take longer than it lives, again and again. So the clock of a partition goes on in steps of
 * so many timers, each a commit, and the journal says where it stood. What was read is committed in
 * any case.
 */
static bool can_wait(const struct correlate_worker *w, const struct partition *p)
{
	return w->batch_bytes >= TIMERS_BYTES_MAX && p->events_batch == 0 && p->out.n == 0;
}

/* timers: that this transaction runs so far. */
static int64_t bound_clock(struct partition *p, int64_t clock_ms, size_t *timers)
{
	size_t left = TIMERS_MAX - MIN(*timers, TIMERS_MAX), n;

	clock_ms = partition_bound_clock(p, clock_ms, MAX(left, TIMERS_MIN), &n);
	*timers += n;
	return clock_ms;
}

static int step_what_wants(struct correlate_worker *w, const struct correlate_now *now,
			   size_t *commit_n)
{
	size_t timers = 0;
	int rc = 0;

	w->first_part = (w->first_part + 1) % w->parts_n; /* each may be the first in its turn */
	for (size_t i = 0; i < w->parts_n && rc == 0; i++) {
		struct partition *p = w->parts[(w->first_part + i) % w->parts_n];
		struct partition_step s = { .mono_ms = now->mono_ms };

		if (!p || can_wait(w, p))
			continue;
		s.clock_ms = partition_clock(p, lag_of(w, p), now->wall_ms, now->mono_ms);
		if (!partition_wants_step(p, s.clock_ms, now->mono_ms))
			continue;
		s.clock_ms = bound_clock(p, s.clock_ms, &timers);
		rc = step(w, p, &s, commit_n);
	}
	return rc;
}

/* ---- when to look again ---- */

static int64_t timer_wake_ms(struct correlate_worker *w, struct partition *p,
			     const struct correlate_now *now)
{
	int64_t due_ms = partition_due_ms(p), clock_ms;

	if (due_ms == INT64_MAX)
		return INT64_MAX;
	if (lag_of(w, p) != 0)
		return now->mono_ms + LOOK_AGAIN_MS;
	clock_ms = partition_clock(p, 0, now->wall_ms, now->mono_ms);
	return now->mono_ms + MAX(due_ms - clock_ms, 0);
}

static int64_t checkpoint_due_ms(const struct correlate_worker *w, const struct partition *p)
{
	int64_t wake_ms = checkpoint_wake_ms(&p->checkpoint);

	return MAX(wake_ms, p->checkpoint.last.mono_ms + w->cfg->correlate.commit_every_ms);
}

static void plan_wake(struct correlate_worker *w, const struct correlate_now *now)
{
	w->wake_ms = INT64_MAX;
	for (size_t i = 0; i < w->parts_n; i++) {
		struct partition *p = w->parts[i];
		int64_t timer_ms, checkpoint_ms;

		if (!p)
			continue;
		timer_ms = timer_wake_ms(w, p, now); /* once: the lag may change meanwhile */
		checkpoint_ms = checkpoint_due_ms(w, p);
		w->wake_ms = MIN(w->wake_ms, MIN(timer_ms, checkpoint_ms));
	}
}

/* ---- gauges, and marks in topic calls ---- */

static void set_gauges(struct correlate_worker *w, const struct partition *p)
{
	struct calltab_counts counts;
	int64_t lag = lag_of(w, p);
	char number[12];

	snprintf(number, sizeof(number), "%d", p->index);
	calltab_counts(p->tab, &counts);
	metric_set(M_CALLS_OPEN, number, NULL, (int64_t)counts.open);
	metric_set(M_CALLS_REMEMBERED, number, NULL, (int64_t)counts.remembered);
	if (lag >= 0)
		metric_set(M_LAG_MSGS, "correlate", number, lag);
}

void correlate_tell_gauges(struct correlate_worker *w, int64_t mono_ms)
{
	if (mono_ms - w->gauges_ms < GAUGES_EVERY_MS)
		return;
	w->gauges_ms = mono_ms;
	for (size_t i = 0; i < w->parts_n; i++) {
		if (w->parts[i])
			set_gauges(w, w->parts[i]);
	}
}

/* Where topic calls ends, a few partitions at a time: a bound for what a replay under other rules
 * has to read of it. Nothing depends on its being new. */
static void mark_calls(struct correlate_worker *w, const struct correlate_now *now)
{
	int64_t every_ms = MAX(w->cfg->correlate.checkpoint_every_ms / 2, MARKS_EVERY_MS_MIN), high;

	for (size_t i = 0, asked = 0; i < w->parts_n && asked < MARKS_AT_ONCE; i++) {
		struct partition *p = w->parts[i];

		if (!p || p->marked_events == p->events || now->mono_ms - p->marked_ms < every_ms)
			continue;
		p->marked_ms = now->mono_ms;
		p->marked_events = p->events;
		asked++;
		if (log_high_watermark(w->log, TOPIC_CALLS, p->index, now->mono_ms + MARK_MS,
				       &high) == 0)
			partition_mark_calls(p, high);
	}
}

int correlate_commit(struct correlate_worker *w)
{
	struct correlate_now now;
	size_t n = 0;
	int rc;

	correlate_now(w, &now);
	rc = step_what_wants(w, &now, &n);
	if (rc == 0)
		rc = commit(w, n);
	if (rc < 0)
		return rc;
	plan_wake(w, &now);
	mark_calls(w, &now);
	return 0;
}

/* ---- handing over ---- */

static bool among(const struct log_part *parts, size_t parts_n, const struct partition *p)
{
	for (size_t i = 0; i < parts_n; i++) {
		if (parts[i].partition == p->index)
			return true;
	}
	return parts == NULL;
}

static int write_some(struct correlate_worker *w, const struct log_part *parts, size_t parts_n,
		      size_t *commit_n)
{
	struct correlate_now now;
	size_t timers = 0;
	int rc = 0;

	correlate_now(w, &now);
	for (size_t i = 0; i < w->parts_n && rc == 0 && w->batch_bytes < WRITE_BYTES_MAX; i++) {
		struct partition *p = w->parts[i];
		struct partition_step s = { .mono_ms = now.mono_ms,
					    .state_bytes_max = WRITE_BYTES_MAX - w->batch_bytes };

		if (!p || p->checkpoint.n == 0 || !among(parts, parts_n, p))
			continue;
		s.clock_ms = partition_clock(p, lag_of(w, p), now.wall_ms, now.mono_ms);
		s.clock_ms = bound_clock(p, s.clock_ms, &timers);
		rc = step(w, p, &s, commit_n);
	}
	return rc;
}

int correlate_write_all(struct correlate_worker *w, const struct log_part *parts, size_t parts_n,
			int64_t deadline_ms)
{
	size_t n;
	int rc;

	do {
		n = 0;
		rc = write_some(w, parts, parts_n, &n);
		if (rc == 0)
			rc = commit(w, n);
	} while (rc == 0 && n > 0 && clock_mono_ms() < deadline_ms);
	return rc;
}
