/*
 * fold_parts.h - what the files of the fold share; nobody else includes it
 *
 * A fold goes through its parts in the order of fold_parts in fold.c; each part reads what those
 * before it found.
 */
#ifndef CS_CALL_FOLD_PARTS_H
#define CS_CALL_FOLD_PARTS_H

#include "call/fold.h"
#include "call/outcome.h"
#include "wire/arena.h"

/* Small numbers for texts: 0, 1, ... in the order in which they were first seen. */
struct names {
	struct slice *texts;
	uint32_t *slots; /* number + 1 of a text, by hash; 0 free; NULL where there are few */
	uint32_t mask, n;
};

#define NAME_NONE UINT32_MAX

/* Room for max texts. 0 or -ENOMEM. */
CHECKED int names_init(struct names *names, struct arena *arena, size_t max);
uint32_t names_add(struct names *names, struct slice text);        /* its number, new or not */
uint32_t names_find(const struct names *names, struct slice text); /* or NAME_NONE */

/* How one source tells what the record wants: a row of sources[] in fold.c. */
struct source {
	struct slice name;
	const struct reason *(*reason)(struct slice word); /* NULL: events bring their outcome */
	bool one_leg_out;     /* outbound only the contact's leg is one of the record's */
	bool answer_by_leg;   /* a leg that was answered is a talk (else talks are told) */
	bool summary_missing; /* without its end event a call has the note no_summary */
};

struct talk {
	const struct callev *told; /* the event that has its leg_ids */
	int64_t start_ms, end_ms;  /* TIME_NONE: still running */
	struct person employee;
};

/* The first non-empty value stands (rules.md 1.1). */
static inline void first_text(struct slice *field, struct slice value)
{
	if (!field->n)
		*field = value;
}

struct fold {
	const struct fold_in *in;
	const struct source *source;
	struct arena *arena;
	struct record *rec;

	/* facts: first non-empty values of what the events say (rules.md 1.1) */
	const struct callev *started, *ended, *lost;   /* the first of their kinds */
	const struct callev *ended_cause, *lost_cause; /* those that bring a cause */
	int64_t first_ms, last_ms;                     /* of all facts of the call */
	int64_t told_start_ms, told_answer_ms, told_end_ms, told_talk_ms, told_total_ms;
	int64_t leg_answer_ms;         /* the first leg that was answered */
	enum direction told_direction; /* the summary's */
	enum outcome told_outcome;
	size_t rings_n, tags_n, transfers_n, recordings_n, talk_events_n, talk_legs_n;
	bool rang, told_talk, employee_known, recorded, by_api, no_time, rederived;

	/* people by id, each field its first non-empty value */
	struct names people_names;
	struct person *people;

	struct talk *talks; /* by their first event */
	size_t talks_n;

	struct names leg_names; /* numbers of legs[] before they are sorted */
	struct record_leg *legs;
	size_t legs_n;

	bool answered, clock_skew, recording_missing;
};

/* fold_people.c */
CHECKED int fold_people(struct fold *f);
bool person_is_absent(const struct person *p);
void person_fill(struct person *p, const struct person *more); /* first non-empty value of each */
/* Its own values first, then what the call's other events say of the same id. */
struct person fold_person(const struct fold *f, const struct person *p);
/* Whom a talk names, else whose leg it joined; NULL: it does not say. */
const struct person *fold_talker(const struct fold *f, const struct talk *talk);
void fold_employee(struct fold *f); /* employee and caller */

/* fold_talks.c */
CHECKED int fold_talks(struct fold *f);
static inline int64_t talk_until(const struct talk *t, int64_t call_end_ms)
{
	return t->end_ms != TIME_NONE ? t->end_ms : call_end_ms;
}
/* Who had the contact at the end; NULL without talks. */
const struct talk *fold_last_talk(const struct fold *f);
/* The time covered by at least one talk, inside the call. */
CHECKED int fold_talked_ms(struct fold *f, int64_t *ret);
CHECKED int fold_transfers(struct fold *f);

static inline bool fold_has_one_leg(const struct fold *f)
{
	return f->source->one_leg_out && f->rec->direction == DIRECTION_OUT;
}

/* fold_legs.c */
CHECKED int fold_legs(struct fold *f);
/* The leg of that id, NULL when it is none of the record's. Only before fold_legs_sort. */
struct record_leg *fold_leg(const struct fold *f, struct slice leg_id);
void fold_legs_sort(struct fold *f);

/* fold_recordings.c */
CHECKED int fold_recordings(struct fold *f);

static inline void *fold_alloc(struct fold *f, size_t n, size_t size)
{
	return arena_alloc(f->arena, MAX(n, 1) * size);
}

#endif
