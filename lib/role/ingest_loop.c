/* One HTTP loop: a request is routed, decoded, kept and answered. */
#include "role/ingest_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/slog.h"

#define RETRY_FLOOD_S   1
#define RETRY_DURABLE_S 5
#define UNKNOWN         "unknown" /* account of what belongs to none */

/* ---- answers, each counted ---- */

static const char *status_text(int status)
{
	switch (status) {
	case 200:
		return "200";
	case 400:
		return "400";
	case 403:
		return "403";
	case 404:
		return "404";
	case 405:
		return "405";
	case 413:
		return "413";
	case 417:
		return "417";
	case 429:
		return "429";
	case 431:
		return "431";
	case 503:
		return "503";
	default:
		return "other";
	}
}

static void count(const struct ingest_account *account, int status)
{
	metric_add(M_REQUESTS, account ? account->cfg->name : UNKNOWN, status_text(status), 1);
}

/* why: constant text without quotes. */
static void refuse(struct ingest_loop *loop, struct exchange *x,
		   const struct ingest_account *account, int status, const char *why)
{
	char text[160];
	struct buf body = { text, 0, sizeof(text), false };
	unsigned retry_s = status == 429 ? RETRY_FLOOD_S : status == 503 ? RETRY_DURABLE_S : 0;

	(void)loop;
	buf_add_text(&body, "{\"error\":\"");
	buf_add(&body, why, MIN(strlen(why), sizeof(text) - 32));
	buf_add_text(&body, "\"}");
	count(account, status);
	exchange_answer(x, status, buf_slice(&body), retry_s);
}

/* Whoever is not authentic may be told so only so often (rules.md 3: a 403 becomes 429). */
static void refuse_stranger(struct ingest_loop *loop, struct exchange *x,
			    const struct ingest_account *account, const char *why)
{
	if (flood_allows(loop->in->flood, x->peer, clock_mono_ms()))
		refuse(loop, x, account, 403, why);
	else
		refuse(loop, x, account, 429, "too many requests that are not authentic");
}

static struct tally *tally_of(struct ingest_loop *loop, const struct ingest_account *account)
{
	return &loop->tallies[account - loop->in->accounts];
}

static struct series *kind_series(struct ingest_loop *loop, const struct ingest_account *account,
				  const char *kind)
{
	struct tally *t = tally_of(loop, account);
	struct series *series;

	for (size_t i = 0; i < t->kinds_n; i++) {
		if (t->kinds[i].kind == kind)
			return t->kinds[i].series;
	}
	series = metric(M_REQUEST_KINDS, account->cfg->name, kind);
	if (t->kinds_n < INGEST_KINDS_MAX) {
		t->kinds[t->kinds_n].kind = kind;
		t->kinds[t->kinds_n++].series = series;
	}
	return series;
}

static void accepted(struct ingest_loop *loop, const struct pending *p, struct slice body)
{
	const char *name = p->account->cfg->name;

	series_add(kind_series(loop, p->account, p->kind), 1);
	series_add(tally_of(loop, p->account)->ok, 1);
	if (p->guessed)
		metric_add(M_REQUEST_GUESSED, name, NULL, 1);
	if (p->unmapped)
		metric_add(M_EMPLOYEES_UNMAPPED, name, NULL, 1);
	if (p->dead) {
		metric_add(M_REQUEST_UNDECODABLE, name, NULL, 1);
		metric_add(M_DEAD, "ingest", "undecodable", 1);
	}
	series_observe_us(loop->in->seconds, clock_mono_us() - p->x->received_us);
	exchange_answer(p->x, 200, body, 0);
}

void ingest_settle(struct ingest_loop *loop, struct pending *p, int err)
{
	loop->pending_n--;
	if (!err)
		accepted(loop, p, SLICE("{\"ok\":true}"));
	else
		refuse(loop, p->x, p->account, 503,
		       err == -ENOSPC ? "no room to keep the request"
				      : "the request cannot be kept now");
}

/* ---- requests ---- */

static const struct ingest_account *account_find(const struct ingest *in, struct slice name)
{
	size_t low = 0, high = in->accounts_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = slice_cmp(in->accounts[mid].name, name);

		if (order == 0)
			return &in->accounts[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* "/hooks/<account>/rest": the account or NULL, and the rest as sent. */
static const struct ingest_account *route(const struct ingest *in, struct slice path,
					  struct slice *ret_rest)
{
	struct slice at = slice_trim_char(path, '/');

	if (!slice_eq(slice_cut(&at, '/'), SLICE("hooks")))
		return NULL;
	while (at.n && at.p[0] == '/')
		at = slice_skip(at, 1);
	*ret_rest = at;
	return account_find(in, slice_cut(ret_rest, '/'));
}

static void keep_event(struct ingest_loop *loop, const struct callev *ev)
{
	buf_add_slice(&loop->key, ev->account);
	buf_add_char(&loop->key, '/');
	buf_add_slice(&loop->key, ev->call_session_id);
	callev_write(&loop->value, ev);
}

static void keep_dead(struct ingest_loop *loop, struct pending *p, const struct vendor_request *req,
		      const char *why)
{
	p->dead = true;
	SLOG(SLOG_WARN, "request cannot be decoded, kept in topic dead",
	     SLOG_S("account", p->account->name), SLOG_T("reason", why));
	buf_add_slice(&loop->key, p->account->name);
	dialect_dead_letter(p->account->cfg, req, why, &loop->value);
}

static void keep(struct ingest_loop *loop, struct exchange *x, const struct ingest_account *account,
		 const struct vendor_request *req, const struct dialect_result *res)
{
	struct pending *p = exchange_own(x);
	bool dead = res->verdict == DIALECT_DEAD;

	*p = (struct pending){ .x = x,
			       .account = account,
			       .kind = dead ? "dead" : res->kind,
			       .guessed = res->guessed,
			       .unmapped = res->unmapped };
	buf_reset(&loop->key);
	buf_reset(&loop->value);
	if (dead)
		keep_dead(loop, p, req, res->why);
	else
		keep_event(loop, &res->ev);
	if (loop->key.bad || loop->value.bad)
		refuse(loop, x, account, 503, "out of memory");
	else
		ingest_keep(loop, p, dead ? SPOOL_TOPIC_DEAD : SPOOL_TOPIC_EVENTS,
			    req->received_at_ms);
}

static void answer_decoded(struct ingest_loop *loop, struct exchange *x,
			   const struct ingest_account *account, const struct vendor_request *req,
			   const struct dialect_result *res)
{
	struct pending p = {
		.x = x, .account = account, .kind = res->kind, .guessed = res->guessed
	};

	switch (res->verdict) {
	case DIALECT_EVENT:
	case DIALECT_DEAD:
		keep(loop, x, account, req, res);
		break;
	case DIALECT_NOTHING:
		accepted(loop, &p, SLICE("{\"ok\":true}"));
		break;
	case DIALECT_ECHO:
		accepted(loop, &p, res->reply);
		break;
	case DIALECT_REFUSED:
		if (res->status == 403)
			refuse_stranger(loop, x, account, res->why);
		else
			refuse(loop, x, account, res->status, res->why);
		break;
	}
}

void ingest_handle(void *arg, struct exchange *x)
{
	struct ingest_loop *loop = arg;
	struct vendor_request req = {
		.method = x->method,
		.query = x->query,
		.content_type = x->content_type,
		.body = x->body,
		.signature = x->signature,
		.peer = x->peer,
		.received_at_ms = clock_wall_ms(),
	};
	const struct ingest_account *account = route(loop->in, x->path, &req.path);
	struct dialect_result res;

	if (!account) {
		refuse(loop, x, NULL, 404, "not found");
		return;
	}
	memset(&res, 0, offsetof(struct dialect_result, ev));
	if (dialect_decode(account->cfg, &req, loop->scratch, &res))
		refuse(loop, x, account, 503, "out of memory");
	else
		answer_decoded(loop, x, account, &req, &res);
}

void ingest_refused(void *arg, int status)
{
	(void)arg;
	count(NULL, status);
}

/* 404 and 405 stand before 413 (rules.md 3). */
int ingest_too_large(void *arg, struct slice method, struct slice path)
{
	struct ingest_loop *loop = arg;
	struct slice rest;

	if (!route(loop->in, path, &rest))
		return 404;
	return slice_is(method, "POST") || slice_is(method, "GET") ? 413 : 405;
}

/* ---- beginning and end ---- */

int ingest_loop_start(void *arg, struct http_loop *http, void **ret)
{
	struct ingest *in = arg;
	struct ingest_loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	loop->in = in;
	loop->http = http;
	loop->scratch = dialect_scratch_new();
	loop->tallies = calloc(in->accounts_n + 1, sizeof(*loop->tallies));
	err = loop->scratch && loop->tallies ? 0 : -ENOMEM;
	for (size_t i = 0; !err && i < in->accounts_n; i++)
		loop->tallies[i].ok = metric(M_REQUESTS, in->accounts[i].cfg->name, "200");
	if (!err)
		err = ingest_keep_start(loop);
	if (err) {
		ingest_loop_stop(loop);
		return err;
	}
	*ret = loop;
	return 0;
}

void ingest_loop_stop(void *arg)
{
	struct ingest_loop *loop = arg;

	ingest_keep_stop(loop);
	dialect_scratch_free(loop->scratch);
	free(loop->tallies);
	buf_fini(&loop->key);
	buf_fini(&loop->value);
	free(loop);
}
