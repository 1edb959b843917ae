/*
 * group.c - partitions come and go; committed offsets
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"
#include "log/kafka/worker.h"

#define ASK_AGAIN_US  50000
#define LOOK_LATER_MS 15000
#define ASK_HOOK_MS   1000 /* one question before the hook: then it is seen whether to stop */

static void die(struct worker *w, int verdict)
{
	if (!w->dead)
		w->dead = verdict;
}

/* ---- committed offsets ---- */

static rd_kafka_resp_err_t ask_committed(struct worker *w, rd_kafka_topic_partition_list_t *list,
					 int timeout_ms)
{
	rd_kafka_resp_err_t err = rd_kafka_committed(w->consumer, list, timeout_ms);

	for (int i = 0; !err && i < list->cnt; i++)
		err = list->elems[i].err;
	return err;
}

/*
 * The consumer reads committed, so the broker waits for offsets that are still in a transaction.
 * Only an answer without any error says that an unset offset was never committed: after a time-out
 * it looks the same.
 */
static int learn_committed(struct worker *w, rd_kafka_topic_partition_list_t *list,
			   int64_t deadline_ms, int64_t ask_ms, bool heed)
{
	for (bool told = !heed;; told = true) {
		int left_ms = kafka_left_ms(deadline_ms, ask_ms);
		rd_kafka_resp_err_t err = ask_committed(w, list, left_ms);

		if (!err)
			break;
		if (kafka_verdict_code(err) != -EAGAIN)
			return -EPIPE;
		if (left_ms == 0)
			return -EAGAIN;
		if (heed && worker_stopped(w))
			return -ECANCELED;
		if (!told)
			SLOG(SLOG_INFO, "committed offsets cannot be told yet, asking on",
			     SLOG_T("code", rd_kafka_err2name(err)));
		usleep(ASK_AGAIN_US);
	}
	for (int i = 0; i < list->cnt; i++) {
		if (list->elems[i].offset < 0)
			list->elems[i].offset = LOG_BEGIN;
	}
	return 0;
}

int kafka_committed(struct log_worker *base, enum topic topic, int32_t partition,
		    int64_t deadline_ms, int64_t *ret)
{
	struct worker *w = worker_of(base);
	size_t at = worker_topic_at(w, topic);
	rd_kafka_topic_partition_list_t *list;
	int r;

	if (at == WORKER_TOPICS_MAX)
		return -EINVAL;
	list = rd_kafka_topic_partition_list_new(1);
	if (!list)
		return -ENOMEM;
	rd_kafka_topic_partition_list_add(list, w->names[at], partition);
	r = learn_committed(w, list, deadline_ms, KAFKA_ASK_MS, false);
	if (r == 0)
		*ret = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	return r;
}

/* Of a consumer that is no member: the broker takes it while the group has none. */
static rd_kafka_resp_err_t commit_once(struct worker *w, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_resp_err_t err = rd_kafka_commit(w->consumer, list, false);

	return err ? err : list->elems[0].err;
}

int kafka_set_committed(struct log_worker *base, enum topic topic, int32_t partition,
			int64_t deadline_ms, int64_t offset)
{
	struct worker *w = worker_of(base);
	size_t at = worker_topic_at(w, topic);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t err;
	int r;

	if (at == WORKER_TOPICS_MAX || w->joined)
		return -EINVAL;
	list = rd_kafka_topic_partition_list_new(1);
	if (!list)
		return -ENOMEM;
	do {
		rd_kafka_topic_partition_list_del(list, w->names[at], partition);
		rd_kafka_topic_partition_list_add(list, w->names[at], partition)->offset = offset;
		err = commit_once(w, list);
		r = kafka_verdict_code(err);
	} while (r == -EAGAIN && clock_mono_ms() < deadline_ms && usleep(ASK_AGAIN_US) == 0);
	rd_kafka_topic_partition_list_destroy(list);
	if (err == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
	    err == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
	    err == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS)
		return -EBUSY;
	return r;
}

/* ---- what the group says ---- */

static bool cooperative(const rd_kafka_t *rk)
{
	const char *protocol = rd_kafka_rebalance_protocol((rd_kafka_t *)(uintptr_t)rk);

	return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

static void tell_assigned(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_error_t *error = NULL;

	if (cooperative(rk))
		error = rd_kafka_incremental_assign(rk, list);
	else if (rd_kafka_assign(rk, list))
		SLOG(SLOG_WARN, "partitions cannot be taken, waiting for the next rebalance");
	if (error)
		SLOG(SLOG_WARN, "partitions cannot be taken, waiting for the next rebalance",
		     SLOG_T("text", rd_kafka_error_string(error)));
	rd_kafka_error_destroy(error);
}

static void tell_revoked(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_error_t *error = NULL;

	if (cooperative(rk))
		error = rd_kafka_incremental_unassign(rk, list);
	else
		rd_kafka_assign(rk, NULL);
	if (error)
		SLOG(SLOG_WARN, "partitions cannot be given up",
		     SLOG_T("text", rd_kafka_error_string(error)));
	rd_kafka_error_destroy(error);
}

/* What the hook left open cannot be committed any more. */
static void end_open(struct worker *w)
{
	int r;

	if (!w->txn_open)
		return;
	SLOG(SLOG_WARN, "transaction was open at a rebalance, aborting it");
	r = kafka_txn_abort(&w->base);
	if (r < 0)
		die(w, r);
	else
		w->verdict = -ECANCELED;
}

/* ---- partitions come ---- */

/* The list as the role sees it; NULL without memory. */
static struct log_part *parts_of(struct worker *w, const rd_kafka_topic_partition_list_t *list,
				 bool owned_only, size_t *ret_n)
{
	struct log_part *parts = calloc((size_t)list->cnt + 1, sizeof(*parts));
	size_t n = 0;

	for (int i = 0; parts && i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *tp = &list->elems[i];
		size_t at = worker_name_at(w, tp->topic);
		struct part *part = at < WORKER_TOPICS_MAX ? worker_part(w, at, tp->partition)
							   : NULL;

		if (!part || (owned_only && !part->owned))
			continue;
		parts[n++] = (struct log_part){ w->topics[at], tp->partition,
						owned_only ? part->next : tp->offset };
	}
	*ret_n = n;
	return parts;
}

static void take_over(struct worker *w, rd_kafka_topic_partition_list_t *list,
		      const struct log_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = worker_topic_at(w, parts[i].topic);
		struct part *part = worker_part(w, at, parts[i].partition);
		rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_find(
		    list, w->names[at], parts[i].partition);

		if (!part || !tp)
			continue;
		*part = (struct part){ .next = MAX(parts[i].offset, 0), .owned = true };
		tp->offset = parts[i].offset;
	}
}

/* 0, or why the worker is of no use any more. */
static int ask_role(struct worker *w, rd_kafka_topic_partition_list_t *list)
{
	struct log_part *parts;
	size_t n;
	int r = learn_committed(w, list, worker_deadline(w, WORKER_COMMITTED_MS), ASK_HOOK_MS,
				true);

	if (r == -ECANCELED)
		return r;
	if (r < 0) {
		SLOG(SLOG_WARN, "committed offsets could not be learned, leaving the group");
		return -EPIPE;
	}
	parts = parts_of(w, list, false, &n);
	if (!parts)
		return -ENOMEM;
	r = n ? w->hooks.assigned(w->hooks.arg, parts, n) : 0;
	if (r >= 0)
		take_over(w, list, parts, n);
	free(parts);
	return MIN(r, 0);
}

bool worker_owns_any(const struct worker *w)
{
	for (size_t at = 0; at < w->topics_n; at++) {
		for (int32_t p = 0; p < w->parts[at].n; p++) {
			if (w->parts[at].v[p].owned)
				return true;
		}
	}
	return false;
}

/* To a new member that gets nothing at first others may just be giving: it looks later. */
static bool has_to_join_again(struct worker *w, bool some)
{
	bool look = w->named && !w->looked && !w->leave_by_ms;

	w->look_at_ms = look && !some ? clock_mono_ms() + LOOK_LATER_MS : 0;
	w->looked |= some;
	return look && some && !worker_all_have_places(w);
}

/*
 * The group wants its partitions taken in any case; without the role's yes nothing is polled. To
 * whom has some an empty list says nothing; to whom has none, that it is a member all the same.
 */
static void come(struct worker *w, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
	bool telling = list->cnt > 0 || !worker_owns_any(w);
	int r;

	w->placed = true;
	w->again = has_to_join_again(w, list->cnt > 0);
	telling = telling && !w->again;
	if (telling && w->txn_open) {
		w->hooks.revoked(w->hooks.arg, NULL, 0, false);
		end_open(w);
	}
	if (telling && !w->dead && !w->leave_by_ms) {
		r = list->cnt > 0 ? ask_role(w, list) : w->hooks.assigned(w->hooks.arg, NULL, 0);
		if (r < 0)
			die(w, r);
	}
	tell_assigned(rk, list);
}

/* ---- partitions go ---- */

static void forget(struct worker *w, const struct log_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		w->parts[worker_topic_at(w, parts[i].topic)].v[parts[i].partition] =
		    (struct part){ 0 };
}

static void go(struct worker *w, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
	bool lost = rd_kafka_assignment_lost(rk);
	int64_t began_ms = clock_mono_ms();
	size_t n = 0;
	struct log_part *parts = parts_of(w, list, true, &n);

	if (!parts)
		die(w, -ENOMEM);
	if (n > 0 || w->txn_open)
		w->hooks.revoked(w->hooks.arg, parts, n, lost);
	if (w->leave_by_ms) /* the time to leave is counted beside the hook */
		w->leave_by_ms += clock_mono_ms() - began_ms;
	end_open(w);
	/* Under its name it may get the place that the broker still has for it. */
	w->looked = w->looked && !lost;
	if (parts)
		forget(w, parts, n);
	free(parts);
	tell_revoked(rk, list);
}

void worker_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
			 rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct worker *w = opaque;

	switch (err) {
	case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
		come(w, rk, list);
		break;
	case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
		go(w, rk, list);
		break;
	default:
		SLOG(SLOG_WARN, "kafka consumer cannot take part in its group",
		     SLOG_T("code", rd_kafka_err2name(err)));
		rd_kafka_assign(rk, NULL);
	}
}
