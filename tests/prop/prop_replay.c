/*
 * Replaying from any prefix and any slice state gives the same table, byte for byte.
 *
 * A random stream of events is applied with random commits at random clocks. At random moments the
 * partition dies; the messages of its state, compacted at random as Kafka may do, and a replay of
 * its events make it anew. Its table must be the one of a partition that never died, and so must
 * all that it tells afterwards. CALLSTREAM_SEED repeats one case, CALLSTREAM_CASES says how many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "role/restore.h"

#define CASES    150
#define STEPS    60
#define SESSIONS 24
#define START_MS INT64_C(1773483302000)
#define INDEX    3

/* ---- luck ---- */

struct rng {
	uint64_t s;
};

static uint64_t next(struct rng *r)
{
	uint64_t z = (r->s += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t below(struct rng *r, uint64_t n)
{
	return next(r) % n;
}

static bool chance(struct rng *r, unsigned percent)
{
	return below(r, 100) < percent;
}

/* ---- the world of one case ---- */

struct event {
	char *json;
	size_t n;
	int64_t append_ms;
};

struct op {              /* one commit */
	size_t events_n; /* applied before it */
	struct partition_step step;
};

struct message {
	char *key, *value;
	size_t key_n, value_n;
	bool tombstone;
};

struct messages {
	struct message *v;
	size_t n, cap;
};

struct world {
	struct rng rng;
	struct cfg cfg;
	struct cfg_account accounts[2];
	struct partition_env env;
	struct event *events;
	size_t events_n, events_cap;
	struct op ops[STEPS];
	size_t ops_n;
	struct messages state, told, dead; /* of commits that stand */
	int64_t now_ms, mono_ms, committed;
	bool index_tight;
};

static void *grown(void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	*cap = *cap ? 2 * *cap : 64;
	v = realloc(v, *cap * size);
	assert_non_null(v);
	return v;
}

static char *copy(struct slice s)
{
	char *p = malloc(s.n + 1);

	assert_non_null(p);
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

static void keep(struct messages *m, struct slice key, struct slice value, bool tombstone)
{
	m->v = grown(m->v, m->n, &m->cap, sizeof(*m->v));
	m->v[m->n++] = (struct message){ copy(key), copy(value), key.n, value.n, tombstone };
}

static void messages_fini(struct messages *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].key);
		free(m->v[i].value);
	}
	free(m->v);
	*m = (struct messages){ NULL, 0, 0 };
}

/* Closers of seconds and limits of a few calls, so that all of them act within a case. */
static void make_cfg(struct world *w)
{
	struct rng *r = &w->rng;
	bool tight = chance(r, 50);
	struct cfg_closers closers = {
		.end_grace_ms = (int64_t)below(r, 3) * 2000,
		.no_summary_after_ms = 30000,
		.lost_without_end_after_ms = 20000,
		.talk_without_end_after_ms = 60000,
		.silent_call_after_ms = 300000,
		.recording_wait_ms = 40000,
	};

	w->index_tight = chance(r, 30);
	w->accounts[0] = (struct cfg_account){ .name = "acme",
					       .source = "callgear",
					       .closers = closers,
					       .recordings = CFG_RECORDINGS_NEVER };
	w->accounts[1] = (struct cfg_account){ .name = "buro",
					       .source = "callgear",
					       .closers = closers,
					       .recordings = CFG_RECORDINGS_ALWAYS };
	w->cfg = (struct cfg){
		.file = "",
		.numbers_country = "RU",
		.kafka = { .partitions = 1, .topic_prefix = "" },
		.correlate = {
			.closers = closers,
			.remember_closed_ms = (int64_t)below(r, 60) * 1000,
			.closed_index_ms = w->index_tight ? 600000 : 360000000,
			.orphan_wait_ms = 50000,
			.closed_index_max = w->index_tight ? 1 + below(r, 30) : 100000,
			.orphans_max = tight ? 1 + below(r, 6) : 1000,
			.open_calls_max = tight ? 2 + below(r, 12) : 1000,
			.checkpoint_every_ms = 2000 + (int64_t)below(r, 30000),
			.commit_every_ms = 100,
		},
		.accounts = w->accounts,
		.accounts_n = 2,
	};
}

/* ---- events ---- */

static const enum callev_kind kinds[] = {
	CALLEV_CALL_STARTED,        CALLEV_LEG_RINGING, CALLEV_LEG_RINGING, CALLEV_LEG_ANSWERED,
	CALLEV_TALK_STARTED,        CALLEV_TALK_ENDED,  CALLEV_LEG_ENDED,   CALLEV_CALL_ENDED,
	CALLEV_RECORDING_AVAILABLE, CALLEV_NOTE,        CALLEV_CALL_LOST,
};

static void fill_event(struct world *w, struct callev *ev, char session[16], char leg[8])
{
	struct rng *r = &w->rng;
	struct slice parts[2] = { SLICE_NONE, slice_make(&w->rng.s, sizeof(w->rng.s)) };

	/* Sessions come and go: an old one may come back late. */
	snprintf(session, 16, "%u", (unsigned)(w->events_n / 40 + below(r, SESSIONS)));
	snprintf(leg, 8, "%u", (unsigned)below(r, 4));
	parts[0] = slice_of(session);
	next(r);
	callev_init(ev);
	uuid_v5(parts, 2, &ev->id);
	ev->account = slice_of(w->accounts[below(r, 2)].name);
	ev->source = SLICE("callgear");
	ev->call_session_id = parts[0];
	ev->leg_id = slice_of(leg);
	ev->kind = kinds[below(r, ARRAY_LEN(kinds))];
	ev->received_at_ms = w->now_ms;
	ev->at_ms = w->now_ms - (int64_t)below(r, chance(r, 3) ? 2000000 : 3000);
	ev->direction = DIRECTION_IN;
	ev->contact.number = SLICE("79161234567");
	if (ev->kind == CALLEV_RECORDING_AVAILABLE)
		ev->source_url = slice_of(leg);
	if (ev->kind == CALLEV_NOTE)
		ev->name = SLICE("dtmf");
}

static void add_event(struct world *w, struct slice json)
{
	w->events = grown(w->events, w->events_n, &w->events_cap, sizeof(*w->events));
	w->events[w->events_n++] = (struct event){ copy(json), json.n, w->now_ms };
}

static void make_event(struct world *w)
{
	struct rng *r = &w->rng;
	struct buf b = BUF_EMPTY;
	char session[16], leg[8];
	struct callev ev;

	w->now_ms += (int64_t)below(r, 400);
	if (w->events_n && chance(r, 8)) { /* again, as it was */
		struct event *old = &w->events[below(r, w->events_n)];

		add_event(w, slice_make(old->json, old->n));
		return;
	}
	if (chance(r, 1)) {
		add_event(w, SLICE("{\"schema\":\"no event\"}"));
		return;
	}
	fill_event(w, &ev, session, leg);
	callev_write(&b, &ev);
	assert_false(b.bad);
	add_event(w, buf_slice(&b));
	buf_fini(&b);
}

/* ---- a partition and its log ---- */

static struct log_msg message_of(const struct world *w, size_t offset)
{
	const struct event *e = &w->events[offset];

	return (struct log_msg){
		.topic = TOPIC_EVENTS,
		.partition = INDEX,
		.offset = (int64_t)offset,
		.append_ms = e->append_ms,
		.key = SLICE("acme/1"),
		.value = slice_make(e->json, e->n),
	};
}

static void apply_one(struct world *w, struct partition *p, size_t offset)
{
	struct log_msg msg = message_of(w, offset);

	assert_int_equal(0, partition_apply(p, &msg));
}

/* Kafka takes slices in parts of any size; pieces of older ones stay behind them. */
static void keep_slice_in_parts(struct world *w, const struct outbox_msg *msg, unsigned parts_n)
{
	struct buf key = BUF_EMPTY, value = BUF_EMPTY;
	struct slice_part whole;
	struct state_key k;
	struct slice rest;

	assert_int_equal(0, state_key_read(msg->key, &k));
	assert_int_equal(0, slice_part_read(msg->value, &whole));
	rest = whole.bytes;
	for (unsigned i = 0; i < parts_n; i++) {
		size_t n = i + 1 == parts_n ? rest.n : rest.n / 2;

		buf_reset(&key);
		buf_reset(&value);
		state_key_slice(&key, k.index, i);
		slice_part_write(&value, &(struct slice_part){ whole.n, i, i ? 0 : parts_n,
							       slice_head(rest, n) });
		keep(&w->state, buf_slice(&key), buf_slice(&value), false);
		rest = slice_skip(rest, n);
	}
	buf_fini(&key);
	buf_fini(&value);
}

/* Records have an order; of dead letters that leave together it says nothing. */
static struct messages *where(const struct outbox_msg *msg, struct messages *told,
			      struct messages *dead)
{
	return msg->topic == TOPIC_DEAD ? dead : told;
}

static void commit(struct world *w, struct partition *p)
{
	for (size_t i = 0; i < p->out.n; i++) {
		struct outbox_msg msg = outbox_get(&p->out, i);

		if (msg.topic != TOPIC_STATE)
			keep(where(&msg, &w->told, &w->dead), msg.key, msg.value, false);
		else if (msg.key.p[0] == 's')
			keep_slice_in_parts(w, &msg, 1 + (unsigned)below(&w->rng, 3));
		else
			keep(&w->state, msg.key, msg.value, msg.tombstone);
	}
	outbox_reset(&p->out);
	w->committed = p->next;
	if (chance(&w->rng, 20))
		partition_mark_calls(p, (int64_t)w->told.n);
}

static bool same_key(const struct message *a, const struct message *b)
{
	return slice_eq(slice_make(a->key, a->key_n), slice_make(b->key, b->key_n));
}

/* Of the messages below a random place only the newest of each key is left, tombstones perhaps. */
static bool survives(const struct world *w, size_t i, size_t compacted, bool tombstones)
{
	const struct message *m = &w->state.v[i];

	if (i >= compacted)
		return true;
	if (m->tombstone && !tombstones)
		return false;
	for (size_t j = i + 1; j < compacted; j++) {
		if (same_key(m, &w->state.v[j]))
			return false;
	}
	return true;
}

static struct restore *read_state(struct world *w)
{
	struct restore *r = restore_new();
	size_t compacted = chance(&w->rng, 60) ? below(&w->rng, w->state.n + 1) : 0;
	bool tombstones = chance(&w->rng, 50);

	assert_non_null(r);
	for (size_t i = 0; i < w->state.n; i++) {
		const struct message *m = &w->state.v[i];

		if (survives(w, i, compacted, tombstones))
			assert_int_equal(0, restore_message(r, slice_make(m->key, m->key_n),
							    slice_make(m->value, m->value_n),
							    m->tombstone));
	}
	return r;
}

/* What left since the oldest commit that is repeated. */
static void tell_records(const struct world *w, struct restore *r)
{
	for (size_t i = (size_t)restore_last(r)->calls_offset; i < w->told.n; i++) {
		const struct message *m = &w->told.v[i];

		assert_int_equal(0, restore_record(r, slice_make(m->key, m->key_n),
						   slice_make(m->value, m->value_n)));
	}
}

/* want: a plan; what is repeated under other rules is left in the partition's out. */
static struct partition *restored_as(struct world *w, int want)
{
	struct restore *r = read_state(w);
	int64_t committed = w->ops_n ? w->committed : LOG_BEGIN;
	struct partition *p;
	const char *why = "";
	int plan = restore_plan(r, committed, &w->env.fingerprint, &why);

	if (plan != want)
		fail_msg("plan %d: %s", plan, why);
	if (plan == RESTORE_OTHER_RULES)
		tell_records(w, r);
	assert_int_equal(0, partition_new(&w->env, INDEX, &p));
	assert_int_equal(0, restore_begin(r, p, plan == RESTORE_OTHER_RULES));
	for (int64_t at = w->ops_n ? restore_from(r) : 0; w->ops_n && at < committed; at++) {
		struct log_msg msg = message_of(w, (size_t)at);

		assert_int_equal(0, restore_event(r, p, &msg));
	}
	assert_int_equal(0, restore_finish(r, p));
	assert_int_equal(0, restore_missing(r));
	assert_true(plan == RESTORE_OTHER_RULES || p->out.n == 0);
	restore_free(r);
	partition_mark_calls(p, (int64_t)w->told.n);
	return p;
}

static struct partition *restored(struct world *w)
{
	return restored_as(w, w->ops_n ? RESTORE_FITS : RESTORE_FRESH);
}

/* A partition that lived through all commits; what it told is kept, unless told is NULL. */
static struct partition *undisturbed(struct world *w, struct messages *told, struct messages *dead)
{
	struct partition *p;
	size_t at = 0;

	assert_int_equal(0, partition_new(&w->env, INDEX, &p));
	for (size_t i = 0; i < w->ops_n; i++) {
		for (; at < w->ops[i].events_n; at++)
			apply_one(w, p, at);
		assert_int_equal(0, partition_step(p, &w->ops[i].step));
		for (size_t j = 0; told && j < p->out.n; j++) {
			struct outbox_msg msg = outbox_get(&p->out, j);

			if (msg.topic != TOPIC_STATE)
				keep(where(&msg, told, dead), msg.key, msg.value, false);
		}
		outbox_reset(&p->out);
	}
	return p;
}

static void compare_slice(struct partition *a, struct partition *b, unsigned slice, uint64_t seed)
{
	struct buf x = BUF_EMPTY, y = BUF_EMPTY;

	assert_int_equal(0, calltab_slice_pack(a->tab, slice, &x));
	assert_int_equal(0, calltab_slice_pack(b->tab, slice, &y));
	if (x.bad || y.bad || !slice_eq(buf_slice(&x), buf_slice(&y)))
		fail_msg("seed %llu: after commit %llu slice %u is another one: %zu bytes, %zu",
			 (unsigned long long)seed, (unsigned long long)a->n - 1, slice, x.n, y.n);
	buf_fini(&x);
	buf_fini(&y);
}

/* Frees both: packing says that the slices were written, so they are spent. */
static void compare(struct world *w, struct partition *a, struct partition *b, uint64_t seed)
{
	struct uuid id;

	assert_int_equal(a->n, b->n);
	assert_int_equal(a->next, w->ops_n ? b->next : LOG_BEGIN);
	assert_int_equal(a->clock_ms, b->clock_ms);
	for (unsigned i = 0; i < CALLTAB_SLICES; i++)
		compare_slice(a, b, i, seed);
	for (size_t s = 0; s < w->events_n / 40 + SESSIONS; s++) {
		char session[24];

		snprintf(session, sizeof(session), "%zu", s);
		for (size_t i = 0; i < w->cfg.accounts_n; i++) {
			uuid_of_call(slice_of(w->accounts[i].name), slice_of(session), &id);
			assert_int_equal(closed_has(a->closed, &id), closed_has(b->closed, &id));
		}
	}
	assert_int_equal(closed_covers_ms(a->closed, w->now_ms),
			 closed_covers_ms(b->closed, w->now_ms));
	partition_free(a);
	partition_free(b);
}

/* The limit of the closed index acts when a block is taken, and that is a matter of the
 * checkpoints' times: then only a partition with the same past compares. */
static void compare_tables(struct world *w, uint64_t seed)
{
	if (!w->index_tight)
		compare(w, restored(w), undisturbed(w, NULL, NULL), seed);
}

static int by_value(const void *a, const void *b)
{
	const struct message *x = a, *y = b;

	return slice_cmp(slice_make(x->value, x->value_n), slice_make(y->value, y->value_n));
}

static void compare_told(const struct messages *a, const struct messages *b, uint64_t seed)
{
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		const struct message *x = &a->v[i], *y = &b->v[i];

		if (!same_key(x, y) || by_value(x, y) != 0)
			fail_msg("seed %llu: message %zu is another one:\n%.*s\n%.*s",
				 (unsigned long long)seed, i, (int)x->value_n, x->value,
				 (int)y->value_n, y->value);
	}
	if (a->n != b->n)
		fail_msg("seed %llu: %zu messages instead of %zu", (unsigned long long)seed, a->n,
			 b->n);
}

static void compare_all_told(struct world *w, uint64_t seed)
{
	struct messages told = { NULL, 0, 0 }, dead = { NULL, 0, 0 };

	partition_free(undisturbed(w, &told, &dead));
	if (!w->index_tight && dead.n) {
		qsort(dead.v, dead.n, sizeof(*dead.v), by_value);
		qsort(w->dead.v, w->dead.n, sizeof(*dead.v), by_value);
	}
	if (!w->index_tight) {
		compare_told(&w->told, &told, seed);
		compare_told(&w->dead, &dead, seed);
	}
	messages_fini(&told);
	messages_fini(&dead);
}

/* ---- one case ---- */

static void end_batch(struct world *w, struct partition *p)
{
	struct rng *r = &w->rng;
	int64_t clock_ms;
	size_t timers_n;

	if (chance(r, 30))
		w->now_ms += (int64_t)below(r, chance(r, 10) ? 1200000 : 30000);
	w->mono_ms += chance(r, 70) ? (int64_t)below(r, 500) : (int64_t)below(r, 40000);
	clock_ms = partition_clock(p, chance(r, 50) ? 0 : 1, w->now_ms, w->mono_ms);
	if (chance(r, 30))
		clock_ms = partition_bound_clock(p, clock_ms, 1 + below(r, 4), &timers_n);
	w->ops[w->ops_n++] = (struct op){
		w->events_n,
		{ clock_ms, w->mono_ms, chance(r, 10) ? below(r, 20000) : 0 },
	};
	assert_int_equal(0, partition_step(p, &w->ops[w->ops_n - 1].step));
	commit(w, p);
}

static void live(struct world *w, uint64_t seed)
{
	struct partition *p = restored(w);
	size_t at = 0;

	while (w->ops_n < STEPS) {
		for (uint64_t n = below(&w->rng, 25); n; n--)
			make_event(w);
		for (; at < w->events_n; at++)
			apply_one(w, p, at);
		if (chance(&w->rng, 12)) { /* dies before the commit */
			partition_free(p);
			compare_tables(w, seed);
			p = restored(w);
			at = (size_t)MAX(w->committed, 0);
			continue;
		}
		if (p->next == LOG_BEGIN)
			continue;
		end_batch(w, p);
		if (chance(&w->rng, 12)) { /* dies behind it */
			compare(w, restored(w), p, seed);
			p = restored(w);
		}
	}
	partition_free(p);
	compare_tables(w, seed);
}

static struct world *new_world(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->rng.s = seed;
	w->now_ms = START_MS;
	make_cfg(w);
	assert_int_equal(0, partition_env_init(&w->env, &w->cfg));
	return w;
}

static void world_free(struct world *w)
{
	messages_fini(&w->dead);
	messages_fini(&w->told);
	messages_fini(&w->state);
	for (size_t i = 0; i < w->events_n; i++)
		free(w->events[i].json);
	free(w->events);
	partition_env_fini(&w->env);
	free(w);
}

static void run_case(uint64_t seed)
{
	struct world *w = new_world(seed);

	live(w, seed);
	compare_all_told(w, seed);
	world_free(w);
}

/* ---- other rules ---- */

static void change_rules(struct world *w)
{
	struct rng *r = &w->rng;

	w->accounts[0].closers.end_grace_ms = (int64_t)below(r, 20) * 1000;
	w->accounts[0].closers.silent_call_after_ms = 10000 + (int64_t)below(r, 300000);
	w->accounts[0].recordings = (enum cfg_recordings)below(r, 3);
	w->accounts[1].closers.talk_without_end_after_ms = 10000 + (int64_t)below(r, 100000);
	w->accounts[1].recordings = (enum cfg_recordings)below(r, 3);
	w->cfg.correlate.remember_closed_ms = 1000 + (int64_t)below(r, 60000);
	partition_fingerprint(&w->cfg, &w->env.fingerprint);
}

/* Revisions of a call go up one by one or leave some out, but never back. */
static void check_revisions(const struct world *w, uint64_t seed)
{
	struct revisions known = { NULL, 0, 0 };
	struct uuid id;

	for (size_t i = 0; i < w->told.n; i++) {
		const struct message *m = &w->told.v[i];
		const char *at = strstr(m->value, "\"revision\":");
		uint32_t revision;

		assert_non_null(at);
		revision = (uint32_t)strtoul(at + strlen("\"revision\":"), NULL, 10);
		assert_int_equal(0, uuid_read(slice_make(m->key, m->key_n), &id));
		if (revision <= revisions_of(&known, &id))
			fail_msg("seed %llu: message %zu: revision %u after %u",
				 (unsigned long long)seed, i, revision, revisions_of(&known, &id));
		assert_int_equal(0, revisions_note(&known, &id, revision));
	}
	revisions_fini(&known);
}

static void live_under_changing_rules(struct world *w)
{
	struct partition *p = restored(w);
	size_t at = 0;

	while (w->ops_n < STEPS) {
		for (uint64_t n = below(&w->rng, 25); n; n--)
			make_event(w);
		for (; at < w->events_n; at++)
			apply_one(w, p, at);
		if (p->next != LOG_BEGIN && !chance(&w->rng, 10))
			end_batch(w, p);
		if (w->ops_n && chance(&w->rng, 15)) {
			partition_free(p);
			change_rules(w);
			p = restored_as(w, RESTORE_OTHER_RULES);
			at = (size_t)w->committed;
		}
	}
	partition_free(p);
}

static void run_case_of_rules(uint64_t seed)
{
	struct world *w = new_world(seed);

	w->cfg.correlate.closed_index_max = 100000; /* a call that is forgotten would open anew */
	w->cfg.correlate.closed_index_ms = 360000000;
	live_under_changing_rules(w);
	check_revisions(w, seed);
	world_free(w);
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
	uint64_t value;

	return slice_u64(slice_of(getenv(name)), &value) == 0 ? value : otherwise;
}

static void repeat(void (*run)(uint64_t seed))
{
	uint64_t first = from_env("CALLSTREAM_SEED", (uint64_t)time(NULL) * 1000);
	uint64_t cases = from_env("CALLSTREAM_CASES", getenv("CALLSTREAM_SEED") ? 1 : CASES);

	print_message("CALLSTREAM_SEED=%llu, %llu cases from there\n", (unsigned long long)first,
		      (unsigned long long)cases);
	for (uint64_t i = 0; i < cases; i++)
		run(first + i);
}

static void replaying_gives_the_same_table(void **state)
{
	(void)state;
	repeat(run_case);
}

static void under_other_rules_revisions_go_on(void **state)
{
	(void)state;
	repeat(run_case_of_rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replaying_gives_the_same_table),
		cmocka_unit_test(under_other_rules_revisions_go_on),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
