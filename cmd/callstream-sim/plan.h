/*
 * plan.h - what a seed decides before a life begins
 */
#ifndef CS_SIM_PLAN_H
#define CS_SIM_PLAN_H

#include "base/cfg.h"
#include "disk.h"
#include "log/mem/memlog.h"
#include "net_out.h"

#define RULES_N 2 /* settings that decide records, to start with one and go on with another */

struct plan {
	size_t calls_n;
	unsigned correlators, delivers;
	struct cfg cfg[RULES_N];
	struct memlog_settings settings;
	struct memlog_faults log_faults;
	struct disk_faults disk_faults;
	struct crm_faults crm;
	uint64_t disk_bytes, segment_bytes;
	uint32_t kill_rate, stop_rate; /* at each point, per million */
	/* how often the operator does something, per million turns of 50 ms */
	uint32_t kill, stop, freeze, power_cut, damage, clock_step, rules, kick, rebalance, fence,
	    foreign, compact, away, disk_full, meddle;
	int64_t gap_us_max; /* between two requests of a call */
	bool late;          /* calls leave the table soon */
	bool restless;      /* calls close before their events are there */
	bool limited;       /* the table is smaller than what happens at the same time */
};

/* Draws it. base is borrowed, and what the configs point to. */
void plan_make(const struct cfg *base, struct plan *ret);
void plan_free(struct plan *p);

#endif
