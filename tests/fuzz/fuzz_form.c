/* A form: cut, decoded, searched; every promise of form.h and number.h is checked. */
#include <stdlib.h>

#include "wire/form.h"
#include "wire/number.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_value(struct slice coded)
{
	char *decoded = malloc(coded.n + 1), *mended = malloc(coded.n * 3 + 1);
	struct slice text;
	struct party party;
	int64_t ms;

	check(decoded && mended);
	text = slice_make(decoded, form_decode(coded, decoded));
	check(text.n <= coded.n);
	check(!form_is_plain(coded) || slice_eq(text, coded));
	check(slice_is_utf8(slice_make(mended, utf8_mend(text, mended))));
	party = party_read(text, mended);
	check(!party.number.n || slice_is_digits(party.number));
	check(!party.number.n || !party.uri.n);
	check(extension_read(text).n <= text.n);
	check(seconds_read(text, &ms) != 0 || is_figure(slice_trim(text)));
	free(decoded);
	free(mended);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = slice_make(data, size), token = SLICE("token");
	struct slice rest = text, key, value;
	char *without = malloc(size + 1);
	size_t n;

	check(without != NULL);
	while (form_next(&rest, &key, &value)) {
		check(key.n + value.n <= size);
		check_value(value);
	}
	n = form_without(text, token, without);
	check(n <= size && !form_find(slice_make(without, n), token, &value));
	free(without);
	return 0;
}
