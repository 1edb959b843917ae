/*
 * memlog.h - a Kafka cluster in memory, for the simulation and for tests: what it does to us
 *
 * A model of the real one, as its clients meet it: topics with offsets, transaction markers, the
 * last stable offset, producers that are fenced, a group with sessions and a cooperative-sticky
 * assignment, offsets that are pending, compaction, a broker that is away. A log of log.h is opened
 * on it by memlog_client. Everything is decided by the clock and the chance of its environment, so
 * a run is repeated by its seed.
 *
 * The cluster knows processes by number and holds no pointer into their memory: one that dies is
 * never heard of again, and what it was is ended by time-outs. What a client had sent and the
 * cluster has not taken yet (the "flight") is the cluster's memory too.
 *
 * tests/program/log_scenarios.c runs the same scenarios on this and on a real broker; what they
 * show must be equal.
 * Thread: one; fibers may change inside every call that has a point or a sleep.
 */
#ifndef CS_LOG_MEM_MEMLOG_H
#define CS_LOG_MEM_MEMLOG_H

#include "log/log.h"

struct memlog;

struct memlog_env {
	void *arg;
	int64_t (*mono_ms)(void *arg); /* the clock of all deadlines of log.h */
	int64_t (*wall_ms)(void *arg); /* of append times */
	/* The calling fiber sleeps, others run. May return early. */
	void (*sleep_ms)(void *arg, int64_t ms);
	uint64_t (*random)(void *arg);
	/* Does this fault happen now? name: of the field in memlog_faults. NULL: random says. */
	bool (*fault)(void *arg, const char *name, unsigned per_million);
	/* Between two steps with a difference to the outside: others may run, or the caller's
	 * process ends and this never returns. NULL allowed. */
	void (*point)(void *arg, const char *name);
	/* The cluster's own memory; size 0 frees. */
	void *(*realloc)(void *arg, void *p, size_t size);
	/* Something has changed: whoever sleeps in a call of the log may look again. NULL: sleeps
	 * are cut into steps of a few ms. Called in the middle of a change: wake, do not run. */
	void (*wake)(void *arg);
};

/* What a broker is set to; memlog_settings_default has Kafka's and our clients' values. */
struct memlog_settings {
	int64_t session_ms, heartbeat_ms, rebalance_ms;
	int64_t join_delay_ms; /* group.initial.rebalance.delay.ms */
	int64_t sweep_ms;      /* how often transactions are looked at for their time-out */
	int64_t txn_ms;        /* transaction.timeout.ms */
	int64_t linger_ms;     /* a message leaves its client after 0 to this */
	int64_t answer_ms;     /* an answer takes 0 to this */
	int64_t marker_ms;     /* a marker is written 0 to this after the end of its transaction */
	int64_t tombstone_ms;  /* delete.retention.ms */
	int64_t segment_ms[TOPICS_N];
	size_t segment_bytes[TOPICS_N];
	size_t bytes_max[TOPICS_N]; /* of a message: max.message.bytes, as if nothing compressed */
	size_t queue_msgs_max;      /* of an appender */
};
void memlog_settings_default(struct memlog_settings *ret);

/* How often out of a million each goes wrong where it can. */
struct memlog_faults {
	/* appending */
	unsigned append_full;   /* refused with -EAGAIN */
	unsigned append_lost;   /* written, and its acknowledgement says -EAGAIN */
	unsigned append_floats; /* its acknowledgement says -EAGAIN, and it is written later */
	unsigned append_fatal;  /* the appender is of no use any more */
	/* transactions */
	unsigned produce_abort; /* produce says -ECANCELED */
	unsigned commit_abort;  /* commit says -ECANCELED */
	unsigned commit_lost;   /* committed, and commit says -EPIPE */
	unsigned commit_floats; /* commit says -EPIPE, and it is committed later if it still can */
	unsigned commit_late;   /* asked for only after the transaction's time-out */
	unsigned illegal;       /* the group has moved on when offsets are sent */
	unsigned fenced;        /* at any step of a transaction: by the coordinator */
	unsigned marker_late;   /* markers of a transaction take up to 20 s */
	/* the group, at each poll */
	unsigned rebalance;  /* partitions move for no reason */
	unsigned kicked;     /* the member's session ends without its fault */
	unsigned poll_again; /* -EAGAIN */
	unsigned poll_fatal; /* -EPIPE: the consumer is of no use any more */
	/* reading and asking */
	unsigned stalled; /* a question, a read or a seek gets no answer in its time */
	unsigned lag_unknown;
	unsigned away; /* at any step: no broker, for up to away_ms */
	int64_t away_ms;
};

/* 0, -ENOMEM. env and settings are copied. */
CHECKED int memlog_new(const struct memlog_env *env, const struct memlog_settings *settings,
		       struct memlog **ret);
void memlog_free(struct memlog *m);
/*
 * A log of log.h for a process of that number (not 0); ends with log_close. cfg is borrowed:
 * partitions and create_topics are used. Topics are made by log_setup_topics. 0, -ENOMEM. What the
 * client holds is the process's memory (malloc), and may be gone with it.
 */
CHECKED int memlog_client(struct memlog *m, const struct cfg *cfg, uint64_t process,
			  struct log **ret);
void memlog_set_faults(struct memlog *m, const struct memlog_faults *faults);

/*
 * What is due happens: messages arrive, time-outs end, acknowledgements make descriptors readable.
 * Every call of a client does it first; a simulation whose fibers wait for descriptors does it also
 * at memlog_due (mono_ms; INT64_MAX never), which env.wake says to look at again.
 */
void memlog_run(struct memlog *m);
int64_t memlog_due(const struct memlog *m);

/* ---- what happens to processes and to the broker ---- */

/* It is never heard of again. Of what it had sent, some arrives. */
void memlog_process_dies(struct memlog *m, uint64_t process);
/* Stopped: it is not heard of until it goes on. Its fibers must not run meanwhile. */
void memlog_process_stops(struct memlog *m, uint64_t process, bool stopped);
/* Nobody reaches a broker for ms from now. */
void memlog_broker_away(struct memlog *m, int64_t ms);

/* ---- what can be done to clients on purpose; role as in log_worker_new ---- */

/* The session of the nth member (of those there are, from 0) ends. false: there is none. */
bool memlog_kick_member(struct memlog *m, const char *role, size_t nth);
/* A rebalance that moves partitions for no reason. false: the group has no member. */
bool memlog_rebalance(struct memlog *m, const char *role);
/* The coordinator fences the producer of the id: its open transaction is aborted. false: none. */
bool memlog_fence(struct memlog *m, const char *transactional_id);
/* A transaction of nobody's with one message, open for so long: what is behind it is hidden. */
CHECKED int memlog_open_foreign_txn(struct memlog *m, enum topic topic, int32_t partition,
				    int64_t for_ms);
/* The group's offset of a partition, pending in a transaction of nobody's for so long. */
CHECKED int memlog_open_foreign_offset(struct memlog *m, const char *role, enum topic topic,
				       int32_t partition, int64_t offset, int64_t for_ms);
/* An operator sets the group's offset of a partition. false: no such group or partition. */
bool memlog_set_offset(struct memlog *m, const char *role, enum topic topic, int32_t partition,
		       int64_t offset);

/* ---- what the broker does by itself in time ---- */

/* A new segment begins in every partition that has a message in its newest. */
void memlog_roll(struct memlog *m, enum topic topic);
/*
 * Keeps the newest of each key below the last stable offset and the newest segment; aborted
 * messages, markers, and tombstones whose time is over go. Offsets stay. -ENOMEM: some partitions
 * are as they were.
 */
CHECKED int memlog_compact(struct memlog *m, enum topic topic);
/* What lies below the offset is gone (retention). */
void memlog_trim(struct memlog *m, enum topic topic, int32_t partition, int64_t offset);

/* ---- what a checker sees, without any isolation, delay or fault ---- */

enum memlog_fate {
	MEMLOG_PLAIN, /* not in a transaction */
	MEMLOG_OPEN,
	MEMLOG_COMMITTED,
	MEMLOG_ABORTED,
	MEMLOG_MARKER, /* of a commit or an abort; no key, no value */
};
struct memlog_entry {
	struct log_msg msg; /* valid inside each */
	enum memlog_fate fate;
	uint32_t producer; /* by number, from 1 */
	uint32_t epoch;
};
/* 0 to go on, anything else stops and is returned. */
typedef int memlog_see_fn(void *arg, const struct memlog_entry *entry);
/* Entries at or behind from; committed: what a read-committed reader gets. */
int memlog_see(struct memlog *m, enum topic topic, int32_t partition, bool committed, int64_t from,
	       memlog_see_fn *each, void *arg);
int memlog_partitions(const struct memlog *m, enum topic topic); /* 0: not made yet */
int64_t memlog_high(struct memlog *m, enum topic topic, int32_t partition);
int64_t memlog_stable(struct memlog *m, enum topic topic, int32_t partition);
/* LOG_BEGIN: none. What is pending is not seen. */
int64_t memlog_group_offset(struct memlog *m, const char *role, enum topic topic,
			    int32_t partition);
size_t memlog_members(struct memlog *m, const char *role);
/* The number of the process whose member has it, 0: nobody (also while it is moved). */
uint64_t memlog_owner(struct memlog *m, const char *role, enum topic topic, int32_t partition);

struct memlog_counts {
	uint64_t appended, delivered; /* messages written; messages given to workers */
	uint64_t commits, aborts, timed_out, fenced, illegal;
	uint64_t rebalances, kicked, expired, lost; /* lost: told to a hook */
	uint64_t pending;                           /* questions that had to wait for one */
	uint64_t compacted;                         /* entries that went */
	uint64_t faults;
};
void memlog_counts(const struct memlog *m, struct memlog_counts *ret);
/* Without memory the cluster forgets a message or a member: a run in which that was so is none. */
bool memlog_broken(const struct memlog *m);

#endif
