/*
 * callev_oracle.h - the canonical event read in the plainest way, to compare the parser with
 *
 * The library's tree of the whole line, one walk over its members, each key looked up in a list. It
 * shares with lib/call only what a word, an id or a time is. It says the same of every line: the
 * event, or the byte and the reason.
 */
#ifndef CS_TEST_CALLEV_ORACLE_H
#define CS_TEST_CALLEV_ORACLE_H

#include <errno.h>
#include <stdlib.h>

#include "call/callev.h"
#include "wire/json_in.h"

struct oracle {
	struct arena arena;
	struct buf text; /* what a note said */
	yyjson_val *root;
	struct callev *ev;
	yyjson_val *said; /* the note's own text */
	bool schema, id, kind, strangers;
};

static inline void oracle_fini(struct oracle *o)
{
	arena_fini(&o->arena);
	buf_fini(&o->text);
}

static inline struct slice oracle_text(yyjson_val *v)
{
	return yyjson_is_bool(v) ? SLICE_NONE : json_text(v);
}

static inline bool oracle_is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", s.p[i]) || s.p[i] == 0)
			return false;
	}
	return s.n > 0 && s.n <= 63;
}

typedef const char *oracle_read_fn(struct oracle *o, yyjson_val *v, void *into);

static inline const char *oracle_schema(struct oracle *o, yyjson_val *v, void *into)
{
	(void)into;
	o->schema = slice_is(oracle_text(v), "callstream.event/1");
	return o->schema ? NULL : "schema is callstream.event/1";
}

static inline const char *oracle_uuid(struct oracle *o, yyjson_val *v, void *into)
{
	o->id = !uuid_read(oracle_text(v), into);
	return o->id ? NULL : "id is a UUID";
}

static inline const char *oracle_name(struct oracle *o, yyjson_val *v, void *into)
{
	(void)o;
	*(struct slice *)into = oracle_text(v);
	return oracle_is_name(oracle_text(v)) ? NULL : "a name is 1 to 63 of a-z, 0-9 and -";
}

static inline const char *oracle_kind(struct oracle *o, yyjson_val *v, void *into)
{
	o->kind = true;
	return callev_kind_read(oracle_text(v), into) ? "not a kind of event" : NULL;
}

static inline const char *oracle_ident(struct oracle *o, yyjson_val *v, void *into)
{
	struct slice *ret = into;

	(void)o;
	*ret = oracle_text(v);
	if (yyjson_is_str(v) || yyjson_is_null(v) ||
	    (yyjson_is_raw(v) && slice_is_digits(oracle_text(v))))
		return NULL;
	return "an id is a text or a whole number";
}

static inline const char *oracle_time(struct oracle *o, yyjson_val *v, void *into)
{
	int64_t *ret = into;

	(void)o;
	*ret = TIME_NONE;
	if (yyjson_is_null(v) || (yyjson_is_str(v) && !time_iso_read(oracle_text(v), ret)))
		return NULL;
	return "a time is written as ISO 8601 with a zone";
}

static inline const char *oracle_any_text(struct oracle *o, yyjson_val *v, void *into)
{
	(void)o;
	*(struct slice *)into = oracle_text(v);
	return NULL;
}

static inline int64_t oracle_whole(yyjson_val *v, int64_t min, int64_t max, int64_t absent)
{
	int64_t value;

	return yyjson_is_raw(v) && !slice_i64(oracle_text(v), &value) && value >= min &&
		       value <= max
		   ? value
		   : absent;
}

static inline const char *oracle_figure(struct oracle *o, yyjson_val *v, void *into)
{
	(void)o;
	*(int64_t *)into = oracle_whole(v, 0, INT64_C(1000000000000000), CALLEV_NO_NUMBER);
	return NULL;
}

static inline const char *oracle_seq(struct oracle *o, yyjson_val *v, void *into)
{
	(void)o;
	*(int64_t *)into = oracle_whole(v, INT64_MIN + 1, INT64_MAX, CALLEV_NO_NUMBER);
	return NULL;
}

static inline const char *oracle_q850(struct oracle *o, yyjson_val *v, void *into)
{
	(void)o;
	*(int32_t *)into = (int32_t)oracle_whole(v, 1, 127, 0);
	return NULL;
}

static inline const char *oracle_direction(struct oracle *o, yyjson_val *v, void *into)
{
	enum direction *ret = into;

	(void)o;
	*ret = DIRECTION_NONE;
	(void)!direction_read(oracle_text(v), ret);
	return NULL;
}

static inline const char *oracle_side(struct oracle *o, yyjson_val *v, void *into)
{
	enum side *ret = into;

	(void)o;
	*ret = SIDE_NONE;
	(void)!side_read(oracle_text(v), ret);
	return NULL;
}

static inline const char *oracle_outcome(struct oracle *o, yyjson_val *v, void *into)
{
	enum outcome *ret = into;

	(void)o;
	*ret = OUTCOME_NONE;
	(void)!outcome_read(oracle_text(v), ret);
	return NULL;
}

static inline const char *oracle_recorded(struct oracle *o, yyjson_val *v, void *into)
{
	(void)o;
	*(enum tristate *)into = yyjson_is_true(v)    ? TRI_YES
				 : yyjson_is_false(v) ? TRI_NO
						      : TRI_ABSENT;
	return NULL;
}

static inline const char *oracle_authenticated(struct oracle *o, yyjson_val *v, void *into)
{
	(void)o;
	*(bool *)into = yyjson_is_false(v);
	return NULL;
}

static inline const char *oracle_list(struct oracle *o, yyjson_val *list, bool ids,
				      const struct slice **ret, size_t *ret_n)
{
	struct slice *v = arena_alloc(&o->arena, (yyjson_arr_size(list) + 1) * sizeof(*v));
	yyjson_arr_iter iter;
	yyjson_val *item;
	size_t n = 0;

	*ret_n = 0;
	if (!yyjson_is_arr(list))
		return ids && !yyjson_is_null(list) ? "leg_ids is a list of ids" : NULL;
	if (!v)
		abort();
	iter = yyjson_arr_iter_with(list);
	while ((item = yyjson_arr_iter_next(&iter))) {
		const char *wrong = ids ? oracle_ident(o, item, &v[n]) : NULL;

		if (wrong)
			return wrong;
		v[n] = oracle_text(item);
		n += v[n].n > 0;
	}
	*ret = v;
	*ret_n = n;
	if (n <= CALLEV_LIST_MAX)
		return NULL;
	return ids ? "too many leg_ids" : "too many tags";
}

static inline const char *oracle_idents(struct oracle *o, yyjson_val *v, void *into)
{
	(void)into;
	return oracle_list(o, v, true, &o->ev->leg_ids, &o->ev->leg_ids_n);
}

static inline const char *oracle_texts(struct oracle *o, yyjson_val *v, void *into)
{
	(void)into;
	return oracle_list(o, v, false, &o->ev->tags, &o->ev->tags_n);
}

static inline const char *oracle_said(struct oracle *o, yyjson_val *v, void *into)
{
	(void)into;
	o->said = v;
	return NULL;
}

static inline const char *oracle_skip(struct oracle *o, yyjson_val *v, void *into)
{
	(void)o;
	(void)v;
	(void)into;
	return NULL;
}

struct oracle_field {
	const char *key;
	oracle_read_fn *read;
	size_t offset;
};

static inline const struct oracle_field *oracle_find(const struct oracle_field *fields, size_t n,
						     struct slice key)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_is(key, fields[i].key))
			return &fields[i];
	}
	return NULL;
}

/* An object of few members; size: of what is filled. */
static inline const char *oracle_object(struct oracle *o, yyjson_val *object,
					const struct oracle_field *fields, size_t n, void *into,
					size_t size)
{
	yyjson_obj_iter iter = yyjson_obj_iter_with(object);
	yyjson_val *key;

	memset(into, 0, size);
	while ((key = yyjson_obj_iter_next(&iter))) {
		const struct oracle_field *field = oracle_find(fields, n, oracle_text(key));
		const char *wrong = field ? field->read(o, yyjson_obj_iter_get_val(key),
							(char *)into + field->offset)
					  : NULL;

		if (wrong)
			return wrong;
	}
	return NULL;
}

#define F(key, how, of, member)                                                                    \
	{                                                                                          \
		key, oracle_##how, offsetof(struct of, member)                                     \
	}
static inline const char *oracle_contact(struct oracle *o, yyjson_val *v, void *into)
{
	static const struct oracle_field fields[] = {
		F("number", any_text, contact, number),
		F("uri", any_text, contact, uri),
		F("id", ident, contact, id),
		F("name", any_text, contact, name),
	};
	struct contact *ret = into;
	const char *wrong = oracle_object(o, v, fields, ARRAY_LEN(fields), ret, sizeof(*ret));

	if (ret->number.n)
		ret->uri = SLICE_NONE;
	return wrong;
}

static inline const char *oracle_person(struct oracle *o, yyjson_val *v, void *into)
{
	static const struct oracle_field fields[] = {
		F("id", ident, person, id),
		F("extension", ident, person, extension),
		F("name", any_text, person, name),
	};

	return oracle_object(o, v, fields, ARRAY_LEN(fields), into, sizeof(struct person));
}

static inline const char *oracle_cause(struct oracle *o, yyjson_val *v, void *into)
{
	static const struct oracle_field fields[] = {
		F("vendor", any_text, cause, vendor),
		F("q850", q850, cause, q850),
		F("text", any_text, cause, text),
		F("by", side, cause, by),
	};

	return oracle_object(o, v, fields, ARRAY_LEN(fields), into, sizeof(struct cause));
}
#undef F

#define F(key, how, member)                                                                        \
	{                                                                                          \
		key, oracle_##how, offsetof(struct callev, member)                                 \
	}
static const struct oracle_field oracle_fields[] = {
	F("schema", schema, id),
	F("id", uuid, id),
	F("account", name, account),
	F("source", name, source),
	F("call_session_id", ident, call_session_id),
	F("leg_id", ident, leg_id),
	F("leg_ids", idents, leg_ids),
	F("kind", kind, kind),
	F("at", time, at_ms),
	F("received_at", time, received_at_ms),
	F("timed", authenticated, untimed),
	F("seq", seq, seq),
	F("direction", direction, direction),
	F("line", any_text, line),
	F("trunk", any_text, trunk),
	F("contact", contact, contact),
	F("employee", person, employee),
	F("authenticated", authenticated, unauthenticated),
	F("scenario", any_text, scenario),
	F("external_id", any_text, external_id),
	F("call_source", any_text, call_source),
	F("from_leg", ident, from_leg),
	F("number", any_text, number),
	F("location", any_text, location),
	F("queue", any_text, queue),
	F("by", side, held_by),
	F("transfer", any_text, transfer),
	F("from", any_text, from),
	F("to", any_text, to),
	F("into", ident, into),
	F("started_at", time, started_at_ms),
	F("answered_at", time, answered_at_ms),
	F("ended_at", time, ended_at_ms),
	F("wait_ms", figure, wait_ms),
	F("talk_ms", figure, talk_ms),
	F("total_ms", figure, total_ms),
	F("outcome", outcome, outcome),
	F("cause", cause, cause),
	F("tags", texts, tags),
	F("recorded", recorded, recorded),
	F("recording", any_text, recording),
	F("duration_ms", figure, duration_ms),
	F("url", any_text, url),
	F("source_url", any_text, source_url),
	F("bytes", figure, bytes),
	F("sha256", any_text, sha256),
	F("reason", any_text, reason),
	F("name", any_text, name),
	F("text", said, text),
	F("raw", skip, raw),
};
#undef F

static inline void oracle_write(struct buf *out, yyjson_val *v)
{
	char *json = yyjson_val_write(v, 0, NULL);

	if (!json)
		abort();
	buf_add_text(out, json);
	free(json);
}

/* A note's text, else the keys that are none of ours. */
static inline void oracle_note(struct oracle *o)
{
	yyjson_obj_iter iter = yyjson_obj_iter_with(o->root);
	yyjson_val *key;

	buf_reset(&o->text);
	if (o->said) {
		oracle_write(&o->text, o->said);
	} else {
		while ((key = yyjson_obj_iter_next(&iter))) {
			if (oracle_find(oracle_fields, ARRAY_LEN(oracle_fields), oracle_text(key)))
				continue;
			buf_add_char(&o->text, o->text.n ? ',' : '{');
			oracle_write(&o->text, key);
			buf_add_char(&o->text, ':');
			oracle_write(&o->text, yyjson_obj_iter_get_val(key));
		}
		buf_add_char(&o->text, '}');
	}
	o->ev->text = buf_slice(&o->text);
}

static inline const char *oracle_missing(const struct oracle *o)
{
	return !o->schema                        ? "schema is missing"
	       : !o->id                          ? "id is missing"
	       : !o->ev->account.n               ? "account is missing"
	       : !o->ev->source.n                ? "source is missing"
	       : !o->ev->call_session_id.n       ? "call_session_id is missing"
	       : !o->kind                        ? "kind is missing"
	       : callev_time(o->ev) == TIME_NONE ? "at and received_at are missing"
						 : NULL;
}

/* pool: where the library keeps the line's texts, each at the offset it has in the line. */
static inline const char *oracle_members(struct oracle *o, const char *pool, size_t *offset)
{
	yyjson_obj_iter iter = yyjson_obj_iter_with(o->root);
	yyjson_val *key;

	while ((key = yyjson_obj_iter_next(&iter))) {
		const struct oracle_field *field = oracle_find(
		    oracle_fields, ARRAY_LEN(oracle_fields), oracle_text(key));
		const char *wrong = NULL;

		if (field)
			wrong = field->read(o, yyjson_obj_iter_get_val(key),
					    (char *)o->ev + field->offset);
		else
			o->strangers = true;
		*offset = (size_t)(yyjson_get_str(key) - pool) - 1;
		if (wrong)
			return wrong;
	}
	*offset = 0;
	return oracle_missing(o);
}

/* As callev_parse; the event lives until the next one. */
static inline int oracle_parse(struct oracle *o, struct slice json, struct callev *ret,
			       struct parse_error *error)
{
	yyjson_read_err syntax = { 0, "empty", 0 };
	yyjson_doc *doc = NULL;
	yyjson_alc memory;

	arena_reset(&o->arena);
	memory = json_memory(&o->arena);
	o->ev = ret;
	o->said = NULL;
	o->schema = o->id = o->kind = o->strangers = false;
	if (json.n)
		doc = yyjson_read_opts((char *)(uintptr_t)json.p, json.n, YYJSON_READ_NUMBER_AS_RAW,
				       &memory, &syntax);
	*error = (struct parse_error){ syntax.pos, syntax.msg };
	if (!doc)
		return -EBADMSG;
	o->root = yyjson_doc_get_root(doc);
	error->offset = 0;
	error->reason = "an event is a JSON object";
	if (!yyjson_is_obj(o->root))
		return -EBADMSG;
	callev_init(ret);
	error->reason = oracle_members(o, doc->str_pool, &error->offset);
	if (error->reason)
		return -EBADMSG;
	if (ret->untimed && ret->received_at_ms != TIME_NONE)
		ret->at_ms = TIME_NONE;
	if (ret->kind == CALLEV_NOTE && (o->said || o->strangers))
		oracle_note(o);
	return 0;
}

/* Do the parser and the oracle say the same of this line? */
static inline bool oracle_agrees(struct callev_parser *p, struct slice json)
{
	static struct oracle oracle;
	static struct buf got, want;
	struct parse_error error = { 0, NULL }, its = { 0, NULL };
	struct callev ev, its_ev;
	int err = callev_parse(p, json, &ev, &error);

	if (err != oracle_parse(&oracle, json, &its_ev, &its))
		return false;
	if (err)
		return error.offset == its.offset && strcmp(error.reason, its.reason) == 0;
	buf_reset(&got);
	buf_reset(&want);
	callev_write(&got, &ev);
	callev_write(&want, &its_ev);
	return !got.bad && slice_eq(buf_slice(&got), buf_slice(&want));
}

#endif
