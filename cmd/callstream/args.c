#include "args.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/nearest.h"

const struct cmd_opt args_common[] = {
	{ "--help", NULL, "this text", false },
	{ "--config", "FILE",
	  "the config ($CALLSTREAM_CONFIG, else /etc/callstream/callstream.yaml)", false },
	{ NULL, NULL, NULL, false },
};

/* What is read now, and where it goes. */
struct parser {
	char **at, **end; /* arguments not read yet */
	struct cmd_args *args;
	bool help;
};

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static int wrong(const char *command, const char *what, const char *word, const char *meant)
{
	bool space = slice_of(command).n > 0;

	fprintf(stderr, "callstream%s%s: %s%s%s%s%s%s (see callstream%s%s --help)\n",
		space ? " " : "", command, what, slice_of(word).n ? " " : "", word,
		meant ? ", did you mean " : "", meant ? meant : "", meant ? "?" : "",
		space ? " " : "", command);
	return EXIT_WRONG_USAGE;
}

/* ---- which command ---- */

/* How many arguments the words of a command's name take; 0 when they are others. */
static size_t match(const struct cmd *cmd, const struct parser *p)
{
	struct slice left = slice_of(cmd->name);
	size_t n = 0;

	while (left.n) {
		if (p->at + n == p->end || !slice_is(slice_cut(&left, ' '), p->at[n]))
			return 0;
		n++;
	}
	return n;
}

static const struct cmd *find_command(struct parser *p)
{
	const struct cmd *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; commands[i]; i++) {
		size_t n = match(commands[i], p);

		if (n > longest) {
			found = commands[i];
			longest = n;
		}
	}
	p->at += longest;
	return found;
}

static bool is_group(const char *word)
{
	for (size_t i = 0; commands[i]; i++) {
		if (help_in_group(commands[i], slice_of(word)))
			return true;
	}
	return false;
}

/* The first words are no command: a group of some, or nothing we know. */
static int no_command(const struct parser *p)
{
	const char *word = *p->at;
	struct nearest nearest;

	if (is_group(word)) {
		bool more = p->at + 1 < p->end;

		if (more && (is(p->at[1], "--help") || is(p->at[1], "-h"))) {
			help_group(slice_of(word));
			return EXIT_DONE;
		}
		return more ? wrong(word, "there is no command", p->at[1], NULL)
			    : wrong(word, "a command is missing", "", NULL);
	}
	if (slice_starts(slice_of(word), SLICE("-")))
		return wrong("", "unknown option", word, NULL);
	nearest = nearest_to(slice_of(word));
	for (size_t i = 0; commands[i]; i++)
		nearest_try(&nearest, commands[i]->name);
	return wrong("", "there is no command", word, nearest.word);
}

/* `callstream help [COMMAND]`, like COMMAND --help. */
static int help(struct parser *p)
{
	const struct cmd *cmd;

	if (p->at == p->end || is(*p->at, "--help") || is(*p->at, "-h")) {
		help_all();
		return EXIT_DONE;
	}
	cmd = find_command(p);
	if (cmd)
		help_command(cmd);
	else if (is_group(*p->at))
		help_group(slice_of(*p->at));
	else
		return no_command(p);
	return EXIT_DONE;
}

/* ---- options and words ---- */

static const struct cmd_opt *find_in(const struct cmd_opt *opts, struct slice name)
{
	for (; opts && opts->name; opts++) {
		if (slice_is(name, opts->name))
			return opts;
	}
	return NULL;
}

static const struct cmd_opt *find_opt(const struct cmd *cmd, struct slice name)
{
	const struct cmd_opt *opt = find_in(cmd->opts, name);

	if (!opt)
		opt = find_in(args_common, name);
	return opt && !cmd->config && is(opt->name, "--config") ? NULL : opt;
}

static int unknown_opt(const struct cmd *cmd, struct slice name)
{
	struct nearest nearest = nearest_to(name);
	char text[80];

	for (const struct cmd_opt *opt = cmd->opts; opt && opt->name; opt++)
		nearest_try(&nearest, opt->name);
	for (const struct cmd_opt *opt = args_common; opt->name; opt++) {
		if (find_opt(cmd, slice_of(opt->name)))
			nearest_try(&nearest, opt->name);
	}
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(slice_head(name, 60)));
	return wrong(cmd->name, "unknown option", text, nearest.word);
}

static bool was_given(const struct cmd_args *args, const struct cmd_opt *opt)
{
	for (size_t i = 0; i < args->given_n; i++) {
		if (args->given[i].opt == opt)
			return true;
	}
	return false;
}

/* "--name value" or "--name=value"; the argument itself has been taken. */
static int read_opt(struct parser *p, const char *argument)
{
	struct slice value = slice_of(argument), name = slice_cut(&value, '=');
	bool inline_value = argument[name.n] == '=';
	const struct cmd_opt *opt = find_opt(p->args->cmd, name);
	struct cmd_given *given = &p->args->given[p->args->given_n];

	if (!opt)
		return unknown_opt(p->args->cmd, name);
	if (opt == args_common) {
		p->help = true;
		return 0;
	}
	if (!opt->repeats && was_given(p->args, opt))
		return wrong(p->args->cmd->name, "given twice:", opt->name, NULL);
	if (!opt->value && inline_value)
		return wrong(p->args->cmd->name, "takes no value:", opt->name, NULL);
	given->opt = opt;
	given->value = !opt->value ? "" : inline_value ? value.p : p->at < p->end ? *p->at++ : NULL;
	if (!given->value)
		return wrong(p->args->cmd->name, "needs a value:", opt->name, NULL);
	p->args->given_n++;
	return 0;
}

static int read_rest(struct parser *p)
{
	bool words_only = false;
	int code = 0;

	while (p->at < p->end && !code) {
		const char *argument = *p->at++;

		if (words_only || argument[0] != '-' || !argument[1])
			p->args->words[p->args->words_n++] = argument;
		else if (is(argument, "--"))
			words_only = true;
		else if (is(argument, "-h"))
			p->help = true;
		else
			code = read_opt(p, argument);
	}
	return code;
}

static int check_words(const struct cmd_args *args)
{
	const struct cmd *cmd = args->cmd;

	if (args->words_n < cmd->operands_min)
		return wrong(cmd->name, "missing:", cmd->operands, NULL);
	if (args->words_n > cmd->operands_max)
		return wrong(cmd->name, "not understood:", args->words[cmd->operands_max], NULL);
	return 0;
}

/* ---- what stands before the command ---- */

/* --help, --version, --config FILE. true: go on. */
static bool read_head(struct parser *p, int *ret_code)
{
	*ret_code = EXIT_DONE;
	if (p->at == p->end) {
		*ret_code = wrong("", "a command is missing", "", NULL);
		return false;
	}
	if (is(*p->at, "--version")) {
		printf("callstream %s\n", CALLSTREAM_VERSION);
		return false;
	}
	if (is(*p->at, "--help") || is(*p->at, "-h")) {
		help_all();
		return false;
	}
	if (is(*p->at, "help")) {
		p->at++;
		*ret_code = help(p);
		return false;
	}
	return true;
}

bool args_read(int argc, char **argv, struct cmd_args *ret, int *ret_code)
{
	struct parser p = { argv + (argc > 0), argv + argc, ret, false };

	memset(ret, 0, sizeof(*ret));
	if (!read_head(&p, ret_code))
		return false;
	ret->cmd = find_command(&p);
	if (!ret->cmd) {
		*ret_code = no_command(&p);
		return false;
	}
	ret->words = calloc((size_t)argc + 1, sizeof(*ret->words));
	ret->given = calloc((size_t)argc + 1, sizeof(*ret->given));
	if (!ret->words || !ret->given) {
		*ret_code = cmd_fail(EXIT_WRONG_INPUT, "out of memory");
		args_fini(ret);
		return false;
	}
	*ret_code = read_rest(&p);
	if (!*ret_code && p.help)
		help_command(ret->cmd);
	else if (!*ret_code)
		*ret_code = check_words(ret);
	if (!*ret_code && !p.help)
		return true;
	args_fini(ret);
	return false;
}

void args_fini(struct cmd_args *args)
{
	free(args->words);
	free(args->given);
	args->words = NULL;
	args->given = NULL;
}
