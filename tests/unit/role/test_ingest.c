/* The role over loopback, with a log that does what a test says and a spool in a scratch folder. */
#include <dirent.h>
#include <ftw.h>

#include "role/ingest.h"
#include "store/spool.h"
#include "unit/net/client.h"
#include "unit/role/fake_log.h"
#include "unit/store/disk.h"

struct office {
	char dir[64];
	struct cfg *cfg;
	struct ingest *in;
	const struct spool_io *io; /* NULL: the machine's */
	int fd;
};

static const char config[] =
    "kafka: {brokers: \"127.0.0.1:1\"}\n"
    "ingest: {listen: \"127.0.0.1:0\", threads: 1, spool_dir: \"%s\", ack: %s, ack_wait: %dms,\n"
    "         spool_bytes_max: %s, unauthenticated_per_second: 5}\n"
    "accounts:\n"
    "  - {name: acme, source: callgear, timezone: UTC, token: sesame, recordings: never}\n"
    "  - {name: beta, source: callgear, timezone: UTC, token: other, recordings: never,\n"
    "     keep_raw: false}\n";

struct setting {
	const char *ack;
	int ack_wait_ms;
	const char *spool_bytes_max;
};

static const struct setting spool_mode = { "spool", 200, "64MiB" };
static const struct setting kafka_mode = { "kafka", 10000, "64MiB" };
static const struct setting kafka_hasty = { "kafka", 30, "64MiB" };

static void start(struct office *o, const struct setting *set)
{
	struct buf text = BUF_EMPTY, problem = BUF_EMPTY;

	buf_printf(&text, config, o->dir, set->ack, set->ack_wait_ms, set->spool_bytes_max);
	if (cfg_parse("test.yaml", buf_slice(&text), &o->cfg, &problem))
		fail_msg("%.*s", SLICE_ARG(buf_slice(&problem)));
	buf_reset(&problem);
	if (ingest_start(o->cfg, fake_open, o->io, &o->in, &problem))
		fail_msg("%.*s", SLICE_ARG(buf_slice(&problem)));
	o->fd = dial(ingest_port(o->in));
	buf_fini(&text);
	buf_fini(&problem);
}

static void stop(struct office *o)
{
	close(o->fd);
	ingest_close(o->in);
	assert_int_equal(ingest_drain(o->in, clock_mono_ms() + WAIT_MS), 0);
	ingest_free(o->in);
	cfg_free(o->cfg);
	assert_int_equal(fake.appenders, 0);
}

static int setup(void **state)
{
	struct office *o = calloc(1, sizeof(*o));

	fake_reset();
	snprintf(o->dir, sizeof(o->dir), "/tmp/callstream-ingest-XXXXXX");
	if (!mkdtemp(o->dir))
		return -1;
	*state = o;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct office *o = *state;

	nftw(o->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(o);
	fake_reset();
	return 0;
}

/* A finished call; pad makes it long. */
static void send_call(struct office *o, const char *account_token, int call, size_t pad)
{
	struct buf body = BUF_EMPTY, all = BUF_EMPTY;

	buf_printf(
	    &body,
	    "{\"notification_mnemonic\":\"call_session_finished\",\"call_session_id\":\"%d\","
	    "\"notification_time\":\"2026-03-14 10:15:02\",\"pad\":\"",
	    call);
	while (pad--)
		buf_add_char(&body, 'p');
	buf_add_text(&body, "\"}");
	buf_printf(&all,
		   "POST /hooks/%s HTTP/1.1\r\nContent-Type: application/json\r\n"
		   "Content-Length: %zu\r\n\r\n",
		   account_token, body.n);
	buf_add_slice(&all, buf_slice(&body));
	buf_add_char(&all, '\0');
	put(o->fd, all.p);
	buf_fini(&body);
	buf_fini(&all);
}

static void calls(struct office *o, int from, int to)
{
	for (int i = from; i <= to; i++)
		send_call(o, "acme/sesame", i, 0);
	get(o->fd, "{\"ok\":true}", (size_t)to - (size_t)from + 1);
}

static void until_stored(size_t n)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	while (fake_count() < n) {
		if (clock_mono_ms() > until)
			fail_msg("%zu of %zu messages came", fake_count(), n);
		usleep(1000);
	}
}

/* How many calls from the first one on stand in order; repetitions between them do not count. */
static int ordered(int from, int to)
{
	int next = from, n;
	bool passed = false;

	pthread_mutex_lock(&fake.lock);
	for (size_t i = 0; i < fake.msgs_n && next <= to; i++) {
		n = atoi(fake.msgs[i].key + strlen("acme/"));
		passed |= n > next;
		next += n == next;
	}
	pthread_mutex_unlock(&fake.lock);
	assert_false(passed);
	return next - from;
}

/* Calls from..to come in this order. */
static void expect_order(int from, int to)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	while (ordered(from, to) <= to - from) {
		if (clock_mono_ms() > until)
			fail_msg("%d of calls %d to %d came", ordered(from, to), from, to);
		usleep(1000);
	}
}

static bool has_call(int call)
{
	char key[40];
	bool has = false;

	snprintf(key, sizeof(key), "acme/%d", call);
	pthread_mutex_lock(&fake.lock);
	for (size_t i = 0; i < fake.msgs_n && !has; i++)
		has = strcmp(fake.msgs[i].key, key) == 0;
	pthread_mutex_unlock(&fake.lock);
	return has;
}

/* Calls from..to come, in whatever order, however often. */
static void expect_all(int from, int to)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	for (int call = from; call <= to; call++) {
		while (!has_call(call)) {
			if (clock_mono_ms() > until)
				fail_msg("call %d did not come", call);
			usleep(1000);
		}
	}
}

static size_t files(const struct office *o, const char *folder, const char *end)
{
	char path[128];
	struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", o->dir, folder);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		n += slice_ends(slice_of(entry->d_name), slice_of(end));
	closedir(dir);
	return n;
}

static bool ready(struct office *o)
{
	char why[200];

	return ingest_ready(o->in, why, sizeof(why));
}

static void until_ready(struct office *o)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	while (!ready(o)) {
		assert_true(clock_mono_ms() < until);
		usleep(1000);
	}
}

/* ---- the two modes ---- */

static void spooled_then_drained(void **state)
{
	struct office *o = *state;

	start(o, &spool_mode);
	calls(o, 1, 200);
	until_stored(200);
	assert_int_equal(fake.msgs_n, 200);
	expect_order(1, 200);
	assert_int_equal(fake.msgs[0].topic, TOPIC_EVENTS);
	assert_non_null(strstr(fake.msgs[0].value, "\"schema\":\"callstream.event/1\""));
	assert_null(strstr(fake.msgs[0].value, "sesame"));
	assert_true(ready(o));
	stop(o);
	assert_int_equal(files(o, "", ".seg"), 0);
}

static void acknowledged_by_the_log(void **state)
{
	struct office *o = *state;

	start(o, &kafka_mode);
	while (!fake.made)
		usleep(1000);
	calls(o, 1, 100);
	until_stored(100);
	expect_order(1, 100);
	stop(o);
}

static void undecodable_goes_to_dead(void **state)
{
	struct office *o = *state;

	start(o, &spool_mode);
	put(o->fd, "POST /hooks/acme/sesame HTTP/1.1\r\nContent-Type: application/json\r\n"
		   "Content-Length: 4\r\n\r\n{bad");
	get(o->fd, "{\"ok\":true}", 1);
	until_stored(1);
	assert_int_equal(fake.msgs[0].topic, TOPIC_DEAD);
	assert_string_equal(fake.msgs[0].key, "acme");
	assert_non_null(strstr(fake.msgs[0].value, "callstream.dead/1"));
	assert_null(strstr(fake.msgs[0].value, "sesame"));
	stop(o);
}

/* ---- a log that is not there, is slow, is full, dies ---- */

static void log_comes_later(void **state)
{
	struct office *o = *state;

	fake.setup = -EAGAIN;
	start(o, &kafka_mode);
	calls(o, 1, 50);
	assert_int_equal(fake_count(), 0);
	assert_true(ready(o));
	fake.setup = 0;
	until_stored(50);
	expect_order(1, 50);
	stop(o);
}

static void backlog_survives_a_wrong_config(void **state)
{
	struct office *o = *state;
	int64_t until = clock_mono_ms() + WAIT_MS;
	char why[200];

	fake.setup = -EAGAIN;
	start(o, &spool_mode);
	calls(o, 1, 10);
	stop(o);
	fake.setup = -EINVAL;
	start(o, &spool_mode);
	while (!ingest_failed(o->in, why, sizeof(why)))
		assert_true(clock_mono_ms() < until);
	assert_non_null(strstr(why, "topic events"));
	assert_false(ready(o));
	stop(o);
	fake.setup = 0;
	start(o, &spool_mode);
	until_stored(10);
	expect_order(1, 10);
	stop(o);
}

static void silent_log_means_spool(void **state)
{
	struct office *o = *state;

	fake.silent = true;
	start(o, &kafka_hasty);
	while (!fake.made)
		usleep(1000);
	calls(o, 1, 20);
	calls(o, 21, 40); /* behind those that wait in the spool */
	assert_int_equal(fake_count(), 0);
	fake.silent = false;
	expect_all(1, 20);
	expect_order(21, 40); /* the first twenty may come twice */
	stop(o);
}

/* One that gave up on the log must not let a later one pass those that still wait for it. The pause
 * gives the order a chance to be wrong; where it is too short or too long, nothing fails. */
static void spool_passes_nobody(void **state)
{
	const struct setting patient = { "kafka", 600, "64MiB" };
	struct office *o = *state, second;

	fake.silent = true;
	start(o, &patient);
	while (!fake.made)
		usleep(1000);
	second = *o;
	second.fd = dial(ingest_port(o->in));
	send_call(o, "acme/sesame", 1, 0);
	usleep(250000);
	send_call(&second, "acme/sesame", 2, 0);
	get(o->fd, "{\"ok\":true}", 1); /* by the spool */
	calls(o, 3, 3);
	get(second.fd, "{\"ok\":true}", 1);
	close(second.fd);
	fake.silent = false;
	until_stored(3);
	expect_order(1, 3);
	stop(o);
}

static void full_queue_means_spool(void **state)
{
	struct office *o = *state;

	start(o, &kafka_mode);
	while (!fake.made)
		usleep(1000);
	fake.append_n = 3;
	fake.append = -EAGAIN;
	calls(o, 1, 30);
	until_stored(30);
	expect_order(1, 30);
	stop(o);
}

static const struct death_row {
	const char *name;
	int append, ack;
} death_rows[] = {
	{ "dead when asked", -EPIPE, 0 },
	{ "dead in the acknowledgement", 0, -EPIPE },
	{ "time over", 0, -EAGAIN },
};

/*
 * Nothing is lost, a new producer comes where the old one is dead. One that lives on may well take
 * what came behind the request whose time is over.
 */
static void dying_log(void **state)
{
	const struct death_row *row = *state;
	struct office *o;
	void *office = NULL;
	int made;

	assert_int_equal(setup(&office), 0);
	o = office;
	start(o, &kafka_mode);
	while (!fake.made)
		usleep(1000);
	calls(o, 1, 10);
	made = fake.made;
	fake.append_n = fake.ack_n = 2;
	fake.append = row->append;
	fake.ack = row->ack;
	calls(o, 11, 60);
	expect_all(1, 60);
	calls(o, 61, 70);
	expect_all(61, 70);
	if (row->append == -EPIPE || row->ack == -EPIPE) {
		expect_order(1, 70);
		assert_true(fake.made > made);
	}
	stop(o);
	teardown(&office);
}

static void drain_repeats_what_failed(void **state)
{
	struct office *o = *state;

	fake.setup = -EAGAIN;
	start(o, &spool_mode);
	calls(o, 1, 50);
	fake.ack_n = 1;
	fake.ack = -EAGAIN;
	fake.setup = 0;
	expect_all(1, 50);
	calls(o, 51, 60);
	expect_all(51, 60);
	stop(o);
}

static void rejected_when_too_large(void **state)
{
	struct office *o = *state;

	for (int late = 0; late < 2; late++) {
		fake.too_long = 5000;
		fake.late_size = late;
		start(o, &spool_mode);
		calls(o, 1, 3);
		send_call(o, "acme/sesame", 4, 3000); /* the event has it twice and more */
		send_call(o, "acme/sesame", 5, 6000);
		get(o->fd, "{\"ok\":true}", 2);
		calls(o, 6, 8);
		until_stored((size_t)(late + 1) * 7);
		stop(o);
		assert_int_equal(files(o, "rejected", ".json"), late + 1);
	}
}

/* ---- refusals ---- */

static const struct refusal_row {
	const char *name, *sent, *want;
} refusal_rows[] = {
	{ "unknown account", "POST /hooks/nobody/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
	  "HTTP/1.1 404" },
	{ "no hook", "GET /other HTTP/1.1\r\n\r\n", "{\"error\":\"not found\"}" },
	{ "no account", "GET /hooks/ HTTP/1.1\r\n\r\n", "HTTP/1.1 404" },
	{ "sinks are not in this version", "POST /sinks/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
	  "HTTP/1.1 404" },
	{ "another account's token",
	  "POST /hooks/acme/other HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 403" },
	{ "no token", "POST /hooks/acme HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "{\"error\":\"" },
	{ "method", "DELETE /hooks/acme/sesame HTTP/1.1\r\n\r\n", "HTTP/1.1 405" },
	{ "method, with a body that is not read",
	  "DELETE /hooks/acme/sesame HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 405" },
	{ "unknown method with a body",
	  "BREW /hooks/acme/sesame HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 405" },
	{ "a body where none belongs, unknown account",
	  "GET /hooks/nobody/x HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 404" },
	{ "a body where none belongs, another account's token",
	  "GET /hooks/acme/other HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 403" },
	{ "an expectation, unknown account",
	  "POST /hooks/nobody/x HTTP/1.1\r\nExpect: x\r\nContent-Length: 2\r\n\r\n{}",
	  "HTTP/1.1 404" },
	{ "too large, unknown account",
	  "POST /hooks/nobody/x HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 404" },
	{ "too large, method", "PUT /hooks/acme/x HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
	  "HTTP/1.1 405" },
	{ "too large", "POST //hooks//acme/x?y HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
	  "{\"error\":\"body too large\"}" },
};

static void refusal(void **state)
{
	const struct refusal_row *row = *state;
	struct office *o;
	void *office = NULL;

	assert_int_equal(setup(&office), 0);
	o = office;
	start(o, &spool_mode);
	put(o->fd, row->sent);
	get(o->fd, row->want, 1);
	stop(o);
	assert_int_equal(fake_count(), 0);
	teardown(&office);
}

static void flood_of_strangers(void **state)
{
	struct office *o = *state;
	const char *got;

	start(o, &spool_mode);
	for (int i = 0; i < 40; i++)
		send_call(o, "acme/wrong", i, 0);
	got = get(o->fd, "{\"error\":", 40);
	assert_in_range(count(got, "HTTP/1.1 403"), 5, 12);
	assert_true(count(got, "HTTP/1.1 429") >= 28);
	assert_non_null(strstr(got, "Retry-After: 1\r\n"));
	calls(o, 1, 40); /* from the same address */
	stop(o);
}

static void full_spool_refuses(void **state)
{
	const struct setting small = { "spool", 200, "1MiB" };
	struct office *o = *state;
	const char *got;
	int sent = 0;

	fake.setup = -EAGAIN;
	start(o, &small);
	do {
		send_call(o, "acme/sesame", ++sent, 50000);
		got = get(o->fd, "}", 1);
		assert_true(sent < 100);
	} while (strstr(got, "{\"ok\":true}"));
	assert_non_null(strstr(got, "HTTP/1.1 503"));
	assert_non_null(strstr(got, "Retry-After: 5\r\n"));
	fake.setup = 0;
	until_stored((size_t)sent - 1);
	until_ready(o); /* the room comes back behind the acknowledgements */
	calls(o, 1000, 1000);
	stop(o);
}

/* The disk is gone and the log was away: once the log is back, so are we, though nobody asks. */
static void ready_again_without_requests(void **state)
{
	struct office *o = *state;
	struct disk *d;
	void *disk = NULL;

	assert_int_equal(disk_setup(&disk), 0);
	d = disk;
	o->io = &d->io;
	fake.silent = true;
	start(o, &kafka_hasty);
	while (!fake.made)
		usleep(1000);
	disk_fail(d, DISK_SYNC, -EIO, 1000000);
	for (int i = 0; i < 3; i++) {
		send_call(o, "acme/sesame", i, 0);
		get(o->fd, "HTTP/1.1 503", 1);
	}
	assert_false(ready(o));
	fake.silent = false;
	until_ready(o);
	disk_heal(d, DISK_SYNC);
	stop(o);
	disk_teardown(&disk);
}

static void wrong_places(void **state)
{
	struct office *o = *state;
	struct buf problem = BUF_EMPTY;
	struct ingest *second;

	start(o, &spool_mode);
	assert_int_equal(ingest_start(o->cfg, fake_open, NULL, &second, &problem), -EINVAL);
	buf_add_char(&problem, '\0');
	assert_non_null(strstr(problem.p, "ingest.spool_dir: "));
	assert_non_null(strstr(problem.p, "another process"));
	buf_fini(&problem);
	stop(o);
}

static void closing_keeps_the_rest(void **state)
{
	struct office *o = *state;

	fake.silent = true;
	start(o, &spool_mode);
	calls(o, 1, 30);
	stop(o); /* the log says nothing: the drain does not wait for ever */
	fake.silent = false;
	start(o, &spool_mode);
	until_stored(30);
	expect_order(1, 30);
	stop(o);
}

#define IN_OFFICE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_OFFICE(spooled_then_drained),
		IN_OFFICE(acknowledged_by_the_log),
		IN_OFFICE(undecodable_goes_to_dead),
		IN_OFFICE(log_comes_later),
		IN_OFFICE(backlog_survives_a_wrong_config),
		IN_OFFICE(silent_log_means_spool),
		IN_OFFICE(spool_passes_nobody),
		IN_OFFICE(full_queue_means_spool),
		IN_OFFICE(drain_repeats_what_failed),
		IN_OFFICE(rejected_when_too_large),
		IN_OFFICE(flood_of_strangers),
		IN_OFFICE(full_spool_refuses),
		IN_OFFICE(ready_again_without_requests),
		IN_OFFICE(wrong_places),
		IN_OFFICE(closing_keeps_the_rest),
	};
	int failed = RUN_ROWS("refusal", refusal, refusal_rows);

	failed += RUN_ROWS("dying log", dying_log, death_rows);
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
