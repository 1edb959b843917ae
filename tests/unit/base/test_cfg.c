/* The config: what is refused, with which words; what is taken, with which values. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cfg.h"
#include "base/cfg_table.h"
#include "base/slog.h"
#include "unit/base/rows.h"

/* An account and a sink that are right, for rows about something else. */
#define ACCOUNT                                                                                    \
	"accounts: [{name: a, source: callgear, timezone: UTC, token: t, recordings: never}]\n"
#define SINK "sinks: [{name: s, kind: file, path: /x}]\n"
#define CG   "name: a, source: callgear, timezone: UTC, recordings: never"

static const struct bad_row {
	const char *name, *text, *problems; /* all of them; the file is "f" */
} bad_rows[] = {
	/* the document */
	{ "no YAML", "a: [",
	  "f:2: yaml: did not find expected node content while parsing a flow node, allowed: YAML "
	  "in UTF-8\n" },
	{ "no UTF-8", "a: \xff",
	  "f:1: yaml: invalid leading UTF-8 octet, allowed: YAML in UTF-8\n" },
	{ "a list", "[1]", "f:1: file: is a list, allowed: a map of keys\n" },
	{ "a text", "kafka", "f:1: file: is a text, allowed: a map of keys\n" },
	{ "two documents", "drain: 1s\n---\ndrain: 2s\n",
	  "f:2: yaml: a second document, allowed: one\n" },
	{ "alias", "kafka: &k {}\nadmin: *k\n",
	  "f:1: yaml: anchors, aliases and tags are not read, allowed: plain values\n" },
	{ "tag", "drain: !!str 1s\n",
	  "f:1: yaml: anchors, aliases and tags are not read, allowed: plain values\n" },
	{ "merge key", "<<: {drain: 1s}\n",
	  "f:1: <<: unknown key, allowed: kafka, redis, admin, log, drain, numbers, ingest, "
	  "correlate, deliver, record, sip, board, alerts, accounts, sinks, routes\n" },
	{ "list as key", "? [a]\n: b\n",
	  "f:1: yaml: a key that is no text, allowed: names as keys\n" },
	{ "too deep", "[[[[[[[[[[[[[[[[[", "f:1: yaml: nested too deep, allowed: 16 levels\n" },
	{ "NUL", "drain: \"1\\0s\"\n", "f:1: yaml: a NUL character, allowed: text without it\n" },

	/* keys */
	{ "unknown section", "kafak: {}\n",
	  "f:1: kafak: unknown key (did you mean kafka?), allowed: kafka, redis, admin, log, "
	  "drain, numbers, ingest, correlate, deliver, record, sip, board, alerts, accounts, "
	  "sinks, routes\n" },
	{ "unknown key", "admin:\n  port: 1\n", "f:2: admin.port: unknown key, allowed: listen\n" },
	{ "nearly right", "log: {fromat: json}\n",
	  "f:1: log.fromat: unknown key (did you mean format?), allowed: format, level\n" },
	{ "twice", "drain: 1s\ndrain: 2s\n",
	  "f:2: drain: is there twice, first in line 1, allowed: once\n" },
	{ "nothing behind it", "drain:\n", "f:1: drain: has no value, allowed: 0s to 1h\n" },
	{ "null", "drain: null\n", "f:1: drain: has no value, allowed: 0s to 1h\n" },
	{ "map for a text", "drain: {a: b}\n",
	  "f:1: drain: the value is a map, allowed: 0s to 1h\n" },
	{ "list for a text", "drain: [1s]\n",
	  "f:1: drain: the value is a list, allowed: 0s to 1h\n" },
	{ "text for a map", "kafka: x\n", "f:1: kafka: is a text, allowed: a map of keys\n" },
	{ "text for a list of maps", "accounts: x\n",
	  "f:1: accounts: is no list, allowed: a list of maps\n" },
	{ "text in a list of maps", "sinks: [x]\n",
	  "f:1: sinks[0]: is a text, allowed: a map of keys\n" },
	{ "all errors, by line", "drain: x\nadmin: {listen: y}\nkafka: {partitions: 0}\n",
	  "f:1: drain: \"x\" is no duration like 250ms, 5s, 10m, 4h, 30d, allowed: 0s to 1h\n"
	  "f:2: admin.listen: \"y\" does not fit, allowed: ADDRESS:PORT like 127.0.0.1:9090 or "
	  "[::1]:9090\n"
	  "f:3: kafka.partitions: \"0\" is too small, allowed: 1 to 10000\n" },

	/* values */
	{ "number", "kafka: {partitions: many}\n",
	  "f:1: kafka.partitions: \"many\" is no whole number, allowed: 1 to 10000\n" },
	{ "fraction", "kafka: {partitions: 1.5}\n",
	  "f:1: kafka.partitions: \"1.5\" is no whole number, allowed: 1 to 10000\n" },
	{ "negative", "kafka: {partitions: -1}\n",
	  "f:1: kafka.partitions: \"-1\" is no whole number, allowed: 1 to 10000\n" },
	{ "too large", "kafka: {replication: 16}\n",
	  "f:1: kafka.replication: \"16\" is too large, allowed: 1 to 15\n" },
	{ "beyond 64 bits", "kafka: {replication: 99999999999999999999}\n",
	  "f:1: kafka.replication: \"99999999999999999999\" is too large, allowed: 1 to 15\n" },
	{ "bool", "kafka: {create_topics: yes}\n",
	  "f:1: kafka.create_topics: \"yes\" is neither, allowed: true or false\n" },
	{ "duration without unit", "correlate: {end_grace: 5}\n",
	  "f:1: correlate.end_grace: \"5\" is no duration like 250ms, 5s, 10m, 4h, 30d, allowed: "
	  "0s to 1h\n" },
	{ "duration too long", "correlate: {commit_every: 6s}\n",
	  "f:1: correlate.commit_every: \"6s\" is too large, allowed: 1ms to 5s\n" },
	{ "size", "ingest: {body_bytes_max: 1 MiB}\n",
	  "f:1: ingest.body_bytes_max: \"1 MiB\" is no size like 512, 64KiB, 1MiB, allowed: 1KiB "
	  "to 4MiB\n" },
	{ "size too small", "ingest: {body_bytes_max: 1}\n",
	  "f:1: ingest.body_bytes_max: \"1\" is too small, allowed: 1KiB to 4MiB\n" },
	{ "word", "ingest: {ack: maybe}\n",
	  "f:1: ingest.ack: \"maybe\" is not known, allowed: auto, kafka, spool\n" },
	{ "empty word", "log: {level: \"\"}\n",
	  "f:1: log.level: \"\" is not known, allowed: debug, info, warn, error\n" },
	{ "brokers", "kafka: {brokers: \"a:0\"}\n",
	  "f:1: kafka.brokers: \"a:0\" does not fit, allowed: HOST:PORT, more of them behind "
	  "commas\n" },
	{ "no brokers", "kafka: {brokers: \"\"}\n",
	  "f:1: kafka.brokers: \"\" is empty, allowed: HOST:PORT, more of them behind commas\n" },
	{ "prefix", "kafka: {topic_prefix: \"a b\"}\n",
	  "f:1: kafka.topic_prefix: \"a b\" does not fit, allowed: at most 200 of a-z, A-Z, 0-9, . "
	  "_ -\n" },
	{ "network", "ingest: {trusted_proxies: [\"10.0.0.0/33\", \"::1\"]}\n",
	  "f:1: ingest.trusted_proxies: \"10.0.0.0/33\" does not fit, allowed: a list, each a "
	  "network like 10.0.0.0/8, or an address\n" },
	{ "country", "numbers: {country: Russia}\n",
	  "f:1: numbers.country: \"Russia\" does not fit, allowed: two capitals like RU, or "
	  "\"\"\n" },
	{ "long value cut",
	  "log: {level: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n",
	  "f:1: log.level: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is "
	  "not known, allowed: debug, info, warn, error\n" },
	{ "properties are texts", "kafka: {properties: {a: {b: c}}}\n",
	  "f:1: kafka.properties.a: the value is a map, allowed: text\n" },
	{ "properties are a map", "kafka: {properties: [a]}\n",
	  "f:1: kafka.properties: the value is no map, allowed: a map of texts\n" },
	{ "property twice", "kafka:\n  properties:\n    a: 1\n    a: 2\n",
	  "f:4: kafka.properties.a: is there twice, first in line 3, allowed: once\n" },
	{ "order of waits", "deliver: {retry_first: 2m}\n",
	  "f:1: deliver.retry_first: retry_first is above retry_max, allowed: at most that\n" },
	{ "order of time-outs", "deliver:\n  timeout: 1s\n",
	  "f:2: deliver.timeout: connect_timeout is above timeout, allowed: at most that\n" },
	{ "half of TLS", "ingest: {tls: {key: k}}\n",
	  "f:1: ingest.tls: warning: not in this version\nf:1: ingest.tls: needs both certificate "
	  "and key, allowed: both or neither\n" },

	/* variables and files */
	{ "unset variable", "admin: {listen: \"${TEST_UNSET}\"}\n",
	  "f:1: admin.listen: environment variable TEST_UNSET is not set, allowed: one that is\n" },
	{ "no variable", "admin: {listen: \"${1x}\"}\n",
	  "f:1: admin.listen: \"${1x}\" names nothing, allowed: ${VARIABLE} or ${file:/path}\n" },
	{ "open brace", "admin: {listen: \"${TEST\"}\n",
	  "f:1: admin.listen: \"${\" has no \"}\", allowed: ${VARIABLE} or ${file:/path}\n" },
	{ "no file", "admin: {listen: \"${file:/nowhere/x}\"}\n",
	  "f:1: admin.listen: file /nowhere/x cannot be read (No such file or directory), allowed: "
	  "a readable file, at most 64 KiB\n" },
	{ "a folder for a file", "admin: {listen: \"${file:/}\"}\n",
	  "f:1: admin.listen: file / cannot be read (Is a directory), allowed: a readable file, at "
	  "most 64 KiB\n" },
	{ "a variable's content is not shown", "kafka: {partitions: \"${TEST_SECRET}\"}\n",
	  "f:1: kafka.partitions: \"${TEST_SECRET}\" is no whole number, allowed: 1 to 10000\n" },
	{ "a secret is not shown", "accounts: [{" CG ", token: \"with/stroke\"}]\n",
	  "f:1: accounts[0].token: the value does not fit, allowed: visible ASCII without / ? # &, "
	  "for it stands in an address\n" },
	{ "an empty secret is none", "accounts: [{" CG ", token: \"${TEST_EMPTY}\"}]\n",
	  "f:1: accounts[0].token: the value is empty, allowed: visible ASCII without / ? # &, for "
	  "it stands in an address\n" },

	{ "map for a list", "routes: {}\n", "f:1: routes: is no list, allowed: a list of maps\n" },

	/* accounts */
	{ "name",
	  "accounts: [{name: Acme, source: callgear, timezone: UTC, recordings: never, token: "
	  "t}]\n",
	  "f:1: accounts[0].name: \"Acme\" does not fit, allowed: 1 to 63 of a-z, 0-9 and -\n" },
	{ "nothing said", "accounts:\n  - {}\n",
	  "f:2: accounts[0].name: is missing, allowed: 1 to 63 of a-z, 0-9 and -\nf:2: "
	  "accounts[0].source: is missing, allowed: callgear, mango, zadarma, sip, registrar\n" },
	{ "null item", "accounts:\n  -\n",
	  "f:2: accounts[0]: is a text, allowed: a map of keys\n" },
	{ "source", "accounts: [{name: a, source: calgear}]\n",
	  "f:1: accounts[0].source: \"calgear\" is not known, allowed: callgear, mango, zadarma, "
	  "sip, registrar\n" },
	{ "CallGear needs a zone",
	  "accounts: [{name: a, source: callgear, recordings: never, token: t}]\n",
	  "f:1: accounts[0].timezone: is missing, and CallGear sends wall clocks without a zone, "
	  "allowed: an IANA zone like Europe/Moscow\n" },
	{ "zone",
	  "accounts: [{name: a, source: callgear, timezone: Europe/Atlantis, recordings: never, "
	  "token: t}]\n",
	  "f:1: accounts[0].timezone: \"Europe/Atlantis\" is not known here, allowed: an IANA zone "
	  "like Europe/Moscow\n" },
	{ "CallGear needs to know of recordings",
	  "accounts: [{name: a, source: callgear, timezone: UTC, token: t}]\n",
	  "f:1: accounts[0].recordings: is missing, and CallGear announces no recordings, so "
	  "nothing tells which call to wait for, allowed: always, never\n" },
	{ "CallGear announces nothing",
	  "accounts: [{name: a, source: callgear, timezone: UTC, token: t, recordings: "
	  "announced}]\n",
	  "f:1: accounts[0].recordings: is announced, and CallGear announces no recordings, so "
	  "nothing tells which call to wait for, allowed: always, never\n" },
	{ "nothing authenticates", "accounts: [{" CG "}]\n",
	  "f:1: accounts[0].token: is missing, and nothing else authenticates this account, "
	  "allowed: token, allow_from, or insecure: true\n" },
	{ "insecure: false does not either", "accounts: [{" CG ", insecure: false}]\n",
	  "f:1: accounts[0].token: is missing, and nothing else authenticates this account, "
	  "allowed: token, allow_from, or insecure: true\n" },
	{ "an empty list of networks neither", "accounts: [{" CG ", allow_from: []}]\n",
	  "f:1: accounts[0].token: is missing, and nothing else authenticates this account, "
	  "allowed: token, allow_from, or insecure: true\n" },
	{ "older token alone", "accounts: [{" CG ", token_previous: t, insecure: true}]\n",
	  "f:1: accounts[0].token_previous: stands without token, allowed: beside the new one\n" },
	{ "two of one name", "accounts:\n  - {" CG ", token: t}\n  - {" CG ", token: t}\n",
	  "f:3: accounts[1].name: \"a\" is taken, in line 2 too, allowed: another name\n" },
	{ "another source's key", "accounts: [{" CG ", token: t, api_salt: x}]\n",
	  "f:1: accounts[0].api_salt: unknown key, allowed: name, source, timezone, token, "
	  "token_previous, allow_from, insecure, keep_raw, recordings, end_grace, "
	  "no_summary_after, lost_without_end_after, talk_without_end_after, silent_call_after, "
	  "recording_wait, max_age, employees, employees_file, api\n" },
	{ "Mango signs", "accounts: [{name: m, source: mango, api_key: k}]\n",
	  "f:1: accounts[0].source: warning: mango is not in this version\nf:1: "
	  "accounts[0].api_salt: is missing, allowed: text, not empty\n" },
	{ "SIP needs networks", "accounts: [{name: s, source: sip}]\n",
	  "f:1: accounts[0].source: warning: sip is not in this version\nf:1: accounts[0].token: "
	  "is missing, and nothing else authenticates this account, allowed: domains or "
	  "hep_sources\n" },
	{ "employee twice",
	  "accounts: [{" CG ", token: t, employees: [{id: \"1\"}, {id: \"1\"}]}]\n",
	  "f:1: accounts[0].employees: id \"1\" is there twice, allowed: once\n" },
	{ "employee without id", "accounts: [{" CG ", token: t, employees: [{name: x}]}]\n",
	  "f:1: accounts[0].employees[0].id: is missing, allowed: text, not empty\n" },
	{ "no employees file", "accounts: [{" CG ", token: t, employees_file: /nowhere/e.yaml}]\n",
	  "f:1: accounts[0].employees_file: file /nowhere/e.yaml cannot be read (No such file or "
	  "directory), allowed: a readable file, at most 16 MiB\n" },
	{ "a token that cannot be read is told once",
	  "accounts: [{" CG ", token: \"${file:/nowhere/t}\", token_previous: t}]\n",
	  "f:1: accounts[0].token: file /nowhere/t cannot be read (No such file or directory), "
	  "allowed: a readable file, at most 64 KiB\n" },
	{ "recordings",
	  "accounts: [{name: a, source: callgear, timezone: UTC, token: t, recordings: "
	  "sometimes}]\n",
	  "f:1: accounts[0].recordings: \"sometimes\" is not known, allowed: announced, always, "
	  "never\nf:1: accounts[0].recordings: is announced, and CallGear announces no recordings, "
	  "so nothing tells which call to wait for, allowed: always, never\n" },

	/* sinks */
	{ "kind", "sinks: [{name: s, kind: pigeon}]\n",
	  "f:1: sinks[0].kind: \"pigeon\" is not known, allowed: webhook, file, planfix, fourdev, "
	  "vodyanoy, altegio\n" },
	{ "webhook without address", "sinks: [{name: s, kind: webhook}]\n",
	  "f:1: sinks[0].url: is missing, allowed: http:// or https:// with host and path, no user "
	  "in it, no fragment\n" },
	{ "another scheme", "sinks: [{name: s, kind: webhook, url: \"ftp://crm.example/\"}]\n",
	  "f:1: sinks[0].url: \"ftp://crm.example/\" does not fit, allowed: http:// or https:// "
	  "with host and path, no user in it, no fragment\n" },
	{ "no host", "sinks: [{name: s, kind: webhook, url: \"https:///x\"}]\n",
	  "f:1: sinks[0].url: \"https:///x\" does not fit, allowed: http:// or https:// with host "
	  "and path, no user in it, no fragment\n" },
	{ "port", "sinks: [{name: s, kind: webhook, url: \"https://h:99999/x\"}]\n",
	  "f:1: sinks[0].url: \"https://h:99999/x\" does not fit, allowed: http:// or https:// "
	  "with host and path, no user in it, no fragment\n" },
	{ "user in the address", "sinks: [{name: s, kind: webhook, url: \"https://u:p@h/x\"}]\n",
	  "f:1: sinks[0].url: \"https://u:p@h/x\" does not fit, allowed: http:// or https:// with "
	  "host and path, no user in it, no fragment\n" },
	{ "blank in the address", "sinks: [{name: s, kind: webhook, url: \"https://h/a b\"}]\n",
	  "f:1: sinks[0].url: \"https://h/a b\" does not fit, allowed: http:// or https:// with "
	  "host and path, no user in it, no fragment\n" },
	{ "secret that is no base64",
	  "sinks: [{name: s, kind: webhook, url: \"https://h/\", secret: whsec_abc}]\n",
	  "f:1: sinks[0].secret: the value does not fit, allowed: whsec_ with base64 behind it, or "
	  "other text\n" },
	{ "secret of nothing",
	  "sinks: [{name: s, kind: webhook, url: \"https://h/\", secret: whsec_}]\n",
	  "f:1: sinks[0].secret: the value does not fit, allowed: whsec_ with base64 behind it, or "
	  "other text\n" },
	{ "older secret alone",
	  "sinks: [{name: s, kind: webhook, url: \"https://h/\", secret_previous: x}]\n",
	  "f:1: sinks[0].secret_previous: stands without secret, allowed: beside the new one\n" },
	{ "file without path", "sinks: [{name: s, kind: file}]\n",
	  "f:1: sinks[0].path: is missing, allowed: text, not empty\n" },
	{ "two sinks of one name",
	  "sinks:\n  - {name: s, kind: file, path: /x}\n  - {name: s, kind: file, path: /y}\n",
	  "f:3: sinks[1].name: \"s\" is taken, in line 2 too, allowed: another name\n" },
	{ "no requests at all", "sinks: [{name: s, kind: file, path: /x, concurrency: 0}]\n",
	  "f:1: sinks[0].concurrency: \"0\" is too small, allowed: 1 to 1000\n" },
	{ "send", "sinks: [{name: s, kind: file, path: /x, send: all}]\n",
	  "f:1: sinks[0].send: \"all\" is not known, allowed: first, complete, every\n" },

	/* routes */
	{ "route of nobody", "routes: [{account: b, sinks: [s]}]\n" ACCOUNT SINK,
	  "f:1: routes[0].account: there is no account \"b\", allowed: names under accounts\n" },
	{ "route to nowhere",
	  "routes:\n  - account: a\n    sinks:\n      - s\n      - t\n" ACCOUNT SINK,
	  "f:5: routes[0].sinks: there is no sink \"t\", allowed: names under sinks\n" },
	{ "route to nothing", "routes: [{account: a, sinks: []}]\n" ACCOUNT SINK,
	  "f:1: routes[0].sinks: the value is empty, allowed: a list of texts\n" },
	{ "route without sinks", "routes: [{account: a}]\n" ACCOUNT,
	  "f:1: routes[0].sinks: is missing, allowed: a list of texts\n" },
	{ "direction",
	  "routes: [{account: a, sinks: [s], direction: [in, sideways]}]\n" ACCOUNT SINK,
	  "f:1: routes[0].direction: \"sideways\" is not known, allowed: in, out, internal\n" },
	{ "no direction", "routes: [{account: a, sinks: [s], direction: []}]\n" ACCOUNT SINK,
	  "f:1: routes[0].direction: the value is empty, allowed: in, out, internal\n" },
	{ "outcome",
	  "routes: [{account: a, sinks: [s], outcome: [answered, missed]}]\n" ACCOUNT SINK,
	  "f:1: routes[0].outcome: \"missed\" is not known, allowed: answered, no_answer, busy, "
	  "cancelled, rejected, unavailable, not_found, blocked, failed, unknown\n" },
	{ "relay without the requests",
	  "accounts: [{" CG
	  ", token: t, keep_raw: false}]\nsinks: [{name: p, kind: planfix, url: \"https://h/\", "
	  "token: t}]\nroutes: [{account: a, relay: true, sinks: [p]}]\n",
	  "f:2: sinks[0].kind: warning: planfix is not in this version\nf:3: routes[0].relay: "
	  "warning: not in this version\nf:3: routes[0].relay: needs the requests that keep_raw: "
	  "false of account a drops, allowed: keep_raw: true\n" },
	{ "relay without the requests, for all accounts",
	  "ingest: {keep_raw: false}\naccounts: [{" CG
	  ", token: t}]\nsinks: [{name: p, kind: planfix, url: \"https://h/\", token: t}]\nroutes: "
	  "[{account: a, relay: true, sinks: [p]}]\n",
	  "f:3: sinks[0].kind: warning: planfix is not in this version\nf:4: routes[0].relay: "
	  "warning: not in this version\nf:4: routes[0].relay: needs the requests that keep_raw: "
	  "false of account a drops, allowed: keep_raw: true\n" },
	{ "relay to one who does not speak it",
	  "routes: [{account: a, relay: true, sinks: [s]}]\n" ACCOUNT SINK,
	  "f:1: routes[0].relay: warning: not in this version\nf:1: routes[0].relay: sink s of "
	  "kind file does not speak callgear, allowed: callgear to planfix, mango to fourdev, "
	  "zadarma to vodyanoy\n" },
};

/* What is right, but worth a word. */
static const struct bad_row warned_rows[] = {
	{ "nothing", "", "" },
	{ "nothing but comments", "# x\n", "" },
	{ "an editor's mark before it", "\xef\xbb\xbf" ACCOUNT SINK, "" },
	{ "empty sections", "deliver:\naccounts:\nkafka: {properties: }\n", "" },
	{ "later sections",
	  "redis: {}\nrecord:\nsip: {listen: [\"udp:0.0.0.0:5060\"]}\nboard: {expiry_grace: "
	  "5s}\nalerts: [{name: a, url: \"https://h/\"}]\n",
	  "f:1: redis: warning: not in this version\nf:2: record: warning: not in this "
	  "version\nf:3: sip: warning: not in this version\nf:4: board: warning: not in this "
	  "version\nf:5: alerts: warning: not in this version\n" },
	{ "later keys as they are without", "correlate: {rederive_late: true, live: auto}\n", "" },
	{ "later keys", "correlate:\n  rederive_late: false\n  live: on\n",
	  "f:2: correlate.rederive_late: warning: not in this version\nf:3: correlate.live: "
	  "warning: not in this version\n" },
	{ "sink whose keys are not known yet",
	  "sinks: [{name: s, kind: altegio, partner_token: x}]\n",
	  "f:1: sinks[0].kind: warning: altegio is not in this version\nf:1: "
	  "sinks[0].partner_token: warning: not in this version\n" },
	{ "private address", "sinks: [{name: s, kind: webhook, url: \"http://10.0.0.1/\"}]\n",
	  "f:1: sinks[0].url: warning: lies in a private network and will be refused, unless "
	  "deliver.allow_private_networks is true\n" },
	{ "private address, allowed",
	  "deliver: {allow_private_networks: true}\nsinks: [{name: s, kind: webhook, url: "
	  "\"http://[::1]:8080/\"}]\n",
	  "" },
	{ "one broker is not durable", "ingest: {ack: kafka}\n",
	  "f:1: ingest.ack: warning: kafka with kafka.replication below 3: one broker alone may "
	  "acknowledge, before it has synced\n" },
};

static void same_problems(const struct bad_row *row, int want)
{
	struct buf problems = BUF_EMPTY;
	struct cfg *cfg = NULL;
	int err = cfg_parse("f", slice_of(row->text), &cfg, &problems);
	char *text = buf_take_text(&problems);

	assert_string_equal(text, row->problems);
	assert_int_equal(err, want);
	assert_int_equal(cfg != NULL, want == 0);
	free(text);
	cfg_free(cfg);
}

static void bad(void **state)
{
	setenv("TEST_SECRET", "hush", 1);
	setenv("TEST_EMPTY", "", 1);
	same_problems(*state, -EINVAL);
}

static void warned(void **state)
{
	same_problems(*state, 0);
}

/* ---- values ---- */

static struct cfg *parsed(const char *text)
{
	struct buf problems = BUF_EMPTY;
	struct cfg *cfg = NULL;
	int err = cfg_parse("f", slice_of(text), &cfg, &problems);

	if (err)
		print_error("%.*s", SLICE_ARG(buf_slice(&problems)));
	assert_int_equal(err, 0);
	buf_fini(&problems);
	return cfg;
}

/* The defaults of contract.md 5. */
static void defaults(void **state)
{
	struct cfg *cfg = parsed("");

	(void)state;
	assert_string_equal(cfg->file, "f");
	assert_string_equal(cfg->kafka.brokers, "localhost:9092");
	assert_string_equal(cfg->kafka.topic_prefix, "callstream.");
	assert_int_equal(cfg->kafka.partitions, 12);
	assert_int_equal(cfg->kafka.replication, 1);
	assert_true(cfg->kafka.create_topics);
	assert_int_equal(cfg->kafka.properties_n, 0);
	assert_false(cfg->redis_configured || cfg->record_configured || cfg->sip_configured);
	assert_string_equal(cfg->redis_url, "redis://localhost:6379/0");
	assert_string_equal(cfg->redis_key_prefix, "callstream:");
	assert_string_equal(cfg->admin_listen, "127.0.0.1:9090");
	assert_false(cfg->log_json);
	assert_int_equal(cfg->log_level, SLOG_INFO);
	assert_int_equal(cfg->drain_ms, 25000);
	assert_string_equal(cfg->numbers_country, "RU");
	assert_string_equal(cfg->ingest.listen, "0.0.0.0:8080");
	assert_int_equal(cfg->ingest.body_bytes_max, 1 << 20);
	assert_int_equal(cfg->ingest.ack, CFG_ACK_SPOOL);
	assert_int_equal(cfg->ingest.ack_wait_ms, 200);
	assert_string_equal(cfg->ingest.spool_dir, "/var/lib/callstream/spool");
	assert_int_equal(cfg->ingest.spool_bytes_max, 1 << 30);
	assert_int_equal(cfg->ingest.unauthenticated_per_second, 20);
	assert_int_equal(cfg->ingest.threads, 0);
	assert_true(cfg->ingest.keep_raw);
	assert_int_equal(cfg->ingest.trusted_proxies.n, 0);
	assert_string_equal(cfg->ingest.tls_certificate, "");
	cfg_free(cfg);
}

static void defaults_of_correlate_and_deliver(void **state)
{
	struct cfg *cfg = parsed("");
	const struct cfg_correlate *c = &cfg->correlate;

	(void)state;
	assert_string_equal(c->instance, "");
	assert_int_equal(c->workers, 1);
	assert_int_equal(c->closers.end_grace_ms, 5000);
	assert_int_equal(c->closers.no_summary_after_ms, 60000);
	assert_int_equal(c->closers.lost_without_end_after_ms, 60000);
	assert_int_equal(c->closers.talk_without_end_after_ms, 600000);
	assert_int_equal(c->closers.silent_call_after_ms, 4 * 3600000);
	assert_int_equal(c->closers.recording_wait_ms, 24 * 3600000);
	assert_int_equal(c->remember_closed_ms, 900000);
	assert_int_equal(c->closed_index_ms, 48 * 3600000);
	assert_int_equal(c->closed_index_max, 16000000);
	assert_int_equal(c->orphan_wait_ms, 600000);
	assert_int_equal(c->orphans_max, 100000);
	assert_int_equal(c->open_calls_max, 1000000);
	assert_int_equal(c->checkpoint_every_ms, 20000);
	assert_int_equal(c->commit_every_ms, 100);
	assert_true(c->rederive_late);
	assert_false(cfg->deliver.allow_private_networks);
	assert_int_equal(cfg->deliver.give_up_after_ms, 24 * 3600000);
	assert_int_equal(cfg->deliver.retry_first_ms, 1000);
	assert_int_equal(cfg->deliver.retry_max_ms, 60000);
	assert_int_equal(cfg->deliver.connect_timeout_ms, 3000);
	assert_int_equal(cfg->deliver.timeout_ms, 10000);
	cfg_free(cfg);
}

static void account_values(void **state)
{
	struct cfg *cfg = parsed(
	    "accounts:\n"
	    "  - {name: z, source: callgear, timezone: Europe/Moscow, token: \"${TEST_SECRET}\", "
	    "recordings: always,\n"
	    "     allow_from: [10.0.0.0/8, \"::1\"], keep_raw: false, recording_wait: 10m, "
	    "max_age: 1h,\n"
	    "     employees: [{id: 0042, name: B}, {id: \"0041\", extension: \"101\"}],\n"
	    "     api: {access_token: x, host: h}}\n"
	    "  - {name: m, source: mango, api_key: k, api_salt: \"pre-${TEST_SECRET}$post\"}\n"
	    "  - {name: a, source: callgear, timezone: Europe/Moscow, insecure: true, recordings: "
	    "never}\n"
	    "correlate: {recording_wait: 1h, end_grace: 0}\n");
	const struct cfg_account *z = cfg_account(cfg, SLICE("z")),
				 *a = cfg_account(cfg, SLICE("a"));
	const struct cfg_account *m = cfg_account(cfg, SLICE("m"));

	(void)state;
	assert_int_equal(cfg->accounts_n, 3);
	assert_ptr_equal(&cfg->accounts[0], a); /* sorted */
	assert_null(cfg_account(cfg, SLICE("zz")));
	assert_null(cfg_account(cfg, SLICE_NONE));
	assert_string_equal(z->token, "hush");
	assert_string_equal(z->token_previous, "");
	assert_int_equal(z->allow_from.n, 2);
	assert_string_equal(z->allow_from.v[1], "::1");
	assert_int_equal(z->recordings, CFG_RECORDINGS_ALWAYS);
	assert_false(z->keep_raw);
	assert_true(a->keep_raw && a->insecure);
	assert_int_equal(z->closers.recording_wait_ms, 600000);
	assert_int_equal(a->closers.recording_wait_ms, 3600000);
	assert_int_equal(z->closers.end_grace_ms, 0);
	assert_int_equal(z->max_age_ms, 3600000);
	assert_ptr_equal(z->tz, a->tz); /* one zone for both */
	assert_int_equal(tz_offset_s(z->tz, INT64_C(1773483302412)), 10800);
	assert_string_equal(m->timezone, "UTC");
	assert_int_equal(tz_offset_s(m->tz, 0), 0);
	assert_int_equal(z->employees_n, 2);
	assert_string_equal(cfg_employee(z, SLICE("0041"))->extension, "101");
	assert_string_equal(cfg_employee(z, SLICE("0042"))->name, "B");
	assert_string_equal(cfg_employee(z, SLICE("0042"))->extension, "");
	assert_null(cfg_employee(z, SLICE("42")));
	assert_null(cfg_employee(a, SLICE("42")));
	assert_string_equal(cfg_option(z->options, z->options_n, "api.host"), "h");
	assert_string_equal(cfg_option(m->options, m->options_n, "api_salt"), "pre-hush$post");
	assert_string_equal(cfg_option(a->options, a->options_n, "api.host"), "");
	cfg_free(cfg);
}

/* One acknowledgement is durable only where two brokers stand behind it. */
static void ack_auto(void **state)
{
	static const struct {
		const char *text;
		enum cfg_ack want;
	} rows[] = {
		{ "kafka: {replication: 1}\n", CFG_ACK_SPOOL },
		{ "kafka: {replication: 2}\n", CFG_ACK_SPOOL },
		{ "kafka: {replication: 3}\n", CFG_ACK_KAFKA },
		{ "kafka: {replication: 2}\ningest: {ack: kafka}\n", CFG_ACK_KAFKA },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cfg *cfg = parsed(rows[i].text);

		assert_int_equal(cfg->ingest.ack, rows[i].want);
		cfg_free(cfg);
	}
}

static void sink_and_route_values(void **state)
{
	struct cfg *cfg = parsed(ACCOUNT
				 "sinks:\n"
				 "  - {name: w, kind: webhook, url: \"https://h/x\", secret: "
				 "whsec_YWJj, send: complete, concurrency: 3, shards: 2}\n"
				 "  - {name: f, kind: file, path: /x}\n"
				 "routes:\n"
				 "  - {account: a, sinks: w}\n"
				 "  - {account: a, sinks: [w, f], lines: [\"74951234567\"], "
				 "direction: internal, outcome: [busy, failed]}\n"
				 "kafka: {properties: {linger.ms: 5, sasl.password: "
				 "\"${TEST_SECRET}\"}, replication: 3}\n");
	const struct cfg_sink *w = cfg_sink(cfg, SLICE("w")), *f = cfg_sink(cfg, SLICE("f"));

	(void)state;
	assert_string_equal(w->url, "https://h/x");
	assert_string_equal(w->path, "");
	assert_string_equal(f->url, "");
	assert_string_equal(f->path, "/x");
	assert_int_equal(w->send, CFG_SEND_COMPLETE);
	assert_int_equal(f->send, CFG_SEND_DEFAULT);
	assert_int_equal(w->concurrency, 3);
	assert_int_equal(f->concurrency, 8);
	assert_int_equal(w->shards, 2);
	assert_int_equal(w->rate, 0);
	assert_null(cfg_sink(cfg, SLICE("x")));
	assert_int_equal(cfg->routes_n, 2);
	assert_int_equal(cfg->routes[0].directions, CFG_DIRECTION_IN | CFG_DIRECTION_OUT);
	assert_int_equal(cfg->routes[0].lines.n + cfg->routes[0].outcomes.n, 0);
	assert_int_equal(cfg->routes[0].sinks.n, 1);
	assert_int_equal(cfg->routes[1].directions, CFG_DIRECTION_INTERNAL);
	assert_string_equal(cfg->routes[1].outcomes.v[1], "failed");
	assert_string_equal(cfg->routes[1].lines.v[0], "74951234567");
	assert_int_equal(cfg->kafka.properties_n, 2);
	assert_string_equal(cfg->kafka.properties[1].key, "sasl.password");
	assert_string_equal(cfg->kafka.properties[1].value, "hush");
	assert_int_equal(cfg->ingest.ack, CFG_ACK_KAFKA);
	cfg_free(cfg);
}

/* ---- files ---- */

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void files(void **state)
{
	char folder[] = "/tmp/test-cfg-XXXXXX", main_file[64], employees[64], secret[64], want[400];
	struct buf problems = BUF_EMPTY;
	struct cfg *cfg = NULL;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(main_file, sizeof(main_file), "%s/c.yaml", folder);
	snprintf(employees, sizeof(employees), "%s/e.yaml", folder);
	snprintf(secret, sizeof(secret), "%s/s", folder);
	write_file(main_file,
		   "accounts: [{" CG
		   ", token: \"${file:s}\", employees: [{id: \"2\"}], employees_file: e.yaml}]\n");
	write_file(employees, "- {id: \"3\", name: Three}\n- {id: \"1\", name: One}\n");
	write_file(secret, "hush\r\n\n");
	assert_int_equal(cfg_load(main_file, &cfg, &problems), 0);
	assert_string_equal(cfg->accounts[0].token, "hush");
	assert_int_equal(cfg->accounts[0].employees_n, 3);
	assert_string_equal(cfg_employee(&cfg->accounts[0], SLICE("1"))->name, "One");
	cfg_free(cfg);
	cfg = NULL;

	write_file(employees, "- {id: \"2\"}\n- {nmae: One}\n");
	assert_int_equal(cfg_load(main_file, &cfg, &problems), -EINVAL);
	snprintf(want, sizeof(want),
		 "%s:1: accounts[0].employees: id \"2\" is there twice, allowed: once\n"
		 "%s:2: employees[1].id: is missing, allowed: text, not empty\n"
		 "%s:2: employees[1].nmae: unknown key (did you mean name?), allowed: id, "
		 "extension, name\n",
		 main_file, employees, employees);
	assert_int_equal(problems.n, strlen(want));
	assert_memory_equal(problems.p, want, problems.n);
	buf_fini(&problems);

	unlink(main_file);
	assert_int_equal(cfg_load(main_file, &cfg, &problems), -ENOENT);
	snprintf(
	    want, sizeof(want),
	    "%s:1: file: cannot be read: No such file or directory, allowed: a readable file\n",
	    main_file);
	assert_int_equal(problems.n, strlen(want));
	assert_memory_equal(problems.p, want, problems.n);
	assert_null(cfg);
	buf_fini(&problems);
	unlink(employees);
	unlink(secret);
	rmdir(folder);
}

static void too_large(void **state)
{
	char path[] = "/tmp/test-cfg-XXXXXX";
	struct buf problems = BUF_EMPTY;
	struct cfg *cfg = NULL;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (16 << 20) + 1), 0);
	close(fd);
	assert_int_equal(cfg_load(path, &cfg, &problems), -EINVAL);
	assert_true(
	    slice_ends(buf_slice(&problems), SLICE(":1: file: is too large, allowed: 16 MiB\n")));
	buf_fini(&problems);
	unlink(path);
}

/* A map of very many keys ends in a message, not in minutes. */
static void many(void **state)
{
	struct buf text = BUF_EMPTY, problems = BUF_EMPTY;
	struct cfg *cfg = NULL;
	char *told;

	(void)state;
	buf_add_text(&text, "kafka: {properties: {");
	for (int i = 0; i < 1001; i++)
		buf_printf(&text, "k%d: v, ", i);
	buf_add_text(&text, "}}\n");
	assert_int_equal(cfg_parse("f", buf_slice(&text), &cfg, &problems), -EINVAL);
	told = buf_take_text(&problems);
	assert_string_equal(told, "f:1: yaml: more than 1000 keys in one map, allowed: fewer\n");
	free(told);
	buf_fini(&text);
}

/* ---- the examples, the reference ---- */

static char *file_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static const struct example_row {
	const char *name; /* the file */
} example_rows[] = { { "config/minimal.yaml" },
		     { "config/callstream.yaml" },
		     { "config/demo.yaml" } };

/* Accepted without a word. */
static void example(void **state)
{
	static const char *const variables[][2] = {
		{ "CALLGEAR_TOKEN", "t" },
		{ "CRM_SECRET", "s" },
		{ "CALLSTREAM_BROKERS", "b:1" },
		{ "DEMO_PREFIX", "demo." },
		{ "DEMO_INGEST", "127.0.0.1:1" },
		{ "DEMO_DIR", "/tmp/demo" },
		{ "DEMO_TOKEN", "t" },
		{ "DEMO_CRM", "127.0.0.1:2" },
		{ "DEMO_SECRET", "whsec_YWJj" },
	};
	const struct example_row *row = *state;
	struct buf problems = BUF_EMPTY;
	struct cfg *cfg = NULL;
	char path[512];
	int err;

	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		setenv(variables[i][0], variables[i][1], 1);
	snprintf(path, sizeof(path), "%s/%s", SOURCE_DIR, row->name);
	err = cfg_load(path, &cfg, &problems);
	if (problems.n)
		print_error("%.*s", SLICE_ARG(buf_slice(&problems)));
	assert_int_equal(err, 0);
	assert_int_equal(problems.n, 0);
	cfg_free(cfg);
	buf_fini(&problems);
}

static void assert_keys_in(const struct cfg_key *keys, const char *text)
{
	for (; keys->name; keys++) {
		char key[64];

		snprintf(key, sizeof(key), "%s:", keys->name);
		if (!strstr(text, key))
			print_error("%s is not there\n", key);
		assert_non_null(strstr(text, key));
		if (keys->keys)
			assert_keys_in(keys->keys, text);
		if (!keys->list)
			continue;
		assert_keys_in(keys->list->keys, text);
		for (const struct cfg_variant *v = keys->list->variants; v && v->name; v++)
			assert_keys_in(v->keys, text);
	}
}

static void every_key_is_in_the_example(void **state)
{
	char *text = file_text(SOURCE_DIR "/config/callstream.yaml");

	(void)state;
	assert_keys_in(cfg_keys, text);
	free(text);
}

/* After a change of the tables: write what this test prints to docs/config.md. */
static void reference(void **state)
{
	char *have = file_text(SOURCE_DIR "/docs/config.md"), *want;
	struct buf out = BUF_EMPTY;

	(void)state;
	cfg_reference(&out);
	want = buf_take_text(&out);
	if (strcmp(have, want) != 0 && getenv("WRITE_REFERENCE"))
		write_file(SOURCE_DIR "/docs/config.md", want);
	assert_string_equal(have, want);
	free(have);
	free(want);
}

static void assert_rows_right(const struct cfg_key *keys)
{
	for (; keys->name; keys++) {
		size_t n = strlen(keys->help);

		assert_true(n > 0 && keys->help[n - 1] == '.');
		assert_true(!keys->min == !keys->max);
		assert_false(keys->flags & CFG_REQUIRED && keys->fallback);
		assert_true((keys->type != CFG_WORD && keys->type != CFG_WORDS) || keys->words);
		if (keys->keys)
			assert_rows_right(keys->keys);
		if (!keys->list)
			continue;
		assert_rows_right(keys->list->keys);
		for (const struct cfg_variant *v = keys->list->variants; v && v->name; v++) {
			assert_rows_right(v->keys);
			assert_true(v->help[strlen(v->help) - 1] == '.');
		}
	}
}

static void rows(void **state)
{
	(void)state;
	assert_rows_right(cfg_keys);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(defaults_of_correlate_and_deliver),
		cmocka_unit_test(account_values),
		cmocka_unit_test(ack_auto),
		cmocka_unit_test(sink_and_route_values),
		cmocka_unit_test(files),
		cmocka_unit_test(too_large),
		cmocka_unit_test(many),
		cmocka_unit_test(every_key_is_in_the_example),
		cmocka_unit_test(reference),
		cmocka_unit_test(rows),
	};
	int failed = RUN_ROWS("configs that are refused", bad, bad_rows);

	failed += RUN_ROWS("configs with warnings", warned, warned_rows);
	failed += RUN_ROWS("examples", example, example_rows);
	failed += cmocka_run_group_tests_name("config", single, NULL, NULL);
	return failed != 0;
}
