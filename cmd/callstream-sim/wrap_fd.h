/* wrap_fd.h - the descriptors of the world: eventfds */
#ifndef CS_SIM_WRAP_FD_H
#define CS_SIM_WRAP_FD_H

#include "world.h"

bool fd_readable(int fd);
const void *fds_word(void); /* fiber_wait on it: some descriptor has changed */
void fds_forget(const struct process *p);

#endif
