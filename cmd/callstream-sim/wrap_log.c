/* Log lines go into the trace of the life. */
#include <stdio.h>
#include <string.h>

#include "base/slog.h"
#include "wrap_log.h"

void __wrap_slog_write(enum slog_level level, const char *text, const struct slog_field *fields);

static log_line_fn *told;

void log_lines_to(log_line_fn *fn)
{
	told = fn;
}

void __wrap_slog_write(enum slog_level level, const char *text, const struct slog_field *fields)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%s", text);

	(void)level;
	for (; fields->type != SLOG_END && n < (int)sizeof(line) - 1; fields++) {
		size_t left = sizeof(line) - (size_t)n;

		if (fields->type == SLOG_INT)
			n += snprintf(line + n, left, " %s=%lld", fields->key,
				      (long long)fields->value);
		else if (fields->type == SLOG_ERRNO)
			n += snprintf(line + n, left, " %s=%s", fields->key,
				      strerror((int)-fields->value));
		else
			n += snprintf(line + n, left, " %s=%.*s", fields->key,
				      SLICE_ARG(fields->text));
	}
	world_say("%s", line);
	if (told)
		told(line);
}
