#include "correlate_case.h"

#include <xxhash.h>

struct state {
	struct correlate_case c;
	struct partition *p;
	struct restore *r;
};

static int begin(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	case_begin(&s->c);
	assert_int_equal(0, partition_new(&s->c.env, INDEX, &s->p));
	s->r = restore_new();
	assert_non_null(s->r);
	*state = s;
	return 0;
}

static int end(void **state)
{
	struct state *s = *state;

	restore_free(s->r);
	partition_free(s->p);
	case_end(&s->c);
	free(s);
	return 0;
}

static int plan(struct state *s, int64_t committed)
{
	const char *why = "";

	return restore_plan(s->r, committed, &s->c.env.fingerprint, &why);
}

/* Three commits at offsets 1, 2 and 3; with state: the last one writes all slices. */
static void live(struct state *s, bool state)
{
	const struct partition_step all = { T0 + 30, 30, state ? 1u << 20 : 0 };

	feed(s->p, "1", CALLEV_CALL_STARTED);
	step(s->p, 10, 10);
	write_to(s->p, s->r);
	feed(s->p, "2", CALLEV_CALL_STARTED);
	step(s->p, 20, 20);
	write_to(s->p, s->r);
	feed(s->p, "1", CALLEV_LEG_RINGING);
	assert_int_equal(0, partition_step(s->p, &all));
	write_to(s->p, s->r);
}

static void nothing_at_all_is_fresh(void **state)
{
	struct state *s = *state;

	assert_int_equal(RESTORE_FRESH, plan(s, LOG_BEGIN));
	assert_null(restore_last(s->r));
	assert_int_equal(LOG_BEGIN, restore_from(s->r));
}

static void a_journal_and_its_offset_fit(void **state)
{
	struct state *s = *state;

	live(s, false);
	assert_int_equal(RESTORE_FITS, plan(s, 3));
	assert_int_equal(3, restore_last(s->r)->n);
	assert_int_equal(0, restore_from(s->r));
}

static void after_a_hand_over_nothing_is_repeated(void **state)
{
	struct state *s = *state;

	live(s, true);
	assert_int_equal(RESTORE_FITS, plan(s, 3));
	assert_int_equal(3, restore_from(s->r));
}

static void other_rules_are_told(void **state)
{
	struct state *s = *state;

	live(s, false);
	s->c.env.fingerprint.b[0] ^= 1;
	assert_int_equal(RESTORE_OTHER_RULES, plan(s, 3));
}

static void an_offset_without_a_journal_does_not_fit(void **state)
{
	assert_int_equal(-ESTALE, plan(*state, 3));
}

static void a_journal_without_an_offset_does_not_fit(void **state)
{
	live(*state, false);
	assert_int_equal(-ESTALE, plan(*state, LOG_BEGIN));
}

static void another_offset_does_not_fit(void **state)
{
	live(*state, false);
	assert_int_equal(-ESTALE, plan(*state, 4));
}

static void a_hole_in_the_journal_does_not_fit(void **state)
{
	struct state *s = *state;

	live(s, false);
	assert_int_equal(0, restore_message(s->r, SLICE("j/2"), SLICE_NONE, true));
	assert_int_equal(-ESTALE, plan(s, 3));
}

static void a_tombstone_on_the_newest_leaves_no_journal(void **state)
{
	struct state *s = *state;

	live(s, false);
	assert_int_equal(0, restore_message(s->r, SLICE("j/3"), SLICE_NONE, true));
	assert_int_equal(-ESTALE, plan(s, 3));
	assert_null(restore_last(s->r));
}

/* Part 0 says three, two are there, one of them of another commit. */
static void a_slice_that_is_not_whole_is_refused(void **state)
{
	struct state *s = *state;
	struct buf b = BUF_EMPTY;

	live(s, false);
	slice_part_write(&b, &(struct slice_part){ 2, 0, 2, SLICE("x") });
	assert_int_equal(0, restore_message(s->r, SLICE("s/9/0"), buf_slice(&b), false));
	assert_int_equal(-EBADMSG, plan(s, 3));
	buf_reset(&b);
	slice_part_write(&b, &(struct slice_part){ 1, 1, 0, SLICE("x") });
	assert_int_equal(0, restore_message(s->r, SLICE("s/9/1"), buf_slice(&b), false));
	assert_int_equal(-EBADMSG, plan(s, 3));
	buf_fini(&b);
}

static void a_slice_newer_than_the_journal_is_refused(void **state)
{
	struct state *s = *state;
	struct buf b = BUF_EMPTY;

	live(s, false);
	slice_part_write(&b, &(struct slice_part){ 4, 0, 1, SLICE("x") });
	assert_int_equal(0, restore_message(s->r, SLICE("s/9/0"), buf_slice(&b), false));
	assert_int_equal(-EBADMSG, plan(s, 3));
	buf_fini(&b);
}

static void a_slice_that_cannot_be_read_is_refused(void **state)
{
	struct state *s = *state;
	struct partition *p;
	struct buf b = BUF_EMPTY;

	live(s, false);
	slice_part_write(&b, &(struct slice_part){ 3, 0, 1, SLICE("no slice") });
	assert_int_equal(0, restore_message(s->r, SLICE("s/9/0"), buf_slice(&b), false));
	assert_int_equal(RESTORE_FITS, plan(s, 3));
	assert_int_equal(0, partition_new(&s->c.env, INDEX, &p));
	assert_int_equal(-EBADMSG, restore_begin(s->r, p, false));
	partition_free(p);
	buf_fini(&b);
}

struct message_case {
	const char *name, *key;
	void (*write)(struct buf *b);
	int want;
};

static void write_nothing(struct buf *b)
{
	buf_add_text(b, "no message of ours");
}

static void write_entry(struct buf *b)
{
	journal_entry_write(b, &(struct journal_entry){ .n = 5, .replay_from = 6 });
}

static void write_part(struct buf *b)
{
	slice_part_write(b, &(struct slice_part){ 1, 0, 1, SLICE("x") });
}

static void write_later(struct buf *b)
{
	XXH64_hash_t sum;

	write_part(b);
	b->p[0]++; /* the version */
	sum = XXH3_64bits(b->p, b->n - sizeof(sum));
	memcpy(b->p + b->n - sizeof(sum), &sum, sizeof(sum));
}

static void write_block(struct buf *b)
{
	closed_block_write(b, &(struct closed_block){ 7, 1, SLICE("x") });
}

static const struct message_case message_cases[] = {
	{ "an unknown key is passed over", "z/1", write_nothing, RESTORE_FITS },
	{ "a journal entry that is none", "j/5", write_nothing, -EBADMSG },
	{ "a journal entry of another offset", "j/5", write_entry, -ESTALE },
	{ "a journal entry in another's place", "j/6", write_entry, -EBADMSG },
	{ "a part that is none", "s/1/0", write_nothing, -EBADMSG },
	{ "a part in its place", "s/1/0", write_part, RESTORE_FITS },
	{ "a part in another's place is of no use", "s/1/3", write_part, RESTORE_FITS },
	{ "a part of a later version", "s/1/0", write_later, -EPROTO },
	{ "a block that is none", "c/7", write_nothing, -EBADMSG },
	{ "a block in its place", "c/7", write_block, RESTORE_FITS },
	{ "a block in another's place", "c/8", write_block, -EBADMSG },
};

static void messages_are_checked(void **state)
{
	struct state *s = *state;
	struct buf b = BUF_EMPTY;

	restore_free(s->r);
	for (size_t i = 0; i < ARRAY_LEN(message_cases); i++) {
		const struct message_case *c = &message_cases[i];
		int want = c->want;

		buf_reset(&b);
		c->write(&b);
		s->r = restore_new();
		live(s, false);
		assert_int_equal(0, restore_message(s->r, slice_of(c->key), buf_slice(&b), false));
		if (plan(s, s->p->next) != want)
			fail_msg("%s", c->name);
		/* What is newer counts. */
		assert_int_equal(0, restore_message(s->r, slice_of(c->key), SLICE_NONE, true));
		restore_free(s->r);
		s->r = NULL;
		partition_free(s->p);
		assert_int_equal(0, partition_new(&s->c.env, INDEX, &s->p));
	}
	buf_fini(&b);
}

static void replay_all(struct state *s, struct partition *p, int64_t from, int64_t until)
{
	static const enum callev_kind kinds[] = { CALLEV_CALL_STARTED, CALLEV_CALL_STARTED,
						  CALLEV_LEG_RINGING };
	static const char *const sessions[] = { "1", "2", "1" };

	for (int64_t at = from; at < until; at++) {
		char *json = event_json(sessions[at], kinds[at], at);
		struct log_msg msg = message(at, json);

		assert_int_equal(0, restore_event(s->r, p, &msg));
		free(json);
	}
	assert_int_equal(0, restore_finish(s->r, p));
}

/* Retention took the first event of the replay: what is left is repeated, and it is counted. */
static void events_that_are_gone_are_counted(void **state)
{
	struct state *s = *state;
	struct calltab_counts counts;
	struct partition *p;

	live(s, false);
	assert_int_equal(RESTORE_FITS, plan(s, 3));
	assert_int_equal(0, partition_new(&s->c.env, INDEX, &p));
	assert_int_equal(0, restore_begin(s->r, p, false));
	replay_all(s, p, 1, 3);
	assert_int_equal(1, restore_missing(s->r));
	assert_int_equal(3, p->next);
	assert_int_equal(4, p->n);
	calltab_counts(p->tab, &counts);
	assert_int_equal(2, counts.open);
	partition_free(p);
}

static int count_key(void *arg, struct slice key)
{
	size_t *n = arg;

	assert_true(key.n > 0);
	++*n;
	return 0;
}

static int refuse_key(void *arg, struct slice key)
{
	(void)arg;
	(void)key;
	return -EAGAIN;
}

static void keys_are_told_once_each(void **state)
{
	struct state *s = *state;
	unsigned slices;
	size_t n = 0, blocks;
	struct buf b = BUF_EMPTY;

	live(s, true);
	write_block(&b);
	assert_int_equal(0, restore_message(s->r, SLICE("c/7"), buf_slice(&b), false));
	assert_int_equal(0, restore_message(s->r, SLICE("c/7"), buf_slice(&b), false));
	assert_int_equal(RESTORE_FITS, plan(s, 3));
	restore_counts(s->r, &slices, &blocks);
	assert_int_equal(2, slices);
	assert_int_equal(1, blocks);
	assert_int_equal(0, restore_keys(s->r, count_key, &n));
	assert_int_equal(3 + 2 + 1, n);
	assert_int_equal(-EAGAIN, restore_keys(s->r, refuse_key, NULL));
	buf_fini(&b);
}

static void revisions_are_read_from_records(void **state)
{
	static const struct slice key = SLICE_INIT("74738ff5-5367-5958-9aee-98fffdcd1876");
	struct state *s = *state;

	assert_int_equal(0, restore_record(s->r, key, SLICE("{\"id\":\"x\",\"revision\":3,")));
	assert_int_equal(0, restore_record(s->r, key, SLICE("{\"revision\":99999999999999}")));
	assert_int_equal(0, restore_record(s->r, key, SLICE("no record")));
	assert_int_equal(0, restore_record(s->r, key, SLICE_NONE));
	assert_int_equal(0, restore_record(s->r, SLICE("no id"), SLICE("{\"revision\":3}")));
}

#define WITH_RESTORE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RESTORE(nothing_at_all_is_fresh),
		WITH_RESTORE(a_journal_and_its_offset_fit),
		WITH_RESTORE(after_a_hand_over_nothing_is_repeated),
		WITH_RESTORE(other_rules_are_told),
		WITH_RESTORE(an_offset_without_a_journal_does_not_fit),
		WITH_RESTORE(a_journal_without_an_offset_does_not_fit),
		WITH_RESTORE(another_offset_does_not_fit),
		WITH_RESTORE(a_hole_in_the_journal_does_not_fit),
		WITH_RESTORE(a_tombstone_on_the_newest_leaves_no_journal),
		WITH_RESTORE(a_slice_that_is_not_whole_is_refused),
		WITH_RESTORE(a_slice_newer_than_the_journal_is_refused),
		WITH_RESTORE(a_slice_that_cannot_be_read_is_refused),
		WITH_RESTORE(messages_are_checked),
		WITH_RESTORE(events_that_are_gone_are_counted),
		WITH_RESTORE(keys_are_told_once_each),
		WITH_RESTORE(revisions_are_read_from_records),
	};

	return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
