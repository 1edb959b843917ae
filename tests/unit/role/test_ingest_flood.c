/* Buckets of refusals: who gets how many, and who shares one. */
#include <stdio.h>

#include "role/ingest_flood.h"
#include "unit/base/rows.h"

static unsigned allowed(struct flood *f, const char *address, int64_t now_ms, unsigned asked)
{
	unsigned n = 0;

	while (asked--)
		n += flood_allows(f, slice_of(address), now_ms);
	return n;
}

static void a_second_is_worth_so_many(void **state)
{
	struct flood *f = flood_new(20);

	(void)state;
	assert_int_equal(allowed(f, "203.0.113.1", 1000, 100), 20);
	assert_int_equal(allowed(f, "203.0.113.2", 1000, 100), 20);
	assert_int_equal(allowed(f, "203.0.113.1", 1050, 100), 1);
	assert_int_equal(allowed(f, "203.0.113.1", 1040, 100), 0); /* a clock that goes back */
	assert_int_equal(allowed(f, "203.0.113.1", 90000, 100), 20);
	flood_free(f);
	flood_free(NULL);
}

static const struct pair_row {
	const char *name, *a, *b;
	bool shared;
} pair_rows[] = {
	{ "two of IPv4", "203.0.113.1", "203.0.113.2", false },
	{ "IPv4, mapped", "203.0.113.1", "::ffff:203.0.113.1", true },
	{ "one network of IPv6", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true },
	{ "two networks of IPv6", "2001:db8:0:1::1", "2001:db8:0:2::1", false },
	{ "no addresses", "unix", "", true },
};

static void pair(void **state)
{
	const struct pair_row *row = *state;
	struct flood *f = flood_new(3);

	assert_int_equal(allowed(f, row->a, 1000, 5), 3);
	assert_int_equal(allowed(f, row->b, 1000, 5), row->shared ? 0 : 3);
	flood_free(f);
}

static void no_limit(void **state)
{
	struct flood *f = flood_new(0);

	(void)state;
	assert_int_equal(allowed(f, "203.0.113.1", 1000, 1000), 1000);
	flood_free(f);
}

/* However many come, the table stays; the one who goes on is not forgotten for the many. */
static void bounded(void **state)
{
	struct flood *f = flood_new(1);
	char address[40];

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		assert_int_equal(allowed(f, address, 1000 + i / 1000, 1), 1);
		if (i % 64 == 0)
			allowed(f, "203.0.113.1", 1000 + i / 1000, 1);
	}
	assert_int_equal(allowed(f, "203.0.113.1", 1100, 1), 0);
	flood_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_is_worth_so_many),
		cmocka_unit_test(no_limit),
		cmocka_unit_test(bounded),
	};

	return RUN_ROWS("pair", pair, pair_rows) + cmocka_run_group_tests(tests, NULL, NULL);
}
