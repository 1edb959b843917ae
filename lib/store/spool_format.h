/*
 * spool_format.h - the bytes of a spool segment, pure
 *
 * A segment is a head of SPOOL_HEAD_BYTES and records without gaps. A record is a head of
 * SPOOL_RECORD_HEAD_BYTES, the key and the value. All numbers are little-endian.
 *
 *   segment head: magic "CSSPOOL1", u64 id, u64 zero, u64 XXH3 of the 24 bytes before
 *   record head:  u32 magic, u32 head sum, u16 version, u16 topic, u32 key bytes, u32 value bytes,
 *                 u32 zero, i64 at (ms), u64 XXH3 of key and value
 *
 * The head sum covers the rest of the record's head, the segment's id and the record's offset, so a
 * record is only believed where it was written: bytes of one that lie inside a vendor's body, or
 * are left over from another segment, never count. Thread: any.
 */
#ifndef CS_STORE_SPOOL_FORMAT_H
#define CS_STORE_SPOOL_FORMAT_H

#include "base/slice.h"

#define SPOOL_HEAD_BYTES        32u
#define SPOOL_RECORD_HEAD_BYTES 40u
#define SPOOL_VALUE_BYTES_MAX   (64u << 20)
#define SPOOL_KEY_BYTES_MAX     (64u << 10)

struct spool_record {
	uint16_t topic; /* the caller's number; 0 is none */
	struct slice key, value;
	int64_t at_ms; /* when it came */
};

static inline size_t spool_record_bytes(const struct spool_record *rec)
{
	return SPOOL_RECORD_HEAD_BYTES + rec->key.n + rec->value.n;
}

void spool_segment_head_write(uint8_t out[SPOOL_HEAD_BYTES], uint64_t id);
bool spool_segment_head_is(struct slice bytes, uint64_t id);

/* The head without its sum, and key and value behind it; out has spool_record_bytes(rec). */
void spool_record_write(uint8_t *out, const struct spool_record *rec);
/* The sum, once id and offset are known. Returns the bytes of the whole record. */
size_t spool_record_seal(uint8_t *record, uint64_t id, uint64_t offset);

enum spool_parsed {
	SPOOL_RECORD, /* *ret is one, of *ret_n bytes */
	SPOOL_MORE,   /* it takes *ret_n bytes at the least to tell; never when final */
	SPOOL_DAMAGE, /* the next *ret_n bytes (at least 1) are no record */
	SPOOL_END,    /* there are no bytes, and none will come */
};

/*
 * What stands at the beginning of bytes, which lie at offset of segment id. final: nothing follows
 * them. Damage reaches as far as can be told from bytes: up to the next record's head, if there is
 * one. *ret borrows from bytes.
 */
enum spool_parsed spool_record_parse(struct slice bytes, bool final, uint64_t id, uint64_t offset,
				     struct spool_record *ret, size_t *ret_n);

#endif
