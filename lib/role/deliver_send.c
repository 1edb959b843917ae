/* Steps to sinks, answers from them, parked tasks from the log. */

#include <errno.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/slog.h"
#include "role/deliver_priv.h"

#define TROUBLE_ROW      5u /* answers of one sort in a row */
#define TROUBLE_EVERY_MS 60000

/* ---- trying ---- */

static uint32_t next_chance(struct deliver_worker *w)
{
	w->chance ^= w->chance << 13;
	w->chance ^= w->chance >> 7;
	w->chance ^= w->chance << 17;
	return (uint32_t)(w->chance >> 32);
}

static void answer_without_sink(struct deliver_worker *w, struct ledger *l, struct delivery *d,
				const char *reason)
{
	const struct sink_answer answer = { .verdict = SINK_RETRY, .reason = reason };

	ledger_started(l, d);
	ledger_answered(l, d, &answer, deliver_now_ms(w), next_chance(w));
}

/* false: the sink takes nothing more now. */
static bool tell_sink(struct deliver_worker *w, struct owned_ledger *o, struct lane *lane,
		      struct delivery *d)
{
	struct flight as = { .delivery = d, .partition = o->partition, .epoch = o->epoch }, *flight;
	struct sink_step step = {
		.sink = delivery_sink(d),
		.call_id = delivery_call(d),
		.revision = d->task.revision,
		.step = SLICE("record"),
		.attempt = d->attempt + 1,
		.start_by_ms = deliver_start_by_ms(w),
	};
	struct task task;
	int err;

	if (!deliver_is_proven(w))
		return false;
	if (!lane->owner) {
		answer_without_sink(w, o->ledger, d, "no_such_sink");
		return true;
	}
	if (task_read(slice_make(d->task.json, d->task.json_n), &task) != 0) {
		answer_without_sink(w, o->ledger, d, "task_damaged");
		return true;
	}
	step.record = task.record;
	err = outlets_send(w->cfg->outlets, lane->owner, &step, &as, &flight);
	if (err == -ENOSPC)
		return false;
	if (err) {
		answer_without_sink(w, o->ledger, d, "not_sent");
		return true;
	}
	FAULT(deliver_sent);
	ledger_started(o->ledger, d);
	d->flight = flight;
	return true;
}

static bool is_due(const struct deliver_worker *w, int64_t now_ms)
{
	for (size_t i = 0; i < w->ledgers_n; i++) {
		if (ledger_next_due(w->ledgers[i]->ledger) <= now_ms)
			return true;
	}
	return false;
}

void deliver_send_due(struct deliver_worker *w)
{
	int64_t now_ms = deliver_now_ms(w);

	if (w->err || !is_due(w, now_ms))
		return;
	if (!deliver_is_proven(w))
		w->err = deliver_prove(w);
	if (w->err)
		return;
	for (size_t i = 0; i < w->ledgers_n; i++) {
		struct owned_ledger *o = w->ledgers[i];

		for (size_t k = 0; k < ledger_lanes(o->ledger); k++) {
			struct lane *lane = ledger_lane(o->ledger, k);
			struct delivery *d;

			while ((d = ledger_due(o->ledger, lane, now_ms))) {
				if (!tell_sink(w, o, lane, d))
					break;
			}
		}
	}
}

/* Each failure is in the ledger; a line tells only that a sink is in trouble, once in a while, and
 * when that is over. */
static void tell_trouble(struct outlet *outlet, const struct sink_answer *answer)
{
	int64_t now_ms = clock_mono_ms();
	bool failed = answer->verdict == SINK_RETRY;

	outlet->row_n = failed == outlet->row_failed ? outlet->row_n + 1 : 1;
	outlet->row_failed = failed;
	if (outlet->row_n != TROUBLE_ROW)
		return;
	if (failed && !outlet->trouble_told &&
	    (!outlet->trouble_ms || now_ms - outlet->trouble_ms >= TROUBLE_EVERY_MS)) {
		outlet->trouble_told = true;
		outlet->trouble_ms = now_ms;
		SLOG(SLOG_WARN, "sink does not take deliveries, trying again",
		     SLOG_T("sink", outlet->cfg->name), SLOG_T("reason", answer->reason),
		     SLOG_I("status", answer->status));
	} else if (!failed && outlet->trouble_told) {
		outlet->trouble_told = false;
		SLOG(SLOG_INFO, "sink takes deliveries again", SLOG_T("sink", outlet->cfg->name),
		     SLOG_I("after_ms", now_ms - outlet->trouble_ms));
	}
}

static void count_answer(const struct flight *flight)
{
	series_add(flight->outlet->verdicts[flight->answer.verdict], 1);
	series_observe_us(flight->outlet->seconds, flight->answer.ms * 1000);
	tell_trouble(flight->outlet, &flight->answer);
}

void deliver_take_answers(struct deliver_worker *w)
{
	struct flight *flight;

	while ((flight = outlets_take(w->cfg->outlets))) {
		struct owned_ledger *o = deliver_find_ledger(w, flight->partition);

		if (o && o->epoch == flight->epoch) {
			FAULT(deliver_answered);
			count_answer(flight);
			ledger_answered(o->ledger, flight->delivery, &flight->answer,
					deliver_now_ms(w), next_chance(w));
			deliver_began(w);
		}
		outlets_done(w->cfg->outlets, flight);
	}
}

/* ---- parked tasks ---- */

static void ask_refill(struct deliver_worker *w, struct owned_ledger *o, struct lane *lane,
		       struct buf *wanted)
{
	size_t n;

	buf_reset(wanted);
	n = ledger_wanted(o->ledger, lane, wanted);
	if (n && refill_ask(w->refill, o->partition, o->epoch,
			    (const struct wanted *)(const void *)wanted->p, n) != 0)
		lane->refilling_n = 0;
}

static void take_refills(struct deliver_worker *w)
{
	struct refill_batch *batch;

	while ((batch = refill_take(w->refill))) {
		struct owned_ledger *o = deliver_find_ledger(w, batch->partition);
		bool ours = o && o->epoch == batch->epoch;

		for (size_t i = 0; ours && i < batch->n; i++) {
			int err = ledger_refill(o->ledger, &batch->wanted[i],
						slice_make(batch->json[i], batch->json_n[i]),
						deliver_now_ms(w));

			if (err)
				w->err = err;
		}
		refill_batch_free(batch);
	}
}

void deliver_refill(struct deliver_worker *w)
{
	struct buf wanted = BUF_EMPTY;

	take_refills(w);
	for (size_t i = 0; i < w->ledgers_n; i++) {
		struct owned_ledger *o = w->ledgers[i];

		for (size_t k = 0; k < ledger_lanes(o->ledger); k++) {
			if (ledger_lane(o->ledger, k)->parked_n)
				ask_refill(w, o, ledger_lane(o->ledger, k), &wanted);
		}
	}
	buf_fini(&wanted);
}
