/*
 * tsan_threads.c - C11 threads by POSIX threads, for the thread sanitizer
 *
 * librdkafka is built on <threads.h>, which the sanitizer does not know: its threads crash in it.
 * The C library's types are those of POSIX underneath, so these take the place of its functions,
 * and the sanitizer sees what they call. Linked into tests under that sanitizer only.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

#define SHOWN __attribute__((visibility("default")))

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "a mutex is one of POSIX");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "a condition is one of POSIX");
_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "a thread is one of POSIX");

static int result(int err)
{
	switch (err) {
	case 0:
		return thrd_success;
	case ENOMEM:
		return thrd_nomem;
	case ETIMEDOUT:
		return thrd_timedout;
	case EBUSY:
		return thrd_busy;
	default:
		return thrd_error;
	}
}

struct start {
	thrd_start_t run;
	void *arg;
};

static void *run(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	return (void *)(intptr_t)start.run(start.arg);
}

SHOWN int thrd_create(thrd_t *thread, thrd_start_t function, void *arg)
{
	struct start *start = malloc(sizeof(*start));
	int err;

	if (!start)
		return thrd_nomem;
	*start = (struct start){ function, arg };
	err = pthread_create((pthread_t *)thread, NULL, run, start);
	if (err)
		free(start);
	return result(err);
}

SHOWN int thrd_join(thrd_t thread, int *ret)
{
	void *value = NULL;
	int err = pthread_join((pthread_t)thread, &value);

	if (ret)
		*ret = (int)(intptr_t)value;
	return result(err);
}

SHOWN int thrd_detach(thrd_t thread)
{
	return result(pthread_detach((pthread_t)thread));
}

SHOWN int mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t attr;
	int err;

	pthread_mutexattr_init(&attr);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	err = pthread_mutex_init((pthread_mutex_t *)mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	return result(err);
}

SHOWN int mtx_lock(mtx_t *mutex)
{
	return result(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

SHOWN int mtx_trylock(mtx_t *mutex)
{
	return result(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

SHOWN int mtx_unlock(mtx_t *mutex)
{
	return result(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

SHOWN void mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

SHOWN int cnd_init(cnd_t *cond)
{
	return result(pthread_cond_init((pthread_cond_t *)cond, NULL));
}

SHOWN int cnd_signal(cnd_t *cond)
{
	return result(pthread_cond_signal((pthread_cond_t *)cond));
}

SHOWN int cnd_broadcast(cnd_t *cond)
{
	return result(pthread_cond_broadcast((pthread_cond_t *)cond));
}

SHOWN int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
	return result(pthread_cond_wait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex));
}

SHOWN int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
	return result(
	    pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until));
}

SHOWN void cnd_destroy(cnd_t *cond)
{
	pthread_cond_destroy((pthread_cond_t *)cond);
}
