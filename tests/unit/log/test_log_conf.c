/*
 * test_log_conf.c - the handle: names, properties, prefixes; nothing is connected
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "log/kafka/kafka.h"

struct row {
	const char *name, *prefix, *key, *value;
	int want;
	const char *problem; /* what it says, in part */
};

static const struct row rows[] = {
	{ "no property", "callstream.", NULL, NULL, 0, NULL },
	{ "no prefix", "", NULL, NULL, 0, NULL },
	{ "a property of the client", "p.", "fetch.min.bytes", "2", 0, NULL },
	{ "a property of a topic", "p.", "compression.codec", "zstd", 0, NULL },
	{ "unknown property", "p.", "no.such", "1", -EINVAL, "no.such: librdkafka has no such" },
	{ "value out of range", "p.", "linger.ms", "-7", -EINVAL,
	  "linger.ms: librdkafka does not" },
	{ "what a guarantee stands on", "p.", "isolation.level", "read_uncommitted", -EINVAL,
	  "isolation.level: is set by callstream" },
	{ "what has a key of its own", "p.", "bootstrap.servers", "x", -EINVAL,
	  "bootstrap.servers: is set by callstream" },
	{ "a prefix that Kafka refuses", "p/", NULL, NULL, -EINVAL, "kafka.topic_prefix" },
};

static void opens_or_says_why(void **state)
{
	const struct row *c = *state;
	struct cfg_pair pair = { c->key, c->value };
	struct cfg cfg = { .kafka = { .brokers = "127.0.0.1:1",
				      .topic_prefix = c->prefix,
				      .properties = &pair,
				      .properties_n = c->key ? 1 : 0 } };
	struct buf problem = BUF_EMPTY;
	struct log *log = NULL;
	char *text;

	assert_int_equal(log_open(&cfg, &log, &problem), c->want);
	text = buf_take_text(&problem);
	if (c->problem) {
		assert_non_null(strstr(text, c->problem));
		/* A value may be a secret. */
		assert_true(!c->value || strlen(c->value) < 3 || !strstr(text, c->value));
		assert_null(log);
	}
	free(text);
	log_close(log);
}

static void names_have_the_prefix(void **state)
{
	struct cfg cfg = { .kafka = { .brokers = "127.0.0.1:1", .topic_prefix = "p." } };
	struct kafka k = { .cfg = &cfg };
	char name[KAFKA_NAME_SIZE];

	(void)state;
	for (int i = 0; i < TOPICS_N; i++) {
		kafka_topic_name(&k, (enum topic)i, name);
		assert_int_equal(strncmp(name, "p.", 2), 0);
		assert_string_equal(name + 2, topic_text((enum topic)i));
		assert_int_equal(kafka_topic_find(&k, name), i);
	}
	assert_int_equal(kafka_topic_find(&k, "p.other"), TOPICS_N);
	assert_int_equal(kafka_topic_find(&k, "events"), TOPICS_N);
	assert_int_equal(kafka_topic_find(&k, "p.event"), TOPICS_N);
}

/* Every error that a broker can answer, and every one of the client, has a verdict. */
static void every_error_has_a_verdict(void **state)
{
	const struct rd_kafka_err_desc *all;
	size_t n;

	(void)state;
	rd_kafka_get_err_descs(&all, &n);
	for (size_t i = 0; i < n; i++) {
		int verdict = kafka_verdict_code(all[i].code);

		if (all[i].code == RD_KAFKA_RESP_ERR_NO_ERROR)
			assert_int_equal(verdict, 0);
		else
			assert_true(verdict == -EAGAIN || verdict == -ECANCELED ||
				    verdict == -EPIPE || verdict == -EMSGSIZE);
	}
	assert_int_equal(kafka_verdict_code(RD_KAFKA_RESP_ERR__FENCED), -EPIPE);
	assert_int_equal(kafka_verdict_code(RD_KAFKA_RESP_ERR__FATAL), -EPIPE);
	assert_int_equal(kafka_verdict_code((rd_kafka_resp_err_t)9999), -EPIPE);
	assert_int_equal(kafka_verdict(NULL, "nothing"), 0);
}

#define OTHERS 2

int main(void)
{
	struct CMUnitTest tests[OTHERS + ARRAY_LEN(rows)] = {
		cmocka_unit_test(names_have_the_prefix),
		cmocka_unit_test(every_error_has_a_verdict),
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		tests[OTHERS + i] =
		    (struct CMUnitTest){ .name = rows[i].name,
					 .test_func = opens_or_says_why,
					 .initial_state = (void *)(uintptr_t)&rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
