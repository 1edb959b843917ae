/*
 * check.h - the programs of tests end where something is not so, and say where
 */
#ifndef CS_TESTS_CHECK_H
#define CS_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(ok)                                                                                  \
	do {                                                                                       \
		if (!(ok)) {                                                                       \
			fprintf(stderr, "%s:%d: not so: %s\n", __func__, __LINE__, #ok);           \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#endif
