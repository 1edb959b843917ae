/*
 * The allocation sweep of the config: the first, second, third ... allocation fails until all
 * succeed. What allocates is built in here, on allocators that count; no copy of the library's is
 * linked then. (libyaml's own memory is not counted.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#include <stdbool.h>
#include <stdio.h>

static size_t allocations_left = SIZE_MAX;

static bool allocation_fails(void)
{
	if (allocations_left == 0)
		return true;
	allocations_left--;
	return false;
}

static void *counted_malloc(size_t n)
{
	return allocation_fails() ? NULL : malloc(n);
}

static void *counted_calloc(size_t n, size_t size)
{
	return allocation_fails() ? NULL : calloc(n, size);
}

static void *counted_realloc(void *p, size_t n)
{
	return allocation_fails() ? NULL : realloc(p, n);
}

#define malloc  counted_malloc
#define calloc  counted_calloc
#define realloc counted_realloc
#include "../../../lib/base/buf.c"
#include "../../../lib/base/cfg.c"
#include "../../../lib/base/cfg_mem.c"
#include "../../../lib/base/tz.c"
#undef malloc
#undef calloc
#undef realloc

/* Enough of everything that each part needs memory of its own. */
static void make_config(struct buf *out, bool wrong)
{
	buf_add_text(out, "kafka: {properties: {a: b, sasl.password: \"${TEST_SWEEP}\"}}\n"
			  "ingest: {trusted_proxies: [10.0.0.0/8, 10.0.0.1]}\naccounts:\n");
	for (int i = 0; i < 40; i++) {
		buf_printf(
		    out,
		    "  - {name: account-%d, source: callgear, timezone: %s, recordings: never,\n"
		    "     token: \"${TEST_SWEEP}-%d\", api: {host: h}, employees: [{id: "
		    "\"%d\"}]}\n",
		    i, i % 2 ? "Europe/Moscow" : "Europe/Berlin", i, i);
	}
	buf_add_text(
	    out, "sinks: [{name: s, kind: webhook, url: \"https://h/\", secret: x}]\nroutes:\n");
	for (int i = 0; i < 40; i++)
		buf_printf(out, "  - {account: account-%d, sinks: [s], lines: [\"%d\"]}\n", i, i);
	for (int i = 0; wrong && i < 40; i++)
		buf_printf(out, "  - {acount: account-%d, sinks: [t]}\n", i);
}

/* Until all succeed: out of memory each time, and nothing leaks. */
static void sweep(bool wrong, int want)
{
	struct buf text = BUF_EMPTY;
	int err = -ENOMEM;
	size_t n;

	make_config(&text, wrong);
	assert_false(text.bad);
	for (n = 0; err == -ENOMEM; n++) {
		struct buf problems = BUF_EMPTY;
		struct cfg *cfg = NULL;

		allocations_left = n;
		err = cfg_parse("f", buf_slice(&text), &cfg, &problems);
		allocations_left = SIZE_MAX;
		assert_int_equal(cfg != NULL, err == 0);
		cfg_free(cfg);
		buf_fini(&problems);
	}
	assert_int_equal(err, want);
	assert_true(n > 20);
	buf_fini(&text);
}

static void right(void **state)
{
	(void)state;
	sweep(false, 0);
}

static void wrong_ones(void **state)
{
	(void)state;
	sweep(true, -EINVAL);
}

static void zone(void **state)
{
	struct tz *tz = NULL;
	int err = -ENOMEM;

	(void)state;
	for (size_t n = 0; err == -ENOMEM; n++) {
		allocations_left = n;
		err = tz_load("Europe/Berlin", &tz);
		allocations_left = SIZE_MAX;
	}
	assert_int_equal(err, 0);
	tz_free(tz);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(right),
		cmocka_unit_test(wrong_ones),
		cmocka_unit_test(zone),
	};

	setenv("TEST_SWEEP", "hush", 1);
	return cmocka_run_group_tests_name("config without memory", tests, NULL, NULL);
}
