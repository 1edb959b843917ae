#include "role/read_on.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

#define PAUSE_MS 200

static bool stopped(const atomic_bool *stop)
{
	return stop && atomic_load(stop);
}

/* After an answer of -EAGAIN to what was asked at asked_ms: 0 to ask again, or why not. */
static int ask_again(const atomic_bool *stop, int64_t asked_ms, int64_t give_up_ms)
{
	int64_t now_ms = clock_mono_ms();

	if (stopped(stop))
		return -ECANCELED;
	if (now_ms >= give_up_ms)
		return -EAGAIN;
	if (now_ms - asked_ms < PAUSE_MS)
		nanosleep(&(struct timespec){ 0, PAUSE_MS * 1000000L }, NULL);
	return 0;
}

int read_on_committed(struct log_worker *w, enum topic topic, int32_t partition,
		      const atomic_bool *stop, int64_t *ret)
{
	int64_t give_up_ms = clock_mono_ms() + READ_ON_WAIT_MS;

	for (;;) {
		int64_t now_ms = clock_mono_ms();
		int rc = log_committed(w, topic, partition, now_ms + READ_ON_ASK_MS, ret);

		if (rc != -EAGAIN)
			return rc;
		rc = ask_again(stop, now_ms, give_up_ms);
		if (rc < 0)
			return rc;
	}
}

int read_on_high(struct log *log, enum topic topic, int32_t partition, const atomic_bool *stop,
		 int64_t *ret)
{
	int64_t give_up_ms = clock_mono_ms() + READ_ON_WAIT_MS;

	for (;;) {
		int64_t now_ms = clock_mono_ms();
		int rc = log_high_watermark(log, topic, partition, now_ms + READ_ON_ASK_MS, ret);

		if (rc != -EAGAIN)
			return rc;
		rc = ask_again(stop, now_ms, give_up_ms);
		if (rc < 0)
			return rc;
	}
}

struct reading {
	log_read_fn *each;
	void *arg;
	int64_t next; /* one past the last message seen */
};

static int read_one(void *arg, const struct log_msg *msg)
{
	struct reading *r = arg;

	r->next = msg->offset + 1;
	return r->each(r->arg, msg);
}

int read_on(struct log *log, enum topic topic, int32_t partition, int64_t from, int64_t until,
	    const atomic_bool *stop, log_read_fn *each, void *arg)
{
	struct reading r = { each, arg, from };
	int64_t give_up_ms = clock_mono_ms() + READ_ON_WAIT_MS;

	for (;;) {
		int64_t before = r.next, now_ms = clock_mono_ms();
		int rc = log_read_partition(log, topic, partition, r.next, until,
					    now_ms + READ_ON_ASK_MS, read_one, &r);

		if (rc != -EAGAIN)
			return rc;
		if (r.next != before)
			give_up_ms = clock_mono_ms() + READ_ON_WAIT_MS;
		rc = ask_again(stop, now_ms, give_up_ms);
		if (rc < 0)
			return rc;
	}
}
