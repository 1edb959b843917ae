/*
 * Each folder of record/ is a call: events.jsonl, the record they make, and in `how` what the
 * account and the table add (recordings, closed_by, record_role, recording_wait_over).
 * With CALLSTREAM_GOLDEN_WRITE set the records are written anew; read the difference before you
 * believe it.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/call/fold_case.h"

#define FOLDER    SOURCE_DIR "/tests/golden/record"
#define CASES_MAX 200

static struct slice read_file(const char *name, const char *file, struct buf *into)
{
	char path[512], piece[4096];
	FILE *in;
	size_t n;

	buf_reset(into);
	snprintf(path, sizeof(path), "%s/%s/%s", FOLDER, name, file);
	in = fopen(path, "rb");
	while (in && (n = fread(piece, 1, sizeof(piece), in)) > 0)
		buf_add(into, piece, n);
	if (in)
		fclose(in);
	return buf_slice(into);
}

static enum closed_by closed_by_read(struct slice text)
{
	for (int i = 0; i < CLOSED_BY_N; i++) {
		if (slice_is(text, closed_by_text(i)))
			return (enum closed_by)i;
	}
	fail_msg("closed_by: %.*s", SLICE_ARG(text));
	return CLOSED_NOT;
}

static void read_how(struct fold_in *in, struct slice how)
{
	while (how.n) {
		struct slice value = slice_cut(&how, '\n');
		struct slice key = slice_cut(&value, '=');

		if (slice_is(key, "closed_by"))
			in->closed_by = closed_by_read(value);
		else if (slice_is(key, "recordings"))
			in->recordings = slice_is(value, "always")  ? CFG_RECORDINGS_ALWAYS
					 : slice_is(value, "never") ? CFG_RECORDINGS_NEVER
								    : CFG_RECORDINGS_ANNOUNCED;
		else if (slice_is(key, "record_role"))
			in->record_role = slice_is(value, "yes");
		else if (slice_is(key, "recording_wait_over"))
			in->recording_wait_over = slice_is(value, "yes");
		else
			fail_msg("how: %.*s", SLICE_ARG(key));
	}
}

static void write_again(const char *name, struct slice record)
{
	char path[512];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s/record.json", FOLDER, name);
	out = fopen(path, "wb");
	assert_non_null(out);
	fwrite(record.p, 1, record.n, out);
	fclose(out);
}

static void check(void **state)
{
	const char *name = *state;
	struct buf events = BUF_EMPTY, want = BUF_EMPTY, how = BUF_EMPTY, got = BUF_EMPTY;
	struct slice lines = read_file(name, "events.jsonl", &events);
	struct fold_case c;
	struct record rec;

	fold_case_init(&c);
	read_how(&c.in, read_file(name, "how", &how));
	while (lines.n)
		fold_case_add(&c, slice_cut(&lines, '\n'));
	assert_int_equal(fold_case_fold(&c, &rec), 0);
	rec.revision = 1;
	record_write(&got, &rec);
	buf_add_char(&got, '\n');
	if (getenv("CALLSTREAM_GOLDEN_WRITE"))
		write_again(name, buf_slice(&got));
	read_file(name, "record.json", &want);
	buf_add_char(&got, '\0');
	buf_add_char(&want, '\0');
	assert_string_equal(got.p, want.p);
	fold_case_fini(&c);
	buf_fini(&events);
	buf_fini(&want);
	buf_fini(&how);
	buf_fini(&got);
}

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX];
	struct dirent **names;
	int names_n = scandir(FOLDER, &names, NULL, alphasort), failed;
	size_t n = 0;

	if (names_n < 0)
		return 1;
	for (int i = 0; i < names_n; i++) {
		if (names[i]->d_name[0] != '.' && n < CASES_MAX)
			tests[n++] = (struct CMUnitTest){ .name = names[i]->d_name,
							  .test_func = check,
							  .initial_state = names[i]->d_name };
	}
	failed = n == 0 || _cmocka_run_group_tests("golden_record", tests, n, NULL, NULL);
	for (int i = 0; i < names_n; i++)
		free(names[i]);
	free(names);
	return failed;
}
