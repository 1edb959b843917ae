#include "correlate_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK_BYTES      ((size_t)8 << 20)
#define CHUNKS_IN_MEMORY 64u
#define HUGE_PAGE_BYTES  ((size_t)2 << 20)

struct chunk {
	char *p;
	size_t n, cap;
	bool mapped;
};

void rows_init(struct rows *rows)
{
	*rows = (struct rows){ .file = -1 };
}

void rows_fini(struct rows *rows)
{
	for (size_t i = 0; i < rows->chunks_n; i++) {
		if (rows->chunks[i].mapped)
			munmap(rows->chunks[i].p, rows->chunks[i].cap);
		else
			free(rows->chunks[i].p);
	}
	if (rows->file >= 0)
		close(rows->file);
	free(rows->chunks);
	free(rows->v);
	rows_init(rows);
}

static int open_file(struct rows *rows)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];

	if (rows->file >= 0)
		return 0;
	snprintf(path, sizeof(path), "%s/callstream-XXXXXX", dir && *dir ? dir : "/tmp");
	rows->file = mkstemp(path);
	if (rows->file < 0)
		return -errno;
	unlink(path);
	return 0;
}

/* The next part of the file. Its blocks are taken now: a full disk is an error, not a signal. */
static int map_chunk(struct rows *rows, struct chunk *chunk)
{
	off_t n = (off_t)chunk->cap;
	int err = open_file(rows);

	if (err)
		return err;
	err = posix_fallocate(rows->file, rows->file_n, n);
	if (err)
		return -err;
	chunk->p = mmap(NULL, chunk->cap, PROT_READ | PROT_WRITE, MAP_SHARED, rows->file,
			rows->file_n);
	if (chunk->p == MAP_FAILED)
		return -errno;
	chunk->mapped = true;
	rows->file_n += n;
	return 0;
}

/* In large pages where the system has them: rows are written once, and half of what small ones cost
 * is getting them. */
static char *alloc_chunk(size_t cap)
{
	char *p = aligned_alloc(HUGE_PAGE_BYTES, cap);

	if (p)
		(void)madvise(p, cap, MADV_HUGEPAGE);
	return p;
}

static int reserve_chunk(struct rows *rows)
{
	size_t cap = rows->chunks_cap ? rows->chunks_cap * 2 : 64;
	struct chunk *chunks;

	if (rows->chunks && rows->chunks_n < rows->chunks_cap)
		return 0;
	chunks = realloc(rows->chunks, cap * sizeof(*chunks));
	if (!chunks)
		return -ENOMEM;
	rows->chunks = chunks;
	rows->chunks_cap = cap;
	return 0;
}

/* A chunk with room for n bytes: the last one or a new one. */
static int room_for(struct rows *rows, size_t n, struct chunk **ret)
{
	struct chunk chunk = { .cap = (n / CHUNK_BYTES + 1) * CHUNK_BYTES };
	struct chunk *last = rows->chunks_n ? &rows->chunks[rows->chunks_n - 1] : NULL;
	int err;

	if (last && n <= last->cap - last->n) {
		*ret = last;
		return 0;
	}
	err = reserve_chunk(rows);
	if (err)
		return err;
	if (rows->chunks_n < CHUNKS_IN_MEMORY)
		chunk.p = alloc_chunk(chunk.cap);
	else
		err = map_chunk(rows, &chunk);
	if (err || !chunk.p)
		return err ? err : -ENOMEM;
	*ret = &rows->chunks[rows->chunks_n++];
	**ret = chunk;
	return 0;
}

int rows_add(struct rows *rows, const struct row *row, struct slice text)
{
	struct chunk *chunk;
	int err;

	if (rows->n == rows->cap) {
		size_t cap = rows->cap ? rows->cap * 2 : 1024;
		struct row *v = realloc(rows->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		rows->v = v;
		rows->cap = cap;
	}
	err = room_for(rows, text.n, &chunk);
	if (err)
		return err;
	memcpy(chunk->p + chunk->n, text.p, text.n);
	rows->v[rows->n] = *row;
	rows->v[rows->n].p = chunk->p + chunk->n;
	rows->v[rows->n++].n = (uint32_t)text.n;
	chunk->n += text.n;
	return 0;
}

static int newest_of_each(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = uuid_cmp(&x->id, &y->id);

	return order ? order : (x->revision < y->revision) - (x->revision > y->revision);
}

static int by_start(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->started_ms != y->started_ms)
		return x->started_ms < y->started_ms ? -1 : 1;
	return uuid_cmp(&x->id, &y->id);
}

void rows_sort(struct rows *rows)
{
	size_t kept = 0;

	if (rows->n == 0)
		return;
	qsort(rows->v, rows->n, sizeof(*rows->v), newest_of_each);
	for (size_t i = 0; i < rows->n; i++) {
		if (i == 0 || !uuid_eq(&rows->v[i].id, &rows->v[kept - 1].id))
			rows->v[kept++] = rows->v[i];
	}
	rows->n = kept;
	qsort(rows->v, rows->n, sizeof(*rows->v), by_start);
}
