#include "call/json_parts.h"

void json_person(struct json_out *j, struct slice key, const struct person *p)
{
	if (!p->id.n && !p->extension.n && !p->name.n)
		return;
	jo_key(j, key);
	jo_begin_object(j);
	JO_PUT(j, "id", p->id);
	JO_PUT(j, "extension", p->extension);
	JO_PUT(j, "name", p->name);
	jo_end_object(j);
}

void json_contact(struct json_out *j, const struct contact *c)
{
	if (!c->number.n && !c->uri.n && !c->id.n && !c->name.n)
		return;
	JO_KEY(j, "contact");
	jo_begin_object(j);
	JO_PUT(j, "number", c->number);
	JO_PUT(j, "uri", c->uri);
	JO_PUT(j, "id", c->id);
	JO_PUT(j, "name", c->name);
	jo_end_object(j);
}

void json_cause(struct json_out *j, const struct cause *cause)
{
	if (!cause->vendor.n && !cause->text.n && !cause->q850 && cause->by == SIDE_NONE)
		return;
	JO_KEY(j, "cause");
	jo_begin_object(j);
	JO_PUT(j, "vendor", cause->vendor);
	if (cause->q850) {
		JO_KEY(j, "q850");
		jo_int(j, cause->q850);
	}
	JO_PUT(j, "text", cause->text);
	JO_PUT(j, "by", slice_of(side_text(cause->by)));
	jo_end_object(j);
}

void json_request(struct json_out *j, const struct callev_raw *raw)
{
	jo_begin_object(j);
	JO_PUT(j, "method", raw->method);
	JO_PUT(j, "path", raw->path);
	JO_PUT(j, "query", raw->query);
	JO_PUT(j, "type", raw->type);
	if (raw->body.n && slice_is_utf8(raw->body)) {
		JO_KEY(j, "body");
		jo_text(j, raw->body);
	} else if (raw->body.n) {
		JO_KEY(j, "body_base64");
		jo_base64(j, raw->body);
	}
	jo_end_object(j);
}
