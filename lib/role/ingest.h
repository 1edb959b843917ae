/*
 * ingest.h - webhooks in, durable events out
 *
 * Each HTTP loop decodes its requests and makes them durable: in mode kafka by an appender of its
 * own, acknowledged within ack_wait; else, and whenever that does not work, by the spool. As long
 * as the spool is not empty every new event goes there, so that none overtakes another. One thread
 * drains the spool into the log, one more sets up topics and replaces appenders that have died.
 */
#ifndef CS_ROLE_INGEST_H
#define CS_ROLE_INGEST_H

#include "base/cfg.h"
#include "log/log.h"
#include "store/spool_io.h"

struct ingest;

typedef int ingest_log_open_fn(const struct cfg *cfg, struct log **ret, struct buf *problem);

/* The log and the disk may be somebody else's: tests, a simulation. io NULL: the machine's. */
CHECKED int ingest_start(const struct cfg *cfg, ingest_log_open_fn *log_open_fn,
			 const struct spool_io *io, struct ingest **ret, struct buf *problem);
uint16_t ingest_port(const struct ingest *in);
bool ingest_ready(struct ingest *in, char *why, size_t why_size);
bool ingest_failed(struct ingest *in, char *why, size_t why_size);
void ingest_close(struct ingest *in);
CHECKED int ingest_drain(struct ingest *in, int64_t deadline_ms);
void ingest_free(struct ingest *in); /* NULL allowed */

#endif
