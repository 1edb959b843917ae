/*
 * The table's rules: who opens a call, what closes it, which revisions leave, what is late, what
 * the limits do. What a record says is tested with fold; slices with test_calltab_slices.
 */
#include "calltab_case.h"

#include <errno.h>

static const char config[] = "correlate: {end_grace: 5s, no_summary_after: 60s,\n"
			     "  lost_without_end_after: 60s, talk_without_end_after: 10m,\n"
			     "  silent_call_after: 4h, recording_wait: 1h, remember_closed: 15m,\n"
			     "  orphan_wait: 10m, closed_index: 48h}\n"
			     "accounts:\n"
			     "- {name: always, source: callgear, timezone: UTC, token: t1,\n"
			     "   recordings: always, recording_wait: 10m}\n"
			     "- {name: quick, source: callgear, timezone: UTC, token: t2,\n"
			     "   recordings: never, end_grace: 1s, silent_call_after: 30s}\n";

/* ---- the closers ---- */

struct closer {
	const char *name;
	const char *events[8];
	int64_t quiet_until, closed_at; /* seconds: nothing leaves before, revision 1 has left by */
	enum closed_by by;
};

static const struct closer closers[] = {
	{ "an end and its grace", { "call.started 0", "call.ended 20" }, 24, 25, CLOSED_BY_END },
	{ "the first of two ends counts",
	  { "call.started 0", "call.ended 20", "call.ended 23" },
	  24,
	  25,
	  CLOSED_BY_END },
	{ "an end alone", { "call.ended 20" }, 24, 25, CLOSED_BY_END },
	{ "lost and no end",
	  { "call.started 0", "call.lost 9" },
	  68,
	  69,
	  CLOSED_BY_LOST_WITHOUT_END },
	{ "lost, then an end after all",
	  { "call.started 0", "call.lost 9", "call.ended 30" },
	  34,
	  35,
	  CLOSED_BY_END },
	{ "the last talk ended",
	  { "call.started 0", "talk.started 5 legs=1+2", "talk.ended 9 legs=2+1" },
	  608,
	  609,
	  CLOSED_BY_TALK_WITHOUT_END },
	{ "a talk still runs: silence",
	  { "call.started 0", "talk.started 5 legs=1+2", "talk.ended 9 legs=2+1",
	    "talk.started 10 legs=1+3" },
	  14409,
	  14410,
	  CLOSED_BY_SILENCE },
	{ "an end of a talk overtakes its start",
	  { "call.started 0", "talk.ended 9 legs=1+2", "talk.started 5 legs=1+2 rcv=10" },
	  608,
	  609,
	  CLOSED_BY_TALK_WITHOUT_END },
	{ "the same legs talk twice",
	  { "talk.started 5 legs=1", "talk.ended 6 legs=1", "talk.started 7 legs=1" },
	  14406,
	  14407,
	  CLOSED_BY_SILENCE },
	{ "talks without legs are the employee's",
	  { "talk.started 5", "talk.ended 6" },
	  605,
	  606,
	  CLOSED_BY_TALK_WITHOUT_END },
	{ "nothing at all: silence, and a note breaks it",
	  { "call.started 0", "note 100 name=dtmf" },
	  14499,
	  14500,
	  CLOSED_BY_SILENCE },
	{ "silence is broken by a repetition too",
	  { "call.started 0 id=x", "call.started 0 id=x rcv=50" },
	  14449,
	  14450,
	  CLOSED_BY_SILENCE },
	{ "all legs ended, of a source with summaries",
	  { "leg.ringing 0 source=mango leg=a", "leg.answered 2 source=mango leg=a",
	    "leg.ended 9 source=mango leg=a" },
	  68,
	  69,
	  CLOSED_BY_NO_SUMMARY },
	{ "a leg is still there",
	  { "leg.ringing 0 source=mango leg=a", "leg.ringing 2 source=mango leg=b",
	    "leg.ended 9 source=mango leg=a" },
	  14408,
	  14409,
	  CLOSED_BY_SILENCE },
	{ "CallGear's legs close nothing",
	  { "leg.ringing 0 leg=a", "leg.ended 9 leg=a" },
	  14408,
	  14409,
	  CLOSED_BY_SILENCE },
	{ "an account's own grace", { "call.ended 20 account=quick" }, 20, 21, CLOSED_BY_END },
	{ "an account's own silence",
	  { "call.started 20 account=quick" },
	  49,
	  50,
	  CLOSED_BY_SILENCE },
};

static void check_closer(void **state)
{
	const struct closer *row = *state;
	struct table_case c = { .cfg = NULL };

	case_begin(&c, config);
	for (size_t i = 0; i < ARRAY_LEN(row->events) && row->events[i]; i++)
		assert_true(case_apply(&c, row->events[i]) >= 0);
	assert_int_equal(calltab_next_due(c.tab), case_at(row->closed_at));
	case_tick(&c, row->quiet_until);
	assert_int_equal(c.told_n, 0);
	case_tick(&c, row->closed_at);
	assert_int_equal(c.told_n, 1);
	assert_int_equal(c.told[0].closed_by, row->by);
	assert_int_equal(c.told[0].revision, 1);
	assert_non_null(strstr(c.told[0].json, "\"revision\":1,"));
	case_end(&c);
}

/* ---- opening, repeating ---- */

static void events_change_the_call(void **state)
{
	static const struct {
		const char *words;
		int change;
	} rows[] = {
		{ "leg.ringing 1 leg=a id=1", CALLTAB_OPENED },
		{ "leg.ringing 1 leg=a id=1", CALLTAB_SAME },
		{ "leg.ringing 1 leg=a id=1 rcv=9", CALLTAB_SAME },
		{ "leg.ringing 1 leg=b id=1 rcv=0", CALLTAB_CHANGED }, /* received before */
		{ "leg.ringing 1 leg=a id=1 rcv=0", CALLTAB_CHANGED }, /* smaller bytes */
		{ "leg.ringing 1 leg=b id=1 rcv=0", CALLTAB_SAME },
		{ "leg.ringing 0 leg=b id=1 rcv=0", CALLTAB_CHANGED }, /* smaller at */
		{ "note 2 name=x", CALLTAB_CHANGED },
		{ "leg.ringing 1 leg=a session=s2", CALLTAB_OPENED },
		{ "leg.ringing 1 leg=a account=quick", CALLTAB_OPENED },
	};
	struct table_case c = { .cfg = NULL };
	struct calltab_counts counts;

	(void)state;
	case_begin(&c, config);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(case_apply(&c, rows[i].words), rows[i].change);
	calltab_counts(c.tab, &counts);
	assert_int_equal(counts.open, 3);
	assert_int_equal(counts.remembered, 0);
	assert_true(counts.bytes > 0);
	case_end(&c);
}

static void an_event_needs_its_names(void **state)
{
	struct table_case c = { .cfg = NULL };
	struct callev ev;

	(void)state;
	case_begin(&c, config);
	ev = case_event("call.started 1");
	ev.account = SLICE_NONE;
	assert_int_equal(calltab_apply(c.tab, &ev, case_at(1), SLICE("{}")), -EINVAL);
	ev = case_event("call.started 1");
	ev.call_session_id = SLICE_NONE;
	assert_int_equal(calltab_apply(c.tab, &ev, case_at(1), SLICE("{}")), -EINVAL);
	ev = case_event("call.started 1");
	ev.at_ms = ev.received_at_ms = TIME_NONE;
	assert_int_equal(calltab_apply(c.tab, &ev, case_at(1), SLICE("{}")), -EINVAL);
	case_end(&c);
}

static void a_call_takes_only_so_many_events(void **state)
{
	struct table_case c = { .cfg = NULL };
	static char text[200000];
	struct callev ev;
	char words[64];

	(void)state;
	case_begin(&c, config);
	for (int i = 0; i < 2000; i++) {
		snprintf(words, sizeof(words), "leg.ringing %d leg=%d", i, i);
		assert_true(case_apply(&c, words) >= 0);
	}
	assert_int_equal(case_apply(&c, "call.ended 3000"), -ENOSPC);
	assert_int_equal(case_apply(&c, "leg.ringing 7 leg=7"), CALLTAB_SAME);
	memset(text, 'x', sizeof(text));
	ev = case_event("call.started 1 session=s2");
	ev.scenario = slice_make(text, sizeof(text));
	assert_int_equal(calltab_apply(c.tab, &ev, case_at(1), SLICE("{}")), CALLTAB_OPENED);
	ev = case_event("call.started 2 session=s2");
	text[0] = 'y';
	ev.scenario = slice_make(text, sizeof(text));
	assert_int_equal(calltab_apply(c.tab, &ev, case_at(1), SLICE("{}")), -ENOSPC);
	case_end(&c);
}

/* ---- after the end ---- */

static void a_late_end_corrects_the_record(void **state)
{
	struct table_case c = { .cfg = NULL };

	(void)state;
	case_begin(&c, config);
	assert_int_equal(case_apply(&c, "call.started 0"), CALLTAB_OPENED);
	assert_int_equal(case_apply(&c, "talk.started 5 legs=1+2"), CALLTAB_CHANGED);
	assert_int_equal(case_apply(&c, "talk.ended 9 legs=1+2"), CALLTAB_CHANGED);
	case_tick(&c, 700);
	assert_non_null(strstr(case_last(&c)->json, "closed_by_timeout"));
	assert_true(case_last(&c)->complete);
	assert_int_equal(case_apply(&c, "call.ended 12 rcv=800"), CALLTAB_CHANGED);
	assert_int_equal(c.told_n, 2);
	assert_int_equal(case_last(&c)->revision, 2);
	assert_int_equal(case_last(&c)->closed_by, CLOSED_BY_END);
	assert_null(strstr(case_last(&c)->json, "closed_by_timeout"));
	assert_int_equal(case_apply(&c, "note 13 name=x rcv=801"), CALLTAB_CHANGED);
	assert_int_equal(c.told_n, 2); /* it says nothing new */
	case_end(&c);
}

static void recordings_are_waited_for(void **state)
{
	struct table_case c = { .cfg = NULL };

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "call.started 0 account=always");
	case_apply(&c, "talk.started 1 account=always legs=1");
	case_apply(&c, "call.ended 9 account=always");
	case_tick(&c, 14);
	assert_false(case_last(&c)->complete);
	assert_int_equal(calltab_next_due(c.tab), case_at(14 + 600));
	assert_int_equal(case_apply(&c, "recording.available 10 account=always rec=r1 rcv=100"),
			 CALLTAB_CHANGED);
	assert_int_equal(case_last(&c)->revision, 2);
	assert_true(case_last(&c)->complete);
	assert_int_equal(calltab_next_due(c.tab), case_at(100 + 900));
	case_tick(&c, 999);
	assert_int_equal(closed_count(c.closed), 0);
	case_tick(&c, 1000);
	assert_int_equal(closed_count(c.closed), 1);
	assert_int_equal(calltab_next_due(c.tab), INT64_MAX);
	case_end(&c);
}

static void a_missing_recording_completes_the_record(void **state)
{
	struct table_case c = { .cfg = NULL };

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "talk.started 1 account=always legs=1");
	case_apply(&c, "call.ended 9 account=always");
	case_tick(&c, 14);
	case_tick(&c, 613);
	assert_int_equal(c.told_n, 1);
	case_tick(&c, 614);
	assert_int_equal(c.told_n, 2);
	assert_true(case_last(&c)->complete);
	assert_non_null(strstr(case_last(&c)->json, "recording_missing"));
	/* It comes after all. */
	case_apply(&c, "recording.available 10 account=always rec=r1 rcv=700");
	assert_int_equal(c.told_n, 3);
	assert_null(strstr(case_last(&c)->json, "recording_missing"));
	case_end(&c);
}

static void a_late_talk_opens_the_wait_again(void **state)
{
	struct table_case c = { .cfg = NULL };

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "call.started 0 account=always");
	case_apply(&c, "call.ended 9 account=always");
	case_tick(&c, 14);
	assert_true(case_last(&c)->complete);
	case_apply(&c, "talk.started 1 account=always legs=1 rcv=20");
	assert_false(case_last(&c)->complete);
	assert_int_equal(calltab_next_due(c.tab), case_at(14 + 600));
	case_tick(&c, 614);
	assert_true(case_last(&c)->complete);
	assert_int_equal(case_last(&c)->revision, 3);
	case_end(&c);
}

static void with_end_at_once_there_is_no_grace(void **state)
{
	struct table_case c = { .tab_cfg = { .end_at_once = true, .keep_closed = true } };

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "call.ended 9");
	assert_int_equal(c.told_n, 1);
	case_apply(&c, "call.started 0 rcv=10");
	assert_int_equal(c.told_n, 2);
	case_apply(&c, "call.started 0 rcv=11 session=s2");
	case_apply(&c, "call.ended 9 rcv=12 session=s2");
	assert_int_equal(c.told_n, 3);
	assert_int_equal(calltab_next_due(c.tab), INT64_MAX);
	case_tick(&c, 1000000);
	assert_int_equal(closed_count(c.closed), 0);
	case_end(&c);
}

static void settings_move_the_timers(void **state)
{
	struct table_case c = { .cfg = NULL };
	struct buf problems = BUF_EMPTY;
	struct calltab_cfg changed;
	struct cfg *other;

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "call.started 0");
	case_apply(&c, "recording.available 0 rec=r session=s9");
	assert_int_equal(calltab_next_due(c.tab), case_at(600));
	assert_int_equal(cfg_parse("other.yaml",
				   SLICE("correlate: {silent_call_after: 30s, orphan_wait: 20s}\n"),
				   &other, &problems),
			 0);
	changed = c.tab_cfg;
	changed.cfg = other;
	calltab_set_cfg(c.tab, &changed);
	assert_int_equal(calltab_next_due(c.tab), case_at(20));
	case_tick(&c, 30);
	assert_int_equal(c.told_n, 1);
	assert_int_equal(c.late_n, 1);
	buf_fini(&problems);
	case_end(&c);
	cfg_free(other);
}

static void without_output_nothing_is_told(void **state)
{
	struct table_case c = { .cfg = NULL };

	(void)state;
	case_begin(&c, config);
	calltab_set_output(c.tab, false);
	case_apply(&c, "call.started 0");
	case_apply(&c, "call.ended 9");
	case_apply(&c, "note 0 name=x session=s9");
	case_tick(&c, 700);
	assert_int_equal(c.told_n + c.late_n, 0);
	calltab_set_output(c.tab, true);
	case_apply(&c, "leg.ringing 3 leg=1 rcv=701");
	assert_int_equal(case_last(&c)->revision, 2);
	case_end(&c);
}

/* ---- orphans and what is late ---- */

static void an_orphan_waits_for_its_call(void **state)
{
	struct table_case c = { .cfg = NULL };
	struct calltab_counts counts;

	(void)state;
	case_begin(&c, config);
	assert_int_equal(case_apply(&c, "recording.available 5 rec=r1 id=1"), CALLTAB_ORPHAN);
	assert_int_equal(case_apply(&c, "recording.available 5 rec=r1 id=1"), CALLTAB_SAME);
	assert_int_equal(case_apply(&c, "recording.available 5 rec=r2 id=1 rcv=4"), CALLTAB_ORPHAN);
	assert_int_equal(case_apply(&c, "note 6 name=x"), CALLTAB_ORPHAN);
	assert_int_equal(case_apply(&c, "note 6 name=x session=s2"), CALLTAB_ORPHAN);
	calltab_counts(c.tab, &counts);
	assert_int_equal(counts.orphans, 3);
	assert_int_equal(case_apply(&c, "call.started 0 rcv=7"), CALLTAB_OPENED);
	case_apply(&c, "call.ended 9");
	calltab_counts(c.tab, &counts);
	assert_int_equal(counts.orphans, 1);
	case_tick(&c, 14);
	assert_non_null(strstr(case_last(&c)->json, "\"id\":\"r2\""));
	case_tick(&c, 605);
	assert_int_equal(c.late_n, 0);
	case_tick(&c, 606);
	assert_int_equal(c.late_n, 1);
	assert_non_null(strstr(c.late, "\"call_session_id\":\"s2\""));
	case_end(&c);
}

static void a_repeated_orphan_keeps_its_first_time(void **state)
{
	struct table_case c = { .cfg = NULL };

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "note 6 name=x id=1 rcv=20");
	case_apply(&c, "note 6 name=x id=1 rcv=50");
	assert_int_equal(calltab_next_due(c.tab), case_at(620));
	case_apply(&c, "note 6 name=x id=1 rcv=10");
	assert_int_equal(calltab_next_due(c.tab), case_at(610));
	case_tick(&c, 610);
	assert_int_equal(c.late_n, 1);
	case_end(&c);
}

static void who_has_left_opens_no_second_call(void **state)
{
	struct table_case c = { .cfg = NULL };

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "call.ended 9");
	case_tick(&c, 14);
	case_tick(&c, 14 + 900);
	assert_int_equal(case_apply(&c, "call.started 0 rcv=1000"), CALLTAB_LATE);
	assert_int_equal(case_apply(&c, "recording.available 0 rec=1 rcv=1000"), CALLTAB_LATE);
	assert_int_equal(case_apply(&c, "call.started 0 session=s2 rcv=1000"), CALLTAB_OPENED);
	/* Sent later than the index covers. */
	assert_int_equal(case_apply(&c, "call.started 0 session=s3 rcv=172801"), CALLTAB_LATE);
	assert_int_equal(case_apply(&c, "call.started 1 session=s3 rcv=172801"), CALLTAB_OPENED);
	case_end(&c);
}

static void without_an_age_limit_old_events_open(void **state)
{
	struct table_case c = { .tab_cfg = { .no_age_limit = true } };

	(void)state;
	case_begin(&c, config);
	assert_int_equal(case_apply(&c, "call.started 0 rcv=99999999"), CALLTAB_OPENED);
	case_end(&c);
}

static void a_call_whose_only_fact_became_a_note_leaves(void **state)
{
	struct table_case c = { .cfg = NULL };

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "call.started 5 id=1");
	assert_int_equal(case_apply(&c, "note 5 id=1 name=x rcv=4"), CALLTAB_CHANGED);
	case_tick(&c, 20000);
	assert_int_equal(c.told_n, 0);
	case_tick(&c, 30000);
	assert_int_equal(closed_count(c.closed), 1);
	case_end(&c);
}

/* ---- limits ---- */

static void the_longest_silent_goes_first(void **state)
{
	struct table_case c = { .tab_cfg = { .calls_max = 2, .orphans_max = 1 } };
	const struct uuid s2 = case_id("acme", "s2");
	struct buf ids = BUF_EMPTY;

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "call.started 1 session=s1");
	case_apply(&c, "call.started 2 session=s2");
	case_apply(&c, "call.started 3 session=s3");
	case_apply(&c, "note 4 name=x session=s1");
	assert_int_equal(calltab_trim(c.tab, case_at(5), &ids), 0);
	assert_int_equal(ids.n, UUID_LEN);
	assert_memory_equal(ids.p, s2.b, UUID_LEN);
	assert_int_equal(c.told_n, 1);
	assert_int_equal(c.told[0].closed_by, CLOSED_BY_LIMIT);
	assert_non_null(strstr(c.told[0].json, "closed_by_limit"));
	assert_true(c.told[0].complete);
	assert_int_equal(case_apply(&c, "call.ended 6 session=s2"), CALLTAB_LATE);
	assert_int_equal(calltab_trim(c.tab, case_at(5), &ids), 0);
	assert_int_equal(ids.n, UUID_LEN);
	buf_fini(&ids);
	case_end(&c);
}

static void an_ended_call_is_not_closed_by_the_limit(void **state)
{
	struct table_case c = { .tab_cfg = { .calls_max = 1 } };
	struct buf ids = BUF_EMPTY;

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "talk.started 1 legs=1 account=always");
	case_apply(&c, "call.ended 2 account=always");
	case_apply(&c, "call.started 3 session=s3");
	assert_int_equal(calltab_trim(c.tab, case_at(5), &ids), 0);
	assert_int_equal(c.told_n, 2); /* closed; its wait is over */
	assert_int_equal(case_last(&c)->closed_by, CLOSED_BY_END);
	assert_true(case_last(&c)->complete);
	buf_fini(&ids);
	case_end(&c);
}

static void the_oldest_orphan_goes_first(void **state)
{
	struct table_case c = { .tab_cfg = { .orphans_max = 2 } };
	struct buf ids = BUF_EMPTY;

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "note 1 name=a session=s1");
	case_apply(&c, "note 2 name=b session=s2");
	case_apply(&c, "note 3 name=c session=s1");
	assert_int_equal(calltab_trim(c.tab, case_at(5), &ids), 0);
	assert_int_equal(ids.n, UUID_LEN);
	assert_int_equal(c.late_n, 2); /* what waits for one call goes together */
	assert_int_equal(calltab_trim(c.tab, case_at(5), &ids), 0);
	assert_int_equal(ids.n, UUID_LEN);
	buf_fini(&ids);
	case_end(&c);
}

/* A naive search finds the same victims as the kept ones, also when times go back. */
static void many_are_pushed_out_in_order(void **state)
{
	struct table_case c = { .tab_cfg = { .calls_max = 3000 } };
	struct buf ids = BUF_EMPTY;
	int pushed = 0;
	char words[64];

	(void)state;
	case_begin(&c, config);
	calltab_set_output(c.tab, false);
	for (int i = 0; i < 9000; i++) {
		snprintf(words, sizeof(words), "call.started %d session=%d", i, i);
		assert_int_equal(case_apply(&c, words), CALLTAB_OPENED);
		if (i % 500 != 499)
			continue;
		buf_reset(&ids);
		assert_int_equal(calltab_trim(c.tab, case_at(i), &ids), 0);
		for (size_t at = 0; at < ids.n; at += UUID_LEN, pushed++) {
			char session[16];
			struct uuid id;

			snprintf(session, sizeof(session), "%d", pushed);
			id = case_id("acme", session);
			assert_memory_equal(ids.p + at, id.b, UUID_LEN);
		}
	}
	assert_int_equal(pushed, 6000);
	/* One that is older than all others although it came last. */
	assert_int_equal(case_apply(&c, "call.started 1 session=old"), CALLTAB_OPENED);
	buf_reset(&ids);
	assert_int_equal(calltab_trim(c.tab, case_at(9000), &ids), 0);
	assert_int_equal(ids.n, UUID_LEN);
	assert_memory_equal(ids.p, case_id("acme", "old").b, UUID_LEN);
	buf_fini(&ids);
	case_end(&c);
}

static void a_replay_closes_by_id(void **state)
{
	struct table_case c = { .cfg = NULL };
	struct uuid id = case_id("acme", "s1"), orphan = case_id("acme", "s2");
	struct calltab_counts counts;

	(void)state;
	case_begin(&c, config);
	case_apply(&c, "call.started 1");
	case_apply(&c, "note 1 name=x session=s2");
	assert_int_equal(calltab_close(c.tab, &id, case_at(9)), 0);
	assert_int_equal(calltab_close(c.tab, &id, case_at(9)), 0); /* it has gone */
	assert_int_equal(calltab_close(c.tab, &orphan, case_at(9)), 0);
	assert_int_equal(case_last(&c)->closed_by, CLOSED_BY_LIMIT);
	assert_int_equal(c.late_n, 1);
	assert_true(closed_has(c.closed, &id));
	calltab_counts(c.tab, &counts);
	assert_int_equal(counts.open + counts.remembered + counts.orphans, 0);
	case_end(&c);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(events_change_the_call),
		cmocka_unit_test(an_event_needs_its_names),
		cmocka_unit_test(a_call_takes_only_so_many_events),
		cmocka_unit_test(a_late_end_corrects_the_record),
		cmocka_unit_test(recordings_are_waited_for),
		cmocka_unit_test(a_missing_recording_completes_the_record),
		cmocka_unit_test(a_late_talk_opens_the_wait_again),
		cmocka_unit_test(with_end_at_once_there_is_no_grace),
		cmocka_unit_test(settings_move_the_timers),
		cmocka_unit_test(without_output_nothing_is_told),
		cmocka_unit_test(an_orphan_waits_for_its_call),
		cmocka_unit_test(a_repeated_orphan_keeps_its_first_time),
		cmocka_unit_test(who_has_left_opens_no_second_call),
		cmocka_unit_test(without_an_age_limit_old_events_open),
		cmocka_unit_test(a_call_whose_only_fact_became_a_note_leaves),
		cmocka_unit_test(the_longest_silent_goes_first),
		cmocka_unit_test(an_ended_call_is_not_closed_by_the_limit),
		cmocka_unit_test(the_oldest_orphan_goes_first),
		cmocka_unit_test(many_are_pushed_out_in_order),
		cmocka_unit_test(a_replay_closes_by_id),
	};
	struct CMUnitTest rows[ARRAY_LEN(closers)];
	int failed;

	for (size_t i = 0; i < ARRAY_LEN(closers); i++)
		rows[i] = (struct CMUnitTest){ .name = closers[i].name,
					       .test_func = check_closer,
					       .initial_state = (void *)(uintptr_t)&closers[i] };
	failed = cmocka_run_group_tests_name("closers", rows, NULL, NULL);
	return failed + cmocka_run_group_tests_name("calltab", others, NULL, NULL);
}
