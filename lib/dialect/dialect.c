#include "dialect/dialect.h"

#include <errno.h>
#include <stdlib.h>

#include "call/deadletter.h"
#include "call/json_parts.h"
#include "dialect/callgear/callgear.h"
#include "dialect/door.h"
#include "dialect/scratch.h"

static const struct dialect *const dialects[] = { &dialect_callgear };

const struct dialect *dialect_find(struct slice source)
{
	for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
		if (slice_is(source, dialects[i]->source))
			return dialects[i];
	}
	return NULL;
}

struct dialect_scratch *dialect_scratch_new(void)
{
	return calloc(1, sizeof(struct dialect_scratch));
}

void dialect_scratch_free(struct dialect_scratch *s)
{
	if (!s)
		return;
	arena_fini(&s->arena);
	buf_fini(&s->text);
	free(s);
}

void *dialect_scratch_alloc(struct dialect_scratch *s, size_t n)
{
	return arena_alloc(&s->arena, n);
}

static int refuse(struct dialect_result *res, int status, const char *why)
{
	res->verdict = DIALECT_REFUSED;
	res->status = status;
	res->why = why;
	res->kind = "refused";
	return 0;
}

static bool is_get(const struct vendor_request *req)
{
	return slice_is(req->method, "GET");
}

/* rules.md 2: an event whose employee id has neither extension nor name. */
static void map_employee(const struct cfg_account *account, struct dialect_result *res)
{
	struct person *employee = &res->ev.employee;
	const struct cfg_employee *row;

	if (!employee->id.n || employee->extension.n || employee->name.n)
		return;
	row = cfg_employee(account, employee->id);
	if (row) {
		employee->extension = slice_of(row->extension);
		employee->name = slice_of(row->name);
	}
	res->unmapped = !employee->extension.n && !employee->name.n;
}

static int keep_raw(const struct vendor_request *req, const struct dialect_door *door,
		    struct dialect_scratch *s, struct callev_raw *raw)
{
	raw->path = door_path(door, req, s);
	if (!raw->path.p)
		return -ENOMEM;
	raw->method = req->method;
	raw->type = req->content_type;
	raw->body = req->body;
	if (is_get(req))
		raw->query = door->query;
	raw->present = true;
	return 0;
}

int dialect_decode(const struct cfg_account *account, const struct vendor_request *req,
		   struct dialect_scratch *s, struct dialect_result *res)
{
	const struct dialect *dialect = dialect_find(slice_of(account->source));
	struct dialect_door door;
	int err;

	memset(res, 0, offsetof(struct dialect_result, ev));
	callev_init(&res->ev);
	arena_reset(&s->arena);
	if (!dialect)
		return refuse(res, 404, "source not in this version");
	if (!is_get(req) && !slice_is(req->method, "POST"))
		return refuse(res, 405, "method not allowed");

	res->ev.account = slice_of(account->name);
	res->ev.source = slice_of(dialect->source);
	res->ev.received_at_ms = req->received_at_ms;
	err = door_read(account, req, s, &door);
	if (!err)
		err = dialect->decode(account, req, &door, s, res);
	if (err || res->verdict != DIALECT_EVENT)
		return err;

	res->kind = callev_kind_text(res->ev.kind);
	map_employee(account, res);
	return account->keep_raw ? keep_raw(req, &door, s, &res->ev.raw) : 0;
}

static void dead_letter(const struct cfg_account *account, const struct vendor_request *req,
			const char *why, const struct callev_raw *raw, struct buf *out)
{
	const struct slice name[] = { slice_of(account->name),
				      slice_of(account->source),
				      SLICE("dead"),
				      raw->path,
				      raw->query,
				      raw->body };
	struct deadletter letter = { .account = name[0], .at_ms = req->received_at_ms };
	struct buf reason = BUF_EMPTY, request = BUF_EMPTY;
	struct json_out j = jo_make(&request);
	char id_text[UUID_TEXT_LEN];
	struct uuid id;

	uuid_v5(name, ARRAY_LEN(name), &id);
	uuid_write(&id, id_text);
	letter.id = slice_make(id_text, sizeof(id_text));
	buf_printf(&reason, "undecodable: %s", why);
	letter.reason = buf_slice(&reason);
	json_request(&j, raw);
	letter.original = buf_slice(&request);
	deadletter_write(out, &letter);
	out->bad |= reason.bad || request.bad;
	buf_fini(&reason);
	buf_fini(&request);
}

void dialect_dead_letter(const struct cfg_account *account, const struct vendor_request *req,
			 const char *why, struct buf *out)
{
	struct dialect_scratch *s = dialect_scratch_new();
	struct dialect_door door;
	struct callev_raw raw = { 0 };

	if (!s || door_read(account, req, s, &door) || keep_raw(req, &door, s, &raw))
		out->bad = true;
	else
		dead_letter(account, req, why, &raw, out);
	dialect_scratch_free(s);
}
