#include "dialect/callgear/fields.h"

#include <errno.h>

#include "wire/form.h"
#include "wire/utf8.h"

#define GROUPS_MAX 32
#define NAME_MAX_N 24

static const struct slice names[CG_FIELDS_N] = {
#define CG_FIELD_NAME(id, name) [CG_##id] = SLICE_INIT(name),
	CG_FIELDS(CG_FIELD_NAME)
#undef CG_FIELD_NAME
};

/* The first field whose name has this length. */
static const uint8_t first_of_length[NAME_MAX_N] = {
	[2] = CG_BY,
	[6] = CG_LEG_ID,
	[7] = CG_LEG_IDS,
	[9] = CG_DIRECTION,
	[10] = CG_CONTACT_ID,
	[11] = CG_CALL_SOURCE,
	[12] = CG_EMPLOYEE_IDS,
	[13] = CG_FILE_DURATION,
	[15] = CG_CALL_SESSION_ID,
	[17] = CG_CONTACT_FULL_NAME,
	[18] = CG_EMPLOYEE_FULL_NAME,
	[19] = CG_TOTAL_TIME_DURATION,
	[20] = CG_CALL_RECORD_DURATION,
	[21] = CG_EMPLOYEE_PHONE_NUMBER,
	[22] = CG_EXTENSION_PHONE_NUMBER,
};

static uint64_t eight(const char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

/* Both have n bytes, fewer than NAME_MAX_N: three words that may overlap are all of them. */
static bool same(const char *a, const char *b, size_t n)
{
	if (n < 8)
		return memcmp(a, b, n) == 0;
	return eight(a) == eight(b) && eight(a + n - 8) == eight(b + n - 8) &&
	       (n <= 16 || eight(a + 8) == eight(b + 8));
}

enum cg_field cg_field_of(struct slice name)
{
	if (name.n == 0 || name.n >= NAME_MAX_N)
		return CG_FIELDS_N;
	for (unsigned i = first_of_length[name.n]; i < CG_FIELDS_N && names[i].n == name.n; i++) {
		if (same(names[i].p, name.p, name.n))
			return (enum cg_field)i;
	}
	return CG_FIELDS_N;
}

static void set_absent(struct cg_value *v, uint8_t level)
{
	v->text = SLICE_NONE;
	v->list = NULL;
	v->type = CG_ABSENT;
	v->level = level;
}

static void set_text(struct cg_value *v, struct slice text, uint8_t level)
{
	set_absent(v, level);
	if (text.n == 0 || slice_eq(text, SLICE("null")) || slice_eq(text, SLICE("None")) ||
	    is_macro(text))
		return;
	v->text = text;
	v->type = CG_TEXT;
}

/* ---- JSON ---- */

static void set_json(struct cg_value *v, yyjson_val *json, uint8_t level)
{
	if (yyjson_is_arr(json)) {
		set_absent(v, level);
		v->list = json;
		v->type = CG_LIST;
		return;
	}
	set_text(v, json_text(json), level);
	if (yyjson_is_bool(json))
		v->type = CG_BOOL;
}

static void take(struct cg_fields *f, struct slice key, yyjson_val *v, uint8_t level)
{
	enum cg_field field = cg_field_of(key);

	if (field == CG_FIELDS_N)
		return;
	if (f->v[field].type == CG_ABSENT || f->v[field].level == level)
		set_json(&f->v[field], v, level);
}

struct groups {
	struct slice key[GROUPS_MAX];
	yyjson_val *v[GROUPS_MAX];
	uint8_t n;
};

/* Keeps an object of the top level; of two with one key the last counts, in the first's place. */
static void keep_group(struct groups *g, struct slice key, yyjson_val *v)
{
	bool object = yyjson_is_obj(v);

	for (uint8_t i = 0; i < g->n; i++) {
		if (slice_eq(g->key[i], key)) {
			g->v[i] = object ? v : NULL;
			return;
		}
	}
	if (object && g->n < GROUPS_MAX) {
		g->key[g->n] = key;
		g->v[g->n++] = v;
	}
}

static void read_object(struct cg_fields *f, yyjson_val *object, uint8_t level, struct groups *g)
{
	yyjson_obj_iter iter = yyjson_obj_iter_with(object);
	yyjson_val *k;

	while ((k = yyjson_obj_iter_next(&iter))) {
		yyjson_val *v = yyjson_obj_iter_get_val(k);
		struct slice key = slice_make(yyjson_get_str(k), yyjson_get_len(k));

		if (g && (g->n || yyjson_is_obj(v)))
			keep_group(g, key, v);
		take(f, key, v, level);
	}
}

static int parse(struct arena *a, struct slice body, yyjson_val **ret)
{
	int err = json_read(a, body, ret);
	char *mended;

	if (err != -EBADMSG)
		return err;
	mended = arena_alloc(a, body.n);
	if (!mended)
		return -ENOMEM;
	return json_read(a, slice_make(mended, json_mend(body, mended)), ret);
}

static int read_json(struct arena *a, struct slice body, struct cg_fields *f, const char **why)
{
	struct groups groups;
	yyjson_val *root;
	int err = parse(a, body, &root);

	if (err) {
		*why = slice_is_utf8(body) ? "not JSON" : "not UTF-8";
		return err;
	}
	groups.n = 0;
	read_object(f, root, 0, &groups);
	for (uint8_t i = 0; i < groups.n; i++) {
		if (groups.v[i])
			read_object(f, groups.v[i], (uint8_t)(i + 1), NULL);
	}
	return 0;
}

/* ---- forms ---- */

/* Decoded and in any case UTF-8; p is NULL without memory. */
static struct slice decoded(struct arena *a, struct slice coded)
{
	struct slice text = coded;
	char *room;

	if (!form_is_plain(coded)) {
		room = arena_alloc(a, coded.n);
		if (!room)
			return SLICE_NONE;
		text = slice_make(room, form_decode(coded, room));
	}
	if (LIKELY(slice_is_utf8(text)))
		return text;
	room = arena_alloc(a, text.n * 3);
	return slice_make(room, room ? utf8_mend(text, room) : 0);
}

static struct slice without_quotes(struct slice text)
{
	if (text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"')
		return slice_make(text.p + 1, text.n - 2);
	return text;
}

/* A list where text can be read as one; *ret is NULL otherwise. 0 or -ENOMEM. */
static int list_of(struct arena *a, struct slice text, yyjson_val **ret)
{
	int err = -EBADMSG;

	*ret = NULL;
	if (text.n >= 2 && text.p[0] == '[')
		err = json_read(a, text, ret);
	return err == -EBADMSG ? 0 : err;
}

static int take_form(struct arena *a, struct cg_fields *f, enum cg_field field, struct slice text)
{
	yyjson_val *list;
	int err;

	text = without_quotes(text);
	err = list_of(a, text, &list);
	if (err)
		return err;
	if (list)
		set_json(&f->v[field], list, 1);
	else
		set_text(&f->v[field], text, 1);
	return 0;
}

/* The vendor's own template lacks the '&' before this key. */
static int split_glued(struct arena *a, struct cg_fields *f, struct slice value)
{
	const struct slice glued = SLICE("employee_full_name=");
	const char *at = value.n ? memmem(value.p, value.n, glued.p, glued.n) : NULL;

	if (!at || f->v[CG_EMPLOYEE_FULL_NAME].level)
		return 0;
	return take_form(a, f, CG_EMPLOYEE_FULL_NAME,
			 slice_skip(value, (size_t)(at - value.p) + glued.n));
}

static int read_pair(struct arena *a, struct cg_fields *f, struct slice coded_key,
		     struct slice coded_value)
{
	struct slice key = decoded(a, coded_key), value;
	enum cg_field field = cg_field_of(key);
	int err;

	if (coded_key.n && !key.p)
		return -ENOMEM;
	if (field == CG_FIELDS_N || f->v[field].level)
		return 0;
	value = decoded(a, coded_value);
	if (coded_value.n && !value.p)
		return -ENOMEM;
	err = take_form(a, f, field, value);
	return err || field != CG_COMMUNICATION_NUMBER ? err : split_glued(a, f, value);
}

/* Level 0 is what no pair has told yet, so that the first one counts. */
static int read_form(struct arena *a, struct slice text, struct cg_fields *f, const char **why)
{
	struct slice key, value;
	bool any = false;
	int err = 0;

	while (!err && form_next(&text, &key, &value)) {
		any = true;
		err = read_pair(a, f, key, value);
	}
	if (any)
		return err;
	*why = "no fields";
	return -EBADMSG;
}

static struct slice without_mark(struct slice body)
{
	if (slice_starts(body, SLICE("\xef\xbb\xbf")))
		body = slice_skip(body, 3);
	return slice_trim(body);
}

int cg_fields_read(struct arena *a, bool get, struct slice query, struct slice body,
		   struct cg_fields *ret, const char **why)
{
	memset(ret, 0, sizeof(*ret));
	if (get)
		return read_form(a, query, ret, why);
	body = without_mark(body);
	if (body.n && body.p[0] == '{')
		return read_json(a, body, ret, why);
	if (!slice_is_utf8(body)) {
		*why = "not UTF-8";
		return -EBADMSG;
	}
	return read_form(a, body, ret, why);
}

int cg_each(struct arena *a, const struct cg_fields *f, enum cg_field field, cg_item_fn *each,
	    void *arg)
{
	const struct cg_value *value = &f->v[field];
	yyjson_val *list = value->list, *item;
	yyjson_arr_iter iter;
	int err = 0;

	if (value->type != CG_TEXT && value->type != CG_LIST)
		return 0;
	if (!list)
		err = list_of(a, value->text, &list);
	if (err)
		return err;
	if (!list)
		return each(arg, value->text);
	iter = yyjson_arr_iter_with(list);
	while (!err && (item = yyjson_arr_iter_next(&iter))) {
		struct slice text = yyjson_is_bool(item) ? SLICE_NONE : json_text(item);

		if (text.n && !is_macro(text))
			err = each(arg, text);
	}
	return err;
}
