/*
 * correlate_rows.h - records that are printed last: each call's last one, in order of their start
 *
 * The texts lie in large chunks: the first in memory, later ones in an unlinked file, so that the
 * records of a long input do not have to fit. Thread: one owner.
 */
#ifndef CS_CMD_CORRELATE_ROWS_H
#define CS_CMD_CORRELATE_ROWS_H

#include <sys/types.h>

#include "base/uuid.h"

struct row {
	int64_t started_ms; /* TIME_NONE first */
	struct uuid id;
	uint32_t revision, n;
	const char *p;
};

struct rows {
	struct row *v;
	size_t n, cap;
	struct chunk *chunks;
	size_t chunks_n, chunks_cap;
	int file; /* -1: not needed yet */
	off_t file_n;
};

void rows_init(struct rows *rows);
void rows_fini(struct rows *rows);
/* Copies text. 0, -ENOMEM, or what the file system says. */
CHECKED int rows_add(struct rows *rows, const struct row *row, struct slice text);
/* In order, of each call the highest revision alone. */
void rows_sort(struct rows *rows);

#endif
