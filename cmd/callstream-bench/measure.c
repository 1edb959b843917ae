#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

/* ---- CPU and time ---- */

static double seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

struct stopwatch stopwatch_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (struct stopwatch){ (double)clock_mono_us() / 1e6,
				   seconds(usage.ru_utime) + seconds(usage.ru_stime) };
}

void stopwatch_add(const struct stopwatch *since, struct bench_result *res)
{
	struct stopwatch now = stopwatch_now();

	res->wall_s += now.wall_s - since->wall_s;
	res->cpu_s += now.cpu_s - since->cpu_s;
}

/* ---- what /proc says ---- */

static bool read_proc(pid_t pid, const char *what, char *text, size_t size)
{
	char path[64];
	size_t n;
	FILE *file;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	else
		snprintf(path, sizeof(path), "/proc/self/%s", what);
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	fclose(file);
	return n > 0;
}

/* The nth number behind the name in parentheses. */
static double stat_field(const char *text, int n)
{
	const char *p = strrchr(text, ')');

	while (p && n-- > 0)
		p = strchr(p + 1, ' ');
	return p ? strtod(p, NULL) : 0;
}

double process_cpu_s(pid_t pid)
{
	char text[1024];

	if (!read_proc(pid, "stat", text, sizeof(text)))
		return 0;
	return (stat_field(text, 12) + stat_field(text, 13)) / (double)sysconf(_SC_CLK_TCK);
}

static uint64_t status_kb(pid_t pid, const char *key)
{
	char text[8192];
	const char *at;

	if (!read_proc(pid, "status", text, sizeof(text)))
		return 0;
	at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

uint64_t process_peak_rss_bytes(pid_t pid)
{
	return status_kb(pid, "VmHWM:") * 1024;
}

uint64_t process_rss_bytes(void)
{
	return status_kb(0, "VmRSS:") * 1024;
}

/* ---- percentiles ---- */

static unsigned bucket_of(uint64_t ns)
{
	unsigned top;

	if (ns < 64)
		return (unsigned)ns;
	top = 63u - (unsigned)__builtin_clzll(ns);
	return 64u * (top - 5u) + (unsigned)((ns >> (top - 6u)) & 63u);
}

/* The middle of a bucket. */
static double bucket_ns(unsigned bucket)
{
	unsigned top = bucket / 64u + 5u;

	if (bucket < 64)
		return bucket;
	return ((double)(64u + bucket % 64u) + 0.5) * (double)(UINT64_C(1) << (top - 6u));
}

void latency_add(struct latency *l, double us)
{
	l->n[bucket_of(us > 0 ? (uint64_t)(us * 1000) : 0)]++;
	l->total++;
}

double latency_us(const struct latency *l, double share)
{
	double wanted = (double)l->total * share;
	uint64_t seen = 0;
	unsigned i = 0;

	while (i < LATENCY_BUCKETS - 1 && (double)(seen += l->n[i]) < wanted)
		i++;
	return bucket_ns(i) / 1000;
}

void latency_report(const struct latency *l, bool in_ms, struct bench_result *res)
{
	static const struct {
		double share;
		const char *us, *ms;
	} rows[] = { { 0.5, "p50_us", "p50_ms" },
		     { 0.99, "p99_us", "p99_ms" },
		     { 0.999, "p999_us", "p999_ms" } };

	for (size_t i = 0; l->total > 0 && i < ARRAY_LEN(rows); i++) {
		double us = latency_us(l, rows[i].share);

		bench_add(res, in_ms ? rows[i].ms : rows[i].us, in_ms ? us / 1000 : us);
	}
}
