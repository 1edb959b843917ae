/*
 * uuid.h - name-based UUIDs (RFC 9562 version 5) in callstream's namespace (contract.md 3.1)
 * Thread: any.
 */
#ifndef CS_BASE_UUID_H
#define CS_BASE_UUID_H

#include "base/slice.h"

#define UUID_LEN      16
#define UUID_TEXT_LEN 36

struct uuid {
	uint8_t b[UUID_LEN];
};

/* The name is the parts joined by LF; an absent part is empty. parts_n 1..32. */
void uuid_v5(const struct slice *parts, size_t parts_n, struct uuid *ret);
/* uuid_v5 over account LF call_session_id: the id of a call for ever. */
void uuid_of_call(struct slice account, struct slice call_session_id, struct uuid *ret);
/* A random one (version 4). */
void uuid_random(struct uuid *ret);
/* Writes exactly UUID_TEXT_LEN bytes, lower case, no NUL. */
void uuid_write(const struct uuid *id, char out[UUID_TEXT_LEN]);
/* Upper case is accepted. 0 or -EINVAL. */
CHECKED int uuid_read(struct slice text, struct uuid *ret);

static inline bool uuid_eq(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->b, b->b, UUID_LEN) == 0;
}

static inline int uuid_cmp(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->b, b->b, UUID_LEN);
}

#endif
