#include "role/deliver_ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/uuid.h"
#include "role/deliver_told.h"

#define BUCKETS_FIRST 256u
#define WANTED_MAX    1000

struct ledger {
	struct ledger_cfg cfg;
	struct ledger_out out;
	ledger_lane_fn *lane_opened;
	struct told told;
	struct delivery **buckets; /* by hash */
	size_t buckets_n, deliveries_n;
	struct lane **lanes;
	size_t lanes_n;
	struct deliveries dirty;
	uint64_t order; /* of deliveries that are due at the same time */
	bool held;
};

/* ---- states ---- */

static void set_dirty(struct ledger *l, struct delivery *d)
{
	if (!d->dirty)
		TAILQ_INSERT_TAIL(&l->dirty, d, dirty_link);
	d->dirty = true;
}

static void clear_dirty(struct ledger *l, struct delivery *d)
{
	if (d->dirty)
		TAILQ_REMOVE(&l->dirty, d, dirty_link);
	d->dirty = false;
}

static void wait_until(struct ledger *l, struct delivery *d, int64_t at_ms)
{
	lane_leave(d);
	d->next_at_ms = at_ms;
	d->order = ++l->order;
	lane_enter(d, DELIVERY_WAITING);
}

static int held_set(struct lane *lane, const struct task *task, struct slice json,
		    struct task_place place, struct task_held *held)
{
	int err = lane_hold_task(lane, json, held);

	if (err)
		return err;
	held->revision = task->revision;
	held->made_at_ms = task->at_ms;
	held->place = place;
	return 0;
}

/* ---- lanes and deliveries ---- */

static struct lane *find_lane(const struct ledger *l, struct slice name)
{
	for (size_t i = 0; i < l->lanes_n; i++) {
		if (slice_is(name, l->lanes[i]->name))
			return l->lanes[i];
	}
	return l->lanes_n == LEDGER_LANES_MAX ? l->lanes[LEDGER_LANES_MAX - 1] : NULL;
}

static struct lane *open_lane(struct ledger *l, struct slice name)
{
	struct lane *lane = find_lane(l, name), **lanes;

	if (lane || name.n >= sizeof(lane->name))
		return lane;
	lanes = realloc(l->lanes, (l->lanes_n + 1) * sizeof(struct lane *));
	lane = calloc(1, sizeof(*lane));
	if (lanes)
		l->lanes = lanes;
	if (!lanes || !lane) {
		free(lane);
		return NULL;
	}
	memcpy(lane->name, name.p, name.n);
	TAILQ_INIT(&lane->flying);
	TAILQ_INIT(&lane->parked);
	l->lane_opened(l->out.arg, lane);
	lane->concurrency = MAX(lane->concurrency, 1u);
	l->lanes[l->lanes_n++] = lane;
	return lane;
}

/* FNV-1a; ids of calls are random enough as they are. */
static uint64_t hash_of(struct slice sink, struct slice call)
{
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < sink.n; i++)
		hash = (hash ^ (uint8_t)sink.p[i]) * 1099511628211u;
	for (size_t i = 0; i < call.n; i++)
		hash = (hash ^ (uint8_t)call.p[i]) * 1099511628211u;
	return hash ^ hash >> 32;
}

static struct delivery **bucket_of(const struct ledger *l, uint64_t hash)
{
	return &l->buckets[hash & (l->buckets_n - 1)];
}

static struct delivery *find(const struct ledger *l, struct slice sink, struct slice call)
{
	uint64_t hash = hash_of(sink, call);
	struct delivery *d = *bucket_of(l, hash);

	while (d && !(d->hash == hash && slice_eq(delivery_sink(d), sink) &&
		      slice_eq(delivery_call(d), call)))
		d = d->hash_next;
	return d;
}

static int grow_buckets(struct ledger *l)
{
	size_t n = l->buckets_n ? l->buckets_n * 2 : BUCKETS_FIRST, old_n = l->buckets_n;
	struct delivery **old = l->buckets, **buckets;

	if (l->deliveries_n < l->buckets_n)
		return 0;
	buckets = calloc(n, sizeof(struct delivery *));
	if (!buckets)
		return -ENOMEM;
	l->buckets = buckets;
	l->buckets_n = n;
	for (size_t i = 0; i < old_n; i++) {
		while (old[i]) {
			struct delivery *d = old[i];

			old[i] = d->hash_next;
			d->hash_next = *bucket_of(l, d->hash);
			*bucket_of(l, d->hash) = d;
		}
	}
	free(old);
	return 0;
}

static void take_out(struct ledger *l, struct delivery *d)
{
	struct delivery **p = bucket_of(l, d->hash);

	while (*p != d)
		p = &(*p)->hash_next;
	*p = d->hash_next;
	l->deliveries_n--;
}

/* Nothing of it waits any more. */
static void forget(struct ledger *l, struct delivery *d)
{
	clear_dirty(l, d);
	lane_leave(d);
	take_out(l, d);
	lane_drop_task(d->lane, &d->task);
	lane_drop_task(d->lane, &d->newer);
	free(d);
}

static struct delivery *make(struct ledger *l, const struct task *task, struct slice json,
			     struct task_place place)
{
	struct lane *lane = open_lane(l, task->sink);
	struct delivery *d = calloc(1, sizeof(*d));

	if (!lane || !d || grow_buckets(l) != 0 || !lane_reserve(lane, lane_size(lane) + 1) ||
	    held_set(lane, task, json, place, &d->task) != 0) {
		free(d);
		return NULL;
	}
	d->lane = lane;
	d->hash = hash_of(task->sink, task->call);
	d->sink_n = (uint8_t)task->sink.n;
	memcpy(d->key, task->sink.p, task->sink.n);
	d->key[task->sink.n] = '/';
	memcpy(d->key + task->sink.n + 1, task->call.p, UUID_TEXT_LEN);
	d->hash_next = *bucket_of(l, d->hash);
	*bucket_of(l, d->hash) = d;
	l->deliveries_n++;
	d->order = ++l->order;
	return d;
}

/* ---- what is written ---- */

static void tell(struct ledger *l, const struct delivery *d, const struct task_held *held,
		 enum entry_verdict verdict, int64_t now_ms)
{
	bool waits = verdict == ENTRY_RETRY, is_current = held == &d->task;
	struct entry e = {
		.sink = delivery_sink(d),
		.call = delivery_call(d),
		.step = SLICE("record"),
		.revision = held->revision,
		.verdict = verdict,
		.attempt = is_current ? d->attempt : 0,
		.at_ms = waits && is_current ? d->changed_at_ms : now_ms,
		.next_at_ms = waits ? d->next_at_ms : TIME_NONE,
		.task = waits ? slice_make(held->json, held->json_n) : SLICE_NONE,
	};

	if (is_current) {
		e.status = d->status;
		e.ms = d->ms;
		e.reason = slice_of(d->reason);
	}
	l->out.entry(l->out.arg, delivery_key(d), &e);
}

static void tell_dead(struct ledger *l, const struct delivery *d, struct slice reason,
		      int64_t now_ms)
{
	struct slice json = slice_make(d->task.json, d->task.json ? d->task.json_n : 0);
	struct deadletter dead = {
		.reason = reason,
		.id = delivery_call(d),
		.sink = delivery_sink(d),
		.attempts = d->attempt,
		.at_ms = now_ms,
		.original = json,
	};
	struct routed record;
	struct task task;

	if (task_read(json, &task) == 0 && routed_read(task.record, &record) == 0) {
		dead.account = record.account;
		dead.call_session_id = record.call_session_id;
	}
	l->out.dead(l->out.arg, &dead);
}

/* ---- settling ---- */

/* The task is done with; what came meanwhile takes its place. */
static void next_task(struct ledger *l, struct delivery *d, int64_t now_ms)
{
	if (d->newer.revision == 0) {
		forget(l, d);
		return;
	}
	lane_drop_task(d->lane, &d->task);
	d->task = d->newer;
	d->newer = (struct task_held){ .json = NULL };
	d->attempt = 0;
	d->status = 0;
	d->ms = 0;
	d->reason = NULL;
	d->changed_at_ms = now_ms;
	set_dirty(l, d); /* the entry just written is the newest of the key, and has no task */
	wait_until(l, d, now_ms);
}

static void settle(struct ledger *l, struct delivery *d, enum entry_verdict verdict, int64_t now_ms)
{
	if (!BROKEN(entry_unwritten))
		tell(l, d, &d->task, verdict, now_ms);
	if (verdict != ENTRY_SUPERSEDED)
		told_put(&l->told, d->hash, d->task.revision, verdict == ENTRY_DEAD);
	next_task(l, d, now_ms);
}

static void bury(struct ledger *l, struct delivery *d, const char *reason, int64_t now_ms)
{
	tell_dead(l, d, slice_of(reason), now_ms);
	settle(l, d, ENTRY_DEAD, now_ms);
}

/* "permanent: http 410", "permanent: address_not_allowed" */
static void bury_refused(struct ledger *l, struct delivery *d, const struct sink_answer *answer,
			 int64_t now_ms)
{
	char reason[32 + SINK_REASON_MAX];

	if (answer->status)
		snprintf(reason, sizeof(reason), "permanent: http %d", answer->status);
	else
		snprintf(reason, sizeof(reason), "permanent: %s", answer->reason);
	bury(l, d, reason, now_ms);
}

void ledger_hold(struct ledger *l, bool hold)
{
	l->held = hold;
}

/* ---- tasks ---- */

static bool is_known(const struct delivery *d, uint32_t revision)
{
	return revision <= MAX(d->task.revision, d->newer.revision);
}

static int behind(struct ledger *l, struct delivery *d, const struct task *task, struct slice json,
		  struct task_place place, int64_t now_ms)
{
	if (d->newer.revision)
		tell(l, d, &d->newer, ENTRY_SUPERSEDED, now_ms);
	if (held_set(d->lane, task, json, place, &d->newer) != 0)
		return -ENOMEM;
	set_dirty(l, d);
	return LEDGER_BEHIND;
}

static int replace(struct ledger *l, struct delivery *d, const struct task *task, struct slice json,
		   struct task_place place, int64_t now_ms)
{
	tell(l, d, &d->task, ENTRY_SUPERSEDED, now_ms);
	if (held_set(d->lane, task, json, place, &d->task) != 0)
		return -ENOMEM;
	d->attempt = 0;
	d->status = 0;
	d->ms = 0;
	d->reason = NULL;
	d->changed_at_ms = now_ms;
	set_dirty(l, d);
	wait_until(l, d, now_ms);
	return LEDGER_REPLACED;
}

int ledger_accept(struct ledger *l, const struct task *task, struct slice json, int64_t offset,
		  int64_t now_ms)
{
	struct task_place place = { TOPIC_TASKS, offset };
	struct delivery *d = find(l, task->sink, task->call);

	if (BROKEN(newer_overtakes) && d && d->state == DELIVERY_FLYING &&
	    !is_known(d, task->revision))
		d = NULL;
	if (d && is_known(d, task->revision))
		return LEDGER_REPEATED;
	if (d)
		return d->state == DELIVERY_FLYING ? behind(l, d, task, json, place, now_ms)
						   : replace(l, d, task, json, place, now_ms);
	if (told_has(&l->told, hash_of(task->sink, task->call), task->revision))
		return LEDGER_REPEATED;
	d = make(l, task, json, place);
	if (!d)
		return -ENOMEM;
	d->next_at_ms = d->changed_at_ms = now_ms;
	lane_enter(d, DELIVERY_WAITING);
	set_dirty(l, d);
	return LEDGER_NEW;
}

/* ---- trying ---- */

size_t ledger_lanes(const struct ledger *l)
{
	return l->lanes_n;
}

struct lane *ledger_lane(struct ledger *l, size_t i)
{
	return l->lanes[i];
}

static bool gave_up(const struct ledger *l, const struct delivery *d, int64_t now_ms)
{
	return d->attempt > 0 && now_ms - d->task.made_at_ms >= l->cfg.give_up_after_ms;
}

static struct delivery *first_due(const struct ledger *l, const struct lane *lane, int64_t now_ms)
{
	if (l->held || lane->flying_n >= lane->concurrency || lane->heap_n == 0)
		return NULL;
	/* A delivery leaves the heap before it is freed (lane_leave), which the analyzer loses. */
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	return lane->heap[0]->next_at_ms <= now_ms ? lane->heap[0] : NULL;
}

struct delivery *ledger_due(struct ledger *l, struct lane *lane, int64_t now_ms)
{
	struct delivery *d;

	while ((d = first_due(l, lane, now_ms)) && gave_up(l, d, now_ms))
		bury(l, d, "gave_up", now_ms);
	return d;
}

void ledger_started(struct ledger *l UNUSED, struct delivery *d)
{
	lane_move(d, DELIVERY_FLYING);
}

int64_t ledger_backoff_ms(const struct ledger_cfg *cfg, uint32_t attempt, uint32_t chance)
{
	int64_t wait = MIN(cfg->retry_first_ms, cfg->retry_max_ms);

	for (uint32_t i = 1; i < attempt && wait < cfg->retry_max_ms; i++)
		wait = MIN(wait * 2, cfg->retry_max_ms);
	return wait - (int64_t)((uint64_t)(wait / 2) * chance / UINT32_MAX);
}

/* Not later than the moment at which it gives up. */
static int64_t next_try(const struct ledger *l, const struct delivery *d,
			const struct sink_answer *answer, int64_t now_ms, uint32_t chance)
{
	int64_t wait = ledger_backoff_ms(&l->cfg, d->attempt, chance);

	wait = MAX(wait, MIN(answer->retry_after_ms, SINK_RETRY_AFTER_MAX_MS));
	return MAX(now_ms, MIN(now_ms + wait, d->task.made_at_ms + l->cfg.give_up_after_ms));
}

static void try_again(struct ledger *l, struct delivery *d, const struct sink_answer *answer,
		      int64_t now_ms, uint32_t chance)
{
	if (d->newer.revision) {
		settle(l, d, ENTRY_SUPERSEDED, now_ms);
	} else if (gave_up(l, d, now_ms)) {
		bury(l, d, "gave_up", now_ms);
	} else {
		wait_until(l, d, next_try(l, d, answer, now_ms, chance));
		set_dirty(l, d);
	}
}

void ledger_answered(struct ledger *l, struct delivery *d, const struct sink_answer *answer,
		     int64_t now_ms, uint32_t chance)
{
	d->attempt++;
	d->status = answer->status;
	d->ms = answer->ms;
	d->reason = answer->reason;
	d->changed_at_ms = now_ms;
	switch (answer->verdict) {
	case SINK_DONE:
		settle(l, d, ENTRY_DONE, now_ms);
		break;
	case SINK_DEAD:
		bury_refused(l, d, answer, now_ms);
		break;
	case SINK_RETRY:
		try_again(l, d, answer, now_ms, chance);
		break;
	}
}

int64_t ledger_next_due(const struct ledger *l)
{
	int64_t next = INT64_MAX;

	if (l->held)
		return next;
	for (size_t i = 0; i < l->lanes_n; i++) {
		const struct lane *lane = l->lanes[i];

		if (lane->heap_n && lane->flying_n < lane->concurrency)
			next = MIN(next, lane->heap[0]->next_at_ms);
	}
	return next;
}

/* ---- committing ---- */

bool ledger_dirty(const struct ledger *l)
{
	return !TAILQ_EMPTY(&l->dirty);
}

/* Only what lies in topic tasks: an entry of deliveries may be compacted away by the one that was
 * just written. */
static bool is_too_much(const struct ledger *l, const struct delivery *d)
{
	return d->state == DELIVERY_WAITING && d->lane->bytes > l->cfg.lane_bytes_max &&
	       d->lane->heap_n > d->lane->concurrency && d->task.place.topic == TOPIC_TASKS;
}

static void park(struct delivery *d)
{
	lane_drop_task(d->lane, &d->task);
	lane_move(d, DELIVERY_PARKED);
}

/* Of a delivery on its way with a newer task behind it, the newer one is what a restart has to
 * tell. */
void ledger_flush(struct ledger *l, int64_t now_ms)
{
	struct delivery *d;

	while ((d = TAILQ_FIRST(&l->dirty))) {
		clear_dirty(l, d);
		if (d->state == DELIVERY_FLYING)
			d->next_at_ms = now_ms;
		tell(l, d, d->newer.revision && !BROKEN(newer_unwritten) ? &d->newer : &d->task,
		     ENTRY_RETRY, now_ms);
		if (is_too_much(l, d))
			park(d);
	}
}

/* ---- parked tasks ---- */

size_t ledger_wanted(struct ledger *l, struct lane *lane, struct buf *out)
{
	size_t room = l->cfg.lane_bytes_max - MIN(lane->bytes, l->cfg.lane_bytes_max), n = 0;
	struct delivery *d;

	if (lane->refilling_n || (lane->heap_n > lane->concurrency && room < lane->bytes))
		return 0;
	for (d = TAILQ_FIRST(&lane->parked); d; d = TAILQ_NEXT(d, state_link)) {
		struct wanted wanted = { .place = d->task.place };

		if (n >= WANTED_MAX || (n && d->task.json_n > room))
			break;
		room -= MIN(room, d->task.json_n);
		wanted.key_n = (uint8_t)delivery_key(d).n;
		memcpy(wanted.key, d->key, wanted.key_n);
		buf_add(out, &wanted, sizeof(wanted));
		n++;
	}
	lane->refilling_n = out->bad ? 0 : n;
	return lane->refilling_n;
}

static bool is_place(const struct task_place *a, const struct task_place *b)
{
	return a->topic == b->topic && a->offset == b->offset;
}

int ledger_refill(struct ledger *l, const struct wanted *wanted, struct slice json, int64_t now_ms)
{
	struct slice key = slice_make(wanted->key, wanted->key_n);
	struct slice sink = slice_cut(&key, '/');
	struct delivery *d = find(l, sink, key);
	struct lane *lane = find_lane(l, sink);

	if (lane && lane->refilling_n)
		lane->refilling_n--;
	if (!d || d->state != DELIVERY_PARKED || !is_place(&d->task.place, &wanted->place))
		return 0;
	if (json.n == 0) {
		bury(l, d, "task_lost", now_ms);
		return 0;
	}
	if (lane_hold_task(d->lane, json, &d->task) != 0)
		return -ENOMEM;
	lane_move(d, DELIVERY_WAITING);
	return 0;
}

/* ---- taking over ---- */

/* Whoever wrote it may have had another clock, but knew how long it has to wait: never longer. */
static int64_t next_of(const struct ledger *l, const struct entry *e, int64_t now_ms)
{
	int64_t wait_max = MAX(l->cfg.retry_max_ms, SINK_RETRY_AFTER_MAX_MS), wait = wait_max;

	if (e->next_at_ms == TIME_NONE)
		return now_ms;
	if (e->at_ms != TIME_NONE)
		wait = MIN(MAX(e->next_at_ms - e->at_ms, (int64_t)0), wait_max);
	return MIN(e->next_at_ms, now_ms + wait);
}

static int restore_waiting(struct ledger *l, const struct entry *e, int64_t offset, int64_t now_ms)
{
	struct task_place place = { TOPIC_DELIVERIES, offset };
	struct delivery *d;
	struct task task;

	if (task_read(e->task, &task) != 0 || !slice_eq(task.sink, e->sink) ||
	    !slice_eq(task.call, e->call))
		return -EBADMSG;
	d = make(l, &task, e->task, place);
	if (!d)
		return -ENOMEM;
	d->attempt = e->attempt;
	d->status = e->status;
	d->ms = e->ms;
	d->changed_at_ms = e->at_ms == TIME_NONE ? now_ms : e->at_ms;
	d->next_at_ms = next_of(l, e, now_ms);
	lane_enter(d, DELIVERY_WAITING);
	if (d->lane->bytes > l->cfg.lane_bytes_max && d->lane->heap_n > d->lane->concurrency)
		park(d);
	return 0;
}

int ledger_restore(struct ledger *l, struct slice key, struct slice json, int64_t offset,
		   int64_t now_ms)
{
	struct slice call = key, sink = slice_cut(&call, '/');
	struct delivery *d;
	struct entry e;

	if (json.n &&
	    (entry_read(json, &e) != 0 || !slice_eq(e.sink, sink) || !slice_eq(e.call, call)))
		return -EBADMSG;
	d = find(l, sink, call);
	if (d)
		forget(l, d);
	if (json.n == 0)
		return 0;
	if (e.verdict == ENTRY_RETRY)
		return restore_waiting(l, &e, offset, now_ms);
	if (e.verdict != ENTRY_SUPERSEDED)
		told_put(&l->told, hash_of(sink, call), e.revision, e.verdict == ENTRY_DEAD);
	return 0;
}

/* ---- the whole ---- */

int ledger_new(const struct ledger_cfg *cfg, const struct ledger_out *out,
	       ledger_lane_fn *lane_opened, struct ledger **ret)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->cfg = *cfg;
	l->out = *out;
	l->lane_opened = lane_opened;
	TAILQ_INIT(&l->dirty);
	told_init(&l->told, cfg->told_max);
	if (grow_buckets(l) != 0) {
		free(l);
		return -ENOMEM;
	}
	*ret = l;
	return 0;
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->buckets_n; i++) {
		for (struct delivery *d = l->buckets[i], *next; d; d = next) {
			next = d->hash_next;
			forget(l, d);
		}
	}
	for (size_t i = 0; i < l->lanes_n; i++) {
		free(l->lanes[i]->heap);
		free(l->lanes[i]);
	}
	free(l->lanes);
	free(l->buckets);
	told_fini(&l->told);
	free(l);
}

void ledger_counts(const struct ledger *l, struct ledger_counts *ret)
{
	*ret = (struct ledger_counts){ .waiting = 0 };
	for (size_t i = 0; i < l->lanes_n; i++) {
		const struct lane *lane = l->lanes[i];

		ret->waiting += lane->heap_n;
		ret->flying += lane->flying_n;
		ret->parked += lane->parked_n;
		ret->bytes += lane->bytes;
	}
}
