/* Reading segments in order, the one that is still written included. */
#include "store/spool_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/slog.h"
#include "wire/json_out.h"

#define WINDOW_BYTES (256u << 10)
#define SECTOR_BYTES 4096u
#define TRIES_MAX    5u

void spool_reader_init(struct spool *s, uint64_t id, uint64_t offset)
{
	s->reader.fd = -1;
	s->reader.id = id;
	s->reader.offset = offset;
	s->reader.pos = s->done;
}

static void close_segment(struct spool *s)
{
	struct reader *r = &s->reader;

	if (r->fd >= 0)
		s->io.close(s->io.arg, r->fd);
	r->fd = -1;
	r->tries = 0;
	buf_reset(&r->window);
	r->used = 0;
}

void spool_reader_fini(struct spool *s)
{
	close_segment(s);
	buf_fini(&s->reader.window);
}

/* The segment it stands in, or the next one that is there. false: there is none. */
static bool current(struct spool *s, struct segment *ret)
{
	struct reader *r = &s->reader;
	size_t i = 0;

	pthread_mutex_lock(&s->lock);
	while (i < s->segments_n && (s->segments[i].id < r->id || s->segments[i].passed))
		i++;
	if (i < s->segments_n)
		*ret = s->segments[i];
	else
		ret->id = 0;
	pthread_mutex_unlock(&s->lock);
	if (ret->id && ret->id != r->id) {
		close_segment(s);
		r->id = ret->id;
		r->offset = 0;
		r->last_end = 0;
	}
	return ret->id != 0;
}

static void mark_damaged(struct spool *s, uint64_t bytes)
{
	struct reader *r = &s->reader;
	struct segment *seg;
	bool first = false;

	pthread_mutex_lock(&s->lock);
	seg = spool_segment(s, r->id);
	if (seg && !seg->damaged) {
		first = seg->damaged = true;
		seg->hold_at = MIN(seg->hold_at, r->offset);
		s->damaged++;
	}
	pthread_mutex_unlock(&s->lock);
	if (!first)
		return;
	metric_add(M_SPOOL_DAMAGED, NULL, NULL, 1);
	SLOG(SLOG_ERROR, "spool segment damaged, what is intact is served",
	     SLOG_I("segment", r->id), SLOG_I("offset", r->offset), SLOG_I("bytes", bytes));
}

/* On to the next segment. */
static void pass(struct spool *s)
{
	struct reader *r = &s->reader;
	struct segment *seg;

	pthread_mutex_lock(&s->lock);
	seg = spool_segment(s, r->id);
	if (seg) {
		seg->passed = true;
		seg->last_end = r->last_end;
	}
	pthread_mutex_unlock(&s->lock);
	close_segment(s);
	r->id++;
	r->offset = 0;
	r->last_end = 0;
}

static void forget_window(struct reader *r, uint64_t offset)
{
	r->offset = offset;
	buf_reset(&r->window);
	r->used = 0;
}

/* Some tries, then what cannot be read is damage. */
static int read_failed(struct spool *s, const struct segment *seg, uint64_t at, int err)
{
	struct reader *r = &s->reader;

	if (++r->tries < TRIES_MAX)
		return err;
	spool_tell("read", err);
	r->tries = 0;
	mark_damaged(s, SECTOR_BYTES);
	forget_window(r, MIN((at / SECTOR_BYTES + 1) * SECTOR_BYTES, seg->size));
	return 0;
}

/* A file that is not there will not come, one that the disk does not give is tried for a while; for
 * all else there is hope. */
static int open_failed(struct spool *s, const struct segment *seg, int err)
{
	bool lost = err == -ENOENT || (err == -EIO && ++s->reader.tries >= TRIES_MAX);

	if (!lost || !seg->sealed)
		return err;
	mark_damaged(s, seg->size);
	pass(s);
	return 0;
}

/* The file ends before its size: cut by someone. */
static void cut_short(struct spool *s, uint64_t size)
{
	struct segment *seg;

	mark_damaged(s, 0);
	pthread_mutex_lock(&s->lock);
	seg = spool_segment(s, s->reader.id);
	if (seg)
		seg->size = size;
	pthread_mutex_unlock(&s->lock);
}

static int open_segment(struct spool *s, const struct segment *seg)
{
	struct reader *r = &s->reader;
	char head[SPOOL_HEAD_BYTES], path[PATH_MAX];
	ssize_t got;

	spool_path(s, path, "", r->id);
	r->fd = s->io.open(s->io.arg, path, O_RDONLY);
	if (r->fd < 0)
		return r->fd;
	if (r->offset >= SPOOL_HEAD_BYTES || seg->size == 0)
		return 0;
	got = s->io.pread(s->io.arg, r->fd, head, sizeof(head), 0);
	if (got >= 0 && !spool_segment_head_is(slice_make(head, (size_t)got), r->id))
		mark_damaged(s, sizeof(head));
	r->offset = MIN((uint64_t)SPOOL_HEAD_BYTES, seg->size);
	return 0;
}

/* More bytes behind the window, so that it holds want or more. */
static int fill(struct spool *s, const struct segment *seg, size_t want)
{
	struct reader *r = &s->reader;
	size_t left = r->window.n - r->used, room = MAX(want, WINDOW_BYTES) - left;
	uint64_t at = r->offset + left;
	ssize_t got;

	if (left && r->used && r->window.p)
		memmove(r->window.p, r->window.p + r->used, left);
	r->window.n = left;
	r->used = 0;
	if (!buf_reserve(&r->window, room))
		return -ENOMEM;
	got = s->io.pread(s->io.arg, r->fd, r->window.p + left, MIN(room, seg->size - at), at);
	if (got < 0)
		return read_failed(s, seg, at, (int)got);
	r->tries = 0;
	r->window.n += (size_t)got;
	if (got == 0)
		cut_short(s, at);
	return 0;
}

static void consume(struct reader *r, size_t n)
{
	r->used += n;
	r->offset += n;
}

static void hand_out(struct reader *r, size_t n, struct spool_pos *ret)
{
	consume(r, n);
	r->last_end = r->offset;
	r->pos.segment = r->id;
	r->pos.offset = r->offset;
	r->pos.records++;
	r->pos.bytes += n;
	*ret = r->pos;
}

/* Lock: held. */
static bool has_more(const struct spool *s)
{
	const struct reader *r = &s->reader;

	for (size_t i = s->segments_n; i-- > 0 && s->segments[i].id >= r->id;) {
		const struct segment *seg = &s->segments[i];

		if (seg->size > (seg->id == r->id ? MAX(r->offset, (uint64_t)SPOOL_HEAD_BYTES)
						  : SPOOL_HEAD_BYTES))
			return true;
	}
	return false;
}

/* Records that were damaged never come out, so they are no backlog: once all that did is done, only
 * what the writer has is left. */
static void write_off(struct spool *s)
{
	uint64_t records, bytes;

	pthread_mutex_lock(&s->lock);
	records = s->filling.records + s->flushing.records;
	bytes = s->filling.bytes.n + s->flushing.bytes;
	if (s->damaged && s->reader.pos.records == s->done.records && !has_more(s) &&
	    atomic_load(&s->records) > records) {
		atomic_store(&s->records, records);
		s->bytes = MIN(s->bytes, bytes);
	}
	pthread_mutex_unlock(&s->lock);
}

static int next_record(struct spool *s, struct spool_entry *ret)
{
	struct reader *r = &s->reader;
	struct segment seg;

	while (current(s, &seg)) {
		uint64_t end;
		size_t n = 0;
		int err = r->fd < 0 ? open_segment(s, &seg) : 0;

		if (err) {
			err = open_failed(s, &seg, err);
			if (err)
				return err;
			continue;
		}
		end = r->offset + (r->window.n - r->used);
		switch (spool_record_parse(
		    slice_make(r->window.p ? r->window.p + r->used : NULL, r->window.n - r->used),
		    seg.sealed && end >= seg.size, r->id, r->offset, &ret->rec, &n)) {
		case SPOOL_RECORD:
			hand_out(r, n, &ret->end);
			return 1;
		case SPOOL_DAMAGE:
			mark_damaged(s, n);
			consume(r, n);
			break;
		case SPOOL_MORE:
			if (end >= seg.size)
				return 0;
			err = fill(s, &seg, n);
			if (err)
				return err;
			break;
		case SPOOL_END:
			pass(s);
			if (!s->counting)
				spool_retire(s);
			break;
		}
	}
	return 0;
}

int spool_next(struct spool *s, struct spool_entry *ret)
{
	int got = next_record(s, ret);

	if (got == 0)
		write_off(s);
	return got;
}

void spool_rewind(struct spool *s)
{
	struct reader *r = &s->reader;

	close_segment(s);
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->segments_n; i++) {
		if (s->segments[i].id >= s->done.segment)
			s->segments[i].passed = false;
	}
	r->id = s->done.segment;
	r->offset = s->done.offset;
	r->last_end = 0;
	r->pos = s->done;
	pthread_mutex_unlock(&s->lock);
}

/* An error is tried again, as long as the reader gets on or has not tried that place enough. */
static int count_all(struct spool *s)
{
	struct reader *r = &s->reader;
	struct spool_entry entry;
	unsigned tries = 0;
	int got;

	do {
		uint64_t id = r->id, offset = r->offset;

		got = next_record(s, &entry);
		tries = got > 0 || r->id != id || r->offset != offset ? 0 : tries + 1;
	} while (got > 0 || (got < 0 && got != -ENOMEM && tries < 2 * TRIES_MAX));
	return got;
}

int spool_count(struct spool *s)
{
	int got;

	s->counting = true;
	got = count_all(s);
	s->counting = false;
	if (got < 0)
		return got;
	s->bytes = s->reader.pos.bytes;
	atomic_store(&s->records, s->reader.pos.records);
	spool_rewind(s);
	return 0;
}

bool spool_wait(struct spool *s, int timeout_ms)
{
	struct timespec until;
	bool more;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&s->lock);
	while (!(more = has_more(s)) && !s->wake) {
		if (pthread_cond_timedwait(&s->readable, &s->lock, &until))
			break;
	}
	s->wake = false;
	pthread_mutex_unlock(&s->lock);
	return more;
}

void spool_wake(struct spool *s)
{
	pthread_mutex_lock(&s->lock);
	s->wake = true;
	pthread_cond_broadcast(&s->readable);
	pthread_mutex_unlock(&s->lock);
}

/* ---- what can never be produced ---- */

static void rejected_write(struct buf *out, const struct spool_record *rec, const char *reason)
{
	struct json_out j = jo_make(out);

	jo_begin_object(&j);
	JO_KEY(&j, "reason");
	jo_text(&j, slice_of(reason));
	JO_KEY(&j, "topic");
	jo_int(&j, rec->topic);
	JO_KEY(&j, "at");
	jo_time(&j, rec->at_ms);
	JO_KEY(&j, "key");
	jo_text(&j, rec->key);
	JO_KEY(&j, "value");
	jo_text(&j, rec->value);
	jo_end_object(&j);
	buf_add_char(out, '\n');
}

static int rejected_keep(struct spool *s, const struct spool_entry *entry, struct slice text)
{
	char path[PATH_MAX];
	int fd, err;

	snprintf(path, sizeof(path), "%s/rejected", s->dir);
	err = s->io.make_dir(s->io.arg, path);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/rejected/%016" PRIx64 "-%" PRIu64 ".json", s->dir,
		 entry->end.segment, entry->end.offset);
	fd = s->io.open(s->io.arg, path, O_WRONLY | O_CREAT | O_TRUNC);
	if (fd < 0)
		return fd;
	err = spool_write_all(s, fd, text.p, text.n, 0);
	if (!err)
		err = s->io.datasync(s->io.arg, fd);
	s->io.close(s->io.arg, fd);
	snprintf(path, sizeof(path), "%s/rejected", s->dir);
	return err ? err : s->io.sync_dir(s->io.arg, path);
}

void spool_reject(struct spool *s, const struct spool_entry *entry, const char *reason)
{
	struct buf out = BUF_EMPTY;
	struct segment *seg;
	int err;

	rejected_write(&out, &entry->rec, reason);
	err = out.bad ? -ENOMEM : rejected_keep(s, entry, buf_slice(&out));
	buf_fini(&out);
	pthread_mutex_lock(&s->lock);
	s->rejected++;
	seg = spool_segment(s, entry->end.segment);
	if (err && seg) {
		seg->keep = true;
		seg->hold_at = MIN(seg->hold_at,
				   entry->end.offset - spool_record_bytes(&entry->rec));
	}
	pthread_mutex_unlock(&s->lock);
	if (err)
		spool_tell("reject", err);
	metric_add(M_SPOOL_REJECTED, NULL, NULL, 1);
	SLOG(SLOG_ERROR, "record cannot be produced, kept in rejected/", SLOG_T("reason", reason),
	     SLOG_I("bytes", entry->rec.value.n));
}
