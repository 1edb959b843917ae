/* The state machine of a delivery: every move, what is written, what a restart knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "role/deliver_ledger.h"

#define CALL_1 "11111111-1111-5111-8111-111111111111"
#define CALL_2 "22222222-2222-5222-8222-222222222222"
#define NOW    INT64_C(1767225600000)
#define HOUR   INT64_C(3600000)

/* Everything that was written, as words: "entry crm rev=1 retry", "dead gave_up". */
struct world {
	struct ledger *l;
	struct buf log;
	/* The topic deliveries, for restarts: the newest JSON of each key. */
	struct kept {
		char key[128];
		char *json;
		int64_t offset;
	} kept[64];
	size_t kept_n;
	int64_t offset;
	uint32_t concurrency;
	struct ledger_cfg cfg;
};

static void keep(struct world *w, struct slice key, struct slice json)
{
	struct kept *k = w->kept;

	while (k < w->kept + w->kept_n && !slice_is(key, k->key))
		k++;
	if (k == w->kept + w->kept_n) {
		assert_true(++w->kept_n <= ARRAY_LEN(w->kept));
		snprintf(k->key, sizeof(k->key), "%.*s", SLICE_ARG(key));
	}
	free(k->json);
	k->json = slice_dup(json);
	k->offset = w->offset++;
}

static void on_entry(void *arg, struct slice key, const struct entry *entry)
{
	struct world *w = arg;
	struct buf json = BUF_EMPTY;
	struct entry again;

	buf_printf(&w->log, "%.*s rev=%u %s try=%u", SLICE_ARG(entry->sink), entry->revision,
		   entry_verdict_text(entry->verdict), entry->attempt);
	if (entry->status)
		buf_printf(&w->log, " status=%d", entry->status);
	if (entry->next_at_ms != TIME_NONE)
		buf_printf(&w->log, " next=%+lld", (long long)(entry->next_at_ms - NOW));
	assert_int_equal(entry->verdict == ENTRY_RETRY, entry->task.n > 0);
	buf_add_char(&w->log, '\n');
	entry_write(&json, entry);
	assert_int_equal(0, entry_read(buf_slice(&json), &again));
	assert_int_equal(entry->revision, again.revision);
	assert_true(slice_eq(entry->task, again.task));
	keep(w, key, buf_slice(&json));
	buf_fini(&json);
}

static void on_dead(void *arg, const struct deadletter *dead)
{
	struct world *w = arg;

	buf_printf(&w->log, "dead %.*s tries=%u account=%.*s\n", SLICE_ARG(dead->reason),
		   dead->attempts, SLICE_ARG(dead->account));
	assert_true(slice_is(dead->reason, "task_lost") || dead->original.n > 0);
}

static void on_lane(void *arg, struct lane *lane)
{
	struct world *w = arg;

	lane->concurrency = w->concurrency;
}

static void open_ledger(struct world *w)
{
	const struct ledger_out out = { .arg = w, .entry = on_entry, .dead = on_dead };

	assert_int_equal(0, ledger_new(&w->cfg, &out, on_lane, &w->l));
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->concurrency = 1;
	w->cfg = (struct ledger_cfg){
		.give_up_after_ms = 24 * HOUR,
		.retry_first_ms = 1000,
		.retry_max_ms = 60000,
		.lane_bytes_max = 1 << 20,
		.told_max = 1000,
	};
	open_ledger(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	ledger_free(w->l);
	buf_fini(&w->log);
	for (size_t i = 0; i < w->kept_n; i++)
		free(w->kept[i].json);
	free(w);
	return 0;
}

/* What was written since the last look. */
static void wrote(struct world *w, const char *want)
{
	buf_add_char(&w->log, '\0');
	assert_string_equal(want, w->log.p);
	buf_reset(&w->log);
}

static void write_task(struct buf *json, const char *sink, const char *call, uint32_t revision,
		       int64_t at_ms)
{
	struct buf record = BUF_EMPTY;
	struct task task = { .sink = slice_of(sink), .call = slice_of(call), .revision = revision };

	buf_printf(&record,
		   "{\"schema\":\"callstream.call/1\",\"id\":\"%s\",\"revision\":%u,"
		   "\"account\":\"acme\",\"call_session_id\":\"77\"}",
		   call, revision);
	task.at_ms = at_ms;
	task.record = buf_slice(&record);
	task_write(json, &task);
	buf_fini(&record);
}

static int accept_at(struct world *w, const char *sink, const char *call, uint32_t revision,
		     int64_t offset, int64_t now_ms)
{
	struct buf json = BUF_EMPTY;
	struct task task;
	int change;

	write_task(&json, sink, call, revision, now_ms);
	assert_int_equal(0, task_read(buf_slice(&json), &task));
	change = ledger_accept(w->l, &task, buf_slice(&json), offset, now_ms);
	buf_fini(&json);
	return change;
}

static int accept(struct world *w, const char *call, uint32_t revision, int64_t now_ms)
{
	return accept_at(w, "crm", call, revision, 0, now_ms);
}

static struct delivery *due(struct world *w, int64_t now_ms)
{
	return ledger_lanes(w->l) ? ledger_due(w->l, ledger_lane(w->l, 0), now_ms) : NULL;
}

static struct delivery *start(struct world *w, uint32_t revision, int64_t now_ms)
{
	struct delivery *d = due(w, now_ms);

	assert_non_null(d);
	assert_int_equal(revision, d->task.revision);
	ledger_started(w->l, d);
	return d;
}

static void answer(struct world *w, struct delivery *d, enum sink_verdict verdict, int status,
		   int64_t now_ms)
{
	const struct sink_answer a = {
		.verdict = verdict, .status = status, .ms = 5, .reason = "why"
	};

	ledger_answered(w->l, d, &a, now_ms, 0);
}

static void restart(struct world *w, int64_t now_ms)
{
	ledger_free(w->l);
	open_ledger(w);
	for (size_t i = 0; i < w->kept_n; i++)
		assert_int_equal(0, ledger_restore(w->l, slice_of(w->kept[i].key),
						   slice_of(w->kept[i].json), w->kept[i].offset,
						   now_ms));
	buf_reset(&w->log);
}

static void done_before_the_commit_is_one_entry(void **state)
{
	struct world *w = *state;

	assert_int_equal(LEDGER_NEW, accept(w, CALL_1, 1, NOW));
	assert_true(ledger_dirty(w->l));
	answer(w, start(w, 1, NOW), SINK_DONE, 200, NOW + 5);
	wrote(w, "crm rev=1 done try=1 status=200\n");
	assert_false(ledger_dirty(w->l));
	ledger_flush(w->l, NOW + 6);
	wrote(w, "");
	assert_null(due(w, NOW + HOUR));
	assert_int_equal(INT64_MAX, ledger_next_due(w->l));
}

static void not_answered_is_written_with_its_task(void **state)
{
	struct world *w = *state;
	struct delivery *d;

	accept(w, CALL_1, 1, NOW);
	start(w, 1, NOW);
	ledger_flush(w->l, NOW + 100);
	wrote(w, "crm rev=1 retry try=0 next=+100\n");
	restart(w, NOW + 200);
	d = start(w, 1, NOW + 200);
	answer(w, d, SINK_DONE, 204, NOW + 300);
	wrote(w, "crm rev=1 done try=1 status=204\n");
	restart(w, NOW + 400);
	assert_null(due(w, NOW + HOUR));
	assert_int_equal(LEDGER_REPEATED, accept(w, CALL_1, 1, NOW));
}

static void retries_keep_their_time_over_a_restart(void **state)
{
	struct world *w = *state;

	accept(w, CALL_1, 1, NOW);
	answer(w, start(w, 1, NOW), SINK_RETRY, 500, NOW);
	assert_null(due(w, NOW + 999));
	assert_int_equal(NOW + 1000, ledger_next_due(w->l));
	ledger_flush(w->l, NOW + 10);
	wrote(w, "crm rev=1 retry try=1 status=500 next=+1000\n");
	restart(w, NOW + 20);
	assert_null(due(w, NOW + 999));
	answer(w, start(w, 1, NOW + 1000), SINK_RETRY, 503, NOW + 1000);
	ledger_flush(w->l, NOW + 1000);
	wrote(w, "crm rev=1 retry try=2 status=503 next=+3000\n");
}

static void a_newer_one_replaces_a_waiting_older_one(void **state)
{
	struct world *w = *state;

	accept(w, CALL_1, 1, NOW);
	answer(w, start(w, 1, NOW), SINK_RETRY, 500, NOW);
	assert_int_equal(LEDGER_REPLACED, accept(w, CALL_1, 2, NOW + 10));
	assert_int_equal(LEDGER_REPEATED, accept(w, CALL_1, 1, NOW + 11));
	assert_int_equal(LEDGER_REPEATED, accept(w, CALL_1, 2, NOW + 11));
	ledger_flush(w->l, NOW + 12);
	wrote(w, "crm rev=1 superseded try=1 status=500\ncrm rev=2 retry try=0 next=+10\n");
	answer(w, start(w, 2, NOW + 12), SINK_DONE, 200, NOW + 13);
	assert_int_equal(LEDGER_REPEATED, accept(w, CALL_1, 1, NOW + 14));
	wrote(w, "crm rev=2 done try=1 status=200\n");
}

static void a_newer_one_waits_behind_one_on_its_way(void **state)
{
	struct world *w = *state;
	struct delivery *d;

	accept(w, CALL_1, 1, NOW);
	d = start(w, 1, NOW);
	assert_int_equal(LEDGER_BEHIND, accept(w, CALL_1, 2, NOW));
	assert_int_equal(LEDGER_BEHIND, accept(w, CALL_1, 3, NOW));
	assert_int_equal(LEDGER_REPEATED, accept(w, CALL_1, 2, NOW));
	assert_null(due(w, NOW + HOUR));
	ledger_flush(w->l, NOW);
	wrote(w, "crm rev=2 superseded try=0\ncrm rev=3 retry try=0 next=+0\n");
	answer(w, d, SINK_DONE, 200, NOW + 50);
	ledger_flush(w->l, NOW + 60); /* the done entry would hide the waiting one */
	wrote(w, "crm rev=1 done try=1 status=200\ncrm rev=3 retry try=0 next=+50\n");
	restart(w, NOW + 70);
	answer(w, start(w, 3, NOW + 70), SINK_DONE, 200, NOW + 80);
	wrote(w, "crm rev=3 done try=1 status=200\n");
}

static void a_failed_older_one_gives_way(void **state)
{
	struct world *w = *state;
	struct delivery *d;

	accept(w, CALL_1, 1, NOW);
	d = start(w, 1, NOW);
	accept(w, CALL_1, 2, NOW);
	answer(w, d, SINK_RETRY, 500, NOW + 5);
	wrote(w, "crm rev=1 superseded try=1 status=500\n");
	answer(w, start(w, 2, NOW + 5), SINK_DONE, 200, NOW + 6);
	wrote(w, "crm rev=2 done try=1 status=200\n");
}

static void refused_for_ever_is_dead_at_once(void **state)
{
	struct world *w = *state;

	accept(w, CALL_1, 1, NOW);
	answer(w, start(w, 1, NOW), SINK_DEAD, 410, NOW + 5);
	wrote(w,
	      "dead permanent: http 410 tries=1 account=acme\ncrm rev=1 dead try=1 status=410\n");
	assert_int_equal(LEDGER_NEW, accept(w, CALL_1, 1, NOW + 6)); /* a replay of the letter */
	answer(w, start(w, 1, NOW + 6), SINK_DEAD, 0, NOW + 7);
	wrote(w, "dead permanent: why tries=1 account=acme\ncrm rev=1 dead try=1\n");
	assert_int_equal(LEDGER_NEW, accept(w, CALL_1, 2, NOW + 8));
}

static void after_a_refusal_the_newer_one_has_its_turn(void **state)
{
	struct world *w = *state;
	struct delivery *d;

	accept(w, CALL_1, 1, NOW);
	d = start(w, 1, NOW);
	accept(w, CALL_1, 2, NOW);
	answer(w, d, SINK_DEAD, 400, NOW);
	start(w, 2, NOW);
}

static void gives_up_after_its_time_but_not_untried(void **state)
{
	struct world *w = *state;
	int64_t late = NOW + 24 * HOUR;

	accept(w, CALL_1, 1, NOW);
	answer(w, start(w, 1, NOW), SINK_RETRY, 500, NOW);
	buf_reset(&w->log);
	assert_null(due(w, late));
	wrote(w, "dead gave_up tries=1 account=acme\ncrm rev=1 dead try=1 status=500\n");

	accept(w, CALL_2, 1, NOW);
	answer(w, start(w, 1, late + HOUR), SINK_RETRY, 500, late + HOUR);
	wrote(w, "dead gave_up tries=1 account=acme\ncrm rev=1 dead try=1 status=500\n");
}

static void the_last_wait_ends_when_it_gives_up(void **state)
{
	struct world *w = *state;
	struct sink_answer a = { .verdict = SINK_RETRY, .retry_after_ms = 2 * HOUR, .reason = "" };

	accept(w, CALL_1, 1, NOW);
	ledger_answered(w->l, start(w, 1, NOW + 24 * HOUR - 5000), &a, NOW + 24 * HOUR - 5000, 0);
	assert_int_equal(NOW + 24 * HOUR, ledger_next_due(w->l));
}

static void retry_after_is_honoured_within_an_hour(void **state)
{
	struct world *w = *state;
	struct sink_answer a = { .verdict = SINK_RETRY, .retry_after_ms = 120000, .reason = "" };

	accept(w, CALL_1, 1, NOW);
	ledger_answered(w->l, start(w, 1, NOW), &a, NOW, 0);
	assert_int_equal(NOW + 120000, ledger_next_due(w->l));
	a.retry_after_ms = 9 * HOUR;
	ledger_answered(w->l, start(w, 1, NOW + 120000), &a, NOW + 120000, 0);
	assert_int_equal(NOW + 120000 + HOUR, ledger_next_due(w->l));
}

static void a_lane_sends_no_more_than_its_concurrency(void **state)
{
	struct world *w = *state;
	struct delivery *d;

	w->concurrency = 1;
	accept(w, CALL_1, 1, NOW);
	accept(w, CALL_2, 1, NOW);
	d = start(w, 1, NOW);
	assert_true(slice_is(delivery_call(d), CALL_1)); /* first come, first sent */
	assert_null(due(w, NOW));
	assert_int_equal(INT64_MAX, ledger_next_due(w->l));
	answer(w, d, SINK_DONE, 200, NOW);
	assert_true(slice_is(delivery_call(start(w, 1, NOW)), CALL_2));
}

static void lanes_do_not_know_each_other(void **state)
{
	struct world *w = *state;

	accept_at(w, "dead-crm", CALL_1, 1, 0, NOW);
	accept_at(w, "crm", CALL_1, 1, 1, NOW);
	ledger_started(w->l, ledger_due(w->l, ledger_lane(w->l, 0), NOW));
	assert_null(ledger_due(w->l, ledger_lane(w->l, 0), NOW));
	assert_non_null(ledger_due(w->l, ledger_lane(w->l, 1), NOW));
	assert_int_equal(NOW, ledger_next_due(w->l));
}

static void backoff_doubles_between_its_bounds(void **state)
{
	struct world *w = *state;
	static const int64_t want[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };

	for (uint32_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(want[i], ledger_backoff_ms(&w->cfg, i + 1, 0));
		assert_int_equal(want[i] / 2, ledger_backoff_ms(&w->cfg, i + 1, UINT32_MAX));
		assert_in_range(ledger_backoff_ms(&w->cfg, i + 1, 12345678), want[i] / 2, want[i]);
	}
	assert_int_equal(60000, ledger_backoff_ms(&w->cfg, UINT32_MAX, 0));
	w->cfg.retry_first_ms = 90000; /* above the maximum: the maximum */
	assert_int_equal(60000, ledger_backoff_ms(&w->cfg, 1, 0));
}

/* ---- parking ---- */

static void call_id(char out[40], unsigned i)
{
	snprintf(out, 40, "%08x-0000-5000-8000-000000000000", i);
}

#define MANY 40

static void fill(struct world *w)
{
	w->cfg.lane_bytes_max = 2000; /* about six tasks */
	w->concurrency = 2;
	ledger_free(w->l);
	open_ledger(w);
	for (unsigned i = 0; i < MANY; i++) {
		char id[40];

		call_id(id, i);
		assert_int_equal(LEDGER_NEW, accept_at(w, "crm", id, 1, i, NOW));
	}
}

static void refill(struct world *w, const struct wanted *wanted, bool found)
{
	struct buf json = BUF_EMPTY;
	char id[40];

	call_id(id, (unsigned)wanted->place.offset);
	write_task(&json, "crm", id, 1, NOW);
	assert_int_equal(0,
			 ledger_refill(w->l, wanted, found ? buf_slice(&json) : SLICE_NONE, NOW));
	buf_fini(&json);
}

static void what_is_too_much_is_parked_and_read_back(void **state)
{
	struct world *w = *state;
	struct ledger_counts counts;
	struct buf wanted = BUF_EMPTY;
	unsigned done = 0;

	fill(w);
	ledger_flush(w->l, NOW);
	ledger_counts(w->l, &counts);
	assert_int_equal(MANY, counts.waiting + counts.parked);
	assert_true(counts.parked > MANY / 2);
	assert_true(counts.bytes <= 2000);
	while (done < MANY) {
		struct delivery *d = due(w, NOW);
		size_t n;

		buf_reset(&wanted);
		n = ledger_wanted(w->l, ledger_lane(w->l, 0), &wanted);
		for (size_t i = 0; i < n; i++)
			refill(w, (const struct wanted *)(void *)wanted.p + i, true);
		assert_true(d || n);
		ledger_counts(w->l, &counts);
		assert_true(counts.bytes <= 2000);
		if (!d)
			continue;
		ledger_started(w->l, d);
		answer(w, d, SINK_DONE, 200, NOW);
		done++;
	}
	ledger_counts(w->l, &counts);
	assert_int_equal(0, counts.waiting + counts.parked + counts.flying + counts.bytes);
	buf_fini(&wanted);
}

static void a_parked_one_may_be_replaced_or_lost(void **state)
{
	struct world *w = *state;
	struct buf wanted = BUF_EMPTY;
	const struct wanted *first;
	struct delivery *d;
	size_t n;
	char id[40];

	fill(w);
	ledger_flush(w->l, NOW);
	while ((d = due(w, NOW))) {
		ledger_started(w->l, d);
		answer(w, d, SINK_DONE, 200, NOW);
	}
	n = ledger_wanted(w->l, ledger_lane(w->l, 0), &wanted);
	assert_true(n > 2);
	assert_int_equal(0, ledger_wanted(w->l, ledger_lane(w->l, 0), &wanted));
	first = (const struct wanted *)(void *)wanted.p;
	call_id(id, (unsigned)first[0].place.offset);
	buf_reset(&w->log);
	assert_int_equal(LEDGER_REPLACED, accept_at(w, "crm", id, 2, 1000, NOW));
	wrote(w, "crm rev=1 superseded try=0\n");
	refill(w, &first[0], true); /* of the old one: ignored */
	assert_int_equal(2, due(w, NOW)->task.revision);
	refill(w, &first[1], false);
	wrote(w, "dead task_lost tries=0 account=\ncrm rev=1 dead try=0\n");
	buf_fini(&wanted);
}

static void a_restart_parks_too(void **state)
{
	struct world *w = *state;
	struct ledger_counts counts;

	fill(w);
	ledger_flush(w->l, NOW);
	restart(w, NOW);
	ledger_counts(w->l, &counts);
	assert_int_equal(MANY, counts.waiting + counts.parked);
	assert_true(counts.parked > MANY / 2);
}

/* ---- taking over ---- */

static void restore(struct world *w, const char *key, const char *json, int want)
{
	assert_int_equal(want, ledger_restore(w->l, slice_of(key), slice_of(json), 1, NOW));
}

static void damaged_entries_are_refused(void **state)
{
	struct world *w = *state;
	const char *done =
	    "{\"schema\":\"callstream.delivery/1\",\"sink\":\"crm\",\"call\":\"" CALL_1
	    "\",\"revision\":1,\"verdict\":\"done\"}";

	restore(w, "crm/" CALL_1, done, 0);
	restore(w, "other/" CALL_1, done, -EBADMSG);
	restore(w, "crm/" CALL_2, done, -EBADMSG);
	restore(w, "crm", done, -EBADMSG);
	restore(w, "crm/" CALL_1, "{", -EBADMSG);
	restore(w, "crm/" CALL_1,
		"{\"schema\":\"callstream.delivery/1\",\"sink\":\"crm\",\"call\":\"" CALL_1
		"\",\"revision\":2,\"verdict\":\"retry\"}",
		-EBADMSG);                /* waits, but for what? */
	restore(w, "crm/" CALL_1, "", 0); /* a tombstone */
	assert_null(due(w, NOW));
}

static void a_tombstone_forgets(void **state)
{
	struct world *w = *state;

	accept(w, CALL_1, 1, NOW);
	ledger_flush(w->l, NOW);
	restart(w, NOW);
	assert_non_null(due(w, NOW));
	restore(w, "crm/" CALL_1, "", 0);
	assert_null(due(w, NOW));
}

static void a_wild_clock_does_not_make_it_wait_for_years(void **state)
{
	struct world *w = *state;

	accept(w, CALL_1, 1, NOW);
	answer(w, start(w, 1, NOW), SINK_RETRY, 500, NOW);
	ledger_flush(w->l, NOW);
	restart(w, NOW - 1000 * HOUR); /* what was written lies in the future now */
	assert_true(ledger_next_due(w->l) <= NOW - 1000 * HOUR + 1000); /* its own wait */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(done_before_the_commit_is_one_entry),
		TEST(not_answered_is_written_with_its_task),
		TEST(retries_keep_their_time_over_a_restart),
		TEST(a_newer_one_replaces_a_waiting_older_one),
		TEST(a_newer_one_waits_behind_one_on_its_way),
		TEST(a_failed_older_one_gives_way),
		TEST(refused_for_ever_is_dead_at_once),
		TEST(after_a_refusal_the_newer_one_has_its_turn),
		TEST(gives_up_after_its_time_but_not_untried),
		TEST(the_last_wait_ends_when_it_gives_up),
		TEST(retry_after_is_honoured_within_an_hour),
		TEST(a_lane_sends_no_more_than_its_concurrency),
		TEST(lanes_do_not_know_each_other),
		TEST(backoff_doubles_between_its_bounds),
		TEST(what_is_too_much_is_parked_and_read_back),
		TEST(a_parked_one_may_be_replaced_or_lost),
		TEST(a_restart_parks_too),
		TEST(damaged_entries_are_refused),
		TEST(a_tombstone_forgets),
		TEST(a_wild_clock_does_not_make_it_wait_for_years),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
