/*
 * ingest_priv.h - what the files of the role share
 */
#ifndef CS_ROLE_INGEST_PRIV_H
#define CS_ROLE_INGEST_PRIV_H

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/metric.h"
#include "dialect/dialect.h"
#include "net/http_server.h"
#include "role/ingest.h"
#include "role/ingest_flood.h"
#include "store/spool.h"

#define INGEST_KINDS_MAX 32

/* What is counted for an account; one per loop, so the look-ups stay with their thread. */
struct tally {
	struct series *ok;
	struct {
		const char *kind; /* constant texts: compared as pointers */
		struct series *series;
	} kinds[INGEST_KINDS_MAX];
	size_t kinds_n;
};

struct ingest_account {
	struct slice name;
	const struct cfg_account *cfg;
};

/* A request between its decoding and its answer; lies in its exchange. */
struct pending {
	struct spool_waiter waiter;
	struct exchange *x;
	const struct ingest_account *account;
	const char *kind;
	bool guessed, unmapped, dead;
};

/* What waits for Kafka. Lives until its acknowledgement, which may be long after the answer. */
struct ack {
	TAILQ_ENTRY(ack) next;
	struct ingest_loop *loop;
	struct pending *p; /* NULL: answered, or in the spool; nobody waits for this any more */
	int64_t deadline_ms;
	uint16_t topic;
	size_t key_n, value_n;
	char bytes[];
};
TAILQ_HEAD(ack_list, ack);

struct ingest_loop {
	struct ingest *in;
	struct http_loop *http;
	struct dialect_scratch *scratch;
	struct tally *tallies; /* one per account */
	struct buf key, value;
	size_t pending_n;
	struct spool_outlet *outlet;
	struct event *outlet_event, *idle_event;
	bool holds; /* the spool waits for more of this loop */
	/* mode kafka */
	struct log_appender *appender; /* NULL: there is none now */
	struct event *appender_event, *ack_timer;
	struct ack_list acks; /* by deadline */
	bool appender_dead, timer_set;
	struct ingest_loop *next_waiting; /* for an appender; Lock: keeper_lock */
	struct log_appender *buried;      /* for the keeper to free */
};

struct ingest {
	const struct cfg *cfg;
	struct ingest_account *accounts; /* by name */
	size_t accounts_n;
	struct flood *flood;
	struct log *log;
	struct spool *spool;
	struct http_server *http;
	bool kafka_mode;
	struct series *seconds;

	pthread_t keeper, drainer;
	bool keeper_runs, drainer_runs;
	atomic_bool closing, stop, failed, kafka_acks;
	char failure[512]; /* written before failed is set */
	pthread_mutex_t keeper_lock;
	pthread_cond_t keeper_wake;
	struct ingest_loop *waiting;
};

/* Stable numbers for the spool's records. */
enum { SPOOL_TOPIC_EVENTS = 1, SPOOL_TOPIC_DEAD = 2 };
int ingest_topic(uint16_t spool_topic, enum topic *ret); /* 0 or -EINVAL */

/* ingest_loop.c */
int ingest_loop_start(void *in, struct http_loop *http, void **ret);
void ingest_loop_stop(void *loop);
void ingest_handle(void *loop, struct exchange *x);
void ingest_refused(void *loop, int status);
int ingest_too_large(void *loop, struct slice method, struct slice path);
/* The end of a pending request: err 0 durable, else 503. */
void ingest_settle(struct ingest_loop *loop, struct pending *p, int err);

/* ingest_keep.c: makes loop->key, loop->value durable for p; ends in ingest_settle, now or later.
 */
void ingest_keep(struct ingest_loop *loop, struct pending *p, uint16_t spool_topic, int64_t at_ms);
/* The loop's new appender. */
void ingest_keep_adopt(struct ingest_loop *loop, struct log_appender *appender);
int ingest_keep_start(struct ingest_loop *loop);
void ingest_keep_stop(struct ingest_loop *loop);

/* ingest_keeper.c */
int ingest_keeper_start(struct ingest *in);
void ingest_keeper_stop(struct ingest *in);
/* The loop has no appender; what is in loop->buried is freed. Thread: the loop's. */
void ingest_keeper_ask(struct ingest_loop *loop);

/* ingest_drain.c */
void *ingest_drain_main(void *in);

#endif
