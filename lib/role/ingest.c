#include "role/ingest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/slog.h"
#include "role/ingest_priv.h"
#include "role/role.h"

#define STALL_MS 2000 /* without progress the drain of the spool waits no longer */

int ingest_topic(uint16_t spool_topic, enum topic *ret)
{
	switch (spool_topic) {
	case SPOOL_TOPIC_EVENTS:
		*ret = TOPIC_EVENTS;
		return 0;
	case SPOOL_TOPIC_DEAD:
		*ret = TOPIC_DEAD;
		return 0;
	default:
		return -EINVAL;
	}
}

/* ---- beginning ---- */

static int by_name(const void *a, const void *b)
{
	const struct ingest_account *x = a, *y = b;

	return slice_cmp(x->name, y->name);
}

static int list_accounts(struct ingest *in)
{
	const struct cfg *cfg = in->cfg;

	in->accounts = calloc(cfg->accounts_n + 1, sizeof(*in->accounts));
	if (!in->accounts)
		return -ENOMEM;
	for (size_t i = 0; i < cfg->accounts_n; i++) {
		if (!dialect_find(slice_of(cfg->accounts[i].source)))
			continue; /* not in this version: there is no such hook */
		in->accounts[in->accounts_n].name = slice_of(cfg->accounts[i].name);
		in->accounts[in->accounts_n++].cfg = &cfg->accounts[i];
	}
	qsort(in->accounts, in->accounts_n, sizeof(*in->accounts), by_name);
	return 0;
}

static struct ingest *ingest_alloc(const struct cfg *cfg)
{
	struct ingest *in = calloc(1, sizeof(*in));
	pthread_condattr_t attr;

	if (!in)
		return NULL;
	in->cfg = cfg;
	in->kafka_mode = cfg->ingest.ack == CFG_ACK_KAFKA;
	in->seconds = metric(M_REQUEST_SECONDS, NULL, NULL);
	pthread_mutex_init(&in->keeper_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&in->keeper_wake, &attr);
	pthread_condattr_destroy(&attr);
	in->flood = flood_new(cfg->ingest.unauthenticated_per_second);
	if (!in->flood || list_accounts(in)) {
		ingest_free(in);
		return NULL;
	}
	return in;
}

static int open_spool(struct ingest *in, const struct spool_io *io, struct buf *problem)
{
	const struct spool_cfg cfg = { .dir = in->cfg->ingest.spool_dir,
				       .bytes_max = in->cfg->ingest.spool_bytes_max,
				       .io = io };
	struct spool_state now;
	int err;

	buf_add_text(problem, "ingest.spool_dir: ");
	err = spool_open(&cfg, &in->spool, problem);
	if (err)
		return err;
	spool_state(in->spool, &now);
	if (now.records)
		SLOG(SLOG_INFO, "spool holds a backlog, it goes first",
		     SLOG_I("records", now.records), SLOG_I("bytes", now.bytes));
	return 0;
}

static int open_http(struct ingest *in, struct buf *problem)
{
	const struct cfg_ingest *c = &in->cfg->ingest;
	const struct http_server_cfg cfg = {
		.listen = c->listen,
		.trusted_proxies = &c->trusted_proxies,
		.threads = c->threads,
		.body_bytes_max = c->body_bytes_max,
		.own_bytes = sizeof(struct pending),
		.arg = in,
		.loop_start = ingest_loop_start,
		.handle = ingest_handle,
		.refused = ingest_refused,
		.too_large = ingest_too_large,
		.loop_stop = ingest_loop_stop,
	};
	int err;

	buf_reset(problem);
	buf_add_text(problem, "ingest.listen: ");
	err = http_server_new(&cfg, &in->http, problem);
	if (!err)
		SLOG(SLOG_INFO, "listening for webhooks", SLOG_T("listen", c->listen),
		     SLOG_I("port", http_server_port(in->http)),
		     SLOG_I("threads", http_server_threads(in->http)),
		     SLOG_T("ack", in->kafka_mode ? "kafka" : "spool"));
	return err;
}

int ingest_start(const struct cfg *cfg, ingest_log_open_fn *log_open_fn, const struct spool_io *io,
		 struct ingest **ret, struct buf *problem)
{
	struct ingest *in;
	int err;

	if (cfg->ingest.tls_certificate[0]) {
		buf_add_text(problem,
			     "ingest.tls: not in this version, nothing is served unencrypted "
			     "in its place");
		return -EINVAL;
	}
	in = ingest_alloc(cfg);
	if (!in)
		return -ENOMEM;
	err = log_open_fn(cfg, &in->log, problem);
	if (!err)
		err = open_spool(in, io, problem);
	if (!err)
		err = open_http(in, problem);
	if (!err)
		err = ingest_keeper_start(in);
	if (err) {
		ingest_free(in);
		return err == -ENOMEM ? err : -EINVAL;
	}
	buf_reset(problem);
	*ret = in;
	return 0;
}

uint16_t ingest_port(const struct ingest *in)
{
	return http_server_port(in->http);
}

/* ---- state ---- */

bool ingest_failed(struct ingest *in, char *why, size_t why_size)
{
	if (!atomic_load(&in->failed))
		return false;
	snprintf(why, why_size, "%s", in->failure);
	return true;
}

bool ingest_ready(struct ingest *in, char *why, size_t why_size)
{
	struct spool_state now;

	if (ingest_failed(in, why, why_size))
		return false;
	if (atomic_load(&in->closing)) {
		snprintf(why, why_size, "stopping");
		return false;
	}
	spool_state(in->spool, &now);
	if (!now.err || (in->kafka_mode && !now.records && atomic_load(&in->kafka_acks)))
		return true;
	snprintf(why, why_size, "nothing durable can take a request: spool: %s",
		 now.err == -ENOSPC ? "full" : strerror(-now.err));
	return false;
}

/* ---- end ---- */

void ingest_close(struct ingest *in)
{
	atomic_store(&in->closing, true);
	http_server_close(in->http);
}

/* While the log takes what is in the spool, it may as well have it. */
static int drain_spool(struct ingest *in, int64_t deadline_ms)
{
	const struct timespec pause = { 0, 5000000 };
	struct spool_state now;
	uint64_t records = UINT64_MAX;
	int64_t moved_ms = clock_mono_ms();

	for (;;) {
		int64_t now_ms = clock_mono_ms();

		spool_state(in->spool, &now);
		if (!now.records)
			return 0;
		if (now.records != records)
			moved_ms = now_ms;
		records = now.records;
		if (now_ms >= deadline_ms || now_ms - moved_ms >= STALL_MS)
			break;
		nanosleep(&pause, NULL);
	}
	SLOG(SLOG_INFO, "spool keeps its backlog for the next start",
	     SLOG_I("records", now.records));
	return 0;
}

int ingest_drain(struct ingest *in, int64_t deadline_ms)
{
	int err = http_server_drain(in->http, deadline_ms);

	return err ? err : drain_spool(in, deadline_ms);
}

void ingest_free(struct ingest *in)
{
	if (!in)
		return;
	ingest_keeper_stop(in); /* hands nothing to a loop that is gone */
	http_server_free(in->http);
	spool_close(in->spool);
	if (in->log)
		log_close(in->log);
	flood_free(in->flood);
	free(in->accounts);
	pthread_cond_destroy(&in->keeper_wake);
	pthread_mutex_destroy(&in->keeper_lock);
	free(in);
}

/* ---- the role ---- */

static bool enabled(const struct cfg *cfg)
{
	return cfg != NULL;
}

static int start(const struct cfg *cfg, void **ret_state, struct buf *problem)
{
	struct ingest *in;
	int err = ingest_start(cfg, log_open, NULL, &in, problem);

	if (!err)
		*ret_state = in;
	return err;
}

static bool ready(void *state, char *why, size_t why_size)
{
	return ingest_ready(state, why, why_size);
}

static bool failed(void *state, char *why, size_t why_size)
{
	return ingest_failed(state, why, why_size);
}

static void close_role(void *state)
{
	ingest_close(state);
}

static int drain(void *state, int64_t deadline_ms)
{
	return ingest_drain(state, deadline_ms);
}

static void free_role(void *state)
{
	ingest_free(state);
}

const struct role role_ingest = {
	.name = "ingest",
	.summary = "webhooks over HTTP, made durable in topic events",
	.enabled = enabled,
	.start = start,
	.ready = ready,
	.failed = failed,
	.close = close_role,
	.drain = drain,
	.free = free_role,
};
