#include "call/calltab_map.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 8u

void map_fini(struct map *m)
{
	free(m->slots);
	*m = (struct map){ NULL, 0, 0 };
}

static uint32_t home(const struct map *m, uint64_t slot)
{
	return map_first(m, (uint32_t)(slot >> MAP_VALUE_BITS));
}

static void put(struct map *m, uint64_t slot)
{
	uint32_t at = home(m, slot);

	while (m->slots[at])
		at = (at + 1) & m->mask;
	m->slots[at] = slot;
}

static int grow(struct map *m)
{
	size_t old_n = m->slots ? (size_t)m->mask + 1 : 0;
	size_t n = old_n ? old_n * 2 : SLOTS_MIN;
	uint64_t *old = m->slots, *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	m->slots = slots;
	m->mask = (uint32_t)(n - 1);
	for (size_t i = 0; i < old_n; i++) {
		if (old[i])
			put(m, old[i]);
	}
	free(old);
	return 0;
}

int map_add(struct map *m, uint32_t tag, uint64_t value)
{
	/* Five sixths full at the most: probes stay short, and an empty slot ends each search. */
	if (!m->slots || ((uint64_t)m->n + 1) * 6 > ((uint64_t)m->mask + 1) * 5) {
		int err = grow(m);

		if (err)
			return err;
	}
	put(m, map_slot(tag, value));
	m->n++;
	return 0;
}

/* Empties slot hole and moves back what was only behind it because it was taken. */
static void close_hole(struct map *m, uint32_t hole)
{
	for (uint32_t at = (hole + 1) & m->mask; m->slots[at]; at = (at + 1) & m->mask) {
		if (((at - home(m, m->slots[at])) & m->mask) < ((at - hole) & m->mask))
			continue;
		m->slots[hole] = m->slots[at];
		hole = at;
	}
	m->slots[hole] = 0;
	m->n--;
}

static uint32_t find(const struct map *m, uint32_t tag, uint64_t value)
{
	uint64_t wanted = map_slot(tag, value);
	uint32_t at = map_first(m, tag);

	while (m->slots[at] != wanted)
		at = (at + 1) & m->mask;
	return at;
}

void map_remove(struct map *m, uint32_t tag, uint64_t value)
{
	close_hole(m, find(m, tag, value));
}

void map_replace(struct map *m, uint32_t tag, uint64_t value, uint64_t by)
{
	m->slots[find(m, tag, value)] = map_slot(tag, by);
}
