/* shrink.h - a failing seed with as few faults as still make it fail */
#ifndef CS_SIM_SHRINK_H
#define CS_SIM_SHRINK_H

#include "life.h"

/* Runs the seed again and again; prints the trace of the shortest failing life it finds. */
void shrink(uint64_t seed, const struct life_result *first);

#endif
