/*
 * revisions.h - the highest revision of each of some calls, by call id
 * Thread: one owner.
 */
#ifndef CS_ROLE_REVISIONS_H
#define CS_ROLE_REVISIONS_H

#include "base/uuid.h"

struct revision {
	struct uuid call_id;
	uint32_t revision; /* 0: a free slot */
};

struct revisions {
	struct revision *slots;
	size_t cap, n; /* cap: 0 or a power of two */
};

void revisions_fini(struct revisions *r);
/* Keeps the higher one. revision 0 is passed over. 0 or -ENOMEM. */
CHECKED int revisions_note(struct revisions *r, const struct uuid *call_id, uint32_t revision);
/* 0: none. */
uint32_t revisions_of(const struct revisions *r, const struct uuid *call_id);

#endif
