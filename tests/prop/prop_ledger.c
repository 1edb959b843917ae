/*
 * Properties of a partition's ledger under random tasks, answers, commits and crashes.
 *
 * The log is two arrays: tasks, and the committed entries of deliveries, compacted at random. A
 * crash forgets the ledger and the open transaction; a take-over restores, holds until the tasks
 * are read that were there, and goes on at the committed offset. The CRM keeps what arrives. At the
 * end it answers well: then the highest revision of every call has arrived or is a dead letter,
 * nothing waits, no call ever went back, and what was parked came back. CALLSTREAM_SEED repeats
 * one case, CALLSTREAM_LONG multiplies their number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "role/deliver_ledger.h"

#define CASES      400
#define STEPS      400
#define CALLS      12
#define SINKS      2
#define REVISIONS  4
#define TASKS_MAX  (CALLS * SINKS * REVISIONS * 2)
#define ENTRIES    8192
#define START_MS   INT64_C(1773482400000)
#define GIVE_UP_MS 600000

/* ---- luck ---- */

static uint64_t state;

static uint64_t below(uint64_t n)
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % n;
}

static bool chance(unsigned percent)
{
	return below(100) < percent;
}

/* ---- the world ---- */

struct message {
	char key[ENTRY_KEY_MAX + 1];
	char *json;
};

/* What a CRM knows of a call. */
struct known {
	uint32_t arrived; /* the highest revision that came in at all */
	uint32_t applied;
	uint32_t dead; /* the highest dead letter, of committed transactions */
	uint32_t made; /* the highest task */
	uint32_t told; /* by the generator of tasks so far */
};

struct world {
	struct ledger_cfg cfg;
	struct ledger *l;
	int64_t now_ms;

	struct message tasks[TASKS_MAX];
	size_t tasks_n, next, committed, hold_until;

	struct message entries[ENTRIES];
	size_t entries_n, entries_committed;
	uint32_t dead_open[SINKS][CALLS]; /* in the open transaction */

	struct known known[SINKS][CALLS];
	struct delivery *flying[64];
	size_t flying_n;
	unsigned dead_percent;
	bool ending;
};

static const char *const sinks[SINKS] = { "one", "two" };

static void call_id(char out[UUID_TEXT_LEN + 1], unsigned i)
{
	snprintf(out, UUID_TEXT_LEN + 1, "%08x-0000-5000-8000-000000000000", i);
}

static void find_known(struct slice sink, struct slice call, unsigned *ret_s, unsigned *ret_c)
{
	*ret_s = slice_is(sink, sinks[0]) ? 0 : 1;
	*ret_c = (unsigned)strtoul(call.p, NULL, 16);
	assert_true(*ret_c < CALLS);
}

static void on_entry(void *arg, struct slice key, const struct entry *e)
{
	struct world *w = arg;
	struct buf json = BUF_EMPTY;
	struct message *m = &w->entries[w->entries_n++];

	assert_true(w->entries_n <= ENTRIES);
	snprintf(m->key, sizeof(m->key), "%.*s", SLICE_ARG(key));
	entry_write(&json, e);
	m->json = buf_take_text(&json);
}

static void on_dead(void *arg, const struct deadletter *dead)
{
	struct world *w = arg;
	struct task task;
	unsigned s, c;

	find_known(dead->sink, dead->id, &s, &c);
	assert_int_equal(0, task_read(dead->original, &task));
	w->dead_open[s][c] = MAX(w->dead_open[s][c], task.revision);
}

static void on_lane(void *arg, struct lane *lane)
{
	(void)arg;
	lane->concurrency = 3;
}

static void make_task(struct world *w)
{
	unsigned s = (unsigned)below(SINKS), c = (unsigned)below(CALLS);
	struct known *k = &w->known[s][c];
	struct buf json = BUF_EMPTY, record = BUF_EMPTY;
	char call[UUID_TEXT_LEN + 1];
	struct task task;

	/* The next revision, sometimes the last one again: a transaction that was written twice. */
	if (w->tasks_n == TASKS_MAX || (k->told == REVISIONS && !chance(5)))
		return;
	if (k->told == 0 || (k->told < REVISIONS && !chance(10)))
		k->told++;
	k->made = k->told;
	call_id(call, c);
	buf_printf(&record, "{\"x\":\"%0*u\"}", (int)below(200) + 1, k->told);
	task = (struct task){ .sink = slice_of(sinks[s]),
			      .call = slice_of(call),
			      .revision = k->told,
			      .at_ms = w->now_ms,
			      .record = buf_slice(&record) };
	task_write(&json, &task);
	w->tasks[w->tasks_n++].json = buf_take_text(&json);
	buf_fini(&record);
}

/* ---- the worker ---- */

static void open_ledger(struct world *w)
{
	const struct ledger_out out = { .arg = w, .entry = on_entry, .dead = on_dead };

	assert_int_equal(0, ledger_new(&w->cfg, &out, on_lane, &w->l));
}

/* Is this committed entry hidden by a newer one? Then Kafka may have dropped it. */
static bool is_old(const struct world *w, size_t i)
{
	for (size_t k = i + 1; k < w->entries_committed; k++) {
		if (strcmp(w->entries[k].key, w->entries[i].key) == 0)
			return true;
	}
	return false;
}

static void crash(struct world *w)
{
	ledger_free(w->l);
	w->flying_n = 0; /* called back, or the process is gone */
	while (w->entries_n > w->entries_committed)
		free(w->entries[--w->entries_n].json);
	memset(w->dead_open, 0, sizeof(w->dead_open));
	w->next = w->committed;
	w->hold_until = w->tasks_n;
	open_ledger(w);
	for (size_t i = 0; i < w->entries_committed; i++) {
		if (is_old(w, i) && chance(50))
			continue;
		assert_int_equal(0, ledger_restore(w->l, slice_of(w->entries[i].key),
						   slice_of(w->entries[i].json), (int64_t)i,
						   w->now_ms));
	}
	ledger_hold(w->l, w->next < w->hold_until);
}

static void commit(struct world *w)
{
	ledger_flush(w->l, w->now_ms);
	w->entries_committed = w->entries_n;
	w->committed = w->next;
	for (unsigned s = 0; s < SINKS; s++) {
		for (unsigned c = 0; c < CALLS; c++)
			w->known[s][c].dead = MAX(w->known[s][c].dead, w->dead_open[s][c]);
	}
	memset(w->dead_open, 0, sizeof(w->dead_open));
}

static void read_task(struct world *w)
{
	struct task task;
	struct slice json;

	if (w->next == w->tasks_n)
		return;
	json = slice_of(w->tasks[w->next].json);
	assert_int_equal(0, task_read(json, &task));
	assert_true(ledger_accept(w->l, &task, json, (int64_t)w->next, w->now_ms) >= 0);
	w->next++;
	if (w->next >= w->hold_until)
		ledger_hold(w->l, false);
}

static void send_due(struct world *w)
{
	for (size_t i = 0; i < ledger_lanes(w->l); i++) {
		struct delivery *d;

		while ((d = ledger_due(w->l, ledger_lane(w->l, i), w->now_ms))) {
			unsigned s, c;

			assert_true(w->next >= w->hold_until);
			find_known(delivery_sink(d), delivery_call(d), &s, &c);
			assert_true(d->task.revision >= w->known[s][c].arrived);
			w->known[s][c].arrived = d->task.revision;
			ledger_started(w->l, d);
			assert_true(w->flying_n < ARRAY_LEN(w->flying));
			w->flying[w->flying_n++] = d;
		}
	}
}

static void answer(struct world *w)
{
	size_t i = (size_t)below(w->flying_n);
	struct delivery *d = w->flying[i];
	struct sink_answer a = { .verdict = SINK_RETRY, .status = 500, .reason = "bad_day" };
	unsigned s, c, luck = (unsigned)below(100);
	bool applied = w->ending || luck < 50;

	find_known(delivery_sink(d), delivery_call(d), &s, &c);
	if (applied)
		w->known[s][c].applied = MAX(w->known[s][c].applied, d->task.revision);
	if (w->ending || luck < 40)
		a.verdict = SINK_DONE; /* between the two it is applied and the answer lost */
	else if (!applied && chance(w->dead_percent))
		a.verdict = SINK_DEAD;
	w->flying[i] = w->flying[--w->flying_n];
	ledger_answered(w->l, d, &a, w->now_ms, (uint32_t)below(UINT32_MAX));
}

/* A parked task is where it was, or (from a restart on) in an entry, or in the newest one. */
static struct slice read_back(const struct world *w, const struct wanted *wanted)
{
	struct entry e;

	if (wanted->place.topic == TOPIC_TASKS)
		return slice_of(w->tasks[wanted->place.offset].json);
	assert_int_equal(0, entry_read(slice_of(w->entries[wanted->place.offset].json), &e));
	return e.task;
}

static void refill(struct world *w)
{
	struct buf wanted = BUF_EMPTY;

	for (size_t i = 0; i < ledger_lanes(w->l); i++) {
		size_t n;

		buf_reset(&wanted);
		n = ledger_wanted(w->l, ledger_lane(w->l, i), &wanted);
		for (size_t k = 0; k < n; k++) {
			const struct wanted *one = (const struct wanted *)(void *)wanted.p + k;

			assert_int_equal(0, ledger_refill(w->l, one, read_back(w, one), w->now_ms));
		}
	}
	buf_fini(&wanted);
}

/* ---- a case ---- */

static void step(struct world *w)
{
	unsigned luck = (unsigned)below(100);

	w->now_ms += (int64_t)below(3000);
	if (luck < 25)
		make_task(w);
	else if (luck < 50)
		read_task(w);
	else if (luck < 65)
		send_due(w);
	else if (luck < 85 && w->flying_n)
		answer(w);
	else if (luck < 90)
		refill(w);
	else if (luck < 98)
		commit(w);
	else
		crash(w);
}

static bool waits(const struct world *w)
{
	struct ledger_counts counts;

	ledger_counts(w->l, &counts);
	return w->next < w->tasks_n || counts.waiting + counts.parked + counts.flying > 0;
}

static void finish(struct world *w)
{
	w->ending = true;
	for (int i = 0; waits(w); i++) {
		assert_true(i < 10000);
		w->now_ms += 1000;
		read_task(w);
		refill(w);
		send_due(w);
		while (w->flying_n)
			answer(w);
		if (i % 3 == 0)
			commit(w);
	}
	commit(w);
}

static void check(const struct world *w)
{
	struct ledger_counts counts;

	for (unsigned s = 0; s < SINKS; s++) {
		for (unsigned c = 0; c < CALLS; c++) {
			const struct known *k = &w->known[s][c];

			assert_true(k->applied == k->made || k->dead == k->made);
		}
	}
	ledger_counts(w->l, &counts);
	assert_int_equal(0, counts.bytes);
}

static void run_case(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	state = seed;
	w->now_ms = START_MS;
	w->dead_percent = (unsigned)below(3) * 10;
	w->cfg = (struct ledger_cfg){
		.give_up_after_ms = chance(20) ? GIVE_UP_MS / 10 : GIVE_UP_MS * 10,
		.retry_first_ms = 100,
		.retry_max_ms = 5000,
		.lane_bytes_max = chance(50) ? 1500 : 1 << 20,
		.told_max = 1000,
	};
	open_ledger(w);
	for (int i = 0; i < STEPS; i++)
		step(w);
	crash(w);
	finish(w);
	check(w);
	crash(w); /* and a restart has nothing more to tell */
	assert_false(waits(w));
	ledger_free(w->l);
	for (size_t i = 0; i < w->tasks_n; i++)
		free(w->tasks[i].json);
	for (size_t i = 0; i < w->entries_n; i++)
		free(w->entries[i].json);
	free(w);
}

static void every_case(void **unused)
{
	const char *given = getenv("CALLSTREAM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003;
	unsigned n = getenv("CALLSTREAM_LONG") ? CASES * 20 : CASES;

	(void)unused;
	for (unsigned i = 0; i < (given ? 1 : n); i++) {
		print_message("seed %llu\n", (unsigned long long)(seed + i));
		run_case(seed + i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_case) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
