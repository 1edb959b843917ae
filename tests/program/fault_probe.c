/*
 * fault_probe.c - FAULT PREFIX [PARTITIONS]: what an operator or a broker may do to the topics of a
 * test
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "fault_mover.h"

static const struct {
	const char *name;
	void (*run)(void);
} faults[] = {
	{ "hold-offset", hold_offset },
	{ "hold-messages", hold_messages },
	{ "hold-all", hold_all },
	{ "tell-open", tell_open },
	{ "move-offset-away", move_offset_away },
	{ "make-events-anew", make_events_anew },
	{ "make-calls-anew", make_calls_anew },
	{ "make-small-state", make_small_state },
	{ "grow-events", grow_events },
};

int main(int argc, char **argv)
{
	brokers = getenv("CALLSTREAM_BROKERS");
	for (size_t i = 0; (argc == 3 || argc == 4) && brokers && i < ARRAY_LEN(faults); i++) {
		if (strcmp(argv[1], faults[i].name) != 0)
			continue;
		snprintf(prefix, sizeof(prefix), "%s", argv[2]);
		if (argc == 4)
			partitions = (unsigned)strtoul(argv[3], NULL, 10);
		faults[i].run();
		return 0;
	}
	fputs("usage: CALLSTREAM_BROKERS=HOST:PORT fault_probe FAULT PREFIX [PARTITIONS]\n",
	      stderr);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		fprintf(stderr, "  %s\n", faults[i].name);
	return 2;
}
