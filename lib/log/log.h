/*
 * log.h - the log as roles see it: topics with partitions, transactions, consumer groups, fencing
 *
 * An operation table stands behind it, so that a role never meets a client library: back end kafka/
 * is the product (a simulated one follows). Topics are the contract's (contract.md 3); their real
 * names carry the prefix. Every call that may wait takes a deadline or is bounded as its comment
 * says.
 *
 * Errors: 0 or a count is success. Negative values are verdicts of what to do next:
 *   -EAGAIN   try again later; nothing has happened (queue full, broker not reachable)
 *   -ECANCELED abort: the transaction is gone; drop all partitions and take them over again (ABORT)
 *   -EPIPE    fenced or fatal: this handle is dead, free it and make a new one (FATAL)
 *   -EMSGSIZE the message can never be taken
 *   -EINVAL, -ENOMEM as ever
 */
#ifndef CS_LOG_LOG_H
#define CS_LOG_LOG_H

#include <stdatomic.h>

#include "base/cfg.h"
#include "base/slice.h"

enum topic {
	TOPIC_EVENTS,
	TOPIC_LIVE,
	TOPIC_CALLS,
	TOPIC_STATE,
	TOPIC_TASKS,
	TOPIC_DELIVERIES,
	TOPIC_DEAD,
	TOPICS_N /* those of later roles join here */
};
const char *topic_text(enum topic topic); /* without prefix */

struct log_msg {
	enum topic topic;
	int32_t partition;
	int64_t offset;
	int64_t append_ms; /* the broker's time where the topic says LogAppendTime, else the
			      producer's */
	struct slice key, value;
	bool tombstone; /* value is null */
};

#define LOG_ANY_PARTITION (-1) /* murmur2_random over the key */
#define LOG_BEGIN         (-2)
#define LOG_END           (-1)

/* How long a worker that says nothing stays a member, and how often it says something, where
 * kafka.properties (session.timeout.ms, heartbeat.interval.ms) do not ask for something else. */
#define LOG_SESSION_MS   10000
#define LOG_HEARTBEAT_MS 1000

/* ---- the handle ---- */

struct log;
/* Connects to nothing yet. cfg is borrowed. 0, -EINVAL with a text in problem (bad property),
 * -ENOMEM. */
CHECKED int log_open(const struct cfg *cfg, struct log **ret, struct buf *problem);
void log_close(struct log *log);
/*
 * Creates missing topics with the contract's settings and checks those that exist. Waits until
 * deadline (clock_mono_ms) for a broker. 0; -EAGAIN not reachable; -EINVAL with a text in problem:
 * an existing topic does not fit (name, what, what is wanted).
 */
CHECKED int log_setup_topics(struct log *log, int64_t deadline_ms, struct buf *problem);
/* Partitions of a topic; -EAGAIN, -ENOENT. Waits until deadline. */
CHECKED int log_partitions(struct log *log, enum topic topic, int64_t deadline_ms);

/* ---- appending outside transactions: idempotent, acks=all ---- */

struct log_appender;
/* err 0: the log has it durably. -EAGAIN: the time for it is over, it may still arrive. -EMSGSIZE.
 * -EPIPE. */
typedef void log_acked_fn(void *arg, int err);
/* timeout_ms bounds how long a message is tried. 0, -ENOMEM, -EINVAL. */
CHECKED int log_appender_new(struct log *log, int64_t timeout_ms, struct log_appender **ret);
/* Copies key and value. 0: acked is called exactly once, from log_appender_poll or _free.
 * -EAGAIN queue full; -EMSGSIZE; -EPIPE fatal: make a new appender. On error acked is not called.
 * Thread: any. */
CHECKED int log_append(struct log_appender *a, enum topic topic, int32_t partition,
		       struct slice key, struct slice value, log_acked_fn *acked, void *arg);
/* Runs acknowledgements in this thread for up to timeout_ms; how many were run. */
int log_appender_poll(struct log_appender *a, int timeout_ms);
/* A descriptor that becomes readable when there are acknowledgements (an eventfd); it is the
 * appender's. */
int log_appender_fd(struct log_appender *a);
size_t log_appender_queued(const struct log_appender *a);
/* Waits for all until deadline (polls). 0 or -ETIMEDOUT. */
CHECKED int log_appender_drain(struct log_appender *a, int64_t deadline_ms);
/* What is still queued is given up: acked(-EPIPE). NULL allowed. */
void log_appender_free(struct log_appender *a);

/* ---- a worker: one consumer in a group and one transactional producer ---- */

struct log_part {
	enum topic topic;
	int32_t partition;
	int64_t offset; /* where to begin, or what was consumed next */
};

struct log_worker;
struct log_worker_hooks {
	void *arg;
	/*
	 * Partitions come: called inside log_worker_poll, no transaction is open (see revoked). The
	 * hook takes each over, puts the offset to begin at into parts[i].offset (it comes filled
	 * with the group's committed offset, LOG_BEGIN when there is none) and returns 0; a
	 * negative value leaves the group (log_worker_poll returns it). parts_n 0: a member of the
	 * group now, but without a partition.
	 */
	int (*assigned)(void *arg, struct log_part *parts, size_t parts_n);
	/*
	 * Partitions go. lost false: they are still ours; commit what is open before returning.
	 * lost true: they are not; drop them, what is open is aborted behind the hook. parts_n may
	 * be 0: nothing goes, but partitions are about to come while a transaction is open, so it
	 * has to be committed now. A transaction that the hook leaves open is aborted, and the poll
	 * returns -ECANCELED. parts[i].offset is the offset behind the last message polled. Called
	 * inside log_worker_poll and log_worker_free.
	 */
	void (*revoked)(void *arg, const struct log_part *parts, size_t parts_n, bool lost);
};

/* role gives the group `<prefix><role>`; transactional_id as in design.md (prefix included).
 * topics 1..4. Waits for nothing: the first polls fence the former owner of the transactional id
 * and join the group; until that is done they answer -EAGAIN. */
CHECKED int log_worker_new(struct log *log, const char *role, const char *transactional_id,
			   const enum topic *topics, size_t topics_n,
			   const struct log_worker_hooks *hooks, struct log_worker **ret);
/* Once *stop is set, what a poll waits for is given up within a second or so: it is -ECANCELED
 * then, also from the next ones. Before the first poll; stop outlives the worker. */
void log_worker_heed(struct log_worker *w, const atomic_bool *stop);
/*
 * The next message, at most timeout_ms away. 1 with *ret (valid until log_msg_done or the next
 * poll), 0 none, or a verdict. Hooks run in here, and may take longer than timeout_ms. Messages
 * that are read-committed only. -EAGAIN: wait a little and poll again; -EPIPE also when a committed
 * offset could not be learned within 60 s.
 */
CHECKED int log_worker_poll(struct log_worker *w, int timeout_ms, struct log_msg *ret);
/*
 * The same, but what was polled since the last log_msg_done stays valid until the next one: for who
 * looks ahead. At most LOG_HELD_MAX of them, and only where log_worker_holds says so: -ENOSPC. What
 * is held when a hook runs was polled before it.
 */
#define LOG_HELD_MAX 16
CHECKED int log_worker_poll_held(struct log_worker *w, int timeout_ms, struct log_msg *ret);
bool log_worker_holds(const struct log_worker *w);
void log_msg_done(struct log_worker *w);
/* Has everything up to the end of the partition been read, as far as the client knows? lag in
 * messages; -1 unknown. */
int64_t log_worker_lag(struct log_worker *w, enum topic topic, int32_t partition);
/* Goes back to offset (after an abort): the next message of that partition is the first one at or
 * behind it. 0 or a verdict. Not inside the hooks. */
CHECKED int log_worker_seek(struct log_worker *w, enum topic topic, int32_t partition,
			    int64_t offset);
/* Stop or go on fetching one partition; what was fetched comes again after resume. */
CHECKED int log_worker_pause(struct log_worker *w, enum topic topic, int32_t partition, bool pause);

/*
 * A transaction. begin is implied by the first produce or offsets. Bounded by the producer's
 * time-outs: 10 s, and as long again for the abort that may follow. 0; -EMSGSIZE, nothing has
 * happened; -ECANCELED: the transaction has been aborted, none is open; -EPIPE. Never -EAGAIN:
 * produce waits while the queue is full.
 */
CHECKED int log_txn_produce(struct log_worker *w, enum topic topic, int32_t partition,
			    struct slice key, struct slice value, bool tombstone);
/* parts[i].offset: the next one to be read. With neither messages nor parts there is nothing to
 * commit: 0. After -EPIPE it may have been committed or not. */
CHECKED int log_txn_commit(struct log_worker *w, const struct log_part *parts, size_t parts_n);
/* 0 (also when none is open), or -EPIPE. */
CHECKED int log_txn_abort(struct log_worker *w);
bool log_txn_open(const struct log_worker *w);
/* Leaves the group (revoked runs, and may still commit), aborts what is open. Waits 5 s at the most
 * beside the hook. NULL allowed. */
void log_worker_free(struct log_worker *w);

/* The group's committed offset from a read-committed handle: waits for pending transactions
 * (design.md "Taking over", step 1), until deadline. 0 with *ret (LOG_BEGIN: none); -EAGAIN. */
CHECKED int log_committed(struct log_worker *w, enum topic topic, int32_t partition,
			  int64_t deadline_ms, int64_t *ret);
/*
 * Sets it by hand, for a worker that was never polled. 0; -EBUSY the group has members, which would
 * not know of it; -EAGAIN.
 */
CHECKED int log_set_committed(struct log_worker *w, enum topic topic, int32_t partition,
			      int64_t deadline_ms, int64_t offset);
/* The high watermark as a read-uncommitted reader sees it, and the first offset that there is. 0 or
 * -EAGAIN. */
CHECKED int log_high_watermark(struct log *log, enum topic topic, int32_t partition,
			       int64_t deadline_ms, int64_t *ret);
CHECKED int log_low_watermark(struct log *log, enum topic topic, int32_t partition,
			      int64_t deadline_ms, int64_t *ret);

/* ---- reading outside groups ---- */

/* Returns 0 to go on, 1 to stop, negative to fail with it. */
typedef int log_read_fn(void *arg, const struct log_msg *msg);
/*
 * Reads one partition read-committed from offset `from` (LOG_BEGIN: the first there is; an offset
 * past the end, or gone from the log: that one too) until its end of partition stands at or past
 * `until` (a high watermark; transaction markers count). each is called for every message. 0 done;
 * 1 stopped by each; -EAGAIN at the deadline; each's error.
 */
CHECKED int log_read_partition(struct log *log, enum topic topic, int32_t partition, int64_t from,
			       int64_t until, int64_t deadline_ms, log_read_fn *each, void *arg);

/* A reader of whole topics, for commands: from a time on (ms; LOG_BEGIN all, LOG_END only what is
 * new). */
struct log_reader;
CHECKED int log_reader_new(struct log *log, const enum topic *topics, size_t topics_n,
			   int64_t from_ms, int64_t deadline_ms, struct log_reader **ret);
/* 1 with *ret (valid until the next call); 0 nothing within timeout_ms; 2 every partition is read
 * to the end it had at the start (told once); or a verdict. */
CHECKED int log_reader_next(struct log_reader *r, int timeout_ms, struct log_msg *ret);
/* Messages between where it stands and the end; for a progress line. */
int64_t log_reader_left(struct log_reader *r);
void log_reader_free(struct log_reader *r);

#endif
