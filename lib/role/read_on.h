/*
 * read_on.h - asking and reading a partition outside groups, for as long as it gets on
 *
 * For take-overs: they may read for minutes, so what counts is not how long it takes but how long
 * nothing comes, and whether somebody wants it to stop (then -ECANCELED; stop may be NULL).
 * Thread: any, but for a worker's.
 */
#ifndef CS_ROLE_READ_ON_H
#define CS_ROLE_READ_ON_H

#include <stdatomic.h>

#include "log/log.h"

#define READ_ON_WAIT_MS 60000 /* without progress */
#define READ_ON_ASK_MS  2000  /* one question to the broker; then stop is looked at */

/* log_committed, while a killed owner's transaction hides it. 0, -EAGAIN, -ECANCELED, other
 * verdicts. */
CHECKED int read_on_committed(struct log_worker *w, enum topic topic, int32_t partition,
			      const atomic_bool *stop, int64_t *ret);

/* log_high_watermark. 0, -EAGAIN, -ECANCELED, other verdicts. */
CHECKED int read_on_high(struct log *log, enum topic topic, int32_t partition,
			 const atomic_bool *stop, int64_t *ret);

/* log_read_partition, but it gives up only after READ_ON_WAIT_MS without a message; and
 * -ECANCELED. */
CHECKED int read_on(struct log *log, enum topic topic, int32_t partition, int64_t from,
		    int64_t until, const atomic_bool *stop, log_read_fn *each, void *arg);

#endif
