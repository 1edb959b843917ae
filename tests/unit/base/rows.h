/*
 * rows.h - a table of named rows as cmocka tests: each row one test
 */
#ifndef CS_TESTS_ROWS_H
#define CS_TESTS_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"

/* One test of a row whose first member is its name. */
#define ROW_TEST(check, row)                                                                       \
	(struct CMUnitTest)                                                                        \
	{                                                                                          \
		.name = (row)->name, .test_func = check, .initial_state = (void *)(uintptr_t)(row) \
	}

/* Runs check once for each row of the array. */
#define RUN_ROWS(group, check, rows)                                                               \
	({                                                                                         \
		struct CMUnitTest row_tests[ARRAY_LEN(rows)];                                      \
		for (size_t row_i = 0; row_i < ARRAY_LEN(rows); row_i++)                           \
			row_tests[row_i] = ROW_TEST(check, &(rows)[row_i]);                        \
		_cmocka_run_group_tests(group, row_tests, ARRAY_LEN(rows), NULL, NULL);            \
	})

#endif
