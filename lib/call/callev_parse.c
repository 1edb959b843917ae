/*
 * Reading a canonical event. yyjson reads the line into the parser's arena; one walk over the
 * object's members then dispatches each key through a table of fields.
 */
#include "call/callev.h"

#include <errno.h>
#include <stdlib.h>

#include "wire/json_in.h"

/* No duration or size of a real call is longer; sums of such figures cannot overflow. */
#define FIGURE_MAX   INT64_C(1000000000000000)
#define NAME_LEN_MAX 63u /* of accounts and sources, contract.md 5 */
#define KEY_LEN_MAX  16u
#define Q850_MAX     127
#define INDEX_BITS   7
#define INDEX_SLOTS  (1u << INDEX_BITS)
#define KEY_FACTOR   UINT64_C(0x16fd85e7d11b55d3)

enum field_type {
	FIELD_SCHEMA,
	FIELD_UUID,
	FIELD_NAME,   /* [a-z0-9-]{1,63} */
	FIELD_IDENT,  /* an id: a text, or a whole number, kept as it was written */
	FIELD_IDENTS, /* leg_ids */
	FIELD_KIND,
	FIELD_TIME,
	FIELD_FIGURE, /* 0..FIGURE_MAX; anything else is left out */
	FIELD_SEQ,
	FIELD_TEXT,
	FIELD_TEXTS, /* tags */
	FIELD_DIRECTION,
	FIELD_SIDE,
	FIELD_OUTCOME,
	FIELD_Q850,
	FIELD_CONTACT,
	FIELD_PERSON,
	FIELD_CAUSE,
	FIELD_RECORDED,
	FIELD_AUTHENTICATED,
	FIELD_NOTE_TEXT,
	FIELD_SKIPPED,
};

struct field {
	struct slice key;
	enum field_type type;
	size_t offset; /* in the struct that is filled */
};

#define F(key, type, member)                                                                       \
	{                                                                                          \
		SLICE_INIT(key), FIELD_##type, offsetof(struct callev, member)                     \
	}
static const struct field fields[] = {
	F("schema", SCHEMA, id),
	F("id", UUID, id),
	F("account", NAME, account),
	F("source", NAME, source),
	F("call_session_id", IDENT, call_session_id),
	F("leg_id", IDENT, leg_id),
	F("leg_ids", IDENTS, leg_ids),
	F("kind", KIND, kind),
	F("at", TIME, at_ms),
	F("received_at", TIME, received_at_ms),
	F("timed", AUTHENTICATED, untimed),
	F("seq", SEQ, seq),
	F("direction", DIRECTION, direction),
	F("line", TEXT, line),
	F("trunk", TEXT, trunk),
	F("contact", CONTACT, contact),
	F("employee", PERSON, employee),
	F("authenticated", AUTHENTICATED, unauthenticated),
	F("scenario", TEXT, scenario),
	F("external_id", TEXT, external_id),
	F("call_source", TEXT, call_source),
	F("from_leg", IDENT, from_leg),
	F("number", TEXT, number),
	F("location", TEXT, location),
	F("queue", TEXT, queue),
	F("by", SIDE, held_by),
	F("transfer", TEXT, transfer),
	F("from", TEXT, from),
	F("to", TEXT, to),
	F("into", IDENT, into),
	F("started_at", TIME, started_at_ms),
	F("answered_at", TIME, answered_at_ms),
	F("ended_at", TIME, ended_at_ms),
	F("wait_ms", FIGURE, wait_ms),
	F("talk_ms", FIGURE, talk_ms),
	F("total_ms", FIGURE, total_ms),
	F("outcome", OUTCOME, outcome),
	F("cause", CAUSE, cause),
	F("tags", TEXTS, tags),
	F("recorded", RECORDED, recorded),
	F("recording", TEXT, recording),
	F("duration_ms", FIGURE, duration_ms),
	F("url", TEXT, url),
	F("source_url", TEXT, source_url),
	F("bytes", FIGURE, bytes),
	F("sha256", TEXT, sha256),
	F("reason", TEXT, reason),
	F("name", TEXT, name),
	F("text", NOTE_TEXT, text),
	F("raw", SKIPPED, raw),
};
#undef F

#define F(key, type, of, member)                                                                   \
	{                                                                                          \
		SLICE_INIT(key), FIELD_##type, offsetof(struct of, member)                         \
	}
static const struct field contact_fields[] = {
	F("number", TEXT, contact, number),
	F("uri", TEXT, contact, uri),
	F("id", IDENT, contact, id),
	F("name", TEXT, contact, name),
};

static const struct field person_fields[] = {
	F("id", IDENT, person, id),
	F("extension", IDENT, person, extension),
	F("name", TEXT, person, name),
};

static const struct field cause_fields[] = {
	F("vendor", TEXT, cause, vendor),
	F("q850", Q850, cause, q850),
	F("text", TEXT, cause, text),
	F("by", SIDE, cause, by),
};
#undef F

_Static_assert(ARRAY_LEN(fields) < INDEX_SLOTS / 2, "the index stays sparse");

struct key {
	uint64_t head, tail;
	uint32_t n; /* bytes; 0: no key */
};

struct slot {
	struct key key;
	uint32_t field; /* of fields[] */
};

struct callev_parser {
	struct arena arena;
	struct buf text; /* what a note said */
	struct slot index[INDEX_SLOTS];
};

/* One event being read. */
struct reading {
	struct callev_parser *parser;
	struct callev *ev;
	yyjson_val *root, *text;
	bool schema, id, strangers; /* seen: the schema, the id, keys that are none of ours */
};

static const char no_memory[] = "no memory";

/*
 * A key of 1 to 16 bytes as two words, which with its length are as good as its bytes: two reads
 * that may overlap.
 */
static inline struct key key_of(struct slice s)
{
	struct key key = { .n = (uint32_t)s.n };
	const char *p = s.p;

	if (s.n >= 8) {
		memcpy(&key.head, p, 8);
		memcpy(&key.tail, p + s.n - 8, 8);
	} else if (s.n >= 4) {
		uint32_t head, tail;

		memcpy(&head, p, 4);
		memcpy(&tail, p + s.n - 4, 4);
		key.head = head;
		key.tail = tail;
	} else {
		key.head = (unsigned char)p[0];
		key.tail = (uint64_t)(unsigned char)p[s.n / 2] << 8 | (unsigned char)p[s.n - 1];
	}
	return key;
}

/* Which slot a key wants; the factor gives each of ours one of its own. */
static inline unsigned key_slot(const struct key *key)
{
	return (unsigned)((key->head + key->tail * 3) * KEY_FACTOR >> (64 - INDEX_BITS));
}

/* NULL: none of ours. */
static inline const struct field *field_find(const struct callev_parser *p, struct slice name)
{
	struct key key;

	if (name.n == 0 || name.n > KEY_LEN_MAX)
		return NULL;
	key = key_of(name);
	for (unsigned at = key_slot(&key);; at = (at + 1) % INDEX_SLOTS) {
		const struct slot *slot = &p->index[at];

		if (slot->key.head == key.head && slot->key.tail == key.tail &&
		    slot->key.n == key.n)
			return &fields[slot->field];
		if (slot->key.n == 0)
			return NULL;
	}
}

struct callev_parser *callev_parser_new(void)
{
	struct callev_parser *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct key key = key_of(fields[i].key);
		unsigned at = key_slot(&key);

		while (p->index[at].key.n)
			at = (at + 1) % INDEX_SLOTS;
		p->index[at] = (struct slot){ key, (uint32_t)i };
	}
	return p;
}

void callev_parser_free(struct callev_parser *p)
{
	if (!p)
		return;
	arena_fini(&p->arena);
	buf_fini(&p->text);
	free(p);
}

/* A text, or a number as it was written; all else is absent. */
static inline struct slice text_of(yyjson_val *v)
{
	if (LIKELY(unsafe_yyjson_is_str(v)) || unsafe_yyjson_is_raw(v))
		return slice_make(unsafe_yyjson_get_raw(v), unsafe_yyjson_get_len(v));
	return SLICE_NONE;
}

static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return s.n > 0 && s.n <= NAME_LEN_MAX;
}

/* rules.md 2: an id written 1e3, 12.0 or -1 is refused, never rounded. */
static const char *read_ident(yyjson_val *v, struct slice *ret)
{
	*ret = text_of(v);
	if (unsafe_yyjson_is_raw(v) && !slice_is_digits(*ret))
		return "an id is a text or a whole number";
	if (ret->n == 0 && !unsafe_yyjson_is_str(v) && !unsafe_yyjson_is_null(v))
		return "an id is a text or a whole number";
	return NULL;
}

/* Room for the texts of a list, or NULL. */
static struct slice *list_room(struct reading *r, yyjson_val *list)
{
	return arena_alloc(&r->parser->arena, unsafe_yyjson_get_len(list) * sizeof(struct slice));
}

static const char *read_idents(struct reading *r, yyjson_val *list)
{
	struct slice *ids;
	size_t i, n, ids_n = 0;
	yyjson_val *v;

	r->ev->leg_ids_n = 0;
	if (unsafe_yyjson_is_null(list))
		return NULL;
	if (!unsafe_yyjson_is_arr(list))
		return "leg_ids is a list of ids";
	ids = list_room(r, list);
	if (!ids)
		return no_memory;
	yyjson_arr_foreach(list, i, n, v)
	{
		const char *wrong = read_ident(v, &ids[ids_n]);

		if (wrong)
			return wrong;
		ids_n += ids[ids_n].n > 0;
	}
	r->ev->leg_ids = ids;
	r->ev->leg_ids_n = ids_n;
	return ids_n > CALLEV_LIST_MAX ? "too many leg_ids" : NULL;
}

static const char *read_texts(struct reading *r, yyjson_val *list)
{
	struct slice *texts;
	size_t i, n, texts_n = 0;
	yyjson_val *v;

	r->ev->tags_n = 0;
	if (!unsafe_yyjson_is_arr(list))
		return NULL;
	texts = list_room(r, list);
	if (!texts)
		return no_memory;
	yyjson_arr_foreach(list, i, n, v)
	{
		texts[texts_n] = text_of(v);
		texts_n += texts[texts_n].n > 0;
	}
	r->ev->tags = texts;
	r->ev->tags_n = texts_n;
	return texts_n > CALLEV_LIST_MAX ? "too many tags" : NULL;
}

static const char *read_time(yyjson_val *v, int64_t *ret)
{
	*ret = TIME_NONE;
	if (unsafe_yyjson_is_null(v))
		return NULL;
	if (!unsafe_yyjson_is_str(v) || time_iso_read(text_of(v), ret))
		return "a time is written as ISO 8601 with a zone";
	return NULL;
}

static int64_t read_whole(yyjson_val *v, int64_t min, int64_t max, int64_t absent)
{
	int64_t value;

	if (!unsafe_yyjson_is_raw(v) || slice_i64(text_of(v), &value) || value < min || value > max)
		return absent;
	return value;
}

static const char *read_value(struct reading *r, const struct field *field, yyjson_val *v,
			      void *into);

/* An object of few members; what it had from an earlier key of the same name is gone. */
static const char *read_object(struct reading *r, const struct field *members, size_t members_n,
			       yyjson_val *object, void *into)
{
	size_t i, n;
	yyjson_val *key, *v;

	if (!unsafe_yyjson_is_obj(object))
		return NULL;
	yyjson_obj_foreach(object, i, n, key, v)
	{
		struct slice name = text_of(key);

		for (size_t m = 0; m < members_n; m++) {
			const char *wrong;

			if (!slice_eq(members[m].key, name))
				continue;
			wrong = read_value(r, &members[m], v, (char *)into + members[m].offset);
			if (wrong)
				return wrong;
			break;
		}
	}
	return NULL;
}

static const char *read_contact(struct reading *r, yyjson_val *v, struct contact *ret)
{
	const char *wrong;

	memset(ret, 0, sizeof(*ret));
	wrong = read_object(r, contact_fields, ARRAY_LEN(contact_fields), v, ret);
	if (ret->number.n)
		ret->uri = SLICE_NONE;
	return wrong;
}

static const char *read_person(struct reading *r, yyjson_val *v, struct person *ret)
{
	memset(ret, 0, sizeof(*ret));
	return read_object(r, person_fields, ARRAY_LEN(person_fields), v, ret);
}

static const char *read_cause(struct reading *r, yyjson_val *v, struct cause *ret)
{
	memset(ret, 0, sizeof(*ret));
	return read_object(r, cause_fields, ARRAY_LEN(cause_fields), v, ret);
}

/* The members without which there is no event: wrong ones are errors. */
static const char *read_identity(struct reading *r, const struct field *field, yyjson_val *v,
				 void *into)
{
	struct slice text = text_of(v);

	switch (field->type) {
	case FIELD_SCHEMA:
		r->schema = slice_eq(text, SLICE("callstream.event/1"));
		return r->schema ? NULL : "schema is callstream.event/1";
	case FIELD_UUID:
		r->id = !uuid_read(text, into);
		return r->id ? NULL : "id is a UUID";
	case FIELD_NAME:
		*(struct slice *)into = text;
		return is_name(text) ? NULL : "a name is 1 to 63 of a-z, 0-9 and -";
	default:
		return callev_kind_read(text, into) ? "not a kind of event" : NULL;
	}
}

/* Words of small sets and flags: what is none of them is absent. */
static void read_word(const struct field *field, yyjson_val *v, void *into)
{
	struct slice text = text_of(v);

	switch (field->type) {
	case FIELD_DIRECTION:
		if (direction_read(text, into))
			*(enum direction *)into = DIRECTION_NONE;
		break;
	case FIELD_SIDE:
		if (side_read(text, into))
			*(enum side *)into = SIDE_NONE;
		break;
	case FIELD_OUTCOME:
		if (outcome_read(text, into))
			*(enum outcome *)into = OUTCOME_NONE;
		break;
	case FIELD_RECORDED:
		*(enum tristate *)into = !unsafe_yyjson_is_bool(v)  ? TRI_ABSENT
					 : unsafe_yyjson_is_true(v) ? TRI_YES
								    : TRI_NO;
		break;
	default:
		*(bool *)into = unsafe_yyjson_is_false(v);
	}
}

/* Reads one member; NULL, or why it is wrong. */
static const char *read_value(struct reading *r, const struct field *field, yyjson_val *v,
			      void *into)
{
	switch (field->type) {
	case FIELD_TEXT:
		*(struct slice *)into = text_of(v);
		return NULL;
	case FIELD_IDENT:
		return read_ident(v, into);
	case FIELD_TIME:
		return read_time(v, into);
	case FIELD_FIGURE:
		*(int64_t *)into = read_whole(v, 0, FIGURE_MAX, CALLEV_NO_NUMBER);
		return NULL;
	case FIELD_SEQ:
		*(int64_t *)into = read_whole(v, INT64_MIN + 1, INT64_MAX, CALLEV_NO_NUMBER);
		return NULL;
	case FIELD_Q850:
		*(int32_t *)into = (int32_t)read_whole(v, 1, Q850_MAX, 0);
		return NULL;
	case FIELD_SCHEMA:
	case FIELD_UUID:
	case FIELD_NAME:
	case FIELD_KIND:
		return read_identity(r, field, v, into);
	case FIELD_CONTACT:
		return read_contact(r, v, into);
	case FIELD_PERSON:
		return read_person(r, v, into);
	case FIELD_CAUSE:
		return read_cause(r, v, into);
	case FIELD_IDENTS:
		return read_idents(r, v);
	case FIELD_TEXTS:
		return read_texts(r, v);
	case FIELD_NOTE_TEXT:
		r->text = v;
		return NULL;
	case FIELD_SKIPPED:
		return NULL;
	default:
		read_word(field, v, into);
		return NULL;
	}
}

/* Appends a value as JSON. */
static int write_json(struct buf *out, yyjson_val *v)
{
	yyjson_write_err error;
	size_t n;
	char *json = yyjson_val_write_opts(v, 0, NULL, &n, &error);

	if (!json)
		return -ENOMEM;
	buf_add(out, json, n);
	free(json);
	return 0;
}

/* What a note said: its text, else an object of the keys that are none of ours. */
static int read_note(struct reading *r)
{
	struct buf *out = &r->parser->text;
	size_t i, n;
	yyjson_val *key, *v;
	int err = 0;

	buf_reset(out);
	if (r->text) {
		err = write_json(out, r->text);
	} else if (r->strangers) {
		yyjson_obj_foreach(r->root, i, n, key, v)
		{
			if (err || field_find(r->parser, text_of(key)))
				continue;
			buf_add_char(out, out->n ? ',' : '{');
			err = write_json(out, key);
			buf_add_char(out, ':');
			if (!err)
				err = write_json(out, v);
		}
		buf_add_char(out, '}');
	}
	if (err || out->bad)
		return -ENOMEM;
	r->ev->text = buf_slice(out);
	return 0;
}

static const char *what_is_missing(const struct reading *r, bool kind)
{
	const struct callev *ev = r->ev;

	if (!r->schema)
		return "schema is missing";
	if (!r->id)
		return "id is missing";
	if (!ev->account.n)
		return "account is missing";
	if (!ev->source.n)
		return "source is missing";
	if (!ev->call_session_id.n)
		return "call_session_id is missing";
	if (!kind)
		return "kind is missing";
	return callev_time(ev) == TIME_NONE ? "at and received_at are missing" : NULL;
}

/* The members of the object in turn; *at becomes the key that was wrong. */
static const char *read_members(struct reading *r, yyjson_val **at)
{
	bool kind = false;
	size_t i, n;
	yyjson_val *key, *v;

	yyjson_obj_foreach(r->root, i, n, key, v)
	{
		const struct field *field = field_find(r->parser, text_of(key));
		const char *wrong;

		if (!field) {
			r->strangers = true;
			continue;
		}
		kind |= field->type == FIELD_KIND;
		wrong = read_value(r, field, v, (char *)r->ev + field->offset);
		if (wrong) {
			*at = key;
			return wrong;
		}
	}
	*at = NULL;
	return what_is_missing(r, kind);
}

static int refuse(struct parse_error *error, size_t offset, const char *reason)
{
	*error = (struct parse_error){ offset, reason };
	return -EBADMSG;
}

int callev_parse(struct callev_parser *p, struct slice json, struct callev *ret,
		 struct parse_error *error)
{
	yyjson_alc memory = json_memory(&p->arena);
	struct reading r = { .parser = p, .ev = ret };
	yyjson_read_err syntax;
	const char *wrong;
	yyjson_doc *doc;
	yyjson_val *at;

	if (json.n == 0)
		return refuse(error, 0, "empty");
	arena_reset(&p->arena);
	/* Without YYJSON_READ_INSITU the text is only read; the library's type lacks the const. */
	doc = yyjson_read_opts((char *)(uintptr_t)json.p, json.n, YYJSON_READ_NUMBER_AS_RAW,
			       &memory, &syntax);
	if (!doc && syntax.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return -ENOMEM;
	if (!doc)
		return refuse(error, syntax.pos, syntax.msg);
	r.root = yyjson_doc_get_root(doc);
	if (!yyjson_is_obj(r.root))
		return refuse(error, 0, "an event is a JSON object");
	callev_init(ret);
	wrong = read_members(&r, &at);
	if (wrong == no_memory)
		return -ENOMEM;
	if (wrong) /* a key lies in the reader's copy where it lay in the text */
		return refuse(
		    error, at ? (size_t)(unsafe_yyjson_get_str(at) - doc->str_pool) - 1 : 0, wrong);
	if (UNLIKELY(ret->untimed && ret->received_at_ms != TIME_NONE))
		ret->at_ms = TIME_NONE;
	if (ret->kind == CALLEV_NOTE && (r.text || r.strangers))
		return read_note(&r);
	return 0;
}
