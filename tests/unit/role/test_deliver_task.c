/* Spans of JSON, tasks and ledger entries as they lie in the log. */
#include "../base/rows.h"

#include <errno.h>
#include <stdio.h>

#include "role/deliver_json.h"
#include "role/deliver_task.h"

#define CALL "11111111-1111-5111-8111-111111111111"

/* ---- spans ---- */

struct span_row {
	const char *name, *json;
	const char *want; /* "key=value;" of each member; NULL: damaged */
};

static const struct span_row span_rows[] = {
	{ "nothing in it", "{}", "" },
	{ "blanks", " { \"a\" : 1 , \"b\" :\t\"x\" } \n", "a=1;b=\"x\";" },
	{ "nested values whole", "{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":[]}",
	  "a={\"b\":[1,{\"c\":2}]};d=[];" },
	{ "brackets in texts", "{\"a\":\"}]\\\"{\",\"b\":[\"]}\"]}", "a=\"}]\\\"{\";b=[\"]}\"];" },
	{ "words", "{\"a\":true,\"b\":null,\"c\":-1.5e3}", "a=true;b=null;c=-1.5e3;" },
	{ "a backslash at the end of a text", "{\"a\":\"\\\\\"}", "a=\"\\\\\";" },
	{ "no object", "[1]", NULL },
	{ "empty", "", NULL },
	{ "cut", "{\"a\":1", NULL },
	{ "cut in a text", "{\"a\":\"x", NULL },
	{ "cut behind a backslash", "{\"a\":\"x\\", NULL },
	{ "cut in a nested one", "{\"a\":[1,{}", NULL },
	{ "cut behind a key", "{\"a\"", NULL },
	{ "cut behind a colon", "{\"a\":", NULL },
	{ "cut behind a comma", "{\"a\":1,", NULL },
	{ "no comma", "{\"a\":1 \"b\":2}", NULL },
	{ "no colon", "{\"a\" 1}", NULL },
	{ "key is no text", "{a:1}", NULL },
	{ "no value", "{\"a\":}", NULL },
	{ "something behind it", "{\"a\":1}x", NULL },
};

static void check_spans(void **state)
{
	const struct span_row *row = *state;
	struct json_spans spans = json_spans_of(slice_of(row->json));
	struct buf got = BUF_EMPTY;
	struct json_span span;

	while (json_spans_next(&spans, &span))
		buf_printf(&got, "%.*s=%.*s;", SLICE_ARG(span.key), SLICE_ARG(span.value));
	assert_int_equal(row->want == NULL, spans.bad);
	if (row->want)
		assert_true(slice_is(buf_slice(&got), row->want));
	assert_false(json_spans_next(&spans, &span));
	buf_fini(&got);
}

static void values_of_spans(void **state UNUSED)
{
	uint32_t small;
	int64_t large;

	assert_true(slice_is(json_span_text(SLICE("\"x\"")), "x"));
	assert_int_equal(0, json_span_text(SLICE("\"a\\n\"")).n); /* escapes: not ours */
	assert_int_equal(0, json_span_text(SLICE("12")).n);
	assert_int_equal(0, json_span_text(SLICE("\"")).n);
	assert_int_equal(0, json_span_u32(SLICE("4294967295"), &small));
	assert_int_equal(UINT32_MAX, small);
	assert_int_equal(-EINVAL, json_span_u32(SLICE("4294967296"), &small));
	assert_int_equal(-EINVAL, json_span_u32(SLICE("-1"), &small));
	assert_int_equal(-EINVAL, json_span_u32(SLICE("1.0"), &small));
	assert_int_equal(0, json_span_i64(SLICE("-7"), &large));
	assert_int_equal(-7, large);
	assert_int_equal(-EINVAL, json_span_i64(SLICE("x"), &large));
	assert_true(json_span_true(SLICE("true")));
	assert_false(json_span_true(SLICE("\"true\"")));
}

/* ---- tasks ---- */

static const struct task example = {
	.sink = SLICE_INIT("crm"),
	.call = SLICE_INIT(CALL),
	.revision = 3,
	.at_ms = 1767225600123,
	.record = SLICE_INIT("{\"x\": \"\\u0041\",  \"y\":[1.50]}"),
};

static void a_task_carries_its_record_byte_for_byte(void **state UNUSED)
{
	struct buf json = BUF_EMPTY;
	struct task task;

	task_write(&json, &example);
	assert_true(slice_is(buf_slice(&json),
			     "{\"schema\":\"callstream.task/1\","
			     "\"id\":\"f2938cd1-c16e-5e95-bf42-f2d0307cd617\",\"sink\":\"crm\","
			     "\"call\":\"" CALL "\",\"revision\":3,"
			     "\"at\":\"2026-01-01T00:00:00.123Z\","
			     "\"record\":{\"x\": \"\\u0041\",  \"y\":[1.50]}}"));
	assert_int_equal(0, task_read(buf_slice(&json), &task));
	assert_true(slice_eq(example.record, task.record));
	assert_true(slice_eq(example.sink, task.sink));
	assert_int_equal(example.at_ms, task.at_ms);
	assert_int_equal(3, task.revision);
	buf_fini(&json);
}

static void the_id_of_a_task_depends_on_sink_call_and_revision(void **state UNUSED)
{
	struct task other = example;
	char a[UUID_TEXT_LEN], b[UUID_TEXT_LEN];

	other.at_ms = 0;
	other.record = SLICE("{}");
	task_id(&example, a);
	task_id(&other, b);
	assert_memory_equal(a, b, UUID_TEXT_LEN);
	other.revision = 4;
	task_id(&other, b);
	assert_memory_not_equal(a, b, UUID_TEXT_LEN);
	other = example;
	other.sink = SLICE("crm2");
	task_id(&other, b);
	assert_memory_not_equal(a, b, UUID_TEXT_LEN);
}

struct bad_row {
	const char *name, *json;
};

#define TASK(sink, call, revision, at, record)                                                     \
	"{\"schema\":\"callstream.task/1\",\"sink\":" sink ",\"call\":" call                       \
	",\"revision\":" revision ",\"at\":" at ",\"record\":" record "}"
#define AT "\"2026-01-01T00:00:00.123Z\""

static const struct bad_row bad_tasks[] = {
	{ "no JSON", "hello" },
	{ "another schema", "{\"schema\":\"callstream.task/2\"}" },
	{ "a sink of no name", TASK("\"\"", "\"" CALL "\"", "1", AT, "{}") },
	{ "a call that is no id", TASK("\"crm\"", "\"x\"", "1", AT, "{}") },
	{ "revision 0", TASK("\"crm\"", "\"" CALL "\"", "0", AT, "{}") },
	{ "a revision that is no number", TASK("\"crm\"", "\"" CALL "\"", "\"1\"", AT, "{}") },
	{ "no time", TASK("\"crm\"", "\"" CALL "\"", "1", "null", "{}") },
	{ "a record that is no object", TASK("\"crm\"", "\"" CALL "\"", "1", AT, "7") },
	{ "a sink of 64 bytes",
	  TASK("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
	       "\"" CALL "\"", "1", AT, "{}") },
};

static void check_bad_task(void **state)
{
	const struct bad_row *row = *state;
	struct task task;

	assert_int_equal(-EBADMSG, task_read(slice_of(row->json), &task));
}

/* ---- entries ---- */

static void entries_of_every_verdict(void **state UNUSED)
{
	for (int i = 0; i < ENTRY_VERDICTS_N; i++) {
		struct entry e = { .sink = SLICE("crm"),
				   .call = SLICE(CALL),
				   .step = SLICE("record"),
				   .revision = 2,
				   .verdict = (enum entry_verdict)i,
				   .attempt = 4,
				   .at_ms = 1000,
				   .next_at_ms = TIME_NONE };
		struct buf json = BUF_EMPTY;
		struct entry again;

		entry_write(&json, &e);
		assert_int_equal(0, entry_read(buf_slice(&json), &again));
		assert_int_equal(i, again.verdict);
		assert_int_equal(4, again.attempt);
		assert_int_equal(0, again.status);
		assert_int_equal(TIME_NONE, again.next_at_ms);
		buf_fini(&json);
	}
}

static void an_entry_as_it_is_written(void **state UNUSED)
{
	struct entry e = { .sink = SLICE("crm"),
			   .call = SLICE(CALL),
			   .step = SLICE("record"),
			   .revision = 2,
			   .verdict = ENTRY_RETRY,
			   .attempt = 4,
			   .status = 503,
			   .ms = 17,
			   .at_ms = 0,
			   .next_at_ms = 1500,
			   .reason = SLICE("server_error"),
			   .task = SLICE("{\"t\":1}") };
	struct buf json = BUF_EMPTY;

	entry_write(&json, &e);
	assert_true(
	    slice_is(buf_slice(&json),
		     "{\"schema\":\"callstream.delivery/1\",\"sink\":\"crm\",\"call\":\"" CALL
		     "\",\"revision\":2,\"step\":\"record\",\"verdict\":\"retry\","
		     "\"attempt\":4,\"status\":503,\"ms\":17,\"reason\":\"server_error\","
		     "\"at\":\"1970-01-01T00:00:00.000Z\","
		     "\"next_at\":\"1970-01-01T00:00:01.500Z\",\"task\":{\"t\":1}}"));
	buf_fini(&json);
}

static const struct bad_row bad_entries[] = {
	{ "no JSON", "" },
	{ "unknown verdict",
	  "{\"schema\":\"callstream.delivery/1\",\"sink\":\"crm\",\"call\":\"" CALL
	  "\",\"revision\":2,\"verdict\":\"maybe\"}" },
	{ "no revision", "{\"schema\":\"callstream.delivery/1\",\"sink\":\"crm\",\"call\":\"" CALL
			 "\",\"verdict\":\"done\"}" },
};

static void check_bad_entry(void **state)
{
	const struct bad_row *row = *state;
	struct entry entry;

	assert_int_equal(-EBADMSG, entry_read(slice_of(row->json), &entry));
}

/* ---- records ---- */

static void a_record_as_routes_see_it(void **state UNUSED)
{
	struct routed r;

	assert_int_equal(
	    0, routed_read(SLICE("{\"schema\":\"callstream.call/1\",\"id\":\"" CALL
				 "\",\"revision\":2,\"complete\":true,\"account\":\"acme\","
				 "\"call_session_id\":\"77\",\"direction\":\"in\","
				 "\"outcome\":\"busy\",\"line\":\"74951234567\","
				 "\"legs\":[{\"line\":\"1\",\"account\":\"no\"}],"
				 "\"notes\":[\"callback_leg\",\"no_time\"]}\n"),
			   &r));
	assert_true(slice_is(r.account, "acme") && slice_is(r.line, "74951234567"));
	assert_true(slice_is(r.outcome, "busy") && r.direction == DIRECTION_IN);
	assert_true(r.complete && r.callback_leg);
	assert_int_equal(2, r.revision);
	assert_true(slice_ends(r.json, SLICE("]}")));
}

static const struct bad_row bad_records[] = {
	{ "no JSON", "x" },
	{ "an event", "{\"schema\":\"callstream.event/1\",\"id\":\"" CALL "\"}" },
	{ "no account", "{\"schema\":\"callstream.call/1\",\"id\":\"" CALL "\",\"revision\":1}" },
	{ "no revision",
	  "{\"schema\":\"callstream.call/1\",\"id\":\"" CALL "\",\"account\":\"a\"}" },
	{ "an unknown direction", "{\"schema\":\"callstream.call/1\",\"id\":\"" CALL
				  "\",\"account\":\"a\",\"revision\":1,\"direction\":\"up\"}" },
};

static void check_bad_record(void **state)
{
	const struct bad_row *row = *state;
	struct routed r;

	assert_int_equal(-EBADMSG, routed_read(slice_of(row->json), &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_spans),
		cmocka_unit_test(a_task_carries_its_record_byte_for_byte),
		cmocka_unit_test(the_id_of_a_task_depends_on_sink_call_and_revision),
		cmocka_unit_test(entries_of_every_verdict),
		cmocka_unit_test(an_entry_as_it_is_written),
		cmocka_unit_test(a_record_as_routes_see_it),
	};

	return RUN_ROWS("spans", check_spans, span_rows) +
	       RUN_ROWS("bad tasks", check_bad_task, bad_tasks) +
	       RUN_ROWS("bad entries", check_bad_entry, bad_entries) +
	       RUN_ROWS("bad records", check_bad_record, bad_records) +
	       cmocka_run_group_tests(tests, NULL, NULL);
}
