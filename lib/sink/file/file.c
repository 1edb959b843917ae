#include "sink/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

struct line {
	STAILQ_ENTRY(line) link;
	struct sink_request req;
	sink_done_fn *done;
	void *arg;
	int64_t began_ms, start_by_ms;
	int err;
};
STAILQ_HEAD(lines, line);

struct file {
	const struct cfg_sink *cfg;
	pthread_t thread;
	pthread_mutex_t lock; /* what follows, up to the thread's own */
	pthread_cond_t changed;
	struct lines waiting;
	size_t lines_n; /* waiting and being written */
	bool stopping;

	/* the thread's own */
	int fd;
	dev_t dev;
	ino_t ino;
	bool torn; /* the last byte of the file is no line end */
};

/* ---- format ---- */

static int format(const struct cfg_sink *cfg UNUSED, const struct sink_step *step,
		  int64_t now_ms UNUSED, struct sink_request *req)
{
	buf_add_slice(&req->body, step->record);
	buf_add_char(&req->body, '\n');
	return req->body.bad ? -ENOMEM : 0;
}

/* ---- verdict: a disk may come back, so nothing is lost at once ---- */

static const char *reason_of(int err)
{
	switch (err) {
	case 0:
		return "";
	case -ENOSPC:
	case -EDQUOT:
		return "disk_full";
	case -ESTALE:
		return "waited_too_long";
	case -ENOENT:
	case -ENOTDIR:
		return "no_such_folder";
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return "not_writable";
	default:
		return "disk_error";
	}
}

static struct sink_answer verdict(int err, int64_t ms)
{
	return (struct sink_answer){
		.verdict = err ? SINK_RETRY : SINK_DONE,
		.ms = ms,
		.reason = reason_of(err),
	};
}

/* ---- the file ---- */

static void shut(struct file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static bool ends_torn(int fd, off_t size)
{
	char last = '\n';

	return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

/* The new name must outlive a crash too. */
static int sync_folder(const char *path)
{
	struct slice whole = slice_of(path);
	size_t n = whole.n;
	char *folder;
	int fd, err;

	while (n > 0 && path[n - 1] != '/')
		n--;
	folder = n ? slice_dup(slice_head(whole, n)) : strdup(".");
	if (!folder)
		return -ENOMEM;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd < 0)
		return -errno;
	err = fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
	close(fd);
	return err;
}

static int open_file(struct file *f)
{
	struct stat st;
	int err;

	f->fd = open(f->cfg->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (f->fd < 0)
		return -errno;
	if (fstat(f->fd, &st) != 0) {
		err = -errno;
		shut(f);
		return err;
	}
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->torn = ends_torn(f->fd, st.st_size);
	err = sync_folder(f->cfg->path);
	if (err)
		shut(f);
	return err;
}

/* Open, and still the file of that name. Whoever had the sink in between may have died in the
 * middle of a line. */
static int follow_name(struct file *f)
{
	struct stat st;

	if (f->fd >= 0 && stat(f->cfg->path, &st) == 0 && st.st_dev == f->dev &&
	    st.st_ino == f->ino) {
		f->torn = ends_torn(f->fd, st.st_size);
		return 0;
	}
	shut(f);
	return open_file(f);
}

static int write_line(struct file *f, struct slice line)
{
	ssize_t n;

	if (f->torn && write(f->fd, "\n", 1) != 1)
		return -errno;
	f->torn = false;
	n = write(f->fd, line.p, line.n);
	if (n == (ssize_t)line.n)
		return 0;
	f->torn = n > 0;
	return n < 0 ? -errno : -ENOSPC;
}

/* A sync that failed may have dropped what was written: nothing of the batch counts, and the file
 * is opened anew. */
static void write_batch(struct file *f, struct lines *batch)
{
	struct line *line;
	int err = follow_name(f);

	for (line = STAILQ_FIRST(batch); line; line = STAILQ_NEXT(line, link)) {
		bool stale = line->start_by_ms && clock_mono_ms() > line->start_by_ms;

		line->err = err ? err : stale ? -ESTALE : write_line(f, buf_slice(&line->req.body));
	}
	if (err || fdatasync(f->fd) == 0)
		return;
	err = -errno;
	shut(f);
	for (line = STAILQ_FIRST(batch); line; line = STAILQ_NEXT(line, link))
		line->err = err;
}

/* ---- the thread ---- */

static void answer_batch(struct lines *batch)
{
	struct line *line;

	while ((line = STAILQ_FIRST(batch))) {
		struct sink_answer answer = verdict(line->err, clock_mono_ms() - line->began_ms);

		STAILQ_REMOVE_HEAD(batch, link);
		line->done(line->arg, &answer);
		sink_request_fini(&line->req);
		free(line);
	}
}

static bool take_batch(struct file *f, struct lines *batch)
{
	STAILQ_INIT(batch);
	pthread_mutex_lock(&f->lock);
	while (STAILQ_EMPTY(&f->waiting) && !f->stopping)
		pthread_cond_wait(&f->changed, &f->lock);
	STAILQ_CONCAT(batch, &f->waiting);
	pthread_mutex_unlock(&f->lock);
	return !STAILQ_EMPTY(batch);
}

static size_t batch_size(const struct lines *batch)
{
	const struct line *line;
	size_t n = 0;

	for (line = STAILQ_FIRST(batch); line; line = STAILQ_NEXT(line, link))
		n++;
	return n;
}

static void *run(void *arg)
{
	struct file *f = arg;
	struct lines batch;

	while (take_batch(f, &batch)) {
		size_t n = batch_size(&batch);

		write_batch(f, &batch);
		answer_batch(&batch);
		pthread_mutex_lock(&f->lock);
		f->lines_n -= n;
		pthread_mutex_unlock(&f->lock);
	}
	shut(f);
	return NULL;
}

/* ---- the kind ---- */

static int init(void *state, const struct cfg_sink *cfg, const struct sink_env *env UNUSED,
		struct buf *problem)
{
	struct file *f = state;
	int err;

	*f = (struct file){ .cfg = cfg, .fd = -1 };
	err = *cfg->path ? sync_folder(cfg->path) : -ENOENT;
	if (err) {
		buf_printf(problem, "sink %s: path: the folder of \"%s\" cannot be used: %s",
			   cfg->name, cfg->path, strerror(-err));
		return -EINVAL;
	}
	STAILQ_INIT(&f->waiting);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	if (pthread_create(&f->thread, NULL, run, f) != 0) {
		pthread_cond_destroy(&f->changed);
		pthread_mutex_destroy(&f->lock);
		return -ENOMEM;
	}
	return 0;
}

static bool enqueue(struct file *f, struct line *line)
{
	bool room;

	pthread_mutex_lock(&f->lock);
	room = f->lines_n < FILE_SINK_LINES_MAX && !f->stopping;
	if (room) {
		STAILQ_INSERT_TAIL(&f->waiting, line, link);
		f->lines_n++;
		pthread_cond_signal(&f->changed);
	}
	pthread_mutex_unlock(&f->lock);
	return room;
}

static int deliver(void *state, const struct sink_step *step, sink_done_fn *done, void *arg)
{
	struct file *f = state;
	struct line *line = calloc(1, sizeof(*line));
	int err;

	if (!line)
		return -ENOMEM;
	*line = (struct line){ .done = done,
			       .arg = arg,
			       .began_ms = clock_mono_ms(),
			       .start_by_ms = step->start_by_ms };
	err = format(f->cfg, step, 0, &line->req);
	if (!err && !enqueue(f, line))
		err = -ENOSPC;
	if (err) {
		sink_request_fini(&line->req);
		free(line);
	}
	return err;
}

/* Writes what is in, then ends the thread. */
static void fini(void *state)
{
	struct file *f = state;

	pthread_mutex_lock(&f->lock);
	f->stopping = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
}

const struct sink_kind sink_file = {
	.name = "file",
	.send = CFG_SEND_EVERY,
	.concurrency = FILE_SINK_LINES_MAX / 2, /* what waits together shares a sync */
	.state_size = sizeof(struct file),
	.init = init,
	.format = format,
	.deliver = deliver,
	.fini = fini,
};
