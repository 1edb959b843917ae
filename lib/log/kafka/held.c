/*
 * held.c - messages that a worker's role keeps while it polls on
 */
#include <errno.h>

#include "log/kafka/worker.h"

int kafka_worker_poll_held(struct log_worker *base, int timeout_ms, struct log_msg *ret)
{
	struct worker *w = worker_of(base);

	if (w->held_n == ARRAY_LEN(w->held))
		return -ENOSPC;
	if (w->msg) /* out of the hands of the next poll, which would end it */
		w->held[w->held_n++] = w->msg;
	w->msg = NULL;
	return kafka_worker_poll(base, timeout_ms, ret);
}

void kafka_held_done(struct log_worker *base)
{
	struct worker *w = worker_of(base);

	while (w->held_n > 0)
		rd_kafka_message_destroy(w->held[--w->held_n]);
	kafka_msg_done(base);
}

void kafka_held_worker_free(struct log_worker *base)
{
	kafka_held_done(base);
	kafka_worker_free(base);
}
