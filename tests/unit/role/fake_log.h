/*
 * fake_log.h - a log in memory that does what a test says: refuses, is silent, dies
 *
 * One at a time (fake); appended messages are kept in order. Thread: any.
 */
#ifndef TESTS_ROLE_FAKE_LOG_H
#define TESTS_ROLE_FAKE_LOG_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log/ops.h"

#define FAKE_MSGS_MAX 4096

struct fake_msg {
	enum topic topic;
	char *key, *value;
};

/* What waits for its acknowledgement. */
struct fake_wait {
	struct fake_wait *next;
	log_acked_fn *acked;
	void *arg;
	struct fake_msg msg;
};

struct fake_appender {
	struct log_appender base;
	struct fake_wait *first, **last;
	bool dead; /* it has said -EPIPE, and says nothing else any more */
	int fd;
};

static struct {
	struct log base;
	pthread_mutex_t lock;
	struct fake_msg msgs[FAKE_MSGS_MAX];
	size_t msgs_n;
	atomic_int setup;      /* what log_setup_topics says */
	atomic_int append;     /* what log_append says */
	atomic_int append_n;   /* for how many; 0: from now on */
	atomic_int ack;        /* what acknowledgements say */
	atomic_int ack_n;      /* for how many; 0: from now on */
	atomic_bool silent;    /* no acknowledgements */
	atomic_int too_long;   /* values longer than that are -EMSGSIZE; 0: none */
	atomic_bool late_size; /* it is the acknowledgement that says so */
	atomic_int appenders, made;
} fake;

static inline void fake_store(const struct fake_msg *msg)
{
	pthread_mutex_lock(&fake.lock);
	if (fake.msgs_n < FAKE_MSGS_MAX)
		fake.msgs[fake.msgs_n++] = (struct fake_msg){ msg->topic, strdup(msg->key),
							      strdup(msg->value) };
	pthread_mutex_unlock(&fake.lock);
}

/* The value of *what, or 0 once it has been said n times. */
static inline int fake_say(atomic_int *what, atomic_int *n)
{
	int err = *what;

	if (err && *n && atomic_fetch_sub(n, 1) == 1)
		*what = 0;
	return err;
}

static inline void fake_signal(struct fake_appender *a)
{
	static const uint64_t one = 1;

	if (write(a->fd, &one, sizeof(one)) < 0)
		abort();
}

static inline struct fake_appender *fake_of(struct log_appender *a)
{
	return CONTAINER_OF(a, struct fake_appender, base);
}

static inline void fake_wait_free(struct fake_wait *w)
{
	free(w->msg.key);
	free(w->msg.value);
	free(w);
}

static inline int fake_open(const struct cfg *cfg, struct log **ret, struct buf *problem);

static inline void fake_close(struct log *log)
{
	(void)log;
}

static inline int fake_setup(struct log *log, int64_t deadline_ms, struct buf *problem)
{
	(void)log;
	(void)deadline_ms;
	if (fake.setup == -EINVAL)
		buf_add_text(problem, "topic events has 3 partitions, 12 are wanted");
	return fake.setup;
}

static inline int fake_appender_new(struct log *log, int64_t timeout_ms, struct log_appender **ret)
{
	struct fake_appender *a = calloc(1, sizeof(*a));

	(void)timeout_ms;
	if (!a)
		return -ENOMEM;
	a->base.ops = log->ops;
	a->last = &a->first;
	a->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fake.appenders++;
	fake.made++;
	*ret = &a->base;
	return 0;
}

static inline int fake_append(struct log_appender *base, enum topic topic, int32_t partition,
			      struct slice key, struct slice value, log_acked_fn *acked, void *arg)
{
	struct fake_appender *a = fake_of(base);
	int err = a->dead ? -EPIPE : fake_say(&fake.append, &fake.append_n);
	struct fake_wait *w;

	(void)partition;
	if (!err && fake.too_long && value.n > (size_t)fake.too_long && !fake.late_size)
		err = -EMSGSIZE;
	a->dead |= err == -EPIPE;
	if (err)
		return err;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -EAGAIN;
	w->acked = acked;
	w->arg = arg;
	w->msg = (struct fake_msg){ topic, slice_dup(key), slice_dup(value) };
	*a->last = w;
	a->last = &w->next;
	fake_signal(a);
	return 0;
}

static inline int fake_ack(const struct fake_wait *w)
{
	if (fake.too_long && strlen(w->msg.value) > (size_t)fake.too_long)
		return -EMSGSIZE;
	return fake_say(&fake.ack, &fake.ack_n);
}

static inline int fake_poll(struct log_appender *base, int timeout_ms)
{
	struct fake_appender *a = fake_of(base);
	struct fake_wait *w;
	uint64_t count;
	int n = 0, err;

	if (read(a->fd, &count, sizeof(count)) < 0 && (!a->first || fake.silent))
		usleep((unsigned)timeout_ms * 1000);
	while (!fake.silent && (w = a->first)) {
		a->first = w->next;
		if (!a->first)
			a->last = &a->first;
		err = a->dead ? -EPIPE : fake_ack(w);
		a->dead |= err == -EPIPE;
		if (!err)
			fake_store(&w->msg);
		w->acked(w->arg, err);
		fake_wait_free(w);
		n++;
	}
	return n;
}

static inline int fake_fd(struct log_appender *base)
{
	return fake_of(base)->fd;
}

static inline size_t fake_queued(const struct log_appender *base)
{
	(void)base;
	return 0;
}

static inline void fake_appender_free(struct log_appender *base)
{
	struct fake_appender *a = fake_of(base);
	struct fake_wait *w;

	while ((w = a->first)) {
		a->first = w->next;
		w->acked(w->arg, -EPIPE);
		fake_wait_free(w);
	}
	close(a->fd);
	free(a);
	fake.appenders--;
}

static inline int fake_high(struct log *log, enum topic topic, int32_t partition,
			    int64_t deadline_ms, int64_t *ret)
{
	(void)log;
	(void)topic;
	(void)partition;
	(void)deadline_ms;
	*ret = 0;
	return fake.silent ? -EAGAIN : 0;
}

static const struct log_ops fake_ops = {
	.name = "fake",
	.open = fake_open,
	.close = fake_close,
	.setup_topics = fake_setup,
	.appender_new = fake_appender_new,
	.append = fake_append,
	.appender_poll = fake_poll,
	.appender_fd = fake_fd,
	.appender_queued = fake_queued,
	.appender_free = fake_appender_free,
	.high_watermark = fake_high,
};

static inline int fake_open(const struct cfg *cfg, struct log **ret, struct buf *problem)
{
	(void)cfg;
	(void)problem;
	*ret = &fake.base;
	return 0;
}

static inline void fake_reset(void)
{
	for (size_t i = 0; i < fake.msgs_n; i++) {
		free(fake.msgs[i].key);
		free(fake.msgs[i].value);
	}
	memset(&fake, 0, sizeof(fake));
	fake.base.ops = &fake_ops;
	pthread_mutex_init(&fake.lock, NULL);
}

static inline size_t fake_count(void)
{
	size_t n;

	pthread_mutex_lock(&fake.lock);
	n = fake.msgs_n;
	pthread_mutex_unlock(&fake.lock);
	return n;
}

#endif
