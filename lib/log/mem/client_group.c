/*
 * client_group.c - partitions come and go; committed offsets
 */
#include <errno.h>
#include <stdlib.h>

#include "log/mem/client.h"

#define LOOK_LATER_MS 15000

static void die(struct mworker *w, int verdict)
{
	if (!w->dead)
		w->dead = verdict;
}

/* ---- committed offsets ---- */

static int learn_committed(struct mworker *w, struct log_part *parts, size_t n, int64_t deadline_ms,
			   bool heed)
{
	struct memlog *m = w->c->m;
	bool stalled = MEM_FAULT(m, stalled), counted = false;

	mem_point(m, "ask-committed");
	for (;;) {
		int r = mem_reachable(m) && !stalled ? 0 : -EAGAIN;

		for (size_t i = 0; r == 0 && i < n; i++)
			r = offsets_get(m, w->group,
					(struct tp){ (uint8_t)parts[i].topic, parts[i].partition },
					&parts[i].offset);
		if (r != -EAGAIN)
			return r;
		m->counts.pending += !counted;
		counted = true;
		if (mem_now(m) >= deadline_ms)
			return -EAGAIN;
		if (heed && w->stop && atomic_load(w->stop))
			return -ECANCELED;
		/* The client asks again after a while of its own. */
		mem_wait(m, MIN(deadline_ms, mem_now(m) + 100));
	}
}

int mem_committed(struct log_worker *base, enum topic topic, int32_t partition, int64_t deadline_ms,
		  int64_t *ret)
{
	struct mworker *w = mworker_of(base);
	struct log_part part = { topic, partition, LOG_BEGIN };
	int r;

	if (mworker_topic_at(w, topic) == WORKER_TOPICS_MAX)
		return -EINVAL;
	r = learn_committed(w, &part, 1, deadline_ms, false);
	if (r == 0)
		*ret = part.offset;
	return r;
}

int mem_set_committed(struct log_worker *base, enum topic topic, int32_t partition,
		      int64_t deadline_ms, int64_t offset)
{
	struct mworker *w = mworker_of(base);
	struct memlog *m = w->c->m;
	int r;

	if (mworker_topic_at(w, topic) == WORKER_TOPICS_MAX || w->joined)
		return -EINVAL;
	mem_point(m, "set-committed");
	r = mem_reach(m, deadline_ms);
	if (r < 0)
		return r;
	if (m->groups[w->group].state != GROUP_EMPTY)
		return -EBUSY;
	offsets_set(m, w->group, (struct tp){ (uint8_t)topic, partition }, offset);
	mem_point(m, "committed-set");
	return 0;
}

/* ---- partitions come ---- */

/* What the hook left open cannot be committed any more. */
static void end_open(struct mworker *w)
{
	int r;

	if (!w->txn_open)
		return;
	r = mem_txn_abort(&w->base);
	if (r < 0)
		die(w, r);
	else
		w->verdict = -ECANCELED;
}

/* The list of the call as the role sees it; NULL without memory. */
static struct log_part *parts_of(struct mworker *w, bool owned_only, size_t *ret_n)
{
	const struct member *mb = member_of(w->c->m, w->group, w->uid);
	struct log_part *parts = calloc(mb->list.n + 1, sizeof(*parts));
	size_t n = 0;

	for (size_t i = 0; parts && i < mb->list.n; i++) {
		enum topic topic = (enum topic)mb->list.v[i].topic;
		int32_t partition = mb->list.v[i].partition;
		struct wpart *part = mworker_part(w, mworker_topic_at(w, topic), partition);

		if (!part || (owned_only && !part->owned))
			continue;
		parts[n++] = (struct log_part){ topic, partition,
						owned_only ? part->next : LOG_BEGIN };
	}
	*ret_n = n;
	return parts;
}

static void take_over(struct mworker *w, const struct log_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct wpart *part = mworker_part(w, mworker_topic_at(w, parts[i].topic),
						  parts[i].partition);

		if (part)
			*part = (struct wpart){ .next = MAX(parts[i].offset, 0), .owned = true };
	}
}

/* 0, or why the worker is of no use any more. */
static int ask_role(struct mworker *w, struct log_part *parts, size_t n)
{
	int r = learn_committed(w, parts, n, mworker_deadline(w, WORKER_COMMITTED_MS), true);

	if (r < 0)
		return r == -ECANCELED ? r : -EPIPE;
	mem_point(w->c->m, "assigned");
	r = w->hooks.assigned(w->hooks.arg, parts, n);
	mem_point(w->c->m, "took-over");
	if (r >= 0)
		take_over(w, parts, n);
	return MIN(r, 0);
}

bool mworker_owns_any(const struct mworker *w)
{
	for (size_t at = 0; at < w->topics_n; at++) {
		for (int32_t p = 0; p < w->parts[at].n; p++) {
			if (w->parts[at].v[p].owned)
				return true;
		}
	}
	return false;
}

/* As back end kafka does: see there why. */
static bool has_to_join_again(struct mworker *w, bool some)
{
	bool look = mworker_member_name(w) && !w->looked && !w->leave_by_ms;

	w->look_at_ms = look && !some ? mem_now(w->c->m) + LOOK_LATER_MS : 0;
	w->looked |= some;
	return look && some && !group_all_have_places(w->c->m, w->group);
}

static void come(struct mworker *w)
{
	size_t n = 0;
	struct log_part *parts = parts_of(w, false, &n);
	bool telling = n > 0 || !mworker_owns_any(w);
	int r = parts ? 0 : -ENOMEM;

	w->again = has_to_join_again(w, n > 0);
	telling = telling && !w->again;
	if (telling && w->txn_open) {
		mem_point(w->c->m, "revoked");
		w->hooks.revoked(w->hooks.arg, NULL, 0, false);
		end_open(w);
	}
	if (r == 0 && telling && !w->dead && !w->leave_by_ms)
		r = n > 0 ? ask_role(w, parts, n) : w->hooks.assigned(w->hooks.arg, NULL, 0);
	if (r < 0)
		die(w, r);
	free(parts);
}

/* ---- partitions go ---- */

static void go(struct mworker *w)
{
	bool lost = member_of(w->c->m, w->group, w->uid)->lost;
	size_t n = 0;
	struct log_part *parts = parts_of(w, true, &n);

	if (!parts)
		die(w, -ENOMEM);
	mem_point(w->c->m, "revoked");
	if (n > 0 || w->txn_open)
		w->hooks.revoked(w->hooks.arg, parts, n, lost);
	end_open(w);
	w->looked = w->looked && !lost;
	for (size_t i = 0; parts && i < n; i++)
		w->parts[mworker_topic_at(w, parts[i].topic)].v[parts[i].partition] =
		    (struct wpart){ 0 };
	free(parts);
}

bool mworker_serve_group(struct mworker *w)
{
	switch (group_call(w->c->m, w->group, w->uid)) {
	case CALL_ASSIGN:
		come(w);
		break;
	case CALL_REVOKE:
		go(w);
		break;
	case CALL_NONE:
	default:
		return false;
	}
	group_called(w->c->m, w->group, w->uid);
	mem_point(w->c->m, "called");
	return true;
}
