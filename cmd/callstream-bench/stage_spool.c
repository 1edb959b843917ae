#include "bench.h"

static int run(const struct bench_opts *opts, struct bench_result *res)
{
	(void)opts;
	(void)res;
	return bench_fail(BENCH_WRONG, "not built yet");
}

const struct bench_stage stage_spool = {
	.name = "spool", .item = "item", .summary = "spool", .items = 1, .run = run
};
