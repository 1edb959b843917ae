/*
 * client_txn.c - a worker's transactions: what each error leads to is as in back end kafka
 *
 * A transaction that cannot be committed is aborted before the call returns, so -ECANCELED always
 * leaves none open. What cannot even be aborted in time ends the worker.
 */
#include <errno.h>

#include "base/broken.h"
#include "log/mem/client.h"

#define AGAIN_MS 10

static struct memlog *cluster(const struct mworker *w)
{
	return w->c->m;
}

static struct producer *producer(const struct mworker *w)
{
	return &w->c->m->producers[w->producer];
}

int mworker_fence_others(struct mworker *w, int64_t deadline_ms)
{
	struct memlog *m = cluster(w);
	int r;

	for (;;) {
		mem_point(m, "init");
		r = mem_reach(m, deadline_ms);
		if (r == 0)
			r = txn_init(m, w->id, w->c->process, &w->producer, &w->epoch);
		if (r != -EAGAIN || mem_now(m) >= deadline_ms)
			return r;
		mem_wait(m, deadline_ms);
	}
}

static int end_worker(struct mworker *w)
{
	w->txn_open = false;
	w->dead = -EPIPE;
	return -EPIPE;
}

static bool fenced(const struct mworker *w)
{
	return producer(w)->epoch != w->epoch;
}

static void maybe_fence(struct mworker *w)
{
	if (MEM_FAULT(cluster(w), fenced) && !fenced(w))
		txn_fence(cluster(w), w->producer);
}

int mem_txn_abort(struct log_worker *base)
{
	struct mworker *w = mworker_of(base);
	struct memlog *m = cluster(w);

	if (!w->txn_open)
		return w->dead == -EPIPE ? -EPIPE : 0;
	mem_point(m, "abort");
	producer_purge(m, w->producer);
	if (mem_reach(m, mworker_deadline(w, WORKER_TXN_MS)) < 0 || fenced(w))
		return end_worker(w);
	txn_end(m, w->producer, false);
	producer(w)->spoiled = false;
	w->txn_open = false;
	mem_point(m, "aborted");
	return 0;
}

/* What a failed step leads to. -EAGAIN: its time is over. */
static int give_up(struct mworker *w, int verdict)
{
	if (verdict != -ECANCELED)
		return end_worker(w);
	return mem_txn_abort(&w->base) < 0 ? -EPIPE : -ECANCELED;
}

static int begin(struct mworker *w)
{
	if (w->txn_open)
		return 0;
	if (w->dead == -EPIPE || !w->fenced_others)
		return -EPIPE;
	w->txn_open = true;
	return 0;
}

int mem_txn_produce(struct log_worker *base, enum topic topic, int32_t partition, struct slice key,
		    struct slice value, bool tombstone)
{
	struct mworker *w = mworker_of(base);
	struct memlog *m = cluster(w);
	struct flight f;
	int r;

	if (key.n + value.n > MEM_MSG_BYTES_MAX)
		return -EMSGSIZE;
	r = begin(w);
	if (r < 0)
		return r;
	mem_point(m, "produce");
	maybe_fence(w);
	if (producer(w)->bounced >= w->epoch)
		return end_worker(w);
	if (MEM_FAULT(m, produce_abort))
		return give_up(w, -ECANCELED);
	f = (struct flight){
		.msg = { topic, partition, key, tombstone ? SLICE_NONE : value,
			 tombstone || value.p == NULL, m->env.wall_ms(m->env.arg) },
		.epoch = w->epoch,
		.give_up_ms = mem_now(m) + WORKER_TXN_MS,
	};
	if (partition == LOG_ANY_PARTITION)
		f.msg.partition = topic_pick(m, topic, key);
	if (producer_send(m, w->producer, &f) < 0)
		return give_up(w, -ECANCELED);
	mem_point(m, "produced");
	return 0;
}

/* ---- commit: each step is 0, -EAGAIN when its time is over, or a verdict ---- */

static int wait_a_little(struct mworker *w, int64_t deadline_ms)
{
	struct memlog *m = cluster(w);

	if (mem_now(m) >= deadline_ms)
		return -EAGAIN;
	mem_wait(m, MIN(deadline_ms, mem_now(m) + AGAIN_MS));
	return 0;
}

static int flush(struct mworker *w, int64_t deadline_ms)
{
	struct memlog *m = cluster(w);
	int r = 0;

	while (r == 0 && producer_flush(m, w->producer) > 0)
		r = wait_a_little(w, deadline_ms);
	mem_point(m, "flushed");
	if (producer(w)->bounced >= w->epoch)
		return -EPIPE;
	return r == 0 && producer(w)->spoiled ? -ECANCELED : r;
}

static int touch_group(struct mworker *w, int64_t deadline_ms)
{
	for (;;) {
		int r = mem_reach(cluster(w), deadline_ms);

		if (r < 0)
			return r;
		if (fenced(w))
			return -EPIPE;
		r = txn_touch(cluster(w), producer(w), w->group, TOPIC_EVENTS, 0);
		if (r == 0)
			return 0;
		r = wait_a_little(w, deadline_ms);
		if (r < 0)
			return r;
	}
}

static bool legal_generation(const struct mworker *w)
{
	const struct member *mb = member_of(cluster(w), w->group, w->uid);
	const struct group *g = &cluster(w)->groups[w->group];

	if (BROKEN(generation_unchecked))
		return true;
	return mb && mb->in && mb->generation == g->generation && !MEM_FAULT(cluster(w), illegal);
}

static int send_offsets(struct mworker *w, const struct log_part *parts, size_t n,
			int64_t deadline_ms)
{
	struct memlog *m = cluster(w);
	int r = touch_group(w, deadline_ms);

	mem_point(m, "offsets");
	if (r < 0)
		return r;
	if (fenced(w))
		return -EPIPE;
	if (!w->joined || !legal_generation(w)) {
		m->counts.illegal++;
		return -ECANCELED;
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		r = offsets_pend(m, w->group, w->producer,
				 (struct tp){ (uint8_t)parts[i].topic, parts[i].partition },
				 parts[i].offset);
	mem_point(m, "offsets-sent");
	return r;
}

/* Between the question and its answer it has happened, and nobody here knows. */
static int end_it(struct mworker *w, int64_t deadline_ms)
{
	struct memlog *m = cluster(w);
	int r = mem_reach(m, deadline_ms);

	if (r < 0)
		return r;
	maybe_fence(w);
	if (fenced(w))
		return -EPIPE;
	if (MEM_FAULT(m, commit_floats)) {
		txn_commit_later(m, w->producer);
		return -EPIPE;
	}
	txn_end(m, w->producer, true);
	mem_point(m, "committed");
	if (MEM_FAULT(m, commit_lost))
		return -EPIPE;
	return mem_reach(m, deadline_ms);
}

static void sleep_past_time_out(struct memlog *m)
{
	int64_t until_ms = mem_now(m) + m->set.txn_ms + m->set.sweep_ms + 1;

	while (mem_now(m) < until_ms)
		mem_wait(m, until_ms);
}

int mem_txn_commit(struct log_worker *base, const struct log_part *parts, size_t parts_n)
{
	struct mworker *w = mworker_of(base);
	struct memlog *m = cluster(w);
	int64_t deadline_ms = mworker_deadline(w, WORKER_TXN_MS);
	int r;

	if (!w->txn_open && parts_n == 0)
		return 0;
	r = begin(w);
	if (r < 0)
		return r;
	mem_point(m, "commit");
	maybe_fence(w);
	if (MEM_FAULT(m, commit_abort))
		return give_up(w, -ECANCELED);
	r = flush(w, deadline_ms);
	if (r == 0 && parts_n > 0)
		r = send_offsets(w, parts, parts_n, deadline_ms);
	if (r == 0 && MEM_FAULT(m, commit_late))
		sleep_past_time_out(m);
	if (r == 0)
		r = end_it(w, deadline_ms);
	if (r < 0)
		return give_up(w, r);
	w->txn_open = false;
	mem_point(m, "commit-told");
	return 0;
}

bool mem_txn_open(const struct log_worker *base)
{
	return ((const struct mworker *)(const void *)((const char *)base -
						       offsetof(struct mworker, base)))
	    ->txn_open;
}
