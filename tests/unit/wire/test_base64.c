/* RFC 4648: its own examples, every length, and what is no base64. */
#include <errno.h>
#include <string.h>

#include "unit/base/rows.h"
#include "wire/base64.h"

static const struct row {
	const char *name; /* the text */
	struct slice bytes;
	bool write; /* it is also what is written */
	int err;
} rows[] = {
	{ "", SLICE_INIT(""), true, 0 },
	{ "Zg==", SLICE_INIT("f"), true, 0 },
	{ "Zm8=", SLICE_INIT("fo"), true, 0 },
	{ "Zm9v", SLICE_INIT("foo"), true, 0 },
	{ "Zm9vYg==", SLICE_INIT("foob"), true, 0 },
	{ "Zm9vYmE=", SLICE_INIT("fooba"), true, 0 },
	{ "Zm9vYmFy", SLICE_INIT("foobar"), true, 0 },
	{ "AP/+", SLICE_INIT("\0\xff\xfe"), true, 0 },
	{ "+/+/", SLICE_INIT("\xfb\xff\xbf"), true, 0 },
	{ "Zg", SLICE_INIT("f"), false, 0 },
	{ "Zm8", SLICE_INIT("fo"), false, 0 },
	{ "Z", SLICE_INIT(""), false, -EINVAL },
	{ "Zg=", SLICE_INIT(""), false, -EINVAL },
	{ "Zh==", SLICE_INIT(""), false, -EINVAL },
	{ "Zm9v====", SLICE_INIT(""), false, -EINVAL },
	{ "Zm9v Zg==", SLICE_INIT(""), false, -EINVAL },
	{ "Zm-_", SLICE_INIT(""), false, -EINVAL },
	{ "====", SLICE_INIT(""), false, -EINVAL },
};

static void check(void **state)
{
	const struct row *row = *state;
	const struct slice text = slice_of(row->name);
	char out[32];
	size_t n;

	assert_int_equal(base64_read(text, out, &n), row->err);
	if (!row->err) {
		assert_int_equal(n, row->bytes.n);
		assert_memory_equal(out, row->bytes.p, n);
	}
	if (row->write) {
		assert_int_equal(base64_write(row->bytes, out), text.n);
		assert_int_equal(BASE64_LEN(row->bytes.n), text.n);
		assert_memory_equal(out, text.p, text.n);
	}
}

static void every_byte(void **state)
{
	unsigned char bytes[256], back[258];
	char text[BASE64_LEN(256)];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 37);
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		size_t written = base64_write(slice_make(bytes, length), text);

		assert_int_equal(base64_read(slice_make(text, written), back, &n), 0);
		assert_int_equal(n, length);
		assert_memory_equal(back, bytes, n);
	}
}

int main(void)
{
	static const struct CMUnitTest single[] = { cmocka_unit_test(every_byte) };
	int failed = RUN_ROWS("base64", check, rows);

	failed += cmocka_run_group_tests_name("base64 there and back", single, NULL, NULL);
	return failed != 0;
}
