#include "store/spool_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

#define SEGMENT_BYTES_MAX (16u << 20)
#define SEGMENT_BYTES_MIN (64u << 10)
#define ROOM_BYTES        (64u << 10) /* with less it counts as full */
#define GATHER_US         20000
#define PROBE_MS          500

static void make_conds(struct spool *s)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->work, &attr);
	pthread_cond_init(&s->readable, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&s->lock, NULL);
}

static struct spool *spool_alloc(const struct spool_cfg *cfg)
{
	struct spool *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->io = cfg->io ? *cfg->io : spool_io_posix;
	s->bytes_max = cfg->bytes_max;
	s->segment_bytes = cfg->segment_bytes
			       ? cfg->segment_bytes
			       : MAX(MIN(cfg->bytes_max / 8, SEGMENT_BYTES_MAX), SEGMENT_BYTES_MIN);
	s->gather_us_max = cfg->gather_us_max ? cfg->gather_us_max : GATHER_US;
	s->probe_ms = cfg->probe_ms ? cfg->probe_ms : PROBE_MS;
	s->lock_fd = s->cursor_fd = s->writer.fd = s->reader.fd = -1;
	s->metric.appended = metric(M_SPOOL_APPENDED, NULL, NULL);
	s->metric.syncs = metric(M_SPOOL_SYNCS, NULL, NULL);
	s->metric.bytes = metric(M_SPOOL_BYTES, NULL, NULL);
	s->metric.records = metric(M_SPOOL_RECORDS, NULL, NULL);
	make_conds(s);
	return s;
}

static void spool_free(struct spool *s)
{
	spool_reader_fini(s);
	spool_let_go(s);
	buf_fini(&s->filling.bytes);
	buf_fini(&s->writer.batch.bytes);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->readable);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int spool_open(const struct spool_cfg *cfg, struct spool **ret, struct buf *problem)
{
	struct spool *s = spool_alloc(cfg);
	int err;

	if (!s)
		return -ENOMEM;
	if ((size_t)snprintf(s->dir, sizeof(s->dir), "%s", cfg->dir) >= sizeof(s->dir) ||
	    !s->dir[0]) {
		buf_add_text(problem, "the folder's name is empty or too long");
		spool_free(s);
		return -EINVAL;
	}
	err = spool_take_over(s, problem);
	if (!err)
		err = -pthread_create(&s->thread, NULL, spool_writer_main, s);
	if (err) {
		spool_free(s);
		return err;
	}
	series_set(s->metric.bytes, (int64_t)s->bytes);
	series_set(s->metric.records, (int64_t)atomic_load(&s->records));
	*ret = s;
	return 0;
}

/* An empty spool leaves no segment behind. */
static void tidy(struct spool *s)
{
	for (size_t i = 0; i < s->segments_n && !atomic_load(&s->records); i++)
		s->segments[i].passed = true;
	s->aside_at_ms = 0;
	spool_retire(s);
	if (s->cursor_dirty)
		spool_cursor_write(s);
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	tidy(s);
	spool_free(s);
}

/* ---- outlets ---- */

int spool_outlet_new(struct spool *s, struct spool_outlet **ret)
{
	struct spool_outlet *o = calloc(1, sizeof(*o));
	int err = 0;

	if (!o)
		return -ENOMEM;
	o->spool = s;
	o->filling.last = &o->filling.first;
	o->flushing.last = &o->flushing.first;
	o->ready.last = &o->ready.first;
	pthread_mutex_init(&o->ready_lock, NULL);
	o->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (o->fd < 0)
		err = -errno;
	pthread_mutex_lock(&s->lock);
	if (!err && s->outlets_n == SPOOL_OUTLETS_MAX)
		err = -ENOSPC;
	if (!err)
		s->outlets[s->outlets_n++] = o;
	pthread_mutex_unlock(&s->lock);
	if (err) {
		if (o->fd >= 0)
			close(o->fd);
		pthread_mutex_destroy(&o->ready_lock);
		free(o);
		return err;
	}
	*ret = o;
	return 0;
}

int spool_outlet_fd(const struct spool_outlet *o)
{
	return o->fd;
}

struct spool_waiter *spool_outlet_take(struct spool_outlet *o)
{
	struct spool_waiter *first;
	uint64_t count;

	pthread_mutex_lock(&o->ready_lock);
	first = o->ready.first;
	o->ready = (struct waiters){ NULL, &o->ready.first };
	if (read(o->fd, &count, sizeof(count)) < 0)
		count = 0; /* nothing was told since the last take */
	pthread_mutex_unlock(&o->ready_lock);
	return first;
}

void spool_outlet_free(struct spool_outlet *o)
{
	struct spool *s;

	if (!o)
		return;
	spool_release(o);
	s = o->spool;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->outlets_n; i++) {
		if (s->outlets[i] == o)
			s->outlets[i--] = s->outlets[--s->outlets_n];
	}
	pthread_mutex_unlock(&s->lock);
	close(o->fd);
	pthread_mutex_destroy(&o->ready_lock);
	free(o);
}

/* ---- appending ---- */

/* Lock: held. Why nothing of this size can be taken now; 0: it can. */
static int refusal(const struct spool *s, size_t bytes)
{
	if (s->stop)
		return -ESHUTDOWN;
	if (s->err)
		return s->err;
	return s->bytes + bytes > s->bytes_max ? -ENOSPC : 0;
}

int spool_append(struct spool *s, struct spool_outlet *o, const struct spool_record *rec,
		 struct spool_waiter *w)
{
	size_t n = spool_record_bytes(rec);
	struct buf *out = &s->filling.bytes;
	int err;

	if (rec->key.n > SPOOL_KEY_BYTES_MAX || rec->value.n > SPOOL_VALUE_BYTES_MAX)
		return -EMSGSIZE;
	pthread_mutex_lock(&s->lock);
	err = refusal(s, n);
	if (!err && !buf_reserve(out, n)) {
		out->bad = false; /* nothing was lost: the record is refused */
		err = -ENOMEM;
	}
	if (!err) {
		spool_record_write((uint8_t *)out->p + out->n, rec);
		out->n += n;
		s->filling.records++;
		s->bytes += n;
		atomic_fetch_add(&s->records, 1);
		w->next = NULL;
		*o->filling.last = w;
		o->filling.last = &w->next;
		s->appended_us = clock_mono_us();
		if (s->writer_idle)
			pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

void spool_hold(struct spool_outlet *o)
{
	if (o->held)
		return;
	o->held = true;
	pthread_mutex_lock(&o->spool->lock);
	o->spool->held++;
	pthread_mutex_unlock(&o->spool->lock);
}

void spool_release(struct spool_outlet *o)
{
	if (!o->held)
		return;
	o->held = false;
	pthread_mutex_lock(&o->spool->lock);
	if (--o->spool->held == 0)
		pthread_cond_signal(&o->spool->work);
	pthread_mutex_unlock(&o->spool->lock);
}

/* ---- state ---- */

void spool_state(struct spool *s, struct spool_state *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = (struct spool_state){
		.records = atomic_load(&s->records),
		.bytes = s->bytes,
		.segments = s->segments_n,
		.damaged = s->damaged,
		.rejected = s->rejected,
		.err = refusal(s, ROOM_BYTES),
	};
	pthread_mutex_unlock(&s->lock);
}

bool spool_is_empty(struct spool *s)
{
	return atomic_load_explicit(&s->records, memory_order_acquire) == 0;
}
