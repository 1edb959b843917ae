#include "base/metric.h"

#include <pthread.h>
#include <stdlib.h>

#define LABELS_MAX  2
#define VALUE_BYTES 120 /* of a label's value; a longer one is cut */
#define BINS        256 /* of one metric's hash table */

/* Upper bounds of the buckets, in us. */
static const int64_t bounds_us[] = { 1000,    2500,    5000,     10000,    25000,
				     50000,   100000,  250000,   500000,   1000000,
				     2500000, 5000000, 10000000, 30000000, 60000000 };

#define BUCKETS ARRAY_LEN(bounds_us)

/* Made once, never freed or moved; both lists are followed without the lock. */
struct series {
	char values[LABELS_MAX][VALUE_BYTES + 1];
	_Atomic(struct series *) next_in_bin, next;
	_Atomic int64_t value; /* of a histogram: observations */
	_Atomic int64_t sum_us;
	_Atomic int64_t buckets[]; /* each its own, not cumulated; BUCKETS + 1 of a histogram */
};

struct family {
	const char *name, *labels[LABELS_MAX], *help;
	enum metric_type type;
	_Atomic(struct series *) bins[BINS];
	_Atomic(struct series *) first;
	struct series *last; /* under the lock, like n */
	size_t n;
};

static struct family families[METRICS_N] = {
/* NOLINTBEGIN(bugprone-macro-parentheses) values of designated initializers */
#define M(id, metric_type, metric_name, label1, label2, text)                                      \
	[M_##id] = { .name = metric_name,                                                          \
		     .labels = { label1, label2 },                                                 \
		     .help = text,                                                                 \
		     .type = metric_type },
#include "base/metric_table.h"
#undef M
	/* NOLINTEND(bugprone-macro-parentheses) */
};

static const char *const types[] = { "counter", "gauge", "histogram" };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Where counts go when there is no memory for a series of their own. */
static union {
	struct series series;
	char room[sizeof(struct series) + (BUCKETS + 1) * sizeof(_Atomic int64_t)];
} spare;

static bool is_value(const char *have, const char *asked)
{
	return strncmp(have, asked, VALUE_BYTES) == 0;
}

static size_t bin_of(const char *value1, const char *value2)
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	for (size_t i = 0; i < VALUE_BYTES && value1[i]; i++)
		hash = (hash ^ (unsigned char)value1[i]) * UINT64_C(1099511628211);
	hash *= UINT64_C(1099511628211);
	for (size_t i = 0; i < VALUE_BYTES && value2[i]; i++)
		hash = (hash ^ (unsigned char)value2[i]) * UINT64_C(1099511628211);
	return (size_t)(hash >> 32) % BINS;
}

static struct series *find(struct family *family, size_t bin, const char *value1,
			   const char *value2)
{
	struct series *s = atomic_load_explicit(&family->bins[bin], memory_order_acquire);

	while (s && !(is_value(s->values[0], value1) && is_value(s->values[1], value2)))
		s = atomic_load_explicit(&s->next_in_bin, memory_order_acquire);
	return s;
}

static struct series *add(struct family *family, size_t bin, const char *value1, const char *value2)
{
	size_t buckets = family->type == METRIC_HISTOGRAM ? BUCKETS + 1 : 0;
	struct series *s = calloc(1, sizeof(*s) + buckets * sizeof(s->buckets[0]));

	if (!s)
		return &spare.series;
	strncat(s->values[0], value1, VALUE_BYTES);
	strncat(s->values[1], value2, VALUE_BYTES);
	atomic_store_explicit(&s->next_in_bin, atomic_load(&family->bins[bin]),
			      memory_order_relaxed);
	atomic_store_explicit(&family->bins[bin], s, memory_order_release);
	atomic_store_explicit(family->last ? &family->last->next : &family->first, s,
			      memory_order_release);
	family->last = s;
	family->n++;
	return s;
}

static struct series *find_or_add(struct family *family, const char *value1, const char *value2)
{
	size_t bin = bin_of(value1, value2);
	struct series *s = find(family, bin, value1, value2); /* somebody was faster? */

	return s ? s : add(family, bin, value1, value2);
}

struct series *metric(enum metric_id id, const char *value1, const char *value2)
{
	struct family *family = &families[id];
	struct series *s;

	value1 = family->labels[0] && value1 ? value1 : "";
	value2 = family->labels[1] && value2 ? value2 : "";
	s = find(family, bin_of(value1, value2), value1, value2);
	if (s)
		return s;
	pthread_mutex_lock(&lock);
	if (family->n < METRIC_SERIES_MAX)
		s = find_or_add(family, value1, value2);
	else
		s = find_or_add(family, "other", family->labels[1] ? "other" : "");
	pthread_mutex_unlock(&lock);
	return s;
}

void series_add(struct series *s, int64_t delta)
{
	atomic_fetch_add_explicit(&s->value, delta, memory_order_relaxed);
}

void series_set(struct series *s, int64_t value)
{
	atomic_store_explicit(&s->value, value, memory_order_relaxed);
}

void series_observe_us(struct series *s, int64_t us)
{
	size_t bucket = 0;

	us = MAX(us, 0);
	while (bucket < BUCKETS && us > bounds_us[bucket])
		bucket++;
	atomic_fetch_add_explicit(&s->buckets[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->sum_us, us, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->value, 1, memory_order_relaxed);
}

int64_t series_value(const struct series *s)
{
	return atomic_load_explicit(&s->value, memory_order_relaxed);
}

/* ---- Prometheus' text format ---- */

static void put_value(struct buf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n') {
			buf_add_text(out, "\\n");
			continue;
		}
		if (*value == '"' || *value == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *value);
	}
}

static void put_seconds(struct buf *out, int64_t us)
{
	buf_printf(out, "%lld.%06lld", (long long)(us / 1000000), (long long)(us % 1000000));
}

/* name<suffix>{labels,le="..."}, with le only where le_us is not -1; INT64_MAX is +Inf. */
static void put_name(struct buf *out, const struct family *family, const struct series *s,
		     const char *suffix, int64_t le_us)
{
	char before = '{';

	buf_add_text(out, family->name);
	buf_add_text(out, suffix);
	for (size_t i = 0; i < LABELS_MAX && family->labels[i]; i++) {
		buf_add_char(out, before);
		before = ',';
		buf_printf(out, "%s=\"", family->labels[i]);
		put_value(out, s->values[i]);
		buf_add_char(out, '"');
	}
	if (le_us >= 0) {
		buf_add_char(out, before);
		before = ',';
		buf_add_text(out, "le=\"");
		if (le_us == INT64_MAX)
			buf_add_text(out, "+Inf");
		else
			buf_printf(out, "%g", (double)le_us / 1e6);
		buf_add_char(out, '"');
	}
	buf_add_text(out, before == ',' ? "} " : " ");
}

/* The count is the sum of the buckets read here, so that a scrape always fits together. */
static void put_histogram(struct buf *out, const struct family *family, const struct series *s)
{
	int64_t count = 0;

	for (size_t i = 0; i <= BUCKETS; i++) {
		count += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
		put_name(out, family, s, "_bucket", i < BUCKETS ? bounds_us[i] : INT64_MAX);
		buf_add_i64(out, count);
		buf_add_char(out, '\n');
	}
	put_name(out, family, s, "_sum", -1);
	put_seconds(out, atomic_load_explicit(&s->sum_us, memory_order_relaxed));
	buf_add_char(out, '\n');
	put_name(out, family, s, "_count", -1);
	buf_add_i64(out, count);
	buf_add_char(out, '\n');
}

static void put_series(struct buf *out, const struct family *family, const struct series *s)
{
	if (family->type == METRIC_HISTOGRAM) {
		put_histogram(out, family, s);
		return;
	}
	put_name(out, family, s, "", -1);
	buf_add_i64(out, series_value(s));
	buf_add_char(out, '\n');
}

static void put_family(struct buf *out, struct family *family)
{
	struct series *s = atomic_load_explicit(&family->first, memory_order_acquire);

	if (!s)
		return;
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
		   types[family->type]);
	for (; s; s = atomic_load_explicit(&s->next, memory_order_acquire))
		put_series(out, family, s);
}

void metric_render(struct buf *out)
{
	for (size_t i = 0; i < METRICS_N; i++) {
		if (!families[i].labels[0]) /* one series, there from the start */
			(void)metric((enum metric_id)i, NULL, NULL);
		put_family(out, &families[i]);
	}
}
