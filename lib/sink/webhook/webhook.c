#include "sink/webhook/webhook.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/clock.h"
#include "wire/base64.h"

#define MAC_LEN       32 /* SHA-256 */
#define SECRET_PREFIX SLICE("whsec_")

/* ---- format ---- */

/* The bytes behind a secret as config writes it. */
static int secret_key(struct slice secret, struct buf *out)
{
	size_t n = 0;

	if (!slice_starts(secret, SECRET_PREFIX)) {
		buf_add_slice(out, secret);
		return out->bad ? -ENOMEM : out->n ? 0 : -EINVAL;
	}
	secret = slice_skip(secret, SECRET_PREFIX.n);
	if (!buf_reserve(out, secret.n + 2))
		return -ENOMEM;
	if (base64_read(secret, out->p, &n) != 0 || n == 0)
		return -EINVAL;
	out->n = n;
	return 0;
}

static int hmac(struct slice key, struct slice content, struct buf *out)
{
	char text[BASE64_LEN(MAC_LEN)];
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;

	if (!HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)content.p, content.n, mac,
		  &mac_len) ||
	    mac_len != MAC_LEN)
		return -ENOMEM;
	buf_add_text(out, "v1,");
	buf_add(out, text, base64_write(slice_make(mac, MAC_LEN), text));
	return out->bad ? -ENOMEM : 0;
}

int webhook_sign(struct slice secret, struct slice id, int64_t seconds, struct slice body,
		 struct buf *out)
{
	struct buf key = BUF_EMPTY, content = BUF_EMPTY;
	int err = secret_key(secret, &key);

	buf_add_slice(&content, id);
	buf_printf(&content, ".%lld.", (long long)seconds);
	buf_add_slice(&content, body);
	if (!err)
		err = content.bad ? -ENOMEM : hmac(buf_slice(&key), buf_slice(&content), out);
	buf_fini(&key);
	buf_fini(&content);
	return err;
}

static int add_signatures(const struct cfg_sink *cfg, struct slice id, int64_t seconds,
			  struct slice body, struct buf *head)
{
	int err;

	if (!*cfg->secret)
		return 0;
	buf_add_text(head, "webhook-signature: ");
	err = webhook_sign(slice_of(cfg->secret), id, seconds, body, head);
	if (!err && *cfg->secret_previous) {
		buf_add_char(head, ' ');
		err = webhook_sign(slice_of(cfg->secret_previous), id, seconds, body, head);
	}
	buf_add_char(head, '\n');
	return err;
}

static int format(const struct cfg_sink *cfg, const struct sink_step *step, int64_t now_ms,
		  struct sink_request *req)
{
	struct buf id = BUF_EMPTY, *head = &req->head;
	int64_t seconds = now_ms / 1000;
	int err;

	buf_printf(&id, "%.*s-%u", SLICE_ARG(step->call_id), step->revision);
	buf_add_text(head, "Content-Type: application/json\n");
	buf_printf(head, "webhook-id: %.*s\n", SLICE_ARG(buf_slice(&id)));
	buf_printf(head, "webhook-timestamp: %lld\n", (long long)seconds);
	err = add_signatures(cfg, buf_slice(&id), seconds, step->record, head);
	buf_add_slice(&req->body, step->record);
	if (!err && (id.bad || head->bad || req->body.bad))
		err = -ENOMEM;
	buf_fini(&id);
	return err;
}

/* ---- verdict ---- */

struct verdict_row {
	int from, to; /* of statuses, both included */
	enum sink_verdict verdict;
	const char *reason;
};

/* The first row that fits. */
static const struct verdict_row verdicts[] = {
	{ 200, 299, SINK_DONE, "" },
	{ 300, 399, SINK_DEAD, "redirected" }, /* another address is the operator's decision */
	{ 408, 408, SINK_RETRY, "request_timeout" },
	{ 410, 410, SINK_DEAD, "gone" },
	{ 425, 425, SINK_RETRY, "too_early" },
	{ 429, 429, SINK_RETRY, "too_many_requests" },
	{ 400, 499, SINK_DEAD, "refused" },
	{ 500, 599, SINK_RETRY, "server_error" },
	{ 0, 999, SINK_DEAD, "no_http_status" },
};

static bool will_never_be_sent(enum http_result result)
{
	return result == HTTP_BAD_URL || result == HTTP_ADDRESS_REFUSED;
}

void webhook_verdict(const struct http_answer *http, struct sink_answer *ret)
{
	const struct verdict_row *row = verdicts;

	*ret = (struct sink_answer){ .status = http->status, .ms = http->ms };
	if (http->result != HTTP_ANSWERED) {
		ret->verdict = will_never_be_sent(http->result) ? SINK_DEAD : SINK_RETRY;
		ret->reason = http_result_text(http->result);
		return;
	}
	while (row < verdicts + ARRAY_LEN(verdicts) - 1 &&
	       (http->status < row->from || http->status > row->to))
		row++;
	ret->verdict = row->verdict;
	ret->reason = row->reason;
	if (row->verdict == SINK_RETRY)
		ret->retry_after_ms = MIN(http->retry_after_ms, SINK_RETRY_AFTER_MAX_MS);
}

/* ---- IO ---- */

struct webhook {
	const struct cfg_sink *cfg;
	struct http_client *http;
	struct sink_request req; /* used again for each step */
};

/* A step on its way. */
struct flight {
	sink_done_fn *done;
	void *arg;
};

static bool secret_fits(const char *secret)
{
	struct buf key = BUF_EMPTY;
	int err = *secret ? secret_key(slice_of(secret), &key) : 0;

	buf_fini(&key);
	return err != -EINVAL;
}

static int init(void *state, const struct cfg_sink *cfg, const struct sink_env *env,
		struct buf *problem)
{
	struct webhook *w = state;

	if (!secret_fits(cfg->secret) || !secret_fits(cfg->secret_previous)) {
		buf_printf(problem, "sink %s: secret: behind whsec_ stands base64", cfg->name);
		return -EINVAL;
	}
	if (!*cfg->url) {
		buf_printf(problem, "sink %s: url: an http or https address is needed", cfg->name);
		return -EINVAL;
	}
	*w = (struct webhook){ .cfg = cfg, .http = env->http };
	return 0;
}

static void on_answer(void *arg, const struct http_answer *http)
{
	struct flight *flight = arg;
	struct sink_answer answer;

	webhook_verdict(http, &answer);
	flight->done(flight->arg, &answer);
	free(flight);
}

static int deliver(void *state, const struct sink_step *step, sink_done_fn *done, void *arg)
{
	struct webhook *w = state;
	struct http_request req = {
		.method = "POST", .url = w->cfg->url, .tag = arg, .start_by_ms = step->start_by_ms
	};
	struct flight *flight;
	int err;

	buf_reset(&w->req.head);
	buf_reset(&w->req.body);
	err = format(w->cfg, step, clock_wall_ms(), &w->req);
	if (err)
		return err;
	flight = malloc(sizeof(*flight));
	if (!flight)
		return -ENOMEM;
	*flight = (struct flight){ .done = done, .arg = arg };
	req.head = buf_slice(&w->req.head);
	req.body = buf_slice(&w->req.body);
	err = http_client_send(w->http, &req, on_answer, flight);
	if (err)
		free(flight);
	return err;
}

static void cancel(void *state, const void *arg)
{
	struct webhook *w = state;

	http_client_cancel(w->http, arg);
}

static void fini(void *state)
{
	struct webhook *w = state;

	sink_request_fini(&w->req);
}

const struct sink_kind sink_webhook = {
	.name = "webhook",
	.send = CFG_SEND_EVERY,
	.state_size = sizeof(struct webhook),
	.init = init,
	.format = format,
	.deliver = deliver,
	.cancel = cancel,
	.fini = fini,
};
