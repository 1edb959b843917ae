/* How far the clock may go so that not too many timers run at once. */

#include "call/calltab.h"

#include <stdlib.h>

#include "call/calltab_priv.h"

static int by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Keys are the earliest times that something may be due; the times up to now_ms, in order. */
static size_t due_times(const struct timers *t, int64_t now_ms, int64_t *out)
{
	size_t n = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		if (t->v[i].due_ms <= now_ms)
			out[n++] = t->v[i].due_ms;
	}
	qsort(out, n, sizeof(*out), by_time);
	return n;
}

int64_t calltab_due_by(struct calltab *tab, int64_t now_ms, size_t max, size_t *ret_n)
{
	struct timers *t = &tab->timers;
	int64_t *times;
	size_t due_n;

	timers_advance(t, now_ms); /* whatever is due stands in the heap now */
	*ret_n = t->n;
	if (t->n <= max)
		return now_ms;
	times = malloc(t->n * sizeof(*times));
	if (!times) /* then all of them run: late is worse than much */
		return now_ms;
	due_n = due_times(t, now_ms, times);
	*ret_n = MIN(due_n, max);
	if (due_n > max)
		now_ms = times[max - 1];
	while (*ret_n < due_n && times[*ret_n] == now_ms)
		++*ret_n;
	free(times);
	return now_ms;
}
