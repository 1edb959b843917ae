#include "role/deliver_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/slog.h"
#include "role/deliver_ledger.h"
#include "role/deliver_refill.h"
#include "wire/json_out.h"

#define COMMIT_EVERY_MS    100  /* of ledger entries and offsets */
#define COMMIT_IDLE_MS     5    /* of routed tasks, when nothing more comes */
#define TXN_MESSAGES_MAX   2000 /* of input, in one transaction */
#define POLL_IDLE_MS       50
#define POLL_FLYING_MS     2   /* answers do not wake the poll */
#define BATCH_MAX          256 /* messages between looks at clock and answers */
#define TAKE_OVER_MS       60000
#define HAND_OVER_MS       3000
#define CANCEL_MS          1000
#define ALONE_MS           15000 /* in the group and without a partition: ready all the same */
#define GAUGES_EVERY_MS    1000
#define RECORD_BYTES_MAX   ((4u << 20) - 16384u) /* with task and entry round it still a message */
#define ORIGINAL_BYTES_MAX 65536u                /* of what is no JSON, in a dead letter */
#define TOLD_MAX           50000u                /* per partition and generation */
#define LANE_BYTES_TOTAL   ((size_t)256 << 20)   /* of tasks in memory, over all sinks */
#define LANE_BYTES_MIN     ((size_t)256 << 10)

/* A partition of topic tasks that is ours. */
struct owned_ledger {
	struct worker *worker;
	struct ledger *ledger;
	int32_t partition;
	uint64_t epoch; /* of this ledger; flights and refills of another one are ignored */
};

struct worker {
	const struct deliver_worker_cfg *cfg;
	struct log_worker *log;
	struct routes *routes;
	struct refill *refill;
	struct ledger_cfg ledger_cfg;

	struct log_part *owned; /* of both topics */
	size_t owned_n;
	struct owned_ledger **ledgers;
	size_t ledgers_n;
	uint64_t epochs;

	struct log_part *consumed; /* the next offset of each partition read since the last commit
				    */
	size_t consumed_n;
	size_t txn_msgs;
	int64_t txn_began_ms; /* 0: nothing to commit */
	bool routed;          /* tasks wait for their commit */
	int err;              /* why the open transaction cannot stand */

	bool joined;
	bool broken; /* what is in memory is of no use any more */
	int64_t began_ms, gauges_ms, refill_ms;
	uint64_t chance;
	struct buf key, value;
};

/* ---- writing into the transaction ---- */

static void began(struct worker *w)
{
	if (!w->txn_began_ms)
		w->txn_began_ms = clock_mono_ms();
}

static void produce(struct worker *w, enum topic topic, int32_t partition, struct slice key,
		    struct slice value)
{
	int err = w->err;

	began(w);
	if (!err && w->value.bad)
		err = -ENOMEM;
	if (!err)
		err = log_txn_produce(w->log, topic, partition, key, value, false);
	if (err == -EMSGSIZE) {
		/* Sizes were checked when it came in: what is left is a broker with other limits.
		 */
		SLOG(SLOG_ERROR, "message is too large for its topic, dropped",
		     SLOG_T("topic", topic_text(topic)), SLOG_I("bytes", value.n),
		     SLOG_S("key", key));
		metric_add(M_LOG_ERRORS, "deliver", "too_large", 1);
		return;
	}
	w->err = err;
}

static void write_dead(struct worker *w, const struct deadletter *dead)
{
	struct slice reason = dead->reason, word = slice_cut(&reason, ':');
	char label[32];

	buf_reset(&w->value);
	deadletter_write(&w->value, dead);
	produce(w, TOPIC_DEAD, LOG_ANY_PARTITION, dead->id.n ? dead->id : dead->account,
		buf_slice(&w->value));
	word = slice_head(word, sizeof(label) - 1);
	memcpy(label, word.p, word.n);
	label[word.n] = '\0';
	metric_add(M_DEAD, "deliver", label, 1);
	SLOG(SLOG_WARN, "not deliverable, kept in topic dead", SLOG_S("reason", dead->reason),
	     SLOG_S("sink", dead->sink), SLOG_S("id", dead->id),
	     SLOG_I("attempts", dead->attempts));
}

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
	produce(o->worker, TOPIC_DELIVERIES, o->partition, key, buf_slice(&o->worker->value));
}

static void on_dead(void *arg, const struct deadletter *dead)
{
	struct owned_ledger *o = arg;

	write_dead(o->worker, dead);
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

static struct owned_ledger *find_ledger(const struct worker *w, int32_t partition)
{
	for (size_t i = 0; i < w->ledgers_n; i++) {
		if (w->ledgers[i]->partition == partition)
			return w->ledgers[i];
	}
	return NULL;
}

static void cancel_flights(struct ledger *l)
{
	for (size_t i = 0; i < ledger_lanes(l); i++) {
		const struct delivery *d;

		TAILQ_FOREACH(d, &ledger_lane(l, i)->flying, state_link)
		outlets_cancel(d->flight);
	}
}

static void drop_ledger(struct worker *w, int32_t partition)
{
	for (size_t i = 0; i < w->ledgers_n; i++) {
		struct owned_ledger *o = w->ledgers[i];

		if (o->partition != partition)
			continue;
		cancel_flights(o->ledger);
		ledger_free(o->ledger);
		free(o);
		w->ledgers[i] = w->ledgers[--w->ledgers_n];
		return;
	}
}

static int add_ledger(struct worker *w, int32_t partition, struct owned_ledger **ret)
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
	*o = (struct owned_ledger){ .worker = w, .partition = partition, .epoch = ++w->epochs };
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
				 msg->offset, clock_wall_ms());

	if (err == -EBADMSG) {
		SLOG(SLOG_WARN, "ledger entry cannot be read, ignored", SLOG_S("key", msg->key),
		     SLOG_I("partition", msg->partition), SLOG_I("offset", msg->offset));
		return 0;
	}
	return err;
}

/* The committed offset came from a read-committed handle, so whatever stood in a transaction
 * before it is settled; what the ledger says up to the end that we see now fits to it. */
static int restore_ledger(struct worker *w, int32_t partition)
{
	int64_t began_ms = clock_mono_ms(), high = 0;
	struct ledger_counts counts;
	struct owned_ledger *o = NULL;
	int err;

	drop_ledger(w, partition);
	err = add_ledger(w, partition, &o);
	if (!err)
		err = log_high_watermark(w->cfg->log, TOPIC_DELIVERIES, partition,
					 began_ms + TAKE_OVER_MS, &high);
	if (!err)
		err = log_read_partition(w->cfg->log, TOPIC_DELIVERIES, partition, LOG_BEGIN, high,
					 began_ms + TAKE_OVER_MS, on_restore, o);
	if (err < 0) {
		SLOG(SLOG_WARN, "ledger cannot be read, trying again",
		     SLOG_I("partition", partition), SLOG_ERR(err));
		drop_ledger(w, partition);
		return err;
	}
	ledger_counts(o->ledger, &counts);
	SLOG(SLOG_INFO, "partition taken over", SLOG_I("partition", partition),
	     SLOG_I("waiting", counts.waiting + counts.parked),
	     SLOG_I("ms", clock_mono_ms() - began_ms));
	return 0;
}

/* ---- offsets ---- */

static struct log_part *find_part(struct log_part *parts, size_t n, enum topic topic,
				  int32_t partition)
{
	for (size_t i = 0; i < n; i++) {
		if (parts[i].topic == topic && parts[i].partition == partition)
			return &parts[i];
	}
	return NULL;
}

static int set_part(struct log_part **parts, size_t *n, const struct log_part *part)
{
	struct log_part *known = find_part(*parts, *n, part->topic, part->partition), *larger;

	if (!known) {
		larger = realloc(*parts, (*n + 1) * sizeof(**parts));
		if (!larger)
			return -ENOMEM;
		*parts = larger;
		known = &larger[(*n)++];
	}
	*known = *part;
	return 0;
}

static void remove_part(struct log_part *parts, size_t *n, const struct log_part *part)
{
	struct log_part *known = find_part(parts, *n, part->topic, part->partition);

	if (known)
		*known = parts[--*n];
}

static void consumed(struct worker *w, const struct log_msg *msg)
{
	struct log_part part = { msg->topic, msg->partition, msg->offset + 1 };
	int err = set_part(&w->consumed, &w->consumed_n, &part);

	if (err)
		w->err = err;
	w->txn_msgs++;
	began(w);
}

/* ---- commit ---- */

static void txn_over(struct worker *w)
{
	w->consumed_n = 0;
	w->txn_msgs = 0;
	w->txn_began_ms = 0;
	w->routed = false;
	w->err = 0;
}

static int commit(struct worker *w)
{
	int64_t began_ms = w->txn_began_ms;
	int err;

	for (size_t i = 0; i < w->ledgers_n; i++)
		ledger_flush(w->ledgers[i]->ledger, clock_wall_ms());
	if (!w->txn_began_ms && !w->err)
		return 0;
	err = w->err ? w->err : log_txn_commit(w->log, w->consumed, w->consumed_n);
	metric_add(M_TXN_COMMITS, "deliver", err ? "aborted" : "committed", 1);
	if (err)
		return err;
	if (began_ms)
		series_observe_us(metric(M_TXN_SECONDS, "deliver", NULL),
				  (clock_mono_ms() - began_ms) * 1000);
	txn_over(w);
	return 0;
}

static int commit_when_due(struct worker *w, bool idle)
{
	int64_t age_ms;

	if (w->err)
		return w->err;
	if (!w->txn_began_ms) {
		for (size_t i = 0; i < w->ledgers_n && !w->txn_began_ms; i++) {
			if (ledger_dirty(w->ledgers[i]->ledger))
				began(w);
		}
		return 0;
	}
	age_ms = clock_mono_ms() - w->txn_began_ms;
	if (age_ms >= COMMIT_EVERY_MS || w->txn_msgs >= TXN_MESSAGES_MAX ||
	    (idle && w->routed && age_ms >= COMMIT_IDLE_MS))
		return commit(w);
	return 0;
}

/* ---- routing ---- */

static bool is_json(struct slice text)
{
	yyjson_doc *doc = yyjson_read(text.p, text.n, 0);
	bool is = doc != NULL;

	yyjson_doc_free(doc);
	return is;
}

/* What cannot be read is kept as text, with its place. */
static void bury_message(struct worker *w, const struct log_msg *msg, struct slice reason)
{
	struct buf original = BUF_EMPTY;
	struct json_out j = jo_make(&original);
	struct deadletter dead = { .reason = reason, .at_ms = clock_wall_ms() };

	jo_begin_object(&j);
	JO_PUT(&j, "topic", slice_of(topic_text(msg->topic)));
	JO_KEY(&j, "partition");
	jo_int(&j, msg->partition);
	JO_KEY(&j, "offset");
	jo_int(&j, msg->offset);
	JO_PUT(&j, "key", slice_head(msg->key, 1024));
	JO_PUT(&j, "value", slice_head(msg->value, ORIGINAL_BYTES_MAX));
	jo_end_object(&j);
	dead.id = slice_head(msg->key, UUID_TEXT_LEN);
	dead.original = original.bad ? SLICE_NONE : buf_slice(&original);
	write_dead(w, &dead);
	buf_fini(&original);
}

static void write_task(struct worker *w, const struct cfg_sink *sink, const struct routed *record)
{
	struct task task = {
		.sink = slice_of(sink->name),
		.call = record->id,
		.revision = record->revision,
		.at_ms = clock_wall_ms(),
		.record = record->json,
	};
	struct outlet *outlet = outlets_find(w->cfg->outlets, task.sink);

	buf_reset(&w->key);
	buf_reset(&w->value);
	route_key(sink, record->id, &w->key);
	task_write(&w->value, &task);
	produce(w, TOPIC_TASKS, LOG_ANY_PARTITION, buf_slice(&w->key), buf_slice(&w->value));
	w->routed = true;
	if (outlet)
		series_add(outlet->routed, 1);
}

static void route(struct worker *w, const struct log_msg *msg)
{
	const struct cfg_sink *const *sinks;
	struct routed record;
	bool matched;
	size_t n;

	if (msg->value.n > RECORD_BYTES_MAX) {
		bury_message(w, msg, SLICE("too_large"));
		return;
	}
	if (!is_json(msg->value) || routed_read(msg->value, &record) != 0) {
		bury_message(w, msg, SLICE("undecodable: no call record"));
		return;
	}
	n = routes_match(w->routes, &record, &sinks, &matched);
	for (size_t i = 0; i < n; i++)
		write_task(w, sinks[i], &record);
	if (!matched) {
		char account[64];
		struct slice name = slice_head(record.account, sizeof(account) - 1);

		memcpy(account, name.p, name.n);
		account[name.n] = '\0';
		metric_add(M_UNROUTED, account, NULL, 1);
	}
}

/* ---- tasks ---- */

static void accept_task(struct worker *w, const struct log_msg *msg)
{
	struct owned_ledger *o = find_ledger(w, msg->partition);
	struct task task;
	int change;

	if (!o) {
		w->err = -ECANCELED; /* not ours: whoever has it reads it too */
		return;
	}
	if (task_read(msg->value, &task) != 0) {
		bury_message(w, msg, SLICE("undecodable: no task"));
		return;
	}
	change = ledger_accept(o->ledger, &task, msg->value, msg->offset, clock_wall_ms());
	if (change < 0)
		w->err = change;
}

static void take_message(struct worker *w, const struct log_msg *msg)
{
	if (msg->topic == TOPIC_CALLS)
		route(w, msg);
	else if (!msg->tombstone)
		accept_task(w, msg);
	consumed(w, msg);
}

/* ---- trying ---- */

static uint32_t next_chance(struct worker *w)
{
	w->chance ^= w->chance << 13;
	w->chance ^= w->chance >> 7;
	w->chance ^= w->chance << 17;
	return (uint32_t)(w->chance >> 32);
}

static void answer_without_sink(struct worker *w, struct ledger *l, struct delivery *d,
				const char *reason)
{
	const struct sink_answer answer = { .verdict = SINK_RETRY, .reason = reason };

	ledger_started(l, d);
	ledger_answered(l, d, &answer, clock_wall_ms(), next_chance(w));
}

/* false: the sink takes nothing more now. */
static bool tell_sink(struct worker *w, struct owned_ledger *o, struct lane *lane,
		      struct delivery *d)
{
	struct flight as = { .delivery = d, .partition = o->partition, .epoch = o->epoch }, *flight;
	struct sink_step step = {
		.sink = delivery_sink(d),
		.call_id = delivery_call(d),
		.revision = d->task.revision,
		.step = SLICE("record"),
		.attempt = d->attempt + 1,
	};
	struct task task;
	int err;

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
	ledger_started(o->ledger, d);
	d->flight = flight;
	return true;
}

static void send_due(struct worker *w)
{
	int64_t now_ms = clock_wall_ms();

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

static void count_answer(const struct flight *flight)
{
	series_add(flight->outlet->verdicts[flight->answer.verdict], 1);
	series_observe_us(flight->outlet->seconds, flight->answer.ms * 1000);
}

static void take_answers(struct worker *w)
{
	struct flight *flight;

	while ((flight = outlets_take(w->cfg->outlets))) {
		struct owned_ledger *o = find_ledger(w, flight->partition);

		if (o && o->epoch == flight->epoch) {
			count_answer(flight);
			ledger_answered(o->ledger, flight->delivery, &flight->answer,
					clock_wall_ms(), next_chance(w));
			began(w);
		}
		outlets_done(w->cfg->outlets, flight);
	}
}

/* ---- parked tasks ---- */

static void ask_refill(struct worker *w, struct owned_ledger *o, struct lane *lane,
		       struct buf *wanted)
{
	size_t n;

	buf_reset(wanted);
	n = ledger_wanted(o->ledger, lane, wanted);
	if (n && refill_ask(w->refill, o->partition, o->epoch,
			    (const struct wanted *)(const void *)wanted->p, n) != 0)
		lane->refilling_n = 0;
}

static void take_refills(struct worker *w)
{
	struct refill_batch *batch;

	while ((batch = refill_take(w->refill))) {
		struct owned_ledger *o = find_ledger(w, batch->partition);
		bool ours = o && o->epoch == batch->epoch;

		for (size_t i = 0; ours && i < batch->n; i++) {
			int err = ledger_refill(o->ledger, &batch->wanted[i],
						slice_make(batch->json[i], batch->json_n[i]),
						clock_wall_ms());

			if (err)
				w->err = err;
		}
		refill_batch_free(batch);
	}
}

static void refill(struct worker *w)
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

static void set_gauges(struct worker *w)
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
		char label[48];

		snprintf(label, sizeof(label), "%s/%d", topic_text(part->topic), part->partition);
		metric_set(M_LAG_MSGS, "deliver", label,
			   MAX(log_worker_lag(w->log, part->topic, part->partition), 0));
	}
}

static void set_gauges_when_due(struct worker *w)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms - w->gauges_ms < GAUGES_EVERY_MS)
		return;
	w->gauges_ms = now_ms;
	set_gauges(w);
	if (!w->joined && now_ms - w->began_ms >= ALONE_MS) {
		w->joined = true;
		w->cfg->joined(w->cfg->arg, true);
	}
}

/* ---- partitions come and go ---- */

static int on_assigned(void *arg, struct log_part *parts, size_t n)
{
	struct worker *w = arg;
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		if (parts[i].topic == TOPIC_TASKS)
			err = restore_ledger(w, parts[i].partition);
		if (!err)
			err = set_part(&w->owned, &w->owned_n, &parts[i]);
	}
	if (err)
		return err;
	w->joined = true;
	w->cfg->joined(w->cfg->arg, true);
	return 0;
}

static void forget_part(struct worker *w, const struct log_part *part)
{
	remove_part(w->owned, &w->owned_n, part);
	remove_part(w->consumed, &w->consumed_n, part);
	if (part->topic == TOPIC_TASKS)
		drop_ledger(w, part->partition);
}

static size_t flying(const struct worker *w, const struct log_part *parts, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		const struct owned_ledger *o = parts[i].topic == TOPIC_TASKS
						   ? find_ledger(w, parts[i].partition)
						   : NULL;
		struct ledger_counts counts;

		if (!o)
			continue;
		ledger_counts(o->ledger, &counts);
		sum += counts.flying;
	}
	return sum;
}

static void await_flights(struct worker *w, const struct log_part *parts, size_t n,
			  int64_t deadline_ms)
{
	while (flying(w, parts, n) && clock_mono_ms() < deadline_ms) {
		take_answers(w);
		usleep(POLL_FLYING_MS * 1000);
	}
	take_answers(w);
}

/* What is on its way is given a moment to be answered, then called back, so that the next owner
 * never tells a newer state before an older one arrives. */
static void land(struct worker *w, const struct log_part *parts, size_t n, int64_t deadline_ms)
{
	await_flights(w, parts, n, deadline_ms);
	if (!flying(w, parts, n))
		return;
	for (size_t i = 0; i < n; i++) {
		struct owned_ledger *o = parts[i].topic == TOPIC_TASKS
					     ? find_ledger(w, parts[i].partition)
					     : NULL;

		if (o)
			cancel_flights(o->ledger);
	}
	await_flights(w, parts, n, clock_mono_ms() + CANCEL_MS);
}

static void on_revoked(void *arg, const struct log_part *parts, size_t n, bool lost)
{
	struct worker *w = arg;
	int err;

	if (!lost && !w->broken) {
		land(w, parts, n, clock_mono_ms() + HAND_OVER_MS);
		err = commit(w);
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
static int take_over_again(struct worker *w)
{
	int err = log_txn_abort(w->log);

	metric_add(M_LOG_ERRORS, "deliver", "abort", 1);
	SLOG(SLOG_WARN, "transaction aborted, taking the partitions over again",
	     SLOG_I("partitions", w->owned_n));
	txn_over(w);
	for (size_t i = 0; !err && i < w->owned_n; i++) {
		struct log_part *part = &w->owned[i];
		int64_t offset;

		err = log_committed(w->log, part->topic, part->partition,
				    clock_mono_ms() + TAKE_OVER_MS, &offset);
		if (!err && part->topic == TOPIC_TASKS)
			err = restore_ledger(w, part->partition);
		if (!err)
			err = log_worker_seek(w->log, part->topic, part->partition, offset);
	}
	return err;
}

/* ---- the loop ---- */

static int poll_timeout(const struct worker *w)
{
	int64_t due_ms = INT64_MAX, now_ms = clock_wall_ms();

	if (outlets_busy(w->cfg->outlets))
		return POLL_FLYING_MS;
	if (w->txn_began_ms)
		return COMMIT_IDLE_MS;
	for (size_t i = 0; i < w->ledgers_n; i++)
		due_ms = MIN(due_ms, ledger_next_due(w->ledgers[i]->ledger));
	return due_ms <= now_ms ? 0 : (int)MIN(due_ms - now_ms, (int64_t)POLL_IDLE_MS);
}

/* Reads until nothing comes, or enough has. 1: there may be more; 0: nothing came. */
static int read_batch(struct worker *w)
{
	int timeout_ms = poll_timeout(w), r = 0;
	struct log_msg msg;

	for (int i = 0; i < BATCH_MAX && !w->err; i++) {
		r = log_worker_poll(w->log, timeout_ms, &msg);
		if (r != 1)
			return r;
		take_message(w, &msg);
		log_msg_done(w->log);
		timeout_ms = 0;
	}
	return w->err ? w->err : 1;
}

static int step(struct worker *w)
{
	int r = read_batch(w), err;

	if (r == -EAGAIN)
		r = 0; /* the broker is away: answers and timers go on */
	if (r < 0)
		return r;
	take_answers(w);
	send_due(w);
	refill(w);
	set_gauges_when_due(w);
	err = commit_when_due(w, r == 0);
	return err;
}

/* Nothing new is read or begun, but the group has to hear from us. */
static int finish(struct worker *w)
{
	int64_t deadline_ms = atomic_load(w->cfg->deadline_ms) - HAND_OVER_MS;
	struct log_msg msg;
	int r = 0;

	for (size_t i = 0; !r && i < w->owned_n; i++)
		r = log_worker_pause(w->log, w->owned[i].topic, w->owned[i].partition, true);
	while (!r && outlets_busy(w->cfg->outlets) && clock_mono_ms() < deadline_ms) {
		r = log_worker_poll(w->log, POLL_FLYING_MS, &msg);
		if (r == 1)
			take_message(w, &msg);
		log_msg_done(w->log);
		take_answers(w);
		r = MIN(r, 0);
		if (!r)
			r = commit_when_due(w, true);
	}
	return r ? r : commit(w);
}

static int work(struct worker *w)
{
	int r = 0;

	while (!r && !atomic_load(w->cfg->closing)) {
		r = step(w);
		if (r == -ECANCELED)
			r = take_over_again(w);
	}
	return r ? r : finish(w);
}

static void set_ledger_cfg(struct worker *w)
{
	const struct cfg *cfg = w->cfg->cfg;

	w->ledger_cfg = (struct ledger_cfg){
		.give_up_after_ms = cfg->deliver.give_up_after_ms,
		.retry_first_ms = cfg->deliver.retry_first_ms,
		.retry_max_ms = cfg->deliver.retry_max_ms,
		.lane_bytes_max = MAX(LANE_BYTES_TOTAL / MAX(cfg->sinks_n, (size_t)1),
				      LANE_BYTES_MIN),
		.told_max = TOLD_MAX,
	};
}

static void end(struct worker *w)
{
	log_worker_free(w->log);
	while (w->ledgers_n)
		drop_ledger(w, w->ledgers[0]->partition);
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
	struct worker w = { .cfg = cfg, .began_ms = clock_mono_ms() };
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
	if (!err)
		err = work(&w);
	w.broken = err != 0;
	cfg->joined(cfg->arg, false);
	end(&w);
	return err;
}
