/*
 * main.c - the program: one binary, the table of its commands
 */
#include <stdio.h>

#include "args.h"

/* A command is a file with its struct cmd: a name here, a line below. */
extern const struct cmd cmd_calls_show, cmd_calls_tail, cmd_check, cmd_correlate, cmd_dead_list,
    cmd_dead_show, cmd_decode, cmd_demo, cmd_run, cmd_state_reset;

const struct cmd *const commands[] = {
	&cmd_run,        &cmd_check,       &cmd_decode,    &cmd_correlate,
	&cmd_calls_tail, &cmd_calls_show,  &cmd_dead_list, &cmd_dead_show,
	&cmd_demo,       &cmd_state_reset, NULL,
};

int main(int argc, char **argv)
{
	struct cmd_args args;
	int code;

	if (args_read(argc, argv, &args, &code)) {
		code = args.cmd->run(&args);
		args_fini(&args);
	}
	if ((fflush(stdout) || ferror(stdout)) && code == EXIT_DONE) /* a full disk */
		code = cmd_fail(EXIT_WRONG_INPUT, "standard output cannot be written");
	return code;
}
