#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/slog.h"
#include "log/kafka/kafka.h"

#define LOG_LINES_MAX     20u /* in a window, from all handles */
#define LOG_WINDOW_MS     10000
#define ERROR_STRING_SIZE 512

/* What every handle has; the config's properties may change these. */
static const struct kafka_setting common[] = {
	{ "client.id", "callstream" },      { "socket.keepalive.enable", "true" },
	{ "socket.nagle.disable", "true" }, { "log.connection.close", "false" },
	{ "reconnect.backoff.ms", "100" },  { "reconnect.backoff.max.ms", "1000" },
	{ "retry.backoff.ms", "100" },      { NULL, NULL },
};

/* What the guarantees stand on, and what has a key of its own in the config. */
static const char *const ours[] = {
	"bootstrap.servers",
	"metadata.broker.list",
	"group.id",
	"group.instance.id",
	"transactional.id",
	"enable.idempotence",
	"enable.gapless.guarantee",
	"acks",
	"request.required.acks",
	"isolation.level",
	"enable.auto.commit",
	"auto.commit.enable",
	"enable.auto.offset.store",
	"enable.partition.eof",
	"auto.offset.reset",
	"partitioner",
	"partition.assignment.strategy",
	"delivery.timeout.ms",
	"message.timeout.ms",
	"transaction.timeout.ms",
};

static bool is_ours(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		if (strcmp(ours[i], key) == 0)
			return true;
	}
	return false;
}

/* One broker that is away makes a line per handle and second: a window bounds them. */
static bool log_allowed(void)
{
	static _Atomic int64_t window_ms;
	static _Atomic unsigned lines;
	int64_t now_ms = clock_mono_ms(), began_ms = atomic_load(&window_ms);
	unsigned held = 0;

	if (now_ms - began_ms >= LOG_WINDOW_MS &&
	    atomic_compare_exchange_strong(&window_ms, &began_ms, now_ms)) {
		held = atomic_exchange(&lines, 0);
		if (held > LOG_LINES_MAX)
			SLOG(SLOG_WARN, "kafka client lines were held back",
			     SLOG_I("lines", held - LOG_LINES_MAX));
	}
	return atomic_fetch_add(&lines, 1) < LOG_LINES_MAX;
}

/* Of these the lines are no news: a producer's property given to a consumer (both are set from one
 * list), a coordinator that is still loading, and what the verdict tells too. */
static bool is_quiet(const char *facility)
{
	static const char *const quiet[] = { "CONFWARN", "GETPID", "TXNERR", "FATAL" };

	for (size_t i = 0; facility && i < ARRAY_LEN(quiet); i++) {
		if (strcmp(facility, quiet[i]) == 0)
			return true;
	}
	return false;
}

static enum slog_level level_of(int level, const char *facility)
{
	return level <= LOG_WARNING && !is_quiet(facility) ? SLOG_WARN : SLOG_DEBUG;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	enum slog_level slevel = level_of(level, facility);

	(void)rk;
	if (slevel > SLOG_DEBUG && !log_allowed())
		return;
	SLOG(slevel, "kafka client", SLOG_T("what", facility), SLOG_T("text", text));
}

/* The client goes on trying, and has told most in a line of its own; fatal ones come back from the
 * calls too. */
static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
	(void)rk;
	(void)opaque;
	if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !log_allowed())
		return;
	SLOG(SLOG_WARN, "kafka is not reachable, going on trying",
	     SLOG_T("code", rd_kafka_err2name((rd_kafka_resp_err_t)err)), SLOG_T("text", reason));
}

static int wrong(struct buf *problem, const char *key, const char *text)
{
	if (problem)
		buf_printf(problem, "kafka.properties.%s: %s", key, text);
	else
		SLOG(SLOG_ERROR, "wrong property of the kafka client", SLOG_T("key", key),
		     SLOG_T("text", text));
	return -EINVAL;
}

static int set_all(rd_kafka_conf_t *conf, const struct kafka_setting *settings, struct buf *problem)
{
	char text[ERROR_STRING_SIZE];

	for (size_t i = 0; settings[i].key; i++) {
		if (rd_kafka_conf_set(conf, settings[i].key, settings[i].value, text,
				      sizeof(text)) != RD_KAFKA_CONF_OK)
			return wrong(problem, settings[i].key, text);
	}
	return 0;
}

/* The text of the client would name the value, which may be a secret: it is not shown. */
static int set_property(rd_kafka_conf_t *conf, const struct cfg_pair *pair, struct buf *problem)
{
	char text[ERROR_STRING_SIZE];

	if (is_ours(pair->key))
		return wrong(problem, pair->key, "is set by callstream, allowed: other properties");
	switch (rd_kafka_conf_set(conf, pair->key, pair->value, text, sizeof(text))) {
	case RD_KAFKA_CONF_OK:
		return 0;
	case RD_KAFKA_CONF_UNKNOWN:
		return wrong(
		    problem, pair->key,
		    "librdkafka has no such property, allowed: those of its CONFIGURATION.md");
	case RD_KAFKA_CONF_INVALID:
	default:
		return wrong(
		    problem, pair->key,
		    "librdkafka does not take this value, allowed: see its CONFIGURATION.md");
	}
}

void kafka_conf_try(rd_kafka_conf_t *conf, const char *key, const char *value)
{
	char text[ERROR_STRING_SIZE];

	(void)rd_kafka_conf_set(conf, key, value, text, sizeof(text));
}

static int fill(const struct kafka *k, const struct kafka_setting *settings, struct buf *problem,
		rd_kafka_conf_t *conf)
{
	const struct kafka_setting brokers[] = {
		{ "bootstrap.servers", k->cfg->kafka.brokers },
		{ NULL, NULL },
	};
	int r = set_all(conf, brokers, problem);

	if (r == 0)
		r = set_all(conf, common, problem);
	/* A full local queue is looked at again soon; librdkafka before 2.2 waits for a second. */
	kafka_conf_try(conf, "fetch.queue.backoff.ms", "10");
	if (r == 0)
		r = set_all(conf, settings, problem);
	for (size_t i = 0; r == 0 && i < k->cfg->kafka.properties_n; i++)
		r = set_property(conf, &k->cfg->kafka.properties[i], problem);
	return r;
}

int kafka_conf_new(const struct kafka *k, const struct kafka_setting *settings, struct buf *problem,
		   rd_kafka_conf_t **ret)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	int r;

	if (!conf)
		return -ENOMEM;
	r = fill(k, settings, problem, conf);
	if (r < 0) {
		rd_kafka_conf_destroy(conf);
		return r;
	}
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	*ret = conf;
	return 0;
}

int kafka_handle_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **ret)
{
	char text[ERROR_STRING_SIZE];
	rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof(text));

	if (!rk) {
		rd_kafka_conf_destroy(conf);
		SLOG(SLOG_ERROR, "kafka client cannot be made", SLOG_T("text", text));
		return -EINVAL;
	}
	*ret = rk;
	return 0;
}

rd_kafka_t *kafka_meta(struct kafka *k)
{
	static const struct kafka_setting settings[] = {
		{ "isolation.level", "read_uncommitted" },
		{ "enable.auto.commit", "false" },
		{ NULL, NULL },
	};
	rd_kafka_conf_t *conf;
	rd_kafka_t *meta;

	pthread_mutex_lock(&k->lock);
	if (!k->meta && kafka_conf_new(k, settings, NULL, &conf) == 0 &&
	    kafka_handle_new(RD_KAFKA_CONSUMER, conf, &meta) == 0)
		k->meta = meta;
	meta = k->meta;
	pthread_mutex_unlock(&k->lock);
	return meta;
}

void kafka_topic_name(const struct kafka *k, enum topic topic, char out[KAFKA_NAME_SIZE])
{
	snprintf(out, KAFKA_NAME_SIZE, "%s%s", k->cfg->kafka.topic_prefix, topic_text(topic));
}

enum topic kafka_topic_find(const struct kafka *k, const char *name)
{
	struct slice rest = slice_of(name), prefix = slice_of(k->cfg->kafka.topic_prefix);
	int topic;

	if (!slice_starts(rest, prefix))
		return TOPICS_N;
	rest = slice_skip(rest, prefix.n);
	for (topic = 0; topic < TOPICS_N; topic++) {
		if (slice_is(rest, topic_text((enum topic)topic)))
			break;
	}
	return (enum topic)topic;
}
