#include "call/fold_parts.h"

#include <errno.h>
#include <stdlib.h>

#define CALL_BY_API SLICE("callapi") /* how CallGear's call_source begins */

/*
 * A vendor's folder says what it knows, the middle decides: what differs between sources when a
 * record is made is a row here. A source without a row brings outcome and cause in its events.
 */
static const struct source sources[] = {
	{ .name = SLICE_INIT("callgear"), .reason = reason_of_callgear, .one_leg_out = true },
};
static const struct source other_source = { .answer_by_leg = true, .summary_missing = true };

struct folder {
	struct arena arena;
	char merged_into[UUID_TEXT_LEN];
};

const char *closed_by_text(enum closed_by closed_by)
{
	static const char *const texts[] = {
		[CLOSED_NOT] = "open",
		[CLOSED_BY_END] = "end",
		[CLOSED_BY_NO_SUMMARY] = "no_summary",
		[CLOSED_BY_LOST_WITHOUT_END] = "lost_without_end",
		[CLOSED_BY_TALK_WITHOUT_END] = "talk_without_end",
		[CLOSED_BY_SILENCE] = "silent_call",
		[CLOSED_BY_LIMIT] = "limit",
	};

	_Static_assert(ARRAY_LEN(texts) == CLOSED_BY_N, "every rule has its word");
	return texts[closed_by];
}

struct folder *folder_new(void)
{
	return calloc(1, sizeof(struct folder));
}

void folder_free(struct folder *f)
{
	if (!f)
		return;
	arena_fini(&f->arena);
	free(f);
}

static const struct source *source_find(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		if (slice_eq(sources[i].name, name))
			return &sources[i];
	}
	return &other_source;
}

static inline void first_time(int64_t *field, int64_t value)
{
	if (*field == TIME_NONE)
		*field = value;
}

static inline void first_number(int64_t *field, int64_t value)
{
	if (*field == CALLEV_NO_NUMBER)
		*field = value;
}

static bool has_cause(const struct callev *ev)
{
	return ev->cause.vendor.n || ev->cause.q850 || ev->cause.text.n;
}

/* Of several causes the first with the vendor's word, else the first. */
static void first_cause(const struct callev **field, const struct callev *ev)
{
	if (has_cause(ev) && (!*field || (!(*field)->cause.vendor.n && ev->cause.vendor.n)))
		*field = ev;
}

static void end_fact(struct fold *f, const struct callev *ev)
{
	if (!f->ended)
		f->ended = ev;
	first_cause(&f->ended_cause, ev);
	first_time(&f->told_end_ms, ev->ended_at_ms);
	first_time(&f->told_answer_ms, ev->answered_at_ms);
	first_number(&f->told_talk_ms, ev->talk_ms);
	first_number(&f->told_total_ms, ev->total_ms);
	f->told_talk |= ev->talk_ms > 0;
	f->recorded |= ev->recorded == TRI_YES;
	if (f->told_direction == DIRECTION_NONE)
		f->told_direction = ev->direction;
	if (f->told_outcome == OUTCOME_NONE)
		f->told_outcome = ev->outcome;
}

/* What single kinds add. */
static void kind_fact(struct fold *f, const struct callev *ev)
{
	switch (ev->kind) {
	case CALLEV_CALL_STARTED:
		if (!f->started)
			f->started = ev;
		break;
	case CALLEV_CALL_ENDED:
		end_fact(f, ev);
		break;
	case CALLEV_CALL_LOST:
		if (!f->lost)
			f->lost = ev;
		first_cause(&f->lost_cause, ev);
		break;
	case CALLEV_CALL_LINKED:
		first_text(&f->rec->merged_into, ev->into);
		break;
	case CALLEV_CALL_TRANSFERRED:
		f->transfers_n++;
		break;
	case CALLEV_LEG_RINGING:
		f->rang = true;
		f->rings_n += ev->leg_id.n > 0;
		break;
	case CALLEV_LEG_ANSWERED:
		first_time(&f->leg_answer_ms, callev_time(ev));
		break;
	case CALLEV_TALK_STARTED:
	case CALLEV_TALK_ENDED:
		f->talk_events_n++;
		f->talk_legs_n += ev->leg_ids_n;
		break;
	case CALLEV_NOTE:
		f->rederived |= slice_eq(ev->name, SLICE("rederive"));
		break;
	default:
		f->recordings_n++;
	}
}

/* What any kind may tell. */
static void any_fact(struct fold *f, const struct callev *ev)
{
	struct record *rec = f->rec;

	f->no_time |= ev->at_ms == TIME_NONE;
	f->employee_known |= !person_is_absent(&ev->employee);
	f->by_api |= slice_starts(ev->call_source, CALL_BY_API);
	f->tags_n += ev->tags_n;
	first_time(&f->told_start_ms, ev->started_at_ms);
	first_text(&rec->line, ev->line);
	first_text(&rec->trunk, ev->trunk);
	first_text(&rec->scenario, ev->scenario);
	first_text(&rec->external_id, ev->external_id);
	if (!rec->contact.uri.n)
		first_text(&rec->contact.number, ev->contact.number);
	if (!rec->contact.number.n)
		first_text(&rec->contact.uri, ev->contact.uri);
	first_text(&rec->contact.id, ev->contact.id);
	first_text(&rec->contact.name, ev->contact.name);
	if (rec->direction == DIRECTION_NONE || rec->direction == DIRECTION_INTERNAL) {
		if (ev->direction != DIRECTION_NONE)
			rec->direction = ev->direction;
	}
}

/* One walk over the events. -EINVAL when none is a fact of the call. */
static int fold_facts(struct fold *f)
{
	const struct fold_in *in = f->in;

	f->first_ms = f->last_ms = TIME_NONE;
	f->told_start_ms = f->told_answer_ms = f->told_end_ms = f->leg_answer_ms = TIME_NONE;
	f->told_talk_ms = f->told_total_ms = CALLEV_NO_NUMBER;
	for (size_t i = 0; i < in->events_n; i++) {
		const struct callev *ev = &in->events[i];

		any_fact(f, ev);
		kind_fact(f, ev);
		if (!callev_is_call_fact(ev->kind))
			continue;
		first_time(&f->first_ms, callev_time(ev));
		f->last_ms = callev_time(ev);
	}
	return f->first_ms != TIME_NONE ? 0 : -EINVAL;
}

/* rules.md 4; a call that the office asked for by API goes out, whatever its first leg was. */
static void fold_direction(struct fold *f)
{
	struct record *rec = f->rec;

	if (f->told_direction != DIRECTION_NONE)
		rec->direction = f->told_direction;
	f->by_api = f->by_api && rec->external_id.n;
	if (f->by_api)
		rec->direction = DIRECTION_OUT;
	if (rec->direction == DIRECTION_INTERNAL) {
		rec->line = SLICE_NONE;
		rec->contact = (struct contact){ 0 };
	}
}

static bool is_answered(const struct fold *f)
{
	if (f->talks_n || f->told_talk)
		return true;
	return f->source->answer_by_leg &&
	       (f->leg_answer_ms != TIME_NONE || f->told_outcome == OUTCOME_ANSWERED);
}

/* rules.md 6, the table's columns "started" and "ended". */
static int64_t start_time(const struct fold *f, int64_t end_ms)
{
	if (f->told_start_ms != TIME_NONE)
		return f->told_start_ms;
	if (f->started)
		return callev_time(f->started);
	if (f->told_total_ms != CALLEV_NO_NUMBER)
		return end_ms - f->told_total_ms;
	if (f->lost && !f->ended && !f->rang && !f->talks_n && f->lost->wait_ms != CALLEV_NO_NUMBER)
		return end_ms - f->lost->wait_ms; /* all that is known is that it was lost */
	return f->first_ms;
}

static int64_t end_time(const struct fold *f)
{
	if (!f->ended)
		return f->last_ms;
	return f->told_end_ms != TIME_NONE ? f->told_end_ms : callev_time(f->ended);
}

static int64_t answer_time(const struct fold *f)
{
	int64_t answer_ms = TIME_NONE;

	for (size_t i = 0; i < f->talks_n; i++) {
		if (answer_ms == TIME_NONE || f->talks[i].start_ms < answer_ms)
			answer_ms = f->talks[i].start_ms;
	}
	if (answer_ms == TIME_NONE && f->source->answer_by_leg)
		answer_ms = f->leg_answer_ms;
	return answer_ms != TIME_NONE || !f->answered ? answer_ms : f->told_answer_ms;
}

/* From one time to another; clocks that disagree give none (contract 3.2). */
static int64_t span(struct fold *f, int64_t from_ms, int64_t to_ms)
{
	f->clock_skew |= to_ms < from_ms;
	return MAX(0, to_ms - from_ms);
}

static void fold_times(struct fold *f)
{
	struct record *rec = f->rec;

	f->answered = is_answered(f);
	rec->ended_at_ms = end_time(f);
	rec->started_at_ms = start_time(f, rec->ended_at_ms);
	rec->answered_at_ms = answer_time(f);
	if (rec->answered_at_ms != TIME_NONE && rec->ended_at_ms < rec->answered_at_ms) {
		rec->ended_at_ms = rec->answered_at_ms; /* rules.md 6 */
		f->clock_skew = true;
	}
	rec->total_ms = span(f, rec->started_at_ms, rec->ended_at_ms);
}

/* Contract 3.2: talk as the vendor counts it, else the union of the talks; wait always computed. */
static int fold_durations(struct fold *f)
{
	struct record *rec = f->rec;
	int err = 0;

	rec->wait_ms = rec->total_ms;
	rec->talk_ms = 0;
	if (!f->answered)
		return 0;
	if (f->told_talk_ms != CALLEV_NO_NUMBER)
		rec->talk_ms = f->told_talk_ms;
	else if (f->talks_n)
		err = fold_talked_ms(f, &rec->talk_ms);
	else if (rec->answered_at_ms != TIME_NONE)
		rec->talk_ms = rec->ended_at_ms - rec->answered_at_ms;
	if (rec->answered_at_ms != TIME_NONE)
		rec->wait_ms = span(f, rec->started_at_ms, rec->answered_at_ms);
	rec->wait_ms = MIN(rec->wait_ms, MAX(0, rec->total_ms - rec->talk_ms));
	return err;
}

static enum outcome no_talk_outcome(const struct fold *f, const struct reason *reason)
{
	const struct unanswered call = {
		.direction = f->rec->direction,
		.rang = f->rang,
		.known = f->rang || f->employee_known || f->lost,
	};

	if (f->rec->cause.q850 == Q850_NO_SUCH_NUMBER)
		return OUTCOME_NOT_FOUND;
	if (reason)
		return outcome_unanswered(reason, &call);
	if (f->told_outcome != OUTCOME_NONE && f->told_outcome != OUTCOME_ANSWERED)
		return f->told_outcome;
	return f->rec->reason_unknown ? OUTCOME_UNKNOWN : outcome_unanswered(NULL, &call);
}

/* The cause as an event told it, completed by the row of its word. */
static void fold_outcome(struct fold *f)
{
	const struct callev *told = f->ended_cause && f->ended_cause->cause.vendor.n
					? f->ended_cause
				    : f->lost_cause ? f->lost_cause
						    : f->ended_cause;
	struct record *rec = f->rec;
	struct cause *cause = &rec->cause;
	const struct reason *reason = NULL;

	if (told)
		*cause = told->cause;
	if (f->source->reason && cause->vendor.n) {
		reason = f->source->reason(cause->vendor);
		rec->reason_unknown = !reason;
	}
	rec->outcome = f->answered ? OUTCOME_ANSWERED : no_talk_outcome(f, reason);
	if (!reason)
		return;
	if (!cause->q850)
		cause->q850 = reason_q850(reason, rec->outcome);
	if (cause->by == SIDE_NONE)
		cause->by = reason->by;
	first_text(&cause->text, slice_of(reason->text));
}

static int compare_texts(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static int fold_tags(struct fold *f)
{
	const struct fold_in *in = f->in;
	struct slice *tags;
	size_t n = 0, kept = 0;

	if (f->tags_n == 0)
		return 0;
	tags = fold_alloc(f, f->tags_n, sizeof(*tags));
	if (!tags)
		return -ENOMEM;
	for (size_t i = 0; i < in->events_n; i++) {
		for (size_t t = 0; t < in->events[i].tags_n; t++)
			tags[n++] = in->events[i].tags[t];
	}
	qsort(tags, n, sizeof(*tags), compare_texts);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || !slice_eq(tags[i], tags[kept - 1]))
			tags[kept++] = tags[i];
	}
	f->rec->tags = tags;
	f->rec->tags_n = kept;
	return 0;
}

static bool someone_is_unmapped(const struct fold *f)
{
	for (size_t i = 0; i < f->people_names.n; i++) {
		if (!f->people[i].extension.n && !f->people[i].name.n)
			return true;
	}
	return false;
}

/* rules.md 6: known by its lost kind alone is nothing to note, a talk whose end never came is. */
static bool ended_by_time(const struct fold *f)
{
	if (f->ended || f->in->closed_by == CLOSED_NOT || f->in->closed_by == CLOSED_BY_LIMIT)
		return false;
	if (f->in->closed_by == CLOSED_BY_NO_SUMMARY && f->source->summary_missing)
		return false; /* all its legs did end */
	return f->talks_n || !f->lost;
}

static void fold_notes(struct fold *f)
{
	enum closed_by closed_by = f->in->closed_by;
	const struct {
		const char *text;
		bool holds;
	} notes[] = {
		/* sorted */
		{ "click_to_call", f->by_api },
		{ "clock_skew", f->clock_skew },
		{ "closed_by_limit", closed_by == CLOSED_BY_LIMIT && !f->ended },
		{ "closed_by_timeout", ended_by_time(f) },
		{ "employee_unmapped", someone_is_unmapped(f) },
		{ "no_summary",
		  f->source->summary_missing && !f->ended && closed_by != CLOSED_NOT },
		{ "no_time", f->no_time },
		{ "recording_missing", f->recording_missing },
		{ "rederived", f->rederived },
	};

	_Static_assert(ARRAY_LEN(notes) <= RECORD_NOTES_MAX, "all of them may hold");
	for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
		if (notes[i].holds)
			f->rec->notes[f->rec->notes_n++] = notes[i].text;
	}
}

/* The id of the call that this one turned out to belong to. */
static void fold_merged(struct fold *f, char text[UUID_TEXT_LEN])
{
	struct uuid id;

	if (!f->rec->merged_into.n)
		return;
	uuid_of_call(f->rec->account, f->rec->merged_into, &id);
	uuid_write(&id, text);
	f->rec->merged_into = slice_make(text, UUID_TEXT_LEN);
}

/* The parts in the order in which they depend on each other. */
static int fold_parts(struct fold *f)
{
	int err = fold_facts(f);

	if (!err)
		err = fold_people(f);
	if (!err)
		err = fold_talks(f);
	if (err)
		return err;
	fold_direction(f);
	fold_times(f);
	fold_outcome(f);
	err = fold_durations(f);
	if (!err)
		err = fold_legs(f);
	if (!err)
		err = fold_transfers(f);
	if (err)
		return err;
	fold_employee(f);
	fold_legs_sort(f);
	err = fold_recordings(f);
	return err ? err : fold_tags(f);
}

int fold(struct folder *folder, const struct fold_in *in, struct record *ret)
{
	struct record rec;
	struct fold f;
	int err;

	if (in->events_n == 0)
		return -EINVAL;
	memset(&rec, 0, sizeof(rec));
	memset(&f, 0, sizeof(f));
	arena_reset(&folder->arena);
	f.in = in;
	f.arena = &folder->arena;
	f.rec = &rec;
	f.source = source_find(in->events[0].source);
	rec.id = in->call_id;
	rec.account = in->events[0].account;
	rec.source = in->events[0].source;
	rec.call_session_id = in->events[0].call_session_id;
	err = fold_parts(&f);
	if (err)
		return err;
	fold_merged(&f, folder->merged_into);
	fold_notes(&f);
	*ret = rec;
	return 0;
}
