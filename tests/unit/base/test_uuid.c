/* Ids: vectors computed by another implementation, text forms. */
#include <ctype.h>
#include <errno.h>

#include "base/uuid.h"
#include "unit/base/rows.h"

static const struct name_row {
	const char *name, *parts[4];
	size_t parts_n;
	const char *want;
} name_rows[] = {
	{ "one part", { "x" }, 1, "e90647d8-e792-5cdc-afe7-15cd93438f46" },
	{ "account and session",
	  { "acme-mango", "NzAwMDAwMDAwNDI=" },
	  2,
	  "1c0cb6c1-343b-5aca-aa0e-38a87f3861d6" },
	{ "absent part is empty", { "a", NULL, "b" }, 3, "c5edd407-1411-5713-929e-201d2c78594d" },
	{ "all empty", { NULL }, 1, "2da8cc80-9b67-561d-8d02-8a678b351b11" },
	{ "two empty", { NULL, NULL }, 2, "1bcae3be-f6a6-5058-9295-b1c604b296b7" },
	{ "no ASCII", { "acme", "звонок" }, 2, "c1b83d47-9441-5964-9619-dd5609c564ed" },
	{ "55 bytes with the namespace",
	  { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	  1,
	  "21606b71-4fa8-5b79-b42d-3a80f8497e4d" },
	{ "56 bytes",
	  { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	  1,
	  "aac3904b-6221-5be2-9f9e-04b2d47cbdb8" },
	{ "64 bytes",
	  { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	  1,
	  "acfbee85-4774-52de-8334-e94c79d4c318" },
	{ "200 bytes",
	  { "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	    "bbbbbbbbbbbbbb",
	    "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
	    "ccccccccccccc" },
	  2,
	  "75b71376-8e6d-52ca-b4eb-ab6f8e0a40af" },
};

static void name(void **state)
{
	const struct name_row *row = *state;
	struct slice parts[4];
	struct uuid id;
	char text[UUID_TEXT_LEN];

	for (size_t i = 0; i < row->parts_n; i++)
		parts[i] = slice_of(row->parts[i]);
	uuid_v5(parts, row->parts_n, &id);
	uuid_write(&id, text);
	assert_memory_equal(text, row->want, UUID_TEXT_LEN);
}

static void of_call(void **state)
{
	const struct slice parts[] = { SLICE("acme"), SLICE("4711") };
	struct uuid want, got;

	(void)state;
	uuid_v5(parts, 2, &want);
	uuid_of_call(parts[0], parts[1], &got);
	assert_true(uuid_eq(&want, &got));
	assert_int_equal(uuid_cmp(&want, &got), 0);
}

static const struct text_row {
	const char *name, *text;
	bool ok;
} text_rows[] = {
	{ "small letters", "d74265c1-8fb4-540d-9e96-c913dfe35a1b", true },
	{ "capitals", "D74265C1-8FB4-540D-9E96-C913DFE35A1B", true },
	{ "cut short", "d74265c1-8fb4-540d-9e96-c913dfe35a1", false },
	{ "too long", "d74265c1-8fb4-540d-9e96-c913dfe35a1b0", false },
	{ "no hexadecimal", "g74265c1-8fb4-540d-9e96-c913dfe35a1b", false },
	{ "dash elsewhere", "d74265c18-fb4-540d-9e96-c913dfe35a1b", false },
	{ "sign that is a digit with one bit more",
	  "\x10"
	  "74265c1-8fb4-540d-9e96-c913dfe35a1b",
	  false },
	{ "brackets", "{74265c1-8fb4-540d-9e96-c913dfe35a1}", false },
	{ "empty", "", false },
};

static void text(void **state)
{
	const struct text_row *row = *state;
	struct uuid id;
	char back[UUID_TEXT_LEN];

	assert_int_equal(uuid_read(slice_of(row->text), &id), row->ok ? 0 : -EINVAL);
	if (!row->ok)
		return;
	uuid_write(&id, back);
	assert_memory_equal(back, "d74265c1-8fb4-540d-9e96-c913dfe35a1b", UUID_TEXT_LEN);
}

/* Every byte in every place: only hex digits, and dashes where they belong, are read. */
static void any_byte(void **state)
{
	static const char good[] = "d74265c1-8fb4-540d-9e96-c913dfe35a1b";

	(void)state;
	for (size_t at = 0; at < UUID_TEXT_LEN; at++) {
		for (unsigned c = 0; c < 256; c++) {
			char text[UUID_TEXT_LEN], back[UUID_TEXT_LEN];
			bool fits = good[at] == '-' ? c == '-' : c < 128 && isxdigit((int)c);
			struct uuid id;

			memcpy(text, good, sizeof(text));
			text[at] = (char)c;
			assert_int_equal(uuid_read(slice_make(text, sizeof(text)), &id),
					 fits ? 0 : -EINVAL);
			if (!fits)
				continue;
			text[at] = (char)tolower((int)c);
			uuid_write(&id, back);
			assert_memory_equal(back, text, sizeof(text));
		}
	}
}

static void random_ones(void **state)
{
	struct uuid a, b;

	(void)state;
	uuid_random(&a);
	uuid_random(&b);
	assert_false(uuid_eq(&a, &b));
	assert_int_equal(a.b[6] >> 4, 4);
	assert_int_equal(a.b[8] >> 6, 2);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(of_call),
		cmocka_unit_test(any_byte),
		cmocka_unit_test(random_ones),
	};
	int failed = RUN_ROWS("ids of names", name, name_rows);

	failed += RUN_ROWS("ids as text", text, text_rows);
	failed += cmocka_run_group_tests_name("other ids", single, NULL, NULL);
	return failed != 0;
}
