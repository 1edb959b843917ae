/*
 * spool_io.h - the disk as the spool sees it: a table, so that a simulation can be the disk
 *
 * Every operation returns 0, a descriptor or a count, or -errno; it may be short where pread and
 * pwrite of POSIX may. Paths are whole. Thread: any; one descriptor is used by one thread at a
 * time.
 */
#ifndef CS_STORE_SPOOL_IO_H
#define CS_STORE_SPOOL_IO_H

#include <sys/types.h>

#include "base/slice.h"

/* Called for each name in a folder but "." and ".."; non-zero ends the listing with it. */
typedef int spool_name_fn(void *arg, const char *name);

struct spool_io {
	void *arg;
	int (*open)(void *arg, const char *path, int flags); /* O_*; a new file gets mode 0600 */
	int (*close)(void *arg, int fd);
	ssize_t (*pread)(void *arg, int fd, void *buf, size_t n, uint64_t offset);
	ssize_t (*pwrite)(void *arg, int fd, const void *buf, size_t n, uint64_t offset);
	int (*size)(void *arg, int fd, uint64_t *ret);
	int (*truncate)(void *arg, int fd, uint64_t size);
	/* Room for n bytes behind offset, without a change of the size; 0 where that is not known.
	 */
	int (*reserve)(void *arg, int fd, uint64_t offset, uint64_t n);
	int (*datasync)(void *arg, int fd);
	int (*sync_dir)(void *arg, const char *path);
	int (*make_dir)(void *arg, const char *path); /* with its parents; there already: 0 */
	int (*rename)(void *arg, const char *from, const char *to);
	int (*unlink)(void *arg, const char *path);
	int (*list)(void *arg, const char *path, spool_name_fn *each, void *each_arg);
	int (*lock)(void *arg, int fd); /* exclusive, at once or -EWOULDBLOCK */
};

extern const struct spool_io spool_io_posix;

#endif
