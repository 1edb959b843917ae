/*
 * dialect.h - a vendor: its requests become canonical events
 *
 * Pure: no clock, no network. A dialect is a folder, a line in dialects[] and a golden folder.
 * Thread: any; a struct dialect_scratch has one owner.
 */
#ifndef CS_DIALECT_DIALECT_H
#define CS_DIALECT_DIALECT_H

#include "base/cfg.h"
#include "call/callev.h"

/* One HTTP request; texts borrow. */
struct vendor_request {
	struct slice method; /* "POST" */
	struct slice path;  /* behind /hooks/<account>, slashes as sent; the token is still in it */
	struct slice query; /* without '?', not decoded */
	struct slice content_type; /* "" absent */
	struct slice body;
	struct slice signature; /* header Signature (Zadarma) */
	struct slice
	    peer; /* the sender's address as text, behind trusted proxies; "" not known (decode) */
	int64_t received_at_ms;
};

enum dialect_verdict {
	DIALECT_EVENT,   /* one event in *ev */
	DIALECT_NOTHING, /* accepted, no event (counted by kind): answer 200 */
	DIALECT_ECHO,    /* accepted: answer 200 with reply as the body */
	DIALECT_DEAD,    /* authentic but undecodable: topic dead, 200; why says the reason */
	DIALECT_REFUSED, /* status 400, 403, 405; why says the reason */
};

struct dialect_result {
	enum dialect_verdict verdict;
	int status;       /* of DIALECT_REFUSED */
	const char *why;  /* constant text, no secrets, e.g. "bad token" */
	const char *kind; /* label for the counter: an event's kind, "echo", "sms", ... */
	bool guessed;     /* the kind was told by shape alone */
	bool unmapped;    /* the employee is known by id alone */
	struct slice reply;
	struct callev ev; /* texts borrow from the request, the account and the scratch */
};

/* Memory for one request, used again for the next. */
struct dialect_scratch;
struct dialect_scratch *dialect_scratch_new(void); /* NULL without memory */
void dialect_scratch_free(struct dialect_scratch *s);
/* n bytes that live until the next dialect_decode with this scratch; NULL without memory. */
void *dialect_scratch_alloc(struct dialect_scratch *s, size_t n);

struct dialect_door;

struct dialect {
	const char *source; /* as config writes it */
	/* Authentication first, then the content (rules.md 2, 3). The method is GET or POST; res is
	 * ready for an event: absent fields, account and source. 0 or -ENOMEM. */
	int (*decode)(const struct cfg_account *account, const struct vendor_request *req,
		      const struct dialect_door *door, struct dialect_scratch *s,
		      struct dialect_result *res);
};

const struct dialect *dialect_find(struct slice source); /* NULL: not in this version */

/* What ingest and `decode` call: method allowed, token or network, the dialect, employees, raw,
 * event id. A source that is not in this version is refused with 404. 0 or -ENOMEM. */
CHECKED int dialect_decode(const struct cfg_account *account, const struct vendor_request *req,
			   struct dialect_scratch *s, struct dialect_result *res);

/* The dead letter of an authentic, undecodable request (rules.md 9), as JSON: its original is the
 * request as in an event's raw, whatever keep_raw says. id is a UUID over account, source, path,
 * query and body, so that a repetition has the same. Without memory out turns bad. */
void dialect_dead_letter(const struct cfg_account *account, const struct vendor_request *req,
			 const char *why, struct buf *out);

#endif
