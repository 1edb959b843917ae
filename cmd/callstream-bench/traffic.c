#include "traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/clock.h"
#include "services.h"
#include "wire/arena.h"

struct memory {
	struct buf traffic;
	yyjson_doc **docs; /* one a line; the requests' texts lie in them */
	size_t docs_n;
	struct buf jsons;   /* the events, as written */
	struct arena arena; /* their texts */
};

/* ---- the generator ---- */

static int read_file(const char *folder, const char *name, struct buf *out)
{
	char path[256];
	size_t got = 1;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "re");
	if (!file)
		return bench_fail(BENCH_WRONG, "%s cannot be read", path);
	while (got && buf_reserve(out, 1 << 20)) {
		got = fread(out->p + out->n, 1, 1 << 20, file);
		out->n += got;
	}
	fclose(file);
	return out->bad ? bench_fail(BENCH_WRONG, "out of memory") : 0;
}

static int generate(uint64_t seed, unsigned calls, struct buf *accounts, struct buf *requests)
{
	char folder[] = "/tmp/callstream-bench-XXXXXX", seed_text[24], calls_text[24];
	const char *const args[] = { "--out",      folder,  "--seed",   seed_text,  "--calls",
				     calls_text,   "--bad", "0",        "--repeat", "0",
				     "--disorder", "0",     "--no-end", "0",        NULL };
	int code;

	snprintf(seed_text, sizeof(seed_text), "%llu", (unsigned long long)seed);
	snprintf(calls_text, sizeof(calls_text), "%u", calls);
	if (!mkdtemp(folder))
		return bench_fail(BENCH_WRONG, "no scratch folder");
	code = bench_python("gen/gen.py", args);
	if (!code)
		code = read_file(folder, "accounts.yaml", accounts);
	if (!code)
		code = read_file(folder, "traffic.jsonl", requests);
	services_remove(folder);
	return code;
}

/* ---- requests ---- */

static struct slice member(yyjson_val *row, const char *key)
{
	yyjson_val *value = yyjson_obj_get(row, key);

	return slice_make(yyjson_get_str(value), yyjson_get_len(value));
}

static int read_request(const struct cfg *cfg, yyjson_val *row, struct traffic_request *ret)
{
	yyjson_val *headers = yyjson_obj_get(row, "headers");
	const struct cfg_account *account = cfg_account(cfg, member(row, "account"));

	if (!account)
		return bench_fail(BENCH_WRONG, "traffic of an unknown account");
	*ret = (struct traffic_request){
		.account = account,
		.req = { .method = member(row, "method"),
			 .path = member(row, "path"),
			 .query = member(row, "query"),
			 .content_type = member(headers, "Content-Type"),
			 .body = member(row, "body"),
			 .received_at_ms = clock_wall_ms() },
	};
	return 0;
}

static int read_line(struct traffic *t, struct memory *m, struct slice line)
{
	yyjson_doc *doc = yyjson_read(line.p, line.n, 0);

	if (!doc)
		return bench_fail(BENCH_WRONG, "traffic that is no JSON");
	m->docs[m->docs_n++] = doc;
	/* Bytes that are no UTF-8 stand as base64: a few requests, left out. */
	if (yyjson_obj_get(yyjson_doc_get_root(doc), "body_base64"))
		return 0;
	return read_request(t->cfg, yyjson_doc_get_root(doc), &t->requests[t->requests_n++]);
}

static int read_requests(struct traffic *t, struct memory *m)
{
	struct slice rest = buf_slice(&m->traffic), line;
	size_t lines = 0;
	int code = 0;

	for (size_t i = 0; i < rest.n; i++)
		lines += rest.p[i] == '\n';
	m->docs = calloc(lines + 1, sizeof(yyjson_doc *)); /* NOLINT: of pointers */
	t->requests = calloc(lines + 1, sizeof(*t->requests));
	if (!m->docs || !t->requests)
		return bench_fail(BENCH_WRONG, "out of memory");
	while (!code && rest.n > 0) {
		line = slice_cut(&rest, '\n');
		if (line.n > 0)
			code = read_line(t, m, line);
	}
	return code;
}

/* ---- events ---- */

/* An event's texts borrow from the decoder's memory: it is written as JSON and read again, as a
 * reader of the log gets it. */
struct found {
	struct slice session, account;
	size_t at, n; /* in jsons */
	size_t order, request;
};

static int by_session(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int order = slice_cmp(x->account, y->account);

	if (order == 0)
		order = slice_cmp(x->session, y->session);
	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int decode_all(const struct traffic *t, struct memory *m, struct found *found, size_t *ret_n)
{
	struct dialect_scratch *scratch = dialect_scratch_new();
	struct dialect_result res;
	size_t n = 0;

	for (size_t i = 0; scratch && i < t->requests_n; i++) {
		const struct traffic_request *r = &t->requests[i];
		char *session;

		if (!r->account || dialect_decode(r->account, &r->req, scratch, &res) ||
		    res.verdict != DIALECT_EVENT)
			continue;
		found[n].at = m->jsons.n;
		callev_write(&m->jsons, &res.ev);
		found[n].n = m->jsons.n - found[n].at;
		session = slice_dup(res.ev.call_session_id);
		found[n].session = slice_of(session);
		found[n].account = slice_of(r->account->name);
		found[n].order = n;
		found[n].request = i;
		n++;
	}
	dialect_scratch_free(scratch);
	*ret_n = n;
	return n && !m->jsons.bad ? 0 : bench_fail(BENCH_WRONG, "no request became an event");
}

#define TEXT(field) offsetof(struct callev, field)
static const size_t texts_of_event[] = {
	TEXT(account),
	TEXT(source),
	TEXT(call_session_id),
	TEXT(leg_id),
	TEXT(line),
	TEXT(trunk),
	TEXT(contact.number),
	TEXT(contact.uri),
	TEXT(contact.id),
	TEXT(contact.name),
	TEXT(employee.id),
	TEXT(employee.extension),
	TEXT(employee.name),
	TEXT(scenario),
	TEXT(external_id),
	TEXT(call_source),
	TEXT(from_leg),
	TEXT(number),
	TEXT(location),
	TEXT(queue),
	TEXT(cause.vendor),
	TEXT(cause.text),
	TEXT(transfer),
	TEXT(from),
	TEXT(to),
	TEXT(into),
	TEXT(recording),
	TEXT(url),
	TEXT(source_url),
	TEXT(sha256),
	TEXT(reason),
	TEXT(name),
	TEXT(text),
};

static bool keep_text(struct arena *arena, struct slice *text)
{
	char *copy;

	if (text->n == 0)
		return true;
	copy = arena_alloc(arena, text->n);
	if (copy)
		*text = slice_make(memcpy(copy, text->p, text->n), text->n);
	return copy != NULL;
}

static bool keep_list(struct arena *arena, const struct slice **list, size_t n)
{
	struct slice *copy;
	bool ok = true;

	if (n == 0)
		return true;
	copy = arena_alloc(arena, n * sizeof(*copy));
	if (!copy)
		return false;
	memcpy(copy, *list, n * sizeof(*copy));
	for (size_t i = 0; ok && i < n; i++)
		ok = keep_text(arena, &copy[i]);
	*list = copy;
	return ok;
}

/* A parser's texts live until its next event. */
static bool keep_texts(struct arena *arena, struct callev *ev)
{
	bool ok = true;

	for (size_t i = 0; ok && i < ARRAY_LEN(texts_of_event); i++)
		ok = keep_text(arena, (void *)((char *)ev + texts_of_event[i]));
	return ok && keep_list(arena, &ev->leg_ids, ev->leg_ids_n) &&
	       keep_list(arena, &ev->tags, ev->tags_n);
}

static int parse_one(struct memory *m, struct callev_parser *p, struct slice json,
		     struct callev *ret)
{
	struct parse_error error;

	if (!p || callev_parse(p, json, ret, &error) || !keep_texts(&m->arena, ret))
		return bench_fail(BENCH_WRONG, "an event that was written cannot be read");
	return 0;
}

static int group(struct traffic *t, struct memory *m, struct found *found, size_t n)
{
	struct callev_parser *parser = callev_parser_new();
	int code = 0;

	qsort(found, n, sizeof(*found), by_session);
	t->events = calloc(n + 1, sizeof(*t->events));
	t->calls = calloc(n + 1, sizeof(*t->calls));
	t->request_of = calloc(n + 1, sizeof(*t->request_of));
	if (!t->events || !t->calls || !t->request_of)
		code = bench_fail(BENCH_WRONG, "out of memory");
	for (size_t i = 0; !code && i < n; i++) {
		bool same = i > 0 && slice_eq(found[i].session, found[i - 1].session) &&
			    slice_eq(found[i].account, found[i - 1].account);

		code = parse_one(m, parser, slice_make(m->jsons.p + found[i].at, found[i].n),
				 &t->events[i]);
		if (!same)
			t->calls[t->calls_n++] = (struct traffic_call){ i, 0 };
		t->calls[t->calls_n - 1].n++;
		t->request_of[i] = found[i].request;
	}
	t->events_n = n;
	callev_parser_free(parser);
	return code;
}

static int decode_and_group(struct traffic *t, struct memory *m)
{
	struct found *found = calloc(t->requests_n + 1, sizeof(*found));
	size_t n = 0;
	int code = found ? decode_all(t, m, found, &n) : BENCH_WRONG;

	if (!code)
		code = group(t, m, found, n);
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)found[i].session.p);
	free(found);
	return code;
}

/* ---- all of it ---- */

int traffic_load(uint64_t seed, unsigned calls, const char *settings, struct traffic *ret)
{
	struct buf config = BUF_EMPTY, problems = BUF_EMPTY;
	struct memory *m = calloc(1, sizeof(*m));
	int code;

	*ret = (struct traffic){ .memory = m };
	buf_add_text(&config, settings);
	code = m ? generate(seed, calls, &config, &m->traffic) : BENCH_WRONG;
	if (!code && cfg_parse("bench", buf_slice(&config), &ret->cfg, &problems))
		code = bench_fail(BENCH_WRONG, "%.*s", SLICE_ARG(buf_slice(&problems)));
	if (!code)
		code = read_requests(ret, m);
	if (!code)
		code = decode_and_group(ret, m);
	buf_fini(&config);
	buf_fini(&problems);
	if (code)
		traffic_free(ret);
	return code;
}

void traffic_free(struct traffic *t)
{
	struct memory *m = t->memory;

	for (size_t i = 0; m && i < m->docs_n; i++)
		yyjson_doc_free(m->docs[i]);
	if (m) {
		free(m->docs);
		buf_fini(&m->traffic);
		buf_fini(&m->jsons);
		arena_fini(&m->arena);
	}
	free(m);
	free(t->requests);
	free(t->events);
	free(t->calls);
	free(t->request_of);
	cfg_free(t->cfg);
	*t = (struct traffic){ 0 };
}

/* ---- copies ---- */

static void other_id(struct uuid *id, uint64_t copy)
{
	uint64_t word;

	memcpy(&word, id->b, sizeof(word));
	word ^= copy * UINT64_C(0x9e3779b97f4a7c15);
	memcpy(id->b, &word, sizeof(word));
}

/* Digits behind the session: still what the vendor could send. */
static size_t append_number(char *text, size_t n, uint64_t value)
{
	char digits[20];
	size_t k = 0;

	do {
		digits[k++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	while (k > 0)
		text[n++] = digits[--k];
	return n;
}

void traffic_copy(const struct callev *ev, uint64_t copy, char text[TRAFFIC_SESSION_SIZE],
		  struct callev *ret)
{
	size_t n = MIN(ev->call_session_id.n, TRAFFIC_SESSION_SIZE - 24);

	if (ret != ev)
		*ret = *ev;
	if (copy == 0)
		return;
	memcpy(text, ev->call_session_id.p, n);
	n = append_number(text, n, copy);
	ret->call_session_id = slice_make(text, n);
	other_id(&ret->id, copy);
}

void traffic_raw(const struct traffic *t, size_t i, struct callev *ev)
{
	const struct vendor_request *req = &t->requests[t->request_of[i]].req;

	ev->raw = (struct callev_raw){
		.method = req->method, .type = req->content_type, .body = req->body, .present = true
	};
}

/* ---- calls that go on ---- */

static const struct {
	enum callev_kind kind;
	const char *leg, *extension, *id, *name;
} open_steps[TRAFFIC_OPEN_EVENTS] = {
	{ CALLEV_CALL_STARTED, "", "", "", "" },
	{ CALLEV_LEG_RINGING, "700012301", "101", "48213", "Whitfield Dana" },
	{ CALLEV_LEG_RINGING, "700012302", "102", "48214", "Reyes Omar" },
	{ CALLEV_LEG_RINGING, "700012303", "103", "48215", "Okafor Nkechi" },
	{ CALLEV_TALK_STARTED, "", "103", "48215", "Okafor Nkechi" },
};

void traffic_open_call(uint64_t i, unsigned step, int64_t now_ms, char text[TRAFFIC_SESSION_SIZE],
		       struct callev *ret)
{
	static const struct slice legs[] = { SLICE_INIT("700012300"), SLICE_INIT("700012303") };
	size_t n = append_number(text, 0, UINT64_C(8000000000) + i);

	callev_init(ret);
	ret->account = SLICE("office");
	ret->source = SLICE("callgear");
	ret->kind = open_steps[step].kind;
	ret->call_session_id = slice_make(text, n);
	uuid_v5(&ret->call_session_id, 1, &ret->id);
	ret->id.b[0] = (uint8_t)step;
	ret->at_ms = now_ms - 20000 + 2000 * (int64_t)step;
	ret->received_at_ms = ret->at_ms + 300;
	ret->direction = DIRECTION_IN;
	ret->line = SLICE("74951234567");
	/* Its own number: the digits of the session. */
	ret->contact.number = slice_make(text, n);
	if (ret->kind == CALLEV_CALL_STARTED) {
		ret->scenario = SLICE("Main");
		return;
	}
	ret->leg_id = slice_of(open_steps[step].leg);
	ret->employee = (struct person){ slice_of(open_steps[step].id),
					 slice_of(open_steps[step].extension),
					 slice_of(open_steps[step].name) };
	if (ret->kind == CALLEV_TALK_STARTED) {
		ret->leg_ids = legs;
		ret->leg_ids_n = ARRAY_LEN(legs);
	}
}
