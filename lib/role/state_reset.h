/*
 * state_reset.h - looking at a partition's state, and dropping it (`callstream state reset`)
 *
 * The way out when journal and committed offset do not fit together: what the table knew is
 * forgotten, and the partition goes on at the committed offset. Without a committed offset, or when
 * topic events ends before it (it was made anew), the partition begins at the earliest event.
 * Thread: any.
 */
#ifndef CS_ROLE_STATE_RESET_H
#define CS_ROLE_STATE_RESET_H

#include "role/partition.h"

struct state_look {
	int64_t committed;      /* LOG_BEGIN: none */
	int64_t journal_offset; /* LOG_BEGIN: no journal */
	int64_t low, high;      /* what topic events has */
	bool short_of;          /* high lies below committed: it is to become low */
	uint64_t n;             /* of the newest entry; 0: none */
	bool fits;
	const char *why;         /* when it does not fit: constant text */
	bool counted;            /* false: the slices cannot be read */
	uint64_t calls, orphans; /* as the slices have them */
	uint64_t closed;         /* entries of the closed index */
	struct restore *restore; /* what is there; freed by state_look_fini */
};

/* 0; -EAGAIN the log is not reachable (deadline: clock_mono_ms); -EINVAL no such partition;
 * -ENOMEM, other verdicts. */
CHECKED int state_look(struct log *log, const struct cfg *cfg, int32_t partition,
		       int64_t deadline_ms, struct state_look *ret);
void state_look_fini(struct state_look *look);

/*
 * Deletes everything that look has found; the journal then says the committed offset, which is set
 * first where it has to change. 0; -EBUSY the offset cannot be set while correlators are in the
 * group (nothing has happened); -EAGAIN not all of it was acknowledged by the deadline: do it
 * again.
 */
CHECKED int state_reset(struct log *log, const struct cfg *cfg, int32_t partition,
			const struct state_look *look, int64_t deadline_ms);

#endif
