/*
 * tools.c - the Python programs of bench/, which share no code with us
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* Relative to the folder of the binary: installed, and built into build/PRESET/bin. Then the tree
 * it was built from. */
static const char *const places[] = { "../share/callstream/bench", "../../../bench",
				      "../../bench" };

static char *checked(const char *folder)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/verify.py", folder) >= (int)sizeof(path) ||
	    access(path, R_OK))
		return NULL;
	return realpath(folder, NULL);
}

char *bench_folder(void)
{
	const char *named = getenv("CALLSTREAM_BENCH_DIR");
	char own[PATH_MAX], path[PATH_MAX + 64], *slash, *found = NULL;
	ssize_t n;

	if (named)
		return checked(named);
	n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	if (n <= 0)
		return NULL;
	own[n] = '\0';
	slash = strrchr(own, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; !found && i < ARRAY_LEN(places); i++) {
		snprintf(path, sizeof(path), "%s/%s", own, places[i]);
		found = checked(path);
	}
	return found ? found : checked(CALLSTREAM_SOURCE "/bench");
}

int bench_exec(const char *program, char **args)
{
	char *folder = bench_folder(), path[PATH_MAX + 32];
	const char *words[256] = { "python3", path };
	size_t n = 2;

	if (!folder)
		return bench_fail(BENCH_WRONG, "the folder bench/ is not beside the binary; "
					       "CALLSTREAM_BENCH_DIR may name it");
	snprintf(path, sizeof(path), "%s/%s", folder, program);
	free(folder);
	while (*args && n + 1 < ARRAY_LEN(words))
		words[n++] = *args++;
	words[n] = NULL;
	execvp(words[0], (char *const *)(uintptr_t)words);
	return bench_fail(BENCH_WRONG, "python3: %s", strerror(errno));
}

int bench_python(const char *program, const char *const *args)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return bench_fail(BENCH_WRONG, "fork: %s", strerror(errno));
	if (pid == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO); /* our data is the result alone */
		_exit(bench_exec(program, (char **)(uintptr_t)args));
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return bench_fail(BENCH_WRONG, "%s failed", program);
}

const char *bench_commit(void)
{
	static char text[64] = "unknown";
	char *folder = bench_folder(), command[PATH_MAX + 128];
	FILE *git;

	if (!folder)
		return text;
	snprintf(command, sizeof(command),
		 "git -C '%s' describe --always --dirty --abbrev=10 2>/dev/null", folder);
	free(folder);
	git = popen(command, "re"); /* NOLINT(cert-env33-c): a fixed command */
	if (git && !fgets(text, sizeof(text), git))
		snprintf(text, sizeof(text), "unknown");
	if (git)
		pclose(git);
	text[strcspn(text, "\n")] = '\0';
	return text;
}
