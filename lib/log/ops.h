/*
 * ops.h - what a back end of the log is: the operations behind log.h
 *
 * The comments of log.h are the contract of each; log.c adds nothing but the call. A back end puts
 * the matching struct below at the beginning of its own and fills ops. Handles of one log carry the
 * log's ops.
 */
#ifndef CS_LOG_OPS_H
#define CS_LOG_OPS_H

#include "log/log.h"

struct log_ops {
	const char *name;
	int (*open)(const struct cfg *cfg, struct log **ret, struct buf *problem);
	void (*close)(struct log *log);
	int (*setup_topics)(struct log *log, int64_t deadline_ms, struct buf *problem);
	int (*partitions)(struct log *log, enum topic topic, int64_t deadline_ms);

	int (*appender_new)(struct log *log, int64_t timeout_ms, struct log_appender **ret);
	int (*append)(struct log_appender *a, enum topic topic, int32_t partition, struct slice key,
		      struct slice value, log_acked_fn *acked, void *arg);
	int (*appender_poll)(struct log_appender *a, int timeout_ms);
	int (*appender_fd)(struct log_appender *a);
	size_t (*appender_queued)(const struct log_appender *a);
	void (*appender_free)(struct log_appender *a);

	int (*worker_new)(struct log *log, const char *role, const char *transactional_id,
			  const enum topic *topics, size_t topics_n,
			  const struct log_worker_hooks *hooks, struct log_worker **ret);
	/* NULL: no poll waits for long */
	void (*worker_heed)(struct log_worker *w, const atomic_bool *stop);
	int (*worker_poll)(struct log_worker *w, int timeout_ms, struct log_msg *ret);
	/* NULL: one message at a time */
	int (*worker_poll_held)(struct log_worker *w, int timeout_ms, struct log_msg *ret);
	void (*msg_done)(struct log_worker *w);
	int64_t (*worker_lag)(struct log_worker *w, enum topic topic, int32_t partition);
	int (*worker_seek)(struct log_worker *w, enum topic topic, int32_t partition,
			   int64_t offset);
	int (*worker_pause)(struct log_worker *w, enum topic topic, int32_t partition, bool pause);
	int (*txn_produce)(struct log_worker *w, enum topic topic, int32_t partition,
			   struct slice key, struct slice value, bool tombstone);
	int (*txn_commit)(struct log_worker *w, const struct log_part *parts, size_t parts_n);
	int (*txn_abort)(struct log_worker *w);
	bool (*txn_open)(const struct log_worker *w);
	void (*worker_free)(struct log_worker *w);
	int (*committed)(struct log_worker *w, enum topic topic, int32_t partition,
			 int64_t deadline_ms, int64_t *ret);

	int (*set_committed)(struct log_worker *w, enum topic topic, int32_t partition,
			     int64_t deadline_ms, int64_t offset); /* NULL: cannot */

	int (*low_watermark)(struct log *log, enum topic topic, int32_t partition,
			     int64_t deadline_ms, int64_t *ret); /* NULL: always 0 */
	int (*high_watermark)(struct log *log, enum topic topic, int32_t partition,
			      int64_t deadline_ms, int64_t *ret);
	int (*read_partition)(struct log *log, enum topic topic, int32_t partition, int64_t from,
			      int64_t until, int64_t deadline_ms, log_read_fn *each, void *arg);
	int (*reader_new)(struct log *log, const enum topic *topics, size_t topics_n,
			  int64_t from_ms, int64_t deadline_ms, struct log_reader **ret);
	int (*reader_next)(struct log_reader *r, int timeout_ms, struct log_msg *ret);
	int64_t (*reader_left)(struct log_reader *r);
	void (*reader_free)(struct log_reader *r);
};

struct log {
	const struct log_ops *ops;
};
struct log_appender {
	const struct log_ops *ops;
};
struct log_worker {
	const struct log_ops *ops;
};
struct log_reader {
	const struct log_ops *ops;
};

extern const struct log_ops log_ops_kafka;

#endif
