/*
 * stage_restore.c - a correlator with many open calls is restarted: until its first new record
 *
 * One process fills the topic with calls of three legs that go on, another one runs role correlate
 * until it has read them all and ends in order (or by kill -9, --kill). Then some calls end while
 * nobody reads, and the role starts in this process; the clock stops when the first of their
 * records can be read by a read-committed reader. Both are the same member of the group, as a
 * process is that its supervisor starts again; another member would wait for the session of a
 * killed one (10 s).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench.h"
#include "call/callev.h"
#include "measure.h"
#include "services.h"
#include "traffic.h"

#define PARTITIONS  12
#define WAVE        20000u
#define ENDED       1200u /* calls that end in between: some in each partition */
#define BUDGET_S    10.0
#define WAIT_MS     120000
#define STALL_MS    60000
#define METRIC_READ "callstream_correlate_events_total"

struct plan {
	const struct cfg *cfg;
	uint64_t calls;
	bool kill;
};

/* ---- what was before ---- */

static int fill(void *arg)
{
	const struct plan *plan = arg;
	int64_t now_ms = clock_wall_ms();
	char text[TRAFFIC_SESSION_SIZE];
	struct callev ev;
	struct filler f;
	struct log *log;
	int code = services_log(plan->cfg, &log);

	if (!code)
		code = filler_begin(&f, log);
	for (uint64_t first = 0; !code && first < plan->calls; first += WAVE) {
		for (unsigned step = 0; step < TRAFFIC_OPEN_EVENTS; step++) {
			for (uint64_t i = first; !code && i < MIN(first + WAVE, plan->calls); i++) {
				traffic_open_call(i, step, now_ms, text, &ev);
				code = filler_add(&f, &ev);
			}
		}
	}
	return code ? code : filler_end(&f);
}

static int end_some(void *arg)
{
	const struct plan *plan = arg;
	char text[TRAFFIC_SESSION_SIZE];
	struct callev ev;
	struct filler f;
	struct log *log;
	int code = services_log(plan->cfg, &log);

	if (!code)
		code = filler_begin(&f, log);
	for (uint64_t i = 0; !code && i < MIN(ENDED, plan->calls); i++) {
		traffic_open_call(i, 0, clock_wall_ms(), text, &ev);
		ev.kind = CALLEV_CALL_ENDED;
		ev.id.b[0] = TRAFFIC_OPEN_EVENTS;
		ev.at_ms = clock_wall_ms();
		ev.received_at_ms = ev.at_ms;
		ev.scenario = SLICE_NONE;
		ev.talk_ms = 9000;
		code = filler_add(&f, &ev);
	}
	return code ? code : filler_end(&f);
}

static int wait_read(uint64_t events)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int64_t moved_ms = clock_mono_ms();
	double before = 0, done;

	while ((done = metric_sum(METRIC_READ)) < (double)events) {
		if (done > before)
			moved_ms = clock_mono_ms();
		else if (clock_mono_ms() - moved_ms > STALL_MS)
			return bench_fail(BENCH_WRONG, "stopped after %.0f of %llu events", done,
					  (unsigned long long)events);
		before = done;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int run_before(void *arg)
{
	const struct plan *plan = arg;
	struct running_role role = { 0 };
	int code = running_start(&role_correlate, plan->cfg, &role);

	if (!code)
		code = wait_read(plan->calls * TRAFFIC_OPEN_EVENTS);
	if (code)
		return code;
	bench_say("%.0f calls open", metric_sum("callstream_correlate_calls_open"));
	if (plan->kill)
		raise(SIGKILL);
	running_stop(&role, 60000);
	return 0;
}

/* ---- the restart ---- */

static int wait_record(struct log_reader *reader, const struct stopwatch *began, double *ret_s)
{
	int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
	struct log_msg msg;
	int r;

	do {
		r = log_reader_next(reader, 50, &msg);
		if (r < 0)
			return bench_fail(BENCH_WRONG, "topic calls cannot be read");
		if (clock_mono_ms() > deadline_ms)
			return bench_fail(BENCH_WRONG, "no record came");
	} while (r != 1);
	*ret_s = stopwatch_now().wall_s - began->wall_s;
	return 0;
}

static int restart(const struct plan *plan, struct log_reader *reader, struct bench_result *res)
{
	struct stopwatch began = stopwatch_now();
	struct running_role role = { .role = &role_correlate };
	struct buf problem = BUF_EMPTY;
	double record_s = 0;
	int code = 0;

	if (role_correlate.start(plan->cfg, &role.state, &problem))
		code = bench_fail(BENCH_WRONG, "%.*s", SLICE_ARG(buf_slice(&problem)));
	if (!code)
		code = wait_record(reader, &began, &record_s);
	if (!code) {
		bench_add(res, "restore_s", record_s);
		bench_add(res, "budget_s", BUDGET_S);
		code = wait_read(MIN(ENDED, plan->calls));
		stopwatch_add(&began, res);
		bench_add(res, "all_partitions_s", res->wall_s);
		bench_add(res, "open_calls", metric_sum("callstream_correlate_calls_open"));
	}
	running_stop(&role, 60000);
	buf_fini(&problem);
	return code;
}

static int measure(const struct plan *plan, struct bench_result *res)
{
	static const enum topic calls[] = { TOPIC_CALLS };
	struct log_reader *reader = NULL;
	struct log *log = NULL;
	int code = services_apart(fill, (void *)(uintptr_t)plan);

	if (!code) {
		bench_say("filled");
		code = services_apart(run_before, (void *)(uintptr_t)plan);
		if (plan->kill && code == BENCH_KILLED)
			code = 0;
	}
	if (!code)
		code = services_apart(end_some, (void *)(uintptr_t)plan);
	if (!code)
		code = services_log(plan->cfg, &log);
	if (!code && log_reader_new(log, calls, 1, LOG_END, clock_mono_ms() + WAIT_MS, &reader))
		code = bench_fail(BENCH_WRONG, "topic calls cannot be read");
	if (!code)
		code = restart(plan, reader, res);
	log_reader_free(reader);
	log_close(log);
	return code;
}

static int run_with(const struct services *s, const struct bench_opts *opts,
		    struct bench_result *res)
{
	struct plan plan = { .calls = opts->items, .kill = opts->kill };
	struct buf text = BUF_EMPTY, problems = BUF_EMPTY;
	struct cfg *cfg = NULL;
	int code;

	services_config(s, PARTITIONS, &text);
	buf_printf(&text,
		   "correlate: {instance: bench, end_grace: 1ms, open_calls_max: %llu}\n"
		   "accounts:\n"
		   "  - {name: office, source: callgear, timezone: Europe/Moscow, token: t, "
		   "recordings: never}\n",
		   (unsigned long long)opts->items * 2);
	code = cfg_parse("bench", buf_slice(&text), &cfg, &problems)
		   ? bench_fail(BENCH_WRONG, "%.*s", SLICE_ARG(buf_slice(&problems)))
		   : 0;
	plan.cfg = cfg;
	res->items = opts->items;
	if (!code)
		code = measure(&plan, res);
	cfg_free(cfg);
	buf_fini(&text);
	buf_fini(&problems);
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

const struct bench_stage stage_restore = {
	.name = "restore",
	.item = "open call of three legs",
	.summary = "restart with many open calls, until the first new record can be read",
	.items = 1000000,
	.run = run,
};
