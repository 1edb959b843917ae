#include "dialect/callgear/words.h"

#include "wire/utf8.h"

#define WORD_MAX_N 24
#define NAME_MAX_N 96

/* clang-format off */
#define W(word, mnemonic, kind, direction) \
	{ SLICE_INIT(word), SLICE_INIT(mnemonic), CALLEV_##kind, DIRECTION_##direction }
#define M(word, kind) W(word, word, kind, NONE)
#define NOTE(word)    M(word, NOTE)

/* Those of every call first. */
static const struct cg_word words[] = {
	W("in_call_session", "in_call_session", CALL_STARTED, IN),
	W("out_call_session", "out_call_session", CALL_STARTED, OUT),
	M("call_proceeding", LEG_RINGING),
	M("talk_started", TALK_STARTED),
	M("talk_finished", TALK_ENDED),
	M("call_session_finished", CALL_ENDED),
	M("lost_call_session", CALL_LOST),
	M("talk_record_file", RECORDING_AVAILABLE),
	M("call_connected", LEG_ANSWERED),
	M("call_disconnected", LEG_ENDED),
	M("call_hold_control", LEG_HELD),
	M("voice_message", RECORDING_AVAILABLE),
	/* "version 1" of the notifications */
	W("incoming_call", "in_call_session", CALL_STARTED, IN),
	W("call_placed", "out_call_session", CALL_STARTED, OUT),
	W("switch", "talk_started", TALK_STARTED, NONE),
	W("unswitch", "talk_finished", TALK_ENDED, NONE),
	W("lost_call", "lost_call_session", CALL_LOST, NONE),
	W("call_recorded", "talk_record_file", RECORDING_AVAILABLE, NONE),
	/* known, and no fact of a call */
	NOTE("in_call"),
	NOTE("out_call"),
	NOTE("talk_record_control"),
	NOTE("set_mark"),
	NOTE("unset_mark"),
	NOTE("fax_receive_finished"),
	NOTE("offline_message"),
	NOTE("chat_finished"),
	NOTE("lost_chat"),
	NOTE("unanswered_chats"),
	NOTE("event"),
	NOTE("sip_line_unregister"),
};

/* In small letters. */
static const struct {
	struct slice name;
	struct slice mnemonic;
} names[] = {
	{ SLICE_INIT("inbound call on a virtual phone number"), SLICE_INIT("in_call_session") },
	{ SLICE_INIT("входящий звонок на виртуальный номер"), SLICE_INIT("in_call_session") },
	{ SLICE_INIT("call finished"), SLICE_INIT("call_session_finished") },
	{ SLICE_INIT("завершение звонка"), SLICE_INIT("call_session_finished") },
	{ SLICE_INIT("call recording completed"), SLICE_INIT("talk_record_file") },
	{ SLICE_INIT("записанный разговор"), SLICE_INIT("talk_record_file") },
	{ SLICE_INIT("waiting for the answer"), SLICE_INIT("call_proceeding") },
	{ SLICE_INIT("ожидание ответа"), SLICE_INIT("call_proceeding") },
	{ SLICE_INIT("outbound call"), SLICE_INIT("out_call_session") },
	{ SLICE_INIT("исходящий звонок"), SLICE_INIT("out_call_session") },
	{ SLICE_INIT("talk started"), SLICE_INIT("talk_started") },
	{ SLICE_INIT("начало разговора"), SLICE_INIT("talk_started") },
	{ SLICE_INIT("talk finished"), SLICE_INIT("talk_finished") },
	{ SLICE_INIT("окончание разговора"), SLICE_INIT("talk_finished") },
	{ SLICE_INIT("lost call"), SLICE_INIT("lost_call_session") },
	{ SLICE_INIT("потерянный звонок"), SLICE_INIT("lost_call_session") },
};
/* clang-format on */

static const struct cg_word *find(struct slice word)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (slice_eq(words[i].word, word))
			return &words[i];
	}
	return NULL;
}

const struct cg_word *cg_word(struct slice text)
{
	char small[WORD_MAX_N];

	text = slice_trim(text);
	if (text.n == 0 || text.n > sizeof(small))
		return NULL;
	utf8_lower(text, small);
	return find(slice_make(small, text.n));
}

const struct cg_word *cg_word_in_path(struct slice path)
{
	while (path.n) {
		size_t begin = path.n;
		const struct cg_word *word;

		while (begin && path.p[begin - 1] != '/')
			begin--;
		word = cg_word(slice_skip(path, begin));
		if (word)
			return word;
		path.n = begin ? begin - 1 : 0;
	}
	return NULL;
}

const struct cg_word *cg_word_of_name(struct slice name)
{
	char small[NAME_MAX_N];

	name = slice_trim(name);
	if (name.n == 0 || name.n > sizeof(small))
		return NULL;
	utf8_lower(name, small);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (slice_eq(names[i].name, slice_make(small, name.n)))
			return find(names[i].mnemonic);
	}
	return NULL;
}
