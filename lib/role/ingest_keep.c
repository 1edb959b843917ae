/* Making an event durable: the log within ack_wait, else the spool. */
#include "role/ingest_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/slog.h"

/* ---- the spool ---- */

/* No request is ready any more: what waits can be synced. */
static void idle(evutil_socket_t fd, short what, void *arg)
{
	struct ingest_loop *loop = arg;

	(void)fd;
	(void)what;
	loop->holds = false;
	spool_release(loop->outlet);
}

static void hold(struct ingest_loop *loop)
{
	if (loop->holds)
		return;
	loop->holds = true;
	spool_hold(loop->outlet);
	event_active(loop->idle_event, EV_TIMEOUT, 0);
}

static void to_spool(struct ingest_loop *loop, struct pending *p, const struct spool_record *rec)
{
	int err;

	hold(loop);
	err = spool_append(loop->in->spool, loop->outlet, rec, &p->waiter);
	if (err)
		ingest_settle(loop, p, err);
}

static void spooled(evutil_socket_t fd, short what, void *arg)
{
	struct ingest_loop *loop = arg;
	struct spool_waiter *w = spool_outlet_take(loop->outlet), *next;

	(void)fd;
	(void)what;
	for (; w; w = next) {
		next = w->next;
		FAULT(ingest_spool_synced);
		ingest_settle(loop, CONTAINER_OF(w, struct pending, waiter), w->err);
	}
}

/* ---- the log ---- */

static struct ack *ack_new(struct ingest_loop *loop, struct pending *p, uint16_t topic)
{
	struct ack *ack = malloc(sizeof(*ack) + loop->key.n + loop->value.n);

	if (!ack)
		return NULL;
	*ack = (struct ack){ .loop = loop,
			     .p = p,
			     .deadline_ms = clock_mono_ms() + loop->in->cfg->ingest.ack_wait_ms,
			     .topic = topic,
			     .key_n = loop->key.n,
			     .value_n = loop->value.n };
	memcpy(ack->bytes, loop->key.p, ack->key_n);
	memcpy(ack->bytes + ack->key_n, loop->value.p, ack->value_n);
	return ack;
}

/* Its request goes on in the spool; the acknowledgement, if one comes, only frees it. */
static void ack_give_up(struct ack *ack)
{
	struct ingest_loop *loop = ack->loop;
	struct pending *p = ack->p;
	struct spool_record rec = { .topic = ack->topic,
				    .key = slice_make(ack->bytes, ack->key_n),
				    .value = slice_make(ack->bytes + ack->key_n, ack->value_n),
				    .at_ms = clock_wall_ms() };

	TAILQ_REMOVE(&loop->acks, ack, next);
	ack->p = NULL;
	to_spool(loop, p, &rec);
}

/* In the order in which they came. */
static void give_up_all(struct ingest_loop *loop)
{
	while (!TAILQ_EMPTY(&loop->acks))
		ack_give_up(TAILQ_FIRST(&loop->acks));
}

static void acked(void *arg, int err)
{
	struct ack *ack = arg;
	struct ingest_loop *loop;
	struct pending *p = ack->p;

	if (!p) { /* perhaps in the keeper's thread: nothing else of it may be touched */
		free(ack);
		return;
	}
	loop = ack->loop;
	if (err) {
		loop->appender_dead |= err == -EPIPE;
		atomic_store(&loop->in->kafka_acks, false);
		ack_give_up(ack);
	} else {
		atomic_store_explicit(&loop->in->kafka_acks, true, memory_order_relaxed);
		TAILQ_REMOVE(&loop->acks, ack, next);
		FAULT(ingest_log_acked);
		ingest_settle(loop, p, 0);
	}
	free(ack);
}

/* The keeper frees it and brings another; until then the spool takes everything. */
static void bury(struct ingest_loop *loop)
{
	SLOG(SLOG_WARN, "producer is dead, making a new one, the spool takes events meanwhile");
	metric_add(M_LOG_ERRORS, "ingest", "fatal", 1);
	event_free(loop->appender_event);
	loop->appender_event = NULL;
	loop->buried = loop->appender;
	loop->appender = NULL;
	loop->appender_dead = false;
	give_up_all(loop);
	ingest_keeper_ask(loop);
}

static void acks_come(evutil_socket_t fd, short what, void *arg)
{
	struct ingest_loop *loop = arg;

	(void)fd;
	(void)what;
	log_appender_poll(loop->appender, 0);
	if (loop->appender_dead)
		bury(loop);
}

static void set_timer(struct ingest_loop *loop)
{
	int64_t ms;

	if (loop->timer_set || TAILQ_EMPTY(&loop->acks))
		return;
	ms = MAX(TAILQ_FIRST(&loop->acks)->deadline_ms - clock_mono_ms(), 1);
	event_add(loop->ack_timer, &(struct timeval){ ms / 1000, ms % 1000 * 1000 });
	loop->timer_set = true;
}

/* ack_wait is over for the first ones: in the order in which they came. */
static void acks_late(evutil_socket_t fd, short what, void *arg)
{
	struct ingest_loop *loop = arg;
	int64_t now_ms = clock_mono_ms();
	struct ack *ack;
	size_t n = 0;

	(void)fd;
	(void)what;
	loop->timer_set = false;
	while ((ack = TAILQ_FIRST(&loop->acks)) && ack->deadline_ms <= now_ms) {
		ack_give_up(ack);
		n++;
	}
	if (n) {
		atomic_store(&loop->in->kafka_acks, false);
		metric_add(M_LOG_ERRORS, "ingest", "late_ack", (int64_t)n);
	}
	set_timer(loop);
}

static bool to_log(struct ingest_loop *loop, struct pending *p, uint16_t spool_topic)
{
	enum topic topic = TOPIC_EVENTS;
	struct ack *ack;
	int err;

	if (!loop->appender || (!spool_is_empty(loop->in->spool) && !BROKEN(spool_overtaken)))
		return false;
	ack = ack_new(loop, p, spool_topic);
	if (!ack || ingest_topic(spool_topic, &topic)) {
		free(ack);
		return false;
	}
	TAILQ_INSERT_TAIL(&loop->acks, ack, next);
	err = log_append(loop->appender, topic, LOG_ANY_PARTITION, buf_slice(&loop->key),
			 buf_slice(&loop->value), acked, ack);
	if (!err) {
		set_timer(loop);
		return true;
	}
	TAILQ_REMOVE(&loop->acks, ack, next);
	free(ack);
	if (err == -EPIPE)
		bury(loop);
	return false; /* too large as well: the drainer puts it into rejected/ */
}

void ingest_keep(struct ingest_loop *loop, struct pending *p, uint16_t spool_topic, int64_t at_ms)
{
	struct spool_record rec = { .topic = spool_topic,
				    .key = buf_slice(&loop->key),
				    .value = buf_slice(&loop->value),
				    .at_ms = at_ms };

	loop->pending_n++;
	if (to_log(loop, p, spool_topic))
		return;
	give_up_all(loop); /* whoever came before and still waits goes before it */
	to_spool(loop, p, &rec);
}

void ingest_keep_adopt(struct ingest_loop *loop, struct log_appender *appender)
{
	loop->appender_event = event_new(http_loop_base(loop->http), log_appender_fd(appender),
					 EV_READ | EV_PERSIST, acks_come, loop);
	loop->appender = appender;
	if (loop->appender_event && !event_add(loop->appender_event, NULL))
		return;
	SLOG(SLOG_ERROR, "no memory to watch a producer, the spool takes all events");
	loop->buried = appender; /* freed with the loop */
	loop->appender = NULL;
}

/* ---- a loop begins and ends ---- */

int ingest_keep_start(struct ingest_loop *loop)
{
	struct event_base *base = http_loop_base(loop->http);
	int err = spool_outlet_new(loop->in->spool, &loop->outlet);

	TAILQ_INIT(&loop->acks);
	if (err)
		return err;
	loop->outlet_event = event_new(base, spool_outlet_fd(loop->outlet), EV_READ | EV_PERSIST,
				       spooled, loop);
	loop->ack_timer = event_new(base, -1, 0, acks_late, loop);
	loop->idle_event = event_new(base, -1, 0, idle, loop);
	if (!loop->idle_event || event_priority_set(loop->idle_event, HTTP_IDLE_PRIORITY))
		return -ENOMEM;
	if (!loop->outlet_event || !loop->ack_timer || event_add(loop->outlet_event, NULL))
		return -ENOMEM;
	if (loop->in->kafka_mode)
		ingest_keeper_ask(loop);
	return 0;
}

void ingest_keep_stop(struct ingest_loop *loop)
{
	if (loop->outlet) {
		give_up_all(loop);
		spool_release(loop->outlet);
	}
	while (loop->outlet && loop->pending_n) { /* the spool answers all */
		struct pollfd p = { .fd = spool_outlet_fd(loop->outlet), .events = POLLIN };

		poll(&p, 1, 100);
		spooled(p.fd, 0, loop);
	}
	if (loop->appender_event)
		event_free(loop->appender_event);
	if (loop->outlet_event)
		event_free(loop->outlet_event);
	if (loop->ack_timer)
		event_free(loop->ack_timer);
	if (loop->idle_event)
		event_free(loop->idle_event);
	log_appender_free(loop->appender);
	log_appender_free(loop->buried);
	spool_outlet_free(loop->outlet);
}
