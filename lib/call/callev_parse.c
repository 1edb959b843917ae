/*
 * Reading a canonical event in one pass: the scanner goes from member to member, each key finds its
 * field by a perfect hash, each value is read straight into the event. Only when something is wrong
 * the library reads the line too: bytes that are no JSON, wherever they stand, are told before
 * members that are wrong, and its offsets and words are what users know.
 */
#include "call/callev.h"

#include <errno.h>
#include <stdlib.h>

#include "wire/json_in.h"
#include "wire/json_scan.h"

/* No duration or size of a real call is longer; sums of such figures cannot overflow. */
#define FIGURE_MAX   INT64_C(1000000000000000)
#define NAME_LEN_MAX 63u /* of accounts and sources, contract.md 5 */
#define KEY_LEN_MAX  15u /* so that a block of JSON_BLOCK has its quote */
#define Q850_MAX     127

/* What stands once for every key; the compiler alone would rather call it. */
#define HOT inline __attribute__((always_inline))

enum field_type {
	FIELD_TEXT,
	FIELD_IDENT, /* an id: a text, or a whole number, kept as it was written */
	FIELD_TIME,
	FIELD_FIGURE, /* 0..FIGURE_MAX; anything else is left out */
	FIELD_NAME,   /* [a-z0-9-]{1,63} */
	FIELD_SCHEMA,
	FIELD_UUID,
	FIELD_KIND,
	FIELD_SEQ,
	FIELD_DIRECTION,
	FIELD_SIDE,
	FIELD_OUTCOME,
	FIELD_Q850,
	FIELD_RECORDED,
	FIELD_AUTHENTICATED,
	FIELD_IDENTS, /* leg_ids; this and all behind it may be lists or objects */
	FIELD_TEXTS,  /* tags */
	FIELD_CONTACT,
	FIELD_PERSON,
	FIELD_CAUSE,
	FIELD_NOTE_TEXT,
	FIELD_SKIPPED,
};

struct field {
	uint64_t head;    /* the first eight bytes of the key, zeros behind a shorter one */
	struct slice key; /* 1..KEY_LEN_MAX bytes */
	enum field_type type;
	size_t offset; /* in the struct that is filled */
};

/* A constant once it is compiled. */
#define BYTE(s, i) ((uint64_t)(unsigned char)(s)[MIN((size_t)(i), ARRAY_LEN(s) - 1)] << 8 * (i))
#define HEAD(s)                                                                                    \
	(BYTE(s, 0) | BYTE(s, 1) | BYTE(s, 2) | BYTE(s, 3) | BYTE(s, 4) | BYTE(s, 5) |             \
	 BYTE(s, 6) | BYTE(s, 7))

#define F(key, type, member)                                                                       \
	{                                                                                          \
		HEAD(key), SLICE_INIT(key), FIELD_##type, offsetof(struct callev, member)          \
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
		HEAD(key), SLICE_INIT(key), FIELD_##type, offsetof(struct of, member)              \
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

/* A key's field is found by a hash; with this factor no two keys want the same slot. */
#define SLOT_BITS  7
#define SLOTS      (1U << SLOT_BITS)
#define KEY_FACTOR UINT64_C(0x9b08c63ec9fba1a1)
_Static_assert(ARRAY_LEN(fields) < SLOTS / 2, "the slots stay sparse");

struct callev_parser {
	struct arena arena;
	struct buf text;      /* what a note said */
	uint8_t slots[SLOTS]; /* of hashes: a field's number from 1, 0 none */
};

/* One event being read. Readers return the place behind what they read; NULL: it is wrong. */
struct reading {
	struct json_scan scan;
	struct callev_parser *parser;
	struct callev *ev;
	const char *key;   /* the one that is being read, from its quote; NULL: none */
	const char *wrong; /* what is; NULL: it is no JSON */
	struct slice text; /* the note's, as it stands */
	bool schema, id, kind, strangers; /* seen: these, and keys that are none of ours */
};

static __attribute__((cold, noinline)) const char *fail(struct reading *r, const char *wrong)
{
	r->wrong = wrong;
	return NULL;
}

static inline unsigned slot_of(uint64_t head, size_t n)
{
	return (unsigned)((head + n) * KEY_FACTOR >> (64 - SLOT_BITS));
}

struct callev_parser *callev_parser_new(void)
{
	struct callev_parser *p = calloc(1, sizeof(*p));

	for (size_t i = 0; p && i < ARRAY_LEN(fields); i++) {
		unsigned at = slot_of(fields[i].head, fields[i].key.n);

		while (p->slots[at])
			at = (at + 1) % SLOTS;
		p->slots[at] = (uint8_t)(i + 1);
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

/* ---- keys ---- */

static inline uint64_t eight(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The first eight bytes of a key of n bytes, 1..JSON_BLOCK, of JSON_BLOCK that may be read. */
static inline uint64_t head_of(const char *key, size_t n)
{
#define BYTES(n) (UINT64_MAX >> (64 - 8 * (n)))
	static const uint64_t masks[JSON_BLOCK + 1] = {
		0,          BYTES(1),   BYTES(2),   BYTES(3),   BYTES(4),   BYTES(5),
		BYTES(6),   BYTES(7),   UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
		UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
	};
#undef BYTES

	return eight(key) & masks[n];
}

static inline bool field_is(const struct field *field, const char *key, size_t n, uint64_t head)
{
	return field->head == head && field->key.n == n &&
	       (n <= 8 || eight(field->key.p + n - 8) == eight(key + n - 8));
}

/* Of the event itself; NULL: none of ours. key and n as in head_of. */
static HOT const struct field *field_find(const struct callev_parser *p, const char *key, size_t n)
{
	uint64_t head = head_of(key, n);

	for (unsigned at = slot_of(head, n); p->slots[at]; at = (at + 1) % SLOTS) {
		const struct field *field = &fields[p->slots[at] - 1];

		if (LIKELY(field_is(field, key, n, head)))
			return field;
	}
	return NULL;
}

/* What a key may name: the members of an object of its own, or those of the event. */
struct scope {
	const struct field *members; /* NULL: the event's */
	size_t n;
};

static const struct scope of_event = { NULL, 0 };

/* Of a contact, a person or a cause, which have few. */
static inline const struct field *member_find(struct scope scope, const char *key, size_t n)
{
	uint64_t head = head_of(key, n);

	for (size_t i = 0; i < scope.n; i++) {
		if (field_is(&scope.members[i], key, n, head))
			return &scope.members[i];
	}
	return NULL;
}

static HOT const struct field *find(const struct callev_parser *p, struct scope scope,
				    const char *key, size_t n)
{
	return scope.members ? member_find(scope, key, n) : field_find(p, key, n);
}

/* A key of any length, anywhere. */
static const struct field *find_named(const struct callev_parser *p, struct scope scope,
				      struct slice key)
{
	char room[JSON_BLOCK] = "";

	if (key.n == 0 || key.n > KEY_LEN_MAX)
		return NULL;
	memcpy(room, key.p, key.n);
	return find(p, scope, room, key.n);
}

/* One with blanks behind it, with escapes, none of ours or near the end. */
static __attribute__((noinline)) const char *take_hard_key(struct reading *r, struct scope scope,
							   const char *p, const struct field **ret)
{
	struct slice key;

	p = json_scan_key(&r->scan, p, &key);
	*ret = p ? find_named(r->parser, scope, key) : NULL;
	return p;
}

/* The key at p: the place of its value, and the field it means, or NULL. What is ours has no
 * escapes, so up to the next quote it is the key or it is none of ours. */
static HOT const char *take_key(struct reading *r, struct scope scope, const char *p,
				const struct field **ret)
{
	const char *key = p + 1;

	if (LIKELY(*p == '"' && r->scan.end - key > JSON_BLOCK + 1)) {
		size_t n = json_quote_n(key);

		*ret = find(r->parser, scope, key, n);
		if (LIKELY(*ret && key[n + 1] == ':'))
			return json_scan_blanks(key + n + 2);
	}
	return take_hard_key(r, scope, p, ret);
}

/* ---- values ---- */

/* The top bit of each byte that is a small letter, a digit or a dash. */
static inline uint64_t name_bytes(uint64_t v)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
	uint64_t low = v & ~tops;
	uint64_t letter = (low + ones * (0x80 - 'a')) & ~(low + ones * (0x7f - 'z'));
	uint64_t digit = (low + ones * (0x80 - '0')) & ~(low + ones * (0x7f - '9'));
	uint64_t dash = ~((low ^ ones * '-') + ones * 0x7f);

	return (letter | digit | dash) & ~v & tops;
}

/* Eight bytes at a time, the last eight once more where they are not the last of these. */
static bool is_name(struct slice s)
{
	const uint64_t all = UINT64_C(0x8080808080808080);
	uint64_t good = all;
	char room[8] = "aaaaaaaa";

	if (s.n == 0 || s.n > NAME_LEN_MAX)
		return false;
	if (s.n < 8) {
		memcpy(room, s.p, s.n);
		return name_bytes(eight(room)) == all;
	}
	for (size_t i = 0; i + 8 <= s.n; i += 8)
		good &= name_bytes(eight(s.p + i));
	return (good & name_bytes(eight(s.p + s.n - 8))) == all;
}

/* rules.md 2: an id written 1e3, 12.0 or -1 is refused, never rounded. */
static inline const char *read_ident(const struct json_value *v, struct slice *ret)
{
	*ret = v->text;
	if (LIKELY(v->type == JSON_TEXT) || v->type == JSON_NULL ||
	    (v->type == JSON_NUMBER && slice_is_digits(v->text)))
		return NULL;
	return "an id is a text or a whole number";
}

static const char *read_time(const struct json_value *v, int64_t *ret)
{
	*ret = TIME_NONE;
	if (v->type == JSON_NULL || (v->type == JSON_TEXT && !time_iso_read(v->text, ret)))
		return NULL;
	return "a time is written as ISO 8601 with a zone";
}

static int64_t read_whole(const struct json_value *v, int64_t min, int64_t max, int64_t absent)
{
	int64_t value;

	if (v->type != JSON_NUMBER || slice_i64(v->text, &value) || value < min || value > max)
		return absent;
	return value;
}

#define SCHEMA_LEN 18
static const struct slice schema = SLICE_INIT("callstream.event/1");

/* The members without which there is no event: wrong ones are errors. */
static const char *read_identity(struct reading *r, enum field_type type, struct slice text,
				 void *into)
{
	switch (type) {
	case FIELD_SCHEMA:
		r->schema = slice_eq(text, schema);
		return r->schema ? NULL : "schema is callstream.event/1";
	case FIELD_UUID:
		r->id = !uuid_read(text, into);
		return r->id ? NULL : "id is a UUID";
	case FIELD_NAME:
		*(struct slice *)into = text;
		return is_name(text) ? NULL : "a name is 1 to 63 of a-z, 0-9 and -";
	default:
		r->kind = !callev_kind_read(text, into);
		return r->kind ? NULL : "not a kind of event";
	}
}

/* Words of small sets and flags: what is none of them is absent. */
static void read_word(enum field_type type, const struct json_value *v, void *into)
{
	switch (type) {
	case FIELD_DIRECTION:
		if (direction_read(v->text, into))
			*(enum direction *)into = DIRECTION_NONE;
		break;
	case FIELD_SIDE:
		if (side_read(v->text, into))
			*(enum side *)into = SIDE_NONE;
		break;
	case FIELD_OUTCOME:
		if (outcome_read(v->text, into))
			*(enum outcome *)into = OUTCOME_NONE;
		break;
	case FIELD_RECORDED:
		*(enum tristate *)into = v->type == JSON_TRUE    ? TRI_YES
					 : v->type == JSON_FALSE ? TRI_NO
								 : TRI_ABSENT;
		break;
	default:
		*(bool *)into = v->type == JSON_FALSE;
	}
}

/* Reads one value that was taken; NULL, or why it is wrong. */
static inline const char *read_plain(struct reading *r, enum field_type type,
				     const struct json_value *v, void *into)
{
	switch (type) {
	case FIELD_TEXT:
		*(struct slice *)into = v->text;
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
		return read_identity(r, type, v->text, into);
	default:
		read_word(type, v, into);
		return NULL;
	}
}

/* A value where no list or object has a meaning: one that stands there is passed over. */
static inline const char *take_single(struct reading *r, const char *p, struct json_value *ret)
{
	p = json_scan_value(&r->scan, p, ret);
	return UNLIKELY(p && ret->type >= JSON_LIST) ? json_scan_skip(&r->scan, p) : p;
}

static __attribute__((noinline)) const char *read_any(struct reading *r, enum field_type type,
						      const char *p, void *into)
{
	struct json_value v;
	const char *wrong;

	p = take_single(r, p, &v);
	if (UNLIKELY(!p))
		return NULL;
	wrong = read_plain(r, type, &v, into);
	return UNLIKELY(wrong) ? fail(r, wrong) : p;
}

/* A text of n bytes at p? Whoever reads it finds out whether it has escapes: what it wants has
 * none. */
static inline bool is_text_of(const struct reading *r, const char *p, ptrdiff_t n)
{
	return LIKELY(r->scan.end - p > n + 2 && *p == '"' && p[n + 1] == '"');
}

/*
 * What is frequent, as it mostly stands: each of these reads what is just so, and leaves all else
 * to read_any.
 */
static __attribute__((noinline)) const char *read_schema(struct reading *r, const char *p)
{
	r->schema = is_text_of(r, p, SCHEMA_LEN) && memcmp(p + 1, schema.p, SCHEMA_LEN) == 0;
	return LIKELY(r->schema) ? p + SCHEMA_LEN + 2 : read_any(r, FIELD_SCHEMA, p, NULL);
}

static __attribute__((noinline)) const char *read_uuid(struct reading *r, const char *p, void *into)
{
	r->id = is_text_of(r, p, UUID_TEXT_LEN) &&
		!uuid_read(slice_make(p + 1, UUID_TEXT_LEN), into);
	return LIKELY(r->id) ? p + UUID_TEXT_LEN + 2 : read_any(r, FIELD_UUID, p, into);
}

static __attribute__((noinline)) const char *read_name(struct reading *r, const char *p,
						       struct slice *into)
{
	const char *end = *p == '"' ? json_scan_text(&r->scan, p, into) : NULL;

	return LIKELY(end && is_name(*into)) ? end : read_any(r, FIELD_NAME, p, into);
}

static __attribute__((noinline)) const char *read_figure(struct reading *r, const char *p,
							 int64_t *into)
{
	const char *begin = p;
	int64_t value = 0;

	/* As many digits as FIGURE_MAX has zeros. */
	for (; *p >= '0' && *p <= '9' && p - begin <= 15; p++)
		value = value * 10 + (*p - '0');
	if (UNLIKELY((*p != ',' && *p != '}') || p == begin || (*begin == '0' && p - begin > 1) ||
		     p - begin > 15))
		return read_any(r, FIELD_FIGURE, begin, into);
	*into = value;
	return p;
}

/* Of what is frequent, as it mostly stands, without a look at it beforehand. */
static HOT const char *read_single(struct reading *r, enum field_type type, const char *p,
				   void *into)
{
	if (type < FIELD_TIME) { /* FIELD_TEXT, FIELD_IDENT */
		if (LIKELY(*p == '"'))
			return json_scan_text(&r->scan, p, into);
	} else if (type == FIELD_TIME) {
		if (is_text_of(r, p, TIME_ISO_LEN) &&
		    LIKELY(!time_iso_read(slice_make(p + 1, TIME_ISO_LEN), into)))
			return p + TIME_ISO_LEN + 2;
	} else if (type == FIELD_FIGURE) {
		return read_figure(r, p, into);
	} else if (type == FIELD_NAME) {
		return read_name(r, p, into);
	} else if (type == FIELD_SCHEMA) {
		return read_schema(r, p);
	} else if (type == FIELD_UUID) {
		return read_uuid(r, p, into);
	}
	return read_any(r, type, p, into);
}

/* ---- lists ---- */

struct list {
	struct slice *v;
	size_t n, cap;
};

/* Counts what is more than an event can hold, and keeps it no longer. */
static bool list_add(struct reading *r, struct list *list, struct slice item)
{
	if (item.n == 0)
		return true;
	if (list->n == list->cap && list->n < CALLEV_LIST_MAX) {
		size_t cap = list->cap ? list->cap * 4 : 4;
		struct slice *v = arena_grow(&r->parser->arena, list->v, list->cap * sizeof(*v),
					     cap * sizeof(*v));

		if (!v) {
			r->scan.no_memory = true;
			return false;
		}
		list->v = v;
		list->cap = cap;
	}
	if (list->n < CALLEV_LIST_MAX)
		list->v[list->n] = item;
	list->n++;
	return true;
}

/* Ids must be ids, of texts what is none is left out. */
static const char *read_items(struct reading *r, bool ids, const char *p, struct list *list)
{
	p = json_scan_enter(p);
	while (p && *p != ']') {
		const char *wrong = NULL;
		struct json_value v;

		p = take_single(r, p, &v);
		if (!p)
			return NULL;
		if (ids)
			wrong = read_ident(&v, &v.text);
		if (wrong)
			return fail(r, wrong);
		if (!list_add(r, list, v.text))
			return NULL;
		p = json_scan_next(p, ']');
	}
	return p ? json_scan_leave(&r->scan, p) : NULL;
}

static const char *read_list(struct reading *r, bool ids, const char *p, const struct slice **ret,
			     size_t *ret_n)
{
	struct list list = { NULL, 0, 0 };
	struct json_value v;

	*ret_n = 0;
	if (*p != '[') {
		p = take_single(r, p, &v);
		return p && ids && v.type != JSON_NULL ? fail(r, "leg_ids is a list of ids") : p;
	}
	p = read_items(r, ids, p, &list);
	*ret = list.v;
	*ret_n = list.n;
	if (p && list.n > CALLEV_LIST_MAX)
		return fail(r, ids ? "too many leg_ids" : "too many tags");
	return p;
}

/* ---- objects ---- */

/* Of few members; what it had from an earlier key of the same name is gone. */
static const char *read_object(struct reading *r, struct scope scope, const char *p, void *into)
{
	if (UNLIKELY(*p != '{'))
		return json_scan_skip(&r->scan, p);
	p = json_scan_enter(p);
	while (p && *p != '}') {
		const struct field *field;

		p = take_key(r, scope, p, &field);
		if (!p)
			return NULL;
		p = field ? read_single(r, field->type, p, (char *)into + field->offset)
			  : json_scan_skip(&r->scan, p);
		if (p)
			p = json_scan_next(p, '}');
	}
	return p ? json_scan_leave(&r->scan, p) : NULL;
}

static const char *read_contact(struct reading *r, const char *p, struct contact *ret)
{
	ret->number = ret->uri = ret->id = ret->name = SLICE_NONE;
	p = read_object(r, (struct scope){ contact_fields, ARRAY_LEN(contact_fields) }, p, ret);
	if (ret->number.n)
		ret->uri = SLICE_NONE;
	return p;
}

static const char *read_person(struct reading *r, const char *p, struct person *ret)
{
	ret->id = ret->extension = ret->name = SLICE_NONE;
	return read_object(r, (struct scope){ person_fields, ARRAY_LEN(person_fields) }, p, ret);
}

static const char *read_cause(struct reading *r, const char *p, struct cause *ret)
{
	memset(ret, 0, sizeof(*ret));
	return read_object(r, (struct scope){ cause_fields, ARRAY_LEN(cause_fields) }, p, ret);
}

static const char *read_note_text(struct reading *r, const char *p)
{
	const char *end = json_scan_skip(&r->scan, p);

	if (end)
		r->text = slice_make(p, (size_t)(end - p));
	return end;
}

/* The value of a member of the event. */
static inline const char *read_member(struct reading *r, const struct field *field, const char *p)
{
	void *into = (char *)r->ev + field->offset;

	if (LIKELY(field->type < FIELD_IDENTS))
		return read_single(r, field->type, p, into);
	switch (field->type) {
	case FIELD_IDENTS:
		return read_list(r, true, p, &r->ev->leg_ids, &r->ev->leg_ids_n);
	case FIELD_TEXTS:
		return read_list(r, false, p, &r->ev->tags, &r->ev->tags_n);
	case FIELD_CONTACT:
		return read_contact(r, p, into);
	case FIELD_PERSON:
		return read_person(r, p, into);
	case FIELD_CAUSE:
		return read_cause(r, p, into);
	case FIELD_NOTE_TEXT:
		return read_note_text(r, p);
	default:
		return json_scan_skip(&r->scan, p);
	}
}

/* ---- notes ---- */

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

static int write_strangers(struct callev_parser *p, yyjson_val *root)
{
	struct buf *out = &p->text;
	size_t i, n;
	yyjson_val *key, *v;
	int err = 0;

	yyjson_obj_foreach(root, i, n, key, v)
	{
		if (err || find_named(p, of_event, json_text(key)))
			continue;
		buf_add_char(out, out->n ? ',' : '{');
		err = write_json(out, key);
		buf_add_char(out, ':');
		if (!err)
			err = write_json(out, v);
	}
	buf_add_char(out, '}');
	return err;
}

/* What a note said: its text, else an object of the keys that are none of ours. Few events are
 * notes, so these are read a second time. */
static int read_note(struct reading *r, struct slice json)
{
	struct buf *out = &r->parser->text;
	yyjson_val *root;
	int err = json_read(&r->parser->arena, r->text.n ? r->text : json, &root);

	if (err)
		return err;
	buf_reset(out);
	err = r->text.n ? write_json(out, root) : write_strangers(r->parser, root);
	if (err || out->bad)
		return -ENOMEM;
	r->ev->text = buf_slice(out);
	return 0;
}

/* ---- the event ---- */

static const char *what_is_missing(const struct reading *r)
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
	if (!r->kind)
		return "kind is missing";
	return callev_time(ev) == TIME_NONE ? "at and received_at are missing" : NULL;
}

/* The brace at the end of the object's members; p: that at their beginning. */
static const char *read_members(struct reading *r, const char *p)
{
	p = json_scan_enter(p);
	while (*p != '}') {
		const struct field *field;

		r->key = p;
		p = take_key(r, of_event, p, &field);
		if (UNLIKELY(!p))
			return NULL;
		if (LIKELY(field)) {
			p = read_member(r, field, p);
		} else {
			r->strangers = true;
			p = json_scan_skip(&r->scan, p);
		}
		if (LIKELY(p))
			p = json_scan_next(p, '}');
		if (UNLIKELY(!p))
			return NULL;
	}
	return p;
}

static bool read_event(struct reading *r, struct slice json)
{
	const char *p = json_scan_begin(&r->scan, json, &r->parser->arena);

	if (!p) {
		r->wrong = "an event is a JSON object";
		return false;
	}
	callev_init(r->ev);
	p = read_members(r, p);
	if (!p || p + 1 != r->scan.end)
		return false;
	r->key = NULL;
	r->wrong = what_is_missing(r);
	return r->wrong == NULL;
}

static int refuse(struct parse_error *error, size_t offset, const char *reason)
{
	*error = (struct parse_error){ offset, reason };
	return -EBADMSG;
}

/* What the library says of the line; where it says nothing, what we found. */
static int tell(struct reading *r, struct slice json, struct parse_error *error)
{
	int err;

	arena_reset(&r->parser->arena);
	err = json_check(&r->parser->arena, json, &error->offset, &error->reason);
	if (err)
		return err;
	return refuse(error, r->key ? (size_t)(r->key - json.p) : 0,
		      r->wrong ? r->wrong : "no JSON");
}

int callev_parse(struct callev_parser *p, struct slice json, struct callev *ret,
		 struct parse_error *error)
{
	struct reading r = { .parser = p, .ev = ret };

	if (json.n == 0)
		return refuse(error, 0, "empty");
	arena_reset(&p->arena);
	if (UNLIKELY(!read_event(&r, json)))
		return r.scan.no_memory ? -ENOMEM : tell(&r, json, error);
	if (UNLIKELY(ret->untimed && ret->received_at_ms != TIME_NONE))
		ret->at_ms = TIME_NONE;
	if (ret->kind == CALLEV_NOTE && (r.text.n || r.strangers))
		return read_note(&r, json);
	return 0;
}
