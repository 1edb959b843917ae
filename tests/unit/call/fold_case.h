/*
 * fold_case.h - a call's events from JSON lines, as the table would hand them to the fold
 *
 * Events are put in the order of rules.md 1.1, of those with one id the first is kept. Everything
 * asserts: a test whose own input is wrong fails.
 */
#ifndef CS_TEST_FOLD_CASE_H
#define CS_TEST_FOLD_CASE_H

#include <stdio.h>
#include <stdlib.h>

#include "call/fold.h"

#define FOLD_CASE_EVENTS_MAX 64

struct fold_case {
	/* Each event's texts lie in its parser and in its line. */
	struct callev_parser *parsers[FOLD_CASE_EVENTS_MAX];
	char *lines[FOLD_CASE_EVENTS_MAX];
	struct callev events[FOLD_CASE_EVENTS_MAX];
	size_t n;
	struct folder *folder;
	struct fold_in in;
};

static inline void fold_case_init(struct fold_case *c)
{
	memset(c, 0, sizeof(*c));
	c->folder = folder_new();
	assert_non_null(c->folder);
	c->in.recordings = CFG_RECORDINGS_NEVER;
	c->in.closed_by = CLOSED_BY_END;
}

static inline void fold_case_fini(struct fold_case *c)
{
	for (size_t i = 0; i < c->n; i++) {
		callev_parser_free(c->parsers[i]);
		free(c->lines[i]);
	}
	folder_free(c->folder);
}

static inline void fold_case_add(struct fold_case *c, struct slice json)
{
	struct parse_error error = { 0, "" };

	assert_true(c->n < FOLD_CASE_EVENTS_MAX);
	c->parsers[c->n] = callev_parser_new();
	c->lines[c->n] = slice_dup(json);
	assert_true(c->parsers[c->n] && c->lines[c->n]);
	json.p = c->lines[c->n];
	if (callev_parse(c->parsers[c->n], json, &c->events[c->n], &error))
		fail_msg("event %zu, byte %zu: %s\n%.*s", c->n, error.offset, error.reason,
			 SLICE_ARG(json));
	c->n++;
}

static inline int fold_case_order(const void *a, const void *b)
{
	const struct callev *x = a, *y = b;
	int64_t x_seq = x->seq != CALLEV_NO_NUMBER ? x->seq : 0;
	int64_t y_seq = y->seq != CALLEV_NO_NUMBER ? y->seq : 0;

	if (callev_time(x) != callev_time(y))
		return callev_time(x) < callev_time(y) ? -1 : 1;
	if (x_seq != y_seq)
		return x_seq < y_seq ? -1 : 1;
	return uuid_cmp(&x->id, &y->id);
}

/* Orders the events; returns what fold returns, with the record in *ret. */
static inline int fold_case_fold(struct fold_case *c, struct record *ret)
{
	size_t kept = 0;

	qsort(c->events, c->n, sizeof(*c->events), fold_case_order);
	for (size_t i = 0; i < c->n; i++) {
		if (kept == 0 || !uuid_eq(&c->events[kept - 1].id, &c->events[i].id))
			c->events[kept++] = c->events[i];
	}
	c->in.events = c->events;
	c->in.events_n = kept;
	if (kept)
		uuid_of_call(c->events[0].account, c->events[0].call_session_id, &c->in.call_id);
	return fold(c->folder, &c->in, ret);
}

#endif
