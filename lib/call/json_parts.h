/*
 * json_parts.h - the members that events, records and dead letters write alike
 *
 * Each writes key and object, or nothing where all of it is absent. Thread: any.
 */
#ifndef CS_CALL_JSON_PARTS_H
#define CS_CALL_JSON_PARTS_H

#include "call/callev.h"
#include "wire/json_out.h"

void json_person(struct json_out *j, struct slice key, const struct person *p);
void json_contact(struct json_out *j, const struct contact *c); /* "contact" */
void json_cause(struct json_out *j, const struct cause *cause); /* "cause" */
/* The object alone, whether present or not. */
void json_request(struct json_out *j, const struct callev_raw *raw);

#endif
