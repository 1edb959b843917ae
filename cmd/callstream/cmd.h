/*
 * cmd.h - the commands of the program: a table, one file each
 *
 * Data goes to stdout, everything else to stderr. Exit codes are the contract's: 0 done, 1 the
 * input or the config is wrong, 2 wrong usage, 3 a needed service is not reachable.
 */
#ifndef CS_CMD_CMD_H
#define CS_CMD_CMD_H

#include "base/cfg.h"

enum cmd_exit { EXIT_DONE = 0, EXIT_WRONG_INPUT = 1, EXIT_WRONG_USAGE = 2, EXIT_NOT_REACHABLE = 3 };

struct cmd_opt {
	const char *name;  /* "--since" */
	const char *value; /* what it takes, for the help: "TIME"; NULL: a flag */
	const char *help;
	bool repeats;
};

struct cmd_given {
	const struct cmd_opt *opt;
	const char *value; /* "" for a flag */
};

/* Parsed; all texts are argv's. */
struct cmd_args {
	const struct cmd *cmd;
	const char **words; /* what is no option, behind the command's own words */
	size_t words_n;
	struct cmd_given *given;
	size_t given_n;
};

struct cmd {
	const char *name;     /* "calls show": the words that call it */
	const char *operands; /* "ID", "FILE", "[ROLE...]"; "" none */
	size_t operands_min, operands_max;
	const char *summary;        /* a line for the list */
	const char *detail;         /* more for --help; may be NULL */
	const struct cmd_opt *opts; /* ends with a NULL name; --help and --config are everybody's */
	bool config;                /* takes --config */
	int (*run)(const struct cmd_args *args);
};

extern const struct cmd *const commands[]; /* main.c; NULL at the end */

/* The value of an option, NULL when not given (flag: "" when given); the last one where it repeats.
 */
const char *cmd_opt(const struct cmd_args *args, const char *name);
/* --config, else $CALLSTREAM_CONFIG, else /etc/callstream/callstream.yaml. */
const char *cmd_config_file(const struct cmd_args *args);
/* Was the file named by --config or the environment? */
bool cmd_config_named(const struct cmd_args *args);
/* Loads it; prints what is wrong to stderr and returns EXIT_WRONG_INPUT, or 0. */
int cmd_load_config(const struct cmd_args *args, struct cfg **ret);
/* "callstream: text" to stderr; returns code. */
int cmd_fail(int code, const char *format, ...) PRINTF(2, 3);
/* "24h" back from now, or an ISO time, as ms. 0 or -EINVAL. */
int cmd_since(const char *text, int64_t *ret_ms);

#endif
