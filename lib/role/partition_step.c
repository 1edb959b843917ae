/* The end of a batch: timers, limits, what changed, and the journal entry about it. */

#include "role/partition.h"

#include <errno.h>

#include "base/broken.h"

#define TOMBSTONES_MAX 64u /* in one commit */

/* ---- the table's part, live and in a replay ---- */

static int run_timers(struct partition *p, int64_t clock_ms)
{
	p->now_ms = clock_ms;
	return calltab_tick(p->tab, clock_ms);
}

static int close_listed(struct partition *p, struct slice ids, int64_t clock_ms)
{
	struct uuid id;

	for (; ids.n >= UUID_LEN; ids = slice_skip(ids, UUID_LEN)) {
		memcpy(id.b, ids.p, UUID_LEN);
		if (calltab_close(p->tab, &id, clock_ms) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void note_changes(struct partition *p, int64_t mono_ms)
{
	const struct checkpoint_now now = { mono_ms, p->events, p->n };

	checkpoint_note(&p->checkpoint, p->tab, &p->begun, &now);
}

/* ---- slices ---- */

static void add_part(struct partition *p, unsigned slice, const struct slice_part *part)
{
	struct buf *out = outbox_open(&p->out, TOPIC_STATE);

	state_key_slice(out, slice, part->part);
	outbox_value(&p->out);
	slice_part_write(out, part);
	outbox_close(&p->out);
}

static int write_slice(struct partition *p, unsigned slice)
{
	struct slice rest;
	uint32_t parts_n;

	buf_reset(&p->scratch);
	if (calltab_slice_pack(p->tab, slice, &p->scratch) < 0 || p->scratch.bad)
		return -ENOMEM;
	if (BROKEN(slice_forgotten))
		return 0;
	rest = buf_slice(&p->scratch);
	parts_n = (uint32_t)MAX((rest.n + SLICE_PART_BYTES - 1) / SLICE_PART_BYTES, 1u);
	for (uint32_t i = 0; i < parts_n; i++) {
		add_part(p, slice,
			 &(struct slice_part){ p->n - BROKEN(slice_wrong_n), i,
					       i == 0 ? parts_n : 0,
					       slice_head(rest, SLICE_PART_BYTES) });
		rest = slice_skip(rest, SLICE_PART_BYTES);
	}
	return 0;
}

static unsigned slices_to_write(const struct partition *p, const struct partition_step *step)
{
	const struct checkpoint_now now = { step->mono_ms, p->events, p->n };

	return p->write_all ? p->checkpoint.n : checkpoint_due(&p->checkpoint, &now);
}

/* *ret_block: an entry of a written slice waits for its block, which has to go along. */
static int write_slices(struct partition *p, const struct partition_step *step, bool *ret_block)
{
	size_t bytes_max = p->out.bytes.n + step->state_bytes_max;
	unsigned due = slices_to_write(p, step);

	for (unsigned i = 0; p->checkpoint.n && (i < due || p->out.bytes.n < bytes_max); i++) {
		unsigned slice = checkpoint_pop(&p->checkpoint);

		*ret_block = *ret_block || closed_pending_in(p->closed, slice);
		if (write_slice(p, slice) < 0)
			return -ENOMEM;
	}
	p->write_all = false;
	return 0;
}

/* ---- blocks of the closed index ---- */

static int write_block(struct partition *p, int64_t clock_ms, bool now)
{
	struct buf *out;
	uint64_t b;

	if (!now && closed_pending(p->closed) < PARTITION_BLOCK_ENTRIES &&
	    closed_pending_since(p->closed) > clock_ms - PARTITION_BLOCK_EVERY_MS)
		return 0;
	buf_reset(&p->scratch);
	b = closed_take_block(p->closed, &p->scratch);
	if (p->scratch.bad)
		return -ENOMEM;
	if (b == 0 || BROKEN(block_forgotten))
		return 0;
	out = outbox_open(&p->out, TOPIC_STATE);
	state_key_block(out, b);
	outbox_value(&p->out);
	closed_block_write(out, &(struct closed_block){ b, p->n, buf_slice(&p->scratch) });
	outbox_close(&p->out);
	return 0;
}

static void note_run_out(struct partition *p)
{
	uint64_t below = closed_first_block(p->closed);
	struct partition_run *last = p->runs_n ? &p->runs[p->runs_n - 1] : NULL;

	if (below <= (last ? last->below : p->block_low))
		return;
	if (p->runs_n < PARTITION_RUNS_MAX)
		last = &p->runs[p->runs_n++];
	*last = (struct partition_run){ below, p->n };
}

static void delete_block(struct partition *p, uint64_t b)
{
	state_key_block(outbox_open(&p->out, TOPIC_STATE), b);
	outbox_close_tombstone(&p->out);
}

/* A replay from a commit at which an entry still lived has to find it. */
static void delete_blocks(struct partition *p, uint64_t replay_from)
{
	for (unsigned i = 0; i < TOMBSTONES_MAX && p->runs_n && p->runs[0].n < replay_from; i++) {
		delete_block(p, p->block_low++);
		if (p->block_low < p->runs[0].below)
			continue;
		p->runs_n--;
		memmove(&p->runs[0], &p->runs[1], p->runs_n * sizeof(p->runs[0]));
	}
}

/* ---- the journal ---- */

static void write_journal(struct partition *p, const struct replay_mark *from, int64_t clock_ms)
{
	const struct journal_entry entry = {
		.n = p->n,
		.offset = p->next,
		.clock_ms = clock_ms,
		.replay_from = from->n,
		.replay_offset = from->offset,
		.replay_clock_ms = from->clock_ms,
		.calls_offset = from->calls_offset,
		.replay_cutoff = from->cutoff,
		.fingerprint = p->env->fingerprint,
		.closed_ids = BROKEN(limit_unwritten) ? SLICE_NONE : buf_slice(&p->closed_ids),
	};
	struct buf *out = outbox_open(&p->out, TOPIC_STATE);

	state_key_journal(out, p->n);
	outbox_value(&p->out);
	journal_entry_write(out, &entry);
	outbox_close(&p->out);
}

/* A restart has nothing to repeat: it begins behind this commit. */
static struct replay_mark behind(const struct partition *p, int64_t clock_ms)
{
	return (struct replay_mark){ p->n + 1, p->next, clock_ms, p->calls_offset,
				     closed_cutoff(p->closed) };
}

static int write_state(struct partition *p, const struct partition_step *step)
{
	const struct replay_mark *first;
	struct replay_mark none;
	bool block = false;

	if (write_slices(p, step, &block) < 0 || write_block(p, step->clock_ms, block) < 0)
		return -ENOMEM;
	none = behind(p, step->clock_ms);
	first = checkpoint_first(&p->checkpoint);
	first = first ? first : &none;
	note_run_out(p);
	delete_blocks(p, first->n);
	write_journal(p, first, step->clock_ms);
	return p->out.bad ? -ENOMEM : 0;
}

/* ---- both ---- */

static void end_step(struct partition *p, int64_t clock_ms, int64_t mono_ms)
{
	const struct checkpoint_now now = { mono_ms, p->events, p->n };

	checkpoint_stepped(&p->checkpoint, &now);
	p->clock_ms = clock_ms;
	p->events_batch = 0;
	partition_begin(p, p->n + 1);
}

int partition_step(struct partition *p, const struct partition_step *step)
{
	struct partition_step now = *step;

	now.clock_ms = MAX(step->clock_ms, p->clock_ms); /* it never goes back */
	if (run_timers(p, now.clock_ms) < 0)
		return -ENOMEM;
	buf_reset(&p->closed_ids);
	if (calltab_trim(p->tab, now.clock_ms, &p->closed_ids) < 0 || p->closed_ids.bad)
		return -ENOMEM;
	closed_expire(p->closed, now.clock_ms);
	note_changes(p, now.mono_ms);
	if (write_state(p, &now) < 0)
		return -ENOMEM;
	end_step(p, now.clock_ms, now.mono_ms);
	return 0;
}

int partition_repeat(struct partition *p, const struct journal_entry *entry)
{
	if ((!BROKEN(step_skipped) && run_timers(p, entry->clock_ms) < 0) ||
	    close_listed(p, entry->closed_ids, entry->clock_ms) < 0)
		return -ENOMEM;
	closed_expire(p->closed, entry->clock_ms);
	note_changes(p, 0);
	p->next = entry->offset;
	end_step(p, entry->clock_ms, 0);
	return p->out.bad ? -ENOMEM : 0;
}
