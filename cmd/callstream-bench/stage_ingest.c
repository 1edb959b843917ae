/*
 * stage_ingest.c - webhooks over HTTP, durable before their 200
 *
 * Role ingest runs in a process of its own; this process is the load generator. The budget is that
 * of the whole machine: CPU of both together, and of the broker where it is ours. With --no-broker
 * there is none and the spool keeps everything: what a burst meets while Kafka is away. A broker
 * that has just been started is warmed up for longer: what its compiler spends is no property of
 * ours.
 */
#include <fcntl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench.h"
#include "http_load.h"
#include "measure.h"
#include "role/ingest.h"
#include "services.h"
#include "traffic.h"

#define CALLS          1000
#define WARM_UP        10000
#define WARM_UP_BROKER 300000
#define PARTITIONS     12
#define PER_S          74000.0 /* of the machine's two cores */
#define BUDGET_US      (2e6 / PER_S)

struct server {
	pid_t pid;
	int stop_fd;
	uint16_t port;
};

/* ---- the server's process ---- */

static int serve(const struct cfg *cfg, int port_fd, int stop_fd)
{
	int64_t deadline_ms = clock_mono_ms() + 60000;
	struct buf problem = BUF_EMPTY;
	struct ingest *in;
	char why[256] = "", byte;
	uint16_t port;

	signal(SIGPIPE, SIG_IGN);
	if (ingest_start(cfg, log_open, NULL, &in, &problem))
		return bench_fail(BENCH_WRONG, "ingest: %.*s", SLICE_ARG(buf_slice(&problem)));
	while (!ingest_ready(in, why, sizeof(why))) {
		if (clock_mono_ms() > deadline_ms)
			return bench_fail(BENCH_WRONG, "ingest is not ready: %s", why);
		usleep(10000);
	}
	port = ingest_port(in);
	if (write(port_fd, &port, sizeof(port)) != sizeof(port))
		return BENCH_WRONG;
	while (read(stop_fd, &byte, 1) < 0 && errno == EINTR)
		;
	ingest_close(in);
	if (ingest_drain(in, clock_mono_ms() + 1000))
		bench_say("the spool is not empty; it is dropped");
	ingest_free(in);
	return 0;
}

static int start_server(const struct cfg *cfg, struct server *ret)
{
	int port[2], stop[2];

	if (pipe2(port, O_CLOEXEC) || pipe2(stop, O_CLOEXEC))
		return bench_fail(BENCH_WRONG, "pipe: %s", strerror(errno));
	ret->pid = fork();
	if (ret->pid == 0) {
		close(stop[1]);
		_exit(serve(cfg, port[1], stop[0]));
	}
	close(port[1]);
	close(stop[0]);
	ret->stop_fd = stop[1];
	if (read(port[0], &ret->port, sizeof(ret->port)) != sizeof(ret->port))
		return bench_fail(BENCH_WRONG, "ingest does not start");
	close(port[0]);
	return 0;
}

static void stop_server(struct server *s)
{
	close(s->stop_fd);
	if (s->pid > 0)
		waitpid(s->pid, NULL, 0);
}

/* ---- requests as they go over the wire ---- */

static void write_request(struct buf *out, const struct traffic_request *r)
{
	const struct vendor_request *req = &r->req;

	buf_printf(out, "%.*s /hooks/%s", SLICE_ARG(req->method), r->account->name);
	if (req->path.n > 0)
		buf_printf(out, "/%.*s", SLICE_ARG(req->path));
	if (req->query.n > 0)
		buf_printf(out, "?%.*s", SLICE_ARG(req->query));
	buf_add_text(out, " HTTP/1.1\r\nHost: 127.0.0.1\r\n");
	if (req->content_type.n > 0)
		buf_printf(out, "Content-Type: %.*s\r\n", SLICE_ARG(req->content_type));
	buf_printf(out, "Content-Length: %zu\r\n\r\n", req->body.n);
	buf_add_slice(out, req->body);
}

/* Lengths first, places when all is written: the buffer moves while it grows. */
static int write_requests(const struct traffic *t, struct buf *bytes, struct slice **ret)
{
	struct slice *v = calloc(t->requests_n, sizeof(*v));
	size_t at = 0;

	for (size_t i = 0; v && i < t->requests_n; i++) {
		at = bytes->n;
		write_request(bytes, &t->requests[i]);
		v[i].n = bytes->n - at;
	}
	if (!v || bytes->bad) {
		free(v);
		return bench_fail(BENCH_WRONG, "out of memory");
	}
	at = 0;
	for (size_t i = 0; i < t->requests_n; i++) {
		v[i].p = bytes->p + at;
		at += v[i].n;
	}
	*ret = v;
	return 0;
}

/* ---- measuring ---- */

static int load(const struct services *s, const struct server *server, struct http_load *load,
		struct bench_result *res)
{
	double server_s, broker_s, client_s;
	struct stopwatch began;
	uint64_t warm_up = s->broker_pid ? MIN(MAX(res->items, WARM_UP), WARM_UP_BROKER) : WARM_UP;
	int code = http_load_run(load, warm_up);

	if (code)
		return code;
	load->answered = load->refused = 0;
	load->latency = (struct latency){ 0 };
	server_s = process_cpu_s(server->pid);
	broker_s = process_cpu_s(s->broker_pid);
	began = stopwatch_now();
	code = http_load_run(load, res->items);
	stopwatch_add(&began, res);
	client_s = res->cpu_s;
	server_s = process_cpu_s(server->pid) - server_s;
	broker_s = s->broker_pid ? process_cpu_s(s->broker_pid) - broker_s : 0;
	res->cpu_s = client_s + server_s + broker_s;
	res->peak_rss_bytes = process_peak_rss_bytes(server->pid);
	bench_add(res, "budget_items_per_s", PER_S);
	bench_add(res, "ingest_cpu_us_per_item", server_s * 1e6 / (double)res->items);
	bench_add(res, "client_cpu_us_per_item", client_s * 1e6 / (double)res->items);
	bench_add(res, "broker_cpu_us_per_item", broker_s * 1e6 / (double)res->items);
	bench_add(res, "connections", load->connections);
	bench_add(res, "refused", (double)load->refused);
	latency_report(&load->latency, true, res);
	return code;
}

static int measure(const struct services *s, const struct traffic *t, const struct bench_opts *opts,
		   struct bench_result *res)
{
	static struct http_load generator;
	struct server server = { .stop_fd = -1 };
	struct buf bytes = BUF_EMPTY;
	struct slice *requests = NULL;
	int code = start_server(t->cfg, &server);

	if (!code)
		code = write_requests(t, &bytes, &requests);
	if (!code) {
		generator = (struct http_load){ .port = server.port,
						.connections = opts->connections,
						.requests = requests,
						.requests_n = t->requests_n };
		code = load(s, &server, &generator, res);
	}
	stop_server(&server);
	free(requests);
	buf_fini(&bytes);
	return code;
}

static int run_with(const struct services *s, const struct bench_opts *opts,
		    struct bench_result *res)
{
	char dir[] = "/tmp/callstream-bench-XXXXXX";
	struct buf settings = BUF_EMPTY;
	struct traffic t;
	char *text;
	int code;

	if (!mkdtemp(dir))
		return bench_fail(BENCH_WRONG, "no scratch folder");
	services_config(s, PARTITIONS, &settings);
	buf_printf(&settings,
		   "ingest: {listen: \"127.0.0.1:0\", spool_dir: \"%s\", ack: %s, ack_wait: 2s, "
		   "spool_bytes_max: 16GiB, keep_raw: %s}\n",
		   dir, opts->ack, opts->keep_raw ? "true" : "false");
	text = buf_take_text(&settings);
	code = traffic_load(opts->seed, CALLS, text, &t);
	free(text);
	if (!code) {
		res->items = opts->items;
		res->budget_us = BUDGET_US;
		code = measure(s, &t, opts, res);
		traffic_free(&t);
	}
	services_remove(dir);
	return code;
}

static int run(const struct bench_opts *opts, struct bench_result *res)
{
	struct services s;
	int code;

	if (strcmp(opts->ack, "spool") != 0 && strcmp(opts->ack, "kafka") != 0)
		return bench_fail(BENCH_USAGE, "--ack: spool or kafka");
	if (opts->connections == 0)
		return bench_fail(BENCH_USAGE, "--connections: at least 1");
	code = opts->no_broker ? services_none(&s) : services_start(&s);
	if (code)
		return code;
	code = run_with(&s, opts, res);
	services_stop(&s);
	return code;
}

const struct bench_stage stage_ingest = {
	.name = "ingest",
	.item = "webhook over HTTP, durable",
	.summary = "webhooks over HTTP, durable before the 200, with the load generator",
	.items = 300000,
	.run = run,
};
