/* dead list, dead show: what could not be decoded or delivered, or came too late. */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/uuid.h"
#include "scan.h"

extern const struct cmd cmd_dead_list, cmd_dead_show;

struct dead {
	bool json, headed;
	const char *sink;             /* only of this one; NULL: all */
	const char *id;               /* only of this call, event, session or key; NULL: all */
	char call[UUID_TEXT_LEN + 1]; /* of an id that is ACCOUNT/SESSION; "" none */
	size_t found;
	struct buf row;
};

static const char *text_of(const json_t *letter, const char *key)
{
	const char *text = json_string_value(json_object_get(letter, key));

	return text ? text : "";
}

static bool is_wanted(const struct dead *dead, const json_t *letter, struct slice key)
{
	const char *id = text_of(letter, "id"), *session = text_of(letter, "call_session_id");

	if (dead->sink && strcmp(text_of(letter, "sink"), dead->sink) != 0)
		return false;
	return !dead->id || strcmp(id, dead->id) == 0 || strcmp(session, dead->id) == 0 ||
	       slice_is(key, dead->id) || (*dead->call && strcmp(id, dead->call) == 0);
}

#define LIST_LINE "%-24.24s  %-32.32s  %-16.16s  %-20.20s  %5s  %s"

static bool print_row(struct dead *dead, const json_t *letter)
{
	bool written = true;
	char tries[24];

	if (!dead->headed) {
		buf_printf(&dead->row, LIST_LINE, "at", "reason", "sink", "account", "tries", "id");
		written = scan_print_row(&dead->row);
	}
	dead->headed = true;
	snprintf(tries, sizeof(tries), "%lld",
		 (long long)json_integer_value(json_object_get(letter, "attempts")));
	buf_printf(&dead->row, LIST_LINE, text_of(letter, "at"), text_of(letter, "reason"),
		   text_of(letter, "sink"), text_of(letter, "account"), tries,
		   text_of(letter, "id"));
	return written && scan_print_row(&dead->row);
}

static int print_letter(struct dead *dead, const json_t *letter, struct slice json)
{
	if (dead->json)
		return scan_print(json) ? 0 : -EPIPE;
	if (!dead->id)
		return print_row(dead, letter) ? 0 : -EPIPE;
	json_dumpf(letter, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	return fflush(stdout) == 0 ? 0 : -EPIPE;
}

static int on_letter(void *arg, const struct log_msg *msg)
{
	struct dead *dead = arg;
	json_t *letter = msg->tombstone ? NULL : scan_parse(msg->value, "callstream.dead/1");
	int err = 0;

	if (letter && is_wanted(dead, letter, msg->key)) {
		dead->found++;
		err = print_letter(dead, letter, msg->value);
	}
	json_decref(letter);
	return err;
}

static int run_scan(const struct cmd_args *args, struct dead *dead)
{
	static const enum topic topics[] = { TOPIC_DEAD };
	struct scan scan = {
		.topics = topics, .topics_n = ARRAY_LEN(topics), .each = on_letter, .arg = dead
	};
	struct cfg *cfg;
	int code = scan_setup(args, &cfg, &scan.from_ms);

	if (code)
		return code;
	dead->json = cmd_opt(args, "--json") != NULL;
	code = scan_run(cfg, &scan);
	cfg_free(cfg);
	buf_fini(&dead->row);
	return code;
}

static int run_list(const struct cmd_args *args)
{
	struct dead dead = { .sink = cmd_opt(args, "--sink") };

	return run_scan(args, &dead);
}

static int run_show(const struct cmd_args *args)
{
	struct dead dead = { .id = args->words[0] };
	struct slice session = slice_of(dead.id), account = slice_cut(&session, '/');
	struct uuid call;
	int code;

	if (session.n) {
		uuid_of_call(account, session, &call);
		uuid_write(&call, dead.call);
	}
	code = run_scan(args, &dead);
	if (!code && dead.found == 0)
		return cmd_fail(EXIT_WRONG_INPUT,
				"no dead letter of %s in that time; --since looks further back",
				dead.id);
	return code;
}

#define NO_MORE                                                                                    \
	{                                                                                          \
		NULL, NULL, NULL, false                                                            \
	}

const struct cmd cmd_dead_list = {
	.name = "dead list",
	.operands = "",
	.summary = "dead letters: undecodable, undeliverable, too late",
	.opts = (const struct cmd_opt[]){ { "--json", NULL, "as they are, one a line", false },
					  { "--sink", "NAME", "only those of this sink", false },
					  SCAN_SINCE_OPT,
					  NO_MORE },
	.config = true,
	.run = run_list,
};

const struct cmd cmd_dead_show = {
	.name = "dead show",
	.operands = "ID",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "the dead letters of a call, an event or a session, whole",
	.detail = "ID is the id of a call or an event, the vendor's id of the session, or "
		  "ACCOUNT/SESSION.\nExit 1 when there is none in that time.",
	.opts = (const struct cmd_opt[]){ { "--json", NULL, "as they are, one a line", false },
					  SCAN_SINCE_OPT,
					  NO_MORE },
	.config = true,
	.run = run_show,
};
