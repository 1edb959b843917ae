/*
 * client_reader.c - whole topics from a time on, for commands
 */
#include <errno.h>
#include <stdlib.h>

#include "log/mem/client.h"

struct spot {
	enum topic topic;
	int32_t partition;
	int64_t next, end; /* end: at the start of the reader */
	bool done;
};

struct reader {
	struct log_reader base;
	struct memclient *c;
	struct spot *spots;
	size_t spots_n, turn;
	bool told;
	struct held held;
};

static struct reader *reader_of(struct log_reader *r)
{
	return CONTAINER_OF(r, struct reader, base);
}

/* Of the first message that was appended then or later. */
static int64_t offset_at(const struct mem_part *p, int64_t from_ms)
{
	if (from_ms == LOG_BEGIN)
		return p->begin;
	for (size_t i = 0; from_ms != LOG_END && i < p->n; i++) {
		if (p->v[i].append_ms >= from_ms)
			return p->v[i].offset;
	}
	return p->high;
}

static int place(struct reader *r, const enum topic *topics, size_t topics_n, int64_t from_ms)
{
	struct memlog *m = r->c->m;
	size_t n = 0;

	for (size_t i = 0; i < topics_n; i++) {
		if (m->topics[topics[i]].n == 0)
			return -ENOENT;
		n += (size_t)m->topics[topics[i]].n;
	}
	r->spots = calloc(n + 1, sizeof(*r->spots));
	if (!r->spots)
		return -ENOMEM;
	for (size_t i = 0; i < topics_n; i++) {
		for (int32_t k = 0; k < m->topics[topics[i]].n; k++) {
			const struct mem_part *p = &m->topics[topics[i]].parts[k];
			int64_t next = offset_at(p, from_ms);

			r->spots[r->spots_n++] = (struct spot){ topics[i], k, next, p->high,
								next >= p->high };
		}
	}
	return 0;
}

int mem_reader_new(struct log *log, const enum topic *topics, size_t topics_n, int64_t from_ms,
		   int64_t deadline_ms, struct log_reader **ret)
{
	struct reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->base.ops = log->ops;
	r->c = client_of(log);
	mem_point(r->c->m, "reader");
	err = mem_reach(r->c->m, deadline_ms);
	if (err == 0)
		err = place(r, topics, topics_n, from_ms);
	if (err < 0) {
		mem_reader_free(&r->base);
		return err;
	}
	*ret = &r->base;
	return 0;
}

static bool read_spot(struct reader *r, struct spot *s, struct log_msg *ret)
{
	struct mem_part *p = part_of(r->c->m, s->topic, s->partition);
	const struct entry *e;
	bool taken;

	if (s->next < p->begin)
		s->next = p->begin;
	e = part_next(p, &s->next, part_stable(p));
	taken = e && held_take(&r->held, p, e, s->topic, s->partition) == 0;
	if (taken) {
		s->next = e->offset + 1;
		*ret = r->held.msg;
	}
	s->done |= s->next >= s->end;
	return taken;
}

static bool read_any(struct reader *r, struct log_msg *ret)
{
	for (size_t i = 0; i < r->spots_n; i++) {
		size_t k = (r->turn + i) % r->spots_n;

		if (read_spot(r, &r->spots[k], ret)) {
			r->turn = k;
			return true;
		}
	}
	return false;
}

static bool all_done(const struct reader *r)
{
	for (size_t i = 0; i < r->spots_n; i++) {
		if (!r->spots[i].done)
			return false;
	}
	return true;
}

int mem_reader_next(struct log_reader *base, int timeout_ms, struct log_msg *ret)
{
	struct reader *r = reader_of(base);
	struct memlog *m = r->c->m;
	int64_t deadline_ms = mem_now(m) + timeout_ms;

	mem_point(m, "reader-next");
	for (;;) {
		if (!r->told && all_done(r)) {
			r->told = true;
			return 2;
		}
		if (mem_reachable(m) && read_any(r, ret))
			return 1;
		if (!r->told && all_done(r))
			continue;
		if (mem_now(m) >= deadline_ms)
			return 0;
		mem_wait(m, deadline_ms);
	}
}

int64_t mem_reader_left(struct log_reader *base)
{
	struct reader *r = reader_of(base);
	int64_t left = 0;

	for (size_t i = 0; i < r->spots_n; i++) {
		const struct spot *s = &r->spots[i];
		const struct mem_part *p = part_of(r->c->m, s->topic, s->partition);

		left += MAX(MAX(p->high, s->end) - s->next, 0);
	}
	return left;
}

void mem_reader_free(struct log_reader *base)
{
	struct reader *r = reader_of(base);

	buf_fini(&r->held.bytes);
	free(r->spots);
	free(r);
}
