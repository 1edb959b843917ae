/*
 * disk.h - the machine's disk with faults: the n-th operation of a kind fails, or all from then on
 */
#ifndef TESTS_STORE_DISK_H
#define TESTS_STORE_DISK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/spool.h"

enum disk_op {
	DISK_OPEN,
	DISK_PWRITE,
	DISK_PREAD,
	DISK_TRUNCATE,
	DISK_RESERVE,
	DISK_SYNC,
	DISK_SYNC_DIR,
	DISK_RENAME,
	DISK_OPS_N
};

struct disk {
	struct spool_io io;
	atomic_int seen[DISK_OPS_N];
	atomic_int fail_at[DISK_OPS_N];  /* 1 the next one; 0 never */
	atomic_int fail_for[DISK_OPS_N]; /* how many in a row */
	atomic_int err[DISK_OPS_N];
	atomic_long short_write; /* a failing pwrite writes that much before */
	const char *bad_name;    /* what ends so cannot be opened: -EIO; NULL none */
	char dir[64];
};

/* 0, or what the operation fails with. */
static inline int disk_fault(struct disk *d, enum disk_op op)
{
	int n = atomic_fetch_add(&d->seen[op], 1) + 1, at = d->fail_at[op];

	return at && n >= at && n < at + d->fail_for[op] ? d->err[op] : 0;
}

/* The next `times` operations of that kind fail. */
static inline void disk_fail(struct disk *d, enum disk_op op, int err, int times)
{
	d->err[op] = err;
	d->fail_for[op] = times;
	d->fail_at[op] = d->seen[op] + 1;
}

static inline void disk_heal(struct disk *d, enum disk_op op)
{
	d->fail_at[op] = 0;
}

static inline int disk_open(void *arg, const char *path, int flags)
{
	struct disk *d = arg;
	int err = disk_fault(d, DISK_OPEN);

	if (d->bad_name && slice_ends(slice_of(path), slice_of(d->bad_name)))
		return -EIO;
	return err ? err : spool_io_posix.open(NULL, path, flags);
}

static inline ssize_t disk_pread(void *arg, int fd, void *buf, size_t n, uint64_t offset)
{
	int err = disk_fault(arg, DISK_PREAD);

	return err ? err : spool_io_posix.pread(NULL, fd, buf, n, offset);
}

static inline ssize_t disk_pwrite(void *arg, int fd, const void *buf, size_t n, uint64_t offset)
{
	struct disk *d = arg;
	int err = disk_fault(d, DISK_PWRITE);
	size_t part = MIN((size_t)d->short_write, n);

	if (!err)
		return spool_io_posix.pwrite(NULL, fd, buf, n, offset);
	if (part && spool_io_posix.pwrite(NULL, fd, buf, part, offset) < 0)
		return -EIO;
	return err;
}

static inline int disk_truncate(void *arg, int fd, uint64_t size)
{
	int err = disk_fault(arg, DISK_TRUNCATE);

	return err ? err : spool_io_posix.truncate(NULL, fd, size);
}

static inline int disk_reserve(void *arg, int fd, uint64_t offset, uint64_t n)
{
	int err = disk_fault(arg, DISK_RESERVE);

	return err ? err : spool_io_posix.reserve(NULL, fd, offset, n);
}

static inline int disk_datasync(void *arg, int fd)
{
	int err = disk_fault(arg, DISK_SYNC);

	return err ? err : spool_io_posix.datasync(NULL, fd);
}

static inline int disk_sync_dir(void *arg, const char *path)
{
	int err = disk_fault(arg, DISK_SYNC_DIR);

	return err ? err : spool_io_posix.sync_dir(NULL, path);
}

static inline int disk_rename(void *arg, const char *from, const char *to)
{
	int err = disk_fault(arg, DISK_RENAME);

	return err ? err : spool_io_posix.rename(NULL, from, to);
}

static inline int disk_setup(void **state)
{
	struct disk *d = calloc(1, sizeof(*d));

	if (!d)
		return -1;
	d->io = spool_io_posix;
	d->io.arg = d;
	d->io.open = disk_open;
	d->io.pread = disk_pread;
	d->io.pwrite = disk_pwrite;
	d->io.truncate = disk_truncate;
	d->io.reserve = disk_reserve;
	d->io.datasync = disk_datasync;
	d->io.sync_dir = disk_sync_dir;
	d->io.rename = disk_rename;
	snprintf(d->dir, sizeof(d->dir), "/tmp/callstream-spool-XXXXXX");
	if (!mkdtemp(d->dir))
		return -1;
	*state = d;
	return 0;
}

static inline int disk_remove_one(const char *path, const struct stat *st, int type,
				  struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int disk_teardown(void **state)
{
	struct disk *d = *state;

	nftw(d->dir, disk_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(d);
	return 0;
}

#endif
