#include "call/fold_parts.h"

#include <errno.h>

void person_fill(struct person *p, const struct person *more)
{
	first_text(&p->id, more->id);
	first_text(&p->extension, more->extension);
	first_text(&p->name, more->name);
}

bool person_is_absent(const struct person *p)
{
	return !p->id.n && !p->extension.n && !p->name.n;
}

int fold_people(struct fold *f)
{
	const struct fold_in *in = f->in;
	int err = names_init(&f->people_names, f->arena, in->events_n);

	f->people = fold_alloc(f, in->events_n, sizeof(*f->people));
	if (err || !f->people)
		return -ENOMEM;
	for (size_t i = 0; i < in->events_n; i++) {
		const struct person *told = &in->events[i].employee;
		uint32_t known = f->people_names.n, number;

		if (!told->id.n)
			continue;
		number = names_add(&f->people_names, told->id);
		if (number == known)
			f->people[number] = *told;
		else
			person_fill(&f->people[number], told);
	}
	return 0;
}

struct person fold_person(const struct fold *f, const struct person *p)
{
	struct person whole = *p;
	uint32_t number = p->id.n ? names_find(&f->people_names, p->id) : NAME_NONE;

	if (number != NAME_NONE)
		person_fill(&whole, &f->people[number]);
	return whole;
}

/* Who began an internal call; NULL: it is none, or nobody told. */
static const struct person *internal_caller(const struct fold *f)
{
	if (f->rec->direction != DIRECTION_INTERNAL || !f->started ||
	    person_is_absent(&f->started->employee))
		return NULL;
	return &f->started->employee;
}

static bool is_same_person(const struct person *a, const struct person *b)
{
	if (a->id.n || b->id.n)
		return slice_eq(a->id, b->id);
	return slice_eq(a->extension, b->extension) && slice_eq(a->name, b->name);
}

/* May the record's employee be this one? Of an internal call that is whom was called (rules.md 4).
 */
static bool may_be_employee(const struct fold *f, const struct person *p)
{
	const struct person *caller = internal_caller(f);

	return !person_is_absent(p) && !(caller && is_same_person(p, caller));
}

const struct person *fold_talker(const struct fold *f, const struct talk *talk)
{
	if (may_be_employee(f, &talk->employee))
		return &talk->employee;
	for (size_t i = 0; i < talk->told->leg_ids_n; i++) {
		const struct record_leg *leg = fold_leg(f, talk->told->leg_ids[i]);

		if (leg && may_be_employee(f, &leg->employee))
			return &leg->employee;
	}
	return NULL;
}

/* The latest ring that says whose phone it was; a leg counts with its first ring. */
static const struct person *last_rung(const struct fold *f)
{
	const struct callev *last = NULL;
	const struct fold_in *in = f->in;

	for (size_t i = 0; i < in->events_n; i++) {
		const struct callev *ev = &in->events[i];
		const struct record_leg *leg;

		if (ev->kind != CALLEV_LEG_RINGING || !may_be_employee(f, &ev->employee))
			continue;
		leg = ev->leg_id.n ? fold_leg(f, ev->leg_id) : NULL;
		if (leg && leg->ringing_at_ms != callev_time(ev))
			continue; /* told again */
		if (!last || callev_time(ev) > callev_time(last) ||
		    slice_cmp_id(ev->leg_id, last->leg_id) > 0)
			last = ev;
	}
	return last ? &last->employee : NULL;
}

static const struct person *first_named(const struct fold *f)
{
	const struct fold_in *in = f->in;

	for (size_t i = 0; i < in->events_n; i++) {
		if (may_be_employee(f, &in->events[i].employee))
			return &in->events[i].employee;
	}
	return NULL;
}

void fold_employee(struct fold *f)
{
	const struct talk *talk = fold_last_talk(f);
	const struct person *p = talk ? fold_talker(f, talk) : NULL;
	const struct person *caller = internal_caller(f);

	if (!p)
		p = last_rung(f);
	if (!p)
		p = first_named(f);
	if (p)
		f->rec->employee = fold_person(f, p);
	if (caller)
		f->rec->caller = fold_person(f, caller);
}
