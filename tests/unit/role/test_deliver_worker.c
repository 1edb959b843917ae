/* The worker of role deliver on a log that fails where a test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/ops.h"
#include "role/deliver_task.h"
#include "role/deliver_worker.h"

#define WAIT_MS 20000
#define CALL    "11111111-1111-5111-8111-111111111111"

/* One partition of tasks with one task in it; deliveries are empty. */
struct fake {
	struct log log;
	struct log_worker worker;
	struct log_worker_hooks hooks;
	atomic_int read_err;   /* what reading deliveries says */
	atomic_int commit_err; /* what every commit says */
	atomic_int commits, polls;
	bool assigned, txn_open, polled;
	int dead; /* what a hook said */
	struct buf task;
};

static struct fake fake;

static int fake_worker_new(struct log *log, const char *role, const char *id,
			   const enum topic *topics, size_t n, const struct log_worker_hooks *hooks,
			   struct log_worker **ret)
{
	(void)role;
	(void)id;
	(void)topics;
	(void)n;
	fake.worker.ops = log->ops;
	fake.hooks = *hooks;
	fake.assigned = fake.txn_open = fake.polled = false;
	fake.dead = 0;
	*ret = &fake.worker;
	return 0;
}

/* As log.h says: what a hook answers is what every poll answers from then on. */
static int fake_poll(struct log_worker *w, int timeout_ms, struct log_msg *ret)
{
	struct log_part part = { TOPIC_TASKS, 0, LOG_BEGIN };

	(void)w;
	fake.polls++;
	if (!fake.assigned) {
		fake.assigned = true;
		fake.dead = fake.hooks.assigned(fake.hooks.arg, &part, 1);
	}
	if (fake.dead < 0)
		return fake.dead;
	if (fake.polled) {
		usleep((unsigned)timeout_ms * 1000);
		return 0;
	}
	fake.polled = true;
	*ret = (struct log_msg){ .topic = TOPIC_TASKS,
				 .key = SLICE("archive"),
				 .value = buf_slice(&fake.task) };
	return 1;
}

static void fake_done(struct log_worker *w)
{
	(void)w;
}

static int64_t fake_lag(struct log_worker *w, enum topic topic, int32_t partition)
{
	(void)w;
	(void)topic;
	(void)partition;
	return 0;
}

static int fake_seek(struct log_worker *w, enum topic topic, int32_t partition, int64_t offset)
{
	(void)w;
	(void)topic;
	(void)partition;
	(void)offset;
	fake.polled = false;
	return 0;
}

static int fake_pause(struct log_worker *w, enum topic topic, int32_t partition, bool pause)
{
	(void)w;
	(void)topic;
	(void)partition;
	(void)pause;
	return 0;
}

static int fake_produce(struct log_worker *w, enum topic topic, int32_t partition, struct slice key,
			struct slice value, bool tombstone)
{
	(void)w;
	(void)topic;
	(void)partition;
	(void)key;
	(void)value;
	(void)tombstone;
	fake.txn_open = true;
	return 0;
}

static int fake_commit(struct log_worker *w, const struct log_part *parts, size_t n)
{
	(void)w;
	(void)parts;
	(void)n;
	fake.txn_open = false;
	fake.commits++;
	return fake.commit_err;
}

static int fake_abort(struct log_worker *w)
{
	(void)w;
	fake.txn_open = false;
	return 0;
}

static bool fake_open(const struct log_worker *w)
{
	(void)w;
	return fake.txn_open;
}

static void fake_free(struct log_worker *w)
{
	struct log_part part = { TOPIC_TASKS, 0, 1 };

	(void)w;
	if (fake.assigned && fake.dead == 0)
		fake.hooks.revoked(fake.hooks.arg, &part, 1, false);
}

static int fake_committed(struct log_worker *w, enum topic topic, int32_t partition,
			  int64_t deadline_ms, int64_t *ret)
{
	(void)w;
	(void)topic;
	(void)partition;
	(void)deadline_ms;
	*ret = LOG_BEGIN;
	return 0;
}

static int fake_high(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
		     int64_t *ret)
{
	(void)log;
	(void)partition;
	(void)deadline_ms;
	*ret = topic == TOPIC_TASKS;
	return 0;
}

static int fake_read(struct log *log, enum topic topic, int32_t partition, int64_t from,
		     int64_t until, int64_t deadline_ms, log_read_fn *each, void *arg)
{
	(void)log;
	(void)topic;
	(void)partition;
	(void)from;
	(void)until;
	(void)deadline_ms;
	(void)each;
	(void)arg;
	return fake.read_err;
}

static const struct log_ops ops = {
	.name = "fake",
	.worker_new = fake_worker_new,
	.worker_poll = fake_poll,
	.msg_done = fake_done,
	.worker_lag = fake_lag,
	.worker_seek = fake_seek,
	.worker_pause = fake_pause,
	.txn_produce = fake_produce,
	.txn_commit = fake_commit,
	.txn_abort = fake_abort,
	.txn_open = fake_open,
	.worker_free = fake_free,
	.committed = fake_committed,
	.high_watermark = fake_high,
	.read_partition = fake_read,
};

/* ---- a worker in a thread of its own ---- */

struct office {
	char path[64];
	struct cfg *cfg;
	struct outlets *outlets;
	pthread_t thread;
	atomic_bool closing, ended;
	_Atomic int64_t deadline_ms;
	atomic_int err;
};

static void on_joined(void *arg, bool joined)
{
	(void)arg;
	(void)joined;
}

static void *work(void *arg)
{
	struct office *o = arg;
	const struct deliver_worker_cfg cfg = { .cfg = o->cfg,
						.log = &fake.log,
						.outlets = o->outlets,
						.transactional_id = "t",
						.closing = &o->closing,
						.deadline_ms = &o->deadline_ms,
						.joined = on_joined };

	o->err = deliver_worker_run(&cfg);
	o->ended = true;
	return NULL;
}

static int setup(void **state)
{
	struct office *o = calloc(1, sizeof(*o));
	struct buf text = BUF_EMPTY, problem = BUF_EMPTY;
	const struct task task = { .sink = SLICE("archive"),
				   .call = SLICE(CALL),
				   .revision = 1,
				   .at_ms = clock_wall_ms(),
				   .record = SLICE("{}") };

	memset(&fake, 0, sizeof(fake));
	fake.log.ops = &ops;
	task_write(&fake.task, &task);
	snprintf(o->path, sizeof(o->path), "/tmp/callstream-worker-%ld.jsonl", (long)getpid());
	buf_printf(&text, "sinks: [{name: archive, kind: file, path: %s}]\n", o->path);
	assert_int_equal(0, cfg_parse("f", buf_slice(&text), &o->cfg, &problem));
	assert_int_equal(0, outlets_new(o->cfg, &o->outlets, &problem));
	o->deadline_ms = INT64_MAX;
	buf_fini(&text);
	buf_fini(&problem);
	*state = o;
	return 0;
}

static int teardown(void **state)
{
	struct office *o = *state;

	outlets_free(o->outlets);
	cfg_free(o->cfg);
	unlink(o->path);
	free(o);
	buf_fini(&fake.task);
	return 0;
}

static void start(struct office *o)
{
	assert_int_equal(0, pthread_create(&o->thread, NULL, work, o));
}

static void stop(struct office *o)
{
	o->deadline_ms = clock_mono_ms() + 5000;
	o->closing = true;
	pthread_join(o->thread, NULL);
}

static bool has_told(const struct office *o)
{
	return access(o->path, F_OK) == 0;
}

#define UNTIL(fact)                                                                                \
	for (int64_t by_ms = clock_mono_ms() + WAIT_MS; !(fact) && clock_mono_ms() < by_ms;)       \
	usleep(1000)

/* ---- tests ---- */

static void tells(void **state)
{
	struct office *o = *state;

	start(o);
	UNTIL(has_told(o));
	assert_true(has_told(o));
	stop(o);
	assert_int_equal(0, o->err);
}

/* A handle that has left the group never gets partitions again: only a new life does. */
static void hook_that_fails_ends_the_life(void **state)
{
	struct office *o = *state;
	bool ended;

	fake.read_err = -ECANCELED;
	start(o);
	UNTIL(o->ended);
	ended = o->ended;
	stop(o);
	assert_true(ended);
	assert_int_equal(-EPIPE, o->err);
}

/* A process that was stopped while it took its partitions over may have lost them. */
static void nothing_is_told_before_a_commit(void **state)
{
	struct office *o = *state;

	fake.commit_err = -ECANCELED;
	start(o);
	UNTIL(fake.commits >= 5);
	stop(o);
	assert_true(fake.commits >= 5);
	assert_false(has_told(o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tells, setup, teardown),
		cmocka_unit_test_setup_teardown(hook_that_fails_ends_the_life, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_told_before_a_commit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
