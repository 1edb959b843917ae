#include "wire/json_in.h"

#include <errno.h>

static void *take(void *arena, size_t n)
{
	return arena_alloc(arena, n);
}

static void *grow(void *arena, void *p, size_t old, size_t n)
{
	return arena_grow(arena, p, old, n);
}

static void give_back(void *arena, void *p)
{
	(void)arena; /* arena_reset does */
	(void)p;
}

yyjson_alc json_memory(struct arena *a)
{
	return (yyjson_alc){ take, grow, give_back, a };
}

static int read_doc(struct arena *a, struct slice text, yyjson_doc **ret, yyjson_read_err *error)
{
	yyjson_alc memory = json_memory(a);

	/* Without YYJSON_READ_INSITU the text is only read; the library's type lacks the const. */
	*ret = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, YYJSON_READ_NUMBER_AS_RAW,
				&memory, error);
	if (*ret)
		return 0;
	return error->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? -ENOMEM : -EBADMSG;
}

int json_read(struct arena *a, struct slice text, yyjson_val **ret)
{
	yyjson_read_err error;
	yyjson_doc *doc;
	int err = text.n ? read_doc(a, text, &doc, &error) : -EBADMSG;

	if (!err)
		*ret = yyjson_doc_get_root(doc);
	return err;
}

int json_check(struct arena *a, struct slice text, size_t *ret_offset, const char **ret_reason)
{
	yyjson_read_err error = { YYJSON_READ_ERROR_EMPTY_CONTENT, "empty", 0 };
	yyjson_doc *doc;
	int err = text.n ? read_doc(a, text, &doc, &error) : -EBADMSG;

	if (err == -EBADMSG) {
		*ret_offset = error.pos;
		*ret_reason = error.msg;
	}
	return err;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-';
}

/* Bytes of the macro at the front; 0: there is none. */
static size_t macro_at(struct slice s)
{
	size_t i = 2, name;

	if (s.n < 5 || s.p[0] != '{' || s.p[1] != '{')
		return 0;
	while (i < s.n && is_blank(s.p[i]))
		i++;
	name = i;
	while (i < s.n && is_word(s.p[i]))
		i++;
	if (i == name)
		return 0;
	while (i < s.n && is_blank(s.p[i]))
		i++;
	return i + 1 < s.n && s.p[i] == '}' && s.p[i + 1] == '}' ? i + 2 : 0;
}

bool is_macro(struct slice text)
{
	return text.n >= 5 && text.p[0] == '{' && macro_at(text) == text.n;
}

/* Offset of the quote that ends the text whose content begins at i; s.n when none does. */
static size_t text_end(struct slice s, size_t i)
{
	while (i < s.n && s.p[i] != '"')
		i += s.p[i] == '\\' ? 2 : 1;
	return MIN(i, s.n);
}

/* A text at the front whose quotes are doubled; the bytes of all of it, or 0. */
static size_t doubled_at(struct slice s)
{
	size_t end;

	if (s.n < 4 || s.p[0] != '"' || s.p[1] != '"' || strchr(",}]:", s.p[2]))
		return 0;
	end = text_end(s, 2);
	return end + 1 < s.n && s.p[end + 1] == '"' ? end + 2 : 0;
}

struct mender {
	struct slice in; /* what is left */
	char *out;
	size_t n;
	bool behind_colon;
	bool no_list_end; /* what ends a quoted list does not come any more */
};

/* A list of texts at the front within quotes; the bytes of all of it, or 0. */
static size_t quoted_list_at(struct mender *m)
{
	const char *end;

	if (m->no_list_end || !slice_starts(m->in, SLICE("\"[\"")))
		return 0;
	end = memmem(m->in.p + 3, m->in.n - 3, "\"]\"", 3);
	if (end)
		return (size_t)(end - m->in.p) + 3;
	m->no_list_end = true;
	return 0;
}

static void copy(struct mender *m, size_t skip, size_t n, size_t behind)
{
	if (n)
		memcpy(m->out + m->n, m->in.p + skip, n);
	m->n += n;
	m->in = slice_skip(m->in, skip + n + behind);
	m->behind_colon = false;
}

static void mend_text(struct mender *m)
{
	size_t n = m->behind_colon ? doubled_at(m->in) : 0;

	if (n == 0 && m->behind_colon)
		n = quoted_list_at(m);
	if (n) {
		copy(m, 1, n - 2, 1);
		return;
	}
	n = text_end(m->in, 1);
	copy(m, 0, MIN(n + 1, m->in.n), 0);
}

/* out is written through the mender. */
size_t json_mend(struct slice text, char *out) /* NOLINT(readability-non-const-parameter) */
{
	struct mender m = { text, out, 0, false, false };

	while (m.in.n) {
		char c = m.in.p[0];
		size_t macro = c == '{' ? macro_at(m.in) : 0;

		if (macro) {
			memcpy(m.out + m.n, "null", 4);
			m.n += 4;
			m.in = slice_skip(m.in, macro);
			m.behind_colon = false;
		} else if (c == '"') {
			mend_text(&m);
		} else {
			bool behind = c == ':' || (m.behind_colon && is_blank(c));

			copy(&m, 0, 1, 0);
			m.behind_colon = behind;
		}
	}
	return m.n;
}
