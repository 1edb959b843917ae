/*
 * run.c - `callstream run [ROLE...]`: the roles of one process, from start to drained
 *
 * Signals are blocked everywhere; this thread waits for them. The first SIGTERM or SIGINT closes
 * every role and drains them within `drain`; a second one ends the process at once.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin.h"
#include "base/addr.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/metric.h"
#include "base/nearest.h"
#include "base/slog.h"
#include "cmd.h"

#define FREE_S    5   /* for what is left once the roles are drained or out of time */
#define LOOK_MS   200 /* how often it is looked whether a role has given up */
#define WHY_BYTES 300

static const char *const later_roles[] = { "sip", "link", "board", "record" };

/* ---- which roles ---- */

struct choice {
	const struct role *v[RUNNING_MAX];
	size_t n;
};

static int unknown_role(const char *name)
{
	struct nearest nearest = nearest_to(slice_of(name));

	for (size_t i = 0; i < ARRAY_LEN(later_roles); i++) {
		if (strcmp(name, later_roles[i]) == 0)
			return cmd_fail(EXIT_WRONG_USAGE, "role %s is not in this version", name);
	}
	for (size_t i = 0; roles[i]; i++)
		nearest_try(&nearest, roles[i]->name);
	return cmd_fail(EXIT_WRONG_USAGE, "there is no role %s%s%s%s (see callstream run --help)",
			name, nearest.word ? ", did you mean " : "",
			nearest.word ? nearest.word : "", nearest.word ? "?" : "");
}

static bool is_named(const struct cmd_args *args, const struct role *role)
{
	for (size_t i = 0; i < args->words_n; i++) {
		if (strcmp(args->words[i], role->name) == 0)
			return true;
	}
	return false;
}

/* In the order of the pipeline, however they were named. */
static int choose(const struct cmd_args *args, const struct cfg *cfg, struct choice *ret)
{
	ret->n = 0;
	for (size_t i = 0; roles[i] && ret->n < RUNNING_MAX; i++) {
		bool named = is_named(args, roles[i]), enabled = roles[i]->enabled(cfg);

		if (named && !enabled)
			return cmd_fail(EXIT_WRONG_INPUT, "%s: nothing in it enables role %s",
					cfg->file, roles[i]->name);
		if (named || (args->words_n == 0 && enabled))
			ret->v[ret->n++] = roles[i];
	}
	return 0;
}

static int check_usage(const struct cmd_args *args)
{
	const char *admin = cmd_opt(args, "--admin");
	struct sockaddr_storage ss;
	socklen_t n;

	if (admin && addr_listen_read(slice_of(admin), &ss, &n))
		return cmd_fail(EXIT_WRONG_USAGE,
				"--admin %s: ADDRESS:PORT like 127.0.0.1:9090 wanted", admin);
	for (size_t i = 0; i < args->words_n; i++) {
		if (!role_find(slice_of(args->words[i])))
			return unknown_role(args->words[i]);
	}
	return 0;
}

/* ---- the process ---- */

static void signals_of_interest(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

/* Before the first thread, so that every thread inherits it. */
static void block_signals(void)
{
	sigset_t set;

	signals_of_interest(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void on_second_signal(int number)
{
	(void)number;
	_exit(EXIT_WRONG_INPUT);
}

/* From now on a signal ends the process at once, whatever this thread waits for. */
static void arm_second_signal(void)
{
	struct sigaction action = { .sa_handler = on_second_signal };
	sigset_t set;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signals_of_interest(&set);
	sigdelset(&set, SIGHUP);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Each connection is a descriptor: as many as we may have. */
static void raise_files_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		SLOG(SLOG_WARN, "the limit of open files stays as it is", SLOG_ERR(-errno));
}

/* ---- start, wait, end ---- */

static int start_role(struct running *running, const struct role *role, const struct cfg *cfg)
{
	struct buf problem = BUF_EMPTY;
	void *state = NULL;
	int err = role->start(cfg, &state, &problem);

	if (err) {
		SLOG(SLOG_ERROR, "role does not start, the process ends",
		     SLOG_T("role", role->name), SLOG_S("problem", buf_slice(&problem)),
		     SLOG_ERR(err));
		buf_fini(&problem);
		return EXIT_WRONG_INPUT;
	}
	running->v[running->n].role = role;
	running->v[running->n].state = state;
	running->n++;
	SLOG(SLOG_INFO, "role started", SLOG_T("role", role->name));
	buf_fini(&problem);
	return 0;
}

static bool any_failed(const struct running *running)
{
	bool any = false;

	for (size_t i = 0; i < running->n; i++) {
		const struct role *role = running->v[i].role;
		char why[WHY_BYTES] = "";

		if (!role->failed(running->v[i].state, why, sizeof(why)))
			continue;
		SLOG(SLOG_ERROR, "role gives up for a wrong config, the process ends",
		     SLOG_T("role", role->name), SLOG_T("why", why));
		any = true;
	}
	return any;
}

/* Until a signal says so (0) or a role has given up (1). */
static int wait_for_end(const struct running *running)
{
	const struct timespec look = { .tv_nsec = LOOK_MS * 1000000L };
	sigset_t set;

	signals_of_interest(&set);
	for (;;) {
		int number = sigtimedwait(&set, NULL, &look);

		if (number == SIGHUP) {
			SLOG(SLOG_WARN, "reloading is not in this version, the old config stays");
		} else if (number > 0) {
			SLOG(SLOG_INFO, "draining", SLOG_I("signal", number));
			return EXIT_DONE;
		} else if (any_failed(running)) {
			return EXIT_WRONG_INPUT;
		}
	}
}

/* All are closed first, so that none of them gets new work while another drains. */
static int end_roles(struct running *running, int64_t drain_ms)
{
	int64_t deadline_ms = clock_mono_ms() + drain_ms;
	int code = EXIT_DONE;

	running->ending = true;
	for (size_t i = 0; i < running->n; i++)
		running->v[i].role->close(running->v[i].state);
	for (size_t i = 0; i < running->n; i++) {
		if (running->v[i].role->drain(running->v[i].state, deadline_ms) == 0)
			continue;
		SLOG(SLOG_ERROR, "role was not drained in time, the rest is left to the next start",
		     SLOG_T("role", running->v[i].role->name), SLOG_I("drain_ms", drain_ms));
		code = EXIT_WRONG_INPUT;
	}
	return code;
}

static volatile sig_atomic_t code_at_end;

static void on_free_too_long(int number)
{
	(void)number;
	_exit(code_at_end);
}

/* A client that waits for a broker must not keep a process that has nothing more to do. */
static void free_roles(struct running *running, int code)
{
	struct sigaction action = { .sa_handler = on_free_too_long };

	code_at_end = code;
	sigaction(SIGALRM, &action, NULL);
	alarm(FREE_S);
	for (size_t i = 0; i < running->n; i++)
		running->v[i].role->free(running->v[i].state);
}

static int run_roles(const struct choice *choice, struct running *running, const struct cfg *cfg)
{
	int code = 0, drained;

	for (size_t i = 0; i < choice->n && !code; i++)
		code = start_role(running, choice->v[i], cfg);
	running->started = true;
	if (!code) {
		SLOG(SLOG_INFO, "running", SLOG_I("roles", running->n));
		code = wait_for_end(running);
	}
	arm_second_signal();
	drained = end_roles(running, cfg->drain_ms);
	return code ? code : drained;
}

static int serve(const struct choice *choice, struct cfg *cfg)
{
	static struct running running;
	static char address[80];
	struct admin *admin = NULL;
	int code, err = admin_start(cfg->admin_listen, &running, &admin);

	if (err) {
		SLOG(SLOG_ERROR, "cannot listen at the admin address, the process ends",
		     SLOG_T("listen", cfg->admin_listen), SLOG_ERR(err));
		return EXIT_WRONG_INPUT;
	}
	snprintf(address, sizeof(address), "%s", admin_address(admin));
	cfg->admin_listen = address;
	SLOG(SLOG_INFO, "starting", SLOG_T("version", CALLSTREAM_VERSION),
	     SLOG_T("config", cfg->file), SLOG_T("admin", cfg->admin_listen));
	code = run_roles(choice, &running, cfg);
	admin_stop(admin);
	free_roles(&running, code);
	SLOG(SLOG_INFO, "ended", SLOG_I("code", code));
	return code;
}

/* ---- the command ---- */

static void log_warnings(struct slice problems)
{
	while (problems.n)
		SLOG(SLOG_WARN, "config", SLOG_S("line", slice_cut(&problems, '\n')));
}

/* Loaded, with --admin put in, and the log set up as it says. */
static int load(const struct cmd_args *args, struct cfg **ret)
{
	struct buf problems = BUF_EMPTY;
	int err = cfg_load(cmd_config_file(args), ret, &problems);

	if (err) {
		fwrite(problems.p ? problems.p : "", 1, problems.n, stderr);
	} else {
		slog_setup((*ret)->log_json, (enum slog_level)(*ret)->log_level);
		log_warnings(buf_slice(&problems));
		if (cmd_opt(args, "--admin"))
			(*ret)->admin_listen = cmd_opt(args, "--admin");
	}
	buf_fini(&problems);
	return err ? EXIT_WRONG_INPUT : 0;
}

/* In a test's build: where to die. */
static int choose_fault(void)
{
	struct buf problem = BUF_EMPTY;
	int code = 0;

	if (fault_choose(getenv("CALLSTREAM_FAULT"), &problem))
		code = cmd_fail(EXIT_WRONG_INPUT, "CALLSTREAM_FAULT=%.*s", (int)problem.n,
				problem.p);
	buf_fini(&problem);
	return code;
}

static int run(const struct cmd_args *args)
{
	struct cfg *cfg = NULL;
	struct choice choice;
	int code = check_usage(args);

	block_signals();
	if (!code)
		code = choose_fault();
	if (!code)
		code = load(args, &cfg);
	if (!code)
		code = choose(args, cfg, &choice);
	if (!code) {
		raise_files_limit();
		metric_set(M_BUILD_INFO, CALLSTREAM_VERSION, NULL, 1);
		code = serve(&choice, cfg);
	}
	cfg_free(cfg);
	return code;
}

static const struct cmd_opt opts[] = {
	{ "--admin", "ADDR", "in place of admin.listen, for this process", false },
	{ NULL, NULL, NULL, false },
};

extern const struct cmd cmd_run;
const struct cmd cmd_run = {
	.name = "run",
	.operands = "[ROLE...]",
	.operands_max = RUNNING_MAX,
	.summary = "the roles that the config enables, or those named",
	.detail = "Roles are ingest, correlate and deliver. Waits while Kafka is not reachable. "
		  "SIGTERM drains\nwithin `drain` and ends with 0; a second signal ends at once.",
	.opts = opts,
	.config = true,
	.run = run,
};
