/*
 * topics.c - the topics of the contract: made when missing, checked when there
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"
#include "log/kafka/kafka.h"

#define SETTINGS_MAX 8
#define RETRY_US     100000
#define TEXT_SIZE    512

/* contract.md 3; cleanup is compared with what an existing topic has. */
static const struct topic_row {
	const char *cleanup;
	struct kafka_setting settings[SETTINGS_MAX];
} rows[TOPICS_N] = {
	[TOPIC_EVENTS] = { "delete",
			   { { "retention.ms", "604800000" },
			     { "message.timestamp.type", "LogAppendTime" },
			     { "max.message.bytes", "4194304" } } },
	[TOPIC_LIVE] = { "compact,delete", { { "retention.ms", "86400000" } } },
	[TOPIC_CALLS] = { "delete",
			  { { "retention.ms", "2592000000" },
			    { "max.message.bytes", "4194304" } } },
	[TOPIC_STATE] = { "compact",
			  { { "segment.ms", "600000" },
			    { "segment.bytes", "67108864" },
			    { "min.cleanable.dirty.ratio", "0.1" },
			    { "max.message.bytes", "4194304" } } },
	/* A task carries a whole record or a vendor's request. */
	[TOPIC_TASKS] = { "delete",
			  { { "retention.ms", "604800000" }, { "max.message.bytes", "4194304" } } },
	[TOPIC_DELIVERIES] = { "compact,delete",
			       { { "retention.ms", "2592000000" },
				 { "max.message.bytes", "4194304" } } },
	[TOPIC_DEAD] = { "delete",
			 { { "retention.ms", "2592000000" }, { "max.message.bytes", "4194304" } } },
};

/* ---- waiting for an answer of the admin calls ---- */

static rd_kafka_event_t *wait_for(rd_kafka_queue_t *queue, rd_kafka_event_type_t type,
				  int64_t deadline_ms)
{
	for (;;) {
		int left_ms = kafka_left_ms(deadline_ms, KAFKA_ASK_MS);
		rd_kafka_event_t *event = rd_kafka_queue_poll(queue, left_ms);

		if (event && rd_kafka_event_type(event) == type)
			return event;
		if (event)
			rd_kafka_event_destroy(event);
		if (left_ms == 0)
			return NULL;
	}
}

static rd_kafka_AdminOptions_t *options_new(rd_kafka_t *meta, rd_kafka_admin_op_t op)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(meta, op);
	char text[TEXT_SIZE];

	if (options && rd_kafka_AdminOptions_set_request_timeout(
			   options, KAFKA_ASK_MS, text, sizeof(text)) != RD_KAFKA_RESP_ERR_NO_ERROR)
		SLOG(SLOG_WARN, "time-out of an admin call cannot be set", SLOG_T("text", text));
	return options;
}

/* ---- what is there ---- */

struct found {
	int32_t partitions[TOPICS_N]; /* 0: missing */
	bool led[TOPICS_N];           /* every partition has a leader */
};

static bool has_leaders(const rd_kafka_metadata_topic_t *t)
{
	for (int i = 0; i < t->partition_cnt; i++) {
		if (t->partitions[i].leader < 0)
			return false;
	}
	return t->partition_cnt > 0;
}

static int look(struct kafka *k, rd_kafka_t *meta, int timeout_ms, struct found *ret)
{
	const struct rd_kafka_metadata *md;
	rd_kafka_resp_err_t err = rd_kafka_metadata(meta, 1, NULL, &md, timeout_ms);

	*ret = (struct found){ 0 };
	if (err)
		return -EAGAIN;
	for (int i = 0; i < md->topic_cnt; i++) {
		const rd_kafka_metadata_topic_t *t = &md->topics[i];
		enum topic topic = kafka_topic_find(k, t->topic);

		if (topic == TOPICS_N || t->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			continue;
		ret->partitions[topic] = t->partition_cnt;
		ret->led[topic] = has_leaders(t);
	}
	rd_kafka_metadata_destroy(md);
	return 0;
}

static bool missing(const struct found *f)
{
	for (int i = 0; i < TOPICS_N; i++) {
		if (f->partitions[i] == 0)
			return true;
	}
	return false;
}

static bool all_led(const struct found *f)
{
	for (int i = 0; i < TOPICS_N; i++) {
		if (!f->led[i])
			return false;
	}
	return true;
}

/* ---- making ---- */

static int add_setting(rd_kafka_NewTopic_t *topic, const char *key, const char *value)
{
	return rd_kafka_NewTopic_set_config(topic, key, value) == RD_KAFKA_RESP_ERR_NO_ERROR
		   ? 0
		   : -ENOMEM;
}

static rd_kafka_NewTopic_t *new_topic(const struct kafka *k, enum topic topic)
{
	const struct topic_row *row = &rows[topic];
	char name[KAFKA_NAME_SIZE], isr[16], text[TEXT_SIZE];
	uint32_t replication = k->cfg->kafka.replication;
	rd_kafka_NewTopic_t *t;
	int r;

	kafka_topic_name(k, topic, name);
	t = rd_kafka_NewTopic_new(name, (int)k->cfg->kafka.partitions, (int)replication, text,
				  sizeof(text));
	if (!t)
		return NULL;
	snprintf(isr, sizeof(isr), "%u", replication > 1 ? replication - 1 : 1);
	r = add_setting(t, "cleanup.policy", row->cleanup);
	if (r == 0)
		r = add_setting(t, "min.insync.replicas", isr);
	for (size_t i = 0; r == 0 && i < SETTINGS_MAX && row->settings[i].key; i++)
		r = add_setting(t, row->settings[i].key, row->settings[i].value);
	if (r < 0) {
		rd_kafka_NewTopic_destroy(t);
		return NULL;
	}
	return t;
}

/* Waiting helps where brokers are still coming; the settings themselves do not mend. */
static int created(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: /* another process was quicker */
		return 0;
	case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
	case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
		return -EINVAL;
	default:
		return -EAGAIN;
	}
}

static int read_created(rd_kafka_event_t *event, struct buf *problem)
{
	const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
	const rd_kafka_topic_result_t **topics;
	size_t topics_n;
	int worst = 0;

	if (rd_kafka_event_error(event))
		return -EAGAIN;
	topics = rd_kafka_CreateTopics_result_topics(result, &topics_n);
	for (size_t i = 0; i < topics_n; i++) {
		int r = created(rd_kafka_topic_result_error(topics[i]));
		const char *text = rd_kafka_topic_result_error_string(topics[i]);

		if (r == 0 || worst == -EINVAL)
			continue;
		worst = r;
		buf_reset(problem);
		buf_printf(problem, "topic %s cannot be created: %s",
			   rd_kafka_topic_result_name(topics[i]), text ? text : "no reason given");
	}
	return worst;
}

static int create_missing(struct kafka *k, rd_kafka_t *meta, const struct found *f,
			  int64_t deadline_ms, struct buf *problem)
{
	rd_kafka_AdminOptions_t *options = options_new(meta, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(meta);
	rd_kafka_NewTopic_t *topics[TOPICS_N];
	rd_kafka_event_t *event;
	size_t n = 0;
	int r = options && queue ? 0 : -ENOMEM;

	for (int i = 0; r == 0 && i < TOPICS_N; i++) {
		if (f->partitions[i] > 0)
			continue;
		topics[n] = new_topic(k, (enum topic)i);
		if (topics[n])
			n++;
		else
			r = -ENOMEM;
	}
	if (r == 0) {
		rd_kafka_CreateTopics(meta, topics, n, options, queue);
		event = wait_for(queue, RD_KAFKA_EVENT_CREATETOPICS_RESULT, deadline_ms);
		r = event ? read_created(event, problem) : -EAGAIN;
		if (event)
			rd_kafka_event_destroy(event);
	}
	rd_kafka_NewTopic_destroy_array(topics, n);
	if (queue)
		rd_kafka_queue_destroy(queue);
	if (options)
		rd_kafka_AdminOptions_destroy(options);
	return r;
}

static int say_missing(const struct kafka *k, const struct found *f, struct buf *problem)
{
	char name[KAFKA_NAME_SIZE];

	for (int i = 0; i < TOPICS_N; i++) {
		if (f->partitions[i] > 0)
			continue;
		kafka_topic_name(k, (enum topic)i, name);
		buf_reset(problem);
		buf_printf(problem, "topic %s does not exist and kafka.create_topics is off", name);
		break;
	}
	return -EAGAIN;
}

/* ---- checking ---- */

static int check_partitions(const struct kafka *k, const struct found *f, struct buf *problem)
{
	char name[KAFKA_NAME_SIZE];

	for (int i = 0; i < TOPICS_N; i++) {
		if (f->partitions[i] == (int32_t)k->cfg->kafka.partitions)
			continue;
		kafka_topic_name(k, (enum topic)i, name);
		buf_reset(problem);
		buf_printf(problem, "topic %s has %d partitions, kafka.partitions is %u", name,
			   (int)f->partitions[i], k->cfg->kafka.partitions);
		return -EINVAL;
	}
	return 0;
}

static bool has_word(struct slice list, struct slice word)
{
	while (list.n > 0) {
		if (slice_eq(slice_trim(slice_cut(&list, ',')), word))
			return true;
	}
	return false;
}

static bool has_words_of(struct slice list, struct slice other)
{
	while (other.n > 0) {
		if (!has_word(list, slice_trim(slice_cut(&other, ','))))
			return false;
	}
	return true;
}

/* "delete,compact" and "compact,delete" are the same policy. */
static bool same_policy(struct slice a, struct slice b)
{
	return has_words_of(a, b) && has_words_of(b, a);
}

static const char *entry_value(const rd_kafka_ConfigResource_t *res, const char *name)
{
	size_t n;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(res, &n);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
			return rd_kafka_ConfigEntry_value(entries[i]);
	}
	return NULL;
}

static int check_resource(const struct kafka *k, const rd_kafka_ConfigResource_t *res,
			  struct buf *problem)
{
	const char *name = rd_kafka_ConfigResource_name(res), *policy;
	enum topic topic = kafka_topic_find(k, name);

	if (rd_kafka_ConfigResource_error(res))
		return kafka_verdict_code(rd_kafka_ConfigResource_error(res)) == -EAGAIN ? -EAGAIN
											 : -EPIPE;
	policy = entry_value(res, "cleanup.policy");
	if (topic == TOPICS_N || !policy ||
	    same_policy(slice_of(policy), slice_of(rows[topic].cleanup)))
		return 0;
	buf_reset(problem);
	buf_printf(problem, "topic %s has cleanup.policy %s, wanted is %s", name, policy,
		   rows[topic].cleanup);
	return -EINVAL;
}

static int read_described(const struct kafka *k, rd_kafka_event_t *event, struct buf *problem)
{
	const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(
	    event);
	const rd_kafka_ConfigResource_t **resources;
	size_t n;
	int r = 0;

	if (rd_kafka_event_error(event))
		return -EAGAIN;
	resources = rd_kafka_DescribeConfigs_result_resources(result, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_resource(k, resources[i], problem);
	return r;
}

static int check_policies(struct kafka *k, rd_kafka_t *meta, int64_t deadline_ms,
			  struct buf *problem)
{
	rd_kafka_AdminOptions_t *options = options_new(meta, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(meta);
	rd_kafka_ConfigResource_t *resources[TOPICS_N];
	char name[KAFKA_NAME_SIZE];
	rd_kafka_event_t *event;
	int r = options && queue ? 0 : -ENOMEM;

	for (int i = 0; i < TOPICS_N; i++) {
		kafka_topic_name(k, (enum topic)i, name);
		resources[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
	}
	if (r == 0) {
		rd_kafka_DescribeConfigs(meta, resources, TOPICS_N, options, queue);
		event = wait_for(queue, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT, deadline_ms);
		r = event ? read_described(k, event, problem) : -EAGAIN;
		if (event)
			rd_kafka_event_destroy(event);
	}
	rd_kafka_ConfigResource_destroy_array(resources, TOPICS_N);
	if (queue)
		rd_kafka_queue_destroy(queue);
	if (options)
		rd_kafka_AdminOptions_destroy(options);
	return r;
}

/* A topic just made answers NOT_LEADER for a moment: its leaders are asked before anyone writes. */
static int check_usable(struct kafka *k, rd_kafka_t *meta, int timeout_ms)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(
	    (int)(TOPICS_N * k->cfg->kafka.partitions));
	char name[KAFKA_NAME_SIZE];
	rd_kafka_resp_err_t err;

	if (!list)
		return -ENOMEM;
	for (int i = 0; i < TOPICS_N; i++) {
		kafka_topic_name(k, (enum topic)i, name);
		for (int32_t p = 0; p < (int32_t)k->cfg->kafka.partitions; p++)
			rd_kafka_topic_partition_list_add(list, name, p)->offset =
			    RD_KAFKA_OFFSET_END;
	}
	err = rd_kafka_offsets_for_times(meta, list, timeout_ms);
	for (int i = 0; !err && i < list->cnt; i++)
		err = list->elems[i].err;
	rd_kafka_topic_partition_list_destroy(list);
	return err ? -EAGAIN : 0;
}

static int setup_once(struct kafka *k, rd_kafka_t *meta, int64_t deadline_ms, struct buf *problem)
{
	struct found f;
	int r = look(k, meta, kafka_left_ms(deadline_ms, KAFKA_ASK_MS), &f);

	if (r < 0)
		return r;
	if (missing(&f)) {
		if (!k->cfg->kafka.create_topics)
			return say_missing(k, &f, problem);
		r = create_missing(k, meta, &f, deadline_ms, problem);
		return r < 0 ? r : -EAGAIN; /* look again */
	}
	r = check_partitions(k, &f, problem);
	if (r == 0)
		r = check_policies(k, meta, deadline_ms, problem);
	if (r == 0 && !all_led(&f))
		r = -EAGAIN;
	if (r == 0)
		r = check_usable(k, meta, kafka_left_ms(deadline_ms, KAFKA_ASK_MS));
	return r;
}

int kafka_setup_topics(struct log *log, int64_t deadline_ms, struct buf *problem)
{
	struct kafka *k = kafka_of(log);
	rd_kafka_t *meta = kafka_meta(k);
	int r;

	if (!meta)
		return -EINVAL;
	for (;;) {
		r = setup_once(k, meta, deadline_ms, problem);
		if (r != -EAGAIN)
			break;
		if (clock_mono_ms() >= deadline_ms)
			return -EAGAIN;
		usleep(RETRY_US);
	}
	if (r == 0)
		buf_reset(problem);
	for (int i = 0; r == 0 && i < TOPICS_N; i++)
		atomic_store(&k->partitions[i], (int32_t)k->cfg->kafka.partitions);
	return r;
}

static int ask_partitions(struct kafka *k, rd_kafka_t *meta, enum topic topic, int timeout_ms)
{
	const struct rd_kafka_metadata *md;
	rd_kafka_topic_t *rkt;
	char name[KAFKA_NAME_SIZE];
	int r = -EAGAIN;

	kafka_topic_name(k, topic, name);
	rkt = rd_kafka_topic_new(meta, name, NULL);
	if (!rkt)
		return -ENOMEM;
	if (!rd_kafka_metadata(meta, 0, rkt, &md, timeout_ms)) {
		if (md->topic_cnt == 1 && md->topics[0].err == 0 && md->topics[0].partition_cnt > 0)
			r = md->topics[0].partition_cnt;
		else if (md->topic_cnt == 1 &&
			 md->topics[0].err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			r = -ENOENT;
		rd_kafka_metadata_destroy(md);
	}
	rd_kafka_topic_destroy(rkt);
	return r;
}

int kafka_partitions(struct log *log, enum topic topic, int64_t deadline_ms)
{
	struct kafka *k = kafka_of(log);
	rd_kafka_t *meta = kafka_meta(k);
	int r = atomic_load(&k->partitions[topic]);

	if (r > 0)
		return r;
	if (!meta)
		return -EINVAL;
	for (;;) {
		r = ask_partitions(k, meta, topic, kafka_left_ms(deadline_ms, KAFKA_ASK_MS));
		if (r != -EAGAIN || clock_mono_ms() >= deadline_ms)
			break;
		usleep(RETRY_US);
	}
	if (r > 0)
		atomic_store(&k->partitions[topic], r);
	return r;
}
