#include "sink/sink.h"

const struct sink_kind *const sink_kinds[] = { &sink_file, &sink_webhook, NULL };

static const char *const verdict_texts[] = {
	[SINK_DONE] = "done",
	[SINK_RETRY] = "retry",
	[SINK_DEAD] = "dead",
};

const struct sink_kind *sink_kind_find(struct slice name)
{
	for (size_t i = 0; sink_kinds[i]; i++) {
		if (slice_is(name, sink_kinds[i]->name))
			return sink_kinds[i];
	}
	return NULL;
}

enum cfg_send sink_send(const struct sink_kind *kind, const struct cfg_sink *cfg)
{
	return cfg->send == CFG_SEND_DEFAULT ? kind->send : cfg->send;
}

const char *sink_verdict_text(enum sink_verdict verdict)
{
	return verdict_texts[verdict];
}

void sink_request_fini(struct sink_request *req)
{
	buf_fini(&req->head);
	buf_fini(&req->body);
}
