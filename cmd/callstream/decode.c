/*
 * decode.c - `callstream decode`: one webhook request from standard input to canonical events
 *
 * Refuses what ingest would refuse, in the same order; nothing is sent anywhere. The sender's
 * address is not known here: where an account has networks but no token, everybody may come in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd.h"
#include "dialect/dialect.h"
#include "wire/json_out.h"

static int out_of_memory(void)
{
	return cmd_fail(EXIT_WRONG_INPUT, "out of memory");
}

/* ---- the request, from the command line ---- */

static int read_header(const char *text, struct vendor_request *req)
{
	struct slice value = slice_of(text), name;

	if (slice_find(value, ':') == value.n)
		return cmd_fail(EXIT_WRONG_USAGE, "--header %s: 'Name: value' wanted", text);
	name = slice_trim(slice_cut(&value, ':'));
	value = slice_trim(value);
	if (slice_eq_nocase(name, SLICE("Content-Type")))
		req->content_type = value;
	else if (slice_eq_nocase(name, SLICE("Signature")))
		req->signature = value;
	return 0;
}

static int read_args(const struct cmd_args *args, struct vendor_request *req)
{
	const char *method = cmd_opt(args, "--method");
	const char *received = cmd_opt(args, "--received-at");

	req->query = slice_of(cmd_opt(args, "--path"));
	req->path = slice_cut(&req->query, '?');
	req->method = slice_of(method ? method : "POST");
	req->received_at_ms = clock_wall_ms();
	if (received && time_iso_read(slice_of(received), &req->received_at_ms))
		return cmd_fail(EXIT_WRONG_USAGE,
				"--received-at %s: a time like 2026-03-14T10:15:02.000Z wanted",
				received);
	for (size_t i = 0; i < args->given_n; i++) {
		const struct cmd_given *given = &args->given[i];
		int err = 0;

		if (slice_is(slice_of(given->opt->name), "--header"))
			err = read_header(given->value, req);
		if (err)
			return err;
	}
	return 0;
}

/* Standard input, but no more than one byte past the limit. 0 or an exit code. */
static int read_body(struct buf *body, size_t bytes_max)
{
	ssize_t got = 1;

	while (got && body->n <= bytes_max) {
		size_t room = MIN(bytes_max + 1 - body->n, (size_t)64 << 10);

		if (!buf_reserve(body, room))
			return out_of_memory();
		got = read(STDIN_FILENO, body->p + body->n, room);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cmd_fail(EXIT_WRONG_INPUT, "standard input: %s", strerror(errno));
		body->n += (size_t)got;
	}
	return 0;
}

/* ---- the answer ---- */

static int print_refused(struct buf *out, int status, const char *why)
{
	struct json_out j = jo_make(out);

	jo_begin_object(&j);
	JO_KEY(&j, "refused");
	jo_int(&j, status);
	JO_KEY(&j, "error");
	jo_text(&j, slice_of(why));
	jo_end_object(&j);
	return EXIT_WRONG_INPUT;
}

static int print_dead(struct buf *out, const char *why)
{
	struct json_out j = jo_make(out);

	jo_begin_object(&j);
	JO_KEY(&j, "dead");
	jo_text(&j, slice_of(why));
	jo_end_object(&j);
	return EXIT_WRONG_INPUT;
}

static int print_result(const struct dialect_result *res, struct buf *out)
{
	switch (res->verdict) {
	case DIALECT_EVENT:
		callev_write(out, &res->ev);
		return EXIT_DONE;
	case DIALECT_ECHO:
		buf_add_slice(out, res->reply);
		return EXIT_DONE;
	case DIALECT_DEAD:
		return print_dead(out, res->why);
	case DIALECT_REFUSED:
		return print_refused(out, res->status, res->why);
	case DIALECT_NOTHING:
		break;
	}
	return EXIT_DONE;
}

/* The order of ingest: 404, 405, 413, then what the dialect says (rules.md 3). */
static int answer(const struct cfg_account *account, const struct vendor_request *req,
		  size_t body_bytes_max, struct buf *out)
{
	struct dialect_scratch *scratch = dialect_scratch_new();
	struct dialect_result res;
	int code;

	if (!scratch || dialect_decode(account, req, scratch, &res))
		code = out_of_memory();
	else if (req->body.n > body_bytes_max &&
		 !(res.verdict == DIALECT_REFUSED && res.status == 405))
		code = print_refused(out, 413, "body too large");
	else
		code = print_result(&res, out);
	dialect_scratch_free(scratch);
	return code;
}

static int decode(const struct cmd_args *args, const struct cfg *cfg, struct vendor_request *req,
		  struct buf *body, struct buf *out)
{
	const char *name = cmd_opt(args, "--account");
	const struct cfg_account *account = cfg_account(cfg, slice_of(name));
	int code = 0;

	if (!account)
		return print_refused(out, 404, "unknown account");
	if (!dialect_find(slice_of(account->source)))
		return cmd_fail(EXIT_WRONG_INPUT, "account %s: source %s is not in this version",
				name, account->source);
	if (!slice_is(req->method, "GET") || !isatty(STDIN_FILENO))
		code = read_body(body, cfg->ingest.body_bytes_max);
	if (code)
		return code;
	req->body = buf_slice(body);
	return answer(account, req, cfg->ingest.body_bytes_max, out);
}

static int print(struct buf *out, int code)
{
	if (out->n)
		buf_add_char(out, '\n');
	if (out->bad)
		return out_of_memory();
	if (out->n && (fwrite(out->p, 1, out->n, stdout) != out->n || fflush(stdout)))
		return cmd_fail(EXIT_WRONG_INPUT, "standard output: %s", strerror(errno));
	return code;
}

static int run(const struct cmd_args *args)
{
	struct buf body = BUF_EMPTY, out = BUF_EMPTY;
	struct vendor_request req = { 0 };
	struct cfg *cfg = NULL;
	int code;

	if (!cmd_opt(args, "--account"))
		return cmd_fail(EXIT_WRONG_USAGE, "decode: --account NAME is needed");
	code = read_args(args, &req);
	if (code)
		return code;
	code = cmd_load_config(args, &cfg);
	if (code)
		return code;
	code = print(&out, decode(args, cfg, &req, &body, &out));
	buf_fini(&body);
	buf_fini(&out);
	cfg_free(cfg);
	return code;
}

static const struct cmd_opt opts[] = {
	{ "--account", "NAME", "the account that the request is for", false },
	{ "--path", "SUFFIX[?QUERY]", "what follows /hooks/NAME, the token in it", false },
	{ "--method", "M", "POST (default) or GET", false },
	{ "--header", "'K: V'", "a header of the request", true },
	{ "--received-at", "TIME", "when it came, instead of now", false },
	{ "--json", NULL, "JSON, as without it", false },
	{ NULL, NULL, NULL, false },
};

const struct cmd cmd_decode = {
	.name = "decode",
	.operands = "",
	.summary = "one webhook request on standard input, as canonical events",
	.detail =
	    "Prints each event as a JSON line. Exit 1 with {\"refused\":STATUS,\"error\":...} for "
	    "a\n"
	    "request that ingest would refuse, with {\"dead\":REASON} for an authentic one that\n"
	    "cannot be decoded. No network and no Kafka; the sender's address is not checked.",
	.opts = opts,
	.config = true,
	.run = run,
};
