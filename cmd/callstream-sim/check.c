#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "same.h"
#include "world.h"

#define SINKS_MAX 4

struct heard {
	char sink[64];
	uint32_t last;  /* the newest revision that it heard first */
	uint64_t times; /* all told */
};

struct call_state {
	const struct traffic_call *call;
	bool *accepted, *seen; /* by request; its event is in the topic */
	uint32_t revision;     /* of the last record */
	bool complete, equal;
	char *record; /* the last one, as it lies in the topic */
	size_t record_n;
	struct heard heard[SINKS_MAX];
	uint64_t late;
};

struct check {
	struct check_cfg cfg;
	struct call_state *calls;
	int64_t next[TOPICS_N][64];
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
		s->accepted = calloc(s->call->requests_n + 1, sizeof(bool));
		s->seen = calloc(s->call->requests_n + 1, sizeof(bool));
	}
	return c;
}

void check_free(struct check *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->cfg.calls_n; i++) {
		free(c->calls[i].accepted);
		free(c->calls[i].seen);
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

void check_accepted(struct check *c, const struct traffic_request *req)
{
	for (size_t i = 0; i < c->cfg.calls_n; i++) {
		struct call_state *s = &c->calls[i];

		if (req >= s->call->requests && req < s->call->requests + s->call->requests_n)
			s->accepted[req - s->call->requests] = true;
	}
}

/* ---- topics ---- */

static struct slice get(yyjson_val *object, const char *key)
{
	yyjson_val *v = yyjson_obj_get(object, key);

	return v && yyjson_is_str(v) ? slice_make(yyjson_get_str(v), yyjson_get_len(v)) : SLICE("");
}

static void look_event(struct check *c, yyjson_val *event, const struct log_msg *msg)
{
	struct slice id = get(event, "id");
	bool known = false;

	(void)msg;
	c->counts.events++;
	for (size_t i = 0; i < c->cfg.calls_n; i++) {
		struct call_state *s = &c->calls[i];

		for (size_t k = 0; k < s->call->requests_n; k++) {
			if (!slice_eq(s->call->requests[k].event_id, id))
				continue;
			c->counts.repeated += s->seen[k];
			s->seen[k] = known = true;
		}
	}
	if (!known)
		world_fail("topic events has an event that nobody sent: %.*s", SLICE_ARG(id));
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
	if (revision != s->revision + 1)
		world_fail("call %s: revision %u comes after %u", short_id(s), revision,
			   s->revision);
	differs(c, s, record);
	c->counts.records += revision == 1;
	s->revision = revision;
	s->complete = yyjson_get_bool(yyjson_obj_get(record, "complete"));
	s->equal = same(s->call->record, record, skip, s->call->open, c->why);
	keep_record(s, msg);
}

static void look_dead(struct check *c, yyjson_val *dead, const struct log_msg *msg)
{
	struct slice reason = get(dead, "reason");
	struct call_state *s = find(c, msg->key);

	if (slice_eq(reason, SLICE("late")) && s && c->cfg.late_allowed) {
		c->counts.late++;
		s->late++;
		return;
	}
	world_fail("a dead letter: %.*s of %.*s", SLICE_ARG(reason), SLICE_ARG(msg->key));
}

static int look_one(void *arg, const struct memlog_entry *entry)
{
	struct check *c = arg;
	const struct log_msg *msg = &entry->msg;
	yyjson_doc *doc = yyjson_read(msg->value.p, msg->value.n, 0);
	yyjson_val *root = yyjson_doc_get_root(doc);

	c->next[msg->topic][msg->partition] = msg->offset + 1;
	if (!doc)
		world_fail("topic %s has what is no JSON", topic_text(msg->topic));
	else if (msg->topic == TOPIC_EVENTS)
		look_event(c, root, msg);
	else if (msg->topic == TOPIC_CALLS)
		look_record(c, root, msg);
	else
		look_dead(c, root, msg);
	yyjson_doc_free(doc);
	return 0;
}

void check_look(struct check *c, struct memlog *log)
{
	static const enum topic topics[] = { TOPIC_EVENTS, TOPIC_CALLS, TOPIC_DEAD };

	for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
		for (int32_t p = 0; p < memlog_partitions(log, topics[i]); p++) {
			if (memlog_see(log, topics[i], p, true, c->next[topics[i]][p], look_one,
				       c) < 0)
				return;
		}
	}
}

/* ---- the CRM ---- */

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

void check_heard(struct check *c, struct slice url, struct slice head, struct slice body)
{
	yyjson_doc *doc = yyjson_read(body.p, body.n, 0);
	yyjson_val *record = yyjson_doc_get_root(doc);
	struct call_state *s;
	uint32_t revision = 0;
	struct slice id;
	struct heard *h;

	if (!doc || !read_webhook_id(head, &id, &revision) || !(s = find(c, id)) ||
	    !(h = heard_of(s, url))) {
		world_fail("the crm heard what it cannot know");
		yyjson_doc_free(doc);
		return;
	}
	if (yyjson_get_uint(yyjson_obj_get(record, "revision")) != revision ||
	    !slice_eq(get(record, "id"), id))
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

static bool call_complete(const struct check *c, const struct call_state *s, const char **why)
{
	for (size_t i = 0; i < s->call->requests_n; i++) {
		*why = "an accepted event is not in the topic";
		if (s->accepted[i] && !s->seen[i])
			return false;
	}
	*why = "no record";
	if (!s->revision)
		return false;
	if (s->late)
		return true;
	*why = c->why[0] ? c->why : "the record is not the truth";
	if (!s->equal)
		return false;
	*why = "the record is not complete";
	if (!s->complete)
		return false;
	*why = "the crm does not know the last revision";
	for (size_t i = 0; s->call->delivered && i < SINKS_MAX && (i == 0 || s->heard[i].sink[0]);
	     i++) {
		if (s->heard[i].last != s->revision)
			return false;
	}
	return true;
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
