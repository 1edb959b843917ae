/*
 * cfg_mem.h - memory that is taken piece by piece and given back all at once: what a config lies in
 *
 * Without memory a request gives NULL and the pile stays bad, so that a reader may go on and look
 * once at the end. Thread: one owner.
 */
#ifndef CS_BASE_CFG_MEM_H
#define CS_BASE_CFG_MEM_H

#include "base/slice.h"

struct cfg_block;

struct cfg_mem {
	struct cfg_block *blocks; /* the newest first */
	size_t used, cap;         /* of the newest */
	bool bad;
};

#define CFG_MEM_EMPTY ((struct cfg_mem){ NULL, 0, 0, false })

void cfg_mem_fini(struct cfg_mem *mem);
/* n zeroed bytes, aligned for everything. */
void *cfg_alloc(struct cfg_mem *mem, size_t n);
/* A NUL-terminated copy; "" without memory. */
const char *cfg_copy(struct cfg_mem *mem, struct slice s);
/* Room for one item more behind *items, *n of them of size bytes each; NULL without memory. */
void *cfg_append(struct cfg_mem *mem, void **items, size_t *n, size_t size);

#endif
