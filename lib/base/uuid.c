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

void uuid_v5(const struct slice *parts, size_t parts_n, struct uuid *ret)
{
	unsigned char digest[SHA_DIGEST_LENGTH];
	SHA_CTX sha;

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

static bool is_dash(size_t at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

void uuid_write(const struct uuid *id, char out[UUID_TEXT_LEN])
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < UUID_LEN; i++) {
		if (is_dash(at))
			out[at++] = '-';
		out[at++] = hex[id->b[i] >> 4];
		out[at++] = hex[id->b[i] & 15];
	}
}

/* 0..15, or more than that for what is no hex digit; without branches, as ids are hot. */
static unsigned nibble(char c)
{
	unsigned digit = (unsigned)(unsigned char)c - '0',
		 letter = ((unsigned)(unsigned char)c | 0x20) - 'a';

	return digit <= 9 ? digit : letter <= 5 ? letter + 10 : 0xff;
}

int uuid_read(struct slice text, struct uuid *ret)
{
	static const uint8_t pairs[UUID_LEN] = { 0,  2,  4,  6,  9,  11, 14, 16,
						 19, 21, 24, 26, 28, 30, 32, 34 };
	struct uuid id;
	unsigned seen = 0;

	if (text.n != UUID_TEXT_LEN || text.p[8] != '-' || text.p[13] != '-' || text.p[18] != '-' ||
	    text.p[23] != '-')
		return -EINVAL;
	for (size_t i = 0; i < UUID_LEN; i++) {
		unsigned high = nibble(text.p[pairs[i]]), low = nibble(text.p[pairs[i] + 1]);

		seen |= high | low;
		id.b[i] = (uint8_t)(high << 4 | low);
	}
	if (seen > 15)
		return -EINVAL;
	*ret = id;
	return 0;
}
