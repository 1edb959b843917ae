#include "base/cfg_mem.h"

#include <stdlib.h>

#define BLOCK_BYTES ((size_t)16 << 10)
#define ALIGN       _Alignof(max_align_t)

struct cfg_block {
	struct cfg_block *older;
	max_align_t bytes[];
};

void cfg_mem_fini(struct cfg_mem *mem)
{
	while (mem->blocks) {
		struct cfg_block *older = mem->blocks->older;

		free(mem->blocks);
		mem->blocks = older;
	}
	*mem = CFG_MEM_EMPTY;
}

static bool new_block(struct cfg_mem *mem, size_t n)
{
	size_t cap = MAX(n, BLOCK_BYTES);
	struct cfg_block *block = calloc(1, sizeof(*block) + cap);

	if (!block) {
		mem->bad = true;
		return false;
	}
	block->older = mem->blocks;
	mem->blocks = block;
	mem->used = 0;
	mem->cap = cap;
	return true;
}

void *cfg_alloc(struct cfg_mem *mem, size_t n)
{
	void *p;

	n = (MAX(n, 1) + ALIGN - 1) / ALIGN * ALIGN;
	if (n > mem->cap - mem->used && !new_block(mem, n))
		return NULL;
	p = (char *)mem->blocks->bytes + mem->used;
	mem->used += n;
	return p;
}

const char *cfg_copy(struct cfg_mem *mem, struct slice s)
{
	char *p = cfg_alloc(mem, s.n + 1);

	if (!p)
		return "";
	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

/* The room doubles whenever n has reached a power of two; the old one stays in the pile. */
void *cfg_append(struct cfg_mem *mem, void **items, size_t *n, size_t size)
{
	if ((*n & (*n - 1)) == 0) { /* 0, 1, 2, 4, 8, ... */
		void *grown = cfg_alloc(mem, MAX(*n * 2, 1) * size);

		if (!grown)
			return NULL;
		if (*n)
			memcpy(grown, *items, *n * size);
		*items = grown;
	}
	return (char *)*items + (*n)++ * size;
}
