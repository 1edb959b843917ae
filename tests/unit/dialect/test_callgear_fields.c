/* Where the values of a request are found, and which of two counts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dialect/callgear/fields.h"
#include "unit/base/rows.h"

static void every_name_is_found(void **state)
{
	static const char *const names[] = {
#define FIELD_NAME(id, name) [CG_##id] = (name),
		CG_FIELDS(FIELD_NAME)
#undef FIELD_NAME
	};

	(void)state;
	for (size_t i = 0; i < CG_FIELDS_N; i++) {
		const struct slice name = slice_of(names[i]);
		char other[32] = "";

		assert_int_equal(cg_field_of(name), i);
		memcpy(other, name.p, name.n);
		other[name.n] = '_';
		assert_int_equal(cg_field_of(slice_make(other, name.n + 1)), CG_FIELDS_N);
		for (size_t k = 0; k < name.n; k++) {
			other[k] ^= 1; /* each byte counts */
			assert_int_not_equal(cg_field_of(slice_make(other, name.n)), i);
			other[k] ^= 1;
		}
	}
	assert_int_equal(cg_field_of(SLICE_NONE), CG_FIELDS_N);
	assert_int_equal(cg_field_of(SLICE("a_name_longer_than_all_of_ours")), CG_FIELDS_N);
}

static const struct row {
	const char *name;
	bool get;
	const char *content; /* the query of a GET, else the body */
	const char *session, *direction;
	const char *why; /* it cannot be read */
} rows[] = {
	{ "flat", false, "{\"call_session_id\":1,\"direction\":\"in\"}", "1", "in", NULL },
	{ "groups", false, "{\"x\":{\"call_session_id\":1},\"y\":{\"direction\":\"in\"}}", "1",
	  "in", NULL },
	{ "top level first, though behind", false,
	  "{\"x\":{\"call_session_id\":1},\"call_session_id\":2}", "2", "", NULL },
	{ "absent above, then the group", false,
	  "{\"call_session_id\":\"\",\"x\":{\"call_session_id\":1}}", "1", "", NULL },
	{ "an object is absent, and a group", false,
	  "{\"call_session_id\":{\"direction\":\"out\"},\"x\":{\"call_session_id\":1}}", "1", "out",
	  NULL },
	{ "of two the last", false, "{\"call_session_id\":1,\"call_session_id\":2}", "2", "",
	  NULL },
	{ "what a template wrote for null", false,
	  "{\"call_session_id\":\"None\",\"direction\":\"null\"}", "", "", NULL },
	{ "of two the last, though null", false, "{\"call_session_id\":1,\"call_session_id\":null}",
	  "", "", NULL },
	{ "of two in a group the last", false,
	  "{\"x\":{\"direction\":\"in\",\"direction\":\"out\"}}", "", "out", NULL },
	{ "of two groups of one name the last", false,
	  "{\"x\":{\"direction\":\"in\"},\"x\":{\"call_session_id\":1}}", "1", "", NULL },
	{ "group that became a number", false, "{\"x\":{\"direction\":\"in\"},\"x\":1}", "", "",
	  NULL },
	{ "group of one of our names that became a text", false,
	  "{\"direction\":{\"call_session_id\":1},\"direction\":\"in\"}", "", "in", NULL },
	{ "not one level deeper", false, "{\"x\":{\"y\":{\"direction\":\"in\"}}}", "", "", NULL },
	{ "form", false, "call_session_id=1&direction=in", "1", "in", NULL },
	{ "form, the first of two", false, "direction=in&direction=out", "", "in", NULL },
	{ "form, the first of two, though empty", false, "direction=&direction=out", "", "", NULL },
	{ "query", true, "call_session_id=%31&dir%65ction=%22in%22", "1", "in", NULL },
	{ "query that begins like JSON", true, "{&direction=in", "", "in", NULL },
	{ "no query", true, "", "", "", "no fields" },
	{ "no body", false, "", "", "", "no fields" },
	{ "blanks only", false, " \r\n ", "", "", "no fields" },
	{ "half a body", false, "{\"call_session_id\":1", "", "", "not JSON" },
	{ "no UTF-8", false, "{\"x\":\"\xff\"}", "", "", "not UTF-8" },
	{ "no UTF-8 in a form", false, "x=\xff", "", "", "not UTF-8" },
};

static void check(void **state)
{
	const struct row *row = *state;
	const struct slice content = slice_of(row->content);
	struct arena a = ARENA_EMPTY;
	struct cg_fields f;
	const char *why = NULL;
	int err = cg_fields_read(&a, row->get, row->get ? content : SLICE("direction=x"),
				 row->get ? SLICE("{}") : content, &f, &why);

	assert_int_equal(err, row->why ? -EBADMSG : 0);
	if (row->why) {
		assert_string_equal(why, row->why);
	} else {
		assert_true(slice_is(cg_text(&f, CG_CALL_SESSION_ID), row->session));
		assert_true(slice_is(cg_text(&f, CG_DIRECTION), row->direction));
		assert_int_equal(cg_has(&f, CG_DIRECTION), row->direction[0] != '\0');
	}
	arena_fini(&a);
}

/* More groups than are kept: the first ones count, the others cost nothing. */
static void many_groups(void **state)
{
	char body[8192];
	size_t n = 1;
	struct arena a = ARENA_EMPTY;
	struct cg_fields f;
	const char *why;

	(void)state;
	body[0] = '{';
	for (int i = 0; i < 100; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "\"g%d\":{\"%s\":%d},", i,
				      i == 5    ? "leg_id"
				      : i == 99 ? "call_session_id"
						: "x",
				      i);
	body[n - 1] = '}';
	assert_int_equal(cg_fields_read(&a, false, SLICE_NONE, slice_make(body, n), &f, &why), 0);
	assert_true(slice_is(cg_text(&f, CG_LEG_ID), "5"));
	assert_false(cg_has(&f, CG_CALL_SESSION_ID));
	arena_fini(&a);
}

static int join(void *arg, struct slice item)
{
	char *joined = arg;

	if (slice_is(item, "stop"))
		return -EBADMSG;
	snprintf(joined + strlen(joined), 32, "%.*s;", SLICE_ARG(item));
	return 0;
}

static const struct list_row {
	const char *name; /* the JSON value */
	const char *items;
	int err;
} list_rows[] = {
	{ "null", "", 0 },
	{ "[]", "", 0 },
	{ "[1,2]", "1;2;", 0 },
	{ "[1,\"b\",null,\"\",true,[3],{\"x\":4},\"{{m}}\",5e1]", "1;b;5e1;", 0 },
	{ "7", "7;", 0 },
	{ "\"b\"", "b;", 0 },
	{ "\"[1,2]\"", "1;2;", 0 },
	{ "\"[1,\"", "[1,;", 0 },
	{ "true", "", 0 },
	{ "{\"a\":1}", "", 0 },
	{ "[1,\"stop\",2]", "1;", -EBADMSG },
};

static void list(void **state)
{
	const struct list_row *row = *state;
	char body[128], joined[256] = "";
	struct arena a = ARENA_EMPTY;
	struct cg_fields f;
	const char *why;

	snprintf(body, sizeof(body), "{\"leg_ids\":%s}", row->name);
	assert_int_equal(cg_fields_read(&a, false, SLICE_NONE, slice_of(body), &f, &why), 0);
	assert_int_equal(cg_each(&a, &f, CG_LEG_IDS, join, joined), row->err);
	assert_string_equal(joined, row->items);
	arena_fini(&a);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(every_name_is_found),
		cmocka_unit_test(many_groups),
	};
	int failed = RUN_ROWS("fields", check, rows);

	failed += RUN_ROWS("lists", list, list_rows);
	failed += cmocka_run_group_tests_name("names and groups", single, NULL, NULL);
	return failed != 0;
}
