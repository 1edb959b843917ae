/*
 * metric.h - counters, gauges and histograms from one table (metric_table.h)
 *
 * A metric has up to two labels; each combination of values is a series, made when it is first
 * asked for and kept for ever. Labels hold names of accounts, sinks, kinds: never numbers of
 * people. More than METRIC_SERIES_MAX values of one metric share the series whose values are
 * "other". Thread: any; adding is a relaxed atomic.
 */
#ifndef CS_BASE_METRIC_H
#define CS_BASE_METRIC_H

#include <stdatomic.h>

#include "base/buf.h"

#define METRIC_SERIES_MAX 2000

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM /* of seconds */ };

enum metric_id {
#define M(id, type, name, label1, label2, help) M_##id,
#include "base/metric_table.h"
#undef M
	METRICS_N
};

struct series;

/* Never NULL: without memory it is a spare series that nobody sees. Label values are copied. */
struct series *metric(enum metric_id id, const char *value1, const char *value2);
void series_add(struct series *s, int64_t delta);     /* counter, gauge */
void series_set(struct series *s, int64_t value);     /* gauge */
void series_observe_us(struct series *s, int64_t us); /* histogram */
int64_t series_value(const struct series *s);         /* of a histogram: how many */

/* Short forms for what is not hot. */
static inline void metric_add(enum metric_id id, const char *value1, const char *value2,
			      int64_t delta)
{
	series_add(metric(id, value1, value2), delta);
}

static inline void metric_set(enum metric_id id, const char *value1, const char *value2,
			      int64_t value)
{
	series_set(metric(id, value1, value2), value);
}

/* Everything in Prometheus' text format 0.0.4. */
void metric_render(struct buf *out);

#endif
