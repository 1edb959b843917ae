/*
 * The parser of canonical events against the plain one (oracle/callev_oracle.h): events of every
 * shape, whole and damaged, are read alike, or refused at the same byte for the same reason.
 * CALLSTREAM_SEED repeats one case; CALLSTREAM_LONG multiplies their number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "oracle/callev_oracle.h"

#define CASES 60000

static uint64_t state;

static uint64_t below(uint64_t n)
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % n;
}

static bool chance(unsigned percent)
{
	return below(100) < percent;
}

#define PICK(list) (list)[below(ARRAY_LEN(list))]

/* Also such as end, begin or cross the blocks that texts are looked at in. */
static void add_text(struct buf *out)
{
	static const char *const pieces[] = {
		"a",
		"Dana",
		"7916123456789012",
		"Ж",
		"Жалоба",
		"Ночная смена ",
		"é",
		"\xe2\x82\xac",
		"\xf0\x9f\x98\x80",
		"\\\"",
		"\\\\",
		"\\n",
		"\\u0416",
		"\\ud83d\\ude00",
		"\\u0000",
		"\\/",
		"{\\\"x\\\": 1}",
		" ",
		"\x7f",
		"'",
		"----------------",
		"\\t\\t\\t",
		"\\b",
		"\\f\\r",
	};
	static const char *const broken[] = {
		"\xff",
		"\xc0\x80",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		"\xd0",
		"\xe2\x82",
		"\x01",
		"\n",
		"\\x",
		"\\u12",
		"\\ud83d",
		"\\ude00",
		"\\ud83d\\u0041",
	};

	buf_add_char(out, '"');
	for (uint64_t n = below(chance(20) ? 12 : 4); n; n--)
		buf_add_text(out, PICK(pieces));
	if (chance(1))
		buf_add_text(out, PICK(broken));
	buf_add_char(out, '"');
}

static void add_blanks(struct buf *out)
{
	static const char *const blanks[] = { " ", "\t", "\n", "\r\n", "   ", "\v" };

	if (chance(2))
		buf_add_text(out, blanks[below(ARRAY_LEN(blanks) - !chance(2))]);
}

static void add_any(struct buf *out, unsigned depth);

static void add_list(struct buf *out, unsigned depth)
{
	uint64_t n = below(chance(3) ? 40 : 4);

	buf_add_char(out, '[');
	add_blanks(out);
	for (uint64_t i = 0; i < n; i++) {
		if (i)
			buf_add_char(out, ',');
		add_blanks(out);
		add_any(out, depth + 1);
		add_blanks(out);
	}
	buf_add_char(out, ']');
}

static void add_object(struct buf *out, unsigned depth)
{
	static const char *const keys[] = { "\"id\"",        "\"number\"", "\"name\"",
					    "\"extension\"", "\"uri\"",    "\"q850\"",
					    "\"text\"",      "\"vendor\"", "\"by\"",
					    "\"method\"",    "\"body\"",   "\"\"",
					    "\"n\\u0061me\"" };
	uint64_t n = below(5);

	buf_add_char(out, '{');
	add_blanks(out);
	for (uint64_t i = 0; i < n; i++) {
		if (i)
			buf_add_char(out, ',');
		add_blanks(out);
		buf_add_text(out, PICK(keys));
		add_blanks(out);
		buf_add_char(out, ':');
		add_blanks(out);
		add_any(out, depth + 1);
		add_blanks(out);
	}
	buf_add_char(out, '}');
}

static void add_any(struct buf *out, unsigned depth)
{
	static const char *const words[] = {
		"null",
		"true",
		"false",
		"0",
		"7",
		"-0",
		"12.5",
		"1e9",
		"-3",
		"16",
		"127",
		"1000000000000000",
		"128",
		"1000000000000001",
		"1E+2",
		"1.5e-7",
		"\"in\"",
		"\"out\"",
		"\"contact\"",
		"\"\"",
		"9223372036854775807",
		"9223372036854775808",
		"-9223372036854775808",
		"99999999999999999999",
		"\"internal\"",
	};
	static const char *const broken[] = { "01",    "1.", "-",  "+1",  "nul",
					      "truey", ".5", "1e", "NaN", "" };
	uint64_t luck = below(100);

	if (luck < 40)
		add_text(out);
	else if (luck < 46 && depth < 5)
		add_list(out, depth);
	else if (luck < 56 && depth < 5)
		add_object(out, depth);
	else if (luck == 99 && chance(30))
		buf_add_text(out, PICK(broken));
	else
		buf_add_text(out, PICK(words));
}

/* A value that its field knows, mostly. */
static void add_value(struct buf *out, size_t field)
{
	static const char *const times[] = {
		"\"2026-03-14T10:15:02.000Z\"",      "\"2024-02-29T23:59:59.999Z\"",
		"\"2026-02-29T10:15:02.000Z\"",      "\"0001-01-01T00:00:00.000Z\"",
		"\"9999-12-31T23:59:59.999Z\"",      "\"2026-03-14T13:15:02+03:00\"",
		"\"2026-03-14 10:15:02.123456Z\"",   "\"2026-03-14T24:15:02.000Z\"",
		"\"2026-03-14T10:15:02.00aZ\"",      "\"2026-13-14T10:15:02.000Z\"",
		"\"2026-03-14T10:15:02.0\\u0030Z\"",
	};
	static const char *const names[] = {
		"\"acme\"",       "\"callgear\"", "\"a-1\"",       "\"acme-planfix-2\"",
		"\"abcdefgh\"",   "\"Acme\"",     "\"a_b\"",       "\"sixteen-letters-\"",
		"\"\\u0061cme\"", "\"a{\"",       "\"abcdefgh`\"", "\"12345678/\""
	};
	static const char *const ids[] = { "\"dcc05207-d224-5e43-8105-6e69f3453ce9\"",
					   "\"DCC05207-D224-5E43-8105-6E69F3453CE9\"",
					   "\"dcc05207-d224-5e43-8105-6e69f3453cg9\"",
					   "\"dcc05207-d224-5e43-8105-6e69f3453ce\"",
					   "\"\\u0064cc05207-d224-5e43-8105-6e69f3453ce9\"" };
	const char *key = oracle_fields[field].key;
	oracle_read_fn *read = oracle_fields[field].read;

	if (chance(3))
		add_any(out, 0);
	else if (read == oracle_schema)
		buf_add_text(out, chance(98) ? "\"callstream.event/1\"" : "\"callstream.event/2\"");
	else if (read == oracle_uuid)
		buf_add_text(out, ids[chance(95) ? below(2) : below(ARRAY_LEN(ids))]);
	else if (read == oracle_name)
		buf_add_text(out, names[chance(95) ? below(5) : below(ARRAY_LEN(names))]);
	else if (read == oracle_kind)
		buf_printf(out, "\"%s\"",
			   chance(98) ? callev_kind_text((enum callev_kind)below(CALLEV_KINDS_N))
				      : "leg");
	else if (read == oracle_time)
		buf_add_text(out, times[chance(90) ? below(2) : below(ARRAY_LEN(times))]);
	else if (read == oracle_contact || read == oracle_person || read == oracle_cause)
		add_object(out, 1);
	else if (read == oracle_idents || read == oracle_texts)
		add_list(out, 4);
	else if (read == oracle_figure || read == oracle_seq)
		buf_printf(out, "%llu", (unsigned long long)below(1000000));
	else if (strcmp(key, "raw") == 0 || strcmp(key, "text") == 0)
		add_any(out, 0);
	else
		add_text(out);
}

static void add_member(struct buf *out, size_t field, bool *first)
{
	static const char *const strangers[] = { "\"digits\"",
						 "\"\"",
						 "\"kine\"",
						 "\"a_key_longer_than_any_of_ours\"",
						 "\"sixteen_letters_\"",
						 "\"k\\u0069nd\"",
						 "\"l\\u0069ne\"",
						 "\"at \"" };

	if (!*first)
		buf_add_char(out, ',');
	*first = false;
	add_blanks(out);
	if (chance(2))
		buf_add_text(out, PICK(strangers));
	else
		buf_printf(out, "\"%s\"", oracle_fields[field].key);
	add_blanks(out);
	buf_add_char(out, ':');
	add_blanks(out);
	add_value(out, field);
	add_blanks(out);
}

/* The eight fields without which there is no event, and some others, mostly in our order. */
static void make_event(struct buf *out)
{
	static const char needed[] = "11111001110";
	unsigned others = (unsigned)below(60);
	bool first = true;

	buf_reset(out);
	add_blanks(out);
	buf_add_char(out, '{');
	add_blanks(out);
	for (size_t i = 0; i < ARRAY_LEN(oracle_fields); i++) {
		bool must = i < sizeof(needed) - 1 && needed[i] == '1';

		if (must ? chance(99) : chance(others))
			add_member(out, i, &first);
		if (chance(2))
			add_member(out, below(ARRAY_LEN(oracle_fields)), &first);
	}
	buf_add_char(out, '}');
	add_blanks(out);
}

static void damage(struct buf *out)
{
	static const char bytes[] = "\"\\{}[]:,0e-. \n\xd0\x96u";

	for (uint64_t n = 1 + below(2); n && out->n; n--) {
		size_t at = below(out->n);

		if (chance(50)) {
			out->p[at] = bytes[below(sizeof(bytes))]; /* a NUL, too */
		} else if (chance(50)) {
			memmove(out->p + at, out->p + at + 1, out->n - at - 1);
			out->n--;
		} else {
			out->n = at;
		}
	}
}

static void they_agree(void **unused)
{
	const char *seed = getenv("CALLSTREAM_SEED"), *longer = getenv("CALLSTREAM_LONG");
	uint64_t cases = seed ? 1 : CASES * (longer ? strtoull(longer, NULL, 10) : 1);
	uint64_t begin = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	struct callev_parser *p = callev_parser_new();
	struct buf out = BUF_EMPTY;

	(void)unused;
	for (uint64_t i = 0; i < cases; i++) {
		char *copy;

		state = begin + i;
		make_event(&out);
		if (chance(25))
			damage(&out);
		assert_false(out.bad);
		/* A copy of exactly this size: a read past the end is seen. */
		copy = malloc(out.n ? out.n : 1);
		assert_non_null(copy);
		memcpy(copy, out.p, out.n);
		if (!oracle_agrees(p, slice_make(copy, out.n)))
			fail_msg("CALLSTREAM_SEED=%llu: %.*s", (unsigned long long)(begin + i),
				 (int)out.n, out.p);
		free(copy);
	}
	buf_fini(&out);
	callev_parser_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(they_agree) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
