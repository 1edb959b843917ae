#include "traffic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct slice text_of(yyjson_val *object, const char *key)
{
	yyjson_val *v = yyjson_obj_get(object, key);

	return v && yyjson_is_str(v) ? slice_make(yyjson_get_str(v), yyjson_get_len(v)) : SLICE("");
}

static char *read_file(const char *folder, const char *name, struct buf *problem)
{
	char path[512], *text = NULL;
	size_t n = 0;
	FILE *file;
	long size;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (!file) {
		buf_printf(problem, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
	    fseek(file, 0, SEEK_SET) == 0 && (text = malloc((size_t)size + 1))) {
		n = fread(text, 1, (size_t)size, file);
		text[n] = '\0';
	}
	fclose(file);
	if (!text)
		buf_printf(problem, "%s: cannot be read", path);
	return text;
}

static struct traffic_call *call_find(struct traffic *t, struct slice id)
{
	for (size_t i = t->calls_n; i-- > 0;) {
		if (slice_eq(t->calls[i].id, id))
			return &t->calls[i];
	}
	return NULL;
}

/* ---- the truth: first its calls, then what each request is ---- */

static int add_call(struct traffic *t, yyjson_val *row)
{
	struct traffic_call *calls = realloc(t->calls, (t->calls_n + 1) * sizeof(*calls));

	if (!calls)
		return -ENOMEM;
	t->calls = calls;
	calls[t->calls_n++] =
	    (struct traffic_call){ .id = text_of(row, "id"),
				   .account = text_of(row, "account"),
				   .record = yyjson_obj_get(row, "record"),
				   .open = yyjson_obj_get(row, "open"),
				   .delivered = yyjson_get_bool(yyjson_obj_get(row, "delivered")) };
	return 0;
}

struct truth {
	struct slice *event_ids; /* by number of the request */
	size_t n;
};

static int add_request_truth(struct truth *truth, yyjson_val *row)
{
	size_t n = (size_t)yyjson_get_uint(yyjson_obj_get(row, "n"));

	if (n >= truth->n) {
		size_t cap = n * 2 + 64;
		struct slice *ids = realloc(truth->event_ids, cap * sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		memset(ids + truth->n, 0, (cap - truth->n) * sizeof(*ids));
		truth->event_ids = ids;
		truth->n = cap;
	}
	truth->event_ids[n] = text_of(yyjson_obj_get(row, "event"), "id");
	return 0;
}

static int add_request(struct traffic *t, const struct truth *truth, yyjson_val *row)
{
	struct traffic_call *call = call_find(t, text_of(row, "call"));
	size_t n = (size_t)yyjson_get_uint(yyjson_obj_get(row, "n"));
	struct traffic_request *requests;

	if (!call || n >= truth->n || !truth->event_ids[n].n || yyjson_obj_get(row, "body_base64"))
		return 0; /* what has to be refused, and what cannot be told in JSON */
	requests = realloc(call->requests, (call->requests_n + 1) * sizeof(*requests));
	if (!requests)
		return -ENOMEM;
	call->requests = requests;
	requests[call->requests_n++] = (struct traffic_request){
		.account = text_of(row, "account"),
		.method = text_of(row, "method"),
		.path = text_of(row, "path"),
		.query = text_of(row, "query"),
		.content_type = text_of(yyjson_obj_get(row, "headers"), "Content-Type"),
		.body = text_of(row, "body"),
		.event_id = truth->event_ids[n],
		.at_ms = yyjson_get_sint(yyjson_obj_get(row, "at_ms")),
	};
	return 0;
}

/* ---- lines ---- */

static int keep_doc(struct traffic *t, yyjson_doc *doc)
{
	yyjson_doc **docs = realloc(t->docs, (t->docs_n + 1) * sizeof(yyjson_doc *));

	if (!docs)
		return -ENOMEM;
	t->docs = docs;
	docs[t->docs_n++] = doc;
	return 0;
}

static int read_truth_row(struct traffic *t, struct truth *truth, yyjson_val *row)
{
	struct slice type = text_of(row, "type");

	if (slice_is(type, "call"))
		return add_call(t, row);
	return slice_is(type, "request") ? add_request_truth(truth, row) : 0;
}

static int read_rows(struct traffic *t, struct truth *truth, const char *folder, const char *name,
		     bool is_truth, struct buf *problem)
{
	char *text = read_file(folder, name, problem), *line, *rest = text;
	int err = text ? 0 : -ENOENT;

	while (!err && (line = strtok_r(rest, "\n", &rest))) {
		yyjson_doc *doc = yyjson_read(line, strlen(line), 0);

		if (!doc) {
			buf_printf(problem, "%s: not JSON", name);
			err = -EINVAL;
			break;
		}
		err = keep_doc(t, doc);
		if (!err)
			err = is_truth ? read_truth_row(t, truth, yyjson_doc_get_root(doc))
				       : add_request(t, truth, yyjson_doc_get_root(doc));
	}
	free(text);
	return err;
}

int traffic_read(const char *folder, struct traffic *ret, struct buf *problem)
{
	struct traffic t = { .calls_n = 0 };
	struct truth truth = { NULL, 0 };
	int err = read_rows(&t, &truth, folder, "truth.jsonl", true, problem);

	if (!err)
		err = read_rows(&t, &truth, folder, "traffic.jsonl", false, problem);
	if (!err && !(t.accounts = read_file(folder, "accounts.yaml", problem)))
		err = -ENOENT;
	free(truth.event_ids);
	if (err)
		traffic_free(&t);
	else
		*ret = t;
	return err;
}

void traffic_free(struct traffic *t)
{
	for (size_t i = 0; i < t->calls_n; i++)
		free(t->calls[i].requests);
	free(t->calls);
	for (size_t i = 0; i < t->docs_n; i++)
		yyjson_doc_free(t->docs[i]);
	free(t->docs);
	free(t->accounts);
}
