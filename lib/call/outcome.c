#include "call/outcome.h"

#define Q850_CALL_REJECTED 21

#define ROW(word, outcome, q850, side, text) { word, OUTCOME_##outcome, q850, SIDE_##side, text },

static const struct reason words[] = {
/* sorted */
#define REASON ROW
#define PATTERN(word, outcome, q850, side, text)
#include "call/callgear_reasons.h"
#undef REASON
#undef PATTERN
};

static const struct reason patterns[] = {
#define REASON(word, outcome, q850, side, text)
#define PATTERN ROW
#include "call/callgear_reasons.h"
#undef REASON
#undef PATTERN
};

/* A star stands for any bytes, also none. Goes back to the last star only, so never far. */
static bool fits(const char *pattern, struct slice word)
{
	const char *star = NULL;
	size_t i = 0, from = 0;

	while (i < word.n) {
		if (*pattern == '*') {
			star = ++pattern;
			from = i;
		} else if (*pattern == word.p[i]) {
			pattern++;
			i++;
		} else if (star) {
			pattern = star;
			i = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

const struct reason *reason_of_callgear(struct slice word)
{
	size_t low = 0, high = ARRAY_LEN(words);

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = slice_cmp(word, slice_of(words[middle].word));

		if (order == 0)
			return &words[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		if (fits(patterns[i].word, word))
			return &patterns[i];
	}
	return NULL;
}

/* By the calling side, or before anything rang: cancelled; by the called side: rejected. */
static enum outcome hung_up(enum side by, const struct unanswered *call)
{
	enum side calling = call->direction == DIRECTION_OUT ? SIDE_EMPLOYEE : SIDE_CONTACT;

	return by == calling || !call->rang ? OUTCOME_CANCELLED : OUTCOME_REJECTED;
}

enum outcome outcome_unanswered(const struct reason *reason, const struct unanswered *call)
{
	if (!reason)
		return call->known ? OUTCOME_NO_ANSWER : OUTCOME_CANCELLED;
	switch (reason->outcome) {
	case OUTCOME_HUNG_UP:
		return hung_up(reason->by, call);
	case OUTCOME_FACTS:
		return OUTCOME_NO_ANSWER;
	default:
		return (enum outcome)reason->outcome;
	}
}

int32_t reason_q850(const struct reason *reason, enum outcome outcome)
{
	if (reason->outcome == OUTCOME_HUNG_UP && outcome == OUTCOME_REJECTED)
		return Q850_CALL_REJECTED;
	return reason->q850;
}
