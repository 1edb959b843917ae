/*
 * The worker's thread on a log in memory: whatever fails, every call gets its record once, and the
 * state that is left fits. Taking over and resetting are tested here too, on what a worker wrote.
 */
#include "correlate_case.h"
#include "mem_log.h"

#include "role/correlate_worker.h"
#include "role/state_reset.h"
#include "role/takeover.h"

#define WAIT_MS 20000
#define CALLS   40

struct state {
	struct correlate_case c;
	struct mem_log f;
	struct correlate_worker w;
	bool running;
	unsigned calls;
};

static int begin(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	case_begin(&s->c);
	s->c.account.closers.end_grace_ms = 0;
	mem_init(&s->f);
	pthread_mutex_init(&s->w.lock, NULL);
	*state = s;
	return 0;
}

static void start(struct state *s)
{
	struct correlate_worker *w = &s->w;

	w->cfg = &s->c.cfg;
	w->log = &s->f.log;
	snprintf(w->transactional_id, sizeof(w->transactional_id), "t.correlate.test.0");
	atomic_store(&w->stop, false);
	atomic_store(&w->ended, false);
	atomic_store(&w->failed, false);
	s->running = true;
	assert_int_equal(0, pthread_create(&w->thread, NULL, correlate_worker_run, w));
}

static void stop(struct state *s)
{
	if (!s->running)
		return;
	atomic_store(&s->w.leave_by_ms, clock_mono_ms() + 3000);
	atomic_store(&s->w.stop, true);
	pthread_join(s->w.thread, NULL);
	assert_true(atomic_load(&s->w.ended));
	s->running = false;
}

static int end(void **state)
{
	struct state *s = *state;

	stop(s);
	mem_fini(&s->f);
	pthread_mutex_destroy(&s->w.lock);
	case_end(&s->c);
	free(s);
	return 0;
}

/* ---- events in, records out ---- */

static void put(struct state *s, const char *session, enum callev_kind kind)
{
	char *json = event_json(session, kind, clock_wall_ms() - T0);

	mem_event(&s->f, slice_of(json));
	free(json);
}

static void put_calls(struct state *s, unsigned n)
{
	char session[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(session, sizeof(session), "%u", s->calls++);
		put(s, session, CALLEV_CALL_STARTED);
		put(s, session, CALLEV_LEG_RINGING);
		put(s, session, CALLEV_CALL_ENDED);
	}
}

static size_t count(struct state *s, enum topic topic)
{
	size_t n;

	pthread_mutex_lock(&s->f.lock);
	n = s->f.topics[topic].n;
	pthread_mutex_unlock(&s->f.lock);
	return n;
}

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
}

static void wait_for_records(struct state *s, size_t n)
{
	int64_t deadline_ms = clock_mono_ms() + WAIT_MS;

	while (count(s, TOPIC_CALLS) < n) {
		if (clock_mono_ms() > deadline_ms)
			fail_msg("%zu records instead of %zu", count(s, TOPIC_CALLS), n);
		pause_briefly();
	}
}

static bool ready(struct state *s, const char *why)
{
	bool is;

	pthread_mutex_lock(&s->w.lock);
	is = s->w.ready ? why == NULL : why && strstr(s->w.why, why);
	pthread_mutex_unlock(&s->w.lock);
	return is;
}

/* why NULL: ready. */
static void wait_until_ready(struct state *s, const char *why)
{
	int64_t deadline_ms = clock_mono_ms() + WAIT_MS;

	while (!ready(s, why)) {
		if (clock_mono_ms() > deadline_ms)
			fail_msg("not %s: %s", why ? why : "ready", s->w.why);
		pause_briefly();
	}
}

/* Each call once, revision 1. */
static void expect_each_once(struct state *s)
{
	const struct mem_topic *t = &s->f.topics[TOPIC_CALLS];

	assert_int_equal(s->calls, t->n);
	for (size_t i = 0; i < t->n; i++) {
		for (size_t j = 0; j < i; j++)
			assert_false(slice_eq(t->v[i].msg.key, t->v[j].msg.key));
	}
}

/* What lies in `state` fits, and the table is where it should be. */
static void expect_state(struct state *s, uint64_t calls)
{
	struct state_look look;

	assert_int_equal(0, state_look(&s->f.log, &s->c.cfg, INDEX, clock_mono_ms() + 1000, &look));
	assert_true(look.fits);
	assert_true(look.counted);
	assert_int_equal(calls, look.calls);
	assert_int_equal(s->f.topics[TOPIC_EVENTS].n, look.committed);
	state_look_fini(&look);
}

static void finish(struct state *s)
{
	wait_for_records(s, s->calls);
	stop(s);
	expect_each_once(s);
	expect_state(s, s->calls);
}

/* ---- lives ---- */

static void an_undisturbed_life(void **state)
{
	struct state *s = *state;

	put_calls(s, CALLS);
	start(s);
	wait_until_ready(s, NULL);
	put_calls(s, CALLS);
	finish(s);
	assert_int_equal(0, s->f.aborts);
}

struct fault_case {
	const char *name;
	void (*inject)(struct mem_log *f);
	bool stays; /* in the group, with the handles it has */
};

static void refuse_commit(struct mem_log *f)
{
	f->fail_commit_after = 1;
	f->fail_commit = (struct mem_fault){ 2, -ECANCELED };
}

static void refuse_commits(struct mem_log *f)
{
	f->fail_commit = (struct mem_fault){ 3, -ECANCELED };
}

static void refuse_commit_and_seek(struct mem_log *f)
{
	f->fail_commit = (struct mem_fault){ 1, -ECANCELED };
	f->fail_seek = (struct mem_fault){ 1, -EAGAIN };
}

static void fence(struct mem_log *f)
{
	f->fail_commit = (struct mem_fault){ 1, -EPIPE };
}

static void refuse_produce(struct mem_log *f)
{
	f->fail_produce = (struct mem_fault){ 3, -ECANCELED };
}

static void refuse_to_produce_once(struct mem_log *f)
{
	f->fail_produce = (struct mem_fault){ 1, -ECANCELED };
}

static void refuse_worker(struct mem_log *f)
{
	f->lose = true;
	f->fail_new = (struct mem_fault){ 2, -EAGAIN };
}

static void break_poll(struct mem_log *f)
{
	f->fail_poll = (struct mem_fault){ 1, -EPIPE };
}

static void delay_poll(struct mem_log *f)
{
	f->fail_poll = (struct mem_fault){ 3, -EAGAIN };
}

static void hide_offset(struct mem_log *f)
{
	f->lose = true;
	f->fail_committed = (struct mem_fault){ 3, -EAGAIN };
}

static void hide_end(struct mem_log *f)
{
	f->lose = true;
	f->fail_high = (struct mem_fault){ 2, -EAGAIN };
}

static void lose(struct mem_log *f)
{
	f->lose = true;
}

static void revoke(struct mem_log *f)
{
	f->revoke = true;
}

static void leave_out(struct mem_log *f)
{
	f->skip = true;
}

static const struct fault_case fault_cases[] = {
	{ "a transaction is aborted twice", refuse_commit, true },
	{ "transactions are aborted in a row", refuse_commits, false },
	{ "after an abort the place is not found again", refuse_commit_and_seek, false },
	{ "the producer is fenced", fence, false },
	{ "producing fails", refuse_produce, false },
	{ "producing fails once", refuse_to_produce_once, true },
	{ "a new worker cannot be made at once", refuse_worker, false },
	{ "the consumer breaks", break_poll, false },
	{ "the broker is away for a moment", delay_poll, true },
	{ "the offset is hidden in a transaction", hide_offset, false },
	{ "the end of state cannot be asked at once", hide_end, false },
	{ "the partition is lost", lose, false },
	{ "the partition goes in order and comes again", revoke, true },
	{ "the client leaves an event out", leave_out, true },
};

static unsigned count_setups_left(struct state *s)
{
	unsigned n;

	pthread_mutex_lock(&s->f.lock);
	n = s->f.fail_setup.n;
	pthread_mutex_unlock(&s->f.lock);
	return n;
}

static unsigned count_workers(struct state *s)
{
	unsigned n;

	pthread_mutex_lock(&s->f.lock);
	n = s->f.workers;
	pthread_mutex_unlock(&s->f.lock);
	return n;
}

static const struct fault_case *fault; /* of the test that runs */

static void run_fault(void **state)
{
	struct state *s = *state;

	start(s);
	put_calls(s, CALLS);
	wait_for_records(s, 1);
	pthread_mutex_lock(&s->f.lock);
	fault->inject(&s->f);
	pthread_mutex_unlock(&s->f.lock);
	put_calls(s, CALLS);
	wait_for_records(s, s->calls);
	assert_int_equal(fault->stays, count_workers(s) == 1);
	put_calls(s, CALLS);
	finish(s);
}

static int begin_fault(void **state)
{
	fault = *state;
	return begin(state);
}

/* Only a config that cannot work ends a worker; it says what it waits for. */
static void topics_come_later(void **state)
{
	struct state *s = *state;

	s->f.fail_setup = (struct mem_fault){ 2, -EPIPE };
	start(s);
	while (count_setups_left(s))
		pause_briefly();
	pthread_mutex_lock(&s->w.lock);
	assert_non_null(strstr(s->w.why, "worker 0: "));
	pthread_mutex_unlock(&s->w.lock);
	put_calls(s, CALLS);
	finish(s);
	assert_false(atomic_load(&s->w.failed));
}

static void topics_never_fit(void **state)
{
	struct state *s = *state;

	s->f.fail_setup = (struct mem_fault){ 1, -EINVAL };
	start(s);
	while (!atomic_load(&s->w.failed))
		pause_briefly();
	assert_non_null(strstr(s->w.why, "topic events is not there"));
	stop(s);
}

/* Retention has taken events away that were never read: it goes on behind them. */
static void events_are_gone_for_good(void **state)
{
	struct state *s = *state;
	struct mem_topic *t = &s->f.topics[TOPIC_EVENTS];

	put_calls(s, 1);
	start(s);
	wait_for_records(s, 1);
	stop(s);
	pthread_mutex_lock(&s->f.lock);
	t->first += 3 + 7; /* what lay there is committed; seven more are gone */
	mem_forget(t);
	pthread_mutex_unlock(&s->f.lock);
	start(s);
	put_calls(s, 2);
	wait_for_records(s, 3);
	stop(s);
	expect_each_once(s);
}

static void timers_run_where_nothing_arrives(void **state)
{
	struct state *s = *state;

	s->c.account.closers.silent_call_after_ms = 300;
	put(s, "quiet", CALLEV_CALL_STARTED);
	s->calls = 1;
	start(s);
	finish(s);
}

static void a_dead_letter_takes_the_place_of_what_is_too_large(void **state)
{
	struct state *s = *state;

	start(s);
	wait_until_ready(s, NULL);
	pthread_mutex_lock(&s->f.lock);
	s->f.fail_produce = (struct mem_fault){ 1, -EMSGSIZE };
	pthread_mutex_unlock(&s->f.lock);
	put_calls(s, 1);
	while (count(s, TOPIC_DEAD) + count(s, TOPIC_CALLS) < 1)
		pause_briefly();
	stop(s);
}

/* ---- state that does not fit, and the way out ---- */

static void spoil_offset(struct mem_log *f)
{
	f->committed--;
}

static void move_offset_away(struct mem_log *f)
{
	f->committed += 1000;
}

static void spoil_journal(struct mem_log *f)
{
	struct buf key = BUF_EMPTY;

	for (unsigned n = 0; n < 100; n++) {
		buf_reset(&key);
		state_key_journal(&key, n);
		mem_append_to(f, TOPIC_STATE, buf_slice(&key), SLICE_NONE, true);
	}
	buf_fini(&key);
}

static void spoil_slice(struct mem_log *f)
{
	mem_append_to(f, TOPIC_STATE, SLICE("s/5/0"), SLICE("spoilt"), false);
}

static void forget_offset(struct mem_log *f)
{
	f->committed = LOG_BEGIN;
}

static const struct fault_case spoil_cases[] = {
	{ "an offset before the journal", spoil_offset, false },
	{ "an offset past the end of events", move_offset_away, false },
	{ "no journal", spoil_journal, false },
	{ "a spoilt slice", spoil_slice, false },
	{ "no offset", forget_offset, false },
};

static void run_spoilt(void **state)
{
	struct state *s = *state;
	struct state_look look;

	put_calls(s, 5);
	start(s);
	wait_for_records(s, 5);
	stop(s);
	fault->inject(&s->f);

	start(s);
	wait_until_ready(s, "partition 1 cannot be taken over");
	stop(s);
	assert_int_equal(0, state_look(&s->f.log, &s->c.cfg, INDEX, clock_mono_ms() + 1000, &look));
	assert_false(look.fits);
	assert_true(look.why && *look.why);
	assert_int_equal(0,
			 state_reset(&s->f.log, &s->c.cfg, INDEX, &look, clock_mono_ms() + 1000));
	state_look_fini(&look);

	start(s);
	wait_until_ready(s, NULL);
	stop(s);
}

static void a_partition_that_is_none(void **state)
{
	struct state *s = *state;
	struct state_look look;

	assert_int_equal(-EINVAL, state_look(&s->f.log, &s->c.cfg, 9, 0, &look));
	assert_int_equal(-EINVAL, state_look(&s->f.log, &s->c.cfg, -1, 0, &look));
}

static void a_reset_that_is_refused_is_told(void **state)
{
	struct state *s = *state;
	struct state_look look;

	put_calls(s, 5);
	start(s);
	wait_for_records(s, 5);
	stop(s);
	assert_int_equal(0, state_look(&s->f.log, &s->c.cfg, INDEX, clock_mono_ms() + 1000, &look));
	s->f.fail_produce = (struct mem_fault){ 1, -EPIPE };
	assert_int_equal(-EPIPE,
			 state_reset(&s->f.log, &s->c.cfg, INDEX, &look, clock_mono_ms() + 1000));
	state_look_fini(&look);
}

/* ---- taking over ---- */

/* Other settings after a crash: what is repeated leaves as next revisions. */
static void other_rules_give_next_revisions(void **state)
{
	struct state *s = *state;
	const struct mem_topic *t = &s->f.topics[TOPIC_CALLS];

	s->c.cfg.correlate.checkpoint_every_ms = 600000; /* no slice is written in time */
	start(s);
	put_calls(s, 3);
	wait_for_records(s, 3);
	atomic_store(&s->w.leave_by_ms, 0);
	s->f.fail_commit_after = 0;
	s->f.fail_commit = (struct mem_fault){ 1000, -ECANCELED }; /* dies without a word */
	atomic_store(&s->w.stop, true);
	pthread_join(s->w.thread, NULL);
	s->running = false;
	s->f.fail_commit.n = 0;

	s->c.account.recordings = CFG_RECORDINGS_ALWAYS;
	start(s);
	wait_for_records(s, 6);
	stop(s);
	assert_int_equal(6, t->n);
	for (size_t i = 0; i < 6; i++)
		assert_non_null(memmem(t->v[i].msg.value.p, t->v[i].msg.value.n,
				       i < 3 ? "\"revision\":1," : "\"revision\":2,", 13));
}

static void a_takeover_stops_when_it_is_told_to(void **state)
{
	struct state *s = *state;
	atomic_bool told = true;
	struct takeover t = { &s->f.log, NULL, &s->c.env, &told };
	struct takeover_job job = { .partition = INDEX };

	assert_int_equal(-ECANCELED, takeover(&t, &job, 1));
	assert_string_equal("stopped", job.why);
	assert_null(job.ret);
}

/* The log has one partition; the others are as if they were empty. */
static void takeovers_side_by_side_are_all_or_none(void **state)
{
	struct state *s = *state;
	atomic_bool told = false;
	static const enum topic topics[] = { TOPIC_EVENTS };
	const struct log_worker_hooks hooks = { NULL, NULL, NULL };
	struct takeover t = { &s->f.log, NULL, &s->c.env, &told };
	struct takeover_job jobs[3 * TAKEOVER_THREADS];

	assert_int_equal(0, log_worker_new(t.log, "correlate", "id", topics, 1, &hooks, &t.worker));
	for (int bad = 0; bad < 2; bad++) {
		for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
			jobs[i] = (struct takeover_job){ .partition = (int32_t)i,
							 .committed_known = true,
							 .committed = LOG_BEGIN };
		if (bad) /* an offset without a journal */
			jobs[5].committed = 7;
		s->f.committed = 7;
		assert_int_equal(bad ? -ESTALE : 0, takeover(&t, jobs, ARRAY_LEN(jobs)));
		for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
			assert_true(bad ? !jobs[i].ret : jobs[i].ret->index == (int32_t)i);
			assert_true(bad || jobs[i].ret->env == &s->c.env);
			partition_free(jobs[i].ret);
		}
	}
	assert_string_equal("an offset is committed, but there is no journal", jobs[5].why);
	log_worker_free(t.worker);
}

#define WITH_LOG(f) cmocka_unit_test_setup_teardown(f, begin, end)

static size_t add_cases(struct CMUnitTest *tests, const struct fault_case *cases, size_t n,
			CMUnitTestFunction run)
{
	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){ .name = cases[i].name,
						.test_func = run,
						.setup_func = begin_fault,
						.teardown_func = end,
						.initial_state = (void *)(uintptr_t)&cases[i] };
	return n;
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_LEN(fault_cases) + ARRAY_LEN(spoil_cases) + 8] = {
		WITH_LOG(an_undisturbed_life),
		WITH_LOG(topics_come_later),
		WITH_LOG(topics_never_fit),
		WITH_LOG(events_are_gone_for_good),
		WITH_LOG(timers_run_where_nothing_arrives),
		WITH_LOG(a_dead_letter_takes_the_place_of_what_is_too_large),
		WITH_LOG(a_partition_that_is_none),
		WITH_LOG(a_reset_that_is_refused_is_told),
		WITH_LOG(other_rules_give_next_revisions),
		WITH_LOG(a_takeover_stops_when_it_is_told_to),
		WITH_LOG(takeovers_side_by_side_are_all_or_none),
	};
	size_t n = 8;

	n += add_cases(tests + n, fault_cases, ARRAY_LEN(fault_cases), run_fault);
	n += add_cases(tests + n, spoil_cases, ARRAY_LEN(spoil_cases), run_spoilt);
	return _cmocka_run_group_tests("correlate_worker", tests, n, NULL, NULL);
}
