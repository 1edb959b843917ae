#include "base/cfg_read.h"

#include <stdarg.h>

#define SHOWN_BYTES 60 /* of a wrong value, in its message */

PRINTF(5, 0)
static void add_problem(struct cfg_reader *r, int line, const char *key, const char *kind,
			const char *format, va_list args)
{
	struct buf text = BUF_EMPTY;
	struct slice path = buf_slice(&r->path);
	struct cfg_problem *problem;

	if (r->problems_n == CFG_PROBLEMS_MAX)
		return;
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
