#include "call/fold_parts.h"

#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

int names_init(struct names *names, struct arena *arena, size_t max)
{
	size_t slots = 8;

	while (slots < max * 2)
		slots *= 2;
	names->texts = arena_alloc(arena, MAX(max, 1) * sizeof(*names->texts));
	names->slots = arena_alloc(arena, slots * sizeof(*names->slots));
	if (!names->texts || !names->slots)
		return -ENOMEM;
	memset(names->slots, 0, slots * sizeof(*names->slots));
	names->mask = (uint32_t)slots - 1;
	names->n = 0;
	return 0;
}

/* The slot of a text, or the free one where it belongs. */
static uint32_t *slot_of(const struct names *names, struct slice text)
{
	uint32_t at = (uint32_t)XXH3_64bits(text.p, text.n) & names->mask;

	while (names->slots[at] && !slice_eq(names->texts[names->slots[at] - 1], text))
		at = (at + 1) & names->mask;
	return &names->slots[at];
}

uint32_t names_add(struct names *names, struct slice text)
{
	uint32_t *slot = slot_of(names, text);

	if (!*slot) {
		names->texts[names->n] = text;
		*slot = ++names->n;
	}
	return *slot - 1;
}

uint32_t names_find(const struct names *names, struct slice text)
{
	return *slot_of(names, text) - 1; /* a free slot wraps to NAME_NONE */
}
