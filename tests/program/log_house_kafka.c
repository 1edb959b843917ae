/*
 * log_house_kafka.c - players as processes that talk to a real broker
 *
 * The one that orders has no thread and no client of its own, so it can fork at any time.
 */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "log_player.h"

struct child {
	pid_t pid;
	int to, from;
};

static struct child children[PLAYERS_MAX];
static int children_n;

/* ---- in the child ---- */

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
	char text[256];

	CHECK(rd_kafka_conf_set(conf, key, value, text, sizeof(text)) == RD_KAFKA_CONF_OK);
}

static rd_kafka_t *raw_producer(const char *id, int timeout_ms)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];
	rd_kafka_t *rk;

	set(conf, "bootstrap.servers", log_cfg.kafka.brokers);
	if (id) {
		snprintf(text, sizeof(text), "%d", timeout_ms);
		set(conf, "transaction.timeout.ms", text);
		snprintf(text, sizeof(text), "%s%s", log_prefix, id);
		set(conf, "transactional.id", text);
	}
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	CHECK(rk);
	if (id)
		CHECK(!rd_kafka_init_transactions(rk, 30000));
	return rk;
}

/* The handle stays, silent, until its transaction times out. */
static int foreign_txn(const struct order *o)
{
	rd_kafka_t *rk = raw_producer("nobody-m", o->ms);
	char name[128], text[] = "nobody's";

	snprintf(name, sizeof(name), "%s%s", log_prefix, topic_text(o->topic));
	CHECK(!rd_kafka_begin_transaction(rk));
	CHECK(!rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(name), RD_KAFKA_V_PARTITION(o->partition),
				 RD_KAFKA_V_KEY(text, 8), RD_KAFKA_V_VALUE(text, 8),
				 RD_KAFKA_V_END));
	return rd_kafka_flush(rk, 10000) ? -EIO : 0;
}

static int foreign_offset(const struct order *o)
{
	rd_kafka_t *rk = raw_producer("nobody-o", o->ms);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_consumer_group_metadata_t *group;
	char name[128];

	snprintf(name, sizeof(name), "%scorrelate", log_prefix);
	group = rd_kafka_consumer_group_metadata_new(name);
	snprintf(name, sizeof(name), "%s%s", log_prefix, topic_text(o->topic));
	rd_kafka_topic_partition_list_add(list, name, o->partition)->offset = o->from;
	CHECK(!rd_kafka_begin_transaction(rk));
	CHECK(!rd_kafka_send_offsets_to_transaction(rk, list, group, 10000));
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(list);
	return 0;
}

/* So that compaction has something to do within a second. */
static void make_small_state(void)
{
	static const char *const settings[][2] = {
		{ "cleanup.policy", "compact" },          { "segment.ms", "300" },
		{ "min.cleanable.dirty.ratio", "0.001" }, { "delete.retention.ms", "1000" },
		{ "max.message.bytes", "4194304" },
	};
	rd_kafka_t *rk = raw_producer(NULL, 0);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_NewTopic_t *t;
	rd_kafka_event_t *event;
	char name[128];

	snprintf(name, sizeof(name), "%sstate", log_prefix);
	t = rd_kafka_NewTopic_new(name, PARTS, 1, NULL, 0);
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		CHECK(!rd_kafka_NewTopic_set_config(t, settings[i][0], settings[i][1]));
	rd_kafka_CreateTopics(rk, &t, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, 30000);
	CHECK(event && !rd_kafka_event_error(event));
	rd_kafka_event_destroy(event);
	rd_kafka_NewTopic_destroy(t);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(rk);
}

static void obey(struct player *p, const struct order *o, struct answer *ret)
{
	*ret = (struct answer){ .r = 0 };
	switch (o->what) {
	case DO_FOREIGN_TXN:
		ret->r = foreign_txn(o);
		break;
	case DO_FOREIGN_OFFSET:
		ret->r = foreign_offset(o);
		break;
	case DO_SETUP:
		if (o->flag)
			make_small_state();
		player_do(p, o, ret);
		break;
	default:
		player_do(p, o, ret);
	}
}

static bool read_whole(int fd, void *to, size_t n)
{
	char *at = to;

	while (n > 0) {
		ssize_t got = read(fd, at, n);

		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

static void be_player(int from, int to)
{
	struct buf problem = BUF_EMPTY;
	struct player p = { .now_ms = clock_mono_ms, .wall_ms = clock_wall_ms };
	struct order o;
	struct answer ret;

	CHECK(log_open(&log_cfg, &p.log, &problem) == 0);
	while (read_whole(from, &o, sizeof(o))) {
		obey(&p, &o, &ret);
		CHECK(write(to, &ret, sizeof(ret)) == (ssize_t)sizeof(ret));
	}
	_exit(0);
}

/* ---- in the one that orders ---- */

static void begin(void)
{
	log_cfg.kafka.brokers = getenv("CALLSTREAM_BROKERS");
	CHECK(log_cfg.kafka.brokers);
	children_n = 0;
}

static void kill_child(int number)
{
	struct child *c = &children[number];

	if (c->pid <= 0)
		return;
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->to);
	close(c->from);
	c->pid = 0;
}

static void end(void)
{
	for (int i = 0; i < children_n; i++)
		kill_child(i);
}

static void end_early(void)
{
	end();
}

static int player(void)
{
	struct child *c = &children[children_n];
	int there[2], back[2];

	CHECK(children_n < PLAYERS_MAX && pipe(there) == 0 && pipe(back) == 0);
	if (children_n == 0)
		atexit(end_early);
	fflush(NULL);
	c->pid = fork();
	CHECK(c->pid >= 0);
	if (c->pid == 0) {
		children_n = 0;
		close(there[1]);
		close(back[0]);
		be_player(there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	c->to = there[1];
	c->from = back[0];
	return children_n++;
}

static void order(int number, const struct order *o, struct answer *ret)
{
	struct child *c = &children[number];

	CHECK(write(c->to, o, sizeof(*o)) == (ssize_t)sizeof(*o));
	CHECK(read_whole(c->from, ret, sizeof(*ret)));
}

static void stop_child(int number, bool stopped)
{
	kill(children[number].pid, stopped ? SIGSTOP : SIGCONT);
}

static void rest(int64_t ms)
{
	usleep((useconds_t)ms * 1000);
}

static void compact(enum topic topic)
{
	(void)topic;
	usleep(100000); /* the broker does it by itself */
}

/* It is stopped; someone else lets it go on. */
static void away(int64_t ms)
{
	const char *text = getenv("CALLSTREAM_BROKER_PID");
	pid_t broker = text ? (pid_t)atoi(text) : 0;

	CHECK(broker > 1 && kill(broker, SIGSTOP) == 0);
	if (fork() == 0) {
		usleep((useconds_t)ms * 1000);
		kill(broker, SIGCONT);
		_exit(0);
	}
}

const struct house house_kafka = {
	"kafka",    begin,         end,  player,  order, kill_child,
	stop_child, clock_mono_ms, rest, compact, away,
};
