/*
 * stage_core.c - decoded events through the call table: open, fold, close, records out as structs
 *
 * Copies of generated calls run side by side, --open of them at a time: event 1 of each, then event
 * 2 of each, so that every event meets a call that left the cache long ago. The clock goes on with
 * the events; grace and remembering are short, so the table keeps its size. As whoever reads a log
 * can, the stage tells the table a few events ahead which come next.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "bench.h"
#include "call/calltab.h"
#include "measure.h"
#include "traffic.h"

#define CALLS     256 /* distinct stories */
#define OPEN      20000u
#define BATCH     1000u /* events between two ticks, like a commit's */
#define BATCH_MS  10
#define BUDGET_US 0.4

static const char settings[] = "numbers: {country: RU}\n"
			       "correlate: {end_grace: 250ms, remember_closed: 2s}\n";

struct core {
	const struct traffic *t;
	struct calltab *tab;
	struct closed_index *closed;
	struct buf closed_ids;
	int64_t now_ms;
	struct callev ahead[CALLTAB_BATCH]; /* made and not applied yet */
	char sessions[CALLTAB_BATCH][TRAFFIC_SESSION_SIZE];
	size_t ahead_n;
	bool copy_only;
	uint64_t applied, records, record_legs, late;
	unsigned in_batch;
	struct latency *latency;
	int64_t batch_us;
};

static void on_record(void *arg, const struct calltab_record *rec)
{
	struct core *c = arg;

	c->records++;
	c->record_legs += rec->record->legs_n;
}

/* The end of a batch, as the correlator has it. */
static int end_batch(struct core *c)
{
	int r;

	c->in_batch = 0;
	c->now_ms += BATCH_MS;
	r = calltab_tick(c->tab, c->now_ms);
	buf_reset(&c->closed_ids);
	if (r == 0)
		r = calltab_trim(c->tab, c->now_ms, &c->closed_ids);
	if (c->latency)
		latency_add(c->latency, (double)(clock_mono_us() - c->batch_us) / BATCH);
	c->batch_us = clock_mono_us();
	return r;
}

static int apply(struct core *c, const struct callev *ev)
{
	int r = calltab_apply(c->tab, ev, c->now_ms, SLICE("{}"));

	if (r < 0)
		return r;
	c->late += r == CALLTAB_LATE;
	c->applied++;
	return ++c->in_batch == BATCH ? end_batch(c) : 0;
}

/* What was made is applied. */
static int apply_ahead(struct core *c)
{
	size_t n = c->ahead_n;
	int r = 0;

	c->ahead_n = 0;
	if (c->copy_only) {
		c->applied += n;
		return 0;
	}
	calltab_prefetch(c->tab, c->ahead, n);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = apply(c, &c->ahead[i]);
	return r < 0 ? bench_fail(BENCH_WRONG, "an event was not taken") : 0;
}

static int take(struct core *c, const struct callev *ev, uint64_t copy)
{
	traffic_copy(ev, copy, c->sessions[c->ahead_n], &c->ahead[c->ahead_n]);
	return ++c->ahead_n == CALLTAB_BATCH ? apply_ahead(c) : 0;
}

/* One wave: `open` copies beginning at `first`, event by event. */
static int wave(struct core *c, uint64_t first, uint64_t open, uint64_t budget)
{
	uint64_t stop = c->applied + budget;
	bool more = true;
	int code;

	for (size_t step = 0; more && c->applied < stop; step++) {
		more = false;
		for (uint64_t k = 0; k < open && c->applied < stop; k++) {
			const struct traffic_call *call = &c->t->calls[(first + k) % c->t->calls_n];

			if (step >= call->n)
				continue;
			more = true;
			code = take(c, &c->t->events[call->first + step], first + k + 1);
			if (code)
				return code;
		}
	}
	return apply_ahead(c);
}

static int waves(struct core *c, uint64_t *first, uint64_t open, uint64_t items)
{
	uint64_t stop = c->applied + items;
	int code = 0;

	while (!code && c->applied < stop) {
		code = wave(c, *first, open, stop - c->applied);
		*first += open;
	}
	return code;
}

/* What the copies themselves cost, which is not the core's. */
static double copying_us(struct core *c, uint64_t open, uint64_t n)
{
	struct stopwatch began = stopwatch_now();
	struct bench_result res = { 0 };
	uint64_t first = 0;

	c->copy_only = true;
	(void)waves(c, &first, open, n);
	c->copy_only = false;
	stopwatch_add(&began, &res);
	return res.cpu_s * 1e6 / (double)n;
}

static int measure(struct core *c, const struct bench_opts *opts, struct bench_result *res)
{
	static struct latency latency;
	uint64_t open = opts->open ? opts->open : OPEN, first = 0;
	struct stopwatch began;
	double copy_us;
	int code = waves(c, &first, open, open * 8);

	if (code)
		return code;
	copy_us = copying_us(c, open, 1000000);
	c->records = c->record_legs = c->late = 0;
	c->latency = &latency;
	c->batch_us = clock_mono_us();
	began = stopwatch_now();
	code = waves(c, &first, open, opts->items);
	stopwatch_add(&began, res);
	res->cpu_s -= copy_us * (double)opts->items / 1e6;
	bench_add(res, "open_calls", (double)open);
	bench_add(res, "records", (double)c->records);
	bench_add(res, "legs_per_record", (double)c->record_legs / (double)MAX(c->records, 1));
	bench_add(res, "late", (double)c->late);
	bench_add(res, "copying_us", copy_us);
	latency_report(&latency, false, res);
	return code;
}

static int run(const struct bench_opts *opts, struct bench_result *res)
{
	static struct core c;
	const struct calltab_out out = { .arg = &c, .record = on_record };
	struct calltab_cfg cfg = { .calls_max = 4000000, .orphans_max = 100000, .no_json = true };
	struct traffic t;
	int code = traffic_load(opts->seed, CALLS, settings, &t);

	if (code)
		return code;
	c = (struct core){ .t = &t, .now_ms = clock_wall_ms() };
	cfg.cfg = t.cfg;
	res->items = opts->items;
	res->budget_us = BUDGET_US;
	if (closed_new(48 * 3600000, 16000000, &c.closed) ||
	    calltab_new(&cfg, c.closed, &out, &c.tab))
		code = bench_fail(BENCH_WRONG, "out of memory");
	if (!code) {
		calltab_begin_commit(c.tab, 1);
		code = measure(&c, opts, res);
	}
	calltab_free(c.tab);
	closed_free(c.closed);
	buf_fini(&c.closed_ids);
	traffic_free(&t);
	return code;
}

const struct bench_stage stage_core = {
	.name = "core",
	.item = "decoded event",
	.summary = "decoded events through the call table, records out (no JSON in, no Kafka)",
	.items = 4000000,
	.run = run,
};
