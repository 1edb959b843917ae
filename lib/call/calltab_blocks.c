#include "call/calltab_blocks.h"

#include <sanitizer/asan_interface.h> /* nothing without the sanitizer: who waits is not touched */
#include <stdbool.h>
#include <stdlib.h>

#include "base/macros.h"

#define MALLOC_OWN  8u /* bytes before a chunk, which are 16 bytes apart */
#define SPARE_BYTES ((size_t)1 << 20)

struct block {
	struct block *next;
};

static size_t class_of(size_t size)
{
	return (size + MALLOC_OWN) / BLOCK_STEP;
}

size_t block_size(size_t n)
{
	return (n + MALLOC_OWN + BLOCK_STEP - 1) / BLOCK_STEP * BLOCK_STEP - MALLOC_OWN;
}

void *block_take(struct blocks *b, size_t size)
{
	size_t class = class_of(size);
	struct block *block = class < BLOCK_CLASSES ? b->spare[class] : NULL;

	if (block) {
		ASAN_UNPOISON_MEMORY_REGION(block, size);
		b->spare[class] = block->next;
		b->spare_bytes -= size;
		__builtin_prefetch(block->next, 1); /* left the cache long ago */
	} else {
		block = malloc(size);
	}
	if (block)
		b->used_bytes += size;
	return block;
}

void block_give(struct blocks *b, void *block, size_t size)
{
	size_t class = class_of(size);
	struct block *spare = block;

	b->used_bytes -= size;
	if (class >= BLOCK_CLASSES || b->spare_bytes > b->used_bytes / 2 + SPARE_BYTES) {
		free(block);
		return;
	}
	spare->next = b->spare[class];
	b->spare[class] = spare;
	b->spare_bytes += size;
	ASAN_POISON_MEMORY_REGION(block, size);
}

void blocks_fini(struct blocks *b)
{
	for (size_t class = 0; class < BLOCK_CLASSES; class ++) {
		while (b->spare[class]) {
			struct block *block = b->spare[class];

			ASAN_UNPOISON_MEMORY_REGION(block, BLOCK_STEP - MALLOC_OWN);
			b->spare[class] = block->next;
			free(block);
		}
	}
	b->spare_bytes = 0;
}
