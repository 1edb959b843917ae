/*
 * instance.h - the transactional id of a worker: which one it is, over restarts too
 *
 * Kafka lets a new producer with an old one's id fence that one at once, so what a killed process
 * left open need not time out. Pure but for the host's name and the process id. Thread: any.
 */
#ifndef CS_ROLE_INSTANCE_H
#define CS_ROLE_INSTANCE_H

#include "base/cfg.h"

#define INSTANCE_ID_MAX 256

/*
 * "<prefix><role>.<instance>.<worker>". The instance is correlate.instance, else host name and
 * admin port, which tells processes of one host apart; where the system chooses the port, the
 * process id does, for two processes must not fence each other. 0; -EINVAL with a text in problem
 * where it is too long.
 */
CHECKED int instance_id(const struct cfg *cfg, const char *role, unsigned worker,
			char out[INSTANCE_ID_MAX], struct buf *problem);

#endif
