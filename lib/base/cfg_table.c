#include "base/cfg_table.h"

#include "base/cfg_checks.h"
#include "base/cfg_item.h"

/* Arguments are names of fields and values of designated initializers. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define AT(type, field)        offsetof(struct type, field)
#define WIDTH(type, field)     sizeof(((struct type *)0)->field)
#define FIELD(structure, name) .at = AT(structure, name), .width = WIDTH(structure, name)
#define END                                                                                        \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/* Rows: what the key is called and is, where it goes, default, range, one sentence. */
#define TEXT(key, structure, field, def, checked, sentence)                                        \
	{                                                                                          \
		.name = key, .type = CFG_TEXT, FIELD(structure, field), .fallback = def,           \
		.check = checked, .help = sentence                                                 \
	}
#define BOOL(key, structure, field, def, sentence)                                                 \
	{                                                                                          \
		.name = key, .type = CFG_BOOL, FIELD(structure, field), .fallback = def,           \
		.help = sentence                                                                   \
	}
#define NUMBER(kind, key, structure, field, def, low, high, sentence)                              \
	{                                                                                          \
		.name = key, .type = kind, FIELD(structure, field), .fallback = def, .min = low,   \
		.max = high, .help = sentence                                                      \
	}
#define WORD(key, structure, field, def, list_of_words, sentence)                                  \
	{                                                                                          \
		.name = key, .type = CFG_WORD, FIELD(structure, field), .fallback = def,           \
		.words = list_of_words, .help = sentence                                           \
	}
#define TEXTS(key, structure, field, checked, sentence)                                            \
	{                                                                                          \
		.name = key, .type = CFG_TEXTS, FIELD(structure, field), .check = checked,         \
		.help = sentence                                                                   \
	}
/* A key of a later version: its value must fit all the same. */
#define LATER(kind, key, def, checked, sentence)                                                   \
	{                                                                                          \
		.name = key, .type = kind, .flags = CFG_LATER | CFG_NOWHERE, .fallback = def,      \
		.check = checked, .help = sentence                                                 \
	}
#define GROUP(key, key_flags, table, sentence)                                                     \
	{                                                                                          \
		.name = key, .type = CFG_GROUP, .flags = key_flags, .keys = table,                 \
		.help = sentence                                                                   \
	}
#define LIST(key, field, item_list, sentence)                                                      \
	{                                                                                          \
		.name = key, .type = CFG_LIST, .at = AT(cfg, field), .list = item_list,            \
		.help = sentence                                                                   \
	}
#define OPTION(key, key_flags, checked, sentence)                                                  \
	{                                                                                          \
		.name = key, .type = CFG_TEXT, .flags = CFG_OPTION | (key_flags),                  \
		.check = checked, .help = sentence                                                 \
	}

/* NOLINTEND(bugprone-macro-parentheses) */

static const char *const log_formats[] = { "text", "json", NULL };
static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const acks[] = { "auto", "kafka", "spool", NULL };
static const char *const recordings[] = { "announced", "always", "never", NULL };
static const char *const sends[] = { "", "first", "complete", "every", NULL };
static const char *const source_names[] = {
	"callgear", "mango", "zadarma", "sip", "registrar", NULL
};
static const char *const kind_names[] = { "webhook",  "file",    "planfix", "fourdev",
					  "vodyanoy", "altegio", NULL };
static const char *const lives[] = { "auto", "on", "off", NULL };
static const char *const directions[] = { "in", "out", "internal", NULL };
static const char *const outcomes[] = { "answered", "no_answer",   "busy",      "cancelled",
					"rejected", "unavailable", "not_found", "blocked",
					"failed",   "unknown",     NULL };

static const struct cfg_key kafka_keys[] = {
	{ .name = "brokers",
	  .type = CFG_TEXT,
	  .flags = CFG_NOT_EMPTY,
	  FIELD(cfg, kafka.brokers),
	  .fallback = "localhost:9092",
	  .check = &cfg_is_brokers,
	  .help = "The brokers to begin with; the others are learned from them." },
	TEXT("topic_prefix", cfg, kafka.topic_prefix, "callstream.", &cfg_is_prefix,
	     "What the names of topics, groups and transactional ids begin with."),
	NUMBER(CFG_U32, "partitions", cfg, kafka.partitions, "12", "1", "10000",
	       "Partitions of each topic; cannot be changed once the topics exist."),
	NUMBER(CFG_U32, "replication", cfg, kafka.replication, "1", "1", "15",
	       "Copies of each topic; min.insync.replicas is one less, at least 1."),
	BOOL("create_topics", cfg, kafka.create_topics, "true",
	     "Creates at the start the topics that do not exist."),
	{ .name = "properties",
	  .type = CFG_PAIRS,
	  .at = AT(cfg, kafka.properties),
	  .help = "Settings of librdkafka, as it names them: TLS, SASL, buffers." },
	END,
};

static const struct cfg_key sentinel_keys[] = {
	LATER(CFG_TEXT, "master", NULL, NULL, "The name of the group."),
	LATER(CFG_TEXTS, "addresses", NULL, NULL, "HOST:PORT of each sentinel."),
	END,
};

static const struct cfg_key redis_keys[] = {
	{ .name = "url",
	  .type = CFG_TEXT,
	  .flags = CFG_SECRET,
	  FIELD(cfg, redis_url),
	  .fallback = "redis://localhost:6379/0",
	  .check = &cfg_is_redis_url,
	  .help = "Where the board is shown; rediss:// for TLS." },
	TEXT("key_prefix", cfg, redis_key_prefix, "callstream:", NULL,
	     "What every key in Redis begins with."),
	GROUP("sentinel", 0, sentinel_keys, "A group of sentinels in place of url."),
	END,
};

static const struct cfg_key admin_keys[] = {
	TEXT("listen", cfg, admin_listen, "127.0.0.1:9090", &cfg_is_listen,
	     "Where /healthz, /readyz and /metrics are served."),
	END,
};

static const struct cfg_key log_keys[] = {
	WORD("format", cfg, log_json, "text", log_formats,
	     "Lines of key=value, or a JSON object a line."),
	WORD("level", cfg, log_level, "info", log_levels, "Lines below it are not written."),
	END,
};

static const struct cfg_key numbers_keys[] = {
	TEXT("country", cfg, numbers_country, "RU", &cfg_is_country,
	     "Whose way of writing numbers counts when they are compared."),
	END,
};

static const struct cfg_key tls_keys[] = {
	TEXT("certificate", cfg, ingest.tls_certificate, "", NULL, "File with the chain, PEM."),
	TEXT("key", cfg, ingest.tls_key, "", NULL, "File with the key, PEM."),
	END,
};

static const struct cfg_key ingest_keys[] = {
	TEXT("listen", cfg, ingest.listen, "0.0.0.0:8080", &cfg_is_listen,
	     "Where webhooks come in."),
	NUMBER(CFG_SIZE, "body_bytes_max", cfg, ingest.body_bytes_max, "1MiB", "1KiB", "4MiB",
	       "The largest body; a larger one is answered 413."),
	WORD("ack", cfg, ingest.ack, "auto", acks,
	     "What makes an event durable before the 200; auto is spool where kafka.replication "
	     "is below 3, else kafka."),
	NUMBER(CFG_MS, "ack_wait", cfg, ingest.ack_wait_ms, "200ms", "1ms", "1m",
	       "How long the broker may take before the spool takes the event."),
	{ .name = "spool_dir",
	  .type = CFG_TEXT,
	  .flags = CFG_NOT_EMPTY,
	  FIELD(cfg, ingest.spool_dir),
	  .fallback = "/var/lib/callstream/spool",
	  .help = "Folder of the local spool, for one process alone." },
	NUMBER(CFG_SIZE, "spool_bytes_max", cfg, ingest.spool_bytes_max, "1GiB", "1MiB", "16TiB",
	       "What the spool may take; when it is full the answer is 503."),
	NUMBER(CFG_U32, "unauthenticated_per_second", cfg, ingest.unauthenticated_per_second, "20",
	       "1", "1000000", "Refused requests of one address a second before it gets 429."),
	NUMBER(CFG_U32, "threads", cfg, ingest.threads, "0", "0", "256",
	       "Event loops; 0 is one for each core."),
	BOOL("keep_raw", cfg, ingest.keep_raw, "true",
	     "Keeps the vendor's request in the event; a relay route needs it."),
	TEXTS("trusted_proxies", cfg, ingest.trusted_proxies, &cfg_is_net,
	      "Networks whose X-Forwarded-For is believed."),
	GROUP("tls", CFG_LATER, tls_keys, "Serves TLS by itself."),
	END,
};

/* NOLINTBEGIN(bugprone-macro-parentheses) */
/* The same rows for correlate, with defaults, and for an account, which inherits. */
#define CLOSERS(structure, in, grace, summary, lost, talk, silent, recording)                      \
	NUMBER(CFG_MS, "end_grace", structure, in.end_grace_ms, grace, "0s", "1h",                 \
	       "Wait behind the end event for what comes out of order."),                          \
	    NUMBER(CFG_MS, "no_summary_after", structure, in.no_summary_after_ms, summary, "0s",   \
		   "1d", "Closes a call whose legs have all ended, without a summary."),           \
	    NUMBER(CFG_MS, "lost_without_end_after", structure, in.lost_without_end_after_ms,      \
		   lost, "0s", "1d", "Closes a lost call that has no end event."),                 \
	    NUMBER(CFG_MS, "talk_without_end_after", structure, in.talk_without_end_after_ms,      \
		   talk, "0s", "1d",                                                               \
		   "Closes a call whose last talk ended, without an end event."),                  \
	    NUMBER(CFG_MS, "silent_call_after", structure, in.silent_call_after_ms, silent, "1s",  \
		   "30d", "Closes a call of which nothing is heard."),                             \
	    NUMBER(CFG_MS, "recording_wait", structure, in.recording_wait_ms, recording, "0s",     \
		   "60d", "How long an expected recording is waited for.")

/* NOLINTEND(bugprone-macro-parentheses) */

static const struct cfg_key correlate_keys[] = {
	TEXT("instance", cfg, correlate.instance, "", &cfg_is_instance,
	     "Names this process in its transactional ids; \"\" is host name and admin port."),
	NUMBER(CFG_U32, "workers", cfg, correlate.workers, "1", "1", "64",
	       "Consumers of this process, each with a producer and its own partitions."),
	CLOSERS(cfg, correlate.closers, "5s", "60s", "60s", "10m", "4h", "24h"),
	NUMBER(CFG_MS, "remember_closed", cfg, correlate.remember_closed_ms, "15m", "0s", "30d",
	       "How long a complete call stays in the table."),
	NUMBER(CFG_MS, "closed_index", cfg, correlate.closed_index_ms, "48h", "0s", "60d",
	       "How long it is known that a call has left the table."),
	NUMBER(CFG_U64, "closed_index_max", cfg, correlate.closed_index_max, "16000000", "0",
	       "4000000000", "Entries of that index, over all partitions."),
	NUMBER(CFG_MS, "orphan_wait", cfg, correlate.orphan_wait_ms, "10m", "0s", "1d",
	       "How long a recording or note waits for its call."),
	NUMBER(CFG_U64, "orphans_max", cfg, correlate.orphans_max, "100000", "0", "100000000",
	       "How many may wait, over all partitions."),
	NUMBER(CFG_U64, "open_calls_max", cfg, correlate.open_calls_max, "1000000", "1",
	       "1000000000",
	       "Calls in the table, over all partitions; one more closes the "
	       "longest-silent."),
	NUMBER(CFG_MS, "checkpoint_every", cfg, correlate.checkpoint_every_ms, "20s", "100ms", "1h",
	       "In this time every changed slice of the table has been written."),
	NUMBER(CFG_MS, "commit_every", cfg, correlate.commit_every_ms, "100ms", "1ms", "5s",
	       "Length of a transaction."),
	{ .name = "rederive_late",
	  .type = CFG_BOOL,
	  .flags = CFG_LATER,
	  FIELD(cfg, correlate.rederive_late),
	  .fallback = "true",
	  .help = "Derives a call anew when a late fact comes." },
	{ .name = "live",
	  .type = CFG_WORD,
	  .flags = CFG_LATER | CFG_NOWHERE,
	  .fallback = "auto",
	  .words = lives,
	  .help = "Writes topic live; auto is where a sink or the board wants it." },
	END,
};

static const struct cfg_key deliver_keys[] = {
	BOOL("allow_private_networks", cfg, deliver.allow_private_networks, "false",
	     "Lets sinks lie in private, loopback and link-local networks."),
	NUMBER(CFG_MS, "give_up_after", cfg, deliver.give_up_after_ms, "24h", "1s", "30d",
	       "When a step that cannot be delivered becomes a dead letter."),
	NUMBER(CFG_MS, "retry_first", cfg, deliver.retry_first_ms, "1s", "1ms", "1h",
	       "Wait before the second try; doubled for each next one."),
	NUMBER(CFG_MS, "retry_max", cfg, deliver.retry_max_ms, "60s", "1ms", "1d",
	       "The longest wait between two tries."),
	NUMBER(CFG_MS, "connect_timeout", cfg, deliver.connect_timeout_ms, "3s", "1ms", "5m",
	       "For name and connection."),
	NUMBER(CFG_MS, "timeout", cfg, deliver.timeout_ms, "10s", "1ms", "10m",
	       "For the whole request."),
	NUMBER(CFG_SIZE, "waiting_bytes_max", cfg, deliver.waiting_bytes_max, "256MiB", "1KiB",
	       "1TiB",
	       "Waiting tasks kept in memory, over all sinks; the rest is read back from the log."),
	END,
};

static const struct cfg_key record_keys[] = {
	LATER(CFG_TEXT, "store", "file:/var/lib/callstream/recordings", &cfg_is_store,
	      "Where recordings are kept."),
	LATER(CFG_MS, "keep", "180d", NULL, "How long."),
	END,
};

static const struct cfg_key sip_keys[] = {
	LATER(CFG_TEXTS, "listen", NULL, &cfg_is_sip_listen, "Where SIP is spoken."),
	LATER(CFG_TEXTS, "hep_listen", NULL, &cfg_is_sip_listen, "Where mirrored SIP comes in."),
	LATER(CFG_TEXT, "domain", NULL, NULL, "The domain that trunks register at."),
	LATER(CFG_TEXT, "secrets_file", "/etc/callstream/sip.secrets", NULL,
	      "Passwords of trunks, one a line."),
	END,
};

static const struct cfg_key board_keys[] = {
	LATER(CFG_MS, "expiry_grace", "5s", NULL, "Added to the expiry of a registration."),
	LATER(CFG_MS, "trunk_down_after", "2m", NULL, "When a trunk that is down raises an alarm."),
	END,
};

static const struct cfg_key alert_keys[] = {
	LATER(CFG_TEXT, "name", NULL, &cfg_is_name, "Names the alert."),
	LATER(CFG_TEXT, "url", NULL, &cfg_is_url, "Where it is posted to."),
	LATER(CFG_TEXT, "mail_to", NULL, NULL, "Whom it is mailed to, in place of url."),
	LATER(CFG_TEXT, "smtp", NULL, NULL, "The server that mails it."),
	END,
};

static const struct cfg_list alerts = { .item = "alert", .size = 1, .keys = alert_keys };

/* ---- accounts ---- */

static const struct cfg_key employee_keys[] = {
	{ .name = "id",
	  .type = CFG_TEXT,
	  .flags = CFG_REQUIRED | CFG_NOT_EMPTY,
	  FIELD(cfg_employee, id),
	  .help = "The vendor's id." },
	TEXT("extension", cfg_employee, extension, "", NULL, "The short number."),
	TEXT("name", cfg_employee, name, "", NULL, "The name as records show it."),
	END,
};

const struct cfg_list cfg_employees = { .item = "employee",
					.size = sizeof(struct cfg_employee),
					.keys = employee_keys };

static const struct cfg_key account_keys[] = {
	{ .name = "name",
	  .type = CFG_TEXT,
	  .flags = CFG_REQUIRED | CFG_NOT_EMPTY,
	  FIELD(cfg_account, name),
	  .check = &cfg_is_name,
	  .help = "Names the account in addresses, keys and records; never change it." },
	{ .name = "source",
	  .type = CFG_TEXT,
	  .flags = CFG_REQUIRED,
	  FIELD(cfg_account, source),
	  .words = source_names,
	  .help = "Whose events these are; each source has keys of its own, below." },
	TEXT("timezone", cfg_account, timezone, "", NULL,
	     "IANA zone of the vendor's wall clock; UTC without, CallGear needs one."),
	{ .name = "token",
	  .type = CFG_TEXT,
	  .flags = CFG_SECRET,
	  FIELD(cfg_account, token),
	  .fallback = "",
	  .check = &cfg_is_token,
	  .help = "Authenticates a request as last path segment or as ?token=." },
	{ .name = "token_previous",
	  .type = CFG_TEXT,
	  .flags = CFG_SECRET,
	  FIELD(cfg_account, token_previous),
	  .fallback = "",
	  .check = &cfg_is_token,
	  .help = "The older token, accepted while it is rotated." },
	TEXTS("allow_from", cfg_account, allow_from, &cfg_is_net,
	      "Networks that may send; in place of a token or beside it."),
	BOOL("insecure", cfg_account, insecure, "false",
	     "Accepts requests that nothing authenticates."),
	BOOL("keep_raw", cfg_account, keep_raw, NULL, "As ingest.keep_raw, for this account."),
	WORD("recordings", cfg_account, recordings, "announced", recordings,
	     "Which calls have a recording to be waited for; CallGear must say always or never."),
	CLOSERS(cfg_account, closers, NULL, NULL, NULL, NULL, NULL, NULL),
	NUMBER(CFG_MS, "max_age", cfg_account, max_age_ms, "0", "0s", "365d",
	       "Older events are kept in topic dead; 0 is no limit."),
	{ .name = "employees",
	  .type = CFG_LIST,
	  .at = AT(cfg_account, employees),
	  .list = &cfg_employees,
	  .help = "Fills in extension and name where the vendor sends the id alone." },
	{ .name = "employees_file",
	  .type = CFG_TEXT,
	  .flags = CFG_NOT_EMPTY | CFG_NOWHERE,
	  .help = "The same list in a YAML file of its own, relative to this one." },
	END,
};

static const struct cfg_key callgear_api_keys[] = {
	OPTION("access_token", CFG_SECRET | CFG_LATER, NULL, "Key of CallGear's data API."),
	OPTION("host", CFG_LATER, NULL, "Its host, like dataapi.callgear.com."),
	END,
};

static const struct cfg_key callgear_keys[] = {
	GROUP("api", 0, callgear_api_keys, "Access to the vendor's API."),
	END,
};

static const struct cfg_key mango_keys[] = {
	OPTION("api_key", CFG_REQUIRED | CFG_NOT_EMPTY, NULL, "The unique code of the PBX."),
	OPTION("api_salt", CFG_REQUIRED | CFG_SECRET, NULL, "The key that signs requests."),
	OPTION("api_salt_previous", CFG_SECRET, NULL, "The older key while it is rotated."),
	END,
};

static const struct cfg_key zadarma_keys[] = {
	OPTION("key", CFG_REQUIRED | CFG_NOT_EMPTY, NULL, "The key of the API."),
	OPTION("secret", CFG_REQUIRED | CFG_SECRET, NULL, "The secret that signs requests."),
	OPTION("secret_previous", CFG_SECRET, NULL, "The older secret while it is rotated."),
	{ .name = "accept_raw_signature",
	  .type = CFG_BOOL,
	  .flags = CFG_OPTION,
	  .help = "Accepts the signature of raw bytes too." },
	END,
};

static const struct cfg_key sip_account_keys[] = {
	{ .name = "domains",
	  .type = CFG_TEXTS,
	  .flags = CFG_NOWHERE,
	  .help = "Domains whose calls are this account's." },
	{ .name = "hep_sources",
	  .type = CFG_TEXTS,
	  .flags = CFG_NOWHERE,
	  .check = &cfg_is_net,
	  .help = "Networks that may send mirrored SIP." },
	END,
};

static const struct cfg_key no_keys[] = { END };

static const struct cfg_variant sources[] = {
	{ "callgear", callgear_keys, false, false, "CallGear (UIS, CoMagic)." },
	{ "mango", mango_keys, true, false, "Mango Office." },
	{ "zadarma", zadarma_keys, true, false, "Zadarma, Novofon." },
	{ "sip", sip_account_keys, true, false, "Mirrored SIP." },
	{ "registrar", no_keys, true, false, "Registration events of a PBX." },
	{ .name = NULL },
};

const struct cfg_list cfg_accounts = { .item = "account",
				       .size = sizeof(struct cfg_account),
				       .begin = cfg_account_begin,
				       .end = cfg_account_end,
				       .finish = cfg_accounts_finish,
				       .keys = account_keys,
				       .variant_key = "source",
				       .variants = sources };

/* ---- sinks ---- */

static const struct cfg_key sink_keys[] = {
	{ .name = "name",
	  .type = CFG_TEXT,
	  .flags = CFG_REQUIRED | CFG_NOT_EMPTY,
	  FIELD(cfg_sink, name),
	  .check = &cfg_is_name,
	  .help = "Names the sink in routes, keys and the ledger; never change it." },
	{ .name = "kind",
	  .type = CFG_TEXT,
	  .flags = CFG_REQUIRED,
	  FIELD(cfg_sink, kind),
	  .words = kind_names,
	  .help = "What stands there; each kind has keys of its own, below." },
	WORD("send", cfg_sink, send, NULL, sends,
	     "The first revision, only complete ones, or every one; without it as the kind says."),
	NUMBER(CFG_U32, "concurrency", cfg_sink, concurrency, "8", "1", "1000",
	       "Requests at the same time."),
	{ .name = "rate",
	  .type = CFG_U32,
	  .flags = CFG_LATER,
	  FIELD(cfg_sink, rate),
	  .fallback = "0",
	  .min = "0",
	  .max = "1000000",
	  .help = "Requests a second at the most; 0 is no limit." },
	{ .name = "burst",
	  .type = CFG_U32,
	  .flags = CFG_LATER,
	  FIELD(cfg_sink, burst),
	  .fallback = "100",
	  .min = "1",
	  .max = "1000000",
	  .help = "Requests that may go at once before the rate counts." },
	NUMBER(CFG_U32, "shards", cfg_sink, shards, "1", "1", "1000",
	       "Owners of this sink, each with its part of the calls and limits."),
	END,
};

static const struct cfg_key webhook_keys[] = {
	{ .name = "url",
	  .type = CFG_TEXT,
	  .flags = CFG_REQUIRED | CFG_NOT_EMPTY,
	  FIELD(cfg_sink, url),
	  .check = &cfg_is_url,
	  .help = "Where records are posted to." },
	{ .name = "secret",
	  .type = CFG_TEXT,
	  .flags = CFG_SECRET,
	  FIELD(cfg_sink, secret),
	  .fallback = "",
	  .check = &cfg_is_secret,
	  .help =
	      "Signs each request as Standard Webhooks says; whsec_ with base64, or raw bytes." },
	{ .name = "secret_previous",
	  .type = CFG_TEXT,
	  .flags = CFG_SECRET,
	  FIELD(cfg_sink, secret_previous),
	  .fallback = "",
	  .check = &cfg_is_secret,
	  .help = "The older secret; a second signature while it is rotated." },
	END,
};

static const struct cfg_key file_keys[] = {
	{ .name = "path",
	  .type = CFG_TEXT,
	  .flags = CFG_REQUIRED | CFG_NOT_EMPTY,
	  FIELD(cfg_sink, path),
	  .help = "The file that records are appended to, one a line." },
	END,
};

static const struct cfg_key planfix_keys[] = {
	{ .name = "url",
	  .type = CFG_TEXT,
	  .flags = CFG_REQUIRED | CFG_NOT_EMPTY,
	  FIELD(cfg_sink, url),
	  .check = &cfg_is_url,
	  .help = "Planfix' telephony address." },
	OPTION("token", CFG_REQUIRED | CFG_SECRET, NULL, "Authenticates us there."),
	OPTION("inbound_token", CFG_SECRET, NULL, "Authenticates Planfix here."),
	OPTION("inbound_token_previous", CFG_SECRET, NULL, "The older one while it is rotated."),
	OPTION("default_extension", 0, NULL, "For calls that rang nobody."),
	END,
};

static const struct cfg_key later_sink_keys[] = {
	TEXT("url", cfg_sink, url, "", &cfg_is_url, "The system's address."),
	OPTION("token", CFG_SECRET, NULL, "Authenticates us there."),
	END,
};

static const struct cfg_variant kinds[] = {
	{ "webhook", webhook_keys, false, false, "Any system: the record as JSON, signed." },
	{ "file", file_keys, false, false, "A file of JSON lines." },
	{ "planfix", planfix_keys, true, false, "Planfix telephony." },
	{ "fourdev", later_sink_keys, true, true, "4DEV." },
	{ "vodyanoy", later_sink_keys, true, true, "Vodyanoy." },
	{ "altegio", later_sink_keys, true, true, "Altegio." },
	{ .name = NULL },
};

const struct cfg_list cfg_sinks = { .item = "sink",
				    .size = sizeof(struct cfg_sink),
				    .end = cfg_sink_end,
				    .finish = cfg_sinks_finish,
				    .keys = sink_keys,
				    .variant_key = "kind",
				    .variants = kinds };

/* ---- routes ---- */

static const struct cfg_key route_keys[] = {
	{ .name = "account",
	  .type = CFG_TEXT,
	  .flags = CFG_REQUIRED | CFG_NOT_EMPTY,
	  FIELD(cfg_route, account),
	  .help = "Whose calls." },
	TEXTS("lines", cfg_route, lines, &cfg_is_line, "Only calls over these lines."),
	{ .name = "direction",
	  .type = CFG_WORDS,
	  FIELD(cfg_route, directions),
	  .fallback = "in, out",
	  .words = directions,
	  .help = "Only calls of these directions; internal calls only where it says so." },
	{ .name = "outcome",
	  .type = CFG_TEXTS,
	  FIELD(cfg_route, outcomes),
	  .words = outcomes,
	  .help = "Only calls with these outcomes." },
	{ .name = "sinks",
	  .type = CFG_TEXTS,
	  .flags = CFG_REQUIRED | CFG_NOT_EMPTY,
	  FIELD(cfg_route, sinks),
	  .help = "Where they go." },
	{ .name = "relay",
	  .type = CFG_BOOL,
	  .flags = CFG_LATER,
	  FIELD(cfg_route, relay),
	  .fallback = "false",
	  .help = "Sends the vendor's own requests on, byte for byte." },
	END,
};

const struct cfg_list cfg_routes = {
	.item = "route", .size = sizeof(struct cfg_route), .end = cfg_route_end, .keys = route_keys
};

/* ---- the file ---- */

const struct cfg_key cfg_keys[] = {
	GROUP("kafka", 0, kafka_keys, "The log that everything durable lies in."),
	GROUP("redis", CFG_LATER, redis_keys, "The board; enables role board."),
	GROUP("admin", 0, admin_keys, "Health and metrics of this process."),
	GROUP("log", 0, log_keys, "Lines on stderr."),
	NUMBER(CFG_MS, "drain", cfg, drain_ms, "25s", "0s", "1h",
	       "How long a process may take to end after SIGTERM."),
	GROUP("numbers", 0, numbers_keys, "Telephone numbers."),
	GROUP("ingest", 0, ingest_keys, "Role ingest: webhooks to events."),
	GROUP("correlate", 0, correlate_keys, "Role correlate: events to records."),
	GROUP("deliver", 0, deliver_keys, "Role deliver: records to sinks."),
	GROUP("record", CFG_LATER, record_keys, "Role record: recordings to a store."),
	GROUP("sip", CFG_LATER, sip_keys, "Roles sip and link: registrar and mirrored SIP."),
	GROUP("board", CFG_LATER, board_keys, "Role board: trunks and running calls in Redis."),
	{ .name = "alerts",
	  .type = CFG_LIST,
	  .flags = CFG_LATER | CFG_NOWHERE,
	  .list = &alerts,
	  .help = "Who is told when something is wrong." },
	LIST("accounts", accounts, &cfg_accounts,
	     "The vendors' accounts whose events come in. What of keep_raw, the closers and "
	     "recording_wait is not there is as ingest and correlate have it."),
	LIST("sinks", sinks, &cfg_sinks, "The systems that records go to."),
	LIST("routes", routes, &cfg_routes,
	     "Which records go to which sinks; every route that matches counts."),
	END,
};

const char *cfg_type_text(enum cfg_type type)
{
	static const char *const texts[] = {
		[CFG_TEXT] = "text",
		[CFG_BOOL] = "true or false",
		[CFG_U32] = "a whole number",
		[CFG_U64] = "a whole number",
		[CFG_SIZE] = "a size (B, KiB, MiB, GiB)",
		[CFG_MS] = "a duration (ms, s, m, h, d)",
		[CFG_WORD] = "a word",
		[CFG_WORDS] = "a list of words",
		[CFG_TEXTS] = "a list of texts",
		[CFG_PAIRS] = "a map of texts",
		[CFG_GROUP] = "a map",
		[CFG_LIST] = "a list of maps",
	};

	return texts[type];
}
