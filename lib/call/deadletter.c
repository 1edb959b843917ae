#include "call/deadletter.h"

#include "wire/json_out.h"

void deadletter_write(struct buf *out, const struct deadletter *d)
{
	struct json_out j = jo_make(out);

	jo_begin_object(&j);
	JO_KEY(&j, "schema");
	jo_raw(&j, SLICE("\"callstream.dead/1\""));
	JO_PUT(&j, "reason", d->reason);
	JO_PUT(&j, "account", d->account);
	JO_PUT(&j, "id", d->id);
	JO_PUT(&j, "call_session_id", d->call_session_id);
	JO_PUT(&j, "sink", d->sink);
	if (d->attempts) {
		JO_KEY(&j, "attempts");
		jo_int(&j, d->attempts);
	}
	JO_PUT_TIME(&j, "at", d->at_ms);
	JO_KEY(&j, "original");
	jo_raw(&j, d->original.n ? d->original : SLICE("{}"));
	jo_end_object(&j);
}
