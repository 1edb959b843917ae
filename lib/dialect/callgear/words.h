/*
 * words.h - which of the vendor's words means what (rules.md 2 and 3)
 * Thread: any.
 */
#ifndef CS_DIALECT_CALLGEAR_WORDS_H
#define CS_DIALECT_CALLGEAR_WORDS_H

#include "call/callev.h"

/* What a word stands for. call_hold_control is held or resumed by its status. */
struct cg_word {
	struct slice word;     /* a mnemonic or a legacy word, small letters */
	struct slice mnemonic; /* the mnemonic it stands for */
	enum callev_kind kind;
	enum direction direction; /* what the word itself says of the call */
};

/* A mnemonic or legacy word in any case, blanks around it; NULL: neither. */
const struct cg_word *cg_word(struct slice text);
/* The last segment of a path that is one. */
const struct cg_word *cg_word_in_path(struct slice path);
/* A notification's name as the vendor's cabinet has it, in either language, any case. */
const struct cg_word *cg_word_of_name(struct slice name);

#endif
