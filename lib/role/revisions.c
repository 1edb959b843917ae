#include "role/revisions.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_FIRST 256u

void revisions_fini(struct revisions *r)
{
	free(r->slots);
	*r = (struct revisions){ NULL, 0, 0 };
}

/* Ids are hashes already. Where it is, or the free slot where it would be. */
static struct revision *slot_of(const struct revisions *r, const struct uuid *call_id)
{
	uint64_t hash;
	size_t at;

	memcpy(&hash, call_id->b + UUID_LEN - sizeof(hash), sizeof(hash));
	for (at = hash & (r->cap - 1); r->slots[at].revision; at = (at + 1) & (r->cap - 1)) {
		if (uuid_eq(&r->slots[at].call_id, call_id))
			break;
	}
	return &r->slots[at];
}

static int grow(struct revisions *r)
{
	struct revisions bigger = { NULL, r->cap ? 2 * r->cap : SLOTS_FIRST, r->n };

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < r->cap; i++) {
		if (r->slots[i].revision)
			*slot_of(&bigger, &r->slots[i].call_id) = r->slots[i];
	}
	free(r->slots);
	*r = bigger;
	return 0;
}

int revisions_note(struct revisions *r, const struct uuid *call_id, uint32_t revision)
{
	struct revision *slot;

	if (revision == 0)
		return 0;
	if (2 * (r->n + 1) > r->cap && grow(r) < 0)
		return -ENOMEM;
	slot = slot_of(r, call_id);
	r->n += slot->revision == 0;
	*slot = (struct revision){ *call_id, MAX(slot->revision, revision) };
	return 0;
}

uint32_t revisions_of(const struct revisions *r, const struct uuid *call_id)
{
	return r->cap ? slot_of(r, call_id)->revision : 0;
}
