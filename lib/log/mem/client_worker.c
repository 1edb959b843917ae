/*
 * client_worker.c - a worker's life: made, joined, polled, left
 */
#include <errno.h>
#include <stdlib.h>

#include "log/mem/client.h"

#define SEEK_MS         5000
#define MEMBER_NAME_MAX 249 /* Kafka's limit */

/* ---- places ---- */

size_t mworker_topic_at(const struct mworker *w, enum topic topic)
{
	size_t at = 0;

	while (at < w->topics_n && w->topics[at] != topic)
		at++;
	return at < w->topics_n ? at : WORKER_TOPICS_MAX;
}

struct wpart *mworker_part(struct mworker *w, size_t at, int32_t partition)
{
	struct wparts *parts = &w->parts[at];
	struct wpart *v;

	if (partition < parts->n)
		return &parts->v[partition];
	v = realloc(parts->v, sizeof(*v) * ((size_t)partition + 1));
	if (!v)
		return NULL;
	memset(v + parts->n, 0, sizeof(*v) * (size_t)(partition + 1 - parts->n));
	parts->v = v;
	parts->n = partition + 1;
	return &v[partition];
}

int64_t mworker_deadline(const struct mworker *w, int64_t ms)
{
	int64_t deadline_ms = mem_now(w->c->m) + ms;

	return w->leave_by_ms ? MIN(deadline_ms, w->leave_by_ms) : deadline_ms;
}

/* ---- made and joined ---- */

int mem_worker_new(struct log *log, const char *role, const char *transactional_id,
		   const enum topic *topics, size_t topics_n, const struct log_worker_hooks *hooks,
		   struct log_worker **ret)
{
	struct mworker *w;

	if (topics_n < 1 || topics_n > WORKER_TOPICS_MAX || !*transactional_id)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->base.ops = log->ops;
	w->c = client_of(log);
	w->hooks = *hooks;
	w->topics_n = topics_n;
	memcpy(w->topics, topics, topics_n * sizeof(*topics));
	w->role = slice_dup(slice_of(role));
	w->id = slice_dup(slice_of(transactional_id));
	w->group = w->role && w->id ? group_of(w->c->m, w->role) : -ENOMEM;
	if (w->group < 0) {
		mem_worker_free(&w->base);
		return -ENOMEM;
	}
	*ret = &w->base;
	return 0;
}

/* As back end kafka has it: what Kafka would not take as a name goes without. */
const char *mworker_member_name(const struct mworker *w)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strlen(w->id);

	return n < MEMBER_NAME_MAX && strspn(w->id, allowed) == n ? w->id : NULL;
}

static int join_group(struct mworker *w)
{
	return group_join(w->c->m, w->group, w->c->process, mworker_member_name(w), w->topics,
			  w->topics_n, &w->uid);
}

/* A former owner of the transactional id is fenced before this one can get its partitions. */
static int join(struct mworker *w, int timeout_ms)
{
	int r = 0;

	if (!w->fenced_others)
		r = mworker_fence_others(w, mem_now(w->c->m) + MAX(timeout_ms, 100));
	if (r == 0) {
		w->fenced_others = true;
		mem_point(w->c->m, "join");
		r = join_group(w);
	}
	if (r == 0)
		w->joined = true;
	else if (r != -EAGAIN)
		w->dead = -EPIPE;
	return r == 0 || r == -EAGAIN ? r : -EPIPE;
}

/* ---- polled ---- */

static void drop_newest(struct mworker *w)
{
	if (w->newest)
		held_drop(&w->slots[w->held_n]);
	w->newest = false;
}

void mem_msg_done(struct log_worker *base)
{
	struct mworker *w = mworker_of(base);

	drop_newest(w);
	while (w->held_n > 0)
		held_drop(&w->slots[--w->held_n]);
}

/* 1 with a message, 0: nothing there, or an error. */
static int read_part(struct mworker *w, size_t at, int32_t partition, struct log_msg *ret)
{
	struct mem_part *p = part_of(w->c->m, w->topics[at], partition);
	struct wpart *part = &w->parts[at].v[partition];
	const struct entry *e;
	int64_t stable;

	if (!p || !part->owned || part->paused)
		return 0;
	if (part->next > p->high) /* read again from the beginning, and told already */
		return 0;
	part->next = MAX(part->next, p->begin);
	stable = part_stable(p);
	e = part_next(p, &part->next, stable);
	part->high = p->high;
	part->heard = true;
	if (!e)
		return 0;
	part->next = e->offset + 1;
	if (held_take(&w->slots[w->held_n], p, e, w->topics[at], partition) < 0)
		return -ENOMEM;
	w->newest = true;
	*ret = w->slots[w->held_n].msg;
	w->c->m->counts.delivered++;
	return 1;
}

/* Partition by partition for a while, as answers to fetches come. */
static int read_any(struct mworker *w, struct log_msg *ret)
{
	size_t n = 0, at, k;

	for (at = 0; at < w->topics_n; at++)
		n += (size_t)w->parts[at].n;
	if (n == 0 || !mem_reachable(w->c->m))
		return 0;
	if (mem_below(w->c->m, 8) == 0)
		w->turn = mem_below(w->c->m, n);
	for (size_t i = 0; i < n; i++) {
		int r;

		k = (w->turn + i) % n;
		for (at = 0; k >= (size_t)w->parts[at].n; at++)
			k -= (size_t)w->parts[at].n;
		r = read_part(w, at, (int32_t)k, ret);
		if (r == 0)
			continue;
		w->turn += i;
		return r;
	}
	return 0;
}

static int take_verdict(struct mworker *w)
{
	int verdict = w->dead ? w->dead : w->verdict;

	w->verdict = 0;
	return verdict;
}

static int maybe_disturb(struct mworker *w)
{
	struct memlog *m = w->c->m;
	struct member *mb;

	if (MEM_FAULT(m, rebalance))
		memlog_rebalance(m, w->role);
	mb = member_of(m, w->group, w->uid);
	if (mb && mb->in && MEM_FAULT(m, kicked)) {
		m->counts.kicked++;
		group_drop(m, &m->groups[w->group], mb);
	}
	if (MEM_FAULT(m, poll_fatal))
		return w->dead = -EPIPE;
	return MEM_FAULT(m, poll_again) ? -EAGAIN : 0;
}

static int maybe_join_again(struct mworker *w)
{
	struct memlog *m = w->c->m;

	if (w->look_at_ms && mem_now(m) >= w->look_at_ms) {
		w->look_at_ms = 0;
		w->again = !mworker_owns_any(w) && !group_all_have_places(m, w->group);
	}
	if (!w->again)
		return 0;
	w->again = false;
	group_leave(m, w->group, w->uid);
	return join_group(w);
}

void mem_worker_heed(struct log_worker *base, const atomic_bool *stop)
{
	mworker_of(base)->stop = stop;
}

int mem_worker_poll(struct log_worker *base, int timeout_ms, struct log_msg *ret)
{
	struct mworker *w = mworker_of(base);
	struct memlog *m = w->c->m;
	int64_t deadline_ms;
	int r = take_verdict(w);

	drop_newest(w);
	if (r == 0 && !w->joined)
		r = join(w, timeout_ms);
	if (r < 0)
		return r;
	deadline_ms = mem_now(m) + timeout_ms;
	mem_point(m, "poll");
	r = maybe_disturb(w);
	while (r == 0) {
		if (group_fenced(m, w->group, w->uid))
			r = w->dead = -EPIPE;
		else if (mworker_serve_group(w))
			r = take_verdict(w);
		if (r == 0)
			r = maybe_join_again(w);
		if (r != 0)
			break;
		r = read_any(w, ret);
		if (r != 0 || mem_now(m) >= deadline_ms)
			break;
		mem_wait(m, deadline_ms);
	}
	mem_point(m, "polled");
	return r;
}

int mem_worker_poll_held(struct log_worker *base, int timeout_ms, struct log_msg *ret)
{
	struct mworker *w = mworker_of(base);

	if (w->held_n == LOG_HELD_MAX - 1)
		return -ENOSPC;
	w->held_n += w->newest;
	w->newest = false;
	return mem_worker_poll(base, timeout_ms, ret);
}

int64_t mem_worker_lag(struct log_worker *base, enum topic topic, int32_t partition)
{
	struct mworker *w = mworker_of(base);
	size_t at = mworker_topic_at(w, topic);
	const struct wpart *part;

	if (at == WORKER_TOPICS_MAX || partition >= w->parts[at].n)
		return -1;
	part = &w->parts[at].v[partition];
	if (!part->heard || MEM_FAULT(w->c->m, lag_unknown))
		return -1;
	return MAX(part->high - part->next, 0);
}

static struct wpart *owned_part(struct mworker *w, enum topic topic, int32_t partition)
{
	size_t at = mworker_topic_at(w, topic);
	bool known = at < WORKER_TOPICS_MAX && partition >= 0 && partition < w->parts[at].n;

	return known && w->parts[at].v[partition].owned ? &w->parts[at].v[partition] : NULL;
}

int mem_worker_seek(struct log_worker *base, enum topic topic, int32_t partition, int64_t offset)
{
	struct mworker *w = mworker_of(base);
	int64_t deadline_ms = mworker_deadline(w, SEEK_MS);
	bool stalled = MEM_FAULT(w->c->m, stalled);
	struct wpart *part;

	if (mworker_topic_at(w, topic) == WORKER_TOPICS_MAX || partition < 0)
		return -EINVAL;
	drop_newest(w);
	mem_point(w->c->m, "seek");
	while (!(part = owned_part(w, topic, partition)) || stalled) {
		if (mem_now(w->c->m) >= deadline_ms)
			return -EAGAIN;
		mem_wait(w->c->m, deadline_ms);
	}
	part->next = MAX(offset, 0);
	part->heard = false;
	return 0;
}

int mem_worker_pause(struct log_worker *base, enum topic topic, int32_t partition, bool pause)
{
	struct mworker *w = mworker_of(base);
	struct wpart *part;

	if (mworker_topic_at(w, topic) == WORKER_TOPICS_MAX || partition < 0)
		return -EINVAL;
	part = owned_part(w, topic, partition);
	if (!part)
		return -EAGAIN;
	part->paused = pause;
	return 0;
}

/* ---- left ---- */

/* What is owned goes in one call, after the one that is under way. */
static void revoke_all(struct mworker *w)
{
	struct memlog *m = w->c->m;
	struct member *mb;

	if (group_fenced(m, w->group, w->uid))
		return;
	while (mworker_serve_group(w))
		;
	mb = member_of(m, w->group, w->uid);
	if (!mb)
		return;
	mb->join_at_ms = mb->sync_at_ms = NEVER;
	mb->call = CALL_REVOKE;
	mb->lost = mb->told_out_ms != NEVER && !mb->in;
	mb->then_join = mb->then_assign = false;
	tps_copy(m, &mb->list, &mb->owned);
	mworker_serve_group(w);
}

void mem_worker_free(struct log_worker *base)
{
	struct mworker *w = mworker_of(base);
	struct memlog *m = w->c->m;

	w->leave_by_ms = mem_now(m) + WORKER_LEAVE_MS;
	if (w->joined) {
		mem_point(m, "leave");
		revoke_all(w);
		mem_point(m, "leaving");
		if (mem_reach(m, w->leave_by_ms) == 0)
			mem_point(m, "left");
		group_leave(m, w->group, w->uid);
	}
	if (w->txn_open && mem_txn_abort(base) < 0)
		w->txn_open = false; /* left to its time-out */
	if (w->fenced_others && m->producers[w->producer].epoch == w->epoch)
		producer_leave(m, w->producer);
	for (size_t i = 0; i < w->topics_n; i++)
		free(w->parts[i].v);
	for (size_t i = 0; i < LOG_HELD_MAX; i++)
		buf_fini(&w->slots[i].bytes);
	free(w->role);
	free(w->id);
	free(w);
}
