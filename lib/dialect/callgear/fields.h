/*
 * fields.h - the values of one CallGear request, wherever its template put them
 *
 * A body is JSON (flat, or with groups one level down) or a form; a GET is a form. A key counts at
 * the top level first, then in the groups in their order; within one object the last of two counts,
 * within a form the first. Absent are null, "", a macro that was left unreplaced, and in forms
 * `None` too. Texts borrow from the request or the arena.
 */
#ifndef CS_DIALECT_CALLGEAR_FIELDS_H
#define CS_DIALECT_CALLGEAR_FIELDS_H

#include "wire/json_in.h"

/* Those that we read, by length of their name. */
#define CG_FIELDS(F)                                                                               \
	F(BY, "by")                                                                                \
	F(LEG_ID, "leg_id")                                                                        \
	F(STATUS, "status")                                                                        \
	F(LEG_IDS, "leg_ids")                                                                      \
	F(DIRECTION, "direction")                                                                  \
	F(FILE_LINK, "file_link")                                                                  \
	F(TAG_NAMES, "tag_names")                                                                  \
	F(CONTACT_ID, "contact_id")                                                                \
	F(START_TIME, "start_time")                                                                \
	F(CALL_SOURCE, "call_source")                                                              \
	F(IS_INTERNAL, "is_internal")                                                              \
	F(EMPLOYEE_ID, "employee_id")                                                              \
	F(EXTERNAL_ID, "external_id")                                                              \
	F(FINISH_TIME, "finish_time")                                                              \
	F(LOST_REASON, "lost_reason")                                                              \
	F(EMPLOYEE_IDS, "employee_ids")                                                            \
	F(FILE_DURATION, "file_duration")                                                          \
	F(FINISH_REASON, "finish_reason")                                                          \
	F(SCENARIO_NAME, "scenario_name")                                                          \
	F(CALL_SESSION_ID, "call_session_id")                                                      \
	F(CONTACT_FULL_NAME, "contact_full_name")                                                  \
	F(NOTIFICATION_NAME, "notification_name")                                                  \
	F(NOTIFICATION_TIME, "notification_time")                                                  \
	F(EMPLOYEE_FULL_NAME, "employee_full_name")                                                \
	F(TALK_TIME_DURATION, "talk_time_duration")                                                \
	F(WAIT_TIME_DURATION, "wait_time_duration")                                                \
	F(TOTAL_TIME_DURATION, "total_time_duration")                                              \
	F(CALL_RECORD_DURATION, "call_record_duration")                                            \
	F(COMMUNICATION_NUMBER, "communication_number")                                            \
	F(CONTACT_PHONE_NUMBER, "contact_phone_number")                                            \
	F(VIRTUAL_PHONE_NUMBER, "virtual_phone_number")                                            \
	F(EMPLOYEE_PHONE_NUMBER, "employee_phone_number")                                          \
	F(NOTIFICATION_MNEMONIC, "notification_mnemonic")                                          \
	F(EXTENSION_PHONE_NUMBER, "extension_phone_number")                                        \
	F(NOTIFICATION_TIMESTAMP, "notification_timestamp")

enum cg_field {
#define CG_FIELD_ENUM(id, name) CG_##id,
	CG_FIELDS(CG_FIELD_ENUM)
#undef CG_FIELD_ENUM
	    CG_FIELDS_N
};

enum cg_type { CG_ABSENT, CG_TEXT, CG_BOOL, CG_LIST };

struct cg_value {
	struct slice text; /* of CG_TEXT: as written, numbers too; of CG_BOOL: true or false */
	yyjson_val *list;  /* of CG_LIST */
	uint8_t type;      /* enum cg_type */
	uint8_t level;     /* where it was found; 0 the top */
};

struct cg_fields {
	struct cg_value v[CG_FIELDS_N];
};

/* CG_FIELDS_N: none of ours. */
enum cg_field cg_field_of(struct slice name);

/* query is what counts for a GET. 0; -EBADMSG with a constant reason in *why; -ENOMEM. */
CHECKED int cg_fields_read(struct arena *a, bool get, struct slice query, struct slice body,
			   struct cg_fields *ret, const char **why);

static inline bool cg_has(const struct cg_fields *f, enum cg_field field)
{
	return f->v[field].type != CG_ABSENT;
}

/* SLICE_NONE for what is absent or a list. */
static inline struct slice cg_text(const struct cg_fields *f, enum cg_field field)
{
	return f->v[field].text;
}

/* The items of a list, or a single value as a list of one: texts and numbers, the others
 * are passed over. Each item goes to `each`, which returns 0 or an error that ends it. */
typedef int cg_item_fn(void *arg, struct slice item);
CHECKED int cg_each(struct arena *a, const struct cg_fields *f, enum cg_field field,
		    cg_item_fn *each, void *arg);

#endif
