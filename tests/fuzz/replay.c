/*
 * replay.c - runs a fuzz target over its kept corpus, once, without libFuzzer
 *
 * Each argument is a file or a folder of files. So every crash that joined the corpus is a
 * regression test under the sanitizers of the ordinary build too.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	size_t size = 0, cap = 1 << 16;
	uint8_t *data = malloc(cap);
	size_t got;

	if (!file || !data) {
		perror(path);
		free(data);
		if (file)
			fclose(file);
		return 1;
	}
	while ((got = fread(data + size, 1, cap - size, file)) > 0) {
		size += got;
		if (size == cap) {
			uint8_t *bigger = realloc(data, cap *= 2);
			if (!bigger)
				abort();
			data = bigger;
		}
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

static int replay(const char *path, int *files)
{
	struct stat st;
	struct dirent *entry;
	int failed = 0;
	DIR *dir;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		(*files)++;
		return replay_file(path);
	}
	dir = opendir(path);
	if (!dir)
		return 1;
	while ((entry = readdir(dir))) {
		char name[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		failed |= replay(name, files);
	}
	closedir(dir);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0, files = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i], &files);
	printf("replayed %d inputs\n", files);
	return failed || files == 0;
}
