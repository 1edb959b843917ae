#include "base/slog.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/timefmt.h"

#define LINE_BYTES  8192u
#define VALUE_BYTES 1024u /* of one value, before escaping; a longer one is cut */

static struct {
	bool json;
	enum slog_level level;
} setup = { false, SLOG_INFO };

static const char *const levels[] = { "debug", "info", "warn", "error" };

/* A field that does not fit whole is left out; there is always room for the end of the line. */
struct line {
	char p[LINE_BYTES];
	size_t n;
	bool full;
};

#define END_BYTES 2u

static void put(struct line *line, const char *p, size_t n)
{
	if (line->full || n > LINE_BYTES - END_BYTES - line->n) {
		line->full = true;
		return;
	}
	memcpy(line->p + line->n, p, n);
	line->n += n;
}

static void put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

/* Control characters, quotes and what is no UTF-8, as JSON or as a reader of key=value has it. */
static void put_escaped(struct line *line, unsigned char c, bool utf8)
{
	char code[8];
	int n;

	if (c == '"' || c == '\\')
		n = snprintf(code, sizeof(code), "\\%c", c);
	else if (c == '\n')
		n = snprintf(code, sizeof(code), "\\n");
	else if (c < 0x20 || c == 0x7f)
		n = snprintf(code, sizeof(code), setup.json ? "\\u%04x" : "\\x%02x", c);
	else if (c >= 0x80 && !utf8)
		n = setup.json ? snprintf(code, sizeof(code), "\\ufffd")
			       : snprintf(code, sizeof(code), "\\x%02x", c);
	else
		n = snprintf(code, sizeof(code), "%c", c);
	put(line, code, (size_t)n);
}

static void put_quoted(struct line *line, struct slice s)
{
	size_t n = MIN(s.n, VALUE_BYTES);
	bool utf8;

	while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--; /* between characters */
	utf8 = slice_is_utf8(slice_head(s, n));
	put(line, "\"", 1);
	for (size_t i = 0; i < n; i++)
		put_escaped(line, (unsigned char)s.p[i], utf8);
	if (n < s.n)
		put_text(line, "...");
	put(line, "\"", 1);
}

/* May a value of key=value stand without quotes? */
static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return s.n > 0 && s.n <= VALUE_BYTES;
}

static void put_slice(struct line *line, struct slice s)
{
	if (!setup.json && is_plain(s))
		put(line, s.p, s.n);
	else
		put_quoted(line, s);
}

static void put_int(struct line *line, int64_t value)
{
	char text[24];

	put(line, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)value));
}

/* The last two digits of a number; everything before them is stars, whatever it is. */
static void put_phone(struct line *line, struct slice s)
{
	char masked[24];
	size_t n = MIN(s.n, sizeof(masked));
	size_t shown = s.n > 2 && slice_is_digits(slice_skip(s, s.n - 2)) ? 2 : 0;

	memset(masked, '*', n);
	if (shown)
		memcpy(masked + n - 2, s.p + s.n - 2, 2);
	put_slice(line, slice_make(masked, n));
}

static void put_error(struct line *line, int64_t err)
{
	char text[128];

	put_slice(line, slice_of(strerror_r((int)(err < 0 ? -err : err), text, sizeof(text))));
}

static void put_key(struct line *line, const char *key)
{
	put_text(line, setup.json ? (line->n > 1 ? ",\"" : "\"") : (line->n ? " " : ""));
	put_text(line, key);
	put_text(line, setup.json ? "\":" : "=");
}

static void put_value(struct line *line, const struct slog_field *field)
{
	switch (field->type) {
	case SLOG_SLICE:
		put_slice(line, field->text);
		break;
	case SLOG_INT:
		put_int(line, field->value);
		break;
	case SLOG_ERRNO:
		put_error(line, field->value);
		break;
	case SLOG_PHONE:
		put_phone(line, field->text);
		break;
	case SLOG_END:
		break;
	}
}

static void put_field(struct line *line, const struct slog_field *field)
{
	size_t before = line->n;

	put_key(line, field->key);
	put_value(line, field);
	if (line->full) {
		line->n = before;
		line->full = false;
	}
}

static void put_head(struct line *line, enum slog_level level, const char *text)
{
	char now[TIME_ISO_LEN];

	time_iso_write(clock_wall_ms(), now);
	if (setup.json)
		put(line, "{", 1);
	put_field(line, &SLOG_S("time", slice_make(now, sizeof(now))));
	put_field(line, &SLOG_T("level", levels[level]));
	put_field(line, &SLOG_T("msg", text));
}

/* A line that cannot be written is lost: there is no better place to tell of it. */
static void write_whole(const char *p, size_t n)
{
	ssize_t done;

	do {
		done = write(STDERR_FILENO, p, n);
		if (done > 0) {
			p += done;
			n -= (size_t)done;
		}
	} while (n && (done > 0 || (done < 0 && errno == EINTR)));
}

void slog_write(enum slog_level level, const char *text, const struct slog_field *fields)
{
	struct line line;
	int saved = errno;

	if (level < setup.level)
		return;
	line.n = 0;
	line.full = false;
	put_head(&line, level, text);
	for (; fields->type != SLOG_END; fields++)
		put_field(&line, fields);
	if (setup.json)
		line.p[line.n++] = '}';
	line.p[line.n++] = '\n';
	write_whole(line.p, line.n);
	errno = saved;
}

void slog_setup(bool json, enum slog_level level)
{
	setup.json = json;
	setup.level = level;
}

bool slog_level_read(struct slice text, enum slog_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (slice_is(text, levels[i])) {
			*ret = (enum slog_level)i;
			return true;
		}
	}
	return false;
}
