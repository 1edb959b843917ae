#include "base/tz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/civil.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define SPANS_MAX      4096u
#define ERA_S          ((int64_t)CIVIL_ERA_DAYS * 86400)
#define FROM_S_MAX     (TIME_MAX_MS / 1000 + 402 * INT64_C(366) * 86400)
#define OFFSET_S_MAX   (26 * 3600)
#define NEAR_MS        (INT64_C(2) * 3600 * 1000)
#define RULE_YEARS     402 /* an era, and a year at each end */

/* From its second on (until the next one begins) the zone has this offset. */
struct span {
	int64_t from_s;
	int32_t offset_s;
};

/*
 * The footer's rule is laid out as spans for one era of 400 years behind the last transition; the
 * calendar repeats from there, so later instants are moved back by whole eras (repeat_s).
 * spans[0] begins at INT64_MIN. hint is the span that answered last: nearly all questions are about
 * now. It is a guess that is checked each time, so races about it do no harm.
 */
struct tz {
	size_t n;
	int64_t repeat_s; /* INT64_MAX: the last span never ends */
	_Atomic size_t hint;
	struct span spans[];
};

static bool covers(const struct tz *tz, size_t i, int64_t s)
{
	return tz->spans[i].from_s <= s && (i + 1 == tz->n || s < tz->spans[i + 1].from_s);
}

static size_t span_at(const struct tz *tz, int64_t s)
{
	size_t hint = atomic_load_explicit(&tz->hint, memory_order_relaxed);
	size_t low = 0, high = tz->n;

	if (s >= tz->repeat_s)
		s -= ((s - tz->repeat_s) / ERA_S + 1) * ERA_S;
	if (LIKELY(covers(tz, hint, s)))
		return hint;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (tz->spans[middle].from_s <= s)
			low = middle;
		else
			high = middle;
	}
	/* The hint is the one field that changes in a zone that is const for everybody else. */
	atomic_store_explicit(&((struct tz *)(uintptr_t)tz)->hint, low, memory_order_relaxed);
	return low;
}

static int32_t offset_at(const struct tz *tz, int64_t s)
{
	return tz->spans[span_at(tz, s)].offset_s;
}

static int64_t floor_s(int64_t ms)
{
	return ms / 1000 - (ms % 1000 < 0);
}

int32_t tz_offset_s(const struct tz *tz, int64_t ms)
{
	return offset_at(tz, floor_s(ms));
}

static bool fits(const struct tz *tz, int64_t wall_s, int32_t offset_s)
{
	return offset_at(tz, wall_s - offset_s) == offset_s;
}

int64_t tz_wall_ms(const struct tz *tz, int64_t wall_ms, int64_t received_ms)
{
	int64_t wall_s = floor_s(wall_ms);
	int32_t before = offset_at(tz, wall_s - OFFSET_S_MAX);
	int32_t after = offset_at(tz, wall_s + OFFSET_S_MAX);
	int64_t first = wall_ms - before * INT64_C(1000), second = wall_ms - after * INT64_C(1000);

	if (LIKELY(before == after))
		return first;
	if (!fits(tz, wall_s, after))
		return first; /* before the change, or a time that it skips */
	if (!fits(tz, wall_s, before))
		return second;
	if (received_ms == TIME_NONE || llabs(received_ms - second) > NEAR_MS)
		return first;
	return llabs(received_ms - second) < llabs(received_ms - first) ? second : first;
}

/* ---- reading TZif ---- */

struct head {
	char version;
	uint32_t isut, isstd, leap, time, type, chars;
};

static uint32_t be32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int64_t be64(const char *p)
{
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

#define HEAD_LEN 44u

static int head_read(struct slice *file, struct head *ret)
{
	const char *p = file->p;

	if (file->n < HEAD_LEN || memcmp(p, "TZif", 4) != 0)
		return -EBADMSG;
	*ret = (struct head){ p[4],         be32(p + 20), be32(p + 24), be32(p + 28),
			      be32(p + 32), be32(p + 36), be32(p + 40) };
	*file = slice_skip(*file, HEAD_LEN);
	if (ret->time > SPANS_MAX / 2 || ret->type == 0 || ret->type > 256 || ret->chars > 4096 ||
	    ret->leap > 4096 || ret->isut > 256 || ret->isstd > 256)
		return -EBADMSG;
	return 0;
}

static size_t body_bytes(const struct head *head, size_t time_bytes)
{
	return head->time * (time_bytes + 1) + head->type * 6 + head->chars +
	       head->leap * (time_bytes + 4) + head->isstd + head->isut;
}

static int add_span(struct tz *tz, int64_t from_s, int32_t offset_s)
{
	if (tz->n > 0 && from_s < tz->spans[tz->n - 1].from_s)
		return -EBADMSG;
	if (tz->n == SPANS_MAX || from_s > FROM_S_MAX || offset_s < -OFFSET_S_MAX ||
	    offset_s > OFFSET_S_MAX)
		return -EBADMSG;
	tz->spans[tz->n++] = (struct span){ from_s, offset_s };
	return 0;
}

/* The transitions of one data block. */
static int add_transitions(struct tz *tz, const struct head *head, const char *body,
			   size_t time_bytes)
{
	const char *indexes = body + head->time * time_bytes, *types = indexes + head->time;
	int err = add_span(tz, INT64_MIN, (int32_t)be32(types));

	for (uint32_t i = 0; i < head->time && !err; i++) {
		const char *at = body + i * time_bytes;
		unsigned type = (unsigned char)indexes[i];

		if (type >= head->type)
			return -EBADMSG;
		err = add_span(tz, time_bytes == 8 ? be64(at) : (int32_t)be32(at),
			       (int32_t)be32(types + type * 6));
	}
	return err;
}

/* Two changes a year, as far as they lie behind the last transition of the file. */
static int add_year(struct tz *tz, const struct tz_rule *rule, int64_t year, int64_t last_s)
{
	int64_t start = tz_rule_start(rule, year), end = tz_rule_end(rule, year);
	int err = 0;

	if (end < start && end > last_s) /* south of the equator */
		err = add_span(tz, end, rule->std_s);
	if (!err && start > last_s)
		err = add_span(tz, start, rule->dst_s);
	if (!err && end >= start && end > last_s)
		err = add_span(tz, end, rule->std_s);
	return err;
}

static int add_rule(struct tz *tz, const struct tz_rule *rule)
{
	int64_t last_s = MAX(tz->spans[tz->n - 1].from_s, 0);
	int64_t year = civil_of_days(last_s / 86400).year;
	int err = 0;

	if (!rule->has_dst)
		return add_span(tz, tz->spans[tz->n - 1].from_s, rule->std_s);
	for (int64_t y = year; y < year + RULE_YEARS && !err; y++)
		err = add_year(tz, rule, y, last_s);
	tz->repeat_s = tz->spans[tz->n - 1].from_s;
	return err;
}

/* The footer of version 2 and later: LF, a rule or nothing, LF. */
static int add_footer(struct tz *tz, struct slice left)
{
	struct tz_rule rule;
	struct slice text;
	int err;

	if (left.n < 2 || left.p[0] != '\n')
		return -EBADMSG;
	left = slice_skip(left, 1);
	text = slice_cut(&left, '\n');
	if (text.n == 0)
		return 0;
	err = tz_rule_read(text, &rule);
	return err ? err : add_rule(tz, &rule);
}

static int parse_into(struct tz *tz, struct slice file)
{
	struct head head;
	size_t time_bytes = 4;
	int err = head_read(&file, &head);

	if (err)
		return err;
	if (head.version != '\0') { /* the first block is for old readers */
		if (body_bytes(&head, 4) > file.n)
			return -EBADMSG;
		file = slice_skip(file, body_bytes(&head, 4));
		time_bytes = 8;
		err = head_read(&file, &head);
	}
	if (err || body_bytes(&head, time_bytes) > file.n)
		return -EBADMSG;
	err = add_transitions(tz, &head, file.p, time_bytes);
	if (err || time_bytes == 4)
		return err;
	return add_footer(tz, slice_skip(file, body_bytes(&head, time_bytes)));
}

int tz_parse(struct slice file, struct tz **ret)
{
	struct tz *tz = calloc(1, sizeof(*tz) + SPANS_MAX * sizeof(tz->spans[0]));
	struct tz *fitted;
	int err;

	if (!tz)
		return -ENOMEM;
	tz->repeat_s = INT64_MAX;
	err = parse_into(tz, file);
	if (err) {
		free(tz);
		return err;
	}
	fitted = realloc(tz, sizeof(*tz) + tz->n * sizeof(tz->spans[0]));
	*ret = fitted ? fitted : tz;
	return 0;
}

/* A name of the zone data base: no way out of its folder. */
static bool is_zone_name(struct slice name)
{
	if (name.n == 0 || name.n > 100 || name.p[0] == '/')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '-' || c == '+' || c == '/'))
			return false;
	}
	return true;
}

static int open_zone(const char *name)
{
	const char *folder = getenv("TZDIR");
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/%s",
			 folder && *folder ? folder : "/usr/share/zoneinfo", name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The whole file; ret.p is the caller's to free. */
static int read_zone(int fd, struct slice *ret)
{
	struct stat st;
	char *bytes;
	size_t n = 0;
	ssize_t got;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -ENOENT;
	if (st.st_size <= 0 || (uint64_t)st.st_size > FILE_BYTES_MAX)
		return -EBADMSG;
	bytes = malloc((size_t)st.st_size);
	if (!bytes)
		return -ENOMEM;
	while (n < (size_t)st.st_size && (got = read(fd, bytes + n, (size_t)st.st_size - n)) > 0)
		n += (size_t)got;
	*ret = slice_make(bytes, n);
	return 0;
}

/* UTC needs no data base. */
static int make_utc(struct tz **ret)
{
	struct tz *tz = calloc(1, sizeof(*tz) + sizeof(tz->spans[0]));

	if (!tz)
		return -ENOMEM;
	tz->repeat_s = INT64_MAX;
	tz->n = 1;
	tz->spans[0].from_s = INT64_MIN;
	*ret = tz;
	return 0;
}

int tz_load(const char *name, struct tz **ret)
{
	struct slice file = SLICE_NONE;
	int fd, err;

	if (strcmp(name, "UTC") == 0)
		return make_utc(ret);
	if (!is_zone_name(slice_of(name)))
		return -ENOENT;
	fd = open_zone(name);
	if (fd < 0)
		return -ENOENT;
	err = read_zone(fd, &file);
	close(fd);
	if (!err)
		err = tz_parse(file, ret);
	free((void *)(uintptr_t)file.p);
	return err;
}

void tz_free(struct tz *tz)
{
	free(tz);
}
