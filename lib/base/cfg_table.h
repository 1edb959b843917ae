/*
 * cfg_table.h - every key of the config file: one row gives parsing, range, default and reference
 *
 * Inner to cfg: cfg_read.c reads by these tables, cfg_reference.c writes docs/config.md from them.
 */
#ifndef CS_BASE_CFG_TABLE_H
#define CS_BASE_CFG_TABLE_H

#include "base/cfg.h"

struct cfg_node;
struct cfg_reader;

enum cfg_type {
	CFG_TEXT,  /* const char * */
	CFG_BOOL,  /* bool */
	CFG_U32,   /* uint32_t */
	CFG_U64,   /* uint64_t */
	CFG_SIZE,  /* uint64_t, bytes */
	CFG_MS,    /* int64_t */
	CFG_WORD,  /* one of words; its place in the list, as a bool or an int (width) */
	CFG_WORDS, /* a list of words as an unsigned of bits */
	CFG_TEXTS, /* struct cfg_texts */
	CFG_PAIRS, /* struct cfg_pair *, behind it a size_t */
	CFG_GROUP, /* a map with keys of its own, in the same struct */
	CFG_LIST,  /* an array of structs (list), behind it a size_t */
};

enum {
	CFG_REQUIRED = 1, /* has no default and must be there */
	CFG_SECRET = 2,   /* never printed; not empty when it is written */
	CFG_LATER = 4,    /* accepted, but this version does nothing with it */
	CFG_OPTION = 8,   /* kept as text in the options of the account or sink */
	CFG_NOT_EMPTY = 16,
	CFG_NOWHERE = 32, /* checked, then forgotten */
};

struct cfg_check {
	bool (*fits)(struct slice value);
	const char *allowed; /* behind "allowed: " */
};

struct cfg_list {
	const char *item; /* what one is called in the reference: "account" */
	size_t size;
	const struct cfg_key *keys;
	/* Keys beside these, by the value of the member named variant_key; NULL without. */
	const char *variant_key;
	const struct cfg_variant *variants;
	/* Before an item is read; behind it, with where it stands; behind the last one. Any may be
	 * NULL. */
	void (*begin)(struct cfg_reader *r, void *item);
	void (*end)(struct cfg_reader *r, void *item, const struct cfg_node *node);
	void (*finish)(struct cfg_reader *r, const struct cfg_node *list);
};

struct cfg_variant {
	const char *name;           /* NULL ends the list */
	const struct cfg_key *keys; /* ends with a NULL name */
	bool later;                 /* not in this version */
	bool open;                  /* later, and its keys are not known yet: any is taken */
	const char *help;
};

struct cfg_key {
	const char *name; /* NULL ends a table */
	enum cfg_type type;
	unsigned flags;
	size_t at, width;              /* of the field in its struct */
	const char *fallback;          /* as it would be written; NULL: the field stays as it is */
	const char *min, *max;         /* as they would be written */
	const char *const *words;      /* NULL at the end; "" stands for absent */
	const struct cfg_check *check; /* of a text or of each in a list */
	const struct cfg_key *keys;    /* of a group */
	const struct cfg_list *list;   /* of a list */
	const char *help;              /* one sentence */
};

extern const struct cfg_key cfg_keys[]; /* of the file */
extern const struct cfg_list cfg_accounts, cfg_sinks, cfg_routes, cfg_employees;

/* As the messages name a type: "a duration (ms, s, m, h, d)". */
const char *cfg_type_text(enum cfg_type type);

#endif
