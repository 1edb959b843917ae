/*
 * sink.h - who can be told about calls: a table of kinds, a folder each
 *
 * A kind formats a step (pure: golden tests need nothing else), carries it to its system, and turns
 * whatever comes back into a verdict in one function of its own. What is told, when, how often and
 * in which order is decided by the ledger of role deliver, never here. A new kind is a file, a line
 * in sink.c, a folder of golden files. Its settings are the fields of struct cfg_sink (cfg.h).
 */
#ifndef CS_SINK_SINK_H
#define CS_SINK_SINK_H

#include "base/cfg.h"
#include "net/http_client.h"

#define SINK_REASON_MAX 64
#define SINK_RETRY_AFTER_MAX_MS                                                                    \
	(INT64_C(3600) * 1000) /* a CRM may ask for an hour of silence, not more */

/* One thing that a sink has to be told. All texts borrow for the length of the call. */
struct sink_step {
	struct slice sink;    /* the name of the sink */
	struct slice call_id; /* 36 bytes */
	uint32_t revision;
	struct slice step;   /* "record"; kinds that take several name theirs */
	struct slice record; /* JSON, contract.md 3.2, as it lies in topic calls */
	uint32_t attempt;    /* 1.. */
	/* clock_mono_ms. A step that is not begun by then (the process was stopped, a disk hung)
	 * may be old by now: it is not done, the verdict is RETRY. 0: no matter when. */
	int64_t start_by_ms;
};

enum sink_verdict {
	SINK_DONE,  /* it has it */
	SINK_RETRY, /* not now: again, after a while */
	SINK_DEAD,  /* never: a dead letter */
};

struct sink_answer {
	enum sink_verdict verdict;
	int status;             /* of HTTP; 0 none */
	int64_t retry_after_ms; /* not before; 0: the back-off decides */
	int64_t ms;             /* how long it took */
	const char *reason;     /* constant text, a word for people and labels; "" when done */
};

/* What goes out, as the golden files have it. */
struct sink_request {
	struct buf head; /* lines "Name: value\n"; empty where there are none */
	struct buf body;
};
void sink_request_fini(struct sink_request *req);

/* Called once for each step that was taken, from any thread. Must not block. */
typedef void sink_done_fn(void *arg, const struct sink_answer *answer);

/* What all sinks of a process share. */
struct sink_env {
	struct http_client *http;
};

struct sink_kind {
	const char *name;     /* as config writes it: kind */
	enum cfg_send send;   /* what it is sent where config says nothing */
	uint32_t concurrency; /* steps at once where that is no matter of config; 0: config's */
	size_t state_size;
	/* 0; -EINVAL with a text in problem: these settings cannot work; -ENOMEM. cfg and env are
	 * borrowed until fini. state is zeroed. */
	int (*init)(void *state, const struct cfg_sink *cfg, const struct sink_env *env,
		    struct buf *problem);
	/* Pure: no clock, no network. Appends to req. 0, -EINVAL (a setting), -ENOMEM. */
	int (*format)(const struct cfg_sink *cfg, const struct sink_step *step, int64_t now_ms,
		      struct sink_request *req);
	/* Copies what it needs. 0: ends in exactly one done, which may come before this returns.
	 * Negative: not taken, nothing happens (-ENOSPC: full, try later). Thread: one. */
	int (*deliver)(void *state, const struct sink_step *step, sink_done_fn *done, void *arg);
	/* Gives the step with this arg up if it can; done still comes. May be NULL. */
	void (*cancel)(void *state, const void *arg);
	/* No new work; what is in goes on. May be NULL. */
	void (*close)(void *state);
	/* After the last done, or where the process ends anyway. */
	void (*fini)(void *state);
};

extern const struct sink_kind sink_file, sink_webhook;
extern const struct sink_kind *const sink_kinds[]; /* NULL at the end */
/* NULL: a kind that this version does not have. */
const struct sink_kind *sink_kind_find(struct slice name);
/* What this sink wants: its own setting, else its kind's. */
enum cfg_send sink_send(const struct sink_kind *kind, const struct cfg_sink *cfg);
/* "done", "retry", "dead" */
const char *sink_verdict_text(enum sink_verdict verdict);

#endif
