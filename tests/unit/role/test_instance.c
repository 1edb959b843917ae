/* The transactional ids of workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "role/instance.h"

static void named(void **state UNUSED)
{
	const struct cfg cfg = { .kafka.topic_prefix = "p.",
				 .correlate.instance = "one",
				 .admin_listen = "127.0.0.1:9090" };
	char id[INSTANCE_ID_MAX];
	struct buf problem = BUF_EMPTY;

	assert_int_equal(instance_id(&cfg, "correlate", 3, id, &problem), 0);
	assert_string_equal(id, "p.correlate.one.3");
}

static void by_host_and_port(void **state UNUSED)
{
	struct cfg cfg = { .kafka.topic_prefix = "",
			   .correlate.instance = "",
			   .admin_listen = "[::1]:9091" };
	char id[INSTANCE_ID_MAX], host[128] = "", want[INSTANCE_ID_MAX];
	struct buf problem = BUF_EMPTY;

	gethostname(host, sizeof(host) - 1);
	assert_int_equal(instance_id(&cfg, "deliver", 0, id, &problem), 0);
	snprintf(want, sizeof(want), "deliver.%s-9091.0", host);
	assert_string_equal(id, want);
	cfg.admin_listen = "127.0.0.1:0"; /* the system will choose */
	assert_int_equal(instance_id(&cfg, "deliver", 0, id, &problem), 0);
	snprintf(want, sizeof(want), "deliver.%s-pid%ld.0", host, (long)getpid());
	assert_string_equal(id, want);
}

static void too_long(void **state UNUSED)
{
	char prefix[201], instance[101], id[INSTANCE_ID_MAX];
	const struct cfg cfg = { .kafka.topic_prefix = prefix,
				 .correlate.instance = instance,
				 .admin_listen = "127.0.0.1:9090" };
	struct buf problem = BUF_EMPTY;

	memset(prefix, 'p', 200);
	memset(instance, 'i', 100);
	prefix[200] = instance[100] = '\0';
	assert_int_equal(instance_id(&cfg, "correlate", 0, id, &problem), -EINVAL);
	assert_true(slice_starts(buf_slice(&problem), SLICE("kafka.topic_prefix: too long")));
	buf_fini(&problem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named),
		cmocka_unit_test(by_host_and_port),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
