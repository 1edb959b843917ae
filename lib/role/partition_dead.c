#include "role/partition_dead.h"

#include <yyjson.h>

#include "call/deadletter.h"
#include "wire/json_out.h"

/* id: of the call, also the key; without one, the account is. */
static void add(struct partition *p, enum tally_dead reason, struct deadletter *d)
{
	struct buf *out = outbox_open(&p->out, TOPIC_DEAD);

	buf_add_slice(out, d->id.n ? d->id : d->account);
	outbox_value(&p->out);
	d->at_ms = p->now_ms;
	deadletter_write(out, d);
	outbox_close(&p->out);
	if (!p->replaying)
		p->env->tally->dead[reason]++;
}

void partition_dead(struct partition *p, enum tally_dead reason, const struct callev *ev,
		    struct slice json)
{
	char id[UUID_TEXT_LEN];
	struct deadletter d = {
		.reason = slice_of(tally_dead_text(reason)),
		.account = ev->account,
		.id = slice_make(id, sizeof(id)),
		.call_session_id = ev->call_session_id,
		.original = json,
	};
	struct uuid call;

	if (!p->output)
		return;
	uuid_of_call(ev->account, ev->call_session_id, &call);
	uuid_write(&call, id);
	add(p, reason, &d);
}

void partition_dead_orphan(struct partition *p, struct slice json)
{
	struct parse_error error;
	struct callev ev;

	if (!p->output)
		return;
	/* It was read once already, so only memory can be missing: then the letter says less. */
	if (callev_parse(p->env->parser_again, json, &ev, &error) < 0)
		callev_init(&ev);
	partition_dead(p, TALLY_DEAD_LATE, &ev, json);
}

static bool is_json_object(struct slice text)
{
	yyjson_doc *doc = text.n ? yyjson_read(text.p, text.n, YYJSON_READ_NOFLAG) : NULL;
	bool object = yyjson_is_obj(yyjson_doc_get_root(doc));

	yyjson_doc_free(doc);
	return object;
}

/* What is no JSON object is put into one. */
static struct slice original_of(const struct log_msg *msg, struct buf *wrapped)
{
	struct json_out j = jo_make(wrapped);

	if (is_json_object(msg->value))
		return msg->value;
	jo_begin_object(&j);
	JO_KEY(&j, "partition");
	jo_int(&j, msg->partition);
	JO_KEY(&j, "offset");
	jo_int(&j, msg->offset);
	JO_KEY(&j, "value_base64");
	jo_base64(&j, msg->value);
	jo_end_object(&j);
	return buf_slice(wrapped);
}

void partition_dead_undecodable(struct partition *p, const struct log_msg *msg,
				const struct parse_error *error)
{
	struct buf reason = BUF_EMPTY, wrapped = BUF_EMPTY;
	struct slice rest = msg->key;
	struct deadletter d = { .account = slice_cut(&rest, '/') };

	partition_count(p, TALLY_UNDECODABLE);
	if (!p->output)
		return;
	buf_printf(&reason, "%s: %s at byte %zu", tally_dead_text(TALLY_DEAD_UNDECODABLE),
		   error->reason, error->offset);
	d.reason = buf_slice(&reason);
	d.call_session_id = rest;
	d.original = original_of(msg, &wrapped);
	add(p, TALLY_DEAD_UNDECODABLE, &d);
	p->out.bad = p->out.bad || reason.bad || wrapped.bad;
	buf_fini(&reason);
	buf_fini(&wrapped);
}

void partition_dead_too_large(const struct outbox_msg *msg, int64_t at_ms, struct buf *value)
{
	struct deadletter d = {
		.reason = SLICE("too_large"),
		.id = msg->key,
		.at_ms = at_ms,
	};

	deadletter_write(value, &d);
}
