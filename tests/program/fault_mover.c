#include "fault_mover.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "log/log.h"

char prefix[128];
const char *brokers;
unsigned partitions = 1;

static rd_kafka_t *producer(const char *id)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text));
	if (id) {
		rd_kafka_conf_set(conf, "transactional.id", id, text, sizeof(text));
		rd_kafka_conf_set(conf, "transaction.timeout.ms", "300000", text, sizeof(text));
	}
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	CHECK(rk && (!id || !rd_kafka_init_transactions(rk, 30000)));
	return rk;
}

/* Puts an offset of the correlators into the transaction, for the first n partitions. */
static void send_offsets(rd_kafka_t *rk, int64_t offset, unsigned n)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
	rd_kafka_consumer_group_metadata_t *group;
	char name[256];

	snprintf(name, sizeof(name), "%scorrelate", prefix);
	group = rd_kafka_consumer_group_metadata_new(name);
	snprintf(name, sizeof(name), "%sevents", prefix);
	for (unsigned i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, name, (int32_t)i)->offset = offset;
	CHECK(!rd_kafka_send_offsets_to_transaction(rk, list, group, 10000));
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(list);
}

static void begin_offsets(rd_kafka_t *rk, int64_t offset)
{
	CHECK(!rd_kafka_begin_transaction(rk));
	send_offsets(rk, offset, 1);
}

/* A message that nobody wants into each partition; returns when the broker has them. */
static void put_messages(rd_kafka_t *rk, const char *topic)
{
	char name[256], text[] = "nobody";

	snprintf(name, sizeof(name), "%s%s", prefix, topic);
	for (unsigned i = 0; i < partitions; i++)
		CHECK(!rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(name),
					 RD_KAFKA_V_PARTITION((int32_t)i), RD_KAFKA_V_KEY(text, 6),
					 RD_KAFKA_V_VALUE(text, 6), RD_KAFKA_V_END));
	CHECK(!rd_kafka_flush(rk, 20000));
}

/* Until the input ends; then it is aborted, as the broker does when its time is over. */
static void hold(rd_kafka_t *rk)
{
	char c;

	CHECK(write(1, "held\n", 5) == 5);
	while (read(0, &c, 1) > 0)
		;
	rd_kafka_abort_transaction(rk, 10000);
	rd_kafka_destroy(rk);
}

void hold_offset(void)
{
	rd_kafka_t *rk = producer("fault-hold");

	begin_offsets(rk, 0);
	hold(rk);
}

void hold_messages(void)
{
	rd_kafka_t *rk = producer("fault-hold-messages");

	CHECK(!rd_kafka_begin_transaction(rk));
	put_messages(rk, "calls");
	put_messages(rk, "state");
	hold(rk);
}

void hold_all(void)
{
	rd_kafka_t *rk = producer("fault-hold-all");

	CHECK(!rd_kafka_begin_transaction(rk));
	put_messages(rk, "calls");
	put_messages(rk, "state");
	send_offsets(rk, 0, partitions);
	hold(rk);
}

void move_offset_away(void)
{
	rd_kafka_t *rk = producer("fault-away");

	begin_offsets(rk, 1000000);
	CHECK(!rd_kafka_commit_transaction(rk, 10000));
	rd_kafka_destroy(rk);
}

static int64_t end_of(const char *level, const char *topic, int32_t partition)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256], name[256];
	int64_t low, high;
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text));
	rd_kafka_conf_set(conf, "isolation.level", level, text, sizeof(text));
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	CHECK(rk);
	snprintf(name, sizeof(name), "%s%s", prefix, topic);
	CHECK(!rd_kafka_query_watermark_offsets(rk, name, partition, &low, &high, 20000));
	rd_kafka_destroy(rk);
	return high;
}

void tell_open(void)
{
	for (unsigned i = 0; i < partitions; i++) {
		int64_t stable = end_of("read_committed", "state", (int32_t)i);

		if (stable != end_of("read_uncommitted", "state", (int32_t)i))
			printf("%u\n", i);
	}
}

/* Waits for the answer to what was asked for. */
static void answered(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);

	CHECK(event && !rd_kafka_event_error(event));
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
}

static void drop_topic(const char *topic)
{
	rd_kafka_t *rk = producer(NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_DeleteTopic_t *drop;
	char name[256];

	snprintf(name, sizeof(name), "%s%s", prefix, topic);
	drop = rd_kafka_DeleteTopic_new(name);
	rd_kafka_DeleteTopics(rk, &drop, 1, NULL, queue);
	answered(queue);
	rd_kafka_DeleteTopic_destroy(drop);
	rd_kafka_destroy(rk);
}

static void make_topics(void)
{
	struct buf problem = BUF_EMPTY;
	const struct cfg cfg = { .kafka = { .brokers = brokers,
					    .topic_prefix = prefix,
					    .partitions = partitions,
					    .replication = 1,
					    .create_topics = true } };
	struct log *log;

	CHECK(log_open(&cfg, &log, &problem) == 0);
	CHECK(log_setup_topics(log, clock_mono_ms() + 30000, &problem) == 0);
	buf_fini(&problem);
	log_close(log);
}

void make_events_anew(void)
{
	drop_topic("events");
	make_topics();
}

void make_calls_anew(void)
{
	drop_topic("calls");
	drop_topic("tasks");
	make_topics();
}

void make_small_state(void)
{
	static const char *const settings[][2] = {
		{ "cleanup.policy", "compact" },    { "segment.ms", "300" },
		{ "segment.bytes", "1048576" },     { "min.cleanable.dirty.ratio", "0.01" },
		{ "delete.retention.ms", "100" },   { "min.compaction.lag.ms", "0" },
		{ "max.compaction.lag.ms", "500" }, { "max.message.bytes", "4194304" },
	};
	rd_kafka_t *rk = producer(NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_NewTopic_t *topic;
	char name[256];

	snprintf(name, sizeof(name), "%sstate", prefix);
	topic = rd_kafka_NewTopic_new(name, (int)partitions, 1, NULL, 0);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		CHECK(!rd_kafka_NewTopic_set_config(topic, settings[i][0], settings[i][1]));
	rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
	answered(queue);
	rd_kafka_NewTopic_destroy(topic);
	rd_kafka_destroy(rk);
}

void grow_events(void)
{
	rd_kafka_t *rk = producer(NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_NewPartitions_t *more;
	char name[256], text[128];

	snprintf(name, sizeof(name), "%sevents", prefix);
	more = rd_kafka_NewPartitions_new(name, 2, text, sizeof(text));
	CHECK(more);
	rd_kafka_CreatePartitions(rk, &more, 1, NULL, queue);
	answered(queue);
	rd_kafka_NewPartitions_destroy(more);
	rd_kafka_destroy(rk);
}
