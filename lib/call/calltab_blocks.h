/*
 * calltab_blocks.h - memory of calls, by size class
 *
 * Calls come and go and grow a few times in their life; a block that is given back waits for the
 * next one of its size, so that an event hardly ever asks anybody for memory. Blocks are cut from
 * regions of 2 MiB, which the kernel may map by one entry: the calls of a large table are met in no
 * order, and finding their pages would cost as much as their lines. When much waits, regions of
 * which nothing is in use any more go back. Thread: one owner.
 */
#ifndef CS_CALL_CALLTAB_BLOCKS_H
#define CS_CALL_CALLTAB_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_STEP    32u /* bytes between two classes, counted with 8 that malloc would take */
#define BLOCK_CLASSES 64u

struct block;
struct region;

struct blocks {
	struct block *spare[BLOCK_CLASSES];
	size_t used_bytes, spare_bytes;
	size_t idle_n;          /* regions of which nothing is in use */
	struct region *regions; /* the newest first: blocks are cut from it */
	size_t left;            /* bytes of it that never were a block */
};

/* What a block of at least n bytes has. */
size_t block_size(size_t n);
/* A block of a size that block_size gave, 16 bytes aligned; NULL without memory. */
void *block_take(struct blocks *b, size_t size);
void block_give(struct blocks *b, void *block, size_t size);
/* All of it, also what is in use but for blocks of no class. */
void blocks_fini(struct blocks *b);

#endif
