/*
 * golden_callgear.c - each folder of golden/callgear is one request and what must come of it
 *
 * request.http holds the request as on the wire, its body everything behind the first empty line;
 * two headers are ours: Received-At, and Peer where the sender's address is known. Beside it lies
 * one of event.json (the event's line), refused.json and dead.json, as `callstream decode` prints
 * them. They were written from the vendor's documents and an independent reader, never by this
 * program.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "dialect/dialect.h"
#include "unit/base/rows.h"

#define FOLDER    SOURCE_DIR "/tests/golden/callgear"
#define CASES_MAX 512

static struct cfg *cfg;

struct golden {
	const struct cfg_account *account;
	struct vendor_request req;
	struct buf file;
};

static bool read_file(const char *name, const char *file, struct buf *ret)
{
	char path[1024];
	FILE *f;

	snprintf(path, sizeof(path), FOLDER "/%s/%s", name, file);
	f = fopen(path, "rb");
	if (!f)
		return false;
	do {
		assert_true(buf_reserve(ret, 4096));
		ret->n += fread(ret->p + ret->n, 1, 4096, f);
	} while (!feof(f) && !ferror(f));
	fclose(f);
	return true;
}

static void read_header(struct golden *g, struct slice line)
{
	struct slice name = slice_cut(&line, ':'), value = slice_trim(line);

	if (slice_is(name, "Content-Type"))
		g->req.content_type = value;
	else if (slice_is(name, "Peer"))
		g->req.peer = value;
	else if (slice_is(name, "Received-At"))
		assert_int_equal(time_iso_read(value, &g->req.received_at_ms), 0);
	else
		fail_msg("header %.*s", SLICE_ARG(name));
}

/* "/hooks/NAME/suffix?query" */
static void read_target(struct golden *g, struct slice target)
{
	struct slice name;

	assert_true(slice_starts(target, SLICE("/hooks/")));
	g->req.path = slice_skip(target, strlen("/hooks/"));
	g->req.query = g->req.path;
	g->req.path = slice_cut(&g->req.query, '?');
	name = slice_head(g->req.path, slice_find(g->req.path, '/'));
	g->req.path = slice_skip(g->req.path, name.n);
	g->account = cfg_account(cfg, name);
	assert_non_null(g->account);
}

static void read_request(const char *name, struct golden *g)
{
	struct slice rest, line;

	assert_true(read_file(name, "request.http", &g->file));
	rest = buf_slice(&g->file);
	line = slice_cut(&rest, '\n');
	g->req.method = slice_cut(&line, ' ');
	read_target(g, slice_cut(&line, ' '));
	while ((line = slice_cut(&rest, '\n')).n)
		read_header(g, line);
	g->req.body = rest;
}

static void print_result(const struct dialect_result *res, const char **ret_file, struct buf *out)
{
	if (res->verdict == DIALECT_EVENT) {
		*ret_file = "event.json";
		callev_write(out, &res->ev);
	} else if (res->verdict == DIALECT_DEAD) {
		*ret_file = "dead.json";
		buf_printf(out, "{\"dead\":\"%s\"}", res->why);
	} else {
		assert_int_equal(res->verdict, DIALECT_REFUSED);
		*ret_file = "refused.json";
		buf_printf(out, "{\"refused\":%d,\"error\":\"%s\"}", res->status, res->why);
	}
	buf_add_char(out, '\n');
}

static void check(void **state)
{
	const char *name = *state, *file = NULL;
	struct golden g = { 0 };
	struct dialect_scratch *scratch = dialect_scratch_new();
	struct dialect_result res;
	struct buf got = BUF_EMPTY, want = BUF_EMPTY;

	assert_non_null(scratch);
	read_request(name, &g);
	assert_int_equal(dialect_decode(g.account, &g.req, scratch, &res), 0);
	print_result(&res, &file, &got);
	if (!read_file(name, file, &want))
		fail_msg("no %s, but: %.*s", file, SLICE_ARG(buf_slice(&got)));
	if (!slice_eq(buf_slice(&got), buf_slice(&want)))
		fail_msg("\nwant %.*sgot  %.*s", SLICE_ARG(buf_slice(&want)),
			 SLICE_ARG(buf_slice(&got)));
	buf_fini(&got);
	buf_fini(&want);
	buf_fini(&g.file);
	dialect_scratch_free(scratch);
}

static int by_name(const void *a, const void *b)
{
	const struct CMUnitTest *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static size_t list_cases(struct CMUnitTest *tests)
{
	DIR *dir = opendir(FOLDER);
	struct dirent *entry;
	size_t n = 0;

	while (dir && n < CASES_MAX && (entry = readdir(dir))) {
		char *name;

		if (strchr(entry->d_name, '.')) /* files, and the folder itself */
			continue;
		name = strdup(entry->d_name);
		tests[n++] =
		    (struct CMUnitTest){ .name = name, .test_func = check, .initial_state = name };
	}
	if (dir)
		closedir(dir);
	qsort(tests, n, sizeof(*tests), by_name);
	return n;
}

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX];
	struct buf problems = BUF_EMPTY;
	size_t n = list_cases(tests);
	int failed = 1;

	if (cfg_load(FOLDER "/config.yaml", &cfg, &problems) || n < 60)
		fprintf(stderr, "%zu cases\n%.*s", n, SLICE_ARG(buf_slice(&problems)));
	else
		failed = _cmocka_run_group_tests("CallGear's requests", tests, n, NULL, NULL);
	for (size_t i = 0; i < n; i++)
		free(tests[i].initial_state);
	cfg_free(cfg);
	buf_fini(&problems);
	return failed != 0;
}
