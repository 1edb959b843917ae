#include "bench.h"

static int run(const struct bench_opts *opts, struct bench_result *res)
{
	(void)opts;
	(void)res;
	return bench_fail(BENCH_WRONG, "not built yet");
}

const struct bench_stage stage_ingest = {
	.name = "ingest", .item = "item", .summary = "ingest", .items = 1, .run = run
};
