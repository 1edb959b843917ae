/*
 * deadletter.h - the object that topic dead holds (rules.md 9)
 * Thread: any.
 */
#ifndef CS_CALL_DEADLETTER_H
#define CS_CALL_DEADLETTER_H

#include "base/buf.h"
#include "base/timefmt.h"

struct deadletter {
	struct slice reason;      /* "late", "undecodable: ...", "gave_up", "permanent", ... */
	struct slice account, id; /* id: of the call, the event or the task; absent allowed */
	struct slice call_session_id, sink;
	uint32_t attempts; /* 0: left out */
	int64_t at_ms;
	struct slice original; /* a JSON object, inserted as it is; absent: {} */
};

/* Appends {"schema":"callstream.dead/1",...}; absent values left out. */
void deadletter_write(struct buf *out, const struct deadletter *d);

#endif
