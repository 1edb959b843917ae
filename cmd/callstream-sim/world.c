#undef _FORTIFY_SOURCE /* its longjmp does not know more than one stack */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#include "world_priv.h"

#define FIBERS_MAX  256
#define STACK_BYTES ((size_t)(SANITIZED ? 1024 : 256) << 10)
#define LINES       400
#define LINE_BYTES  160
#define WALL_BEGIN  INT64_C(1773483300000000) /* 2026-03-14T10:15:00Z */

enum fiber_state { FIBER_NONE, FIBER_READY, FIBER_WAITS, FIBER_ENDED };

struct fiber {
	enum fiber_state state;
	uint64_t id;
	struct process *process;
	struct process *heap; /* whose memory it takes when it goes on */
	world_fn *fn;
	void *arg, *result;
	const void *waits_on; /* NULL: only for the time */
	int64_t until_us;
	bool timed_out, begun;
	jmp_buf at;
	char *stack;
	void *fake_stack; /* the sanitizer's */
};

static struct world {
	struct world_cfg cfg;
	uint64_t random[2];
	int64_t us, wall_offset_us;
	uint64_t points, ids;
	size_t faults;
	uint32_t kill_rate, stop_rate;
	struct process *processes;
	struct fiber fibers[FIBERS_MAX];
	size_t fibers_n; /* those behind have never been */
	int64_t due_us;  /* nobody waits for an earlier time */
	struct fiber *current;
	jmp_buf scheduler;
	void *scheduler_fake;
	const void *scheduler_stack;
	size_t scheduler_stack_bytes;
	char failure[512];
	char lines[LINES][LINE_BYTES];
	size_t lines_n;
} w;

/* ---- what is told ---- */

PRINTF(1, 0)
static void say(const char *format, va_list args)
{
	char *line = w.lines[w.lines_n++ % LINES];
	int n = snprintf(line, LINE_BYTES, "%10.6f %-12s ", (double)w.us / 1e6,
			 w.current ? w.current->process->name : "world");

	vsnprintf(line + n, LINE_BYTES - (size_t)n, format, args);
	if (w.cfg.trace)
		fprintf(stderr, "%s\n", line);
}

void world_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void world_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!*w.failure)
		vsnprintf(w.failure, sizeof(w.failure), format, args);
	va_end(args);
	world_say("FAILED: %s", w.failure);
}

const char *world_failure(void)
{
	return w.failure;
}

void world_tell(void (*each)(void *arg, const char *line), void *arg)
{
	size_t first = w.lines_n > LINES ? w.lines_n - LINES : 0;

	for (size_t i = first; i < w.lines_n; i++)
		each(arg, w.lines[i % LINES]);
}

/* ---- time and chance ---- */

int64_t world_us(void)
{
	return w.us;
}

void world_pass(int64_t us)
{
	w.us += us;
}

int64_t world_wall_us(void)
{
	return WALL_BEGIN + w.us + w.wall_offset_us;
}

void world_wall_step(int64_t us)
{
	w.wall_offset_us += us;
}

/* xorshift128+ */
uint64_t world_random(void)
{
	uint64_t a = w.random[0], b = w.random[1];

	w.random[0] = b;
	a ^= a << 23;
	w.random[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
	return w.random[1] + b;
}

uint64_t world_below(uint64_t n)
{
	return n ? world_random() % n : 0;
}

static bool suppressed(size_t n)
{
	return n < w.cfg.suppressed_n && (w.cfg.suppressed[n / 8] >> (n % 8) & 1);
}

bool world_fault(const char *what, uint32_t rate)
{
	uint64_t scaled = (uint64_t)rate * w.cfg.faults_per_million / 1000000;
	size_t n;

	if (rate == 0 || world_below(1000000) >= scaled)
		return false;
	n = w.faults++;
	if (suppressed(n))
		return false;
	world_say("fault %zu: %s", n, what);
	return true;
}

void world_calm(void)
{
	w.cfg.faults_per_million = 0;
}

size_t world_faults(void)
{
	return w.faults;
}

uint64_t world_points(void)
{
	return w.points;
}

/* ---- switching ---- */

static void sanitizer_leave(void **fake, const void *stack, size_t bytes)
{
#if SANITIZED
	__sanitizer_start_switch_fiber(fake, stack, bytes);
#else
	(void)fake;
	(void)stack;
	(void)bytes;
#endif
}

static void sanitizer_arrive(void *fake)
{
#if SANITIZED
	const void *stack;
	size_t bytes;

	__sanitizer_finish_switch_fiber(fake, &stack, &bytes);
	if (!w.scheduler_stack) {
		w.scheduler_stack = stack;
		w.scheduler_stack_bytes = bytes;
	}
#else
	(void)fake;
#endif
}

/* Back to the scheduler; returns when it is this fiber's turn again. */
static void yield(void)
{
	struct fiber *f = w.current;

	f->heap = heap_owner;
	if (_setjmp(f->at) == 0) {
		sanitizer_leave(f->state == FIBER_ENDED ? NULL : &f->fake_stack, w.scheduler_stack,
				w.scheduler_stack_bytes);
		_longjmp(w.scheduler, 1);
	}
	sanitizer_arrive(f->fake_stack);
}

static void process_over(struct process *p);

static void fiber_main(void)
{
	struct fiber *f = w.current;
	struct process *p = f->process;

	sanitizer_arrive(NULL);
	f->result = f->fn(f->arg);
	f->state = FIBER_ENDED;
	fiber_wake(f, true);
	if (f->id == p->main)
		process_over(p);
	yield();
	abort(); /* an ended fiber has no turn */
}

static void enter(struct fiber *f)
{
	static ucontext_t context, back; /* only while a fiber begins */

	if (f->begun)
		_longjmp(f->at, 1);
	f->begun = true;
	getcontext(&context);
	context.uc_stack.ss_sp = f->stack;
	context.uc_stack.ss_size = STACK_BYTES;
	context.uc_link = NULL;
	makecontext(&context, fiber_main, 0);
	swapcontext(&back, &context);
}

static void run(struct fiber *f)
{
	struct process *before = heap_of(f->heap);

	w.current = f;
	if (_setjmp(w.scheduler) == 0) {
		sanitizer_leave(&w.scheduler_fake, f->stack, STACK_BYTES);
		enter(f);
	}
	sanitizer_arrive(w.scheduler_fake);
	w.current = NULL;
	heap_of(before);
}

/* ---- fibers ---- */

static struct fiber *fiber_new(struct process *p, world_fn *fn, void *arg)
{
	for (size_t i = 0; i < FIBERS_MAX; i++) {
		struct fiber *f = &w.fibers[i];

		if (f->state != FIBER_NONE)
			continue;
		w.fibers_n = MAX(w.fibers_n, i + 1);
		if (!f->stack)
			f->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (f->stack == MAP_FAILED) {
			f->stack = NULL;
			return NULL;
		}
		*f = (struct fiber){ .state = FIBER_READY,
				     .id = ++w.ids,
				     .process = p,
				     .heap = p,
				     .fn = fn,
				     .arg = arg,
				     .stack = f->stack };
		return f;
	}
	return NULL;
}

static struct fiber *fiber_find(uint64_t id)
{
	for (size_t i = 0; i < w.fibers_n; i++) {
		if (w.fibers[i].state != FIBER_NONE && w.fibers[i].id == id)
			return &w.fibers[i];
	}
	return NULL;
}

uint64_t fiber_start(world_fn *fn, void *arg)
{
	struct fiber *f = fiber_new(w.current->process, fn, arg);

	return f ? f->id : 0;
}

uint64_t fiber_self(void)
{
	return w.current ? w.current->id : 0;
}

void *fiber_join(uint64_t id)
{
	struct fiber *f = fiber_find(id);
	void *result;

	if (!f)
		return NULL;
	while (f->state != FIBER_ENDED)
		fiber_wait(f, INT64_MAX);
	result = f->result;
	f->state = FIBER_NONE;
	return result;
}

bool fiber_wait(const void *on, int64_t until_us)
{
	struct fiber *f = w.current;

	f->state = FIBER_WAITS;
	f->waits_on = on;
	f->until_us = until_us;
	f->timed_out = false;
	w.due_us = MIN(w.due_us, until_us);
	yield();
	return !f->timed_out;
}

void world_sleep(int64_t us)
{
	fiber_wait(NULL, w.us + MAX(us, 1));
}

static void make_ready(struct fiber *f, bool timed_out)
{
	f->state = FIBER_READY;
	f->timed_out = timed_out;
	f->waits_on = NULL;
}

void fiber_wake(const void *on, bool all)
{
	size_t n = 0, at;

	for (size_t i = 0; i < w.fibers_n; i++)
		n += w.fibers[i].state == FIBER_WAITS && w.fibers[i].waits_on == on;
	at = n > 1 && !all ? (size_t)world_below(n) : 0;
	for (size_t i = 0; i < w.fibers_n && n; i++) {
		struct fiber *f = &w.fibers[i];

		if (f->state != FIBER_WAITS || f->waits_on != on)
			continue;
		if (all || at-- == 0)
			make_ready(f, false);
		if (!all && f->state == FIBER_READY)
			return;
	}
}

uint32_t world_kill_rate(uint32_t per_million)
{
	uint32_t before = w.kill_rate;

	w.kill_rate = per_million;
	return before;
}

void world_stop_rate(uint32_t per_million)
{
	w.stop_rate = per_million;
}

void world_stop_here(const char *what, uint32_t per_million)
{
	struct fiber *f = w.current;

	if (!f || !world_fault(what, per_million))
		return;
	w.cfg.process_stops(f->process);
	f->state = FIBER_READY;
	yield();
}

void world_point(const char *what)
{
	struct fiber *f = w.current;

	if (!f)
		return;
	w.points++;
	if (w.kill_rate && world_fault(what, w.kill_rate))
		process_kill(f->process);
	if (w.stop_rate && world_fault("stopped at a point", w.stop_rate))
		w.cfg.process_stops(f->process);
	if (f->process->frozen || world_below(8) == 0) {
		f->state = FIBER_READY;
		yield();
	}
}

/* ---- processes ---- */

struct process *process_start(const char *name, world_fn *fn, void *arg)
{
	struct process *before = heap_of(NULL), *p = calloc(1, sizeof(*p));
	struct fiber *f = p ? fiber_new(p, fn, arg) : NULL;

	heap_of(before);
	if (!f) {
		free(p);
		return NULL;
	}
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->main = f->id;
	p->next = w.processes;
	w.processes = p;
	return p;
}

/* Its fibers are gone; the one that runs now goes with its next yield. */
static void process_over(struct process *p)
{
	if (p->dead)
		return;
	p->dead = true;
	for (size_t i = 0; i < w.fibers_n; i++) {
		if (w.fibers[i].process == p && w.fibers[i].state != FIBER_NONE)
			w.fibers[i].state = FIBER_NONE;
	}
	if (p->at_end)
		p->at_end(p->at_end_arg);
	if (w.cfg.process_over)
		w.cfg.process_over(p);
	heap_drop(&p->blocks);
	p->bytes = 0;
}

void process_kill(struct process *p)
{
	if (p->dead)
		return;
	world_say("process %s dies", p->name);
	process_over(p);
	if (w.current && w.current->process == p) {
		w.current->state = FIBER_ENDED; /* for the sanitizer: this stack is left for good */
		struct fiber *f = w.current;

		if (_setjmp(f->at) == 0) {
			f->state = FIBER_NONE;
			sanitizer_leave(NULL, w.scheduler_stack, w.scheduler_stack_bytes);
			_longjmp(w.scheduler, 1);
		}
	}
}

void process_freeze(struct process *p, bool freeze)
{
	p->frozen = freeze;
}

bool process_runs(const struct process *p)
{
	return !p->dead;
}

void process_free(struct process *p)
{
	struct process **at = &w.processes, *before;

	if (!p)
		return;
	process_kill(p);
	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
	before = heap_of(NULL);
	free(p);
	heap_of(before);
}

struct process *process_now(void)
{
	return w.current ? w.current->process : NULL;
}

const char *process_name(const struct process *p)
{
	return p->name;
}

uint64_t process_number(const struct process *p)
{
	return p->main;
}

void process_at_end(struct process *p, void (*fn)(void *arg), void *arg)
{
	p->at_end = fn;
	p->at_end_arg = arg;
}

size_t heap_bytes(const struct process *p)
{
	return p->bytes;
}

/* ---- the scheduler ---- */

static bool can_run(const struct fiber *f)
{
	return f->state == FIBER_READY && !f->process->frozen;
}

/* NULL: nobody can run. */
static struct fiber *choose(void)
{
	size_t n = 0, at;

	for (size_t i = 0; i < w.fibers_n; i++)
		n += can_run(&w.fibers[i]);
	if (n == 0)
		return NULL;
	at = n > 1 ? (size_t)world_below(n) : 0;
	for (size_t i = 0; i < w.fibers_n; i++) {
		if (can_run(&w.fibers[i]) && at-- == 0)
			return &w.fibers[i];
	}
	return NULL;
}

/* Time is over for those who waited for it, frozen ones too: they are late then. */
static void wake_due(void)
{
	w.due_us = INT64_MAX;
	for (size_t i = 0; i < w.fibers_n; i++) {
		struct fiber *f = &w.fibers[i];

		if (f->state != FIBER_WAITS)
			continue;
		if (f->until_us <= w.us)
			make_ready(f, true);
		else
			w.due_us = MIN(w.due_us, f->until_us);
	}
}

bool world_run(int64_t until_us)
{
	while (!*w.failure) {
		struct fiber *f;

		if (w.due_us <= w.us)
			wake_due();
		if (w.us >= until_us)
			return true;
		f = choose();
		if (f)
			run(f);
		else
			w.us = MAX(w.us, MIN(w.due_us, until_us));
	}
	return false;
}

/* ---- beginning and end ---- */

static uint64_t mixed(uint64_t x) /* splitmix64 */
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

void world_begin(const struct world_cfg *cfg)
{
	w.cfg = *cfg;
	w.random[0] = mixed(cfg->seed);
	w.random[1] = mixed(cfg->seed + 1) | 1;
	w.us = 1000000;
	w.due_us = INT64_MAX;
	w.wall_offset_us = 0;
	w.points = w.ids = 0;
	w.faults = 0;
	w.kill_rate = w.stop_rate = 0;
	w.failure[0] = '\0';
	w.lines_n = 0;
	w.current = NULL;
}

void world_end(void)
{
	while (w.processes)
		process_free(w.processes);
}
