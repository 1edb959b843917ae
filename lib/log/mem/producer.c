/*
 * producer.c - messages under way from a client to the cluster, and their acknowledgements
 *
 * They are the network's, so a process that dies leaves them. Those of one partition keep their
 * order; partitions are served one by one, as a client's batches are.
 */
#include <errno.h>
#include <unistd.h>

#include "log/mem/cluster.h"

#define FLOAT_MS 8000

/* ---- places ---- */

static int find_free(const struct memlog *m)
{
	for (size_t i = 0; i < m->producers_n; i++) {
		if (!m->producers[i].used)
			return (int)i;
	}
	return -1;
}

int producer_new(struct memlog *m, const char *id, uint64_t process, uint32_t *ret)
{
	int at = id ? -1 : find_free(m);
	struct producer *p;

	if (at < 0) {
		if (!mem_room(m, &m->producers, &m->producers_cap, m->producers_n,
			      sizeof(*m->producers)))
			return -ENOMEM;
		at = (int)m->producers_n;
	}
	p = &m->producers[at];
	*p = (struct producer){ .process = process,
				.due_ms = NEVER,
				.commit_at_ms = NEVER,
				.epoch = 1,
				.fd = -1,
				.timeout_ms = m->set.txn_ms };
	if (id) {
		p->id = mem_text(m, id);
		if (!p->id)
			return -ENOMEM;
	}
	p->used = true;
	m->producers_n = MAX(m->producers_n, (size_t)at + 1);
	*ret = (uint32_t)at;
	return 0;
}

static void fini(struct memlog *m, struct producer *p)
{
	while (p->first) {
		struct flight *f = p->first;

		p->first = f->next;
		mem_free(m, f);
	}
	mem_free(m, p->id);
	mem_free(m, p->touched);
	mem_free(m, p->acks);
	*p = (struct producer){ .fd = -1, .due_ms = NEVER, .commit_at_ms = NEVER };
}

void producers_fini(struct memlog *m)
{
	for (size_t i = 0; i < m->producers_n; i++)
		fini(m, &m->producers[i]);
	mem_free(m, m->producers);
}

/* ---- sent ---- */

static bool same_part(const struct flight *f, const struct message *msg)
{
	return f->msg.topic == msg->topic && f->msg.partition == msg->partition;
}

/* A batch takes what comes until it leaves. */
static int64_t leaves_at(struct memlog *m, const struct producer *p, const struct message *msg)
{
	int64_t due_ms = mem_now(m) + mem_within(m, m->set.linger_ms);

	if (p->last && same_part(p->last, msg))
		return p->last->due_ms;
	for (const struct flight *f = p->first; f; f = f->next) {
		if (same_part(f, msg))
			due_ms = f->due_ms;
	}
	return due_ms;
}

int producer_send(struct memlog *m, uint32_t producer, const struct flight *from)
{
	struct producer *p = &m->producers[producer];
	struct slice key = from->msg.key, value = from->msg.value;
	struct flight *f = mem_alloc(m, sizeof(*f) + key.n + value.n + 1);
	char *at;

	if (!f)
		return -ENOMEM;
	*f = *from;
	at = (char *)(f + 1);
	if (key.n)
		memcpy(at, key.p, key.n);
	if (value.n)
		memcpy(at + key.n, value.p, value.n);
	f->msg.key = key.p ? slice_make(at, key.n) : SLICE_NONE;
	f->msg.value = slice_make(at + key.n, value.n);
	f->next = NULL;
	f->due_ms = leaves_at(m, p, &f->msg);
	if (p->last)
		p->last->next = f;
	else
		p->first = f;
	p->last = f;
	p->flights_n++;
	p->due_ms = MIN(p->due_ms, MIN(mem_when(m, f->due_ms), f->give_up_ms));
	mem_due(m, p->due_ms);
	return 0;
}

/* ---- acknowledged ---- */

static void tell(struct memlog *m, struct producer *p, uint64_t seq, int err, int64_t at_ms)
{
	if (!mem_room(m, &p->acks, &p->acks_cap, p->acks_n, sizeof(*p->acks)))
		return;
	p->acks[p->acks_n++] = (struct ack){ seq, err, at_ms };
	p->due_ms = MIN(p->due_ms, at_ms);
	mem_due(m, at_ms);
}

bool producer_take_ack(struct memlog *m, uint32_t producer, struct ack *ret)
{
	struct producer *p = &m->producers[producer];
	int64_t now_ms = mem_now(m);

	for (size_t i = 0; i < p->acks_n; i++) {
		if (p->acks[i].due_ms > now_ms)
			continue;
		*ret = p->acks[i];
		memmove(&p->acks[i], &p->acks[i + 1], (--p->acks_n - i) * sizeof(*p->acks));
		return true;
	}
	return false;
}

static void signal_fd(const struct producer *p)
{
	static const uint64_t one = 1;
	ssize_t n = write(p->fd, &one, sizeof(one));

	(void)n; /* a full counter is readable too */
}

/* ---- arrived ---- */

enum arrival { ARRIVED, WAITS };

static enum arrival arrive_in_txn(struct memlog *m, uint32_t producer, struct flight *f)
{
	struct producer *p = &m->producers[producer];
	int r;

	if (f->epoch != p->epoch) {
		p->bounced = MAX(p->bounced, f->epoch);
		return ARRIVED;
	}
	if (f->msg.key.n + f->msg.value.n > m->set.bytes_max[f->msg.topic]) {
		p->spoiled = true;
		return ARRIVED;
	}
	r = txn_touch(m, p, -1, f->msg.topic, f->msg.partition);
	if (r == 0)
		r = part_append(m, &f->msg, producer, p->epoch, true);
	return r == -EAGAIN ? WAITS : ARRIVED;
}

static enum arrival arrive_plain(struct memlog *m, uint32_t producer, struct flight *f)
{
	struct producer *p = &m->producers[producer];
	int64_t at_ms = mem_now(m) + mem_within(m, m->set.answer_ms);
	int err = 0;

	if (f->msg.key.n + f->msg.value.n > m->set.bytes_max[f->msg.topic])
		err = -EMSGSIZE;
	else if (part_append(m, &f->msg, producer, 0, false) < 0)
		err = -EAGAIN;
	if (f->silent)
		return ARRIVED;
	if (p->process && f->ack_lost && err == 0)
		tell(m, p, f->seq, -EAGAIN, f->give_up_ms);
	else if (p->process)
		tell(m, p, f->seq, err, at_ms);
	return ARRIVED;
}

static enum arrival arrive(struct memlog *m, uint32_t producer, struct flight *f)
{
	if (!part_of(m, f->msg.topic, f->msg.partition))
		return WAITS;
	return m->producers[producer].id ? arrive_in_txn(m, producer, f)
					 : arrive_plain(m, producer, f);
}

static void give_up(struct memlog *m, struct producer *p, const struct flight *f)
{
	if (p->id)
		p->spoiled |= f->epoch == p->epoch;
	else if (p->process)
		tell(m, p, f->seq, -EAGAIN, mem_now(m));
}

/* Given up, and written all the same later. */
static bool float_on(struct memlog *m, struct flight *f)
{
	bool floats = f->floats;

	f->floats = false;
	f->silent = true;
	f->due_ms = mem_now(m) + mem_within(m, FLOAT_MS);
	f->give_up_ms = NEVER;
	return floats;
}

/* Takes out what is due before that time and arrives, and what has waited too long. */
static void serve(struct memlog *m, uint32_t producer, int64_t until_ms)
{
	int64_t now_ms = mem_now(m);
	struct flight *f = m->producers[producer].first, *last = NULL;
	bool reachable = mem_reachable(m);

	while (f) {
		struct producer *p = &m->producers[producer];
		struct flight *next = f->next;
		bool out = reachable && !f->floats && f->due_ms <= until_ms &&
			   arrive(m, producer, f) == ARRIVED;

		if (!out && now_ms >= f->give_up_ms) {
			give_up(m, p, f);
			out = !float_on(m, f);
		}
		if (out) {
			*(last ? &last->next : &p->first) = next;
			p->flights_n--;
			mem_free(m, f);
		} else {
			last = f;
		}
		f = next;
	}
	m->producers[producer].last = last;
}

static void learn_due(struct memlog *m, struct producer *p)
{
	int64_t now_ms = mem_now(m);

	p->due_ms = NEVER;
	for (const struct flight *f = p->first; f; f = f->next) {
		/* What is due already waits for the end of a transaction, or for its topic. */
		int64_t at_ms = f->due_ms > now_ms || !mem_reachable(m) ? mem_when(m, f->due_ms)
									: now_ms + 10;

		p->due_ms = MIN(p->due_ms, MIN(at_ms, f->give_up_ms));
	}
	for (size_t i = 0; i < p->acks_n; i++) {
		if (p->acks[i].due_ms > now_ms)
			p->due_ms = MIN(p->due_ms, p->acks[i].due_ms);
		else if (p->fd >= 0)
			signal_fd(p);
	}
}

void producers_run(struct memlog *m, int64_t now_ms)
{
	for (size_t i = 0; i < m->producers_n; i++) {
		struct producer *p = &m->producers[i];

		if (!p->used || now_ms < p->due_ms)
			continue;
		serve(m, (uint32_t)i, now_ms);
		learn_due(m, p);
		if (!p->id && !p->process && !p->first)
			fini(m, p);
	}
}

int64_t producers_due(const struct memlog *m)
{
	int64_t due_ms = NEVER;

	for (size_t i = 0; i < m->producers_n; i++)
		due_ms = MIN(due_ms, m->producers[i].due_ms);
	return due_ms;
}

size_t producer_flush(struct memlog *m, uint32_t producer)
{
	serve(m, producer, NEVER);
	learn_due(m, &m->producers[producer]);
	return m->producers[producer].flights_n;
}

/* ---- ended ---- */

static void drop_behind(struct memlog *m, struct producer *p, int64_t cut_ms)
{
	struct flight *f = p->first, *last = NULL, *next;

	for (; f; f = next) {
		next = f->next;
		if (f->due_ms <= cut_ms || f->silent) {
			last = f;
			continue;
		}
		*(last ? &last->next : &p->first) = next;
		p->flights_n--;
		mem_free(m, f);
	}
	p->last = last;
}

/* Of some the partition was told to the coordinator already: it gets a marker and nothing else. */
static void touch_some(struct memlog *m, struct producer *p)
{
	for (const struct flight *f = p->first; f; f = f->next) {
		if (f->epoch != p->epoch || mem_below(m, 4) > 0 || !mem_reachable(m) ||
		    !part_of(m, f->msg.topic, f->msg.partition))
			continue;
		if (txn_touch(m, p, -1, f->msg.topic, f->msg.partition) < 0)
			return;
	}
}

void producer_purge(struct memlog *m, uint32_t producer)
{
	if (m->producers[producer].id)
		touch_some(m, &m->producers[producer]);
	drop_behind(m, &m->producers[producer], INT64_MIN);
}

void producer_leave(struct memlog *m, uint32_t producer)
{
	struct producer *p = &m->producers[producer];

	drop_behind(m, p, mem_now(m) + mem_within(m, m->set.linger_ms));
	p->process = 0;
	p->fd = -1;
	p->acks_n = 0;
	p->due_ms = mem_now(m);
	mem_due(m, p->due_ms);
}

void producer_kill(struct memlog *m, uint32_t producer)
{
	struct producer *p = &m->producers[producer];
	int64_t cut_ms = mem_now(m) + mem_within(m, m->set.linger_ms);

	for (struct flight *f = p->first; f; f = f->next) {
		if (f->due_ms <= cut_ms && part_of(m, f->msg.topic, f->msg.partition) &&
		    part_append(m, &f->msg, producer, 0, false) < 0)
			break;
		tell(m, p, f->seq, -EPIPE, mem_now(m));
	}
	producer_purge(m, producer);
	p->fatal = true;
	mem_due(m, mem_now(m));
}
