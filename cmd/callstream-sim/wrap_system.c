/* Clocks, sleep, eventfd and who we are. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "wrap_fd.h"

#define LOOK_US 1 /* what a look at the clock takes */
#define FD_BASE 100000
#define FDS_MAX 512

struct eventfd_model {
	bool used;
	struct process *process;
	uint64_t count;
};
static struct eventfd_model fds[FDS_MAX];

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_nanosleep(const struct timespec *for_, struct timespec *left);
int __wrap_usleep(useconds_t us);
int __wrap_eventfd(unsigned count, int flags);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __wrap_close(int fd);
int __wrap_poll(struct pollfd *v, nfds_t n, int timeout_ms);
int __wrap_gethostname(char *name, size_t n);
pid_t __wrap_getpid(void);
int __wrap_mallopt(int what, int value);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __real_write(int fd, const void *p, size_t n);
int __real_close(int fd);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	int64_t us;

	world_pass(LOOK_US);
	us = clock == CLOCK_REALTIME ? world_wall_us() : world_us();
	ret->tv_sec = us / 1000000;
	ret->tv_nsec = us % 1000000 * 1000;
	return 0;
}

int __wrap_nanosleep(const struct timespec *for_, struct timespec *left)
{
	(void)left;
	world_sleep((int64_t)for_->tv_sec * 1000000 + for_->tv_nsec / 1000);
	return 0;
}

int __wrap_usleep(useconds_t us)
{
	world_sleep(us);
	return 0;
}

/* ---- eventfd ---- */

static struct eventfd_model *model(int fd)
{
	return fd >= FD_BASE && fd < FD_BASE + FDS_MAX ? &fds[fd - FD_BASE] : NULL;
}

int __wrap_eventfd(unsigned count, int flags)
{
	(void)flags; /* all of ours do not block */
	for (int i = 0; i < FDS_MAX; i++) {
		if (fds[i].used && process_runs(fds[i].process))
			continue;
		fds[i] = (struct eventfd_model){ true, process_now(), count };
		return FD_BASE + i;
	}
	errno = EMFILE;
	return -1;
}

void fds_forget(const struct process *p)
{
	for (int i = 0; i < FDS_MAX; i++) {
		if (fds[i].process == p)
			fds[i] = (struct eventfd_model){ .used = false };
	}
}

bool fd_readable(int fd)
{
	const struct eventfd_model *e = model(fd);

	return e && e->count > 0;
}

const void *fds_word(void)
{
	return fds; /* whoever waits for a descriptor waits on all of them */
}

ssize_t __wrap_read(int fd, void *p, size_t n)
{
	struct eventfd_model *e = model(fd);

	if (!e)
		return __real_read(fd, p, n);
	if (e->count == 0 || n < sizeof(e->count)) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(p, &e->count, sizeof(e->count));
	e->count = 0;
	return sizeof(e->count);
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	struct eventfd_model *e = model(fd);
	uint64_t add;

	if (!e)
		return __real_write(fd, p, n);
	memcpy(&add, p, sizeof(add));
	e->count += add;
	fiber_wake(fds_word(), true);
	return sizeof(add);
}

int __wrap_close(int fd)
{
	struct eventfd_model *e = model(fd);

	if (!e)
		return __real_close(fd);
	e->used = false;
	return 0;
}

int __wrap_poll(struct pollfd *v, nfds_t n, int timeout_ms)
{
	int64_t until_us = timeout_ms < 0 ? INT64_MAX : world_us() + (int64_t)timeout_ms * 1000;
	int ready = 0;

	for (;;) {
		for (nfds_t i = 0; i < n; i++) {
			v[i].revents = fd_readable(v[i].fd) ? POLLIN : 0;
			ready += v[i].revents != 0;
		}
		if (ready || world_us() >= until_us)
			return ready;
		fiber_wait(fds_word(), until_us);
	}
}

/* ---- who we are ---- */

/* Each process is a host of its own, with a name that stays over restarts. */
int __wrap_gethostname(char *name, size_t n)
{
	const struct process *p = process_now();

	strncpy(name, p ? process_name(p) : "world", n);
	return 0;
}

pid_t __wrap_getpid(void)
{
	return 1;
}

int __wrap_mallopt(int what, int value)
{
	(void)what;
	(void)value;
	return 1;
}
