/*
 * backend.c - the table of the back end, and its handle
 */
#include <errno.h>
#include <stdlib.h>

#include "log/kafka/worker.h"

/* Are the config's properties ones that the client takes? Nothing is connected. */
static int check_properties(const struct kafka *k, struct buf *problem)
{
	static const struct kafka_setting none[] = { { NULL, NULL } };
	rd_kafka_conf_t *conf;
	int r = kafka_conf_new(k, none, problem, &conf);

	if (r == 0)
		rd_kafka_conf_destroy(conf);
	return r;
}

static int check_prefix(const struct cfg *cfg, struct buf *problem)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strlen(cfg->kafka.topic_prefix);

	if (n <= 200 && strspn(cfg->kafka.topic_prefix, allowed) == n)
		return 0;
	buf_add_text(problem, "kafka.topic_prefix: at most 200 of a-z A-Z 0-9 . _ -");
	return -EINVAL;
}

static int open_log(const struct cfg *cfg, struct log **ret, struct buf *problem)
{
	struct kafka *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->log.ops = &log_ops_kafka;
	k->cfg = cfg;
	r = check_prefix(cfg, problem);
	if (r == 0)
		r = check_properties(k, problem);
	if (r < 0) {
		free(k);
		return r;
	}
	pthread_mutex_init(&k->lock, NULL);
	*ret = &k->log;
	return 0;
}

static void close_log(struct log *log)
{
	struct kafka *k = kafka_of(log);

	while (k->idle_n > 0)
		rd_kafka_destroy_flags(k->idle[--k->idle_n], RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	if (k->meta)
		rd_kafka_destroy(k->meta);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

const struct log_ops log_ops_kafka = {
	.name = "kafka",
	.open = open_log,
	.close = close_log,
	.setup_topics = kafka_setup_topics,
	.partitions = kafka_partitions,
	.appender_new = kafka_appender_new,
	.append = kafka_append,
	.appender_poll = kafka_appender_poll,
	.appender_fd = kafka_appender_fd,
	.appender_queued = kafka_appender_queued,
	.appender_free = kafka_appender_free,
	.worker_new = kafka_worker_new,
	.worker_heed = kafka_worker_heed,
	.worker_poll = kafka_worker_poll,
	.worker_poll_held = kafka_worker_poll_held,
	.msg_done = kafka_held_done,
	.worker_lag = kafka_worker_lag,
	.worker_seek = kafka_worker_seek,
	.worker_pause = kafka_worker_pause,
	.txn_produce = kafka_txn_produce,
	.txn_commit = kafka_txn_commit,
	.txn_abort = kafka_txn_abort,
	.txn_open = kafka_txn_open,
	.worker_free = kafka_held_worker_free,
	.committed = kafka_committed,
	.set_committed = kafka_set_committed,
	.low_watermark = kafka_low_watermark,
	.high_watermark = kafka_high_watermark,
	.read_partition = kafka_read_partition,
	.reader_new = kafka_reader_new,
	.reader_next = kafka_reader_next,
	.reader_left = kafka_reader_left,
	.reader_free = kafka_reader_free,
};
