/* Command lines against a table of commands of our own: what is run, what is said. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "args.h"
#include "base/clock.h"
#include "unit/base/rows.h"

static int nothing(const struct cmd_args *args)
{
	return args->words_n > 99;
}

static const struct cmd_opt show_opts[] = {
	{ "--since", "TIME", "how far back", false },
	{ "--header", "K", "may repeat", true },
	{ "--json", NULL, "as JSON", false },
	{ NULL, NULL, NULL, false },
};

static const struct cmd show = {
	.name = "calls show",
	.operands = "ID",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "one call",
	.detail = "All of it.",
	.opts = show_opts,
	.config = true,
	.run = nothing,
};
static const struct cmd tail = {
	.name = "calls tail",
	.operands = "",
	.summary = "calls as they come",
	.opts = show_opts,
	.config = true,
	.run = nothing,
};
static const struct cmd check = {
	.name = "check",
	.operands = "[FILE]",
	.operands_max = 1,
	.summary = "is it right?",
	.config = true,
	.run = nothing,
};
static const struct cmd top = { .name = "top", .operands = "", .summary = "looks", .run = nothing };

const struct cmd *const commands[] = { &show, &tail, &check, &top, NULL };

/* ---- what is written meanwhile ---- */

struct capture {
	FILE *file;
	int fd, saved;
};

static struct capture capture_begin(int fd)
{
	struct capture c = { tmpfile(), fd, dup(fd) };

	assert_non_null(c.file);
	fflush(NULL);
	assert_true(dup2(fileno(c.file), fd) >= 0);
	return c;
}

static void capture_end(struct capture *c, char *out, size_t size)
{
	fflush(NULL);
	assert_true(dup2(c->saved, c->fd) >= 0);
	close(c->saved);
	rewind(c->file);
	out[fread(out, 1, size - 1, c->file)] = '\0';
	fclose(c->file);
}

static char said[8000], printed[8000];

static bool read_line(const char *line, struct cmd_args *args, int *code)
{
	static char words[400];
	static char *argv[20];
	struct capture out, err;
	int argc = 0;
	bool run;

	snprintf(words, sizeof(words), "callstream %s", line);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	out = capture_begin(STDOUT_FILENO);
	err = capture_begin(STDERR_FILENO);
	run = args_read(argc, argv, args, code);
	capture_end(&err, said, sizeof(said));
	capture_end(&out, printed, sizeof(printed));
	return run;
}

static const struct wrong_row {
	const char *name; /* the line */
	const char *said;
} wrong_rows[] = {
	{ "", "callstream: a command is missing (see callstream --help)\n" },
	{ "chekc",
	  "callstream: there is no command chekc, did you mean check? (see callstream --help)\n" },
	{ "nonsense", "callstream: there is no command nonsense (see callstream --help)\n" },
	{ "--since", "callstream: unknown option --since (see callstream --help)\n" },
	{ "calls", "callstream calls: a command is missing (see callstream calls --help)\n" },
	{ "calls shwo",
	  "callstream calls: there is no command shwo (see callstream calls --help)\n" },
	{ "calls show", "callstream calls show: missing: ID (see callstream calls show --help)\n" },
	{ "calls show a b",
	  "callstream calls show: not understood: b (see callstream calls show --help)\n" },
	{ "calls tail a",
	  "callstream calls tail: not understood: a (see callstream calls tail --help)\n" },
	{ "calls show --sicne 1h a", "callstream calls show: unknown option --sicne, did you mean "
				     "--since? (see callstream calls show --help)\n" },
	{ "calls show a --since",
	  "callstream calls show: needs a value: --since (see callstream calls show --help)\n" },
	{ "calls show a --since=1h --since 2h",
	  "callstream calls show: given twice: --since (see callstream calls show --help)\n" },
	{ "calls show a --json=yes",
	  "callstream calls show: takes no value: --json (see callstream calls show --help)\n" },
	{ "calls show -j",
	  "callstream calls show: unknown option -j (see callstream calls show --help)\n" },
	{ "top --config f",
	  "callstream top: unknown option --config (see callstream top --help)\n" },
	{ "help nonsense", "callstream: there is no command nonsense (see callstream --help)\n" },
};

static void wrong_usage(void **state)
{
	const struct wrong_row *row = *state;
	struct cmd_args args;
	int code = -1;

	assert_false(read_line(row->name, &args, &code));
	assert_int_equal(code, EXIT_WRONG_USAGE);
	assert_string_equal(said, row->said);
	assert_string_equal(printed, "");
}

static const struct help_row {
	const char *name, *has, *has_not;
} help_rows[] = {
	{ "--help", "  calls show ID                      one call\n", "how far back" },
	{ "-h", "usage: callstream COMMAND", "\xff" },
	{ "help", "usage: callstream COMMAND", "\xff" },
	{ "calls --help", "  calls tail ", "check" },
	{ "calls -h", "usage: callstream calls COMMAND", "check" },
	{ "help calls", "  calls tail ", "check" },
	{ "calls show --help", "All of it.\n\n  --since TIME                       how far back\n",
	  "check" },
	{ "calls show a b c --help", "usage: callstream calls show [OPTION...] ID\n", "\xff" },
	{ "help calls show", "  --header K ...                     may repeat\n", "\xff" },
	{ "check --help", "  --config FILE ", "--json" },
	{ "top --help", "  --help ", "--config" },
	{ "--version", "callstream " CALLSTREAM_VERSION "\n", "usage" },
};

static void helps(void **state)
{
	const struct help_row *row = *state;
	struct cmd_args args;
	int code = -1;

	assert_false(read_line(row->name, &args, &code));
	assert_int_equal(code, EXIT_DONE);
	assert_string_equal(said, "");
	if (!strstr(printed, row->has))
		print_error("%s", printed);
	assert_non_null(strstr(printed, row->has));
	assert_null(strstr(printed, row->has_not));
}

static void options(void **state)
{
	struct cmd_args args;
	int code;

	(void)state;
	assert_true(
	    read_line("calls show --header a --since=x=y 4711 --header=b --json", &args, &code));
	assert_ptr_equal(args.cmd, &show);
	assert_int_equal(args.words_n, 1);
	assert_string_equal(args.words[0], "4711");
	assert_string_equal(cmd_opt(&args, "--since"), "x=y");
	assert_string_equal(cmd_opt(&args, "--header"), "b");
	assert_string_equal(cmd_opt(&args, "--json"), "");
	assert_null(cmd_opt(&args, "--config"));
	assert_int_equal(args.given_n, 4);
	assert_string_equal(args.given[0].value, "a");
	args_fini(&args);

	assert_true(read_line("calls show --since= -- --json", &args, &code));
	assert_string_equal(args.words[0], "--json");
	assert_string_equal(cmd_opt(&args, "--since"), "");
	assert_null(cmd_opt(&args, "--json"));
	args_fini(&args);

	assert_true(read_line("check -", &args, &code));
	assert_string_equal(args.words[0], "-");
	args_fini(&args);
}

static void config_file(void **state)
{
	struct cmd_args args;
	int code;

	(void)state;
	unsetenv("CALLSTREAM_CONFIG");
	assert_true(read_line("check", &args, &code));
	assert_false(cmd_config_named(&args));
	assert_string_equal(cmd_config_file(&args), "/etc/callstream/callstream.yaml");
	setenv("CALLSTREAM_CONFIG", "", 1);
	assert_false(cmd_config_named(&args));
	setenv("CALLSTREAM_CONFIG", "/env", 1);
	assert_true(cmd_config_named(&args));
	assert_string_equal(cmd_config_file(&args), "/env");
	args_fini(&args);
	assert_true(read_line("check --config /opt", &args, &code));
	assert_string_equal(cmd_config_file(&args), "/opt");
	args_fini(&args);
	unsetenv("CALLSTREAM_CONFIG");
}

static void load_config(void **state)
{
	struct cmd_args args;
	struct capture err;
	struct cfg *cfg = NULL;
	int code;

	(void)state;
	assert_true(read_line("check --config /nowhere/c.yaml", &args, &code));
	err = capture_begin(STDERR_FILENO);
	code = cmd_load_config(&args, &cfg);
	capture_end(&err, said, sizeof(said));
	assert_int_equal(code, EXIT_WRONG_INPUT);
	assert_non_null(strstr(said, "/nowhere/c.yaml:1: file: cannot be read"));
	args_fini(&args);
	assert_true(read_line("check --config=" SOURCE_DIR "/config/minimal.yaml", &args, &code));
	setenv("CALLGEAR_TOKEN", "t", 1);
	setenv("CRM_SECRET", "s", 1);
	assert_int_equal(cmd_load_config(&args, &cfg), 0);
	assert_int_equal(cfg->accounts_n, 1);
	cfg_free(cfg);
	args_fini(&args);
}

static void fails(void **state)
{
	struct capture err = capture_begin(STDERR_FILENO);
	int code = cmd_fail(EXIT_NOT_REACHABLE, "%s is not reachable", "kafka");

	(void)state;
	capture_end(&err, said, sizeof(said));
	assert_int_equal(code, 3);
	assert_string_equal(said, "callstream: kafka is not reachable\n");
}

static void since(void **state)
{
	int64_t before = clock_wall_ms(), ms = 0;

	(void)state;
	assert_int_equal(cmd_since("24h", &ms), 0);
	assert_true(ms >= before - 86400000 && ms <= clock_wall_ms() - 86400000);
	assert_int_equal(cmd_since("2026-03-14T10:15:02Z", &ms), 0);
	assert_int_equal(ms, INT64_C(1773483302000));
	assert_true(cmd_since("yesterday", &ms) < 0);
	assert_true(cmd_since("999999d", &ms) < 0);
	assert_true(cmd_since("", &ms) < 0);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(options),     cmocka_unit_test(config_file),
		cmocka_unit_test(load_config), cmocka_unit_test(fails),
		cmocka_unit_test(since),
	};
	int failed = RUN_ROWS("wrong usage", wrong_usage, wrong_rows);

	failed += RUN_ROWS("help", helps, help_rows);
	failed += cmocka_run_group_tests_name("arguments", single, NULL, NULL);
	return failed != 0;
}
