/*
 * deliver_case.h - a worker of role deliver without its loop, on a log that keeps what is written
 *
 * The parts of the worker (deliver_priv.h) are called one by one. The log fails where the test
 * says; what it was given stands in desk.log as words, a line each: "tasks crm rev=1".
 */
#ifndef CS_TEST_DELIVER_CASE_H
#define CS_TEST_DELIVER_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/ops.h"
#include "role/deliver_json.h"
#include "role/deliver_priv.h"

#define CALL_1 "11111111-1111-5111-8111-111111111111"
#define CALL_2 "22222222-2222-5222-8222-222222222222"

#define RECORD(call, revision)                                                                     \
	"{\"schema\":\"callstream.call/1\",\"id\":\"" call "\",\"revision\":" #revision            \
	",\"account\":\"acme\",\"call_session_id\":\"7\",\"direction\":\"in\","                    \
	"\"outcome\":\"answered\",\"line\":\"74951234567\"}"

struct desk {
	struct log log;
	struct log_worker log_worker;
	struct cfg *cfg;
	struct outlets *outlets;
	struct deliver_worker_cfg worker_cfg;
	struct deliver_worker w;
	atomic_bool closing;
	_Atomic int64_t deadline_ms;
	char path[64]; /* of the sink `archive` */
	struct buf written;

	/* what the log says */
	int produce_err, commit_err, read_err;
	int64_t tasks_high, lag;
	const char *const *entries; /* what topic deliveries holds: key, value, ..., NULL */
	int commits;
	size_t committed_n; /* partitions in the last commit */
};

static struct desk desk;

/* ---- the log ---- */

static int desk_produce(struct log_worker *w UNUSED, enum topic topic, int32_t partition UNUSED,
			struct slice key, struct slice value, bool tombstone UNUSED)
{
	struct json_spans spans = json_spans_of(value);
	struct json_span span;

	if (desk.produce_err)
		return desk.produce_err;
	buf_printf(&desk.written, "%s %.*s", topic_text(topic), SLICE_ARG(key));
	while (json_spans_next(&spans, &span)) {
		if (slice_is(span.key, "revision"))
			buf_printf(&desk.written, " rev=%.*s", SLICE_ARG(span.value));
		if (slice_is(span.key, "verdict") || slice_is(span.key, "reason"))
			buf_printf(&desk.written, " %.*s", SLICE_ARG(json_span_text(span.value)));
	}
	buf_add_char(&desk.written, '\n');
	return 0;
}

static int desk_commit(struct log_worker *w UNUSED, const struct log_part *parts UNUSED, size_t n)
{
	desk.commits++;
	desk.committed_n = n;
	return desk.commit_err;
}

static int64_t desk_lag(struct log_worker *w UNUSED, enum topic topic UNUSED,
			int32_t partition UNUSED)
{
	return desk.lag;
}

static bool desk_open(const struct log_worker *w UNUSED)
{
	return desk.written.n > 0;
}

static int64_t entries_n(void)
{
	int64_t n = 0;

	while (desk.entries && desk.entries[2 * n])
		n++;
	return n;
}

static int desk_high(struct log *log UNUSED, enum topic topic, int32_t partition UNUSED,
		     int64_t deadline_ms UNUSED, int64_t *ret)
{
	*ret = topic == TOPIC_TASKS ? desk.tasks_high : entries_n();
	return 0;
}

static int desk_read(struct log *log UNUSED, enum topic topic, int32_t partition,
		     int64_t from UNUSED, int64_t until UNUSED, int64_t deadline_ms UNUSED,
		     log_read_fn *each, void *arg)
{
	int err = desk.read_err;

	for (int64_t i = 0; !err && i < entries_n(); i++) {
		const struct log_msg msg = { .topic = topic,
					     .partition = partition,
					     .offset = i,
					     .key = slice_of(desk.entries[2 * i]),
					     .value = slice_of(desk.entries[2 * i + 1]),
					     .tombstone = !*desk.entries[2 * i + 1] };

		err = each(arg, &msg);
	}
	return err;
}

static const struct log_ops desk_ops = {
	.name = "desk",
	.worker_lag = desk_lag,
	.txn_produce = desk_produce,
	.txn_commit = desk_commit,
	.txn_open = desk_open,
	.high_watermark = desk_high,
	.read_partition = desk_read,
};

/* ---- a desk for each test ---- */

static void desk_config(const char *path, struct buf *out)
{
	buf_printf(out,
		   "accounts: [{name: acme, source: callgear, timezone: UTC, insecure: true, "
		   "recordings: never}]\n"
		   "sinks:\n"
		   "  - {name: archive, kind: file, path: %s}\n"
		   "  - {name: crm, kind: webhook, url: \"http://192.0.2.1/\", shards: 4}\n"
		   "routes: [{account: acme, sinks: [archive, crm]}]\n",
		   path);
}

static int desk_setup(void **state)
{
	struct buf text = BUF_EMPTY, problem = BUF_EMPTY;

	memset(&desk, 0, sizeof(desk));
	desk.log.ops = desk.log_worker.ops = &desk_ops;
	snprintf(desk.path, sizeof(desk.path), "/tmp/callstream-desk-%ld.jsonl", (long)getpid());
	desk_config(desk.path, &text);
	assert_int_equal(0, cfg_parse("f", buf_slice(&text), &desk.cfg, &problem));
	assert_int_equal(0, outlets_new(desk.cfg, &desk.outlets, &problem));
	desk.deadline_ms = INT64_MAX;
	desk.worker_cfg = (struct deliver_worker_cfg){ .cfg = desk.cfg,
						       .log = &desk.log,
						       .outlets = desk.outlets,
						       .closing = &desk.closing,
						       .deadline_ms = &desk.deadline_ms };
	desk.w = (struct deliver_worker){ .cfg = &desk.worker_cfg,
					  .log = &desk.log_worker,
					  .chance = 1,
					  .ledger_cfg = { .give_up_after_ms = 3600000,
							  .retry_first_ms = 1000,
							  .retry_max_ms = 60000,
							  .lane_bytes_max = 1 << 20,
							  .told_max = 100 } };
	assert_int_equal(0, routes_new(desk.cfg, &desk.w.routes));
	assert_int_equal(0, refill_new(&desk.log, &desk.w.refill));
	buf_fini(&text);
	buf_fini(&problem);
	*state = &desk;
	return 0;
}

static int desk_teardown(void **state UNUSED)
{
	while (desk.w.ledgers_n)
		deliver_drop_ledger(&desk.w, desk.w.ledgers[0]->partition);
	refill_free(desk.w.refill);
	routes_free(desk.w.routes);
	outlets_free(desk.outlets);
	cfg_free(desk.cfg);
	free(desk.w.ledgers);
	free(desk.w.owned);
	free(desk.w.consumed);
	buf_fini(&desk.w.key);
	buf_fini(&desk.w.value);
	buf_fini(&desk.written);
	unlink(desk.path);
	return 0;
}

#define DESK_TEST(f) cmocka_unit_test_setup_teardown(f, desk_setup, desk_teardown)

/* ---- what tests do ---- */

static inline void desk_wrote(const char *want)
{
	buf_add_char(&desk.written, '\0');
	assert_false(desk.written.bad);
	assert_string_equal(desk.written.p, want);
	buf_reset(&desk.written);
}

static inline void desk_take(enum topic topic, const char *key, const char *value, int64_t offset)
{
	const struct log_msg msg = { .topic = topic,
				     .offset = offset,
				     .key = slice_of(key),
				     .value = slice_of(value),
				     .tombstone = !*value };

	deliver_take_message(&desk.w, &msg);
}

/* A task for this sink; partition 0 has to be ours. */
static inline void desk_task(const char *sink, const char *call, uint32_t revision, int64_t offset)
{
	const struct task task = { .sink = slice_of(sink),
				   .call = slice_of(call),
				   .revision = revision,
				   .at_ms = deliver_now_ms(&desk.w),
				   .record = SLICE("{}") };
	struct buf json = BUF_EMPTY;

	task_write(&json, &task);
	buf_add_char(&json, '\0');
	desk_take(TOPIC_TASKS, sink, json.p, offset);
	buf_fini(&json);
}

static inline struct owned_ledger *desk_own(int32_t partition, int64_t tasks_next)
{
	assert_int_equal(0, deliver_restore_ledger(&desk.w, partition, tasks_next));
	return deliver_find_ledger(&desk.w, partition);
}

static inline size_t desk_waiting(const struct owned_ledger *o)
{
	struct ledger_counts counts;

	ledger_counts(o->ledger, &counts);
	return counts.waiting + counts.flying + counts.parked;
}

#endif
