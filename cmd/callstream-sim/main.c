/* callstream-sim: lives of the whole pipeline, each from a seed. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/broken.h"
#include "base/slog.h"
#include "life.h"
#include "shrink.h"

static const char usage[] =
    "callstream-sim --traffic FOLDER [--seed N] [--lives M] [--trace] [--no-shrink]\n"
    "\n"
    "Runs lives of ingest, correlate and deliver on a simulated machine, log, disk and CRM,\n"
    "each from one seed: N, N+1, ... A life that goes wrong is run again with fewer faults\n"
    "until none can be left out; what is left is printed. Exit 1 then.\n"
    "\n"
    "  --traffic FOLDER  calls and their truth, as `callstream-bench gen` writes them\n"
    "  --seed N          the first seed (1)\n"
    "  --lives M         how many (1)\n"
    "  --calls N         takes no more calls than that\n"
    "  --suppressed HEX  faults that do not happen, as the search for the shortest prints them\n"
    "  --trace           prints each life as it happens\n"
    "  --no-shrink       prints a failure as it is\n"
    "  --keep-going      does not stop at the first failure\n"
    "  --broken RULE     breaks a rule of ours, which has to be found (preset sim only)\n"
    "  --broken list     tells which there are\n";

struct totals {
	uint64_t lives, failed, faults, points, processes, calls;
	struct check_counts counts;
	struct memlog_counts log;
	double virtual_s;
};

struct options {
	const char *traffic;
	uint64_t seed, lives;
	bool trace, shrink, keep_going;
	size_t calls_max;
	uint8_t suppressed[512];
	size_t suppressed_n; /* bits */
};

static double cpu_s(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static void add(struct totals *t, const struct life_result *r)
{
	t->lives++;
	t->failed += r->failure[0] != '\0';
	t->faults += r->faults;
	t->points += r->points;
	t->processes += r->processes;
	t->calls += r->calls_n;
	t->virtual_s += (double)r->us / 1e6;
	t->counts.events += r->counts.events;
	t->counts.repeated += r->counts.repeated;
	t->counts.records += r->counts.records;
	t->counts.revisions += r->counts.revisions;
	t->counts.heard += r->counts.heard;
	t->counts.heard_again += r->counts.heard_again;
	t->counts.late += r->counts.late;
	t->log.commits += r->log.commits;
	t->log.aborts += r->log.aborts;
	t->log.timed_out += r->log.timed_out;
	t->log.fenced += r->log.fenced;
	t->log.rebalances += r->log.rebalances;
	t->log.expired += r->log.expired;
	t->log.compacted += r->log.compacted;
}

static void print_totals(const struct totals *t, double seconds)
{
	printf("lives %llu, failed %llu; %.0f lives a minute\n", (unsigned long long)t->lives,
	       (unsigned long long)t->failed, (double)t->lives / seconds * 60);
	printf("calls %llu, events %llu (again: %llu; %.0f a minute), records %llu, revisions "
	       "%llu, late %llu\n",
	       (unsigned long long)t->calls, (unsigned long long)t->counts.events,
	       (unsigned long long)t->counts.repeated, (double)t->counts.events / seconds * 60,
	       (unsigned long long)t->counts.records, (unsigned long long)t->counts.revisions,
	       (unsigned long long)t->counts.late);
	printf("faults %llu, processes %llu, points %llu, simulated time %.0f h\n",
	       (unsigned long long)t->faults, (unsigned long long)t->processes,
	       (unsigned long long)t->points, t->virtual_s / 3600);
	printf("transactions committed %llu, aborted %llu, timed out %llu; fenced %llu, rebalances "
	       "%llu, sessions expired %llu\n",
	       (unsigned long long)t->log.commits, (unsigned long long)t->log.aborts,
	       (unsigned long long)t->log.timed_out, (unsigned long long)t->log.fenced,
	       (unsigned long long)t->log.rebalances, (unsigned long long)t->log.expired);
	printf("crm heard %llu, again %llu\n", (unsigned long long)t->counts.heard,
	       (unsigned long long)t->counts.heard_again);
}

static void fail(const struct options *o, uint64_t seed, const struct life_result *r)
{
	printf("seed %llu: %s\n", (unsigned long long)seed, r->failure);
	fflush(stdout);
	if (o->shrink)
		shrink(seed, r);
	fflush(stdout);
}

static int run_lives(const struct options *o)
{
	struct totals totals = { .lives = 0 };
	double began = cpu_s();

	for (uint64_t i = 0; i < o->lives; i++) {
		const struct life_cfg cfg = { .seed = o->seed + i,
					      .trace = o->trace,
					      .calls_max = o->calls_max,
					      .suppressed = o->suppressed,
					      .suppressed_n = o->suppressed_n };
		struct life_result r;

		life_run(&cfg, &r);
		add(&totals, &r);
		if (!r.failure[0])
			continue;
		fail(o, cfg.seed, &r);
		if (!o->keep_going)
			break;
	}
	print_totals(&totals, cpu_s() - began);
	return totals.failed ? 1 : 0;
}

static bool read_hex(const char *text, struct options *o)
{
	size_t n = 0;
	unsigned byte;

	for (; n < sizeof(o->suppressed) && sscanf(text, "%2x", &byte) == 1; text += 2)
		o->suppressed[n++] = (uint8_t)byte;
	o->suppressed_n = n * 8;
	return *text == '\0';
}

#ifdef CALLSTREAM_BROKEN_RULES
#define RULE_ROW(name, what) { #name, what },
static const struct {
	const char *name, *what;
} rules[] = { { "none", "" }, BROKEN_RULES(RULE_ROW) };
#undef RULE_ROW

static void list_rules(void)
{
	for (size_t i = 1; i < ARRAY_LEN(rules); i++)
		printf("%-20s %s\n", rules[i].name, rules[i].what);
	exit(0);
}

static bool break_rule(const char *name)
{
	if (strcmp(name, "list") == 0)
		list_rules();
	for (size_t i = 1; i < ARRAY_LEN(rules); i++) {
		if (strcmp(rules[i].name, name) == 0)
			broken_rule = (enum broken_rule)i;
	}
	return broken_rule != BROKEN_none;
}
#else
static bool break_rule(const char *name)
{
	fprintf(stderr, "%s: this build keeps all rules\n", name);
	return false;
}
#endif

static bool read_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "traffic", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "lives", required_argument, NULL, 'l' },
		{ "trace", no_argument, NULL, 'T' },
		{ "calls", required_argument, NULL, 'c' },
		{ "suppressed", required_argument, NULL, 'x' },
		{ "no-shrink", no_argument, NULL, 'S' },
		{ "keep-going", no_argument, NULL, 'k' },
		{ "broken", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			o->traffic = optarg;
			break;
		case 's':
			o->seed = strtoull(optarg, NULL, 10);
			break;
		case 'l':
			o->lives = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			o->calls_max = strtoull(optarg, NULL, 10);
			break;
		case 'x':
			if (!read_hex(optarg, o))
				return false;
			break;
		case 'b':
			if (!break_rule(optarg))
				return false;
			break;
		case 'T':
			o->trace = true;
			break;
		case 'S':
			o->shrink = false;
			break;
		case 'k':
			o->keep_going = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			return false;
		}
	}
	return o->traffic && optind == argc;
}

int main(int argc, char **argv)
{
	struct options o = { .seed = 1, .lives = 1, .shrink = true };
	struct buf problem = BUF_EMPTY;
	struct traffic traffic;
	int rc;

	if (!read_options(argc, argv, &o)) {
		fputs(usage, stderr);
		return 2;
	}
	if (traffic_read(o.traffic, &traffic, &problem) < 0 ||
	    lives_begin(&traffic, &problem) < 0) {
		fprintf(stderr, "%.*s\n", (int)problem.n, problem.p ? problem.p : "");
		return 1;
	}
	rc = run_lives(&o);
	lives_end();
	traffic_free(&traffic);
	buf_fini(&problem);
	return rc;
}
