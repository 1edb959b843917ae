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

static uint32_t sum_of(const struct record *rec)
{
	struct buf out = BUF_EMPTY;
	uint32_t sum = 1;

	/* Twice: the second goes behind the first. */
	record_pack(&out, rec);
	record_pack(&out, rec);
	assert_false(out.bad);
	assert_memory_equal(out.p, out.p + out.n / 2, out.n / 2);
	for (size_t i = 0; i < out.n / 2; i++)
		sum = sum * 31 + (uint8_t)out.p[i];
	buf_fini(&out);
	return sum;
}

/* A record with one of everything. */
static struct record_leg leg;
static struct record_transfer transfer;
static struct record_recording recording;
static struct slice tag;
static struct record full;

static void fill(void)
{
	leg = (struct record_leg){ .leg_id = SLICE("L1") };
	transfer = (struct record_transfer){ 0, SLICE_NONE, SLICE_NONE, SLICE_NONE };
	recording = (struct record_recording){ .id = SLICE("r") };
	tag = SLICE("a");
	full = least();
	full.legs = &leg;
	full.transfers = &transfer;
	full.recordings = &recording;
	full.tags = &tag;
	full.legs_n = full.transfers_n = full.recordings_n = full.tags_n = 1;
}

static void each_text_is_packed(void **state)
{
	struct slice *const texts[] = {
		&full.account,
		&full.source,
		&full.call_session_id,
		&full.cause.vendor,
		&full.cause.text,
		&full.line,
		&full.trunk,
		&full.contact.number,
		&full.contact.uri,
		&full.contact.id,
		&full.contact.name,
		&full.employee.id,
		&full.employee.name,
		&full.caller.id,
		&leg.leg_id,
		&leg.location,
		&leg.number,
		&leg.queue,
		&leg.from_leg,
		&leg.employee.id,
		&transfer.transfer,
		&transfer.from,
		&transfer.to,
		&recording.id,
		&recording.leg_id,
		&recording.url,
		&recording.source_url,
		&recording.sha256,
		&tag,
		&full.scenario,
		&full.external_id,
		&full.merged_into,
		&full.caller.name,
		&full.caller.extension,
	};
	uint32_t sum;

	(void)state;
	fill();
	sum = sum_of(&full);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct slice kept = *texts[i];

		*texts[i] = SLICE("a text of more than 16 bytes");
		assert_int_not_equal(sum_of(&full), sum);
		*texts[i] = kept;
	}
}

static void each_figure_is_packed(void **state)
{
	int64_t *const figures[] = {
		&full.started_at_ms, &full.answered_at_ms,   &full.ended_at_ms,
		&full.wait_ms,       &full.talk_ms,          &full.total_ms,
		&leg.ringing_at_ms,  &leg.answered_at_ms,    &leg.ended_at_ms,
		&transfer.at_ms,     &recording.duration_ms, &recording.bytes,
	};
	uint32_t sum;

	(void)state;
	fill();
	sum = sum_of(&full);
	for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
		*figures[i] += 1;
		assert_int_not_equal(sum_of(&full), sum);
		*figures[i] -= 1;
	}
	full.complete = true;
	assert_int_not_equal(sum_of(&full), sum);
}

/* The revision is no difference; where a text ends is one. */
static void packed_bytes_are_the_values(void **state)
{
	struct record other;
	uint32_t sum;

	(void)state;
	fill();
	sum = sum_of(&full);
	full.revision = 9;
	assert_int_equal(sum_of(&full), sum);
	other = full;
	full.line = SLICE("ab");
	other.line = SLICE("a");
	other.trunk = SLICE("b");
	assert_int_not_equal(sum_of(&full), sum_of(&other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_values_are_left_out),
		cmocka_unit_test(the_contracts_order),
		cmocka_unit_test(each_text_is_packed),
		cmocka_unit_test(each_figure_is_packed),
		cmocka_unit_test(packed_bytes_are_the_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
