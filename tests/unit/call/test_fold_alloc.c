/*
 * The allocation sweep of parser and fold: the first, second, third ... allocation fails until all
 * succeed. Both take their memory from the arena, so the arena is built in here, on allocators that
 * count; no copy of the library's is linked then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#include <stdbool.h>
#include <stdio.h>

static size_t allocations_left = SIZE_MAX;

static bool allocation_fails(void);
static void *counted_malloc(size_t n);
static void *counted_realloc(void *p, size_t n);

#define malloc  counted_malloc
#define realloc counted_realloc
#include "../../../lib/wire/arena.c"
#include "../../../lib/base/buf.c"
#undef malloc
#undef realloc

#include "call/fold.h"

#define EVENTS 3000 /* so many that each part of a fold needs a block of its own */

static bool allocation_fails(void)
{
	if (allocations_left == 0)
		return true;
	allocations_left--;
	return false;
}

static void *counted_malloc(size_t n)
{
	return allocation_fails() ? NULL : malloc(n);
}

static void *counted_realloc(void *p, size_t n)
{
	return allocation_fails() ? NULL : realloc(p, n);
}

static struct callev events[EVENTS];
static char texts[EVENTS][24];

/* Rings, talks, people, tags, recordings and transfers, each event with texts of its own. */
static void make_events(void)
{
	static const enum callev_kind kinds[] = { CALLEV_LEG_RINGING, CALLEV_TALK_STARTED,
						  CALLEV_TALK_ENDED, CALLEV_RECORDING_AVAILABLE };

	for (size_t i = 0; i < EVENTS; i++) {
		struct callev *ev = &events[i];
		struct slice text;

		callev_init(ev);
		text = slice_make(texts[i], (size_t)snprintf(texts[i], sizeof(texts[i]), "%zu", i));
		ev->kind = kinds[i % ARRAY_LEN(kinds)];
		ev->at_ms = (int64_t)i * 1000;
		ev->account = ev->source = SLICE("callgear");
		ev->call_session_id = SLICE("1");
		ev->leg_id = ev->employee.id = ev->recording = text;
		ev->leg_ids = ev->tags = &ev->leg_id;
		ev->leg_ids_n = ev->tags_n = 1;
	}
}

static void fold_without_memory(void **state)
{
	const struct fold_in in = { .events = events, .events_n = EVENTS };
	struct record rec = { .revision = 77 };
	size_t failed = 0;
	int err = -ENOMEM;

	(void)state;
	make_events();
	for (; err; failed++) {
		struct folder *f = folder_new();

		assert_non_null(f);
		allocations_left = failed;
		err = fold(f, &in, &rec);
		allocations_left = SIZE_MAX;
		assert_true(err == 0 || err == -ENOMEM);
		if (err)
			assert_int_equal(rec.revision, 77); /* untouched */
		/* The same folder works when there is memory again. */
		rec.revision = 77;
		assert_int_equal(fold(f, &in, &rec), 0);
		assert_int_equal(rec.legs_n, EVENTS / 4);
		assert_int_equal(rec.tags_n, EVENTS);
		rec.revision = 77;
		folder_free(f);
	}
	assert_true(failed > 10);
}

static void parse_without_memory(void **state)
{
	struct buf json = BUF_EMPTY;
	size_t failed = 0;
	int err = -ENOMEM;

	(void)state;
	buf_add_text(&json, "{\"schema\":\"callstream.event/1\","
			    "\"id\":\"dcc05207-d224-5e43-8105-6e69f3453ce9\",\"account\":\"a\","
			    "\"source\":\"callgear\",\"call_session_id\":\"1\",\"kind\":\"note\","
			    "\"at\":\"2026-03-14T10:15:02.000Z\",\"said\":[0");
	for (int i = 0; i < 50000; i++)
		buf_add_text(&json, ",1");
	buf_add_text(&json, "]}");
	for (; err; failed++) {
		struct callev_parser *p = callev_parser_new();
		struct parse_error error;
		struct callev ev;

		assert_non_null(p);
		allocations_left = failed;
		err = callev_parse(p, buf_slice(&json), &ev, &error);
		allocations_left = SIZE_MAX;
		assert_true(err == 0 || err == -ENOMEM);
		assert_int_equal(callev_parse(p, buf_slice(&json), &ev, &error), 0);
		assert_int_equal(ev.text.n, 10 + 50000 * 2 + 2);
		callev_parser_free(p);
	}
	assert_true(failed > 2);
	buf_fini(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fold_without_memory),
		cmocka_unit_test(parse_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
