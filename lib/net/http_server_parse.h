/*
 * http_server_parse.h - requests of HTTP/1.0 and 1.1 as bytes: heads, and bodies in chunks
 *
 * Strict where two readers could see two requests: lines end with CR LF, names are tokens right
 * before their colon, nothing is folded, there is one Content-Length of digits or one
 * Transfer-Encoding, never both, and a target has one of the forms that there are (RFC 9112 2.2,
 * 3.2, 5.1, 5.2, 6.3). Everything else is taken as it is; a Host decides nothing here, so it may be
 * missing.
 * Pure; all slices lie in the caller's bytes.
 */
#ifndef CS_NET_HTTP_SERVER_PARSE_H
#define CS_NET_HTTP_SERVER_PARSE_H

#include <sys/types.h>

#include "base/slice.h"

#define HTTP_FORWARDED_MAX 32 /* of more headers of that name the last ones are looked at */

struct request_head {
	struct slice method, target;
	struct slice path, query; /* of the target; without '?', '#' and what is behind */
	struct slice host, length_text, coding, expect; /* headers; "" absent */
	struct slice content_type, signature;
	struct slice forwarded[HTTP_FORWARDED_MAX]; /* X-Forwarded-For, in order */
	size_t forwarded_n;
	uint64_t length;            /* of the body; UINT64_MAX: what fits in no number */
	bool chunked;               /* length is unknown */
	bool old;                   /* HTTP/1.0 */
	bool says_close, says_keep; /* Connection: all headers of that name are one list */
};

/*
 * Reads a head from its first byte. Its size with the empty line; 0 it is not whole; -EBADMSG. On
 * anything but success *ret is undefined.
 */
CHECKED ssize_t request_head_read(struct slice in, struct request_head *ret);

/* ---- chunks ---- */

struct chunks {
	int state;       /* 0 at first */
	unsigned digits; /* of the size that is being read */
	uint64_t left;   /* of the chunk */
	size_t extra_n;  /* bytes of extensions and trailers, which are dropped */
};

/*
 * Decodes in place: p[0, *body_n) is the body so far, p[*raw, n) what came since; both move on.
 * 1 the body is whole, and p[*raw, n) comes behind it; 0 all is read, there is more to come;
 * -EBADMSG; -EFBIG the body passes body_max.
 */
CHECKED int chunks_read(struct chunks *c, char *p, size_t *body_n, size_t *raw, size_t n,
			size_t body_max);

#endif
