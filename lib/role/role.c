#include "role/role.h"

const struct role *const roles[] = { &role_ingest, &role_correlate, &role_deliver, NULL };

const struct role *role_find(struct slice name)
{
	for (size_t i = 0; roles[i]; i++) {
		if (slice_is(name, roles[i]->name))
			return roles[i];
	}
	return NULL;
}
