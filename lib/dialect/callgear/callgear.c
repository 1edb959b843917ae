#include "dialect/callgear/callgear.h"

#include <errno.h>
#include <stdlib.h>

#include "dialect/callgear/fields.h"
#include "dialect/callgear/words.h"
#include "dialect/door.h"
#include "dialect/scratch.h"
#include "wire/json_out.h"
#include "wire/number.h"

#define ID_BYTES_MAX 255

/* One request on its way to an event. */
struct reader {
	const struct cfg_account *account;
	const struct vendor_request *req;
	struct slice suffix;
	struct dialect_scratch *s;
	struct cg_fields f;
	struct callev *ev;
	const struct cg_word *word; /* NULL: nobody knows it */
	bool guessed;
	struct slice time_text; /* of the duplicate key */
	struct item_list {
		struct slice *v;
		size_t n, cap;
	} list;          /* the one being read */
	const char *why; /* of -EBADMSG */
};

static struct slice text(const struct reader *r, enum cg_field field)
{
	return cg_text(&r->f, field);
}

static bool has(const struct reader *r, enum cg_field field)
{
	return cg_has(&r->f, field);
}

/* ---- which kind (rules.md 3) ---- */

static const struct cg_word *word_by_shape(const struct reader *r)
{
	static const struct {
		enum cg_field field, with; /* CG_FIELDS_N: alone */
		struct slice mnemonic;
	} shapes[] = {
		{ CG_FILE_LINK, CG_FIELDS_N, SLICE_INIT("talk_record_file") },
		{ CG_TOTAL_TIME_DURATION, CG_FIELDS_N, SLICE_INIT("call_session_finished") },
		{ CG_LEG_IDS, CG_TALK_TIME_DURATION, SLICE_INIT("talk_finished") },
		{ CG_LEG_IDS, CG_FIELDS_N, SLICE_INIT("talk_started") },
		{ CG_LEG_ID, CG_FIELDS_N, SLICE_INIT("call_proceeding") },
		{ CG_EMPLOYEE_IDS, CG_FIELDS_N, SLICE_INIT("lost_call_session") },
		{ CG_EMPLOYEE_PHONE_NUMBER, CG_FIELDS_N, SLICE_INIT("out_call_session") },
	};

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		if (has(r, shapes[i].field) &&
		    (shapes[i].with == CG_FIELDS_N || has(r, shapes[i].with)))
			return cg_word(shapes[i].mnemonic);
	}
	return NULL;
}

static void find_word(struct reader *r)
{
	r->word = cg_word(text(r, CG_NOTIFICATION_MNEMONIC));
	if (!r->word)
		r->word = cg_word_in_path(r->suffix);
	if (!r->word)
		r->word = cg_word_of_name(text(r, CG_NOTIFICATION_NAME));
	/* A mnemonic that nobody knows is a note, never a guess (contract.md 3.1). */
	if (!r->word && !has(r, CG_NOTIFICATION_MNEMONIC)) {
		r->word = word_by_shape(r);
		r->guessed = r->word != NULL;
	}
}

static bool is_held(const struct reader *r)
{
	static const struct slice yes[] = { SLICE_INIT("on"), SLICE_INIT("hold"),
					    SLICE_INIT("true"), SLICE_INIT("1") };
	const struct slice status = slice_trim(text(r, CG_STATUS));

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (slice_eq_nocase(status, yes[i]))
			return true;
	}
	return false;
}

/* ---- ids ---- */

struct id_field {
	enum cg_field field;
	const char *not_whole, *too_long;
};
#define ID_FIELD(id, name)                                                                         \
	{                                                                                          \
		CG_##id, name " is no whole number", name " is too long"                           \
	}

static const struct id_field session_id = ID_FIELD(CALL_SESSION_ID, "call_session_id");
static const struct id_field leg_id = ID_FIELD(LEG_ID, "leg_id");
static const struct id_field leg_ids = ID_FIELD(LEG_IDS, "leg_ids");
static const struct id_field contact_id = ID_FIELD(CONTACT_ID, "contact_id");
static const struct id_field employee_id = ID_FIELD(EMPLOYEE_ID, "employee_id");

/* rules.md 2: text, unchanged; what was rounded or is negative is undecodable. */
static int check_id(struct reader *r, const struct id_field *what, struct slice id)
{
	if (UNLIKELY(!slice_is_digits(id) && is_figure(id)))
		r->why = what->not_whole;
	else if (UNLIKELY(id.n > ID_BYTES_MAX))
		r->why = what->too_long;
	return r->why ? -EBADMSG : 0;
}

static int read_id(struct reader *r, const struct id_field *what, struct slice *ret)
{
	if (r->f.v[what->field].type != CG_TEXT)
		return 0;
	*ret = text(r, what->field);
	return check_id(r, what, *ret);
}

/* To the end of the list. What says more than an event can hold is undecodable, never cut. */
static int add_item(struct reader *r, struct slice item, const char *too_many)
{
	struct item_list *list = &r->list;

	if (list->n == CALLEV_LIST_MAX) {
		r->why = too_many;
		return -EBADMSG;
	}
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 4 : 8;
		struct slice *v = arena_grow(&r->s->arena, list->v, list->cap * sizeof(*v),
					     cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		list->v = v;
		list->cap = cap;
	}
	list->v[list->n++] = item;
	return 0;
}

static int add_leg(void *arg, struct slice id)
{
	struct reader *r = arg;
	int err = check_id(r, &leg_ids, id);

	return err ? err : add_item(r, id, "too many leg_ids");
}

static int order_of_ids(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;

	return slice_cmp_id(*x, *y);
}

/* Mostly two, in order. */
static void sort_ids(struct slice *ids, size_t n)
{
	if (n > 16) {
		qsort(ids, n, sizeof(*ids), order_of_ids);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		struct slice id = ids[i];
		size_t at = i;

		for (; at > 0 && slice_cmp_id(id, ids[at - 1]) < 0; at--)
			ids[at] = ids[at - 1];
		ids[at] = id;
	}
}

static int read_legs(struct reader *r)
{
	int err;

	r->list = (struct item_list){ NULL, 0, 0 };
	err = cg_each(&r->s->arena, &r->f, CG_LEG_IDS, add_leg, r);
	sort_ids(r->list.v, r->list.n);
	r->ev->leg_ids = r->list.v;
	r->ev->leg_ids_n = r->list.n;
	return err;
}

static int read_ids(struct reader *r)
{
	int err = read_id(r, &session_id, &r->ev->call_session_id);

	if (!err && r->ev->call_session_id.n == 0) {
		r->why = "no call_session_id";
		err = -EBADMSG;
	}
	if (!err)
		err = read_id(r, &leg_id, &r->ev->leg_id);
	if (!err)
		err = read_legs(r);
	if (!err)
		err = read_id(r, &contact_id, &r->ev->contact.id);
	if (!err)
		err = read_id(r, &employee_id, &r->ev->employee.id);
	return err;
}

/* ---- times ---- */

/* In the account's zone, unless the text names its own. */
static int64_t wall(const struct reader *r, enum cg_field field)
{
	const struct slice clock = slice_trim(text(r, field));
	int64_t ms;

	if (!clock.n)
		return TIME_NONE;
	if (tz_wall_read(r->account->tz, clock, r->req->received_at_ms, &ms) &&
	    time_iso_read(clock, &ms))
		return TIME_NONE;
	return ms;
}

/* rules.md 1.2: the timestamp before the wall clock. */
static int64_t time_of(const struct reader *r)
{
	uint64_t seconds;

	if (!slice_u64(text(r, CG_NOTIFICATION_TIMESTAMP), &seconds) &&
	    seconds <= (uint64_t)TIME_MAX_MS / 1000)
		return (int64_t)seconds * 1000;
	return wall(r, CG_NOTIFICATION_TIME);
}

static void read_times(struct reader *r)
{
	r->ev->at_ms = time_of(r);
	r->ev->started_at_ms = wall(r, CG_START_TIME);
	r->time_text = text(r, CG_NOTIFICATION_TIME);
	if (!r->time_text.n)
		r->time_text = text(r, CG_NOTIFICATION_TIMESTAMP);
}

static int64_t duration(const struct reader *r, enum cg_field field)
{
	int64_t ms;

	/* No span is negative: such a figure says nothing. */
	return seconds_read(text(r, field), &ms) || ms < 0 ? CALLEV_NO_NUMBER : ms;
}

/* ---- who, and what every kind may say ---- */

static int read_parties(struct reader *r)
{
	const struct slice phone = text(r, CG_CONTACT_PHONE_NUMBER);
	const struct slice line = text(r, CG_VIRTUAL_PHONE_NUMBER);
	char *digits = arena_alloc(&r->s->arena, phone.n + line.n);
	struct party party;

	if (!digits)
		return -ENOMEM;
	party = party_read(phone, digits);
	r->ev->contact.number = party.number;
	r->ev->contact.uri = party.uri;
	party = party_read(line, digits + phone.n);
	r->ev->line = party.number.n ? party.number : party.uri;
	return 0;
}

static enum direction direction_of(const struct reader *r)
{
	const struct slice said = slice_trim(text(r, CG_DIRECTION));
	const struct slice internal = slice_trim(text(r, CG_IS_INTERNAL));

	if (slice_eq_nocase(internal, SLICE("true")) || slice_is(internal, "1"))
		return DIRECTION_INTERNAL; /* both ends are the office's, whatever the direction */
	if (slice_eq_nocase(said, SLICE("in")))
		return DIRECTION_IN;
	if (slice_eq_nocase(said, SLICE("out")))
		return DIRECTION_OUT;
	return r->word ? r->word->direction : DIRECTION_NONE;
}

static int read_common(struct reader *r)
{
	struct callev *ev = r->ev;

	ev->direction = direction_of(r);
	ev->contact.name = text(r, CG_CONTACT_FULL_NAME);
	ev->employee.extension = extension_read(text(r, CG_EXTENSION_PHONE_NUMBER));
	ev->employee.name = text(r, CG_EMPLOYEE_FULL_NAME);
	ev->call_source = text(r, CG_CALL_SOURCE);
	ev->external_id = text(r, CG_EXTERNAL_ID);
	ev->scenario = text(r, CG_SCENARIO_NAME);
	read_times(r);
	return read_parties(r);
}

/* ---- what single kinds say ---- */

static int add_tag(void *arg, struct slice tag)
{
	return add_item(arg, tag, "too many tag_names");
}

static int read_tags(struct reader *r)
{
	int err;

	r->list = (struct item_list){ NULL, 0, 0 };
	err = cg_each(&r->s->arena, &r->f, CG_TAG_NAMES, add_tag, r);
	r->ev->tags = r->list.v;
	r->ev->tags_n = r->list.n;
	return err;
}

static struct slice reason_of(const struct reader *r)
{
	return has(r, CG_FINISH_REASON) ? text(r, CG_FINISH_REASON) : text(r, CG_LOST_REASON);
}

static int read_end(struct reader *r)
{
	r->ev->ended_at_ms = wall(r, CG_FINISH_TIME);
	r->ev->wait_ms = duration(r, CG_WAIT_TIME_DURATION);
	r->ev->talk_ms = duration(r, CG_TALK_TIME_DURATION);
	r->ev->total_ms = duration(r, CG_TOTAL_TIME_DURATION);
	r->ev->cause.vendor = reason_of(r);
	return read_tags(r);
}

/* rules.md 7: call and link together name a recording, as the vendor does not. */
static int read_recording(struct reader *r)
{
	struct callev *ev = r->ev;
	struct slice name[2] = { SLICE_NONE, text(r, CG_FILE_LINK) };
	char *ids = arena_alloc(&r->s->arena, 2 * UUID_TEXT_LEN);
	struct uuid id;

	if (!ids)
		return -ENOMEM;
	if (!name[1].n)
		return 0;
	uuid_of_call(ev->account, ev->call_session_id, &id);
	uuid_write(&id, ids);
	name[0] = slice_make(ids, UUID_TEXT_LEN);
	uuid_v5(name, ARRAY_LEN(name), &id);
	uuid_write(&id, ids + UUID_TEXT_LEN);
	ev->recording = slice_make(ids + UUID_TEXT_LEN, UUID_TEXT_LEN);
	ev->source_url = name[1];
	ev->duration_ms = duration(r, has(r, CG_FILE_DURATION) ? CG_FILE_DURATION
							       : CG_CALL_RECORD_DURATION);
	return 0;
}

static void read_hold(struct reader *r)
{
	const struct slice by = slice_trim(text(r, CG_BY));

	if (!is_held(r))
		r->ev->kind = CALLEV_LEG_RESUMED;
	else if (slice_eq_nocase(by, SLICE("contact")))
		r->ev->held_by = SIDE_CONTACT;
	else if (slice_eq_nocase(by, SLICE("employee")))
		r->ev->held_by = SIDE_EMPLOYEE;
}

static int write_tag(void *arg, struct slice tag)
{
	jo_text(arg, tag);
	return 0;
}

/* Its name is the vendor's word, or what the administrator called it; what was said are the tags.
 */
static int read_note(struct reader *r)
{
	struct buf *out = &r->s->text;
	struct json_out j = jo_make(out);
	int err;

	r->ev->name = text(r, CG_NOTIFICATION_MNEMONIC);
	if (r->word)
		r->ev->name = r->word->mnemonic;
	else if (!r->ev->name.n)
		r->ev->name = text(r, CG_NOTIFICATION_NAME);
	if (!has(r, CG_TAG_NAMES))
		return 0;
	buf_reset(out);
	jo_begin_object(&j);
	JO_KEY(&j, "tag_names");
	jo_begin_array(&j);
	err = cg_each(&r->s->arena, &r->f, CG_TAG_NAMES, write_tag, &j);
	jo_end_array(&j);
	jo_end_object(&j);
	r->ev->text = buf_slice(out);
	return err || !out->bad ? err : -ENOMEM;
}

static int read_own(struct reader *r)
{
	switch (r->ev->kind) {
	case CALLEV_CALL_ENDED:
		return read_end(r);
	case CALLEV_CALL_LOST:
		r->ev->wait_ms = duration(r, CG_WAIT_TIME_DURATION);
		r->ev->cause.vendor = reason_of(r);
		return 0;
	case CALLEV_TALK_ENDED:
		r->ev->talk_ms = duration(r, CG_TALK_TIME_DURATION);
		return 0;
	case CALLEV_RECORDING_AVAILABLE:
		return read_recording(r);
	case CALLEV_LEG_HELD:
		read_hold(r);
		return 0;
	case CALLEV_NOTE:
		return read_note(r);
	default:
		return 0;
	}
}

/* The leg, or the legs sorted and joined; p is NULL without memory. */
static struct slice legs_key(const struct reader *r)
{
	const struct callev *ev = r->ev;
	size_t n = 0, room = 1;
	char *key;

	if (ev->leg_id.n)
		return ev->leg_id;
	for (size_t i = 0; i < ev->leg_ids_n; i++)
		room += ev->leg_ids[i].n + 1;
	key = arena_alloc(&r->s->arena, room);
	for (size_t i = 0; key && i < ev->leg_ids_n; i++) {
		if (i)
			key[n++] = ',';
		memcpy(key + n, ev->leg_ids[i].p, ev->leg_ids[i].n);
		n += ev->leg_ids[i].n;
	}
	return slice_make(key, n);
}

/* rules.md 2: account, source, then kind, session, legs, time and link; of a note its name instead
 * of the kind, and no link. */
static int name_event(struct reader *r)
{
	struct callev *ev = r->ev;
	bool note = ev->kind == CALLEV_NOTE;
	const struct slice parts[] = {
		ev->account,
		ev->source,
		note ? ev->name : slice_of(callev_kind_text(ev->kind)),
		ev->call_session_id,
		legs_key(r),
		r->time_text,
		ev->source_url,
	};

	if (!parts[4].p)
		return -ENOMEM;
	uuid_v5(parts, ARRAY_LEN(parts) - note, &ev->id);
	return 0;
}

static int read_event(struct reader *r)
{
	int err = read_ids(r);

	if (err)
		return err;
	find_word(r);
	r->ev->kind = r->word ? r->word->kind : CALLEV_NOTE;
	err = read_common(r);
	if (!err)
		err = read_own(r);
	return err ? err : name_event(r);
}

static int decode(const struct cfg_account *account, const struct vendor_request *req,
		  const struct dialect_door *door, struct dialect_scratch *s,
		  struct dialect_result *res)
{
	struct reader r;
	int err;

	res->why = door_refusal(account, req, door);
	if (res->why) {
		res->verdict = DIALECT_REFUSED;
		res->status = 403;
		res->kind = "refused";
		return 0;
	}
	r.account = account;
	r.req = req;
	r.suffix = door->suffix;
	r.s = s;
	r.ev = &res->ev;
	r.guessed = false;
	r.why = NULL;
	err = cg_fields_read(&s->arena, slice_is(req->method, "GET"), door->query, req->body, &r.f,
			     &r.why);
	if (!err)
		err = read_event(&r);
	res->guessed = r.guessed;
	if (err != -EBADMSG)
		return err;
	res->verdict = DIALECT_DEAD;
	res->why = r.why;
	res->kind = "undecodable";
	return 0;
}

const struct dialect dialect_callgear = { .source = "callgear", .decode = decode };
