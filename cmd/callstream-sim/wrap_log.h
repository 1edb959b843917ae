/* wrap_log.h - log lines of the roles: in the trace of the life, and told one by one */
#ifndef CS_SIM_WRAP_LOG_H
#define CS_SIM_WRAP_LOG_H

#include "world.h"

typedef void log_line_fn(const char *line);
void log_lines_to(log_line_fn *fn); /* NULL: nobody */

#endif
