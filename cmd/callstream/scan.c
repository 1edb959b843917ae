#include "scan.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#define POLL_MS     200
#define PROGRESS_MS 300

static volatile sig_atomic_t interrupted, reading, code_at_once;

/* Before the reading begins the client may wait for a broker that is away, and nothing is lost. */
static void on_signal(int number)
{
	(void)number;
	if (!reading)
		_exit(code_at_once);
	interrupted = 1;
}

static void catch_signals(const struct scan *scan)
{
	struct sigaction action = { .sa_handler = on_signal };

	code_at_once = scan->follow ? EXIT_DONE : EXIT_WRONG_INPUT;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- progress: a line on stderr, on a terminal only ---- */

struct progress {
	bool shown;
	int64_t at_ms;
	uint64_t read;
};

static void progress_tick(struct progress *p, struct log_reader *reader)
{
	int64_t now_ms = clock_mono_ms();

	if (!isatty(STDERR_FILENO) || now_ms - p->at_ms < PROGRESS_MS)
		return;
	p->at_ms = now_ms;
	p->shown = true;
	fprintf(stderr, "\r%llu read, %lld to go\033[K", (unsigned long long)p->read,
		(long long)log_reader_left(reader));
	fflush(stderr);
}

static void progress_end(struct progress *p)
{
	if (p->shown)
		fprintf(stderr, "\r\033[K");
	p->shown = false;
}

/* ---- reading ---- */

static int explain(int err, const struct scan *scan)
{
	switch (err) {
	case -EAGAIN:
		return cmd_fail(EXIT_NOT_REACHABLE, "kafka is not reachable");
	case -ENOENT:
		return cmd_fail(EXIT_NOT_REACHABLE,
				"there is no topic %s yet: the roles make it when they start",
				topic_text(scan->topics[0]));
	case -EIO:
		return cmd_fail(EXIT_NOT_REACHABLE, "kafka ended the reading: see its log");
	case -EPIPE:
		return EXIT_WRONG_INPUT; /* nobody reads stdout: nothing to say it to */
	default:
		return cmd_fail(EXIT_WRONG_INPUT, "the log cannot be read: %s", strerror(-err));
	}
}

/* -EPIPE is stdout's here; a reader that is dead says it otherwise. */
static int of_reader(int err)
{
	return err == -EPIPE ? -EIO : err;
}

/* 0, 1 stopped, or an error. */
static int read_on(struct log_reader *reader, const struct scan *scan, struct progress *progress)
{
	int64_t heard_ms = clock_mono_ms();
	bool at_end = false;

	while (!interrupted) {
		struct log_msg msg;
		int r = log_reader_next(reader, POLL_MS, &msg);

		if (r == 1 || r == 2)
			heard_ms = clock_mono_ms();
		if (r == 2 && !scan->follow)
			return 0;
		at_end = at_end || r == 2;
		if (r < 0 && r != -EAGAIN)
			return of_reader(r);
		if (r == 1) {
			progress->read++;
			r = scan->each(scan->arg, &msg);
			if (r)
				return r;
		}
		if (at_end)
			progress_end(progress);
		else
			progress_tick(progress, reader);
		if (!at_end && clock_mono_ms() - heard_ms > SCAN_ANSWER_MS)
			return -EAGAIN;
	}
	return 1;
}

static int read_topics(struct log *log, const struct scan *scan)
{
	struct progress progress = { .shown = false };
	struct log_reader *reader;
	int err = log_reader_new(log, scan->topics, scan->topics_n, scan->from_ms,
				 clock_mono_ms() + SCAN_ANSWER_MS, &reader);

	if (err)
		return of_reader(err);
	reading = 1;
	err = read_on(reader, scan, &progress);
	progress_end(&progress);
	log_reader_free(reader);
	return err;
}

int scan_run(const struct cfg *cfg, const struct scan *scan)
{
	struct buf problem = BUF_EMPTY;
	struct log *log;
	int err = log_open(cfg, &log, &problem);

	if (err) {
		cmd_fail(0, "%.*s", SLICE_ARG(buf_slice(&problem)));
		buf_fini(&problem);
		return EXIT_WRONG_INPUT;
	}
	catch_signals(scan);
	err = read_topics(log, scan);
	log_close(log);
	buf_fini(&problem);
	if (interrupted && !scan->follow)
		return cmd_fail(EXIT_WRONG_INPUT, "interrupted, not everything was read");
	return err < 0 ? explain(err, scan) : EXIT_DONE;
}

int scan_setup(const struct cmd_args *args, struct cfg **ret_cfg, int64_t *ret_from_ms)
{
	const char *since = cmd_opt(args, "--since");

	if (cmd_since(since ? since : SCAN_SINCE_DEFAULT, ret_from_ms))
		return cmd_fail(EXIT_WRONG_USAGE, "--since: \"%s\" is no time and no duration",
				since);
	return cmd_load_config(args, ret_cfg);
}

json_t *scan_parse(struct slice json, const char *schema)
{
	json_error_t error;
	json_t *value = json_loadb(json.p ? json.p : "", json.n, JSON_REJECT_DUPLICATES, &error);
	const char *is = json_string_value(json_object_get(value, "schema"));

	if (is && strcmp(is, schema) == 0)
		return value;
	json_decref(value);
	return NULL;
}

bool scan_print(struct slice line)
{
	return fwrite(line.p, 1, line.n, stdout) == line.n && putchar('\n') == '\n' &&
	       fflush(stdout) == 0;
}

bool scan_print_row(struct buf *row)
{
	bool written;

	for (size_t i = 0; i < row->n; i++) {
		if ((unsigned char)row->p[i] < 0x20 || row->p[i] == 0x7f)
			row->p[i] = '?';
	}
	written = scan_print(buf_slice(row));
	buf_reset(row);
	return written;
}
