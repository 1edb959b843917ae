#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "same.h"
#include "world.h"

#define SINKS_MAX    4
#define JOURNAL_RING 16384u

/* What one sink was told of a call. */
struct heard {
	char sink[64];
	uint32_t last;   /* the newest revision that the CRM heard first */
	uint64_t times;  /* all told */
	uint32_t tasked; /* the newest revision in topic tasks */
	uint32_t ledger; /* of the newest entry in topic deliveries */
	bool done;       /* says that entry */
};

struct request_state {
	uint64_t sent, accepted; /* when, in the order of all such moments; 0 never */
	uint64_t seen, dead;     /* how often its event is in topic events, in topic dead */
};

struct call_state {
	const struct traffic_call *call;
	struct request_state *requests;
	int32_t partition; /* of its events; -1 none yet */
	uint32_t revision; /* of the last record */
	bool complete, equal, pushed_out;
	char *record; /* the last one, as it lies in the topic */
	size_t record_n;
	struct heard heard[SINKS_MAX];
	uint64_t late;
};

struct check {
	struct check_cfg cfg;
	struct call_state *calls;
	int64_t next[TOPICS_N][64];
	uint32_t journal[64]; /* place of the newest entry, by partition; JOURNAL_RING none */
	uint64_t moments;
	struct check_counts counts;
	char why[256];
};

/* ---- calls by id ---- */

static struct call_state *find(struct check *c, struct slice id)
{
	for (size_t i = 0; i < c->cfg.calls_n; i++) {
		if (slice_eq(c->calls[i].call->id, id))
			return &c->calls[i];
	}
	return NULL;
}

struct check *check_new(const struct check_cfg *cfg)
{
	struct check *c = calloc(1, sizeof(*c));

	c->cfg = *cfg;
	c->calls = calloc(cfg->calls_n + 1, sizeof(*c->calls));
	for (size_t i = 0; i < cfg->calls_n; i++) {
		struct call_state *s = &c->calls[i];

		s->call = cfg->calls[i];
		s->requests = calloc(s->call->requests_n + 1, sizeof(*s->requests));
		s->partition = -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(c->journal); i++)
		c->journal[i] = JOURNAL_RING;
	return c;
}

void check_free(struct check *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->cfg.calls_n; i++) {
		free(c->calls[i].requests);
		free(c->calls[i].record);
	}
	free(c->calls);
	free(c);
}

void check_counts(const struct check *c, struct check_counts *ret)
{
	*ret = c->counts;
}

static const char *short_id(const struct call_state *s)
{
	return s->call->id.p; /* ends in a NUL: it is a text of the truth */
}

/* ---- answers ---- */

static struct request_state *state_of(struct check *c, const struct traffic_request *req)
{
	for (size_t i = 0; i < c->cfg.calls_n; i++) {
		struct call_state *s = &c->calls[i];

		if (req >= s->call->requests && req < s->call->requests + s->call->requests_n)
			return &s->requests[req - s->call->requests];
	}
	return NULL;
}

void check_sent(struct check *c, const struct traffic_request *req)
{
	struct request_state *r = state_of(c, req);

	if (r && !r->sent)
		r->sent = ++c->moments;
}

void check_accepted(struct check *c, const struct traffic_request *req)
{
	struct request_state *r = state_of(c, req);

	if (r && !r->accepted)
		r->accepted = ++c->moments;
}

/* ---- topics ---- */

static struct slice get(yyjson_val *object, const char *key)
{
	yyjson_val *v = yyjson_obj_get(object, key);

	return v && yyjson_is_str(v) ? slice_make(yyjson_get_str(v), yyjson_get_len(v)) : SLICE("");
}

/* The first request with this event id, or NULL. */
static struct request_state *request_of(struct check *c, struct slice id, struct call_state **ret)
{
	for (size_t i = 0; i < c->cfg.calls_n; i++) {
		struct call_state *s = &c->calls[i];

		for (size_t k = 0; k < s->call->requests_n; k++) {
			*ret = s;
			if (slice_eq(s->call->requests[k].event_id, id))
				return &s->requests[k];
		}
	}
	return NULL;
}

/* What was accepted before this one was sent for the first time is in the topic before it. */
static void in_order(const struct call_state *s, struct slice id)
{
	uint64_t sent = UINT64_MAX;

	for (size_t k = 0; k < s->call->requests_n; k++) {
		if (slice_eq(s->call->requests[k].event_id, id) && s->requests[k].sent)
			sent = MIN(sent, s->requests[k].sent);
	}
	for (size_t k = 0; k < s->call->requests_n; k++) {
		const struct request_state *r = &s->requests[k];

		if (r->accepted && r->accepted < sent && !r->seen)
			world_fail("call %s: an event overtakes one that was accepted before it",
				   short_id(s));
	}
}

static bool key_fits(yyjson_val *event, struct slice key)
{
	struct slice account = slice_cut(&key, '/');

	return slice_eq(account, get(event, "account")) &&
	       slice_eq(key, get(event, "call_session_id"));
}

static void look_event(struct check *c, yyjson_val *event, const struct log_msg *msg)
{
	struct slice id = get(event, "id");
	struct call_state *s;
	struct request_state *r = request_of(c, id, &s);

	c->counts.events++;
	if (!r) {
		world_fail("topic events has an event that nobody sent: %.*s", SLICE_ARG(id));
		return;
	}
	if (!key_fits(event, msg->key))
		world_fail("call %s: an event lies under the key %.*s", short_id(s),
			   SLICE_ARG(msg->key));
	if (s->partition >= 0 && s->partition != msg->partition)
		world_fail("call %s: its events lie in two partitions", short_id(s));
	s->partition = msg->partition;
	c->counts.repeated += r->seen > 0;
	if (!r->seen && !c->cfg.disordered)
		in_order(s, id);
	for (size_t k = 0; k < s->call->requests_n; k++) /* and its copies */
		s->requests[k].seen += slice_eq(s->call->requests[k].event_id, id);
}

static void keep_record(struct call_state *s, const struct log_msg *msg)
{
	free(s->record);
	s->record = malloc(msg->value.n + 1);
	memcpy(s->record, msg->value.p, msg->value.n);
	s->record[msg->value.n] = '\0';
	s->record_n = msg->value.n;
}

/* A revision says something new (rules.md 1.3). */
static void differs(struct check *c, const struct call_state *s, yyjson_val *record)
{
	static const char *const skip[] = { "revision", NULL };
	yyjson_doc *before;

	if (!s->record || c->cfg.more_revisions)
		return;
	before = yyjson_read(s->record, s->record_n, 0);
	if (same(yyjson_doc_get_root(before), record, skip, NULL, NULL))
		world_fail("call %s: revision %u says nothing new", short_id(s), s->revision + 1);
	yyjson_doc_free(before);
}

static bool has_note(yyjson_val *record, const char *note)
{
	yyjson_val *text;
	size_t i, n;

	yyjson_arr_foreach(yyjson_obj_get(record, "notes"), i, n, text)
	{
		if (yyjson_equals_str(text, note))
			return true;
	}
	return false;
}

static void look_record(struct check *c, yyjson_val *record, const struct log_msg *msg)
{
	static const char *const skip[] = { "revision", "complete", "notes", NULL };
	struct call_state *s = find(c, msg->key);
	uint32_t revision = (uint32_t)yyjson_get_uint(yyjson_obj_get(record, "revision"));

	c->counts.revisions++;
	if (!s || !slice_eq(get(record, "id"), msg->key)) {
		world_fail("topic calls has a call that nobody made: %.*s", SLICE_ARG(msg->key));
		return;
	}
	if (msg->partition != s->partition)
		world_fail("call %s: its record lies in another partition than its events",
			   short_id(s));
	if (revision != s->revision + 1)
		world_fail("call %s: revision %u comes after %u", short_id(s), revision,
			   s->revision);
	differs(c, s, record);
	c->counts.records += revision == 1;
	s->revision = revision;
	s->complete = yyjson_get_bool(yyjson_obj_get(record, "complete"));
	s->equal = same(s->call->record, record, skip, s->call->open, c->why);
	s->pushed_out |= has_note(record, "closed_by_limit");
	keep_record(s, msg);
}

static void look_dead(struct check *c, yyjson_val *dead, const struct log_msg *msg)
{
	struct slice reason = get(dead, "reason");
	struct call_state *s = find(c, msg->key), *same_call;
	struct request_state *r;

	if (!slice_eq(reason, SLICE("late")) || !s || !c->cfg.late_allowed) {
		world_fail("a dead letter: %.*s of %.*s", SLICE_ARG(reason), SLICE_ARG(msg->key));
		return;
	}
	c->counts.late++;
	s->late++;
	r = request_of(c, get(yyjson_obj_get(dead, "original"), "id"), &same_call);
	if (!r || same_call != s)
		world_fail("call %s: a dead letter of no event of its", short_id(s));
	else if (++r->dead > r->seen && !c->cfg.more_revisions)
		world_fail("call %s: more dead letters than events", short_id(s));
}

/* ---- what deliver writes ---- */

static struct heard *heard_of(struct call_state *s, struct slice sink)
{
	for (size_t i = 0; i < SINKS_MAX; i++) {
		struct heard *h = &s->heard[i];

		if (!h->sink[0])
			snprintf(h->sink, sizeof(h->sink), "%.*s", SLICE_ARG(sink));
		if (slice_is(sink, h->sink))
			return h;
	}
	return NULL;
}

static struct heard *sink_of_task(struct check *c, yyjson_val *task)
{
	struct call_state *s = find(c, get(task, "call"));
	struct heard *h = s ? heard_of(s, get(task, "sink")) : NULL;

	if (!h)
		world_fail("a task or an answer of no call: %.*s", SLICE_ARG(get(task, "call")));
	return h;
}

static uint32_t revision_of(yyjson_val *object)
{
	return (uint32_t)yyjson_get_uint(yyjson_obj_get(object, "revision"));
}

static void look_task(struct check *c, yyjson_val *task)
{
	struct heard *h = sink_of_task(c, task);
	uint32_t revision = revision_of(task);

	if (!h)
		return;
	if (revision <= h->tasked)
		world_fail("sink %s: a task of revision %u comes after %u", h->sink, revision,
			   h->tasked);
	h->tasked = revision;
}

static void look_delivery(struct check *c, yyjson_val *entry)
{
	struct heard *h = sink_of_task(c, entry);

	if (!h)
		return;
	h->ledger = revision_of(entry);
	h->done = slice_eq(get(entry, "verdict"), SLICE("done"));
	if (h->done && h->ledger > h->last)
		world_fail("sink %s: the ledger says that revision %u is done, the crm heard %u",
			   h->sink, h->ledger, h->last);
	if (h->ledger > h->tasked)
		world_fail("sink %s: the ledger has revision %u, the newest task is of %u", h->sink,
			   h->ledger, h->tasked);
}

/* The journal has one entry for each commit, in order. */
static void look_state(struct check *c, const struct log_msg *msg)
{
	uint32_t *newest = &c->journal[msg->partition], place;

	if (msg->tombstone || msg->key.n < 3 || msg->key.p[0] != 'j')
		return;
	place = (uint32_t)strtoul(msg->key.p + 2, NULL, 10);
	if (*newest != JOURNAL_RING && place != (*newest + 1) % JOURNAL_RING)
		world_fail("partition %d: journal entry %u comes after %u", msg->partition, place,
			   *newest);
	*newest = place;
}

static void look_json(struct check *c, const struct log_msg *msg)
{
	yyjson_doc *doc = yyjson_read(msg->value.p, msg->value.n, 0);
	yyjson_val *root = yyjson_doc_get_root(doc);

	if (!doc)
		world_fail("topic %s has what is no JSON", topic_text(msg->topic));
	else if (msg->topic == TOPIC_EVENTS)
		look_event(c, root, msg);
	else if (msg->topic == TOPIC_CALLS)
		look_record(c, root, msg);
	else if (msg->topic == TOPIC_TASKS)
		look_task(c, root);
	else if (msg->topic == TOPIC_DELIVERIES)
		look_delivery(c, root);
	else
		look_dead(c, root, msg);
	yyjson_doc_free(doc);
}

static int look_one(void *arg, const struct memlog_entry *entry)
{
	struct check *c = arg;
	const struct log_msg *msg = &entry->msg;

	c->next[msg->topic][msg->partition] = msg->offset + 1;
	if (msg->topic == TOPIC_STATE)
		look_state(c, msg);
	else
		look_json(c, msg);
	return 0;
}

void check_look(struct check *c, struct memlog *log)
{
	static const enum topic topics[] = { TOPIC_EVENTS, TOPIC_CALLS,      TOPIC_DEAD,
					     TOPIC_TASKS,  TOPIC_DELIVERIES, TOPIC_STATE };

	for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
		for (int32_t p = 0; p < memlog_partitions(log, topics[i]); p++) {
			if (memlog_see(log, topics[i], p, true, c->next[topics[i]][p], look_one,
				       c) < 0)
				return;
		}
	}
}

/* ---- the CRM ---- */

/* Header webhook-id: call id, "-", revision. */
static bool read_webhook_id(struct slice head, struct slice *ret_id, uint32_t *ret_revision)
{
	static const char name[] = "webhook-id: ";
	const char *at = head.n ? memmem(head.p, head.n, name, sizeof(name) - 1) : NULL;

	if (!at || (size_t)(head.p + head.n - at) < sizeof(name) + 37)
		return false;
	*ret_id = slice_make(at + sizeof(name) - 1, 36);
	*ret_revision = (uint32_t)strtoul(ret_id->p + 37, NULL, 10);
	return true;
}

static struct slice sink_of_url(struct slice url)
{
	const char *slash = url.n ? memrchr(url.p, '/', url.n) : NULL;

	return slash ? slice_skip(url, (size_t)(slash + 1 - url.p)) : url;
}

void check_heard(struct check *c, struct slice url, struct slice head, struct slice body)
{
	yyjson_doc *doc = yyjson_read(body.p, body.n, 0);
	yyjson_val *record = yyjson_doc_get_root(doc);
	struct call_state *s;
	uint32_t revision = 0;
	struct slice id;
	struct heard *h;

	if (!doc || !read_webhook_id(head, &id, &revision) || !(s = find(c, id)) ||
	    !(h = heard_of(s, sink_of_url(url)))) {
		world_fail("the crm heard what it cannot know");
		yyjson_doc_free(doc);
		return;
	}
	if (revision_of(record) != revision || !slice_eq(get(record, "id"), id))
		world_fail("call %s: the key and the record differ", short_id(s));
	if (revision < h->last)
		world_fail("call %s: the crm heard revision %u after %u", short_id(s), revision,
			   h->last);
	c->counts.heard++;
	c->counts.heard_again += revision == h->last;
	h->times++;
	h->last = revision;
	yyjson_doc_free(doc);
}

/* ---- the end ---- */

/* Every sink knows the last revision that is for it, and the ledger says so. */
static bool told_all(const struct call_state *s, const char **why)
{
	for (size_t i = 0; s->call->delivered && i < SINKS_MAX && (i == 0 || s->heard[i].sink[0]);
	     i++) {
		const struct heard *h = &s->heard[i];

		*why = "a sink has no task for the last revision";
		if (h->tasked != s->revision && (s->complete || strcmp(h->sink, "complete") != 0))
			return false;
		*why = "the crm does not know the last revision";
		if (h->last != h->tasked)
			return false;
		*why = "the ledger does not say that the last revision is done";
		if (h->ledger != h->last || !h->done)
			return false;
	}
	return true;
}

static bool call_complete(const struct check *c, const struct call_state *s, const char **why)
{
	for (size_t i = 0; i < s->call->requests_n; i++) {
		*why = "an accepted event is not in the topic";
		if (s->requests[i].accepted && !s->requests[i].seen)
			return false;
	}
	*why = "no record";
	if (!s->revision)
		return false;
	if (s->late || s->pushed_out)
		return told_all(s, why);
	*why = c->why[0] ? c->why : "the record is not the truth";
	if (!s->equal)
		return false;
	*why = "the record is not complete";
	if (!s->complete)
		return false;
	return told_all(s, why);
}

bool check_complete(struct check *c, const char **why)
{
	static char text[400];
	const char *one;

	for (size_t i = 0; i < c->cfg.calls_n; i++) {
		if (call_complete(c, &c->calls[i], &one))
			continue;
		snprintf(text, sizeof(text), "call %s: %s", short_id(&c->calls[i]), one);
		*why = text;
		return false;
	}
	return true;
}
