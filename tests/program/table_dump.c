/*
 * table_dump.c - CONFIG PARTITION HOW: the table of a correlator's partition, slice by slice
 *
 *   state      as a take-over makes it, from topics state and events
 *   kept FILE  the same with messages of topic state that were kept: length of the key, length of
 *              the value (-1: a tombstone), both i32 of this machine, key, value
 *   events     from the events alone, of a table that no timer and no limit has touched
 *
 * The same table gives the same lines, byte for byte. Nothing is written; who owns the partition
 * should be silent meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "check.h"
#include "role/read_on.h"
#include "role/restore.h"
#include "role/takeover.h"

struct dump {
	struct log *log;
	struct partition_env env;
	struct log_worker *worker;
	int32_t partition;
	int64_t committed;
};

static int assigned(void *arg, struct log_part *parts, size_t parts_n)
{
	(void)arg;
	(void)parts;
	return parts_n ? -1 : 0; /* never polled, so never called */
}

static void revoked(void *arg, const struct log_part *parts, size_t parts_n, bool lost)
{
	(void)arg;
	(void)parts;
	(void)parts_n;
	(void)lost;
}

static void open_dump(struct dump *d, const struct cfg *cfg, int32_t partition)
{
	static const enum topic topics[] = { TOPIC_EVENTS };
	const struct log_worker_hooks hooks = { NULL, assigned, revoked };
	struct buf problem = BUF_EMPTY;
	char id[256];

	snprintf(id, sizeof(id), "%scorrelate.dump.%d", cfg->kafka.topic_prefix, partition);
	*d = (struct dump){ .partition = partition };
	CHECK(log_open(cfg, &d->log, &problem) == 0);
	buf_fini(&problem);
	CHECK(partition_env_init(&d->env, cfg) == 0);
	CHECK(log_worker_new(d->log, "correlate", id, topics, 1, &hooks, &d->worker) == 0);
	CHECK(read_on_committed(d->worker, TOPIC_EVENTS, partition, NULL, &d->committed) == 0);
}

static void close_dump(struct dump *d)
{
	log_worker_free(d->worker);
	partition_env_fini(&d->env);
	log_close(d->log);
}

/* ---- the three ways ---- */

static struct partition *from_state(struct dump *d)
{
	const struct takeover t = { d->log, d->worker, &d->env, NULL };
	struct takeover_job job = { .partition = d->partition };
	int rc = takeover(&t, &job, 1);

	if (rc < 0)
		fprintf(stderr, "partition %d: %s\n", d->partition, job.why);
	CHECK(rc == 0);
	return job.ret;
}

static bool next_kept(FILE *file, char **key, int32_t *key_n, char **value, int32_t *value_n)
{
	if (fread(key_n, sizeof(*key_n), 1, file) != 1)
		return false;
	CHECK(fread(value_n, sizeof(*value_n), 1, file) == 1);
	*key = malloc((size_t)*key_n + 1);
	*value = malloc((size_t)MAX(*value_n, 0) + 1);
	CHECK(*key && *value);
	CHECK(fread(*key, 1, (size_t)*key_n, file) == (size_t)*key_n);
	CHECK(*value_n <= 0 || fread(*value, 1, (size_t)*value_n, file) == (size_t)*value_n);
	return true;
}

static void read_kept(const char *path, struct restore *r)
{
	FILE *file = fopen(path, "rb");
	int32_t key_n, value_n;
	char *key, *value;

	CHECK(file);
	while (next_kept(file, &key, &key_n, &value, &value_n)) {
		CHECK(restore_message(r, slice_make(key, (size_t)key_n),
				      slice_make(value, (size_t)MAX(value_n, 0)),
				      value_n < 0) == 0);
		free(key);
		free(value);
	}
	fclose(file);
}

struct replay {
	struct restore *r;
	struct partition *p;
};

static int replay_one(void *arg, const struct log_msg *msg)
{
	struct replay *replay = arg;

	return restore_event(replay->r, replay->p, msg);
}

static struct partition *from_kept(struct dump *d, const char *path)
{
	struct replay replay = { .r = restore_new() };
	const char *why = "";
	int plan;

	CHECK(replay.r);
	read_kept(path, replay.r);
	plan = restore_plan(replay.r, d->committed, &d->env.fingerprint, &why);
	if (plan != RESTORE_FITS)
		fprintf(stderr, "partition %d: plan %d: %s\n", d->partition, plan, why);
	CHECK(plan == RESTORE_FITS);
	CHECK(partition_new(&d->env, d->partition, &replay.p) == 0);
	CHECK(restore_begin(replay.r, replay.p, false) == 0);
	if (restore_from(replay.r) < d->committed)
		CHECK(read_on(d->log, TOPIC_EVENTS, d->partition, restore_from(replay.r),
			      d->committed, NULL, replay_one, &replay) == 0);
	CHECK(restore_finish(replay.r, replay.p) == 0);
	restore_free(replay.r);
	return replay.p;
}

static int apply_one(void *arg, const struct log_msg *msg)
{
	struct partition *p = arg;

	if (p->next != LOG_BEGIN)
		p->next = msg->offset;
	return partition_apply(p, msg);
}

static struct partition *from_events(struct dump *d)
{
	struct partition *p;

	CHECK(partition_new(&d->env, d->partition, &p) == 0);
	CHECK(read_on(d->log, TOPIC_EVENTS, d->partition, LOG_BEGIN, d->committed, NULL, apply_one,
		      p) == 0);
	CHECK(p->out.n == 0);
	return p;
}

/* ---- what is told ---- */

/* Journal and clock are the log's own business: a table from events alone has none. */
static void tell(struct partition *p, bool journal)
{
	struct calltab_counts counts;

	calltab_counts(p->tab, &counts);
	printf("open %llu remembered %llu orphans %llu closed %llu next %lld\n",
	       (unsigned long long)counts.open, (unsigned long long)counts.remembered,
	       (unsigned long long)counts.orphans, (unsigned long long)closed_count(p->closed),
	       (long long)p->next);
	if (journal)
		printf("commit %llu clock %lld cutoff %llu\n", (unsigned long long)p->n,
		       (long long)p->clock_ms, (unsigned long long)closed_cutoff(p->closed));
	for (unsigned i = 0; i < CALLTAB_SLICES; i++) {
		struct buf packed = BUF_EMPTY;

		CHECK(calltab_slice_pack(p->tab, i, &packed) == 0 && !packed.bad);
		printf("slice %u %zu %016llx\n", i, packed.n,
		       (unsigned long long)XXH3_64bits(packed.p, packed.n));
		buf_fini(&packed);
	}
}

int main(int argc, char **argv)
{
	struct buf problems = BUF_EMPTY;
	struct partition *p = NULL;
	struct cfg *cfg = NULL;
	struct dump d;

	if (argc < 4 || cfg_load(argv[1], &cfg, &problems) < 0) {
		fputs("usage: table_dump CONFIG PARTITION state|events|kept [FILE]\n", stderr);
		return 2;
	}
	buf_fini(&problems);
	open_dump(&d, cfg, (int32_t)strtol(argv[2], NULL, 10));
	if (strcmp(argv[3], "state") == 0)
		p = from_state(&d);
	else if (strcmp(argv[3], "events") == 0)
		p = from_events(&d);
	else if (argc == 5)
		p = from_kept(&d, argv[4]);
	CHECK(p);
	tell(p, strcmp(argv[3], "events") != 0);
	partition_free(p);
	close_dump(&d);
	cfg_free(cfg);
	return 0;
}
