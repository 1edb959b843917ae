/* What is read: records become tasks, tasks become deliveries. */

#include <errno.h>
#include <yyjson.h>

#include "base/fault.h"
#include "role/deliver_priv.h"
#include "wire/json_out.h"

#define RECORD_BYTES_MAX   ((4u << 20) - 16384u) /* with task and entry round it still a message */
#define ORIGINAL_BYTES_MAX 65536u                /* of what is no JSON, in a dead letter */

/* ---- routing ---- */

static bool is_json(struct slice text)
{
	yyjson_doc *doc = yyjson_read(text.p, text.n, 0);
	bool is = doc != NULL;

	yyjson_doc_free(doc);
	return is;
}

/* What cannot be read is kept as text, with its place. */
static void bury_message(struct deliver_worker *w, const struct log_msg *msg, struct slice reason)
{
	struct buf original = BUF_EMPTY;
	struct json_out j = jo_make(&original);
	struct deadletter dead = { .reason = reason, .at_ms = deliver_now_ms(w) };

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
	deliver_write_dead(w, &dead);
	buf_fini(&original);
}

static void write_task(struct deliver_worker *w, const struct cfg_sink *sink,
		       const struct routed *record)
{
	struct task task = {
		.sink = slice_of(sink->name),
		.call = record->id,
		.revision = record->revision,
		.at_ms = deliver_now_ms(w),
		.record = record->json,
	};
	struct outlet *outlet = outlets_find(w->cfg->outlets, task.sink);

	buf_reset(&w->key);
	buf_reset(&w->value);
	route_key(sink, record->id, &w->key);
	task_write(&w->value, &task);
	deliver_produce(w, TOPIC_TASKS, LOG_ANY_PARTITION, buf_slice(&w->key),
			buf_slice(&w->value));
	FAULT(deliver_routed);
	w->routed = true;
	if (outlet)
		series_add(outlet->routed, 1);
}

static void route(struct deliver_worker *w, const struct log_msg *msg)
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

static void accept_task(struct deliver_worker *w, const struct log_msg *msg)
{
	struct owned_ledger *o = deliver_find_ledger(w, msg->partition);
	struct task task;
	int change;

	if (!o) {
		w->err = -ECANCELED; /* not ours: whoever has it reads it too */
		return;
	}
	o->tasks_next = msg->offset + 1;
	if (task_read(msg->value, &task) != 0) {
		bury_message(w, msg, SLICE("undecodable: no task"));
		return;
	}
	change = ledger_accept(o->ledger, &task, msg->value, msg->offset, deliver_now_ms(w));
	FAULT(deliver_accepted);
	if (change < 0)
		w->err = change;
}

void deliver_take_message(struct deliver_worker *w, const struct log_msg *msg)
{
	if (msg->topic == TOPIC_CALLS)
		route(w, msg);
	else if (!msg->tombstone)
		accept_task(w, msg);
	deliver_consumed(w, msg);
}
