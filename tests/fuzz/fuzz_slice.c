/*
 * Any bytes as a packed slice. The sum is put right, so that what is behind it is reached; the
 * slice is that of the first id. What is refused leaves nothing; what is taken packs to the same
 * bytes, can be replayed with an event of each kind, and comes to its end.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <xxhash.h>

#include "call/calltab.h"

#define HEAD_LEN 9 /* version, calls, orphans */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static const struct cfg *defaults(void)
{
	static struct cfg *cfg;
	struct buf problems = BUF_EMPTY;

	if (!cfg)
		must(cfg_parse("fuzz", SLICE("{}"), &cfg, &problems) == 0);
	buf_fini(&problems);
	return cfg;
}

static void is_empty(const struct calltab *tab)
{
	struct calltab_counts counts;

	calltab_counts(tab, &counts);
	must(counts.open + counts.remembered + counts.orphans == 0);
}

/* The events go to a call of their own; the loaded ones run out of time. */
static void live_on(struct calltab *tab)
{
	struct callev ev;
	int64_t due_ms;

	callev_init(&ev);
	ev.account = SLICE("fuzz");
	ev.source = SLICE("callgear");
	ev.call_session_id = SLICE("1");
	ev.at_ms = 1000;
	for (int kind = 0; kind < CALLEV_KINDS_N; kind++) {
		ev.kind = (enum callev_kind)kind;
		ev.id.b[0] = (uint8_t)kind;
		must(calltab_apply(tab, &ev, 1000, SLICE("{}")) >= 0);
	}
	while ((due_ms = calltab_next_due(tab)) != INT64_MAX)
		must(calltab_tick(tab, due_ms) == 0);
	is_empty(tab);
}

static void unpack(struct calltab *tab, unsigned slice, struct slice bytes)
{
	struct buf again = BUF_EMPTY;
	int err = calltab_slice_unpack(tab, slice, 1, bytes);

	if (err) {
		must(err == -EBADMSG);
		is_empty(tab);
		return;
	}
	must(calltab_slice_pack(tab, slice, &again) == 0);
	must(slice_eq(buf_slice(&again), bytes));
	buf_fini(&again);
	live_on(tab);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct calltab_cfg cfg = { .cfg = defaults(),
					 .calls_max = 1000000,
					 .orphans_max = 1000000,
					 .no_age_limit = true };
	const struct calltab_out out = { .arg = NULL };
	struct uuid first = { { 0 } };
	struct closed_index *closed;
	struct buf bytes = BUF_EMPTY;
	struct calltab *tab;
	uint64_t sum;

	if (size >= HEAD_LEN + UUID_LEN)
		memcpy(first.b, data + HEAD_LEN, UUID_LEN);
	must(closed_new(1, 1000000, &closed) == 0);
	must(calltab_new(&cfg, closed, &out, &tab) == 0);
	buf_add(&bytes, data, size);
	sum = XXH3_64bits(data, size);
	buf_add(&bytes, &sum, sizeof(sum));
	unpack(tab, calltab_slice_of(&first), buf_slice(&bytes));
	buf_fini(&bytes);
	calltab_free(tab);
	closed_free(closed);
	return 0;
}
