/*
 * fault_mover.h - what fault_probe.c can do to the topics of a test
 */
#ifndef CS_TESTS_FAULT_MOVER_H
#define CS_TESTS_FAULT_MOVER_H

extern char prefix[128];
extern const char *brokers;
extern unsigned partitions; /* of topics that are made */

/* An offset of the correlators lies in a transaction until the input ends. */
void hold_offset(void);
/* So do messages in every partition of calls and state, without an offset: an owner that died early
 * in its commit; */
void hold_messages(void);
/* with offsets of all partitions: one that died late in it. */
void hold_all(void);
/* Tells the partitions of topic state in which a transaction is open; whoever writes there should
 * stand still. */
void tell_open(void);
/* Their committed offset lies far behind the end of topic events. */
void move_offset_away(void);
/* Topic events is another one of that name. */
void make_events_anew(void);
/* So are calls and tasks. */
void make_calls_anew(void);
/* Topic state, which is not there yet, is cut into segments that the broker compacts at once. */
void make_small_state(void);
/* Topic events has two partitions. */
void grow_events(void);

#endif
