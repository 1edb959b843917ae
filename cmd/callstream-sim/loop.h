/*
 * loop.h - an event loop of the world, behind the few calls of libevent that roles make
 *
 * A loop is a fiber. It runs what was posted, what is active, what is readable, what is due; events
 * of the lowest priority only when nothing else is left.
 */
#ifndef CS_SIM_LOOP_H
#define CS_SIM_LOOP_H

#include "world.h"

struct event_base;

struct event_base *loop_new(void);
/* Until loop_stop. What: looked at in each turn; returns whether it did something. Thread: its
 * own. */
void loop_run(struct event_base *loop, bool (*turn)(void *arg), void *arg);
void loop_stop(struct event_base *loop); /* Thread: any of its process */
void loop_kick(struct event_base *loop); /* there may be something for turn */
void loop_free(struct event_base *loop);

#endif
