/* `callstream run` with roles of our own: start, readiness, signals, the ways it ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"
#include "cmd.h"
#include "role/role.h"
#include "unit/base/rows.h"

#define DEADLINE_MS 20000

/* ---- roles that do as they are told ---- */

/* Set before the process under test is forked. */
static struct {
	int start_error, drain_error;
	bool hang, hang_at_last, give_up, not_ready;
} ingest_does;

static bool always(const struct cfg *cfg)
{
	return cfg != NULL;
}

static bool with_sinks(const struct cfg *cfg)
{
	return cfg->sinks_n > 0;
}

static int start_ingest(const struct cfg *cfg, void **ret_state, struct buf *problem)
{
	*ret_state = &ingest_does;
	assert_non_null(cfg);
	if (ingest_does.start_error)
		buf_add_text(problem, "cannot be");
	return ingest_does.start_error;
}

static int start_other(const struct cfg *cfg, void **ret_state, struct buf *problem)
{
	(void)problem;
	*ret_state = NULL;
	return cfg ? 0 : -EINVAL;
}

static bool ingest_ready(void *state, char *why, size_t why_size)
{
	assert_ptr_equal(state, &ingest_does);
	snprintf(why, why_size, "the disk is full");
	return !ingest_does.not_ready;
}

static bool other_ready(void *state, char *why, size_t why_size)
{
	assert_null(state);
	snprintf(why, why_size, "waits for kafka");
	return false;
}

static bool ingest_failed(void *state, char *why, size_t why_size)
{
	assert_ptr_equal(state, &ingest_does);
	snprintf(why, why_size, "a topic has other partitions");
	return ingest_does.give_up;
}

static bool other_failed(void *state, char *why, size_t why_size)
{
	(void)state;
	(void)why;
	return why_size == 0;
}

static void close_ingest(void *state)
{
	SLOG(SLOG_INFO, "ingest closed", SLOG_I("told", state == &ingest_does));
}

static void close_other(void *state)
{
	SLOG(SLOG_INFO, "correlate closed", SLOG_I("told", state == NULL));
}

static int drain_ingest(void *state, int64_t deadline_ms)
{
	assert_ptr_equal(state, &ingest_does);
	while (ingest_does.hang && clock_mono_ms() < deadline_ms)
		poll(NULL, 0, 10);
	return ingest_does.drain_error;
}

static int drain_other(void *state, int64_t deadline_ms)
{
	(void)state;
	return deadline_ms > 0 ? 0 : -ETIMEDOUT;
}

static void free_any(void *state)
{
	while (state && ingest_does.hang_at_last)
		poll(NULL, 0, 100);
}

const struct role role_ingest = {
	.name = "ingest",
	.summary = "",
	.enabled = always,
	.start = start_ingest,
	.ready = ingest_ready,
	.failed = ingest_failed,
	.close = close_ingest,
	.drain = drain_ingest,
	.free = free_any,
};
const struct role role_correlate = {
	.name = "correlate",
	.summary = "",
	.enabled = always,
	.start = start_other,
	.ready = other_ready,
	.failed = other_failed,
	.close = close_other,
	.drain = drain_other,
	.free = free_any,
};
const struct role role_deliver = {
	.name = "deliver",
	.summary = "",
	.enabled = with_sinks,
	.start = start_other,
	.ready = other_ready,
	.failed = other_failed,
	.close = free_any,
	.drain = drain_other,
	.free = free_any,
};
const struct role *const roles[] = { &role_ingest, &role_correlate, &role_deliver, NULL };

const struct role *role_find(struct slice name)
{
	for (size_t i = 0; roles[i]; i++) {
		if (slice_is(name, roles[i]->name))
			return roles[i];
	}
	return NULL;
}

extern const struct cmd cmd_run;
const struct cmd *const commands[] = { &cmd_run, NULL };

/* ---- the process under test ---- */

static struct {
	pid_t pid;
	int log; /* its stderr */
	char said[65536];
	size_t n;
} child;

static char config_path[] = "/tmp/test-run-XXXXXX";

/* Runs `run WORDS...` in a process of its own, with --config and, unless NULL, --admin. */
static void start(const char *admin, const char *const *words, size_t words_n)
{
	struct cmd_opt config = { "--config", "FILE", "", false },
		       address = { "--admin", "A", "", false };
	struct cmd_given given[] = { { &config, config_path }, { &address, admin } };
	struct cmd_args args = { &cmd_run, (const char **)(uintptr_t)words, words_n, given,
				 admin ? 2 : 1 };
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], STDERR_FILENO);
		_exit(cmd_run.run(&args));
	}
	close(ends[1]);
	child.log = ends[0];
	child.n = 0;
}

/* Reads what it says until text is in it or its end. */
static bool says(const char *text)
{
	int64_t deadline = clock_mono_ms() + DEADLINE_MS;

	child.said[child.n] = '\0';
	while (!strstr(child.said, text)) {
		struct pollfd fd = { child.log, POLLIN, 0 };
		ssize_t got = 0;

		if (poll(&fd, 1, (int)MAX(deadline - clock_mono_ms(), 0)) > 0)
			got = read(child.log, child.said + child.n,
				   sizeof(child.said) - 1 - child.n);
		if (got <= 0)
			return false;
		child.n += (size_t)got;
		child.said[child.n] = '\0';
	}
	return true;
}

/* Its exit code; all that it said is in child.said then. */
static int ends(void)
{
	int status = 0;

	(void)says("\xff");
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	close(child.log);
	child.pid = 0;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void assert_said(const char *text)
{
	if (!says(text))
		print_error("no \"%s\" in:\n%s", text, child.said);
	assert_non_null(strstr(child.said, text));
}

/* The port of the admin server, from the line that tells it. */
static uint16_t port(void)
{
	const char *at;

	assert_said("msg=running roles=");
	at = strstr(child.said, " admin=127.0.0.1:");
	assert_non_null(at);
	return (uint16_t)strtoul(at + sizeof(" admin=127.0.0.1:") - 1, NULL, 10);
}

static char answer[65536];

/* The status; the whole answer is in `answer`. */
static int get(uint16_t to, const char *request)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(to) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	size_t n = 0;
	ssize_t got;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
	while ((got = read(fd, answer + n, sizeof(answer) - 1 - n)) > 0)
		n += (size_t)got;
	answer[n] = '\0';
	close(fd);
	return n > 12 ? atoi(answer + 9) : 0;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static int stop(void)
{
	kill(child.pid, SIGTERM);
	return ends();
}

/* ---- what it does ---- */

static int fresh(void **state)
{
	(void)state;
	memset(&ingest_does, 0, sizeof(ingest_does));
	return 0;
}

/* After a test that failed in the middle. */
static int killed(void **state)
{
	(void)state;
	if (child.pid > 0) {
		kill(child.pid, SIGKILL);
		waitpid(child.pid, NULL, 0);
		child.pid = 0;
	}
	return 0;
}

static void serves(void **state)
{
	static const char *const both[] = { "correlate", "ingest" };
	uint16_t to;

	(void)state;
	start("127.0.0.1:0", both, 2);
	to = port();
	assert_int_equal(get(to, GET("/healthz")), 200);
	assert_non_null(strstr(answer, "\r\n\r\nok\n"));
	assert_int_equal(get(to, GET("/readyz?x=y")), 200); /* ingest counts, correlate waits */
	assert_int_equal(get(to, GET("/readyz/ingest")), 200);
	assert_int_equal(get(to, GET("/readyz/correlate")), 503);
	assert_non_null(strstr(answer, "correlate: waits for kafka\n"));
	assert_int_equal(get(to, GET("/readyz/deliver")), 404);
	assert_int_equal(get(to, GET("/")), 404);
	assert_int_equal(get(to, "POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: "
				 "close\r\nContent-Length: 0\r\n\r\n"),
			 405);
	assert_int_equal(get(to, GET("/metrics")), 200);
	assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4"));
	assert_non_null(
	    strstr(answer, "callstream_build_info{version=\"" CALLSTREAM_VERSION "\"} 1\n"));
	assert_non_null(strstr(answer, "callstream_role_ready{role=\"ingest\"} 1\n"));
	assert_non_null(strstr(answer, "callstream_role_ready{role=\"correlate\"} 0\n"));
	assert_int_equal(stop(), 0);
	assert_true(strstr(child.said, "ingest closed") < strstr(child.said, "correlate closed"));
	assert_non_null(strstr(child.said, "told=1"));
}

static void not_ready(void **state)
{
	uint16_t to;

	(void)state;
	ingest_does.not_ready = true;
	start("127.0.0.1:0", NULL, 0);
	to = port();
	assert_int_equal(get(to, GET("/readyz")), 503);
	assert_non_null(strstr(answer, "\r\n\r\ningest: the disk is full\n"));
	assert_int_equal(get(to, GET("/healthz")), 200);
	assert_int_equal(stop(), 0);
}

static void without_ingest_all_count(void **state)
{
	static const char *const one[] = { "correlate" };
	uint16_t to;

	(void)state;
	start("127.0.0.1:0", one, 1);
	to = port();
	assert_int_equal(get(to, GET("/readyz")), 503);
	assert_non_null(strstr(answer, "correlate: waits for kafka\n"));
	assert_int_equal(stop(), 0);
	assert_null(strstr(child.said, "role=ingest"));
}

/* A HUP and a broken pipe change nothing; INT is like TERM. */
static void signals(void **state)
{
	(void)state;
	start("127.0.0.1:0", NULL, 0);
	(void)port();
	kill(child.pid, SIGPIPE);
	kill(child.pid, SIGHUP);
	assert_said("reloading is not in this version");
	kill(child.pid, SIGINT);
	assert_int_equal(ends(), 0);
}

static void draining(void **state)
{
	uint16_t to;

	(void)state;
	ingest_does.hang = true;
	start("127.0.0.1:0", NULL, 0);
	to = port();
	kill(child.pid, SIGTERM);
	assert_said("correlate closed");
	assert_int_equal(get(to, GET("/readyz")), 503);
	assert_non_null(strstr(answer, "\r\n\r\nending\n"));
	kill(child.pid, SIGTERM); /* a second one */
	assert_int_equal(ends(), 1);
	assert_null(strstr(child.said, "msg=ended"));
}

static void not_drained(void **state)
{
	(void)state;
	ingest_does.drain_error = -ETIMEDOUT;
	start("127.0.0.1:0", NULL, 0);
	(void)port();
	assert_int_equal(stop(), 1);
	assert_non_null(strstr(child.said, "role was not drained in time"));
	assert_non_null(strstr(child.said, "msg=ended code=1"));
}

/* What was drained ends, whatever a library still waits for. */
static void never_freed(void **state)
{
	(void)state;
	ingest_does.hang_at_last = true;
	start("127.0.0.1:0", NULL, 0);
	(void)port();
	assert_int_equal(stop(), 0);
	assert_null(strstr(child.said, "msg=ended"));
}

static void gives_up(void **state)
{
	(void)state;
	ingest_does.give_up = true;
	start("127.0.0.1:0", NULL, 0);
	assert_int_equal(ends(), 1);
	assert_non_null(strstr(child.said, "why=\"a topic has other partitions\""));
	assert_non_null(strstr(child.said, "correlate closed"));
}

static void does_not_start(void **state)
{
	(void)state;
	ingest_does.start_error = -EINVAL;
	start("127.0.0.1:0", NULL, 0);
	assert_int_equal(ends(), 1);
	assert_non_null(strstr(child.said, "role=ingest problem=\"cannot be\""));
	assert_null(strstr(child.said, "correlate"));
}

static void address_taken(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t n = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char address[40];

	(void)state;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(in.sin_port));
	start(address, NULL, 0);
	assert_int_equal(ends(), 1);
	assert_non_null(strstr(child.said, "cannot listen at the admin address"));
	assert_non_null(strstr(child.said, "Address already in use"));
	close(fd);
}

static const struct refused_row {
	const char *name, *admin, *word;
	int code;
	const char *said;
} refused_rows[] = {
	{ "no such role", NULL, "ingst", 2, "there is no role ingst, did you mean ingest?" },
	{ "a later role", NULL, "board", 2, "role board is not in this version" },
	{ "a role that nothing enables", NULL, "deliver", 1, "nothing in it enables role deliver" },
	{ "no address", "nowhere", "ingest", 2, "--admin nowhere: ADDRESS:PORT like" },
};

static void refused(void **state)
{
	const struct refused_row *row = *state;

	start(row->admin, &row->word, 1);
	assert_int_equal(ends(), row->code);
	assert_non_null(strstr(child.said, row->said));
}

static void wrong_config(void **state)
{
	(void)state;
	setenv("TEST_RUN_DRAIN", "soon", 1);
	start(NULL, NULL, 0);
	setenv("TEST_RUN_DRAIN", "20s", 1);
	assert_int_equal(ends(), 1);
	assert_non_null(strstr(child.said, ":1: drain: \"${TEST_RUN_DRAIN}\" is no duration"));
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test_setup_teardown(serves, fresh, killed),
		cmocka_unit_test_setup_teardown(not_ready, fresh, killed),
		cmocka_unit_test_setup_teardown(without_ingest_all_count, fresh, killed),
		cmocka_unit_test_setup_teardown(signals, fresh, killed),
		cmocka_unit_test_setup_teardown(draining, fresh, killed),
		cmocka_unit_test_setup_teardown(not_drained, fresh, killed),
		cmocka_unit_test_setup_teardown(never_freed, fresh, killed),
		cmocka_unit_test_setup_teardown(gives_up, fresh, killed),
		cmocka_unit_test_setup_teardown(does_not_start, fresh, killed),
		cmocka_unit_test_setup_teardown(address_taken, fresh, killed),
		cmocka_unit_test(wrong_config),
	};
	static const char config[] = "drain: ${TEST_RUN_DRAIN}\nredis: {}\n";
	int fd = mkstemp(config_path), failed;

	if (fd < 0 || write(fd, config, sizeof(config) - 1) < 0)
		return 1;
	close(fd);
	setenv("TEST_RUN_DRAIN", "20s", 1);
	failed = RUN_ROWS("runs that are refused", refused, refused_rows);
	failed += cmocka_run_group_tests_name("run", single, NULL, NULL);
	unlink(config_path);
	return failed != 0;
}
