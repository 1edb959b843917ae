/*
 * scan.h - a command reads topics: from a time on, with its progress on a terminal
 *
 * Kafka that does not answer ends it after SCAN_ANSWER_MS with exit 3. SIGINT and SIGTERM are the
 * end of a scan that follows; one that does not is cut short then, which is said.
 */
#ifndef CS_CMD_SCAN_H
#define CS_CMD_SCAN_H

#include <jansson.h>

#include "cmd.h"
#include "log/log.h"

#define SCAN_ANSWER_MS     10000
#define SCAN_SINCE_DEFAULT "24h"

/* Returns 0 to go on, 1 to stop, negative to fail. */
typedef int scan_fn(void *arg, const struct log_msg *msg);

struct scan {
	const enum topic *topics;
	size_t topics_n;
	int64_t from_ms; /* LOG_BEGIN, LOG_END, or a time */
	bool follow;     /* goes on at the end */
	scan_fn *each;
	void *arg;
};

/* EXIT_DONE, or the exit code after a line on stderr. */
int scan_run(const struct cfg *cfg, const struct scan *scan);

/* Loads the config and --since. 0, or an exit code after a line. */
int scan_setup(const struct cmd_args *args, struct cfg **ret_cfg, int64_t *ret_from_ms);

/* The option, for tables of commands. */
#define SCAN_SINCE_OPT                                                                             \
	{                                                                                          \
		"--since", "TIME", "how far back: 90m, 24h, 7d or an ISO time (default 24h)",      \
		    false                                                                          \
	}

/* What a topic should hold: a JSON object with this schema. NULL: someone else's message. */
json_t *scan_parse(struct slice json, const char *schema);

/* Writes a line to stdout; false when nobody reads it any more. */
bool scan_print(struct slice line);
/* The same for a row of a table, whose texts come from outside: control characters, which could
 * drive a terminal, become '?'. row is empty then. */
bool scan_print_row(struct buf *row);

#endif
