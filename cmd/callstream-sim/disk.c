#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define SECTOR    512u
#define PATH_SIZE 192
#define FDS_MAX   128
#define FD_BASE   1000
#define OPS_MAX   4096

struct image {
	char *p;
	size_t n, cap;
};

struct inode {
	unsigned refs; /* names, pending changes of names, descriptors */
	struct image cache, plate;
	uint8_t *dirty; /* one per sector of cache.cap */
	size_t dirty_n;
	int locked_by; /* a descriptor; -1 none */
};

struct name {
	struct name *next;
	char path[PATH_SIZE];
	struct inode *inode;
};

/* A change of names that the plate does not have yet. inode NULL: the name goes. */
struct change {
	char path[PATH_SIZE];
	struct inode *inode;
	bool with_next; /* a rename is two changes, both or none */
};

struct open_file {
	struct inode *inode;
	struct process *process;
};

static struct {
	struct name *names, *plate_names;
	struct change changes[OPS_MAX];
	size_t changes_n;
	struct open_file files[FDS_MAX];
	struct disk_faults faults;
	uint64_t bytes_max;
} d;

/* ---- images ---- */

static void grow(struct image *image, size_t n)
{
	if (n > image->cap) {
		size_t cap = MAX(n, image->cap * 2 + 4096);

		cap = (cap + SECTOR - 1) / SECTOR * SECTOR;
		image->p = realloc(image->p, cap);
		memset(image->p + image->cap, 0, cap - image->cap);
		image->cap = cap;
	}
}

static void resize(struct image *image, size_t n)
{
	grow(image, n);
	if (n < image->n && image->p)
		memset(image->p + n, 0, image->n - n);
	image->n = n;
}

/* ---- inodes and names ---- */

static struct inode *inode_new(void)
{
	struct inode *i = calloc(1, sizeof(*i));

	i->locked_by = -1;
	return i;
}

static struct inode *hold(struct inode *i)
{
	if (i)
		i->refs++;
	return i;
}

static void release(struct inode *i)
{
	if (!i || --i->refs)
		return;
	free(i->cache.p);
	free(i->plate.p);
	free(i->dirty);
	free(i);
}

static struct name **name_at(struct name **names, const char *path)
{
	while (*names && strcmp((*names)->path, path) != 0)
		names = &(*names)->next;
	return names;
}

static struct inode *name_find(struct name *names, const char *path)
{
	struct name **at = name_at(&names, path);

	return *at ? (*at)->inode : NULL;
}

/* inode NULL: the name goes. */
static void name_set(struct name **names, const char *path, struct inode *inode)
{
	struct name **at = name_at(names, path), *name = *at;

	hold(inode);
	if (name) {
		release(name->inode);
		name->inode = inode;
		if (!inode) {
			*at = name->next;
			free(name);
		}
		return;
	}
	if (!inode)
		return;
	name = calloc(1, sizeof(*name));
	snprintf(name->path, sizeof(name->path), "%s", path);
	name->inode = inode;
	*at = name;
}

static void change_apply(size_t i)
{
	name_set(&d.plate_names, d.changes[i].path, d.changes[i].inode);
	release(d.changes[i].inode);
}

static void note_change(const char *path, struct inode *inode, bool with_next)
{
	if (d.changes_n == OPS_MAX) { /* the journal of names is full: it is written */
		for (size_t i = 0; i < d.changes_n; i++)
			change_apply(i);
		d.changes_n = 0;
	}
	snprintf(d.changes[d.changes_n].path, PATH_SIZE, "%s", path);
	d.changes[d.changes_n].inode = hold(inode);
	d.changes[d.changes_n++].with_next = with_next;
}

/* ---- descriptors ---- */

static struct open_file *file_of(int fd)
{
	struct open_file *f = fd >= FD_BASE && fd < FD_BASE + FDS_MAX ? &d.files[fd - FD_BASE]
								      : NULL;

	if (!f || !f->inode)
		world_fail("disk: descriptor %d is not open", fd);
	return f && f->inode ? f : NULL;
}

static void file_close(struct open_file *f)
{
	if (f->inode->locked_by == (int)(f - d.files))
		f->inode->locked_by = -1;
	release(f->inode);
	*f = (struct open_file){ NULL, NULL };
}

void disk_forget(const struct process *p);
void disk_forget(const struct process *p)
{
	for (size_t i = 0; i < FDS_MAX; i++) {
		if (d.files[i].inode && d.files[i].process == p)
			file_close(&d.files[i]);
	}
}

uint64_t disk_used(void)
{
	uint64_t n = 0;

	for (const struct name *name = d.names; name; name = name->next)
		n += name->inode->cache.n;
	return n;
}

/* ---- operations ---- */

/* Everything here belongs to the world. */
#define DISK_CALL                                                                                  \
	struct process *before CLEANUP(give_back) = heap_of(NULL);                                 \
	(void)before

static void give_back(struct process **before)
{
	heap_of(*before);
}

static int disk_open(void *arg, const char *path, int flags)
{
	struct inode *inode;

	DISK_CALL;
	(void)arg;
	if (strlen(path) >= PATH_SIZE)
		return -ENAMETOOLONG;
	if (world_fault("disk: open fails", d.faults.eio_name))
		return -EIO;
	inode = name_find(d.names, path);
	if (inode && (flags & O_EXCL))
		return -EEXIST;
	if (!inode && !(flags & O_CREAT))
		return -ENOENT;
	if (!inode && disk_used() >= d.bytes_max)
		return -ENOSPC;
	for (int i = 0; i < FDS_MAX; i++) {
		if (d.files[i].inode)
			continue;
		if (!inode) {
			inode = inode_new();
			name_set(&d.names, path, inode);
			note_change(path, inode, false);
		}
		d.files[i] = (struct open_file){ hold(inode), process_now() };
		return FD_BASE + i;
	}
	return -EMFILE;
}

static int disk_close(void *arg, int fd)
{
	struct open_file *f;

	DISK_CALL;
	(void)arg;
	f = file_of(fd);
	if (!f)
		return -EBADF;
	file_close(f);
	return 0;
}

static ssize_t disk_pread(void *arg, int fd, void *buf, size_t n, uint64_t offset)
{
	struct open_file *f = file_of(fd);

	(void)arg;
	if (!f)
		return -EBADF;
	if (world_fault("disk: read fails", d.faults.eio_read))
		return -EIO;
	if (offset >= f->inode->cache.n)
		return 0;
	n = MIN(n, (size_t)(f->inode->cache.n - offset));
	if (n > 1 && world_fault("disk: short read", d.faults.short_io))
		n = 1 + (size_t)world_below(n - 1);
	memcpy(buf, f->inode->cache.p + offset, n);
	return (ssize_t)n;
}

static void mark_dirty(struct inode *inode, uint64_t from, uint64_t to)
{
	size_t sectors = inode->cache.cap / SECTOR;

	if (sectors > inode->dirty_n) {
		inode->dirty = realloc(inode->dirty, sectors);
		memset(inode->dirty + inode->dirty_n, 0, sectors - inode->dirty_n);
		inode->dirty_n = sectors;
	}
	for (uint64_t s = from / SECTOR; s * SECTOR < to; s++)
		inode->dirty[s] = 1;
}

static ssize_t disk_pwrite(void *arg, int fd, const void *buf, size_t n, uint64_t offset)
{
	struct open_file *f;
	uint64_t used, more;

	DISK_CALL;
	(void)arg;
	world_point("write");
	f = file_of(fd);
	if (!f)
		return -EBADF;
	if (world_fault("disk: write fails", d.faults.eio_write))
		return -EIO;
	if (n > 1 && world_fault("disk: short write", d.faults.short_io))
		n = 1 + (size_t)world_below(n - 1);
	used = disk_used();
	more = offset + n > f->inode->cache.n ? offset + n - f->inode->cache.n : 0;
	if (more && used + more > d.bytes_max) {
		if (used + 1 > d.bytes_max || more >= n)
			return -ENOSPC;
		n -= (size_t)more; /* as far as there is room */
	}
	if (offset + n > f->inode->cache.n)
		resize(&f->inode->cache, (size_t)(offset + n));
	memcpy(f->inode->cache.p + offset, buf, n);
	mark_dirty(f->inode, offset, offset + n);
	return (ssize_t)n;
}

static int disk_size(void *arg, int fd, uint64_t *ret)
{
	struct open_file *f = file_of(fd);

	(void)arg;
	if (!f)
		return -EBADF;
	*ret = f->inode->cache.n;
	return 0;
}

static int disk_truncate(void *arg, int fd, uint64_t size)
{
	struct open_file *f;

	DISK_CALL;
	(void)arg;
	f = file_of(fd);
	if (!f)
		return -EBADF;
	if (world_fault("disk: truncate fails", d.faults.eio_write))
		return -EIO;
	resize(&f->inode->cache, (size_t)size);
	return 0;
}

static int disk_reserve(void *arg, int fd, uint64_t offset, uint64_t n)
{
	struct open_file *f = file_of(fd);

	(void)arg;
	if (!f)
		return -EBADF;
	return disk_used() + (offset + n - MIN(f->inode->cache.n, offset + n)) > d.bytes_max
		   ? -ENOSPC
		   : 0;
}

static void bring_sector(struct inode *inode, size_t s)
{
	size_t at = s * SECTOR, n;

	if (at >= inode->cache.n)
		return;
	n = MIN((size_t)SECTOR, inode->cache.n - at);
	grow(&inode->plate, at + n);
	memcpy(inode->plate.p + at, inode->cache.p + at, n);
}

static void revert_sector(struct inode *inode, size_t s)
{
	size_t at = s * SECTOR, n;

	if (at >= inode->cache.n)
		return;
	n = MIN((size_t)SECTOR, inode->cache.n - at);
	grow(&inode->plate, at + n);
	memcpy(inode->cache.p + at, inode->plate.p + at, n);
}

static void sync_fails(struct inode *inode)
{
	for (size_t s = 0; s < inode->dirty_n; s++) {
		if (!inode->dirty[s])
			continue;
		inode->dirty[s] = 0;
		if (world_below(2) == 0)
			bring_sector(inode, s);
		else if (world_below(2) == 0)
			revert_sector(inode, s);
	}
}

static int disk_datasync(void *arg, int fd)
{
	struct open_file *f;

	DISK_CALL;
	(void)arg;
	world_point("before fdatasync");
	f = file_of(fd);
	if (!f)
		return -EBADF;
	if (world_below(64) == 0)
		world_sleep((int64_t)world_below(200000)); /* a disk that is busy */
	else
		world_sleep(100 + (int64_t)world_below(400));
	if (world_fault("disk: fdatasync fails", d.faults.eio_sync)) {
		sync_fails(f->inode);
		return -EIO;
	}
	for (size_t s = 0; s < f->inode->dirty_n; s++) {
		if (f->inode->dirty[s])
			bring_sector(f->inode, s);
		f->inode->dirty[s] = 0;
	}
	resize(&f->inode->plate, f->inode->cache.n);
	world_point("after fdatasync");
	return 0;
}

static bool in_folder(const char *path, const char *folder)
{
	size_t n = strlen(folder);
	const char *slash = strrchr(path, '/');

	while (n && folder[n - 1] == '/')
		n--;
	return slash && (size_t)(slash - path) == n && strncmp(path, folder, n) == 0;
}

static int disk_sync_dir(void *arg, const char *folder)
{
	size_t kept = 0;

	DISK_CALL;
	(void)arg;
	world_point("before fsync of a folder");
	if (world_fault("disk: fsync of a folder fails", d.faults.eio_sync))
		return -EIO;
	for (size_t i = 0; i < d.changes_n; i++) {
		if (in_folder(d.changes[i].path, folder))
			change_apply(i);
		else
			d.changes[kept++] = d.changes[i];
	}
	d.changes_n = kept;
	return 0;
}

static int disk_make_dir(void *arg, const char *path)
{
	(void)arg;
	(void)path; /* a file is a path: folders are always there */
	return world_fault("disk: mkdir fails", d.faults.eio_name) ? -EIO : 0;
}

static int disk_rename(void *arg, const char *from, const char *to)
{
	struct inode *inode;

	DISK_CALL;
	(void)arg;
	world_point("rename");
	if (world_fault("disk: rename fails", d.faults.eio_name))
		return -EIO;
	inode = hold(name_find(d.names, from));
	if (!inode)
		return -ENOENT;
	name_set(&d.names, to, inode);
	name_set(&d.names, from, NULL);
	note_change(to, inode, true);
	note_change(from, NULL, false);
	release(inode);
	return 0;
}

static int disk_unlink(void *arg, const char *path)
{
	DISK_CALL;
	(void)arg;
	world_point("unlink");
	if (world_fault("disk: unlink fails", d.faults.eio_name))
		return -EIO;
	if (!name_find(d.names, path))
		return -ENOENT;
	name_set(&d.names, path, NULL);
	note_change(path, NULL, false);
	return 0;
}

static int disk_list(void *arg, const char *path, spool_name_fn *each, void *each_arg)
{
	int err = 0;

	(void)arg;
	if (world_fault("disk: list fails", d.faults.eio_name))
		return -EIO;
	for (const struct name *name = d.names; name && !err; name = name->next) {
		if (in_folder(name->path, path))
			err = each(each_arg, strrchr(name->path, '/') + 1);
	}
	return err;
}

static int disk_lock(void *arg, int fd)
{
	struct open_file *f = file_of(fd);

	(void)arg;
	if (!f)
		return -EBADF;
	if (f->inode->locked_by >= 0)
		return -EWOULDBLOCK;
	f->inode->locked_by = (int)(f - d.files);
	return 0;
}

const struct spool_io disk_io = {
	.open = disk_open,
	.close = disk_close,
	.pread = disk_pread,
	.pwrite = disk_pwrite,
	.size = disk_size,
	.truncate = disk_truncate,
	.reserve = disk_reserve,
	.datasync = disk_datasync,
	.sync_dir = disk_sync_dir,
	.make_dir = disk_make_dir,
	.rename = disk_rename,
	.unlink = disk_unlink,
	.list = disk_list,
	.lock = disk_lock,
};

/* ---- what happens to a disk ---- */

static void names_free(struct name **names)
{
	while (*names) {
		struct name *name = *names;

		*names = name->next;
		release(name->inode);
		free(name);
	}
}

void disk_end(void)
{
	names_free(&d.names);
	names_free(&d.plate_names);
	for (size_t i = 0; i < d.changes_n; i++)
		release(d.changes[i].inode);
	d.changes_n = 0;
	for (size_t i = 0; i < FDS_MAX; i++) {
		if (d.files[i].inode)
			file_close(&d.files[i]);
	}
}

void disk_reset(uint64_t bytes_max)
{
	disk_end();
	d.faults = (struct disk_faults){ .eio_read = 0 };
	d.bytes_max = bytes_max;
}

void disk_faults(const struct disk_faults *faults)
{
	d.faults = *faults;
}

void disk_room(uint64_t bytes_max)
{
	d.bytes_max = bytes_max;
}

/* Of a file that was not synced each sector is what it was, or what it became; so is its size. */
static void lose_sectors(struct inode *inode)
{
	size_t size = inode->plate.n;

	if (inode->cache.n != size && world_below(2))
		size = MIN(size, inode->cache.n) +
		       (size_t)world_below(MAX(size, inode->cache.n) - MIN(size, inode->cache.n) +
					   1);
	for (size_t s = 0; s < inode->dirty_n; s++) {
		if (inode->dirty[s] && world_below(2))
			bring_sector(inode, s);
		inode->dirty[s] = 0;
	}
	resize(&inode->plate, size);
	resize(&inode->cache, size);
	if (size)
		memcpy(inode->cache.p, inode->plate.p, size);
}

void disk_power_cut(void)
{
	size_t kept = (size_t)world_below(d.changes_n + 1);
	struct process *before = heap_of(NULL);

	world_say("power cut: %zu of %zu changes of names kept", kept, d.changes_n);
	if (kept && d.changes[kept - 1].with_next)
		kept++;
	for (size_t i = 0; i < d.changes_n; i++) {
		if (i < kept)
			change_apply(i);
		else
			release(d.changes[i].inode);
	}
	d.changes_n = 0;
	names_free(&d.names);
	for (const struct name *name = d.plate_names; name; name = name->next) {
		lose_sectors(name->inode);
		name_set(&d.names, name->path, name->inode);
	}
	heap_of(before);
}

static void damage(struct inode *inode, unsigned how)
{
	struct image *image = &inode->cache;
	size_t at = (size_t)world_below(image->n), sector = at / SECTOR * SECTOR;
	size_t n = MIN((size_t)SECTOR, image->n - sector);

	switch (how) {
	case 0:
		image->p[at] ^= (char)(1u << world_below(8));
		break;
	case 1:
		memset(image->p + sector, 0, n);
		break;
	case 2:
		if (sector)
			memmove(image->p + sector, image->p + sector - SECTOR, n);
		break;
	default:
		resize(image, at);
		break;
	}
	grow(&inode->plate, image->n);
	resize(&inode->plate, image->n);
	if (image->n)
		memcpy(inode->plate.p, image->p, image->n);
}

const char *disk_damage(void)
{
	static const char *const texts[] = { "a bit flipped", "a sector zeroed",
					     "a sector repeated", "cut short" };
	unsigned how = (unsigned)world_below(ARRAY_LEN(texts));
	struct process *before = heap_of(NULL);
	struct inode *chosen = NULL;
	uint64_t n = 0;

	for (const struct name *name = d.names; name; name = name->next) {
		if (strstr(name->path, ".seg") && name->inode->cache.n && world_below(++n) == 0)
			chosen = name->inode;
	}
	if (chosen)
		damage(chosen, how);
	heap_of(before);
	return chosen ? texts[how] : NULL;
}
