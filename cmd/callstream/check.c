/*
 * check.c - `callstream check [FILE]`: is the config one that the roles would take?
 */
#include <errno.h>
#include <stdio.h>

#include "cmd.h"
#include "log/log.h"

/* Would the log be opened with this config? Nothing is connected. */
static int check_log(const struct cfg *cfg, int line, struct buf *problems)
{
	struct buf problem = BUF_EMPTY;
	struct log *log = NULL;
	int err = log_open(cfg, &log, &problem);

	if (err == 0)
		log_close(log);
	else
		buf_printf(problems, "%s:%d: %.*s\n", cfg->file, line,
			   SLICE_ARG(problem.n ? buf_slice(&problem) : SLICE("kafka: no memory")));
	buf_fini(&problem);
	return err;
}

/* kafka.properties, of which only the log's own client knows: each alone, so that each is told. */
static int check_properties(const struct cfg *cfg, struct buf *problems)
{
	struct cfg one = *cfg;
	int err = 0;

	one.kafka.properties_n = 1;
	for (size_t i = 0; i < cfg->kafka.properties_n; i++) {
		one.kafka.properties = &cfg->kafka.properties[i];
		if (check_log(&one, cfg->kafka.properties_lines[i], problems))
			err = -EINVAL;
	}
	if (!err) /* and all of them together */
		err = check_log(cfg, cfg->kafka.properties_n ? cfg->kafka.properties_lines[0] : 1,
				problems);
	return err;
}

static const char *file_of(const struct cmd_args *args)
{
	return args->words_n ? args->words[0] : cmd_config_file(args);
}

static int run(const struct cmd_args *args)
{
	const char *file = file_of(args);
	struct buf problems = BUF_EMPTY;
	int err = cfg_examine(file, check_properties, &problems);

	fwrite(problems.p ? problems.p : "", 1, problems.n, stdout);
	buf_fini(&problems);
	if (err == -ENOMEM)
		return cmd_fail(EXIT_WRONG_INPUT, "out of memory");
	if (err)
		return EXIT_WRONG_INPUT;
	printf("%s: ok\n", file);
	return EXIT_DONE;
}

extern const struct cmd cmd_check;
const struct cmd cmd_check = {
	.name = "check",
	.operands = "[FILE]",
	.operands_max = 1,
	.summary = "is this config right?",
	.detail =
	    "Prints FILE:LINE: KEY: what is wrong, what is allowed, for every error, and exits "
	    "with 1; or\nFILE: ok. What this version does not do is a warning. Nothing is "
	    "connected to.",
	.config = true,
	.run = run,
};
