/* The vendor's words, in any case, and its cabinet's names in both languages. */
#include "dialect/callgear/words.h"
#include "unit/base/rows.h"

static const struct word_row {
	const char *name;     /* the word */
	const char *mnemonic; /* NULL: unknown */
	enum callev_kind kind;
	enum direction direction;
} word_rows[] = {
	{ "in_call_session", "in_call_session", CALLEV_CALL_STARTED, DIRECTION_IN },
	{ "OUT_CALL_SESSION", "out_call_session", CALLEV_CALL_STARTED, DIRECTION_OUT },
	{ " call_proceeding\n", "call_proceeding", CALLEV_LEG_RINGING, DIRECTION_NONE },
	{ "call_connected", "call_connected", CALLEV_LEG_ANSWERED, DIRECTION_NONE },
	{ "call_disconnected", "call_disconnected", CALLEV_LEG_ENDED, DIRECTION_NONE },
	{ "call_hold_control", "call_hold_control", CALLEV_LEG_HELD, DIRECTION_NONE },
	{ "talk_started", "talk_started", CALLEV_TALK_STARTED, DIRECTION_NONE },
	{ "talk_finished", "talk_finished", CALLEV_TALK_ENDED, DIRECTION_NONE },
	{ "call_session_finished", "call_session_finished", CALLEV_CALL_ENDED, DIRECTION_NONE },
	{ "lost_call_session", "lost_call_session", CALLEV_CALL_LOST, DIRECTION_NONE },
	{ "talk_record_file", "talk_record_file", CALLEV_RECORDING_AVAILABLE, DIRECTION_NONE },
	{ "voice_message", "voice_message", CALLEV_RECORDING_AVAILABLE, DIRECTION_NONE },
	{ "incoming_call", "in_call_session", CALLEV_CALL_STARTED, DIRECTION_IN },
	{ "Switch", "talk_started", CALLEV_TALK_STARTED, DIRECTION_NONE },
	{ "unswitch", "talk_finished", CALLEV_TALK_ENDED, DIRECTION_NONE },
	{ "lost_call", "lost_call_session", CALLEV_CALL_LOST, DIRECTION_NONE },
	{ "call_recorded", "talk_record_file", CALLEV_RECORDING_AVAILABLE, DIRECTION_NONE },
	{ "sip_line_unregister", "sip_line_unregister", CALLEV_NOTE, DIRECTION_NONE },
	{ "", NULL, CALLEV_NOTE, DIRECTION_NONE },
	{ "talk", NULL, CALLEV_NOTE, DIRECTION_NONE },
	{ "talk_started_", NULL, CALLEV_NOTE, DIRECTION_NONE },
	{ "a_word_that_is_longer_than_any_that_we_know", NULL, CALLEV_NOTE, DIRECTION_NONE },
};

static void word(void **state)
{
	const struct word_row *row = *state;
	const struct cg_word *got = cg_word(slice_of(row->name));

	assert_int_equal(got != NULL, row->mnemonic != NULL);
	if (!got)
		return;
	assert_true(slice_is(got->mnemonic, row->mnemonic));
	assert_int_equal(got->kind, row->kind);
	assert_int_equal(got->direction, row->direction);
}

static const struct text_row {
	const char *name; /* the text */
	const char *mnemonic;
} path_rows[] = {
	{ "", NULL },
	{ "office", NULL },
	{ "talk_started", "talk_started" },
	{ "crm/Talk_Started", "talk_started" },
	{ "talk_started/office-2", "talk_started" },
	{ "talk_started/talk_finished", "talk_finished" },
	{ "/talk_started/", "talk_started" },
	{ "a//b", NULL },
	{ "/", NULL },
};

static void path(void **state)
{
	const struct text_row *row = *state;
	const struct cg_word *got = cg_word_in_path(slice_of(row->name));

	assert_int_equal(got != NULL, row->mnemonic != NULL);
	assert_true(!got || slice_is(got->mnemonic, row->mnemonic));
}

static const struct text_row name_rows[] = {
	{ "Lost call", "lost_call_session" },
	{ "LOST CALL ", "lost_call_session" },
	{ "Потерянный звонок", "lost_call_session" },
	{ "ПОТЕРЯННЫЙ ЗВОНОК", "lost_call_session" },
	{ "Waiting for the answer", "call_proceeding" },
	{ "Входящий звонок на виртуальный номер", "in_call_session" },
	{ "Lost call to CRM", NULL },
	{ "", NULL },
	{ "A name that goes on for longer than the longest of the vendor's own, as people will "
	  "write, "
	  "and on",
	  NULL },
};

static void name(void **state)
{
	const struct text_row *row = *state;
	const struct cg_word *got = cg_word_of_name(slice_of(row->name));

	assert_int_equal(got != NULL, row->mnemonic != NULL);
	assert_true(!got || slice_is(got->mnemonic, row->mnemonic));
}

int main(void)
{
	int failed = RUN_ROWS("words", word, word_rows);

	failed += RUN_ROWS("words in a path", path, path_rows);
	failed += RUN_ROWS("names", name, name_rows);
	return failed != 0;
}
