/* The server: sockets, loops, and how they begin and end. */
#include "net/http_server_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slog.h"

#define HEAD_BYTES        (16u << 10)
#define READING_BYTES     ((size_t)256 << 20)
#define CONNECTIONS       16384u
#define DESCRIPTORS_SPARE 256u
#define READ_MS           20000
#define IDLE_MS           75000
#define BACKLOG           4096
#define JANITOR_US        250000
#define THREADS_MAX       256u

/* ---- listening ---- */

static int listen_at(const struct sockaddr_storage *at, socklen_t at_n, bool shared)
{
	int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)at, at_n) || listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static uint16_t port_of(const struct sockaddr_storage *at)
{
	const struct sockaddr_in *v4 = (const void *)at;
	const struct sockaddr_in6 *v6 = (const void *)at;

	return ntohs(at->ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port);
}

/*
 * A socket for each loop. A port shared with SO_REUSEPORT would be shared with another process of
 * ours too, so the first one is bound alone, to see that the port is free.
 */
static int listen_all(struct http_server *s)
{
	struct sockaddr_storage at = { 0 };
	socklen_t at_n = 0;
	int fd, err = addr_listen_read(slice_of(s->cfg.listen), &at, &at_n);

	if (err)
		return err;
	if (port_of(&at)) {
		fd = listen_at(&at, at_n, false);
		if (fd < 0)
			return fd;
		close(fd);
	}
	for (unsigned i = 0; i < s->loops_n; i++) {
		fd = listen_at(&at, at_n, true);
		if (fd < 0)
			return fd;
		s->loops[i].fd = fd;
		at_n = sizeof(at);
		if (getsockname(fd, (struct sockaddr *)&at, &at_n))
			return -errno;
		s->port = port_of(&at);
	}
	return 0;
}

/* ---- a loop ---- */

static void run_inbox(evutil_socket_t fd, short what, void *arg)
{
	struct http_loop *loop = arg;
	struct post *post, *next;
	uint64_t count;

	(void)what;
	pthread_mutex_lock(&loop->lock);
	if (read(fd, &count, sizeof(count)) < 0)
		count = 0;
	post = loop->inbox;
	loop->inbox = NULL;
	loop->inbox_last = &loop->inbox;
	pthread_mutex_unlock(&loop->lock);
	for (; post; post = next) {
		next = post->next;
		post->fn(post->arg);
		free(post);
	}
}

int http_loop_post(struct http_loop *loop, void (*fn)(void *arg), void *arg)
{
	struct post *post = malloc(sizeof(*post));
	uint64_t one = 1;
	int err = 0;

	if (!post)
		return -ENOMEM;
	*post = (struct post){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&loop->lock);
	if (loop->stopped) {
		err = -ESHUTDOWN;
	} else {
		*loop->inbox_last = post;
		loop->inbox_last = &post->next;
		if (write(loop->inbox_fd, &one, sizeof(one)) < 0)
			SLOG(SLOG_ERROR, "a loop cannot be woken", SLOG_ERR(-errno));
	}
	pthread_mutex_unlock(&loop->lock);
	if (err)
		free(post);
	return err;
}

struct event_base *http_loop_base(struct http_loop *loop)
{
	return loop->base;
}

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (!config)
		return NULL;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (base && event_base_priority_init(base, HTTP_IDLE_PRIORITY + 1)) {
		event_base_free(base);
		base = NULL;
	}
	return base;
}

static int loop_make(struct http_loop *loop)
{
	const struct timeval tick = { 0, JANITOR_US };

	loop->inbox_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->base = base_new();
	loop->scratch = malloc(HTTP_READ_BYTES);
	if (loop->inbox_fd < 0 || !loop->base || !loop->scratch)
		return -ENOMEM;
	loop->inbox_event = event_new(loop->base, loop->inbox_fd, EV_READ | EV_PERSIST, run_inbox,
				      loop);
	loop->janitor = event_new(loop->base, -1, EV_PERSIST, http_conn_janitor, loop);
	loop->again_event = event_new(loop->base, -1, 0, http_conn_again, loop);
	loop->relief = event_new(loop->base, -1, 0, http_conn_relief, loop);
	if (!loop->inbox_event || !loop->janitor || !loop->again_event || !loop->relief ||
	    event_add(loop->inbox_event, NULL) || event_add(loop->janitor, &tick))
		return -ENOMEM;
	return 0;
}

static int loop_listen(struct http_loop *loop)
{
	loop->listener = evconnlistener_new(loop->base, http_conn_accepted, loop,
					    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0,
					    loop->fd);
	if (!loop->listener)
		return -ENOMEM;
	loop->fd = -1;
	evconnlistener_set_error_cb(loop->listener, http_conn_accept_failed);
	return 0;
}

static void loop_listen_no_more(struct http_loop *loop)
{
	if (loop->listener)
		evconnlistener_free(loop->listener);
	loop->listener = NULL;
}

static void event_drop(struct event **event)
{
	if (*event)
		event_free(*event);
	*event = NULL;
}

/* In the loop's thread, where it ran at all. */
static void loop_end(struct http_loop *loop)
{
	struct open_exchange *x;

	pthread_mutex_lock(&loop->lock);
	loop->stopped = true;
	pthread_mutex_unlock(&loop->lock);
	if (loop->inbox_fd >= 0)
		run_inbox(loop->inbox_fd, 0, loop);
	loop->closing = true; /* said with the last answers */
	if (loop->arg && loop->server->cfg.loop_stop)
		loop->server->cfg.loop_stop(loop->arg);
	loop_listen_no_more(loop);
	http_conn_end_all(loop);
	event_drop(&loop->inbox_event);
	event_drop(&loop->janitor);
	event_drop(&loop->again_event);
	event_drop(&loop->relief);
	if (loop->base)
		event_base_free(loop->base);
	while ((x = loop->free_exchanges)) {
		loop->free_exchanges = x->next_free;
		free(x);
	}
	buf_fini(&loop->answer);
	free(loop->scratch);
}

static void tell_started(struct http_server *s, int err)
{
	pthread_mutex_lock(&s->lock);
	s->started_n++;
	if (err && !s->start_err)
		s->start_err = err;
	pthread_cond_broadcast(&s->started);
	pthread_mutex_unlock(&s->lock);
}

static void *loop_main(void *arg)
{
	struct http_loop *loop = arg;
	struct http_server *s = loop->server;
	int err;

	pthread_setname_np(pthread_self(), "http");
	err = loop_make(loop);
	if (!err && s->cfg.loop_start)
		err = s->cfg.loop_start(s->cfg.arg, loop, &loop->arg);
	if (!err)
		err = loop_listen(loop);
	tell_started(s, err);
	if (!err)
		event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
	loop_end(loop);
	return NULL;
}

static void stop_loop(void *arg)
{
	struct http_loop *loop = arg;

	event_base_loopbreak(loop->base);
}

/* Whoever has been let in by the kernel may have sent a request that nobody else will answer. */
static void accept_the_rest(struct http_loop *loop)
{
	struct sockaddr_storage from = { 0 };
	struct sockaddr *at = (struct sockaddr *)&from;
	int fd = 0;

	for (unsigned i = 0; loop->listener && fd >= 0 && i < BACKLOG; i++) {
		socklen_t n = sizeof(from);

		fd = accept4(evconnlistener_get_fd(loop->listener), at, &n,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			http_conn_accepted(loop->listener, fd, at, (int)n, loop);
	}
}

static void close_loop(void *arg)
{
	struct http_loop *loop = arg;

	if (loop->closing)
		return;
	loop->closing = true;
	loop->closing_ms = clock_mono_ms();
	accept_the_rest(loop);
	loop_listen_no_more(loop);
	http_conn_close_silent(loop);
}

/* ---- the server ---- */

/* libevent's own words: repetitions of what a client did wrong, and nothing that we can change. */
static void libevent_says(int severity, const char *text)
{
	if (severity >= EVENT_LOG_ERR)
		SLOG(SLOG_ERROR, "libevent", SLOG_T("says", text));
}

static void process_setup(void)
{
	struct rlimit limit;

	signal(SIGPIPE, SIG_IGN); /* a client that went is no reason to die */
	event_set_log_callback(libevent_says);
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static uint32_t connections_max(const struct http_server_cfg *cfg)
{
	uint32_t n = cfg->connections_max ? cfg->connections_max : CONNECTIONS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return n;
	if (limit.rlim_cur <= 2 * DESCRIPTORS_SPARE)
		return (uint32_t)MIN(n, limit.rlim_cur / 2);
	return (uint32_t)MIN(n, limit.rlim_cur - DESCRIPTORS_SPARE);
}

static int read_proxies(struct http_server *s, struct buf *problem)
{
	const struct cfg_texts *texts = s->cfg.trusted_proxies;

	if (!texts || !texts->n)
		return 0;
	s->proxies = calloc(texts->n, sizeof(*s->proxies));
	if (!s->proxies)
		return -ENOMEM;
	for (size_t i = 0; i < texts->n; i++) {
		if (net_read(slice_of(texts->v[i]), &s->proxies[s->proxies_n++])) {
			buf_printf(problem, "%s: no network", texts->v[i]);
			return -EINVAL;
		}
	}
	return 0;
}

static unsigned threads_of(const struct http_server_cfg *cfg)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (cfg->threads)
		return MIN(cfg->threads, THREADS_MAX);
	return cores < 1 ? 1 : MIN((unsigned)cores, THREADS_MAX);
}

static int make_loops(struct http_server *s)
{
	s->loops = calloc(s->loops_n, sizeof(*s->loops));
	if (!s->loops)
		return -ENOMEM;
	for (unsigned i = 0; i < s->loops_n; i++) {
		struct http_loop *loop = &s->loops[i];

		loop->server = s;
		loop->fd = loop->inbox_fd = -1;
		loop->inbox_last = &loop->inbox;
		TAILQ_INIT(&loop->again);
		pthread_mutex_init(&loop->lock, NULL);
	}
	return 0;
}

static int start_loops(struct http_server *s)
{
	unsigned made = 0;
	int err = 0;

	while (made < s->loops_n && !err) {
		struct http_loop *loop = &s->loops[made];

		err = -pthread_create(&loop->thread, NULL, loop_main, loop);
		made += !err;
	}
	pthread_mutex_lock(&s->lock);
	while (s->started_n < made)
		pthread_cond_wait(&s->started, &s->lock);
	if (s->start_err)
		err = s->start_err;
	pthread_mutex_unlock(&s->lock);
	return err;
}

static void set_defaults(struct http_server *s)
{
	struct http_server_cfg *cfg = &s->cfg;

	cfg->head_bytes_max = cfg->head_bytes_max ? cfg->head_bytes_max : HEAD_BYTES;
	cfg->reading_bytes_max = cfg->reading_bytes_max ? cfg->reading_bytes_max : READING_BYTES;
	cfg->read_ms = cfg->read_ms ? cfg->read_ms : READ_MS;
	cfg->idle_ms = cfg->idle_ms ? cfg->idle_ms : IDLE_MS;
	s->loops_n = threads_of(cfg);
	s->conns_per_loop = MAX(connections_max(cfg) / s->loops_n, 1);
	s->reading_bytes_per_loop = cfg->reading_bytes_max / s->loops_n;
}

int http_server_new(const struct http_server_cfg *cfg, struct http_server **ret,
		    struct buf *problem)
{
	struct http_server *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	s->open = metric(M_CONNECTIONS, NULL, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->started, NULL);
	process_setup();
	set_defaults(s);
	err = read_proxies(s, problem);
	if (!err)
		err = make_loops(s);
	if (!err) {
		err = listen_all(s);
		if (err)
			buf_printf(problem, "%s: %s", cfg->listen,
				   err == -EINVAL ? "no address to listen at" : strerror(-err));
	}
	if (err)
		s->loops_n = s->loops ? s->loops_n : 0;
	else
		err = start_loops(s);
	if (err) {
		http_server_free(s);
		return err;
	}
	*ret = s;
	return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
	return s->port;
}

unsigned http_server_threads(const struct http_server *s)
{
	return s->loops_n;
}

size_t http_server_connections(struct http_server *s)
{
	return atomic_load(&s->connections);
}

void http_server_close(struct http_server *s)
{
	for (unsigned i = 0; i < s->loops_n; i++) {
		if (http_loop_post(&s->loops[i], close_loop, &s->loops[i]))
			SLOG(SLOG_ERROR, "a loop cannot be closed");
	}
}

int http_server_drain(struct http_server *s, int64_t deadline_ms)
{
	const struct timespec pause = { 0, 2000000 };

	while (http_server_connections(s)) {
		if (clock_mono_ms() >= deadline_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->loops_n; i++) {
		struct http_loop *loop = &s->loops[i];

		if (loop->thread) {
			(void)!http_loop_post(loop, stop_loop, loop);
			pthread_join(loop->thread, NULL);
		}
		if (loop->fd >= 0)
			close(loop->fd);
		if (loop->inbox_fd >= 0)
			close(loop->inbox_fd);
		pthread_mutex_destroy(&loop->lock);
	}
	free(s->loops);
	free(s->proxies);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->started);
	free(s);
}
