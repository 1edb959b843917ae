#include "net/http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/clock.h"

#define REQUESTS_MAX_DEFAULT ((size_t)65536)
#define IDLE_CONNECTIONS_MAX 256L
#define SPARE_HANDLES_MAX    64

/* One request from http_client_send to its callback. */
struct job {
	TAILQ_ENTRY(job) link; /* in client.running */
	struct http_client *client;
	CURL *easy;
	struct curl_slist *head;
	char *url, *method;
	struct buf body;
	size_t body_at; /* sent so far */
	http_answer_fn *answered;
	void *arg;
	const void *tag;
	int64_t start_by_ms; /* 0: no matter when */
	bool too_late;
	int64_t began_ms;
	struct buf answer;
	size_t head_bytes, body_bytes; /* read so far */
	bool address_refused;          /* an address was one that we must not connect to */
	bool address_tried;            /* another one was not */
	bool enough;                   /* we stopped reading a long answer */
};

/* What other threads tell the loop, in order: a job to start, or a tag to cancel. */
struct mail {
	STAILQ_ENTRY(mail) link;
	struct job *job;
	const void *cancel;
};

struct http_client {
	struct http_client_cfg cfg;
	pthread_t thread;
	pthread_mutex_t lock; /* inbox, closed, stopping */
	STAILQ_HEAD(, mail) inbox;
	bool closed, stopping;
	int wake_fd;
	atomic_size_t busy;

	/* the loop's own */
	struct event_base *base;
	struct event *wake, *timer;
	CURLM *multi;
	TAILQ_HEAD(, job) running;
	CURL *spare[SPARE_HANDLES_MAX];
	size_t spare_n;
};

static const char *const result_texts[HTTP_RESULTS_N] = {
	[HTTP_ANSWERED] = "answered",
	[HTTP_TIMEOUT] = "timeout",
	[HTTP_NOT_RESOLVED] = "not_resolved",
	[HTTP_NOT_CONNECTED] = "not_connected",
	[HTTP_ADDRESS_REFUSED] = "address_not_allowed",
	[HTTP_TLS_FAILED] = "tls_failed",
	[HTTP_BAD_URL] = "bad_url",
	[HTTP_BROKEN] = "connection_broken",
	[HTTP_CANCELLED] = "cancelled",
};

const char *http_result_text(enum http_result result)
{
	return result_texts[result];
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static bool curl_ready;

static void setup_curl(void)
{
	curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* ---- a job ---- */

static void job_free(struct job *job)
{
	struct http_client *c = job->client;

	if (job->easy && c->spare_n < SPARE_HANDLES_MAX) {
		curl_easy_reset(job->easy);
		c->spare[c->spare_n++] = job->easy;
	} else if (job->easy) {
		curl_easy_cleanup(job->easy);
	}
	curl_slist_free_all(job->head);
	free(job->url);
	free(job->method);
	buf_fini(&job->body);
	buf_fini(&job->answer);
	free(job);
}

static int add_header(struct job *job, struct slice line)
{
	char *text = slice_dup(line);
	struct curl_slist *head = text ? curl_slist_append(job->head, text) : NULL;

	free(text);
	if (!head)
		return -ENOMEM;
	job->head = head;
	return 0;
}

/* "Name: value\n" lines. A CR or a NUL in one would be another header, or none. */
static int add_headers(struct job *job, struct slice head)
{
	int err = add_header(job, SLICE("Expect:")); /* ask no leave for a large body */

	while (!err && head.n) {
		struct slice line = slice_cut(&head, '\n');
		size_t colon = slice_find(line, ':');

		if (colon == 0 || colon == line.n || memchr(line.p, '\r', line.n) ||
		    memchr(line.p, '\0', line.n))
			return -EINVAL;
		err = add_header(job, line);
	}
	return err;
}

static int job_new(struct http_client *c, const struct http_request *req, http_answer_fn *answered,
		   void *arg, struct job **ret)
{
	struct job *job = calloc(1, sizeof(*job));
	int err;

	if (!job)
		return -ENOMEM;
	*job = (struct job){ .client = c, .answered = answered, .arg = arg, .tag = req->tag };
	job->start_by_ms = req->start_by_ms;
	job->url = strdup(req->url);
	job->method = strdup(req->method);
	buf_add_slice(&job->body, req->body);
	err = job->url && job->method && !job->body.bad ? add_headers(job, req->head) : -ENOMEM;
	if (err) {
		job_free(job);
		return err;
	}
	*ret = job;
	return 0;
}

static int64_t retry_after_ms(CURL *easy)
{
	curl_off_t seconds = 0;

	if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds <= 0)
		return 0;
	return (int64_t)MIN(seconds, (curl_off_t)INT32_MAX) * 1000;
}

/* The end of a job that curl no longer holds. */
static void job_end(struct job *job, enum http_result result)
{
	struct http_client *c = job->client;
	struct http_answer answer = { .result = result, .body = buf_slice(&job->answer) };
	long status = 0;

	if (job->easy) {
		curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
		answer.status = (int)status;
		answer.retry_after_ms = retry_after_ms(job->easy);
	}
	if (job->began_ms)
		answer.ms = clock_mono_ms() - job->began_ms;
	atomic_fetch_sub(&c->busy, 1); /* so that the callback may send the next one */
	job->answered(job->arg, &answer);
	job_free(job);
}

static bool was_sent(const struct job *job)
{
	long bytes = 0;

	return curl_easy_getinfo(job->easy, CURLINFO_REQUEST_SIZE, &bytes) == CURLE_OK && bytes > 0;
}

static enum http_result result_of(const struct job *job, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_ABORTED_BY_CALLBACK:
		return job->too_late ? HTTP_CANCELLED : HTTP_BROKEN;
	case CURLE_WRITE_ERROR:
		return job->enough ? HTTP_ANSWERED : HTTP_BROKEN;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_TIMEOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
		return HTTP_NOT_RESOLVED;
	case CURLE_COULDNT_CONNECT:
		return job->address_refused && !job->address_tried ? HTTP_ADDRESS_REFUSED
								   : HTTP_NOT_CONNECTED;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL: /* also of an answer that is no HTTP */
		return was_sent(job) ? HTTP_BROKEN : HTTP_BAD_URL;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return HTTP_TLS_FAILED;
	default:
		return HTTP_BROKEN;
	}
}

/* ---- what curl asks while a request runs ---- */

static size_t on_head(char *p UNUSED, size_t size, size_t n, void *arg)
{
	struct job *job = arg;

	job->head_bytes += size * n;
	return job->head_bytes > HTTP_HEAD_READ_MAX ? 0 : size * n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct job *job = arg;

	n *= size;
	job->body_bytes += n;
	if (job->body_bytes > HTTP_BODY_READ_MAX) {
		job->enough = true;
		return 0;
	}
	buf_add(&job->answer, p, MIN(n, HTTP_BODY_KEPT - job->answer.n));
	return n;
}

static bool may_connect(const struct http_client *c, const struct sockaddr *sa)
{
	struct addr addr;

	return c->cfg.allow_private_networks ||
	       (addr_of_sockaddr(sa, &addr) == 0 && !addr_is_private(&addr));
}

/* The address is the one that connect() gets: what a name said before or after does not matter. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct job *job = arg;

	if (purpose != CURLSOCKTYPE_IPCXN)
		return CURL_SOCKET_BAD;
	if (!may_connect(job->client, &address->addr)) {
		job->address_refused = true;
		return CURL_SOCKET_BAD;
	}
	job->address_tried = true;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool is_too_late(struct job *job)
{
	job->too_late = job->start_by_ms && clock_mono_ms() > job->start_by_ms;
	return job->too_late;
}

/* The connection stands and the request is about to be written. Curl's own time-outs count from its
 * first look at the request, which may lie behind the stop of a process that was stopped. */
static int on_begin(void *arg, char *ip UNUSED, char *local_ip UNUSED, int port UNUSED,
		    int local_port UNUSED)
{
	return is_too_late(arg) ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* The next bytes of the body, which go out at once. Before the first ones is the last moment to
 * look at the clock: without its body a request is none. What has begun may take its time. */
static size_t on_send(char *p, size_t size, size_t n, void *arg)
{
	struct job *job = arg;

	n = MIN(size * n, job->body.n - job->body_at);
	if (n)
		memcpy(p, job->body.p + job->body_at, n);
	if (job->body_at == 0 && is_too_late(job))
		return CURL_READFUNC_ABORT;
	job->body_at += n;
	return n;
}

/* A connection that was kept alive turned out to be dead: the body goes again over another one. */
static int on_rewind(void *arg, curl_off_t offset, int origin)
{
	struct job *job = arg;

	if (origin != SEEK_SET || offset < 0 || (size_t)offset > job->body.n)
		return CURL_SEEKFUNC_FAIL;
	job->body_at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static void set_request(CURL *easy, struct job *job)
{
	curl_easy_setopt(easy, CURLOPT_URL, job->url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, job->head);
	if (strcmp(job->method, "GET") != 0) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)job->body.n);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
		curl_easy_setopt(easy, CURLOPT_READDATA, job);
		curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
		curl_easy_setopt(easy, CURLOPT_SEEKDATA, job);
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, job->method);
	}
	curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, job);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, job);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, job);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_begin);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, job);
}

static void set_limits(CURL *easy, const struct http_client_cfg *cfg)
{
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)cfg->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)cfg->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, cfg->user_agent);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* also against $http_proxy */
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Else the loop would wait for the thread of a name server that does not answer. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static void start_job(struct http_client *c, struct job *job)
{
	job->began_ms = clock_mono_ms();
	if (is_too_late(job)) {
		job_end(job, HTTP_CANCELLED);
		return;
	}
	job->easy = c->spare_n ? c->spare[--c->spare_n] : curl_easy_init();
	if (!job->easy) {
		job_end(job, HTTP_BROKEN);
		return;
	}
	set_limits(job->easy, &c->cfg);
	set_request(job->easy, job);
	if (curl_multi_add_handle(c->multi, job->easy) != CURLM_OK) {
		job_end(job, HTTP_BROKEN);
		return;
	}
	TAILQ_INSERT_TAIL(&c->running, job, link);
}

static void stop_job(struct http_client *c, struct job *job, enum http_result result)
{
	TAILQ_REMOVE(&c->running, job, link);
	curl_multi_remove_handle(c->multi, job->easy);
	job_end(job, result);
}

/* Without a tag: all. */
static void cancel_jobs(struct http_client *c, const void *tag)
{
	struct job *job = TAILQ_FIRST(&c->running), *next;

	for (; job; job = next) {
		next = TAILQ_NEXT(job, link);
		if (!tag || job->tag == tag)
			stop_job(c, job, HTTP_CANCELLED);
	}
}

/* ---- the loop: curl tells which sockets and which timer it wants ---- */

static void end_finished(struct http_client *c)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(c->multi, &left))) {
		struct job *job = NULL;
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&job);
		stop_job(c, job, result_of(job, code));
	}
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct http_client *c = arg;
	int flags = (what & EV_READ ? CURL_CSELECT_IN : 0) |
		    (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	curl_multi_socket_action(c->multi, fd, flags, &running);
	end_finished(c);
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct http_client *c = arg;
	int running;

	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	end_finished(c);
}

static int on_want_socket(CURL *easy UNUSED, curl_socket_t fd, int what, void *arg, void *watched)
{
	struct http_client *c = arg;
	struct event *ev = watched;
	short events = (short)((what & CURL_POLL_IN ? EV_READ : 0) |
			       (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);

	if (ev)
		event_free(ev);
	ev = what == CURL_POLL_REMOVE ? NULL : event_new(c->base, fd, events, on_socket, c);
	if (ev)
		event_add(ev, NULL);
	curl_multi_assign(c->multi, fd, ev);
	return ev || what == CURL_POLL_REMOVE ? 0 : -1;
}

static int on_want_timer(CURLM *multi UNUSED, long timeout_ms, void *arg)
{
	struct http_client *c = arg;
	struct timeval tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

	if (timeout_ms < 0)
		evtimer_del(c->timer);
	else
		evtimer_add(c->timer, &tv);
	return 0;
}

static struct mail *take_mail(struct http_client *c, bool *ret_stopping)
{
	struct mail *mail;

	pthread_mutex_lock(&c->lock);
	mail = STAILQ_FIRST(&c->inbox);
	if (mail)
		STAILQ_REMOVE_HEAD(&c->inbox, link);
	*ret_stopping = c->stopping;
	pthread_mutex_unlock(&c->lock);
	return mail;
}

static void on_wake(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct http_client *c = arg;
	struct mail *mail;
	bool stopping;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	while ((mail = take_mail(c, &stopping))) {
		if (mail->cancel)
			cancel_jobs(c, mail->cancel);
		else if (stopping)
			job_end(mail->job, HTTP_CANCELLED);
		else
			start_job(c, mail->job);
		free(mail);
	}
	if (stopping) {
		cancel_jobs(c, NULL);
		event_base_loopbreak(c->base);
	}
}

static void *run(void *arg)
{
	struct http_client *c = arg;

	event_base_dispatch(c->base);
	return NULL;
}

/* ---- the header's functions ---- */

static void release(struct http_client *c)
{
	while (c->spare_n)
		curl_easy_cleanup(c->spare[--c->spare_n]);
	if (c->multi)
		curl_multi_cleanup(c->multi);
	if (c->timer)
		event_free(c->timer);
	if (c->wake)
		event_free(c->wake);
	if (c->base)
		event_base_free(c->base);
	if (c->wake_fd >= 0)
		close(c->wake_fd);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static bool setup(struct http_client *c)
{
	pthread_once(&curl_once, setup_curl);
	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->base = event_base_new();
	c->multi = curl_ready ? curl_multi_init() : NULL;
	if (c->wake_fd < 0 || !c->base || !c->multi)
		return false;
	c->wake = event_new(c->base, c->wake_fd, EV_READ | EV_PERSIST, on_wake, c);
	c->timer = evtimer_new(c->base, on_timer, c);
	if (!c->wake || !c->timer || event_add(c->wake, NULL) != 0)
		return false;
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX);
	return true;
}

int http_client_new(const struct http_client_cfg *cfg, struct http_client **ret)
{
	struct http_client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
	if (c->cfg.requests_max == 0)
		c->cfg.requests_max = REQUESTS_MAX_DEFAULT;
	pthread_mutex_init(&c->lock, NULL);
	STAILQ_INIT(&c->inbox);
	TAILQ_INIT(&c->running);
	if (!setup(c)) {
		release(c);
		return -ENOMEM;
	}
	if (pthread_create(&c->thread, NULL, run, c) != 0) {
		release(c);
		return -EAGAIN;
	}
	*ret = c;
	return 0;
}

static void wake(struct http_client *c)
{
	uint64_t one = 1;

	/* A full counter wakes the loop all the same. */
	if (write(c->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static int post(struct http_client *c, struct job *job, const void *cancel)
{
	struct mail *mail = malloc(sizeof(*mail));
	bool refused;

	if (!mail)
		return -ENOMEM;
	*mail = (struct mail){ .job = job, .cancel = cancel };
	pthread_mutex_lock(&c->lock);
	refused = c->stopping || (job && c->closed);
	if (!refused)
		STAILQ_INSERT_TAIL(&c->inbox, mail, link);
	pthread_mutex_unlock(&c->lock);
	if (refused) {
		free(mail);
		return -ESHUTDOWN;
	}
	wake(c);
	return 0;
}

int http_client_send(struct http_client *c, const struct http_request *req,
		     http_answer_fn *answered, void *arg)
{
	struct job *job;
	int err;

	if (atomic_fetch_add(&c->busy, 1) >= c->cfg.requests_max) {
		atomic_fetch_sub(&c->busy, 1);
		return -ENOSPC;
	}
	err = job_new(c, req, answered, arg, &job);
	if (!err) {
		err = post(c, job, NULL);
		if (err)
			job_free(job);
	}
	if (err)
		atomic_fetch_sub(&c->busy, 1);
	return err;
}

void http_client_cancel(struct http_client *c, const void *tag)
{
	/* Without memory for the message the request ends by its own time-out. */
	if (!tag || post(c, NULL, tag) != 0)
		return;
}

size_t http_client_busy(struct http_client *c)
{
	return atomic_load(&c->busy);
}

void http_client_close(struct http_client *c)
{
	pthread_mutex_lock(&c->lock);
	c->closed = true;
	pthread_mutex_unlock(&c->lock);
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->closed = c->stopping = true;
	pthread_mutex_unlock(&c->lock);
	wake(c);
	pthread_join(c->thread, NULL);
	release(c);
}
