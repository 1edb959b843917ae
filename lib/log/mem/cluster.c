/*
 * cluster.c - time, chance and memory of the cluster; what is due happens
 */
#include "log/mem/cluster.h"

#include <errno.h>

/* ---- made ---- */

void memlog_settings_default(struct memlog_settings *ret)
{
	*ret = (struct memlog_settings){
		.session_ms = 10000,
		.heartbeat_ms = 1000,
		.rebalance_ms = 300000,
		.sweep_ms = 1000,
		.txn_ms = 10000,
		.linger_ms = 5,
		.answer_ms = 2,
		.marker_ms = 3,
		.tombstone_ms = 86400000,
		.queue_msgs_max = 200000,
	};
	for (int i = 0; i < TOPICS_N; i++) {
		ret->segment_ms[i] = 604800000;
		ret->segment_bytes[i] = (size_t)1 << 30;
		ret->bytes_max[i] = (size_t)4 << 20;
	}
	ret->segment_ms[TOPIC_STATE] = 600000;
	ret->segment_bytes[TOPIC_STATE] = (size_t)64 << 20;
	ret->bytes_max[TOPIC_LIVE] = 1048588; /* it is made with Kafka's own value */
}

int memlog_new(const struct memlog_env *env, const struct memlog_settings *settings,
	       struct memlog **ret)
{
	struct memlog *m = env->realloc(env->arg, NULL, sizeof(*m));

	if (!m)
		return -ENOMEM;
	*m = (struct memlog){ .env = *env, .set = *settings, .due_ms = NEVER };
	*ret = m;
	return 0;
}

void memlog_free(struct memlog *m)
{
	if (!m)
		return;
	groups_fini(m);
	producers_fini(m);
	topics_fini(m);
	m->env.realloc(m->env.arg, m, 0);
}

void memlog_set_faults(struct memlog *m, const struct memlog_faults *faults)
{
	m->faults = *faults;
}

void memlog_counts(const struct memlog *m, struct memlog_counts *ret)
{
	*ret = m->counts;
}

bool memlog_broken(const struct memlog *m)
{
	return m->broken;
}

/* ---- memory ---- */

void *mem_alloc(struct memlog *m, size_t n)
{
	void *p = m->env.realloc(m->env.arg, NULL, MAX(n, (size_t)1));

	if (p)
		memset(p, 0, n);
	else
		m->broken = true;
	return p;
}

void mem_free(struct memlog *m, void *p)
{
	if (p)
		m->env.realloc(m->env.arg, p, 0);
}

bool mem_room(struct memlog *m, void *array, size_t *cap, size_t n, size_t size)
{
	size_t more = *cap ? 2 * *cap : 8;
	void *p;

	if (n < *cap)
		return true;
	while (more <= n)
		more *= 2;
	memcpy(&p, array, sizeof(p)); /* any pointer to an array */
	p = m->env.realloc(m->env.arg, p, more * size);
	if (!p) {
		m->broken = true;
		return false;
	}
	memcpy(array, &p, sizeof(p));
	*cap = more;
	return true;
}

char *mem_text(struct memlog *m, const char *text)
{
	size_t n = strlen(text) + 1;
	char *p = mem_alloc(m, n);

	if (p)
		memcpy(p, text, n);
	return p;
}

/* ---- time and chance ---- */

int64_t mem_now(struct memlog *m)
{
	return m->env.mono_ms(m->env.arg);
}

uint64_t mem_below(struct memlog *m, uint64_t n)
{
	return n > 1 ? m->env.random(m->env.arg) % n : 0;
}

int64_t mem_within(struct memlog *m, int64_t ms)
{
	return (int64_t)mem_below(m, (uint64_t)ms + 1);
}

bool mem_fault(struct memlog *m, const char *name, unsigned per_million)
{
	bool happens = m->env.fault ? m->env.fault(m->env.arg, name, per_million)
				    : mem_below(m, 1000000) < per_million;

	m->counts.faults += happens;
	return happens;
}

void mem_point(struct memlog *m, const char *name)
{
	if (m->env.point)
		m->env.point(m->env.arg, name);
	memlog_run(m);
	if (MEM_FAULT(m, away))
		memlog_broker_away(m, mem_within(m, m->faults.away_ms));
}

void mem_wake(struct memlog *m)
{
	if (m->env.wake)
		m->env.wake(m->env.arg);
}

void mem_wait(struct memlog *m, int64_t until_ms)
{
	int64_t now_ms = mem_now(m), to_ms;

	memlog_run(m);
	to_ms = MIN(until_ms, m->due_ms);
	if (!m->env.wake)
		to_ms = MIN(to_ms, now_ms + STEP_MS);
	m->env.sleep_ms(m->env.arg, MAX(to_ms - now_ms, 1));
	memlog_run(m);
}

/* ---- the broker ---- */

bool mem_reachable(struct memlog *m)
{
	return m->away_until_ms == 0 || mem_now(m) >= m->away_until_ms;
}

int64_t mem_when(const struct memlog *m, int64_t ms)
{
	return MAX(ms, m->away_until_ms);
}

int mem_reach(struct memlog *m, int64_t deadline_ms)
{
	memlog_run(m);
	while (!mem_reachable(m)) {
		if (mem_now(m) >= deadline_ms)
			return -EAGAIN;
		mem_wait(m, deadline_ms);
	}
	return 0;
}

void memlog_broker_away(struct memlog *m, int64_t ms)
{
	int64_t now_ms = mem_now(m);

	memlog_run(m);
	if (mem_reachable(m))
		m->away_since_ms = now_ms;
	m->away_until_ms = MAX(m->away_until_ms, now_ms + MAX(ms, 1));
	mem_due(m, m->away_until_ms);
	mem_wake(m);
}

/* ---- what is due ---- */

void mem_due(struct memlog *m, int64_t at_ms)
{
	m->due_ms = MIN(m->due_ms, at_ms);
}

int64_t memlog_due(const struct memlog *m)
{
	return m->due_ms;
}

void memlog_run(struct memlog *m)
{
	int64_t now_ms = mem_now(m);

	while (now_ms >= m->due_ms) {
		m->due_ms = NEVER;
		producers_run(m, now_ms);
		txns_run(m, now_ms);
		groups_run(m, now_ms);
		m->due_ms = MIN(m->due_ms, MIN(groups_due(m), MIN(producers_due(m), txns_due(m))));
		mem_wake(m);
	}
}

/* ---- processes ---- */

void memlog_process_stops(struct memlog *m, uint64_t process, bool stopped)
{
	int64_t now_ms = mem_now(m);

	memlog_run(m);
	for (size_t g = 0; g < m->groups_n; g++) {
		for (size_t i = 0; i < m->groups[g].n; i++) {
			struct member *mb = &m->groups[g].v[i];

			if (mb->process != process || mb->silent == stopped)
				continue;
			mb->silent = stopped;
			if (stopped)
				mb->heard_ms = now_ms;
		}
	}
	mem_due(m, now_ms);
	memlog_run(m);
}

void memlog_process_dies(struct memlog *m, uint64_t process)
{
	memlog_run(m);
	for (size_t i = 0; i < m->producers_n; i++) {
		const struct producer *p = &m->producers[i];

		if (p->used && p->process == process)
			producer_leave(m, (uint32_t)i);
	}
	for (size_t g = 0; g < m->groups_n; g++) {
		for (size_t i = 0; i < m->groups[g].n; i++) {
			struct member *mb = &m->groups[g].v[i];

			if (mb->process != process)
				continue;
			mb->process = 0;
			mb->silent = true;
			mb->heard_ms = mem_now(m);
		}
	}
	mem_due(m, mem_now(m));
	memlog_run(m);
}
