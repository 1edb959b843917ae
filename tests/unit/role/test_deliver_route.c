/* Which sinks are told about a record, and which revisions are settled. */
#include "../base/rows.h"

#include <stdlib.h>

#include "role/deliver_route.h"
#include "role/deliver_told.h"

#define CALL "11111111-1111-5111-8111-111111111111"

/* Sorted by name, as a loaded config has them. */
static struct cfg_sink sinks[] = {
	{ .name = "archive", .kind = "file" },
	{ .name = "complete", .kind = "webhook", .send = CFG_SEND_COMPLETE },
	{ .name = "every", .kind = "webhook", .send = CFG_SEND_DEFAULT },
	{ .name = "first", .kind = "webhook", .send = CFG_SEND_FIRST },
	{ .name = "later", .kind = "planfix" },
};

#define TEXTS(...)                                                                                 \
	{                                                                                          \
		(const char *[]){ __VA_ARGS__ }, ARRAY_LEN(((const char *[]){ __VA_ARGS__ }))      \
	}
#define IN_OUT (CFG_DIRECTION_IN | CFG_DIRECTION_OUT)

static struct cfg_route routes[] = {
	{ .account = "acme", .directions = IN_OUT, .sinks = TEXTS("every", "first") },
	{ .account = "lines",
	  .directions = IN_OUT,
	  .lines = TEXTS("84951234567", "sip:Desk@pbx.example"),
	  .sinks = TEXTS("every") },
	{ .account = "acme", .directions = CFG_DIRECTION_INTERNAL, .sinks = TEXTS("archive") },
	{ .account = "acme",
	  .directions = CFG_DIRECTION_OUT,
	  .outcomes = TEXTS("busy", "no_answer"),
	  .sinks = TEXTS("every", "complete") },
	{ .account = "relayed", .directions = IN_OUT, .relay = true, .sinks = TEXTS("every") },
	{ .account = "unbuilt", .directions = IN_OUT, .sinks = TEXTS("later") },
};

static const struct cfg cfg = {
	.numbers_country = "RU",
	.sinks = sinks,
	.sinks_n = ARRAY_LEN(sinks),
	.routes = routes,
	.routes_n = ARRAY_LEN(routes),
};

struct route_row {
	const char *name;
	struct routed record;
	const char *want; /* names of sinks, a blank behind each */
	bool matched;
};

#define RECORD(acc, dir, out, ...)                                                                 \
	{                                                                                          \
		.account = SLICE_INIT(acc), .direction = dir, .outcome = SLICE_INIT(out),          \
		.revision = 1, __VA_ARGS__                                                         \
	}

static const struct route_row route_rows[] = {
	{ "first revision", RECORD("acme", DIRECTION_IN, "answered"), "every first ", true },
	{ "a later one",
	  { .account = SLICE_INIT("acme"), .direction = DIRECTION_IN, .revision = 2 },
	  "every ",
	  true },
	{ "two routes, each sink once, not complete", RECORD("acme", DIRECTION_OUT, "busy"),
	  "every first ", true },
	{ "complete", RECORD("acme", DIRECTION_OUT, "busy", .complete = true),
	  "every first complete ", true },
	{ "another outcome", RECORD("acme", DIRECTION_OUT, "answered", .complete = true),
	  "every first ", true },
	{ "internal only where it is named", RECORD("acme", DIRECTION_INTERNAL, "answered"),
	  "archive ", true },
	{ "internal and not named",
	  RECORD("lines", DIRECTION_INTERNAL, "answered", .line = SLICE_INIT("84951234567")), "",
	  false },
	{ "a line written with 7 for 8",
	  RECORD("lines", DIRECTION_IN, "answered", .line = SLICE_INIT("74951234567")), "every ",
	  true },
	{ "another line",
	  RECORD("lines", DIRECTION_IN, "answered", .line = SLICE_INIT("74951234568")), "", false },
	{ "no line", RECORD("lines", DIRECTION_IN, "answered"), "", false },
	{ "a SIP address",
	  RECORD("lines", DIRECTION_IN, "answered", .line = SLICE_INIT("sip:desk@PBX.example")),
	  "every ", true },
	{ "no direction", RECORD("acme", DIRECTION_NONE, "answered"), "every first ", true },
	{ "unknown account", RECORD("nobody", DIRECTION_IN, "answered"), "", false },
	{ "account before all others", RECORD("a", DIRECTION_IN, "answered"), "", false },
	{ "account behind all others", RECORD("zz", DIRECTION_IN, "answered"), "", false },
	{ "a relay route takes no records", RECORD("relayed", DIRECTION_IN, "answered"), "",
	  false },
	{ "a kind that this version lacks", RECORD("unbuilt", DIRECTION_IN, "answered"), "",
	  false },
	{ "the first leg of a callback",
	  RECORD("acme", DIRECTION_IN, "answered", .callback_leg = true), "", false },
};

static void check_route(void **state)
{
	const struct route_row *row = *state;
	const struct cfg_sink *const *found;
	struct buf got = BUF_EMPTY;
	struct routes *r;
	bool matched;
	size_t n;

	assert_int_equal(0, routes_new(&cfg, &r));
	n = routes_match(r, &row->record, &found, &matched);
	for (size_t i = 0; i < n; i++)
		buf_printf(&got, "%s ", found[i]->name);
	buf_add_char(&got, '\0');
	assert_string_equal(row->want, got.p);
	assert_int_equal(row->matched, matched);
	buf_fini(&got);
	routes_free(r);
}

struct line_row {
	const char *name, *country, *a, *b;
	bool same;
};

static const struct line_row line_rows[] = {
	{ "equal", "", "74951234567", "74951234567", true },
	{ "7 and 8 in Russia", "RU", "84951234567", "74951234567", true },
	{ "7 and 8 in Kazakhstan", "KZ", "87011234567", "77011234567", true },
	{ "7 and 8 elsewhere", "DE", "84951234567", "74951234567", false },
	{ "7 and 8 of another length", "RU", "8495123", "7495123", false },
	{ "as people write it", "RU", "8 (495) 123-45-67", "+74951234567", true },
	{ "absent", "RU", "", "", false },
	{ "addresses without case", "", "SIP:a@b", "sip:A@b", true },
	{ "an address is no number", "RU", "sip:74951234567@x", "74951234567", false },
};

static void check_line(void **state)
{
	const struct line_row *row = *state;

	assert_int_equal(row->same,
			 line_same(slice_of(row->country), slice_of(row->a), slice_of(row->b)));
}

static void a_line_of_any_length(void **state UNUSED)
{
	char a[4000];

	memset(a, '7', sizeof(a));
	assert_true(line_same(SLICE("RU"), slice_make(a, sizeof(a)), slice_make(a, sizeof(a))));
	assert_false(line_same(SLICE("RU"), slice_make(a, sizeof(a)), SLICE("7")));
}

static void keys_of_tasks(void **state UNUSED)
{
	struct cfg_sink sharded = { .name = "crm", .shards = 4 }, whole = { .name = "crm" };
	struct buf a = BUF_EMPTY, b = BUF_EMPTY;

	route_key(&whole, SLICE(CALL), &a);
	assert_true(slice_is(buf_slice(&a), "crm"));
	buf_reset(&a);
	route_key(&sharded, SLICE(CALL), &a);
	route_key(&sharded, SLICE(CALL), &b);
	assert_true(slice_is(buf_slice(&a), "crm/1"));
	assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
	buf_fini(&a);
	buf_fini(&b);
}

/* ---- told ---- */

static void what_was_told(void **state UNUSED)
{
	struct told told;

	told_init(&told, 100);
	assert_false(told_has(&told, 7, 1));
	told_put(&told, 7, 2, false);
	assert_true(told_has(&told, 7, 1));
	assert_true(told_has(&told, 7, 2));
	assert_false(told_has(&told, 7, 3));
	told_put(&told, 7, 3, true);
	assert_true(told_has(&told, 7, 2));
	assert_false(told_has(&told, 7, 3)); /* refused: it may come again */
	told_put(&told, 0, 1, false);        /* also a hash */
	assert_true(told_has(&told, 0, 1));
	told_fini(&told);
}

static void the_oldest_are_forgotten(void **state UNUSED)
{
	struct told told;

	told_init(&told, 1000);
	for (uint64_t i = 1; i <= 10000; i++)
		told_put(&told, i * 0x9e3779b97f4a7c15u, 1, false);
	for (uint64_t i = 9001; i <= 10000; i++)
		assert_true(told_has(&told, i * 0x9e3779b97f4a7c15u, 1));
	assert_false(told_has(&told, 1 * 0x9e3779b97f4a7c15u, 1));
	assert_true(told.young.n <= 1000 && told.old.n <= 1000);
	told_fini(&told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_of_any_length),
		cmocka_unit_test(keys_of_tasks),
		cmocka_unit_test(what_was_told),
		cmocka_unit_test(the_oldest_are_forgotten),
	};

	return RUN_ROWS("routes", check_route, route_rows) +
	       RUN_ROWS("lines", check_line, line_rows) + cmocka_run_group_tests(tests, NULL, NULL);
}
