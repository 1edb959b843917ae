#include "role/state_reset.h"

#include <errno.h>

#include "base/clock.h"
#include "role/restore.h"
#include "role/takeover.h"

#define POLL_MS 50

static int ignore_assigned(void *arg, struct log_part *parts, size_t parts_n)
{
	(void)arg;
	(void)parts;
	(void)parts_n;
	return -ECANCELED; /* never polled, so never called */
}

static void ignore_revoked(void *arg, const struct log_part *parts, size_t parts_n, bool lost)
{
	(void)arg;
	(void)parts;
	(void)parts_n;
	(void)lost;
}

/* A worker that never polls is in no group, but may ask what the group has committed, and set it
 * while nobody else is. */
static int make_worker(struct log *log, const struct cfg *cfg, int32_t partition,
		       struct log_worker **ret)
{
	static const enum topic topics[] = { TOPIC_EVENTS };
	const struct log_worker_hooks hooks = { NULL, ignore_assigned, ignore_revoked };
	struct buf id = BUF_EMPTY;
	int rc;

	buf_printf(&id, "%scorrelate.reset.%d", cfg->kafka.topic_prefix, partition);
	buf_add_char(&id, '\0');
	rc = id.bad ? -ENOMEM : log_worker_new(log, "correlate", id.p, topics, 1, &hooks, ret);
	buf_fini(&id);
	return rc;
}

static int ask_offsets(struct log *log, const struct cfg *cfg, int32_t partition,
		       int64_t deadline_ms, struct state_look *look)
{
	struct log_worker *w = NULL;
	int rc = make_worker(log, cfg, partition, &w);

	if (rc == 0)
		rc = log_committed(w, TOPIC_EVENTS, partition, deadline_ms, &look->committed);
	if (rc == 0)
		rc = log_low_watermark(log, TOPIC_EVENTS, partition, deadline_ms, &look->low);
	if (rc == 0)
		rc = log_high_watermark(log, TOPIC_EVENTS, partition, deadline_ms, &look->high);
	log_worker_free(w);
	look->short_of = rc == 0 && look->committed > look->high;
	return rc;
}

static void count(struct partition *p, struct state_look *look)
{
	struct calltab_counts counts;

	calltab_counts(p->tab, &counts);
	look->counted = true;
	look->calls = counts.open + counts.remembered;
	look->orphans = counts.orphans;
	look->closed = closed_count(p->closed);
}

/* Fills a table as a take-over would, short of the replay. */
static int try_slices(const struct cfg *cfg, int32_t partition, struct state_look *look)
{
	struct partition_env env;
	struct partition *p = NULL;
	int err = partition_env_init(&env, cfg);

	if (err < 0)
		return err;
	err = partition_new(&env, partition, &p);
	if (err == 0)
		err = restore_begin(look->restore, p, false);
	if (err == 0)
		count(p, look);
	partition_free(p);
	partition_env_fini(&env);
	return err == -ENOMEM ? err : 0;
}

static int judge(const struct cfg *cfg, int32_t partition, struct state_look *look)
{
	const struct journal_entry *last;
	struct uuid fingerprint;

	partition_fingerprint(cfg, &fingerprint);
	look->fits = restore_plan(look->restore, look->committed, &fingerprint, &look->why) >= 0;
	if (look->short_of) {
		look->fits = false;
		look->why = TAKEOVER_WHY_SHORT;
	}
	last = restore_last(look->restore);
	if (last) {
		look->n = last->n;
		look->journal_offset = last->offset;
	}
	return try_slices(cfg, partition, look);
}

int state_look(struct log *log, const struct cfg *cfg, int32_t partition, int64_t deadline_ms,
	       struct state_look *ret)
{
	struct state_look look = { .committed = LOG_BEGIN, .journal_offset = LOG_BEGIN };
	int rc = log_partitions(log, TOPIC_STATE, deadline_ms);

	if (rc < 0)
		return rc;
	if (partition < 0 || partition >= rc)
		return -EINVAL;
	look.restore = restore_new();
	if (!look.restore)
		return -ENOMEM;
	rc = ask_offsets(log, cfg, partition, deadline_ms, &look);
	if (rc == 0)
		rc = takeover_read_state(log, partition, NULL, look.restore);
	if (rc == 0)
		rc = judge(cfg, partition, &look);
	if (rc < 0)
		restore_free(look.restore);
	else
		*ret = look;
	return rc;
}

void state_look_fini(struct state_look *look)
{
	restore_free(look->restore);
	look->restore = NULL;
}

/* ---- dropping it ---- */

struct reset {
	struct log_appender *appender;
	int32_t partition;
	int64_t deadline_ms;
	int err; /* of an acknowledgement */
};

static void on_acked(void *arg, int err)
{
	struct reset *r = arg;

	if (err < 0 && r->err == 0)
		r->err = err;
}

static int append(struct reset *r, struct slice key, struct slice value)
{
	int rc;

	do {
		rc = log_append(r->appender, TOPIC_STATE, r->partition, key, value, on_acked, r);
		if (rc == -EAGAIN)
			log_appender_poll(r->appender, POLL_MS);
	} while (rc == -EAGAIN && clock_mono_ms() < r->deadline_ms);
	return rc;
}

static int delete_key(void *arg, struct slice key)
{
	return append(arg, key, SLICE_NONE);
}

/* An empty table at that offset. It comes last: before it, nothing fits. */
static int begin_anew(struct reset *r, const struct cfg *cfg, const struct state_look *look,
		      int64_t offset)
{
	struct buf key = BUF_EMPTY, value = BUF_EMPTY;
	struct journal_entry entry = {
		.n = look->n + 1,
		.offset = offset,
		.clock_ms = TIME_NONE,
		.replay_from = look->n + 2,
		.replay_offset = offset,
		.replay_clock_ms = TIME_NONE,
		.calls_offset = LOG_BEGIN,
	};
	int rc;

	if (offset == LOG_BEGIN)
		return 0;
	partition_fingerprint(cfg, &entry.fingerprint);
	state_key_journal(&key, entry.n);
	journal_entry_write(&value, &entry);
	rc = key.bad || value.bad ? -ENOMEM : append(r, buf_slice(&key), buf_slice(&value));
	buf_fini(&key);
	buf_fini(&value);
	return rc;
}

static int set_committed(struct log *log, const struct cfg *cfg, int32_t partition,
			 int64_t deadline_ms, int64_t offset)
{
	struct log_worker *w = NULL;
	int rc = make_worker(log, cfg, partition, &w);

	if (rc == 0)
		rc = log_set_committed(w, TOPIC_EVENTS, partition, deadline_ms, offset);
	log_worker_free(w);
	return rc;
}

int state_reset(struct log *log, const struct cfg *cfg, int32_t partition,
		const struct state_look *look, int64_t deadline_ms)
{
	struct reset r = { .partition = partition, .deadline_ms = deadline_ms };
	int64_t offset = look->short_of ? look->low : look->committed;
	int rc = 0;

	if (look->short_of)
		rc = set_committed(log, cfg, partition, deadline_ms, offset);
	if (rc == 0)
		rc = log_appender_new(log, MAX(deadline_ms - clock_mono_ms(), 1), &r.appender);
	if (rc < 0)
		return rc;
	rc = restore_keys(look->restore, delete_key, &r);
	if (rc == 0)
		rc = begin_anew(&r, cfg, look, offset);
	if (rc == 0 && log_appender_drain(r.appender, deadline_ms) < 0)
		rc = -EAGAIN;
	log_appender_free(r.appender);
	return rc < 0 ? rc : r.err;
}
