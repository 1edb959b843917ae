/*
 * topic.c - what lies in a partition, and what of it a read-committed reader gets
 */
#include <errno.h>

#include "log/mem/cluster.h"

void topics_fini(struct memlog *m)
{
	for (int t = 0; t < TOPICS_N; t++) {
		for (int32_t i = 0; i < m->topics[t].n; i++) {
			struct mem_part *p = &m->topics[t].parts[i];

			mem_free(m, p->v);
			mem_free(m, p->bytes);
			mem_free(m, p->open);
		}
		mem_free(m, m->topics[t].parts);
	}
}

struct mem_part *part_of(struct memlog *m, enum topic topic, int32_t partition)
{
	struct mem_topic *t = &m->topics[topic];

	return partition >= 0 && partition < t->n ? &t->parts[partition] : NULL;
}

/* Kafka's murmur2, so that keys lie where they would lie there. */
static uint32_t murmur2(struct slice key)
{
	const uint32_t mul = 0x5bd1e995;
	uint32_t h = 0x9747b28cu ^ (uint32_t)key.n;
	const unsigned char *p = (const unsigned char *)key.p;
	size_t left = key.n;

	for (; left >= 4; left -= 4, p += 4) {
		uint32_t k;

		memcpy(&k, p, 4);
		k *= mul;
		k ^= k >> 24;
		k *= mul;
		h = (h * mul) ^ k;
	}
	if (left >= 3)
		h ^= (uint32_t)p[2] << 16;
	if (left >= 2)
		h ^= (uint32_t)p[1] << 8;
	if (left >= 1)
		h = (h ^ p[0]) * mul;
	h ^= h >> 13;
	h *= mul;
	return h ^ (h >> 15);
}

int32_t topic_pick(struct memlog *m, enum topic topic, struct slice key)
{
	uint32_t n = (uint32_t)m->topics[topic].n;

	if (n == 0)
		return 0;
	if (!key.p)
		return (int32_t)mem_below(m, n);
	return (int32_t)((murmur2(key) & 0x7fffffff) % n);
}

/* ---- places ---- */

size_t part_find(const struct mem_part *p, int64_t offset)
{
	size_t low, high;

	if (p->n == 0 || offset <= p->v[0].offset)
		return 0;
	/* Without holes the place is known. */
	low = (size_t)(offset - p->v[0].offset);
	if (low < p->n && p->v[low].offset == offset)
		return low;
	high = MIN(low, p->n);
	low = 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->v[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int64_t part_stable(const struct mem_part *p)
{
	int64_t stable = p->high;

	for (size_t i = 0; i < p->open_n; i++)
		stable = MIN(stable, p->open[i].first);
	return stable;
}

/* ---- writing ---- */

static void begin_segment(struct mem_part *p, int64_t now_ms)
{
	p->segment_base = p->high;
	p->segment_ms = now_ms;
	p->segment_bytes = 0;
}

static void roll_when_full(struct memlog *m, struct mem_part *p, enum topic topic, size_t n)
{
	int64_t now_ms = mem_now(m);

	if (p->segment_bytes == 0)
		p->segment_ms = now_ms;
	else if (p->segment_bytes + n > m->set.segment_bytes[topic] ||
		 now_ms - p->segment_ms > m->set.segment_ms[topic])
		begin_segment(p, now_ms);
	p->segment_bytes += n;
}

static char *room(struct memlog *m, struct mem_part *p, size_t n)
{
	if (!mem_room(m, &p->v, &p->cap, p->n, sizeof(*p->v)) ||
	    !mem_room(m, &p->bytes, &p->bytes_cap, p->bytes_n + n, 1))
		return NULL;
	return p->bytes + p->bytes_n;
}

static struct entry *add(struct memlog *m, enum topic topic, struct mem_part *p, struct slice key,
			 struct slice value)
{
	char *at = room(m, p, key.n + value.n);
	struct entry *e;

	if (!at)
		return NULL;
	roll_when_full(m, p, topic, key.n + value.n + 70);
	if (key.n)
		memcpy(at, key.p, key.n);
	if (value.n)
		memcpy(at + key.n, value.p, value.n);
	e = &p->v[p->n++];
	*e = (struct entry){ .offset = p->high++,
			     .append_ms = m->env.wall_ms(m->env.arg),
			     .at = p->bytes_n,
			     .key_n = (uint32_t)key.n,
			     .value_n = (uint32_t)value.n };
	p->bytes_n += key.n + value.n;
	return e;
}

static bool opened(const struct mem_part *p, uint32_t producer)
{
	for (size_t i = 0; i < p->open_n; i++) {
		if (p->open[i].producer == producer)
			return true;
	}
	return false;
}

int part_append(struct memlog *m, const struct message *msg, uint32_t producer, uint32_t epoch,
		bool transactional)
{
	struct mem_part *p = part_of(m, msg->topic, msg->partition);
	struct entry *e;

	if (!p)
		return -ENOENT;
	if (transactional && !mem_room(m, &p->open, &p->open_cap, p->open_n, sizeof(*p->open)))
		return -ENOMEM;
	e = add(m, msg->topic, p, msg->key, msg->value);
	if (!e)
		return -ENOMEM;
	if (msg->topic != TOPIC_EVENTS) /* the one with LogAppendTime */
		e->append_ms = msg->create_ms;
	e->tombstone = msg->tombstone;
	e->producer = producer + 1;
	e->epoch = epoch;
	e->fate = transactional ? MEMLOG_OPEN : MEMLOG_PLAIN;
	if (transactional && !opened(p, producer))
		p->open[p->open_n++] = (struct open_txn){ producer, e->offset };
	m->counts.appended++;
	mem_wake(m);
	return 0;
}

void part_mark(struct memlog *m, enum topic topic, int32_t partition, uint32_t producer,
	       uint32_t epoch, bool commit)
{
	struct mem_part *p = part_of(m, topic, partition);
	struct entry *e;

	if (!p)
		return;
	for (size_t i = 0; i < p->open_n; i++) {
		if (p->open[i].producer != producer)
			continue;
		for (size_t j = part_find(p, p->open[i].first); j < p->n; j++) {
			e = &p->v[j];
			if (e->producer == producer + 1 && e->fate == MEMLOG_OPEN)
				e->fate = commit ? MEMLOG_COMMITTED : MEMLOG_ABORTED;
		}
		p->open[i] = p->open[--p->open_n];
		break;
	}
	e = add(m, topic, p, SLICE_NONE, SLICE_NONE);
	if (e) {
		e->fate = MEMLOG_MARKER;
		e->producer = producer + 1;
		e->epoch = epoch;
	}
	mem_wake(m);
}

/* ---- reading ---- */

void part_fill(const struct mem_part *p, const struct entry *e, enum topic topic, int32_t partition,
	       struct log_msg *ret)
{
	const char *at = p->bytes + e->at;

	*ret = (struct log_msg){
		.topic = topic,
		.partition = partition,
		.offset = e->offset,
		.append_ms = e->append_ms,
		.key = e->key_n ? slice_make(at, e->key_n) : SLICE_NONE,
		.value = e->value_n ? slice_make(at + e->key_n, e->value_n) : SLICE_NONE,
		.tombstone = e->tombstone,
	};
}

const struct entry *part_next(const struct mem_part *p, int64_t *offset, int64_t until)
{
	for (size_t i = part_find(p, *offset); i < p->n && p->v[i].offset < until; i++) {
		if (p->v[i].fate != MEMLOG_PLAIN && p->v[i].fate != MEMLOG_COMMITTED)
			continue;
		*offset = p->v[i].offset;
		return &p->v[i];
	}
	*offset = MAX(*offset, until);
	return NULL;
}
