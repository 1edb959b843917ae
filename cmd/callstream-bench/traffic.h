/*
 * traffic.h - fixed input: generated requests of a vendor, the events they decode to, copies of
 * them
 *
 * The generator (bench/gen) runs once with the seed; a stage replays its calls as often as it
 * needs, each copy under a session of its own.
 */
#ifndef CS_BENCH_TRAFFIC_H
#define CS_BENCH_TRAFFIC_H

#include "bench.h"
#include "dialect/dialect.h"

struct traffic_request {
	const struct cfg_account *account;
	struct vendor_request req;
};

/* The events of one call, in the order they were sent. */
struct traffic_call {
	size_t first, n;
};

struct traffic {
	struct cfg *cfg;
	struct traffic_request *requests;
	size_t requests_n;
	struct callev *events; /* by call */
	size_t *request_of;    /* of each event */
	size_t events_n;
	struct traffic_call *calls;
	size_t calls_n;
	void *memory; /* what all texts lie in */
};

/*
 * calls: how many the generator makes. settings: YAML put before the accounts (may be ""). 0 or an
 * exit code.
 */
int traffic_load(uint64_t seed, unsigned calls, const char *settings, struct traffic *ret);
void traffic_free(struct traffic *t);

/* An event under another call: copy 0 is the event itself. text: room for the session. */
#define TRAFFIC_SESSION_SIZE 96
void traffic_copy(const struct callev *ev, uint64_t copy, char text[TRAFFIC_SESSION_SIZE],
		  struct callev *ret);

/* Gives a parsed event, whose raw was skipped, the request it came from. i: its number in events.
 */
void traffic_raw(const struct traffic *t, size_t i, struct callev *ev);

/* A call of three legs that goes on: begun, rung at three employees, talking with one. The text of
 * all it has in common is constant. i: which one; step 0..TRAFFIC_OPEN_EVENTS - 1. */
#define TRAFFIC_OPEN_EVENTS 5u
void traffic_open_call(uint64_t i, unsigned step, int64_t now_ms, char text[TRAFFIC_SESSION_SIZE],
		       struct callev *ret);

#endif
