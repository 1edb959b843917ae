/*
 * appender.c - an idempotent producer whose acknowledgements run where the owner polls
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"
#include "log/kafka/kafka.h"

#define FREE_WAIT_MS 5000
#define SERVE_ROUNDS 16 /* of the client's queue in one poll, then others have their turn */

struct appender {
	struct log_appender base;
	struct kafka *k;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topics[TOPICS_N];
	rd_kafka_queue_t *queue;
	int fd;
	atomic_size_t queued;
	int acked_n; /* in this poll */
};

/* What a message carries through the client until its delivery report. */
struct waiting {
	log_acked_fn *acked;
	void *arg;
};

static struct appender *appender_of(struct log_appender *a)
{
	return CONTAINER_OF(a, struct appender, base);
}

static int ack_of(rd_kafka_resp_err_t err)
{
	int verdict = kafka_verdict_code(err);

	/* Purged, fatal and unclassified ones are -EPIPE; a group's errors cannot come here. */
	return verdict == -ECANCELED ? -EPIPE : verdict;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct appender *a = opaque;
	struct waiting *w = m->_private;

	(void)rk;
	atomic_fetch_sub(&a->queued, 1);
	a->acked_n++;
	w->acked(w->arg, ack_of(m->err));
	free(w);
}

static int make_handle(struct appender *a, int64_t timeout_ms)
{
	char timeout[24], bytes[24];
	const struct kafka_setting settings[] = {
		{ "enable.idempotence", "true" },
		{ "acks", "all" },
		{ "compression.codec", "lz4" },
		{ "linger.ms", "5" },
		{ "partitioner", "murmur2_random" },
		{ "message.timeout.ms", timeout },
		{ "message.max.bytes", bytes },
		{ "queue.buffering.max.messages", "200000" },
		{ "queue.buffering.max.kbytes", "65536" },
		{ NULL, NULL },
	};
	rd_kafka_conf_t *conf;
	int r;

	snprintf(timeout, sizeof(timeout), "%lld", (long long)timeout_ms);
	snprintf(bytes, sizeof(bytes), "%u", KAFKA_TOPIC_BYTES_MAX);
	r = kafka_conf_new(a->k, settings, NULL, &conf);
	if (r < 0)
		return r;
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	rd_kafka_conf_set_opaque(conf, a);
	return kafka_handle_new(RD_KAFKA_PRODUCER, conf, &a->rk);
}

/* The topics' handles are made before there are threads, so append takes no lock. */
static int make_topics(struct appender *a)
{
	char name[KAFKA_NAME_SIZE];

	for (int i = 0; i < TOPICS_N; i++) {
		kafka_topic_name(a->k, (enum topic)i, name);
		a->topics[i] = rd_kafka_topic_new(a->rk, name, NULL);
		if (!a->topics[i])
			return -ENOMEM;
	}
	return 0;
}

static int make_fd(struct appender *a)
{
	static const uint64_t one = 1;

	a->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (a->fd < 0)
		return -errno;
	a->queue = rd_kafka_queue_get_main(a->rk);
	if (!a->queue)
		return -ENOMEM;
	rd_kafka_queue_io_event_enable(a->queue, a->fd, &one, sizeof(one));
	return 0;
}

int kafka_appender_new(struct log *log, int64_t timeout_ms, struct log_appender **ret)
{
	struct appender *a;
	int r;

	if (timeout_ms < 1 || timeout_ms > INT32_MAX)
		return -EINVAL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->base.ops = log->ops;
	a->k = kafka_of(log);
	a->fd = -1;
	r = make_handle(a, timeout_ms);
	if (r == 0)
		r = make_topics(a);
	if (r == 0)
		r = make_fd(a);
	if (r < 0) {
		kafka_appender_free(&a->base);
		return r;
	}
	*ret = &a->base;
	return 0;
}

static int produce_verdict(void)
{
	switch (rd_kafka_last_error()) {
	case RD_KAFKA_RESP_ERR__QUEUE_FULL:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return -EAGAIN;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		return -EMSGSIZE;
	default:
		return -EPIPE;
	}
}

int kafka_append(struct log_appender *base, enum topic topic, int32_t partition, struct slice key,
		 struct slice value, log_acked_fn *acked, void *arg)
{
	struct appender *a = appender_of(base);
	struct waiting *w;

	if (key.n + value.n > KAFKA_MSG_BYTES_MAX)
		return -EMSGSIZE;
	w = malloc(sizeof(*w));
	if (!w)
		return -EAGAIN;
	*w = (struct waiting){ acked, arg };
	/* Counted first: the report may come before produce returns. */
	atomic_fetch_add(&a->queued, 1);
	if (rd_kafka_produce(a->topics[topic],
			     partition == LOG_ANY_PARTITION ? RD_KAFKA_PARTITION_UA : partition,
			     RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value.p, value.n, key.p, key.n,
			     w) == 0)
		return 0;
	atomic_fetch_sub(&a->queued, 1);
	free(w);
	return produce_verdict();
}

static void signal_fd(struct appender *a)
{
	static const uint64_t one = 1;

	/* A full counter is readable too, so a failed write loses nothing. */
	if (write(a->fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		SLOG(SLOG_WARN, "eventfd cannot be written", SLOG_ERR(-errno));
}

static void clear_fd(struct appender *a)
{
	uint64_t count;

	if (read(a->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		SLOG(SLOG_WARN, "eventfd cannot be read", SLOG_ERR(-errno));
}

int kafka_appender_poll(struct log_appender *base, int timeout_ms)
{
	struct appender *a = appender_of(base);
	int rounds = 0;

	a->acked_n = 0;
	clear_fd(a);
	/* Until empty, because the client signals only what comes into an empty queue. */
	while (rd_kafka_poll(a->rk, rounds == 0 ? timeout_ms : 0) > 0) {
		if (++rounds == SERVE_ROUNDS) {
			signal_fd(a);
			break;
		}
	}
	return a->acked_n;
}

int kafka_appender_fd(struct log_appender *base)
{
	return appender_of(base)->fd;
}

size_t kafka_appender_queued(const struct log_appender *base)
{
	const struct appender *a = (const struct appender *)(const void *)((const char *)base -
									   offsetof(struct appender,
										    base));

	return atomic_load(&a->queued);
}

/* Gives up what is queued or under way; its reports run with an error. */
static void purge(struct appender *a)
{
	int64_t deadline_ms = clock_mono_ms() + FREE_WAIT_MS;

	while (atomic_load(&a->queued) > 0 && clock_mono_ms() < deadline_ms) {
		rd_kafka_purge(a->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_poll(a->rk, 50);
	}
	if (atomic_load(&a->queued) > 0)
		SLOG(SLOG_ERROR, "messages were left without acknowledgement",
		     SLOG_I("messages", atomic_load(&a->queued)));
}

void kafka_appender_free(struct log_appender *base)
{
	struct appender *a = appender_of(base);

	if (a->rk)
		purge(a);
	if (a->queue) {
		rd_kafka_queue_io_event_enable(a->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(a->queue);
	}
	for (size_t i = 0; i < TOPICS_N; i++) {
		if (a->topics[i])
			rd_kafka_topic_destroy(a->topics[i]);
	}
	if (a->rk)
		rd_kafka_destroy(a->rk);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}
