/* The spool's folder: names, segments, the cursor, taking it over and letting it go. */
#include "store/spool_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/slog.h"

#define NAME_HEX        16
#define CURSOR_MAGIC    UINT64_C(0x31524f5352554343)
#define CURSOR_EVERY_MS 100
#define ASIDE_EVERY_MS  500

void spool_path(const struct spool *s, char out[PATH_MAX], const char *folder, uint64_t id)
{
	snprintf(out, PATH_MAX, "%s/%s%016" PRIx64 ".seg", s->dir, folder, id);
}

static void path_of(const struct spool *s, char out[PATH_MAX], const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", s->dir, name);
}

void spool_tell(const char *what, int err)
{
	metric_add(M_SPOOL_ERRORS, what, NULL, 1);
	SLOG(SLOG_ERROR, "spool: the disk refused", SLOG_T("what", what), SLOG_ERR(err));
}

int spool_write_all(struct spool *s, int fd, const void *p, size_t n, uint64_t offset)
{
	const char *at = p;

	while (n) {
		ssize_t put = s->io.pwrite(s->io.arg, fd, at, n, offset);

		if (put < 0)
			return (int)put;
		if (put == 0)
			return -ENOSPC;
		at += put;
		n -= (size_t)put;
		offset += (uint64_t)put;
	}
	return 0;
}

int spool_segment_add(struct spool *s, uint64_t id, uint64_t size, bool sealed)
{
	if (s->segments_n == s->segments_cap) {
		size_t cap = s->segments_cap ? s->segments_cap * 2 : 16;
		struct segment *more = realloc(s->segments, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->segments = more;
		s->segments_cap = cap;
	}
	s->segments[s->segments_n++] =
	    (struct segment){ .id = id, .size = size, .sealed = sealed, .hold_at = UINT64_MAX };
	s->segment_id_last = MAX(s->segment_id_last, id);
	return 0;
}

struct segment *spool_segment(struct spool *s, uint64_t id)
{
	for (size_t i = 0; i < s->segments_n; i++) {
		if (s->segments[i].id == id)
			return &s->segments[i];
	}
	return NULL;
}

void spool_segment_forget(struct spool *s, uint64_t id)
{
	struct segment *seg;

	pthread_mutex_lock(&s->lock);
	seg = spool_segment(s, id);
	if (seg) {
		size_t behind = (size_t)(s->segments + s->segments_n - (seg + 1));

		memmove(seg, seg + 1, behind * sizeof(*seg));
		s->segments_n--;
	}
	pthread_mutex_unlock(&s->lock);
}

static bool is_done(const struct spool *s, const struct segment *seg)
{
	return seg->last_end == 0 || s->done.segment > seg->id ||
	       (s->done.segment == seg->id && s->done.offset >= seg->last_end);
}

/* The first segment behind number `after`, when nothing more is wanted of it. */
static bool finished(struct spool *s, uint64_t after, struct segment *ret)
{
	const struct segment *seg;
	bool is = false;
	size_t i = 0;

	pthread_mutex_lock(&s->lock);
	while (i < s->segments_n && s->segments[i].id <= after)
		i++;
	if (i < s->segments_n) {
		seg = &s->segments[i];
		is = seg->sealed && seg->passed && is_done(s, seg);
		*ret = *seg;
	}
	pthread_mutex_unlock(&s->lock);
	return is;
}

/* The new name is durable before the cursor goes past the segment. */
static int move(struct spool *s, uint64_t id, const char *folder, char to[PATH_MAX])
{
	char from[PATH_MAX], dir[PATH_MAX];
	int err;

	spool_path(s, from, "", id);
	spool_path(s, to, folder, id);
	path_of(s, dir, folder);
	err = s->io.make_dir(s->io.arg, dir);
	if (!err)
		err = s->io.rename(s->io.arg, from, to);
	if (err)
		return err;
	err = s->io.sync_dir(s->io.arg, dir);
	if (!err)
		err = s->io.sync_dir(s->io.arg, s->dir);
	if (err)
		spool_tell("sync", err);
	return 0;
}

/* Into one of the two folders for what a person should look at. false: it stays, until later. */
static bool set_aside(struct spool *s, uint64_t id, const char *folder)
{
	int64_t now_ms = clock_mono_ms();
	char to[PATH_MAX];
	int err;

	if (now_ms < s->aside_at_ms)
		return false;
	err = move(s, id, folder, to);
	s->cursor_dirty = true; /* it is held back no longer */
	if (!err) {
		SLOG(SLOG_WARN, "spool segment set aside", SLOG_T("file", to));
		return true;
	}
	spool_tell("set_aside", err);
	s->aside_at_ms = now_ms + ASIDE_EVERY_MS;
	return err == -ENOENT; /* it is gone already */
}

/* Only what is finished, in order; what cannot be set aside yet does not keep the others. */
void spool_retire(struct spool *s)
{
	struct segment seg = { .id = 0 };
	char path[PATH_MAX];
	int err;

	while (finished(s, seg.id, &seg)) {
		if (seg.damaged || seg.keep) {
			if (set_aside(s, seg.id, seg.damaged ? "damaged/" : "rejected/"))
				spool_segment_forget(s, seg.id);
			continue;
		}
		spool_segment_forget(s, seg.id);
		spool_path(s, path, "", seg.id);
		err = s->io.unlink(s->io.arg, path);
		if (err)
			spool_tell("unlink", err);
		FAULT(spool_segment_unlinked);
	}
}

/* ---- the cursor: magic, segment, offset, sum; a torn one costs a repetition ---- */

void spool_cursor_read(struct spool *s, uint64_t *ret_id, uint64_t *ret_offset)
{
	uint64_t c[4];
	ssize_t got = s->io.pread(s->io.arg, s->cursor_fd, c, sizeof(c), 0);

	*ret_id = *ret_offset = 0;
	if (got == (ssize_t)sizeof(c) && c[0] == CURSOR_MAGIC && c[3] == XXH3_64bits(c, 24)) {
		*ret_id = c[1];
		*ret_offset = c[2];
		return;
	}
	if (!got)
		return; /* just made */
	metric_add(M_SPOOL_ERRORS, "cursor_damaged", NULL, 1);
	SLOG(SLOG_WARN, "spool's cursor cannot be read, all that is there goes out again");
}

/* How far everything is done that a restart need not see again. */
static void cursor_now(struct spool *s, uint64_t *ret_id, uint64_t *ret_offset)
{
	pthread_mutex_lock(&s->lock);
	*ret_id = s->done.segment;
	*ret_offset = s->done.offset;
	for (size_t i = 0; i < s->segments_n && s->segments[i].id <= s->done.segment; i++) {
		const struct segment *seg = &s->segments[i];

		if (seg->hold_at == UINT64_MAX ||
		    (seg->id == s->done.segment && seg->hold_at >= s->done.offset))
			continue;
		*ret_id = seg->id;
		*ret_offset = seg->hold_at;
		break;
	}
	pthread_mutex_unlock(&s->lock);
}

void spool_cursor_write(struct spool *s)
{
	uint64_t c[4] = { CURSOR_MAGIC };
	int err;

	cursor_now(s, &c[1], &c[2]);
	c[3] = XXH3_64bits(c, 24);
	err = spool_write_all(s, s->cursor_fd, c, sizeof(c), 0);
	if (err)
		spool_tell("cursor", err); /* costs a repetition after a crash, no more */
	s->cursor_dirty = err != 0;
}

/* ---- taking over ---- */

static bool name_read(const char *name, uint64_t *ret)
{
	char *end;

	if (strlen(name) != NAME_HEX + 4 || strcmp(name + NAME_HEX, ".seg") != 0)
		return false;
	*ret = strtoull(name, &end, 16);
	return end == name + NAME_HEX && *ret != 0;
}

static int add_by_name(void *arg, const char *name)
{
	struct spool *s = arg;
	uint64_t id, size;
	char path[PATH_MAX];
	int fd, err;

	if (!name_read(name, &id))
		return 0;
	path_of(s, path, name);
	fd = s->io.open(s->io.arg, path, O_RDONLY);
	err = fd < 0 ? fd : s->io.size(s->io.arg, fd, &size);
	if (fd >= 0)
		s->io.close(s->io.arg, fd);
	if (err == -EIO) {
		size = 0; /* the reader meets it again, as damage */
		err = 0;
	}
	return err ? err : spool_segment_add(s, id, size, true);
}

static int by_id(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* Where to begin: the cursor, unless it points past what is there. */
static void find_start(struct spool *s)
{
	uint64_t id, offset;
	struct segment *seg;

	spool_cursor_read(s, &id, &offset);
	seg = spool_segment(s, id);
	if (seg && (offset > seg->size || offset < SPOOL_HEAD_BYTES))
		offset = 0;
	for (size_t i = 0; i < s->segments_n && s->segments[i].id < id; i++)
		s->segments[i].passed = true; /* done before the crash that left them */
	s->segment_id_last = MAX(s->segment_id_last, id);
	s->done = (struct spool_pos){ .segment = id, .offset = offset };
	spool_reader_init(s, id, offset);
}

static int lock_folder(struct spool *s, struct buf *problem)
{
	char path[PATH_MAX];
	int err = s->io.make_dir(s->io.arg, s->dir);

	if (err) {
		buf_printf(problem, "%s: cannot be made: %s", s->dir, strerror(-err));
		return err;
	}
	path_of(s, path, "lock");
	s->lock_fd = s->io.open(s->io.arg, path, O_RDWR | O_CREAT);
	if (s->lock_fd < 0) {
		buf_printf(problem, "%s: cannot be written: %s", path, strerror(-s->lock_fd));
		return s->lock_fd;
	}
	err = s->io.lock(s->io.arg, s->lock_fd);
	if (err == -EWOULDBLOCK) {
		buf_printf(problem, "%s: another process uses this folder", s->dir);
		return -EBUSY;
	}
	if (err)
		buf_printf(problem, "%s: cannot be locked: %s", path, strerror(-err));
	return err;
}

int spool_take_over(struct spool *s, struct buf *problem)
{
	char path[PATH_MAX];
	int err = lock_folder(s, problem);

	if (err)
		return err;
	path_of(s, path, "cursor");
	s->cursor_fd = s->io.open(s->io.arg, path, O_RDWR | O_CREAT);
	err = MIN(s->cursor_fd, 0);
	if (!err)
		err = s->io.list(s->io.arg, s->dir, add_by_name, s);
	if (!err) {
		if (s->segments_n)
			qsort(s->segments, s->segments_n, sizeof(*s->segments), by_id);
		find_start(s);
		err = spool_count(s);
	}
	if (err)
		buf_printf(problem, "%s: cannot be read: %s", s->dir, strerror(-err));
	return err;
}

void spool_let_go(struct spool *s)
{
	if (s->cursor_fd >= 0)
		s->io.close(s->io.arg, s->cursor_fd);
	if (s->lock_fd >= 0)
		s->io.close(s->io.arg, s->lock_fd);
	free(s->segments);
}

void spool_done(struct spool *s, const struct spool_pos *end)
{
	int64_t now_ms = clock_mono_ms();
	bool moved;

	pthread_mutex_lock(&s->lock);
	moved = end->segment != s->done.segment;
	s->bytes -= end->bytes - s->done.bytes;
	atomic_fetch_sub(&s->records, end->records - s->done.records);
	series_set(s->metric.bytes, (int64_t)s->bytes);
	series_set(s->metric.records, (int64_t)atomic_load(&s->records));
	s->done = *end;
	pthread_mutex_unlock(&s->lock);
	spool_retire(s);
	s->cursor_dirty = true;
	FAULT(spool_cursor_behind);
	if (moved || now_ms >= s->cursor_at_ms) {
		s->cursor_at_ms = now_ms + CURSOR_EVERY_MS;
		spool_cursor_write(s);
		FAULT(spool_cursor_written);
	}
}
