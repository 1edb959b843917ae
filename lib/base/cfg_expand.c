#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cfg_read.h"

#define SECRET_BYTES_MAX ((size_t)64 << 10)

/* Reads until the end or until max + 1 bytes, so that one too many is seen. */
static int read_fd(struct buf *content, int fd, size_t max)
{
	while (content->n <= max) {
		size_t room = MIN(max + 1 - content->n, (size_t)64 << 10);
		ssize_t got;

		if (!buf_reserve(content, room))
			return -ENOMEM;
		got = read(fd, content->p + content->n, room);
		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
		content->n += (size_t)got;
	}
	return -EFBIG;
}

int cfg_read_file(struct cfg_mem *mem, const char *path, size_t max, struct slice *ret)
{
	struct buf content = BUF_EMPTY;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	err = read_fd(&content, fd, max);
	close(fd);
	if (!err)
		*ret = slice_make(cfg_copy(mem, buf_slice(&content)), content.n);
	buf_fini(&content);
	return err ? err : mem->bad ? -ENOMEM : 0;
}

const char *cfg_beside(struct cfg_mem *mem, const char *file, struct slice path)
{
	const char *stroke = strrchr(file, '/');
	struct slice folder = slice_make(file, stroke ? (size_t)(stroke - file) + 1 : 0);
	char *joined;

	if (folder.n == 0 || (path.n && path.p[0] == '/'))
		return cfg_copy(mem, path);
	joined = cfg_alloc(mem, folder.n + path.n + 1);
	if (!joined)
		return "";
	memcpy(joined, folder.p, folder.n);
	if (path.n)
		memcpy(joined + folder.n, path.p, path.n);
	return joined;
}

static bool is_variable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		      (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return s.n > 0 && s.n < 256;
}

static int add_variable(struct slice name, struct buf *out, struct buf *why)
{
	char text[256];
	const char *value;

	if (!is_variable(name)) {
		buf_printf(why, "\"${%.*s}\" names nothing, allowed: ${VARIABLE} or ${file:/path}",
			   SLICE_ARG(slice_head(name, 60)));
		return -EINVAL;
	}
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	value = getenv(text);
	if (!value) {
		buf_printf(why, "environment variable %s is not set, allowed: one that is", text);
		return -EINVAL;
	}
	buf_add_text(out, value);
	return 0;
}

/* Without the line ends at its end, as editors and `echo` leave them. */
static int add_file(struct cfg_mem *mem, const char *file, struct slice path, struct buf *out,
		    struct buf *why)
{
	const char *name = cfg_beside(mem, file, path);
	struct slice content = SLICE_NONE;
	int err = path.n ? cfg_read_file(mem, name, SECRET_BYTES_MAX, &content) : -ENOENT;

	if (err == -ENOMEM)
		return err;
	if (err) {
		buf_printf(why,
			   "file %s cannot be read (%s), allowed: a readable file, at most 64 KiB",
			   name, strerror(-err));
		return -EINVAL;
	}
	while (content.n && (content.p[content.n - 1] == '\n' || content.p[content.n - 1] == '\r'))
		content.n--;
	if (content.n && memchr(content.p, '\0', content.n)) {
		buf_printf(why, "file %s has a NUL byte, allowed: text", name);
		return -EINVAL;
	}
	buf_add_slice(out, content);
	return 0;
}

/* One replacement; text stands behind its "${" and moves behind its "}". */
static int add_one(struct cfg_mem *mem, const char *file, struct slice *text, struct buf *out,
		   struct buf *why)
{
	struct slice inner;

	if (slice_find(*text, '}') == text->n) {
		buf_add_text(why, "\"${\" has no \"}\", allowed: ${VARIABLE} or ${file:/path}");
		return -EINVAL;
	}
	inner = slice_cut(text, '}');
	if (slice_starts(inner, SLICE("file:")))
		return add_file(mem, file, slice_skip(inner, 5), out, why);
	return add_variable(inner, out, why);
}

int cfg_expand(struct cfg_mem *mem, const char *file, struct slice text, const char **ret,
	       struct buf *why)
{
	struct buf out = BUF_EMPTY;
	int err = 0;

	while (text.n && !err) {
		struct slice plain = slice_head(text, slice_find(text, '$'));

		buf_add_slice(&out, plain);
		text = slice_skip(text, plain.n);
		if (slice_starts(text, SLICE("${"))) {
			text = slice_skip(text, 2);
			err = add_one(mem, file, &text, &out, why);
		} else if (text.n) {
			buf_add_char(&out, '$');
			text = slice_skip(text, 1);
		}
	}
	if (!err)
		*ret = cfg_copy(mem, buf_slice(&out));
	if (out.bad || mem->bad)
		err = -ENOMEM;
	buf_fini(&out);
	return err;
}
