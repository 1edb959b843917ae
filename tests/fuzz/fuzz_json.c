/* Other people's JSON, read and mended: no byte past the end, no text that is no UTF-8. The scanner
 * takes the objects that the library takes, and no others. */
#include <errno.h>
#include <stdlib.h>

#include "wire/json_in.h"
#include "wire/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t seen; /* so that the compiler reads every byte */

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Looks at every byte of every text, so that a sanitizer does. */
static size_t sum(struct slice text)
{
	size_t total = 0;

	for (size_t i = 0; i < text.n; i++)
		total += (unsigned char)text.p[i];
	return total;
}

static size_t walk(yyjson_val *object)
{
	yyjson_obj_iter iter = yyjson_obj_iter_with(object);
	yyjson_val *key;
	size_t total = 0;

	while ((key = yyjson_obj_iter_next(&iter))) {
		struct slice text = json_text(yyjson_obj_iter_get_val(key));

		check(slice_is_utf8(text));
		total += sum(json_text(key)) + sum(text) + is_macro(text);
	}
	return total;
}

/* Is it one object, by the scanner? */
static bool scans(struct arena *a, struct slice text)
{
	struct json_scan s;
	const char *p = json_scan_begin(&s, text, a);
	struct slice key;

	p = p ? json_scan_enter(p) : NULL;
	while (p && *p != '}') {
		p = json_scan_key(&s, p, &key);
		if (p)
			seen += sum(key);
		p = p ? json_scan_skip(&s, p) : NULL;
		p = p ? json_scan_next(p, '}') : NULL;
	}
	return p && p + 1 == s.end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Copies of exactly this size: a read past the end is seen. */
	char *text = malloc(size ? size : 1), *mended = malloc(size ? size : 1);
	struct arena a = ARENA_EMPTY;
	yyjson_val *v;
	size_t n;

	check(text && mended);
	if (size)
		memcpy(text, data, size);
	v = NULL;
	if (!json_read(&a, slice_make(text, size), &v))
		seen += walk(v);
	check(scans(&a, slice_make(text, size)) == yyjson_is_obj(v));
	n = json_mend(slice_make(text, size), mended);
	check(n <= size);
	if (!json_read(&a, slice_make(mended, n), &v))
		seen += walk(v);
	arena_fini(&a);
	free(text);
	free(mended);
	return 0;
}
