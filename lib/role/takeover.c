#include "role/takeover.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
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

	if (!last || last->replay_from > last->n)
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

static int fill(const struct takeover *t, struct restore *restore, int plan, int32_t partition,
		int64_t committed, struct partition **ret)
{
	bool output = plan == RESTORE_OTHER_RULES;
	struct partition *p;
	uint64_t events = 0;
	int err = partition_new(t->env, partition, &p);

	if (err < 0)
		return err;
	err = output ? learn_revisions(t, partition, restore) : 0;
	if (err == 0)
		err = restore_begin(restore, p, output);
	if (err == 0)
		err = replay(t, restore, p, committed, &events);
	if (err == 0)
		err = mark_calls(t, p);
	if (err < 0) {
		partition_free(p);
		return err;
	}
	SLOG(SLOG_INFO, "partition taken over", SLOG_I("partition", partition),
	     SLOG_I("offset", p->next), SLOG_I("commit", p->n), SLOG_I("replayed", events),
	     SLOG_I("other_rules", output));
	if (restore_missing(restore))
		SLOG(SLOG_WARN, "events of the replay are gone from the log, went on without them",
		     SLOG_I("partition", partition), SLOG_I("events", restore_missing(restore)));
	*ret = p;
	return 0;
}

/* (1) to (4), once. Returns restore_plan's answer. */
static int plan(const struct takeover *t, int32_t partition, struct restore *r,
		int64_t *ret_committed, const char **why)
{
	int err = read_on_committed(t->worker, TOPIC_EVENTS, partition, t->stop, ret_committed);

	if (err < 0) {
		*why = "the committed offset cannot be read";
		return err;
	}
	err = takeover_read_state(t->log, partition, t->stop, r);
	if (err < 0) {
		*why = "topic state cannot be read";
		return err;
	}
	return restore_plan(r, *ret_committed, &t->env->fingerprint, why);
}

static int try_once(const struct takeover *t, int32_t partition, struct partition **ret,
		    const char **why)
{
	struct restore *r = restore_new();
	int64_t committed;
	int rc;

	if (!r)
		return -ENOMEM;
	*why = "memory is missing";
	rc = plan(t, partition, r, &committed, why);
	if (rc >= 0) {
		*why = "the replay failed";
		rc = fill(t, r, rc, partition, committed, ret);
	}
	restore_free(r);
	return rc;
}

int takeover(const struct takeover *t, int32_t partition, struct partition **ret, const char **why)
{
	int64_t began_us = clock_mono_us();
	int rc = -ECANCELED;

	*why = "stopped";
	for (int i = 0; i < TAKEOVER_TRIES && !stopped(t->stop); i++) {
		if (i > 0)
			pause_ms(PAUSE_MS);
		rc = try_once(t, partition, ret, why);
		if (rc != -ESTALE && rc != -EBADMSG && rc != -EPROTO)
			break;
	}
	if (rc == 0)
		series_observe_us(metric(M_TAKEOVER_SECONDS, NULL, NULL),
				  clock_mono_us() - began_us);
	return rc;
}
