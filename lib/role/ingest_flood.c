#include "role/ingest_flood.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/addr.h"
#include "base/uuid.h"

#define PLACES     4096u
#define WAYS       4u
#define MILLITOKEN 1000

struct bucket {
	uint64_t high, low; /* of the address; all zero: free */
	int64_t seen_ms;
	int64_t millitokens;
};

struct flood {
	uint32_t per_second;
	uint64_t seed;
	pthread_mutex_t lock;
	struct bucket buckets[PLACES][WAYS];
};

struct flood *flood_new(uint32_t per_second)
{
	struct flood *f = calloc(1, sizeof(*f));
	struct uuid seed;

	if (!f)
		return NULL;
	f->per_second = per_second;
	uuid_random(&seed);
	memcpy(&f->seed, seed.b, sizeof(f->seed));
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

void flood_free(struct flood *f)
{
	if (!f)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static void address_of(struct slice text, uint64_t *ret_high, uint64_t *ret_low)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	struct addr a;

	*ret_high = *ret_low = UINT64_MAX; /* whatever has no address shares one bucket */
	if (addr_read(text, &a))
		return;
	memcpy(ret_high, a.b, sizeof(*ret_high));
	if (memcmp(a.b, mapped, sizeof(mapped)) == 0)
		memcpy(ret_low, a.b + 8, sizeof(*ret_low));
}

/* Its bucket, or the one that is longest unused, emptied for it. */
static struct bucket *bucket_of(struct flood *f, uint64_t high, uint64_t low, int64_t now_ms)
{
	struct bucket *ways = f->buckets[mix(mix(high ^ f->seed) ^ low) % PLACES];
	struct bucket *oldest = &ways[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (ways[i].high == high && ways[i].low == low)
			return &ways[i];
		if (ways[i].seen_ms < oldest->seen_ms)
			oldest = &ways[i];
	}
	*oldest = (struct bucket){ high, low, now_ms, (int64_t)f->per_second * MILLITOKEN };
	return oldest;
}

bool flood_allows(struct flood *f, struct slice address, int64_t now_ms)
{
	int64_t most = (int64_t)f->per_second * MILLITOKEN;
	uint64_t high, low;
	struct bucket *b;
	bool allows;

	if (!f->per_second)
		return true;
	address_of(address, &high, &low);
	pthread_mutex_lock(&f->lock);
	b = bucket_of(f, high, low, now_ms);
	if (now_ms > b->seen_ms) {
		int64_t passed_ms = MIN(now_ms - b->seen_ms, 1000);

		b->millitokens = MIN(b->millitokens + passed_ms * f->per_second, most);
		b->seen_ms = now_ms;
	}
	allows = b->millitokens >= MILLITOKEN;
	if (allows)
		b->millitokens -= MILLITOKEN;
	pthread_mutex_unlock(&f->lock);
	return allows;
}
