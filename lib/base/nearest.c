#include "base/nearest.h"

#define WORD_BYTES 32 /* longer ones are never tried */

/* Damerau's distance in its restricted form, in three rows that turn. */
static size_t distance(struct slice a, struct slice b)
{
	size_t rows[3][WORD_BYTES + 1];

	for (size_t k = 0; k <= b.n; k++)
		rows[0][k] = k;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *now = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t k = 1; k <= b.n; k++) {
			bool same = a.p[i - 1] == b.p[k - 1];

			now[k] = MIN(MIN(above[k], now[k - 1]) + 1, above[k - 1] + !same);
			if (i > 1 && k > 1 && a.p[i - 1] == b.p[k - 2] && a.p[i - 2] == b.p[k - 1])
				now[k] = MIN(now[k], above2[k - 2] + 1);
		}
	}
	return rows[a.n % 3][b.n];
}

struct nearest nearest_to(struct slice asked)
{
	return (struct nearest){ asked, MIN(asked.n / 3 + 1, 3) + 1, NULL };
}

void nearest_try(struct nearest *n, const char *word)
{
	struct slice other = slice_of(word);
	size_t d;

	if (n->asked.n > WORD_BYTES || other.n > WORD_BYTES)
		return;
	d = distance(n->asked, other);
	if (d < n->distance && d < other.n) {
		n->distance = d;
		n->word = word;
	}
}
