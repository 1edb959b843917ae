#include "role/deliver_outlets.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

TAILQ_HEAD(flights, flight);

struct outlets {
	struct http_client *http;
	struct outlet *v;
	size_t n;
	size_t busy;
	uint64_t epochs;
	pthread_mutex_t lock; /* answered */
	struct flights answered;
};

static void find_series(struct outlet *outlet)
{
	const char *name = outlet->cfg->name;

	for (int i = 0; i < (int)ARRAY_LEN(outlet->verdicts); i++)
		outlet->verdicts[i] = metric(M_DELIVERIES, name,
					     sink_verdict_text((enum sink_verdict)i));
	outlet->superseded = metric(M_DELIVERIES, name, "superseded");
	outlet->seconds = metric(M_DELIVERY_SECONDS, name, NULL);
	outlet->routed = metric(M_TASKS_ROUTED, name, NULL);
	outlet->waiting = metric(M_DELIVERIES_WAITING, name, NULL);
}

/* A sink's limits hold over all its shards, each of which has a lane somewhere. */
static uint32_t lane_concurrency(const struct sink_kind *kind, const struct cfg_sink *cfg)
{
	uint32_t shards = MAX(cfg->shards, 1u);
	uint32_t whole = kind->concurrency ? kind->concurrency : cfg->concurrency;

	return MAX((whole + shards - 1) / shards, 1u);
}

static int open_outlet(struct outlets *o, const struct cfg_sink *cfg, const struct sink_kind *kind,
		       struct buf *problem)
{
	struct outlet *outlet = &o->v[o->n];
	struct sink_env env = { .http = o->http };
	int err;

	outlet->state = calloc(1, kind->state_size);
	if (!outlet->state)
		return -ENOMEM;
	err = kind->init(outlet->state, cfg, &env, problem);
	if (err) {
		free(outlet->state);
		return err;
	}
	outlet->cfg = cfg;
	outlet->kind = kind;
	outlet->concurrency = lane_concurrency(kind, cfg);
	find_series(outlet);
	o->n++;
	return 0;
}

static int open_all(struct outlets *o, const struct cfg *cfg, struct buf *problem)
{
	int err = 0;

	for (size_t i = 0; !err && i < cfg->sinks_n; i++) {
		const struct sink_kind *kind = sink_kind_find(slice_of(cfg->sinks[i].kind));

		if (kind)
			err = open_outlet(o, &cfg->sinks[i], kind, problem);
	}
	return err;
}

int outlets_new(const struct cfg *cfg, struct outlets **ret, struct buf *problem)
{
	const struct http_client_cfg http = {
		.allow_private_networks = cfg->deliver.allow_private_networks,
		.connect_timeout_ms = cfg->deliver.connect_timeout_ms,
		.timeout_ms = cfg->deliver.timeout_ms,
		.user_agent = "callstream/" CALLSTREAM_VERSION,
	};
	struct outlets *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return -ENOMEM;
	pthread_mutex_init(&o->lock, NULL);
	TAILQ_INIT(&o->answered);
	o->v = calloc(cfg->sinks_n + 1, sizeof(*o->v));
	err = o->v ? http_client_new(&http, &o->http) : -ENOMEM;
	if (!err)
		err = open_all(o, cfg, problem);
	if (err) {
		outlets_free(o);
		return err;
	}
	*ret = o;
	return 0;
}

/* Sinks end before the client that they use; flights before the queue that they come back to. */
void outlets_free(struct outlets *o)
{
	struct flight *flight;

	if (!o)
		return;
	http_client_free(o->http);
	for (size_t i = 0; o->v && i < o->n; i++) {
		o->v[i].kind->fini(o->v[i].state);
		free(o->v[i].state);
	}
	while ((flight = outlets_take(o)))
		outlets_done(o, flight);
	pthread_mutex_destroy(&o->lock);
	free(o->v);
	free(o);
}

size_t outlets_count(const struct outlets *o)
{
	return o->n;
}

struct outlet *outlets_at(struct outlets *o, size_t i)
{
	return &o->v[i];
}

struct outlet *outlets_find(struct outlets *o, struct slice name)
{
	for (size_t i = 0; i < o->n; i++) {
		if (slice_is(name, o->v[i].cfg->name))
			return &o->v[i];
	}
	return NULL;
}

/* In a thread of the sink. */
static void on_done(void *arg, const struct sink_answer *answer)
{
	struct flight *flight = arg;
	struct outlets *o = flight->outlets;

	flight->answer = *answer;
	pthread_mutex_lock(&o->lock);
	TAILQ_INSERT_TAIL(&o->answered, flight, link);
	pthread_mutex_unlock(&o->lock);
}

int outlets_send(struct outlets *o, struct outlet *outlet, const struct sink_step *step,
		 const struct flight *as, struct flight **ret)
{
	struct flight *flight = malloc(sizeof(*flight));
	int err;

	if (!flight)
		return -ENOMEM;
	*flight = *as;
	flight->outlets = o;
	flight->outlet = outlet;
	err = outlet->kind->deliver(outlet->state, step, on_done, flight);
	if (err) {
		free(flight);
		return err;
	}
	o->busy++;
	*ret = flight;
	return 0;
}

struct flight *outlets_take(struct outlets *o)
{
	struct flight *flight;

	pthread_mutex_lock(&o->lock);
	flight = TAILQ_FIRST(&o->answered);
	if (flight)
		TAILQ_REMOVE(&o->answered, flight, link);
	pthread_mutex_unlock(&o->lock);
	return flight;
}

void outlets_done(struct outlets *o, struct flight *flight)
{
	o->busy--;
	free(flight);
}

void outlets_cancel(struct flight *flight)
{
	const struct sink_kind *kind = flight->outlet->kind;

	if (kind->cancel)
		kind->cancel(flight->outlet->state, flight);
}

uint64_t outlets_epoch(struct outlets *o)
{
	return ++o->epochs;
}

size_t outlets_busy(const struct outlets *o)
{
	return o->busy;
}
