/* The ledgers of our partitions: made, restored, dropped, counted. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/slog.h"
#include "role/deliver_priv.h"
#include "role/read_on.h"

/* ---- what a ledger writes ---- */

static void on_entry(void *arg, struct slice key, const struct entry *entry)
{
	struct owned_ledger *o = arg;
	struct outlet *outlet = entry->verdict == ENTRY_SUPERSEDED
				    ? outlets_find(o->worker->cfg->outlets, entry->sink)
				    : NULL;

	if (outlet)
		series_add(outlet->superseded, 1);
	buf_reset(&o->worker->value);
	entry_write(&o->worker->value, entry);
	deliver_produce(o->worker, TOPIC_DELIVERIES, o->partition, key,
			buf_slice(&o->worker->value));
	FAULT(deliver_entry_written);
}

static void on_dead(void *arg, const struct deadletter *dead)
{
	struct owned_ledger *o = arg;

	deliver_write_dead(o->worker, dead);
}

/* ---- ledgers ---- */

/* A sink that the config does not know (any more, or not yet) waits like one that is away. */
static void on_lane(void *arg, struct lane *lane)
{
	struct owned_ledger *o = arg;
	struct outlet *outlet = outlets_find(o->worker->cfg->outlets, slice_of(lane->name));

	lane->owner = outlet;
	lane->concurrency = outlet ? outlet->concurrency : 1;
}

struct owned_ledger *deliver_find_ledger(const struct deliver_worker *w, int32_t partition)
{
	for (size_t i = 0; i < w->ledgers_n; i++) {
		if (w->ledgers[i]->partition == partition)
			return w->ledgers[i];
	}
	return NULL;
}

void deliver_cancel_flights(struct ledger *l)
{
	for (size_t i = 0; i < ledger_lanes(l); i++) {
		const struct delivery *d = TAILQ_FIRST(&ledger_lane(l, i)->flying);

		for (; d; d = TAILQ_NEXT(d, state_link))
			outlets_cancel(d->flight);
	}
}

void deliver_drop_ledger(struct deliver_worker *w, int32_t partition)
{
	for (size_t i = 0; i < w->ledgers_n; i++) {
		struct owned_ledger *o = w->ledgers[i];

		if (o->partition != partition)
			continue;
		deliver_cancel_flights(o->ledger);
		ledger_free(o->ledger);
		free(o);
		w->ledgers[i] = w->ledgers[--w->ledgers_n];
		return;
	}
}

static int add_ledger(struct deliver_worker *w, int32_t partition, struct owned_ledger **ret)
{
	size_t size = (w->ledgers_n + 1) * sizeof(struct owned_ledger *);
	struct owned_ledger **ledgers = realloc(w->ledgers, size), *o;
	struct ledger_out out = { .entry = on_entry, .dead = on_dead };
	int err;

	if (!ledgers)
		return -ENOMEM;
	w->ledgers = ledgers;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	*o = (struct owned_ledger){ .worker = w,
				    .partition = partition,
				    .epoch = outlets_epoch(w->cfg->outlets) };
	out.arg = o;
	err = ledger_new(&w->ledger_cfg, &out, on_lane, &o->ledger);
	if (err) {
		free(o);
		return err;
	}
	w->ledgers[w->ledgers_n++] = o;
	*ret = o;
	return 0;
}

static int on_restore(void *arg, const struct log_msg *msg)
{
	struct owned_ledger *o = arg;
	int err = ledger_restore(o->ledger, msg->key, msg->tombstone ? SLICE_NONE : msg->value,
				 msg->offset, deliver_now_ms(o->worker));

	FAULT(deliver_restoring);
	if (err == -EBADMSG) {
		o->foreign++;
		return 0;
	}
	return err;
}

static void tell_foreign(const struct owned_ledger *o)
{
	if (!o->foreign)
		return;
	metric_add(M_LOG_ERRORS, "deliver", "no_ledger_entry", (int64_t)o->foreign);
	SLOG(SLOG_WARN, "messages in topic deliveries are no entries, ignored",
	     SLOG_I("partition", o->partition), SLOG_I("messages", (int64_t)o->foreign));
}

static int hold(struct deliver_worker *w, struct owned_ledger *o, int64_t tasks_next)
{
	int err = read_on_high(w->cfg->log, TOPIC_TASKS, o->partition, w->cfg->closing,
			       &o->tasks_end);

	if (err)
		return err;
	o->held = true;
	o->tasks_next = MAX(tasks_next, (int64_t)0);
	ledger_hold(o->ledger, true);
	return 0;
}

/* The end may be markers of transactions, behind which no message comes: then the client knows that
 * nothing is left. */
void deliver_release_ledgers(struct deliver_worker *w)
{
	for (size_t i = 0; i < w->ledgers_n; i++) {
		struct owned_ledger *o = w->ledgers[i];

		if (!o->held || (o->tasks_next < o->tasks_end &&
				 log_worker_lag(w->log, TOPIC_TASKS, o->partition) != 0))
			continue;
		o->held = false;
		ledger_hold(o->ledger, false);
	}
}

/* The committed offset came from a read-committed handle, so whatever stood in a transaction
 * before it is settled; what the ledger says up to the end that we see now fits to it. */
int deliver_restore_ledger(struct deliver_worker *w, int32_t partition, int64_t tasks_next)
{
	int64_t began_ms = clock_mono_ms(), high = 0;
	struct ledger_counts counts;
	struct owned_ledger *o = NULL;
	int err;

	deliver_drop_ledger(w, partition);
	err = add_ledger(w, partition, &o);
	if (!err)
		err = hold(w, o, tasks_next);
	if (!err)
		err = read_on_high(w->cfg->log, TOPIC_DELIVERIES, partition, w->cfg->closing,
				   &high);
	if (!err)
		err = read_on(w->cfg->log, TOPIC_DELIVERIES, partition, LOG_BEGIN, high,
			      w->cfg->closing, on_restore, o);
	if (err) {
		SLOG(SLOG_WARN, "ledger cannot be read, trying again",
		     SLOG_I("partition", partition), SLOG_ERR(err));
		deliver_drop_ledger(w, partition);
		return MIN(err, -1);
	}
	FAULT(deliver_restored);
	tell_foreign(o);
	ledger_counts(o->ledger, &counts);
	SLOG(SLOG_INFO, "partition taken over", SLOG_I("partition", partition),
	     SLOG_I("waiting", counts.waiting + counts.parked),
	     SLOG_I("ms", clock_mono_ms() - began_ms));
	return 0;
}

/* ---- gauges ---- */

static void count_waiting(struct ledger *l)
{
	for (size_t i = 0; i < ledger_lanes(l); i++) {
		const struct lane *lane = ledger_lane(l, i);
		struct outlet *outlet = lane->owner;

		if (outlet)
			outlet->waiting_n += lane->heap_n + lane->parked_n + lane->flying_n;
	}
}

void deliver_set_gauges(struct deliver_worker *w)
{
	struct outlets *outlets = w->cfg->outlets;

	for (size_t i = 0; i < outlets_count(outlets); i++)
		outlets_at(outlets, i)->waiting_n = 0;
	for (size_t i = 0; i < w->ledgers_n; i++)
		count_waiting(w->ledgers[i]->ledger);
	for (size_t i = 0; i < outlets_count(outlets); i++) {
		const struct outlet *outlet = outlets_at(outlets, i);

		series_set(outlet->waiting, (int64_t)outlet->waiting_n);
	}
	for (size_t i = 0; i < w->owned_n; i++) {
		const struct log_part *part = &w->owned[i];
		int64_t lag = log_worker_lag(w->log, part->topic, part->partition);
		char label[48];

		snprintf(label, sizeof(label), "%s/%d", topic_text(part->topic), part->partition);
		metric_set(M_LAG_MSGS, "deliver", label, MAX(lag, 0));
	}
}
