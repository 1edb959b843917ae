#include "dialect/door.h"

#include <errno.h>

#include "base/addr.h"
#include "wire/form.h"

static const struct slice token_key = SLICE_INIT("token");

static bool is_token(const struct cfg_account *account, struct slice said)
{
	const struct slice now = slice_of(account->token);
	const struct slice before = slice_of(account->token_previous);

	return said.n && ((now.n && slice_eq_secret(said, now)) ||
			  (before.n && slice_eq_secret(said, before)));
}

/* The last segment of path, and what stands before it. */
static struct slice cut_last(struct slice path, struct slice *ret_rest)
{
	size_t begin = path.n;

	while (begin && path.p[begin - 1] != '/')
		begin--;
	*ret_rest = slice_trim_char(slice_head(path, begin), '/');
	return slice_skip(path, begin);
}

static int read_path(const struct cfg_account *account, const struct vendor_request *req,
		     struct dialect_scratch *s, struct dialect_door *door)
{
	struct slice rest, last;

	door->suffix = slice_trim_char(req->path, '/');
	last = cut_last(door->suffix, &rest);
	if (slice_find(last, '%') < last.n) {
		char *decoded = dialect_scratch_alloc(s, last.n);

		if (!decoded)
			return -ENOMEM;
		last = slice_make(decoded, form_decode_path(last, decoded));
	}
	if (is_token(account, last)) {
		door->token = true;
		door->suffix = rest;
	}
	return 0;
}

static int read_query(const struct cfg_account *account, const struct vendor_request *req,
		      struct dialect_scratch *s, struct dialect_door *door)
{
	struct slice coded;
	char *said, *rest;

	door->query = req->query;
	if (!form_find(req->query, token_key, &coded))
		return 0;
	said = dialect_scratch_alloc(s, coded.n);
	rest = dialect_scratch_alloc(s, req->query.n);
	if (!said || !rest)
		return -ENOMEM;
	if (is_token(account, slice_make(said, form_decode(coded, said))))
		door->token = true;
	door->query = slice_make(rest, form_without(req->query, token_key, rest));
	return 0;
}

static bool is_allowed(const struct cfg_account *account, struct slice peer)
{
	struct net net;

	for (size_t i = 0; peer.n && i < account->allow_from.n; i++) {
		if (!net_read(slice_of(account->allow_from.v[i]), &net) && net_has(&net, peer))
			return true;
	}
	return false;
}

int door_read(const struct cfg_account *account, const struct vendor_request *req,
	      struct dialect_scratch *s, struct dialect_door *ret)
{
	struct dialect_door door = { SLICE_NONE, SLICE_NONE, false, false };
	int err = read_path(account, req, s, &door);

	if (!err)
		err = read_query(account, req, s, &door);
	if (err)
		return err;
	door.network = is_allowed(account, req->peer);
	*ret = door;
	return 0;
}

const char *door_refusal(const struct cfg_account *account, const struct vendor_request *req,
			 const struct dialect_door *door)
{
	bool has_token = account->token[0] || account->token_previous[0];

	if (door->token || door->network)
		return NULL;
	if (has_token)
		return "bad token";
	if (account->allow_from.n && req->peer.n)
		return "address not allowed";
	return account->allow_from.n || account->insecure ? NULL : "account without authentication";
}

struct slice door_path(const struct dialect_door *door, const struct vendor_request *req,
		       struct dialect_scratch *s)
{
	const struct slice suffix = door->suffix;
	char *path;

	if (suffix.n == 0)
		return SLICE("/");
	if (suffix.p > req->path.p) /* then a slash stands before it */
		return slice_make(suffix.p - 1, suffix.n + 1);
	path = dialect_scratch_alloc(s, suffix.n + 1);
	if (path) {
		path[0] = '/';
		memcpy(path + 1, suffix.p, suffix.n);
	}
	return slice_make(path, suffix.n + 1);
}
