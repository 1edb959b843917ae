/*
 * arena.h - memory for one message: taken piece by piece, given back all at once
 *
 * arena_reset keeps the memory for the next message, except what an unusually big one needed.
 * Thread: one owner.
 */
#ifndef CS_WIRE_ARENA_H
#define CS_WIRE_ARENA_H

#include "base/slice.h"

#define ARENA_BLOCK_BYTES ((size_t)64 << 10) /* the block that is kept */

struct arena_block;

struct arena {
	struct arena_block *blocks; /* the newest first; the kept one is the last */
	char *next, *end;           /* what is free in the newest */
	void *last;                 /* the piece that may still grow where it is */
};

#define ARENA_EMPTY ((struct arena){ NULL, NULL, NULL, NULL })

void arena_fini(struct arena *a);
void arena_reset(struct arena *a);
/* n bytes, aligned for everything; NULL without memory. */
void *arena_alloc(struct arena *a, size_t n);
/* A piece of old bytes becomes one of n (its content kept), where it is if it was the last. */
void *arena_grow(struct arena *a, void *p, size_t old, size_t n);

#endif
