/*
 * correlate.c - `callstream correlate --stdin`: events as JSON lines in, call records out
 *
 * The call table of role correlate without a log: an event's append time is its own, no timer
 * runs before the end of input, then the clock goes from deadline to deadline (rules.md 1.4).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "call/calltab.h"
#include "cmd.h"
#include "correlate_rows.h"

#define CHUNK_BYTES    ((size_t)256 << 10) /* stays in the cache from reading to parsing */
#define LINE_BYTES_MAX ((size_t)16 << 20)
#define BATCH_LINES    1024u /* between two looks at the limits */

struct job {
	const struct cfg *cfg;
	struct calltab *tab;
	struct closed_index *closed;
	struct ahead {
		struct callev_parser *parser;
		struct slice line;
		uint64_t number;
	} ahead[CALLTAB_BATCH]; /* lines that were read and not applied yet */
	struct callev events[CALLTAB_BATCH];
	size_t ahead_n;
	struct rows rows;
	struct buf out, scratch; /* scratch: what a log would keep of the limits */
	bool every_revision;
	bool wrong_input;  /* a line could not be taken */
	int err;           /* of the output */
	int64_t newest_ms; /* append time */
	uint64_t line, orphans, late;
};

/* ---- output ---- */

static int write_all(const char *p, size_t n)
{
	while (n) {
		ssize_t put = write(STDOUT_FILENO, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

static int flush(struct job *job)
{
	int err = job->out.bad ? -ENOMEM : write_all(job->out.p, job->out.n);

	buf_reset(&job->out);
	return err;
}

static int print(struct job *job, struct slice json)
{
	buf_add_slice(&job->out, json);
	buf_add_char(&job->out, '\n');
	return job->out.n >= CHUNK_BYTES || job->out.bad ? flush(job) : 0;
}

static void on_record(void *arg, const struct calltab_record *rec)
{
	struct job *job = arg;
	struct row row = { .started_ms = rec->record->started_at_ms,
			   .id = rec->record->id,
			   .revision = rec->record->revision };

	if (job->err)
		return;
	job->err = job->every_revision ? print(job, rec->json)
				       : rows_add(&job->rows, &row, rec->json);
}

static void on_late(void *arg, const struct uuid *event_id, struct slice json)
{
	struct job *job = arg;

	(void)event_id;
	(void)json;
	job->orphans++;
}

/* ---- input ---- */

static void complain(struct job *job, uint64_t line, size_t offset, const char *reason)
{
	job->wrong_input = true;
	fprintf(stderr, "stdin:%llu: offset %zu: %s\n", (unsigned long long)line, offset, reason);
}

/* The end of a batch: what a limit pushes out leaves, and no log wants to know it. 0 or -E. */
static int trim(struct job *job)
{
	buf_reset(&job->scratch);
	if (closed_pending(job->closed) >= BATCH_LINES)
		(void)closed_take_block(job->closed, &job->scratch);
	if (job->scratch.bad)
		return -ENOMEM;
	return calltab_trim(job->tab, job->newest_ms, &job->scratch);
}

static int apply(struct job *job, const struct callev *ev, const struct ahead *from)
{
	int64_t append_ms = ev->received_at_ms != TIME_NONE ? ev->received_at_ms : ev->at_ms;
	int change = calltab_apply(job->tab, ev, append_ms, from->line);

	job->newest_ms = MAX(job->newest_ms, append_ms);
	switch (change) {
	case CALLTAB_LATE:
		job->late++;
		return 0;
	case -EINVAL:
		complain(job, from->number, 0,
			 "an event needs account, call_session_id and a time");
		return 0;
	case -ENOSPC:
		complain(job, from->number, 0, "too many events of one call");
		return 0;
	default:
		return MIN(change, 0);
	}
}

/* Applies what was read ahead. The lines are gone then. */
static int apply_ahead(struct job *job)
{
	int err = 0;

	calltab_prefetch(job->tab, job->events, job->ahead_n);
	for (size_t i = 0; i < job->ahead_n && !err; i++)
		err = apply(job, &job->events[i], &job->ahead[i]);
	job->ahead_n = 0;
	return err ? err : job->err;
}

/* Blanks alone? Nearly every line begins with a brace. */
static bool is_blank(struct slice line)
{
	return line.n == 0 || (line.p[0] != '{' && slice_trim(line).n == 0);
}

/* Where the text of a line begins: the first may have a mark of byte order. */
static size_t begin_of(const struct job *job, struct slice line)
{
	const struct slice mark = SLICE("\xef\xbb\xbf");

	return job->line == 1 && slice_starts(line, mark) ? mark.n : 0;
}

static int take_line(struct job *job, struct slice line)
{
	struct ahead *ahead = &job->ahead[job->ahead_n];
	struct parse_error error = { 0, "no event" };
	size_t begin;
	int err;

	job->line++;
	if (job->line % BATCH_LINES == 0) {
		err = trim(job);
		if (err)
			return err;
	}
	begin = begin_of(job, line);
	line = slice_skip(line, begin);
	if (is_blank(line))
		return 0;
	err = callev_parse(ahead->parser, line, &job->events[job->ahead_n], &error);
	if (err == -ENOMEM)
		return err;
	if (err) {
		complain(job, job->line, begin + error.offset, error.reason);
		return 0;
	}
	ahead->line = line;
	ahead->number = job->line;
	return ++job->ahead_n == CALLTAB_BATCH ? apply_ahead(job) : 0;
}

/* Takes the lines that are whole off the front of text. */
static int take_lines(struct job *job, struct slice *text)
{
	const char *end;

	while (text->n && (end = memchr(text->p, '\n', text->n))) {
		size_t n = (size_t)(end - text->p);
		int err = take_line(job, slice_head(*text, n));

		if (err)
			return err;
		*text = slice_skip(*text, n + 1);
	}
	return apply_ahead(job);
}

/* What is read and not taken yet; a line that is too long is passed over. */
struct input {
	struct buf buf;
	bool passing;
};

static void pass_over(struct input *in)
{
	size_t at = slice_find(buf_slice(&in->buf), '\n');

	if (at == in->buf.n) {
		buf_reset(&in->buf);
		return;
	}
	in->passing = false;
	in->buf.n -= at + 1;
	memmove(in->buf.p, in->buf.p + at + 1, in->buf.n);
}

static int take_buffer(struct job *job, struct input *in)
{
	struct slice text;
	int err;

	if (in->passing)
		pass_over(in);
	text = buf_slice(&in->buf);
	err = take_lines(job, &text);
	if (err)
		return err;
	if (text.n > LINE_BYTES_MAX) {
		job->line++;
		complain(job, job->line, LINE_BYTES_MAX, "the line is too long");
		in->passing = true;
		text.n = 0;
	}
	if (text.n)
		memmove(in->buf.p, text.p, text.n);
	in->buf.n = text.n;
	return 0;
}

static int read_events(struct job *job)
{
	struct input in = { BUF_EMPTY, false };
	ssize_t got = 1;
	int err = 0;

	while (!err && got) {
		if (!buf_reserve(&in.buf, CHUNK_BYTES)) {
			err = -ENOMEM;
			break;
		}
		got = read(STDIN_FILENO, in.buf.p + in.buf.n, CHUNK_BYTES);
		if (got < 0 && errno == EINTR) {
			got = 1;
			continue;
		}
		if (got < 0) {
			err = -errno;
			break;
		}
		in.buf.n += (size_t)got;
		err = take_buffer(job, &in);
		if (!err && job->every_revision)
			err = flush(job);
	}
	if (!err && in.buf.n && !in.passing)
		err = take_line(job, buf_slice(&in.buf));
	if (!err)
		err = apply_ahead(job);
	buf_fini(&in.buf);
	return err;
}

/* ---- the end ---- */

static int run_clock(struct job *job, int64_t now_ms)
{
	int err = trim(job);

	while (!err && !job->err) {
		int64_t due_ms = calltab_next_due(job->tab);

		if (due_ms == INT64_MAX || due_ms > now_ms)
			break;
		err = calltab_tick(job->tab, due_ms);
	}
	return err ? err : job->err;
}

static int print_rows(struct job *job)
{
	int err = 0;

	rows_sort(&job->rows);
	for (size_t i = 0; i < job->rows.n && !err; i++)
		err = print(job, slice_make(job->rows.v[i].p, job->rows.v[i].n));
	return err ? err : flush(job);
}

/* What was read and stands in no record; nothing is dropped in silence. */
static void tell_losses(struct job *job)
{
	if (job->orphans)
		fprintf(stderr, "callstream: %llu recordings or notes of no call\n",
			(unsigned long long)job->orphans);
	if (job->late) {
		job->wrong_input = true;
		fprintf(stderr, "callstream: %llu events of calls that open_calls_max had closed\n",
			(unsigned long long)job->late);
	}
}

static int work(struct job *job, int64_t now_ms)
{
	int err = read_events(job);

	if (!err)
		err = run_clock(job, now_ms);
	if (!err)
		err = print_rows(job);
	if (err)
		return cmd_fail(EXIT_WRONG_INPUT, "correlate: %s", strerror(-err));
	tell_losses(job);
	return job->wrong_input ? EXIT_WRONG_INPUT : EXIT_DONE;
}

/* ---- the beginning ---- */

static int set_up(struct job *job)
{
	const struct cfg_correlate *c = &job->cfg->correlate;
	const struct calltab_out out = { .arg = job, .record = on_record, .late = on_late };
	const struct calltab_cfg cfg = { .cfg = job->cfg,
					 .calls_max = c->open_calls_max,
					 .orphans_max = c->orphans_max,
					 .no_age_limit = true,
					 .keep_closed = true,
					 .end_at_once = job->every_revision };
	int err;

	job->newest_ms = TIME_MIN_MS;
	rows_init(&job->rows);
	for (size_t i = 0; i < CALLTAB_BATCH; i++) {
		job->ahead[i].parser = callev_parser_new();
		if (!job->ahead[i].parser)
			return -ENOMEM;
	}
	err = closed_new(c->closed_index_ms, c->closed_index_max, &job->closed);
	return err ? err : calltab_new(&cfg, job->closed, &out, &job->tab);
}

static void tear_down(struct job *job)
{
	calltab_free(job->tab);
	closed_free(job->closed);
	for (size_t i = 0; i < CALLTAB_BATCH; i++)
		callev_parser_free(job->ahead[i].parser);
	rows_fini(&job->rows);
	buf_fini(&job->out);
	buf_fini(&job->scratch);
}

/* Without a config that somebody named or installed the defaults do. 0 or an exit code. */
static int load_config(const struct cmd_args *args, struct cfg **ret)
{
	struct buf problems = BUF_EMPTY;
	int err;

	if (cmd_config_named(args) || access(cmd_config_file(args), F_OK) == 0)
		return cmd_load_config(args, ret);
	err = cfg_parse("defaults", SLICE("{}"), ret, &problems);
	if (err)
		fprintf(stderr, "%.*s", (int)problems.n, problems.n ? problems.p : "");
	buf_fini(&problems);
	return err ? EXIT_WRONG_INPUT : 0;
}

static int run(const struct cmd_args *args)
{
	const char *now = cmd_opt(args, "--now");
	static struct job job;
	int64_t now_ms = INT64_MAX;
	struct cfg *cfg = NULL;
	int code;

	if (!cmd_opt(args, "--stdin"))
		return cmd_fail(EXIT_WRONG_USAGE,
				"correlate: --stdin is needed; the role is `callstream run "
				"correlate`");
	if (now && time_iso_read(slice_of(now), &now_ms))
		return cmd_fail(EXIT_WRONG_USAGE,
				"correlate: --now %s: a time like 2026-03-14T10:15:02.000Z wanted",
				now);
	code = load_config(args, &cfg);
	if (code)
		return code;
	job.cfg = cfg;
	job.every_revision = cmd_opt(args, "--every-revision") != NULL;
	code = set_up(&job) ? cmd_fail(EXIT_WRONG_INPUT, "correlate: out of memory")
			    : work(&job, now_ms);
	tear_down(&job);
	cfg_free(cfg);
	return code;
}

static const struct cmd_opt opts[] = {
	{ "--stdin", NULL, "read events from standard input, one JSON object a line", false },
	{ "--now", "TIME", "run the time-outs up to here only, not all of them", false },
	{ "--every-revision", NULL,
	  "print each change when it is read, not the last ones at the end", false },
	{ "--json", NULL, "JSON, as without it", false },
	{ NULL, NULL, NULL, false },
};

const struct cmd cmd_correlate = {
	.name = "correlate",
	.operands = "",
	.summary = "events from standard input to call records",
	.detail =
	    "Prints the last record of each call, in order of the calls' start. No time-out runs\n"
	    "before the end of input; then the clock moves on until all have run, or to --now.\n"
	    "A line that is no event is reported with its number, the rest goes on, exit 1.",
	.opts = opts,
	.config = true,
	.run = run,
};
