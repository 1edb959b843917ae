/*
 * stage_memory.c - what an open call of three legs takes: the slope of resident memory between a
 * tenth and all of the calls
 */
#include <stdlib.h>

#include "base/clock.h"
#include "bench.h"
#include "call/calltab.h"
#include "measure.h"
#include "traffic.h"

#define BUDGET_BYTES 1024.0

static const char config[] = "accounts:\n"
			     "  - {name: office, source: callgear, timezone: Europe/Moscow, "
			     "token: t, recordings: never}\n";

static int open_calls(struct calltab *tab, uint64_t from, uint64_t to)
{
	int64_t now_ms = clock_wall_ms();
	char text[TRAFFIC_SESSION_SIZE];
	struct callev ev;

	for (uint64_t i = from; i < to; i++) {
		for (unsigned step = 0; step < TRAFFIC_OPEN_EVENTS; step++) {
			traffic_open_call(i, step, now_ms, text, &ev);
			if (calltab_apply(tab, &ev, now_ms, SLICE("{}")) < 0)
				return bench_fail(BENCH_WRONG, "an event was not taken");
		}
	}
	return 0;
}

static int measure(struct calltab *tab, const struct bench_opts *opts, struct bench_result *res)
{
	uint64_t few = MAX(opts->items / 10, 1), before, after;
	struct calltab_counts counts;
	struct stopwatch began = stopwatch_now();
	double slope;
	int code = open_calls(tab, 0, few);

	if (code)
		return code;
	before = process_rss_bytes();
	code = open_calls(tab, few, opts->items);
	after = process_rss_bytes();
	stopwatch_add(&began, res);
	calltab_counts(tab, &counts);
	slope = ((double)after - (double)before) / (double)(opts->items - few);
	bench_add(res, "bytes_per_item", slope);
	bench_add(res, "budget_bytes_per_item", BUDGET_BYTES);
	bench_add(res, "open_calls", (double)counts.open);
	bench_add(res, "table_bytes_per_item", (double)counts.bytes / (double)opts->items);
	return code;
}

static int run(const struct bench_opts *opts, struct bench_result *res)
{
	struct calltab_cfg table = { .calls_max = opts->items * 2, .orphans_max = 1000 };
	const struct calltab_out out = { .arg = NULL };
	struct buf problems = BUF_EMPTY;
	struct closed_index *closed = NULL;
	struct calltab *tab = NULL;
	struct cfg *cfg = NULL;
	int code = 0;

	if (cfg_parse("bench", slice_of(config), &cfg, &problems))
		return bench_fail(BENCH_WRONG, "%.*s", SLICE_ARG(buf_slice(&problems)));
	table.cfg = cfg;
	res->items = opts->items;
	if (opts->items < 2 || closed_new(48 * 3600000, 1000, &closed) ||
	    calltab_new(&table, closed, &out, &tab))
		code = bench_fail(BENCH_WRONG, "no table");
	if (!code) {
		calltab_begin_commit(tab, 1);
		code = measure(tab, opts, res);
	}
	calltab_free(tab);
	closed_free(closed);
	cfg_free(cfg);
	buf_fini(&problems);
	return code;
}

const struct bench_stage stage_memory = {
	.name = "memory",
	.item = "open call of three legs",
	.summary = "memory of open calls: the slope between a tenth and all of them",
	.items = 1000000,
	.run = run,
};
