/* Segments with arbitrary bytes: the parser ends, stays inside, and sees the same in any window. */
#include <stdint.h>
#include <stdlib.h>

#include "store/spool_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Walks all bytes, window bytes at a time; a sum over what it saw. */
static uint64_t walk(const uint8_t *data, size_t size, size_t window, uint64_t id)
{
	size_t at = 0, want = window, step;
	struct spool_record rec;
	uint64_t sum = 0;

	for (;;) {
		size_t have = want < size - at ? want : size - at;

		switch (spool_record_parse(slice_make(data + at, have), have == size - at, id, at,
					   &rec, &step)) {
		case SPOOL_RECORD:
			sum = sum * 31 + at + rec.key.n + rec.value.n;
			break;
		case SPOOL_DAMAGE:
			if (step == 0 || step > size - at)
				abort();
			break;
		case SPOOL_MORE:
			if (step <= have)
				abort();
			want = step;
			continue;
		case SPOOL_END:
			return sum;
		}
		at += step;
		want = window;
	}
}

/* The first byte says how much of the rest is made a true record, so that both kinds are met. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;
	size_t body;

	if (size < 1 + SPOOL_RECORD_HEAD_BYTES)
		return 0;
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	body = size - 1 - SPOOL_RECORD_HEAD_BYTES;
	body = body > data[0] ? data[0] : body;
	if (body > 0) {
		struct spool_record rec = {
			.topic = 1, .value = slice_make(data + 1 + SPOOL_RECORD_HEAD_BYTES, body)
		};

		spool_record_write(copy, &rec);
		spool_record_seal(copy, 1, 0);
	}
	if (walk(copy, size - 1, SPOOL_RECORD_HEAD_BYTES, 1) != walk(copy, size - 1, size, 1))
		abort();
	free(copy);
	return 0;
}
