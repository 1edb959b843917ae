/*
 * Every way in which a segment or the cursor can be hurt: what is intact at its place is served,
 * nothing else is, and the hurt segment is counted and set aside as it was.
 */
#include "unit/store/disk.h"

#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#define ID        UINT64_C(0x18d)
#define NEXT_ID   (ID + 1)
#define PAGE      512u
#define BYTES_MAX (16u << 10)
#define RECORDS   24u

/* What was written: records behind a segment's head, and where each begins. */
struct written {
	uint8_t bytes[BYTES_MAX];
	size_t n, records;
	size_t at[RECORDS + 1]; /* [records]: the end */
};

struct house {
	struct disk *disk;
	struct written first, next; /* two segments; the first is the one that is hurt */
};

static unsigned cases;

static struct spool_record record_of(uint64_t id, size_t i, char *value, size_t value_n)
{
	static const char *const keys[] = { "acme/call", "acme", "", "acme-office/0007" };

	for (size_t k = 0; k < value_n; k++)
		value[k] = (char)('A' + (k * 7 + i * 3 + id) % 23); /* heads begin with a C, too */
	return (struct spool_record){ .topic = (uint16_t)(1 + i % 2),
				      .key = slice_of(keys[i % ARRAY_LEN(keys)]),
				      .value = slice_make(value, value_n),
				      .at_ms = (int64_t)(id * 1000 + i) };
}

static void write_segment(struct written *w, uint64_t id, size_t records, size_t value_n)
{
	char value[1024];

	spool_segment_head_write(w->bytes, id);
	w->n = SPOOL_HEAD_BYTES;
	w->records = records;
	for (size_t i = 0; i < records; i++) {
		struct spool_record rec = record_of(id, i, value, value_n + i);

		w->at[i] = w->n;
		spool_record_write(w->bytes + w->n, &rec);
		w->n += spool_record_seal(w->bytes + w->n, id, w->n);
	}
	w->at[records] = w->n;
}

static void path_in(const struct house *h, char out[256], const char *folder, uint64_t id)
{
	snprintf(out, 256, "%s/%s%016" PRIx64 ".seg", h->disk->dir, folder, id);
}

static void put_file(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static void put_segments(const struct house *h, const uint8_t *hurt, size_t n)
{
	char path[256];

	path_in(h, path, "", ID);
	put_file(path, hurt, n);
	path_in(h, path, "", NEXT_ID);
	put_file(path, h->next.bytes, h->next.n);
}

static void drop(const struct house *h, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", h->disk->dir, name);
	unlink(path);
}

static bool is_file(const char *path, const uint8_t *bytes, size_t n)
{
	uint8_t found[BYTES_MAX + 1];
	int fd = open(path, O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, found, sizeof(found));
	close(fd);
	return got == (ssize_t)n && memcmp(found, bytes, n) == 0;
}

static struct spool *open_house(struct house *h)
{
	const struct spool_cfg cfg = {
		.dir = h->disk->dir, .bytes_max = 8 << 20, .probe_ms = 10, .io = &h->disk->io
	};
	struct buf problem = BUF_EMPTY;
	struct spool *s;

	assert_int_equal(spool_open(&cfg, &s, &problem), 0);
	buf_fini(&problem);
	return s;
}

/* ---- what has to come out ---- */

/* Does record i stand in bytes just as it was written? */
static bool stands(const struct written *w, size_t i, const uint8_t *bytes, size_t n)
{
	size_t at = w->at[i], end = w->at[i + 1];

	return end <= n && memcmp(bytes + at, w->bytes + at, end - at) == 0;
}

/* Nobody can tell a segment that ends behind a whole record from one that was longer. */
static bool looks_whole(const struct written *w, const uint8_t *bytes, size_t n)
{
	if (n == 0)
		return true;
	for (size_t i = 0; i <= w->records; i++) {
		if (w->at[i] == n)
			return memcmp(bytes, w->bytes, n) == 0;
	}
	return false;
}

static bool same(const struct spool_record *a, const struct spool_record *b)
{
	return a->topic == b->topic && a->at_ms == b->at_ms && slice_eq(a->key, b->key) &&
	       slice_eq(a->value, b->value);
}

/* The entry is the next of the records that stand, exactly. */
static void expect_next(const struct house *h, const struct spool_entry *entry, uint64_t id,
			size_t i)
{
	const struct written *w = id == ID ? &h->first : &h->next;
	size_t key_n = entry->rec.key.n;
	char value[1024];
	struct spool_record want = record_of(
	    id, i, value, w->at[i + 1] - w->at[i] - SPOOL_RECORD_HEAD_BYTES - key_n);

	assert_true(same(&entry->rec, &want));
}

/* Serves all: the records of hurt from number `from` on that stand, then the next segment's. */
static void serve(struct house *h, const uint8_t *hurt, size_t n, size_t from, bool damaged)
{
	struct spool *s = open_house(h);
	struct spool_entry entry;
	struct spool_state now;

	for (size_t i = from; i < h->first.records; i++) {
		if (!stands(&h->first, i, hurt, n))
			continue;
		assert_int_equal(spool_next(s, &entry), 1);
		expect_next(h, &entry, ID, i);
		spool_done(s, &entry.end);
	}
	for (size_t i = 0; i < h->next.records; i++) {
		assert_int_equal(spool_next(s, &entry), 1);
		expect_next(h, &entry, NEXT_ID, i);
		spool_done(s, &entry.end);
	}
	assert_int_equal(spool_next(s, &entry), 0);
	assert_true(spool_is_empty(s));
	spool_state(s, &now);
	assert_int_equal(now.damaged, damaged);
	spool_close(s);
}

static void check_aside(struct house *h, const uint8_t *hurt, size_t n, bool damaged)
{
	char path[256];

	path_in(h, path, "", ID);
	assert_int_not_equal(access(path, F_OK), 0);
	path_in(h, path, "damaged/", ID);
	if (damaged)
		assert_true(is_file(path, hurt, n));
	else
		assert_int_not_equal(access(path, F_OK), 0);
	unlink(path);
	path_in(h, path, "damaged/", NEXT_ID);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void check(struct house *h, const uint8_t *hurt, size_t n)
{
	bool damaged = !looks_whole(&h->first, hurt, n);

	put_segments(h, hurt, n);
	serve(h, hurt, n, 0, damaged);
	check_aside(h, hurt, n, damaged);
	drop(h, "cursor");
	cases++;
}

/* ---- ways to be hurt ---- */

static const struct {
	const char *name;
	size_t from, to; /* in the segment's or in the record's head */
} classes[] = {
	{ "segment magic", 0, 8 },
	{ "segment id", 8, 16 },
	{ "segment zero", 16, 24 },
	{ "segment sum", 24, 32 },
	{ "record magic", 32, 36 },
	{ "head sum", 36, 40 },
	{ "version", 40, 42 },
	{ "topic", 42, 44 },
	{ "key bytes", 44, 48 },
	{ "value bytes", 48, 52 },
	{ "record zero", 52, 56 },
	{ "at", 56, 64 },
	{ "body sum", 64, 72 },
	{ "key", 72, 81 },
	{ "value", 81, 81 + 30 },
	{ "second record", 111, 111 + 40 + 4 + 31 },
	{ "last record", 186, 186 + 72 },
};

/* Each bit of each class, once. */
static void every_bit_of_every_class(void **state)
{
	struct house *h = *state;
	uint8_t *p = h->first.bytes;
	uint8_t hurt[BYTES_MAX];
	size_t at = 0;

	write_segment(&h->first, ID, 3, 30);
	write_segment(&h->next, NEXT_ID, 1, 10);
	for (size_t c = 0; c < ARRAY_LEN(classes); c++) {
		unsigned before = cases;

		assert_int_equal(classes[c].from, at); /* none is left out */
		memcpy(hurt, p, h->first.n);
		for (; at < classes[c].to; at++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				hurt[at] = (uint8_t)(p[at] ^ 1u << bit);
				check(h, hurt, h->first.n);
			}
			hurt[at] = p[at];
		}
		print_message("%s: %u bits\n", classes[c].name, cases - before);
	}
	assert_int_equal(at, h->first.n);
}

static void cut_at_every_byte(void **state)
{
	struct house *h = *state;

	write_segment(&h->first, ID, 3, 30);
	write_segment(&h->next, NEXT_ID, 1, 10);
	for (size_t n = 0; n <= h->first.n; n++)
		check(h, h->first.bytes, n);
}

static void garbage_behind(void **state)
{
	struct house *h = *state;
	uint8_t hurt[BYTES_MAX];

	write_segment(&h->first, ID, 3, 30);
	write_segment(&h->next, NEXT_ID, 2, 10);
	for (size_t more = 1; more <= 130; more++) {
		size_t n = h->first.n;

		memcpy(hurt, h->first.bytes, n);
		memset(hurt + n, 0, more);
		check(h, hurt, n + more);
		memset(hurt + n, 'C', more);
		check(h, hurt, n + more);
		/* a repetition of its own records, and those of another segment */
		memcpy(hurt + n, h->first.bytes + h->first.at[0], more);
		check(h, hurt, n + more);
		memcpy(hurt + n, h->next.bytes + h->next.at[0],
		       MIN(more, h->next.n - SPOOL_HEAD_BYTES));
		check(h, hurt, n + more);
	}
}

/* One page over another, both changed, one gone to zeros, one pushed in, one taken out. */
static void pages(void **state)
{
	struct house *h = *state;
	const uint8_t *p = h->first.bytes;
	uint8_t hurt[BYTES_MAX];
	size_t n, count;

	write_segment(&h->first, ID, 17, 300);
	write_segment(&h->next, NEXT_ID, 1, 10);
	n = h->first.n;
	count = n / PAGE;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			memcpy(hurt, p, n);
			memcpy(hurt + j * PAGE, p + i * PAGE, PAGE);
			check(h, hurt, n); /* repeated; for i == j nothing is wrong */
			if (j > i) {
				memcpy(hurt + i * PAGE, p + j * PAGE, PAGE);
				check(h, hurt, n); /* changed with each other */
			}
			memcpy(hurt, p, j * PAGE);
			memcpy(hurt + j * PAGE, p + i * PAGE, PAGE);
			memcpy(hurt + (j + 1) * PAGE, p + j * PAGE, n - j * PAGE);
			check(h, hurt, n + PAGE); /* pushed in */
		}
		memcpy(hurt, p, n);
		memset(hurt + i * PAGE, 0, PAGE);
		check(h, hurt, n);
		memset(hurt + i * PAGE, 0, n - i * PAGE);
		check(h, hurt, n); /* zeros from there to the end */
		memcpy(hurt, p, i * PAGE);
		memcpy(hurt + i * PAGE, p + (i + 1) * PAGE, n - (i + 1) * PAGE);
		check(h, hurt, n - PAGE); /* taken out */
	}
}

/* Under a wrong name nothing is believed, so nothing is served twice. */
static void another_segments_bytes(void **state)
{
	struct house *h = *state;

	write_segment(&h->first, ID, 3, 30);
	write_segment(&h->next, NEXT_ID, 3, 30);
	check(h, h->next.bytes, h->next.n);
}

static uint64_t seed_of_run(void)
{
	const char *text = getenv("CALLSTREAM_SEED");

	return text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
}

static uint32_t draw(uint64_t *seed, uint32_t n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % n;
}

static size_t hurt_once(uint64_t *seed, uint8_t *p, size_t n)
{
	size_t at = draw(seed, (uint32_t)n), len = 1 + draw(seed, 700), to;

	len = MIN(len, n - at);
	to = draw(seed, (uint32_t)(n - len + 1));
	switch (draw(seed, 6)) {
	case 0:
		p[at] ^= (uint8_t)(1u << draw(seed, 8));
		return n;
	case 1:
		memset(p + at, 0, len);
		return n;
	case 2:
		for (size_t i = 0; i < len; i++)
			p[at + i] = (uint8_t)draw(seed, 256);
		return n;
	case 3:
		memmove(p + to, p + at, len);
		return n;
	case 4: /* taken out */
		memmove(p + at, p + at + len, n - at - len);
		return MAX(n - len, (size_t)1);
	default:
		return MAX(at, (size_t)1);
	}
}

static void many_at_random(void **state)
{
	struct house *h = *state;
	uint8_t hurt[BYTES_MAX];
	uint64_t seed = seed_of_run();

	print_message("seed %" PRIu64 "\n", seed);
	write_segment(&h->first, ID, 20, 200);
	write_segment(&h->next, NEXT_ID, 1, 10);
	for (int i = 0; i < 2000; i++) {
		size_t n = h->first.n;

		memcpy(hurt, h->first.bytes, n);
		for (uint32_t k = 1 + draw(&seed, 4); k; k--)
			n = hurt_once(&seed, hurt, n);
		check(h, hurt, n);
	}
}

/* ---- the cursor ---- */

/* Its bytes behind the first record of three. */
static void cursor_behind_first(struct house *h, uint8_t out[32])
{
	struct spool_entry entry;
	struct spool *s;
	char path[256];
	int fd;

	put_segments(h, h->first.bytes, h->first.n);
	s = open_house(h);
	assert_int_equal(spool_next(s, &entry), 1);
	spool_done(s, &entry.end);
	spool_close(s);
	snprintf(path, sizeof(path), "%s/cursor", h->disk->dir);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, out, 32), 32);
	close(fd);
}

static void check_cursor(struct house *h, const uint8_t *bytes, size_t n, size_t from)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cursor", h->disk->dir);
	put_segments(h, h->first.bytes, h->first.n);
	put_file(path, bytes, n);
	serve(h, h->first.bytes, h->first.n, from, false);
	check_aside(h, NULL, 0, false);
	cases++;
}

/* A hurt cursor costs a repetition, never a record. */
static void cursor_of_every_kind(void **state)
{
	struct house *h = *state;
	uint8_t right[32], hurt[40] = { 0 };

	write_segment(&h->first, ID, 3, 30);
	write_segment(&h->next, NEXT_ID, 1, 10);
	cursor_behind_first(h, right);
	check_cursor(h, right, 32, 1);
	for (unsigned bit = 0; bit < 256; bit++) {
		memcpy(hurt, right, 32);
		hurt[bit / 8] ^= (uint8_t)(1u << bit % 8);
		check_cursor(h, hurt, 32, 0);
	}
	for (size_t n = 0; n < 32; n++)
		check_cursor(h, right, n, 0);
	memset(hurt, 0, sizeof(hurt));
	check_cursor(h, hurt, 32, 0);
	memcpy(hurt, right, 32);
	check_cursor(h, hurt, 40, 1); /* what lies behind it is nobody's */
	memcpy(hurt + 8, right + 16, 8);
	memcpy(hurt + 16, right + 8, 8);
	check_cursor(h, hurt, 32, 0);
}

/* ---- what is damaged is kept, whatever happens before it is set aside ---- */

static void hurt_second_of_five(struct house *h, uint8_t hurt[BYTES_MAX])
{
	write_segment(&h->first, ID, 5, 30);
	write_segment(&h->next, NEXT_ID, 2, 10);
	memcpy(hurt, h->first.bytes, h->first.n);
	hurt[h->first.at[1] + 50] ^= 1;
	put_segments(h, hurt, h->first.n);
}

static void a_restart_on_the_way(void **state)
{
	struct house *h = *state;
	struct spool_entry entry;
	uint8_t hurt[BYTES_MAX];
	struct spool *s;

	hurt_second_of_five(h, hurt);
	s = open_house(h);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(spool_next(s, &entry), 1);
		spool_done(s, &entry.end);
	}
	spool_close(s);
	s = open_house(h);
	while (spool_next(s, &entry) == 1)
		spool_done(s, &entry.end);
	spool_close(s);
	check_aside(h, hurt, h->first.n, true);
}

/* It stays until it can be set aside; what is behind it goes on. */
static void no_way_to_set_it_aside(void **state)
{
	struct house *h = *state;
	struct spool_entry entry;
	uint8_t hurt[BYTES_MAX];
	struct spool *s;
	char path[256];

	hurt_second_of_five(h, hurt);
	disk_fail(h->disk, DISK_RENAME, -EIO, 1000000);
	s = open_house(h);
	while (spool_next(s, &entry) == 1)
		spool_done(s, &entry.end);
	assert_true(spool_is_empty(s));
	path_in(h, path, "", NEXT_ID);
	spool_close(s);
	assert_int_not_equal(access(path, F_OK), 0);
	path_in(h, path, "", ID);
	assert_true(is_file(path, hurt, h->first.n));
	disk_heal(h->disk, DISK_RENAME);
	s = open_house(h);
	while (spool_next(s, &entry) == 1)
		spool_done(s, &entry.end);
	spool_close(s);
	check_aside(h, hurt, h->first.n, true);
}

static void no_way_for_a_while(void **state)
{
	struct house *h = *state;
	struct spool_entry entry;
	uint8_t hurt[BYTES_MAX];
	struct spool *s;

	hurt_second_of_five(h, hurt);
	disk_fail(h->disk, DISK_RENAME, -EIO, 1);
	s = open_house(h);
	while (spool_next(s, &entry) == 1)
		spool_done(s, &entry.end);
	spool_close(s);
	check_aside(h, hurt, h->first.n, true);
}

/* A segment that cannot even be opened is set aside unread; what is behind it is served. */
static void a_segment_that_cannot_be_opened(void **state)
{
	struct house *h = *state;
	struct spool_entry entry;
	struct spool *s;
	char name[64];
	unsigned served = 0;
	int tries = 0, got;

	write_segment(&h->first, ID, 5, 30);
	write_segment(&h->next, NEXT_ID, 2, 10);
	put_segments(h, h->first.bytes, h->first.n);
	snprintf(name, sizeof(name), "%016" PRIx64 ".seg", ID);
	h->disk->bad_name = name;
	s = open_house(h);
	while ((got = spool_next(s, &entry)) != 0 && tries < 100) {
		if (got > 0)
			spool_done(s, &entry.end);
		served += got > 0;
		tries = got < 0 ? tries + 1 : 0;
	}
	assert_int_equal(got, 0);
	assert_int_equal(served, 2);
	assert_true(spool_is_empty(s));
	spool_close(s);
	h->disk->bad_name = NULL;
	check_aside(h, h->first.bytes, h->first.n, true);
}

/* A rejected record that found no room in rejected/ is still there after a restart. */
static void rejected_without_room_and_a_restart(void **state)
{
	struct house *h = *state;
	struct spool_entry entry;
	struct spool *s;
	char path[256];
	unsigned again = 0;

	write_segment(&h->first, ID, 5, 30);
	write_segment(&h->next, NEXT_ID, 1, 10);
	put_segments(h, h->first.bytes, h->first.n);
	s = open_house(h);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(spool_next(s, &entry), 1);
		if (i == 1) {
			disk_fail(h->disk, DISK_PWRITE, -ENOSPC, 1);
			spool_reject(s, &entry, "too large");
			disk_heal(h->disk, DISK_PWRITE);
		}
		spool_done(s, &entry.end);
	}
	spool_close(s);
	s = open_house(h);
	while (spool_next(s, &entry) == 1) {
		if (entry.rec.at_ms == (int64_t)(ID * 1000 + 1)) {
			spool_reject(s, &entry, "too large");
			again++;
		}
		spool_done(s, &entry.end);
	}
	spool_close(s);
	assert_int_equal(again, 1);
	snprintf(path, sizeof(path), "%s/rejected/%016" PRIx64 "-%zu.json", h->disk->dir, ID,
		 h->first.at[2]);
	assert_int_equal(access(path, F_OK), 0);
}

/* ---- */

static int house_setup(void **state)
{
	struct house *h = calloc(1, sizeof(*h));
	void *disk = NULL;

	if (!h || disk_setup(&disk)) {
		free(h);
		return -1;
	}
	h->disk = disk;
	*state = h;
	return 0;
}

static int house_teardown(void **state)
{
	struct house *h = *state;
	void *disk = h->disk;

	disk_teardown(&disk);
	free(h);
	return 0;
}

#define IN_HOUSE(f) cmocka_unit_test_setup_teardown(f, house_setup, house_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_HOUSE(every_bit_of_every_class),
		IN_HOUSE(cut_at_every_byte),
		IN_HOUSE(garbage_behind),
		IN_HOUSE(pages),
		IN_HOUSE(another_segments_bytes),
		IN_HOUSE(many_at_random),
		IN_HOUSE(cursor_of_every_kind),
		IN_HOUSE(a_restart_on_the_way),
		IN_HOUSE(no_way_to_set_it_aside),
		IN_HOUSE(no_way_for_a_while),
		IN_HOUSE(a_segment_that_cannot_be_opened),
		IN_HOUSE(rejected_without_room_and_a_restart),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	print_message("%u ways to be hurt\n", cases);
	return failed;
}
