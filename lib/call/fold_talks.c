#include "call/fold_parts.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Pairing. Two events speak of one talk when they name the same set of legs or, where one of them
 * names none, the same employee (rules.md 5, sheet 5.3).
 */
struct pairing {
	struct fold *f;
	struct names legs; /* leg ids, so that a set of legs is a set of numbers */
	struct names sets; /* those sets, each as the bytes of its sorted numbers */
	uint32_t *set;     /* where the next set goes */
	uint32_t *latest;  /* by set, behind them by person: number + 1 of the latest talk */
};

static int pairing_init(struct pairing *p, struct fold *f)
{
	size_t talks = f->talk_events_n, legs = f->talk_legs_n;
	size_t latest = talks + f->people_names.n + 1;

	p->f = f;
	p->set = fold_alloc(f, legs, sizeof(*p->set));
	p->latest = fold_alloc(f, latest, sizeof(*p->latest));
	if (!p->set || !p->latest || names_init(&p->legs, f->arena, legs) ||
	    names_init(&p->sets, f->arena, talks))
		return -ENOMEM;
	memset(p->latest, 0, latest * sizeof(*p->latest));
	return 0;
}

/* The legs of an event as a sorted set of numbers; few, so by insertion. */
static struct slice leg_set(struct pairing *p, const struct callev *ev)
{
	uint32_t *set = p->set;
	size_t n = 0;

	for (size_t i = 0; i < ev->leg_ids_n; i++) {
		uint32_t leg = names_add(&p->legs, ev->leg_ids[i]);
		size_t at = n;

		while (at > 0 && set[at - 1] > leg)
			at--;
		if (at > 0 && set[at - 1] == leg)
			continue;
		memmove(set + at + 1, set + at, (n - at) * sizeof(*set));
		set[at] = leg;
		n++;
	}
	p->set += n;
	return slice_make(set, n * sizeof(*set));
}

/* Where the latest talk of the event's legs (else of its employee) is noted. */
static uint32_t *latest_of(struct pairing *p, const struct callev *ev)
{
	size_t person = p->f->talk_events_n;

	if (ev->leg_ids_n)
		return &p->latest[names_add(&p->sets, leg_set(p, ev))];
	if (ev->employee.id.n)
		person += 1 + names_find(&p->f->people_names, ev->employee.id);
	return &p->latest[person];
}

/* The latest running talk that an end without partner may belong to; NULL: none. */
static struct talk *running_talk(struct fold *f, const struct callev *end)
{
	for (size_t i = f->talks_n; i-- > 0;) {
		struct talk *talk = &f->talks[i];

		if (talk->end_ms != TIME_NONE || (end->leg_ids_n && talk->told->leg_ids_n))
			continue;
		if (!end->employee.id.n || !talk->employee.id.n ||
		    slice_eq(end->employee.id, talk->employee.id))
			return talk;
	}
	return NULL;
}

static struct talk *add_talk(struct fold *f, const struct callev *ev, uint32_t *latest)
{
	struct talk *talk = &f->talks[f->talks_n++];

	*talk = (struct talk){ ev, callev_time(ev), TIME_NONE, ev->employee };
	*latest = (uint32_t)f->talks_n;
	return talk;
}

/* A second telling may know more of the person, or the legs. */
static void tell_again(struct talk *talk, const struct callev *ev)
{
	if (!talk->told->leg_ids_n)
		talk->told = ev;
	if (person_is_absent(&talk->employee))
		talk->employee = ev->employee;
	else if (slice_eq(talk->employee.id, ev->employee.id))
		person_fill(&talk->employee, &ev->employee);
}

static void talk_begins(struct pairing *p, const struct callev *ev)
{
	uint32_t *latest = latest_of(p, ev);
	struct talk *talk = *latest ? &p->f->talks[*latest - 1] : NULL;

	if (talk && talk->end_ms == TIME_NONE)
		tell_again(talk, ev);
	else
		add_talk(p->f, ev, latest);
}

/* An end whose begin was never told is a talk as long as the vendor says; if that overlaps the
 * talk of the same legs before it, both ends are one fact. */
static void lone_end(struct pairing *p, const struct callev *ev, struct talk *before,
		     uint32_t *latest)
{
	int64_t end_ms = callev_time(ev);
	int64_t start_ms = ev->talk_ms != CALLEV_NO_NUMBER ? end_ms - ev->talk_ms : end_ms;
	struct talk *talk;

	if (before && (ev->talk_ms == CALLEV_NO_NUMBER || start_ms < before->end_ms)) {
		tell_again(before, ev);
		return;
	}
	talk = add_talk(p->f, ev, latest);
	talk->start_ms = start_ms;
	talk->end_ms = end_ms;
}

static void talk_ends(struct pairing *p, const struct callev *ev)
{
	uint32_t *latest = latest_of(p, ev);
	struct talk *before = *latest ? &p->f->talks[*latest - 1] : NULL;
	struct talk *talk = before && before->end_ms == TIME_NONE ? before : running_talk(p->f, ev);

	if (!talk) {
		lone_end(p, ev, before, latest);
		return;
	}
	tell_again(talk, ev);
	talk->end_ms = callev_time(ev);
}

int fold_talks(struct fold *f)
{
	const struct fold_in *in = f->in;
	struct pairing p;

	if (f->talk_events_n == 0)
		return 0;
	f->talks = fold_alloc(f, f->talk_events_n, sizeof(*f->talks));
	if (!f->talks || pairing_init(&p, f))
		return -ENOMEM;
	for (size_t i = 0; i < in->events_n; i++) {
		if (in->events[i].kind == CALLEV_TALK_STARTED)
			talk_begins(&p, &in->events[i]);
		else if (in->events[i].kind == CALLEV_TALK_ENDED)
			talk_ends(&p, &in->events[i]);
	}
	return 0;
}

const struct talk *fold_last_talk(const struct fold *f)
{
	const struct talk *last = NULL;
	int64_t end_ms = f->rec->ended_at_ms;

	for (size_t i = 0; i < f->talks_n; i++) {
		const struct talk *talk = &f->talks[i];
		int64_t until = talk_until(talk, end_ms);

		if (!last || until > talk_until(last, end_ms) ||
		    (until == talk_until(last, end_ms) && talk->start_ms > last->start_ms))
			last = talk;
	}
	return last;
}

/* A talk as a span of time that is over at the call's end. */
struct span {
	const struct talk *talk;
	int64_t start_ms, end_ms;
};

static int compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->start_ms != y->start_ms)
		return x->start_ms < y->start_ms ? -1 : 1;
	if (x->end_ms != y->end_ms)
		return x->end_ms < y->end_ms ? -1 : 1;
	return (x->talk > y->talk) - (x->talk < y->talk); /* the order of the events */
}

static struct span *sorted_spans(struct fold *f)
{
	struct span *spans = fold_alloc(f, f->talks_n, sizeof(*spans));

	if (!spans)
		return NULL;
	for (size_t i = 0; i < f->talks_n; i++)
		spans[i] = (struct span){ &f->talks[i], f->talks[i].start_ms,
					  talk_until(&f->talks[i], f->rec->ended_at_ms) };
	if (f->talks_n > 1)
		qsort(spans, f->talks_n, sizeof(*spans), compare_spans);
	return spans;
}

int fold_talked_ms(struct fold *f, int64_t *ret)
{
	const struct span *spans = sorted_spans(f);
	int64_t total_ms = 0, reached_ms = f->rec->started_at_ms;

	if (!spans)
		return -ENOMEM;
	for (size_t i = 0; i < f->talks_n; i++) {
		int64_t end_ms = MIN(spans[i].end_ms, f->rec->ended_at_ms);

		total_ms += MAX(0, end_ms - MAX(spans[i].start_ms, reached_ms));
		reached_ms = MAX(reached_ms, end_ms);
	}
	*ret = total_ms;
	return 0;
}

/*
 * Inbound the contact's leg never rang, so a talk whose legs all rang is one between employees;
 * outbound the contact's leg is the record's only one. In a call by API nobody tells them apart.
 */
static bool has_contact(const struct fold *f, const struct talk *talk)
{
	bool one = fold_has_one_leg(f);

	if (f->by_api || f->legs_n == 0 || talk->told->leg_ids_n < 2)
		return true;
	for (size_t i = 0; i < talk->told->leg_ids_n; i++) {
		if (one == (fold_leg(f, talk->told->leg_ids[i]) != NULL))
			return true;
	}
	return false;
}

/* Drops the talks without the contact, unless none has it. Returns how many are left. */
static size_t with_contact(const struct fold *f, struct span *spans, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (has_contact(f, spans[i].talk))
			spans[kept++] = spans[i];
	}
	return kept ? kept : n;
}

/*
 * Drops each talk that lies inside another's time: a consultation, after which the contact is where
 * it was. Returns how many are left.
 */
static size_t without_consultations(struct span *spans, size_t n)
{
	int64_t latest_ms = INT64_MIN; /* end of those that began before or together */
	size_t kept = 0;

	for (size_t i = 0; i < n;) {
		size_t next = i;

		for (; next < n && spans[next].start_ms == spans[i].start_ms; next++)
			latest_ms = MAX(latest_ms, spans[next].end_ms);
		for (; i < next; i++) {
			if (spans[i].end_ms >= latest_ms)
				spans[kept++] = spans[i];
		}
	}
	return kept;
}

/* How a record names somebody in a transfer. */
static struct slice short_name(const struct fold *f, const struct talk *talk)
{
	const struct person *told = fold_talker(f, talk);
	struct person p;

	if (!told)
		return SLICE_NONE;
	p = fold_person(f, told);
	return p.extension.n ? p.extension : p.id;
}

/* Where the vendor tells its transfers. */
static int told_transfers(struct fold *f)
{
	const struct fold_in *in = f->in;
	struct record_transfer *list = fold_alloc(f, f->transfers_n, sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < in->events_n; i++) {
		const struct callev *ev = &in->events[i];

		if (ev->kind != CALLEV_CALL_TRANSFERRED)
			continue;
		list[n++] = (struct record_transfer){
			.at_ms = callev_time(ev),
			.transfer = ev->transfer.n ? ev->transfer : SLICE("unknown"),
			.from = ev->from,
			.to = ev->to,
		};
	}
	f->rec->transfers = list;
	f->rec->transfers_n = n;
	return 0;
}

int fold_transfers(struct fold *f)
{
	struct record_transfer *list;
	struct span *spans;
	size_t n;

	if (f->transfers_n)
		return told_transfers(f);
	if (f->talks_n < 2)
		return 0;
	list = fold_alloc(f, f->talks_n, sizeof(*list));
	spans = sorted_spans(f);
	if (!list || !spans)
		return -ENOMEM;
	f->rec->transfers = list;
	n = with_contact(f, spans, f->talks_n);
	n = without_consultations(spans, n);
	for (size_t i = 1; i < n; i++) {
		struct slice left = short_name(f, spans[i - 1].talk);
		struct slice came = short_name(f, spans[i].talk);

		if (!left.n || !came.n || slice_eq(left, came))
			continue;
		list[f->rec->transfers_n++] =
		    (struct record_transfer){ spans[i - 1].end_ms, SLICE("unknown"), left, came };
	}
	return 0;
}
