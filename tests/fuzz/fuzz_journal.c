/*
 * What lies in topic state must never break a take-over: messages of the input, each with a right
 * checksum if it asks for one, are restored as far as they let themselves.
 *
 * Input: records of a key's kind and index, a flag byte, a length (LE 16), the value.
 */
#include <stdlib.h>
#include <xxhash.h>

#include "role/restore.h"
#include "wire/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FLAG_SEAL      0x01u /* the value gets its format, kind and checksum */
#define FLAG_TOMBSTONE 0x02u

static struct cfg_account account = { .name = "acme",
				      .source = "callgear",
				      .closers = { 1000, 1000, 1000, 1000, 1000, 1000 } };
static const struct cfg cfg = {
	.file = "",
	.numbers_country = "RU",
	.kafka = { .partitions = 1, .topic_prefix = "" },
	.correlate = { .closers = { 1000, 1000, 1000, 1000, 1000, 1000 },
		       .remember_closed_ms = 1000,
		       .closed_index_ms = 100000,
		       .closed_index_max = 1000,
		       .orphan_wait_ms = 1000,
		       .orphans_max = 10,
		       .open_calls_max = 1000,
		       .checkpoint_every_ms = 1000,
		       .commit_every_ms = 100 },
	.accounts = &account,
	.accounts_n = 1,
};

static void make_key(struct buf *key, uint8_t kind, uint8_t index)
{
	if (kind % 3 == 2)
		state_key_slice(key, index & 3, index >> 6);
	else if (kind % 3 == 1)
		state_key_block(key, index & 7);
	else
		state_key_journal(key, index & 7);
}

static void make_value(struct buf *value, struct slice key, struct slice body, bool seal)
{
	if (seal) {
		put_u8(value, 1);
		put_u8(value, (uint8_t)key.p[0]);
	}
	buf_add_slice(value, body);
	if (seal)
		put_u64le(value, XXH3_64bits(value->p, value->n));
}

static void add_messages(struct restore *r, struct cursor *c)
{
	struct buf key = BUF_EMPTY, value = BUF_EMPTY;

	while (cur_left(c) >= 5) {
		uint8_t kind = cur_u8(c), index = cur_u8(c), flags = cur_u8(c);
		size_t n = cur_u8(c);
		struct slice body;

		n |= (size_t)cur_u8(c) << 8;
		body = cur_take(c, MIN(n, cur_left(c)));
		buf_reset(&key);
		buf_reset(&value);
		make_key(&key, kind, index);
		make_value(&value, buf_slice(&key), body, flags & FLAG_SEAL);
		if (restore_message(r, buf_slice(&key), buf_slice(&value), flags & FLAG_TOMBSTONE) <
		    0)
			abort();
	}
	buf_fini(&key);
	buf_fini(&value);
}

static int any_key(void *arg, struct slice key)
{
	(void)arg;
	return key.n ? 0 : -1;
}

static void fill(struct restore *r, struct partition_env *env)
{
	const struct journal_entry *last = restore_last(r);
	struct partition *p;

	if (partition_new(env, 0, &p) < 0)
		return;
	if (restore_begin(r, p, false) == 0 && last &&
	    last->offset - last->replay_offset < 100000 && restore_finish(r, p) == 0) {
		const struct partition_step step = { last->clock_ms, 0, 1u << 20 };

		if (partition_step(p, &step) < 0)
			abort();
	}
	partition_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cur_make(slice_make(data, size));
	struct restore *r = restore_new();
	struct partition_env env;
	const char *why = "";
	int plan;

	if (!r || partition_env_init(&env, &cfg) < 0)
		abort();
	add_messages(r, &c);
	plan = restore_plan(r, LOG_BEGIN, &env.fingerprint, &why);
	if (restore_last(r))
		plan = restore_plan(r, restore_last(r)->offset, &env.fingerprint, &why);
	if (plan >= 0)
		fill(r, &env);
	if (restore_keys(r, any_key, NULL) < 0)
		abort();
	partition_env_fini(&env);
	restore_free(r);
	return 0;
}
