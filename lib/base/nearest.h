/*
 * nearest.h - which of the known words somebody may have meant
 *
 * Letters to change, insert, leave out or swap with their neighbour are counted; only what is near
 * enough for a slip of the finger is an answer. Thread: one owner.
 */
#ifndef CS_BASE_NEAREST_H
#define CS_BASE_NEAREST_H

#include "base/slice.h"

struct nearest {
	struct slice asked;
	size_t distance;  /* of word; as far as a slip goes, at first */
	const char *word; /* the nearest of those tried, or NULL */
};

struct nearest nearest_to(struct slice asked);
/* word is borrowed. */
void nearest_try(struct nearest *n, const char *word);

#endif
