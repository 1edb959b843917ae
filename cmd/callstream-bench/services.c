#include "services.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metric.h"
#include "call/callev.h"

#define WAIT_READY_MS  120000
#define WAIT_TOPICS_MS 60000

/* ---- the broker ---- */

struct scratch {
	char dir[64], script[512];
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int broker_command(const struct scratch *x, const char *command, char *out, size_t size)
{
	char line[768];
	size_t n;
	FILE *run;

	snprintf(line, sizeof(line), "KAFKA_HEAP=${KAFKA_HEAP:-768m} '%s' %s '%s' </dev/null",
		 x->script, command, x->dir);
	run = popen(line, "re"); /* NOLINT(cert-env33-c): paths of our own */
	if (!run)
		return -1;
	n = fread(out, 1, size - 1, run);
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return pclose(run) == 0 ? 0 : -1;
}

/* The other side of a pipe that only its owner holds open. */
static void janitor(const struct scratch *x, int fd)
{
	char out[256];

	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	while (read(fd, out, 1) < 0 && errno == EINTR)
		;
	broker_command(x, "stop", out, sizeof(out));
	services_remove(x->dir);
	_exit(0);
}

static int start_janitor(struct services *s, const struct scratch *x)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return bench_fail(BENCH_WRONG, "pipe: %s", strerror(errno));
	s->janitor = fork();
	if (s->janitor == 0) {
		close(fds[1]);
		janitor(x, fds[0]);
	}
	close(fds[0]);
	s->alive_fd = fds[1];
	return s->janitor > 0 ? 0 : bench_fail(BENCH_WRONG, "fork: %s", strerror(errno));
}

static pid_t broker_pid(const struct scratch *x)
{
	char path[128];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/pid", x->dir);
	file = fopen(path, "re");
	if (file && fscanf(file, "%d", &pid) != 1) /* NOLINT(cert-err34-c): our own file */
		pid = 0;
	if (file)
		fclose(file);
	return pid;
}

static int start_broker(struct services *s)
{
	struct scratch x = { .dir = "/tmp/callstream-bench-XXXXXX" };
	char *folder = bench_folder();
	int code;

	if (!folder || !mkdtemp(x.dir))
		return bench_fail(BENCH_NOT_REACHABLE, "no broker: set CALLSTREAM_BROKERS");
	snprintf(x.script, sizeof(x.script), "%s/../scripts/broker", folder);
	free(folder);
	code = start_janitor(s, &x);
	if (code)
		return code;
	bench_say("starting a broker");
	if (broker_command(&x, "start", s->brokers, sizeof(s->brokers)))
		return bench_fail(BENCH_NOT_REACHABLE, "the broker does not start");
	s->broker_pid = broker_pid(&x);
	return 0;
}

int services_start(struct services *s)
{
	const char *named = getenv("CALLSTREAM_BROKERS");
	int code = 0;

	*s = (struct services){ .alive_fd = -1 };
	signal(SIGPIPE, SIG_IGN);
	snprintf(s->prefix, sizeof(s->prefix), "bench-%d-%lld.", (int)getpid(),
		 (long long)clock_wall_ms());
	if (named && *named)
		snprintf(s->brokers, sizeof(s->brokers), "%s", named);
	else
		code = start_broker(s);
	if (code)
		services_stop(s);
	return code;
}

int services_none(struct services *s)
{
	*s = (struct services){ .brokers = "127.0.0.1:1", .prefix = "bench.", .alive_fd = -1 };
	return 0;
}

void services_remove(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void services_stop(struct services *s)
{
	if (s->alive_fd >= 0)
		close(s->alive_fd);
	if (s->janitor > 0)
		waitpid(s->janitor, NULL, 0);
	s->alive_fd = -1;
	s->janitor = 0;
}

void services_config(const struct services *s, unsigned partitions, struct buf *out)
{
	buf_printf(out,
		   "kafka: {brokers: \"%s\", topic_prefix: \"%s\", partitions: %u, "
		   "replication: 1}\n",
		   s->brokers, s->prefix, partitions);
}

int services_log(const struct cfg *cfg, struct log **ret)
{
	struct buf problem = BUF_EMPTY;
	int code = 0, r = log_open(cfg, ret, &problem);

	if (r == 0)
		r = log_setup_topics(*ret, clock_mono_ms() + WAIT_TOPICS_MS, &problem);
	if (r < 0)
		code = bench_fail(r == -EAGAIN ? BENCH_NOT_REACHABLE : BENCH_WRONG, "topics: %.*s",
				  SLICE_ARG(buf_slice(&problem)));
	buf_fini(&problem);
	return code;
}

int services_apart(services_work_fn *work, void *arg)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return bench_fail(BENCH_WRONG, "fork: %s", strerror(errno));
	if (pid == 0)
		_exit(work(arg));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : BENCH_KILLED;
}

/* ---- filling ---- */

static void on_ack(void *arg, int err)
{
	struct filler *f = arg;

	f->failed += err != 0;
}

int filler_begin(struct filler *f, struct log *log)
{
	*f = (struct filler){ 0 };
	return log_appender_new(log, 120000, &f->appender) == 0
		   ? 0
		   : bench_fail(BENCH_WRONG, "no appender");
}

int filler_add(struct filler *f, const struct callev *ev)
{
	int r;

	buf_reset(&f->json);
	buf_reset(&f->key);
	callev_write(&f->json, ev);
	buf_add_slice(&f->key, ev->account);
	buf_add_char(&f->key, '/');
	buf_add_slice(&f->key, ev->call_session_id);
	f->bytes += f->json.n;
	while ((r = log_append(f->appender, TOPIC_EVENTS, LOG_ANY_PARTITION, buf_slice(&f->key),
			       buf_slice(&f->json), on_ack, f)) == -EAGAIN)
		log_appender_poll(f->appender, 10);
	if (log_appender_queued(f->appender) % 4096 == 0)
		log_appender_poll(f->appender, 0);
	return r ? bench_fail(BENCH_WRONG, "an event was not taken") : 0;
}

int filler_end(struct filler *f)
{
	int r = log_appender_drain(f->appender, clock_mono_ms() + 120000);

	log_appender_free(f->appender);
	buf_fini(&f->json);
	buf_fini(&f->key);
	return r || f->failed ? bench_fail(BENCH_WRONG, "events were not acknowledged") : 0;
}

/* ---- roles ---- */

static void nap(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

int running_start(const struct role *role, const struct cfg *cfg, struct running_role *ret)
{
	int64_t deadline_ms = clock_mono_ms() + WAIT_READY_MS;
	struct buf problem = BUF_EMPTY;
	char why[256] = "";

	if (role->start(cfg, &ret->state, &problem))
		return bench_fail(BENCH_WRONG, "%s: %.*s", role->name,
				  SLICE_ARG(buf_slice(&problem)));
	buf_fini(&problem);
	ret->role = role;
	while (!role->ready(ret->state, why, sizeof(why))) {
		if (clock_mono_ms() >= deadline_ms || role->failed(ret->state, why, sizeof(why)))
			return bench_fail(BENCH_WRONG, "%s is not ready: %s", role->name, why);
		nap();
	}
	return 0;
}

void running_stop(struct running_role *r, int64_t drain_ms)
{
	if (!r->state)
		return;
	r->role->close(r->state);
	if (r->role->drain(r->state, clock_mono_ms() + drain_ms))
		bench_say("%s did not drain in time", r->role->name);
	r->role->free(r->state);
	r->state = NULL;
}

double metric_sum(const char *name)
{
	struct buf text = BUF_EMPTY;
	struct slice rest, line;
	size_t n = strlen(name);
	double sum = 0;

	metric_render(&text);
	buf_add_char(&text, '\0');
	rest = buf_slice(&text);
	while (rest.n > 1) {
		line = slice_cut(&rest, '\n');
		if (line.n > n && memcmp(line.p, name, n) == 0 &&
		    (line.p[n] == ' ' || line.p[n] == '{')) {
			const char *value = memrchr(line.p, ' ', line.n);

			sum += value ? strtod(value, NULL) : 0;
		}
	}
	buf_fini(&text);
	return sum;
}
