/*
 * test_mem_random.c - lives of three movers under every fault: each event arrives once, in order
 *
 * A process dies at any point and is replaced by another under the same id; others go on at the
 * next step. What a dead one held in its memory is not given back, so leaks are not looked for.
 */
#include "unit/log_mem/mover.h"

#define MOVERS 3
#define EVENTS 120
#define LIVES  500

const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static const struct memlog_faults faults = {
	.append_full = 2000,
	.append_lost = 0, /* the one that appends here does not append again */
	.produce_abort = 2000,
	.commit_abort = 20000,
	.commit_lost = 20000,
	.commit_floats = 10000,
	.commit_late = 5000,
	.illegal = 10000,
	.fenced = 2000,
	.marker_late = 10000,
	.rebalance = 2000,
	.kicked = 1000,
	.poll_again = 5000,
	.poll_fatal = 500,
	.stalled = 10000,
	.lag_unknown = 10000,
	.away = 20,
	.away_ms = 15000,
};

static struct mover movers[MOVERS];
static uint64_t process_of[MOVERS], processes;
static const char *const ids[MOVERS] = { "a", "b", "c" };

static uint64_t below(uint64_t n)
{
	return house_random(NULL) % n;
}

static void begin(int i)
{
	process_of[i] = ++processes;
	movers[i] = (struct mover){ 0 };
	mover_start(&movers[i], house_client(process_of[i]), ids[i]);
}

static void die(int i)
{
	memlog_process_dies(house.m, process_of[i]);
	movers[i].w = NULL; /* its memory is gone */
}

static void end(struct mover *m)
{
	log_worker_free(m->w);
	mover_start(m, m->log, m->id);
}

static void step(struct mover *m)
{
	struct log_msg msg;
	int r = log_worker_poll(m->w, (int)below(60), &msg);

	if (m->renew)
		r = m->renew;
	m->renew = 0;
	if (r == 1)
		r = mover_take(m, &msg);
	if (r == 0 && log_txn_open(m->w) && below(4) == 0)
		r = mover_commit(m);
	if (r == -ECANCELED)
		r = mover_again(m) < 0 ? -EPIPE : 0;
	if (r < 0 && r != -EAGAIN)
		end(m);
}

static void step_or_die(int i, bool calm)
{
	static const char *const points[] = { "poll",         "produced",  "commit",      "flushed",
					      "offsets-sent", "committed", "commit-told", "revoked",
					      "assigned",     "took-over", "called",      "abort" };
	jmp_buf jump;

	if (!movers[i].w) { /* dead for a while: its session may end before it comes again */
		house.ms += (int64_t)below(400);
		if (calm || below(10) == 0)
			begin(i);
		return;
	}
	if (!calm && below(40) == 0) {
		house.jump = &jump;
		house.point = points[below(ARRAY_LEN(points))];
	}
	if (setjmp(jump) == 0)
		step(&movers[i]);
	else
		die(i);
	house.point = NULL;
	if (!movers[i].w && below(2) == 0)
		begin(i);
}

static int follows(void *arg, const struct memlog_entry *e)
{
	int64_t *next = arg;

	if (number_of(e->msg.value) != *next)
		fail_msg("partition %d: %lld came, %lld was next", (int)e->msg.partition,
			 (long long)number_of(e->msg.value), (long long)*next);
	++*next;
	return 0;
}

static int64_t arrived(void)
{
	int64_t n = 0;

	for (int32_t p = 0; p < PARTS; p++) {
		int64_t next = 0;

		memlog_see(house.m, TOPIC_CALLS, p, true, 0, follows, &next);
		n += next;
	}
	return n;
}

static void acked(void *arg, int err)
{
	(void)arg;
	assert_int_equal(err, 0);
}

static void append_some(struct log_appender *a, int *n)
{
	char text[12];
	int len = snprintf(text, sizeof(text), "%d", *n / PARTS);

	if (*n < EVENTS && log_append(a, TOPIC_EVENTS, *n % PARTS, SLICE("k"),
				      slice_make(text, (size_t)len), acked, NULL) == 0)
		++*n;
	log_appender_poll(a, 0);
}

static struct memlog_counts total;

static void add_counts(void)
{
	struct memlog_counts c;

	memlog_counts(house.m, &c);
	total.commits += c.commits;
	total.aborts += c.aborts;
	total.timed_out += c.timed_out;
	total.illegal += c.illegal;
	total.expired += c.expired;
	total.lost += c.lost;
	total.pending += c.pending;
	total.rebalances += c.rebalances;
}

/* Returns a fingerprint of what happened. */
static uint64_t life(uint64_t seed)
{
	struct log_appender *a;
	int appended = 0;
	int64_t n = 0;

	house_build(seed);
	processes = 1;
	assert_int_equal(log_appender_new(house_client(1), 600000, &a), 0);
	memlog_set_faults(house.m, &faults);
	for (int i = 0; i < MOVERS; i++)
		begin(i);
	for (int i = 0; n < EVENTS; i++) {
		bool calm = i > 3000;

		if (i == 3000)
			memlog_set_faults(house.m, &(struct memlog_faults){ 0 });
		if (below(3) == 0)
			append_some(a, &appended);
		step_or_die((int)below(MOVERS), calm);
		if (i % 64 == 0)
			n = arrived();
		if (i > 60000)
			fail_msg("seed %llu: %d of %d arrived", (unsigned long long)seed, (int)n,
				 EVENTS);
	}
	n = arrived();
	assert_int_equal(n, EVENTS);
	assert_false(memlog_broken(house.m));
	add_counts();
	house_clear();
	return house.seed ^ (uint64_t)house.ms;
}

static void each_arrives_once(void **state)
{
	const char *only = getenv("MEM_SEED");

	(void)state;
	for (uint64_t seed = 1; seed <= LIVES; seed++)
		life(only ? strtoull(only, NULL, 10) : seed);
	/* the faults were met, not missed */
	assert_true(total.commits > LIVES && total.aborts > LIVES);
	assert_true(total.timed_out > 10 && total.illegal > 10 && total.expired > 10);
	assert_true(total.lost > 10 && total.pending > 10 && total.rebalances > LIVES);
}

static void a_seed_repeats_its_life(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++)
		assert_int_equal(life(seed), life(seed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_arrives_once),
		cmocka_unit_test(a_seed_repeats_its_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
