/*
 * disk_layer.c - a layer between a program and one folder, for tests; loaded with LD_PRELOAD
 *
 * DISK_LAYER=FOLDER:LOG:CONTROL. What the program changes in FOLDER (not below it alone: its own
 * folders too) is written to LOG, one row per operation, in the order in which it happened, so that
 * a test can say what a disk would have after a power cut (disk_model.py). CONTROL is mapped: there
 * the test chooses which operation fails, is short, or is the last one: then the process dies by
 * SIGKILL, in the middle of it.
 *
 * Everything runs under one lock, so the log is what happened and nothing is under way at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What takes the place of the C library's has to be seen by the loader. */
/* NOLINTBEGIN(readability-redundant-declaration) */

#define EXPORT        __attribute__((visibility("default")))
#define FDS_MAX       4096
#define PATH_MAX_HERE 512

enum op {
	OP_NONE,
	OP_OPEN,
	OP_CLOSE,
	OP_WRITE,
	OP_TRUNCATE,
	OP_FDATASYNC,
	OP_FSYNC,
	OP_RENAME,
	OP_UNLINK,
	OP_MKDIR,
	OP_FALLOCATE,
	OP_COUNT
};

/* Little-endian numbers of four bytes; disk_model.py has the same list. */
struct control {
	uint32_t fault_op, fault_skip, fault_times; /* that many pass, then that many fail */
	uint32_t fault_errno;                       /* 0: a write is only short */
	uint32_t fault_bytes;                       /* written all the same before a write fails */
	uint32_t cut_op, cut_skip;                  /* OP_NONE: never; OP_COUNT: any */
	uint32_t cut_bytes;                         /* of a write that is cut off */
	uint32_t failed, passed[OP_COUNT];
};

/* What is in the log, before `text` and `data`. */
struct row {
	uint32_t op, err;
	int32_t fd;
	uint32_t flags;
	uint64_t offset;
	uint32_t text_n, data_n;
};

static struct {
	char folder[PATH_MAX_HERE];
	size_t folder_n;
	int log;
	struct control *control;
	bool ours[FDS_MAX];
	pthread_mutex_t lock;
} layer = { .log = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- the log ---- */

static void tell(const struct row *row, const char *text, const void *data)
{
	struct iovec parts[3] = {
		{ (void *)(uintptr_t)row, sizeof(*row) },
		{ (void *)(uintptr_t)text, row->text_n },
		{ (void *)(uintptr_t)data, row->data_n },
	};
	size_t n = sizeof(*row) + row->text_n + row->data_n;

	if (syscall(SYS_writev, layer.log, parts, 3) != (long)n)
		abort(); /* a test without its log proves nothing */
}

static void tell_fd(enum op op, int fd, int err)
{
	struct row row = { .op = op, .err = (uint32_t)err, .fd = fd };

	tell(&row, "", "");
}

static void tell_path(enum op op, int fd, unsigned flags, const char *path, const char *more)
{
	struct row row = { .op = op, .fd = fd, .flags = flags };

	row.text_n = (uint32_t)strlen(path);
	row.data_n = (uint32_t)strlen(more);
	tell(&row, path, more);
}

/* ---- beginning ---- */

static void begin_with(char *words)
{
	char *log = strchr(words, ':'), *control = log ? strchr(log + 1, ':') : NULL;
	int fd;

	if (!control || (size_t)(log - words) >= sizeof(layer.folder))
		abort();
	*log++ = *control++ = '\0';
	memcpy(layer.folder, words, strlen(words) + 1);
	fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDWR | O_CLOEXEC, 0);
	layer.control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	layer.log = (int)syscall(SYS_openat, AT_FDCWD, log,
				 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (layer.control == MAP_FAILED || layer.log < 0)
		abort();
	syscall(SYS_close, fd);
	layer.folder_n = strlen(layer.folder);
}

__attribute__((constructor)) static void begin(void)
{
	const char *words = getenv("DISK_LAYER");
	char copy[3 * PATH_MAX_HERE];

	if (!words || strlen(words) >= sizeof(copy))
		return;
	memcpy(copy, words, strlen(words) + 1);
	begin_with(copy);
}

static bool is_inside(const char *path)
{
	return layer.folder_n && strncmp(path, layer.folder, layer.folder_n) == 0 &&
	       (path[layer.folder_n] == '/' || path[layer.folder_n] == '\0');
}

static bool is_ours(int fd)
{
	return layer.folder_n && fd >= 0 && fd < FDS_MAX && layer.ours[fd];
}

/* ---- faults; Lock: held ---- */

static bool is_cut(enum op op)
{
	struct control *c = layer.control;

	return (c->cut_op == OP_COUNT || c->cut_op == op) && c->cut_skip-- == 0;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* 0, or what the operation fails with; -1: only short. */
static int fault(enum op op)
{
	struct control *c = layer.control;

	c->passed[op]++;
	if (c->fault_op != op || !c->fault_times)
		return 0;
	if (c->fault_skip) {
		c->fault_skip--;
		return 0;
	}
	c->fault_times--;
	c->failed++;
	return c->fault_errno ? (int)c->fault_errno : -1;
}

static void enter(enum op op)
{
	pthread_mutex_lock(&layer.lock);
	if (op != OP_WRITE && is_cut(op))
		die();
}

static long leave(long got)
{
	int err = errno;

	pthread_mutex_unlock(&layer.lock);
	errno = err;
	return got;
}

/* The end of an operation that fails on purpose. */
static long refuse(int err)
{
	errno = err;
	return leave(-1);
}

/* ---- names ---- */

static int open_inside(const char *path, int flags, unsigned mode)
{
	int fd, err;

	enter(OP_OPEN);
	err = (flags & O_CREAT) ? fault(OP_OPEN) : 0;
	if (err > 0)
		return (int)refuse(err);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (fd >= FDS_MAX)
		abort();
	if (fd >= 0) {
		layer.ours[fd] = true;
		tell_path(OP_OPEN, fd, (unsigned)flags, path, "");
	}
	return (int)leave(fd);
}

static int open_any(const char *path, int flags, unsigned mode)
{
	return is_inside(path) ? open_inside(path, flags, mode)
			       : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name)                                                                                 \
	EXPORT int name(const char *path, int flags, ...);                                         \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		unsigned mode = 0;                                                                 \
		va_list more;                                                                      \
                                                                                                   \
		va_start(more, flags);                                                             \
		if (flags & (O_CREAT | O_TMPFILE))                                                 \
			mode = va_arg(more, unsigned);                                             \
		va_end(more);                                                                      \
		return open_any(path, flags, mode);                                                \
	}
OPEN(open)
OPEN(open64)

EXPORT int close(int fd);
int close(int fd)
{
	long got;

	if (!is_ours(fd))
		return (int)syscall(SYS_close, fd);
	enter(OP_CLOSE);
	layer.ours[fd] = false;
	got = syscall(SYS_close, fd);
	tell_fd(OP_CLOSE, fd, 0);
	return (int)leave(got);
}

EXPORT int rename(const char *from, const char *to);
int rename(const char *from, const char *to)
{
	long got;
	int err;

	if (!is_inside(from) && !is_inside(to))
		return (int)syscall(SYS_rename, from, to);
	enter(OP_RENAME);
	err = fault(OP_RENAME);
	if (err > 0)
		return (int)refuse(err);
	got = syscall(SYS_rename, from, to);
	if (!got)
		tell_path(OP_RENAME, -1, 0, from, to);
	return (int)leave(got);
}

EXPORT int unlink(const char *path);
int unlink(const char *path)
{
	long got;
	int err;

	if (!is_inside(path))
		return (int)syscall(SYS_unlink, path);
	enter(OP_UNLINK);
	err = fault(OP_UNLINK);
	if (err > 0)
		return (int)refuse(err);
	got = syscall(SYS_unlink, path);
	if (!got)
		tell_path(OP_UNLINK, -1, 0, path, "");
	return (int)leave(got);
}

EXPORT int mkdir(const char *path, mode_t mode);
int mkdir(const char *path, mode_t mode)
{
	long got;
	int err;

	if (!is_inside(path))
		return (int)syscall(SYS_mkdir, path, mode);
	enter(OP_MKDIR);
	err = fault(OP_MKDIR);
	if (err > 0)
		return (int)refuse(err);
	got = syscall(SYS_mkdir, path, mode);
	if (!got)
		tell_path(OP_MKDIR, -1, 0, path, "");
	return (int)leave(got);
}

/* ---- bytes ---- */

static ssize_t put(int fd, const void *p, size_t n, uint64_t offset)
{
	long got = syscall(SYS_pwrite64, fd, p, n, offset);
	struct row row = { .op = OP_WRITE, .fd = fd, .offset = offset };

	if (got > 0) {
		row.data_n = (uint32_t)got;
		tell(&row, "", p);
	}
	return got;
}

static size_t at_most(uint32_t some, size_t n)
{
	return some < n ? some : n;
}

static ssize_t pwrite_any(int fd, const void *p, size_t n, off_t offset)
{
	uint64_t at = (uint64_t)offset;
	size_t some;
	int err;

	if (!is_ours(fd))
		return syscall(SYS_pwrite64, fd, p, n, offset);
	enter(OP_WRITE);
	if (is_cut(OP_WRITE)) {
		put(fd, p, at_most(layer.control->cut_bytes, n), at);
		die();
	}
	err = fault(OP_WRITE);
	some = at_most(layer.control->fault_bytes, n);
	if (err > 0) {
		if (some)
			put(fd, p, some, at);
		return refuse(err);
	}
	return leave(put(fd, p, err ? (some ? some : 1) : n, at));
}

EXPORT ssize_t pwrite(int fd, const void *p, size_t n, off_t offset);
ssize_t pwrite(int fd, const void *p, size_t n, off_t offset)
{
	return pwrite_any(fd, p, n, offset);
}

EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off64_t offset);
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t offset)
{
	return pwrite_any(fd, p, n, offset);
}

static int truncate_any(int fd, off_t size)
{
	struct row row = { .op = OP_TRUNCATE, .fd = fd, .offset = (uint64_t)size };
	long got;
	int err;

	if (!is_ours(fd))
		return (int)syscall(SYS_ftruncate, fd, size);
	enter(OP_TRUNCATE);
	err = fault(OP_TRUNCATE);
	if (err > 0)
		return (int)refuse(err);
	got = syscall(SYS_ftruncate, fd, size);
	if (!got)
		tell(&row, "", "");
	return (int)leave(got);
}

EXPORT int ftruncate(int fd, off_t size);
int ftruncate(int fd, off_t size)
{
	return truncate_any(fd, size);
}

EXPORT int ftruncate64(int fd, off64_t size);
int ftruncate64(int fd, off64_t size)
{
	return truncate_any(fd, size);
}

static int allocate_any(int fd, int mode, off_t offset, off_t n)
{
	long got;
	int err;

	if (!is_ours(fd))
		return (int)syscall(SYS_fallocate, fd, mode, offset, n);
	enter(OP_FALLOCATE);
	err = fault(OP_FALLOCATE);
	if (err > 0)
		return (int)refuse(err);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		abort(); /* it would change what is there, and the log knows no row for it */
	got = syscall(SYS_fallocate, fd, mode, offset, n);
	return (int)leave(got);
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t n);
int fallocate(int fd, int mode, off_t offset, off_t n)
{
	return allocate_any(fd, mode, offset, n);
}

EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t n);
int fallocate64(int fd, int mode, off64_t offset, off64_t n)
{
	return allocate_any(fd, mode, offset, n);
}

/* ---- syncs: the file system below is not asked, a machine that keeps running forgets nothing ----
 */

static int sync_any(enum op op, int fd)
{
	int err;

	enter(op);
	err = fault(op);
	tell_fd(op, fd, err > 0 ? err : 0);
	if (err > 0)
		return (int)refuse(err);
	if (is_cut(op)) /* it is on the disk, and nobody knows */
		die();
	return (int)leave(0);
}

EXPORT int fdatasync(int fd);
int fdatasync(int fd)
{
	return is_ours(fd) ? sync_any(OP_FDATASYNC, fd) : (int)syscall(SYS_fdatasync, fd);
}

EXPORT int fsync(int fd);
int fsync(int fd)
{
	return is_ours(fd) ? sync_any(OP_FSYNC, fd) : (int)syscall(SYS_fsync, fd);
}

/* ---- calls that change files and have no row: whoever begins to use them has to add one ---- */

#define NOT_HERE(name, type)                                                                       \
	EXPORT ssize_t name(int fd, const type *p, size_t n);                                      \
	ssize_t name(int fd, const type *p, size_t n)                                              \
	{                                                                                          \
		if (is_ours(fd))                                                                   \
			abort();                                                                   \
		return syscall(SYS_##name, fd, p, n);                                              \
	}
NOT_HERE(write, void)

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n);
ssize_t writev(int fd, const struct iovec *parts, int n)
{
	if (is_ours(fd))
		abort();
	return syscall(SYS_writev, fd, parts, n);
}

/* NOLINTEND(readability-redundant-declaration) */
