/*
 * webhook.h - any system that takes records as JSON over HTTP (rules.md 8)
 *
 * Headers after the Standard Webhooks specification: webhook-id `<call id>-<revision>`, the same at
 * each repetition; webhook-timestamp in seconds; webhook-signature `v1,` and the base64 of
 * HMAC-SHA256 over "id.timestamp.body", a second one behind a blank while a secret is rotated.
 */
#ifndef CS_SINK_WEBHOOK_H
#define CS_SINK_WEBHOOK_H

#include "sink/sink.h"

/*
 * Appends "v1,<base64>". A secret that begins with whsec_ is base64 behind it, else raw bytes.
 * 0; -EINVAL: whsec_ without good base64, or an empty secret; -ENOMEM.
 */
CHECKED int webhook_sign(struct slice secret, struct slice id, int64_t seconds, struct slice body,
			 struct buf *out);

/*
 * What an answer means: 2xx done; 408, 425, 429 and 5xx again, not before Retry-After; redirects
 * and all other statuses dead; no answer again, but for a URL or an address that is refused.
 */
void webhook_verdict(const struct http_answer *http, struct sink_answer *ret);

#endif
