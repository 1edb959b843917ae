/*
 * Properties of the call table under random events.
 *
 * The record is a function of the set: whatever the order, the repetitions and the restarts, the
 * last record of each call is what a plain fold over the sorted distinct events says. A table that
 * is loaded from slices of different age and replayed is the table that was never lost, byte for
 * byte. CALLSTREAM_SEED repeats one case; CALLSTREAM_LONG multiplies their number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "call/calltab.h"

#define CASES      1500
#define EVENTS_MAX 120
#define CALLS      6
#define COMMITS    12
#define START_MS   INT64_C(1773482400000)

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

struct event {
	struct callev ev;
	struct buf json;
	int64_t append_ms;
};

struct world {
	struct cfg *cfg;
	struct event events[EVENTS_MAX];
	size_t n;
};

static const char config[] =
    "correlate: {end_grace: 2s, no_summary_after: 30s, lost_without_end_after: 20s,\n"
    "  talk_without_end_after: 60s, silent_call_after: 5m, recording_wait: 40s,\n"
    "  remember_closed: 30s, orphan_wait: 50s, closed_index: 48h}\n"
    "accounts:\n"
    "- {name: acme, source: callgear, timezone: UTC, token: t1, recordings: never}\n"
    "- {name: buro, source: callgear, timezone: UTC, token: t2, recordings: always}\n";

static const struct slice accounts[] = { SLICE_INIT("acme"), SLICE_INIT("buro"),
					 SLICE_INIT("guild") };
static const struct slice sources[] = { SLICE_INIT("callgear"), SLICE_INIT("callgear"),
					SLICE_INIT("mango") };
static const struct slice words[] = {
	SLICE_INIT("1"),     SLICE_INIT("2"),
	SLICE_INIT("17"),    SLICE_INIT("79161234567"),
	SLICE_INIT("Dana"),  SLICE_INIT("an employee with a long name"),
	SLICE_INIT("sales"), SLICE_INIT("no_answer"),
};
/* Any two neighbours are legs of a talk: each pair of the first three words stands here once. */
static const struct slice pairs[] = {
	SLICE_INIT("1"), SLICE_INIT("1"), SLICE_INIT("2"),  SLICE_INIT("1"),  SLICE_INIT("17"),
	SLICE_INIT("2"), SLICE_INIT("2"), SLICE_INIT("17"), SLICE_INIT("17"), SLICE_INIT("1"),
};

static struct slice word(void)
{
	return words[below(ARRAY_LEN(words))];
}

/* Something in a few fields; the same event may say other things when it comes again. */
static void say_something(struct callev *ev)
{
	if (chance(60))
		ev->leg_id = words[below(3)];
	if (ev->kind == CALLEV_TALK_STARTED || ev->kind == CALLEV_TALK_ENDED)
		ev->leg_ids = &pairs[below(ARRAY_LEN(pairs) - 1)], ev->leg_ids_n = 2;
	if (chance(50))
		ev->employee = (struct person){ word(), word(), word() };
	if (chance(40))
		ev->contact.number = word();
	if (chance(30))
		ev->direction = (enum direction)(1 + below(2));
	if (chance(20))
		ev->cause.vendor = word();
	if (chance(20))
		ev->tags = &words[below(ARRAY_LEN(words) - 1)], ev->tags_n = 1 + below(2);
	if (ev->kind == CALLEV_RECORDING_AVAILABLE)
		ev->recording = word();
	if (chance(20))
		ev->talk_ms = (int64_t)below(50000);
	if (chance(20))
		ev->started_at_ms = START_MS + (int64_t)below(50000);
	if (chance(10))
		ev->seq = (int64_t)below(5);
}

static void new_event(struct callev *ev, size_t number)
{
	static const struct slice sessions[] = { SLICE_INIT("s0"), SLICE_INIT("s1") };
	size_t call = below(CALLS);
	struct slice name = slice_make(&number, sizeof(number));

	callev_init(ev);
	uuid_v5(&name, 1, &ev->id);
	ev->kind = (enum callev_kind)below(CALLEV_KINDS_N);
	if (ev->kind == CALLEV_CALL_ENDED && chance(60))
		ev->kind = CALLEV_TALK_ENDED;
	ev->account = accounts[call / 2];
	ev->source = sources[call / 2];
	ev->call_session_id = sessions[call % 2];
	ev->at_ms = chance(95) ? START_MS + (int64_t)below(60000) : TIME_NONE;
	ev->received_at_ms = START_MS + (int64_t)below(90000);
	say_something(ev);
}

/* The same event again: perhaps received at another time, perhaps with another envelope. */
static void told_again(struct callev *ev)
{
	if (chance(70))
		ev->received_at_ms = START_MS + (int64_t)below(90000);
	if (ev->at_ms != TIME_NONE && chance(30))
		ev->at_ms = START_MS + (int64_t)below(60000);
	if (chance(30))
		say_something(ev);
}

static void make_world(struct world *w)
{
	struct buf problems = BUF_EMPTY;

	if (cfg_parse("prop.yaml", slice_of(config), &w->cfg, &problems))
		fail_msg("%.*s", SLICE_ARG(buf_slice(&problems)));
	buf_fini(&problems);
	w->n = 1 + below(EVENTS_MAX);
	for (size_t i = 0; i < w->n; i++) {
		struct event *e = &w->events[i];

		if (i && chance(25)) {
			e->ev = w->events[below(i)].ev;
			told_again(&e->ev);
		} else {
			new_event(&e->ev, i);
		}
		e->json = BUF_EMPTY;
		callev_write(&e->json, &e->ev);
		e->append_ms = START_MS + (int64_t)i * (int64_t)below(4000);
	}
}

static void end_world(struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		buf_fini(&w->events[i].json);
	cfg_free(w->cfg);
}

static void shuffle(struct world *w)
{
	for (size_t i = w->n; i > 1; i--) {
		size_t j = below(i);
		struct event kept = w->events[i - 1];

		w->events[i - 1] = w->events[j];
		w->events[j] = kept;
	}
}

/* ---- tables ---- */

struct told {
	struct {
		struct uuid id;
		struct buf json; /* of the last revision, without its number */
	} v[CALLS];
	size_t n;
};

static void put_record(struct told *told, const struct uuid *id, struct slice json)
{
	const char *from = strstr(json.p, "\"revision\":"), *to = strchr(from, ',');
	size_t i = 0;

	while (i < told->n && !uuid_eq(&told->v[i].id, id))
		i++;
	if (i == told->n) {
		assert_true(told->n < CALLS);
		told->v[told->n++].id = *id;
	}
	buf_reset(&told->v[i].json);
	buf_add(&told->v[i].json, json.p, (size_t)(from - json.p));
	buf_add(&told->v[i].json, to, json.n - (size_t)(to - json.p));
}

static void on_record(void *arg, const struct calltab_record *rec)
{
	put_record(arg, &rec->record->id, rec->json);
}

static void told_fini(struct told *told)
{
	for (size_t i = 0; i < CALLS; i++)
		buf_fini(&told->v[i].json);
}

struct table {
	struct calltab *tab;
	struct closed_index *closed;
	struct told *told;
};

static struct table new_table(const struct world *w, struct told *told, bool live)
{
	const struct calltab_out out = { .arg = told, .record = told ? on_record : NULL };
	const struct calltab_cfg cfg = { .cfg = w->cfg,
					 .calls_max = live ? 3 : 1000,
					 .orphans_max = live ? 4 : 1000,
					 .no_age_limit = true,
					 .keep_closed = !live };
	struct table t = { .told = told };

	assert_int_equal(closed_new(172800000, 1000, &t.closed), 0);
	assert_int_equal(calltab_new(&cfg, t.closed, &out, &t.tab), 0);
	return t;
}

static void free_table(struct table *t)
{
	calltab_free(t->tab);
	closed_free(t->closed);
}

static int apply(struct table *t, const struct event *e)
{
	int change = calltab_apply(t->tab, &e->ev, e->append_ms, buf_slice(&e->json));

	if (change < 0)
		fail_msg("applied: %d", change);
	return change;
}

static void run_out(struct table *t)
{
	int64_t due_ms;

	while ((due_ms = calltab_next_due(t->tab)) != INT64_MAX)
		assert_int_equal(calltab_tick(t->tab, due_ms), 0);
}

/* Dies and comes back: every slice packed, unpacked, and the same when packed again. */
static void restart(const struct world *w, struct table *t, bool live)
{
	struct table again = new_table(w, t->told, live);
	struct buf a = BUF_EMPTY, b = BUF_EMPTY;

	for (unsigned i = 0; i < CALLTAB_SLICES; i++) {
		buf_reset(&a);
		buf_reset(&b);
		assert_int_equal(calltab_slice_pack(t->tab, i, &a), 0);
		assert_int_equal(calltab_slice_unpack(again.tab, i, 0, buf_slice(&a)), 0);
		assert_int_equal(calltab_slice_pack(again.tab, i, &b), 0);
		assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
	}
	buf_fini(&a);
	buf_fini(&b);
	free_table(t);
	*t = again;
}

static bool same_tables(const struct table *x, const struct table *y)
{
	struct buf a = BUF_EMPTY, b = BUF_EMPTY;
	bool same = true;

	for (unsigned i = 0; i < CALLTAB_SLICES && same; i++) {
		buf_reset(&a);
		buf_reset(&b);
		assert_int_equal(calltab_slice_pack(x->tab, i, &a), 0);
		assert_int_equal(calltab_slice_pack(y->tab, i, &b), 0);
		same = slice_eq(buf_slice(&a), buf_slice(&b));
	}
	buf_fini(&a);
	buf_fini(&b);
	return same;
}

/* ---- the naive twin ---- */

/* rules.md 1.1: smaller received_at, smaller at, smaller bytes. */
static bool counts_before(const struct event *a, const struct event *b)
{
	if (a->ev.received_at_ms != b->ev.received_at_ms)
		return a->ev.received_at_ms < b->ev.received_at_ms;
	if (callev_time(&a->ev) != callev_time(&b->ev))
		return callev_time(&a->ev) < callev_time(&b->ev);
	return slice_cmp(buf_slice(&a->json), buf_slice(&b->json)) < 0;
}

static int in_order(const void *a, const void *b)
{
	const struct callev *x = a, *y = b;
	int64_t s = x->seq == CALLEV_NO_NUMBER ? 0 : x->seq;
	int64_t z = y->seq == CALLEV_NO_NUMBER ? 0 : y->seq;

	if (callev_time(x) != callev_time(y))
		return callev_time(x) < callev_time(y) ? -1 : 1;
	return s != z ? (s < z ? -1 : 1) : uuid_cmp(&x->id, &y->id);
}

static bool same_call(const struct callev *a, const struct callev *b)
{
	return slice_eq(a->account, b->account) && slice_eq(a->call_session_id, b->call_session_id);
}

static size_t distinct(const struct world *w, const struct callev *of, struct callev *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++) {
		bool counts = same_call(&w->events[i].ev, of);

		for (size_t j = 0; j < w->n && counts; j++) {
			if (i == j || !uuid_eq(&w->events[i].ev.id, &w->events[j].ev.id))
				continue;
			counts = !counts_before(&w->events[j], &w->events[i]) &&
				 (j > i || counts_before(&w->events[i], &w->events[j]));
		}
		if (counts)
			ret[n++] = w->events[i].ev;
	}
	qsort(ret, n, sizeof(*ret), in_order);
	return n;
}

/* Two legs a and b of a talk are the same set as b and a. */
static bool same_party(const struct callev *a, const struct callev *b, bool talk)
{
	if (!talk)
		return slice_eq(a->leg_id, b->leg_id);
	for (size_t i = 0; i < 2; i++) {
		if (!slice_eq(a->leg_ids[i], b->leg_ids[0]) &&
		    !slice_eq(a->leg_ids[i], b->leg_ids[1]))
			return false;
	}
	return true;
}

static bool has_ended(const struct callev *events, size_t n, bool talk)
{
	enum callev_kind from = talk ? CALLEV_TALK_STARTED : CALLEV_LEG_RINGING;
	enum callev_kind to = talk ? CALLEV_TALK_ENDED : CALLEV_LEG_ENDED;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		bool last = true;

		if (events[i].kind < from || events[i].kind > to || (!talk && !events[i].leg_id.n))
			continue;
		any = true;
		for (size_t j = i + 1; j < n; j++)
			last &= events[j].kind < from || events[j].kind > to ||
				(!talk && !events[j].leg_id.n) ||
				!same_party(&events[i], &events[j], talk);
		if (last && events[i].kind != to)
			return false;
	}
	return any;
}

static enum closed_by reason(const struct callev *events, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (events[i].kind == CALLEV_CALL_ENDED)
			return CLOSED_BY_END;
	}
	for (size_t i = 0; i < n; i++) {
		if (events[i].kind == CALLEV_CALL_LOST)
			return CLOSED_BY_LOST_WITHOUT_END;
	}
	if (slice_is(events[0].source, "mango") && has_ended(events, n, false))
		return CLOSED_BY_NO_SUMMARY;
	return has_ended(events, n, true) ? CLOSED_BY_TALK_WITHOUT_END : CLOSED_BY_SILENCE;
}

static void naive_record(const struct world *w, const struct callev *of, struct folder *folder,
			 struct told *told)
{
	static struct callev events[EVENTS_MAX];
	size_t n = distinct(w, of, events);
	struct fold_in in = { .events = events,
			      .events_n = n,
			      .closed_by = reason(events, n),
			      .recording_wait_over = true };
	const struct cfg_account *account = cfg_account(w->cfg, of->account);
	struct buf json = BUF_EMPTY;
	struct record rec;
	bool opens = false;

	for (size_t i = 0; i < n; i++)
		opens |= callev_is_call_fact(events[i].kind);
	if (!opens)
		return;
	uuid_of_call(of->account, of->call_session_id, &in.call_id);
	in.recordings = account ? account->recordings : CFG_RECORDINGS_ANNOUNCED;
	assert_int_equal(fold(folder, &in, &rec), 0);
	record_write(&json, &rec);
	put_record(told, &rec.id, buf_slice(&json));
	buf_fini(&json);
}

static void naive(const struct world *w, struct told *told)
{
	struct folder *folder = folder_new();

	for (size_t i = 0; i < w->n; i++) {
		bool first = true;

		for (size_t j = 0; j < i; j++)
			first &= !same_call(&w->events[i].ev, &w->events[j].ev);
		if (first)
			naive_record(w, &w->events[i].ev, folder, told);
	}
	folder_free(folder);
}

static void must_be_the_same(const struct told *a, const struct told *b, uint64_t seed)
{
	if (a->n != b->n)
		fail_msg("seed %llu: %zu records, %zu wanted", (unsigned long long)seed, a->n,
			 b->n);
	for (size_t i = 0; i < a->n; i++) {
		size_t j = 0;

		while (j < b->n && !uuid_eq(&a->v[i].id, &b->v[j].id))
			j++;
		if (j == b->n || !slice_eq(buf_slice(&a->v[i].json), buf_slice(&b->v[j].json)))
			fail_msg("seed %llu: got\n%.*s\nwanted\n%.*s", (unsigned long long)seed,
				 SLICE_ARG(buf_slice(&a->v[i].json)),
				 SLICE_ARG(j < b->n ? buf_slice(&b->v[j].json) : SLICE_NONE));
	}
}

/* ---- the record is a function of the set ---- */

static void one_order(const struct world *w, const struct told *wanted, uint64_t seed)
{
	struct told got = { .n = 0 };
	struct table t = new_table(w, &got, false);

	for (size_t i = 0; i < w->n; i++) {
		apply(&t, &w->events[i]);
		if (chance(2))
			restart(w, &t, false);
	}
	run_out(&t);
	must_be_the_same(&got, wanted, seed);
	told_fini(&got);
	free_table(&t);
}

static void check_set(uint64_t seed)
{
	static struct world w;
	struct told wanted = { .n = 0 };

	state = seed;
	make_world(&w);
	naive(&w, &wanted);
	for (int i = 0; i < 3; i++) {
		shuffle(&w);
		one_order(&w, &wanted, seed);
	}
	told_fini(&wanted);
	end_world(&w);
}

/* ---- a replay gives the table that was lost ---- */

struct commit {
	size_t events_n; /* applied up to here */
	int64_t clock_ms;
	struct buf closed_ids, block;
	uint64_t b;
	struct buf slices[CALLTAB_SLICES]; /* those packed at this commit */
};

/* Slices whose calls have just left wait for the block that says so. */
static void pack_some(struct table *t, struct commit *c)
{
	for (unsigned i = 0; i < CALLTAB_SLICES; i++) {
		if (calltab_slice_dirty(t->tab, i) && !closed_pending_in(t->closed, i) &&
		    chance(40))
			assert_int_equal(calltab_slice_pack(t->tab, i, &c->slices[i]), 0);
	}
}

static void make_commit(struct world *w, struct table *t, struct commit *c, uint64_t n, size_t *at)
{
	size_t more = below(20);

	calltab_begin_commit(t->tab, n);
	for (c->events_n = MIN(w->n, *at + more); *at < c->events_n; (*at)++)
		apply(t, &w->events[*at]);
	assert_int_equal(calltab_tick(t->tab, c->clock_ms), 0);
	assert_int_equal(calltab_trim(t->tab, c->clock_ms, &c->closed_ids), 0);
	c->b = chance(50) ? closed_take_block(t->closed, &c->block) : 0;
	pack_some(t, c);
}

static void load_newest(struct table *t, const struct commit *commits)
{
	for (unsigned i = 0; i < CALLTAB_SLICES; i++) {
		for (uint64_t n = COMMITS; n > 0; n--) {
			const struct buf *bytes = &commits[n - 1].slices[i];

			if (!bytes->n)
				continue;
			assert_int_equal(calltab_slice_unpack(t->tab, i, n, buf_slice(bytes)), 0);
			break;
		}
	}
}

static void replay(struct world *w, struct table *t, const struct commit *commits)
{
	size_t at = 0;

	calltab_set_output(t->tab, false);
	load_newest(t, commits);
	for (uint64_t n = 1; n <= COMMITS; n++) {
		const struct commit *c = &commits[n - 1];

		calltab_begin_commit(t->tab, n);
		for (; at < c->events_n; at++)
			apply(t, &w->events[at]);
		assert_int_equal(calltab_tick(t->tab, c->clock_ms), 0);
		for (size_t i = 0; i < c->closed_ids.n; i += UUID_LEN) {
			struct uuid id;

			memcpy(id.b, c->closed_ids.p + i, UUID_LEN);
			assert_int_equal(calltab_close(t->tab, &id, c->clock_ms), 0);
		}
		if (c->b)
			assert_int_equal(closed_load_block(t->closed, c->b, buf_slice(&c->block)),
					 0);
	}
	calltab_set_output(t->tab, true);
}

/* Each rests on the other's clock: append times and ticks never go back. */
static void make_times(struct world *w, struct commit *commits)
{
	int64_t now_ms = START_MS;

	for (size_t i = 0; i < w->n; i++)
		w->events[i].append_ms = now_ms += (int64_t)below(3000);
	now_ms = START_MS;
	for (size_t n = 0; n < COMMITS; n++)
		commits[n].clock_ms = now_ms += (int64_t)below(60000);
}

static void check_replay(uint64_t seed)
{
	static struct commit commits[COMMITS];
	static struct world w;
	struct told a_told = { .n = 0 }, b_told = { .n = 0 };
	struct table a, b;
	size_t at = 0;

	state = seed;
	make_world(&w);
	make_times(&w, commits);
	a = new_table(&w, &a_told, true);
	for (uint64_t n = 1; n <= COMMITS; n++)
		make_commit(&w, &a, &commits[n - 1], n, &at);
	b = new_table(&w, &b_told, true);
	replay(&w, &b, commits);
	calltab_begin_commit(a.tab, COMMITS + 1);
	calltab_begin_commit(b.tab, COMMITS + 1);
	if (!same_tables(&a, &b))
		fail_msg("seed %llu: another table", (unsigned long long)seed);
	assert_int_equal(closed_count(a.closed), closed_count(b.closed));
	assert_int_equal(closed_pending(a.closed), closed_pending(b.closed));
	assert_int_equal(calltab_next_due(a.tab), calltab_next_due(b.tab));
	free_table(&a);
	free_table(&b);
	told_fini(&a_told);
	told_fini(&b_told);
	for (size_t n = 0; n < COMMITS; n++) {
		buf_fini(&commits[n].closed_ids);
		buf_fini(&commits[n].block);
		for (unsigned i = 0; i < CALLTAB_SLICES; i++)
			buf_fini(&commits[n].slices[i]);
	}
	memset(commits, 0, sizeof(commits));
	end_world(&w);
}

/* ---- many cases ---- */

static void run_cases(void (*check)(uint64_t seed), const char *name, unsigned cases)
{
	const char *fixed = getenv("CALLSTREAM_SEED"), *many = getenv("CALLSTREAM_LONG");
	uint64_t seed = fixed ? strtoull(fixed, NULL, 10) : (uint64_t)time(NULL) * 1000000;
	unsigned long factor = many ? strtoul(many, NULL, 10) : 1;

	cases = fixed ? 1 : cases * (unsigned)MAX(factor, 1ul);
	printf("%s: %u cases from CALLSTREAM_SEED=%llu\n", name, cases, (unsigned long long)seed);
	for (unsigned i = 0; i < cases; i++)
		check(seed + i);
}

static void the_record_is_a_function_of_the_set(void **unused)
{
	(void)unused;
	run_cases(check_set, "sets", CASES);
}

static void a_replay_gives_the_table_that_was_lost(void **unused)
{
	(void)unused;
	run_cases(check_replay, "replays", CASES);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_record_is_a_function_of_the_set),
		cmocka_unit_test(a_replay_gives_the_table_that_was_lost),
	};

	return cmocka_run_group_tests_name("calltab properties", tests, NULL, NULL);
}
