/*
 * client_appender.c - an idempotent producer whose acknowledgements run where the owner polls
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log/mem/client.h"

struct waiting {
	log_acked_fn *acked; /* NULL: it was told */
	void *arg;
};

struct appender {
	struct log_appender base;
	struct memclient *c;
	uint32_t producer;
	int64_t timeout_ms;
	struct waiting *v; /* of the messages from seq `first` on */
	size_t n, cap, queued;
	uint64_t first;
	int fd;
};

static struct appender *appender_of(struct log_appender *a)
{
	return CONTAINER_OF(a, struct appender, base);
}

int mem_appender_new(struct log *log, int64_t timeout_ms, struct log_appender **ret)
{
	struct memclient *c = client_of(log);
	struct appender *a;

	if (timeout_ms < 1 || timeout_ms > INT32_MAX)
		return -EINVAL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->base.ops = log->ops;
	a->c = c;
	a->timeout_ms = timeout_ms;
	a->fd = -1;
	memlog_run(c->m);
	if (producer_new(c->m, NULL, c->process, &a->producer) < 0) {
		free(a);
		return -ENOMEM;
	}
	*ret = &a->base;
	return 0;
}

static struct producer *producer(struct appender *a)
{
	return &a->c->m->producers[a->producer];
}

static bool room(struct appender *a)
{
	size_t cap = a->cap ? 2 * a->cap : 64;
	struct waiting *v;

	if (a->n < a->cap)
		return true;
	v = realloc(a->v, cap * sizeof(*v));
	if (!v)
		return false;
	a->v = v;
	a->cap = cap;
	return true;
}

/* 0, or why nothing is taken. */
static int refusal(struct appender *a, struct slice key, struct slice value)
{
	struct memlog *m = a->c->m;

	if (key.n + value.n > MEM_MSG_BYTES_MAX)
		return -EMSGSIZE;
	if (!producer(a)->fatal && MEM_FAULT(m, append_fatal))
		producer_kill(m, a->producer);
	if (producer(a)->fatal)
		return -EPIPE;
	if (a->queued >= m->set.queue_msgs_max || MEM_FAULT(m, append_full) || !room(a))
		return -EAGAIN;
	return 0;
}

int mem_append(struct log_appender *base, enum topic topic, int32_t partition, struct slice key,
	       struct slice value, log_acked_fn *acked, void *arg)
{
	struct appender *a = appender_of(base);
	struct memlog *m = a->c->m;
	struct flight f;
	int r;

	mem_point(m, "append");
	r = refusal(a, key, value);
	if (r < 0)
		return r;
	f = (struct flight){
		.msg = { topic, partition, key, value, value.p == NULL,
			 m->env.wall_ms(m->env.arg) },
		.seq = a->first + a->n,
		.give_up_ms = mem_now(m) + a->timeout_ms,
		.ack_lost = MEM_FAULT(m, append_lost),
		.floats = MEM_FAULT(m, append_floats),
	};
	if (partition == LOG_ANY_PARTITION)
		f.msg.partition = topic_pick(m, topic, key);
	if (producer_send(m, a->producer, &f) < 0)
		return -EAGAIN;
	a->v[a->n++] = (struct waiting){ acked, arg };
	a->queued++;
	mem_point(m, "appended");
	return 0;
}

/* Those told at the front are forgotten. */
static void shorten(struct appender *a)
{
	size_t told = 0;

	while (told < a->n && !a->v[told].acked)
		told++;
	if (told == 0 || (told < a->n && told < 64))
		return;
	memmove(a->v, a->v + told, (a->n - told) * sizeof(*a->v));
	a->n -= told;
	a->first += told;
}

static void run_ack(struct appender *a, size_t i, int err)
{
	struct waiting w = a->v[i];

	a->v[i].acked = NULL;
	a->queued--;
	w.acked(w.arg, err);
}

int mem_appender_poll(struct log_appender *base, int timeout_ms)
{
	struct appender *a = appender_of(base);
	struct memlog *m = a->c->m;
	int64_t deadline_ms = mem_now(m) + timeout_ms;
	uint64_t count;
	struct ack ack;
	int n = 0;

	if (a->fd >= 0 && read(a->fd, &count, sizeof(count)) < 0)
		count = 0;
	mem_point(m, "appender-poll");
	for (;;) {
		while (producer_take_ack(m, a->producer, &ack)) {
			run_ack(a, (size_t)(ack.seq - a->first), ack.err);
			n++;
			mem_point(m, "acked");
		}
		shorten(a);
		if (n > 0 || mem_now(m) >= deadline_ms)
			return n;
		mem_wait(m, deadline_ms);
	}
}

int mem_appender_fd(struct log_appender *base)
{
	struct appender *a = appender_of(base);

	if (a->fd < 0)
		a->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	producer(a)->fd = a->fd;
	return a->fd;
}

size_t mem_appender_queued(const struct log_appender *base)
{
	return ((const struct appender *)(const void *)((const char *)base -
							offsetof(struct appender, base)))
	    ->queued;
}

void mem_appender_free(struct log_appender *base)
{
	struct appender *a = appender_of(base);
	struct ack ack;

	memlog_run(a->c->m);
	while (producer_take_ack(a->c->m, a->producer, &ack))
		run_ack(a, (size_t)(ack.seq - a->first), ack.err);
	producer_leave(a->c->m, a->producer);
	for (size_t i = 0; i < a->n; i++) {
		if (a->v[i].acked)
			run_ack(a, i, -EPIPE);
	}
	if (a->fd >= 0)
		close(a->fd);
	free(a->v);
	free(a);
}
