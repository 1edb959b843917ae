/*
 * world.h - the machine that a simulation runs on: time, chance, processes, threads
 *
 * Everything runs in one thread of the real machine and follows from one seed. A process is a set
 * of fibers and a heap; a fiber runs until it waits, or until world_point, where others may go
 * first and where its process may die. Time moves only when nobody can run. The program under test
 * is the real one: what it asks of the C library (threads, clocks, sleep, eventfd, memory) is bent
 * to this world by the linker (--wrap, see wrap_*.c).
 *
 * Faults are numbered in the order in which chance brings them; those that are suppressed do not
 * happen, so a failing seed can be told with fewer and fewer of them.
 */
#ifndef CS_SIM_WORLD_H
#define CS_SIM_WORLD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct fiber;
struct process;

typedef void *world_fn(void *arg);

/* ---- a life ---- */

struct world_cfg {
	uint64_t seed;
	uint32_t faults_per_million; /* of the rates that callers name: 1000000 all of them */
	/* Fault n happens only where bit n is not set; faults past the end happen. */
	const uint8_t *suppressed;
	size_t suppressed_n; /* bits */
	bool trace;          /* to stderr as it happens */
	/* It is to be stopped: may call process_freeze. NULL: world_stop_rate is not used. */
	void (*process_stops)(struct process *p);
	void (*process_over)(
	    const struct process *p); /* its descriptors go; its memory is still there */
};

/* Nothing of a former life is left. Wall time begins in 2026. */
void world_begin(const struct world_cfg *cfg);
/* Runs what can run until nobody has anything to do before until_us (then the clock stands there).
 * false: world_fail was called. Not from a fiber. */
bool world_run(int64_t until_us);
/* Kills everything. */
void world_end(void);

/* ---- time and chance ---- */

int64_t world_us(void);      /* since the life began; never goes back */
int64_t world_wall_us(void); /* since 1970 */
void world_pass(int64_t us); /* work takes time, so nobody who looks at the clock spins for ever */
void world_wall_step(int64_t us);
uint64_t world_random(void);
uint64_t world_below(uint64_t n); /* 0..n-1 */
/* Does this fault happen now? rate: per million; what: a constant text for the trace. */
bool world_fault(const char *what, uint32_t rate);
void world_calm(void);     /* no faults any more */
size_t world_faults(void); /* that chance brought, suppressed ones too */
uint64_t world_points(void);

/* ---- processes ---- */

/* Runs fn(arg) as its first thread. name lives as long as the process. The process ends when that
 * thread returns. NULL: memory. */
struct process *process_start(const char *name, world_fn *fn, void *arg);
/* At once and for ever: no fiber of it runs again, its memory is gone. Also from one of its own
 * fibers (does not return then). */
void process_kill(struct process *p);
void process_freeze(struct process *p, bool freeze); /* SIGSTOP, SIGCONT */
bool process_runs(const struct process *p);
/* Gives the struct back; kills first. */
void process_free(struct process *p);
struct process *process_now(void); /* NULL outside */
const char *process_name(const struct process *p);
uint64_t process_number(const struct process *p); /* never given twice in a life */
/* Called once when it is dead, before its memory goes. */
void process_at_end(struct process *p, void (*fn)(void *arg), void *arg);

/* ---- fibers ---- */

/* A thread of the calling process. Its number, or 0: memory. */
uint64_t fiber_start(world_fn *fn, void *arg);
uint64_t fiber_self(void);
void *fiber_join(uint64_t id);
void world_sleep(int64_t us);
/* Waits on an address until fiber_wake or until_us (INT64_MAX: for ever). false: time is over. */
bool fiber_wait(const void *on, int64_t until_us);
void fiber_wake(const void *on, bool all);
/*
 * Between two steps that differ to the outside: others may run first. A process can die here, where
 * a fault says so. what: constant text. Outside of fibers it does nothing.
 */
void world_point(const char *what);
uint32_t world_kill_rate(uint32_t per_million); /* sets it, returns what it was */
void world_stop_rate(uint32_t per_million);     /* how often a point stops its process */
/* Stops the calling process here, where a fault says so. */
void world_stop_here(const char *what, uint32_t per_million);

/* ---- heaps (heap.c) ---- */

/* Until the next call, memory is taken from this process's heap; NULL: from the world's, which
 * outlives all of them. Returns the one before. */
struct process *heap_of(struct process *p);
struct heap_block;
void heap_drop(struct heap_block **first); /* frees all of it */
size_t heap_bytes(const struct process *p);

/* ---- what is wrong ---- */

void world_fail(const char *format, ...) PRINTF(1, 2); /* the first one is kept */
const char *world_failure(void);                       /* "" none */
void world_say(const char *format, ...) PRINTF(1, 2);  /* a line of the trace */
/* The last lines of the trace, oldest first. */
void world_tell(void (*each)(void *arg, const char *line), void *arg);

#endif
