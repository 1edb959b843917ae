#include "base/fault.h"

#ifdef CALLSTREAM_FAULTS

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name, *what;
} points[FAULT_POINTS_N] = {
#define FAULT_ROW(name, what) [FAULT_##name] = { #name, what },
	FAULT_POINTS(FAULT_ROW)
#undef FAULT_ROW
};

static enum fault_point chosen;
static atomic_ulong passages_left;

static void die(void)
{
	char line[120];
	int n = snprintf(line, sizeof(line), "fault point %s\n", points[chosen].name);

	/* In one piece past every buffer; where it cannot be written the test says so. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		line[0] = '\0';
	raise(SIGKILL);
}

void fault_pass(enum fault_point point)
{
	if (point == chosen && atomic_fetch_sub(&passages_left, 1) == 1)
		die();
}

static void tell_all(const char *text, struct buf *problem)
{
	buf_printf(problem, "%s: no fault point and passage, wanted: NAME:N with one of\n", text);
	for (int i = FAULT_none + 1; i < FAULT_POINTS_N; i++)
		buf_printf(problem, "%s: %s\n", points[i].name, points[i].what);
}

/* 0: there is none of that name. */
static enum fault_point find(const char *name, size_t n)
{
	int i = FAULT_POINTS_N - 1;

	while (i > FAULT_none && (strncmp(points[i].name, name, n) != 0 || points[i].name[n]))
		i--;
	return (enum fault_point)i;
}

int fault_choose(const char *text, struct buf *problem)
{
	const char *colon;
	unsigned long n = 1;
	char *end = NULL;

	if (!text)
		return 0;
	colon = strchr(text, ':');
	if (colon)
		n = strtoul(colon + 1, &end, 10);
	chosen = find(text, colon ? (size_t)(colon - text) : strlen(text));
	atomic_store(&passages_left, n);
	if (chosen != FAULT_none && n > 0 && (!end || *end == '\0'))
		return 0;
	chosen = FAULT_none;
	tell_all(text, problem);
	return -EINVAL;
}

#endif
