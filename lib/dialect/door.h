/*
 * door.h - what a request's address says: the token, the kind behind it, who sends
 *
 * The token is the last segment of the path or the first parameter `token` of the query; both are
 * taken out, so that nothing behind the door sees them. Comparing takes the same time for every
 * wrong token of one length. Thread: any.
 */
#ifndef CS_DIALECT_DOOR_H
#define CS_DIALECT_DOOR_H

#include "dialect/dialect.h"

struct dialect_door {
	struct slice suffix; /* the path without slashes at its ends and without the token */
	struct slice query;  /* without the parameter */
	bool token;          /* the account's token, or its previous one */
	bool network;        /* the sender is in allow_from */
};

/* 0 or -ENOMEM. */
CHECKED int door_read(const struct cfg_account *account, const struct vendor_request *req,
		      struct dialect_scratch *s, struct dialect_door *ret);

/*
 * For vendors that sign nothing: NULL when the request may come in, else why not. A token and
 * networks are two ways in, either is enough; insecure counts where the account has neither. Where
 * the sender is not known (`decode`), networks say nothing: a token alone decides, without one
 * everybody may come in.
 */
const char *door_refusal(const struct cfg_account *account, const struct vendor_request *req,
			 const struct dialect_door *door);

/* "/" and the suffix, as raw has the path. NULL p without memory. */
struct slice door_path(const struct dialect_door *door, const struct vendor_request *req,
		       struct dialect_scratch *s);

#endif
