#include "base/cfg_item.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/addr.h"
#include "base/cfg_checks.h"

/* ---- names that must be there once ---- */

struct named {
	struct slice name;
	int line;
	size_t index;
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = slice_cmp(x->name, y->name);

	return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Tells every item of a list whose member `key` says what an earlier one says. */
static void tell_same(struct cfg_reader *r, const struct cfg_node *list, const char *path,
		      const char *key)
{
	struct named *all = cfg_alloc(&r->tmp, list->n * sizeof(*all));
	size_t n = 0, index = 0;

	if (!all)
		return;
	for (const struct cfg_node *item = list->first; item; item = item->next, index++) {
		const struct cfg_node *name = cfg_node_get(item, key);

		if (name && name->kind == CFG_NODE_TEXT && name->text.n)
			all[n++] = (struct named){ name->text, name->line, index };
	}
	qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 1; i < n; i++) {
		char at[80];

		if (!slice_eq(all[i].name, all[i - 1].name))
			continue;
		snprintf(at, sizeof(at), "%s[%zu].%s", path, all[i].index, key);
		cfg_error(r, all[i].line, at,
			  "\"%.*s\" is taken, in line %d too, allowed: another %s",
			  SLICE_ARG(slice_head(all[i].name, 63)), all[i - 1].line, key);
	}
}

/* ---- accounts ---- */

void cfg_account_begin(struct cfg_reader *r, void *item)
{
	struct cfg_account *account = item;

	account->closers = r->cfg->correlate.closers;
	account->keep_raw = r->cfg->ingest.keep_raw;
}

/* The zone of an earlier account of the same name, else a new one. */
static int find_zone(struct cfg_reader *r, const char *name, struct tz **ret)
{
	struct cfg_zone *zone;
	int err;

	for (zone = r->cfg->zones; zone; zone = zone->next) {
		if (strcmp(zone->name, name) == 0) {
			*ret = zone->tz;
			return 0;
		}
	}
	zone = cfg_alloc(r->mem, sizeof(*zone));
	if (!zone)
		return -ENOMEM;
	err = tz_load(name, &zone->tz);
	if (err)
		return err;
	zone->name = name;
	zone->next = r->cfg->zones;
	r->cfg->zones = zone;
	*ret = zone->tz;
	return 0;
}

static void set_zone(struct cfg_reader *r, struct cfg_account *account, const struct cfg_node *node)
{
	const char *name = *account->timezone ? account->timezone : "UTC";
	int err = find_zone(r, name, &account->tz);

	if (err == -ENOMEM)
		r->tmp.bad = true;
	else if (err)
		cfg_error(r, cfg_line_of(node, "timezone"), "timezone",
			  "\"%.60s\" is %s, allowed: an IANA zone like Europe/Moscow", name,
			  err == -ENOENT ? "not known here" : "damaged here");
	account->timezone = name;
}

static bool is_source(const struct cfg_account *account, const char *source)
{
	return strcmp(account->source, source) == 0;
}

static void check_callgear(struct cfg_reader *r, const struct cfg_account *account,
			   const struct cfg_node *node)
{
	if (!cfg_node_get(node, "timezone"))
		cfg_error(r, node->line, "timezone",
			  "is missing, and CallGear sends wall clocks without a zone, allowed: an "
			  "IANA zone like Europe/Moscow");
	if (account->recordings == CFG_RECORDINGS_ANNOUNCED)
		cfg_error(r, cfg_line_of(node, "recordings"), "recordings",
			  "%s, and CallGear announces no recordings, so nothing tells which call "
			  "to wait for, allowed: always, never",
			  cfg_node_get(node, "recordings") ? "is announced" : "is missing");
}

/* Mango and Zadarma sign, SIP is told by its networks and domains; all else needs a lock. */
static bool has_lock(const struct cfg_account *account, const struct cfg_node *node)
{
	if (is_source(account, "mango") || is_source(account, "zadarma"))
		return true; /* their tables demand key and secret */
	if (is_source(account, "sip"))
		return cfg_node_get(node, "domains") || cfg_node_get(node, "hep_sources");
	return *account->token || account->allow_from.n || account->insecure ||
	       cfg_node_get(node, "token"); /* a wrong one was told about */
}

static void check_lock(struct cfg_reader *r, const struct cfg_account *account,
		       const struct cfg_node *node)
{
	if (!has_lock(account, node))
		cfg_error(r, node->line, "token",
			  "is missing, and nothing else authenticates this account, allowed: %s",
			  is_source(account, "sip") ? "domains or hep_sources"
						    : "token, allow_from, or insecure: true");
	if (*account->token_previous && !cfg_node_get(node, "token"))
		cfg_error(r, cfg_line_of(node, "token_previous"), "token_previous",
			  "stands without token, allowed: beside the new one");
}

static int by_id(const void *a, const void *b)
{
	const struct cfg_employee *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static void sort_employees(struct cfg_reader *r, struct cfg_account *account,
			   const struct cfg_node *node)
{
	if (account->employees_n)
		qsort(account->employees, account->employees_n, sizeof(*account->employees), by_id);
	for (size_t i = 1; i < account->employees_n; i++) {
		const char *id = account->employees[i].id;

		if (*id && strcmp(id, account->employees[i - 1].id) == 0)
			cfg_error(r, cfg_line_of(node, "employees"), "employees",
				  "id \"%.60s\" is there twice, allowed: once", id);
	}
}

/* The list in a file of its own; its problems name that file. */
static void read_employees(struct cfg_reader *r, struct cfg_account *account, const char *path,
			   struct slice text)
{
	struct cfg_tree_problem problem = { 0 };
	struct cfg_node *root = NULL;
	const char *outer_file = r->file;
	struct buf outer_path = r->path;
	int outer_n = r->file_n, err;

	r->file = path;
	r->file_n = ++r->files;
	r->path = BUF_EMPTY;
	err = cfg_tree_read(&r->tmp, text, &root, &problem);
	if (err == -EINVAL)
		cfg_error(r, problem.line, "yaml", "%s", problem.what);
	r->tmp.bad |= err == -ENOMEM;
	if (!err && root)
		cfg_read_list(r, "employees", &cfg_employees, root, (void **)&account->employees,
			      &account->employees_n);
	buf_fini(&r->path);
	r->path = outer_path;
	r->file = outer_file;
	r->file_n = outer_n;
}

static void open_employees(struct cfg_reader *r, struct cfg_account *account, const char *path,
			   int line)
{
	struct slice text;
	int err = cfg_read_file(&r->tmp, path, CFG_TREE_BYTES_MAX, &text);

	if (!err)
		read_employees(r, account, path, text);
	else if (err == -ENOMEM)
		r->tmp.bad = true;
	else
		cfg_error(r, line, "employees_file",
			  "file %s cannot be read (%s), allowed: a readable file, at most 16 MiB",
			  path, strerror(-err));
}

static void find_employees(struct cfg_reader *r, struct cfg_account *account,
			   const struct cfg_node *node)
{
	const struct cfg_node *file = cfg_node_get(node, "employees_file");
	struct buf why = BUF_EMPTY;
	const char *path;

	/* What is wrong with the value itself was told when the key was read. */
	if (file && file->kind == CFG_NODE_TEXT && !cfg_node_is_null(file) &&
	    cfg_expand(r->mem, r->file, file->text, &path, &why) == 0 && *path)
		open_employees(r, account, cfg_beside(r->mem, r->file, slice_of(path)), file->line);
	buf_fini(&why);
	sort_employees(r, account, node);
}

void cfg_account_end(struct cfg_reader *r, void *item, const struct cfg_node *node)
{
	struct cfg_account *account = item;

	account->options = r->options;
	account->options_n = r->options_n;
	set_zone(r, account, node);
	find_employees(r, account, node);
	if (!cfg_variant_of(&cfg_accounts, account->source))
		return;
	if (is_source(account, "callgear"))
		check_callgear(r, account, node);
	check_lock(r, account, node);
}

static int account_by_name(const void *a, const void *b)
{
	const struct cfg_account *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void cfg_accounts_finish(struct cfg_reader *r, const struct cfg_node *list)
{
	tell_same(r, list, "accounts", "name");
	if (r->cfg->accounts_n)
		qsort(r->cfg->accounts, r->cfg->accounts_n, sizeof(*r->cfg->accounts),
		      account_by_name);
}

/* ---- sinks ---- */

static void warn_private(struct cfg_reader *r, const struct cfg_sink *sink,
			 const struct cfg_node *node)
{
	struct slice host = cfg_url_host(slice_of(sink->url));
	struct addr a;

	if (r->cfg->deliver.allow_private_networks ||
	    !(slice_is(host, "localhost") || (addr_read(host, &a) == 0 && addr_is_private(&a))))
		return;
	cfg_warn(r, cfg_line_of(node, "url"), "url",
		 "lies in a private network and will be refused, unless "
		 "deliver.allow_private_networks is true");
}

void cfg_sink_end(struct cfg_reader *r, void *item, const struct cfg_node *node)
{
	struct cfg_sink *sink = item;

	sink->options = r->options;
	sink->options_n = r->options_n;
	if (*sink->url)
		warn_private(r, sink, node);
	if (*sink->secret_previous && !cfg_node_get(node, "secret"))
		cfg_error(r, cfg_line_of(node, "secret_previous"), "secret_previous",
			  "stands without secret, allowed: beside the new one");
}

static int sink_by_name(const void *a, const void *b)
{
	const struct cfg_sink *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void cfg_sinks_finish(struct cfg_reader *r, const struct cfg_node *list)
{
	tell_same(r, list, "sinks", "name");
	if (r->cfg->sinks_n)
		qsort(r->cfg->sinks, r->cfg->sinks_n, sizeof(*r->cfg->sinks), sink_by_name);
}

/* ---- routes ---- */

/* The line of the item of a list that says this, else of the key. */
static int line_of_item(const struct cfg_node *map, const char *key, const char *text)
{
	const struct cfg_node *list = cfg_node_get(map, key);

	for (const struct cfg_node *item = list ? list->first : NULL; item; item = item->next) {
		if (slice_is(item->text, text))
			return item->line;
	}
	return cfg_line_of(map, key);
}

/* Sinks that speak a vendor's language, so that its requests can be sent on to them. */
static bool takes_relay(const struct cfg_account *account, const struct cfg_sink *sink)
{
	static const char *const pairs[][2] = {
		{ "callgear", "planfix" },
		{ "mango", "fourdev" },
		{ "zadarma", "vodyanoy" },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		if (is_source(account, pairs[i][0]) && strcmp(sink->kind, pairs[i][1]) == 0)
			return true;
	}
	return false;
}

static void check_relay(struct cfg_reader *r, const struct cfg_account *account,
			const struct cfg_sink *sink, const struct cfg_node *node)
{
	if (account && sink && *account->source && *sink->kind && !takes_relay(account, sink))
		cfg_error(r, cfg_line_of(node, "relay"), "relay",
			  "sink %s of kind %s does not speak %s, allowed: callgear to planfix, "
			  "mango to fourdev, zadarma to vodyanoy",
			  sink->name, sink->kind, account->source);
}

static void check_route_sinks(struct cfg_reader *r, const struct cfg_route *route,
			      const struct cfg_account *account, const struct cfg_node *node)
{
	for (size_t i = 0; i < route->sinks.n; i++) {
		const char *name = route->sinks.v[i];
		const struct cfg_sink *sink = cfg_sink(r->cfg, slice_of(name));

		if (!sink)
			cfg_error(r, line_of_item(node, "sinks", name), "sinks",
				  "there is no sink \"%.63s\", allowed: names under sinks", name);
		if (route->relay)
			check_relay(r, account, sink, node);
	}
}

void cfg_route_end(struct cfg_reader *r, void *item, const struct cfg_node *node)
{
	const struct cfg_route *route = item;
	const struct cfg_account *account = cfg_account(r->cfg, slice_of(route->account));

	if (!account && *route->account)
		cfg_error(r, cfg_line_of(node, "account"), "account",
			  "there is no account \"%.63s\", allowed: names under accounts",
			  route->account);
	if (account && route->relay && !account->keep_raw)
		cfg_error(r, cfg_line_of(node, "relay"), "relay",
			  "needs the requests that keep_raw: false of account %s drops, allowed: "
			  "keep_raw: true",
			  account->name);
	check_route_sinks(r, route, account, node);
}

/* ---- the whole ---- */

static void check_order(struct cfg_reader *r, const struct cfg_node *group, const char *low_key,
			int64_t low, const char *high_key, int64_t high)
{
	const char *key = cfg_node_get(group, low_key) ? low_key : high_key;
	char path[64];

	snprintf(path, sizeof(path), "deliver.%s", key);
	if (low > high)
		cfg_error(r, cfg_line_of(group, key), path, "%s is above %s, allowed: at most that",
			  low_key, high_key);
}

static void check_ingest(struct cfg_reader *r, const struct cfg_node *root)
{
	const struct cfg_node *node = cfg_node_get(root, "ingest");
	struct cfg_ingest *ingest = &r->cfg->ingest;

	if (ingest->ack == CFG_ACK_AUTO)
		/* Durable takes min.insync.replicas of 2, and that is replication - 1. */
		ingest->ack = r->cfg->kafka.replication < 3 ? CFG_ACK_SPOOL : CFG_ACK_KAFKA;
	else if (ingest->ack == CFG_ACK_KAFKA && r->cfg->kafka.replication < 3)
		cfg_warn(r, cfg_line_of(node, "ack"), "ingest.ack",
			 "kafka with kafka.replication below 3: one broker alone may acknowledge, "
			 "before it has synced");
	if (!*ingest->tls_certificate != !*ingest->tls_key)
		cfg_error(r, cfg_line_of(node, "tls"), "ingest.tls",
			  "needs both certificate and key, allowed: both or neither");
}

/* What only librdkafka knows of them, check asks it, and needs the lines for its answers. */
static void find_properties(struct cfg_reader *r, const struct cfg_node *node)
{
	struct cfg_kafka *kafka = &r->cfg->kafka;

	kafka->properties_lines = cfg_alloc(r->mem, kafka->properties_n * sizeof(int));
	for (size_t i = 0; kafka->properties_lines && i < kafka->properties_n; i++)
		kafka->properties_lines[i] = cfg_line_of(node, kafka->properties[i].key);
}

void cfg_check_whole(struct cfg_reader *r, const struct cfg_node *root)
{
	const struct cfg_deliver *deliver = &r->cfg->deliver;
	const struct cfg_node *node = cfg_node_get(root, "deliver");

	check_order(r, node, "retry_first", deliver->retry_first_ms, "retry_max",
		    deliver->retry_max_ms);
	check_order(r, node, "connect_timeout", deliver->connect_timeout_ms, "timeout",
		    deliver->timeout_ms);
	check_ingest(r, root);
	find_properties(r, cfg_node_get(cfg_node_get(root, "kafka"), "properties"));
	r->cfg->redis_configured = cfg_node_get(root, "redis") != NULL;
	r->cfg->record_configured = cfg_node_get(root, "record") != NULL;
	r->cfg->sip_configured = cfg_node_get(root, "sip") != NULL;
}
