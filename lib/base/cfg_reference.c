#include "base/cfg_read.h"

#include <stdlib.h>

static const char head[] =
    "# Config\n\n"
    "One YAML file, named by `--config`, else by `$CALLSTREAM_CONFIG`, else\n"
    "`/etc/callstream/callstream.yaml`. `callstream check FILE` tells everything that is wrong "
    "with it,\neach with its line. Examples: `config/minimal.yaml`, `config/callstream.yaml`.\n\n"
    "* `${NAME}` in a value is replaced by that environment variable, `${file:/path}` by that "
    "file\n  (without line ends at its end; a relative path begins beside the config). A variable "
    "that is not\n  set and a file that cannot be read are errors. So secrets stay outside.\n"
    "* Durations are written `250ms`, `5s`, `10m`, `4h`, `30d`; sizes `512`, `64KiB`, `1MiB`, "
    "`2GiB`.\n"
    "* Unknown keys, keys that stand twice, anchors, aliases and tags are errors. One text may "
    "stand\n  where a list of texts is wanted.\n"
    "* *Later*: accepted and checked, but this version does nothing with it (`check` warns).\n\n"
    "This page is made from the tables that read the file "
    "(`lib/base/cfg_table.c`).\n";

/* A text inside a table's cell. */
static void put_cell(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			buf_add_char(out, '\\');
		buf_add_char(out, *text);
	}
}

static void put_default(struct buf *out, const struct cfg_key *key)
{
	if (key->flags & CFG_REQUIRED)
		buf_add_text(out, "**required**");
	else if (key->fallback && *key->fallback)
		buf_printf(out, "`%s`", key->fallback);
}

static void put_rows(struct buf *out, const char *prefix, const struct cfg_key *keys, bool later);

static void put_nested(struct buf *out, const char *prefix, const struct cfg_key *key, bool later)
{
	struct buf inner = BUF_EMPTY;
	char *text;

	buf_printf(&inner, "%s%s%s.", prefix, key->name, key->type == CFG_LIST ? "[]" : "");
	text = buf_take_text(&inner);
	if (text)
		put_rows(out, text, key->list ? key->list->keys : key->keys, later);
	else
		out->bad = true;
	free(text);
}

static void put_row(struct buf *out, const char *prefix, const struct cfg_key *key, bool later)
{
	struct buf allowed = BUF_EMPTY;
	char *text;

	cfg_allowed(key, &allowed);
	text = buf_take_text(&allowed);
	buf_printf(out, "| `%s%s` | ", prefix, key->name);
	put_default(out, key);
	buf_add_text(out, " | ");
	put_cell(out, text ? text : "");
	buf_printf(out, " | %s%s |\n", key->help, later ? " *Later.*" : "");
	free(text);
}

static void put_rows(struct buf *out, const char *prefix, const struct cfg_key *keys, bool later)
{
	for (const struct cfg_key *key = keys; key->name; key++) {
		bool row_later = later || key->flags & CFG_LATER;

		put_row(out, prefix, key, row_later);
		if (key->type == CFG_GROUP || key->type == CFG_LIST)
			put_nested(out, prefix, key, row_later);
	}
}

static void put_table(struct buf *out, const struct cfg_key *keys, bool later)
{
	if (!keys->name) {
		buf_add_text(out, "\nNo keys of its own.\n");
		return;
	}
	buf_add_text(out, "\n| key | default | allowed | meaning |\n|---|---|---|---|\n");
	put_rows(out, "", keys, later);
}

static void put_variants(struct buf *out, const struct cfg_list *list)
{
	for (const struct cfg_variant *v = list->variants; v && v->name; v++) {
		buf_printf(out, "\n### %s: %s\n\n%s%s\n", list->variant_key, v->name, v->help,
			   v->later ? " *Later.*" : "");
		put_table(out, v->keys, v->later);
	}
}

static void put_section(struct buf *out, const struct cfg_key *key)
{
	bool later = key->flags & CFG_LATER;

	buf_printf(out, "\n## %s\n\n%s%s\n", key->name, key->help, later ? " *Later.*" : "");
	if (key->type == CFG_LIST) {
		put_table(out, key->list->keys, later);
		put_variants(out, key->list);
	} else if (key->type == CFG_GROUP) {
		put_table(out, key->keys, later);
	} else {
		buf_add_text(out, "\n| key | default | allowed | meaning |\n|---|---|---|---|\n");
		put_row(out, "", key, later);
	}
}

void cfg_reference(struct buf *out)
{
	buf_add_text(out, head);
	for (const struct cfg_key *key = cfg_keys; key->name; key++)
		put_section(out, key);
}
