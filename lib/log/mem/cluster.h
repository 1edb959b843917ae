/*
 * cluster.h - the cluster in memory: what its files share
 *
 * Nothing here is held across a point or a sleep but numbers: partitions by topic and index,
 * producers by index, members by uid. Every array may move while others run.
 */
#ifndef CS_LOG_MEM_CLUSTER_H
#define CS_LOG_MEM_CLUSTER_H

#include "log/mem/memlog.h"

#define NEVER            INT64_MAX
#define STEP_MS          5 /* a sleep without env.wake */
#define GROUP_TOPICS_MAX 4u

/* ---- topic.c: partitions ---- */

struct entry {
	int64_t offset, append_ms;
	size_t at; /* of key and value, which follows it */
	uint32_t key_n, value_n;
	uint32_t producer, epoch;
	uint8_t fate; /* enum memlog_fate */
	bool tombstone;
	int64_t horizon_ms; /* of a tombstone or marker that was compacted once: when it may go */
};

/* A transaction's first message here; there is no marker yet. */
struct open_txn {
	uint32_t producer;
	int64_t first;
};

struct mem_part {
	struct entry *v;
	size_t n, cap;
	char *bytes;
	size_t bytes_n, bytes_cap;
	struct open_txn *open;
	size_t open_n, open_cap;
	int64_t begin, high; /* the first offset there is; the next one */
	int64_t segment_base, segment_ms;
	size_t segment_bytes;
};

struct mem_topic {
	struct mem_part *parts;
	int32_t n; /* 0: not made */
};

/* What a client hands over for one partition. */
struct message {
	enum topic topic;
	int32_t partition;
	struct slice key, value;
	bool tombstone;
	int64_t create_ms;
};

struct mem_part *part_of(struct memlog *m, enum topic topic, int32_t partition); /* NULL: none */
/* Index of the first entry at or behind offset. */
size_t part_find(const struct mem_part *p, int64_t offset);
int64_t part_stable(const struct mem_part *p);
CHECKED int part_append(struct memlog *m, const struct message *msg, uint32_t producer,
			uint32_t epoch, bool transactional);
/* The transaction of that producer ends here. */
void part_mark(struct memlog *m, enum topic topic, int32_t partition, uint32_t producer,
	       uint32_t epoch, bool commit);
void part_fill(const struct mem_part *p, const struct entry *e, enum topic topic, int32_t partition,
	       struct log_msg *ret);
/* The next entry at or behind *offset that a read-committed reader gets, below until; *offset moves
 * past what it does not get, to `until` at last. NULL: none. */
const struct entry *part_next(const struct mem_part *p, int64_t *offset, int64_t until);
int32_t topic_pick(struct memlog *m, enum topic topic, struct slice key);
void topics_fini(struct memlog *m);

/* ---- producer.c: producers and their messages under way; txn.c: the coordinator ---- */

struct flight {
	struct flight *next;
	struct message msg; /* bytes behind this struct */
	uint64_t seq;
	uint32_t epoch;
	int64_t due_ms, give_up_ms;
	bool ack_lost, floats, silent; /* floats: given up first, then written; silent: it was */
};

struct ack {
	uint64_t seq;
	int err;
	int64_t due_ms;
};

enum txn_state { TXN_NONE, TXN_OPEN, TXN_ENDING };

/* A partition, or offsets of a group, in a transaction. */
struct touched {
	int32_t group; /* -1: none */
	enum topic topic;
	int32_t partition;
	int64_t due_ms; /* of the marker, once the transaction ends */
};

struct producer {
	char *id; /* NULL: of an appender, or a free place */
	bool used;
	uint64_t process;        /* 0: nobody's */
	uint32_t epoch, bounced; /* bounced: the highest epoch of which something was refused */
	enum txn_state state;
	bool commit, spoiled; /* spoiled: a message was refused, this transaction can only end */
	int64_t began_ms, timeout_ms;
	int64_t commit_at_ms; /* a commit that is still on its way; NEVER: none */
	struct touched *touched;
	size_t touched_n, touched_cap;
	struct flight *first, *last; /* in the order in which they were sent */
	size_t flights_n;
	int64_t due_ms; /* of no flight and no acknowledgement is anything due before */
	/* appenders: */
	struct ack *acks;
	size_t acks_n, acks_cap;
	bool fatal;
	int fd; /* made readable when an acknowledgement is due; -1: none */
};

/* id NULL: an appender's. */
CHECKED int producer_new(struct memlog *m, const char *id, uint64_t process, uint32_t *ret);
/* Its process or handle is gone: a part of what is under way still arrives, then the place of an
 * appender is free. */
void producer_leave(struct memlog *m, uint32_t producer);
/* give_up_ms: when it is given up if it has not arrived. 0, -ENOMEM. */
CHECKED int producer_send(struct memlog *m, uint32_t producer, const struct flight *f);
/* What is under way and can arrive arrives now. Returns what is left. */
size_t producer_flush(struct memlog *m, uint32_t producer);
void producer_purge(struct memlog *m, uint32_t producer);
/* An appender dies: some of what is under way is written, all of it is told -EPIPE. */
void producer_kill(struct memlog *m, uint32_t producer);
/* The next acknowledgement that is due; false: none. */
bool producer_take_ack(struct memlog *m, uint32_t producer, struct ack *ret);
void producers_run(struct memlog *m, int64_t now_ms);
int64_t producers_due(const struct memlog *m);
void producers_fini(struct memlog *m);

/* 0 with the place and epoch; -EAGAIN: the former transaction is still ending; -ENOMEM. */
CHECKED int txn_init(struct memlog *m, const char *id, uint64_t process, uint32_t *ret_producer,
		     uint32_t *ret_epoch);
/* A part of the transaction; opens it. 0, -EAGAIN: the one before is still ending; -ENOMEM. */
CHECKED int txn_touch(struct memlog *m, struct producer *p, int32_t group, enum topic topic,
		      int32_t partition);
void txn_end(struct memlog *m, uint32_t producer, bool commit);
/* The question is on its way: it ends then if it is still open, and of this epoch. */
void txn_commit_later(struct memlog *m, uint32_t producer);
void txn_fence(struct memlog *m, uint32_t producer);
void txns_run(struct memlog *m, int64_t now_ms);
int64_t txns_due(const struct memlog *m);

/* ---- group.c, member.c: the group and its members; assign.c: who gets what; offsets.c ---- */

struct tp {
	uint8_t topic;
	int32_t partition;
};

struct tps {
	struct tp *v;
	size_t n, cap;
};

bool tps_has(const struct tps *l, struct tp tp);
void tps_add(struct memlog *m, struct tps *l, struct tp tp);
void tps_remove(struct tps *l, struct tp tp);
void tps_copy(struct memlog *m, struct tps *to, const struct tps *from);
void tps_fini(struct memlog *m, struct tps *l);

enum call { CALL_NONE, CALL_REVOKE, CALL_ASSIGN };

/* What the group knows of a member, and what the member's client knows of the group. */
struct member {
	uint64_t uid, process;
	char *name; /* of a static member: who comes under it takes the place; NULL: none */
	enum topic topics[GROUP_TOPICS_MAX];
	size_t topics_n;
	/* the group's side */
	bool in, joined; /* joined: in this rebalance */
	int64_t heard_ms;
	/* the client's side */
	int64_t generation;
	int64_t join_at_ms, sync_at_ms, told_out_ms; /* NEVER: not under way */
	int64_t met_ms;                              /* its last heartbeat that was answered */
	int64_t polled_ms;
	struct tps owned, target;
	enum call call;
	struct tps list;  /* of the call */
	struct tps come;  /* to be assigned after the revoke */
	bool then_assign; /* after this revoke */
	bool then_join, calling, lost, silent, placed;
	int64_t
	    fenced_ms; /* when it hears that another has its name and place; NEVER: nobody has */
};

enum group_state { GROUP_EMPTY, GROUP_JOINING, GROUP_STABLE };

struct pending {
	uint32_t producer;
	struct tp tp;
	int64_t offset;
};

struct group {
	char *role;
	enum group_state state;
	int64_t generation,
	    joining_ms; /* since when; new members of an empty group are waited for */
	bool shuffle;
	struct member *v;
	size_t n, cap;
	int64_t *offsets[TOPICS_N]; /* by partition; NULL: none at all */
	struct pending *pending;
	size_t pending_n, pending_cap;
};

/* The place of the group; -ENOMEM. */
CHECKED int group_of(struct memlog *m, const char *role);
int group_find(const struct memlog *m, const char *role);            /* -ENOENT */
struct member *member_of(struct memlog *m, int group, uint64_t uid); /* NULL: gone */
/* name NULL: a member without. */
CHECKED int group_join(struct memlog *m, int group, uint64_t process, const char *name,
		       const enum topic *topics, size_t topics_n, uint64_t *ret_uid);
/* Another has its name: it is none any more, and is told nothing. */
bool group_fenced(struct memlog *m, int group, uint64_t uid);
void group_leave(struct memlog *m, int group, uint64_t uid);
void group_drop(struct memlog *m, struct group *g, struct member *mb); /* the broker forgets it */
void group_erase(struct memlog *m, struct group *g, struct member *mb);
void group_rebalance(struct memlog *m, struct group *g);
/* Every partition has somebody who is to have it, or the group is being joined anew. */
bool group_all_have_places(struct memlog *m, int group);
/* What is due for it; true: the array of members has changed. */
bool member_run(struct memlog *m, struct group *g, struct member *mb, int64_t now_ms);
int64_t member_due(const struct memlog *m, const struct member *mb);
/* The call that is due for this member, CALL_NONE; its list is member->list. */
enum call group_call(struct memlog *m, int group, uint64_t uid);
void group_called(struct memlog *m, int group, uint64_t uid);
void groups_run(struct memlog *m, int64_t now_ms);
int64_t groups_due(const struct memlog *m);
void groups_fini(struct memlog *m);

void mem_assign(struct memlog *m, struct group *g);

/* 0, -EAGAIN: pending. */
CHECKED int offsets_get(struct memlog *m, int group, struct tp tp, int64_t *ret);
CHECKED int offsets_pend(struct memlog *m, int group, uint32_t producer, struct tp tp,
			 int64_t offset);
void offsets_set(struct memlog *m, int group, struct tp tp, int64_t offset);
void offsets_end(struct memlog *m, int group, uint32_t producer, bool commit);

/* ---- cluster.c ---- */

struct memlog {
	struct memlog_env env;
	struct memlog_settings set;
	struct memlog_faults faults;
	struct mem_topic topics[TOPICS_N];
	struct producer *producers;
	size_t producers_n, producers_cap;
	struct group *groups;
	size_t groups_n, groups_cap;
	uint64_t uid;
	int64_t away_until_ms, away_since_ms;
	int64_t due_ms; /* nothing happens before */
	bool broken;
	struct memlog_counts counts;
};

int64_t mem_now(struct memlog *m);
uint64_t mem_below(struct memlog *m, uint64_t n); /* 0..n-1; 0 for n 0 */
int64_t mem_within(struct memlog *m, int64_t ms); /* 0..ms */
void mem_point(struct memlog *m, const char *name);
/* Sleeps until something may have changed, at most until that time. */
void mem_wait(struct memlog *m, int64_t until_ms);
bool mem_reachable(struct memlog *m);
/* That time, or when the broker is back. */
int64_t mem_when(const struct memlog *m, int64_t ms);
/* Waits for a broker. 0, -EAGAIN at the deadline. */
CHECKED int mem_reach(struct memlog *m, int64_t deadline_ms);
bool mem_fault(struct memlog *m, const char *name, unsigned per_million);
#define MEM_FAULT(m, field) ((m)->faults.field && mem_fault((m), #field, (m)->faults.field))
/* What becomes due at that time is looked at then. */
void mem_due(struct memlog *m, int64_t at_ms);
void mem_wake(struct memlog *m);

void *mem_alloc(struct memlog *m, size_t n); /* zeroed; NULL also says broken */
void mem_free(struct memlog *m, void *p);
/* Room for n + 1 of size; false: none. */
bool mem_room(struct memlog *m, void *array, size_t *cap, size_t n, size_t size);
char *mem_text(struct memlog *m, const char *text);

#endif
