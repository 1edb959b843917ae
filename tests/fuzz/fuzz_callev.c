/*
 * Any bytes as an event. The plain reader (oracle/) says the same of every line. What reads must be
 * written as JSON that reads again and says the same; a refusal must point into the input. Lines
 * are one call's events: their record must hold what every record promises.
 */
#include <stdint.h>
#include <stdlib.h>

#include "call/fold.h"
#include "oracle/callev_oracle.h"

#define LINES_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void write_and_read(const struct callev *ev)
{
	static struct buf once, twice;
	static struct callev_parser *parser;
	struct parse_error error;
	struct callev again;

	if (!parser)
		parser = callev_parser_new();
	buf_reset(&once);
	buf_reset(&twice);
	callev_write(&once, ev);
	must(!once.bad && slice_is_utf8(buf_slice(&once)));
	must(callev_parse(parser, buf_slice(&once), &again, &error) == 0);
	callev_write(&twice, &again);
	must(slice_eq(buf_slice(&once), buf_slice(&twice)));
}

static int order(const void *a, const void *b)
{
	const struct callev *x = a, *y = b;
	int64_t x_seq = x->seq != CALLEV_NO_NUMBER ? x->seq : 0;
	int64_t y_seq = y->seq != CALLEV_NO_NUMBER ? y->seq : 0;

	if (callev_time(x) != callev_time(y))
		return callev_time(x) < callev_time(y) ? -1 : 1;
	if (x_seq != y_seq)
		return x_seq < y_seq ? -1 : 1;
	return uuid_cmp(&x->id, &y->id);
}

static void check_record(const struct record *rec)
{
	must(rec->outcome != OUTCOME_NONE);
	must(rec->wait_ms >= 0 && rec->talk_ms >= 0 && rec->total_ms >= 0);
	must(rec->answered_at_ms == TIME_NONE || rec->answered_at_ms <= rec->ended_at_ms);
	must(rec->wait_ms == 0 || rec->talk_ms + rec->wait_ms <= rec->total_ms);
	must(rec->notes_n <= RECORD_NOTES_MAX);
	for (size_t i = 0; i < rec->legs_n; i++)
		must(rec->legs[i].outcome != OUTCOME_NONE && rec->legs[i].ended_at_ms != TIME_NONE);
}

static void fold_lines(const struct callev *events, size_t n)
{
	static struct folder *folder;
	static struct buf out;
	struct callev sorted[LINES_MAX];
	struct fold_in in = { .events = sorted, .closed_by = CLOSED_BY_SILENCE };
	struct record rec;

	if (!folder)
		folder = folder_new();
	memcpy(sorted, events, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), order);
	for (size_t i = 0; i < n; i++) {
		if (in.events_n == 0 || !uuid_eq(&sorted[in.events_n - 1].id, &sorted[i].id))
			sorted[in.events_n++] = sorted[i];
	}
	if (fold(folder, &in, &rec))
		return;
	check_record(&rec);
	buf_reset(&out);
	record_write(&out, &rec);
	must(!out.bad && slice_is_utf8(buf_slice(&out)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct callev_parser *parsers[LINES_MAX];
	static struct callev events[LINES_MAX];
	struct slice lines = slice_make(data, size);
	size_t n = 0;

	while (lines.n && n < LINES_MAX) {
		struct slice line = slice_cut(&lines, '\n');
		struct parse_error error = { SIZE_MAX, NULL };

		if (!parsers[n])
			parsers[n] = callev_parser_new();
		must(oracle_agrees(parsers[n], line));
		if (callev_parse(parsers[n], line, &events[n], &error)) {
			must(error.reason && error.offset <= line.n);
			continue;
		}
		write_and_read(&events[n]);
		n++;
	}
	if (n)
		fold_lines(events, n);
	return 0;
}
