/* What role deliver shares between threads: sinks and their answers, tasks read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../net/server.h"
#include "base/clock.h"
#include "log/ops.h"
#include "role/deliver_outlets.h"
#include "role/deliver_refill.h"

#define WAIT_MS 20000
#define CALL    "11111111-1111-5111-8111-111111111111"

/* ---- outlets ---- */

struct office {
	struct server server;
	struct cfg_sink sinks[3];
	struct cfg cfg;
	char url[64], path[64];
	struct outlets *outlets;
};

static const char *const scripts[] = {
	"HTTP/1.1 200 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
};

static int open_office(void **state)
{
	struct office *o = calloc(1, sizeof(*o));
	struct buf problem = BUF_EMPTY;

	server_start(&o->server, scripts, ARRAY_LEN(scripts));
	snprintf(o->url, sizeof(o->url), "http://127.0.0.1:%d/", o->server.port);
	snprintf(o->path, sizeof(o->path), "/tmp/callstream-outlets-%ld.jsonl", (long)getpid());
	o->sinks[0] = (struct cfg_sink){ .name = "archive", .kind = "file", .path = o->path };
	o->sinks[1] = (struct cfg_sink){ .name = "crm",
					 .kind = "webhook",
					 .url = o->url,
					 .secret = "",
					 .secret_previous = "",
					 .concurrency = 8,
					 .shards = 3 };
	o->sinks[2] = (struct cfg_sink){ .name = "later", .kind = "planfix" };
	o->cfg = (struct cfg){ .sinks = o->sinks, .sinks_n = 3 };
	o->cfg.deliver.allow_private_networks = true;
	o->cfg.deliver.connect_timeout_ms = o->cfg.deliver.timeout_ms = 15000;
	assert_int_equal(0, outlets_new(&o->cfg, &o->outlets, &problem));
	*state = o;
	return 0;
}

static int close_office(void **state)
{
	struct office *o = *state;

	outlets_free(o->outlets);
	server_stop(&o->server);
	unlink(o->path);
	free(o);
	return 0;
}

static struct flight *tell(struct office *o, const char *sink, int32_t number)
{
	const struct flight as = { .partition = number, .epoch = 7 };
	const struct sink_step step = { .sink = slice_of(sink),
					.call_id = SLICE(CALL),
					.revision = 1,
					.step = SLICE("record"),
					.record = SLICE("{}"),
					.attempt = 1 };
	struct outlet *outlet = outlets_find(o->outlets, slice_of(sink));
	struct flight *flight = NULL;

	assert_non_null(outlet);
	assert_int_equal(0, outlets_send(o->outlets, outlet, &step, &as, &flight));
	return flight;
}

static struct flight *next_answer(struct office *o)
{
	int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
	struct flight *flight;

	while (!(flight = outlets_take(o->outlets)) && clock_mono_ms() < deadline_ms)
		usleep(1000);
	assert_non_null(flight);
	return flight;
}

static void answers_find_their_way_back(void **state)
{
	struct office *o = *state;
	bool seen[40] = { false };

	assert_int_equal(2, outlets_count(o->outlets));
	assert_int_equal(3, outlets_find(o->outlets, SLICE("crm"))->concurrency); /* 8 over 3 */
	assert_true(outlets_find(o->outlets, SLICE("archive"))->concurrency > 100);
	assert_null(outlets_find(o->outlets, SLICE("later")));
	for (int i = 0; i < 40; i++)
		tell(o, i % 2 ? "crm" : "archive", i);
	assert_int_equal(40, outlets_busy(o->outlets));
	for (int i = 0; i < 40; i++) {
		struct flight *flight = next_answer(o);

		assert_int_equal(SINK_DONE, flight->answer.verdict);
		assert_int_equal(7, flight->epoch);
		assert_false(seen[flight->partition]);
		seen[flight->partition] = true;
		outlets_done(o->outlets, flight);
	}
	assert_int_equal(0, outlets_busy(o->outlets));
	assert_null(outlets_take(o->outlets));
}

static void what_is_on_its_way_ends_with_them(void **state)
{
	struct office *o = *state;

	for (int i = 0; i < 20; i++)
		outlets_cancel(tell(o, i % 2 ? "crm" : "archive", i));
	/* some are answered, some cancelled, none is lost: close_office would leak it */
}

static void settings_that_cannot_work_are_told(void **state)
{
	struct office *o = *state;
	struct outlets *outlets;
	struct buf problem = BUF_EMPTY;

	o->sinks[1].secret = "whsec_*";
	assert_int_equal(-EINVAL, outlets_new(&o->cfg, &outlets, &problem));
	assert_true(problem.n > 0);
	o->sinks[1].secret = "";
	buf_fini(&problem);
}

/* ---- refill ---- */

#define MESSAGES 50

/* A log of which only reading is real. */
struct fake {
	struct log log;
	atomic_int failures; /* reads that fail at first */
	int gone_below;      /* offsets of topic tasks that retention has taken */
};

static void call_id(char out[UUID_TEXT_LEN + 1], unsigned i)
{
	snprintf(out, UUID_TEXT_LEN + 1, "%08x-0000-5000-8000-000000000000", i);
}

static void write_task(struct buf *json, unsigned i, uint32_t revision)
{
	char call[UUID_TEXT_LEN + 1];
	struct task task = { .sink = SLICE("crm"), .revision = revision, .record = SLICE("{}") };

	call_id(call, i);
	task.call = slice_of(call);
	task_write(json, &task);
}

static void write_message(struct buf *key, struct buf *value, enum topic topic, unsigned i)
{
	char call[UUID_TEXT_LEN + 1];
	struct buf task = BUF_EMPTY;
	struct entry entry = { .sink = SLICE("crm"),
			       .step = SLICE("record"),
			       .revision = 1,
			       .verdict = ENTRY_RETRY,
			       .next_at_ms = TIME_NONE };

	buf_reset(key);
	buf_reset(value);
	call_id(call, i);
	entry.call = slice_of(call);
	write_task(&task, i, 1);
	entry.task = buf_slice(&task);
	buf_printf(key, "crm/%s", call);
	if (topic == TOPIC_TASKS)
		buf_add_slice(value, entry.task);
	else
		entry_write(value, &entry);
	buf_fini(&task);
}

static int fake_read(struct log *log, enum topic topic, int32_t partition, int64_t from,
		     int64_t until, int64_t deadline_ms UNUSED, log_read_fn *each, void *arg)
{
	struct fake *fake = (struct fake *)log;
	struct buf key = BUF_EMPTY, value = BUF_EMPTY;
	int r = 0;

	if (atomic_fetch_sub(&fake->failures, 1) > 0)
		return -EAGAIN;
	for (int64_t i = MAX(from, (int64_t)0); r == 0 && i < MIN(until, (int64_t)MESSAGES); i++) {
		struct log_msg msg = { .topic = topic, .partition = partition, .offset = i };

		if (topic == TOPIC_TASKS && i < fake->gone_below)
			continue;
		write_message(&key, &value, topic, (unsigned)i);
		msg.key = buf_slice(&key);
		msg.value = buf_slice(&value);
		r = each(arg, &msg);
	}
	buf_fini(&key);
	buf_fini(&value);
	return r;
}

static int fake_high(struct log *log UNUSED, enum topic topic UNUSED, int32_t partition UNUSED,
		     int64_t deadline_ms UNUSED, int64_t *ret)
{
	*ret = MESSAGES;
	return 0;
}

static const struct log_ops fake_ops = { .read_partition = fake_read, .high_watermark = fake_high };

static struct wanted want(enum topic topic, unsigned i)
{
	struct wanted w = { .place = { topic, i } };
	char call[UUID_TEXT_LEN + 1], key[ENTRY_KEY_MAX + 1];

	call_id(call, i);
	w.key_n = (uint8_t)snprintf(key, sizeof(key), "crm/%s", call);
	memcpy(w.key, key, w.key_n);
	return w;
}

static struct refill_batch *next_batch(struct refill *r)
{
	int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
	struct refill_batch *batch;

	while (!(batch = refill_take(r)) && clock_mono_ms() < deadline_ms)
		usleep(1000);
	assert_non_null(batch);
	return batch;
}

/* Each wanted one has its own task, whatever order they were sorted into. */
static void check_batch(const struct refill_batch *batch, size_t lost)
{
	for (size_t i = 0; i < batch->n; i++) {
		struct slice key = slice_make(batch->wanted[i].key, batch->wanted[i].key_n);
		struct task task;

		if (!batch->json[i]) {
			assert_true(lost-- > 0);
			continue;
		}
		assert_int_equal(0, task_read(slice_make(batch->json[i], batch->json_n[i]), &task));
		assert_true(slice_ends(key, task.call));
	}
	assert_int_equal(0, lost);
}

static void tasks_come_back_from_where_they_lie(void **state UNUSED)
{
	struct fake fake = { .log = { &fake_ops }, .gone_below = 20 };
	struct wanted wanted[] = {
		want(TOPIC_TASKS, 30),     want(TOPIC_DELIVERIES, 5), want(TOPIC_TASKS, 3),
		want(TOPIC_DELIVERIES, 9), want(TOPIC_TASKS, 49),     want(TOPIC_TASKS, 19),
	};
	struct refill_batch *batch;
	struct refill *r;

	atomic_init(&fake.failures, 1);
	assert_int_equal(0, refill_new(&fake.log, &r));
	assert_int_equal(0, refill_ask(r, 2, 11, wanted, ARRAY_LEN(wanted)));
	batch = next_batch(r);
	assert_int_equal(2, batch->partition);
	assert_int_equal(11, batch->epoch);
	assert_int_equal(ARRAY_LEN(wanted), batch->n);
	check_batch(batch, 0); /* 3 and 19 were found in the ledger's entries */
	refill_batch_free(batch);
	refill_free(r);
}

static void what_is_nowhere_is_told_as_lost(void **state UNUSED)
{
	struct fake fake = { .log = { &fake_ops } };
	struct wanted wanted[] = { want(TOPIC_TASKS, MESSAGES + 5), want(TOPIC_TASKS, 1) };
	struct refill_batch *batch;
	struct refill *r;

	assert_int_equal(0, refill_new(&fake.log, &r));
	assert_int_equal(0, refill_ask(r, 0, 1, wanted, ARRAY_LEN(wanted)));
	batch = next_batch(r);
	check_batch(batch, 1);
	refill_batch_free(batch);
	refill_free(r);
}

static void an_end_in_the_middle(void **state UNUSED)
{
	struct fake fake = { .log = { &fake_ops } };
	struct wanted wanted[] = { want(TOPIC_TASKS, 1) };
	struct refill *r;

	atomic_init(&fake.failures, INT32_MAX); /* a log that never answers */
	assert_int_equal(0, refill_new(&fake.log, &r));
	for (int i = 0; i < 5; i++)
		assert_int_equal(0, refill_ask(r, 0, 1, wanted, 1));
	refill_free(r);
	refill_free(NULL);
	refill_batch_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_find_their_way_back, open_office,
						close_office),
		cmocka_unit_test_setup_teardown(what_is_on_its_way_ends_with_them, open_office,
						close_office),
		cmocka_unit_test_setup_teardown(settings_that_cannot_work_are_told, open_office,
						close_office),
		cmocka_unit_test(tasks_come_back_from_where_they_lie),
		cmocka_unit_test(what_is_nowhere_is_told_as_lost),
		cmocka_unit_test(an_end_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
