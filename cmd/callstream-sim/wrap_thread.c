/* Threads, locks and the time-outs of waiting: fibers of the world. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "world.h"

/* What lies in a pthread_mutex_t: all zero when it is free, as an initializer leaves it. */
struct lock {
	uint64_t owner; /* a fiber; outside of fibers nobody contends */
};
_Static_assert(sizeof(struct lock) <= sizeof(pthread_mutex_t), "a lock fits");

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, world_fn *fn, void *arg);
int __wrap_pthread_join(pthread_t id, void **ret);
int __wrap_pthread_detach(pthread_t id);
pthread_t __wrap_pthread_self(void);
int __wrap_pthread_setname_np(pthread_t id, const char *name);
int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr);
int __wrap_pthread_cond_destroy(pthread_cond_t *c);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *at);
int __wrap_pthread_cond_signal(pthread_cond_t *c);
int __wrap_pthread_cond_broadcast(pthread_cond_t *c);

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, world_fn *fn, void *arg)
{
	uint64_t id;

	(void)attr;
	if (world_fault("no thread", 50))
		return EAGAIN;
	id = fiber_start(fn, arg);
	if (!id)
		return EAGAIN;
	*ret = (pthread_t)id;
	return 0;
}

int __wrap_pthread_join(pthread_t id, void **ret)
{
	void *result = fiber_join((uint64_t)id);

	if (ret)
		*ret = result;
	return 0;
}

int __wrap_pthread_detach(pthread_t id)
{
	(void)id;
	return 0;
}

pthread_t __wrap_pthread_self(void)
{
	return (pthread_t)fiber_self();
}

int __wrap_pthread_setname_np(pthread_t id, const char *name)
{
	(void)id;
	(void)name;
	return 0;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
	(void)attr;
	memset(m, 0, sizeof(*m));
	return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *m)
{
	struct lock *l = (void *)m;

	if (l->owner)
		world_fail("a lock is destroyed while it is held");
	return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	struct lock *l = (void *)m;
	uint64_t self = fiber_self();

	if (!self)
		return 0;
	if (l->owner == self)
		world_fail("a lock is taken twice");
	while (l->owner)
		fiber_wait(m, INT64_MAX);
	l->owner = self;
	return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *m)
{
	struct lock *l = (void *)m;

	if (l->owner)
		return EBUSY;
	l->owner = fiber_self();
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	struct lock *l = (void *)m;

	if (l->owner != fiber_self())
		world_fail("a lock is given back that is not held");
	l->owner = 0;
	fiber_wake(m, false);
	return 0;
}

int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr)
{
	(void)attr;
	memset(c, 0, sizeof(*c));
	return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *c)
{
	(void)c;
	return 0;
}

static int wait_on(pthread_cond_t *c, pthread_mutex_t *m, int64_t until_us)
{
	bool told;

	__wrap_pthread_mutex_unlock(m);
	told = fiber_wait(c, until_us);
	__wrap_pthread_mutex_lock(m);
	return told ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	return wait_on(c, m, INT64_MAX);
}

/* All conditions of ours wait on CLOCK_MONOTONIC. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *at)
{
	return wait_on(c, m, (int64_t)at->tv_sec * 1000000 + at->tv_nsec / 1000);
}

int __wrap_pthread_cond_signal(pthread_cond_t *c)
{
	fiber_wake(c, false);
	return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *c)
{
	fiber_wake(c, true);
	return 0;
}
