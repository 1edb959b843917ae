/*
 * cfg.h - the config file (contract.md 5): one YAML file, read whole or refused whole
 *
 * Every key is a row of a table in cfg_table.c: name, type, default, range, one sentence. All texts
 * are NUL-terminated, owned by the struct cfg and never NULL ("" is absent). Durations are ms,
 * sizes bytes. ${ENV} and ${file:/path} are replaced in values. A loaded config never changes.
 * Thread: any reads.
 */
#ifndef CS_BASE_CFG_H
#define CS_BASE_CFG_H

#include "base/buf.h"
#include "base/timefmt.h"

struct cfg_pair {
	const char *key, *value;
};

struct cfg_texts {
	const char **v;
	size_t n;
};

struct cfg_kafka {
	const char *brokers, *topic_prefix;
	uint32_t partitions, replication;
	bool create_topics;
	struct cfg_pair *properties; /* of librdkafka, as written */
	size_t properties_n;
	int *properties_lines; /* where each stands, for messages */
};

enum cfg_ack { CFG_ACK_AUTO, CFG_ACK_KAFKA, CFG_ACK_SPOOL };

struct cfg_ingest {
	const char *listen, *spool_dir, *tls_certificate, *tls_key;
	uint64_t body_bytes_max, spool_bytes_max;
	enum cfg_ack ack; /* never AUTO once loaded */
	int64_t ack_wait_ms;
	uint32_t unauthenticated_per_second, threads /* 0: one per core */;
	bool keep_raw;
	struct cfg_texts trusted_proxies; /* networks */
};

/* The closers and waits that an account may have its own values of. */
struct cfg_closers {
	int64_t end_grace_ms, no_summary_after_ms, lost_without_end_after_ms;
	int64_t talk_without_end_after_ms, silent_call_after_ms, recording_wait_ms;
};

struct cfg_correlate {
	const char *instance;
	uint32_t workers;
	struct cfg_closers closers;
	int64_t remember_closed_ms, closed_index_ms, orphan_wait_ms;
	uint64_t closed_index_max, orphans_max, open_calls_max;
	int64_t checkpoint_every_ms, commit_every_ms;
	bool rederive_late;
};

struct cfg_deliver {
	bool allow_private_networks;
	int64_t give_up_after_ms, retry_first_ms, retry_max_ms, connect_timeout_ms, timeout_ms;
	uint64_t waiting_bytes_max;
};

struct cfg_employee {
	const char *id, *extension, *name;
};

enum cfg_recordings { CFG_RECORDINGS_ANNOUNCED, CFG_RECORDINGS_ALWAYS, CFG_RECORDINGS_NEVER };

struct cfg_account {
	const char *name, *source, *timezone;
	struct tz *tz; /* of timezone, UTC without; never NULL */
	const char *token, *token_previous;
	struct cfg_texts allow_from; /* networks, CIDR */
	bool insecure, keep_raw;
	enum cfg_recordings recordings;
	struct cfg_closers closers;
	int64_t max_age_ms;             /* 0: no limit */
	struct cfg_employee *employees; /* sorted by id */
	size_t employees_n;
	struct cfg_pair *options; /* keys of this source alone: api_key, secret, ... */
	size_t options_n;
};

enum cfg_send { CFG_SEND_DEFAULT, CFG_SEND_FIRST, CFG_SEND_COMPLETE, CFG_SEND_EVERY };

struct cfg_sink {
	const char *name, *kind, *url, *secret, *secret_previous, *path;
	enum cfg_send send;
	uint32_t concurrency, rate /* 0: none */, burst, shards;
	struct cfg_pair *options; /* keys of this kind alone */
	size_t options_n;
};

#define CFG_DIRECTION_IN       1u
#define CFG_DIRECTION_OUT      2u
#define CFG_DIRECTION_INTERNAL 4u

struct cfg_route {
	const char *account;
	struct cfg_texts lines, outcomes, sinks; /* absent lines or outcomes match all */
	unsigned directions;                     /* CFG_DIRECTION_*; absent: IN | OUT */
	bool relay;
};

struct cfg_zone {
	const char *name;
	struct tz *tz;
	struct cfg_zone *next;
};

struct cfg {
	const char *file;
	struct cfg_kafka kafka;
	const char *redis_url, *redis_key_prefix;
	bool redis_configured, record_configured, sip_configured;
	const char *admin_listen;
	bool log_json;
	int log_level; /* enum slog_level */
	int64_t drain_ms;
	const char *numbers_country; /* ISO 3166, "" none */
	struct cfg_ingest ingest;
	struct cfg_correlate correlate;
	struct cfg_deliver deliver;
	struct cfg_account *accounts; /* sorted by name, sinks too */
	size_t accounts_n;
	struct cfg_sink *sinks;
	size_t sinks_n;
	struct cfg_route *routes;
	size_t routes_n;
	struct cfg_zone *zones; /* that the accounts share */
	void *arena;            /* what all of it lies in */
};

/*
 * Reads FILE. Every problem is appended to problems as a line
 *   file:line: key: what is wrong, what is allowed
 * and warnings as `file:line: key: warning: ...` ("not in this version"). 0 (warnings at the most);
 * -EINVAL with at least one error line; -ENOENT, -EACCES, ... where the file cannot be read (with a
 * line too). A config that was refused leaves *ret untouched.
 */
CHECKED int cfg_load(const char *file, struct cfg **ret, struct buf *problems);
/* The same from memory; file is the name for messages. */
CHECKED int cfg_parse(const char *file, struct slice text, struct cfg **ret, struct buf *problems);
void cfg_free(struct cfg *cfg);
/*
 * Only tells what is wrong with FILE, like cfg_load, and lets more tell what else is: also where
 * there are errors, with what could be read. 0 when both have no error. more appends lines to
 * problems and returns 0 or a negative error.
 */
typedef int cfg_more_fn(const struct cfg *cfg, struct buf *problems);
CHECKED int cfg_examine(const char *file, cfg_more_fn *more, struct buf *problems);

/* NULL when there is none of that name. */
const struct cfg_account *cfg_account(const struct cfg *cfg, struct slice name);
const struct cfg_sink *cfg_sink(const struct cfg *cfg, struct slice name);
/* The employee of that id, or NULL. */
const struct cfg_employee *cfg_employee(const struct cfg_account *account, struct slice id);
/* An option of the source's or kind's own; "" when absent. */
const char *cfg_option(const struct cfg_pair *options, size_t options_n, const char *key);

/* The reference of all keys, as docs/config.md has it (a test keeps them equal). */
void cfg_reference(struct buf *out);

#endif
