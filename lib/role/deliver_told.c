#include "role/deliver_told.h"

#include <stdlib.h>

#define CAP_FIRST 64u

void told_init(struct told *t, size_t calls_max)
{
	*t = (struct told){ .calls_max = MAX(calls_max, (size_t)1) };
}

void told_fini(struct told *t)
{
	free(t->young.rows);
	free(t->old.rows);
	*t = (struct told){ .calls_max = t->calls_max };
}

/* 0 marks an empty row. */
static uint64_t never_zero(uint64_t hash)
{
	return hash ? hash : 1;
}

/* The row of this hash, or the empty one where it belongs. */
static struct told_row *row_of(const struct told_generation *g, uint64_t hash)
{
	size_t i = (size_t)hash & (g->cap - 1);

	while (g->rows[i].hash && g->rows[i].hash != hash)
		i = (i + 1) & (g->cap - 1);
	return &g->rows[i];
}

static const struct told_row *look(const struct told_generation *g, uint64_t hash)
{
	const struct told_row *row = g->cap ? row_of(g, hash) : NULL;

	return row && row->hash ? row : NULL;
}

/* At most half of the rows are used. */
static bool grow(struct told_generation *g)
{
	struct told_generation larger = { .cap = g->cap ? g->cap * 2 : CAP_FIRST, .n = g->n };

	if (g->n < g->cap / 2)
		return true;
	larger.rows = calloc(larger.cap, sizeof(*larger.rows));
	if (!larger.rows)
		return g->n + 1 < g->cap;
	for (size_t i = 0; i < g->cap; i++) {
		if (g->rows[i].hash)
			*row_of(&larger, g->rows[i].hash) = g->rows[i];
	}
	free(g->rows);
	*g = larger;
	return true;
}

void told_put(struct told *t, uint64_t hash, uint32_t revision, bool dead)
{
	struct told_row *row;

	hash = never_zero(hash);
	if (t->young.n >= t->calls_max) {
		free(t->old.rows);
		t->old = t->young;
		t->young = (struct told_generation){ .rows = NULL };
	}
	if (!grow(&t->young))
		return;
	row = row_of(&t->young, hash);
	if (!row->hash)
		t->young.n++;
	*row = (struct told_row){ .hash = hash, .revision = revision, .dead = dead };
}

bool told_has(const struct told *t, uint64_t hash, uint32_t revision)
{
	const struct told_row *row;

	hash = never_zero(hash);
	row = look(&t->young, hash);
	if (!row)
		row = look(&t->old, hash);
	return row && (revision < row->revision || (revision == row->revision && !row->dead));
}
