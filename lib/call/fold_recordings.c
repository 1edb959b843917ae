#include "call/fold_parts.h"

#include <errno.h>
#include <stdlib.h>

static bool is_recording(const struct callev *ev)
{
	return ev->kind >= CALLEV_RECORDING_STARTED && ev->kind <= CALLEV_RECORDING_LOST;
}

/* What is stored stays so; else the later word counts, but a start takes nothing back. */
static enum recording_state next_state(enum recording_state now, enum callev_kind kind)
{
	if (now == RECORDING_STORED || kind == CALLEV_RECORDING_STARTED)
		return now;
	if (kind == CALLEV_RECORDING_STORED)
		return RECORDING_STORED;
	return kind == CALLEV_RECORDING_LOST ? RECORDING_LOST : RECORDING_AVAILABLE;
}

static void tell(struct record_recording *rec, const struct callev *ev)
{
	rec->state = next_state(rec->state, ev->kind);
	first_text(&rec->leg_id, ev->leg_id);
	first_text(&rec->url, ev->url);
	first_text(&rec->source_url, ev->source_url);
	first_text(&rec->sha256, ev->sha256);
	if (rec->duration_ms == CALLEV_NO_NUMBER)
		rec->duration_ms = ev->duration_ms;
	if (rec->bytes == CALLEV_NO_NUMBER)
		rec->bytes = ev->bytes;
}

static struct record_recording expected(struct slice id)
{
	return (struct record_recording){ .id = id,
					  .state = RECORDING_EXPECTED,
					  .duration_ms = CALLEV_NO_NUMBER,
					  .bytes = CALLEV_NO_NUMBER };
}

static int compare_recordings(const void *a, const void *b)
{
	return slice_cmp(((const struct record_recording *)a)->id,
			 ((const struct record_recording *)b)->id);
}

/* Is one expected of which nobody has told the id yet? */
static bool one_is_expected(const struct fold *f, bool begun)
{
	switch (f->in->recordings) {
	case CFG_RECORDINGS_ALWAYS:
		return f->answered;
	case CFG_RECORDINGS_NEVER:
		return false;
	default:
		return f->recorded || begun;
	}
}

static bool is_awaited(const struct fold *f, const struct record_recording *rec)
{
	return rec->state == RECORDING_EXPECTED ||
	       (rec->state == RECORDING_AVAILABLE && f->in->record_role);
}

int fold_recordings(struct fold *f)
{
	const struct fold_in *in = f->in;
	struct record_recording *list = fold_alloc(f, f->recordings_n + 1, sizeof(*list));
	struct names ids;
	bool begun = false; /* one without an id, as said by an event */

	if (!list || names_init(&ids, f->arena, f->recordings_n))
		return -ENOMEM;
	for (size_t i = 0; f->recordings_n && i < in->events_n; i++) {
		const struct callev *ev = &in->events[i];
		uint32_t known = ids.n, number;

		if (!is_recording(ev))
			continue;
		if (!ev->recording.n) {
			begun |= ev->kind == CALLEV_RECORDING_STARTED;
			continue;
		}
		number = names_add(&ids, ev->recording);
		if (number == known)
			list[number] = expected(ev->recording);
		tell(&list[number], ev);
	}
	if (ids.n > 1)
		qsort(list, ids.n, sizeof(*list), compare_recordings);
	if (ids.n == 0 && one_is_expected(f, begun))
		list[ids.n++] = expected(SLICE_NONE);
	f->rec->recordings = list;
	f->rec->recordings_n = ids.n;
	f->rec->complete = true;
	for (size_t i = 0; i < ids.n && in->recordings != CFG_RECORDINGS_NEVER; i++) {
		if (!is_awaited(f, &list[i]))
			continue;
		f->rec->complete = in->recording_wait_over;
		f->recording_missing |= list[i].state == RECORDING_EXPECTED && f->rec->complete;
	}
	return 0;
}
