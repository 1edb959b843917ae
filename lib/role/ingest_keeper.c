/* What may take long: topics at the start, producers that are made and freed. */
#include "role/ingest_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/slog.h"

#define SETUP_TRY_MS    1000
#define ASK_MS          1000
#define PAUSE_FIRST_MS  100
#define PAUSE_MAX_MS    2000
#define APPENDER_MS_MIN 10000
#define ACK_WAITS       4

/* Lock: held. */
static void pause_ms(struct ingest *in, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	if (!atomic_load(&in->stop))
		pthread_cond_timedwait(&in->keeper_wake, &in->keeper_lock, &until);
}

static void fail(struct ingest *in, const struct buf *problem)
{
	snprintf(in->failure, sizeof(in->failure), "%.*s", (int)problem->n, problem->p);
	atomic_store(&in->failed, true);
	SLOG(SLOG_ERROR, "topics do not fit the config, ingest ends",
	     SLOG_S("why", buf_slice(problem)));
}

/* 0 when the topics are there; -ECANCELED at the end; -EINVAL: they never will. Until then the
 * spool takes events. */
static int set_up(struct ingest *in)
{
	struct buf problem = BUF_EMPTY;
	int64_t wait_ms = PAUSE_FIRST_MS;
	bool told = false;
	int err = -EAGAIN;

	while (!atomic_load(&in->stop) && err == -EAGAIN) {
		buf_reset(&problem);
		err = log_setup_topics(in->log, clock_mono_ms() + SETUP_TRY_MS, &problem);
		if (err == -EINVAL)
			fail(in, &problem);
		if (!err || err == -EINVAL)
			break;
		if (!told)
			SLOG(SLOG_WARN,
			     "topics cannot be used yet, the spool takes events, trying again",
			     SLOG_S("why", problem.n ? buf_slice(&problem)
						     : SLICE("kafka is not reachable")));
		told = true;
		err = -EAGAIN;
		pthread_mutex_lock(&in->keeper_lock);
		pause_ms(in, wait_ms);
		pthread_mutex_unlock(&in->keeper_lock);
		wait_ms = MIN(wait_ms * 2, PAUSE_MAX_MS);
	}
	buf_fini(&problem);
	return err == -EAGAIN ? -ECANCELED : err;
}

struct handover {
	struct ingest_loop *loop;
	struct log_appender *appender;
};

static void hand_over(void *arg)
{
	struct handover *h = arg;

	ingest_keep_adopt(h->loop, h->appender);
	free(h);
}

/* 0, or an error: try again later. */
static int bring_appender(struct ingest *in, struct ingest_loop *loop)
{
	int64_t timeout_ms = MAX(in->cfg->ingest.ack_wait_ms * ACK_WAITS, APPENDER_MS_MIN);
	struct handover *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	h->loop = loop;
	err = log_appender_new(in->log, timeout_ms, &h->appender);
	if (!err) {
		err = http_loop_post(loop->http, hand_over, h);
		if (!err)
			return 0;
		log_appender_free(h->appender);
	}
	free(h);
	return err;
}

/* Lock: held; released while it works. 0, or an error: the loop waits on. */
static int serve(struct ingest *in)
{
	struct ingest_loop *loop = in->waiting;
	struct log_appender *dead = loop->buried;
	int err;

	in->waiting = loop->next_waiting;
	loop->buried = NULL;
	pthread_mutex_unlock(&in->keeper_lock);
	log_appender_free(dead); /* its acknowledgements have nobody waiting any more */
	err = bring_appender(in, loop);
	pthread_mutex_lock(&in->keeper_lock);
	if (err) {
		SLOG(SLOG_ERROR, "no producer, the spool takes events, trying again",
		     SLOG_ERR(err));
		loop->next_waiting = in->waiting;
		in->waiting = loop;
	}
	return err;
}

/* Who is not ready gets no requests, so whether the log is back has to be asked. Lock: held;
 * released while it asks. */
static void ask_log(struct ingest *in)
{
	int64_t high;

	if (!in->kafka_mode || atomic_load(&in->kafka_acks))
		return;
	pthread_mutex_unlock(&in->keeper_lock);
	if (log_high_watermark(in->log, TOPIC_EVENTS, 0, clock_mono_ms() + ASK_MS, &high) == 0)
		atomic_store(&in->kafka_acks, true);
	pthread_mutex_lock(&in->keeper_lock);
}

/* Without it nothing leaves the spool, so it is tried again at each turn. */
static void start_drainer(struct ingest *in)
{
	if (in->drainer_runs)
		return;
	in->drainer_runs = pthread_create(&in->drainer, NULL, ingest_drain_main, in) == 0;
	if (!in->drainer_runs)
		SLOG(SLOG_ERROR, "no thread to drain the spool, trying again");
}

static void *keeper_main(void *arg)
{
	struct ingest *in = arg;
	int64_t wait_ms = PAUSE_FIRST_MS;

	pthread_setname_np(pthread_self(), "ingest-keeper");
	if (set_up(in))
		return NULL;
	SLOG(SLOG_INFO, "topics are there");
	pthread_mutex_lock(&in->keeper_lock);
	while (!atomic_load(&in->stop)) {
		struct ingest_loop *loop = in->waiting;

		start_drainer(in);
		if (!loop) {
			ask_log(in);
			if (!in->waiting)
				pause_ms(in, PAUSE_MAX_MS);
			continue;
		}
		if (serve(in)) {
			pause_ms(in, wait_ms);
			wait_ms = MIN(wait_ms * 2, PAUSE_MAX_MS);
			continue;
		}
		wait_ms = PAUSE_FIRST_MS;
	}
	pthread_mutex_unlock(&in->keeper_lock);
	return NULL;
}

int ingest_keeper_start(struct ingest *in)
{
	int err = -pthread_create(&in->keeper, NULL, keeper_main, in);

	in->keeper_runs = !err;
	return err;
}

void ingest_keeper_stop(struct ingest *in)
{
	pthread_mutex_lock(&in->keeper_lock);
	atomic_store(&in->stop, true);
	pthread_cond_broadcast(&in->keeper_wake);
	pthread_mutex_unlock(&in->keeper_lock);
	if (in->spool)
		spool_wake(in->spool);
	if (in->keeper_runs)
		pthread_join(in->keeper, NULL);
	if (in->drainer_runs)
		pthread_join(in->drainer, NULL);
	in->keeper_runs = in->drainer_runs = false;
}

void ingest_keeper_ask(struct ingest_loop *loop)
{
	struct ingest *in = loop->in;

	pthread_mutex_lock(&in->keeper_lock);
	loop->next_waiting = in->waiting;
	in->waiting = loop;
	pthread_cond_broadcast(&in->keeper_wake);
	pthread_mutex_unlock(&in->keeper_lock);
}
