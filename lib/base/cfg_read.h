/*
 * cfg_read.h - a tree of texts into a struct cfg, by the tables; every problem is collected
 * Inner to cfg. Thread: one owner.
 */
#ifndef CS_BASE_CFG_READ_H
#define CS_BASE_CFG_READ_H

#include "base/cfg_mem.h"
#include "base/cfg_table.h"
#include "base/cfg_tree.h"

#define CFG_PROBLEMS_MAX 10000u /* told; nobody reads on behind them */

struct cfg_problem {
	int file; /* 0 the config, then those it names, as they were read */
	int line;
	size_t order;
	const char *text; /* `file:line: key: what` */
};

struct cfg_reader {
	struct cfg *cfg;
	struct cfg_mem *mem; /* what the config lies in */
	struct cfg_mem tmp;  /* the tree and the problems */
	const char *file;    /* that is read now */
	int file_n, files;
	struct buf path; /* of the key that is read now: "accounts[0]." */
	bool later;      /* in a section that was warned about as a whole */
	struct cfg_pair *options;
	size_t options_n; /* of the item that is read now */
	struct cfg_problem *problems;
	size_t problems_n, errors;
};

/* A problem of a key (NULL: the map itself) in the map that is read now. */
void cfg_error(struct cfg_reader *r, int line, const char *key, const char *format, ...)
    PRINTF(4, 5);
void cfg_warn(struct cfg_reader *r, int line, const char *key, const char *format, ...)
    PRINTF(4, 5);
/* `"abc" is no duration, allowed: 1s to 1h`; the value as it was written, nothing of a secret. */
void cfg_wrong(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
	       const char *what);
/* The line of a member, or of the map where it is absent. */
int cfg_line_of(const struct cfg_node *map, const char *key);

/* The whole file; root may be NULL. */
void cfg_read_all(struct cfg_reader *r, const struct cfg_node *root);
/* One value of each shape into its field; a problem is told and leaves the field. */
void cfg_read_scalar(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		     void *base);
void cfg_read_texts(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		    void *base);
void cfg_read_words(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		    void *base);
void cfg_set_default(struct cfg_reader *r, const struct cfg_key *key, void *base);
/* A text with variables and files put in; NULL with the problem told. */
const char *cfg_expanded(struct cfg_reader *r, const struct cfg_key *key,
			 const struct cfg_node *node);
/* Does it fit what its row asks? The problem is told. */
bool cfg_text_fits(struct cfg_reader *r, const struct cfg_key *key, const struct cfg_node *node,
		   const char *value);
/* The items of a list behind those of *items. */
void cfg_read_list(struct cfg_reader *r, const char *name, const struct cfg_list *list,
		   const struct cfg_node *node, void **items, size_t *n);
/* The row of that name in a list's own table or in its variant's. */
const struct cfg_variant *cfg_variant_of(const struct cfg_list *list, const char *name);
/* What a key may be, behind "allowed: ". */
void cfg_allowed(const struct cfg_key *key, struct buf *out);

/* ${ENV} and ${file:/path} in a value. 0; -EINVAL with what is wrong in why; -ENOMEM. */
CHECKED int cfg_expand(struct cfg_mem *mem, const char *file, struct slice text, const char **ret,
		       struct buf *why);
/* A file's content, at most max bytes: behind *ret one byte is free. 0; -EFBIG; -errno; -ENOMEM. */
CHECKED int cfg_read_file(struct cfg_mem *mem, const char *path, size_t max, struct slice *ret);
/* path itself when absolute, else beside file. */
const char *cfg_beside(struct cfg_mem *mem, const char *file, struct slice path);

#endif
