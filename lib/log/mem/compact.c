/*
 * compact.c - what a broker does to old segments
 */
#include <errno.h>
#include <stdlib.h>

#include "log/mem/cluster.h"

void memlog_roll(struct memlog *m, enum topic topic)
{
	memlog_run(m);
	for (int32_t i = 0; i < m->topics[topic].n; i++) {
		struct mem_part *p = &m->topics[topic].parts[i];

		if (p->segment_bytes == 0)
			continue;
		p->segment_base = p->high;
		p->segment_bytes = 0;
	}
}

/* ---- keys ---- */

struct keyed {
	struct slice key;
	size_t i;
	uint64_t hash;
};

static uint64_t hash_of(struct slice key)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 1099511628211u;
	return h;
}

static int by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	int order = (x->hash > y->hash) - (x->hash < y->hash);

	if (!order)
		order = slice_cmp(x->key, y->key);
	return order ? order : (x->i > y->i) - (x->i < y->i);
}

static bool is_data(const struct entry *e)
{
	return e->fate == MEMLOG_PLAIN || e->fate == MEMLOG_COMMITTED;
}

/* The first pass gives a time, a later one behind it takes the entry. */
static bool time_is_over(struct memlog *m, struct entry *e)
{
	int64_t now_ms = mem_now(m);

	if (!e->horizon_ms) {
		e->horizon_ms = now_ms + m->set.tombstone_ms + 1;
		return false;
	}
	return now_ms >= e->horizon_ms;
}

/* keep[i] for the first n entries. */
static int choose(struct memlog *m, struct mem_part *p, size_t n, bool *keep)
{
	struct keyed *keys = mem_alloc(m, n * sizeof(*keys));
	size_t keys_n = 0;

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct entry *e = &p->v[i];
		struct slice key = slice_make(p->bytes + e->at, e->key_n);

		keep[i] = e->fate == MEMLOG_MARKER && !time_is_over(m, e);
		if (is_data(e))
			keys[keys_n++] = (struct keyed){ key, i, hash_of(key) };
	}
	qsort(keys, keys_n, sizeof(*keys), by_key);
	for (size_t k = 0; k < keys_n; k++) {
		struct entry *e = &p->v[keys[k].i];
		bool newest = k + 1 == keys_n || !slice_eq(keys[k].key, keys[k + 1].key);

		keep[keys[k].i] = newest && !(e->tombstone && time_is_over(m, e));
	}
	mem_free(m, keys);
	return 0;
}

/* ---- taking out ---- */

static int pack(struct memlog *m, struct mem_part *p, const bool *keep, size_t n)
{
	char *bytes = mem_alloc(m, p->bytes_n);
	size_t kept = 0, at = 0;

	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < p->n; i++) {
		struct entry e = p->v[i];

		if (i < n && !keep[i])
			continue;
		if (e.key_n + e.value_n)
			memcpy(bytes + at, p->bytes + e.at, e.key_n + e.value_n);
		e.at = at;
		at += e.key_n + e.value_n;
		p->v[kept++] = e;
	}
	m->counts.compacted += p->n - kept;
	mem_free(m, p->bytes);
	p->bytes = bytes;
	p->bytes_cap = p->bytes_n;
	p->bytes_n = at;
	p->n = kept;
	return 0;
}

static int compact_part(struct memlog *m, struct mem_part *p)
{
	int64_t until = MIN(part_stable(p), p->segment_base);
	size_t n = part_find(p, until);
	bool *keep;
	int r;

	if (n == 0)
		return 0;
	keep = mem_alloc(m, n);
	if (!keep)
		return -ENOMEM;
	r = choose(m, p, n, keep);
	if (r == 0)
		r = pack(m, p, keep, n);
	mem_free(m, keep);
	return r;
}

int memlog_compact(struct memlog *m, enum topic topic)
{
	int r = 0;

	memlog_run(m);
	if (topic != TOPIC_STATE && topic != TOPIC_LIVE && topic != TOPIC_DELIVERIES)
		return 0;
	for (int32_t i = 0; r == 0 && i < m->topics[topic].n; i++)
		r = compact_part(m, &m->topics[topic].parts[i]);
	return r;
}

void memlog_trim(struct memlog *m, enum topic topic, int32_t partition, int64_t offset)
{
	struct mem_part *p;
	size_t n;

	memlog_run(m);
	p = part_of(m, topic, partition);
	if (!p)
		return;
	offset = MIN(offset, part_stable(p));
	n = part_find(p, offset);
	if (n > 0)
		memmove(p->v, p->v + n, (p->n - n) * sizeof(*p->v));
	p->n -= n;
	p->begin = MAX(p->begin, offset);
	p->segment_base = MAX(p->segment_base, p->begin);
}
