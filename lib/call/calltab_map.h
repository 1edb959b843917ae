/*
 * calltab_map.h - a small hash table of numbers under 20-bit tags: what the call table finds by
 *
 * A slot is one word: tag and value, so a search touches the item behind a value only when the tag
 * fits, and growing touches none. A value has 44 bits: a handle, or the address of a block without
 * the four bits that malloc keeps 0. Linear probing, deletion moves back what follows. Several
 * values may have one tag; the caller tells them apart.
 * Thread: one owner.
 */
#ifndef CS_CALL_CALLTAB_MAP_H
#define CS_CALL_CALLTAB_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct map {
	uint64_t *slots; /* tag << 44 | value; 0 is empty */
	uint32_t mask;   /* slots - 1, a power of two less one; 0 without slots */
	uint32_t n;
};

#define MAP_VALUE_BITS 44
#define MAP_VALUE_MAX  ((UINT64_C(1) << MAP_VALUE_BITS) - 1)

void map_fini(struct map *m);
/* value is 1..MAP_VALUE_MAX; of the tag the low 20 bits count. 0 or -ENOMEM. */
CHECKED int map_add(struct map *m, uint32_t tag, uint64_t value);
/* The entry must be there. */
void map_remove(struct map *m, uint32_t tag, uint64_t value);
void map_replace(struct map *m, uint32_t tag, uint64_t value, uint64_t by);

/*
 * Where a search stands: for (at = map_first(m, tag); (v = map_next(m, tag, &at));) ...
 * gives every value under the tag, then 0.
 */
static inline uint32_t map_first(const struct map *m, uint32_t tag)
{
	return tag & m->mask;
}

static inline uint64_t map_slot(uint32_t tag, uint64_t value)
{
	return (uint64_t)tag << MAP_VALUE_BITS | value;
}

static inline uint64_t map_next(const struct map *m, uint32_t tag, uint32_t *at)
{
	uint64_t slot, wanted = map_slot(tag, 0);

	if (!m->slots)
		return 0;
	while ((slot = m->slots[*at])) {
		*at = (*at + 1) & m->mask;
		if ((slot ^ wanted) <= MAP_VALUE_MAX)
			return slot & MAP_VALUE_MAX;
	}
	return 0;
}

/* The value in slot i of 0..mask, 0 when it is empty: to walk over all. */
static inline uint64_t map_value(const struct map *m, uint32_t i)
{
	return m->slots ? m->slots[i] & MAP_VALUE_MAX : 0;
}

static inline size_t map_bytes(const struct map *m)
{
	return m->slots ? ((size_t)m->mask + 1) * sizeof(*m->slots) : 0;
}

#endif
