/* The spool: order, restarts, limits, a disk that fails, segments that are damaged. */
#include "unit/store/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#define WAIT_MS 10000

struct store {
	struct disk *disk;
	struct spool *spool;
	struct spool_outlet *outlet;
};

static struct spool_cfg cfg_of(struct disk *d)
{
	return (struct spool_cfg){ .dir = d->dir,
				   .bytes_max = 8 << 20,
				   .segment_bytes = 4096,
				   .probe_ms = 10,
				   .io = &d->io };
}

static void open_with(struct store *st, struct disk *d, const struct spool_cfg *cfg)
{
	struct buf problem = BUF_EMPTY;

	st->disk = d;
	assert_int_equal(spool_open(cfg, &st->spool, &problem), 0);
	assert_int_equal(spool_outlet_new(st->spool, &st->outlet), 0);
	buf_fini(&problem);
}

static void open_store(struct store *st, struct disk *d)
{
	struct spool_cfg cfg = cfg_of(d);

	open_with(st, d, &cfg);
}

static void close_store(struct store *st)
{
	spool_outlet_free(st->outlet);
	spool_close(st->spool);
}

/* Waits until n waiters are back; the number of those with err. */
static size_t collect(struct spool_outlet *o, size_t n, int *ret_err)
{
	struct pollfd p = { .fd = spool_outlet_fd(o), .events = POLLIN };
	int64_t until = clock_mono_ms() + WAIT_MS;
	size_t failed = 0;

	while (n) {
		assert_true(clock_mono_ms() < until);
		poll(&p, 1, 100);
		for (struct spool_waiter *w = spool_outlet_take(o); w; w = w->next) {
			if (w->err && ret_err)
				*ret_err = w->err;
			failed += w->err != 0;
			n--;
		}
	}
	return failed;
}

static int put(struct store *st, uint64_t number, size_t bytes, struct spool_waiter *w)
{
	char value[8192];
	struct spool_record rec = { .topic = 1,
				    .key = SLICE("acme/call"),
				    .at_ms = (int64_t)number };

	memset(value, 'v', sizeof(value));
	rec.value = slice_make(value, bytes);
	return spool_append(st->spool, st->outlet, &rec, w);
}

/* One record, durable. */
static void put_one(struct store *st, uint64_t number)
{
	struct spool_waiter w;

	assert_int_equal(put(st, number, 500, &w), 0);
	assert_int_equal(collect(st->outlet, 1, NULL), 0);
}

/* Records from..to are next, in order; then there is none. Done when `done`. */
static void expect(struct store *st, uint64_t from, uint64_t to, bool done)
{
	struct spool_entry entry;

	for (uint64_t n = from; n <= to; n++) {
		assert_int_equal(spool_next(st->spool, &entry), 1);
		assert_int_equal(entry.rec.at_ms, n);
		assert_true(slice_is(entry.rec.key, "acme/call"));
		if (done)
			spool_done(st->spool, &entry.end);
	}
	assert_int_equal(spool_next(st->spool, &entry), 0);
}

static size_t files(const struct disk *d, const char *folder, const char *end)
{
	char path[128];
	struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", d->dir, folder);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		n += slice_ends(slice_of(entry->d_name), slice_of(end));
	closedir(dir);
	return n;
}

/* The i-th segment's path, in order of names. */
static void segment_path(const struct disk *d, char out[512], size_t i)
{
	struct dirent **names;
	int n = scandir(d->dir, &names, NULL, alphasort);
	size_t at = 0;

	out[0] = '\0';
	assert_true(n > 0);
	for (int k = 0; k < n; k++) {
		if (slice_ends(slice_of(names[k]->d_name), SLICE(".seg")) && at++ == i)
			snprintf(out, 512, "%s/%s", d->dir, names[k]->d_name);
		free(names[k]);
	}
	free(names);
	assert_true(out[0]);
}

/* ---- order and restarts ---- */

static void first_in_first_out(void **state)
{
	struct spool_waiter waiters[100];
	struct store st;
	struct spool_state now;

	open_store(&st, *state);
	assert_true(spool_is_empty(st.spool));
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(put(&st, i, 300, &waiters[i]), 0);
	assert_false(spool_is_empty(st.spool));
	assert_int_equal(collect(st.outlet, 100, NULL), 0);
	assert_true(spool_wait(st.spool, 0));
	expect(&st, 0, 99, true);
	assert_true(spool_is_empty(st.spool));
	spool_state(st.spool, &now);
	assert_int_equal(now.bytes, 0);
	assert_int_equal(now.records, 0);
	assert_int_equal(now.err, 0);
	close_store(&st);
	assert_int_equal(files(*state, "", ".seg"), 0);
}

static void rewind_gives_what_is_not_done(void **state)
{
	struct spool_entry entry;
	struct store st;

	open_store(&st, *state);
	for (uint64_t i = 0; i < 30; i++)
		put_one(&st, i);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(spool_next(st.spool, &entry), 1);
	spool_done(st.spool, &entry.end);
	expect(&st, 10, 29, false);
	spool_rewind(st.spool);
	expect(&st, 10, 29, true);
	spool_rewind(st.spool);
	expect(&st, 1, 0, true);
	close_store(&st);
}

static void restart_serves_the_rest(void **state)
{
	struct spool_entry entry;
	struct store st;
	struct spool_state now;

	open_store(&st, *state);
	for (uint64_t i = 0; i < 40; i++)
		put_one(&st, i);
	for (uint64_t i = 0; i < 13; i++) {
		assert_int_equal(spool_next(st.spool, &entry), 1);
		spool_done(st.spool, &entry.end);
	}
	close_store(&st);
	open_store(&st, *state);
	spool_state(st.spool, &now);
	assert_int_equal(now.records, 27);
	assert_int_equal(now.damaged, 0);
	for (uint64_t i = 40; i < 50; i++)
		put_one(&st, i);
	expect(&st, 13, 49, true);
	close_store(&st);
	open_store(&st, *state);
	expect(&st, 1, 0, true);
	close_store(&st);
}

static void lost_cursor_means_repetition(void **state)
{
	struct disk *d = *state;
	struct spool_entry entry;
	struct store st;
	char path[128];

	open_store(&st, d);
	for (uint64_t i = 0; i < 5; i++)
		put_one(&st, i);
	assert_int_equal(spool_next(st.spool, &entry), 1);
	spool_done(st.spool, &entry.end);
	close_store(&st);
	snprintf(path, sizeof(path), "%s/cursor", d->dir);
	assert_int_equal(truncate(path, 7), 0);
	open_store(&st, d);
	expect(&st, 0, 4, true);
	close_store(&st);
}

static void folder_belongs_to_one(void **state)
{
	struct disk *d = *state;
	struct spool_cfg cfg = cfg_of(d);
	struct buf problem = BUF_EMPTY;
	struct spool *second;
	struct store st;

	open_store(&st, d);
	assert_int_equal(spool_open(&cfg, &second, &problem), -EBUSY);
	buf_add_char(&problem, '\0');
	assert_non_null(strstr(problem.p, "another process"));
	buf_fini(&problem);
	close_store(&st);
	open_store(&st, d);
	close_store(&st);
}

static void folder_that_cannot_be(void **state)
{
	struct disk *d = *state;
	struct spool_cfg cfg = cfg_of(d);
	struct buf problem = BUF_EMPTY;
	struct spool *s;
	char path[128];

	snprintf(path, sizeof(path), "%s/file", d->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	snprintf(path, sizeof(path), "%s/file/spool", d->dir);
	cfg.dir = path;
	assert_int_equal(spool_open(&cfg, &s, &problem), -ENOTDIR);
	assert_true(problem.n > 0);
	cfg.dir = "";
	assert_int_equal(spool_open(&cfg, &s, &problem), -EINVAL);
	buf_fini(&problem);
}

/* ---- limits ---- */

static void full_is_an_answer(void **state)
{
	struct disk *d = *state;
	struct spool_cfg cfg = cfg_of(d);
	struct spool_waiter waiters[80];
	struct spool_entry entry;
	struct spool_state now;
	struct store st;
	size_t n = 0;

	cfg.bytes_max = 69000;
	open_with(&st, d, &cfg);
	while (put(&st, n, 1000, &waiters[n]) == 0)
		n++;
	assert_int_equal(n, 65);
	assert_int_equal(collect(st.outlet, n, NULL), 0);
	assert_int_equal(put(&st, n, 1000, &waiters[n]), -ENOSPC);
	spool_state(st.spool, &now);
	assert_int_equal(now.err, -ENOSPC);
	for (int i = 0; i < 64; i++)
		assert_int_equal(spool_next(st.spool, &entry), 1);
	spool_done(st.spool, &entry.end);
	spool_state(st.spool, &now);
	assert_int_equal(now.err, 0);
	put_one(&st, n);
	expect(&st, 64, 65, true);
	close_store(&st);
}

static void too_large(void **state)
{
	struct spool_record rec = { .topic = 1 };
	struct spool_waiter w;
	struct store st;

	open_store(&st, *state);
	rec.value = slice_make("", SPOOL_VALUE_BYTES_MAX + 1); /* refused by its length alone */
	assert_int_equal(spool_append(st.spool, st.outlet, &rec, &w), -EMSGSIZE);
	close_store(&st);
}

/* ---- group commit ---- */

static void *append_many(void *arg)
{
	struct store mine = *(struct store *)arg;
	struct spool_waiter waiters[50];

	assert_int_equal(spool_outlet_new(mine.spool, &mine.outlet), 0);
	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(put(&mine, i, 200, &waiters[i]), 0);
	assert_int_equal(collect(mine.outlet, 50, NULL), 0);
	spool_outlet_free(mine.outlet);
	return NULL;
}

static void many_threads_few_syncs(void **state)
{
	struct disk *d = *state;
	struct spool_cfg cfg = cfg_of(d);
	pthread_t threads[8];
	struct spool_entry entry;
	struct store st;
	int n = 0;

	cfg.segment_bytes = 1 << 20;
	open_with(&st, d, &cfg);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, &st), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_true(d->seen[DISK_SYNC] + d->seen[DISK_SYNC_DIR] <= 20);
	while (spool_next(st.spool, &entry) == 1)
		n++;
	assert_int_equal(n, 400);
	close_store(&st);
}

/* What is held is written together, even when it comes slowly; a holder that forgets is not
 * waited for for ever. */
static void held_means_together(void **state)
{
	struct disk *d = *state;
	struct spool_waiter waiters[5];
	struct store st;
	int before;

	open_store(&st, d);
	put_one(&st, 0);
	before = d->seen[DISK_SYNC];
	spool_hold(st.outlet);
	spool_hold(st.outlet); /* does not nest */
	for (uint64_t i = 1; i <= 5; i++) {
		assert_int_equal(put(&st, i, 100, &waiters[i - 1]), 0);
		usleep(3000);
	}
	spool_release(st.outlet);
	spool_release(st.outlet);
	assert_int_equal(collect(st.outlet, 5, NULL), 0);
	assert_int_equal(d->seen[DISK_SYNC], before + 1);
	spool_hold(st.outlet);
	put_one(&st, 6);
	expect(&st, 0, 6, true);
	close_store(&st);
}

/* ---- a disk that fails ---- */

static void failed_sync_is_never_success(void **state)
{
	struct disk *d = *state;
	struct spool_waiter w;
	struct store st;
	int err = 0;

	open_store(&st, d);
	put_one(&st, 0);
	disk_fail(d, DISK_SYNC, -EIO, 1);
	assert_int_equal(put(&st, 1, 500, &w), 0);
	assert_int_equal(collect(st.outlet, 1, &err), 1);
	assert_int_equal(err, -EIO);
	put_one(&st, 2); /* a new segment took it at once */
	assert_int_equal(files(d, "", ".seg"), 2);
	assert_int_equal(spool_next(st.spool, &(struct spool_entry){ 0 }), 1);
	expect(&st, 2, 2, false);
	close_store(&st);
	open_store(&st, d);
	assert_int_equal(spool_next(st.spool, &(struct spool_entry){ 0 }), 1);
	expect(&st, 2, 2, true);
	close_store(&st);
}

static void until_taken(struct store *st)
{
	int64_t until = clock_mono_ms() + WAIT_MS;
	struct spool_state now;

	do {
		assert_true(clock_mono_ms() < until);
		usleep(1000);
		spool_state(st->spool, &now);
	} while (now.err);
}

static const struct fault_row {
	const char *name;
	enum disk_op op;
	int err;
	long short_write;
} fault_rows[] = {
	{ "sync fails for long", DISK_SYNC, -EIO, 0 },
	{ "disk full in a write", DISK_PWRITE, -ENOSPC, 0 },
	{ "disk full in the middle of a record", DISK_PWRITE, -ENOSPC, 313 },
	{ "write error", DISK_PWRITE, -EIO, 17 },
	{ "no segment can be made", DISK_OPEN, -EMFILE, 0 },
	{ "the folder cannot be synced", DISK_SYNC_DIR, -EIO, 0 },
};

/* All refused while it lasts, nothing refused ever served as accepted, all taken again after. */
static void failing_disk(void **state)
{
	const struct fault_row *row = *state;
	struct spool_waiter w;
	struct disk *d;
	struct store st;
	void *disk = NULL;
	int refused = 0, err;

	assert_int_equal(disk_setup(&disk), 0);
	d = disk;
	open_store(&st, d);
	for (uint64_t i = 0; i < 8; i++) /* the next segment is due */
		put_one(&st, i);
	d->short_write = row->short_write;
	disk_fail(d, row->op, row->err, 1000000);
	for (int i = 0; i < 6; i++) {
		err = put(&st, 100, 500, &w);
		if (!err && collect(st.outlet, 1, &err) == 0)
			break;
		assert_int_equal(err, row->err);
		refused++;
	}
	assert_int_equal(refused, 6);
	assert_int_equal(put(&st, 100, 500, &w), row->err); /* known by now: refused at once */
	disk_heal(d, row->op);
	until_taken(&st);
	put_one(&st, 8);
	expect(&st, 0, 8, false);
	close_store(&st);
	open_store(&st, d);
	expect(&st, 0, 8, true);
	assert_int_equal(files(d, "damaged", ".seg"), 0);
	close_store(&st);
	disk_teardown(&disk);
}

static void what_cannot_be_cut_is_left_behind(void **state)
{
	struct disk *d = *state;
	struct spool_waiter w;
	struct store st;

	open_store(&st, d);
	put_one(&st, 0);
	d->short_write = 100;
	disk_fail(d, DISK_PWRITE, -ENOSPC, 1);
	disk_fail(d, DISK_TRUNCATE, -EIO, 2);
	assert_int_equal(put(&st, 1, 500, &w), 0);
	assert_int_equal(collect(st.outlet, 1, NULL), 1);
	until_taken(&st);
	put_one(&st, 2);
	assert_int_equal(spool_next(st.spool, &(struct spool_entry){ 0 }), 1);
	expect(&st, 2, 2, false);
	close_store(&st);
	open_store(&st, d); /* now the torn record is seen, and set aside in the end */
	assert_int_equal(spool_next(st.spool, &(struct spool_entry){ 0 }), 1);
	expect(&st, 2, 2, true);
	close_store(&st);
	assert_int_equal(files(d, "damaged", ".seg"), 1);
	assert_int_equal(files(d, "", ".seg"), 0);
}

/* Twelve records in two or more segments; the first one is the hurt one. */
static void twelve(struct disk *d, char first[512], off_t *ret_size)
{
	struct store st;

	open_store(&st, d);
	for (uint64_t i = 0; i < 12; i++)
		put_one(&st, i);
	close_store(&st);
	segment_path(d, first, 0);
	int fd = open(first, O_RDONLY);
	assert_true(fd >= 0);
	*ret_size = lseek(fd, 0, SEEK_END);
	close(fd);
}

static void unreadable_for_a_while(void **state)
{
	struct disk *d = *state;
	struct spool_entry entry;
	struct store st;

	open_store(&st, d);
	for (uint64_t i = 0; i < 3; i++)
		put_one(&st, i);
	disk_fail(d, DISK_PREAD, -EIO, 4); /* the first is that of the head */
	for (int i = 0; i < 3; i++)
		assert_int_equal(spool_next(st.spool, &entry), -EIO);
	expect(&st, 0, 2, true);
	close_store(&st);
	assert_int_equal(files(d, "damaged", ".seg"), 0);
}

static void segment_that_vanished(void **state)
{
	char first[512];
	off_t size;
	struct spool_entry entry;
	struct spool_state now;
	struct store st;

	twelve(*state, first, &size);
	open_store(&st, *state);
	assert_int_equal(unlink(first), 0);
	assert_int_equal(spool_next(st.spool, &entry), 1);
	assert_true(entry.rec.at_ms > 0);
	spool_state(st.spool, &now);
	assert_int_equal(now.damaged, 1);
	do
		spool_done(st.spool, &entry.end);
	while (spool_next(st.spool, &entry) == 1);
	assert_true(spool_is_empty(st.spool));
	close_store(&st);
}

/* A bad place on the disk costs what lies there, not the start. */
static void unreadable_at_the_start(void **state)
{
	static const int faults[] = { 3, 7 }; /* cursor, head, then the records: once; for good */
	struct disk *d = *state;
	char first[512];
	off_t size;

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct spool_entry entry;
		struct spool_state now;
		struct store st;

		twelve(d, first, &size);
		disk_fail(d, DISK_PREAD, -EIO, faults[i]);
		open_store(&st, d);
		spool_state(st.spool, &now);
		assert_int_equal(now.damaged, i);
		assert_in_range(now.records, i == 0 ? 12 : 3, 12);
		while (spool_next(st.spool, &entry) == 1)
			spool_done(st.spool, &entry.end);
		assert_true(spool_is_empty(st.spool));
		close_store(&st);
	}
}

static void unreadable_for_good(void **state)
{
	struct disk *d = *state;
	struct spool_entry entry;
	struct spool_state now;
	struct store st;
	int tries = 0, got;

	open_store(&st, d);
	for (uint64_t i = 0; i < 3; i++)
		put_one(&st, i);
	disk_fail(d, DISK_PREAD, -EIO, 1000000);
	while ((got = spool_next(st.spool, &entry)) < 0)
		assert_true(++tries < 100);
	assert_int_equal(got, 0);
	disk_heal(d, DISK_PREAD);
	assert_true(spool_is_empty(st.spool)); /* what is damaged is no backlog */
	put_one(&st, 3);
	spool_state(st.spool, &now);
	assert_int_equal(now.damaged, 1);
	assert_int_equal(now.records, 1);
	expect(&st, 3, 3, true);
	assert_true(spool_is_empty(st.spool));
	close_store(&st);
}

/* ---- damaged segments ---- */

/* How many are served; in order, none twice. The hurt segment is set aside and counted. */
static unsigned serve_damaged(struct disk *d)
{
	struct spool_entry entry;
	struct spool_state now;
	struct store st;
	int64_t last = -1;
	unsigned n = 0;

	open_store(&st, d);
	spool_state(st.spool, &now);
	assert_int_equal(now.damaged, 1);
	while (spool_next(st.spool, &entry) == 1) {
		assert_true(entry.rec.at_ms > last);
		last = entry.rec.at_ms;
		spool_done(st.spool, &entry.end);
		n++;
	}
	assert_int_equal(last, 11); /* what is behind the damage is served */
	assert_int_equal(now.records, n);
	assert_true(spool_is_empty(st.spool));
	close_store(&st);
	assert_int_equal(files(d, "damaged", ".seg"), 1);
	return n;
}

static void torn_tail(void **state)
{
	char first[512];
	off_t size;

	twelve(*state, first, &size);
	assert_int_equal(truncate(first, size - 3), 0);
	assert_int_equal(serve_damaged(*state), 11);
}

static void flipped_bytes(void **state)
{
	char first[512], byte;
	off_t size;
	int fd;

	twelve(*state, first, &size);
	fd = open(first, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 700), 1);
	byte = (char)~byte;
	assert_int_equal(pwrite(fd, &byte, 1, 700), 1);
	close(fd);
	assert_int_equal(serve_damaged(*state), 11);
}

static void zeros_and_garbage(void **state)
{
	char first[512], zeros[1500] = { 0 };
	off_t size;
	int fd;

	twelve(*state, first, &size);
	fd = open(first, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros)); /* the head too */
	assert_int_equal(pwrite(fd, "garbage", 7, size), 7);
	close(fd);
	assert_int_equal(serve_damaged(*state), 9);
}

static void other_files_are_let_alone(void **state)
{
	struct disk *d = *state;
	struct store st;
	char path[128];

	snprintf(path, sizeof(path), "%s/0000000000000001.seg.old", d->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	snprintf(path, sizeof(path), "%s/zzzzzzzzzzzzzzzz.seg", d->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	open_store(&st, d);
	put_one(&st, 0);
	expect(&st, 0, 0, true);
	close_store(&st);
	assert_int_equal(files(d, "", ".old"), 1);
	assert_int_equal(files(d, "", "z.seg"), 1);
}

/* ---- rejected ---- */

static void rejected_is_kept(void **state)
{
	struct disk *d = *state;
	struct spool_entry entry;
	struct spool_state now;
	struct store st;

	open_store(&st, d);
	put_one(&st, 0);
	assert_int_equal(spool_next(st.spool, &entry), 1);
	spool_reject(st.spool, &entry, "too large");
	spool_done(st.spool, &entry.end);
	spool_state(st.spool, &now);
	assert_int_equal(now.rejected, 1);
	close_store(&st);
	assert_int_equal(files(d, "rejected", ".json"), 1);
}

static void rejected_without_room_keeps_the_segment(void **state)
{
	struct disk *d = *state;
	struct spool_entry entry;
	struct store st;

	open_store(&st, d);
	put_one(&st, 0);
	assert_int_equal(spool_next(st.spool, &entry), 1);
	disk_fail(d, DISK_PWRITE, -ENOSPC, 1);
	spool_reject(st.spool, &entry, "too large");
	spool_done(st.spool, &entry.end);
	close_store(&st);
	assert_int_equal(files(d, "rejected", ".seg"), 1);
}

/* ---- waiting ---- */

static void *wake_later(void *arg)
{
	usleep(2000);
	spool_wake(arg);
	return NULL;
}

static void waiting_ends(void **state)
{
	pthread_t thread;
	struct store st;

	open_store(&st, *state);
	assert_false(spool_wait(st.spool, 1));
	assert_int_equal(pthread_create(&thread, NULL, wake_later, st.spool), 0);
	assert_false(spool_wait(st.spool, WAIT_MS));
	pthread_join(thread, NULL);
	put_one(&st, 0);
	assert_true(spool_wait(st.spool, WAIT_MS));
	expect(&st, 0, 0, false);
	assert_false(spool_wait(st.spool, 1));
	close_store(&st);
}

#define ON_DISK(f) cmocka_unit_test_setup_teardown(f, disk_setup, disk_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_DISK(first_in_first_out),
		ON_DISK(rewind_gives_what_is_not_done),
		ON_DISK(restart_serves_the_rest),
		ON_DISK(lost_cursor_means_repetition),
		ON_DISK(folder_belongs_to_one),
		ON_DISK(folder_that_cannot_be),
		ON_DISK(full_is_an_answer),
		ON_DISK(too_large),
		ON_DISK(many_threads_few_syncs),
		ON_DISK(held_means_together),
		ON_DISK(failed_sync_is_never_success),
		ON_DISK(what_cannot_be_cut_is_left_behind),
		ON_DISK(unreadable_for_a_while),
		ON_DISK(unreadable_for_good),
		ON_DISK(unreadable_at_the_start),
		ON_DISK(segment_that_vanished),
		ON_DISK(torn_tail),
		ON_DISK(flipped_bytes),
		ON_DISK(zeros_and_garbage),
		ON_DISK(other_files_are_let_alone),
		ON_DISK(rejected_is_kept),
		ON_DISK(rejected_without_room_keeps_the_segment),
		ON_DISK(waiting_ends),
	};
	struct CMUnitTest faults[ARRAY_LEN(fault_rows)];
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	for (size_t i = 0; i < ARRAY_LEN(fault_rows); i++)
		faults[i] =
		    (struct CMUnitTest){ .name = fault_rows[i].name,
					 .test_func = failing_disk,
					 .initial_state = (void *)(uintptr_t)&fault_rows[i] };
	return failed + cmocka_run_group_tests(faults, NULL, NULL);
}
