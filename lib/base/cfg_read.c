#include "base/cfg_read.h"
#include "base/nearest.h"

#define FIELD(base, key) ((void *)((char *)(base) + (key)->at))

static bool tell_duplicates(struct cfg_reader *r, const struct cfg_node *map)
{
	bool any = false;

	for (const struct cfg_node *node = map->first; node; node = node->next) {
		const struct cfg_node *first = cfg_node_get(map, node->key);

		if (first == node)
			continue;
		cfg_error(r, node->key_line, node->key,
			  "is there twice, first in line %d, allowed: once", first->key_line);
		any = true;
	}
	return any;
}

/* Does the name of a property tell that its value is a secret? */
static bool is_secret_property(const char *name)
{
	return strstr(name, "password") || strstr(name, "secret") || strstr(name, "key") ||
	       strstr(name, "config");
}

/* Path of the map that is read from here on; give the length back to cfg_leave. */
static size_t enter(struct cfg_reader *r, const char *name)
{
	size_t n = r->path.n;

	buf_printf(&r->path, "%s.", name);
	return n;
}

static size_t enter_item(struct cfg_reader *r, const char *name, size_t index)
{
	size_t n = r->path.n;

	buf_printf(&r->path, "%s[%zu].", name, index);
	return n;
}

static void leave(struct cfg_reader *r, size_t n)
{
	r->tmp.bad |= r->path.bad;
	r->path.n = n;
}

static void read_pairs(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		       void *base)
{
	struct cfg_pair **pairs = FIELD(base, key);
	size_t *n = (size_t *)(pairs + 1), outer;

	if (node->kind != CFG_NODE_MAP) {
		if (!cfg_node_is_null(node))
			cfg_wrong(r, key, node, "is no map");
		return;
	}
	outer = enter(r, key->name);
	tell_duplicates(r, node);
	for (const struct cfg_node *member = node->first; member; member = member->next) {
		struct cfg_key row = { .name = member->key,
				       .type = CFG_TEXT,
				       .flags = is_secret_property(member->key) ? CFG_SECRET : 0 };
		const char *value = cfg_expanded(r, &row, member);
		struct cfg_pair *pair;

		if (!value || !cfg_text_fits(r, &row, member, value))
			continue;
		pair = cfg_append(r->mem, (void **)pairs, n, sizeof(*pair));
		if (pair)
			*pair = (struct cfg_pair){ cfg_copy(r->mem, member->key_text), value };
	}
	leave(r, outer);
}

/* ---- maps by tables ---- */

#define TABLES_MAX 8

struct tables {
	const struct cfg_key *v[TABLES_MAX];
	size_t n;
	bool open; /* unknown keys are warnings */
};

static void read_map(struct cfg_reader *r, const struct tables *tables, const struct cfg_node *node,
		     void *base);

static void read_group(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		       void *base)
{
	struct tables tables = { { key->keys }, 1, false };
	bool outer_later = r->later;
	size_t outer;

	if (key->flags & CFG_LATER) {
		cfg_warn(r, node->key_line, key->name, "not in this version");
		r->later = true;
	}
	outer = enter(r, key->name);
	if (!cfg_node_is_null(node)) /* `deliver:` with all of it commented out */
		read_map(r, &tables, node, base);
	leave(r, outer);
	r->later = outer_later;
}

static void read_list_key(struct cfg_reader *r, const struct cfg_key *key,
			  const struct cfg_node *node, void *base)
{
	bool outer_later = r->later;
	void *items = NULL, **to = &items;
	size_t n = 0, *to_n = &n;

	if (key->flags & CFG_LATER) {
		cfg_warn(r, node->key_line, key->name, "not in this version");
		r->later = true;
	}
	if (!(key->flags & CFG_NOWHERE)) {
		to = FIELD(base, key);
		to_n = (size_t *)(to + 1);
	}
	cfg_read_list(r, key->name, key->list, node, to, to_n);
	r->later = outer_later;
}

static void read_value(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		       void *base)
{
	switch (key->type) {
	case CFG_TEXTS:
		cfg_read_texts(r, key, node, base);
		break;
	case CFG_WORDS:
		cfg_read_words(r, key, node, base);
		break;
	case CFG_PAIRS:
		read_pairs(r, key, node, base);
		break;
	case CFG_GROUP:
		read_group(r, key, node, base);
		break;
	case CFG_LIST:
		read_list_key(r, key, node, base);
		break;
	default:
		cfg_read_scalar(r, key, node, base);
		break;
	}
}

static void tell_allowed(struct cfg_reader *r, int line, const struct cfg_key *key,
			 const char *what)
{
	struct buf allowed = BUF_EMPTY;

	cfg_allowed(key, &allowed);
	cfg_error(r, line, key->name, "%s, allowed: %.*s", what, SLICE_ARG(buf_slice(&allowed)));
	r->tmp.bad |= allowed.bad;
	buf_fini(&allowed);
}

static bool is_known(const struct tables *tables, struct slice name)
{
	for (size_t t = 0; t < tables->n; t++) {
		for (const struct cfg_key *key = tables->v[t]; key->name; key++) {
			if (slice_is(name, key->name))
				return true;
		}
	}
	return false;
}

static void tell_unknown(struct cfg_reader *r, const struct tables *tables,
			 const struct cfg_node *node)
{
	struct nearest nearest = nearest_to(node->key_text);
	struct buf names = BUF_EMPTY;
	const char *before = "";

	if (tables->open) {
		cfg_warn(r, node->key_line, node->key, "not in this version");
		return;
	}
	for (size_t t = 0; t < tables->n; t++) {
		for (const struct cfg_key *key = tables->v[t]; key->name; key++) {
			nearest_try(&nearest, key->name);
			buf_printf(&names, "%s%s", before, key->name);
			before = ", ";
		}
	}
	cfg_error(r, node->key_line, node->key, "unknown key%s%s%s, allowed: %.*s",
		  nearest.word ? " (did you mean " : "", nearest.word ? nearest.word : "",
		  nearest.word ? "?)" : "", SLICE_ARG(buf_slice(&names)));
	r->tmp.bad |= names.bad;
	buf_fini(&names);
}

static void read_key(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *map,
		     void *base)
{
	const struct cfg_node *node = cfg_node_get(map, key->name);
	bool is_map = key->type == CFG_GROUP || key->type == CFG_LIST || key->type == CFG_PAIRS;

	if (!node && key->flags & CFG_REQUIRED)
		tell_allowed(r, map->line, key, "is missing");
	else if (node && !is_map && cfg_node_is_null(node))
		tell_allowed(r, node->line, key, "has no value");
	else if (node)
		read_value(r, key, node, base);
}

static void read_map(struct cfg_reader *r, const struct tables *tables, const struct cfg_node *node,
		     void *base)
{
	if (node->kind != CFG_NODE_MAP) {
		cfg_error(r, node->line, NULL, "%s, allowed: a map of keys",
			  node->kind == CFG_NODE_LIST ? "is a list" : "is a text");
		return;
	}
	for (size_t t = 0; t < tables->n; t++) {
		for (const struct cfg_key *key = tables->v[t]; key->name; key++)
			read_key(r, key, node, base);
	}
	tell_duplicates(r, node);
	for (const struct cfg_node *member = node->first; member; member = member->next) {
		if (!is_known(tables, member->key_text))
			tell_unknown(r, tables, member);
	}
}

/* ---- lists of maps ---- */

const struct cfg_variant *cfg_variant_of(const struct cfg_list *list, const char *name)
{
	for (const struct cfg_variant *v = list->variants; v && v->name; v++) {
		if (strcmp(v->name, name) == 0)
			return v;
	}
	return NULL;
}

static const struct cfg_key *variant_row(const struct cfg_list *list)
{
	const struct cfg_key *key = list->keys;

	while (strcmp(key->name, list->variant_key) != 0)
		key++;
	return key;
}

static void tell_variant(struct cfg_reader *r, const struct cfg_list *list,
			 const struct cfg_node *node, const struct cfg_variant *variant)
{
	const struct cfg_node *value = cfg_node_get(node, list->variant_key);

	if (!value || value->kind != CFG_NODE_TEXT)
		return; /* told as missing or misshapen with the other keys */
	if (!variant)
		cfg_wrong(r, variant_row(list), value, "is not known");
	else if (variant->later)
		cfg_warn(r, value->line, list->variant_key, "%s is not in this version",
			 variant->name);
}

/* Which keys an item may have; where its variant is not known, any, and they are not told of. */
static struct tables item_tables(struct cfg_reader *r, const struct cfg_list *list,
				 const struct cfg_node *node)
{
	struct tables tables = { { list->keys }, 1, false };
	const struct cfg_variant *variant = NULL;
	const struct cfg_node *value;

	if (!list->variants)
		return tables;
	value = cfg_node_get(node, list->variant_key);
	if (value && value->kind == CFG_NODE_TEXT)
		variant = cfg_variant_of(list, value->text.p);
	tell_variant(r, list, node, variant);
	if (variant)
		tables.v[tables.n++] = variant->keys;
	tables.open = !variant || variant->open;
	return tables;
}

/* Every text is there and every default stands, whatever is wrong with the value read later. */
static void set_defaults(struct cfg_reader *r, const struct cfg_key *keys, void *base)
{
	for (const struct cfg_key *key = keys; key->name; key++) {
		if (key->type == CFG_GROUP)
			set_defaults(r, key->keys, base);
		else if (key->flags & (CFG_NOWHERE | CFG_OPTION))
			continue;
		else if (key->fallback)
			cfg_set_default(r, key, base);
		else if (key->type == CFG_TEXT)
			*(const char **)FIELD(base, key) = "";
	}
}

static void set_item_defaults(struct cfg_reader *r, const struct cfg_list *list, void *item)
{
	set_defaults(r, list->keys, item);
	for (const struct cfg_variant *v = list->variants; v && v->name; v++)
		set_defaults(r, v->keys, item);
	if (list->begin)
		list->begin(r, item);
}

static void read_item(struct cfg_reader *r, const struct cfg_list *list,
		      const struct cfg_node *node, void *item)
{
	struct tables tables = item_tables(r, list, node);
	struct cfg_pair *outer_options = r->options;
	size_t outer_options_n = r->options_n;
	bool outer_later = r->later;

	set_item_defaults(r, list, item);
	r->options = NULL;
	r->options_n = 0;
	if (list->variants && tables.n == 1) /* the variant itself is the problem: no more of it */
		r->later = true;
	read_map(r, &tables, node, item);
	r->later = outer_later;
	if (list->end && node->kind == CFG_NODE_MAP)
		list->end(r, item, node);
	r->options = outer_options;
	r->options_n = outer_options_n;
}

void cfg_read_list(struct cfg_reader *r, const char *name, const struct cfg_list *list,
		   const struct cfg_node *node, void **items, size_t *n)
{
	size_t index = 0;

	if (cfg_node_is_null(node))
		return;
	if (node->kind != CFG_NODE_LIST) {
		cfg_error(r, node->line, name, "is no list, allowed: a list of maps");
		return;
	}
	for (const struct cfg_node *at = node->first; at && r->problems_n < CFG_PROBLEMS_MAX;
	     at = at->next) {
		void *item = cfg_append(r->mem, items, n, list->size);
		size_t outer;

		if (!item)
			return;
		memset(item, 0, list->size);
		outer = enter_item(r, name, index++);
		read_item(r, list, at, item);
		leave(r, outer);
	}
	if (list->finish)
		list->finish(r, node);
}

void cfg_read_all(struct cfg_reader *r, const struct cfg_node *root)
{
	struct tables tables = { { cfg_keys }, 1, false };

	set_defaults(r, cfg_keys, r->cfg);
	if (root && !cfg_node_is_null(root))
		read_map(r, &tables, root, r->cfg);
}
