#include "life.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net_in.h"
#include "net_out.h"
#include "plan.h"
#include "role/role.h"
#include "store/spool.h"
#include "wrap_fd.h"
#include "wrap_log.h"

#define CALLS_MAX   16
#define CORRELATORS 3
#define DELIVERS    2
#define SLOTS_MAX   (CORRELATORS + DELIVERS + 1)
#define SECOND      INT64_C(1000000)
#define TURN_US     50000
#define LOOK_US     (SECOND / 2)
#define SENDING_US  (600 * SECOND) /* by then the vendor has got rid of everything */
#define SETTLING_US (400 * SECOND) /* without faults, until everything is there */
#define QUIET_US    (15 * SECOND)  /* nothing more may come */
#define SESSION_US  (10 * SECOND)  /* after that a stopped process has lost its partitions */
#define LEAVING_US  (60 * SECOND)

/* A place where a role runs, now and then. */
struct slot {
	const struct role *role;
	char name[32];
	size_t rules;
	struct process *process;
	bool wanted, stop, machine_down;
	int64_t start_us, thaw_us;
};

struct sender {
	const struct traffic_call *call;
	uint64_t left;
};

/* An answer that a sender waits for. */
struct answer {
	bool come;
	enum net_result result;
	int status;
};

static struct {
	const struct traffic *traffic;
	struct cfg *cfg;
} all;

/* An offset that somebody set, and will set back. */
struct meddling {
	bool ever;
	int32_t partition;
	int64_t was, is; /* equal: nothing */
	int64_t until_us;
};

static struct life {
	struct plan plan;
	struct memlog *log;
	struct check *check;
	const struct traffic_call *calls[CALLS_MAX];
	struct sender senders[CALLS_MAX];
	size_t calls_n, sending;
	struct slot slots[SLOTS_MAX];
	size_t slots_n;
	struct process *vendor, *broker, *operator;
	bool calm, leaving;
	struct meddling meddling;
	uint64_t processes;
} l;

/* ---- the log's environment ---- */

static int64_t env_mono_ms(void *arg)
{
	(void)arg;
	return world_us() / 1000;
}

static int64_t env_wall_ms(void *arg)
{
	(void)arg;
	return world_wall_us() / 1000;
}

static void env_sleep_ms(void *arg, int64_t ms)
{
	fiber_wait(arg, world_us() + ms * 1000);
}

static uint64_t env_random(void *arg)
{
	(void)arg;
	return world_random();
}

static bool env_fault(void *arg, const char *name, unsigned per_million)
{
	(void)arg;
	return world_fault(name, per_million);
}

static void env_point(void *arg, const char *name)
{
	(void)arg;
	world_point(name);
}

static void *env_realloc(void *arg, void *p, size_t size)
{
	struct process *before = heap_of(NULL);
	void *ret = NULL;

	(void)arg;
	if (size)
		ret = realloc(p, size);
	else
		free(p);
	heap_of(before);
	return ret;
}

static void env_wake(void *arg)
{
	fiber_wake(arg, true);
}

/* What becomes due in the cluster while nobody asks it. */
static void *broker_main(void *arg)
{
	struct life *life = arg;

	for (;;) {
		memlog_run(life->log);
		fiber_wait(life, memlog_due(life->log) == INT64_MAX
				     ? INT64_MAX
				     : MAX(memlog_due(life->log) * 1000, world_us() + 1));
	}
	return NULL;
}

int __wrap_log_open(const struct cfg *cfg, struct log **ret, struct buf *problem);
int __wrap_log_open(const struct cfg *cfg, struct log **ret, struct buf *problem)
{
	(void)problem;
	return memlog_client(l.log, cfg, process_number(process_now()), ret);
}

int __wrap_spool_open(const struct spool_cfg *cfg, struct spool **ret, struct buf *problem);
int __real_spool_open(const struct spool_cfg *cfg, struct spool **ret, struct buf *problem);
int __wrap_spool_open(const struct spool_cfg *cfg, struct spool **ret, struct buf *problem)
{
	struct spool_cfg ours = *cfg;

	ours.io = &disk_io;
	ours.segment_bytes = l.plan.segment_bytes;
	return __real_spool_open(&ours, ret, problem);
}

/* ---- the vendor ---- */

static void on_answer(void *arg, enum net_result result, int status)
{
	struct answer *a = arg;

	*a = (struct answer){ true, result, status };
	fiber_wake(a, true);
}

static bool send_once(const struct traffic_request *req)
{
	static const char hooks[] = "/hooks/";
	struct answer answer = { false, NET_LOST, 0 };
	char path[512];
	struct net_request net = { .method = req->method,
				   .query = req->query,
				   .content_type = req->content_type,
				   .body = req->body };

	snprintf(path, sizeof(path), "%s%.*s/%.*s", hooks, SLICE_ARG(req->account),
		 SLICE_ARG(req->path));
	net.path = slice_of(path);
	check_sent(l.check, req);
	net_send(&net, on_answer, &answer);
	while (!answer.come)
		fiber_wait(&answer, INT64_MAX);
	if (answer.result == NET_ANSWERED && answer.status != 200 && answer.status != 503)
		world_fail("a request is answered %d", answer.status);
	return answer.result == NET_ANSWERED && answer.status == 200;
}

/* Until it is accepted; now and then once more. */
static void send_request(const struct traffic_request *req)
{
	while (!send_once(req))
		world_sleep((int64_t)world_below(2 * SECOND) + 100000);
	check_accepted(l.check, req);
	if (world_below(20) == 0)
		send_once(req);
}

static void *sender_main(void *arg)
{
	struct sender *s = arg;
	const struct traffic_call *call = s->call;
	size_t order[64], n = MIN(call->requests_n, ARRAY_LEN(order));

	for (size_t i = 0; i < n; i++)
		order[i] = i;
	for (size_t i = 1; i < n; i++) {
		size_t other = i - 1;

		if (world_below(10) == 0) { /* out of order */
			size_t swap = order[i];

			order[i] = order[other];
			order[other] = swap;
		}
	}
	world_sleep((int64_t)world_below(4 * SECOND));
	for (size_t i = 0; i < n; i++) {
		send_request(&call->requests[order[i]]);
		world_sleep((int64_t)world_below((uint64_t)l.plan.gap_us_max) + 1);
	}
	l.sending--;
	return NULL;
}

static void *vendor_main(void *arg)
{
	struct life *life = arg;

	for (size_t i = 0; i < life->calls_n; i++) {
		life->senders[i].call = life->calls[i];
		if (!fiber_start(sender_main, &life->senders[i]))
			world_fail("no fiber for a call");
	}
	fiber_wait(&life->calls_n, INT64_MAX);
	return NULL;
}

/* ---- the CRM ---- */

static int crm_hears(void *arg, const struct http_request *req)
{
	(void)arg;
	check_heard(l.check, slice_of(req->url), req->head, req->body);
	return 200;
}

/* ---- roles ---- */

static void *role_main(void *arg)
{
	struct slot *s = arg;
	const struct cfg *cfg = &l.plan.cfg[s->rules];
	struct buf problem = BUF_EMPTY;
	char why[512];
	void *state;
	int err = s->role->start(cfg, &state, &problem);

	if (err) {
		world_say("%s does not start: %.*s", s->name, (int)problem.n,
			  problem.p ? problem.p : "");
		buf_fini(&problem);
		return NULL;
	}
	while (!s->stop) {
		fiber_wait(s, world_us() + SECOND);
		if (s->role->failed(state, why, sizeof(why)))
			world_fail("%s gave up: %s", s->name, why);
	}
	s->role->close(state);
	err = s->role->drain(state, clock_mono_ms() + cfg->drain_ms);
	if (err)
		world_say("%s did not drain", s->name);
	s->role->free(state);
	buf_fini(&problem);
	if (heap_bytes(process_now()))
		world_fail("%s leaks %zu bytes", s->name, heap_bytes(process_now()));
	return NULL;
}

static void on_process_over(const struct process *p)
{
	void disk_forget(const struct process *p);

	fds_forget(p);
	disk_forget(p);
	net_out_forget(p);
	if (l.log)
		memlog_process_dies(l.log, process_number(p));
}

static void slot_start(struct slot *s)
{
	process_free(s->process);
	s->stop = false;
	s->process = process_start(s->name, role_main, s);
	if (!s->process)
		world_fail("no fiber for a process");
	else
		world_say("%s starts, rules %zu", s->name, s->rules);
	l.processes++;
}

static bool slot_runs(const struct slot *s)
{
	return s->process && process_runs(s->process);
}

static void slot_add(const struct role *role, const char *name)
{
	struct slot *s = &l.slots[l.slots_n++];

	*s = (struct slot){ .role = role, .wanted = true };
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->start_us = world_us() + (int64_t)world_below(SECOND);
}

/* ---- the operator, and fate ---- */

static struct slot *any_slot(void)
{
	return &l.slots[world_below(l.slots_n)];
}

static int64_t soon_us(int64_t most_s)
{
	return world_us() + (int64_t)world_below((uint64_t)(most_s * SECOND));
}

static void kill_one(struct slot *s, int64_t most_s)
{
	if (!slot_runs(s))
		return;
	process_kill(s->process);
	s->start_us = soon_us(most_s);
}

static void thaw(struct slot *s)
{
	if (!s->thaw_us)
		return;
	s->thaw_us = 0;
	if (!slot_runs(s))
		return;
	memlog_process_stops(l.log, process_number(s->process), false);
	process_freeze(s->process, false);
	world_say("%s goes on", s->name);
}

static void freeze(struct slot *s)
{
	if (!slot_runs(s) || s->thaw_us)
		return;
	world_say("%s is stopped", s->name);
	s->thaw_us = world_below(2) ? soon_us(3) : soon_us(20) + SESSION_US;
	memlog_process_stops(l.log, process_number(s->process), true);
	net_out_arrive(s->process);
	process_freeze(s->process, true);
}

static void on_process_stops(struct process *p)
{
	for (size_t i = 0; i < l.slots_n; i++) {
		if (l.slots[i].process == p)
			freeze(&l.slots[i]);
	}
}

static void power_cut(void)
{
	for (size_t i = 0; i < l.slots_n; i++) {
		if (l.slots[i].role == &role_ingest)
			kill_one(&l.slots[i], 3);
	}
	disk_power_cut();
}

/* Somebody sets a committed offset while no correlator runs: they refuse to go on from there. */
static void meddle(void)
{
	struct meddling *m = &l.meddling;
	int n = memlog_partitions(l.log, TOPIC_EVENTS);
	int64_t moved;

	if (n <= 0 || m->was != m->is)
		return;
	for (size_t i = 0; i < l.slots_n; i++) {
		if (l.slots[i].role == &role_correlate)
			kill_one(&l.slots[i], 2);
	}
	m->partition = (int32_t)world_below((uint64_t)n);
	m->was = memlog_group_offset(l.log, "correlate", TOPIC_EVENTS, m->partition);
	moved = m->was + (int64_t)world_below(12) - 8;
	if (m->was < 0 || moved < 0 ||
	    !memlog_set_offset(l.log, "correlate", TOPIC_EVENTS, m->partition, moved)) {
		m->was = m->is;
		return;
	}
	m->is = moved;
	m->ever = true;
	m->until_us = soon_us(20);
	world_say("offset of partition %d set from %lld to %lld", m->partition, (long long)m->was,
		  (long long)m->is);
}

static void set_back(void)
{
	struct meddling *m = &l.meddling;

	if (m->was == m->is || (!l.calm && world_us() < m->until_us))
		return;
	if (memlog_group_offset(l.log, "correlate", TOPIC_EVENTS, m->partition) == m->is) {
		memlog_set_offset(l.log, "correlate", TOPIC_EVENTS, m->partition, m->was);
		world_say("offset of partition %d set back", m->partition);
	}
	m->is = m->was;
}

/* What the roles say only where somebody, or the disk, has done what must not be. */
static void hear_line(const char *line)
{
	static const char *const never[] = {
		"events are gone from the log",
		"events of the replay are gone",
		"message is too large",
		"messages in topic deliveries are no entries",
		"not deliverable",
		"partition cannot be taken over, left the group; see callstream state reset",
	};

	for (size_t i = 0; i < ARRAY_LEN(never) && !l.meddling.ever; i++) {
		if (strncmp(line, never[i], strlen(never[i])) == 0)
			world_fail("%s", line);
	}
}

static void change_rules(void)
{
	size_t rules = (size_t)world_below(RULES_N);

	for (size_t i = 0; i < l.slots_n; i++)
		l.slots[i].rules = rules;
}

static void open_foreign(void)
{
	static const enum topic topics[] = { TOPIC_EVENTS, TOPIC_CALLS, TOPIC_STATE, TOPIC_TASKS,
					     TOPIC_DELIVERIES };
	enum topic topic = topics[world_below(ARRAY_LEN(topics))];
	int n = memlog_partitions(l.log, topic);

	if (n > 0 && (topic == TOPIC_STATE || topic == TOPIC_CALLS) &&
	    memlog_open_foreign_txn(l.log, topic, (int32_t)world_below((uint64_t)n),
				    (int64_t)world_below(15000)) < 0)
		world_fail("memory");
}

static void compact(void)
{
	memlog_roll(l.log, TOPIC_STATE);
	memlog_roll(l.log, TOPIC_DELIVERIES);
	if (memlog_compact(l.log, TOPIC_STATE) < 0 || memlog_compact(l.log, TOPIC_DELIVERIES) < 0)
		world_fail("memory");
}

static const char *any_group(void)
{
	return world_below(2) ? "correlate" : "deliver";
}

static void fate(const struct plan *p)
{
	struct slot *s = any_slot();

	if (world_fault("kill", p->kill))
		kill_one(s, 5);
	if (world_fault("terminate", p->stop) && slot_runs(s)) {
		s->stop = true;
		fiber_wake(s, true);
		s->start_us = soon_us(10);
	}
	if (world_fault("freeze", p->freeze))
		freeze(s);
	if (world_fault("power cut", p->power_cut))
		power_cut();
	if (world_fault("clock step", p->clock_step))
		world_wall_step(((int64_t)world_below(7200) - 3600) * SECOND);
	if (world_fault("other rules", p->rules)) {
		change_rules();
		kill_one(s, 2);
	}
	if (world_fault("offset set", p->meddle))
		meddle();
	if (world_fault("kick", p->kick))
		memlog_kick_member(l.log, any_group(), (size_t)world_below(4));
	if (world_fault("rebalance", p->rebalance))
		memlog_rebalance(l.log, any_group());
	if (world_fault("foreign transaction", p->foreign))
		open_foreign();
	if (world_fault("compaction", p->compact))
		compact();
	if (world_fault("broker away", p->away))
		memlog_broker_away(l.log, (int64_t)world_below(20000));
	if (world_fault("disk full", p->disk_full))
		disk_room(disk_used() + world_below(4096));
	else if (world_below(50) == 0)
		disk_room(p->disk_bytes);
}

static void tend(struct slot *s)
{
	if (s->thaw_us && (l.calm || world_us() >= s->thaw_us))
		thaw(s);
	if (slot_runs(s) || !s->wanted || l.leaving)
		return;
	if (l.calm)
		s->start_us = MIN(s->start_us, world_us());
	if (world_us() >= s->start_us) {
		s->start_us = world_us() + SECOND; /* where it does not start */
		slot_start(s);
	}
}

static void *operator_main(void *arg)
{
	struct life *life = arg;

	for (;;) {
		world_sleep(TURN_US);
		if (!life->calm)
			fate(&life->plan);
		set_back();
		for (size_t i = 0; i < life->slots_n; i++)
			tend(&life->slots[i]);
	}
	return NULL;
}

/* ---- a life ---- */

static void choose_calls(size_t most)
{
	size_t n = MIN(l.plan.calls_n, MIN(all.traffic->calls_n, (size_t)CALLS_MAX));

	n = most ? MIN(n, most) : n;
	while (l.calls_n < n) {
		const struct traffic_call *call =
		    &all.traffic->calls[world_below(all.traffic->calls_n)];
		bool taken = call->requests_n == 0;

		for (size_t i = 0; i < l.calls_n; i++)
			taken |= l.calls[i] == call;
		if (taken)
			n = MIN(n, l.calls_n + 1); /* fewer then: a small corpus ends it too */
		else
			l.calls[l.calls_n++] = call;
		if (taken && l.calls_n)
			break;
	}
	l.sending = l.calls_n;
}

static void begin(const struct life_cfg *cfg)
{
	static const struct memlog_env env = {
		.arg = &l,
		.mono_ms = env_mono_ms,
		.wall_ms = env_wall_ms,
		.sleep_ms = env_sleep_ms,
		.random = env_random,
		.fault = env_fault,
		.point = env_point,
		.realloc = env_realloc,
		.wake = env_wake,
	};
	struct check_cfg check;
	char name[32];

	memset(&l, 0, sizeof(l));
	log_lines_to(hear_line);
	plan_make(all.cfg, &l.plan);
	choose_calls(cfg->calls_max);
	check = (struct check_cfg){ .calls = l.calls,
				    .calls_n = l.calls_n,
				    .late_allowed = l.plan.late || l.plan.limited ||
						    l.plan.clock_step != 0,
				    .more_revisions = l.plan.rules != 0,
				    .disordered = l.plan.log_faults.append_floats != 0 };
	l.check = check_new(&check);
	net_in_reset();
	net_out_reset(&l.plan.crm, crm_hears, NULL);
	disk_reset(l.plan.disk_bytes);
	disk_faults(&l.plan.disk_faults);
	if (memlog_new(&env, &l.plan.settings, &l.log) < 0)
		world_fail("memory");
	memlog_set_faults(l.log, &l.plan.log_faults);
	world_kill_rate(l.plan.kill_rate);
	world_stop_rate(l.plan.stop_rate);
	slot_add(&role_ingest, "ingest");
	for (unsigned i = 0; i < l.plan.delivers; i++) {
		snprintf(name, sizeof(name), "deliver-%u", i);
		slot_add(&role_deliver, name);
	}
	for (unsigned i = 0; i < l.plan.correlators; i++) {
		snprintf(name, sizeof(name), "correlate-%u", i);
		slot_add(&role_correlate, name);
	}
	l.vendor = process_start("vendor", vendor_main, &l);
	l.broker = process_start("broker", broker_main, &l);
	l.operator= process_start("operator", operator_main, &l);
}

static void calm_down(void)
{
	static const struct memlog_faults none;
	static const struct disk_faults good;

	l.calm = true;
	world_calm();
	memlog_set_faults(l.log, &none);
	disk_faults(&good);
	disk_room(l.plan.disk_bytes);
	world_say("calm from here on");
}

/* Runs for so long, looking now and then. false: something is wrong. */
static bool pass(int64_t us)
{
	bool fine = world_run(world_us() + us);

	check_look(l.check, l.log);
	if (memlog_broken(l.log))
		world_fail("the log's model is out of memory");
	return fine && !*world_failure();
}

static void send_all(void)
{
	int64_t until_us = world_us() + SENDING_US;

	while (pass(LOOK_US) && l.sending && world_us() < until_us) {
		if (world_us() > until_us - SENDING_US / 2 && !l.calm)
			calm_down(); /* ill fate for long enough */
	}
	if (l.sending && !*world_failure())
		world_fail("%zu calls could not be sent", l.sending);
}

static void settle(void)
{
	int64_t until_us = world_us() + SETTLING_US;
	const char *why = "";

	while (pass(LOOK_US) && !check_complete(l.check, &why)) {
		if (world_us() >= until_us)
			world_fail("%s", why);
	}
	if (pass(QUIET_US) && !check_complete(l.check, &why))
		world_fail("later on: %s", why);
}

static bool anyone_runs(void)
{
	for (size_t i = 0; i < l.slots_n; i++) {
		if (slot_runs(&l.slots[i]))
			return true;
	}
	return false;
}

static void leave(void)
{
	int64_t until_us = world_us() + LEAVING_US;

	l.leaving = true;
	for (size_t i = 0; i < l.slots_n; i++) {
		l.slots[i].stop = true;
		fiber_wake(&l.slots[i], true);
	}
	while (anyone_runs() && pass(LOOK_US)) {
		if (world_us() >= until_us)
			world_fail("a role does not end");
	}
}

static void end(struct life_result *ret)
{
	snprintf(ret->failure, sizeof(ret->failure), "%s", world_failure());
	ret->faults = world_faults();
	ret->points = world_points();
	ret->processes = l.processes;
	ret->us = world_us();
	ret->calls_n = l.calls_n;
	check_counts(l.check, &ret->counts);
	memlog_counts(l.log, &ret->log);
	world_end();
	disk_end();
	memlog_free(l.log);
	l.log = NULL;
	check_free(l.check);
	plan_free(&l.plan);
}

void life_run(const struct life_cfg *cfg, struct life_result *ret)
{
	const struct world_cfg world = { .seed = cfg->seed,
					 .faults_per_million = 1000000,
					 .suppressed = cfg->suppressed,
					 .suppressed_n = cfg->suppressed_n,
					 .trace = cfg->trace,
					 .process_stops = on_process_stops,
					 .process_over = on_process_over };

	world_begin(&world);
	begin(cfg);
	send_all();
	if (!*world_failure()) {
		if (!l.calm)
			calm_down();
		settle();
	}
	if (!*world_failure())
		leave();
	end(ret);
}

/* ---- all lives ---- */

static void add_routes(struct buf *text, const struct traffic *traffic)
{
	buf_add_text(text, "routes:\n");
	for (size_t i = 0; i < traffic->calls_n; i++) {
		size_t k = 0;

		while (k < i && !slice_eq(traffic->calls[k].account, traffic->calls[i].account))
			k++;
		if (k == i)
			buf_printf(text, "  - {account: %.*s, sinks: [every, complete]}\n",
				   SLICE_ARG(traffic->calls[i].account));
	}
}

int lives_begin(const struct traffic *traffic, struct buf *problem)
{
	struct buf text = BUF_EMPTY;
	int err;

	buf_add_text(&text, "ingest: {spool_dir: /spool, listen: \"127.0.0.1:8080\"}\n"
			    "correlate: {}\n"
			    "deliver: {allow_private_networks: true}\n");
	buf_add_text(&text, traffic->accounts);
	buf_add_text(
	    &text,
	    "sinks:\n"
	    "  - {name: every, kind: webhook, url: \"http://crm.example/every\", send: every}\n"
	    "  - {name: complete, kind: webhook, url: \"http://crm.example/complete\", "
	    "send: complete}\n");
	add_routes(&text, traffic);
	err = text.bad ? -ENOMEM : cfg_parse("simulation", buf_slice(&text), &all.cfg, problem);
	buf_fini(&text);
	all.traffic = traffic;
	return err;
}

void lives_end(void)
{
	cfg_free(all.cfg);
	all.cfg = NULL;
}
