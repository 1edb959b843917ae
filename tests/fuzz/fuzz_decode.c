/*
 * fuzz_decode.c - whole requests: an event that can be written and read back, or a reason
 *
 * The input is like the golden request.http, without headers: "METHOD target", an empty line, the
 * body; without an empty line all of it is the body of a POST.
 */
#include <stdlib.h>

#include "dialect/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cfg_employee employees[] = { { "48213", "101", "Whitfield Dana" } };
static struct cfg_account account = {
	.name = "acme",
	.source = "callgear",
	.token = "s3cret-7f20c1a9",
	.token_previous = "older-55e1d0b2",
	.keep_raw = true,
	.employees = employees,
	.employees_n = ARRAY_LEN(employees),
};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static struct vendor_request request_of(struct slice input)
{
	struct vendor_request req = { .method = SLICE("POST"),
				      .path = SLICE("/s3cret-7f20c1a9"),
				      .body = input,
				      .received_at_ms = INT64_C(1742282400000) };
	const char *end = input.n ? memmem(input.p, input.n, "\n\n", 2) : NULL;
	struct slice head;

	if (!end)
		return req;
	head = slice_make(input.p, (size_t)(end - input.p));
	req.body = slice_skip(input, head.n + 2);
	req.method = slice_cut(&head, ' ');
	req.query = slice_cut(&head, ' ');
	req.path = slice_cut(&req.query, '?');
	return req;
}

static void check_event(const struct dialect_result *res)
{
	struct callev_parser *parser = callev_parser_new();
	struct buf json = BUF_EMPTY;
	struct parse_error error;
	struct callev back;

	callev_write(&json, &res->ev);
	check(parser && !json.bad && slice_is_utf8(buf_slice(&json)));
	check(callev_parse(parser, buf_slice(&json), &back, &error) == 0);
	check(uuid_eq(&back.id, &res->ev.id) && back.kind == res->ev.kind);
	check(slice_eq(back.call_session_id, res->ev.call_session_id));
	check(back.leg_ids_n == res->ev.leg_ids_n && back.tags_n == res->ev.tags_n);
	buf_fini(&json);
	callev_parser_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of exactly this size: a read past the end is seen. */
	char *copy = malloc(size ? size : 1);
	struct vendor_request req;
	static struct dialect_scratch *scratch;
	struct dialect_result res;
	struct buf dead = BUF_EMPTY;

	if (!scratch) {
		scratch = dialect_scratch_new();
		check(scratch && !tz_load("Europe/London", &account.tz));
	}
	check(copy != NULL);
	if (size)
		memcpy(copy, data, size);
	req = request_of(slice_make(copy, size));
	check(dialect_decode(&account, &req, scratch, &res) == 0);
	if (res.verdict == DIALECT_EVENT) {
		check_event(&res);
	} else {
		check(res.why && res.why[0]);
		dialect_dead_letter(&account, &req, res.why, &dead);
		check(!dead.bad && slice_is_utf8(buf_slice(&dead)));
		buf_fini(&dead);
	}
	free(copy);
	return 0;
}
