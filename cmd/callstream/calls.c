/* calls tail, calls show: finished calls as they come; all that is known of one. */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/uuid.h"
#include "role/deliver_task.h"
#include "scan.h"
#include "wire/json_out.h"

extern const struct cmd cmd_calls_tail, cmd_calls_show;

/* ---- a record for people ---- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Someone's number, else address, else name. */
static const char *contact_of(const json_t *record)
{
	const json_t *contact = json_object_get(record, "contact");
	static const char *const keys[] = { "number", "uri", "name" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (*text_of(contact, keys[i]))
			return text_of(contact, keys[i]);
	}
	return "";
}

static const char *person_of(const json_t *record, const char *key)
{
	const json_t *person = json_object_get(record, key);
	static const char *const keys[] = { "extension", "name", "id" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (*text_of(person, keys[i]))
			return text_of(person, keys[i]);
	}
	return "";
}

static long long seconds_of(const json_t *record, const char *key)
{
	return json_integer_value(json_object_get(record, key)) / 1000;
}

#define RECORD_SCHEMA "callstream.call/1"

/* ---- tail ---- */

#define TAIL_LINE "%-24.24s  %-20.20s  %-8.8s  %-11.11s  %-16.16s  %-16.16s  %-12.12s  %5s  %3s"

struct tail {
	bool json, headed;
	struct buf row;
};

static bool print_head(struct tail *tail)
{
	if (tail->headed)
		return true;
	tail->headed = true;
	buf_printf(&tail->row, TAIL_LINE, "ended", "account", "way", "outcome", "line", "contact",
		   "employee", "talk", "rev");
	return scan_print_row(&tail->row);
}

static bool print_record(struct tail *tail, const json_t *record)
{
	char talk[24], revision[24];
	bool written;

	snprintf(talk, sizeof(talk), "%llds", seconds_of(record, "talk_ms"));
	snprintf(revision, sizeof(revision), "%lld",
		 (long long)json_integer_value(json_object_get(record, "revision")));
	written = print_head(tail);
	buf_printf(&tail->row, TAIL_LINE, text_of(record, "ended_at"), text_of(record, "account"),
		   text_of(record, "direction"), text_of(record, "outcome"),
		   text_of(record, "line"), contact_of(record), person_of(record, "employee"), talk,
		   revision);
	return scan_print_row(&tail->row) && written;
}

static int on_finished(void *arg, const struct log_msg *msg)
{
	struct tail *tail = arg;
	json_t *record = msg->tombstone ? NULL : scan_parse(msg->value, RECORD_SCHEMA);
	bool written = true;

	if (record)
		written = tail->json ? scan_print(msg->value) : print_record(tail, record);
	json_decref(record);
	return written ? 0 : -EPIPE;
}

static int run_tail(const struct cmd_args *args)
{
	static const enum topic topics[] = { TOPIC_CALLS };
	struct tail tail = { .json = cmd_opt(args, "--json") != NULL };
	struct scan scan = { .topics = topics,
			     .topics_n = ARRAY_LEN(topics),
			     .follow = true,
			     .each = on_finished,
			     .arg = &tail };
	struct cfg *cfg;
	int code = scan_setup(args, &cfg, &scan.from_ms);

	if (code)
		return code;
	if (!cmd_opt(args, "--since"))
		scan.from_ms = LOG_END;
	code = scan_run(cfg, &scan);
	cfg_free(cfg);
	buf_fini(&tail.row);
	return code;
}

const struct cmd cmd_calls_tail = {
	.name = "calls tail",
	.operands = "",
	.summary = "finished calls as they come",
	.detail = "Prints each record of topic calls, read-committed, until Ctrl-C: every revision "
		  "of a call is\na line. With --since it begins in the past.",
	.opts = (const struct cmd_opt[]){ { "--json", NULL, "records as they are, one a line",
					    false },
					  { "--since", "TIME",
					    "begin there: 90m, 24h, 7d or an ISO time", false },
					  { NULL, NULL, NULL, false } },
	.config = true,
	.run = run_tail,
};

/* ---- show ---- */

struct told {
	struct slice sink;
	char *json; /* of the newest entry */
	struct buf steps;
};

struct show {
	char id[UUID_TEXT_LEN + 1];
	char **revisions; /* JSON */
	size_t revisions_n;
	struct told *told;
	size_t told_n;
};

static void show_fini(struct show *show)
{
	for (size_t i = 0; i < show->revisions_n; i++)
		free(show->revisions[i]);
	for (size_t i = 0; i < show->told_n; i++) {
		free(show->told[i].json);
		buf_fini(&show->told[i].steps);
	}
	free(show->revisions);
	free(show->told);
}

/* A call id, or "account/session". */
static int read_id(const char *text, struct show *show)
{
	struct slice session = slice_of(text), account = slice_cut(&session, '/');
	struct uuid id;

	if (session.n)
		uuid_of_call(account, session, &id);
	else if (uuid_read(slice_of(text), &id) != 0)
		return -EINVAL;
	uuid_write(&id, show->id);
	return 0;
}

static bool is_record(struct slice json)
{
	json_t *record = scan_parse(json, RECORD_SCHEMA);
	bool is = record != NULL;

	json_decref(record);
	return is;
}

static int keep_revision(struct show *show, struct slice json)
{
	char **revisions;

	if (!is_record(json))
		return 0;
	revisions = realloc(show->revisions, (show->revisions_n + 1) * sizeof(*revisions));

	if (!revisions)
		return -ENOMEM;
	show->revisions = revisions;
	revisions[show->revisions_n] = slice_dup(json);
	return revisions[show->revisions_n++] ? 0 : -ENOMEM;
}

static struct told *told_of(struct show *show, struct slice sink)
{
	struct told *told;

	for (size_t i = 0; i < show->told_n; i++) {
		if (slice_eq(show->told[i].sink, sink))
			return &show->told[i];
	}
	told = realloc(show->told, (show->told_n + 1) * sizeof(*told));
	if (!told)
		return NULL;
	show->told = told;
	told[show->told_n] = (struct told){ .steps = BUF_EMPTY };
	return &told[show->told_n++];
}

/* What a sink was told, or will not be told any more. */
static void add_step(struct buf *steps, const struct entry *e)
{
	struct json_out j = { steps, steps->n > 0 };

	if (e->verdict == ENTRY_RETRY)
		return;
	jo_begin_object(&j);
	JO_PUT(&j, "step", e->step);
	JO_KEY(&j, "revision");
	jo_int(&j, e->revision);
	JO_KEY(&j, "verdict");
	jo_text(&j, slice_of(entry_verdict_text(e->verdict)));
	JO_PUT_INT(&j, "status", e->status ? e->status : INT64_MIN);
	JO_PUT_TIME(&j, "at", e->at_ms);
	jo_end_object(&j);
}

static int keep_delivery(struct show *show, struct slice json)
{
	struct told *told;
	struct entry e;
	char *copy;

	if (entry_read(json, &e) != 0 || !slice_is(e.call, show->id))
		return 0;
	told = told_of(show, e.sink);
	copy = slice_dup(json);
	if (!told || !copy) {
		free(copy);
		return -ENOMEM;
	}
	add_step(&told->steps, &e);
	free(told->json);
	told->json = copy;
	/* The texts of the entry lie in the copy now. */
	return entry_read(slice_of(copy), &e) == 0 ? (told->sink = e.sink, 0) : -EBADMSG;
}

static int on_known(void *arg, const struct log_msg *msg)
{
	struct show *show = arg;

	if (msg->tombstone)
		return 0;
	if (msg->topic == TOPIC_CALLS)
		return slice_is(msg->key, show->id) ? keep_revision(show, msg->value) : 0;
	return slice_ends(msg->key, slice_of(show->id)) ? keep_delivery(show, msg->value) : 0;
}

/* ---- what was found ---- */

/* The newest entry without its task, which holds the record once more; with what it was told. */
static void write_delivery(struct json_out *j, const struct told *told)
{
	struct entry e;
	struct buf *out = j->buf;

	if (entry_read(slice_of(told->json), &e) != 0)
		return;
	e.task = SLICE_NONE;
	if (j->comma)
		buf_add_char(out, ',');
	entry_write(out, &e);
	out->n--; /* the closing brace */
	buf_add_text(out, ",\"steps\":[");
	buf_add_slice(out, buf_slice(&told->steps));
	buf_add_text(out, "]}");
	j->comma = true;
}

static uint32_t revision_of(const char *json)
{
	struct routed r;

	return routed_read(slice_of(json), &r) == 0 ? r.revision : 0;
}

static int by_revision(const void *a, const void *b)
{
	uint32_t x = revision_of(*(char *const *)a), y = revision_of(*(char *const *)b);

	return (x > y) - (x < y);
}

static int by_sink(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	return slice_cmp(x->sink, y->sink);
}

/* Topics are read side by side: the order in which things were found says nothing. */
static void sort_found(struct show *show)
{
	if (show->revisions_n)
		qsort(show->revisions, show->revisions_n, sizeof(char *), by_revision);
	if (show->told_n)
		qsort(show->told, show->told_n, sizeof(*show->told), by_sink);
}

static const char *newest(const struct show *show)
{
	return show->revisions_n ? show->revisions[show->revisions_n - 1] : NULL;
}

static void write_found(const struct show *show, struct buf *out)
{
	struct json_out j = jo_make(out);

	jo_begin_object(&j);
	JO_KEY(&j, "record");
	jo_raw(&j, newest(show) ? slice_of(newest(show)) : SLICE("null"));
	JO_KEY(&j, "revisions");
	jo_begin_array(&j);
	for (size_t i = 0; i < show->revisions_n; i++)
		jo_raw(&j, slice_of(show->revisions[i]));
	jo_end_array(&j);
	JO_KEY(&j, "deliveries");
	jo_begin_array(&j);
	for (size_t i = 0; i < show->told_n; i++)
		write_delivery(&j, &show->told[i]);
	jo_end_array(&j);
	jo_end_object(&j);
}

static void print_pretty(const char *json)
{
	json_t *value = json ? scan_parse(slice_of(json), RECORD_SCHEMA) : NULL;

	if (value)
		json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(value);
	putchar('\n');
}

static void print_delivery(const struct told *told)
{
	char at[TIME_ISO_LEN], next[TIME_ISO_LEN];
	struct entry e;

	if (entry_read(slice_of(told->json), &e) != 0)
		return;
	time_iso_write(e.at_ms == TIME_NONE ? 0 : e.at_ms, at);
	time_iso_write(e.next_at_ms == TIME_NONE ? 0 : e.next_at_ms, next);
	printf("  %.*s: revision %u %s, %u tries", SLICE_ARG(e.sink), e.revision,
	       entry_verdict_text(e.verdict), e.attempt);
	if (e.status)
		printf(", status %d", e.status);
	if (e.reason.n)
		printf(", %.*s", SLICE_ARG(e.reason));
	printf(", %.*s", TIME_ISO_LEN, at);
	if (e.verdict == ENTRY_RETRY)
		printf(", next try %.*s", TIME_ISO_LEN, next);
	putchar('\n');
}

static void print_found(const struct show *show)
{
	print_pretty(newest(show));
	printf("%zu revisions in topic calls\n", show->revisions_n);
	printf(show->told_n ? "deliveries\n" : "no deliveries\n");
	for (size_t i = 0; i < show->told_n; i++)
		print_delivery(&show->told[i]);
}

static int tell(const struct show *show, bool json)
{
	struct buf out = BUF_EMPTY;
	bool written = true;

	if (show->revisions_n + show->told_n == 0)
		return cmd_fail(EXIT_WRONG_INPUT,
				"no call %s in that time; --since looks further back", show->id);
	if (json) {
		write_found(show, &out);
		written = scan_print(buf_slice(&out));
	} else {
		print_found(show);
	}
	buf_fini(&out);
	return written ? EXIT_DONE : EXIT_WRONG_INPUT;
}

static int run_show(const struct cmd_args *args)
{
	static const enum topic topics[] = { TOPIC_CALLS, TOPIC_DELIVERIES };
	struct show show = { .id = "" };
	struct scan scan = {
		.topics = topics, .topics_n = ARRAY_LEN(topics), .each = on_known, .arg = &show
	};
	struct cfg *cfg;
	int code;

	if (read_id(args->words[0], &show) != 0)
		return cmd_fail(EXIT_WRONG_USAGE, "\"%s\" is neither a call id nor ACCOUNT/SESSION",
				args->words[0]);
	code = scan_setup(args, &cfg, &scan.from_ms);
	if (code)
		return code;
	code = scan_run(cfg, &scan);
	sort_found(&show);
	if (!code)
		code = tell(&show, cmd_opt(args, "--json") != NULL);
	show_fini(&show);
	cfg_free(cfg);
	return code;
}

const struct cmd cmd_calls_show = {
	.name = "calls show",
	.operands = "ID",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "one call: its record, its revisions, what each CRM was told",
	.detail = "ID is the id of the call, or ACCOUNT/SESSION with the vendor's id of it. Exit 1 "
		  "when there is\nno such call in that time.",
	.opts = (const struct cmd_opt[]){ { "--json", NULL,
					    "one object with record, revisions, deliveries",
					    false },
					  SCAN_SINCE_OPT,
					  { NULL, NULL, NULL, false } },
	.config = true,
	.run = run_show,
};
