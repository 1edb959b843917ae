/*
 * measure.h - CPU, time, memory, percentiles
 */
#ifndef CS_BENCH_MEASURE_H
#define CS_BENCH_MEASURE_H

#include <stdint.h>
#include <sys/types.h>

#include "bench.h"

struct stopwatch {
	double wall_s, cpu_s;
};

/* Of this process, all threads. */
struct stopwatch stopwatch_now(void);
/* since then, into *res (added). */
void stopwatch_add(const struct stopwatch *since, struct bench_result *res);

/* CPU of another process so far; 0 when it is gone. */
double process_cpu_s(pid_t pid);
uint64_t process_peak_rss_bytes(pid_t pid); /* 0: this one */
uint64_t process_rss_bytes(void);

/* Durations in a fixed number of buckets, 64 to each power of two of nanoseconds. */
#define LATENCY_BUCKETS (64u * 59u)
struct latency {
	uint64_t n[LATENCY_BUCKETS];
	uint64_t total;
};
void latency_add(struct latency *l, double us);
double latency_us(const struct latency *l, double share); /* 0.99 */
/* name_p50_UNIT, ... as p50_ms, p99_ms, p999_ms (unit 1e3) or p50_us (unit 1). */
void latency_report(const struct latency *l, bool in_ms, struct bench_result *res);

#endif
