#include "log_mover.h"

#include <errno.h>

char prefix[64];
static struct cfg_pair properties[] = { { "session.timeout.ms", "3000" } };
struct cfg cfg = { .kafka = { .topic_prefix = prefix,
			      .partitions = PARTS,
			      .replication = 1,
			      .create_topics = true,
			      .properties = properties,
			      .properties_n = 1 } };

int64_t soon(int64_t ms)
{
	return clock_mono_ms() + ms;
}

struct log *open_log(void)
{
	struct buf problem = BUF_EMPTY;
	struct log *log = NULL;

	CHECK(log_open(&cfg, &log, &problem) == 0);
	buf_fini(&problem);
	return log;
}

struct log *open_ready(void)
{
	struct buf problem = BUF_EMPTY;
	struct log *log = open_log();
	int r = log_setup_topics(log, soon(30000), &problem);

	if (r < 0)
		fprintf(stderr, "%.*s\n", SLICE_ARG(buf_slice(&problem)));
	CHECK(r == 0);
	buf_fini(&problem);
	return log;
}

/* ---- a worker that moves events to calls ---- */

static void noted(struct mover *m, char c)
{
	size_t n = strlen(m->order);

	if (n + 1 < sizeof(m->order))
		m->order[n] = c;
}

static int assigned(void *arg, struct log_part *parts, size_t n)
{
	struct mover *m = arg;

	CHECK(!log_txn_open(m->w));
	noted(m, 'a');
	m->assigned += (int)n;
	for (size_t i = 0; i < n; i++) {
		int64_t c = 0;

		CHECK(log_committed(m->w, TOPIC_EVENTS, parts[i].partition, soon(60000), &c) == 0);
		CHECK(c == parts[i].offset);
		m->next[parts[i].partition] = c < 0 ? 0 : c;
		m->dirty[parts[i].partition] = false;
	}
	return 0;
}

int commit(struct mover *m)
{
	struct log_part parts[PARTS];
	size_t n = 0;
	int r;

	for (int p = 0; p < PARTS; p++) {
		if (m->next[p] >= 0 && m->dirty[p])
			parts[n++] = (struct log_part){ TOPIC_EVENTS, p, m->next[p] };
		m->dirty[p] = false;
	}
	r = log_txn_commit(m->w, parts, n);
	if (r < 0)
		m->renew = true;
	return r;
}

static void revoked(void *arg, const struct log_part *parts, size_t n, bool lost)
{
	struct mover *m = arg;

	noted(m, lost ? 'l' : 'r');
	if (!lost && log_txn_open(m->w)) {
		noted(m, 'c');
		if (commit(m) < 0)
			noted(m, '!');
	}
	m->revoked += (int)n;
	m->lost += lost ? (int)n : 0;
	for (size_t i = 0; i < n; i++) {
		if (!lost && !m->renew)
			CHECK(parts[i].offset >= m->next[parts[i].partition]);
		m->next[parts[i].partition] = -3;
	}
}

void new_worker(struct mover *m)
{
	static const enum topic topics[] = { TOPIC_EVENTS };
	const struct log_worker_hooks hooks = { m, assigned, revoked };
	char full[128];

	for (int p = 0; p < PARTS; p++)
		m->next[p] = -3;
	m->renew = false;
	snprintf(full, sizeof(full), "%scorrelate.%s", prefix, m->id);
	CHECK(log_worker_new(m->log, "correlate", full, topics, 1, &hooks, &m->w) == 0);
}

void start_mover(struct mover *m, struct log *log, const char *id)
{
	m->log = log;
	m->id = id;
	new_worker(m);
}

/* After an abort: everything is taken over again. */
static void again(struct mover *m)
{
	for (int p = 0; p < PARTS; p++) {
		int64_t c = 0;

		if (m->next[p] < 0)
			continue;
		CHECK(log_committed(m->w, TOPIC_EVENTS, p, soon(60000), &c) == 0);
		CHECK(log_worker_seek(m->w, TOPIC_EVENTS, p, c) == 0);
		m->next[p] = c < 0 ? 0 : c;
		m->dirty[p] = false;
	}
	m->renew = false;
}

int move_one(struct mover *m, const struct log_msg *msg)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)msg->offset);
	int r;

	if (msg->offset != m->next[msg->partition])
		m->gaps++;
	CHECK(msg->topic == TOPIC_EVENTS && !msg->tombstone && msg->append_ms > 0);
	r = log_txn_produce(m->w, TOPIC_CALLS, msg->partition, msg->key,
			    slice_make(text, (size_t)n), false);
	m->next[msg->partition] = msg->offset + 1;
	m->dirty[msg->partition] = true;
	atomic_fetch_add(&m->moved, 1);
	return r;
}

static void *move(void *arg)
{
	struct mover *m = arg;
	int64_t commit_at = soon(100);

	while (!atomic_load(&m->stop)) {
		struct log_msg msg;
		int r = log_worker_poll(m->w, 20, &msg);

		if (r == 1) {
			r = move_one(m, &msg);
			log_msg_done(m->w);
		}
		if (r == 0 && log_txn_open(m->w) && clock_mono_ms() >= commit_at) {
			r = commit(m);
			commit_at = soon(100);
		}
		if (r == -EPIPE && m->may_die) {
			log_worker_free(m->w);
			new_worker(m);
			m->renewed++;
			continue;
		}
		CHECK(r >= 0 || r == -EAGAIN || r == -ECANCELED);
		if (r == -ECANCELED || m->renew)
			again(m);
	}
	log_worker_free(m->w);
	return NULL;
}

void run_mover(struct mover *m)
{
	CHECK(pthread_create(&m->thread, NULL, move, m) == 0);
}

void end_mover(struct mover *m)
{
	atomic_store(&m->stop, true);
	pthread_join(m->thread, NULL);
}

void poll_until_owned(struct mover *m, int n)
{
	int64_t deadline_ms = soon(40000);
	struct log_msg msg;

	for (;;) {
		int owned = 0, r = log_worker_poll(m->w, 50, &msg);

		CHECK(r == 0 || r == -EAGAIN || r == 1);
		CHECK(clock_mono_ms() < deadline_ms);
		for (int p = 0; p < PARTS; p++)
			owned += m->next[p] >= 0;
		if (owned == n)
			return;
	}
}
