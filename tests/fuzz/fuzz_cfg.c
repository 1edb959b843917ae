/* Any bytes as a config: taken or refused, never worse; what is refused is told with its line. */
#include <stdlib.h>

#include "base/cfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf problems = BUF_EMPTY;
	struct cfg *cfg = NULL;
	int err = cfg_parse("f", slice_make(data, n), &cfg, &problems);

	if ((err == 0) != (cfg != NULL))
		abort();
	if (err && problems.n == 0)
		abort();
	for (size_t i = 0; cfg && i < cfg->accounts_n; i++) {
		const struct cfg_account *account = &cfg->accounts[i];

		if (!cfg_account(cfg, slice_of(account->name)) || !account->tz)
			abort();
	}
	cfg_free(cfg);
	buf_fini(&problems);
	return 0;
}
