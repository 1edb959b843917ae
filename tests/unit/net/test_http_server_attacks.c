/* The server under clients that do harm, and under an operator who ends it at a bad moment. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <sys/resource.h>

#include "base/metric.h"
#include "unit/net/handler.h"

/* ---- tools ---- */

static int64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void reset_and_close(int fd)
{
	const struct linger reset = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

static void until_connections(struct http_server *s, size_t want)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	while (http_server_connections(s) != want) {
		if (clock_mono_ms() > until)
			fail_msg("%zu connections, not %zu", http_server_connections(s), want);
		usleep(1000);
	}
}

/* What comes until the end, which has to be one: a reset may have eaten something. */
static const char *get_all(int fd)
{
	static char in[4096];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;
	ssize_t got = 1;

	while (got > 0) {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		got = recv(fd, in + n, sizeof(in) - 1 - n, 0);
		n += got > 0 ? (size_t)got : 0;
	}
	in[n] = '\0';
	if (got)
		fail_msg("%s behind %s", strerror(errno), in);
	return in;
}

static void release(void)
{
	assert_int_equal(http_loop_post(the_handler->loop, answer_held, the_handler), 0);
}

/* The loop stands still until go is posted. */
static sem_t still, go;

static void stand_still(void *arg)
{
	(void)arg;
	sem_post(&still);
	sem_wait(&go);
}

static void stop_loop(void)
{
	sem_init(&still, 0, 0);
	sem_init(&go, 0, 0);
	assert_int_equal(http_loop_post(the_handler->loop, stand_still, NULL), 0);
	sem_wait(&still);
}

static void still_serves(struct http_server *s)
{
	int fd = dial(http_server_port(s));

	put(fd, "GET /x HTTP/1.1\r\n\r\n");
	get(fd, "\"p\":\"/x\"", 1);
	close(fd);
}

/* ---- order, whatever the pieces ---- */

struct talk {
	struct buf sent;
	uint32_t dice;
	int n;
};

static uint32_t roll(struct talk *t, uint32_t sides)
{
	t->dice = t->dice * 1664525u + 1013904223u;
	return (t->dice >> 8) % sides;
}

/* Around the sizes of buffers, too. */
static size_t some_size(struct talk *t)
{
	static const size_t sizes[] = { 0, 1, 1900, 2048, 4000, 4096, 19999, BODY_MAX };

	return roll(t, 2) ? sizes[roll(t, ARRAY_LEN(sizes))] : roll(t, 3000);
}

static void pad(struct buf *out, size_t n)
{
	while (n--)
		buf_add_char(out, 'x');
}

static void add_chunked(struct talk *t, size_t n)
{
	buf_add_text(&t->sent, "Transfer-Encoding: chunked\r\n\r\n");
	while (n) {
		size_t part = 1 + roll(t, 5000);

		part = MIN(part, n);
		buf_printf(&t->sent, "%zx%s\r\n", part, roll(t, 3) ? "" : ";a=\"b\"");
		pad(&t->sent, part);
		buf_add_text(&t->sent, "\r\n");
		n -= part;
	}
	buf_add_text(&t->sent, roll(t, 2) ? "0\r\n\r\n" : "000\r\nX: 1\r\nY: 2\r\n\r\n");
}

static void add_request(struct talk *t, struct buf *want)
{
	const char *soon = roll(t, 3) ? "" : "/soon";
	size_t n = some_size(t);

	if (!roll(t, 5))
		buf_add_text(&t->sent, "\r\n");
	buf_printf(&t->sent, "POST %s/%d HTTP/1.1\r\n", soon, t->n);
	buf_printf(want, "\"p\":\"%s/%d\"\n\"b\":%zu\n", soon, t->n++, n);
	if (roll(t, 2)) {
		add_chunked(t, n);
		return;
	}
	buf_printf(&t->sent, "Content-Length: %zu\r\n\r\n", n);
	pad(&t->sent, n);
}

/* Sends and reads in turns, as the socket lets it; all that came is in got. */
static void converse(struct talk *t, int fd, struct buf *got, int answers)
{
	static char in[65536];
	int64_t until = clock_mono_ms() + WAIT_MS;
	size_t at = 0;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (at < t->sent.n || !got->n || count(got->p, "\"p\":") < (size_t)answers) {
		size_t piece = roll(t, 4) ? 1 + roll(t, 40) : 1 + roll(t, 70000);

		assert_true(clock_mono_ms() < until);
		n = at < t->sent.n
			? send(fd, t->sent.p + at, MIN(piece, t->sent.n - at), MSG_NOSIGNAL)
			: 0;
		assert_true(n >= 0 || errno == EAGAIN);
		at += n > 0 ? (size_t)n : 0;
		n = recv(fd, in, sizeof(in), 0);
		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		if (n > 0) {
			buf_add(got, in, (size_t)n);
			buf_add_char(got, '\0');
			got->n--;
		} else if (at == t->sent.n) {
			usleep(200);
		}
	}
}

static void any_pieces_any_order_of_handling(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int on = 1;

	(void)state;
	for (uint32_t seed = 1; seed <= 40; seed++) {
		struct talk t = { BUF_EMPTY, seed, 0 };
		struct buf want = BUF_EMPTY, got = BUF_EMPTY;
		struct slice rest;
		const char *at;
		int fd = dial(http_server_port(s)), n = 1 + (int)roll(&t, 12);

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		for (int i = 0; i < n; i++)
			add_request(&t, &want);
		converse(&t, fd, &got, n);
		rest = buf_slice(&want);
		for (at = got.p; rest.n;) {
			struct slice line = slice_cut(&rest, '\n');

			at = memmem(at, strlen(at), line.p, line.n);
			if (!at)
				fail_msg("seed %u: no %.*s in its place in %s", seed,
					 SLICE_ARG(line), got.p);
		}
		close(fd);
		buf_fini(&t.sent);
		buf_fini(&want);
		buf_fini(&got);
	}
	http_server_free(s);
}

/* ---- who holds on to what ---- */

/* A request that came in pieces leaves a connection as idle as any other. */
static void idle_behind_a_request_in_pieces(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s;
	int fd, on = 1;

	(void)state;
	cfg.read_ms = 300;
	cfg.idle_ms = 60000;
	s = start(&cfg);
	fd = dial(http_server_port(s));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	put(fd, "GET /x HTT");
	usleep(20000); /* mostly a read of its own; nothing fails where it is not */
	put(fd, "P/1.1\r\n\r\n");
	get(fd, "\"p\":\"/x\"", 1);
	usleep(900000); /* longer than a request may take, and a turn of whoever looks */
	put(fd, "GET /y HTTP/1.1\r\n\r\n");
	get(fd, "\"p\":\"/y\"", 1);
	close(fd);
	http_server_free(s);
}

/* What lies behind a request that waits counts, too, and goes first where memory is short. */
static void bytes_behind_waiting_requests_are_bounded(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s;
	static char piece[30001];
	int fds[16];
	size_t closing = 0;

	(void)state;
	cfg.reading_bytes_max = 100000;
	s = start(&cfg);
	snprintf(piece, sizeof(piece), "GET /never HTTP/1.1\r\n\r\nGET /");
	memset(piece + strlen(piece), 'x', sizeof(piece) - 1 - strlen(piece));
	handled = 0;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(http_server_port(s));
		put(fds[i], piece);
		until_count(&handled, (int)i + 1);
	}
	still_serves(s);
	release();
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) { /* whoever waited has its answer */
		const char *got = get(fds[i], "\"stopped\"}", 1);
		const char *close_at = strstr(got, "Connection: close");

		/* In its head: another answer may have come. */
		closing += close_at && close_at < strchr(got, '{');
		close(fds[i]);
	}
	assert_in_range(closing, 10, 15);
	http_server_free(s);
}

/* Who sends requests without reading answers stops itself, and nobody else. */
static void answers_nobody_reads(void **state)
{
	static const char request[] = "GET /a HTTP/1.1\r\n\r\n";
	static char piece[40 * (sizeof(request) - 1) + 1], in[65536];
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd = dial(http_server_port(s)), refusals = 0;
	size_t sent = 0, got_n = 0, half = 0;
	ssize_t n;

	(void)state;
	for (int i = 0; i < 40; i++)
		memcpy(piece + (size_t)i * (sizeof(request) - 1), request, sizeof(request) - 1);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (refusals < 20) { /* until nothing moves any more */
		n = send(fd, piece + half, sizeof(piece) - 1 - half, MSG_NOSIGNAL);
		refusals = n > 0 ? 0 : refusals + 1;
		if (n <= 0)
			usleep(5000);
		else
			sent += (size_t)n;
		half = sent % (sizeof(piece) - 1);
	}
	still_serves(s);
	shutdown(fd, SHUT_WR); /* the last one may be a part */
	fcntl(fd, F_SETFL, 0);
	while ((n = recv(fd, in, sizeof(in) - 1, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			got_n += in[i] == '}';
	}
	assert_int_equal(n, 0);
	assert_int_equal(got_n, sent / (sizeof(request) - 1));
	close(fd);
	http_server_free(s);
}

static const struct gone_row {
	const char *name, *sent;
	bool waits; /* until it is handled */
} gone_rows[] = {
	{ "new", "", false },
	{ "in the head", "POST / HTTP/1.1\r\nConte", false },
	{ "in the body", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx", false },
	{ "in a chunk", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx", false },
	{ "waiting", "GET /never HTTP/1.1\r\n\r\n", true },
	{ "waiting, more behind", "GET /never HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n", true },
	{ "writing", "GET /big HTTP/1.1\r\n\r\n", true },
	{ "writing, more behind", "GET /big HTTP/1.1\r\n\r\nGET /big HTTP/1.1\r\n\r\nGET", true },
	{ "refused", "nonsense\r\n\r\n", false },
	{ "refused, more behind", "POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\nxxxxx", false },
};

/* Reset or closed in each state: nothing is left of it, and nothing of it is used any more. */
static void gone(void **state)
{
	const struct gone_row *row = *state;
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd;

	for (int i = 0; i < 6; i++) {
		handled = 0;
		fd = dial(http_server_port(s));
		put(fd, row->sent);
		if (row->waits)
			until_count(&handled, 1);
		else if (i % 3)
			usleep(2000);
		if (i % 2)
			reset_and_close(fd);
		else
			close(fd);
		release();
	}
	for (int i = 0; i < 3; i++) { /* a request behind another one is handled late */
		usleep(2000);
		release();
	}
	until_connections(s, 0);
	still_serves(s);
	http_server_free(s);
}

static int64_t closed_for(const char *reason)
{
	return series_value(metric(M_CONNECTIONS_CLOSED, reason, NULL));
}

/* A request whose client goes in its middle is counted, and nothing else that goes. */
static void cut_requests_are_counted(void **state)
{
	static const char sent[] = "POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nxy";
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int64_t before = closed_for("cut");
	int fd;

	(void)state;
	for (size_t n = 0; n < sizeof(sent); n++) {
		fd = dial(http_server_port(s));
		assert_int_equal(send(fd, sent, n, MSG_NOSIGNAL), n);
		shutdown(fd, SHUT_WR);
		assert_int_equal(strlen(get_all(fd)) > 0, n == sizeof(sent) - 1);
		close(fd);
	}
	assert_int_equal(closed_for("cut") - before, sizeof(sent) - 2);
	http_server_free(s);
}

/* Who has come and says nothing goes before one who has sent a request and may send the next. */
static void silent_ones_go_first(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s;
	int vendor, silent[3];

	(void)state;
	cfg.connections_max = 3;
	s = start(&cfg);
	vendor = dial(http_server_port(s));
	put(vendor, "GET /1 HTTP/1.1\r\n\r\n");
	get(vendor, "\"p\":\"/1\"", 1);
	silent[0] = dial(http_server_port(s));
	silent[1] = dial(http_server_port(s));
	until_connections(s, 3);
	usleep(400000); /* whoever has something to say has said it */
	silent[2] = dial(http_server_port(s));
	assert_string_equal(get_all(silent[0]), "");
	put(vendor, "GET /2 HTTP/1.1\r\n\r\n");
	get(vendor, "\"p\":\"/2\"", 1);
	for (size_t i = 0; i < ARRAY_LEN(silent); i++)
		close(silent[i]);
	close(vendor);
	http_server_free(s);
}

/* Who was answered just now may be sending its next request, so a slow one goes before it. */
static void slow_ones_go_before_one_just_answered(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s;
	int vendor, slow, fresh;

	(void)state;
	cfg.connections_max = 2;
	s = start(&cfg);
	slow = dial(http_server_port(s));
	put(slow, "P");
	vendor = dial(http_server_port(s));
	until_connections(s, 2);
	usleep(1100000); /* that is slow */
	put(vendor, "GET /1 HTTP/1.1\r\n\r\n");
	get(vendor, "\"p\":\"/1\"", 1);
	fresh = dial(http_server_port(s));
	assert_string_equal(get_all(slow), "");
	put(vendor, "GET /2 HTTP/1.1\r\n\r\n");
	get(vendor, "\"p\":\"/2\"", 1);
	close(slow);
	close(fresh);
	close(vendor);
	http_server_free(s);
}

/* However many are closed for what they sent: the last one has its answer without a reset. */
static void many_that_linger(void **state)
{
	enum { N = 300 };
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fds[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		fds[i] = dial(http_server_port(s));
		put(fds[i], "POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n");
		if (i < N - 1)
			get(fds[i], "too large\"}", 1);
	}
	get(fds[N - 1], "too large\"}", 1);
	for (int i = 0; i < 20; i++) {
		put(fds[N - 1], "more of it");
		usleep(1000);
	}
	assert_string_equal(get_all(fds[N - 1]), "");
	for (int i = 0; i < N; i++)
		close(fds[i]);
	http_server_free(s);
}

/* Without descriptors for new connections the loop rests between its trials, and comes back. */
static void no_descriptors_left(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(http_server_port(s)),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct rlimit before, tight;
	int old = dial(http_server_port(s)), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t cpu;

	(void)state;
	put(old, "GET /never HTTP/1.1\r\n\r\n");
	until_connections(s, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)fd; /* what is open stays open */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	cpu = cpu_ms();
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	put(fd, "GET /y HTTP/1.1\r\n\r\n");
	usleep(400000);
	cpu = cpu_ms() - cpu;
	assert_int_equal(http_server_connections(s), 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(cpu < 200);
	get(fd, "\"p\":\"/y\"", 1);
	release();
	get(old, "\"stopped\"", 1);
	close(fd);
	close(old);
	http_server_free(s);
}

/* ---- the end ---- */

/* Whose request is in the socket when the server closes gets its answer, accepted or not. */
static void closing_answers_what_has_come(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int idle = dial(http_server_port(s)), fresh = dial(http_server_port(s)), knocks;
	const char *got;

	(void)state;
	put(idle, "GET /1 HTTP/1.1\r\n\r\n");
	get(idle, "\"p\":\"/1\"", 1);
	until_connections(s, 2);
	stop_loop();
	put(idle, "GET /2 HTTP/1.1\r\n\r\n");
	put(fresh, "GET /3 HTTP/1.1\r\n\r\n");
	knocks = dial(http_server_port(s));
	put(knocks, "GET /4 HTTP/1.1\r\n\r\n");
	http_server_close(s);
	sem_post(&go);
	got = get_all(idle);
	assert_non_null(strstr(got, "\"p\":\"/2\""));
	assert_non_null(strstr(got, "Connection: close"));
	assert_non_null(strstr(get_all(fresh), "\"p\":\"/3\""));
	assert_non_null(strstr(get_all(knocks), "\"p\":\"/4\""));
	assert_int_equal(http_server_drain(s, clock_mono_ms() + WAIT_MS), 0);
	close(idle);
	close(fresh);
	close(knocks);
	http_server_free(s);
}

/* The answer that was waited for is not lost in a reset because more has come behind its request.
 */
static void closing_answers_whoever_sent_more(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fd = dial(http_server_port(s)), on = 1;
	const char *got;

	(void)state;
	handled = 0;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	put(fd, "GET /never HTTP/1.1\r\n\r\n");
	until_count(&handled, 1);
	put(fd, "GET /x HTTP/1.1\r\n\r\n");
	put(fd, "GET /y HTTP/1.1\r\n\r\n");
	http_server_close(s);
	release();
	got = get_all(fd);
	assert_non_null(strstr(got, "\"stopped\""));
	assert_non_null(strstr(got, "Connection: close"));
	assert_int_equal(http_server_drain(s, clock_mono_ms() + WAIT_MS), 0);
	close(fd);
	http_server_free(s);
}

/* At once freed, with requests in every state: all is given back. */
static void freed_in_the_middle(void **state)
{
	struct http_server_cfg cfg = default_cfg();
	struct http_server *s = start(&cfg);
	int fds[ARRAY_LEN(gone_rows)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(http_server_port(s));
		put(fds[i], gone_rows[i].sent);
	}
	http_server_free(s);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

/* ---- IPv6 ---- */

static void a_listener_for_both_families(void **state)
{
	const char *nets[] = { "127.0.0.0/8" };
	const struct cfg_texts proxies = { nets, 1 };
	struct http_server_cfg cfg = default_cfg();
	struct buf problem = BUF_EMPTY;
	struct http_server *s;
	int fd;

	(void)state;
	cfg.listen = "[::]:0";
	cfg.trusted_proxies = &proxies;
	if (http_server_new(&cfg, &s, &problem)) { /* a machine without IPv6 */
		buf_fini(&problem);
		skip();
	}
	fd = dial(http_server_port(s)); /* by IPv4: the proxy's network is one of IPv4 */
	put(fd, "GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
	get(fd, "\"from\":\"203.0.113.9\"", 1);
	put(fd, "GET / HTTP/1.1\r\n\r\n");
	get(fd, "\"from\":\"127.0.0.1\"", 1);
	close(fd);
	http_server_free(s);
	buf_fini(&problem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_pieces_any_order_of_handling),
		cmocka_unit_test(idle_behind_a_request_in_pieces),
		cmocka_unit_test(bytes_behind_waiting_requests_are_bounded),
		cmocka_unit_test(answers_nobody_reads),
		cmocka_unit_test(cut_requests_are_counted),
		cmocka_unit_test(silent_ones_go_first),
		cmocka_unit_test(slow_ones_go_before_one_just_answered),
		cmocka_unit_test(many_that_linger),
		cmocka_unit_test(no_descriptors_left),
		cmocka_unit_test(closing_answers_what_has_come),
		cmocka_unit_test(closing_answers_whoever_sent_more),
		cmocka_unit_test(freed_in_the_middle),
		cmocka_unit_test(a_listener_for_both_families),
	};
	int failed = RUN_ROWS("gone", gone, gone_rows);

	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
