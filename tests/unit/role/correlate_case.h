/*
 * correlate_case.h - what the tests of the correlator share: a config, events, a partition
 */
#ifndef CS_TEST_ROLE_CORRELATE_CASE_H
#define CS_TEST_ROLE_CORRELATE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "role/restore.h"

#define T0    INT64_C(1773483302000)
#define INDEX 1 /* the partition, as mem_log.h has it */

struct correlate_case {
	struct cfg cfg;
	struct cfg_account account;
	struct partition_env env;
};

static inline void case_begin(struct correlate_case *c)
{
	const struct cfg_closers closers = {
		.end_grace_ms = 1000,
		.no_summary_after_ms = 60000,
		.lost_without_end_after_ms = 60000,
		.talk_without_end_after_ms = 600000,
		.silent_call_after_ms = 3600000,
		.recording_wait_ms = 3600000,
	};

	*c = (struct correlate_case){ .account = { .name = "acme",
						   .source = "callgear",
						   .closers = closers,
						   .recordings = CFG_RECORDINGS_NEVER } };
	c->cfg = (struct cfg){
		.file = "",
		.numbers_country = "RU",
		.admin_listen = "127.0.0.1:0",
		.drain_ms = 5000,
		.kafka = { .partitions = INDEX + 1, .topic_prefix = "t." },
		.correlate = { .instance = "test",
			       .workers = 1,
			       .closers = closers,
			       .remember_closed_ms = 60000,
			       .closed_index_ms = 3600000,
			       .closed_index_max = 1000,
			       .orphan_wait_ms = 10000,
			       .orphans_max = 100,
			       .open_calls_max = 10000,
			       .checkpoint_every_ms = 2000,
			       .commit_every_ms = 20 },
		.accounts = &c->account,
		.accounts_n = 1,
	};
	assert_int_equal(0, partition_env_init(&c->env, &c->cfg));
}

static inline void case_end(struct correlate_case *c)
{
	partition_env_fini(&c->env);
}

/* One event as JSON; the text is the caller's to free. at_ms: past T0. */
static inline char *event_json(const char *session, enum callev_kind kind, int64_t at_ms)
{
	struct slice name[2] = { slice_of(session), slice_of(callev_kind_text(kind)) };
	struct buf b = BUF_EMPTY;
	struct callev ev;

	callev_init(&ev);
	uuid_v5(name, 2, &ev.id);
	ev.account = SLICE("acme");
	ev.source = SLICE("callgear");
	ev.call_session_id = slice_of(session);
	ev.kind = kind;
	ev.at_ms = ev.received_at_ms = T0 + at_ms;
	ev.direction = DIRECTION_IN;
	if (kind == CALLEV_NOTE)
		ev.name = SLICE("dtmf");
	callev_write(&b, &ev);
	assert_false(b.bad);
	return buf_take_text(&b);
}

static inline struct log_msg message(int64_t offset, const char *json)
{
	return (struct log_msg){ TOPIC_EVENTS,      INDEX,          offset, T0 + offset,
				 SLICE("acme/key"), slice_of(json), false };
}

/* The next event of a partition. */
static inline void feed(struct partition *p, const char *session, enum callev_kind kind)
{
	int64_t offset = p->next == LOG_BEGIN ? 0 : p->next;
	char *json = event_json(session, kind, offset);
	struct log_msg msg = message(offset, json);

	assert_int_equal(0, partition_apply(p, &msg));
	free(json);
}

static inline void step(struct partition *p, int64_t clock_ms, int64_t mono_ms)
{
	const struct partition_step s = { T0 + clock_ms, mono_ms, 0 };

	assert_int_equal(0, partition_step(p, &s));
}

/* How many messages of a topic (whose key begins with prefix) wait. */
static inline size_t count_out(const struct partition *p, enum topic topic, const char *prefix)
{
	size_t n = 0;

	for (size_t i = 0; i < p->out.n; i++) {
		struct outbox_msg msg = outbox_get(&p->out, i);

		n += msg.topic == topic && slice_starts(msg.key, slice_of(prefix));
	}
	return n;
}

/* Into what a restart would read. */
static inline void write_to(struct partition *p, struct restore *r)
{
	for (size_t i = 0; i < p->out.n; i++) {
		struct outbox_msg msg = outbox_get(&p->out, i);

		if (msg.topic == TOPIC_STATE)
			assert_int_equal(0, restore_message(r, msg.key, msg.value, msg.tombstone));
	}
	outbox_reset(&p->out);
}

#endif
