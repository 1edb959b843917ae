#include "role/deliver_refill.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"

#define READ_MS     5000 /* of one try; then it is asked whether anybody still wants it */
#define AGAIN_US    200000
#define BATCHES_MAX 4096 /* one per lane at the most; a bound all the same */

STAILQ_HEAD(batches, refill_batch);

struct refill {
	struct log *log;
	pthread_t thread;
	pthread_mutex_t lock; /* asked, read, batches_n */
	pthread_cond_t changed;
	struct batches asked, read;
	size_t batches_n;
	atomic_bool stopping;
};

/* ---- one batch ---- */

void refill_batch_free(struct refill_batch *batch)
{
	if (!batch)
		return;
	for (size_t i = 0; batch->json && i < batch->n; i++)
		free(batch->json[i]);
	free(batch->wanted);
	free(batch->json);
	free(batch->json_n);
	free(batch);
}

static struct refill_batch *batch_new(int32_t partition, uint64_t epoch,
				      const struct wanted *wanted, size_t n)
{
	struct refill_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return NULL;
	batch->partition = partition;
	batch->epoch = epoch;
	batch->n = n;
	batch->wanted = calloc(n, sizeof(*batch->wanted));
	batch->json = calloc(n, sizeof(char *));
	batch->json_n = calloc(n, sizeof(size_t));
	if (!batch->wanted || !batch->json || !batch->json_n) {
		refill_batch_free(batch);
		return NULL;
	}
	memcpy(batch->wanted, wanted, n * sizeof(*wanted));
	return batch;
}

/* ---- reading ---- */

/* Wanted ones by place or by key, so that messages find theirs by bisection. */
struct looking {
	struct refill *r;
	struct refill_batch *batch;
	enum topic topic;
	size_t first, last; /* of batch->wanted, sorted: those of this topic */
	bool by_key;
	int err;
};

static int by_place(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	if (x->place.topic != y->place.topic)
		return x->place.topic < y->place.topic ? -1 : 1;
	return (x->place.offset > y->place.offset) - (x->place.offset < y->place.offset);
}

static int by_key(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return slice_cmp(slice_make(x->key, x->key_n), slice_make(y->key, y->key_n));
}

static int compare(const struct looking *look, const struct log_msg *msg, const struct wanted *w)
{
	if (look->by_key)
		return slice_cmp(msg->key, slice_make(w->key, w->key_n));
	return (msg->offset > w->place.offset) - (msg->offset < w->place.offset);
}

/* Its place in the batch, or batch->n. */
static size_t wanted_at(const struct looking *look, const struct log_msg *msg)
{
	size_t low = look->first, high = look->last;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(look, msg, &look->batch->wanted[middle]);

		if (order == 0)
			return middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return look->batch->n;
}

static struct slice task_of(const struct log_msg *msg)
{
	struct entry e;

	if (msg->topic == TOPIC_TASKS)
		return msg->value;
	return entry_read(msg->value, &e) == 0 ? e.task : SLICE_NONE;
}

static int on_message(void *arg, const struct log_msg *msg)
{
	struct looking *look = arg;
	size_t i = wanted_at(look, msg);
	struct slice task;

	if (atomic_load(&look->r->stopping))
		return 1;
	if (i == look->batch->n)
		return 0;
	task = task_of(msg);
	free(look->batch->json[i]); /* by key the newest counts */
	look->batch->json[i] = task.n ? slice_dup(task) : NULL;
	look->batch->json_n[i] = task.n;
	return task.n && !look->batch->json[i] ? -ENOMEM : 0;
}

static int read_range(struct refill *r, struct looking *look, int64_t from, int64_t until)
{
	int err;

	do {
		err = log_read_partition(r->log, look->topic, look->batch->partition, from, until,
					 clock_mono_ms() + READ_MS, on_message, look);
		if (err < 0 && !atomic_load(&r->stopping))
			usleep(AGAIN_US);
	} while (err < 0 && !atomic_load(&r->stopping));
	return err < 0 ? err : 0;
}

static void read_places(struct refill *r, struct refill_batch *batch)
{
	qsort(batch->wanted, batch->n, sizeof(*batch->wanted), by_place);
	for (size_t i = 0, end; i < batch->n; i = end) {
		struct looking look = { .r = r, .batch = batch, .first = i };

		look.topic = batch->wanted[i].place.topic;
		for (end = i; end < batch->n && batch->wanted[end].place.topic == look.topic;)
			end++;
		look.last = end;
		if (read_range(r, &look, batch->wanted[i].place.offset,
			       batch->wanted[end - 1].place.offset + 1) != 0)
			return;
	}
}

/* Those that were found to the front, so that the rest can be sorted by key. */
static size_t found_first(struct refill_batch *batch)
{
	size_t found = 0;

	for (size_t i = 0; i < batch->n; i++) {
		struct wanted wanted = batch->wanted[i];

		if (!batch->json[i])
			continue;
		batch->wanted[i] = batch->wanted[found];
		batch->wanted[found] = wanted;
		if (i != found) {
			batch->json[found] = batch->json[i];
			batch->json_n[found] = batch->json_n[i];
			batch->json[i] = NULL;
			batch->json_n[i] = 0;
		}
		found++;
	}
	return found;
}

static void read_missing(struct refill *r, struct refill_batch *batch)
{
	struct looking look = { .r = r, .batch = batch, .topic = TOPIC_DELIVERIES, .by_key = true };
	int64_t high;

	look.first = found_first(batch);
	look.last = batch->n;
	if (look.first == look.last || atomic_load(&r->stopping))
		return;
	SLOG(SLOG_WARN, "waiting tasks are not where they were, looking through the ledger",
	     SLOG_I("tasks", look.last - look.first), SLOG_I("partition", batch->partition));
	qsort(batch->wanted + look.first, look.last - look.first, sizeof(*batch->wanted), by_key);
	while (log_high_watermark(r->log, TOPIC_DELIVERIES, batch->partition,
				  clock_mono_ms() + READ_MS, &high) != 0) {
		if (atomic_load(&r->stopping))
			return;
		usleep(AGAIN_US);
	}
	if (read_range(r, &look, LOG_BEGIN, high) != 0)
		return;
}

/* ---- the thread ---- */

static struct refill_batch *next_asked(struct refill *r)
{
	struct refill_batch *batch;

	pthread_mutex_lock(&r->lock);
	while (STAILQ_EMPTY(&r->asked) && !atomic_load(&r->stopping))
		pthread_cond_wait(&r->changed, &r->lock);
	batch = atomic_load(&r->stopping) ? NULL : STAILQ_FIRST(&r->asked);
	if (batch)
		STAILQ_REMOVE_HEAD(&r->asked, link);
	pthread_mutex_unlock(&r->lock);
	return batch;
}

static void *run(void *arg)
{
	struct refill *r = arg;
	struct refill_batch *batch;

	while ((batch = next_asked(r))) {
		read_places(r, batch);
		read_missing(r, batch);
		pthread_mutex_lock(&r->lock);
		STAILQ_INSERT_TAIL(&r->read, batch, link);
		pthread_mutex_unlock(&r->lock);
	}
	return NULL;
}

int refill_new(struct log *log, struct refill **ret)
{
	struct refill *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->log = log;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	STAILQ_INIT(&r->asked);
	STAILQ_INIT(&r->read);
	if (pthread_create(&r->thread, NULL, run, r) != 0) {
		pthread_cond_destroy(&r->changed);
		pthread_mutex_destroy(&r->lock);
		free(r);
		return -EAGAIN;
	}
	*ret = r;
	return 0;
}

static void free_all(struct batches *batches)
{
	struct refill_batch *batch;

	while ((batch = STAILQ_FIRST(batches))) {
		STAILQ_REMOVE_HEAD(batches, link);
		refill_batch_free(batch);
	}
}

void refill_free(struct refill *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	atomic_store(&r->stopping, true);
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	free_all(&r->asked);
	free_all(&r->read);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

int refill_ask(struct refill *r, int32_t partition, uint64_t epoch, const struct wanted *wanted,
	       size_t n)
{
	struct refill_batch *batch = NULL;
	bool room;

	pthread_mutex_lock(&r->lock);
	room = r->batches_n < BATCHES_MAX;
	pthread_mutex_unlock(&r->lock);
	if (room)
		batch = batch_new(partition, epoch, wanted, n);
	if (!batch)
		return -ENOMEM;
	pthread_mutex_lock(&r->lock);
	STAILQ_INSERT_TAIL(&r->asked, batch, link);
	r->batches_n++;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

struct refill_batch *refill_take(struct refill *r)
{
	struct refill_batch *batch;

	pthread_mutex_lock(&r->lock);
	batch = STAILQ_FIRST(&r->read);
	if (batch) {
		STAILQ_REMOVE_HEAD(&r->read, link);
		r->batches_n--;
	}
	pthread_mutex_unlock(&r->lock);
	return batch;
}
