/* Memory by process: what a process has taken goes with it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "world_priv.h"

#define MAGIC UINT64_C(0x63736865617031)

struct heap_block {
	uint64_t magic;
	struct heap_block *next, **at; /* at: what points here */
	struct process *owner;         /* NULL: the world */
	size_t n;
	void *real; /* what the C library gave */
	_Alignas(16) char bytes[];
};

struct process *heap_owner;

void *__real_malloc(size_t n);
void __real_free(void *p);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);
int __wrap_posix_memalign(void **ret, size_t alignment, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);

struct process *heap_of(struct process *p)
{
	struct process *before = heap_owner;

	heap_owner = p;
	return before;
}

static struct heap_block *block_of(void *p)
{
	struct heap_block *b = CONTAINER_OF((char *)p, struct heap_block, bytes);

	return b->magic == MAGIC ? b : NULL;
}

static void link_block(struct heap_block *b)
{
	struct process *p = b->owner;

	if (!p)
		return;
	b->next = p->blocks;
	b->at = &p->blocks;
	if (b->next)
		b->next->at = &b->next;
	p->blocks = b;
	p->bytes += b->n;
}

static void unlink_block(struct heap_block *b)
{
	if (!b->owner)
		return;
	*b->at = b->next;
	if (b->next)
		b->next->at = b->at;
	b->owner->bytes -= b->n;
}

static void *take(size_t n, size_t alignment)
{
	size_t room = sizeof(struct heap_block) + n + (alignment > 16 ? alignment : 0);
	struct heap_block *b;
	char *real;

	if (room < n)
		return NULL;
	real = __real_malloc(room);
	if (!real)
		return NULL;
	b = (void *)real;
	if (alignment > 16) {
		uintptr_t at = (uintptr_t)real + sizeof(*b);

		at = (at + alignment - 1) / alignment * alignment;
		b = (void *)(real + (at - sizeof(*b) - (uintptr_t)real));
	}
	*b = (struct heap_block){ .magic = MAGIC, .owner = heap_owner, .n = n, .real = real };
	link_block(b);
	return b->bytes;
}

void *__wrap_malloc(size_t n)
{
	return take(n, 16);
}

void *__wrap_calloc(size_t n, size_t size)
{
	size_t all;
	void *p;

	if (__builtin_mul_overflow(n, size, &all))
		return NULL;
	p = take(all, 16);
	return p ? memset(p, 0, all) : NULL;
}

void __wrap_free(void *p)
{
	struct heap_block *b = p ? block_of(p) : NULL;

	if (!b) {
		__real_free(p); /* of a library's own making */
		return;
	}
	unlink_block(b);
	b->magic = 0;
	__real_free(b->real);
}

void *__wrap_realloc(void *p, size_t n)
{
	struct heap_block *b = p ? block_of(p) : NULL;
	struct process *before;
	void *moved;

	if (p && !b)
		return __real_realloc(p, n);
	before = heap_of(b ? b->owner : heap_owner); /* it stays whose it was */
	moved = take(n, 16);
	heap_of(before);
	if (moved && b) {
		memcpy(moved, p, b->n < n ? b->n : n);
		__wrap_free(p);
	}
	return moved;
}

char *__wrap_strdup(const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = take(n, 16);

	return copy ? memcpy(copy, text, n) : NULL;
}

int __wrap_posix_memalign(void **ret, size_t alignment, size_t n)
{
	void *p = take(n, alignment);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
	return take(n, alignment);
}

void heap_drop(struct heap_block **first)
{
	while (*first)
		__wrap_free((*first)->bytes);
}
