/*
 * read_on.h - asking and reading a partition outside groups, for as long as it gets on
 *
 * For take-overs: they may read for minutes, so what counts is not how long it takes but how long
 * nothing comes, and whether somebody wants it to stop.
 */
#ifndef CS_ROLE_READ_ON_H
#define CS_ROLE_READ_ON_H

#include <stdatomic.h>

#include "log/log.h"

#define READ_ON_WAIT_MS 60000 /* without progress */
#define READ_ON_ASK_MS  2000  /* one question to the broker; then stop is looked at */

/* After an answer of -EAGAIN to what was asked at asked_ms: 0 to ask again (it has paused where the
 * answer came at once); -EAGAIN at give_up_ms; -ECANCELED stop is set. stop may be NULL. */
CHECKED int read_on_again(const atomic_bool *stop, int64_t asked_ms, int64_t give_up_ms);

/* log_high_watermark. 0, -EAGAIN, -ECANCELED, other verdicts. */
CHECKED int read_on_high(struct log *log, enum topic topic, int32_t partition,
			 const atomic_bool *stop, int64_t *ret);

/* log_read_partition, but it gives up only after READ_ON_WAIT_MS without a message; and
 * -ECANCELED. */
CHECKED int read_on(struct log *log, enum topic topic, int32_t partition, int64_t from,
		    int64_t until, const atomic_bool *stop, log_read_fn *each, void *arg);

#endif
