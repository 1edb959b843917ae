#include "correlate_case.h"

#include <yyjson.h>

#include "role/partition_dead.h"

struct state {
	struct correlate_case c;
	struct partition *p;
};

static int begin(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	case_begin(&s->c);
	assert_int_equal(0, partition_new(&s->c.env, INDEX, &s->p));
	*state = s;
	return 0;
}

static int end(void **state)
{
	struct state *s = *state;

	partition_free(s->p);
	case_end(&s->c);
	free(s);
	return 0;
}

static void events_become_a_record_and_state(void **state)
{
	struct state *s = *state;
	struct journal_entry entry;
	struct outbox_msg msg;

	feed(s->p, "1", CALLEV_CALL_STARTED);
	feed(s->p, "1", CALLEV_CALL_ENDED);
	assert_true(partition_wants_step(s->p, T0, 0));
	step(s->p, 100, 0);
	assert_int_equal(0, count_out(s->p, TOPIC_CALLS, ""));
	assert_int_equal(T0 + 1001, partition_due_ms(s->p));
	outbox_reset(&s->p->out);

	step(s->p, 1001, 100);
	assert_int_equal(1, count_out(s->p, TOPIC_CALLS, ""));
	assert_int_equal(1, count_out(s->p, TOPIC_STATE, "j/2"));
	assert_int_equal(1, s->c.env.tally->closed_by[CLOSED_BY_END]);
	assert_int_equal(1, s->c.env.tally->started[0]);
	msg = outbox_get(&s->p->out, s->p->out.n - 1);
	assert_int_equal(0, journal_entry_read(msg.value, &entry));
	assert_int_equal(2, entry.n);
	assert_int_equal(2, entry.offset);
	assert_int_equal(1, entry.replay_from);
	assert_int_equal(0, entry.replay_offset);
	assert_true(uuid_eq(&entry.fingerprint, &s->c.env.fingerprint));
}

static void an_offset_that_is_not_the_next_is_refused(void **state)
{
	struct state *s = *state;
	char *json = event_json("1", CALLEV_CALL_STARTED, 0);
	struct log_msg msg = message(7, json);

	assert_int_equal(0, partition_apply(s->p, &msg)); /* the first may be anywhere */
	assert_int_equal(8, s->p->next);
	assert_int_equal(-EILSEQ, partition_apply(s->p, &msg));
	msg.offset = 9;
	assert_int_equal(-EILSEQ, partition_apply(s->p, &msg));
	assert_int_equal(8, s->p->next);
	assert_int_equal(1, s->p->events);
	free(json);
}

static void the_clock_is_the_walls_only_without_lag(void **state)
{
	struct state *s = *state;

	assert_int_equal(T0, partition_clock(s->p, 0, T0, 1000));
	assert_true(partition_clock(s->p, -1, T0, 1000) == TIME_NONE);
	feed(s->p, "1", CALLEV_CALL_STARTED);
	feed(s->p, "1", CALLEV_LEG_RINGING);
	assert_int_equal(T0 + 1, partition_clock(s->p, 5, T0 + 90000, 1000));
	assert_int_equal(T0 + 1, partition_clock(s->p, -1, T0 + 90000, 1000));
	assert_int_equal(T0 + 90000, partition_clock(s->p, 0, T0 + 90000, 1000));
	step(s->p, 90000, 0);
	assert_int_equal(T0 + 90000, partition_clock(s->p, 0, T0 + 100, 1000)); /* never back */
	assert_int_equal(T0 + 90000, partition_clock(s->p, 5, T0 + 100, 1000));
	step(s->p, 100, 1);
	assert_int_equal(T0 + 90000, s->p->clock_ms);
}

/* The log's clock was set an hour ahead of ours, or ours behind it: nobody waits an hour. */
static void the_clock_goes_on_where_the_log_is_ahead(void **state)
{
	struct state *s = *state;

	feed(s->p, "1", CALLEV_CALL_STARTED);
	assert_int_equal(T0, partition_clock(s->p, 0, T0 - 3600000, 1000));
	assert_int_equal(T0 + 500, partition_clock(s->p, 0, T0 - 3599500, 1500));
	assert_int_equal(T0, partition_clock(s->p, 3, T0 - 3599000, 2000));
	step(s->p, 1000, 0);
	assert_int_equal(T0 + 1000, partition_clock(s->p, 0, T0 - 3590000, 9000));
	assert_int_equal(T0 + 3000, partition_clock(s->p, 0, T0 - 3588000, 11000));
}

/* And when it is set back again, what comes now does not seem to be an hour old. */
static void timers_run_from_the_clock_where_the_log_was_set_back(void **state)
{
	struct state *s = *state;

	step(s->p, 3600000, 0);
	feed(s->p, "1", CALLEV_CALL_STARTED);
	assert_true(partition_due_ms(s->p) > T0 + 3600000);
}

/* A table full of timers that are all due: the clock goes on in steps of a few. */
static void the_clock_stands_still_for_many_timers(void **state)
{
	struct state *s = *state;
	int64_t before_ms = 0, clock_ms = 0;
	size_t steps = 0, n, told = 0;

	for (int i = 0; i < 100; i++) {
		char session[16];

		snprintf(session, sizeof(session), "%d", i / 2 * 2); /* two events a call */
		feed(s->p, session, i % 2 ? CALLEV_CALL_ENDED : CALLEV_CALL_STARTED);
	}
	for (; told < 50; steps++) {
		struct partition_step step = { T0 + 50000, (int64_t)steps, 0 };

		step.clock_ms = partition_bound_clock(s->p, step.clock_ms, 7, &n);
		assert_in_range(n, 1, 7);
		assert_int_equal(0, partition_step(s->p, &step));
		clock_ms = s->p->clock_ms;
		assert_true(steps == 0 || clock_ms > before_ms);
		assert_in_range(count_out(s->p, TOPIC_CALLS, ""), 0, 7);
		told += count_out(s->p, TOPIC_CALLS, "");
		before_ms = clock_ms;
		outbox_reset(&s->p->out);
	}
	assert_in_range(steps, 8, 20);
	assert_int_equal(T0 + 50000, partition_bound_clock(s->p, T0 + 50000, 7, &n));
}

/* ---- dead letters ---- */

static yyjson_doc *letter(const struct partition *p, size_t i, struct slice *key)
{
	*key = SLICE_NONE;
	for (size_t at = 0; at < p->out.n; at++) {
		struct outbox_msg msg = outbox_get(&p->out, at);

		if (msg.topic == TOPIC_DEAD && i-- == 0) {
			*key = msg.key;
			return yyjson_read(msg.value.p, msg.value.n, 0);
		}
	}
	return NULL;
}

static const char *text_of(yyjson_doc *doc, const char *key)
{
	return yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), key));
}

struct undecodable_case {
	const char *name, *value;
	bool wrapped; /* no JSON object: the original is one of ours */
};

static const struct undecodable_case undecodable_cases[] = {
	{ "no JSON", "hello", true },
	{ "nothing", "", true },
	{ "a list", "[1]", true },
	{ "an object of another kind", "{\"schema\":\"other/1\"}", false },
	{ "half an object", "{\"schema\":\"callstream.event/1\"", true },
};

static void what_cannot_be_read_is_dead(void **state)
{
	struct state *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(undecodable_cases); i++) {
		const struct undecodable_case *c = &undecodable_cases[i];
		struct log_msg msg = message((int64_t)i, c->value);
		yyjson_val *original;
		struct slice key;
		yyjson_doc *doc;

		assert_int_equal(0, partition_apply(s->p, &msg));
		doc = letter(s->p, i, &key);
		assert_non_null(doc);
		assert_true(slice_is(key, "acme"));
		assert_string_equal("acme", text_of(doc, "account"));
		assert_string_equal("key", text_of(doc, "call_session_id"));
		assert_int_equal(0, strncmp(text_of(doc, "reason"), "undecodable: ", 13));
		original = yyjson_obj_get(yyjson_doc_get_root(doc), "original");
		assert_true(yyjson_is_obj(original));
		assert_int_equal(c->wrapped, yyjson_obj_get(original, "value_base64") != NULL);
		yyjson_doc_free(doc);
	}
	assert_int_equal(ARRAY_LEN(undecodable_cases), s->c.env.tally->events[TALLY_UNDECODABLE]);
	assert_int_equal(ARRAY_LEN(undecodable_cases), s->p->next);
}

static void expect_late(const struct state *s, size_t i, const char *session)
{
	char id[UUID_TEXT_LEN];
	struct uuid call;
	struct slice key;
	yyjson_doc *doc = letter(s->p, i, &key);

	assert_non_null(doc);
	uuid_of_call(SLICE("acme"), slice_of(session), &call);
	uuid_write(&call, id);
	assert_true(slice_eq(key, slice_make(id, sizeof(id))));
	assert_string_equal("late", text_of(doc, "reason"));
	assert_string_equal(session, text_of(doc, "call_session_id"));
	assert_true(yyjson_is_obj(yyjson_obj_get(yyjson_doc_get_root(doc), "original")));
	yyjson_doc_free(doc);
}

static void what_comes_after_its_call_has_left_is_late(void **state)
{
	struct state *s = *state;

	feed(s->p, "1", CALLEV_CALL_STARTED);
	feed(s->p, "1", CALLEV_CALL_ENDED);
	step(s->p, 2000, 0);
	step(s->p, 70000, 1);
	feed(s->p, "1", CALLEV_LEG_RINGING);
	expect_late(s, 0, "1");
	assert_int_equal(1, s->c.env.tally->events[TALLY_LATE]);
}

static void an_orphan_whose_call_never_comes_is_late(void **state)
{
	struct state *s = *state;

	feed(s->p, "77", CALLEV_NOTE);
	assert_int_equal(1, s->c.env.tally->events[TALLY_ORPHAN]);
	step(s->p, 9000, 0);
	assert_int_equal(0, count_out(s->p, TOPIC_DEAD, ""));
	step(s->p, 10000, 1);
	expect_late(s, 0, "77");
	assert_int_equal(1, s->c.env.tally->dead[TALLY_DEAD_LATE]);
}

static void a_message_too_large_leaves_word(void **state)
{
	const struct outbox_msg msg = { TOPIC_CALLS, false, SLICE("the-id"), SLICE("x") };
	struct buf value = BUF_EMPTY;
	yyjson_doc *doc;

	(void)state;
	partition_dead_too_large(&msg, T0, &value);
	doc = yyjson_read(value.p, value.n, 0);
	assert_non_null(doc);
	assert_string_equal("too_large", text_of(doc, "reason"));
	assert_string_equal("the-id", text_of(doc, "id"));
	yyjson_doc_free(doc);
	buf_fini(&value);
}

/* ---- what is written when ---- */

static void slices_wait_for_half_of_the_time(void **state)
{
	struct state *s = *state;

	feed(s->p, "1", CALLEV_CALL_STARTED);
	step(s->p, 0, 5000);
	assert_int_equal(0, count_out(s->p, TOPIC_STATE, "s/"));
	outbox_reset(&s->p->out);
	assert_false(partition_wants_step(s->p, T0 + 10, 5999));
	assert_true(partition_wants_step(s->p, T0 + 10, 6000));
	step(s->p, 10, 6000);
	assert_int_equal(1, count_out(s->p, TOPIC_STATE, "s/"));
	outbox_reset(&s->p->out);
	/* Nothing has changed since, so there is nothing to do. */
	assert_false(partition_wants_step(s->p, T0 + 10, 99999));
}

static void a_hand_over_writes_all(void **state)
{
	struct state *s = *state;
	const struct partition_step all = { T0, 0, 1u << 20 };

	for (int i = 0; i < 50; i++) {
		char session[16];

		snprintf(session, sizeof(session), "%d", i);
		feed(s->p, session, CALLEV_CALL_STARTED);
	}
	assert_int_equal(0, partition_step(s->p, &all));
	assert_int_equal(0, s->p->checkpoint.n);
	assert_true(count_out(s->p, TOPIC_STATE, "s/") >= 45); /* some share a slice */
}

/* A call that leaves is in a block before its slice is written without it. */
static void blocks_go_along_and_are_deleted_in_time(void **state)
{
	struct state *s = *state;
	const struct partition_step all = { T0 + 70000, 10, 1u << 20 };

	feed(s->p, "1", CALLEV_CALL_STARTED);
	feed(s->p, "1", CALLEV_CALL_ENDED);
	step(s->p, 2000, 0);
	assert_int_equal(0, partition_step(s->p, &all));
	assert_int_equal(1, count_out(s->p, TOPIC_STATE, "c/1"));
	outbox_reset(&s->p->out);

	step(s->p, 70000 + 3700000, 20); /* it has run out; nothing is to be replayed */
	feed(s->p, "2", CALLEV_CALL_STARTED);
	step(s->p, 70000 + 3700001, 30);
	assert_int_equal(1, count_out(s->p, TOPIC_STATE, "c/1"));
	for (size_t i = 0; i < s->p->out.n; i++) {
		struct outbox_msg msg = outbox_get(&s->p->out, i);

		if (slice_is(msg.key, "c/1"))
			assert_true(msg.tombstone);
	}
	assert_int_equal(2, s->p->block_low);
}

/* ---- the fingerprint ---- */

static void change_grace(struct correlate_case *c)
{
	c->account.closers.end_grace_ms++;
}

static void change_recordings(struct correlate_case *c)
{
	c->account.recordings = CFG_RECORDINGS_ALWAYS;
}

static void change_country(struct correlate_case *c)
{
	c->cfg.numbers_country = "";
}

static void change_remember(struct correlate_case *c)
{
	c->cfg.correlate.remember_closed_ms++;
}

static void change_employees(struct correlate_case *c)
{
	static struct cfg_employee employee = { "1", "101", "Whitfield Dana" };

	c->account.employees = &employee;
	c->account.employees_n = 1;
}

static void change_commit(struct correlate_case *c)
{
	c->cfg.correlate.commit_every_ms++;
	c->cfg.correlate.checkpoint_every_ms++;
}

struct fingerprint_case {
	const char *name;
	void (*change)(struct correlate_case *c);
	bool other;
};

static const struct fingerprint_case fingerprint_cases[] = {
	{ "fingerprint: a closer counts", change_grace, true },
	{ "fingerprint: recordings count", change_recordings, true },
	{ "fingerprint: numbers count", change_country, true },
	{ "fingerprint: how long a call is remembered counts", change_remember, true },
	{ "fingerprint: employees do not", change_employees, false },
	{ "fingerprint: the pace does not", change_commit, false },
};

static void check_fingerprint(void **state)
{
	const struct fingerprint_case *f = *state;
	struct correlate_case c;
	struct uuid before, after;

	case_begin(&c);
	partition_fingerprint(&c.cfg, &before);
	f->change(&c);
	partition_fingerprint(&c.cfg, &after);
	assert_int_equal(f->other, !uuid_eq(&before, &after));
	case_end(&c);
}

static void the_order_of_accounts_says_nothing(void **state)
{
	struct correlate_case c;
	struct cfg_account accounts[2];
	struct uuid before, after;

	(void)state;
	case_begin(&c);
	accounts[0] = accounts[1] = c.account;
	accounts[1].name = "buro";
	c.cfg.accounts = accounts;
	c.cfg.accounts_n = 2;
	partition_fingerprint(&c.cfg, &before);
	accounts[0].name = "buro";
	accounts[1].name = "acme";
	partition_fingerprint(&c.cfg, &after);
	assert_true(uuid_eq(&before, &after));
	c.cfg.accounts_n = 1;
	case_end(&c);
}

#define WITH_PARTITION(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	struct CMUnitTest tests[ARRAY_LEN(fingerprint_cases) + 16] = {
		WITH_PARTITION(events_become_a_record_and_state),
		WITH_PARTITION(an_offset_that_is_not_the_next_is_refused),
		WITH_PARTITION(the_clock_is_the_walls_only_without_lag),
		WITH_PARTITION(the_clock_goes_on_where_the_log_is_ahead),
		WITH_PARTITION(timers_run_from_the_clock_where_the_log_was_set_back),
		WITH_PARTITION(the_clock_stands_still_for_many_timers),
		WITH_PARTITION(what_cannot_be_read_is_dead),
		WITH_PARTITION(what_comes_after_its_call_has_left_is_late),
		WITH_PARTITION(an_orphan_whose_call_never_comes_is_late),
		WITH_PARTITION(slices_wait_for_half_of_the_time),
		WITH_PARTITION(a_hand_over_writes_all),
		WITH_PARTITION(blocks_go_along_and_are_deleted_in_time),
		cmocka_unit_test(a_message_too_large_leaves_word),
		cmocka_unit_test(the_order_of_accounts_says_nothing),
	};
	size_t n = 13;

	for (size_t i = 0; i < ARRAY_LEN(fingerprint_cases); i++)
		tests[n++] = (struct CMUnitTest){
			.name = fingerprint_cases[i].name,
			.test_func = check_fingerprint,
			.initial_state = (void *)(uintptr_t)&fingerprint_cases[i],
		};
	return _cmocka_run_group_tests("partition", tests, n, NULL, NULL);
}
