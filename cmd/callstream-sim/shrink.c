#include "shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_MAX 4096
#define TRIES_MAX  400

struct search {
	uint64_t seed;
	size_t n, calls_max;
	unsigned tries;
	uint8_t suppressed[FAULTS_MAX / 8];
	struct life_result result;
};

static bool fails(struct search *s, const uint8_t *suppressed, size_t calls_max)
{
	const struct life_cfg cfg = { .seed = s->seed,
				      .suppressed = suppressed,
				      .suppressed_n = s->n,
				      .calls_max = calls_max };
	struct life_result r;

	s->tries++;
	life_run(&cfg, &r);
	if (!r.failure[0])
		return false;
	s->result = r;
	return true;
}

static void suppress(uint8_t *bits, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* Leaves out as many of the faults as go, in ever smaller pieces. */
static void fewer_faults(struct search *s)
{
	uint8_t attempt[sizeof(s->suppressed)];

	for (size_t piece = s->n; piece >= 1 && s->tries < TRIES_MAX; piece /= 2) {
		for (size_t from = 0; from < s->n && s->tries < TRIES_MAX; from += piece) {
			memcpy(attempt, s->suppressed, sizeof(attempt));
			suppress(attempt, from, MIN(from + piece, s->n));
			if (memcmp(attempt, s->suppressed, sizeof(attempt)) != 0 &&
			    fails(s, attempt, s->calls_max))
				memcpy(s->suppressed, attempt, sizeof(attempt));
		}
	}
}

static void fewer_calls(struct search *s, size_t calls_n)
{
	for (size_t n = 1; n < calls_n; n++) {
		if (!fails(s, s->suppressed, n))
			continue;
		s->calls_max = n;
		return;
	}
}

static void print_line(void *arg, const char *line)
{
	(void)arg;
	printf("  %s\n", line);
}

static void print_how(const struct search *s)
{
	printf("again: --seed %llu --calls %zu --suppressed ", (unsigned long long)s->seed,
	       s->calls_max);
	for (size_t i = 0; i < (s->n + 7) / 8; i++)
		printf("%02x", s->suppressed[i]);
	printf(" --trace\n");
}

void shrink(uint64_t seed, const struct life_result *first)
{
	static struct search s;

	s = (struct search){ .seed = seed, .n = MIN(first->faults + 64, (size_t)FAULTS_MAX) };
	s.result = *first;
	fewer_calls(&s, first->calls_n);
	s.n = MIN(s.result.faults + 64, (size_t)FAULTS_MAX);
	fewer_faults(&s);
	fails(&s, s.suppressed, s.calls_max);
	printf("shortest in %u tries: %s\n", s.tries, s.result.failure);
	print_how(&s);
	world_tell(print_line, NULL);
}
