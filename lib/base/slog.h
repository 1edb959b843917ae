/*
 * slog.h - log lines to stderr: one fact a line, key=value or JSON
 *
 *   SLOG(SLOG_WARN, "delivery rejected, dead-lettered", SLOG_S("sink", name), SLOG_I("status",
 * 422));
 *
 * Text: lower case, no full stop, what happens next in it. Numbers of people only by SLOG_NUMBER,
 * which masks all but the last two digits; secrets never. Thread: any; a line is written with one
 * write.
 */
#ifndef CS_BASE_SLOG_H
#define CS_BASE_SLOG_H

#include "base/slice.h"

enum slog_level { SLOG_DEBUG, SLOG_INFO, SLOG_WARN, SLOG_ERROR };

enum slog_type { SLOG_END, SLOG_SLICE, SLOG_INT, SLOG_ERRNO, SLOG_PHONE };

struct slog_field {
	enum slog_type type;
	const char *key;
	struct slice text;
	int64_t value;
};

#define SLOG_S(key, s) ((struct slog_field){ SLOG_SLICE, key, s, 0 })
#define SLOG_T(key, t) ((struct slog_field){ SLOG_SLICE, key, slice_of(t), 0 })
#define SLOG_I(key, i) ((struct slog_field){ SLOG_INT, key, SLICE_NONE, (int64_t)(i) })
#define SLOG_ERR(err)                                                                              \
	((struct slog_field){ SLOG_ERRNO, "error", SLICE_NONE, (int64_t)(err) }) /* -Exxx */
#define SLOG_NUMBER(key, s) ((struct slog_field){ SLOG_PHONE, key, s, 0 })

#define SLOG(level, text, ...)                                                                     \
	slog_write(level, text,                                                                    \
		   (const struct slog_field[]){ __VA_ARGS__ __VA_OPT__(, )(struct slog_field){     \
		       SLOG_END, NULL, { NULL, 0 }, 0 } })

/* Before the first thread. json: one JSON object a line. Lines below level are dropped. */
void slog_setup(bool json, enum slog_level level);
bool slog_level_read(struct slice text, enum slog_level *ret); /* debug, info, warn, error */
void slog_write(enum slog_level level, const char *text, const struct slog_field *fields);

#endif
