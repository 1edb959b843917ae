#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "call/outcome.h"

#define TSV SOURCE_DIR "/lib/call/callgear-reasons.tsv"

static const struct reason *find(const char *word)
{
	return reason_of_callgear(slice_of(word));
}

static void check_row(struct slice row)
{
	struct slice word = slice_cut(&row, '\t'), outcome = slice_cut(&row, '\t'),
		     q850 = slice_cut(&row, '\t'), by = slice_cut(&row, '\t');
	const struct reason *found;
	char text[100];
	size_t n = 0;
	uint64_t code;
	enum outcome want;
	enum side side = SIDE_NONE;

	/* A pattern's star may stand for anything that no row names. */
	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] == '*')
			n += (size_t)snprintf(text + n, sizeof(text) - n, "zz_of_next_year_zz");
		else
			text[n++] = word.p[i];
	}
	found = reason_of_callgear(slice_make(text, n));
	assert_non_null(found);
	assert_true(slice_is(word, found->word));
	if (slice_is(outcome, "facts"))
		assert_int_equal(found->outcome, OUTCOME_FACTS);
	else if (slice_is(outcome, "hung_up"))
		assert_int_equal(found->outcome, OUTCOME_HUNG_UP);
	else {
		assert_int_equal(outcome_read(outcome, &want), 0);
		assert_int_equal(found->outcome, want);
	}
	assert_int_equal(slice_u64(q850, &code), 0);
	assert_in_range(code, 1, 127);
	assert_int_equal(found->q850, code);
	if (!slice_is(by, "-"))
		assert_int_equal(side_read(by, &side), 0);
	assert_int_equal(found->by, side);
	assert_true(slice_is(row, found->text));
}

static void every_row_of_the_table(void **state)
{
	FILE *file = fopen(TSV, "r");
	char line[300];
	int rows = 0;

	(void)state;
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	while (fgets(line, sizeof(line), file)) {
		check_row(slice_trim_char(slice_of(line), '\n'));
		rows++;
	}
	fclose(file);
	assert_true(rows > 40);
}

/* The sheet's list (7.3), and what rules.md 6 adds. */
static void every_word_of_the_sheet(void **state)
{
	static const char *const words[] = {
		"operator_disconnects",
		"subscriber_disconnects",
		"caller_disconnects",
		"subscriber_busy",
		"caller_busy",
		"subscriber_not_responsible",
		"caller_not_responsive",
		"operator_not_responsible",
		"operator_not_responsive",
		"operator_busy",
		"no_success_subscriber_call",
		"no_success_caller_call",
		"no_success_operator_call",
		"subscriber_number_problems",
		"caller_number_problems",
		"operator_number_problems",
		"another_operator_answer",
		"transfer_disconnects",
		"scenario_disconnects",
		"timeout",
		"disconnect_before_call_processing",
		"no_active_scenario",
		"numa_in_black_list",
		"numa_in_spam_list",
		"sip_offline",
		"not_enough_money",
		"no_money",
		"limit_exceeded",
		"locked_numb",
		"out_call_not_allowed",
		"call_enqueued",
		"success_finish",
		"locked_phone",
		"net_lock",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		assert_non_null(find(words[i]));
		assert_string_equal(find(words[i])->word, words[i]); /* a row of its own */
	}
}

static void unknown_words(void **state)
{
	static const char *const words[] = { "",
					     "a_reason_of_next_year",
					     "OPERATOR_BUSY",
					     "operator_busy ",
					     "operator",
					     "zzz",
					     "_busyx",
					     "*" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_null(find(words[i]));
}

static struct row {
	const char *name, *word;
	struct unanswered call;
	enum outcome want;
	int32_t q850;
} rows[] = {
	{ "none, nothing rang", "", { DIRECTION_IN, false, false }, OUTCOME_CANCELLED, 0 },
	{ "none, somebody known", "", { DIRECTION_IN, false, true }, OUTCOME_NO_ANSWER, 0 },
	{ "contact, inbound, rang",
	  "subscriber_disconnects",
	  { DIRECTION_IN, true, true },
	  OUTCOME_CANCELLED,
	  16 },
	{ "contact, inbound, the other spelling",
	  "caller_disconnects",
	  { DIRECTION_IN, true, true },
	  OUTCOME_CANCELLED,
	  16 },
	{ "contact, inbound, nothing rang",
	  "subscriber_disconnects",
	  { DIRECTION_IN, false, false },
	  OUTCOME_CANCELLED,
	  16 },
	{ "employee, inbound, rang",
	  "operator_disconnects",
	  { DIRECTION_IN, true, true },
	  OUTCOME_REJECTED,
	  21 },
	{ "employee, inbound, nothing rang",
	  "operator_disconnects",
	  { DIRECTION_IN, false, true },
	  OUTCOME_CANCELLED,
	  16 },
	{ "employee, outbound, rang",
	  "operator_disconnects",
	  { DIRECTION_OUT, true, true },
	  OUTCOME_CANCELLED,
	  16 },
	{ "contact, outbound, rang",
	  "caller_disconnects",
	  { DIRECTION_OUT, true, true },
	  OUTCOME_REJECTED,
	  21 },
	{ "contact, outbound, nothing rang",
	  "subscriber_disconnects",
	  { DIRECTION_OUT, false, true },
	  OUTCOME_CANCELLED,
	  16 },
	{ "no direction counts as inbound",
	  "operator_disconnects",
	  { DIRECTION_NONE, true, true },
	  OUTCOME_REJECTED,
	  21 },
	{ "before processing",
	  "disconnect_before_call_processing",
	  { DIRECTION_IN, false, false },
	  OUTCOME_CANCELLED,
	  16 },
	{ "other facts decide",
	  "another_operator_answer",
	  { DIRECTION_IN, true, true },
	  OUTCOME_NO_ANSWER,
	  26 },
	{ "money", "no_money", { DIRECTION_OUT, false, true }, OUTCOME_BLOCKED, 21 },
	{ "no such number",
	  "numb_not_exists",
	  { DIRECTION_OUT, false, true },
	  OUTCOME_NOT_FOUND,
	  1 },
	{ "technical", "no_active_scenario", { DIRECTION_IN, false, false }, OUTCOME_FAILED, 3 },
	{ "a pattern", "robot_busy", { DIRECTION_IN, true, true }, OUTCOME_BUSY, 17 },
	{ "a pattern in the middle",
	  "fax_not_allowed_today",
	  { DIRECTION_IN, false, true },
	  OUTCOME_BLOCKED,
	  57 },
};

static void check(void **state)
{
	const struct row *row = *state;
	const struct reason *reason = find(row->word);
	enum outcome outcome = outcome_unanswered(reason, &row->call);

	assert_int_equal(!reason, row->word[0] == '\0');
	assert_int_equal(outcome, row->want);
	if (reason)
		assert_int_equal(reason_q850(reason, outcome), row->q850);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_LEN(rows) + 3] = {
		cmocka_unit_test(every_row_of_the_table),
		cmocka_unit_test(every_word_of_the_sheet),
		cmocka_unit_test(unknown_words),
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		tests[3 + i] = (struct CMUnitTest){ .name = rows[i].name,
						    .test_func = check,
						    .initial_state = &rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
