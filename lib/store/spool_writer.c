/* The writer's thread: gathers, writes, syncs, answers; on failure another segment, or a pause. */
#include "store/spool_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/slog.h"

#define GATHER_BYTES_MAX (8u << 20)
#define HOLD_US_MAX      100000
#define QUIET_US_MIN     100
#define QUIET_US_MAX     1000
#define QUIET_GAPS       8 /* that many mean gaps without a record: nobody comes any more */
#define RUSH_RECORDS     4 /* less than that to be expected is not worth a wait */
#define SKIP_MAX         16
#define IDLE_US          50000 /* after that long what was learned is forgotten */
#define PROBE_BYTES      (1u << 20)
#define FAILURES_MAX     2

/* Lock: held. false: the time is over. */
static bool wait_us(struct spool *s, int64_t us)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += us / 1000000;
	until.tv_nsec += (long)(us % 1000000) * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return pthread_cond_timedwait(&s->work, &s->lock, &until) == 0;
}

/* ---- segments ---- */

/* The segment ends at w->size; nothing more is written to it. */
static void segment_end(struct spool *s)
{
	struct writer *w = &s->writer;
	struct segment *seg;

	if (w->fd < 0)
		return;
	s->io.close(s->io.arg, w->fd);
	w->fd = -1;
	pthread_mutex_lock(&s->lock);
	seg = spool_segment(s, w->id);
	if (seg)
		seg->sealed = true;
	pthread_cond_broadcast(&s->readable);
	pthread_mutex_unlock(&s->lock);
}

/* After a failure: what was not synced is cut off, as far as the disk obeys, and never believed. */
static void segment_abandon(struct spool *s)
{
	struct writer *w = &s->writer;
	char path[PATH_MAX];

	if (w->fd < 0)
		return;
	if (w->fresh) {
		spool_path(s, path, "", w->id);
		spool_segment_forget(s, w->id);
		s->io.close(s->io.arg, w->fd);
		s->io.unlink(s->io.arg, path);
		w->fd = -1;
		return;
	}
	s->io.truncate(s->io.arg, w->fd, w->size);
	segment_end(s);
}

static int segment_begin(struct spool *s)
{
	struct writer *w = &s->writer;
	uint64_t id = MAX(s->segment_id_last + 1, (uint64_t)clock_wall_ms());
	uint8_t head[SPOOL_HEAD_BYTES];
	char path[PATH_MAX];
	int fd, err;

	spool_path(s, path, "", id);
	fd = s->io.open(s->io.arg, path, O_RDWR | O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	spool_segment_head_write(head, id);
	err = spool_write_all(s, fd, head, sizeof(head), 0);
	if (!err) {
		pthread_mutex_lock(&s->lock);
		err = spool_segment_add(s, id, sizeof(head), false);
		pthread_mutex_unlock(&s->lock);
	}
	if (err) {
		s->io.close(s->io.arg, fd);
		s->io.unlink(s->io.arg, path);
		return err;
	}
	w->fd = fd;
	w->id = id;
	w->size = sizeof(head);
	w->fresh = true;
	FAULT(spool_segment_made);
	return 0;
}

/* What is in the file up to size becomes durable, and readable. */
static int segment_sync(struct spool *s, uint64_t size)
{
	struct writer *w = &s->writer;
	int err = BROKEN(answer_before_sync) ? 0 : s->io.datasync(s->io.arg, w->fd);
	struct segment *seg;

	series_add(s->metric.syncs, 1);
	if (BROKEN(sync_error_ignored))
		err = 0;
	if (!err && w->fresh && !BROKEN(folder_unsynced)) {
		err = s->io.sync_dir(s->io.arg, s->dir);
		series_add(s->metric.syncs, 1);
	}
	if (err) {
		spool_tell("sync", err);
		segment_abandon(s);
		return err;
	}
	FAULT(spool_synced);
	w->fresh = false;
	w->size = size;
	pthread_mutex_lock(&s->lock);
	seg = spool_segment(s, w->id);
	if (seg)
		seg->size = size;
	pthread_cond_broadcast(&s->readable);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* ---- a batch ---- */

static void batch_seal(struct batch *batch, uint64_t id, uint64_t offset)
{
	for (size_t at = 0; at < batch->bytes.n;)
		at += spool_record_seal((uint8_t *)batch->bytes.p + at, id, offset + at);
}

static int batch_write(struct spool *s)
{
	struct writer *w = &s->writer;
	int err = 0;

	if (w->fd >= 0 && w->size >= s->segment_bytes) {
		segment_end(s);
		FAULT(spool_segment_ended);
	}
	if (w->fd < 0)
		err = segment_begin(s);
	if (err) {
		spool_tell("create", err);
		return err;
	}
	batch_seal(&w->batch, w->id, w->size);
	err = spool_write_all(s, w->fd, w->batch.bytes.p, w->batch.bytes.n, w->size);
	if (err) {
		spool_tell("write", err);
		if (w->fresh || s->io.truncate(s->io.arg, w->fd, w->size))
			segment_abandon(s);
		return err;
	}
	FAULT(spool_written);
	return segment_sync(s, w->size + w->batch.bytes.n);
}

/* Lock: held. The batch that filled is the writer's now, and so are those who wait for it. */
static void batch_take(struct spool *s)
{
	struct writer *w = &s->writer;
	struct batch batch = s->filling;
	int64_t now_us = clock_mono_us();
	double us = (double)MAX(now_us - w->taken_us, 50);
	double rate = (double)batch.records / us, before = w->rate * 20000 / (20000 + us);

	s->filling = w->batch;
	buf_reset(&s->filling.bytes);
	s->filling.records = 0;
	w->batch = batch;
	s->flushing.records = batch.records;
	s->flushing.bytes = batch.bytes.n;
	w->rate = MAX(rate, before);
	w->taken_us = now_us;
	for (size_t i = 0; i < s->outlets_n; i++) {
		struct spool_outlet *o = s->outlets[i];

		o->flushing = o->filling;
		if (!o->flushing.first)
			continue;
		o->filling = (struct waiters){ NULL, &o->filling.first };
	}
}

/* Lock: held. What the failed or durable batch means for the next one. */
static void batch_settle(struct spool *s, int err)
{
	struct writer *w = &s->writer;

	s->flushing.records = s->flushing.bytes = 0;
	if (!err) {
		w->failures = 0;
		s->err = 0;
		series_add(s->metric.appended, (int64_t)w->batch.records);
		return;
	}
	s->bytes -= w->batch.bytes.n;
	atomic_fetch_sub(&s->records, w->batch.records);
	if (++w->failures >= FAILURES_MAX || w->fd >= 0 || err == -ENOSPC) {
		s->err = err;
		s->probe_at_ms = clock_mono_ms() + s->probe_ms;
	}
}

static void outlet_answer(struct spool_outlet *o, struct waiters *flushed, int err)
{
	uint64_t one = 1;

	for (struct spool_waiter *w = flushed->first; w; w = w->next)
		w->err = err;
	pthread_mutex_lock(&o->ready_lock);
	*o->ready.last = flushed->first;
	o->ready.last = flushed->last;
	/* Under the lock: once it is free, the owner may take everything and free the outlet. */
	if (write(o->fd, &one, sizeof(one)) < 0)
		SLOG(SLOG_ERROR, "spool: an owner cannot be woken", SLOG_ERR(-errno));
	pthread_mutex_unlock(&o->ready_lock);
}

/* Lock: not held. Outlets with waiters stay; only those without may be freed meanwhile. */
static void batch_answer(struct spool *s, int err)
{
	struct {
		struct spool_outlet *outlet;
		struct waiters flushed;
	} out[SPOOL_OUTLETS_MAX];
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->outlets_n; i++) {
		struct spool_outlet *o = s->outlets[i];

		if (!o->flushing.first)
			continue;
		out[n].outlet = o;
		out[n++].flushed = o->flushing;
		o->flushing.first = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < n; i++)
		outlet_answer(out[i].outlet, &out[i].flushed, err);
}

/* ---- gathering ---- */

/* Lock: held. Those who append more right now are waited for. */
static void wait_for_holders(struct spool *s, int64_t begin)
{
	int64_t left;

	while (s->held && !s->stop && s->filling.bytes.n < GATHER_BYTES_MAX) {
		left = begin + HOLD_US_MAX - clock_mono_us();
		if (left <= 0)
			break;
		wait_us(s, left);
	}
}

/* Lock: held. Until nobody came for some mean gaps, or gather_us_max is over. */
static void wait_for_quiet(struct spool *s, int64_t begin)
{
	int64_t quiet = MAX(MIN((int64_t)(QUIET_GAPS / s->writer.rate), QUIET_US_MAX),
			    QUIET_US_MIN);

	for (;;) {
		int64_t now = clock_mono_us();
		int64_t left = MIN(begin + s->gather_us_max - now, s->appended_us + quiet - now);

		if (left <= 0 || s->stop || s->filling.bytes.n >= GATHER_BYTES_MAX)
			break;
		wait_us(s, left);
	}
}

/*
 * In a rush it pays to wait for more, since a sync costs the same for one record and for thousands.
 * A lone record is never kept waiting, and a wait that brought nothing makes the next ones rarer:
 * those few who send one request after the other would only be slowed down. Lock: held.
 */
static void gather(struct spool *s)
{
	struct writer *w = &s->writer;
	int64_t begin = clock_mono_us();
	uint64_t before;

	wait_for_holders(s, begin);
	if (begin - w->taken_us > IDLE_US)
		w->skip = w->skipped = 0;
	if (s->stop || w->rate * (double)s->gather_us_max < RUSH_RECORDS)
		return;
	if (w->skipped < w->skip) {
		w->skipped++;
		return;
	}
	before = s->filling.records;
	wait_for_quiet(s, begin);
	w->skipped = 0;
	w->skip = s->filling.records >= before + RUSH_RECORDS ? 0
							      : MIN(MAX(w->skip * 2, 1), SKIP_MAX);
}

/* ---- the loop ---- */

/* A failing disk is tried as a batch would use it: room, a write, a sync. */
static int probe(struct spool *s)
{
	struct writer *w = &s->writer;
	int err = w->fd < 0 ? segment_begin(s) : 0;

	if (!err)
		err = s->io.reserve(s->io.arg, w->fd, w->size, MIN(PROBE_BYTES, s->segment_bytes));
	if (err) {
		if (w->fd >= 0 && w->fresh)
			segment_abandon(s);
		return err;
	}
	return segment_sync(s, w->size);
}

/* Lock: held. */
static void probe_when_due(struct spool *s)
{
	int err;

	if (!s->err || clock_mono_ms() < s->probe_at_ms)
		return;
	pthread_mutex_unlock(&s->lock);
	err = probe(s);
	pthread_mutex_lock(&s->lock);
	s->err = err;
	s->probe_at_ms = clock_mono_ms() + s->probe_ms;
	if (!err)
		SLOG(SLOG_INFO, "spool: the disk takes records again");
}

/* Lock: held. false: it is over. */
static bool wait_for_work(struct spool *s)
{
	while (s->filling.records == 0) {
		if (s->stop)
			return false;
		probe_when_due(s);
		if (s->filling.records)
			break;
		s->writer_idle = true;
		wait_us(s, s->err ? s->probe_ms * 1000 : 1000000);
		s->writer_idle = false;
	}
	return true;
}

void *spool_writer_main(void *arg)
{
	struct spool *s = arg;
	int err;

	pthread_setname_np(pthread_self(), "spool");
	pthread_mutex_lock(&s->lock);
	while (wait_for_work(s)) {
		gather(s);
		batch_take(s);
		pthread_mutex_unlock(&s->lock);
		err = batch_write(s);
		pthread_mutex_lock(&s->lock);
		batch_settle(s, err);
		series_set(s->metric.bytes, (int64_t)s->bytes);
		series_set(s->metric.records, (int64_t)atomic_load(&s->records));
		pthread_mutex_unlock(&s->lock);
		batch_answer(s, err);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	segment_end(s);
	return NULL;
}
