/*
 * log_probe.c - the Kafka back end on a real broker, one scenario a run: log_probe SCENARIO
 *
 * CALLSTREAM_BROKERS names the broker; each run has topics of its own. Exit 0, or 1 with what was
 * not so. A process as a whole is what can be stopped, so some scenarios fork.
 */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/slog.h"
#include "log_mover.h"

/* ---- writing and reading ---- */

static _Atomic int64_t acked_n;

static void acked(void *arg, int err)
{
	(void)arg;
	CHECK(err == 0);
	atomic_fetch_add(&acked_n, 1);
}

static void append_within(struct log *log, int n, int64_t per_ms, int64_t timeout_ms)
{
	struct log_appender *a = NULL;
	char key[24];

	CHECK(log_appender_new(log, timeout_ms, &a) == 0);
	for (int i = 0; i < n; i++) {
		int len = snprintf(key, sizeof(key), "key %d", i);

		while (log_append(a, TOPIC_EVENTS, i % PARTS, slice_make(key, (size_t)len),
				  SLICE("{\"event\":\"of some length, as they are in life\"}"),
				  acked, NULL) == -EAGAIN)
			log_appender_poll(a, 5);
		if (per_ms && i % (int)per_ms == 0) {
			usleep(1000);
			log_appender_poll(a, 0);
		}
	}
	CHECK(log_appender_drain(a, soon(timeout_ms)) == 0);
	log_appender_free(a);
}

static void append(struct log *log, int n, int64_t per_ms)
{
	append_within(log, n, per_ms, 30000);
}

struct seen {
	int64_t n, next;
	bool ordered;
};

/* calls must say 0, 1, 2, ... once each */
static int see(void *arg, const struct log_msg *msg)
{
	struct seen *s = arg;
	int64_t value = -1;

	CHECK(slice_i64(msg->value, &value) == 0);
	if (value != s->next)
		s->ordered = false;
	s->next = value + 1;
	s->n++;
	return 0;
}

static int64_t high(struct log *log, enum topic topic, int32_t p)
{
	int64_t h = -1;

	CHECK(log_high_watermark(log, topic, p, soon(10000), &h) == 0);
	return h;
}

static int64_t count_calls(struct log *log)
{
	int64_t n = 0;

	for (int p = 0; p < PARTS; p++) {
		struct seen s = { 0, 0, true };

		CHECK(log_read_partition(log, TOPIC_CALLS, p, LOG_BEGIN, high(log, TOPIC_CALLS, p),
					 soon(30000), see, &s) == 0);
		CHECK(s.ordered);
		n += s.n;
	}
	return n;
}

static int count_one(void *arg, const struct log_msg *msg)
{
	(void)msg;
	++*(int *)arg;
	return 0;
}

static int stop_at_first(void *arg, const struct log_msg *msg)
{
	(void)msg;
	++*(int *)arg;
	return 1;
}

/* ---- scenarios ---- */

static void topics(void)
{
	struct buf problem = BUF_EMPTY;
	struct log *log = open_ready();
	struct log *other;

	CHECK(log_partitions(log, TOPIC_EVENTS, soon(5000)) == PARTS);
	log_close(log);
	/* a second process finds them as they should be */
	log = open_ready();
	log_close(log);
	cfg.kafka.partitions = PARTS + 1;
	other = open_log();
	CHECK(log_partitions(other, TOPIC_DEAD, soon(5000)) == PARTS);
	CHECK(log_setup_topics(other, soon(10000), &problem) == -EINVAL);
	CHECK(slice_starts(buf_slice(&problem), SLICE("topic probe-")));
	CHECK(slice_ends(buf_slice(&problem),
			 SLICE("events has 4 partitions, kafka.partitions is 5")));
	log_close(other);
	/* missing, and not to be made */
	snprintf(prefix, sizeof(prefix), "probe-none-%d.", (int)getpid());
	cfg.kafka.create_topics = false;
	other = open_log();
	CHECK(log_partitions(other, TOPIC_EVENTS, soon(3000)) == -ENOENT);
	CHECK(log_setup_topics(other, soon(300), &problem) == -EAGAIN);
	CHECK(slice_ends(buf_slice(&problem),
			 SLICE("does not exist and kafka.create_topics is off")));
	buf_fini(&problem);
	log_close(other);
}

/* A topic that somebody made with Kafka's own settings. */
static void make_foreign(const char *topic)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];
	rd_kafka_NewTopic_t *t;
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *event;
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", cfg.kafka.brokers, text, sizeof(text));
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	CHECK(rk);
	queue = rd_kafka_queue_new(rk);
	snprintf(text, sizeof(text), "%s%s", prefix, topic);
	t = rd_kafka_NewTopic_new(text, PARTS, 1, NULL, 0);
	rd_kafka_CreateTopics(rk, &t, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, 20000);
	CHECK(event && !rd_kafka_event_error(event));
	rd_kafka_event_destroy(event);
	rd_kafka_NewTopic_destroy(t);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(rk);
}

static void policy(void)
{
	struct buf problem = BUF_EMPTY;
	struct log *log = open_log();

	make_foreign("state");
	CHECK(log_setup_topics(log, soon(20000), &problem) == -EINVAL);
	CHECK(slice_ends(buf_slice(&problem),
			 SLICE("state has cleanup.policy delete, wanted is compact")));
	buf_fini(&problem);
	log_close(log);
}

static void *setup_thread(void *arg)
{
	struct log *log = open_ready();

	(void)arg;
	log_close(log);
	return NULL;
}

static void topics_together(void)
{
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, setup_thread, NULL) == 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}

/* Messages of a transaction leave the client a little later. */
static void wait_high(struct log *log, int64_t want)
{
	int64_t deadline_ms = soon(20000);

	while (high(log, TOPIC_STATE, 1) < want) {
		CHECK(clock_mono_ms() < deadline_ms);
		usleep(5000);
	}
}

/* Committed, aborted, open, committed behind the open one: what a reader sees of each. */
static void view(void)
{
	static const struct slice key = { "k", 1 };
	struct log *log = open_ready();
	struct mover a = { 0 }, b = { 0 };
	struct log_msg msg;
	int n = 0;

	start_mover(&a, log, "a");
	poll_until_owned(&a, PARTS);
	start_mover(&b, log, "b");
	while (log_worker_poll(b.w, 50, &msg) == -EAGAIN)
		;
	/* a: committed, then aborted */
	CHECK(log_txn_produce(a.w, TOPIC_STATE, 1, key, SLICE("1"), false) == 0);
	CHECK(log_txn_open(a.w));
	CHECK(log_txn_commit(a.w, NULL, 0) == 0);
	CHECK(!log_txn_open(a.w));
	CHECK(log_txn_produce(a.w, TOPIC_STATE, 1, key, SLICE("2"), false) == 0);
	wait_high(log, 3);
	CHECK(log_txn_abort(a.w) == 0);
	CHECK(log_txn_abort(a.w) == 0);
	CHECK(log_txn_commit(a.w, NULL, 0) == 0);
	CHECK(log_read_partition(log, TOPIC_STATE, 1, LOG_BEGIN, high(log, TOPIC_STATE, 1),
				 soon(20000), count_one, &n) == 0);
	CHECK(n == 1);
	/* b leaves one open, a commits behind it: hidden, and the end is not reached */
	CHECK(log_txn_produce(b.w, TOPIC_STATE, 1, key, SLICE("3"), false) == 0);
	wait_high(log, 5);
	CHECK(log_txn_produce(a.w, TOPIC_STATE, 1, key, SLICE_NONE, true) == 0);
	CHECK(log_txn_commit(a.w, NULL, 0) == 0);
	n = 0;
	CHECK(log_read_partition(log, TOPIC_STATE, 1, LOG_BEGIN, high(log, TOPIC_STATE, 1),
				 soon(1500), count_one, &n) == -EAGAIN);
	CHECK(n == 1);
	CHECK(log_txn_abort(b.w) == 0);
	n = 0;
	CHECK(log_read_partition(log, TOPIC_STATE, 1, LOG_BEGIN, high(log, TOPIC_STATE, 1),
				 soon(20000), count_one, &n) == 0);
	CHECK(n == 2);
	n = 0;
	CHECK(log_read_partition(log, TOPIC_STATE, 1, LOG_BEGIN, high(log, TOPIC_STATE, 1),
				 soon(20000), stop_at_first, &n) == 1);
	CHECK(n == 1);
	/* an empty partition, and a start at the end, are done at once */
	CHECK(log_read_partition(log, TOPIC_STATE, 0, LOG_BEGIN, 0, soon(0), count_one, &n) == 0);
	CHECK(log_read_partition(log, TOPIC_STATE, 1, 6, 6, soon(0), count_one, &n) == 0);
	log_worker_free(b.w);
	log_worker_free(a.w);
	log_close(log);
}

/* The second producer of an id ends the first one, whose open transaction is gone. */
static void fencing(void)
{
	struct log *log = open_ready();
	struct mover a = { 0 }, b = { 0 };
	struct log_msg msg;
	int r, n = 0;

	start_mover(&a, log, "same");
	poll_until_owned(&a, PARTS);
	CHECK(log_txn_produce(a.w, TOPIC_STATE, 0, SLICE("k"), SLICE("a"), false) == 0);
	start_mover(&b, log, "same");
	while ((r = log_worker_poll(b.w, 100, &msg)) == -EAGAIN)
		;
	CHECK(r == 0);
	CHECK(log_txn_commit(a.w, NULL, 0) == -EPIPE);
	CHECK(!log_txn_open(a.w));
	CHECK(log_txn_produce(a.w, TOPIC_STATE, 0, SLICE("k"), SLICE("a"), false) == -EPIPE);
	CHECK(log_worker_poll(a.w, 0, &msg) == -EPIPE);
	CHECK(log_txn_produce(b.w, TOPIC_STATE, 0, SLICE("k"), SLICE("b"), false) == 0);
	CHECK(log_txn_commit(b.w, NULL, 0) == 0);
	CHECK(log_read_partition(log, TOPIC_STATE, 0, LOG_BEGIN, high(log, TOPIC_STATE, 0),
				 soon(20000), count_one, &n) == 0);
	CHECK(n == 1);
	log_worker_free(a.w);
	log_worker_free(b.w);
	log_close(log);
}

/* Offsets in a transaction by the client's own calls, left open. */
static rd_kafka_t *raw_producer(const char *id, const char *timeout_ms)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", cfg.kafka.brokers, text, sizeof(text));
	rd_kafka_conf_set(conf, "transactional.id", id, text, sizeof(text));
	rd_kafka_conf_set(conf, "transaction.timeout.ms", timeout_ms, text, sizeof(text));
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	CHECK(rk && !rd_kafka_init_transactions(rk, 30000));
	return rk;
}

static void raw_offsets(rd_kafka_t *rk, int64_t offset, bool commit_it)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_consumer_group_metadata_t *group;
	char name[128];

	snprintf(name, sizeof(name), "%scorrelate", prefix);
	group = rd_kafka_consumer_group_metadata_new(name);
	snprintf(name, sizeof(name), "%sevents", prefix);
	rd_kafka_topic_partition_list_add(list, name, 2)->offset = offset;
	CHECK(!rd_kafka_begin_transaction(rk));
	CHECK(!rd_kafka_send_offsets_to_transaction(rk, list, group, 10000));
	if (commit_it)
		CHECK(!rd_kafka_commit_transaction(rk, 10000));
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(list);
}

/* An offset that is still in a transaction is waited for, and never looks like none. */
static void pending(void)
{
	struct log *log = open_ready();
	rd_kafka_t *rk = raw_producer("probe-pending", "4000");
	struct mover m = { 0 };
	int64_t c = -9, began_ms;

	raw_offsets(rk, 7, true);
	raw_offsets(rk, 9, false);
	start_mover(&m, log, "p");
	CHECK(log_committed(m.w, TOPIC_EVENTS, 2, soon(700), &c) == -EAGAIN);
	CHECK(c == -9);
	began_ms = clock_mono_ms();
	CHECK(log_committed(m.w, TOPIC_EVENTS, 2, soon(60000), &c) == 0);
	printf("waited %lld ms\n", (long long)(clock_mono_ms() - began_ms));
	CHECK(c == 7);
	CHECK(log_committed(m.w, TOPIC_EVENTS, 3, soon(60000), &c) == 0);
	CHECK(c == LOG_BEGIN);
	log_worker_free(m.w);
	rd_kafka_destroy(rk);
	log_close(log);
}

static void *stop_soon(void *arg)
{
	usleep(500000);
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

/* A worker whose partitions come, but not their offsets, can be told to end. */
static void pending_stopped(void)
{
	struct log *log = open_ready();
	rd_kafka_t *rk = raw_producer("probe-stopped", "60000");
	struct mover m = { 0 };
	int64_t began_ms = clock_mono_ms();
	atomic_bool stop = false;
	struct log_msg msg;
	pthread_t thread;
	int r;

	raw_offsets(rk, 9, false);
	start_mover(&m, log, "p");
	log_worker_heed(m.w, &stop);
	CHECK(pthread_create(&thread, NULL, stop_soon, &stop) == 0);
	do
		r = log_worker_poll(m.w, 100, &msg);
	while ((r == 0 || r == -EAGAIN) && clock_mono_ms() - began_ms < 30000);
	CHECK(r == -ECANCELED);
	log_worker_free(m.w);
	CHECK(m.assigned == 0);
	pthread_join(thread, NULL);
	rd_kafka_destroy(rk);
	log_close(log);
}

/* A process that is stopped with an open transaction until another has its partitions. */
static int zombie_child(int ready_fd, int go_fd)
{
	struct log *log = open_log();
	struct mover m = { 0 };
	struct log_part part = { TOPIC_EVENTS, 0, 1 };
	char c;
	int r;

	start_mover(&m, log, "zombie");
	poll_until_owned(&m, PARTS);
	CHECK(log_txn_produce(m.w, TOPIC_STATE, 0, SLICE("k"), SLICE("zombie"), false) == 0);
	CHECK(write(ready_fd, "r", 1) == 1);
	CHECK(read(go_fd, &c, 1) == 1);
	r = log_txn_commit(m.w, &part, 1);
	fprintf(stderr, "zombie's commit: %d\n", r);
	return r == -EPIPE || r == -ECANCELED ? 0 : 1;
}

static void zombie(void)
{
	struct log *log;
	struct mover m = { 0 };
	int ready[2], go[2], status = -1, n = 0;
	char c;
	pid_t pid;

	log = open_ready();
	log_close(log);
	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	pid = fork();
	if (pid == 0)
		_exit(zombie_child(ready[1], go[0]));
	CHECK(read(ready[0], &c, 1) == 1);
	kill(pid, SIGSTOP);
	log = open_log();
	start_mover(&m, log, "heir");
	poll_until_owned(&m, PARTS);
	CHECK(log_txn_produce(m.w, TOPIC_STATE, 0, SLICE("k"), SLICE("heir"), false) == 0);
	CHECK(log_txn_commit(m.w, NULL, 0) == 0);
	/* its transaction times out: what is behind it can be read */
	CHECK(log_read_partition(log, TOPIC_STATE, 0, LOG_BEGIN, high(log, TOPIC_STATE, 0),
				 soon(60000), count_one, &n) == 0);
	CHECK(n == 1);
	kill(pid, SIGCONT);
	CHECK(write(go[1], "g", 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	n = 0;
	CHECK(log_read_partition(log, TOPIC_STATE, 0, LOG_BEGIN, high(log, TOPIC_STATE, 0),
				 soon(60000), count_one, &n) == 0);
	CHECK(n == 1);
	log_worker_free(m.w);
	log_close(log);
}

/* Hooks: nothing open at assigned; partitions go before they come to the other. */
static void hooks(void)
{
	struct log *log = open_ready();
	struct mover a = { 0 }, b = { 0 };
	struct log_msg msg;
	int64_t deadline_ms;

	append(log, 400, 0);
	start_mover(&a, log, "a");
	poll_until_owned(&a, PARTS);
	CHECK(log_worker_seek(a.w, TOPIC_EVENTS, 0, 0) == 0);
	CHECK(log_worker_pause(a.w, TOPIC_EVENTS, 3, true) == 0);
	start_mover(&b, log, "b");
	run_mover(&b);
	/* a works with a transaction open until b has its share */
	deadline_ms = soon(40000);
	while (atomic_load(&b.moved) == 0 || a.revoked == 0) {
		int r = log_worker_poll(a.w, 20, &msg);

		CHECK(clock_mono_ms() < deadline_ms);
		CHECK(r >= 0 || r == -EAGAIN);
		if (r == 1) {
			CHECK(msg.partition != 3 || a.next[3] < 0 || a.assigned > PARTS);
			CHECK(log_txn_produce(a.w, TOPIC_DEAD, msg.partition, msg.key, msg.value,
					      false) == 0);
			a.next[msg.partition] = msg.offset + 1;
			a.dirty[msg.partition] = true;
		} else if (!log_txn_open(a.w)) {
			CHECK(log_txn_produce(a.w, TOPIC_DEAD, 0, SLICE("k"), SLICE("idle"),
					      false) == 0);
		}
		if (a.revoked == 0)
			append(log, 4, 0);
	}
	puts(a.order);
	CHECK(strstr(a.order, "arc") == a.order);
	CHECK(a.revoked == 2 && a.lost == 0);
	end_mover(&b);
	CHECK(strchr(b.order, 'a') && !strchr(b.order, 'l') && !strchr(b.order, '!'));
	/* b has left: they come back, the open transaction ends first */
	deadline_ms = soon(40000);
	while (a.assigned < PARTS + 2) {
		if (!log_txn_open(a.w))
			CHECK(log_txn_produce(a.w, TOPIC_DEAD, 0, SLICE("k"), SLICE("v"), false) ==
			      0);
		CHECK(log_worker_poll(a.w, 20, &msg) >= 0);
		CHECK(clock_mono_ms() < deadline_ms);
	}
	puts(a.order);
	CHECK(strstr(a.order, "rca"));
	log_worker_free(a.w);
	CHECK(a.revoked == PARTS + 2);
	log_close(log);
}

static void lag(void)
{
	struct log *log = open_ready();
	struct mover m = { 0 };
	struct log_msg msg;
	int64_t deadline_ms = soon(30000);
	int n = 0;

	start_mover(&m, log, "a");
	CHECK(log_worker_lag(m.w, TOPIC_EVENTS, 0) == -1);
	CHECK(log_worker_lag(m.w, TOPIC_CALLS, 0) == -1);
	poll_until_owned(&m, PARTS);
	while (log_worker_lag(m.w, TOPIC_EVENTS, 0) != 0) { /* an empty one is told too */
		CHECK(log_worker_poll(m.w, 50, &msg) == 0);
		CHECK(clock_mono_ms() < deadline_ms);
	}
	append(log, 400, 0);
	while (n < 400) {
		CHECK(clock_mono_ms() < deadline_ms);
		if (log_worker_poll(m.w, 50, &msg) != 1)
			continue;
		if (n++ == 0)
			CHECK(log_worker_lag(m.w, TOPIC_EVENTS, msg.partition) > 0);
	}
	for (int p = 0; p < PARTS; p++)
		CHECK(log_worker_lag(m.w, TOPIC_EVENTS, p) == 0);
	CHECK(log_worker_seek(m.w, TOPIC_EVENTS, 1, 90) == 0);
	CHECK(log_worker_lag(m.w, TOPIC_EVENTS, 1) == -1);
	CHECK(log_worker_poll(m.w, 5000, &msg) == 1);
	CHECK(msg.partition == 1 && msg.offset == 90);
	CHECK(log_worker_lag(m.w, TOPIC_EVENTS, 1) == 9);
	log_worker_free(m.w);
	log_close(log);
}

static void next_is(struct mover *m, int32_t partition, int64_t offset)
{
	int64_t deadline_ms = soon(10000);
	struct log_msg msg;
	int r;

	while ((r = log_worker_poll(m->w, 100, &msg)) == 0)
		CHECK(clock_mono_ms() < deadline_ms);
	CHECK(r == 1);
	if (msg.partition != partition || msg.offset != offset)
		fprintf(stderr, "partition %d offset %lld\n", (int)msg.partition,
			(long long)msg.offset);
	CHECK(msg.partition == partition && msg.offset == offset);
}

/* One partition stands still while others go on, and is moved before, while and after. */
static void pausing(void)
{
	struct log *log = open_ready();
	struct mover m = { 0 };
	struct log_msg msg;
	int n = 0;

	append(log, 40, 0);
	start_mover(&m, log, "a");
	poll_until_owned(&m, PARTS);
	for (int p = 0; p < PARTS; p++) {
		CHECK(log_worker_pause(m.w, TOPIC_EVENTS, p, true) == 0);
		CHECK(log_worker_seek(m.w, TOPIC_EVENTS, p, 0) == 0);
	}
	CHECK(log_worker_poll(m.w, 500, &msg) == 0);
	CHECK(log_worker_pause(m.w, TOPIC_EVENTS, 2, false) == 0);
	for (n = 0; n < 5; n++)
		next_is(&m, 2, n);
	CHECK(log_worker_pause(m.w, TOPIC_EVENTS, 2, true) == 0);
	CHECK(log_worker_poll(m.w, 300, &msg) == 0);
	CHECK(log_worker_pause(m.w, TOPIC_EVENTS, 2, false) == 0);
	next_is(&m, 2, 5);
	/* moved while it stands still */
	CHECK(log_worker_pause(m.w, TOPIC_EVENTS, 2, true) == 0);
	CHECK(log_worker_seek(m.w, TOPIC_EVENTS, 2, 3) == 0);
	CHECK(log_worker_pause(m.w, TOPIC_EVENTS, 2, false) == 0);
	next_is(&m, 2, 3);
	/* moved just before */
	CHECK(log_worker_seek(m.w, TOPIC_EVENTS, 2, 1) == 0);
	CHECK(log_worker_pause(m.w, TOPIC_EVENTS, 2, true) == 0);
	CHECK(log_worker_poll(m.w, 300, &msg) == 0);
	CHECK(log_worker_pause(m.w, TOPIC_EVENTS, 2, false) == 0);
	next_is(&m, 2, 1);
	/* going on what goes on changes nothing */
	CHECK(log_worker_pause(m.w, TOPIC_EVENTS, 2, false) == 0);
	next_is(&m, 2, 2);
	CHECK(log_worker_pause(m.w, TOPIC_LIVE, 2, false) == -EINVAL);
	CHECK(log_worker_seek(m.w, TOPIC_LIVE, 2, 0) == -EINVAL);
	log_worker_free(m.w);
	log_close(log);
}

/* More workers than partitions, coming at once and going one by one. */
static void crowd(void)
{
	struct log *log = open_ready();
	struct mover m[PARTS + 2] = { 0 };
	char ids[PARTS + 2][8];
	int64_t deadline_ms = soon(90000);

	for (size_t i = 0; i < ARRAY_LEN(m); i++) {
		snprintf(ids[i], sizeof(ids[i]), "c%zu", i);
		start_mover(&m[i], log, ids[i]);
		run_mover(&m[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(m); i++) {
		append(log, 1000, 4);
		while (count_calls(log) < 1000 * ((int64_t)i + 1)) {
			CHECK(clock_mono_ms() < deadline_ms);
			usleep(50000);
		}
		end_mover(&m[i]);
		CHECK(m[i].gaps == 0);
	}
	CHECK(count_calls(log) == 1000 * (int64_t)ARRAY_LEN(m));
	log_close(log);
}

static void reader(void)
{
	static const enum topic two[] = { TOPIC_EVENTS, TOPIC_DEAD };
	struct log *log = open_ready();
	struct log_reader *r = NULL;
	struct log_msg msg;
	int64_t middle_ms;
	int n = 0, got;

	CHECK(log_reader_new(log, two, 2, LOG_BEGIN, soon(10000), &r) == 0);
	CHECK(log_reader_next(r, 0, &msg) == 2); /* all are empty */
	CHECK(log_reader_next(r, 0, &msg) == 0);
	log_reader_free(r);
	append(log, 40, 0);
	usleep(20000);
	middle_ms = clock_wall_ms();
	usleep(20000);
	append(log, 20, 0);
	CHECK(log_reader_new(log, two, 2, LOG_BEGIN, soon(10000), &r) == 0);
	CHECK(log_reader_left(r) == 60);
	while ((got = log_reader_next(r, 10000, &msg)) == 1)
		n++;
	CHECK(got == 2 && n == 60 && log_reader_left(r) == 0);
	append(log, 4, 0);
	CHECK(log_reader_next(r, 10000, &msg) == 1);
	log_reader_free(r);
	CHECK(log_reader_new(log, two, 1, middle_ms, soon(10000), &r) == 0);
	for (n = 0; (got = log_reader_next(r, 10000, &msg)) == 1; n++)
		CHECK(msg.append_ms >= middle_ms);
	CHECK(got == 2 && n == 24);
	log_reader_free(r);
	CHECK(log_reader_new(log, two, 1, LOG_END, soon(10000), &r) == 0);
	CHECK(log_reader_next(r, 100, &msg) == 2);
	append(log, 4, 0);
	CHECK(log_reader_next(r, 10000, &msg) == 1);
	log_reader_free(r);
	log_close(log);
}

/* Workers that leave at any moment of their joining. */
static void *come_and_go(void *arg)
{
	struct mover *m = arg;
	struct log_msg msg;

	for (int i = 0; i < 12; i++) {
		int64_t until_ms = soon(15 * i);

		do {
			int r = log_worker_poll(m->w, 1, &msg);

			CHECK(r >= 0 || r == -EAGAIN);
		} while (clock_mono_ms() < until_ms);
		log_worker_free(m->w);
		new_worker(m);
	}
	log_worker_free(m->w);
	return NULL;
}

static void hurry(void)
{
	struct log *log = open_ready();
	struct mover m[3] = { 0 };
	char ids[3][8];

	for (size_t i = 0; i < ARRAY_LEN(m); i++) {
		snprintf(ids[i], sizeof(ids[i]), "h%zu", i);
		start_mover(&m[i], log, ids[i]);
		CHECK(pthread_create(&m[i].thread, NULL, come_and_go, &m[i]) == 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(m); i++)
		pthread_join(m[i].thread, NULL);
	log_close(log);
}

/* At the live tail, while a second worker joins and leaves twice: each message once, in order. */
static void tail(void)
{
	struct log *log = open_ready();
	struct mover a = { 0 }, b[2] = { { 0 }, { 0 } };
	int64_t moved, deadline_ms;
	const int total = 100000;

	start_mover(&a, log, "a");
	run_mover(&a);
	for (int round = 0; round < 2; round++) {
		append(log, total / 5, 10);
		start_mover(&b[round], log, round ? "b1" : "b0");
		run_mover(&b[round]);
		append(log, total / 5, 10);
		end_mover(&b[round]);
		printf("b%d: %s gaps=%d moved=%lld\n", round, b[round].order, b[round].gaps,
		       (long long)b[round].moved);
		CHECK(b[round].gaps == 0);
	}
	append(log, total / 5, 10);
	deadline_ms = soon(60000);
	while ((moved = count_calls(log)) < total) {
		CHECK(clock_mono_ms() < deadline_ms);
		usleep(200000);
	}
	CHECK(moved == total);
	end_mover(&a);
	printf("a: %s gaps=%d moved=%lld\n", a.order, a.gaps, (long long)a.moved);
	CHECK(a.gaps == 0);
	CHECK(count_calls(log) == total);
	log_close(log);
}

/* The caller takes the broker away for a while: all arrives, each once. */
static void outage(void)
{
	struct log *log = open_ready();
	struct mover a = { .may_die = true };
	int64_t deadline_ms;

	start_mover(&a, log, "a");
	run_mover(&a);
	append_within(log, 20000, 1, 120000);
	deadline_ms = soon(60000);
	while (count_calls(log) < 20000) {
		CHECK(clock_mono_ms() < deadline_ms);
		usleep(200000);
	}
	end_mover(&a);
	printf("a: %s gaps=%d moved=%lld renewed=%d\n", a.order, a.gaps, (long long)a.moved,
	       a.renewed);
	CHECK(a.gaps == 0);
	CHECK(count_calls(log) == 20000);
	log_close(log);
}

/* The broker is not there: nothing blocks for longer than it says. */
static void away(void)
{
	struct buf problem = BUF_EMPTY;
	struct log *log;
	struct mover m = { 0 };
	struct log_reader *r = NULL;
	struct log_msg msg;
	static const enum topic one[] = { TOPIC_CALLS };
	int64_t began_ms = clock_mono_ms(), h;

	cfg.kafka.brokers = "127.0.0.1:1";
	log = open_log();
	CHECK(log_setup_topics(log, soon(300), &problem) == -EAGAIN);
	CHECK(log_partitions(log, TOPIC_EVENTS, soon(300)) == -EAGAIN);
	CHECK(log_high_watermark(log, TOPIC_EVENTS, 0, soon(300), &h) == -EAGAIN);
	CHECK(log_reader_new(log, one, 1, LOG_BEGIN, soon(300), &r) == -EAGAIN);
	start_mover(&m, log, "a");
	CHECK(log_worker_poll(m.w, 300, &msg) == -EAGAIN);
	CHECK(log_worker_poll(m.w, 300, &msg) == -EAGAIN);
	CHECK(log_committed(m.w, TOPIC_EVENTS, 0, soon(300), &h) == -EAGAIN);
	log_worker_free(m.w);
	log_close(log);
	CHECK(clock_mono_ms() - began_ms < 20000);
}

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{ "topics", topics },
	{ "topics-together", topics_together },
	{ "policy", policy },
	{ "view", view },
	{ "fencing", fencing },
	{ "pending", pending },
	{ "pending-stopped", pending_stopped },
	{ "zombie", zombie },
	{ "hooks", hooks },
	{ "lag", lag },
	{ "reader", reader },
	{ "pausing", pausing },
	{ "crowd", crowd },
	{ "hurry", hurry },
	{ "tail", tail },
	{ "outage", outage },
	{ "away", away },
};

int main(int argc, char **argv)
{
	cfg.kafka.brokers = getenv("CALLSTREAM_BROKERS");
	slog_setup(false, SLOG_WARN);
	for (size_t i = 0; argc >= 2 && cfg.kafka.brokers && i < ARRAY_LEN(scenarios); i++) {
		if (strcmp(argv[1], scenarios[i].name) != 0)
			continue;
		snprintf(prefix, sizeof(prefix), "probe-%s-%s.", scenarios[i].name,
			 argc > 2 ? argv[2] : "0");
		scenarios[i].run();
		printf("%s: as it should be\n", scenarios[i].name);
		return 0;
	}
	fputs("usage: CALLSTREAM_BROKERS=HOST:PORT log_probe SCENARIO [RUN]\n", stderr);
	for (size_t i = 0; i < ARRAY_LEN(scenarios); i++)
		fprintf(stderr, "  %s\n", scenarios[i].name);
	return 2;
}
