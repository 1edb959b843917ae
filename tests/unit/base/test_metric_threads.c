/* Counters, gauges, histograms: what a scrape says, also while many threads count. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metric.h"
#include "unit/base/rows.h"

/* The whole text; to be freed. */
static char *rendered(void)
{
	struct buf out = BUF_EMPTY;
	char *text;

	metric_render(&out);
	text = buf_take_text(&out);
	assert_non_null(text);
	return text;
}

static void assert_has(const char *part)
{
	char *text = rendered();

	if (!strstr(text, part))
		print_error("no \"%s\" in:\n%s", part, text);
	assert_non_null(strstr(text, part));
	free(text);
}

static void counters(void **state)
{
	(void)state;
	metric_add(M_REQUESTS, "acme", "200", 3);
	metric_add(M_REQUESTS, "acme", "200", 2);
	metric_add(M_REQUESTS, "acme", "403", 1);
	assert_has("# HELP callstream_ingest_requests_total Webhook requests by account");
	assert_has("# TYPE callstream_ingest_requests_total counter\n");
	assert_has("\ncallstream_ingest_requests_total{account=\"acme\",answer=\"200\"} 5\n");
	assert_has("\ncallstream_ingest_requests_total{account=\"acme\",answer=\"403\"} 1\n");
	assert_int_equal(series_value(metric(M_REQUESTS, "acme", "200")), 5);
}

static void gauges(void **state)
{
	struct series *s = metric(M_CONNECTIONS, NULL, NULL);

	(void)state;
	series_set(s, 7);
	series_add(s, -9);
	assert_has("\ncallstream_ingest_connections -2\n");
	metric_set(M_CALLS_OPEN, "3", NULL, 12);
	assert_has("\ncallstream_correlate_calls_open{partition=\"3\"} 12\n");
}

/* A metric without labels stands there before anything was counted; one with labels does not. */
static void before_the_first(void **state)
{
	(void)state;
	assert_has("\ncallstream_spool_syncs_total 0\n");
	assert_has("\ncallstream_ingest_request_seconds_bucket{le=\"+Inf\"} 0\n");
	char *text = rendered();
	assert_null(strstr(text, "callstream_deliver_tasks_total"));
	free(text);
}

static void histograms(void **state)
{
	struct series *s = metric(M_DELIVERY_SECONDS, "crm", NULL);

	(void)state;
	series_observe_us(s, 1000);
	series_observe_us(s, 1001);
	series_observe_us(s, 70000000);
	series_observe_us(s, -5);
	assert_has("callstream_deliver_answer_seconds_bucket{sink=\"crm\",le=\"0.001\"} 2\n");
	assert_has("callstream_deliver_answer_seconds_bucket{sink=\"crm\",le=\"0.0025\"} 3\n");
	assert_has("callstream_deliver_answer_seconds_bucket{sink=\"crm\",le=\"60\"} 3\n");
	assert_has("callstream_deliver_answer_seconds_bucket{sink=\"crm\",le=\"+Inf\"} 4\n");
	assert_has("callstream_deliver_answer_seconds_sum{sink=\"crm\"} 70.002001\n");
	assert_has("callstream_deliver_answer_seconds_count{sink=\"crm\"} 4\n");
	assert_int_equal(series_value(s), 4);
}

static void escaped(void **state)
{
	(void)state;
	metric_add(M_TASKS_ROUTED, "a\"b\\c\nd", NULL, 1);
	assert_has("callstream_deliver_tasks_total{sink=\"a\\\"b\\\\c\\nd\"} 1\n");
}

static void long_values(void **state)
{
	char value[400];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	metric_add(M_UNROUTED, value, NULL, 1);
	value[200] = '\0';
	metric_add(M_UNROUTED, value, NULL, 1);
	assert_int_equal(series_value(metric(M_UNROUTED, value, NULL)), 2);
}

static void too_many(void **state)
{
	char value[24];

	(void)state;
	for (int i = 0; i < METRIC_SERIES_MAX + 50; i++) {
		snprintf(value, sizeof(value), "account-%d", i);
		metric_add(M_CALLS_STARTED, value, NULL, 1);
	}
	assert_int_equal(series_value(metric(M_CALLS_STARTED, "other", NULL)), 50);
	assert_int_equal(series_value(metric(M_CALLS_STARTED, "account-0", NULL)), 1);
}

#define THREADS 4
#define ROUNDS  20000

static void *count(void *arg)
{
	char value[24];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(value, sizeof(value), "%d", i % 500);
		metric_add(M_DEAD, "deliver", value, 1);
		series_observe_us(metric(M_TXN_SECONDS, "correlate", NULL), i);
	}
	return arg;
}

static void by_many_threads(void **state)
{
	pthread_t threads[THREADS];
	char value[24];
	int64_t sum = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
	free(rendered()); /* while they count */
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 500; i++) {
		snprintf(value, sizeof(value), "%d", i);
		sum += series_value(metric(M_DEAD, "deliver", value));
	}
	assert_int_equal(sum, THREADS * ROUNDS);
	assert_int_equal(series_value(metric(M_TXN_SECONDS, "correlate", NULL)), THREADS * ROUNDS);
}

/* Names are Prometheus' own: counters end in _total, histograms in _seconds, none stands twice. */
static void table(void **state)
{
	static const struct {
		const char *name, *help;
		enum metric_type type;
	} rows[] = {
#define M(id, type, name, label1, label2, help) { name, help, type },
#include "base/metric_table.h"
#undef M
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice name = slice_of(rows[i].name);

		assert_true(slice_starts(name, SLICE("callstream_")));
		assert_true(slice_ends(slice_of(rows[i].help), SLICE(".")));
		assert_int_equal(slice_ends(name, SLICE("_total")), rows[i].type == METRIC_COUNTER);
		assert_true(rows[i].type != METRIC_HISTOGRAM ||
			    slice_ends(name, SLICE("_seconds")));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(rows[i].name, rows[k].name);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_the_first),
		cmocka_unit_test(counters),
		cmocka_unit_test(gauges),
		cmocka_unit_test(histograms),
		cmocka_unit_test(escaped),
		cmocka_unit_test(long_values),
		cmocka_unit_test(too_many),
		cmocka_unit_test(by_many_threads),
		cmocka_unit_test(table),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
