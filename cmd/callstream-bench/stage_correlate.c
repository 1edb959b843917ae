/*
 * stage_correlate.c - role correlate empties a topic that was filled before, exactly once, on a
 * real broker
 *
 * The role runs in this process with its default settings but for a short grace, so that records
 * are part of the work. Filling happens in a process of its own. CPU is this process's; the
 * broker's share, which Kafka's own user would pay too, stands beside it.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench.h"
#include "measure.h"
#include "services.h"
#include "traffic.h"

#define CALLS       256 /* distinct stories */
#define OPEN        20000u
#define PARTITIONS  12
#define BUDGET_US   2.5
#define STALL_MS    60000
#define METRIC_READ "callstream_correlate_events_total"

struct fill {
	const struct traffic *t;
	uint64_t items, open;
	bool keep_raw;
};

static int fill_wave(struct filler *f, const struct fill *fill, uint64_t first, uint64_t *left)
{
	char text[TRAFFIC_SESSION_SIZE];
	struct callev ev;
	bool more = true;
	int code = 0;

	for (size_t step = 0; more; step++) {
		more = false;
		for (uint64_t k = 0; *left > 0 && !code && k < fill->open; k++) {
			uint64_t copy = first + k;
			const struct traffic_call *call = &fill->t->calls[copy % fill->t->calls_n];

			if (step >= call->n)
				continue;
			more = true;
			--*left;
			traffic_copy(&fill->t->events[call->first + step], copy + 1, text, &ev);
			/* A parsed event has no raw: a text of its usual size stands for it. */
			if (fill->keep_raw)
				traffic_raw(fill->t, call->first + step, &ev);
			code = filler_add(f, &ev);
		}
	}
	return code;
}

static int fill_topic(void *arg)
{
	struct fill *fill = arg;
	uint64_t left = fill->items, first = 0;
	struct filler f = { 0 };
	struct log *log;
	int code = services_log(fill->t->cfg, &log);

	if (!code)
		code = filler_begin(&f, log);
	while (!code && left > 0) {
		code = fill_wave(&f, fill, first, &left);
		first += fill->open;
	}
	if (!code)
		code = filler_end(&f);
	bench_say("filled %llu events, %llu bytes each", (unsigned long long)fill->items,
		  (unsigned long long)(f.bytes / MAX(fill->items, 1)));
	return code;
}

/* Until all are read: when the first one was, and when the last. */
static int drain(uint64_t items, double *first_s)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int64_t moved_ms = clock_mono_ms();
	double before = 0;

	*first_s = 0;
	for (;;) {
		double done = metric_sum(METRIC_READ);

		if (done > 0 && *first_s == 0)
			*first_s = stopwatch_now().wall_s;
		if (done >= (double)items)
			return 0;
		if (done > before)
			moved_ms = clock_mono_ms();
		else if (clock_mono_ms() - moved_ms > STALL_MS)
			return bench_fail(BENCH_WRONG, "stopped after %.0f of %llu events", done,
					  (unsigned long long)items);
		before = done;
		nanosleep(&pause, NULL);
	}
}

static int measure(const struct services *s, const struct cfg *cfg, struct bench_result *res)
{
	double broker_s = process_cpu_s(s->broker_pid), first_s;
	struct stopwatch began = stopwatch_now();
	struct running_role role = { 0 };
	int code = running_start(&role_correlate, cfg, &role);

	if (!code)
		code = drain(res->items, &first_s);
	if (!code) {
		/* The end in order belongs to it: the last commit, and all slices. */
		double read_s = stopwatch_now().wall_s;

		running_stop(&role, 60000);
		stopwatch_add(&began, res);
		bench_add(res, "drained_s", read_s - first_s);
		bench_add(res, "drained_per_s", (double)res->items / (read_s - first_s));
		bench_add(res, "records", metric_sum("callstream_correlate_records_total"));
		bench_add(res, "commits", metric_sum("callstream_transactions_total"));
	}
	if (s->broker_pid)
		bench_add(res, "broker_cpu_us_per_item",
			  (process_cpu_s(s->broker_pid) - broker_s) * 1e6 / (double)res->items);
	return code;
}

static int run_with(const struct services *s, const struct bench_opts *opts,
		    struct bench_result *res)
{
	struct buf settings = BUF_EMPTY;
	struct fill fill = { .items = opts->items,
			     .open = opts->open ? opts->open : OPEN,
			     .keep_raw = opts->keep_raw };
	struct traffic t;
	char *text;
	int code;

	services_config(s, PARTITIONS, &settings);
	buf_add_text(&settings, "numbers: {country: RU}\ncorrelate: {end_grace: 100ms}\n");
	text = buf_take_text(&settings);
	code = traffic_load(opts->seed, CALLS, text, &t);
	free(text);
	if (code)
		return code;
	fill.t = &t;
	res->items = opts->items;
	res->budget_us = BUDGET_US;
	code = services_apart(fill_topic, &fill);
	if (!code)
		code = measure(s, t.cfg, res);
	traffic_free(&t);
	return code;
}

static int run(const struct bench_opts *opts, struct bench_result *res)
{
	struct services s;
	int code = services_start(&s);

	if (code)
		return code;
	code = run_with(&s, opts, res);
	services_stop(&s);
	return code;
}

const struct bench_stage stage_correlate = {
	.name = "correlate",
	.item = "event",
	.summary = "role correlate drains a pre-filled topic, exactly once, on a real broker",
	.items = 1000000,
	.run = run,
};
