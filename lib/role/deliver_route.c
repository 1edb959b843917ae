#include "role/deliver_route.h"

#include <errno.h>
#include <stdlib.h>

#include "sink/sink.h"

struct route {
	const struct cfg_route *cfg;
	size_t order; /* in the file */
};

struct routes {
	const struct cfg *cfg;
	struct route *routes; /* by account, then as in the file */
	size_t routes_n;
	const struct cfg_sink **found; /* room for every sink */
};

static int by_account(const void *a, const void *b)
{
	const struct route *x = a, *y = b;
	int order = strcmp(x->cfg->account, y->cfg->account);

	return order ? order : (x->order > y->order) - (x->order < y->order);
}

int routes_new(const struct cfg *cfg, struct routes **ret)
{
	struct routes *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->cfg = cfg;
	r->routes = calloc(cfg->routes_n + 1, sizeof(*r->routes));
	r->found = calloc(cfg->sinks_n + 1, sizeof(struct cfg_sink *));
	if (!r->routes || !r->found) {
		routes_free(r);
		return -ENOMEM;
	}
	for (size_t i = 0; i < cfg->routes_n; i++) {
		if (!cfg->routes[i].relay)
			r->routes[r->routes_n++] = (struct route){ &cfg->routes[i], i };
	}
	qsort(r->routes, r->routes_n, sizeof(*r->routes), by_account);
	*ret = r;
	return 0;
}

void routes_free(struct routes *r)
{
	if (!r)
		return;
	free(r->routes);
	free(r->found);
	free(r);
}

/* ---- conditions ---- */

/* The digits of a number; a SIP address as it is. Where 8 and 7 lead the same numbers, 7. */
static struct slice line_digits(struct slice country, struct slice line, char *digits)
{
	bool eight_is_seven = slice_is(country, "RU") || slice_is(country, "KZ");
	size_t n = 0;

	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];

		if (c >= '0' && c <= '9')
			digits[n++] = c;
		else if (!strchr("+()-./ ", c))
			return line;
	}
	if (eight_is_seven && n == 11 && digits[0] == '8')
		digits[0] = '7';
	return slice_make(digits, n);
}

#define LINE_MAX_LEN 128 /* a longer one is no number */

bool line_same(struct slice country, struct slice a, struct slice b)
{
	char x[LINE_MAX_LEN], y[LINE_MAX_LEN];

	if (a.n == 0 || b.n == 0)
		return false;
	if (a.n > LINE_MAX_LEN || b.n > LINE_MAX_LEN)
		return slice_eq_nocase(a, b);
	return slice_eq_nocase(line_digits(country, a, x), line_digits(country, b, y));
}

static bool has_text(const struct cfg_texts *texts, struct slice text)
{
	for (size_t i = 0; i < texts->n; i++) {
		if (slice_is(text, texts->v[i]))
			return true;
	}
	return false;
}

static bool has_line(const struct cfg_texts *lines, struct slice country, struct slice line)
{
	for (size_t i = 0; i < lines->n; i++) {
		if (line_same(country, slice_of(lines->v[i]), line))
			return true;
	}
	return false;
}

/* A direction that nobody knows is none of those that routes can name: it goes where no route says
 * otherwise. */
static unsigned direction_bit(enum direction direction)
{
	switch (direction) {
	case DIRECTION_IN:
		return CFG_DIRECTION_IN;
	case DIRECTION_OUT:
		return CFG_DIRECTION_OUT;
	case DIRECTION_INTERNAL:
		return CFG_DIRECTION_INTERNAL;
	case DIRECTION_NONE:
		break;
	}
	return CFG_DIRECTION_IN | CFG_DIRECTION_OUT;
}

static bool route_matches(const struct routes *r, const struct cfg_route *route,
			  const struct routed *record)
{
	return slice_is(record->account, route->account) &&
	       (route->directions & direction_bit(record->direction)) &&
	       (route->outcomes.n == 0 || has_text(&route->outcomes, record->outcome)) &&
	       (route->lines.n == 0 ||
		has_line(&route->lines, slice_of(r->cfg->numbers_country), record->line));
}

static bool wants(const struct cfg_sink *sink, const struct sink_kind *kind,
		  const struct routed *record)
{
	switch (sink_send(kind, sink)) {
	case CFG_SEND_FIRST:
		return record->revision == 1;
	case CFG_SEND_COMPLETE:
		return record->complete;
	case CFG_SEND_DEFAULT:
	case CFG_SEND_EVERY:
		break;
	}
	return true;
}

/* ---- matching ---- */

static size_t first_of_account(const struct routes *r, struct slice account)
{
	size_t low = 0, high = r->routes_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (slice_cmp(slice_of(r->routes[middle].cfg->account), account) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_found(const struct routes *r, size_t n, const struct cfg_sink *sink)
{
	for (size_t i = 0; i < n; i++) {
		if (r->found[i] == sink)
			return true;
	}
	return false;
}

static size_t add_sinks(struct routes *r, size_t n, const struct cfg_route *route,
			const struct routed *record, bool *matched)
{
	for (size_t i = 0; i < route->sinks.n; i++) {
		const struct cfg_sink *sink = cfg_sink(r->cfg, slice_of(route->sinks.v[i]));
		const struct sink_kind *kind = sink ? sink_kind_find(slice_of(sink->kind)) : NULL;

		if (!kind)
			continue;
		*matched = true;
		if (wants(sink, kind, record) && !is_found(r, n, sink))
			r->found[n++] = sink;
	}
	return n;
}

size_t routes_match(struct routes *r, const struct routed *record,
		    const struct cfg_sink *const **ret_sinks, bool *ret_matched)
{
	size_t n = 0;

	*ret_matched = false;
	*ret_sinks = r->found;
	if (record->callback_leg)
		return 0;
	for (size_t i = first_of_account(r, record->account);
	     i < r->routes_n && slice_is(record->account, r->routes[i].cfg->account); i++) {
		if (route_matches(r, r->routes[i].cfg, record))
			n = add_sinks(r, n, r->routes[i].cfg, record, ret_matched);
	}
	return n;
}

void route_key(const struct cfg_sink *sink, struct slice call, struct buf *out)
{
	struct uuid id;

	buf_add_text(out, sink->name);
	if (sink->shards > 1 && uuid_read(call, &id) == 0)
		buf_printf(out, "/%u", (unsigned)(id.b[15] | id.b[14] << 8) % sink->shards);
}
