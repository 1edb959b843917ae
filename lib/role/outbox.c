#include "role/outbox.h"

#include <stdlib.h>

#define ENTRIES_FIRST 64u

void outbox_fini(struct outbox *o)
{
	buf_fini(&o->bytes);
	free(o->entries);
	*o = OUTBOX_EMPTY;
}

void outbox_reset(struct outbox *o)
{
	buf_reset(&o->bytes);
	o->n = 0;
	o->bad = false;
}

static bool grow(struct outbox *o)
{
	size_t cap = o->cap ? 2 * o->cap : ENTRIES_FIRST;
	struct outbox_entry *entries = realloc(o->entries, cap * sizeof(*entries));

	if (!entries)
		return false;
	o->entries = entries;
	o->cap = cap;
	return true;
}

struct buf *outbox_open(struct outbox *o, enum topic topic)
{
	if (o->n == o->cap && !grow(o)) {
		o->bad = true;
		return &o->bytes;
	}
	o->entries[o->n] = (struct outbox_entry){ .topic = topic, .at = o->bytes.n };
	return &o->bytes;
}

void outbox_value(struct outbox *o)
{
	if (!o->bad)
		o->entries[o->n].key_n = (uint32_t)(o->bytes.n - o->entries[o->n].at);
}

void outbox_close(struct outbox *o)
{
	struct outbox_entry *e;

	o->bad = o->bad || o->bytes.bad;
	if (o->bad)
		return;
	e = &o->entries[o->n++];
	e->value_n = o->bytes.n - e->at - e->key_n;
}

void outbox_close_tombstone(struct outbox *o)
{
	outbox_value(o);
	if (!o->bad)
		o->entries[o->n].tombstone = true;
	outbox_close(o);
}

void outbox_add(struct outbox *o, enum topic topic, struct slice key, struct slice value)
{
	struct buf *b = outbox_open(o, topic);

	buf_add_slice(b, key);
	outbox_value(o);
	buf_add_slice(b, value);
	outbox_close(o);
}

struct outbox_msg outbox_get(const struct outbox *o, size_t i)
{
	const struct outbox_entry *e = &o->entries[i];
	const char *p = o->bytes.p + e->at;

	return (struct outbox_msg){
		.topic = e->topic,
		.tombstone = e->tombstone,
		.key = slice_make(p, e->key_n),
		.value = slice_make(p + e->key_n, e->value_n),
	};
}
