#include "role/deliver_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/slog.h"
#include "role/deliver_priv.h"
#include "role/read_on.h"

#define POLL_IDLE_MS    50
#define POLL_OPEN_MS    5   /* something waits for its commit */
#define POLL_FLYING_MS  2   /* answers do not wake the poll */
#define BATCH_MAX       256 /* messages between looks at clock and answers */
#define HAND_OVER_MS    3000
#define CANCEL_MS       1000
#define AGAIN_MS        100
#define ALONE_MS        15000 /* in the group and without a partition: ready all the same */
#define GAUGES_EVERY_MS 1000
#define TOLD_MAX        50000u /* per partition and generation */

int64_t deliver_now_ms(struct deliver_worker *w)
{
	bool stepped;
	int64_t now_ms = wall_clock_read(&w->wall, clock_wall_ms(), clock_mono_ms(), &stepped);

	if (stepped)
		SLOG(SLOG_WARN, "wall clock was set, deliveries go on by the old time",
		     SLOG_I("ahead_ms", clock_wall_ms() - now_ms));
	return now_ms;
}

/* ---- partitions come and go ---- */

/* An error leaves the group, so nothing that this handle could do later helps: whatever the error
 * was, a new life begins. */
static int on_assigned(void *arg, struct log_part *parts, size_t n)
{
	struct deliver_worker *w = arg;
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		if (parts[i].topic == TOPIC_TASKS)
			err = deliver_restore_ledger(w, parts[i].partition, parts[i].offset);
		if (!err)
			err = deliver_set_part(&w->owned, &w->owned_n, &parts[i]);
	}
	if (err)
		return err == -ENOMEM ? err : -EPIPE;
	w->proven_ms = 0; /* of the new ones nothing is proven */
	w->joined = true;
	w->cfg->joined(w->cfg->arg, true);
	return 0;
}

static void forget_part(struct deliver_worker *w, const struct log_part *part)
{
	deliver_remove_part(w->owned, &w->owned_n, part);
	deliver_remove_part(w->consumed, &w->consumed_n, part);
	if (part->topic == TOPIC_TASKS)
		deliver_drop_ledger(w, part->partition);
}

static size_t flying(const struct deliver_worker *w, const struct log_part *parts, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		const struct owned_ledger *o = parts[i].topic == TOPIC_TASKS
						   ? deliver_find_ledger(w, parts[i].partition)
						   : NULL;
		struct ledger_counts counts;

		if (!o)
			continue;
		ledger_counts(o->ledger, &counts);
		sum += counts.flying;
	}
	return sum;
}

static void await_flights(struct deliver_worker *w, const struct log_part *parts, size_t n,
			  int64_t deadline_ms)
{
	while (flying(w, parts, n) && clock_mono_ms() < deadline_ms) {
		deliver_take_answers(w);
		usleep(POLL_FLYING_MS * 1000);
	}
	deliver_take_answers(w);
}

/* What is on its way is given a moment to be answered, then called back, so that the next owner
 * never tells a newer state before an older one arrives. */
static void land(struct deliver_worker *w, const struct log_part *parts, size_t n,
		 int64_t deadline_ms)
{
	await_flights(w, parts, n, deadline_ms);
	if (!flying(w, parts, n))
		return;
	for (size_t i = 0; i < n; i++) {
		struct owned_ledger *o = parts[i].topic == TOPIC_TASKS
					     ? deliver_find_ledger(w, parts[i].partition)
					     : NULL;

		if (o)
			deliver_cancel_flights(o->ledger);
	}
	await_flights(w, parts, n, clock_mono_ms() + CANCEL_MS);
}

static void on_revoked(void *arg, const struct log_part *parts, size_t n, bool lost)
{
	struct deliver_worker *w = arg;
	int err;

	if (!lost && !w->broken) {
		land(w, parts, n, clock_mono_ms() + HAND_OVER_MS);
		FAULT(deliver_landed);
		err = deliver_commit(w);
		FAULT(deliver_handed_over);
		if (err) {
			/* The log aborts what is open, and the next poll says so. */
			SLOG(SLOG_WARN, "commit failed while partitions were handed over",
			     SLOG_ERR(err));
			w->err = err;
		}
	}
	for (size_t i = 0; i < n; i++)
		forget_part(w, &parts[i]);
}

/* After a transaction that does not stand: everything as the log has it. */
static int take_over_again(struct deliver_worker *w)
{
	int err = log_txn_abort(w->log);

	metric_add(M_LOG_ERRORS, "deliver", "abort", 1);
	SLOG(SLOG_WARN, "transaction aborted, taking the partitions over again",
	     SLOG_I("partitions", w->owned_n));
	deliver_txn_over(w);
	w->proven_ms = 0;        /* perhaps it was aborted because the partitions are another's */
	usleep(AGAIN_MS * 1000); /* the group may need a moment to tell what is ours */
	if (BROKEN(ledger_kept))
		return err;
	for (size_t i = 0; !err && i < w->owned_n; i++) {
		struct log_part *part = &w->owned[i];
		int64_t offset;

		err = read_on_committed(w->log, part->topic, part->partition, w->cfg->closing,
					&offset);
		if (!err && part->topic == TOPIC_TASKS)
			err = deliver_restore_ledger(w, part->partition, offset);
		if (!err)
			err = log_worker_seek(w->log, part->topic, part->partition, offset);
	}
	return err;
}

/* ---- the loop ---- */

static void set_gauges_when_due(struct deliver_worker *w)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms - w->gauges_ms < GAUGES_EVERY_MS)
		return;
	w->gauges_ms = now_ms;
	deliver_set_gauges(w);
	if (!w->joined && now_ms - w->began_ms >= ALONE_MS) {
		w->joined = true;
		w->cfg->joined(w->cfg->arg, true);
	}
}

static int poll_timeout(struct deliver_worker *w)
{
	int64_t due_ms = INT64_MAX, now_ms = deliver_now_ms(w);

	if (outlets_busy(w->cfg->outlets))
		return POLL_FLYING_MS;
	if (w->txn_began_ms)
		return POLL_OPEN_MS;
	for (size_t i = 0; i < w->ledgers_n; i++)
		due_ms = MIN(due_ms, ledger_next_due(w->ledgers[i]->ledger));
	return due_ms <= now_ms ? 0 : (int)MIN(due_ms - now_ms, (int64_t)POLL_IDLE_MS);
}

/* Reads until nothing comes, or enough has. 1: there may be more; 0: nothing came. */
static int read_batch(struct deliver_worker *w)
{
	int timeout_ms = poll_timeout(w), r = 0;
	struct log_msg msg;

	for (int i = 0; i < BATCH_MAX && !w->err; i++) {
		r = log_worker_poll(w->log, timeout_ms, &msg);
		if (r != 1)
			return r;
		deliver_take_message(w, &msg);
		log_msg_done(w->log);
		timeout_ms = 0;
	}
	return w->err ? w->err : 1;
}

static int step(struct deliver_worker *w)
{
	int r = read_batch(w), err;

	if (r == -EAGAIN)
		r = 0; /* the broker is away: answers and timers go on */
	if (r < 0)
		return r;
	deliver_take_answers(w);
	deliver_release_ledgers(w);
	deliver_send_due(w);
	deliver_refill(w);
	set_gauges_when_due(w);
	err = deliver_commit_when_due(w, r == 0);
	return err;
}

/* Nothing new is read or begun, but the group has to hear from us. */
static int finish(struct deliver_worker *w)
{
	int64_t deadline_ms = atomic_load(w->cfg->deadline_ms) - HAND_OVER_MS;
	struct log_msg msg;
	int r = 0;

	for (size_t i = 0; !r && i < w->owned_n; i++)
		r = log_worker_pause(w->log, w->owned[i].topic, w->owned[i].partition, true);
	while (!r && outlets_busy(w->cfg->outlets) && clock_mono_ms() < deadline_ms) {
		r = log_worker_poll(w->log, POLL_FLYING_MS, &msg);
		if (r == 1)
			deliver_take_message(w, &msg);
		log_msg_done(w->log);
		deliver_take_answers(w);
		r = MIN(r, 0);
		if (!r)
			r = deliver_commit_when_due(w, true);
	}
	return r ? r : deliver_commit(w);
}

static int work(struct deliver_worker *w)
{
	int r = 0;

	while (!r && !atomic_load(w->cfg->closing)) {
		r = step(w);
		if (r == -ECANCELED)
			r = take_over_again(w);
	}
	return r ? r : finish(w);
}

static void set_ledger_cfg(struct deliver_worker *w)
{
	const struct cfg *cfg = w->cfg->cfg;

	w->ledger_cfg = (struct ledger_cfg){
		.give_up_after_ms = cfg->deliver.give_up_after_ms,
		.retry_first_ms = cfg->deliver.retry_first_ms,
		.retry_max_ms = cfg->deliver.retry_max_ms,
		.lane_bytes_max = (size_t)(cfg->deliver.waiting_bytes_max /
					   MAX(cfg->sinks_n, (size_t)1)),
		.told_max = TOLD_MAX,
	};
}

static void end(struct deliver_worker *w)
{
	log_worker_free(w->log);
	while (w->ledgers_n)
		deliver_drop_ledger(w, w->ledgers[0]->partition);
	refill_free(w->refill);
	routes_free(w->routes);
	free(w->ledgers);
	free(w->owned);
	free(w->consumed);
	buf_fini(&w->key);
	buf_fini(&w->value);
}

int deliver_worker_run(const struct deliver_worker_cfg *cfg)
{
	static const enum topic topics[] = { TOPIC_CALLS, TOPIC_TASKS };
	struct deliver_worker w = { .cfg = cfg, .began_ms = clock_mono_ms() };
	const struct log_worker_hooks hooks = { .arg = &w,
						.assigned = on_assigned,
						.revoked = on_revoked };
	int err = routes_new(cfg->cfg, &w.routes);

	w.chance = (uint64_t)clock_mono_us() * 2654435761u | 1;
	set_ledger_cfg(&w);
	if (!err)
		err = refill_new(cfg->log, &w.refill);
	if (!err)
		err = log_worker_new(cfg->log, "deliver", cfg->transactional_id, topics,
				     ARRAY_LEN(topics), &hooks, &w.log);
	if (!err) {
		log_worker_heed(w.log, cfg->closing);
		err = work(&w);
	}
	w.broken = err != 0;
	cfg->joined(cfg->arg, false);
	end(&w);
	return err;
}
