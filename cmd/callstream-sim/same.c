#include "same.h"

#include <stdio.h>
#include <string.h>

#include "base/macros.h"

#define PATH_SIZE 128
#define WHY_SIZE  256
#define ROOM      16384

struct comparison {
	const char *const *skip;
	yyjson_val *open;
	char *why;
};

static bool skipped(const struct comparison *c, const char *path)
{
	yyjson_val *text;
	size_t i, n;

	for (const char *const *s = c->skip; s && *s; s++) {
		if (strcmp(*s, path) == 0)
			return true;
	}
	yyjson_arr_foreach(c->open, i, n, text)
	{
		if (yyjson_equals_str(text, path))
			return true;
	}
	return false;
}

static void extend(char out[PATH_SIZE], const char *path, const char *key)
{
	snprintf(out, PATH_SIZE, "%s%s%s", path, *path ? "." : "", key);
}

/* Nothing of it is left when what is skipped is gone. */
static bool is_void(const struct comparison *c, yyjson_val *v, const char *path)
{
	yyjson_val *key, *value;
	char below[PATH_SIZE];
	size_t i, n;

	if (!v)
		return true;
	if (yyjson_is_arr(v))
		return yyjson_arr_size(v) == 0;
	if (!yyjson_is_obj(v))
		return false;
	yyjson_obj_foreach(v, i, n, key, value)
	{
		extend(below, path, yyjson_get_str(key));
		if (!skipped(c, below) && !is_void(c, value, below))
			return false;
	}
	return true;
}

static bool equal(const struct comparison *c, yyjson_val *a, yyjson_val *b, const char *path);

static const char *text_of(yyjson_val *v, char room[ROOM])
{
	yyjson_alc alc;
	const char *text;

	if (!v)
		return "absent";
	if (!yyjson_alc_pool_init(&alc, room, ROOM))
		return "?";
	text = yyjson_val_write_opts(v, 0, &alc, NULL, NULL);
	return text ? text : "(long)";
}

static bool differ(const struct comparison *c, yyjson_val *a, yyjson_val *b, const char *path)
{
	char wanted[ROOM], got[ROOM];

	if (c->why)
		snprintf(c->why, WHY_SIZE, "%s: %.80s, wanted %.80s", path, text_of(b, got),
			 text_of(a, wanted));
	return false;
}

static bool fields_equal(const struct comparison *c, yyjson_val *a, yyjson_val *b, const char *path,
			 bool both_ways)
{
	yyjson_val *key, *value;
	char below[PATH_SIZE];
	size_t i, n;

	yyjson_obj_foreach(a, i, n, key, value)
	{
		yyjson_val *other = yyjson_obj_get(b, yyjson_get_str(key));

		extend(below, path, yyjson_get_str(key));
		if (skipped(c, below) || (!both_ways && other))
			continue;
		if (both_ways && other ? !equal(c, value, other, below) : !is_void(c, value, below))
			return both_ways ? differ(c, value, other, below)
					 : differ(c, NULL, value, below);
	}
	return true;
}

static bool elements_equal(const struct comparison *c, yyjson_val *a, yyjson_val *b,
			   const char *path)
{
	char below[PATH_SIZE];
	size_t n = yyjson_arr_size(a);

	if (n != yyjson_arr_size(b))
		return differ(c, a, b, path);
	snprintf(below, sizeof(below), "%.120s[]", path);
	for (size_t i = 0; i < n; i++) {
		if (!equal(c, yyjson_arr_get(a, i), yyjson_arr_get(b, i), below))
			return false;
	}
	return true;
}

static bool equal(const struct comparison *c, yyjson_val *a, yyjson_val *b, const char *path)
{
	if (yyjson_is_obj(a) && yyjson_is_obj(b))
		return fields_equal(c, a, b, path, true) && fields_equal(c, b, a, path, false);
	if (yyjson_is_arr(a) && yyjson_is_arr(b))
		return elements_equal(c, a, b, path);
	return yyjson_equals(a, b) || differ(c, a, b, path);
}

bool same(yyjson_val *wanted, yyjson_val *got, const char *const *skip, yyjson_val *open, char *why)
{
	const struct comparison c = { skip, open, why };

	if (why)
		*why = '\0';
	return equal(&c, wanted, got, "");
}
