/*
 * admin.h - what every process serves at admin.listen: health, readiness, metrics (contract.md 2)
 *
 * A thread of its own, so that it answers whatever the roles do.
 */
#ifndef CS_CMD_ADMIN_H
#define CS_CMD_ADMIN_H

#include <stdatomic.h>

#include "role/role.h"

#define RUNNING_MAX 16

/* The roles of this process. n grows while they start: an entry below n never changes. */
struct running {
	struct {
		const struct role *role;
		void *state;
	} v[RUNNING_MAX];
	_Atomic size_t n;
	_Atomic bool started, ending; /* all of them; on the way out */
};

struct admin;
/* running is borrowed until admin_stop. 0; -EINVAL no address; -errno of the socket; -ENOMEM. */
CHECKED int admin_start(const char *listen, struct running *running, struct admin **ret);
/* Where it listens, with the port that the system chose. */
const char *admin_address(const struct admin *admin);
/* NULL allowed. */
void admin_stop(struct admin *admin);

#endif
