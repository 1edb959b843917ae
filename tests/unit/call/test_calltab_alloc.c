/*
 * The allocation sweep of table and closed index: the first, second, third ... allocation fails
 * until all succeed. Their files are built in here, on allocators that count; a name that two of
 * them have is given another one.
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
#include <string.h>
#include <xxhash.h>

static size_t allocations_left = SIZE_MAX;
static bool one_failed;

static bool allocation_fails(void);
static void *counted_malloc(size_t n);
static void *counted_calloc(size_t n, size_t size);
static void *counted_realloc(void *p, size_t n);

#define malloc  counted_malloc
#define calloc  counted_calloc
#define realloc counted_realloc
#include "../../../lib/base/buf.c"

#define put  map_put
#define find map_find
#define home map_home
#include "../../../lib/call/calltab_map.c"
#undef put
#undef find
#undef home
#define enter timer_enter
#include "../../../lib/call/calltab_timers.c"
#undef enter
#define reserve facts_reserve
#include "../../../lib/call/calltab_facts.c"
#include "../../../lib/call/calltab_facts_read.c"
#undef reserve
#include "../../../lib/call/calltab_rules.c"
#include "../../../lib/call/calltab_items.c"
#define order victim_order
#define sift  victim_sift
#include "../../../lib/call/calltab_limit.c"
#undef order
#undef sift
#include "../../../lib/call/calltab.c"
#include "../../../lib/call/calltab_pack.c"
#define put   closed_put
#define find  closed_find
#define block closed_block
#define home  closed_home
#undef SLOTS_MIN
#include "../../../lib/call/closed.c"
#undef put
#undef find
#undef malloc
#undef calloc
#undef realloc

static bool allocation_fails(void)
{
	if (allocations_left == 0)
		return one_failed = true;
	allocations_left--;
	return false;
}

static void *counted_malloc(size_t n)
{
	return allocation_fails() ? NULL : malloc(n);
}

static void *counted_calloc(size_t n, size_t size)
{
	return allocation_fails() ? NULL : calloc(n, size);
}

static void *counted_realloc(void *p, size_t n)
{
	return allocation_fails() ? NULL : realloc(p, n);
}

struct world {
	struct cfg *cfg;
	struct calltab *tab, *again;
	struct closed_index *closed;
	struct buf ids, bytes;
};

static int apply_event(struct world *w, unsigned i)
{
	static const enum callev_kind kinds[] = { CALLEV_NOTE,         CALLEV_NOTE,
						  CALLEV_CALL_STARTED, CALLEV_LEG_RINGING,
						  CALLEV_TALK_STARTED, CALLEV_TALK_ENDED,
						  CALLEV_LEG_RINGING,  CALLEV_CALL_ENDED };
	struct buf json = BUF_EMPTY;
	char session[16], leg[16];
	struct callev ev;
	int change;

	snprintf(session, sizeof(session), "%u", i / 8);
	snprintf(leg, sizeof(leg), "%u", i);
	callev_init(&ev);
	memcpy(ev.id.b, &i, sizeof(i));
	ev.account = slice_of(i % 16 < 8 ? "acme" : "buro");
	ev.source = SLICE("mango");
	ev.call_session_id = slice_of(session);
	ev.kind = kinds[i % 8];
	ev.leg_id = slice_of(leg);
	ev.name = SLICE("something long enough to make the call grow once more");
	ev.at_ms = ev.received_at_ms = 1000 * (int64_t)(i ^ 1); /* out of order */
	if (i % 8 == 7)
		ev.id.b[0]--; /* an earlier event again, received later */
	callev_write(&json, &ev);
	change = json.bad ? -ENOMEM : calltab_apply(w->tab, &ev, i * 1000, buf_slice(&json));
	buf_fini(&json);
	return MIN(change, 0);
}

static int move_slices(struct world *w)
{
	int err = 0;

	for (unsigned i = 0; i < CALLTAB_SLICES && !err; i++) {
		if (!calltab_slice_dirty(w->tab, i))
			continue;
		buf_reset(&w->bytes);
		err = calltab_slice_pack(w->tab, i, &w->bytes);
		if (!err)
			err = calltab_slice_unpack(w->again, i, 0, buf_slice(&w->bytes));
	}
	return err;
}

static int live(struct world *w)
{
	const struct calltab_cfg cfg = { .cfg = w->cfg, .calls_max = 6, .orphans_max = 2 };
	const struct calltab_out out = { .arg = NULL };
	int err = closed_new(1000000, 100, &w->closed);

	if (!err)
		err = calltab_new(&cfg, w->closed, &out, &w->tab);
	if (!err)
		err = calltab_new(&cfg, w->closed, &out, &w->again);
	for (unsigned i = 0; i < 66 && !err; i++)
		err = apply_event(w, i);
	if (!err)
		err = calltab_trim(w->tab, 70000, &w->ids);
	if (!err)
		err = calltab_tick(w->tab, 71000);
	if (!err)
		err = move_slices(w);
	buf_reset(&w->bytes);
	if (!err && !closed_take_block(w->closed, &w->bytes))
		err = -ENOMEM;
	if (!err)
		err = calltab_tick(w->again, 100000000);
	return err;
}

static void end(struct world *w)
{
	calltab_free(w->tab);
	calltab_free(w->again);
	closed_free(w->closed);
	buf_fini(&w->ids);
	buf_fini(&w->bytes);
}

static void no_failed_allocation_breaks_it(void **state)
{
	struct buf problems = BUF_EMPTY;
	struct cfg *cfg;
	size_t failed = 0;
	int err;

	(void)state;
	assert_int_equal(cfg_parse("test", SLICE("{}"), &cfg, &problems), 0);
	buf_fini(&problems);
	do {
		struct world w = { .cfg = cfg, .ids = BUF_EMPTY, .bytes = BUF_EMPTY };

		allocations_left = failed;
		one_failed = false;
		err = live(&w);
		assert_true(err == 0 || err == -ENOMEM);
		allocations_left = SIZE_MAX;
		end(&w);
		failed++;
	} while (one_failed); /* timers do without a list that has no memory */
	assert_true(failed > 100);
	cfg_free(cfg);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_failed_allocation_breaks_it),
	};

	return cmocka_run_group_tests_name("calltab allocations", tests, NULL, NULL);
}
