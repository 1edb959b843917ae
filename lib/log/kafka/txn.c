/*
 * txn.c - a worker's transactions
 *
 * One function says what an error means (verdict.c); here is what follows from it. A transaction
 * that cannot be committed is aborted before the call returns, so -ECANCELED always leaves none
 * open. What cannot even be aborted in time ends the worker: the next one under the same id fences
 * it.
 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/slog.h"
#include "log/kafka/worker.h"

#define AGAIN_US 10000

int worker_fence_others(struct worker *w, int timeout_ms)
{
	int verdict = kafka_verdict(rd_kafka_init_transactions(w->producer, MAX(timeout_ms, 100)),
				    "init_transactions");

	return verdict == 0 || verdict == -EAGAIN ? verdict : -EPIPE;
}

static int end_worker(struct worker *w)
{
	w->txn_open = false;
	w->dead = -EPIPE;
	return -EPIPE;
}

int kafka_txn_abort(struct log_worker *base)
{
	struct worker *w = worker_of(base);
	int64_t deadline_ms = worker_deadline(w, WORKER_TXN_MS);

	if (!w->txn_open)
		return w->dead == -EPIPE ? -EPIPE : 0;
	for (;;) {
		int left_ms = kafka_left_ms(deadline_ms, WORKER_TXN_MS);
		int verdict = kafka_verdict(rd_kafka_abort_transaction(w->producer, left_ms),
					    "abort_transaction");

		if (verdict == 0)
			break;
		if (verdict != -EAGAIN || left_ms == 0)
			return end_worker(w);
		usleep(AGAIN_US);
	}
	w->txn_open = false;
	return 0;
}

/* What a failed step leads to. -EAGAIN: its time is over. */
static int give_up(struct worker *w, int verdict)
{
	if (verdict != -ECANCELED)
		return end_worker(w);
	return kafka_txn_abort(&w->base) < 0 ? -EPIPE : -ECANCELED;
}

static int begin(struct worker *w)
{
	if (w->txn_open)
		return 0;
	if (w->dead == -EPIPE || !w->fenced_others)
		return -EPIPE;
	if (kafka_verdict(rd_kafka_begin_transaction(w->producer), "begin_transaction"))
		return end_worker(w);
	w->txn_open = true;
	return 0;
}

/* A full queue empties by itself; any other refusal is the transaction's error, of which the
 * client tells the kind only as it is fatal or not. */
static int not_taken(struct worker *w, rd_kafka_resp_err_t err, int64_t deadline_ms)
{
	char text[256];

	if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
		return -EMSGSIZE;
	if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL && clock_mono_ms() < deadline_ms) {
		rd_kafka_poll(w->producer, 10);
		return -EAGAIN;
	}
	if (rd_kafka_fatal_error(w->producer, text, sizeof(text))) {
		SLOG(SLOG_WARN, "log handle is of no use any more", SLOG_T("doing", "produce"),
		     SLOG_T("reason", text));
		return end_worker(w);
	}
	SLOG(SLOG_WARN, "transaction is given up", SLOG_T("doing", "produce"),
	     SLOG_T("code", rd_kafka_err2name(err)));
	return give_up(w, -ECANCELED);
}

int kafka_txn_produce(struct log_worker *base, enum topic topic, int32_t partition,
		      struct slice key, struct slice value, bool tombstone)
{
	struct worker *w = worker_of(base);
	int64_t deadline_ms = 0;
	int r;

	if (key.n + value.n > KAFKA_MSG_BYTES_MAX)
		return -EMSGSIZE;
	r = begin(w);
	if (r < 0)
		return r;
	do {
		if (rd_kafka_produce(w->out[topic], partition, RD_KAFKA_MSG_F_COPY,
				     tombstone ? NULL : (void *)(uintptr_t)value.p,
				     tombstone ? 0 : value.n, key.p, key.n, NULL) == 0)
			return 0;
		if (deadline_ms == 0)
			deadline_ms = worker_deadline(w, WORKER_TXN_MS);
		r = not_taken(w, rd_kafka_last_error(), deadline_ms);
	} while (r == -EAGAIN);
	return r;
}

/* ---- commit ---- */

static rd_kafka_topic_partition_list_t *offsets_of(const struct worker *w,
						   const struct log_part *parts, size_t n)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);

	for (size_t i = 0; list && i < n; i++) {
		size_t at = worker_topic_at(w, parts[i].topic);

		if (at < WORKER_TOPICS_MAX)
			rd_kafka_topic_partition_list_add(list, w->names[at], parts[i].partition)
			    ->offset = parts[i].offset;
	}
	return list;
}

/* Metadata of the live member alone: made by hand it would move the offsets of a group that is at
 * work. */
static int send_offsets(struct worker *w, const rd_kafka_topic_partition_list_t *list,
			int64_t deadline_ms)
{
	for (;;) {
		rd_kafka_consumer_group_metadata_t *member = rd_kafka_consumer_group_metadata(
		    w->consumer);
		int left_ms = kafka_left_ms(deadline_ms, WORKER_TXN_MS), verdict;

		if (!member)
			return -ECANCELED;
		verdict = kafka_verdict(
		    rd_kafka_send_offsets_to_transaction(w->producer, list, member, left_ms),
		    "send_offsets_to_transaction");
		rd_kafka_consumer_group_metadata_destroy(member);
		if (verdict != -EAGAIN || left_ms == 0)
			return verdict;
		usleep(AGAIN_US);
	}
}

static int commit(struct worker *w, int64_t deadline_ms)
{
	FAULT(txn_offsets_sent);
	for (;;) {
		int left_ms = kafka_left_ms(deadline_ms, WORKER_TXN_MS);
		int verdict = kafka_verdict(rd_kafka_commit_transaction(w->producer, left_ms),
					    "commit_transaction");

		if (verdict != -EAGAIN || left_ms == 0)
			return verdict;
		usleep(AGAIN_US);
	}
}

int kafka_txn_commit(struct log_worker *base, const struct log_part *parts, size_t parts_n)
{
	struct worker *w = worker_of(base);
	int64_t deadline_ms = worker_deadline(w, WORKER_TXN_MS);
	rd_kafka_topic_partition_list_t *list = NULL;
	int r;

	if (!w->txn_open && parts_n == 0)
		return 0;
	r = begin(w);
	if (r < 0)
		return r;
	rd_kafka_poll(w->producer, 0);
	FAULT(txn_produced);
	if (parts_n > 0) {
		list = offsets_of(w, parts, parts_n);
		r = list ? send_offsets(w, list, deadline_ms) : -ECANCELED;
	}
	if (r == 0)
		r = commit(w, deadline_ms);
	if (list)
		rd_kafka_topic_partition_list_destroy(list);
	if (r < 0)
		return give_up(w, r);
	FAULT(txn_committed);
	w->txn_open = false;
	return 0;
}

bool kafka_txn_open(const struct log_worker *base)
{
	return ((const struct worker *)(const void *)((const char *)base -
						      offsetof(struct worker, base)))
	    ->txn_open;
}
