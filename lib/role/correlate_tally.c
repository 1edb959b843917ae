#include "role/correlate_tally.h"

#include <errno.h>
#include <stdlib.h>

#include "base/metric.h"

static const char *const event_texts[TALLY_EVENTS_N] = {
	[TALLY_SAME] = "same",
	[TALLY_CHANGED] = "changed",
	[TALLY_OPENED] = "opened",
	[TALLY_ORPHAN] = "orphan",
	[TALLY_LATE] = "late",
	[TALLY_UNDECODABLE] = "undecodable",
	[TALLY_TOO_MANY] = "too_many_events",
};

static const char *const dead_texts[TALLY_DEAD_N] = {
	[TALLY_DEAD_LATE] = "late",
	[TALLY_DEAD_UNDECODABLE] = "undecodable",
	[TALLY_DEAD_TOO_MANY] = "too_many_events",
};

const char *tally_dead_text(enum tally_dead reason)
{
	return dead_texts[reason];
}

int tally_init(struct tally *t, const struct cfg *cfg)
{
	*t = (struct tally){ .cfg = cfg };
	t->started = calloc(cfg->accounts_n + 1, sizeof(*t->started));
	return t->started ? 0 : -ENOMEM;
}

void tally_fini(struct tally *t)
{
	free(t->started);
	t->started = NULL;
}

void tally_reset(struct tally *t)
{
	const struct cfg *cfg = t->cfg;
	uint32_t *started = t->started;

	memset(started, 0, (cfg->accounts_n + 1) * sizeof(*started));
	*t = (struct tally){ .cfg = cfg, .started = started };
}

void tally_started(struct tally *t, struct slice account)
{
	const struct cfg_account *a = cfg_account(t->cfg, account);

	t->started[a ? (size_t)(a - t->cfg->accounts) : t->cfg->accounts_n]++;
}

void tally_record(struct tally *t, const struct record *rec, enum closed_by closed_by)
{
	if (rec->revision > 1) {
		t->revisions++;
		return;
	}
	t->closed_by[closed_by]++;
	t->outcomes[rec->outcome]++;
	t->reasons_unknown += rec->reason_unknown;
}

static void tell(enum metric_id id, const char *value1, const char *value2, uint64_t count)
{
	if (count)
		metric_add(id, value1, value2, (int64_t)count);
}

void tally_tell(struct tally *t)
{
	for (size_t i = 0; i < TALLY_EVENTS_N; i++)
		tell(M_EVENTS_APPLIED, event_texts[i], NULL, t->events[i]);
	for (size_t i = 0; i < TALLY_DEAD_N; i++)
		tell(M_DEAD, "correlate", dead_texts[i], t->dead[i]);
	for (size_t i = 0; i < CLOSED_BY_N; i++)
		tell(M_CALLS_CLOSED, closed_by_text((enum closed_by)i), NULL, t->closed_by[i]);
	for (size_t i = 1; i < OUTCOMES_N; i++)
		tell(M_RECORDS, outcome_text((enum outcome)i), NULL, t->outcomes[i]);
	for (size_t i = 0; i < t->cfg->accounts_n; i++)
		tell(M_CALLS_STARTED, t->cfg->accounts[i].name, NULL, t->started[i]);
	tell(M_CALLS_STARTED, "unknown", NULL, t->started[t->cfg->accounts_n]);
	tell(M_REVISIONS, NULL, NULL, t->revisions);
	tell(M_REASONS_UNKNOWN, NULL, NULL, t->reasons_unknown);
	tell(M_LATE, NULL, NULL, t->dead[TALLY_DEAD_LATE]);
	tally_reset(t);
}
