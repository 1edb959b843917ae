/*
 * cfg_tree.h - a YAML document as a tree of texts, lists and maps, each with its line
 *
 * Of YAML only what a config needs: one document, no anchors and aliases (so a small file cannot
 * grow), no tags, keys that are texts, and bounds on everything. What a text means (number, bool)
 * is for the reader to say. Thread: one owner.
 */
#ifndef CS_BASE_CFG_TREE_H
#define CS_BASE_CFG_TREE_H

#include "base/cfg_mem.h"

#define CFG_TREE_BYTES_MAX ((size_t)16 << 20)
#define CFG_TREE_DEPTH_MAX 16
#define CFG_TREE_NODES_MAX 2000000u
#define CFG_TREE_KEYS_MAX  1000u /* of one map */

enum cfg_node_kind { CFG_NODE_TEXT, CFG_NODE_LIST, CFG_NODE_MAP };

struct cfg_node {
	enum cfg_node_kind kind;
	bool plain;      /* a text without quotes */
	int line;        /* 1.. */
	const char *key; /* where it is a member of a map */
	struct slice key_text;
	int key_line;
	struct slice text; /* NUL-terminated too */
	size_t n;          /* members or items */
	struct cfg_node *first, *last, *next;
};

struct cfg_tree_problem {
	int line;
	char what[200];
};

/* *ret is NULL for a file without content. 0; -EINVAL with *problem; -ENOMEM. */
CHECKED int cfg_tree_read(struct cfg_mem *mem, struct slice text, struct cfg_node **ret,
			  struct cfg_tree_problem *problem);
/* A member of a map (the first, where it is there twice), or NULL; also for what is no map. */
struct cfg_node *cfg_node_get(const struct cfg_node *map, const char *key);
/* Written, but with nothing behind it: `key:`, `key: ~`, `key: null`. */
bool cfg_node_is_null(const struct cfg_node *node);

#endif
