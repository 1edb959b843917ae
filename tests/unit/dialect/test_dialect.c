/* What every dialect shares: the door, refusals, the result's flags, dead letters. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "dialect/dialect.h"
#include "dialect/door.h"
#include "unit/base/rows.h"

static struct dialect_scratch *scratch;
static struct cfg_employee employees[] = { { "48213", "101", "Dana" }, { "5", "", "" } };
static const char *networks[] = { "10.0.0.0/8" };
static struct cfg_account account; /* made anew for each test */

#define TALK "{\"notification_mnemonic\":\"talk_started\",\"call_session_id\":7"

static int setup(void **state)
{
	(void)state;
	account = (struct cfg_account){
		.name = "acme",
		.source = "callgear",
		.token = "t0ken",
		.token_previous = "",
		.keep_raw = true,
		.employees = employees,
		.employees_n = ARRAY_LEN(employees),
	};
	if (tz_load("UTC", &account.tz))
		return -1;
	scratch = dialect_scratch_new();
	return scratch ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	dialect_scratch_free(scratch);
	tz_free(account.tz);
	return 0;
}

static struct dialect_result decode(const char *path, const char *body)
{
	const struct vendor_request req = { .method = SLICE("POST"),
					    .path = slice_of(path),
					    .body = slice_of(body),
					    .received_at_ms = 0 };
	struct dialect_result res;

	memset(&res, 0x5a, sizeof(res));
	assert_int_equal(dialect_decode(&account, &req, scratch, &res), 0);
	return res;
}

static void sources(void **state)
{
	struct dialect_result res;

	(void)state;
	assert_non_null(dialect_find(SLICE("callgear")));
	assert_null(dialect_find(SLICE("mango")));
	assert_null(dialect_find(SLICE_NONE));
	account.source = "mango";
	res = decode("/t0ken", TALK "}");
	assert_int_equal(res.verdict, DIALECT_REFUSED);
	assert_int_equal(res.status, 404);
	dialect_scratch_free(NULL);
}

static void flags(void **state)
{
	struct dialect_result res = decode("/t0ken", TALK ",\"employee_id\":48213}");

	(void)state;
	assert_int_equal(res.verdict, DIALECT_EVENT);
	assert_string_equal(res.kind, "talk.started");
	assert_false(res.guessed || res.unmapped);
	assert_true(slice_is(res.ev.employee.extension, "101"));

	assert_true(decode("/t0ken", TALK ",\"employee_id\":6}").unmapped);
	assert_true(decode("/t0ken", TALK ",\"employee_id\":5}").unmapped);
	assert_false(
	    decode("/t0ken", TALK ",\"employee_id\":6,\"employee_full_name\":\"B\"}").unmapped);
	assert_false(decode("/t0ken", TALK "}").unmapped);

	res = decode("/t0ken", "{\"call_session_id\":7,\"leg_id\":1}");
	assert_true(res.guessed);
	assert_string_equal(res.kind, "leg.ringing");
	assert_false(decode("/t0ken", "{\"call_session_id\":7}").guessed);

	res = decode("/t0ken", "{");
	assert_int_equal(res.verdict, DIALECT_DEAD);
	assert_string_equal(res.kind, "undecodable");
	res = decode("/t0ke", "{");
	assert_int_equal(res.verdict, DIALECT_REFUSED);
	assert_int_equal(res.status, 403);
	assert_string_equal(res.kind, "refused");
}

/* A talk or an end with so many items, the greatest first. */
static struct dialect_result decode_list(const char *head, int n)
{
	struct dialect_result res;
	struct buf body = BUF_EMPTY;

	buf_printf(&body, "%s:[%d", head, n);
	for (int i = n - 1; i > 0; i--)
		buf_printf(&body, ",%d", i);
	buf_add_text(&body, "]}");
	buf_add_char(&body, '\0');
	res = decode("/t0ken", body.p);
	for (size_t i = 0; i < res.ev.leg_ids_n && res.verdict == DIALECT_EVENT; i++)
		assert_int_equal(strtol(res.ev.leg_ids[i].p, NULL, 10), i + 1);
	buf_fini(&body);
	return res;
}

/* No id is dropped: what is more than an event can hold is kept as the request that it is. */
static void lists_are_whole_or_dead(void **state)
{
	static const int sizes[] = { 1, 2, 8, 9, 16, 17, 33, 1000, CALLEV_LIST_MAX };
	static const char end[] = "{\"notification_mnemonic\":\"call_session_finished\","
				  "\"call_session_id\":7,\"tag_names\"";
	struct dialect_result res;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		res = decode_list(TALK ",\"leg_ids\"", sizes[i]);
		assert_int_equal(res.verdict, DIALECT_EVENT);
		assert_int_equal(res.ev.leg_ids_n, sizes[i]);
		res = decode_list(end, sizes[i]);
		assert_int_equal(res.verdict, DIALECT_EVENT);
		assert_int_equal(res.ev.tags_n, sizes[i]);
	}
	res = decode_list(TALK ",\"leg_ids\"", CALLEV_LIST_MAX + 1);
	assert_int_equal(res.verdict, DIALECT_DEAD);
	assert_string_equal(res.why, "too many leg_ids");
	res = decode_list(end, CALLEV_LIST_MAX + 1);
	assert_int_equal(res.verdict, DIALECT_DEAD);
	assert_string_equal(res.why, "too many tag_names");
}

static void refused_only_where_nothing_authenticates(void **state)
{
	(void)state;
	account.token = "";
	assert_int_equal(decode("", TALK "}").status, 403);
	account.insecure = true;
	assert_int_equal(decode("", TALK "}").verdict, DIALECT_EVENT);
	account.token = "t0ken"; /* then it counts */
	assert_int_equal(decode("", TALK "}").status, 403);
	account.token = "";
	account.token_previous = "older";
	assert_int_equal(decode("", TALK "}").status, 403);
	assert_int_equal(decode("/older", TALK "}").verdict, DIALECT_EVENT);
	account.token_previous = "";
	account.allow_from = (struct cfg_texts){ networks, 1 };
	assert_int_equal(decode("", TALK "}").verdict, DIALECT_EVENT);
}

static const struct door_row {
	const char *name; /* the path */
	const char *query, *peer;
	const char *suffix, *rest, *raw_path;
	bool token, network;
} door_rows[] = {
	{ "", "", "", "", "", "/", false, false },
	{ "/", "", "", "", "", "/", false, false },
	{ "/t0ken", "", "", "", "", "/", true, false },
	{ "/t0ken/", "", "", "", "", "/", true, false },
	{ "t0ken", "", "", "", "", "/", true, false },
	{ "/a/t0ken", "", "", "a", "", "/a", true, false },
	{ "a/b/t0ken", "", "", "a/b", "", "/a/b", true, false },
	{ "//a//t0ken//", "", "", "a", "", "/a", true, false },
	{ "/a/%740ken", "", "", "a", "", "/a", true, false },
	{ "/t0ken/a", "", "", "t0ken/a", "", "/t0ken/a", false, false },
	{ "/T0KEN", "", "", "T0KEN", "", "/T0KEN", false, false },
	{ "/a", "token=t0ken", "", "a", "", "/a", true, false },
	{ "/a", "x=1&token=t0ken&y=2", "", "a", "x=1&y=2", "/a", true, false },
	{ "/a", "token=no&x=1&token=t0ken", "", "a", "x=1", "/a", false, false },
	{ "/t0ken", "token=no", "", "", "", "/", true, false },
	{ "/a", "token=", "10.1.2.3", "a", "", "/a", false, true },
	{ "/a", "x=1", "11.1.2.3", "a", "x=1", "/a", false, false },
	{ "/a", "x=1", "somewhere", "a", "x=1", "/a", false, false },
};

static void door(void **state)
{
	const struct door_row *row = *state;
	const struct vendor_request req = { .method = SLICE("POST"),
					    .path = slice_of(row->name),
					    .query = slice_of(row->query),
					    .peer = slice_of(row->peer) };
	struct dialect_door got;

	assert_int_equal(setup(NULL), 0);
	account.allow_from = (struct cfg_texts){ networks, 1 };
	assert_int_equal(door_read(&account, &req, scratch, &got), 0);
	assert_true(slice_is(got.suffix, row->suffix));
	assert_true(slice_is(got.query, row->rest));
	assert_int_equal(got.token, row->token);
	assert_int_equal(got.network, row->network);
	assert_true(slice_is(door_path(&got, &req, scratch), row->raw_path));
	teardown(NULL);
}

static json_t *dead_letter(const struct vendor_request *req)
{
	struct buf out = BUF_EMPTY;
	json_t *letter;

	dialect_dead_letter(&account, req, "not JSON", &out);
	assert_false(out.bad);
	letter = json_loadb(out.p, out.n, 0, NULL);
	assert_non_null(letter);
	assert_null(memmem(out.p, out.n, "t0ken", 5));
	buf_fini(&out);
	return letter;
}

static const char *member(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void dead(void **state)
{
	struct vendor_request req = { .method = SLICE("POST"),
				      .path = SLICE("/a/t0ken"),
				      .query = SLICE("x=1&token=t0ken"),
				      .content_type = SLICE("text/plain"),
				      .body = SLICE("{\""),
				      .received_at_ms = 1000 };
	json_t *first, *second, *third, *original;

	(void)state;
	account.keep_raw = false; /* a dead letter keeps what nobody else has */
	first = dead_letter(&req);
	original = json_object_get(first, "original");
	assert_string_equal(member(first, "schema"), "callstream.dead/1");
	assert_string_equal(member(first, "reason"), "undecodable: not JSON");
	assert_string_equal(member(first, "account"), "acme");
	assert_string_equal(member(first, "at"), "1970-01-01T00:00:01.000Z");
	assert_string_equal(member(original, "method"), "POST");
	assert_string_equal(member(original, "path"), "/a");
	assert_string_equal(member(original, "type"), "text/plain");
	assert_string_equal(member(original, "body"), "{\"");
	assert_null(json_object_get(original, "query"));

	req.received_at_ms = 2000;
	second = dead_letter(&req);
	assert_string_equal(member(second, "id"), member(first, "id"));
	req.body = SLICE("\xff");
	third = dead_letter(&req);
	assert_string_not_equal(member(third, "id"), member(first, "id"));
	assert_string_equal(member(json_object_get(third, "original"), "body_base64"), "/w==");
	json_decref(third);
	req.method = SLICE("GET");
	req.body = SLICE_NONE;
	third = dead_letter(&req);
	assert_string_equal(member(json_object_get(third, "original"), "query"), "x=1");
	assert_null(json_object_get(json_object_get(third, "original"), "body"));
	json_decref(third);
	json_decref(second);
	json_decref(first);
}

/* A scratch serves one request after the other, big ones between small ones. */
static void scratch_again(void **state)
{
	const size_t n = 1 << 20;
	char *big = malloc(n + 1);

	(void)state;
	assert_non_null(big);
	memset(big, ' ', n);
	memcpy(big, "{\"x\":\"", 6);
	memcpy(big + n - 24, "\",\"call_session_id\":1e0}", 24);
	big[n] = '\0';
	for (int i = 0; i < 3; i++) {
		assert_string_equal(decode("/t0ken", big).why,
				    "call_session_id is no whole number");
		assert_true(slice_is(decode("/t0ken", TALK "}").ev.call_session_id, "7"));
	}
	assert_non_null(dialect_scratch_alloc(scratch, 10));
	free(big);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test_setup_teardown(sources, setup, teardown),
		cmocka_unit_test_setup_teardown(flags, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_are_whole_or_dead, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_only_where_nothing_authenticates, setup,
						teardown),
		cmocka_unit_test_setup_teardown(dead, setup, teardown),
		cmocka_unit_test_setup_teardown(scratch_again, setup, teardown),
	};
	int failed = RUN_ROWS("doors", door, door_rows);

	failed += cmocka_run_group_tests_name("dialects", single, NULL, NULL);
	return failed != 0;
}
