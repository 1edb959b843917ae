#include "cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

const char *cmd_opt(const struct cmd_args *args, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < args->given_n; i++) {
		if (strcmp(args->given[i].opt->name, name) == 0)
			value = args->given[i].value;
	}
	return value;
}

static const char *named_config(const struct cmd_args *args)
{
	const char *file = cmd_opt(args, "--config");

	if (!file)
		file = getenv("CALLSTREAM_CONFIG");
	return file && *file ? file : NULL;
}

const char *cmd_config_file(const struct cmd_args *args)
{
	const char *file = named_config(args);

	return file ? file : "/etc/callstream/callstream.yaml";
}

bool cmd_config_named(const struct cmd_args *args)
{
	return named_config(args) != NULL;
}

int cmd_load_config(const struct cmd_args *args, struct cfg **ret)
{
	struct buf problems = BUF_EMPTY;
	int err = cfg_load(cmd_config_file(args), ret, &problems);

	if (err)
		fwrite(problems.p, 1, problems.n, stderr);
	if (err == -ENOMEM)
		cmd_fail(EXIT_WRONG_INPUT, "out of memory");
	buf_fini(&problems);
	return err ? EXIT_WRONG_INPUT : 0;
}

int cmd_fail(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("callstream: ", stderr);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, two lines above */
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return code;
}

int cmd_since(const char *text, int64_t *ret_ms)
{
	int64_t span_ms;

	if (time_iso_read(slice_of(text), ret_ms) == 0)
		return 0;
	if (duration_read(slice_of(text), &span_ms) || span_ms > clock_wall_ms())
		return -EINVAL;
	*ret_ms = clock_wall_ms() - span_ms;
	return 0;
}
