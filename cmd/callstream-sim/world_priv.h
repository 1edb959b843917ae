/* world_priv.h - what the files of the world share */
#ifndef CS_SIM_WORLD_PRIV_H
#define CS_SIM_WORLD_PRIV_H

#include "world.h"

struct process {
	struct process *next;
	char name[32];
	bool dead, frozen;
	struct heap_block *blocks;
	size_t bytes;
	uint64_t main; /* its first fiber */
	void (*at_end)(void *arg);
	void *at_end_arg;
};

/* heap.c: whose memory is taken now */
extern struct process *heap_owner;

#endif
