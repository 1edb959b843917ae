#include "role/role.h"

#include <errno.h>

static bool enabled(const struct cfg *cfg)
{
	return cfg != NULL;
}

static int start(const struct cfg *cfg, void **ret_state, struct buf *problem)
{
	(void)cfg;
	(void)ret_state;
	buf_add_text(problem, "not built yet");
	return -EINVAL;
}

const struct role role_correlate = {
	.name = "correlate", .summary = "correlate", .enabled = enabled, .start = start
};
