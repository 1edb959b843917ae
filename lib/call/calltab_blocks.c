#include "call/calltab_blocks.h"

#include <sanitizer/asan_interface.h> /* nothing without the sanitizer: who waits is not touched */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/macros.h"

#define OWN_BYTES   8u /* of a block: those of a class are BLOCK_STEP apart, those of malloc 16 */
#define SPARE_BYTES ((size_t)1 << 20)

#define REGION_BYTES ((size_t)2 << 20)
#define REGION_HEAD  ((size_t)4 << 10) /* before the first block */
#define LINE_BYTES   64u

struct block {
	struct block *next;
};

/*
 * Somewhere in the first page of its region: that many lines behind the start as the region's
 * number says, so that the heads of all regions do not compete for the same few cache lines.
 */
struct region {
	struct region *older;
	char *start;
	size_t used_bytes;
};

static size_t class_of(size_t size)
{
	return (size + OWN_BYTES) / BLOCK_STEP;
}

size_t block_size(size_t n)
{
	return (n + OWN_BYTES + BLOCK_STEP - 1) / BLOCK_STEP * BLOCK_STEP - OWN_BYTES;
}

/* ---- regions ---- */

static struct region *region_at(char *start)
{
	uintptr_t number = (uintptr_t)start / REGION_BYTES;

	return (struct region *)(void *)(start + number % (REGION_HEAD / LINE_BYTES) * LINE_BYTES);
}

static struct region *region_of(void *block)
{
	return region_at((char *)block - (uintptr_t)block % REGION_BYTES);
}

/* Twice as much is asked for, and what is not aligned given back. */
static char *region_memory(void)
{
	char *p = mmap(NULL, 2 * REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = (REGION_BYTES - (uintptr_t)p % REGION_BYTES) % REGION_BYTES;
	if (before)
		munmap(p, before);
	munmap(p + before + REGION_BYTES, REGION_BYTES - before);
	return p + before;
}

static bool add_region(struct blocks *b)
{
	char *start = region_memory();
	struct region *region;

	if (!start)
		return false;
	/* Not the first: a small table would take 2 MiB at once. */
	if (b->regions)
		(void)madvise(start, REGION_BYTES, MADV_HUGEPAGE);
	region = region_at(start);
	*region = (struct region){ b->regions, start, 0 };
	b->regions = region;
	b->idle_n++;
	b->left = REGION_BYTES - REGION_HEAD;
	return true;
}

/* left: bytes at its end that never were a block. */
static void drop_region(struct region *region, size_t left)
{
	char *start = region->start;

	(void)left;
	ASAN_UNPOISON_MEMORY_REGION(start, REGION_BYTES - left);
	munmap(start, REGION_BYTES);
}

/* A block that never was one; what is left of a region that is too full for it is lost. */
static struct block *cut(struct blocks *b, size_t size)
{
	size_t step = size + OWN_BYTES;
	char *block;

	if (b->left < step && !add_region(b))
		return NULL;
	block = b->regions->start + REGION_BYTES - b->left;
	b->left -= step;
	return (struct block *)(void *)block;
}

/* The waiting blocks of idle regions leave their list. */
static void sweep_class(struct blocks *b, size_t class)
{
	struct block *block = b->spare[class], *kept = NULL, *next;

	for (; block; block = next) {
		ASAN_UNPOISON_MEMORY_REGION(block, sizeof(*block));
		next = block->next;
		if (region_of(block)->used_bytes == 0) {
			b->spare_bytes -= class * BLOCK_STEP - OWN_BYTES;
			continue;
		}
		block->next = kept;
		kept = block;
		ASAN_POISON_MEMORY_REGION(block, sizeof(*block));
	}
	b->spare[class] = kept;
}

static void sweep(struct blocks *b)
{
	struct region **link = &b->regions;
	const struct region *newest = b->regions;

	for (size_t class = 0; class < BLOCK_CLASSES; class ++)
		sweep_class(b, class);
	while (*link) {
		struct region *region = *link;

		if (region->used_bytes) {
			link = &region->older;
			continue;
		}
		*link = region->older;
		drop_region(region, 0);
	}
	b->idle_n = 0;
	if (b->regions != newest)
		b->left = 0;
}

/* A sweep looks at all that waits: a good part of it must go then. */
static bool pays(const struct blocks *b)
{
	return b->idle_n * REGION_BYTES >= b->spare_bytes / 4;
}

/* ---- the header's functions ---- */

void *block_take(struct blocks *b, size_t size)
{
	size_t class = class_of(size);
	struct region *region;
	struct block *block;

	if (class >= BLOCK_CLASSES) {
		block = malloc(size);
		b->used_bytes += block ? size : 0;
		return block;
	}
	block = b->spare[class];
	if (block) {
		ASAN_UNPOISON_MEMORY_REGION(block, size);
		b->spare[class] = block->next;
		b->spare_bytes -= size;
		__builtin_prefetch(block->next, 1); /* left the cache long ago */
	} else {
		block = cut(b, size);
		if (!block)
			return NULL;
	}
	region = region_of(block);
	b->idle_n -= region->used_bytes == 0;
	region->used_bytes += size;
	b->used_bytes += size;
	return block;
}

void block_give(struct blocks *b, void *block, size_t size)
{
	size_t class = class_of(size);
	struct block *spare = block;
	struct region *region;

	b->used_bytes -= size;
	if (class >= BLOCK_CLASSES) {
		free(block);
		return;
	}
	region = region_of(block);
	region->used_bytes -= size;
	b->idle_n += region->used_bytes == 0;
	spare->next = b->spare[class];
	b->spare[class] = spare;
	b->spare_bytes += size;
	ASAN_POISON_MEMORY_REGION(block, size);
	if (UNLIKELY(b->spare_bytes > b->used_bytes / 2 + SPARE_BYTES) && pays(b))
		sweep(b);
}

void blocks_fini(struct blocks *b)
{
	while (b->regions) {
		struct region *region = b->regions;

		b->regions = region->older;
		drop_region(region, b->left);
		b->left = 0;
	}
	*b = (struct blocks){ .used_bytes = 0 };
}
