/*
 * calltab_blocks.h - memory of calls, by size class
 *
 * Calls come and go and grow a few times in their life; a block that is given back waits for the
 * next one of its size, so that an event hardly ever asks malloc. What waits is bounded by what is
 * in use. Thread: one owner.
 */
#ifndef CS_CALL_CALLTAB_BLOCKS_H
#define CS_CALL_CALLTAB_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_STEP    32u /* bytes between two classes, counted with malloc's own 8 */
#define BLOCK_CLASSES 64u

struct block;

struct blocks {
	struct block *spare[BLOCK_CLASSES];
	size_t used_bytes, spare_bytes;
};

/* What a block of at least n bytes has. */
size_t block_size(size_t n);
/* A block of a size that block_size gave; NULL without memory. */
void *block_take(struct blocks *b, size_t size);
void block_give(struct blocks *b, void *block, size_t size);
/* Frees what waits; what is in use is the caller's. */
void blocks_fini(struct blocks *b);

#endif
