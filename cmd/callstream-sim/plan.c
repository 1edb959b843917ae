#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "world.h"

/* One of two lives knows this fault at all; those that do, from once in a while to always. */
static uint32_t rate(uint32_t most)
{
	return world_below(2) ? 0 : (uint32_t)(most >> world_below(8));
}

static int64_t between(int64_t low, int64_t high)
{
	return low + (int64_t)world_below((uint64_t)(high - low) + 1);
}

static void make_closers(struct cfg_closers *c)
{
	*c = (struct cfg_closers){
		.end_grace_ms = between(0, 1500),
		.no_summary_after_ms = between(1000, 5000),
		.lost_without_end_after_ms = between(1000, 5000),
		.talk_without_end_after_ms = between(2000, 6000),
		.silent_call_after_ms = between(4000, 9000),
		.recording_wait_ms = between(2000, 8000),
	};
}

/* Calls are closed again and again while their events still come: many revisions. */
static void make_restless_closers(struct cfg_closers *c)
{
	*c = (struct cfg_closers){
		.end_grace_ms = between(0, 100),
		.no_summary_after_ms = between(50, 1000),
		.lost_without_end_after_ms = between(50, 1000),
		.talk_without_end_after_ms = between(50, 1000),
		.silent_call_after_ms = between(50, 1000),
		.recording_wait_ms = between(50, 2000),
	};
}

static void make_cfg(const struct cfg *base, const struct plan *p, struct cfg *ret)
{
	struct cfg_correlate *c = &ret->correlate;

	*ret = *base;
	if (p->restless)
		make_restless_closers(&c->closers);
	else
		make_closers(&c->closers);
	c->workers = 1 + (uint32_t)world_below(2);
	c->remember_closed_ms = p->late ? between(50, 4000) : 600000;
	c->closed_index_ms = INT64_C(48) * 3600000;
	c->checkpoint_every_ms = p->late && world_below(2) ? between(8000, 20000)
							   : between(200, 5000);
	c->commit_every_ms = between(10, 300);
	c->orphan_wait_ms = p->late ? between(1000, 5000) : 600000;
	if (p->limited)
		c->open_calls_max = (uint64_t)between(1, 5);
	ret->ingest.ack_wait_ms = between(20, 500);
	ret->ingest.ack = world_below(2) ? CFG_ACK_KAFKA : CFG_ACK_SPOOL;
	ret->deliver.retry_first_ms = between(50, 1000);
	ret->deliver.retry_max_ms = between(1000, 5000);
	ret->accounts = calloc(base->accounts_n, sizeof(*ret->accounts));
	memcpy(ret->accounts, base->accounts, base->accounts_n * sizeof(*ret->accounts));
	for (size_t i = 0; i < base->accounts_n; i++)
		ret->accounts[i].closers = c->closers;
}

static void make_log_faults(struct memlog_faults *f)
{
	*f = (struct memlog_faults){
		.append_full = rate(20000),
		.append_lost = rate(20000),
		.append_floats = rate(5000),
		.append_fatal = rate(5000),
		.produce_abort = rate(5000),
		.commit_abort = rate(50000),
		.commit_lost = rate(50000),
		.commit_floats = rate(20000),
		.commit_late = rate(20000),
		.illegal = rate(50000),
		.fenced = rate(5000),
		.marker_late = rate(50000),
		.rebalance = rate(2000),
		.kicked = rate(1000),
		.poll_again = rate(5000),
		.stalled = rate(20000),
		.lag_unknown = rate(50000),
		.away = rate(1000),
		.away_ms = between(100, 20000),
	};
}

static void make_crm(struct crm_faults *f)
{
	*f = (struct crm_faults){
		.refused = rate(200000),
		.hangs = rate(50000),
		.breaks = rate(100000),
		.fails = rate(200000),
		.busy = rate(50000),
		.stops = world_below(3) ? rate(50000) : 300000,
	};
}

static void make_operator(struct plan *p)
{
	p->kill = rate(40000);
	p->stop = rate(40000);
	p->freeze = rate(20000);
	p->power_cut = rate(20000);
	p->clock_step = rate(10000);
	p->rules = rate(20000);
	p->kick = rate(20000);
	p->rebalance = rate(20000);
	p->fence = rate(20000);
	p->foreign = rate(20000);
	p->compact = rate(50000);
	p->away = rate(10000);
	p->disk_full = rate(10000);
	p->meddle = rate(10000);
}

void plan_make(const struct cfg *base, struct plan *ret)
{
	struct cfg *first;

	memset(ret, 0, sizeof(*ret));
	ret->calls_n = 1 + (size_t)world_below(10);
	ret->correlators = 1 + (unsigned)world_below(3);
	ret->delivers = 1 + (unsigned)world_below(2);
	ret->limited = world_below(8) == 0;
	ret->restless = world_below(4) == 0;
	ret->late = world_below(3) == 0;
	for (size_t i = 0; i < RULES_N; i++)
		make_cfg(base, ret, &ret->cfg[i]);
	first = &ret->cfg[0];
	first->kafka.partitions = 1 + (uint32_t)world_below(4);
	for (size_t i = 1; i < RULES_N; i++)
		ret->cfg[i].kafka.partitions = first->kafka.partitions;
	memlog_settings_default(&ret->settings);
	make_log_faults(&ret->log_faults);
	ret->disk_faults = (struct disk_faults){ .eio_read = rate(2000),
						 .eio_write = rate(10000),
						 .eio_sync = rate(20000),
						 .eio_name = rate(10000),
						 .short_io = rate(50000) };
	ret->disk_bytes = 64u << 20;
	ret->segment_bytes = world_below(2) ? 0 : (uint64_t)between(2000, 30000);
	ret->kill_rate = rate(2000);
	ret->stop_rate = rate(1000);
	make_crm(&ret->crm);
	ret->gap_us_max = between(1000, ret->restless ? 1500000 : 400000);
	make_operator(ret);
	/* A proof holds for less than a session; who is thrown out before its end is not bound. */
	if (ret->kick || ret->log_faults.kicked)
		ret->crm.stops = 0;
}

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < RULES_N; i++)
		free(p->cfg[i].accounts);
}
