#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "role/outbox.h"

static void messages_come_out_as_they_were_put_in(void **state)
{
	struct outbox o = OUTBOX_EMPTY;
	struct outbox_msg msg;
	struct buf *b;

	(void)state;
	outbox_add(&o, TOPIC_CALLS, SLICE("key"), SLICE("value"));
	b = outbox_open(&o, TOPIC_STATE);
	buf_add_text(b, "c/7");
	outbox_close_tombstone(&o);
	b = outbox_open(&o, TOPIC_DEAD);
	outbox_value(&o);
	buf_add_text(b, "without a key");
	outbox_close(&o);

	assert_false(o.bad);
	assert_int_equal(3, o.n);
	msg = outbox_get(&o, 0);
	assert_int_equal(TOPIC_CALLS, msg.topic);
	assert_true(slice_is(msg.key, "key"));
	assert_true(slice_is(msg.value, "value"));
	assert_false(msg.tombstone);
	msg = outbox_get(&o, 1);
	assert_true(slice_is(msg.key, "c/7"));
	assert_int_equal(0, msg.value.n);
	assert_true(msg.tombstone);
	msg = outbox_get(&o, 2);
	assert_int_equal(0, msg.key.n);
	assert_true(slice_is(msg.value, "without a key"));

	outbox_reset(&o);
	assert_int_equal(0, o.n);
	outbox_add(&o, TOPIC_CALLS, SLICE("again"), SLICE_NONE);
	assert_true(slice_is(outbox_get(&o, 0).key, "again"));
	outbox_fini(&o);
}

static void many_messages_make_it_grow(void **state)
{
	struct outbox o = OUTBOX_EMPTY;
	char key[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int n = snprintf(key, sizeof(key), "%d", i);

		outbox_add(&o, TOPIC_CALLS, slice_make(key, (size_t)n), slice_make(key, (size_t)n));
	}
	assert_int_equal(1000, o.n);
	assert_true(slice_is(outbox_get(&o, 999).value, "999"));
	assert_true(slice_is(outbox_get(&o, 0).value, "0"));
	outbox_fini(&o);
}

/* A buffer that has run out of memory is bad; what is in it must not be sent. */
static void a_bad_buffer_spoils_it_until_the_reset(void **state)
{
	struct outbox o = OUTBOX_EMPTY;

	(void)state;
	outbox_add(&o, TOPIC_CALLS, SLICE("first"), SLICE("1"));
	outbox_open(&o, TOPIC_CALLS)->bad = true;
	outbox_value(&o);
	outbox_close(&o);
	outbox_add(&o, TOPIC_CALLS, SLICE("third"), SLICE("3"));
	assert_true(o.bad);
	assert_int_equal(1, o.n);
	outbox_reset(&o);
	assert_false(o.bad);
	outbox_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_out_as_they_were_put_in),
		cmocka_unit_test(many_messages_make_it_grow),
		cmocka_unit_test(a_bad_buffer_spoils_it_until_the_reset),
	};

	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
