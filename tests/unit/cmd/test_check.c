/* `callstream check`: what it prints, and how it ends. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd.h"
#include "unit/base/rows.h"

extern const struct cmd cmd_check;
const struct cmd *const commands[] = { &cmd_check, NULL };

static char path[] = "/tmp/test-check-XXXXXX";

static const struct check_row {
	const char *name, *text;
	int code;
	const char *printed; /* %s is the file */
} check_rows[] = {
	{ "right", "drain: 1s\n", 0, "%s: ok\n" },
	{ "a warning", "redis: {}\n", 0, "%s:1: redis: warning: not in this version\n%s: ok\n" },
	{ "two errors", "drain: x\nlgo: {}\nredis: {}\n", 1,
	  "%s:1: drain: \"x\" is no duration like 250ms, 5s, 10m, 4h, 30d, allowed: 0s to 1h\n"
	  "%s:2: lgo: unknown key (did you mean log?), allowed: kafka, redis, admin, log, drain, "
	  "numbers, ingest, correlate, deliver, record, sip, board, alerts, accounts, sinks, "
	  "routes\n"
	  "%s:3: redis: warning: not in this version\n" },
	{ "properties", "kafka: {properties: {linger.ms: 5, socket.keepalive.enable: true}}\n", 0,
	  "%s: ok\n" },
};

static char out[8000];

/* Exit code; what it prints is in out. */
static int check(bool as_word)
{
	const char *word = path;
	struct cmd_opt config = { "--config", "FILE", "", false };
	struct cmd_given given = { &config, path };
	struct cmd_args args = { &cmd_check, &word, as_word, &given, !as_word };
	FILE *file = tmpfile();
	int saved = dup(STDOUT_FILENO), code;

	assert_non_null(file);
	fflush(stdout);
	assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
	code = cmd_check.run(&args);
	fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
	rewind(file);
	out[fread(out, 1, sizeof(out) - 1, file)] = '\0';
	fclose(file);
	return code;
}

static void write_config(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void checked(void **state)
{
	const struct check_row *row = *state;
	char want[2000];

	write_config(row->text);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(want, sizeof(want), row->printed, path, path, path);
#pragma GCC diagnostic pop
	assert_int_equal(check(true), row->code);
	assert_string_equal(out, want);
	assert_int_equal(check(false), row->code);
	assert_string_equal(out, want);
}

/* What librdkafka refuses is told with its line, each of it; the words are lib/log's. */
static void properties(void **state)
{
	char want[100];

	(void)state;
	write_config("kafka:\n  properties:\n    linger.ms: 5\n    no.such: 1\n    group.id: x\n");
	assert_int_equal(check(true), 1);
	snprintf(want, sizeof(want), "%s:4: kafka.properties.no.such: ", path);
	assert_non_null(strstr(out, want));
	snprintf(want, sizeof(want), "%s:5: kafka.properties.group.id: ", path);
	assert_non_null(strstr(out, want));
	assert_null(strstr(out, "linger.ms"));
}

/* Not only where all the rest is right. */
static void properties_beside_other_errors(void **state)
{
	char want[100];

	(void)state;
	write_config("drain: x\nkafka:\n  properties: {no.such: 1}\n");
	assert_int_equal(check(true), 1);
	assert_non_null(strstr(out, ":1: drain: "));
	snprintf(want, sizeof(want), "%s:3: kafka.properties.no.such: ", path);
	assert_non_null(strstr(out, want));
	write_config("kafka: {brokers: [a], properties: {no.such: 1}}\n");
	assert_int_equal(check(true), 1);
	write_config("kafka: [\n");
	assert_int_equal(check(true), 1);
}

static void no_file(void **state)
{
	(void)state;
	unlink(path);
	assert_int_equal(check(true), 1);
	assert_non_null(strstr(out, ":1: file: cannot be read: No such file or directory"));
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(properties),
		cmocka_unit_test(properties_beside_other_errors),
		cmocka_unit_test(no_file),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = RUN_ROWS("check", checked, check_rows);
	failed += cmocka_run_group_tests_name("check, other ways", single, NULL, NULL);
	return failed != 0;
}
