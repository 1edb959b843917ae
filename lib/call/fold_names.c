#include "call/fold_parts.h"

#include <errno.h>

#include "call/text.h"

#define LISTED_MAX 16u /* that few are looked at one after another */

int names_init(struct names *names, struct arena *arena, size_t max)
{
	size_t slots = 8;

	*names = (struct names){ .texts = arena_alloc(arena, MAX(max, 1) * sizeof(struct slice)) };
	if (!names->texts)
		return -ENOMEM;
	if (max <= LISTED_MAX)
		return 0;
	while (slots < max * 2)
		slots *= 2;
	names->slots = arena_alloc(arena, slots * sizeof(*names->slots));
	if (!names->slots)
		return -ENOMEM;
	memset(names->slots, 0, slots * sizeof(*names->slots));
	names->mask = (uint32_t)slots - 1;
	return 0;
}

/* The slot of a text, or the free one where it belongs. */
static uint32_t *slot_of(const struct names *names, struct slice text)
{
	uint32_t at = (uint32_t)text_hash(text, 0) & names->mask;

	while (names->slots[at] && !text_eq(names->texts[names->slots[at] - 1], text))
		at = (at + 1) & names->mask;
	return &names->slots[at];
}

/* Its number, or that which the next one gets. */
static uint32_t listed(const struct names *names, struct slice text)
{
	uint32_t i = 0;

	while (i < names->n && !text_eq(names->texts[i], text))
		i++;
	return i;
}

uint32_t names_add(struct names *names, struct slice text)
{
	uint32_t *slot = names->slots ? slot_of(names, text) : NULL;
	uint32_t number = !slot ? listed(names, text) : *slot ? *slot - 1 : names->n;

	if (number == names->n) {
		names->texts[names->n++] = text;
		if (slot)
			*slot = names->n;
	}
	return number;
}

uint32_t names_find(const struct names *names, struct slice text)
{
	uint32_t number;

	if (names->slots)
		return *slot_of(names, text) - 1; /* a free slot wraps to NAME_NONE */
	number = listed(names, text);
	return number < names->n ? number : NAME_NONE;
}
