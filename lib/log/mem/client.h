/*
 * client.h - the clients of the cluster: what the files of the operations share
 */
#ifndef CS_LOG_MEM_CLIENT_H
#define CS_LOG_MEM_CLIENT_H

#include "log/mem/cluster.h"
#include "log/ops.h"

#define MEM_MSG_BYTES_MAX   ((4u << 20) - 1024u) /* as back end kafka has it */
#define WORKER_TOPICS_MAX   4u
#define WORKER_TXN_MS       10000
#define WORKER_COMMITTED_MS 60000
#define WORKER_LEAVE_MS     5000

struct memclient {
	struct log log;
	struct memlog *m;
	const struct cfg *cfg;
	uint64_t process;
};

static inline struct memclient *client_of(struct log *log)
{
	return CONTAINER_OF(log, struct memclient, log);
}

extern const struct log_ops log_ops_mem;

/* A message of the cluster copied, so that it stays when others run. */
struct held {
	struct log_msg msg;
	struct buf bytes;
};
/* It is over: who still looks at it sees that. */
void held_drop(struct held *h);
CHECKED int held_take(struct held *h, const struct mem_part *p, const struct entry *e,
		      enum topic topic, int32_t partition);

int mem_setup_topics(struct log *log, int64_t deadline_ms, struct buf *problem);
int mem_partitions(struct log *log, enum topic topic, int64_t deadline_ms);
int mem_low_watermark(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
		      int64_t *ret);
int mem_high_watermark(struct log *log, enum topic topic, int32_t partition, int64_t deadline_ms,
		       int64_t *ret);
int mem_read_partition(struct log *log, enum topic topic, int32_t partition, int64_t from,
		       int64_t until, int64_t deadline_ms, log_read_fn *each, void *arg);

int mem_appender_new(struct log *log, int64_t timeout_ms, struct log_appender **ret);
int mem_append(struct log_appender *a, enum topic topic, int32_t partition, struct slice key,
	       struct slice value, log_acked_fn *acked, void *arg);
int mem_appender_poll(struct log_appender *a, int timeout_ms);
int mem_appender_fd(struct log_appender *a);
size_t mem_appender_queued(const struct log_appender *a);
void mem_appender_free(struct log_appender *a);

int mem_reader_new(struct log *log, const enum topic *topics, size_t topics_n, int64_t from_ms,
		   int64_t deadline_ms, struct log_reader **ret);
int mem_reader_next(struct log_reader *r, int timeout_ms, struct log_msg *ret);
int64_t mem_reader_left(struct log_reader *r);
void mem_reader_free(struct log_reader *r);

/* ---- a worker: client_worker.c, client_group.c, client_txn.c ---- */

struct wpart {
	int64_t next; /* the offset behind the last message polled, or of the last end told */
	int64_t high; /* of the partition, when it was read last */
	bool owned, heard, paused;
};

struct wparts {
	struct wpart *v; /* by partition */
	int32_t n;
};

struct mworker {
	struct log_worker base;
	struct memclient *c;
	struct log_worker_hooks hooks;
	enum topic topics[WORKER_TOPICS_MAX];
	struct wparts parts[WORKER_TOPICS_MAX];
	size_t topics_n;
	char *role, *id;
	int group;
	uint64_t uid;
	uint32_t producer, epoch;
	struct held slots[LOG_HELD_MAX]; /* the newest message lies behind those that are held */
	size_t held_n;
	bool newest;
	uint64_t turn; /* which partition is read next */
	bool fenced_others, joined, txn_open;
	bool looked, again;      /* at the places of all; so it has to join again */
	int64_t look_at_ms;      /* 0: not any more */
	int verdict;             /* of what happened inside a call; the running poll returns it */
	int dead;                /* what every call returns from now on */
	int64_t leave_by_ms;     /* 0 before log_worker_free */
	const atomic_bool *stop; /* NULL: nobody can ask for it */
};

static inline struct mworker *mworker_of(struct log_worker *w)
{
	return CONTAINER_OF(w, struct mworker, base);
}

size_t mworker_topic_at(const struct mworker *w, enum topic topic); /* WORKER_TOPICS_MAX: none */
struct wpart *mworker_part(struct mworker *w, size_t at, int32_t partition); /* NULL: memory */
int64_t mworker_deadline(const struct mworker *w, int64_t ms);
/* The name under which it is a member; NULL: none. */
const char *mworker_member_name(const struct mworker *w);
bool mworker_owns_any(const struct mworker *w);
/* Runs the call of the group that is due. false: there was none. */
bool mworker_serve_group(struct mworker *w);
CHECKED int mworker_fence_others(struct mworker *w, int64_t deadline_ms);

int mem_worker_new(struct log *log, const char *role, const char *transactional_id,
		   const enum topic *topics, size_t topics_n, const struct log_worker_hooks *hooks,
		   struct log_worker **ret);
void mem_worker_heed(struct log_worker *w, const atomic_bool *stop);
int mem_worker_poll(struct log_worker *w, int timeout_ms, struct log_msg *ret);
int mem_worker_poll_held(struct log_worker *w, int timeout_ms, struct log_msg *ret);
void mem_msg_done(struct log_worker *w);
int64_t mem_worker_lag(struct log_worker *w, enum topic topic, int32_t partition);
int mem_worker_seek(struct log_worker *w, enum topic topic, int32_t partition, int64_t offset);
int mem_worker_pause(struct log_worker *w, enum topic topic, int32_t partition, bool pause);
void mem_worker_free(struct log_worker *w);
int mem_committed(struct log_worker *w, enum topic topic, int32_t partition, int64_t deadline_ms,
		  int64_t *ret);
int mem_set_committed(struct log_worker *w, enum topic topic, int32_t partition,
		      int64_t deadline_ms, int64_t offset);
int mem_txn_produce(struct log_worker *w, enum topic topic, int32_t partition, struct slice key,
		    struct slice value, bool tombstone);
int mem_txn_commit(struct log_worker *w, const struct log_part *parts, size_t parts_n);
int mem_txn_abort(struct log_worker *w);
bool mem_txn_open(const struct log_worker *w);

#endif
