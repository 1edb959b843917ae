#include "log_player.h"

#include <errno.h>
#include <stdarg.h>

char log_prefix[64];
static struct cfg_pair properties[] = { { "session.timeout.ms", "3000" } };
struct cfg log_cfg = { .kafka = { .topic_prefix = log_prefix,
				  .partitions = PARTS,
				  .replication = 1,
				  .create_topics = true,
				  .properties = properties,
				  .properties_n = 1 } };

static int64_t soon(const struct player *p, int64_t ms)
{
	return p->now_ms() + ms;
}

__attribute__((format(printf, 3, 4))) static void add(char *to, size_t size, const char *format,
						      ...)
{
	size_t n = strlen(to);
	va_list args;

	va_start(args, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, in the line above */
	vsnprintf(to + n, size - n, format, args);
	va_end(args);
}

/* ---- hooks ---- */

static int assigned(void *arg, struct log_part *parts, size_t n)
{
	struct player *p = arg;

	CHECK(!log_txn_open(p->w));
	add(p->hooks, sizeof(p->hooks), "a%zu ", n);
	for (size_t i = 0; i < n; i++) {
		int64_t c = -9;

		CHECK(log_committed(p->w, parts[i].topic, parts[i].partition, soon(p, 60000), &c) ==
		      0);
		CHECK(c == parts[i].offset);
		p->begin[parts[i].partition] = c;
		p->next[parts[i].partition] = MAX(c, 0);
		p->dirty[parts[i].partition] = false;
	}
	return 0;
}

static int commit_dirty(struct player *p)
{
	struct log_part parts[PARTS];
	size_t n = 0;

	for (int32_t i = 0; i < PARTS; i++) {
		if (p->next[i] >= 0 && p->dirty[i])
			parts[n++] = (struct log_part){ TOPIC_EVENTS, i, p->next[i] };
		p->dirty[i] = false;
	}
	return log_txn_commit(p->w, parts, n);
}

static void revoked(void *arg, const struct log_part *parts, size_t n, bool lost)
{
	struct player *p = arg;

	add(p->hooks, sizeof(p->hooks), "%s%zu ", lost ? "lost" : "r", n);
	if (!lost && !p->leaves_open && log_txn_open(p->w))
		add(p->hooks, sizeof(p->hooks), "%s ",
		    commit_dirty(p) == 0 ? "committed" : "not-committed");
	for (size_t i = 0; i < n; i++)
		p->next[parts[i].partition] = p->begin[parts[i].partition] = -3;
}

/* ---- orders ---- */

static int do_setup(struct player *p)
{
	struct buf problem = BUF_EMPTY;
	int r = log_setup_topics(p->log, soon(p, 30000), &problem);

	if (r < 0)
		fprintf(stderr, "%.*s\n", SLICE_ARG(buf_slice(&problem)));
	buf_fini(&problem);
	return r;
}

static int do_join(struct player *p, const struct order *o)
{
	static const enum topic topics[] = { TOPIC_EVENTS };
	const struct log_worker_hooks hooks = { p, assigned, revoked };
	char id[160];

	for (int32_t i = 0; i < PARTS; i++)
		p->next[i] = p->begin[i] = -3;
	p->leaves_open = o->flag;
	snprintf(id, sizeof(id), "%scorrelate.%s", log_prefix, o->id);
	return log_worker_new(p->log, "correlate", id, topics, 1, &hooks, &p->w);
}

static int do_poll(struct player *p, const struct order *o, struct answer *ret)
{
	struct log_msg msg;
	int r = log_worker_poll(p->w, o->ms, &msg);

	if (r != 1)
		return r;
	ret->got = (struct log_part){ msg.topic, msg.partition, msg.offset };
	add(ret->text, sizeof(ret->text), "%.*s", (int)MIN(msg.value.n, (size_t)60), msg.value.p);
	p->next[msg.partition] = msg.offset + 1;
	p->dirty[msg.partition] = true;
	log_msg_done(p->w);
	return 1;
}

/* The same for every run; no compression makes it small. */
static struct slice noise(size_t bytes)
{
	static char v[6 << 20];
	uint64_t x = 88172645463325252u;

	CHECK(bytes <= sizeof(v));
	for (size_t i = 0; i < bytes; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		v[i] = (char)(x >> 32);
	}
	return slice_make(v, bytes);
}

static struct slice value_of(const struct order *o)
{
	if (o->bytes)
		return noise(o->bytes);
	return o->flag ? SLICE_NONE : slice_of(o->value);
}

static void acked(void *arg, int err)
{
	*(int *)arg = err;
}

static int do_append(struct player *p, const struct order *o, struct answer *ret)
{
	struct log_appender *a;
	int err = 1, r = log_appender_new(p->log, 20000, &a);

	CHECK(r == 0);
	ret->at_ms = p->wall_ms();
	while ((r = log_append(a, o->topic, o->partition, slice_of(o->key), value_of(o), acked,
			       &err)) == -EAGAIN)
		log_appender_poll(a, 10);
	while (r == 0 && err == 1)
		log_appender_poll(a, 100);
	log_appender_free(a);
	return r ? r : err;
}

static int tell(void *arg, const struct log_msg *msg)
{
	struct answer *ret = arg;
	const char *null = msg->tombstone ? "null" : msg->value.n ? "" : "empty";

	add(ret->text, sizeof(ret->text), "%lld:%.*s=%.*s%s ", (long long)msg->offset,
	    (int)MIN(msg->key.n, (size_t)20), msg->key.n ? msg->key.p : "",
	    (int)MIN(msg->value.n, (size_t)20), msg->value.n ? msg->value.p : "", null);
	ret->v++;
	ret->at_ms = msg->append_ms;
	return strcmp(ret->hooks, "stop") == 0 ? 1 : strcmp(ret->hooks, "fail") == 0 ? -ENOMSG : 0;
}

static int do_read(struct player *p, const struct order *o, struct answer *ret)
{
	int64_t until = o->until;

	if (until == LOG_END &&
	    log_high_watermark(p->log, o->topic, o->partition, soon(p, 10000), &until) < 0)
		return -EIO;
	memcpy(ret->hooks, o->id, sizeof(o->id)); /* what tell shall say */
	return log_read_partition(p->log, o->topic, o->partition, o->from, until, soon(p, o->ms),
				  tell, ret);
}

/* Counts; from: a time. The last of text: what came at the end. */
static int do_reader(struct player *p, const struct order *o, struct answer *ret)
{
	static const enum topic both[] = { TOPIC_EVENTS, TOPIC_DEAD };
	struct log_reader *reader;
	struct log_msg msg;
	int r = log_reader_new(p->log, both, o->flag ? 2 : 1, o->from, soon(p, 10000), &reader);

	if (r < 0)
		return r;
	add(ret->text, sizeof(ret->text), "left %lld ", (long long)log_reader_left(reader));
	while ((r = log_reader_next(reader, 5000, &msg)) == 1)
		ret->v++;
	add(ret->text, sizeof(ret->text), "then %d left %lld again %d", r,
	    (long long)log_reader_left(reader), log_reader_next(reader, 50, &msg));
	log_reader_free(reader);
	return r;
}

static void do_owned(struct player *p, struct answer *ret)
{
	for (int32_t i = 0; i < PARTS; i++) {
		if (p->begin[i] == -3)
			continue;
		ret->v++;
		add(ret->text, sizeof(ret->text), "%d@%lld ", (int)i, (long long)p->begin[i]);
	}
}

/* A client that is asking where a partition begins takes no other place meanwhile. */
static int do_seek(struct player *p, const struct order *o)
{
	int64_t deadline_ms = soon(p, o->ms);
	int err;

	do
		err = log_worker_seek(p->w, o->topic, o->partition, o->from);
	while (err == -EAGAIN && p->now_ms() < deadline_ms);
	return err;
}

static int on_worker(struct player *p, const struct order *o, struct answer *ret)
{
	switch (o->what) {
	case DO_POLL:
		return do_poll(p, o, ret);
	case DO_PRODUCE:
		return log_txn_produce(p->w, o->topic, o->partition, slice_of(o->key), value_of(o),
				       o->flag);
	case DO_COMMIT:
		return log_txn_commit(p->w, o->list, o->list_n);
	case DO_ABORT:
		return log_txn_abort(p->w);
	case DO_OPEN:
		return log_txn_open(p->w);
	case DO_LEAVE:
		log_worker_free(p->w);
		p->w = NULL;
		return 0;
	case DO_OWNED:
		do_owned(p, ret);
		return 0;
	case DO_COMMITTED:
		return log_committed(p->w, o->topic, o->partition, soon(p, o->ms), &ret->v);
	case DO_SET_COMMITTED:
		return log_set_committed(p->w, o->topic, o->partition, soon(p, o->ms), o->from);
	case DO_SEEK:
		return do_seek(p, o);
	case DO_PAUSE:
		return log_worker_pause(p->w, o->topic, o->partition, o->flag);
	case DO_LAG:
		ret->v = log_worker_lag(p->w, o->topic, o->partition);
		return 0;
	default:
		return -ENOSYS;
	}
}

static int on_log(struct player *p, const struct order *o, struct answer *ret)
{
	switch (o->what) {
	case DO_SETUP:
		return do_setup(p);
	case DO_JOIN:
		return do_join(p, o);
	case DO_APPEND:
		return do_append(p, o, ret);
	case DO_HIGH:
		return log_high_watermark(p->log, o->topic, o->partition, soon(p, o->ms), &ret->v);
	case DO_LOW:
		return log_low_watermark(p->log, o->topic, o->partition, soon(p, o->ms), &ret->v);
	case DO_READ:
		return do_read(p, o, ret);
	case DO_READER:
		return do_reader(p, o, ret);
	default:
		return on_worker(p, o, ret);
	}
}

void player_do(struct player *p, const struct order *o, struct answer *ret)
{
	*ret = (struct answer){ .r = 0 };
	ret->r = on_log(p, o, ret);
	memcpy(ret->hooks, p->hooks, sizeof(ret->hooks));
	p->hooks[0] = '\0';
}
