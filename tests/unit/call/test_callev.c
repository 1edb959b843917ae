#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#include "call/callev.h"

#define HEAD                                                                                       \
	"\"schema\":\"callstream.event/1\",\"id\":\"dcc05207-d224-5e43-8105-6e69f3453ce9\","       \
	"\"account\":\"acme\",\"source\":\"callgear\",\"call_session_id\":\"7312450098\","
#define AT "\"at\":\"2026-03-14T10:15:02.000Z\""

/* What is written in reads back and is written the same. */
struct same_row {
	const char *name, *json;
};

static struct same_row same_rows[] = {
	{ "the least", "{" HEAD "\"kind\":\"leg.answered\"," AT "}" },
	{ "received only", "{" HEAD "\"kind\":\"note\",\"at\":\"2026-03-14T10:15:02.412Z\","
			   "\"received_at\":\"2026-03-14T10:15:02.412Z\",\"timed\":false}" },
	{ "everybody's members",
	  "{" HEAD
	  "\"leg_id\":\"36893488157518843236\",\"leg_ids\":[\"1\",\"36893488157518843236\"],"
	  "\"kind\":\"talk.started\"," AT ",\"received_at\":\"2026-03-14T10:15:02.412Z\",\"seq\":2,"
	  "\"direction\":\"in\",\"line\":\"74951234567\",\"trunk\":\"office-1\","
	  "\"contact\":{\"number\":\"79161234567\",\"id\":\"5\",\"name\":\"A \\\"B\\\" \\\\ Ж\"},"
	  "\"employee\":{\"id\":\"48213\",\"extension\":\"101\",\"name\":\"Whitfield Dana\"}}" },
	{ "a party that is an address", "{" HEAD "\"kind\":\"call.started\"," AT
					",\"contact\":{\"uri\":\"sip:a@pbx.example\"}}" },
	{ "not authenticated",
	  "{" HEAD "\"kind\":\"note\"," AT ",\"authenticated\":false,\"name\":\"SPEECH\"}" },
	{ "call.started", "{" HEAD "\"kind\":\"call.started\"," AT
			  ",\"scenario\":\"Day desk\",\"external_id\":\"crm-1\","
			  "\"call_source\":\"callapi\"}" },
	{ "leg.ringing", "{" HEAD "\"kind\":\"leg.ringing\"," AT
			 ",\"from_leg\":\"1\",\"number\":\"101\",\"location\":\"abonent\","
			 "\"queue\":\"sales\"}" },
	{ "leg.held", "{" HEAD "\"kind\":\"leg.held\"," AT ",\"by\":\"contact\"}" },
	{ "leg.resumed", "{" HEAD "\"kind\":\"leg.resumed\"," AT ",\"by\":\"employee\"}" },
	{ "leg.ended", "{" HEAD "\"kind\":\"leg.ended\"," AT
		       ",\"cause\":{\"vendor\":\"1110\",\"q850\":16,\"text\":\"Call ended\","
		       "\"by\":\"contact\"}}" },
	{ "talk.ended", "{" HEAD "\"kind\":\"talk.ended\"," AT ",\"talk_ms\":84000}" },
	{ "call.transferred", "{" HEAD "\"kind\":\"call.transferred\"," AT
			      ",\"transfer\":\"blind\",\"from\":\"101\",\"to\":\"102\"}" },
	{ "call.linked", "{" HEAD "\"kind\":\"call.linked\"," AT ",\"into\":\"7312450099\"}" },
	{ "call.lost", "{" HEAD "\"kind\":\"call.lost\"," AT ",\"wait_ms\":31000}" },
	{ "call.ended",
	  "{" HEAD "\"kind\":\"call.ended\"," AT ",\"started_at\":\"2026-03-14T10:15:00.000Z\","
	  "\"answered_at\":\"2026-03-14T10:15:01.000Z\","
	  "\"ended_at\":\"2026-03-14T10:15:02.000Z\",\"wait_ms\":0,\"talk_ms\":1,"
	  "\"total_ms\":2,\"outcome\":\"not_found\",\"cause\":{\"by\":\"system\"},"
	  "\"tags\":[\"vip\",\"Жалоба\"],\"recorded\":true}" },
	{ "recorded no", "{" HEAD "\"kind\":\"call.ended\"," AT ",\"recorded\":false}" },
	{ "recording.stored",
	  "{" HEAD "\"kind\":\"recording.stored\"," AT
	  ",\"recording\":\"r1\",\"duration_ms\":183000,\"url\":\"file:/r1\","
	  "\"source_url\":\"https://app.example/r1\",\"bytes\":732160,\"sha256\":\"ab\"}" },
	{ "recording.lost",
	  "{" HEAD "\"kind\":\"recording.lost\"," AT ",\"recording\":\"r1\",\"reason\":\"gone\"}" },
	{ "recording.started and available",
	  "{" HEAD "\"kind\":\"recording.started\"," AT ",\"recording\":\"r1\"}" },
	{ "recording.available",
	  "{" HEAD "\"kind\":\"recording.available\"," AT ",\"recording\":\"r1\"}" },
	{ "a note's text", "{" HEAD "\"kind\":\"note\"," AT ",\"name\":\"dtmf\",\"text\":\"5#\"}" },
	{ "a note's text is any JSON",
	  "{" HEAD "\"kind\":\"note\"," AT
	  ",\"name\":\"ivr\",\"text\":{\"steps\":[1e400,{\"a\":null},true]}}" },
};

static void check_same(void **state)
{
	const struct same_row *row = *state;
	struct callev_parser *p = callev_parser_new();
	struct buf out = BUF_EMPTY;
	struct parse_error error = { 0, "" };
	struct callev ev;

	assert_int_equal(callev_parse(p, slice_of(row->json), &ev, &error), 0);
	callev_write(&out, &ev);
	buf_add_char(&out, '\0');
	assert_false(out.bad);
	assert_string_equal(out.p, row->json);
	buf_fini(&out);
	callev_parser_free(p);
}

/* What others may write, and what we make of it. */
static struct reading_row {
	const char *name, *members, *want; /* members behind kind and at */
} reading_rows[] = {
	{ "numeric ids are text, unchanged",
	  "\"leg_id\":36893488157518843236,\"leg_ids\":[9007199254740993,\"b\"],"
	  "\"employee\":{\"id\":48213,\"extension\":101}",
	  "\"leg_id\":\"36893488157518843236\",\"leg_ids\":[\"9007199254740993\",\"b\"],"
	  "\"kind\":\"call.ended\"," AT ",\"employee\":{\"id\":\"48213\",\"extension\":\"101\"}" },
	{ "null is absent",
	  "\"leg_id\":null,\"leg_ids\":null,\"received_at\":null,\"seq\":null,\"direction\":null,"
	  "\"contact\":null,\"employee\":{\"id\":null},\"tags\":null,\"wait_ms\":null,"
	  "\"cause\":null,\"recorded\":null,\"scenario\":null,\"outcome\":null,\"raw\":null",
	  "\"kind\":\"call.ended\"," AT },
	{ "wrong types are absent",
	  "\"direction\":5,\"line\":[],\"contact\":\"x\",\"employee\":[1],\"tags\":\"vip\","
	  "\"wait_ms\":\"5\",\"cause\":7,\"recorded\":\"yes\",\"scenario\":true,\"by\":{}",
	  "\"kind\":\"call.ended\"," AT },
	{ "unknown words are absent",
	  "\"direction\":\"sideways\",\"outcome\":\"great\",\"cause\":{\"by\":\"nobody\"}",
	  "\"kind\":\"call.ended\"," AT },
	{ "figures that are none are absent",
	  "\"wait_ms\":1.5,\"talk_ms\":-1,\"total_ms\":1e3,\"duration_ms\":99999999999999999999,"
	  "\"bytes\":1000000000000001,\"seq\":1.0",
	  "\"kind\":\"call.ended\"," AT },
	{ "the largest figure", "\"bytes\":1000000000000000,\"seq\":-3",
	  "\"kind\":\"call.ended\"," AT ",\"seq\":-3,\"bytes\":1000000000000000" },
	{ "a cause code out of range", "\"cause\":{\"q850\":128,\"vendor\":\"x\"}",
	  "\"kind\":\"call.ended\"," AT ",\"cause\":{\"vendor\":\"x\"}" },
	{ "the last of a key counts",
	  "\"line\":\"1\",\"line\":\"2\",\"contact\":{\"number\":\"1\",\"name\":\"n\"},"
	  "\"contact\":{\"number\":\"2\",\"number\":\"3\"},\"tags\":[\"a\",\"b\"],\"tags\":[\"c\"],"
	  "\"leg_ids\":[\"1\"],\"leg_ids\":[\"2\"],\"leg_id\":\"3\",\"leg_id\":null",
	  "\"leg_ids\":[\"2\"],\"kind\":\"call.ended\"," AT
	  ",\"line\":\"2\",\"contact\":{\"number\":\"3\"},\"tags\":[\"c\"]" },
	{ "unknown keys are ignored",
	  "\"x\":{\"y\":[1,2,{\"z\":null}]},\"\":1,"
	  "\"a_key_that_is_longer_than_any_of_ours\":2,\"kine\":3",
	  "\"kind\":\"call.ended\"," AT },
	{ "raw is skipped", "\"raw\":{\"method\":\"POST\",\"body\":\"x\"}",
	  "\"kind\":\"call.ended\"," AT },
	{ "a number and an address: the number",
	  "\"contact\":{\"uri\":\"sip:a@b\",\"number\":79161234567}",
	  "\"kind\":\"call.ended\"," AT ",\"contact\":{\"number\":\"79161234567\"}" },
	{ "other zones and precisions",
	  "\"ended_at\":\"2026-03-14T13:15:02+03:00\",\"started_at\":\"2026-03-14 "
	  "10:15:02.123456Z\"",
	  "\"kind\":\"call.ended\"," AT ",\"started_at\":\"2026-03-14T10:15:02.123Z\","
	  "\"ended_at\":\"2026-03-14T10:15:02.000Z\"" },
	{ "escapes", "\"line\":\"\\u0037\\u0000\\/\"",
	  "\"kind\":\"call.ended\"," AT ",\"line\":\"7\\u0000/\"" },
	{ "an upper-case id", "\"id\":\"DCC05207-D224-5E43-8105-6E69F3453CE9\"",
	  "\"kind\":\"call.ended\"," AT },
	{ "empty members of lists", "\"tags\":[\"\",null,\"t\",5],\"leg_ids\":[\"\",null]",
	  "\"kind\":\"call.ended\"," AT ",\"tags\":[\"t\",\"5\"]" },
	{ "only kinds that are notes have a text", "\"text\":\"x\",\"digits\":1",
	  "\"kind\":\"call.ended\"," AT },
	{ "what a note says under other keys is its text",
	  "\"kind\":\"note\",\"name\":\"dtmf\",\"digits\":\"5\",\"n\":12.50,\"list\":[true]",
	  "\"kind\":\"note\"," AT
	  ",\"name\":\"dtmf\",\"text\":{\"digits\":\"5\",\"n\":12.50,\"list\":[true]}" },
	{ "authenticated is the rule", "\"authenticated\":true", "\"kind\":\"call.ended\"," AT },
};

static void check_reading(void **state)
{
	const struct reading_row *row = *state;
	struct callev_parser *p = callev_parser_new();
	struct buf in = BUF_EMPTY, want = BUF_EMPTY, out = BUF_EMPTY;
	struct parse_error error = { 0, "" };
	struct callev ev;

	buf_printf(&in, " {%s\"kind\":\"call.ended\",%s,%s} \r\n", HEAD, AT, row->members);
	buf_printf(&want, "{%s%s}", HEAD, row->want);
	assert_int_equal(callev_parse(p, buf_slice(&in), &ev, &error), 0);
	callev_write(&out, &ev);
	buf_add_char(&out, '\0');
	assert_string_equal(out.p, want.p);
	buf_fini(&in);
	buf_fini(&want);
	buf_fini(&out);
	callev_parser_free(p);
}

static struct error_row {
	const char *name;
	struct slice json;
	const char *before; /* the text that stands where the error is; "" offset 0; NULL any */
	const char *reason; /* NULL: the reader's own */
} error_rows[] = {
	{ "empty", SLICE_INIT(""), "", "empty" },
	{ "blanks", SLICE_INIT(" \n"), NULL, NULL },
	{ "no JSON", SLICE_INIT("{" HEAD "kind}"), "kind}", NULL },
	{ "cut short", SLICE_INIT("{" HEAD "\"kind\":\"no"), NULL, NULL },
	{ "more than one", SLICE_INIT("{}{}"), NULL, NULL },
	{ "a NUL behind it", SLICE_INIT("{" HEAD "\"kind\":\"note\"," AT "}\0"), NULL, NULL },
	{ "a NUL in it", SLICE_INIT("{\"a\0b\":1}"), NULL, NULL },
	{ "no UTF-8", SLICE_INIT("{\"a\":\"\xff\"}"), NULL, NULL },
	{ "a list", SLICE_INIT("[]"), "", "an event is a JSON object" },
	{ "a number", SLICE_INIT("5"), "", "an event is a JSON object" },
	{ "nothing in it", SLICE_INIT("{}"), "", "schema is missing" },
	{ "another schema", SLICE_INIT("{\"schema\":\"callstream.event/2\"}"), "\"schema",
	  "schema is callstream.event/1" },
	{ "a schema that is no text", SLICE_INIT("{\"schema\":1}"), "\"schema",
	  "schema is callstream.event/1" },
	{ "no id", SLICE_INIT("{\"schema\":\"callstream.event/1\"}"), "", "id is missing" },
	{ "a wrong id", SLICE_INIT("{\"schema\":\"callstream.event/1\",\"id\":\"5\"}"), "\"id",
	  "id is a UUID" },
	{ "an account with a blank",
	  SLICE_INIT("{\"schema\":\"callstream.event/1\",\"account\":\"a b\"}"), "\"account",
	  "a name is 1 to 63 of a-z, 0-9 and -" },
	{ "an account with a line end",
	  SLICE_INIT("{\"schema\":\"callstream.event/1\",\"account\":\"a\\nb\"}"), "\"account",
	  "a name is 1 to 63 of a-z, 0-9 and -" },
	{ "an account too long",
	  SLICE_INIT("{\"account\":\"a234567890123456789012345678901234567890123456789012345678901"
		     "234\"}"),
	  "\"account", "a name is 1 to 63 of a-z, 0-9 and -" },
	{ "a source that is null", SLICE_INIT("{\"source\":null}"), "\"source",
	  "a name is 1 to 63 of a-z, 0-9 and -" },
	{ "no kind", SLICE_INIT("{" HEAD AT "}"), "", "kind is missing" },
	{ "a kind of next year", SLICE_INIT("{" HEAD AT ",\"kind\":\"leg.beamed\"}"), "\"kind",
	  "not a kind of event" },
	{ "no time", SLICE_INIT("{" HEAD "\"kind\":\"note\"}"), "",
	  "at and received_at are missing" },
	{ "a time without zone",
	  SLICE_INIT("{" HEAD "\"kind\":\"note\",\"at\":\"2026-03-14T10:15:02\"}"), "\"at",
	  "a time is written as ISO 8601 with a zone" },
	{ "a time that is a number", SLICE_INIT("{" HEAD "\"kind\":\"note\",\"at\":1773483302}"),
	  "\"at", "a time is written as ISO 8601 with a zone" },
	{ "no such day",
	  SLICE_INIT("{" HEAD "\"ended_at\":\"2026-02-30T10:15:02Z\",\"kind\":\"note\"," AT "}"),
	  "\"ended_at", "a time is written as ISO 8601 with a zone" },
	{ "a session with exponent", SLICE_INIT("{\"call_session_id\":1e3}"), "\"call_session_id",
	  "an id is a text or a whole number" },
	{ "a leg with fraction", SLICE_INIT("{" HEAD "\"leg_id\":12.0}"), "\"leg_id",
	  "an id is a text or a whole number" },
	{ "a negative leg", SLICE_INIT("{" HEAD "\"leg_ids\":[1,-2]}"), "\"leg_ids",
	  "an id is a text or a whole number" },
	{ "an id that is a list", SLICE_INIT("{\"call_session_id\":[1]}"), "\"call_session_id",
	  "an id is a text or a whole number" },
	{ "leg ids that are none", SLICE_INIT("{\"leg_ids\":7}"), "\"leg_ids",
	  "leg_ids is a list of ids" },
	{ "an employee's id", SLICE_INIT("{\"employee\":{\"id\":1.5}}"), "\"employee",
	  "an id is a text or a whole number" },
	{ "a contact's id", SLICE_INIT("{\"contact\":{\"id\":true}}"), "\"contact",
	  "an id is a text or a whole number" },
	{ "an empty session",
	  SLICE_INIT("{\"schema\":\"callstream.event/1\","
		     "\"id\":\"dcc05207-d224-5e43-8105-6e69f3453ce9\",\"account\":\"a\","
		     "\"source\":\"b\",\"call_session_id\":\"\",\"kind\":\"note\"," AT "}"),
	  "", "call_session_id is missing" },
};

static void check_error(void **state)
{
	const struct error_row *row = *state;
	struct callev_parser *p = callev_parser_new();
	struct parse_error error = { 999, NULL };
	struct callev ev;

	assert_int_equal(callev_parse(p, row->json, &ev, &error), -EBADMSG);
	assert_non_null(error.reason);
	if (row->reason)
		assert_string_equal(error.reason, row->reason);
	assert_true(error.offset <= row->json.n);
	if (row->before && !row->before[0])
		assert_int_equal(error.offset, 0);
	else if (row->before)
		assert_true(
		    slice_starts(slice_skip(row->json, error.offset), slice_of(row->before)));
	callev_parser_free(p);
}

/* A parser may meet anything between two events; the next one is read as if it were the first. */
static void memory_is_used_again(void **state)
{
	struct callev_parser *p = callev_parser_new();
	struct parse_error error;
	struct callev ev;
	struct buf big = BUF_EMPTY;

	(void)state;
	buf_printf(&big, "{%s\"kind\":\"note\",%s,\"raw\":{\"body\":\"", HEAD, AT);
	for (int i = 0; i < 200000; i++)
		buf_add_text(&big, "\\u0416xxxx");
	buf_add_text(&big, "\"}}");
	assert_int_equal(callev_parse(p, buf_slice(&big), &ev, &error), 0);
	assert_int_equal(ev.kind, CALLEV_NOTE);
	assert_int_equal(callev_parse(p, SLICE("{"), &ev, &error), -EBADMSG);
	assert_int_equal(callev_parse(p, slice_of(same_rows[2].json), &ev, &error), 0);
	assert_int_equal(ev.leg_ids_n, 2);
	buf_reset(&big);
	for (int i = 0; i < 1000000; i++)
		buf_add_char(&big, '[');
	assert_int_equal(callev_parse(p, buf_slice(&big), &ev, &error), -EBADMSG);
	buf_fini(&big);
	callev_parser_free(p);
	callev_parser_free(NULL);
}

static int parse_lists(struct callev_parser *p, int legs_n, int tags_n, struct callev *ret,
		       struct parse_error *error)
{
	static struct buf in; /* what was read may lie in it */

	buf_reset(&in);
	buf_printf(&in, "{%s\"kind\":\"call.ended\",%s,\"leg_ids\":[\"\",0", HEAD, AT);
	for (int i = 1; i < legs_n; i++)
		buf_printf(&in, ",%d", i);
	buf_add_text(&in, "],\"tags\":[null,\"0\"");
	for (int i = 1; i < tags_n; i++)
		buf_printf(&in, ",\"%d\"", i);
	buf_add_text(&in, "]}");
	return callev_parse(p, buf_slice(&in), ret, error);
}

/* What an event can hold is kept whole; what says more is refused, not cut. */
static void lists_are_bounded(void **state)
{
	struct callev_parser *p = callev_parser_new();
	struct parse_error error;
	struct callev ev;

	(void)state;
	assert_int_equal(parse_lists(p, CALLEV_LIST_MAX, CALLEV_LIST_MAX, &ev, &error), 0);
	assert_int_equal(ev.leg_ids_n, CALLEV_LIST_MAX);
	assert_true(slice_is(ev.leg_ids[0], "0"));
	assert_true(slice_is(ev.leg_ids[CALLEV_LIST_MAX - 1], "4095"));
	assert_int_equal(ev.tags_n, CALLEV_LIST_MAX);
	assert_true(slice_is(ev.tags[CALLEV_LIST_MAX - 1], "4095"));
	assert_int_equal(parse_lists(p, CALLEV_LIST_MAX + 1, 1, &ev, &error), -EBADMSG);
	assert_string_equal(error.reason, "too many leg_ids");
	assert_int_equal(parse_lists(p, 1, CALLEV_LIST_MAX + 1, &ev, &error), -EBADMSG);
	assert_string_equal(error.reason, "too many tags");
	assert_int_equal(parse_lists(p, 1, 1, &ev, &error), 0);
	assert_int_equal(ev.leg_ids_n, 1);
	assert_int_equal(ev.tags_n, 1);
	callev_parser_free(p);
}

static void write_raw(struct slice body, const char *want)
{
	struct callev ev;
	struct buf out = BUF_EMPTY;

	callev_init(&ev);
	ev.kind = CALLEV_NOTE;
	ev.raw = (struct callev_raw){ .method = SLICE("GET"),
				      .path = SLICE("/events/call"),
				      .type = SLICE("text/plain"),
				      .query = SLICE("a=b"),
				      .body = body,
				      .present = true };
	callev_write(&out, &ev);
	assert_true(slice_ends(buf_slice(&out), slice_of(want)));
	buf_fini(&out);
}

static void raw_requests(void **state)
{
	(void)state;
	write_raw(SLICE("{\"x\":1}\n"), ",\"raw\":{\"method\":\"GET\",\"path\":\"/events/call\","
					"\"query\":\"a=b\",\"type\":\"text/plain\","
					"\"body\":\"{\\\"x\\\":1}\\n\"}}");
	write_raw(SLICE("\xff\xfe"), "\"type\":\"text/plain\",\"body_base64\":\"//4=\"}}");
	write_raw(SLICE_NONE, "\"type\":\"text/plain\"}}");
}

static void words(void **state)
{
	enum callev_kind kind;
	enum outcome outcome;
	enum direction direction;
	enum side side;

	(void)state;
	for (int i = 0; i < CALLEV_KINDS_N; i++) {
		assert_int_equal(callev_kind_read(slice_of(callev_kind_text(i)), &kind), 0);
		assert_int_equal(kind, i);
		assert_int_equal(callev_is_call_fact(kind), i < CALLEV_RECORDING_STARTED);
	}
	for (int i = OUTCOME_ANSWERED; i < OUTCOMES_N; i++) {
		assert_int_equal(outcome_read(slice_of(outcome_text(i)), &outcome), 0);
		assert_int_equal(outcome, i);
	}
	for (int i = DIRECTION_IN; i <= DIRECTION_INTERNAL; i++) {
		assert_int_equal(direction_read(slice_of(direction_text(i)), &direction), 0);
		assert_int_equal(direction, i);
	}
	for (int i = SIDE_CONTACT; i <= SIDE_SYSTEM; i++) {
		assert_int_equal(side_read(slice_of(side_text(i)), &side), 0);
		assert_int_equal(side, i);
	}
	assert_null(outcome_text(OUTCOME_NONE));
	assert_null(direction_text(DIRECTION_NONE));
	assert_null(side_text(SIDE_NONE));
	assert_int_equal(callev_kind_read(SLICE("leg"), &kind), -EINVAL);
	assert_int_equal(outcome_read(SLICE_NONE, &outcome), -EINVAL);
	assert_int_equal(direction_read(SLICE("IN"), &direction), -EINVAL);
	assert_int_equal(side_read(SLICE("contacts"), &side), -EINVAL);
}

#define ROWS (ARRAY_LEN(same_rows) + ARRAY_LEN(reading_rows) + ARRAY_LEN(error_rows))

int main(void)
{
	struct CMUnitTest tests[ROWS + 4] = {
		cmocka_unit_test(memory_is_used_again),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(raw_requests),
		cmocka_unit_test(words),
	};
	struct CMUnitTest *next = tests + 4;

	for (size_t i = 0; i < ARRAY_LEN(same_rows); i++)
		*next++ = (struct CMUnitTest){ .name = same_rows[i].name,
					       .test_func = check_same,
					       .initial_state = &same_rows[i] };
	for (size_t i = 0; i < ARRAY_LEN(reading_rows); i++)
		*next++ = (struct CMUnitTest){ .name = reading_rows[i].name,
					       .test_func = check_reading,
					       .initial_state = &reading_rows[i] };
	for (size_t i = 0; i < ARRAY_LEN(error_rows); i++)
		*next++ = (struct CMUnitTest){ .name = error_rows[i].name,
					       .test_func = check_error,
					       .initial_state = &error_rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
