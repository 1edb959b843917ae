/*
 * spool_priv.h - what the files of the spool share
 *
 * lock guards everything but what says otherwise: the batch that fills, the list of segments, the
 * counts. The writer alone touches writer, the reader alone touches reader. Neither does IO under
 * the lock.
 */
#ifndef CS_STORE_SPOOL_PRIV_H
#define CS_STORE_SPOOL_PRIV_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/metric.h"
#include "store/spool.h"

struct segment {
	uint64_t id;
	uint64_t size;     /* what the reader may read */
	uint64_t last_end; /* of the last record handed out from it */
	bool sealed;       /* size is final */
	bool passed;       /* the reader went on to the next */
	bool damaged, keep /* in rejected/ */;
	/* What has to be seen again after a restart, until the segment is set aside: the cursor on
	 * the disk does not pass it. UINT64_MAX: nothing. */
	uint64_t hold_at;
};

struct waiters {
	struct spool_waiter *first, **last;
};

struct spool_outlet {
	struct spool *spool;
	int fd;
	struct waiters filling, flushing;
	bool held;            /* the owner's */
	struct waiters ready; /* Lock: ready_lock */
	pthread_mutex_t ready_lock;
};

struct batch {
	struct buf bytes;
	uint64_t records;
};

struct writer {
	struct batch batch;
	int fd; /* of the open segment; -1 none */
	uint64_t id, size;
	bool fresh;        /* its name is not durable yet */
	unsigned failures; /* in a row */
	/* gathering */
	double rate; /* records per us */
	int64_t taken_us;
	unsigned skip, skipped;
};

struct reader {
	int fd;
	uint64_t id;     /* segment it reads; 0: the first one */
	uint64_t offset; /* of the next record */
	struct buf window;
	size_t used; /* of the window */
	struct spool_pos pos;
	unsigned tries;
	uint64_t last_end; /* of the last record handed out from this segment */
};

struct spool {
	struct spool_io io;
	char dir[PATH_MAX - 64];
	uint64_t bytes_max, segment_bytes;
	int64_t gather_us_max, probe_ms;
	int lock_fd, cursor_fd;

	pthread_mutex_t lock;
	pthread_cond_t work;     /* for the writer */
	pthread_cond_t readable; /* for the reader */
	struct batch filling;
	struct {
		uint64_t records, bytes;
	} flushing;          /* the batch that is the writer's now */
	int64_t appended_us; /* the last append */
	bool writer_idle, stop, wake;
	unsigned held; /* outlets whose owners append more */
	int err;       /* while the disk fails */
	int64_t probe_at_ms;
	struct spool_outlet *outlets[SPOOL_OUTLETS_MAX];
	size_t outlets_n;
	struct segment *segments;
	size_t segments_n, segments_cap;
	uint64_t bytes, segment_id_last;
	uint64_t damaged, rejected;
	atomic_uint_fast64_t records;

	struct spool_pos done;             /* the reader's thread writes, under the lock */
	int64_t cursor_at_ms, aside_at_ms; /* not before */
	bool cursor_dirty;
	bool counting; /* the reader's, at the start: nothing is moved */

	struct writer writer;
	struct reader reader;
	pthread_t thread;

	struct {
		struct series *appended, *syncs, *bytes, *records;
	} metric;
};

/* spool_disk.c: files and their names */
void spool_path(const struct spool *s, char out[PATH_MAX], const char *folder, uint64_t id);
/* Logs and counts a failed operation. */
void spool_tell(const char *what, int err);
CHECKED int spool_write_all(struct spool *s, int fd, const void *p, size_t n, uint64_t offset);
/* Appends a segment to the list. Lock: held. 0 or -ENOMEM. */
CHECKED int spool_segment_add(struct spool *s, uint64_t id, uint64_t size, bool sealed);
struct segment *spool_segment(struct spool *s, uint64_t id); /* Lock: held; NULL: gone */
void spool_segment_forget(struct spool *s, uint64_t id);
/* Takes segments that are read and done out of the way. */
void spool_retire(struct spool *s);
void spool_cursor_read(struct spool *s, uint64_t *ret_id, uint64_t *ret_offset);
void spool_cursor_write(struct spool *s);
/* What is there at the start: locks the folder, lists, counts. */
CHECKED int spool_take_over(struct spool *s, struct buf *problem);
void spool_let_go(struct spool *s);

/* spool_reader.c */
void spool_reader_init(struct spool *s, uint64_t id, uint64_t offset);
void spool_reader_fini(struct spool *s);
/* Reads everything once, to know how much there is; the reader stands where it stood. */
CHECKED int spool_count(struct spool *s);

/* spool_writer.c */
void *spool_writer_main(void *arg);

#endif
