/*
 * Slices: packed, loaded, refused when damaged; the mask of a replay; every field of an event
 * survives; memory that runs out.
 */
#include "calltab_case.h"

#include <errno.h>

#include "call/calltab_facts.h"

static const char config[] = "correlate: {remember_closed: 15m}\n"
			     "accounts:\n"
			     "- {name: always, source: callgear, timezone: UTC, token: t1,\n"
			     "   recordings: always, recording_wait: 10m}\n";

static unsigned slice_of_session(const char *session)
{
	struct uuid id = case_id("acme", session);

	return calltab_slice_of(&id);
}

static struct buf pack(struct table_case *c, unsigned slice)
{
	struct buf out = BUF_EMPTY;

	assert_int_equal(calltab_slice_pack(c->tab, slice, &out), 0);
	return out;
}

/* ---- events ---- */

static void fill(struct callev *ev)
{
	struct slice *texts[] = {
		&ev->leg_id,
		&ev->line,
		&ev->trunk,
		&ev->contact.number,
		&ev->contact.uri,
		&ev->contact.id,
		&ev->contact.name,
		&ev->employee.id,
		&ev->employee.extension,
		&ev->employee.name,
		&ev->scenario,
		&ev->external_id,
		&ev->call_source,
		&ev->from_leg,
		&ev->number,
		&ev->location,
		&ev->queue,
		&ev->cause.vendor,
		&ev->cause.text,
		&ev->transfer,
		&ev->from,
		&ev->to,
		&ev->into,
		&ev->recording,
		&ev->url,
		&ev->source_url,
		&ev->sha256,
		&ev->reason,
		&ev->name,
		&ev->text,
	};
	int64_t *numbers[] = { &ev->seq,         &ev->wait_ms,       &ev->talk_ms,
			       &ev->total_ms,    &ev->started_at_ms, &ev->answered_at_ms,
			       &ev->ended_at_ms, &ev->duration_ms,   &ev->bytes };
	static char pool[ARRAY_LEN(texts)][300];
	static struct slice list[40];

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		size_t n = i == 3 ? 300 : i % 23 + 1;

		memset(pool[i], 'a' + (char)(i % 26), n);
		*texts[i] = slice_make(pool[i], n);
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		*numbers[i] = i % 2 ? -(int64_t)i * 1000003 : (int64_t)i * 77777777777;
	ev->direction = DIRECTION_INTERNAL;
	ev->unauthenticated = true;
	ev->held_by = SIDE_CONTACT;
	ev->cause.q850 = 127;
	ev->cause.by = SIDE_SYSTEM;
	ev->outcome = OUTCOME_UNKNOWN;
	ev->recorded = TRI_NO;
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		list[i] = slice_make(pool[i % ARRAY_LEN(pool)], i < ARRAY_LEN(pool) ? 1 : 299);
	ev->leg_ids = list;
	ev->leg_ids_n = ARRAY_LEN(list);
	ev->tags = list + 3;
	ev->tags_n = ARRAY_LEN(list) - 3;
}

static void same_event(const struct callev *a, const struct callev *b)
{
	struct buf x = BUF_EMPTY, y = BUF_EMPTY;

	callev_write(&x, a);
	callev_write(&y, b);
	assert_int_equal(x.n, y.n);
	assert_memory_equal(x.p, y.p, x.n);
	assert_true(slice_eq(a->call_source, b->call_source));
	buf_fini(&x);
	buf_fini(&y);
}

static struct facts *facts_with(struct facts_scratch *s, const struct callev *events, size_t n)
{
	struct facts *f = malloc(sizeof(*f) + 65536);
	struct fact_key last = { .seq = 0 };

	assert_non_null(f);
	f->cap = 65536;
	facts_begin(f, events[0].call_session_id);
	for (size_t i = 0; i < n; i++) {
		struct fact_key key = fact_key_of(&events[i]);

		assert_true(facts_encode(s, f, &events[i]) > 0);
		facts_take(s, f, &key, &last);
		last = key;
	}
	return f;
}

static void every_field_survives(void **state)
{
	static struct facts_scratch s;
	static struct callev events[6];
	static const unsigned order[] = { 4, 1, 0, 2, 3, 5 };
	struct facts *f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		events[i] = case_event("call.ended 50");
	fill(&events[0]); /* its seq is 0, as that of those without */
	fill(&events[3]);
	events[1].at_ms = TIME_NONE; /* received_at stands in */
	events[1].received_at_ms = case_at(3);
	events[2].received_at_ms = TIME_NONE;
	events[2].source = SLICE("somebody-else");
	events[2].seq = 4;
	events[3].seq = 5;
	events[4].at_ms = TIME_MIN_MS;
	events[5].at_ms = TIME_MAX_MS;
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		events[i].id.b[0] = (uint8_t)i;
	f = facts_with(&s, events, ARRAY_LEN(events));
	assert_false(f->sorted);
	assert_int_equal(facts_decode(&s, f, SLICE("acme")), 0);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		same_event(&s.events[i], &events[order[i]]);
	free(f);
	facts_scratch_fini(&s);
	s = (struct facts_scratch){ .fresh = 0 };
}

static void each_text_stands_once(void **state)
{
	static struct facts_scratch s;
	static struct callev events[40];
	struct facts *one, *all;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		events[i] = case_event("leg.ringing 1 leg=leg-with-a-long-name-of-its-own");
		events[i].employee.name = SLICE("Whitfield Dana of the third floor");
		events[i].id.b[0] = (uint8_t)i;
	}
	one = facts_with(&s, events, 1);
	all = facts_with(&s, events, ARRAY_LEN(events));
	assert_memory_equal(all->places, one->places, sizeof(all->places));
	assert_true(all->stream_n < one->stream_n + 40 * 40);
	free(one);
	free(all);
	facts_scratch_fini(&s);
	s = (struct facts_scratch){ .fresh = 0 };
}

/* ---- slices ---- */

static void make_calls(struct table_case *c)
{
	case_apply(c, "call.started 0 session=open");
	case_apply(c, "leg.ringing 2 leg=1 session=open");
	case_apply(c, "call.started 1 session=open rcv=3"); /* out of order */
	case_apply(c, "talk.started 3 legs=1 session=open");
	case_apply(c, "talk.ended 4 legs=1 session=open");
	case_apply(c, "call.lost 5 session=lost");
	case_apply(c, "leg.ended 5 leg=a source=mango session=mango");
	case_apply(c, "leg.ringing 6 leg=a source=other session=other");
	case_apply(c, "leg.ringing 7 leg=a source=mango session=other");
	case_apply(c, "call.ended 5 session=closed");
	case_apply(c, "talk.started 4 session=waits account=always");
	case_apply(c, "call.ended 5 session=waits account=always");
	case_apply(c, "note 5 name=x session=orphan id=2");
	case_apply(c, "note 5 name=y session=orphan id=1");
	case_apply(c, "recording.available 5 rec=1 session=orphan2");
	case_tick(c, 12);
	case_apply(c, "call.ended 8 session=grace rcv=13");
	case_apply(c, "call.started 20 session=grace");
}

static void load_all(struct table_case *from, struct table_case *to)
{
	for (unsigned i = 0; i < CALLTAB_SLICES; i++) {
		struct buf bytes = pack(from, i);

		assert_int_equal(calltab_slice_unpack(to->tab, i, 7, buf_slice(&bytes)), 0);
		assert_int_equal(calltab_slice_n(to->tab, i), 7);
		assert_false(calltab_slice_dirty(to->tab, i));
		buf_fini(&bytes);
	}
}

static void a_loaded_table_goes_on_as_the_old_one(void **state)
{
	struct table_case a = { .cfg = NULL }, b = { .cfg = NULL };
	struct calltab_counts ca, cb;
	struct buf x = BUF_EMPTY, y = BUF_EMPTY;

	(void)state;
	case_begin(&a, config);
	case_begin(&b, config);
	make_calls(&a);
	load_all(&a, &b);
	calltab_counts(a.tab, &ca);
	calltab_counts(b.tab, &cb);
	assert_int_equal(ca.open, cb.open);
	assert_int_equal(ca.remembered, cb.remembered);
	assert_int_equal(ca.orphans, 3);
	assert_int_equal(cb.orphans, 3);
	a.told_n = 0;
	for (int64_t s = 13; s < 40000; s += 61) {
		assert_int_equal(calltab_next_due(a.tab), calltab_next_due(b.tab));
		case_tick(&a, s);
		case_tick(&b, s);
		if (s == 13 + 61) {
			case_apply(&a, "recording.available 4 rec=1 session=waits account=always "
				       "rcv=75");
			case_apply(&b, "recording.available 4 rec=1 session=waits account=always "
				       "rcv=75");
			case_pack_all(&a, &x);
			case_pack_all(&b, &y);
			assert_int_equal(x.n, y.n);
			assert_memory_equal(x.p, y.p, x.n);
		}
	}
	assert_int_equal(a.told_n, b.told_n);
	for (size_t i = 0; i < a.told_n; i++)
		assert_string_equal(a.told[i].json, b.told[i].json);
	assert_int_equal(a.late_n, b.late_n);
	buf_fini(&x);
	buf_fini(&y);
	case_end(&a);
	case_end(&b);
}

static void slices_know_whether_they_changed(void **state)
{
	struct table_case c = { .cfg = NULL };
	unsigned slice = slice_of_session("s1");
	struct buf out;

	(void)state;
	case_begin(&c, config);
	assert_int_equal(calltab_slices_dirty(c.tab), 0);
	assert_int_equal(calltab_slice_n(c.tab, slice), 0);
	calltab_begin_commit(c.tab, 3);
	case_apply(&c, "call.started 1");
	assert_true(calltab_slice_dirty(c.tab, slice));
	assert_int_equal(calltab_slices_dirty(c.tab), 1);
	out = pack(&c, slice);
	buf_fini(&out);
	assert_int_equal(calltab_slices_dirty(c.tab), 0);
	assert_int_equal(calltab_slice_n(c.tab, slice), 3);
	calltab_begin_commit(c.tab, 4);
	case_apply(&c, "call.started 1"); /* nothing new, not even a later time */
	assert_int_equal(calltab_slices_dirty(c.tab), 0);
	case_apply(&c, "call.started 1 rcv=9");
	assert_int_equal(calltab_slices_dirty(c.tab), 1);
	case_end(&c);
}

/* What a slice has seen up to its commit is not done to it again. */
static void the_mask_hides_what_is_done(void **state)
{
	struct table_case a = { .cfg = NULL }, b = { .cfg = NULL };
	unsigned slice = slice_of_session("s1");
	struct uuid id = case_id("acme", "s1");
	struct buf x, y;

	(void)state;
	case_begin(&a, config);
	case_begin(&b, config);
	calltab_begin_commit(a.tab, 5);
	case_apply(&a, "call.ended 1");
	case_tick(&a, 6);
	x = pack(&a, slice);
	assert_int_equal(calltab_slice_unpack(b.tab, slice, 5, buf_slice(&x)), 0);
	calltab_begin_commit(b.tab, 4);
	assert_int_equal(case_apply(&b, "call.ended 1"), CALLTAB_MASKED);
	assert_int_equal(calltab_close(b.tab, &id, case_at(5)), 0);
	calltab_begin_commit(b.tab, 5);
	assert_int_equal(case_apply(&b, "call.started 0"), CALLTAB_MASKED);
	case_tick(&b, 100000); /* not even then */
	assert_int_equal(b.told_n, 0);
	assert_int_equal(case_apply(&b, "call.started 0 session=s2"), CALLTAB_OPENED);
	calltab_begin_commit(b.tab, 6);
	y = pack(&b, slice);
	assert_true(slice_eq(buf_slice(&x), buf_slice(&y)));
	calltab_begin_commit(b.tab, 7);
	assert_int_equal(case_apply(&b, "call.started 0"), CALLTAB_CHANGED);
	assert_int_equal(case_last(&b)->revision, 2);
	/* A call that is not there is hidden too, whatever the closed index says. */
	assert_int_equal(calltab_slice_unpack(a.tab, slice_of_session("s3"), 9, SLICE_NONE),
			 -EBADMSG);
	buf_fini(&x);
	buf_fini(&y);
	case_end(&a);
	case_end(&b);
}

static void damaged_slices_leave_nothing(void **state)
{
	struct table_case a = { .cfg = NULL }, b = { .cfg = NULL };
	unsigned slice = slice_of_session("s1");
	struct calltab_counts counts;
	struct buf bytes;

	(void)state;
	case_begin(&a, config);
	case_begin(&b, config);
	case_apply(&a, "call.started 0");
	case_apply(&a, "leg.ringing 2 leg=1");
	bytes = pack(&a, slice);
	for (size_t n = 0; n < bytes.n; n++)
		assert_int_equal(calltab_slice_unpack(b.tab, slice, 1, slice_make(bytes.p, n)),
				 -EBADMSG);
	for (size_t i = 0; i < bytes.n; i++) {
		bytes.p[i] ^= 0x40;
		assert_int_equal(calltab_slice_unpack(b.tab, slice, 1, buf_slice(&bytes)),
				 -EBADMSG);
		bytes.p[i] ^= 0x40;
	}
	assert_int_equal(calltab_slice_unpack(b.tab, slice ^ 1, 1, buf_slice(&bytes)), -EBADMSG);
	assert_int_equal(calltab_slice_unpack(b.tab, CALLTAB_SLICES, 1, buf_slice(&bytes)),
			 -EBADMSG);
	calltab_counts(b.tab, &counts);
	assert_int_equal(counts.open + counts.remembered + counts.orphans, 0);
	assert_int_equal(calltab_slice_unpack(b.tab, slice, 1, buf_slice(&bytes)), 0);
	assert_int_equal(calltab_slice_unpack(b.tab, slice, 1, buf_slice(&bytes)), -EBADMSG);
	buf_fini(&bytes);
	case_end(&a);
	case_end(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_survives),
		cmocka_unit_test(each_text_stands_once),
		cmocka_unit_test(a_loaded_table_goes_on_as_the_old_one),
		cmocka_unit_test(slices_know_whether_they_changed),
		cmocka_unit_test(the_mask_hides_what_is_done),
		cmocka_unit_test(damaged_slices_leave_nothing),
	};

	return cmocka_run_group_tests_name("calltab slices", tests, NULL, NULL);
}
