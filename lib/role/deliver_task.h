/*
 * deliver_task.h - what lies in topics tasks and deliveries (contract.md 3.4), and what a record in
 * topic calls says about where it goes
 *
 * All texts borrow from the JSON they were read from. Thread: any.
 */
#ifndef CS_ROLE_DELIVER_TASK_H
#define CS_ROLE_DELIVER_TASK_H

#include "base/cfg.h"
#include "base/uuid.h"
#include "call/callev.h"

/* A record as routes see it. */
struct routed {
	struct slice id, account, line, call_session_id;
	enum direction direction;
	struct slice outcome;
	uint32_t revision;
	bool complete;
	bool callback_leg; /* goes to no sink (rules.md 5) */
	struct slice json; /* the record itself */
};
/* 0, or -EBADMSG: no record of ours. */
CHECKED int routed_read(struct slice json, struct routed *ret);

/* What a sink has to be told about. */
struct task {
	struct slice id, sink, call;
	uint32_t revision;
	int64_t at_ms;       /* when it was made; give_up_after counts from here */
	struct slice record; /* JSON */
};
/* The name-based id over sink, call and revision: a task made twice is the same task. */
void task_id(const struct task *task, char out[UUID_TEXT_LEN]);
/* Appends {"schema":"callstream.task/1",...}; the id is computed. */
void task_write(struct buf *out, const struct task *task);
/* 0, or -EBADMSG. */
CHECKED int task_read(struct slice json, struct task *ret);

/* A ledger entry: the newest of a key counts. */
enum entry_verdict {
	ENTRY_DONE,
	ENTRY_RETRY, /* waits, also for its first try */
	ENTRY_DEAD,
	ENTRY_EXPIRED,
	ENTRY_SKIPPED,
	ENTRY_SUPERSEDED, /* a newer revision took its place */
	ENTRY_VERDICTS_N
};
const char *entry_verdict_text(enum entry_verdict verdict);

struct entry {
	struct slice sink, call, step;
	uint32_t revision;
	enum entry_verdict verdict;
	uint32_t attempt;
	int status; /* 0: left out */
	int64_t ms; /* of the last try; 0: left out */
	int64_t at_ms;
	int64_t next_at_ms;  /* TIME_NONE: left out */
	struct slice reason; /* a word, where it is not done; absent: left out */
	struct slice task;   /* JSON, while something waits */
};
/* Appends {"schema":"callstream.delivery/1",...}. */
void entry_write(struct buf *out, const struct entry *entry);
/* 0, or -EBADMSG. */
CHECKED int entry_read(struct slice json, struct entry *ret);

/* "<sink>/<call id>". */
#define ENTRY_KEY_MAX (63 + 1 + UUID_TEXT_LEN)

#endif
