/*
 * worker.h - one consumer in the group and one transactional producer (worker.c, group.c, txn.c)
 * Thread: one owner; the rebalance callback runs inside its polls.
 */
#ifndef CS_LOG_KAFKA_WORKER_H
#define CS_LOG_KAFKA_WORKER_H

#include "log/kafka/kafka.h"

#define WORKER_TOPICS_MAX   4u
#define WORKER_TXN_MS       10000 /* transaction.timeout.ms, and the bound of our calls */
#define WORKER_COMMITTED_MS 60000 /* a killed owner's transaction holds its offsets */
#define WORKER_LEAVE_MS     5000

struct part {
	int64_t next; /* the offset behind the last message polled, or of the last end told */
	bool owned;   /* the role has taken it over */
	bool heard;   /* since it came or was moved: what the client knows of its end is new */
};

struct parts {
	struct part *v; /* by partition */
	int32_t n;
};

struct worker {
	struct log_worker base;
	struct kafka *k;
	rd_kafka_t *consumer, *producer;
	struct log_worker_hooks hooks;
	enum topic topics[WORKER_TOPICS_MAX];
	char names[WORKER_TOPICS_MAX][KAFKA_NAME_SIZE], group[KAFKA_NAME_SIZE];
	struct parts parts[WORKER_TOPICS_MAX];
	size_t topics_n;
	rd_kafka_topic_t *out[TOPICS_N];
	rd_kafka_message_t *msg; /* that the role holds, the newest */
	rd_kafka_message_t *held[LOG_HELD_MAX - 1];
	size_t held_n;
	bool fenced_others, joined, txn_open;
	bool named;          /* a static member of the group */
	bool looked, again;  /* at the places of all (places.c); so it has to join again */
	int64_t look_at_ms;  /* 0: not any more */
	bool placed;         /* the group has told its first assignment, if an empty one */
	bool stuck;          /* while leaving: it waits for that assignment */
	int verdict;         /* of what happened inside a callback; the running poll returns it */
	int dead;            /* what every call returns from now on */
	int64_t leave_by_ms; /* 0 before log_worker_free */
	const atomic_bool *stop; /* NULL: nobody can ask for it */
};

static inline struct worker *worker_of(struct log_worker *w)
{
	return CONTAINER_OF(w, struct worker, base);
}

/* Places in topics, TOPICS_MAX when it is none of the worker's. */
size_t worker_topic_at(const struct worker *w, enum topic topic);
size_t worker_name_at(const struct worker *w, const char *name);
/* Grows the table; NULL without memory. */
struct part *worker_part(struct worker *w, size_t at, int32_t partition);
bool worker_stopped(const struct worker *w);
/* For bounded waits, also while leaving. */
int64_t worker_deadline(const struct worker *w, int64_t ms);

/* group.c */
void worker_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
			 rd_kafka_topic_partition_list_t *list, void *opaque);

/* places.c: false also when it cannot be learned. */
bool worker_all_have_places(struct worker *w);
bool worker_owns_any(const struct worker *w);

/* txn.c */
CHECKED int worker_fence_others(struct worker *w, int timeout_ms);

int kafka_worker_new(struct log *log, const char *role, const char *transactional_id,
		     const enum topic *topics, size_t topics_n,
		     const struct log_worker_hooks *hooks, struct log_worker **ret);
void kafka_worker_heed(struct log_worker *w, const atomic_bool *stop);
int kafka_worker_poll(struct log_worker *w, int timeout_ms, struct log_msg *ret);
void kafka_msg_done(struct log_worker *w); /* of the newest one */
int kafka_worker_poll_held(struct log_worker *w, int timeout_ms, struct log_msg *ret);
void kafka_held_done(struct log_worker *w);
void kafka_held_worker_free(struct log_worker *w);
int64_t kafka_worker_lag(struct log_worker *w, enum topic topic, int32_t partition);
int kafka_worker_seek(struct log_worker *w, enum topic topic, int32_t partition, int64_t offset);
int kafka_worker_pause(struct log_worker *w, enum topic topic, int32_t partition, bool pause);
void kafka_worker_free(struct log_worker *w);
int kafka_committed(struct log_worker *w, enum topic topic, int32_t partition, int64_t deadline_ms,
		    int64_t *ret);
int kafka_set_committed(struct log_worker *w, enum topic topic, int32_t partition,
			int64_t deadline_ms, int64_t offset);
int kafka_txn_produce(struct log_worker *w, enum topic topic, int32_t partition, struct slice key,
		      struct slice value, bool tombstone);
int kafka_txn_commit(struct log_worker *w, const struct log_part *parts, size_t parts_n);
int kafka_txn_abort(struct log_worker *w);
bool kafka_txn_open(const struct log_worker *w);

#endif
