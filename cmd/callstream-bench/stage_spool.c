/*
 * stage_spool.c - records into the spool and out of it again: group commit with real syncs
 *
 * Two threads append, each with at most a thousand records waiting, as two loops of ingest would.
 * Then one reader drains.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench.h"
#include "measure.h"
#include "services.h"
#include "store/spool.h"

#define THREADS      2
#define WAITING_MAX  1000
#define RECORD_BYTES 1024
#define PER_S        74000.0 /* it must carry what ingest has to */
#define BUDGET_US    (2e6 / PER_S)

struct slot {
	struct spool_waiter waiter;
	int64_t began_us;
	struct slot *next_free;
};

struct producer {
	pthread_t thread;
	struct spool *spool;
	struct spool_outlet *outlet;
	uint64_t items, failed;
	struct latency latency;
	struct slot slots[WAITING_MAX], *free;
	size_t waiting;
};

static void take(struct producer *p)
{
	struct spool_waiter *w = spool_outlet_take(p->outlet);
	int64_t now_us = clock_mono_us();

	while (w) {
		struct slot *slot = CONTAINER_OF(w, struct slot, waiter);

		w = w->next;
		p->failed += slot->waiter.err != 0;
		latency_add(&p->latency, (double)(now_us - slot->began_us));
		slot->next_free = p->free;
		p->free = slot;
		p->waiting--;
	}
}

static void wait_some(struct producer *p)
{
	struct pollfd pfd = { .fd = spool_outlet_fd(p->outlet), .events = POLLIN };

	poll(&pfd, 1, 10000);
	take(p);
}

static void *produce(void *arg)
{
	struct producer *p = arg;
	static char body[RECORD_BYTES];
	struct spool_record rec = { .topic = 1, .key = SLICE("office/746067362500583") };

	rec.value = slice_make(body, sizeof(body));
	for (uint64_t i = 0; i < p->items && !p->failed; i++) {
		struct slot *slot;

		while (!p->free)
			wait_some(p);
		slot = p->free;
		p->free = slot->next_free;
		slot->began_us = clock_mono_us();
		rec.at_ms = slot->began_us / 1000;
		if (spool_append(p->spool, p->outlet, &rec, &slot->waiter)) {
			p->failed++;
			break;
		}
		p->waiting++;
	}
	while (p->waiting > 0)
		wait_some(p);
	return NULL;
}

static int start(struct producer *p, struct spool *spool, uint64_t items)
{
	p->spool = spool;
	p->items = items;
	for (size_t i = 0; i < WAITING_MAX; i++) {
		p->slots[i].next_free = p->free;
		p->free = &p->slots[i];
	}
	if (spool_outlet_new(spool, &p->outlet))
		return bench_fail(BENCH_WRONG, "no outlet");
	return pthread_create(&p->thread, NULL, produce, p) ? BENCH_WRONG : 0;
}

static int append_all(struct spool *spool, uint64_t items, struct latency *latency)
{
	static struct producer producers[THREADS];
	uint64_t failed = 0;
	int code = 0;

	for (size_t i = 0; !code && i < THREADS; i++)
		code = start(&producers[i], spool, items / THREADS);
	for (size_t i = 0; !code && i < THREADS; i++) {
		pthread_join(producers[i].thread, NULL);
		spool_outlet_free(producers[i].outlet);
		failed += producers[i].failed;
		for (size_t k = 0; k < LATENCY_BUCKETS; k++)
			latency->n[k] += producers[i].latency.n[k];
		latency->total += producers[i].latency.total;
	}
	return failed ? bench_fail(BENCH_WRONG, "records were not taken") : code;
}

static int drain_all(struct spool *spool, uint64_t *ret_n)
{
	struct spool_entry entry;
	int r;

	while ((r = spool_next(spool, &entry)) == 1) {
		++*ret_n;
		if (*ret_n % 1000 == 0)
			spool_done(spool, &entry.end);
	}
	return r < 0 ? bench_fail(BENCH_WRONG, "drain: %s", strerror(-r)) : 0;
}

static int measure(struct spool *spool, struct bench_result *res)
{
	static struct latency latency;
	struct bench_result out = { 0 };
	struct stopwatch began = stopwatch_now();
	uint64_t drained = 0;
	double syncs;
	int code = append_all(spool, res->items, &latency);

	if (code)
		return code;
	stopwatch_add(&began, res);
	syncs = metric_sum("callstream_spool_syncs_total");
	began = stopwatch_now();
	code = drain_all(spool, &drained);
	stopwatch_add(&began, &out);
	bench_add(res, "budget_items_per_s", PER_S);
	bench_add(res, "record_bytes", RECORD_BYTES);
	bench_add(res, "syncs", syncs);
	bench_add(res, "records_per_sync", (double)res->items / MAX(syncs, 1));
	bench_add(res, "drained", (double)drained);
	bench_add(res, "drain_cpu_us_per_item", out.cpu_s * 1e6 / (double)MAX(drained, 1));
	bench_add(res, "drain_per_s", (double)drained / out.wall_s);
	latency_report(&latency, true, res);
	return code;
}

static int run(const struct bench_opts *opts, struct bench_result *res)
{
	char dir[] = "/tmp/callstream-bench-XXXXXX";
	struct spool_cfg cfg = { .dir = dir, .bytes_max = UINT64_C(64) << 30 };
	struct buf problem = BUF_EMPTY;
	struct spool *spool = NULL;
	int code = 0;

	if (!mkdtemp(dir))
		return bench_fail(BENCH_WRONG, "no scratch folder");
	res->items = opts->items / THREADS * THREADS;
	res->budget_us = BUDGET_US;
	if (spool_open(&cfg, &spool, &problem))
		code = bench_fail(BENCH_WRONG, "spool: %.*s", SLICE_ARG(buf_slice(&problem)));
	if (!code)
		code = measure(spool, res);
	spool_close(spool);
	buf_fini(&problem);
	services_remove(dir);
	return code;
}

const struct bench_stage stage_spool = {
	.name = "spool",
	.item = "record of 1 KiB, synced",
	.summary = "records into the spool, synced in groups, and out of it again",
	.items = 500000,
	.run = run,
};
