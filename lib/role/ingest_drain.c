/* The spool's records go into the log, in order, each done once it is acknowledged. */
#include "role/ingest_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/slog.h"

#define FLIGHT_MAX     16384u /* records under way */
#define APPENDER_MS    300000 /* while the broker is away the client tries; we look now and then */
#define POLL_MS        10
#define IDLE_MS        1000
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS   2000
#define RUSH_RECORDS   200u /* as many at once are a rush */
#define RUSH_MS        20   /* in one, the next are fetched that much later, together */

enum flight_state { FLIGHT_UNDER_WAY, FLIGHT_DONE, FLIGHT_FAILED, FLIGHT_TOO_LARGE };

struct flight {
	struct drain *drain;
	struct spool_pos end;
	int64_t at_ms;
	enum flight_state state;
};

struct drain {
	struct ingest *in;
	struct log_appender *appender;
	struct flight *flights; /* a ring */
	size_t first, n, under_way;
	struct spool_entry entry; /* read, but not taken by the client yet */
	bool entry_waits;
	bool unreadable;            /* the spool's disk, just now */
	bool failed, dead;          /* nothing more is read until all under way are settled */
	struct spool_pos too_large; /* the record that the broker will never take */
	int64_t pause_ms;
	int64_t fill_at_ms; /* not before that */
	struct series *oldest;
};

static struct flight *flight_at(struct drain *d, size_t i)
{
	return &d->flights[(d->first + i) % FLIGHT_MAX];
}

static void acked(void *arg, int err)
{
	struct flight *f = arg;
	struct drain *d = f->drain;

	d->under_way--;
	if (!err) {
		FAULT(drain_acked);
		f->state = FLIGHT_DONE;
		return;
	}
	f->state = err == -EMSGSIZE ? FLIGHT_TOO_LARGE : FLIGHT_FAILED;
	d->failed = true;
	d->dead |= err == -EPIPE;
}

static bool is_too_large(const struct drain *d)
{
	const struct spool_pos *a = &d->entry.end, *b = &d->too_large;

	return a->segment == b->segment && a->offset == b->offset;
}

static struct flight *push(struct drain *d, enum flight_state state)
{
	struct flight *f = flight_at(d, d->n++);

	*f = (struct flight){
		.drain = d, .end = d->entry.end, .at_ms = d->entry.rec.at_ms, .state = state
	};
	d->entry_waits = false;
	return f;
}

static void reject(struct drain *d, const char *why)
{
	spool_reject(d->in->spool, &d->entry, why);
	push(d, FLIGHT_DONE);
}

/* The entry goes to the client. 0, or -EAGAIN: not now. */
static int send_entry(struct drain *d)
{
	const struct spool_record *rec = &d->entry.rec;
	enum topic topic;
	struct flight *f;
	int err;

	if (ingest_topic(rec->topic, &topic)) {
		reject(d, "unknown topic");
		return 0;
	}
	if (is_too_large(d)) {
		reject(d, "too large for the broker");
		return 0;
	}
	f = push(d, FLIGHT_UNDER_WAY);
	d->under_way++; /* first: the acknowledgement is counted in this thread, but who knows */
	err = log_append(d->appender, topic, LOG_ANY_PARTITION, rec->key, rec->value, acked, f);
	if (!err)
		return 0;
	d->under_way--;
	d->n--;
	d->entry_waits = true;
	if (err == -EMSGSIZE) {
		reject(d, "too large");
		return 0;
	}
	if (err == -EPIPE)
		d->failed = d->dead = true;
	return -EAGAIN;
}

/*
 * Reads and sends as much as goes. What the client and the broker spend on a batch of a partition
 * is the same for a few records and for many; so in a rush, once all that is there has been sent,
 * what follows is left to gather for a moment.
 */
static void fill(struct drain *d)
{
	size_t sent = 0;
	int got;

	while (!d->failed && d->n < FLIGHT_MAX) {
		if (!d->entry_waits) {
			got = spool_next(d->in->spool, &d->entry);
			d->unreadable = got < 0;
			if (got == 0 && sent >= RUSH_RECORDS)
				d->fill_at_ms = clock_mono_ms() + RUSH_MS;
			if (got <= 0)
				return;
			d->entry_waits = true;
		}
		if (send_entry(d))
			return;
		sent++;
	}
}

/* What is acknowledged without a gap is done. */
static void advance(struct drain *d)
{
	struct spool_pos end;
	size_t done = 0;

	while (done < d->n && (flight_at(d, done)->state == FLIGHT_DONE || BROKEN(cursor_early)))
		end = flight_at(d, done++)->end;
	if (!done)
		return;
	spool_done(d->in->spool, &end);
	d->first = (d->first + done) % FLIGHT_MAX;
	d->n -= done;
	d->pause_ms = PAUSE_FIRST_MS;
	atomic_store_explicit(&d->in->kafka_acks, true, memory_order_relaxed);
}

static void tell_oldest(struct drain *d)
{
	int64_t at_ms = d->n ? flight_at(d, 0)->at_ms : d->entry_waits ? d->entry.rec.at_ms : 0;

	series_set(d->oldest, at_ms ? MAX(clock_wall_ms() - at_ms, 0) / 1000 : 0);
}

static void rest(struct drain *d)
{
	const struct timespec step = { 0, 10000000 };
	int64_t until_ms = clock_mono_ms() + d->pause_ms;

	while (!atomic_load(&d->in->stop) && clock_mono_ms() < until_ms)
		nanosleep(&step, NULL);
	d->pause_ms = MIN(d->pause_ms * 2, PAUSE_MAX_MS);
}

/* All that was under way has ended, one or more badly: again from the first that is not done. */
static void begin_again(struct drain *d)
{
	bool too_large = d->n && flight_at(d, 0)->state == FLIGHT_TOO_LARGE;

	if (too_large)
		d->too_large = flight_at(d, 0)->end;
	else
		metric_add(M_LOG_ERRORS, "ingest", d->dead ? "fatal" : "retry", 1);
	if (d->dead) {
		SLOG(SLOG_WARN, "spool's producer is dead, making a new one");
		log_appender_free(d->appender);
		d->appender = NULL;
	}
	d->first = d->n = 0;
	d->entry_waits = d->failed = d->dead = false;
	if (!BROKEN(rewind_skipped))
		spool_rewind(d->in->spool);
	if (!too_large)
		rest(d);
}

static void turn(struct drain *d)
{
	int64_t rest_ms;

	if (!d->appender && log_appender_new(d->in->log, APPENDER_MS, &d->appender)) {
		SLOG(SLOG_ERROR, "no producer for the spool, trying again");
		rest(d);
		return;
	}
	rest_ms = d->fill_at_ms - clock_mono_ms();
	if (rest_ms <= 0)
		fill(d);
	log_appender_poll(d->appender, rest_ms > 0                      ? (int)MIN(rest_ms, POLL_MS)
				       : d->under_way || d->entry_waits ? POLL_MS
									: 0);
	advance(d);
	tell_oldest(d);
	if (d->dead && d->under_way) {
		/* Whatever a dead producer still has never comes. */
		log_appender_free(d->appender);
		d->appender = NULL;
		advance(d);
	}
	if (d->failed && !d->under_way)
		begin_again(d);
	else if (d->unreadable)
		rest(d);
	else if (!d->n && !d->entry_waits && rest_ms <= 0)
		spool_wait(d->in->spool, IDLE_MS);
}

void *ingest_drain_main(void *arg)
{
	struct ingest *in = arg;
	struct drain d = { .in = in,
			   .pause_ms = PAUSE_FIRST_MS,
			   .oldest = metric(M_SPOOL_OLDEST_SECONDS, NULL, NULL) };

	pthread_setname_np(pthread_self(), "ingest-drain");
	while (!(d.flights = calloc(FLIGHT_MAX, sizeof(*d.flights))) && !atomic_load(&in->stop)) {
		SLOG(SLOG_ERROR, "no memory to drain the spool, trying again");
		rest(&d);
	}
	while (!atomic_load(&in->stop))
		turn(&d);
	log_appender_free(d.appender);
	advance(&d);
	free(d.flights);
	return NULL;
}
