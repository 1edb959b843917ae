#include "base/cfg_read.h"

#include <stdarg.h>

#define SHOWN_BYTES 60 /* of a wrong value, in its message */

/* ---- problems ---- */

static void add_problem(struct cfg_reader *r, int line, const char *key, const char *kind,
			const char *format, va_list args)
{
	struct buf text = BUF_EMPTY;
	struct slice path = buf_slice(&r->path);
	struct cfg_problem *problem;

	if (!key && path.n && path.p[path.n - 1] == '.')
		path.n--; /* the map itself */
	buf_printf(&text, "%s:%d: %.*s%s: %s", r->file, line, SLICE_ARG(path),
		   key           ? key
		   : path.n == 0 ? "file"
				 : "",
		   kind);
	buf_vprintf(&text, format, args);
	problem = cfg_append(&r->tmp, (void **)&r->problems, &r->problems_n, sizeof(*problem));
	if (problem)
		*problem = (struct cfg_problem){ r->file_n, line, r->problems_n,
						 cfg_copy(&r->tmp, buf_slice(&text)) };
	r->tmp.bad |= text.bad;
	buf_fini(&text);
}

void cfg_error(struct cfg_reader *r, int line, const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_problem(r, line, key, "", format, args);
	va_end(args);
	r->errors++;
}

void cfg_warn(struct cfg_reader *r, int line, const char *key, const char *format, ...)
{
	va_list args;

	if (r->later)
		return;
	va_start(args, format);
	add_problem(r, line, key, "warning: ", format, args);
	va_end(args);
}

int cfg_line_of(const struct cfg_node *map, const char *key)
{
	const struct cfg_node *node = cfg_node_get(map, key);

	if (node)
		return node->key_line;
	return map ? map->line : 1;
}

static void add_words(struct buf *out, const char *const *words)
{
	const char *before = "";

	for (; *words; words++) {
		if (!**words)
			continue;
		buf_add_text(out, before);
		buf_add_text(out, *words);
		before = ", ";
	}
}

void cfg_allowed(const struct cfg_key *key, struct buf *out)
{
	if (key->words)
		add_words(out, key->words);
	else if (key->min)
		buf_printf(out, "%s to %s", key->min, key->max);
	else if (key->check)
		buf_printf(out, "%s%s", key->type == CFG_TEXTS ? "a list, each " : "",
			   key->check->allowed);
	else if (key->type == CFG_TEXT && key->flags & (CFG_NOT_EMPTY | CFG_SECRET))
		buf_add_text(out, "text, not empty");
	else
		buf_add_text(out, cfg_type_text(key->type));
}

/* The value as it was written, so never what a variable or file held; nothing of a secret. */
static void add_shown(struct buf *out, const struct cfg_key *key, const struct cfg_node *node)
{
	struct slice shown = slice_head(node->text, SHOWN_BYTES);

	if (key->flags & CFG_SECRET || node->kind != CFG_NODE_TEXT) {
		buf_add_text(out, "the value");
		return;
	}
	while (shown.n < node->text.n && shown.n &&
	       ((unsigned char)shown.p[shown.n] & 0xc0) == 0x80)
		shown.n--;
	buf_add_char(out, '"');
	for (size_t i = 0; i < shown.n; i++)
		buf_add_char(out, (unsigned char)shown.p[i] < ' ' ? '?' : shown.p[i]);
	buf_add_text(out, shown.n < node->text.n ? "...\"" : "\"");
}

/* `"abc" is no duration, allowed: 1s to 1h` */
void cfg_wrong(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
	       const char *what)
{
	struct buf text = BUF_EMPTY;

	add_shown(&text, key, node);
	buf_printf(&text, " %s, allowed: ", what);
	cfg_allowed(key, &text);
	cfg_error(r, node->line, key->name, "%.*s", SLICE_ARG(buf_slice(&text)));
	r->tmp.bad |= text.bad;
	buf_fini(&text);
}

/* ---- names that are nearly right ---- */

#define NAME_BYTES 32

/* Letters to change, insert, leave out or swap to make b of a (Damerau's distance, restricted). */
static size_t distance(struct slice a, struct slice b)
{
	size_t rows[3][NAME_BYTES + 1];

	for (size_t k = 0; k <= b.n; k++)
		rows[0][k] = k;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *now = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t k = 1; k <= b.n; k++) {
			bool same = a.p[i - 1] == b.p[k - 1];

			now[k] = MIN(MIN(above[k], now[k - 1]) + 1, above[k - 1] + !same);
			if (i > 1 && k > 1 && a.p[i - 1] == b.p[k - 2] && a.p[i - 2] == b.p[k - 1])
				now[k] = MIN(now[k], above2[k - 2] + 1);
		}
	}
	return rows[a.n % 3][b.n];
}

const char *cfg_nearest(const struct cfg_key *const *tables, size_t tables_n, struct slice name)
{
	const char *nearest = NULL;
	size_t best = MIN(name.n / 3 + 1, 3) + 1;

	if (name.n > NAME_BYTES)
		return NULL;
	for (size_t t = 0; t < tables_n; t++) {
		for (const struct cfg_key *key = tables[t]; key->name; key++) {
			struct slice other = slice_of(key->name);
			size_t d = other.n > NAME_BYTES ? best : distance(name, other);

			if (d < best) {
				best = d;
				nearest = key->name;
			}
		}
	}
	return nearest;
}
