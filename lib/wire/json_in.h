/*
 * json_in.h - reading other people's JSON
 *
 * On yyjson, with every number kept as the text it was written in, so that an id of any length
 * stays exact. Nothing here or in the reader recurses: depth costs no more than its bytes. The
 * values live in the arena. A key that stands twice is there twice; whoever walks an object lets
 * the last count. Thread: any; an arena has one owner.
 */
#ifndef CS_WIRE_JSON_IN_H
#define CS_WIRE_JSON_IN_H

#include <yyjson.h>

#include "wire/arena.h"

/* For yyjson: what it takes lies in the arena, and goes with it. */
yyjson_alc json_memory(struct arena *a);

/* Reads one value, blanks around it. 0; -EBADMSG (no JSON, or text that is no UTF-8); -ENOMEM. */
CHECKED int json_read(struct arena *a, struct slice text, yyjson_val **ret);

/* Is it one value, blanks around it? 0; -EBADMSG with the byte where it is not and a constant
 * reason; -ENOMEM. */
CHECKED int json_check(struct arena *a, struct slice text, size_t *ret_offset,
		       const char **ret_reason);

/*
 * What administrators do to templates: quotes round a macro that brings its own (""text"", and
 * "[...]" where the list has texts), a macro that the vendor left unreplaced ({{name}} becomes
 * null). Writes the mended text, which is never longer, to out; returns its length.
 */
size_t json_mend(struct slice text, char *out);

/* Is it a macro as a whole, "{{ name }}"? */
bool is_macro(struct slice text);

/* A text, a number as it was written, "true" or "false"; SLICE_NONE for all else. */
static inline struct slice json_text(yyjson_val *v)
{
	if (yyjson_is_str(v))
		return slice_make(yyjson_get_str(v), yyjson_get_len(v));
	if (yyjson_is_raw(v))
		return slice_make(yyjson_get_raw(v), yyjson_get_len(v));
	if (yyjson_is_bool(v))
		return yyjson_get_bool(v) ? SLICE("true") : SLICE("false");
	return SLICE_NONE;
}

#endif
