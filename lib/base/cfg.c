#include "base/cfg.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cfg_item.h"
#include "base/cfg_read.h"
#include "base/cfg_tree.h"

/* A config and what it lies in. */
struct whole {
	struct cfg cfg;
	struct cfg_mem mem;
};

static struct whole *whole_of(struct cfg *cfg)
{
	return CONTAINER_OF(cfg, struct whole, cfg);
}

void cfg_free(struct cfg *cfg)
{
	struct whole *whole;

	if (!cfg)
		return;
	whole = whole_of(cfg);
	for (struct cfg_zone *zone = cfg->zones; zone; zone = zone->next)
		tz_free(zone->tz);
	cfg_mem_fini(&whole->mem);
	free(whole);
}

static int by_place(const void *a, const void *b)
{
	const struct cfg_problem *x = a, *y = b;

	if (x->file != y->file)
		return x->file - y->file;
	if (x->line != y->line)
		return x->line - y->line;
	return (x->order > y->order) - (x->order < y->order);
}

/* In the order of the lines, whatever order they were found in. */
static void write_problems(struct cfg_reader *r, struct buf *out)
{
	if (r->problems_n)
		qsort(r->problems, r->problems_n, sizeof(*r->problems), by_place);
	for (size_t i = 0; i < r->problems_n; i++) {
		buf_add_text(out, r->problems[i].text);
		buf_add_char(out, '\n');
	}
}

static void read_text(struct cfg_reader *r, struct slice text, int *err)
{
	struct cfg_tree_problem problem = { 0 };
	struct cfg_node *root = NULL;

	*err = cfg_tree_read(&r->tmp, text, &root, &problem);
	if (*err == -EINVAL)
		cfg_error(r, problem.line, "yaml", "%s", problem.what);
	if (*err)
		return;
	cfg_read_all(r, root);
	cfg_check_whole(r, root);
}

static int read_whole(struct whole *whole, const char *file, struct slice text,
		      struct buf *problems)
{
	struct cfg_reader r = { .cfg = &whole->cfg, .mem = &whole->mem };
	int err;

	whole->cfg.file = cfg_copy(&whole->mem, slice_of(file));
	whole->cfg.arena = &whole->mem;
	r.file = whole->cfg.file;
	r.path = BUF_EMPTY;
	read_text(&r, text, &err);
	write_problems(&r, problems);
	if (r.mem->bad || r.tmp.bad || problems->bad)
		err = -ENOMEM;
	else if (!err && r.errors)
		err = -EINVAL;
	buf_fini(&r.path);
	cfg_mem_fini(&r.tmp);
	return err;
}

static int parse(const char *file, struct slice text, cfg_more_fn *more, struct cfg **ret,
		 struct buf *problems)
{
	struct whole *whole = calloc(1, sizeof(*whole));
	int err, more_err = 0;

	if (!whole)
		return -ENOMEM;
	err = read_whole(whole, file, text, problems);
	if (more && err != -ENOMEM && whole->cfg.kafka.brokers)
		more_err = more(&whole->cfg, problems);
	err = err ? err : more_err;
	if (err || !ret)
		cfg_free(&whole->cfg);
	else
		*ret = &whole->cfg;
	return err;
}

int cfg_parse(const char *file, struct slice text, struct cfg **ret, struct buf *problems)
{
	return parse(file, text, NULL, ret, problems);
}

static int load(const char *file, cfg_more_fn *more, struct cfg **ret, struct buf *problems)
{
	struct cfg_mem mem = CFG_MEM_EMPTY;
	struct slice text;
	int err = cfg_read_file(&mem, file, CFG_TREE_BYTES_MAX, &text);

	if (!err)
		err = parse(file, text, more, ret, problems);
	else if (err == -EFBIG)
		buf_printf(problems, "%s:1: file: is too large, allowed: 16 MiB\n", file);
	else
		buf_printf(problems, "%s:1: file: cannot be read: %s, allowed: a readable file\n",
			   file, strerror(-err));
	cfg_mem_fini(&mem);
	return err == -EFBIG ? -EINVAL : err;
}

int cfg_load(const char *file, struct cfg **ret, struct buf *problems)
{
	return load(file, NULL, ret, problems);
}

int cfg_examine(const char *file, cfg_more_fn *more, struct buf *problems)
{
	return load(file, more, NULL, problems);
}

/* ---- looking things up ---- */

/* The item of a sorted array whose first member is the name that orders it. */
static const void *find(const void *items, size_t n, size_t size, struct slice name)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *item = (const char *)items + middle * size;
		const char *key;
		int order;

		memcpy(&key, item, sizeof(key));
		order = slice_cmp(name, slice_of(key));
		if (order == 0)
			return item;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

_Static_assert(offsetof(struct cfg_account, name) == 0, "find() orders by the first member");
_Static_assert(offsetof(struct cfg_sink, name) == 0, "find() orders by the first member");
_Static_assert(offsetof(struct cfg_employee, id) == 0, "find() orders by the first member");

const struct cfg_account *cfg_account(const struct cfg *cfg, struct slice name)
{
	return find(cfg->accounts, cfg->accounts_n, sizeof(*cfg->accounts), name);
}

const struct cfg_sink *cfg_sink(const struct cfg *cfg, struct slice name)
{
	return find(cfg->sinks, cfg->sinks_n, sizeof(*cfg->sinks), name);
}

const struct cfg_employee *cfg_employee(const struct cfg_account *account, struct slice id)
{
	return find(account->employees, account->employees_n, sizeof(*account->employees), id);
}

const char *cfg_option(const struct cfg_pair *options, size_t options_n, const char *key)
{
	for (size_t i = 0; i < options_n; i++) {
		if (strcmp(options[i].key, key) == 0)
			return options[i].value;
	}
	return "";
}
