/*
 * calltab_case.h - a call table under test: events made from short words, records collected
 *
 * Everything here fails by cmocka's asserts. Times are seconds after CASE_START_MS.
 */
#ifndef CS_TESTS_CALLTAB_CASE_H
#define CS_TESTS_CALLTAB_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "call/calltab.h"

#define CASE_START_MS INT64_C(1773482400000)
#define CASE_TOLD_MAX 64

struct case_told {
	char id[UUID_TEXT_LEN + 1];
	char json[4096];
	uint32_t revision;
	bool complete;
	enum closed_by closed_by;
};

struct table_case {
	struct cfg *cfg;
	struct calltab_cfg tab_cfg;
	struct calltab *tab;
	struct closed_index *closed;
	struct case_told told[CASE_TOLD_MAX];
	size_t told_n, late_n;
	char late[4096]; /* the last one */
};

static inline int64_t case_at(int64_t s)
{
	return CASE_START_MS + s * 1000;
}

static inline void case_on_record(void *arg, const struct calltab_record *rec)
{
	struct table_case *c = arg;
	struct case_told *told = &c->told[c->told_n];

	assert_true(c->told_n < CASE_TOLD_MAX);
	snprintf(told->id, sizeof(told->id), "%.*s", SLICE_ARG(rec->id_text));
	snprintf(told->json, sizeof(told->json), "%.*s", SLICE_ARG(rec->json));
	told->revision = rec->record->revision;
	told->complete = rec->record->complete;
	told->closed_by = rec->closed_by;
	c->told_n++;
}

static inline void case_on_late(void *arg, const struct uuid *event_id, struct slice json)
{
	struct table_case *c = arg;

	(void)event_id;
	snprintf(c->late, sizeof(c->late), "%.*s", SLICE_ARG(json));
	c->late_n++;
}

/* A table under this config text, with the limits a test may change before it calls this. */
static inline void case_begin(struct table_case *c, const char *config)
{
	const struct calltab_out out = { c, case_on_record, case_on_late, NULL };
	struct buf problems = BUF_EMPTY;
	const struct cfg_correlate *correlate;

	if (cfg_parse("test.yaml", slice_of(config), &c->cfg, &problems))
		fail_msg("%.*s", SLICE_ARG(buf_slice(&problems)));
	buf_fini(&problems);
	correlate = &c->cfg->correlate;
	c->tab_cfg.cfg = c->cfg;
	if (!c->tab_cfg.calls_max)
		c->tab_cfg.calls_max = 1000;
	if (!c->tab_cfg.orphans_max)
		c->tab_cfg.orphans_max = 1000;
	assert_int_equal(closed_new(correlate->closed_index_ms, 1000, &c->closed), 0);
	assert_int_equal(calltab_new(&c->tab_cfg, c->closed, &out, &c->tab), 0);
}

static inline void case_end(struct table_case *c)
{
	calltab_free(c->tab);
	closed_free(c->closed);
	cfg_free(c->cfg);
}

/*
 * "leg.ringing 10 leg=5": a kind, the second it happened (and was received), then what it has:
 * session=, account=, source=, leg=, legs=a+b, talk=ms, rec=, name=, id= (of the event; by default
 * of the words), rcv= (second received).
 */
static inline void case_legs(struct callev *ev, struct slice legs)
{
	static struct slice pool[1024];
	static size_t used;

	ev->leg_ids = &pool[used];
	while (legs.n) {
		assert_true(used < ARRAY_LEN(pool));
		pool[used++] = slice_cut(&legs, '+');
		ev->leg_ids_n++;
	}
}

static inline void case_word(struct callev *ev, struct slice key, struct slice value)
{
	if (slice_is(key, "session"))
		ev->call_session_id = value;
	else if (slice_is(key, "account"))
		ev->account = value;
	else if (slice_is(key, "source"))
		ev->source = value;
	else if (slice_is(key, "leg"))
		ev->leg_id = value;
	else if (slice_is(key, "legs"))
		case_legs(ev, value);
	else if (slice_is(key, "rec"))
		ev->recording = value;
	else if (slice_is(key, "name"))
		ev->name = value;
	else if (slice_is(key, "id"))
		uuid_v5(&value, 1, &ev->id);
	else if (slice_is(key, "talk"))
		assert_int_equal(slice_i64(value, &ev->talk_ms), 0);
	else if (slice_is(key, "rcv"))
		assert_int_equal(slice_i64(value, &ev->received_at_ms), 0);
	else
		fail_msg("no such word: %.*s", SLICE_ARG(key));
}

static inline struct callev case_event(const char *words)
{
	struct slice rest = slice_of(words), kind = slice_cut(&rest, ' ');
	struct slice at = slice_cut(&rest, ' '), whole = slice_of(words);
	struct callev ev;
	int64_t s;

	callev_init(&ev);
	assert_int_equal(callev_kind_read(kind, &ev.kind), 0);
	assert_int_equal(slice_i64(at, &s), 0);
	ev.at_ms = ev.received_at_ms = case_at(s);
	ev.account = SLICE("acme");
	ev.source = SLICE("callgear");
	ev.call_session_id = SLICE("s1");
	uuid_v5(&whole, 1, &ev.id);
	while (rest.n) {
		struct slice word = slice_cut(&rest, ' '), key = slice_cut(&word, '=');

		case_word(&ev, key, word);
	}
	if (ev.received_at_ms < CASE_START_MS)
		ev.received_at_ms = case_at(ev.received_at_ms);
	return ev;
}

/* Applies it when it was received; what calltab_apply says. */
static inline int case_apply(struct table_case *c, const char *words)
{
	struct callev ev = case_event(words);
	struct buf json = BUF_EMPTY;
	int change;

	callev_write(&json, &ev);
	change = calltab_apply(c->tab, &ev, ev.received_at_ms, buf_slice(&json));
	buf_fini(&json);
	return change;
}

static inline void case_tick(struct table_case *c, int64_t s)
{
	assert_int_equal(calltab_tick(c->tab, case_at(s)), 0);
}

static inline const struct case_told *case_last(const struct table_case *c)
{
	assert_true(c->told_n > 0);
	return &c->told[c->told_n - 1];
}

static inline struct uuid case_id(const char *account, const char *session)
{
	struct uuid id;

	uuid_of_call(slice_of(account), slice_of(session), &id);
	return id;
}

/* All slices as bytes; the table is clean afterwards. */
static inline void case_pack_all(struct table_case *c, struct buf *out)
{
	for (unsigned i = 0; i < CALLTAB_SLICES; i++)
		assert_int_equal(calltab_slice_pack(c->tab, i, out), 0);
}

#endif
