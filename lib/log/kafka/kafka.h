/*
 * kafka.h - the back end over librdkafka: what its files share
 *
 * One struct log holds the config and, made when first needed, one handle for questions (topics,
 * partitions, watermarks; it reads uncommitted) and a few idle handles for reading single
 * partitions. Appenders, workers and readers have handles of their own.
 */
#ifndef CS_LOG_KAFKA_KAFKA_H
#define CS_LOG_KAFKA_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "log/ops.h"

#define KAFKA_READERS_IDLE_MAX 4u

/* Of one message, key and value; the rest of max.message.bytes is for the batch around it. */
#define KAFKA_TOPIC_BYTES_MAX (4u << 20)
#define KAFKA_MSG_BYTES_MAX   (KAFKA_TOPIC_BYTES_MAX - 1024u)
#define KAFKA_ASK_MS          3000 /* one question to the broker, before it is asked again */

struct kafka {
	struct log log;
	const struct cfg *cfg;
	pthread_mutex_t lock; /* of what follows */
	rd_kafka_t *meta;
	rd_kafka_t *idle[KAFKA_READERS_IDLE_MAX];
	size_t idle_n;
	_Atomic int32_t partitions[TOPICS_N]; /* 0: not known yet */
};

static inline struct kafka *kafka_of(struct log *log)
{
	return CONTAINER_OF(log, struct kafka, log);
}

/* <prefix><name>, NUL-terminated. 249 characters are Kafka's limit. */
#define KAFKA_NAME_SIZE 256
void kafka_topic_name(const struct kafka *k, enum topic topic, char out[KAFKA_NAME_SIZE]);
/* The topic of that name, TOPICS_N when it is none of ours. */
enum topic kafka_topic_find(const struct kafka *k, const char *name);

/* ---- conf.c: settings ---- */

struct kafka_setting {
	const char *key, *value;
};
#define KAFKA_SETTINGS_MAX 24

/*
 * A handle with our common settings, then settings (ends with a NULL key), then the config's
 * kafka.properties. 0; -EINVAL with a text in problem (may be NULL: it is logged); -ENOMEM.
 */
CHECKED int kafka_conf_new(const struct kafka *k, const struct kafka_setting *settings,
			   struct buf *problem, rd_kafka_conf_t **ret);
/* A setting that older clients lack, or do not take: then it stays as it is. */
void kafka_conf_try(rd_kafka_conf_t *conf, const char *key, const char *value);
/* Takes conf, also on error. 0 or -EINVAL (logged). */
CHECKED int kafka_handle_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **ret);
/* The handle for questions; NULL when it cannot be made (logged). Thread: any. */
rd_kafka_t *kafka_meta(struct kafka *k);

/* ---- verdict.c: what an error of the client means here ---- */

/* 0 or a verdict of log.h. An error that is not in the table is -EPIPE. */
int kafka_verdict_code(rd_kafka_resp_err_t err);
/* The same for an error of a transaction, which is freed and, unless it is -EAGAIN, logged with
 * what was being done. NULL: 0. */
int kafka_verdict(rd_kafka_error_t *error, const char *doing);

/* ms until deadline, at most max_ms, never below 0. */
int kafka_left_ms(int64_t deadline_ms, int64_t max_ms);

/* ---- the operations ---- */

int kafka_setup_topics(struct log *log, int64_t deadline_ms, struct buf *problem);
int kafka_partitions(struct log *log, enum topic topic, int64_t deadline_ms);

int kafka_appender_new(struct log *log, int64_t timeout_ms, struct log_appender **ret);
int kafka_append(struct log_appender *a, enum topic topic, int32_t partition, struct slice key,
		 struct slice value, log_acked_fn *acked, void *arg);
int kafka_appender_poll(struct log_appender *a, int timeout_ms);
int kafka_appender_fd(struct log_appender *a);
size_t kafka_appender_queued(const struct log_appender *a);
void kafka_appender_free(struct log_appender *a);

int kafka_low_watermark(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
			int64_t *ret);
int kafka_high_watermark(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
			 int64_t *ret);
int kafka_read_partition(struct log *log, enum topic topic, int32_t partition, int64_t from,
			 int64_t until, int64_t deadline_ms, log_read_fn *each, void *arg);
int kafka_reader_new(struct log *log, const enum topic *topics, size_t topics_n, int64_t from_ms,
		     int64_t deadline_ms, struct log_reader **ret);
int kafka_reader_next(struct log_reader *r, int timeout_ms, struct log_msg *ret);
int64_t kafka_reader_left(struct log_reader *r);
void kafka_reader_free(struct log_reader *r);

/* A consumer to which partitions are assigned by hand, reading committed. wait_ms: how long the
 * broker may hold a fetch at the end of a partition. 0, -EINVAL, -ENOMEM. */
CHECKED int kafka_reading_handle(struct kafka *k, const char *wait_ms, rd_kafka_t **ret);
/* For each partition of list the first offset at or behind the time in its offset, or
 * RD_KAFKA_OFFSET_BEGINNING or _END as offsets; as isolated as rk is. 0, -EAGAIN, -EPIPE. */
CHECKED int kafka_ask_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
			      int64_t deadline_ms);
/* Fills *ret from a message of the client, all borrowed. */
void kafka_msg_fill(const rd_kafka_message_t *m, enum topic topic, struct log_msg *ret);

#endif
