/*
 * demo.c - `callstream demo`: generated calls through the roles that are running
 *
 * The generator, the CRM double and the comparison are Python programs that share no code with us
 * (bench/). This command reads from the config where the roles are and hands it to them on standard
 * input.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_dir.h"
#include "cmd.h"
#include "wire/json_out.h"

#define SIGNAL_BASE 128 /* what a shell adds to a signal's number */

/* The demo needs one webhook sink, whose address the CRM double takes; the first one it is. */
static const struct cfg_sink *first_of_kind(const struct cfg *cfg, const char *kind)
{
	for (size_t i = 0; i < cfg->sinks_n; i++) {
		if (strcmp(cfg->sinks[i].kind, kind) == 0)
			return &cfg->sinks[i];
	}
	return NULL;
}

/* "http://127.0.0.1:7000/calls" -> "127.0.0.1:7000" */
static struct slice host_of(const char *url)
{
	const char *host = strstr(url, "://");
	struct slice rest = slice_of(host ? host + 3 : url);

	return slice_cut(&rest, '/');
}

static void put_text(struct json_out *j, const char *key, struct slice value)
{
	jo_key(j, slice_of(key));
	jo_text(j, value);
}

static void put_closers(struct json_out *j, const struct cfg_closers *c)
{
	const struct {
		const char *name;
		int64_t ms;
	} rows[] = {
		{ "end_grace", c->end_grace_ms },
		{ "lost_without_end_after", c->lost_without_end_after_ms },
		{ "talk_without_end_after", c->talk_without_end_after_ms },
		{ "silent_call_after", c->silent_call_after_ms },
		{ "recording_wait", c->recording_wait_ms },
	};

	JO_KEY(j, "closers_ms");
	jo_begin_object(j);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		jo_key(j, slice_of(rows[i].name));
		jo_int(j, rows[i].ms);
	}
	jo_end_object(j);
}

static void settings_write(struct buf *out, const struct cfg *cfg, const struct cfg_sink *crm)
{
	const struct cfg_sink *archive = first_of_kind(cfg, "file");
	struct json_out j = jo_make(out);

	jo_begin_object(&j);
	put_text(&j, "brokers", slice_of(cfg->kafka.brokers));
	put_text(&j, "prefix", slice_of(cfg->kafka.topic_prefix));
	put_text(&j, "ingest", slice_of(cfg->ingest.listen));
	put_text(&j, "crm", host_of(crm->url));
	put_text(&j, "secret", slice_of(crm->secret));
	put_text(&j, "archive", slice_of(archive ? archive->path : ""));
	JO_KEY(&j, "body_bytes_max");
	jo_int(&j, (int64_t)cfg->ingest.body_bytes_max);
	put_closers(&j, &cfg->correlate.closers);
	jo_end_object(&j);
}

/* The generator's accounts must be the config's: a request to an unknown one would be refused. */
static bool has_demo_accounts(const struct cfg *cfg)
{
	size_t found = 0;

	for (size_t i = 0; i < cfg->accounts_n; i++)
		found += strncmp(cfg->accounts[i].name, "demo-", 5) == 0;
	return found >= 5;
}

static void exec_driver(const struct cmd_args *args, const char *folder, int input)
{
	const char *words[16] = { "python3" };
	const char *const names[] = { "--calls", "--seed", "--rate" };
	char path[4096];
	size_t n = 1;

	snprintf(path, sizeof(path), "%s/demo.py", folder);
	words[n++] = path;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!cmd_opt(args, names[i]))
			continue;
		words[n++] = names[i];
		words[n++] = cmd_opt(args, names[i]);
	}
	if (cmd_opt(args, "--json"))
		words[n++] = "--json";
	words[n] = NULL;
	dup2(input, STDIN_FILENO);
	close(input);
	execvp(words[0], (char *const *)(uintptr_t)words);
	fprintf(stderr, "callstream: python3: %s\n", strerror(errno));
	_exit(127);
}

/* The settings fit into a pipe (64 KiB), so writing them before the driver reads cannot hang. */
static int give(int fd, struct slice settings)
{
	ssize_t n = write(fd, settings.p, settings.n);

	return n == (ssize_t)settings.n ? 0 : -EIO;
}

/* Ctrl-C reaches the driver too, which ends in order; we only wait for it. */
static int wait_for(pid_t driver)
{
	int status;

	signal(SIGINT, SIG_IGN);
	while (waitpid(driver, &status, 0) < 0) {
		if (errno != EINTR)
			return EXIT_WRONG_INPUT;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_BASE + WTERMSIG(status);
}

static pid_t driver_pid;

static void pass_on(int number)
{
	if (driver_pid > 0)
		kill(driver_pid, number);
}

static int drive(const struct cmd_args *args, const char *folder, struct slice settings)
{
	int pipe_fds[2];

	if (pipe(pipe_fds) || give(pipe_fds[1], settings))
		return cmd_fail(EXIT_WRONG_INPUT,
				"the demo's settings could not be handed over: %s",
				strerror(errno));
	close(pipe_fds[1]);
	driver_pid = fork();
	if (driver_pid < 0)
		return cmd_fail(EXIT_WRONG_INPUT, "fork: %s", strerror(errno));
	if (driver_pid == 0)
		exec_driver(args, folder, pipe_fds[0]);
	close(pipe_fds[0]);
	signal(SIGTERM, pass_on);
	return wait_for(driver_pid);
}

static int run(const struct cmd_args *args)
{
	struct buf settings = BUF_EMPTY;
	const struct cfg_sink *crm;
	struct cfg *cfg = NULL;
	char *folder = NULL;
	int code = cmd_load_config(args, &cfg);

	if (code)
		return code;
	crm = first_of_kind(cfg, "webhook");
	folder = bench_dir();
	if (!crm || !has_demo_accounts(cfg)) {
		code = cmd_fail(
		    EXIT_WRONG_INPUT,
		    "%s has not what the demo needs: the accounts of config/demo.yaml and "
		    "a sink of kind webhook on this machine",
		    cfg->file);
	} else if (!folder) {
		code = cmd_fail(
		    EXIT_WRONG_INPUT,
		    "the demo's programs are not beside the binary: set CALLSTREAM_BENCH_DIR "
		    "to the folder bench of the source tree");
	} else {
		settings_write(&settings, cfg, crm);
		code = drive(args, folder, buf_slice(&settings));
	}
	free(folder);
	buf_fini(&settings);
	cfg_free(cfg);
	return code;
}

static const struct cmd_opt opts[] = {
	{ "--calls", "N", "how many calls (2000)", false },
	{ "--seed", "N", "the traffic's seed (a new one each time; it is printed)", false },
	{ "--rate", "N", "requests per second (800)", false },
	{ "--json", NULL, "the account as one JSON object", false },
	{ NULL, NULL, NULL, false },
};

const struct cmd cmd_demo = {
	.name = "demo",
	.operands = "",
	.summary = "generated calls through the running roles, and an account of all",
	.detail = "Sends the traffic of generated CallGear calls over HTTP, as the vendor does, "
		  "with repeats,\n"
		  "disorder, bad requests and calls whose end never comes; a CRM double takes the "
		  "records. Then\n"
		  "every request, call and delivery is compared with the truth. Exit 0 only when "
		  "all balances.\n"
		  "The roles run with the same config (see scripts/demo).",
	.opts = opts,
	.config = true,
	.run = run,
};
