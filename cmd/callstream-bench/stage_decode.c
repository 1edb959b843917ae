/*
 * stage_decode.c - a webhook becomes a canonical event, as ingest does it, without HTTP
 */
#include <stdlib.h>

#include "base/clock.h"
#include "bench.h"
#include "measure.h"
#include "traffic.h"

#define CALLS     1000
#define BATCH     64 /* timed together: a clock read costs as much as a tenth of a decode */
#define BUDGET_US 3.0

struct decoder {
	const struct traffic *t;
	struct dialect_scratch *scratch;
	struct buf out;
	uint64_t events, bytes;
};

/* write: the event's JSON too, which is what goes into the log. */
static int decode_one(struct decoder *d, size_t i, bool write)
{
	const struct traffic_request *r = &d->t->requests[i % d->t->requests_n];
	struct dialect_result res;

	if (dialect_decode(r->account, &r->req, d->scratch, &res))
		return bench_fail(BENCH_WRONG, "out of memory");
	if (res.verdict != DIALECT_EVENT)
		return 0;
	d->events++;
	if (!write)
		return 0;
	buf_reset(&d->out);
	callev_write(&d->out, &res.ev);
	d->bytes += d->out.n;
	return 0;
}

static int decode_many(struct decoder *d, uint64_t n, bool write, struct latency *l)
{
	int code = 0;

	for (uint64_t i = 0; !code && i < n; i += BATCH) {
		int64_t began_us = clock_mono_us();
		size_t k;

		for (k = 0; !code && k < BATCH && i + k < n; k++)
			code = decode_one(d, i + k, write);
		latency_add(l, (double)(clock_mono_us() - began_us) / (double)k);
	}
	return code;
}

static int measure(struct decoder *d, const struct bench_opts *opts, struct bench_result *res)
{
	static struct latency warm, with_json, without;
	struct stopwatch began;
	struct bench_result bare = { 0 };
	int code = decode_many(d, d->t->requests_n, true, &warm);

	if (code)
		return code;
	d->events = d->bytes = 0;
	began = stopwatch_now();
	code = decode_many(d, opts->items, true, &with_json);
	stopwatch_add(&began, res);
	bench_add(res, "events", (double)d->events);
	bench_add(res, "bytes_per_event", (double)d->bytes / (double)MAX(d->events, 1));
	latency_report(&with_json, false, res);
	began = stopwatch_now();
	if (!code)
		code = decode_many(d, opts->items, false, &without);
	stopwatch_add(&began, &bare);
	bench_add(res, "without_json_us", bare.cpu_s * 1e6 / (double)opts->items);
	return code;
}

static int run(const struct bench_opts *opts, struct bench_result *res)
{
	struct decoder d = { 0 };
	struct traffic t;
	int code = traffic_load(opts->seed, CALLS, "", &t);

	if (code)
		return code;
	d.t = &t;
	d.scratch = dialect_scratch_new();
	res->items = opts->items;
	res->budget_us = BUDGET_US;
	code = d.scratch ? measure(&d, opts, res) : BENCH_WRONG;
	dialect_scratch_free(d.scratch);
	buf_fini(&d.out);
	traffic_free(&t);
	return code;
}

const struct bench_stage stage_decode = {
	.name = "decode",
	.item = "webhook request",
	.summary = "requests to canonical events, written as JSON with their raw",
	.items = 1000000,
	.run = run,
};
