#include "store/spool_format.h"

#include <xxhash.h>

#define RECORD_MAGIC   0x52503143u /* "C1PR" */
#define RECORD_VERSION 1u

static const char segment_magic[8] = { 'C', 'S', 'S', 'P', 'O', 'O', 'L', '1' };

/* Field by field: no struct padding, no alignment. */
static void put(uint8_t *out, uint64_t value, size_t n)
{
	memcpy(out, &value, n); /* the machine is little-endian, see macros.h */
}

static uint64_t get(const void *in, size_t n)
{
	uint64_t value = 0;

	memcpy(&value, in, n);
	return value;
}

void spool_segment_head_write(uint8_t out[SPOOL_HEAD_BYTES], uint64_t id)
{
	memcpy(out, segment_magic, sizeof(segment_magic));
	put(out + 8, id, 8);
	put(out + 16, 0, 8);
	put(out + 24, XXH3_64bits(out, 24), 8);
}

bool spool_segment_head_is(struct slice bytes, uint64_t id)
{
	uint8_t want[SPOOL_HEAD_BYTES];

	spool_segment_head_write(want, id);
	return bytes.n >= sizeof(want) && memcmp(bytes.p, want, sizeof(want)) == 0;
}

static uint64_t body_sum(const uint8_t *record, size_t body_n)
{
	return XXH3_64bits(record + SPOOL_RECORD_HEAD_BYTES, body_n);
}

static uint32_t head_sum(const uint8_t *record, uint64_t id, uint64_t offset)
{
	uint8_t place[16];

	put(place, id, 8);
	put(place + 8, offset, 8);
	return (uint32_t)XXH3_64bits_withSeed(record + 8, SPOOL_RECORD_HEAD_BYTES - 8,
					      XXH3_64bits(place, sizeof(place)));
}

void spool_record_write(uint8_t *out, const struct spool_record *rec)
{
	uint8_t *body = out + SPOOL_RECORD_HEAD_BYTES;

	if (rec->key.n)
		memcpy(body, rec->key.p, rec->key.n);
	if (rec->value.n)
		memcpy(body + rec->key.n, rec->value.p, rec->value.n);
	put(out, RECORD_MAGIC, 4);
	put(out + 4, 0, 4);
	put(out + 8, RECORD_VERSION, 2);
	put(out + 10, rec->topic, 2);
	put(out + 12, rec->key.n, 4);
	put(out + 16, rec->value.n, 4);
	put(out + 20, 0, 4);
	put(out + 24, (uint64_t)rec->at_ms, 8);
	put(out + 32, body_sum(out, rec->key.n + rec->value.n), 8);
}

static size_t body_bytes(const uint8_t *record)
{
	return get(record + 12, 4) + get(record + 16, 4);
}

size_t spool_record_seal(uint8_t *record, uint64_t id, uint64_t offset)
{
	put(record + 4, head_sum(record, id, offset), 4);
	return SPOOL_RECORD_HEAD_BYTES + body_bytes(record);
}

/* bytes has a whole head at least. */
static bool head_is_ours(const uint8_t *bytes, uint64_t id, uint64_t offset)
{
	return get(bytes, 4) == RECORD_MAGIC && get(bytes + 4, 4) == head_sum(bytes, id, offset) &&
	       get(bytes + 8, 2) == RECORD_VERSION && get(bytes + 12, 4) <= SPOOL_KEY_BYTES_MAX &&
	       get(bytes + 16, 4) <= SPOOL_VALUE_BYTES_MAX;
}

/* How many bytes lie before the next head; all but what may be its beginning without one. */
static size_t damage_bytes(struct slice bytes, bool final, uint64_t id, uint64_t offset)
{
	size_t at = 1;

	while (at + SPOOL_RECORD_HEAD_BYTES <= bytes.n) {
		const char *next = memchr(bytes.p + at, RECORD_MAGIC & 0xff, bytes.n - at);

		if (!next)
			return bytes.n;
		at = (size_t)(next - bytes.p);
		if (at + SPOOL_RECORD_HEAD_BYTES > bytes.n)
			break;
		if (head_is_ours((const uint8_t *)next, id, offset + at))
			return at;
		at++;
	}
	return final ? bytes.n : MIN(at, bytes.n);
}

enum spool_parsed spool_record_parse(struct slice bytes, bool final, uint64_t id, uint64_t offset,
				     struct spool_record *ret, size_t *ret_n)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	size_t n, key_n;

	if (bytes.n == 0 && final)
		return SPOOL_END;
	*ret_n = SPOOL_RECORD_HEAD_BYTES;
	if (bytes.n < SPOOL_RECORD_HEAD_BYTES) {
		if (!final)
			return SPOOL_MORE;
		*ret_n = bytes.n;
		return SPOOL_DAMAGE;
	}
	if (!head_is_ours(p, id, offset)) {
		*ret_n = damage_bytes(bytes, final, id, offset);
		return SPOOL_DAMAGE;
	}
	n = SPOOL_RECORD_HEAD_BYTES + body_bytes(p);
	*ret_n = n;
	if (bytes.n < n && !final)
		return SPOOL_MORE;
	if (bytes.n < n) {
		*ret_n = damage_bytes(bytes, final, id, offset);
		return SPOOL_DAMAGE;
	}
	if (body_sum(p, n - SPOOL_RECORD_HEAD_BYTES) != get(p + 32, 8))
		return SPOOL_DAMAGE;
	key_n = get(p + 12, 4);
	*ret = (struct spool_record){
		.topic = (uint16_t)get(p + 10, 2),
		.key = { bytes.p + SPOOL_RECORD_HEAD_BYTES, key_n },
		.value = { bytes.p + SPOOL_RECORD_HEAD_BYTES + key_n,
			   n - SPOOL_RECORD_HEAD_BYTES - key_n },
		.at_ms = (int64_t)get(p + 24, 8),
	};
	return SPOOL_RECORD;
}
