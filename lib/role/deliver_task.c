#include "role/deliver_task.h"

#include <errno.h>
#include <stdio.h>

#include "role/deliver_json.h"
#include "wire/json_out.h"

/* ---- reading: each member has a row that says where it goes ---- */

enum field_type { FIELD_TEXT, FIELD_U32, FIELD_TIME, FIELD_BOOL, FIELD_JSON, FIELD_INT };

struct field {
	const char *key;
	enum field_type type;
	size_t at; /* offset in the struct */
};

static int field_read(const struct field *field, struct slice value, char *to)
{
	void *p = to + field->at;

	switch (field->type) {
	case FIELD_TEXT:
		*(struct slice *)p = json_span_text(value);
		return 0;
	case FIELD_JSON:
		*(struct slice *)p = value;
		return 0;
	case FIELD_BOOL:
		*(bool *)p = json_span_true(value);
		return 0;
	case FIELD_U32:
		return json_span_u32(value, p);
	case FIELD_INT:
		return json_span_i64(value, p);
	case FIELD_TIME:
		return time_iso_read(json_span_text(value), p);
	}
	return -EINVAL;
}

static int fields_read(struct slice json, const char *schema, const struct field *fields,
		       size_t fields_n, void *to)
{
	struct json_spans spans = json_spans_of(json);
	struct json_span span;
	bool schema_fits = false;

	while (json_spans_next(&spans, &span)) {
		if (slice_is(span.key, "schema"))
			schema_fits = slice_is(json_span_text(span.value), schema);
		for (size_t i = 0; i < fields_n; i++) {
			if (slice_is(span.key, fields[i].key) &&
			    field_read(&fields[i], span.value, to) != 0)
				return -EBADMSG;
		}
	}
	return spans.bad || !schema_fits ? -EBADMSG : 0;
}

static bool is_call_id(struct slice text)
{
	struct uuid id;

	return text.n == UUID_TEXT_LEN && uuid_read(text, &id) == 0;
}

static bool is_object(struct slice json)
{
	return json.n >= 2 && json.p[0] == '{';
}

/* ---- a record, as far as routes care ---- */

struct routed_texts {
	struct routed routed;
	struct slice direction, notes;
};

static const struct field routed_fields[] = {
	{ "id", FIELD_TEXT, offsetof(struct routed_texts, routed.id) },
	{ "account", FIELD_TEXT, offsetof(struct routed_texts, routed.account) },
	{ "line", FIELD_TEXT, offsetof(struct routed_texts, routed.line) },
	{ "call_session_id", FIELD_TEXT, offsetof(struct routed_texts, routed.call_session_id) },
	{ "outcome", FIELD_TEXT, offsetof(struct routed_texts, routed.outcome) },
	{ "revision", FIELD_U32, offsetof(struct routed_texts, routed.revision) },
	{ "complete", FIELD_BOOL, offsetof(struct routed_texts, routed.complete) },
	{ "direction", FIELD_TEXT, offsetof(struct routed_texts, direction) },
	{ "notes", FIELD_JSON, offsetof(struct routed_texts, notes) },
};

int routed_read(struct slice json, struct routed *ret)
{
	struct routed_texts r = { .routed = { .json = slice_trim(json) } };
	static const struct slice callback_leg = SLICE_INIT("\"callback_leg\"");

	if (fields_read(json, "callstream.call/1", routed_fields, ARRAY_LEN(routed_fields), &r) !=
		0 ||
	    !is_call_id(r.routed.id) || r.routed.account.n == 0 || r.routed.revision == 0)
		return -EBADMSG;
	if (r.direction.n && direction_read(r.direction, &r.routed.direction) != 0)
		return -EBADMSG;
	r.routed.callback_leg = r.notes.n &&
				memmem(r.notes.p, r.notes.n, callback_leg.p, callback_leg.n);
	*ret = r.routed;
	return 0;
}

/* ---- tasks ---- */

void task_id(const struct task *task, char out[UUID_TEXT_LEN])
{
	char digits[16];
	int n = snprintf(digits, sizeof(digits), "%u", task->revision);
	struct slice parts[] = { task->sink, task->call, slice_make(digits, (size_t)n) };
	struct uuid id;

	uuid_v5(parts, ARRAY_LEN(parts), &id);
	uuid_write(&id, out);
}

void task_write(struct buf *out, const struct task *task)
{
	struct json_out j = jo_make(out);
	char id[UUID_TEXT_LEN];

	task_id(task, id);
	jo_begin_object(&j);
	JO_KEY(&j, "schema");
	jo_text(&j, SLICE("callstream.task/1"));
	JO_KEY(&j, "id");
	jo_text(&j, slice_make(id, sizeof(id)));
	JO_PUT(&j, "sink", task->sink);
	JO_PUT(&j, "call", task->call);
	JO_KEY(&j, "revision");
	jo_int(&j, task->revision);
	JO_PUT_TIME(&j, "at", task->at_ms);
	JO_KEY(&j, "record");
	jo_raw(&j, task->record);
	jo_end_object(&j);
}

static const struct field task_fields[] = {
	{ "id", FIELD_TEXT, offsetof(struct task, id) },
	{ "sink", FIELD_TEXT, offsetof(struct task, sink) },
	{ "call", FIELD_TEXT, offsetof(struct task, call) },
	{ "revision", FIELD_U32, offsetof(struct task, revision) },
	{ "at", FIELD_TIME, offsetof(struct task, at_ms) },
	{ "record", FIELD_JSON, offsetof(struct task, record) },
};

static bool is_sink_name(struct slice name)
{
	return name.n > 0 && name.n <= 63;
}

int task_read(struct slice json, struct task *ret)
{
	struct task t = { .at_ms = TIME_NONE };

	if (fields_read(json, "callstream.task/1", task_fields, ARRAY_LEN(task_fields), &t) != 0 ||
	    !is_sink_name(t.sink) || !is_call_id(t.call) || t.revision == 0 ||
	    t.at_ms == TIME_NONE || !is_object(t.record))
		return -EBADMSG;
	*ret = t;
	return 0;
}

/* ---- ledger entries ---- */

static const char *const verdict_texts[ENTRY_VERDICTS_N] = {
	[ENTRY_DONE] = "done",       [ENTRY_RETRY] = "retry",     [ENTRY_DEAD] = "dead",
	[ENTRY_EXPIRED] = "expired", [ENTRY_SKIPPED] = "skipped", [ENTRY_SUPERSEDED] = "superseded",
};

const char *entry_verdict_text(enum entry_verdict verdict)
{
	return verdict_texts[verdict];
}

void entry_write(struct buf *out, const struct entry *entry)
{
	struct json_out j = jo_make(out);

	jo_begin_object(&j);
	JO_KEY(&j, "schema");
	jo_text(&j, SLICE("callstream.delivery/1"));
	JO_PUT(&j, "sink", entry->sink);
	JO_PUT(&j, "call", entry->call);
	JO_KEY(&j, "revision");
	jo_int(&j, entry->revision);
	JO_PUT(&j, "step", entry->step);
	JO_KEY(&j, "verdict");
	jo_text(&j, slice_of(verdict_texts[entry->verdict]));
	JO_KEY(&j, "attempt");
	jo_int(&j, entry->attempt);
	JO_PUT_INT(&j, "status", entry->status ? entry->status : INT64_MIN);
	JO_PUT_INT(&j, "ms", entry->ms ? entry->ms : INT64_MIN);
	JO_PUT(&j, "reason", entry->reason);
	JO_PUT_TIME(&j, "at", entry->at_ms);
	JO_PUT_TIME(&j, "next_at", entry->next_at_ms);
	if (entry->task.n) {
		JO_KEY(&j, "task");
		jo_raw(&j, entry->task);
	}
	jo_end_object(&j);
}

struct entry_texts {
	struct entry entry;
	struct slice verdict;
	int64_t status;
};

static const struct field entry_fields[] = {
	{ "sink", FIELD_TEXT, offsetof(struct entry_texts, entry.sink) },
	{ "call", FIELD_TEXT, offsetof(struct entry_texts, entry.call) },
	{ "step", FIELD_TEXT, offsetof(struct entry_texts, entry.step) },
	{ "revision", FIELD_U32, offsetof(struct entry_texts, entry.revision) },
	{ "attempt", FIELD_U32, offsetof(struct entry_texts, entry.attempt) },
	{ "ms", FIELD_INT, offsetof(struct entry_texts, entry.ms) },
	{ "at", FIELD_TIME, offsetof(struct entry_texts, entry.at_ms) },
	{ "next_at", FIELD_TIME, offsetof(struct entry_texts, entry.next_at_ms) },
	{ "reason", FIELD_TEXT, offsetof(struct entry_texts, entry.reason) },
	{ "task", FIELD_JSON, offsetof(struct entry_texts, entry.task) },
	{ "verdict", FIELD_TEXT, offsetof(struct entry_texts, verdict) },
	{ "status", FIELD_INT, offsetof(struct entry_texts, status) },
};

static bool verdict_read(struct slice text, enum entry_verdict *ret)
{
	for (size_t i = 0; i < ENTRY_VERDICTS_N; i++) {
		if (slice_is(text, verdict_texts[i])) {
			*ret = (enum entry_verdict)i;
			return true;
		}
	}
	return false;
}

int entry_read(struct slice json, struct entry *ret)
{
	struct entry_texts e = { .entry = { .at_ms = TIME_NONE, .next_at_ms = TIME_NONE } };

	if (fields_read(json, "callstream.delivery/1", entry_fields, ARRAY_LEN(entry_fields), &e) !=
		0 ||
	    !verdict_read(e.verdict, &e.entry.verdict) || !is_sink_name(e.entry.sink) ||
	    !is_call_id(e.entry.call) || e.entry.revision == 0)
		return -EBADMSG;
	e.entry.status = (int)e.status;
	*ret = e.entry;
	return 0;
}
