/*
 * bench.h - callstream-bench: one stage, measured (contract.md 7)
 *
 * A stage exercises the product's own code on fixed input, warms up where that matters, and fills a
 * result; main.c prints it beside its budget. CPU is user and system time of the processes named in
 * the stage's help.
 */
#ifndef CS_BENCH_BENCH_H
#define CS_BENCH_BENCH_H

#include "base/cfg.h"

struct bench_opts {
	uint64_t items; /* 0: the stage's default */
	uint64_t open;  /* calls open at a time; 0: the stage's default */
	unsigned connections;
	const char *ack; /* "spool" or "kafka" */
	bool keep_raw;   /* events carry the vendor's request, as by default they do */
	bool no_broker;  /* ingest: Kafka is away, the spool keeps all */
	bool kill;       /* restore: after kill -9 instead of a shutdown in order */
	uint64_t seed;
};

#define BENCH_EXTRAS_MAX 20u

struct bench_extra {
	const char *name;
	double value;
};

struct bench_result {
	uint64_t items;
	double cpu_s, wall_s;
	double budget_us; /* CPU of an item; 0: there is none */
	uint64_t peak_rss_bytes;
	struct bench_extra extras[BENCH_EXTRAS_MAX];
	size_t extras_n;
};

/* name is constant text, with its unit at the end. */
void bench_add(struct bench_result *res, const char *name, double value);

struct bench_stage {
	const char *name, *item; /* "event" */
	const char *summary;
	uint64_t items; /* by default */
	/* 0, or an exit code after telling why (bench_fail). */
	int (*run)(const struct bench_opts *opts, struct bench_result *res);
};

extern const struct bench_stage stage_decode, stage_core, stage_correlate, stage_ingest,
    stage_spool, stage_restore, stage_memory;

/* "callstream-bench: text" to stderr; returns code (contract.md 1). */
enum { BENCH_WRONG = 1, BENCH_USAGE = 2, BENCH_NOT_REACHABLE = 3, BENCH_KILLED = 9 };
int bench_fail(int code, const char *format, ...) PRINTF(2, 3);
/* A line of progress to stderr. */
void bench_say(const char *format, ...) PRINTF(1, 2);

/* tools.c: `gen` and `verify` become the Python programs; returns only on failure. */
int bench_exec(const char *program, char **args);
/* The same as a child, waited for. 0 or an exit code. */
int bench_python(const char *program, const char *const *args);
/* The folder of bench/, to be freed; NULL when it is not there. */
char *bench_folder(void);
/* The commit of the source tree, "unknown" without. */
const char *bench_commit(void);

#endif
