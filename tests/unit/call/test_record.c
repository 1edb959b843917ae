#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "call/fold.h"

static void expect(const struct record *rec, const char *want)
{
	struct buf out = BUF_EMPTY;

	record_write(&out, rec);
	buf_add_char(&out, '\0');
	assert_false(out.bad);
	assert_string_equal(out.p, want);
	buf_fini(&out);
}

static struct record least(void)
{
	struct record rec;

	memset(&rec, 0, sizeof(rec));
	assert_int_equal(uuid_read(SLICE("cd24a5f6-94c5-5d3b-8a07-b7bff8a2a32b"), &rec.id), 0);
	rec.revision = 1;
	rec.started_at_ms = rec.answered_at_ms = rec.ended_at_ms = TIME_NONE;
	rec.wait_ms = rec.talk_ms = rec.total_ms = CALLEV_NO_NUMBER;
	return rec;
}

static void absent_values_are_left_out(void **state)
{
	struct record rec = least();

	(void)state;
	expect(&rec, "{\"schema\":\"callstream.call/1\","
		     "\"id\":\"cd24a5f6-94c5-5d3b-8a07-b7bff8a2a32b\",\"revision\":1,"
		     "\"complete\":false}");
}

static void the_contracts_order(void **state)
{
	static const struct slice tags[] = { SLICE_INIT("a"), SLICE_INIT("vip") };
	const struct record_leg legs[] = {
		{ .leg_id = SLICE("L1"),
		  .location = SLICE("abonent"),
		  .number = SLICE("101"),
		  .queue = SLICE("sales"),
		  .from_leg = SLICE("L0"),
		  .employee = { SLICE("7"), SLICE("101"), SLICE("Dana") },
		  .ringing_at_ms = 1000,
		  .answered_at_ms = 2000,
		  .ended_at_ms = 3000,
		  .outcome = OUTCOME_ANSWERED },
		{ .leg_id = SLICE("L2"),
		  .ringing_at_ms = TIME_NONE,
		  .answered_at_ms = TIME_NONE,
		  .ended_at_ms = TIME_NONE },
	};
	const struct record_transfer transfers[] = {
		{ 2500, SLICE("blind"), SLICE("101"), SLICE("102") },
		{ 2600, SLICE("unknown"), SLICE("102"), SLICE("103") },
	};
	const struct record_recording recordings[] = {
		{ .id = SLICE("r"),
		  .state = RECORDING_STORED,
		  .leg_id = SLICE("L1"),
		  .duration_ms = 1000,
		  .url = SLICE("file:r"),
		  .source_url = SLICE("https://r"),
		  .bytes = 5,
		  .sha256 = SLICE("ff") },
		{ .state = RECORDING_LOST,
		  .duration_ms = CALLEV_NO_NUMBER,
		  .bytes = CALLEV_NO_NUMBER },
		{ .state = RECORDING_AVAILABLE, .duration_ms = 0, .bytes = 0 },
	};
	struct record rec = least();

	(void)state;
	rec.complete = true;
	rec.account = SLICE("acme");
	rec.source = SLICE("mango");
	rec.call_session_id = SLICE("S=");
	rec.direction = DIRECTION_IN;
	rec.outcome = OUTCOME_ANSWERED;
	rec.cause = (struct cause){ SLICE("1110"), SLICE("Ended"), 16, SIDE_CONTACT };
	rec.line = SLICE("7495");
	rec.trunk = SLICE("office-1");
	rec.contact = (struct contact){ SLICE("7916"), SLICE_NONE, SLICE("51"), SLICE("N\"") };
	rec.started_at_ms = 0;
	rec.answered_at_ms = 2000;
	rec.ended_at_ms = 3000;
	rec.wait_ms = 2000;
	rec.talk_ms = 1000;
	rec.total_ms = 3000;
	rec.employee.id = SLICE("7");
	rec.caller.extension = SLICE("109");
	rec.legs = legs;
	rec.legs_n = ARRAY_LEN(legs);
	rec.transfers = transfers;
	rec.transfers_n = ARRAY_LEN(transfers);
	rec.recordings = recordings;
	rec.recordings_n = ARRAY_LEN(recordings);
	rec.tags = tags;
	rec.tags_n = ARRAY_LEN(tags);
	rec.scenario = SLICE("Main");
	rec.external_id = SLICE("e1");
	rec.merged_into = SLICE("m1");
	rec.notes[rec.notes_n++] = "clock_skew";
	rec.notes[rec.notes_n++] = "no_summary";
	expect(&rec,
	       "{\"schema\":\"callstream.call/1\",\"id\":\"cd24a5f6-94c5-5d3b-8a07-b7bff8a2a32b\","
	       "\"revision\":1,\"complete\":true,\"account\":\"acme\",\"source\":\"mango\","
	       "\"call_session_id\":\"S=\",\"direction\":\"in\",\"outcome\":\"answered\","
	       "\"cause\":{\"vendor\":\"1110\",\"q850\":16,\"text\":\"Ended\",\"by\":\"contact\"},"
	       "\"line\":\"7495\",\"trunk\":\"office-1\","
	       "\"contact\":{\"number\":\"7916\",\"id\":\"51\",\"name\":\"N\\\"\"},"
	       "\"started_at\":\"1970-01-01T00:00:00.000Z\","
	       "\"answered_at\":\"1970-01-01T00:00:02.000Z\","
	       "\"ended_at\":\"1970-01-01T00:00:03.000Z\",\"wait_ms\":2000,\"talk_ms\":1000,"
	       "\"total_ms\":3000,\"employee\":{\"id\":\"7\"},\"caller\":{\"extension\":\"109\"},"
	       "\"legs\":[{\"leg_id\":\"L1\",\"location\":\"abonent\",\"number\":\"101\","
	       "\"queue\":\"sales\",\"employee\":{\"id\":\"7\",\"extension\":\"101\","
	       "\"name\":\"Dana\"},\"ringing_at\":\"1970-01-01T00:00:01.000Z\","
	       "\"answered_at\":\"1970-01-01T00:00:02.000Z\","
	       "\"ended_at\":\"1970-01-01T00:00:03.000Z\",\"outcome\":\"answered\","
	       "\"from_leg\":\"L0\"},{\"leg_id\":\"L2\"}],"
	       "\"transfers\":[{\"at\":\"1970-01-01T00:00:02.500Z\",\"transfer\":\"blind\","
	       "\"from\":\"101\",\"to\":\"102\"},{\"at\":\"1970-01-01T00:00:02.600Z\","
	       "\"transfer\":\"unknown\",\"from\":\"102\",\"to\":\"103\"}],"
	       "\"recordings\":[{\"id\":\"r\",\"state\":\"stored\",\"leg_id\":\"L1\","
	       "\"duration_ms\":1000,\"url\":\"file:r\",\"source_url\":\"https://r\",\"bytes\":5,"
	       "\"sha256\":\"ff\"},{\"state\":\"lost\"},{\"state\":\"available\","
	       "\"duration_ms\":0,\"bytes\":0}],\"tags\":[\"a\",\"vip\"],\"scenario\":\"Main\","
	       "\"external_id\":\"e1\",\"merged_into\":\"m1\","
	       "\"notes\":[\"clock_skew\",\"no_summary\"]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_values_are_left_out),
		cmocka_unit_test(the_contracts_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
