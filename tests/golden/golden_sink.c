/*
 * golden_sink.c - each folder of golden/sink/KIND is one step and the exact bytes that go out
 *
 * step holds what is told and the sink's settings as `name: value` lines, record.json the record.
 * Beside them lies request (head lines, an empty line, the body) or refused, which is empty. They
 * were computed by other code than ours.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink/sink.h"
#include "unit/base/rows.h"

#define FOLDER    SOURCE_DIR "/tests/golden/sink"
#define CASES_MAX 128

struct golden {
	const struct sink_kind *kind;
	char name[256]; /* KIND/CASE */
};

static bool read_file(const struct golden *g, const char *file, struct buf *ret)
{
	char path[1024];
	FILE *f;

	snprintf(path, sizeof(path), FOLDER "/%s/%s", g->name, file);
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

struct parsed {
	struct cfg_sink cfg;
	struct sink_step step;
	int64_t at_ms;
	char *secret, *secret_previous;
};

static void read_setting(struct parsed *p, struct slice name, struct slice value)
{
	uint64_t number;

	if (slice_is(name, "call")) {
		p->step.call_id = value;
	} else if (slice_is(name, "revision")) {
		assert_int_equal(0, slice_u64(value, &number));
		p->step.revision = (uint32_t)number;
	} else if (slice_is(name, "at")) {
		assert_int_equal(0, time_iso_read(value, &p->at_ms));
	} else if (slice_is(name, "secret")) {
		p->secret = slice_dup(value);
	} else if (slice_is(name, "secret_previous")) {
		p->secret_previous = slice_dup(value);
	} else {
		fail_msg("setting %.*s", SLICE_ARG(name));
	}
}

static void read_step(struct slice text, struct parsed *p)
{
	while (text.n) {
		struct slice line = slice_cut(&text, '\n'), name = slice_cut(&line, ':');

		read_setting(p, name, slice_trim(line));
	}
	p->cfg.secret = p->secret ? p->secret : "";
	p->cfg.secret_previous = p->secret_previous ? p->secret_previous : "";
	p->cfg.url = p->cfg.path = "";
	p->step.sink = SLICE("golden");
	p->step.step = SLICE("record");
	p->step.attempt = 1;
}

static void check(void **state)
{
	const struct golden *g = *state;
	struct buf step = BUF_EMPTY, record = BUF_EMPTY, want = BUF_EMPTY, got = BUF_EMPTY;
	struct sink_request req = { .head = BUF_EMPTY, .body = BUF_EMPTY };
	struct parsed p = { .at_ms = 0 };
	bool goes_out;
	int err;

	assert_true(read_file(g, "step", &step) && read_file(g, "record.json", &record));
	goes_out = read_file(g, "request", &want);
	assert_true(goes_out || read_file(g, "refused", &want));
	read_step(buf_slice(&step), &p);
	p.step.record = buf_slice(&record);
	err = g->kind->format(&p.cfg, &p.step, p.at_ms, &req);
	assert_int_equal(goes_out ? 0 : -EINVAL, err);
	if (goes_out) {
		buf_printf(&got, "%.*s\n%.*s", SLICE_ARG(buf_slice(&req.head)),
			   SLICE_ARG(buf_slice(&req.body)));
		buf_add_char(&got, '\0');
		buf_add_char(&want, '\0');
		assert_string_equal(want.p, got.p);
	}
	sink_request_fini(&req);
	buf_fini(&step);
	buf_fini(&record);
	buf_fini(&want);
	buf_fini(&got);
	free(p.secret);
	free(p.secret_previous);
}

static size_t find_cases(struct golden *cases)
{
	size_t n = 0;

	for (size_t i = 0; sink_kinds[i]; i++) {
		char path[512];
		struct dirent *entry;
		size_t first = n;
		DIR *dir;

		snprintf(path, sizeof(path), FOLDER "/%s", sink_kinds[i]->name);
		dir = opendir(path);
		assert_non_null(dir); /* a kind has a folder */
		while ((entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			assert_true(n < CASES_MAX);
			cases[n].kind = sink_kinds[i];
			snprintf(cases[n].name, sizeof(cases[n].name), "%s/%.200s",
				 sink_kinds[i]->name, entry->d_name);
			n++;
		}
		closedir(dir);
		assert_true(n > first);
	}
	return n;
}

int main(void)
{
	static struct golden cases[CASES_MAX];
	static struct CMUnitTest tests[CASES_MAX];
	size_t n = find_cases(cases);

	for (size_t i = 0; i < n; i++)
		tests[i] = ROW_TEST(check, &cases[i]);
	return _cmocka_run_group_tests("sinks", tests, n, NULL, NULL);
}
