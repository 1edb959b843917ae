#include "base/cfg_tree.h"

#include <errno.h>
#include <stdio.h>
#include <yaml.h>

struct builder {
	struct cfg_mem *mem;
	struct cfg_tree_problem *problem;
	struct cfg_node *root;
	struct cfg_node *open[CFG_TREE_DEPTH_MAX]; /* lists and maps around what is read now */
	size_t depth, nodes;
	struct slice key; /* read, its value is next */
	int key_line;
	bool has_key, done;
};

static int refuse(struct builder *b, size_t line, const char *what)
{
	b->problem->line = (int)line + 1;
	snprintf(b->problem->what, sizeof(b->problem->what), "%s", what);
	return -EINVAL;
}

static void append(struct cfg_node *parent, struct cfg_node *node)
{
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	parent->n++;
}

/* Puts a new node where it belongs: the root, an item, the value of the key read before. */
static int place(struct builder *b, struct cfg_node *node)
{
	struct cfg_node *parent = b->depth ? b->open[b->depth - 1] : NULL;

	if (!parent) {
		b->root = node;
		return 0;
	}
	if (parent->kind == CFG_NODE_MAP) {
		if (parent->n == CFG_TREE_KEYS_MAX)
			return refuse(b, (size_t)node->line - 1,
				      "more than 1000 keys in one map, allowed: fewer");
		node->key = b->key.p;
		node->key_text = b->key;
		node->key_line = b->key_line;
		b->has_key = false;
	}
	append(parent, node);
	return 0;
}

static int add_node(struct builder *b, enum cfg_node_kind kind, size_t line, struct cfg_node **ret)
{
	struct cfg_node *node;

	if (++b->nodes > CFG_TREE_NODES_MAX)
		return refuse(b, line, "more than 2000000 values, allowed: fewer");
	node = cfg_alloc(b->mem, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->kind = kind;
	node->line = (int)line + 1;
	*ret = node;
	return place(b, node);
}

static bool wants_key(const struct builder *b)
{
	return b->depth && b->open[b->depth - 1]->kind == CFG_NODE_MAP && !b->has_key;
}

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
	struct slice text = slice_make(event->data.scalar.value, event->data.scalar.length);
	size_t line = event->start_mark.line;
	struct cfg_node *node;
	int err;

	if (memchr(text.p, '\0', text.n))
		return refuse(b, line, "a NUL character, allowed: text without it");
	text.p = cfg_copy(b->mem, text);
	if (b->mem->bad)
		return -ENOMEM;
	if (wants_key(b)) {
		b->key = text;
		b->key_line = (int)line + 1;
		b->has_key = true;
		return 0;
	}
	err = add_node(b, CFG_NODE_TEXT, line, &node);
	if (err)
		return err;
	node->text = text;
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return 0;
}

static int on_open(struct builder *b, enum cfg_node_kind kind, size_t line)
{
	struct cfg_node *node;
	int err;

	if (wants_key(b))
		return refuse(b, line, "a key that is no text, allowed: names as keys");
	if (b->depth == CFG_TREE_DEPTH_MAX)
		return refuse(b, line, "nested too deep, allowed: 16 levels");
	err = add_node(b, kind, line, &node);
	if (!err)
		b->open[b->depth++] = node;
	return err;
}

/* The anchor or tag that an event may carry, NULL without. */
static const unsigned char *decoration(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor ? event->data.scalar.anchor
						 : event->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor ? event->data.sequence_start.anchor
							 : event->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor ? event->data.mapping_start.anchor
							: event->data.mapping_start.tag;
	default:
		return NULL;
	}
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
	size_t line = event->start_mark.line;

	if (event->type == YAML_ALIAS_EVENT || decoration(event))
		return refuse(b, line,
			      "anchors, aliases and tags are not read, allowed: plain values");
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return b->root ? refuse(b, line, "a second document, allowed: one") : 0;
	case YAML_SCALAR_EVENT:
		return on_scalar(b, event);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(b, CFG_NODE_LIST, line);
	case YAML_MAPPING_START_EVENT:
		return on_open(b, CFG_NODE_MAP, line);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	case YAML_STREAM_END_EVENT:
		b->done = true;
		return 0;
	default:
		return 0;
	}
}

static int syntax_problem(struct builder *b, const yaml_parser_t *parser)
{
	char what[160];

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	snprintf(what, sizeof(what), "%s%s%s, allowed: YAML in UTF-8",
		 parser->problem ? parser->problem : "not readable", parser->context ? " " : "",
		 parser->context ? parser->context : "");
	return refuse(
	    b, parser->error == YAML_READER_ERROR ? parser->mark.line : parser->problem_mark.line,
	    what);
}

int cfg_tree_read(struct cfg_mem *mem, struct slice text, struct cfg_node **ret,
		  struct cfg_tree_problem *problem)
{
	struct builder b = { .mem = mem, .problem = problem };
	yaml_parser_t parser;
	yaml_event_t event;
	int err = 0;

	if (slice_starts(text, SLICE("\xef\xbb\xbf")))
		text = slice_skip(text, 3); /* some editors' mark, which the parser counts */
	if (text.n > CFG_TREE_BYTES_MAX)
		return refuse(&b, 0, "the file is too large, allowed: 16 MiB");
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)(text.n ? text.p : ""),
				     text.n);
	while (!err && !b.done) {
		if (!yaml_parser_parse(&parser, &event)) {
			err = syntax_problem(&b, &parser);
			break;
		}
		err = on_event(&b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (!err && mem->bad)
		err = -ENOMEM;
	if (!err)
		*ret = b.root;
	return err;
}

struct cfg_node *cfg_node_get(const struct cfg_node *map, const char *key)
{
	if (!map || map->kind != CFG_NODE_MAP)
		return NULL;
	for (struct cfg_node *node = map->first; node; node = node->next) {
		if (slice_is(node->key_text, key))
			return node;
	}
	return NULL;
}

bool cfg_node_is_null(const struct cfg_node *node)
{
	return node->kind == CFG_NODE_TEXT && node->plain &&
	       (node->text.n == 0 || slice_is(node->text, "~") || slice_is(node->text, "null"));
}
