#include "role/instance.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void name_instance(const struct cfg *cfg, char *out, size_t size)
{
	const char *colon = strrchr(cfg->admin_listen, ':');
	char host[128] = "localhost";

	gethostname(host, sizeof(host) - 1);
	if (*cfg->correlate.instance)
		snprintf(out, size, "%s", cfg->correlate.instance);
	else if (colon && strcmp(colon, ":0") != 0)
		snprintf(out, size, "%s-%s", host, colon + 1);
	else
		snprintf(out, size, "%s-pid%ld", host, (long)getpid());
}

int instance_id(const struct cfg *cfg, const char *role, unsigned worker, char out[INSTANCE_ID_MAX],
		struct buf *problem)
{
	char instance[192];

	name_instance(cfg, instance, sizeof(instance));
	if (snprintf(out, INSTANCE_ID_MAX, "%s%s.%s.%u", cfg->kafka.topic_prefix, role, instance,
		     worker) < INSTANCE_ID_MAX)
		return 0;
	buf_add_text(problem, "kafka.topic_prefix: too long for a transactional id");
	return -EINVAL;
}
