#include <stdio.h>

#include "args.h"

#define NAME_WIDTH 34

static void print_row(const char *left, const char *right)
{
	if (strlen(left) < NAME_WIDTH)
		printf("  %-*s %s\n", NAME_WIDTH, left, right);
	else
		printf("  %s\n  %-*s %s\n", left, NAME_WIDTH, "", right);
}

static void print_command(const struct cmd *cmd)
{
	char left[200];

	snprintf(left, sizeof(left), "%s%s%s", cmd->name, *cmd->operands ? " " : "", cmd->operands);
	print_row(left, cmd->summary);
}

static void print_opt(const struct cmd_opt *opt)
{
	char left[200];

	snprintf(left, sizeof(left), "%s%s%s%s", opt->name, opt->value ? " " : "",
		 opt->value ? opt->value : "", opt->repeats ? " ..." : "");
	print_row(left, opt->help);
}

void help_all(void)
{
	printf("usage: callstream COMMAND [ARGUMENT...]\n\nCall events of many vendors become one "
	       "true "
	       "record per call.\n\n");
	for (size_t i = 0; commands[i]; i++)
		print_command(commands[i]);
	printf("\n  callstream COMMAND --help          more about one\n"
	       "  callstream --version               which version this is\n\n"
	       "The config is --config FILE, else $CALLSTREAM_CONFIG, else "
	       "/etc/callstream/callstream.yaml.\n"
	       "Exit codes: 0 done, 1 the input or the config is wrong, 2 wrong usage, 3 a needed "
	       "service is\nnot reachable.\n");
}

bool help_in_group(const struct cmd *cmd, struct slice group)
{
	struct slice name = slice_of(cmd->name);

	return slice_starts(name, group) && (name.n == group.n || name.p[group.n] == ' ');
}

void help_group(struct slice group)
{
	printf("usage: callstream %.*s COMMAND [ARGUMENT...]\n\n", SLICE_ARG(group));
	for (size_t i = 0; commands[i]; i++) {
		if (help_in_group(commands[i], group))
			print_command(commands[i]);
	}
	printf("\n  callstream %.*s COMMAND --help     more about one\n", SLICE_ARG(group));
}

void help_command(const struct cmd *cmd)
{
	printf("usage: callstream %s%s%s%s\n\n%s\n", cmd->name, " [OPTION...]",
	       *cmd->operands ? " " : "", cmd->operands, cmd->summary);
	if (cmd->detail)
		printf("\n%s\n", cmd->detail);
	printf("\n");
	for (const struct cmd_opt *opt = cmd->opts; opt && opt->name; opt++)
		print_opt(opt);
	for (const struct cmd_opt *opt = args_common; opt->name; opt++) {
		if (cmd->config || strcmp(opt->name, "--config") != 0)
			print_opt(opt);
	}
}
