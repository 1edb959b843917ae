#include "wire/arena.h"

#include <stdlib.h>

#define ALIGN ((size_t)16)

struct arena_block {
	_Alignas(16) struct arena_block *older;
	size_t size; /* of the bytes behind this head */
};

static size_t rounded(size_t n)
{
	return (n + ALIGN - 1) & ~(ALIGN - 1);
}

static char *bytes_of(struct arena_block *block)
{
	return (char *)(block + 1);
}

static void use(struct arena *a, struct arena_block *block)
{
	a->next = block ? bytes_of(block) : NULL;
	a->end = block ? bytes_of(block) + block->size : NULL;
	a->last = NULL;
}

void arena_fini(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *older = a->blocks->older;

		free(a->blocks);
		a->blocks = older;
	}
	*a = ARENA_EMPTY;
}

void arena_reset(struct arena *a)
{
	while (a->blocks && (a->blocks->older || a->blocks->size > ARENA_BLOCK_BYTES)) {
		struct arena_block *older = a->blocks->older;

		free(a->blocks);
		a->blocks = older;
	}
	use(a, a->blocks);
}

/* A block of its own kind for what is big, else one of the usual size. */
static bool add_block(struct arena *a, size_t n)
{
	size_t size = MAX(n, ARENA_BLOCK_BYTES);
	struct arena_block *block;

	if (size > SIZE_MAX / 2)
		return false;
	block = malloc(sizeof(*block) + size);
	if (!block)
		return false;
	block->older = a->blocks;
	block->size = size;
	a->blocks = block;
	use(a, block);
	return true;
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t need = rounded(n ? n : 1);

	if (need < n)
		return NULL;
	if (UNLIKELY(need > (size_t)(a->end - a->next)) && !add_block(a, need))
		return NULL;
	a->last = a->next;
	a->next += need;
	return a->last;
}

void *arena_grow(struct arena *a, void *p, size_t old, size_t n)
{
	size_t need = rounded(n ? n : 1);
	void *bigger;

	if (need < n)
		return NULL;
	if (p && p == a->last && need <= (size_t)(a->end - (char *)p)) {
		a->next = (char *)p + need;
		return p;
	}
	bigger = arena_alloc(a, n);
	if (bigger && p)
		memcpy(bigger, p, MIN(old, n));
	return bigger;
}
