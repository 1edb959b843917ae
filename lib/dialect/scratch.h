/*
 * scratch.h - what a dialect_scratch holds; for dialects alone
 */
#ifndef CS_DIALECT_SCRATCH_H
#define CS_DIALECT_SCRATCH_H

#include "base/buf.h"
#include "wire/arena.h"

struct dialect_scratch {
	struct arena arena;
	struct buf text; /* what a note said; until the next request */
};

#endif
