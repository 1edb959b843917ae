/*
 * check.h - what must stay true of a life (design.md "What must stay true")
 *
 * Reads what a stranger could read: the answers that ingest gave, the topics read-committed, what
 * the CRM heard. Shares nothing with lib/ but slices.
 */
#ifndef CS_SIM_CHECK_H
#define CS_SIM_CHECK_H

#include "log/mem/memlog.h"
#include "traffic.h"

struct check;

struct check_cfg {
	const struct traffic_call *const *calls;
	size_t calls_n;
	bool late_allowed;   /* facts may come after their call left the table */
	bool more_revisions; /* a start with other rules may repeat a record */
	bool disordered;     /* what was given up is written later all the same */
};

struct check *check_new(const struct check_cfg *cfg);
void check_free(struct check *c);
/* A request of that call goes out; it was answered 200. */
void check_sent(struct check *c, const struct traffic_request *req);
void check_accepted(struct check *c, const struct traffic_request *req);
/* The CRM heard it: head lines and body. Wrong at once: world_fail. */
void check_heard(struct check *c, struct slice url, struct slice head, struct slice body);
/* Reads what has come to the topics since the last look. Wrong: world_fail. */
void check_look(struct check *c, struct memlog *log);
/* Is everything there that has to come? why: what is missing first. */
bool check_complete(struct check *c, const char **why);

struct check_counts {
	uint64_t events, repeated, records, revisions, heard, heard_again, late;
};
void check_counts(const struct check *c, struct check_counts *ret);

#endif
