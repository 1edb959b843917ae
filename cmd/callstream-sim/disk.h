/*
 * disk.h - the disk under the spool: what was not synced is lost when the power is cut, or half of
 * it is
 *
 * One disk, flat: a file is a path. A write goes to the page cache; datasync brings a file's
 * sectors to the plate, sync_dir a folder's names. A process that dies loses nothing; a power cut
 * keeps, of what was not synced, a beginning of the changes of names, and of each file any of its
 * sectors. A failed datasync marks what it could not write as clean, as Linux does: some of it is
 * never written, and may read as it was before.
 */
#ifndef CS_SIM_DISK_H
#define CS_SIM_DISK_H

#include "store/spool_io.h"

struct disk_faults { /* per million operations */
	uint32_t eio_read, eio_write, eio_sync, eio_name, short_io;
};

/* Empty, with room for so many bytes. */
void disk_reset(uint64_t bytes_max);
void disk_faults(const struct disk_faults *faults);
void disk_room(uint64_t bytes_max);
uint64_t disk_used(void);
/* All who have files open must be dead. */
void disk_power_cut(void);
/* Flips a bit, cuts, zeroes or repeats a sector somewhere in a file that is there; what it did, or
 * NULL: there is nothing to damage. */
const char *disk_damage(void);
void disk_end(void);

extern const struct spool_io disk_io;

#endif
