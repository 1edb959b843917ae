/*
 * outcome.h - what a vendor's reason says about a call (rules.md 6)
 *
 * The rows of callgear-reasons.tsv, one per word, with patterns for words nobody listed.
 * Thread: any.
 */
#ifndef CS_CALL_OUTCOME_H
#define CS_CALL_OUTCOME_H

#include "call/callev.h"

#define Q850_NO_SUCH_NUMBER 1 /* contract.md 3.2: not_found, whoever says so */

/* Beyond the contract's outcomes: what a word alone does not decide. */
enum {
	OUTCOME_FACTS = OUTCOMES_N, /* the call's other facts do */
	OUTCOME_HUNG_UP,            /* who hung up, and which way the call went */
};

struct reason {
	const char *word; /* a pattern has stars */
	int outcome;      /* of a call without a talk: an enum outcome or one of the two above */
	int32_t q850;
	enum side by; /* SIDE_NONE: the word does not say */
	const char *text;
};

/* CallGear's reasons; NULL: none of the table, and no pattern fits. */
const struct reason *reason_of_callgear(struct slice word);

/* What is known of a call in which no talk began. */
struct unanswered {
	enum direction direction;
	bool rang;  /* a phone of the called side */
	bool known; /* somebody was called: a leg rang, an employee is known, or the vendor says
		       lost */
};

/* The outcome of such a call; reason may be NULL: the vendor gave none. */
enum outcome outcome_unanswered(const struct reason *reason, const struct unanswered *call);
/* The reason's Q.850 cause in a call of that outcome. */
int32_t reason_q850(const struct reason *reason, enum outcome outcome);

#endif
