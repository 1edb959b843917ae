/*
 * same.h - is a record what the truth says?
 */
#ifndef CS_SIM_SAME_H
#define CS_SIM_SAME_H

#include <stdbool.h>
#include <yyjson.h>

/*
 * Two JSON values, but for what is skipped: fields of the first level (skip, NULL at the end), and
 * paths such as "cause.by" and "legs[].number" (open, an array of texts, or NULL). An object or a
 * list of which nothing is left is as good as none. why (256 bytes, or NULL) gets the first path
 * that differs.
 */
bool same(yyjson_val *wanted, yyjson_val *got, const char *const *skip, yyjson_val *open,
	  char *why);

#endif
