#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "call/deadletter.h"

static void expect(const struct deadletter *d, const char *want)
{
	struct buf out = BUF_EMPTY;

	deadletter_write(&out, d);
	buf_add_char(&out, '\0');
	assert_false(out.bad);
	assert_string_equal(out.p, want);
	buf_fini(&out);
}

static void all_members(void **state)
{
	const struct deadletter d = {
		.reason = SLICE("gave_up"),
		.account = SLICE("acme"),
		.id = SLICE("cd24a5f6-94c5-5d3b-8a07-b7bff8a2a32b"),
		.call_session_id = SLICE("S\"1"),
		.sink = SLICE("crm"),
		.attempts = 7,
		.at_ms = 0,
		.original = SLICE("{\"x\":[1]}"),
	};

	(void)state;
	expect(&d, "{\"schema\":\"callstream.dead/1\",\"reason\":\"gave_up\",\"account\":\"acme\","
		   "\"id\":\"cd24a5f6-94c5-5d3b-8a07-b7bff8a2a32b\","
		   "\"call_session_id\":\"S\\\"1\",\"sink\":\"crm\",\"attempts\":7,"
		   "\"at\":\"1970-01-01T00:00:00.000Z\",\"original\":{\"x\":[1]}}");
}

static void the_least(void **state)
{
	const struct deadletter d = { .reason = SLICE("late"), .at_ms = TIME_NONE };

	(void)state;
	expect(&d, "{\"schema\":\"callstream.dead/1\",\"reason\":\"late\",\"original\":{}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_members),
		cmocka_unit_test(the_least),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
