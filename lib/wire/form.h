/*
 * form.h - query strings and bodies of type application/x-www-form-urlencoded
 *
 * Pairs are cut at '&' and at their first '='. Decoding makes no text longer, so the room for it is
 * the length of what was coded; a malformed %XX stays as it is. Thread: any.
 */
#ifndef CS_WIRE_FORM_H
#define CS_WIRE_FORM_H

#include "base/slice.h"

/* The next pair, still coded; empty pairs are passed over, a missing '=' is an empty value. *rest
 * goes on behind it. false: there is none. */
bool form_next(struct slice *rest, struct slice *ret_key, struct slice *ret_value);

/* Does decoding change nothing? */
bool form_is_plain(struct slice coded);
/* %XX is a byte, '+' a blank. Writes at most coded.n bytes; returns how many. */
size_t form_decode(struct slice coded, char *out);
/* The same for a path: '+' stays. */
size_t form_decode_path(struct slice coded, char *out);
/* Is this what name would be when decoded? name is short: up to FORM_NAME_MAX bytes. */
#define FORM_NAME_MAX 64
bool form_key_is(struct slice coded_key, struct slice name);

/* The coded value of the first pair with this key. false: none has it. */
bool form_find(struct slice text, struct slice name, struct slice *ret_value);
/* Copies text without the pairs of this key, the others as they were. Writes at most text.n bytes;
 * returns how many. */
size_t form_without(struct slice text, struct slice name, char *out);

#endif
