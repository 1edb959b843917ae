/*
 * mock.h - librdkafka's mock cluster for the tests of the log, and a config that points at it
 *
 * It serves injected errors and nothing else: it shows aborted messages to everybody and makes no
 * topics of its own settings.
 */
#ifndef CS_TEST_LOG_MOCK_H
#define CS_TEST_LOG_MOCK_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/clock.h"
#include "log/log.h"

#define MOCK_PARTITIONS 4

struct mock {
	rd_kafka_t *rk;
	rd_kafka_mock_cluster_t *cluster;
	struct cfg cfg;
};

static inline void mock_stop(struct mock *m)
{
	rd_kafka_mock_cluster_destroy(m->cluster);
	rd_kafka_destroy(m->rk);
}

static inline bool mock_start(struct mock *m)
{
	char text[256];

	m->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof(text));
	m->cluster = rd_kafka_mock_cluster_new(m->rk, 1);
	if (!m->cluster)
		return false;
	m->cfg = (struct cfg){ .kafka = { .brokers = rd_kafka_mock_cluster_bootstraps(m->cluster),
					  .topic_prefix = "t.",
					  .partitions = MOCK_PARTITIONS,
					  .replication = 1 } };
	for (int i = 0; i < TOPICS_N; i++) {
		snprintf(text, sizeof(text), "t.%s", topic_text((enum topic)i));
		rd_kafka_mock_topic_create(m->cluster, text, MOCK_PARTITIONS, 1);
	}
	return true;
}

#endif
