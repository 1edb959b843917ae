/*
 * outbox.h - messages that wait for their transaction: one buffer, in order
 *
 * Keys and values are written straight into it: outbox_open, the key, outbox_value, the value,
 * outbox_close. Without memory it turns bad and stays so until it is reset.
 * Thread: one owner.
 */
#ifndef CS_ROLE_OUTBOX_H
#define CS_ROLE_OUTBOX_H

#include "log/log.h"

struct outbox_entry {
	enum topic topic;
	bool tombstone;
	uint32_t key_n;
	size_t at, value_n; /* the value begins at at + key_n */
};

struct outbox {
	struct buf bytes;
	struct outbox_entry *entries;
	size_t n, cap;
	bool bad;
};

#define OUTBOX_EMPTY ((struct outbox){ .bytes = { NULL, 0, 0, false } })

void outbox_fini(struct outbox *o);
void outbox_reset(struct outbox *o); /* keeps the memory */

/* Begins a message; its key is appended to what this returns. */
struct buf *outbox_open(struct outbox *o, enum topic topic);
/* The key is whole; the value follows in the same buffer. */
void outbox_value(struct outbox *o);
void outbox_close(struct outbox *o);
/* A message with a null value, whose key was just written after outbox_open. */
void outbox_close_tombstone(struct outbox *o);
/* All at once; copies. */
void outbox_add(struct outbox *o, enum topic topic, struct slice key, struct slice value);

struct outbox_msg {
	enum topic topic;
	bool tombstone;
	struct slice key, value;
};
/* Message i of outbox->n; valid until the next change. */
struct outbox_msg outbox_get(const struct outbox *o, size_t i);

#endif
