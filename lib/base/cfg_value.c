#include "base/cfg_read.h"

#include <errno.h>

static void *field(void *base, const struct cfg_key *key)
{
	return (char *)base + key->at;
}

/* With variables and files put in; NULL with the problem told. */
const char *cfg_expanded(struct cfg_reader *r, const struct cfg_key *key,
			 const struct cfg_node *node)
{
	struct buf why = BUF_EMPTY;
	const char *value = NULL;
	int err;

	if (node->kind != CFG_NODE_TEXT) {
		cfg_wrong(r, key, node, node->kind == CFG_NODE_LIST ? "is a list" : "is a map");
		return NULL;
	}
	err = cfg_expand(r->mem, r->file, node->text, &value, &why);
	if (err == -EINVAL)
		cfg_error(r, node->line, key->name, "%.*s", SLICE_ARG(buf_slice(&why)));
	else if (err || why.bad)
		r->tmp.bad = true;
	buf_fini(&why);
	return err ? NULL : value;
}

static void set_bool(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		     const char *value, void *to)
{
	bool yes = slice_eq_nocase(slice_of(value), SLICE("true"));

	if (!yes && !slice_eq_nocase(slice_of(value), SLICE("false")))
		cfg_wrong(r, key, node, "is neither");
	else if (to)
		*(bool *)to = yes;
}

/* A number in one of three notations; -EINVAL, -ERANGE. */
static int amount(enum cfg_type type, const char *text, uint64_t *ret)
{
	int64_t ms;
	int err;

	if (type == CFG_SIZE)
		return size_read(slice_of(text), ret);
	if (type != CFG_MS)
		return slice_u64(slice_of(text), ret);
	err = duration_read(slice_of(text), &ms);
	if (!err)
		*ret = (uint64_t)ms;
	return err;
}

static const char *no_amount(enum cfg_type type)
{
	if (type == CFG_SIZE)
		return "is no size like 512, 64KiB, 1MiB";
	return type == CFG_MS ? "is no duration like 250ms, 5s, 10m, 4h, 30d"
			      : "is no whole number";
}

static void set_amount(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		       const char *value, void *to)
{
	uint64_t n, min = 0, max = UINT64_MAX;
	int err = amount(key->type, value, &n);

	if (key->min && (amount(key->type, key->min, &min) || amount(key->type, key->max, &max)))
		err = -EINVAL; /* a row that is wrong itself; a test sees to it that none is */
	if (err == -EINVAL) {
		cfg_wrong(r, key, node, no_amount(key->type));
		return;
	}
	if (err || n < min || n > max) {
		cfg_wrong(r, key, node, !err && n < min ? "is too small" : "is too large");
		return;
	}
	if (!to)
		return;
	if (key->type == CFG_U32)
		*(uint32_t *)to = (uint32_t)n;
	else if (key->type == CFG_MS)
		*(int64_t *)to = (int64_t)n;
	else
		*(uint64_t *)to = n;
}

/* The word's place in the list, or -1. */
static int word(const char *const *words, struct slice value)
{
	for (int i = 0; words[i]; i++) {
		if (*words[i] && slice_is(value, words[i]))
			return i;
	}
	return -1;
}

static void set_word(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		     const char *value, void *to)
{
	int at = word(key->words, slice_of(value));

	if (at < 0)
		cfg_wrong(r, key, node, "is not known");
	else if (to && key->width == sizeof(bool))
		*(bool *)to = at != 0;
	else if (to)
		*(int *)to = at;
}

/* Does a text fit what its row asks? The problem is told. */
bool cfg_text_fits(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		   const char *value)
{
	const char *what = NULL;

	if (!*value && key->flags & (CFG_NOT_EMPTY | CFG_SECRET))
		what = "is empty";
	else if (*value && key->check && !key->check->fits(slice_of(value)))
		what = "does not fit";
	else if (!slice_is_utf8(slice_of(value)) && !(key->flags & CFG_SECRET))
		what = "is no UTF-8";
	else if (key->type == CFG_TEXTS && key->words && word(key->words, slice_of(value)) < 0)
		what = "is not known";
	if (what)
		cfg_wrong(r, key, node, what);
	return !what;
}

static void set_text(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		     const char *value, void *to)
{
	if (cfg_text_fits(r, key, node, value) && to)
		*(const char **)to = value;
}

static void set_scalar(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		       const char *value, void *to)
{
	switch (key->type) {
	case CFG_BOOL:
		set_bool(r, key, node, value, to);
		break;
	case CFG_U32:
	case CFG_U64:
	case CFG_SIZE:
	case CFG_MS:
		set_amount(r, key, node, value, to);
		break;
	case CFG_WORD:
		set_word(r, key, node, value, to);
		break;
	default:
		set_text(r, key, node, value, to);
		break;
	}
}

/* "api.host" for a key of group api. The path of the item ends at its last "]". */
static const char *option_name(struct cfg_reader *r, const struct cfg_key *key)
{
	struct slice path = buf_slice(&r->path);
	struct buf name = BUF_EMPTY;
	const char *copy;

	for (size_t i = path.n; i > 0; i--) {
		if (path.p[i - 1] == ']') {
			path = slice_skip(path, i + 1);
			break;
		}
	}
	buf_add_slice(&name, path);
	buf_add_text(&name, key->name);
	copy = cfg_copy(r->mem, buf_slice(&name));
	buf_fini(&name);
	return copy;
}

static void add_option(struct cfg_reader *r, const struct cfg_key *key, const char *value)
{
	struct cfg_pair *pair = cfg_append(r->mem, (void **)&r->options, &r->options_n,
					   sizeof(*pair));

	if (pair)
		*pair = (struct cfg_pair){ option_name(r, key), value };
}

void cfg_read_scalar(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		     void *base)
{
	bool stored = !(key->flags & (CFG_NOWHERE | CFG_OPTION));
	const char *value = cfg_expanded(r, key, node);

	if (!value)
		return;
	if (key->flags & CFG_LATER && !(key->fallback && strcmp(value, key->fallback) == 0))
		cfg_warn(r, node->key_line, key->name, "not in this version");
	set_scalar(r, key, node, value, stored ? field(base, key) : NULL);
	if (key->flags & CFG_OPTION)
		add_option(r, key, value);
}

/* ---- lists and maps of texts ---- */

/* One text stands for a list of one. */
static const struct cfg_node *first_item(const struct cfg_node *node)
{
	return node->kind == CFG_NODE_TEXT ? node : node->first;
}

static const struct cfg_node *next_item(const struct cfg_node *list, const struct cfg_node *item)
{
	return list->kind == CFG_NODE_TEXT ? NULL : item->next;
}

void cfg_read_texts(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		    void *base)
{
	struct cfg_texts texts = { NULL, 0 };

	if (node->kind == CFG_NODE_MAP) {
		cfg_wrong(r, key, node, "is a map");
		return;
	}
	if (node->kind == CFG_NODE_LIST && node->n == 0 && key->flags & CFG_NOT_EMPTY)
		cfg_wrong(r, key, node, "is empty");
	for (const struct cfg_node *item = first_item(node); item; item = next_item(node, item)) {
		const char *value = cfg_expanded(r, key, item), **to;

		if (!value)
			continue;
		if (!*value)
			cfg_wrong(r, key, item, "is empty");
		else if (cfg_text_fits(r, key, item, value) &&
			 (to = cfg_append(r->mem, (void **)&texts.v, &texts.n, sizeof(*to))))
			*to = value;
	}
	if (!(key->flags & CFG_NOWHERE))
		*(struct cfg_texts *)field(base, key) = texts;
}

void cfg_read_words(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		    void *base)
{
	unsigned bits = 0;

	if (node->kind == CFG_NODE_MAP || (node->kind == CFG_NODE_LIST && node->n == 0)) {
		cfg_wrong(r, key, node, node->n ? "is a map" : "is empty");
		return;
	}
	for (const struct cfg_node *item = first_item(node); item; item = next_item(node, item)) {
		const char *value = cfg_expanded(r, key, item);
		int at = value ? word(key->words, slice_of(value)) : -1;

		if (value && at < 0)
			cfg_wrong(r, key, item, "is not known");
		else if (at >= 0)
			bits |= 1u << at;
	}
	*(unsigned *)field(base, key) = bits;
}

/* "in, out" as bits. */
static unsigned words_bits(const struct cfg_key *key)
{
	struct slice left = slice_of(key->fallback);
	unsigned bits = 0;

	while (left.n) {
		int at = word(key->words, slice_trim(slice_cut(&left, ',')));

		bits |= at < 0 ? 0 : 1u << at;
	}
	return bits;
}

void cfg_set_default(struct cfg_reader *r, const struct cfg_key *key, void *base)
{
	/* What stands in the place of the value; its text is the row's own, so no problem is told.
	 */
	struct cfg_node node = { .kind = CFG_NODE_TEXT, .text = slice_of(key->fallback) };

	if (key->type == CFG_WORDS)
		*(unsigned *)field(base, key) = words_bits(key);
	else if (key->type == CFG_TEXT)
		*(const char **)field(base, key) = key->fallback;
	else
		set_scalar(r, key, &node, key->fallback, field(base, key));
}
