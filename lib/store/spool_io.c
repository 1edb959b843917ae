#include "store/spool_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0600
#define DIR_MODE  0700

static int posix_open(void *arg, const char *path, int flags)
{
	int fd;

	(void)arg;
	fd = open(path, flags | O_CLOEXEC, FILE_MODE);
	return fd < 0 ? -errno : fd;
}

static int posix_close(void *arg, int fd)
{
	(void)arg;
	return close(fd) ? -errno : 0;
}

static ssize_t posix_pread(void *arg, int fd, void *buf, size_t n, uint64_t offset)
{
	ssize_t got;

	(void)arg;
	do {
		got = pread(fd, buf, n, (off_t)offset);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static ssize_t posix_pwrite(void *arg, int fd, const void *buf, size_t n, uint64_t offset)
{
	ssize_t put;

	(void)arg;
	do {
		put = pwrite(fd, buf, n, (off_t)offset);
	} while (put < 0 && errno == EINTR);
	return put < 0 ? -errno : put;
}

static int posix_size(void *arg, int fd, uint64_t *ret)
{
	struct stat st;

	(void)arg;
	if (fstat(fd, &st))
		return -errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int posix_truncate(void *arg, int fd, uint64_t size)
{
	(void)arg;
	return ftruncate(fd, (off_t)size) ? -errno : 0;
}

static int posix_reserve(void *arg, int fd, uint64_t offset, uint64_t n)
{
	(void)arg;
	if (!fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n))
		return 0;
	return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
}

static int posix_datasync(void *arg, int fd)
{
	(void)arg;
	return fdatasync(fd) ? -errno : 0;
}

static int posix_sync_dir(void *arg, const char *path)
{
	int fd, err;

	(void)arg;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}

/* A folder whose name is lost in a crash takes everything in it along, so its name is synced too,
 * as far as we may. */
static int make_one(char *path)
{
	char *slash = strrchr(path, '/');

	if (mkdir(path, DIR_MODE))
		return errno == EEXIST ? 0 : -errno;
	if (slash)
		*slash = '\0';
	posix_sync_dir(NULL, !slash ? "." : slash == path ? "/" : path);
	if (slash)
		*slash = '/';
	return 0;
}

static int posix_make_dir(void *arg, const char *path)
{
	char part[PATH_MAX];
	int err;

	(void)arg;
	if ((size_t)snprintf(part, sizeof(part), "%s", path) >= sizeof(part))
		return -ENAMETOOLONG;
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		err = make_one(part);
		if (err)
			return err;
		*p = '/';
	}
	return make_one(part);
}

static int posix_rename(void *arg, const char *from, const char *to)
{
	(void)arg;
	return rename(from, to) ? -errno : 0;
}

static int posix_unlink(void *arg, const char *path)
{
	(void)arg;
	return unlink(path) ? -errno : 0;
}

static int posix_list(void *arg, const char *path, spool_name_fn *each, void *each_arg)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int err = 0;

	(void)arg;
	if (!dir)
		return -errno;
	for (errno = 0; !err && (entry = readdir(dir)); errno = 0) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			err = each(each_arg, entry->d_name);
	}
	if (!err && errno)
		err = -errno;
	closedir(dir);
	return err;
}

static int posix_lock(void *arg, int fd)
{
	(void)arg;
	return flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
}

const struct spool_io spool_io_posix = {
	.open = posix_open,
	.close = posix_close,
	.pread = posix_pread,
	.pwrite = posix_pwrite,
	.size = posix_size,
	.truncate = posix_truncate,
	.reserve = posix_reserve,
	.datasync = posix_datasync,
	.sync_dir = posix_sync_dir,
	.make_dir = posix_make_dir,
	.rename = posix_rename,
	.unlink = posix_unlink,
	.list = posix_list,
	.lock = posix_lock,
};
