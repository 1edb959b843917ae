/*
 * main.c - callstream-bench STAGE [--json] [OPTIONS]
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/slog.h"
#include "bench.h"
#include "measure.h"
#include "wire/json_out.h"

static const struct bench_stage *const stages[] = {
	&stage_decode, &stage_core,    &stage_correlate, &stage_ingest,
	&stage_spool,  &stage_restore, &stage_memory,
};

static const struct {
	const char *name, *program, *summary;
} tools[] = {
	{ "gen", "gen/gen.py", "seeded traffic with its truth (Python, shares no code with lib/)" },
	{ "verify", "verify.py", "compares what came out of a run with the truth (Python)" },
};

/* ---- telling ---- */

int bench_fail(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("callstream-bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return code;
}

void bench_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("  ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

void bench_add(struct bench_result *res, const char *name, double value)
{
	if (res->extras_n < BENCH_EXTRAS_MAX)
		res->extras[res->extras_n++] = (struct bench_extra){ name, value };
}

/* ---- options ---- */

enum opt_type { OPT_U64, OPT_UINT, OPT_TEXT, OPT_FLAG, OPT_NO_FLAG };

#define AT(field) offsetof(struct bench_opts, field)
static const struct opt {
	const char *name, *value, *help;
	enum opt_type type;
	size_t at;
} opts_table[] = {
	{ "--items", "N", "how many; each stage has a default", OPT_U64, AT(items) },
	{ "--open", "N", "core: calls open at a time (20000)", OPT_U64, AT(open) },
	{ "--connections", "N", "ingest: of the load generator (256)", OPT_UINT, AT(connections) },
	{ "--ack", "MODE", "ingest: spool or kafka (spool)", OPT_TEXT, AT(ack) },
	{ "--no-broker", NULL, "ingest: Kafka is away, the spool keeps all", OPT_FLAG,
	  AT(no_broker) },
	{ "--no-raw", NULL, "correlate: events without the vendor's request (keep_raw: false)",
	  OPT_NO_FLAG, AT(keep_raw) },
	{ "--kill", NULL, "restore: the correlator before is killed, not drained", OPT_FLAG,
	  AT(kill) },
	{ "--seed", "N", "of the traffic (1)", OPT_U64, AT(seed) },
};

static int read_number(const char *name, const char *text, uint64_t max, uint64_t *ret)
{
	if (!text || slice_u64(slice_of(text), ret) || *ret > max)
		return bench_fail(BENCH_USAGE, "%s: a number wanted", name);
	return 0;
}

/* *used: whether the value was taken. */
static int set_opt(const struct opt *opt, const char *value, struct bench_opts *opts, bool *used)
{
	void *at = (char *)opts + opt->at;
	uint64_t number = 0;
	int code = 0;

	*used = opt->value != NULL;
	switch (opt->type) {
	case OPT_U64:
		code = read_number(opt->name, value, UINT64_MAX, at);
		break;
	case OPT_UINT:
		code = read_number(opt->name, value, 60000, &number);
		*(unsigned *)at = (unsigned)number;
		break;
	case OPT_TEXT:
		*(const char **)at = value;
		if (!value)
			code = bench_fail(BENCH_USAGE, "%s: %s wanted", opt->name, opt->value);
		break;
	case OPT_FLAG:
	case OPT_NO_FLAG:
		*(bool *)at = opt->type == OPT_FLAG;
		break;
	}
	return code;
}

static int read_opts(char **argv, struct bench_opts *opts, bool *json)
{
	for (size_t i = 0; argv[i]; i++) {
		const struct opt *opt = NULL;
		bool used = false;
		int code;

		if (strcmp(argv[i], "--json") == 0) {
			*json = true;
			continue;
		}
		for (size_t k = 0; !opt && k < ARRAY_LEN(opts_table); k++) {
			if (strcmp(argv[i], opts_table[k].name) == 0)
				opt = &opts_table[k];
		}
		if (!opt)
			return bench_fail(BENCH_USAGE, "%s: no such option (see --help)", argv[i]);
		code = set_opt(opt, argv[i + 1], opts, &used);
		if (code)
			return code;
		i += used;
	}
	return 0;
}

static int help(void)
{
	puts("usage: callstream-bench STAGE [--json] [OPTIONS]\n\n"
	     "Measures one stage and prints it beside its budget. Starts the services it needs\n"
	     "unless CALLSTREAM_BROKERS names some.\n\nstages:");
	for (size_t i = 0; i < ARRAY_LEN(stages); i++)
		printf("  %-10s %s\n", stages[i]->name, stages[i]->summary);
	puts("\ntools:");
	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		printf("  %-10s %s\n", tools[i].name, tools[i].summary);
	puts("\noptions:\n  --json               one JSON object instead of a table");
	for (size_t i = 0; i < ARRAY_LEN(opts_table); i++)
		printf("  %-13s %-6s %s\n", opts_table[i].name,
		       opts_table[i].value ? opts_table[i].value : "", opts_table[i].help);
	return 0;
}

/* ---- the result ---- */

#define COMPILER __VERSION__
#ifdef NDEBUG
#define BUILD "release"
#else
#define BUILD "debug"
#endif

static double per_item_us(const struct bench_result *res)
{
	return res->items ? res->cpu_s * 1e6 / (double)res->items : 0;
}

static double per_second(const struct bench_result *res)
{
	return res->wall_s > 0 ? (double)res->items / res->wall_s : 0;
}

/* Six digits are more than a clock tells. */
static void put_number(struct json_out *j, const char *name, double value)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%.6g", value);

	jo_key(j, slice_of(name));
	jo_raw(j, slice_make(text, (size_t)n));
}

static void put_text(struct json_out *j, const char *name, const char *text)
{
	jo_key(j, slice_of(name));
	jo_text(j, slice_of(text));
}

static int print_json(const struct bench_stage *stage, const struct bench_result *res)
{
	struct buf out = BUF_EMPTY;
	struct json_out j = jo_make(&out);

	jo_begin_object(&j);
	put_text(&j, "stage", stage->name);
	JO_KEY(&j, "items");
	jo_int(&j, (int64_t)res->items);
	put_number(&j, "cpu_us_per_item", per_item_us(res));
	put_number(&j, "wall_s", res->wall_s);
	put_number(&j, "items_per_s", per_second(res));
	JO_KEY(&j, "peak_rss_bytes");
	jo_int(&j, (int64_t)res->peak_rss_bytes);
	put_number(&j, "budget_us", res->budget_us);
	for (size_t i = 0; i < res->extras_n; i++)
		put_number(&j, res->extras[i].name, res->extras[i].value);
	put_text(&j, "compiler", COMPILER);
	put_text(&j, "build", BUILD);
	put_text(&j, "commit", bench_commit());
	jo_end_object(&j);
	buf_add_char(&out, '\n');
	fwrite(out.p, 1, out.n, stdout);
	buf_fini(&out);
	return 0;
}

static int print_table(const struct bench_stage *stage, const struct bench_result *res)
{
	printf("%-26s %s, each one %s\n", "stage", stage->name, stage->item);
	printf("%-26s %llu\n", "items", (unsigned long long)res->items);
	if (res->budget_us > 0)
		printf("%-26s %.3f us   budget %.3f us   %s\n", "CPU per item", per_item_us(res),
		       res->budget_us, per_item_us(res) <= res->budget_us ? "met" : "MISSED");
	else
		printf("%-26s %.3f us   no budget of its own\n", "CPU per item", per_item_us(res));
	printf("%-26s %.3f s, %.0f a second\n", "wall", res->wall_s, per_second(res));
	printf("%-26s %.1f MiB\n", "peak memory", (double)res->peak_rss_bytes / (1 << 20));
	for (size_t i = 0; i < res->extras_n; i++)
		printf("%-26s %.6g\n", res->extras[i].name, res->extras[i].value);
	printf("%-26s %s, %s, commit %s\n", "built", COMPILER, BUILD, bench_commit());
	return 0;
}

static int run_stage(const struct bench_stage *stage, char **argv)
{
	struct bench_opts opts = {
		.connections = 256, .ack = "spool", .keep_raw = true, .seed = 1
	};
	struct bench_result res = { 0 };
	bool json = false;
	int code = read_opts(argv, &opts, &json);

	if (code)
		return code;
	if (opts.items == 0)
		opts.items = stage->items;
	code = stage->run(&opts, &res);
	if (code)
		return code;
	if (res.peak_rss_bytes == 0)
		res.peak_rss_bytes = process_peak_rss_bytes(0);
	return json ? print_json(stage, &res) : print_table(stage, &res);
}

int main(int argc, char **argv)
{
	slog_setup(false, SLOG_WARN);
	if (argc < 2)
		return bench_fail(BENCH_USAGE, "a stage is wanted (see --help)");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help();
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		if (strcmp(argv[1], tools[i].name) == 0)
			return bench_exec(tools[i].program, argv + 2);
	}
	if (argc > 2 && strcmp(argv[2], "--help") == 0)
		return help();
	for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
		if (strcmp(argv[1], stages[i]->name) == 0)
			return run_stage(stages[i], argv + 2);
	}
	return bench_fail(BENCH_USAGE, "%s: no such stage (see --help)", argv[1]);
}
