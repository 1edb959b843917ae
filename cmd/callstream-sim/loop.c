#include "loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "wrap_fd.h"

#define PRIORITY_DEFAULT 1

struct event {
	struct event *next;
	struct event_base *base;
	int fd, priority;
	short what;
	event_callback_fn fn;
	void *arg;
	bool added, active;
	int64_t due_us; /* INT64_MAX: none */
};

struct event_base {
	struct event *events;
	bool stop;
};

struct event *__wrap_event_new(struct event_base *base, evutil_socket_t fd, short what,
			       event_callback_fn fn, void *arg);
int __wrap_event_add(struct event *ev, const struct timeval *after);
int __wrap_event_del(struct event *ev);
void __wrap_event_free(struct event *ev);
void __wrap_event_active(struct event *ev, int what, short calls);
int __wrap_event_priority_set(struct event *ev, int priority);

struct event *__wrap_event_new(struct event_base *base, evutil_socket_t fd, short what,
			       event_callback_fn fn, void *arg)
{
	struct event *ev = calloc(1, sizeof(*ev));

	if (!ev)
		return NULL;
	*ev = (struct event){ .next = base->events,
			      .base = base,
			      .fd = fd,
			      .priority = PRIORITY_DEFAULT,
			      .what = what,
			      .fn = fn,
			      .arg = arg,
			      .due_us = INT64_MAX };
	base->events = ev;
	return ev;
}

int __wrap_event_add(struct event *ev, const struct timeval *after)
{
	ev->added = true;
	ev->due_us = after ? world_us() + after->tv_sec * 1000000 + after->tv_usec : INT64_MAX;
	loop_kick(ev->base);
	return 0;
}

int __wrap_event_del(struct event *ev)
{
	ev->added = ev->active = false;
	ev->due_us = INT64_MAX;
	return 0;
}

void __wrap_event_free(struct event *ev)
{
	struct event **at = &ev->base->events;

	while (*at && *at != ev)
		at = &(*at)->next;
	if (*at)
		*at = ev->next;
	free(ev);
}

void __wrap_event_active(struct event *ev, int what, short calls)
{
	(void)what;
	(void)calls;
	ev->active = true;
	loop_kick(ev->base);
}

int __wrap_event_priority_set(struct event *ev, int priority)
{
	ev->priority = priority;
	return 0;
}

static bool is_ready(const struct event *ev)
{
	return ev->active || (ev->added && (ev->due_us <= world_us() ||
					    ((ev->what & EV_READ) && fd_readable(ev->fd))));
}

/* One of those that are ready in the most urgent class. */
static struct event *choose(struct event_base *loop)
{
	struct event *best = NULL;
	uint64_t n = 0;

	for (struct event *ev = loop->events; ev; ev = ev->next) {
		if (!is_ready(ev) || (best && ev->priority > best->priority))
			continue;
		if (best && ev->priority < best->priority)
			n = 0;
		if (world_below(++n) == 0)
			best = ev;
	}
	return best;
}

static void fire(struct event *ev)
{
	bool timed = ev->due_us <= world_us();

	ev->active = false;
	ev->due_us = INT64_MAX;
	if (!(ev->what & EV_PERSIST))
		ev->added = false;
	ev->fn(ev->fd, timed ? EV_TIMEOUT : EV_READ, ev->arg);
}

static int64_t next_due_us(const struct event_base *loop)
{
	int64_t us = INT64_MAX;

	for (const struct event *ev = loop->events; ev; ev = ev->next) {
		if (ev->added)
			us = MIN(us, ev->due_us);
	}
	return us;
}

struct event_base *loop_new(void)
{
	return calloc(1, sizeof(struct event_base));
}

/* A kick and a descriptor wake the same waiters: everybody looks for himself. */
void loop_kick(struct event_base *loop)
{
	(void)loop;
	fiber_wake(fds_word(), true);
}

void loop_run(struct event_base *loop, bool (*turn)(void *arg), void *arg)
{
	while (!loop->stop) {
		struct event *ev;

		if (turn(arg))
			continue;
		ev = choose(loop);
		if (ev)
			fire(ev);
		else if (!loop->stop)
			fiber_wait(fds_word(), next_due_us(loop));
	}
}

void loop_stop(struct event_base *loop)
{
	loop->stop = true;
	loop_kick(loop);
}

void loop_free(struct event_base *loop)
{
	struct event *ev;

	while (loop && (ev = loop->events)) {
		loop->events = ev->next;
		free(ev);
	}
	free(loop);
}
