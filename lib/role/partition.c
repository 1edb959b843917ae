#include "role/partition.h"

#include <errno.h>
#include <stdlib.h>

#include "base/broken.h"
#include "call/deadletter.h"
#include "role/partition_dead.h"

/* ---- what the table tells ---- */

static void on_record(void *arg, const struct calltab_record *rec)
{
	struct partition *p = arg;

	outbox_add(&p->out, TOPIC_CALLS, rec->id_text, rec->json);
	if (!p->replaying)
		tally_record(p->env->tally, rec->record, rec->closed_by);
}

static void on_late(void *arg, const struct uuid *event_id, struct slice json)
{
	struct partition *p = arg;

	(void)event_id; /* stands in json */
	partition_dead_orphan(p, json);
}

static uint32_t on_revision_known(void *arg, const struct uuid *call_id)
{
	const struct partition *p = arg;

	return p->known ? revisions_of(p->known, call_id) : 0;
}

/* ---- its life ---- */

int partition_env_init(struct partition_env *env, const struct cfg *cfg)
{
	bool made = true;

	*env = (struct partition_env){ .cfg = cfg };
	partition_fingerprint(cfg, &env->fingerprint);
	for (size_t i = 0; i < CALLTAB_BATCH; i++) {
		env->parsers[i] = callev_parser_new();
		made = made && env->parsers[i];
	}
	env->events = calloc(CALLTAB_BATCH, sizeof(*env->events));
	env->parser_again = callev_parser_new();
	env->tally = calloc(1, sizeof(*env->tally));
	if (!made || !env->events || !env->parser_again || !env->tally ||
	    tally_init(env->tally, cfg) < 0) {
		partition_env_fini(env);
		return -ENOMEM;
	}
	return 0;
}

void partition_env_fini(struct partition_env *env)
{
	for (size_t i = 0; i < CALLTAB_BATCH; i++)
		callev_parser_free(env->parsers[i]);
	free(env->events);
	callev_parser_free(env->parser_again);
	if (env->tally)
		tally_fini(env->tally);
	free(env->tally);
	*env = (struct partition_env){ .cfg = NULL };
}

/* A limit of the process is shared evenly by all partitions there are. */
static uint64_t share(const struct cfg *cfg, uint64_t max)
{
	return MAX(max / MAX(cfg->kafka.partitions, 1u), 1u);
}

static int make_table(struct partition *p)
{
	const struct cfg *cfg = p->env->cfg;
	const struct cfg_correlate *c = &cfg->correlate;
	const struct calltab_out out = {
		.arg = p,
		.record = on_record,
		.late = on_late,
		.revision_known = on_revision_known,
	};
	/* Role record is not in this version: recordings are awaited until available. */
	const struct calltab_cfg tab_cfg = {
		.cfg = cfg,
		.calls_max = share(cfg, c->open_calls_max),
		.orphans_max = share(cfg, c->orphans_max),
		.record_role = false,
	};
	int err = closed_new(c->closed_index_ms, share(cfg, c->closed_index_max), &p->closed);

	if (err < 0)
		return err;
	return calltab_new(&tab_cfg, p->closed, &out, &p->tab);
}

int partition_new(const struct partition_env *env, int32_t index, struct partition **ret)
{
	const struct cfg_correlate *c = &env->cfg->correlate;
	struct partition *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->env = env;
	p->index = index;
	p->next = LOG_BEGIN;
	p->clock_ms = TIME_NONE;
	p->append_newest_ms = TIME_NONE;
	p->calls_offset = LOG_BEGIN;
	p->block_low = 1;
	p->output = true;
	checkpoint_init(&p->checkpoint, c->checkpoint_every_ms, c->commit_every_ms);
	if (make_table(p) < 0) {
		partition_free(p);
		return -ENOMEM;
	}
	partition_begin(p, 1);
	*ret = p;
	return 0;
}

void partition_free(struct partition *p)
{
	if (!p)
		return;
	calltab_free(p->tab);
	closed_free(p->closed);
	outbox_fini(&p->out);
	buf_fini(&p->scratch);
	buf_fini(&p->closed_ids);
	free(p);
}

void partition_begin(struct partition *p, uint64_t n)
{
	p->n = n;
	p->begun = (struct replay_mark){ n, p->next, p->clock_ms, p->calls_offset,
					 closed_cutoff(p->closed) };
	calltab_begin_commit(p->tab, n);
}

void partition_mark_calls(struct partition *p, int64_t calls_offset)
{
	p->calls_offset = calls_offset;
	p->begun.calls_offset = calls_offset;
}

/* ---- events ---- */

void partition_count(struct partition *p, enum tally_event event)
{
	if (!p->replaying)
		p->env->tally->events[event]++;
}

static const enum tally_event change_counts[] = {
	[CALLTAB_SAME] = TALLY_SAME,     [CALLTAB_CHANGED] = TALLY_CHANGED,
	[CALLTAB_OPENED] = TALLY_OPENED, [CALLTAB_ORPHAN] = TALLY_ORPHAN,
	[CALLTAB_LATE] = TALLY_LATE,
};

static void take_change(struct partition *p, const struct callev *ev, int change, struct slice json)
{
	if (change == CALLTAB_LATE && !BROKEN(late_dropped))
		partition_dead(p, TALLY_DEAD_LATE, ev, json);
	if (change == CALLTAB_MASKED)
		return;
	partition_count(p, change_counts[change]);
	if (change == CALLTAB_OPENED && !p->replaying)
		tally_started(p->env->tally, ev->account);
}

/* From when its timers run: its append time, but where the log's clock was set back they would be
 * over at once. */
static int64_t arrival_ms(const struct partition *p, const struct log_msg *msg)
{
	return MAX(msg->append_ms, p->clock_ms);
}

/* What came of reading an event. */
struct outcome_of_reading {
	int rc;
	struct parse_error error;
};

static int apply_value(struct partition *p, const struct log_msg *msg, const struct callev *ev,
		       const struct outcome_of_reading *read)
{
	static const struct parse_error refused = { 0, "the call table refuses it" };
	int rc;

	if (read->rc == -EBADMSG) {
		partition_dead_undecodable(p, msg, &read->error);
		return 0;
	}
	if (read->rc < 0)
		return read->rc;
	rc = calltab_apply(p->tab, ev, arrival_ms(p, msg), msg->value);
	if (rc == -ENOMEM)
		return rc;
	if (rc == -ENOSPC) {
		partition_count(p, TALLY_TOO_MANY);
		partition_dead(p, TALLY_DEAD_TOO_MANY, ev, msg->value);
		return 0;
	}
	if (rc < 0) {
		partition_dead_undecodable(p, msg, &refused);
		return 0;
	}
	take_change(p, ev, rc, msg->value);
	return 0;
}

static int apply_one(struct partition *p, const struct log_msg *msg, const struct callev *ev,
		     const struct outcome_of_reading *read)
{
	int err;

	if (p->next != LOG_BEGIN && msg->offset != p->next)
		return -EILSEQ;
	if (p->next == LOG_BEGIN)
		p->begun.offset = msg->offset;
	p->now_ms = msg->append_ms;
	err = apply_value(p, msg, ev, read);
	if (err < 0)
		return err;
	p->next = msg->offset + 1;
	p->append_newest_ms = MAX(p->append_newest_ms, msg->append_ms);
	p->events++;
	p->events_batch++;
	return 0;
}

int partition_apply_batch(struct partition *p, const struct log_msg *msgs, size_t n, size_t *ret_n)
{
	struct outcome_of_reading read[CALLTAB_BATCH];
	struct callev *events = p->env->events;
	int err = 0;

	n = MIN(n, CALLTAB_BATCH);
	for (size_t i = 0; i < n; i++) {
		read[i].rc = callev_parse(p->env->parsers[i], msgs[i].value, &events[i],
					  &read[i].error);
		if (read[i].rc < 0)
			callev_init(&events[i]);
	}
	if (n > 1)
		calltab_prefetch(p->tab, events, n);
	*ret_n = 0;
	while (*ret_n < n && err == 0) {
		err = apply_one(p, &msgs[*ret_n], &events[*ret_n], &read[*ret_n]);
		*ret_n += err == 0;
	}
	return err;
}

int partition_apply(struct partition *p, const struct log_msg *msg)
{
	size_t n;

	return partition_apply_batch(p, msg, 1, &n);
}

/* ---- the clock ---- */

int64_t partition_clock(struct partition *p, int64_t lag, int64_t wall_ms, int64_t mono_ms)
{
	int64_t log_ms = MAX(p->clock_ms, p->append_newest_ms);

	if (log_ms != p->known_ms) {
		p->known_ms = log_ms;
		p->known_mono_ms = mono_ms;
	}
	return lag == 0 ? MAX(wall_ms, log_ms + (mono_ms - p->known_mono_ms)) : log_ms;
}

int64_t partition_bound_clock(struct partition *p, int64_t clock_ms, size_t timers_max,
			      size_t *ret_n)
{
	return MAX(calltab_due_by(p->tab, clock_ms, timers_max, ret_n), p->clock_ms);
}

int64_t partition_due_ms(const struct partition *p)
{
	int64_t since_ms = closed_pending_since(p->closed);
	int64_t block_ms = since_ms == INT64_MAX ? INT64_MAX : since_ms + PARTITION_BLOCK_EVERY_MS;

	return MIN(calltab_next_due(p->tab), block_ms);
}

bool partition_wants_step(const struct partition *p, int64_t clock_ms, int64_t mono_ms)
{
	return p->events_batch > 0 || p->out.n > 0 || p->write_all ||
	       partition_due_ms(p) <= clock_ms ||
	       (checkpoint_wake_ms(&p->checkpoint) <= mono_ms &&
		mono_ms - p->checkpoint.last.mono_ms >= p->env->cfg->correlate.commit_every_ms);
}
