/*
 * The one-block interface of OpenSSL is marked as old, yet it is what fits here: it allocates
 * nothing, so a name always has an id, and it takes 92 ns for a name of 100 bytes where EVP with
 * everything cached takes 131.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/uuid.h"

#include <errno.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include "base/clock.h"

/* d74265c1-8fb4-540d-9e96-c913dfe35a1b */
static const uint8_t namespace[UUID_LEN] = { 0xd7, 0x42, 0x65, 0xc1, 0x8f, 0xb4, 0x54, 0x0d,
					     0x9e, 0x96, 0xc9, 0x13, 0xdf, 0xe3, 0x5a, 0x1b };

/* RFC 9562 5.4 and 5.5: four bits of version, two of variant. */
static void mark(struct uuid *id, unsigned version)
{
	id->b[6] = (uint8_t)((id->b[6] & 0x0f) | version << 4);
	id->b[8] = (uint8_t)((id->b[8] & 0x3f) | 0x80);
}

static void put_be32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

/* Names are short: with its end a message of up to 55 bytes is one block, hashed in one step. */
#define BLOCK_NAME_MAX (SHA_CBLOCK - 9)

static bool hash_block(const struct slice *parts, size_t parts_n, uint8_t digest[UUID_LEN])
{
	uint8_t block[SHA_CBLOCK] = { 0 };
	size_t n = sizeof(namespace);
	SHA_CTX sha;

	memcpy(block, namespace, sizeof(namespace));
	for (size_t i = 0; i < parts_n; i++) {
		if (parts[i].n + 1 > BLOCK_NAME_MAX - n)
			return false;
		if (i > 0)
			block[n++] = '\n';
		if (parts[i].n)
			memcpy(block + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	block[n] = 0x80;
	put_be32(block + SHA_CBLOCK - 4, (uint32_t)n * 8);
	SHA1_Init(&sha);
	SHA1_Transform(&sha, block);
	put_be32(digest, sha.h0);
	put_be32(digest + 4, sha.h1);
	put_be32(digest + 8, sha.h2);
	put_be32(digest + 12, sha.h3);
	return true;
}

void uuid_v5(const struct slice *parts, size_t parts_n, struct uuid *ret)
{
	unsigned char digest[SHA_DIGEST_LENGTH];
	SHA_CTX sha;

	if (LIKELY(hash_block(parts, parts_n, ret->b))) {
		mark(ret, 5);
		return;
	}
	SHA1_Init(&sha);
	SHA1_Update(&sha, namespace, sizeof(namespace));
	for (size_t i = 0; i < parts_n; i++) {
		if (i > 0)
			SHA1_Update(&sha, "\n", 1);
		if (parts[i].n)
			SHA1_Update(&sha, parts[i].p, parts[i].n);
	}
	SHA1_Final(digest, &sha);
	memcpy(ret->b, digest, UUID_LEN);
	mark(ret, 5);
}

void uuid_of_call(struct slice account, struct slice call_session_id, struct uuid *ret)
{
	const struct slice parts[] = { account, call_session_id };

	uuid_v5(parts, ARRAY_LEN(parts), ret);
}

void uuid_random(struct uuid *ret)
{
	/* Up to 256 bytes come whole once the kernel's pool is ready; before that, at boot, the
	 * clock has to do. */
	if (getrandom(ret->b, UUID_LEN, 0) != UUID_LEN) {
		int64_t seed[2] = { clock_wall_ms(), clock_mono_us() };

		memcpy(ret->b, seed, UUID_LEN);
	}
	mark(ret, 4);
}

/* Eight hex digits of four bytes, worked on side by side: ids are hot. */
static void write_hex(const uint8_t *bytes, char out[8])
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t v, letters;
	uint32_t word;

	memcpy(&word, bytes, sizeof(word));
	v = word;
	v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
	v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff);
	v = (v >> 4 | v << 8) & (ones * 15);
	letters = (v + ones * 6) >> 4 & ones;
	v += ones * '0' + letters * ('a' - '0' - 10);
	memcpy(out, &v, sizeof(v));
}

void uuid_write(const struct uuid *id, char out[UUID_TEXT_LEN])
{
	char hex[2 * UUID_LEN];

	for (size_t i = 0; i < UUID_LEN; i += 4)
		write_hex(id->b + i, hex + 2 * i);
	memcpy(out, hex, 8);
	memcpy(out + 9, hex + 8, 4);
	memcpy(out + 14, hex + 12, 4);
	memcpy(out + 19, hex + 16, 4);
	memcpy(out + 24, hex + 20, 12);
	out[8] = out[13] = out[18] = out[23] = '-';
}

static uint64_t eight_bytes(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Four bytes of eight digits; the top bit of what is none gets into *wrong. */
static uint32_t read_hex(uint64_t digits, uint64_t *wrong)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
	uint64_t low = digits & ~tops, letter = low | ones * 0x20;
	/* The top bit of each byte that is at least the first of a range and not past its last. */
	uint64_t is_digit = (low + ones * (0x80 - '0')) & ~(low + ones * (0x7f - '9'));
	uint64_t is_letter = (letter + ones * (0x80 - 'a')) & ~(letter + ones * (0x7f - 'f'));
	uint64_t v = (digits & ones * 0x0f) + (digits >> 6 & ones) * 9;

	*wrong |= digits | ~(is_digit | is_letter);
	v = (v << 4 | v >> 8) & UINT64_C(0x00ff00ff00ff00ff);
	v = (v | v >> 8) & UINT64_C(0x0000ffff0000ffff);
	return (uint32_t)(v | v >> 16);
}

int uuid_read(struct slice text, struct uuid *ret)
{
	const uint64_t low = UINT64_C(0xffffffff);
	const char *p = text.p;
	uint64_t wrong = 0;
	uint32_t words[4];

	if (text.n != UUID_TEXT_LEN || p[8] != '-' || p[13] != '-' || p[18] != '-' || p[23] != '-')
		return -EINVAL;
	words[0] = read_hex(eight_bytes(p), &wrong);
	words[1] = read_hex((eight_bytes(p + 9) & low) | (eight_bytes(p + 10) & ~low), &wrong);
	words[2] = read_hex((eight_bytes(p + 19) & low) | (eight_bytes(p + 20) & ~low), &wrong);
	words[3] = read_hex(eight_bytes(p + 28), &wrong);
	if (wrong & UINT64_C(0x8080808080808080))
		return -EINVAL;
	memcpy(ret->b, words, sizeof(words));
	return 0;
}
