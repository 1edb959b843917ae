/* Verdicts, signatures, the table of kinds; the webhook and the file at work. */
#include "../base/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../net/server.h"
#include "base/clock.h"
#include "sink/file/file.h"
#include "sink/webhook/webhook.h"

#define CALL    "9f1f0b7e-3a75-5d2c-8f43-0f8bd0f0a001"
#define WAIT_MS 20000

/* ---- verdicts ---- */

struct verdict_row {
	const char *name;
	enum http_result result;
	int status;
	int64_t retry_after_ms;
	enum sink_verdict want;
	int64_t want_after_ms;
	const char *reason;
};

static const struct verdict_row verdict_rows[] = {
	{ "200", HTTP_ANSWERED, 200, 0, SINK_DONE, 0, "" },
	{ "204", HTTP_ANSWERED, 204, 0, SINK_DONE, 0, "" },
	{ "299", HTTP_ANSWERED, 299, 9, SINK_DONE, 0, "" },
	{ "301 is no delivery", HTTP_ANSWERED, 301, 0, SINK_DEAD, 0, "redirected" },
	{ "308 is no delivery", HTTP_ANSWERED, 308, 0, SINK_DEAD, 0, "redirected" },
	{ "400", HTTP_ANSWERED, 400, 0, SINK_DEAD, 0, "refused" },
	{ "401", HTTP_ANSWERED, 401, 0, SINK_DEAD, 0, "refused" },
	{ "404", HTTP_ANSWERED, 404, 5000, SINK_DEAD, 0, "refused" },
	{ "408", HTTP_ANSWERED, 408, 0, SINK_RETRY, 0, "request_timeout" },
	{ "410", HTTP_ANSWERED, 410, 0, SINK_DEAD, 0, "gone" },
	{ "422", HTTP_ANSWERED, 422, 0, SINK_DEAD, 0, "refused" },
	{ "425", HTTP_ANSWERED, 425, 0, SINK_RETRY, 0, "too_early" },
	{ "429", HTTP_ANSWERED, 429, 7000, SINK_RETRY, 7000, "too_many_requests" },
	{ "500", HTTP_ANSWERED, 500, 0, SINK_RETRY, 0, "server_error" },
	{ "503 that wants a day", HTTP_ANSWERED, 503, 86400000, SINK_RETRY, SINK_RETRY_AFTER_MAX_MS,
	  "server_error" },
	{ "599", HTTP_ANSWERED, 599, 0, SINK_RETRY, 0, "server_error" },
	{ "a status of no class", HTTP_ANSWERED, 777, 0, SINK_DEAD, 0, "no_http_status" },
	{ "time-out", HTTP_TIMEOUT, 0, 0, SINK_RETRY, 0, "timeout" },
	{ "no such name", HTTP_NOT_RESOLVED, 0, 0, SINK_RETRY, 0, "not_resolved" },
	{ "refused connection", HTTP_NOT_CONNECTED, 0, 0, SINK_RETRY, 0, "not_connected" },
	{ "TLS", HTTP_TLS_FAILED, 0, 0, SINK_RETRY, 0, "tls_failed" },
	{ "broken off, whatever the head said", HTTP_BROKEN, 200, 0, SINK_RETRY, 0,
	  "connection_broken" },
	{ "cancelled", HTTP_CANCELLED, 0, 0, SINK_RETRY, 0, "cancelled" },
	{ "a forbidden address", HTTP_ADDRESS_REFUSED, 0, 0, SINK_DEAD, 0, "address_not_allowed" },
	{ "no URL", HTTP_BAD_URL, 0, 0, SINK_DEAD, 0, "bad_url" },
};

static void check_verdict(void **state)
{
	const struct verdict_row *row = *state;
	const struct http_answer http = { .result = row->result,
					  .status = row->status,
					  .retry_after_ms = row->retry_after_ms,
					  .ms = 12 };
	struct sink_answer got;

	webhook_verdict(&http, &got);
	assert_string_equal(sink_verdict_text(row->want), sink_verdict_text(got.verdict));
	assert_string_equal(row->reason, got.reason);
	assert_int_equal(row->want_after_ms, got.retry_after_ms);
	assert_int_equal(row->status, got.status);
	assert_int_equal(12, got.ms);
}

/* ---- signatures ---- */

/* The example of the specification's reference implementations. */
static void the_published_example(void **state UNUSED)
{
	struct buf out = BUF_EMPTY;

	assert_int_equal(0, webhook_sign(SLICE("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
					 SLICE("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330,
					 SLICE("{\"test\": 2432232314}"), &out));
	assert_true(slice_is(buf_slice(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
	buf_fini(&out);
}

struct secret_row {
	const char *name, *secret;
	int want;
};

static const struct secret_row secret_rows[] = {
	{ "raw", "x", 0 },
	{ "base64", "whsec_YWJj", 0 },
	{ "base64 without padding", "whsec_YWI", 0 },
	{ "nothing", "", -EINVAL },
	{ "nothing behind the prefix", "whsec_", -EINVAL },
	{ "no base64", "whsec_!!!!", -EINVAL },
	{ "half a byte", "whsec_Y", -EINVAL },
};

static void check_secret(void **state)
{
	const struct secret_row *row = *state;
	struct buf out = BUF_EMPTY;

	assert_int_equal(row->want,
			 webhook_sign(slice_of(row->secret), SLICE("a"), 1, SLICE("{}"), &out));
	buf_fini(&out);
}

/* ---- kinds ---- */

static void the_table_of_kinds(void **state UNUSED)
{
	const struct cfg_sink plain = { .send = CFG_SEND_DEFAULT },
			      first = { .send = CFG_SEND_FIRST };

	assert_ptr_equal(&sink_webhook, sink_kind_find(SLICE("webhook")));
	assert_ptr_equal(&sink_file, sink_kind_find(SLICE("file")));
	assert_null(sink_kind_find(SLICE("planfix")));
	assert_int_equal(CFG_SEND_EVERY, sink_send(&sink_webhook, &plain));
	assert_int_equal(CFG_SEND_FIRST, sink_send(&sink_file, &first));
}

/* ---- at work ---- */

struct answers {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int n, by_verdict[3];
	struct sink_answer last;
};

static void answers_init(struct answers *a)
{
	memset(a, 0, sizeof(*a));
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
}

static void on_done(void *arg, const struct sink_answer *answer)
{
	struct answers *a = arg;

	pthread_mutex_lock(&a->lock);
	a->last = *answer;
	a->by_verdict[answer->verdict]++;
	a->n++;
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

static void answers_wait(struct answers *a, int n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_MS / 1000;
	pthread_mutex_lock(&a->lock);
	while (a->n < n)
		assert_int_equal(0, pthread_cond_timedwait(&a->changed, &a->lock, &until));
	pthread_mutex_unlock(&a->lock);
}

static struct sink_step step_of(const char *record)
{
	return (struct sink_step){ .sink = SLICE("crm"),
				   .call_id = SLICE(CALL),
				   .revision = 2,
				   .step = SLICE("record"),
				   .record = slice_of(record),
				   .attempt = 1 };
}

static void a_webhook_is_posted_and_cancelled(void **state UNUSED)
{
	static const char *const scripts[] = {
		"HTTP/1.1 200 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", NULL
	};
	const struct http_client_cfg http_cfg = { .allow_private_networks = true,
						  .connect_timeout_ms = 60000,
						  .timeout_ms = 60000,
						  .user_agent = "callstream/test" };
	struct cfg_sink cfg = { .name = "crm", .secret = "abc", .secret_previous = "" };
	struct sink_step step = step_of("{\"a\":1}");
	void *sink = calloc(1, sink_webhook.state_size);
	struct sink_env env = { .http = NULL };
	struct buf problem = BUF_EMPTY;
	struct server server;
	struct answers answers;
	char url[64];

	answers_init(&answers);
	server_start(&server, scripts, ARRAY_LEN(scripts));
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/calls", server.port);
	cfg.url = url;
	assert_int_equal(0, http_client_new(&http_cfg, &env.http));
	assert_int_equal(0, sink_webhook.init(sink, &cfg, &env, &problem));
	assert_int_equal(0, sink_webhook.deliver(sink, &step, on_done, &answers));
	answers_wait(&answers, 1);
	assert_int_equal(SINK_DONE, answers.last.verdict);
	assert_non_null(strstr(server.request, "webhook-id: " CALL "-2\r\n"));
	assert_non_null(strstr(server.request, "webhook-signature: v1,"));
	assert_non_null(strstr(server.request, "\r\n\r\n{\"a\":1}"));
	assert_int_equal(0, sink_webhook.deliver(sink, &step, on_done, &answers)); /* hangs */
	sink_webhook.cancel(sink, &answers);
	answers_wait(&answers, 2);
	assert_int_equal(SINK_RETRY, answers.last.verdict);
	http_client_close(env.http);
	assert_int_equal(-ESHUTDOWN, sink_webhook.deliver(sink, &step, on_done, &answers));
	http_client_free(env.http);
	sink_webhook.fini(sink);
	free(sink);
	server_stop(&server);
	assert_int_equal(2, answers.n);
}

static void settings_that_cannot_work(void **state UNUSED)
{
	static const struct cfg_sink bad[] = {
		{ .name = "a", .url = "", .secret = "", .secret_previous = "" },
		{ .name = "b", .url = "http://x/", .secret = "whsec_*", .secret_previous = "" },
		{ .name = "c", .url = "http://x/", .secret = "x", .secret_previous = "whsec_*" },
	};
	static const struct cfg_sink bad_files[] = {
		{ .name = "d", .path = "" },
		{ .name = "e", .path = "/no/such/folder/calls.jsonl" },
	};
	const struct sink_env env = { .http = NULL };
	char state_memory[4096] = { 0 };
	struct buf problem = BUF_EMPTY;

	assert_true(sink_webhook.state_size <= sizeof(state_memory));
	assert_true(sink_file.state_size <= sizeof(state_memory));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_reset(&problem);
		assert_int_equal(-EINVAL, sink_webhook.init(state_memory, &bad[i], &env, &problem));
		assert_true(slice_starts(buf_slice(&problem), SLICE("sink ")));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
		buf_reset(&problem);
		assert_int_equal(-EINVAL,
				 sink_file.init(state_memory, &bad_files[i], &env, &problem));
		assert_true(slice_starts(buf_slice(&problem), SLICE("sink ")));
	}
	buf_fini(&problem);
}

/* ---- the file ---- */

struct folder {
	char path[64], file[128];
	struct cfg_sink cfg;
	void *sink;
	struct answers answers;
};

static int open_folder(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	strcpy(f->path, "/tmp/callstream-sink-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	snprintf(f->file, sizeof(f->file), "%s/calls.jsonl", f->path);
	f->cfg = (struct cfg_sink){ .name = "archive", .path = f->file };
	answers_init(&f->answers);
	*state = f;
	return 0;
}

static void start(struct folder *f)
{
	const struct sink_env env = { .http = NULL };
	struct buf problem = BUF_EMPTY;

	f->sink = calloc(1, sink_file.state_size);
	assert_int_equal(0, sink_file.init(f->sink, &f->cfg, &env, &problem));
}

static void stop(struct folder *f)
{
	if (f->sink)
		sink_file.fini(f->sink);
	free(f->sink);
	f->sink = NULL;
}

static int close_folder(void **state)
{
	struct folder *f = *state;
	char command[128];

	stop(f);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->path);
	assert_int_equal(0, system(command));
	free(f);
	return 0;
}

static void append(struct folder *f, const char *record)
{
	struct sink_step step = step_of(record);

	assert_int_equal(0, sink_file.deliver(f->sink, &step, on_done, &f->answers));
}

static void holds(const char *path, const char *want)
{
	char have[4096] = "";
	FILE *file = fopen(path, "rb");
	size_t n;

	assert_non_null(file);
	n = fread(have, 1, sizeof(have) - 1, file);
	have[n] = '\0';
	fclose(file);
	assert_string_equal(want, have);
}

static void lines_in_order(void **state)
{
	struct folder *f = *state;

	start(f);
	append(f, "{\"a\":1}");
	append(f, "{\"a\":2}");
	append(f, "{\"a\":3}");
	answers_wait(&f->answers, 3);
	assert_int_equal(3, f->answers.by_verdict[SINK_DONE]);
	holds(f->file, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
	stop(f);
	start(f); /* again: at the end */
	append(f, "{\"a\":4}");
	stop(f); /* writes what is in */
	holds(f->file, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n");
}

/* The process was stopped between taking the step and beginning with it. */
static void what_is_old_is_not_told(void **state)
{
	struct folder *f = *state;
	struct sink_step step = step_of("{\"a\":1}");

	start(f);
	step.start_by_ms = clock_mono_ms() - 1;
	assert_int_equal(0, sink_file.deliver(f->sink, &step, on_done, &f->answers));
	answers_wait(&f->answers, 1);
	assert_int_equal(SINK_RETRY, f->answers.last.verdict);
	assert_string_equal("waited_too_long", f->answers.last.reason);
	step.start_by_ms = clock_mono_ms() + 60000;
	assert_int_equal(0, sink_file.deliver(f->sink, &step, on_done, &f->answers));
	answers_wait(&f->answers, 2);
	holds(f->file, "{\"a\":1}\n");
}

static void a_torn_line_is_closed(void **state)
{
	struct folder *f = *state;
	FILE *file = fopen(f->file, "wb");

	fputs("{\"a\":1}\n{\"to", file);
	fclose(file);
	start(f);
	append(f, "{\"a\":2}");
	stop(f);
	holds(f->file, "{\"a\":1}\n{\"to\n{\"a\":2}\n");
}

/* Another process had the sink meanwhile, and was killed while it wrote. */
static void a_line_that_another_tore_is_closed(void **state)
{
	struct folder *f = *state;
	FILE *file;

	start(f);
	append(f, "{\"a\":1}");
	answers_wait(&f->answers, 1);
	file = fopen(f->file, "ab");
	fputs("{\"to", file);
	fclose(file);
	append(f, "{\"a\":2}");
	answers_wait(&f->answers, 2);
	holds(f->file, "{\"a\":1}\n{\"to\n{\"a\":2}\n");
}

static void a_moved_file_is_made_anew(void **state)
{
	struct folder *f = *state;
	char moved[160];

	snprintf(moved, sizeof(moved), "%s.1", f->file);
	start(f);
	append(f, "{\"a\":1}");
	answers_wait(&f->answers, 1);
	assert_int_equal(0, rename(f->file, moved));
	append(f, "{\"a\":2}");
	answers_wait(&f->answers, 2);
	holds(moved, "{\"a\":1}\n");
	holds(f->file, "{\"a\":2}\n");
	assert_int_equal(0, unlink(f->file));
	append(f, "{\"a\":3}");
	answers_wait(&f->answers, 3);
	holds(f->file, "{\"a\":3}\n");
}

static void a_folder_that_went_away_is_tried_again(void **state)
{
	struct folder *f = *state;
	char moved[80];

	snprintf(moved, sizeof(moved), "%s.away", f->path);
	start(f);
	assert_int_equal(0, rename(f->path, moved));
	append(f, "{\"a\":1}");
	answers_wait(&f->answers, 1);
	assert_int_equal(SINK_RETRY, f->answers.last.verdict);
	assert_string_equal("no_such_folder", f->answers.last.reason);
	assert_int_equal(0, rename(moved, f->path));
	append(f, "{\"a\":1}");
	answers_wait(&f->answers, 2);
	assert_int_equal(SINK_DONE, f->answers.last.verdict);
	holds(f->file, "{\"a\":1}\n");
}

/* /dev/full takes no byte: what a full disk says. */
static void a_full_disk_is_tried_again(void **state)
{
	struct folder *f = *state;

	assert_int_equal(0, symlink("/dev/full", f->file));
	start(f);
	append(f, "{\"a\":1}");
	answers_wait(&f->answers, 1);
	assert_int_equal(SINK_RETRY, f->answers.last.verdict);
	assert_int_equal(0, unlink(f->file));
	append(f, "{\"a\":1}");
	answers_wait(&f->answers, 2);
	assert_int_equal(SINK_DONE, f->answers.last.verdict);
	holds(f->file, "{\"a\":1}\n");
}

/* A FIFO that nobody reads blocks the thread in open, so what waits can be counted. */
static void no_more_than_its_bound_waits(void **state)
{
	struct folder *f = *state;
	struct sink_step step = step_of("{}");
	int taken = 0, err = 0, fd;

	assert_int_equal(0, mkfifo(f->file, 0600));
	fd = open(f->file, O_RDWR);
	start(f);
	/* Fill the pipe, so that the thread's first writes block. */
	fcntl(fd, F_SETPIPE_SZ, 4096);
	while (taken <= FILE_SINK_LINES_MAX * 4 && err == 0) {
		err = sink_file.deliver(f->sink, &step, on_done, &f->answers);
		taken += err == 0;
	}
	assert_int_equal(-ENOSPC, err);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		char bytes[4096];

		pthread_mutex_lock(&f->answers.lock);
		err = f->answers.n == taken;
		pthread_mutex_unlock(&f->answers.lock);
		if (err)
			break;
		if (read(fd, bytes, sizeof(bytes)) < 0)
			usleep(1000);
	}
	close(fd);
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, open_folder, close_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_example),
		cmocka_unit_test(the_table_of_kinds),
		cmocka_unit_test(a_webhook_is_posted_and_cancelled),
		cmocka_unit_test(settings_that_cannot_work),
		FILE_TEST(lines_in_order),
		FILE_TEST(what_is_old_is_not_told),
		FILE_TEST(a_torn_line_is_closed),
		FILE_TEST(a_line_that_another_tore_is_closed),
		FILE_TEST(a_moved_file_is_made_anew),
		FILE_TEST(a_folder_that_went_away_is_tried_again),
		FILE_TEST(a_full_disk_is_tried_again),
		FILE_TEST(no_more_than_its_bound_waits),
	};

	return RUN_ROWS("verdicts", check_verdict, verdict_rows) +
	       RUN_ROWS("secrets", check_secret, secret_rows) +
	       cmocka_run_group_tests(tests, NULL, NULL);
}
