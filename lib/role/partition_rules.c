/* The fingerprint of what decides a table: rules and settings. */

#include "role/partition.h"

#include <stdlib.h>

static void put_i64(struct buf *b, const char *name, int64_t value)
{
	buf_printf(b, "%s=%lld\n", name, (long long)value);
}

static void put_closers(struct buf *b, const struct cfg_closers *c)
{
	put_i64(b, "end_grace", c->end_grace_ms);
	put_i64(b, "no_summary_after", c->no_summary_after_ms);
	put_i64(b, "lost_without_end_after", c->lost_without_end_after_ms);
	put_i64(b, "talk_without_end_after", c->talk_without_end_after_ms);
	put_i64(b, "silent_call_after", c->silent_call_after_ms);
	put_i64(b, "recording_wait", c->recording_wait_ms);
}

static void put_account(struct buf *b, const struct cfg_account *a)
{
	buf_printf(b, "account=%s\nsource=%s\n", a->name, a->source);
	put_i64(b, "recordings", a->recordings);
	put_closers(b, &a->closers);
}

static int by_name(const void *a, const void *b)
{
	const struct cfg_account *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The order of accounts in the file says nothing. Without memory it is the order of the file, and
 * at the worst a replay sends a record too many. */
static void put_accounts(struct buf *b, const struct cfg *cfg)
{
	const struct cfg_account **sorted = calloc(cfg->accounts_n + 1,
						   sizeof(struct cfg_account *));

	for (size_t i = 0; sorted && i < cfg->accounts_n; i++)
		sorted[i] = &cfg->accounts[i];
	if (sorted)
		qsort(sorted, cfg->accounts_n, sizeof(struct cfg_account *), by_name);
	for (size_t i = 0; i < cfg->accounts_n; i++)
		put_account(b, sorted ? sorted[i] : &cfg->accounts[i]);
	free(sorted);
}

void partition_fingerprint(const struct cfg *cfg, struct uuid *ret)
{
	const struct cfg_correlate *c = &cfg->correlate;
	struct buf b = BUF_EMPTY;
	struct slice text;

	put_i64(&b, "rules", CALL_RULES_VERSION);
	buf_printf(&b, "country=%s\n", cfg->numbers_country);
	put_i64(&b, "partitions", cfg->kafka.partitions);
	put_closers(&b, &c->closers);
	put_i64(&b, "remember_closed", c->remember_closed_ms);
	put_i64(&b, "closed_index", c->closed_index_ms);
	put_i64(&b, "closed_index_max", (int64_t)c->closed_index_max);
	put_i64(&b, "orphan_wait", c->orphan_wait_ms);
	put_i64(&b, "orphans_max", (int64_t)c->orphans_max);
	put_i64(&b, "open_calls_max", (int64_t)c->open_calls_max);
	put_accounts(&b, cfg);
	text = buf_slice(&b);
	uuid_v5(&text, 1, ret);
	buf_fini(&b);
}
