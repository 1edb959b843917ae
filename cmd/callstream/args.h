/*
 * args.h - the command line: which command, its options and words; help from the same table
 */
#ifndef CS_CMD_ARGS_H
#define CS_CMD_ARGS_H

#include "cmd.h"

/*
 * Finds the command and its arguments. true: ret->cmd is to be run; args_fini frees what ret holds.
 * false: all is said already (help, version, wrong usage) and *ret_code is the exit code.
 */
bool args_read(int argc, char **argv, struct cmd_args *ret, int *ret_code);
void args_fini(struct cmd_args *args);

/* Options that every command has; the last row only where it takes a config. NULL name at the end.
 */
extern const struct cmd_opt args_common[];

/* ---- help.c ---- */

/* To stdout: all commands; those that begin with these words; one command. */
void help_all(void);
void help_group(struct slice group);
void help_command(const struct cmd *cmd);
/* Is it "calls" of "calls show" (or the whole name)? */
bool help_in_group(const struct cmd *cmd, struct slice group);

#endif
