#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "call/calltab_priv.h"
#include "wire/cursor.h"

/*
 * A packed slice: version, number of calls and orphans (u32), the calls by id, the orphans by call
 * and event id, XXH3 of all before it. Deadlines are not in it: they follow from the rest and from
 * the settings. Only one writing of a content is taken back: what was read is written again
 * and must be the same bytes, so that the same content always is.
 */
#define VERSION  2
#define HEAD_LEN 9u
#define SUM_LEN  8u

struct content {
	struct call **calls;
	struct orphan **orphans;
	size_t calls_n, orphans_n;
};

/* The lists alone. */
static void content_free(struct content *c)
{
	free(c->calls);
	free(c->orphans);
	*c = (struct content){ NULL, NULL, 0, 0 };
}

static int content_new(struct content *c, size_t calls_n, size_t orphans_n)
{
	*c = (struct content){ .calls = calloc(MAX(calls_n, 1), sizeof(struct call *)),
			       .orphans = calloc(MAX(orphans_n, 1), sizeof(struct orphan *)) };
	if (c->calls && c->orphans)
		return 0;
	content_free(c);
	return -ENOMEM;
}

/* ---- writing ---- */

#define HAS_REVISION 0x10u /* an open call that other rules had closed (calltab_outrun) */

static void put_times(struct buf *out, const struct call *call)
{
	const struct call_open *o = &call->open;
	const int64_t times[] = { o->end_ms, o->lost_ms, o->talk_end_ms, o->leg_end_ms };
	uint8_t present = 0;

	for (unsigned i = 0; i < ARRAY_LEN(times); i++)
		present |= (uint8_t)((times[i] != TIME_NONE) << i);
	if (call->revision)
		present |= HAS_REVISION;
	put_u8(out, present);
	for (unsigned i = 0; i < ARRAY_LEN(times); i++) {
		if (times[i] != TIME_NONE)
			put_varint_signed(out, call->last_ms - times[i]);
	}
	if (call->revision)
		put_varint(out, call->revision);
}

static void put_sent(struct buf *out, const struct call *call)
{
	const struct call_closed *c = &call->closed;

	put_u8(out, call->item.flags);
	put_varint(out, call->revision);
	put_u64le(out, c->hash[0]);
	put_u64le(out, c->hash[1]);
	put_varint_signed(out, call->last_ms - c->closed_ms);
	put_varint_signed(out, call->last_ms - c->complete_ms);
}

static void put_call(struct buf *out, const struct calltab *tab, const struct call *call)
{
	const struct facts *f = &call->facts;

	buf_add(out, call->item.id.b, UUID_LEN);
	put_slice(out, account_name(tab, call->account));
	put_u8(out, call->item.closed_by);
	put_varint_signed(out, call->last_ms);
	if (call->item.closed_by == CLOSED_NOT)
		put_times(out, call);
	else
		put_sent(out, call);
	put_varint_signed(out, call->last_ms - f->base_ms);
	put_u8(out, f->source);
	put_varint(out, f->n);
	put_slice(out, slice_make(f->bytes, f->stream_n));
}

static void put_orphan(struct buf *out, const struct orphan *orphan)
{
	buf_add(out, orphan->item.id.b, UUID_LEN);
	buf_add(out, orphan->event_id.b, UUID_LEN);
	put_varint_signed(out, orphan->append_ms);
	put_slice(out, slice_make(orphan->json, orphan->json_n));
}

/* 0 or -ENOMEM; nothing is appended then. */
static int put_content(struct buf *out, const struct calltab *tab, const struct content *c)
{
	size_t start = out->n;

	put_u8(out, VERSION);
	put_u32le(out, (uint32_t)c->calls_n);
	put_u32le(out, (uint32_t)c->orphans_n);
	for (size_t i = 0; i < c->calls_n; i++)
		put_call(out, tab, c->calls[i]);
	for (size_t i = 0; i < c->orphans_n; i++)
		put_orphan(out, c->orphans[i]);
	if (!out->bad)
		put_u64le(out, XXH3_64bits(out->p + start, out->n - start));
	if (!out->bad)
		return 0;
	out->n = start;
	return -ENOMEM;
}

static int order_of_calls(const void *a, const void *b)
{
	const struct call *x = *(struct call *const *)a, *y = *(struct call *const *)b;

	return uuid_cmp(&x->item.id, &y->item.id);
}

static int order_of_orphans(const void *a, const void *b)
{
	const struct orphan *x = *(struct orphan *const *)a, *y = *(struct orphan *const *)b;
	int order = uuid_cmp(&x->item.id, &y->item.id);

	return order ? order : uuid_cmp(&x->event_id, &y->event_id);
}

/* The call with its facts in order: the way it is written. */
static int put_in_order(struct calltab *tab, struct call **call)
{
	int err;

	if ((*call)->facts.sorted)
		return 0;
	err = facts_decode(&tab->facts, &(*call)->facts, account_name(tab, (*call)->account));
	return err ? err : call_rebuild(tab, call);
}

static size_t count_orphans(const struct calltab *tab, const struct map *map)
{
	size_t n = 0;

	for (uint32_t i = 0; map->n && i <= map->mask; i++) {
		struct item *item = tab->items[(uint32_t)map_value(map, i)];

		while (item && item->orphan) {
			n++;
			item = tab->items[as_orphan(item)->next];
		}
	}
	return n;
}

static int gather(struct calltab *tab, const struct map *map, struct content *c)
{
	for (uint32_t i = 0; map->n && i <= map->mask; i++) {
		struct item *item = tab->items[(uint32_t)map_value(map, i)];

		if (item && !item->orphan) {
			struct call *call = as_call(item);
			int err = put_in_order(tab, &call);

			if (err)
				return err;
			c->calls[c->calls_n++] = call;
			continue;
		}
		while (item && item->orphan) {
			c->orphans[c->orphans_n++] = as_orphan(item);
			item = tab->items[as_orphan(item)->next];
		}
	}
	qsort(c->calls, c->calls_n, sizeof(struct call *), order_of_calls);
	qsort(c->orphans, c->orphans_n, sizeof(struct orphan *), order_of_orphans);
	return 0;
}

static void slice_clean(struct calltab *tab, unsigned slice, uint64_t n)
{
	struct slice_of_table *s = &tab->slices[slice];

	tab->slices_dirty -= s->dirty;
	s->dirty = false;
	s->n = n;
	tab->masked_until = MAX(tab->masked_until, n);
}

int calltab_slice_pack(struct calltab *tab, unsigned slice, struct buf *out)
{
	const struct map *map = &tab->slices[slice].by_id;
	struct content content;
	int err = content_new(&content, map->n, tab->counts.orphans ? count_orphans(tab, map) : 0);

	if (err)
		return err;
	err = gather(tab, map, &content);
	if (!err)
		err = put_content(out, tab, &content);
	content_free(&content);
	if (!err)
		slice_clean(tab, slice, tab->commit);
	return err;
}

/* ---- reading ---- */

static int64_t get_time(struct cursor *c)
{
	int64_t ms = cur_varint_signed(c);

	c->bad |= ms < TIME_MIN_MS || ms > TIME_MAX_MS;
	return c->bad ? 0 : ms;
}

/* A time that was written as the distance back from another. */
static int64_t get_before(struct cursor *c, int64_t from_ms)
{
	int64_t by_ms = cur_varint_signed(c);

	if (by_ms < TIME_MIN_MS || by_ms > TIME_MAX_MS)
		c->bad = true;
	if (c->bad)
		return 0;
	c->bad |= from_ms - by_ms < TIME_MIN_MS || from_ms - by_ms > TIME_MAX_MS;
	return from_ms - by_ms;
}

static void get_revision(struct cursor *c, struct call *call)
{
	uint64_t revision = cur_varint(c);

	c->bad |= revision > UINT32_MAX;
	call->revision = (uint32_t)revision;
}

static void get_times(struct cursor *c, struct call *call)
{
	struct call_open *o = &call->open;
	int64_t *const times[] = { &o->end_ms, &o->lost_ms, &o->talk_end_ms, &o->leg_end_ms };
	uint8_t present = cur_u8(c);

	for (unsigned i = 0; i < ARRAY_LEN(times); i++) {
		if (present >> i & 1)
			*times[i] = get_before(c, call->last_ms);
	}
	if (present & HAS_REVISION)
		get_revision(c, call);
}

static void get_sent(struct cursor *c, struct call *call)
{
	call->item.flags = cur_u8(c);
	get_revision(c, call);
	call->closed.hash[0] = cur_u64le(c);
	call->closed.hash[1] = cur_u64le(c);
	call->closed.closed_ms = get_before(c, call->last_ms);
	call->closed.complete_ms = get_before(c, call->last_ms);
	c->bad |= call->item.flags & ~(CALL_COMPLETE | CALL_WAIT_OVER);
}

struct packed_call {
	struct slice account, stream;
	uint64_t n;
	struct call head;
};

static void get_call(struct cursor *c, struct packed_call *p)
{
	struct call *call = &p->head;
	struct slice id = cur_take(c, UUID_LEN);

	if (id.n)
		memcpy(call->item.id.b, id.p, UUID_LEN);
	p->account = cur_slice(c);
	call->item.closed_by = cur_u8(c);
	call->last_ms = get_time(c);
	if (call->item.closed_by == CLOSED_NOT)
		get_times(c, call);
	else
		get_sent(c, call);
	call->facts.base_ms = get_before(c, call->last_ms);
	call->facts.source = cur_u8(c);
	p->n = cur_varint(c);
	p->stream = cur_slice(c);
	c->bad |= p->account.n == 0 || call->item.closed_by >= CLOSED_BY_N || p->n > FACTS_MAX ||
		  p->stream.n > FACTS_BYTES_MAX;
}

static bool opens(const struct callev *events, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (callev_is_call_fact(events[i].kind))
			return true;
	}
	return false;
}

/* The call's memory, its facts checked and read. */
static int adopt(struct calltab *tab, const struct packed_call *p, struct call **ret)
{
	struct call *call = call_new(tab, &p->head.item.id, p->stream.n);
	uint32_t cap;
	int err;

	if (!call)
		return -ENOMEM;
	cap = call->facts.cap;
	*call = p->head;
	call->facts.cap = cap;
	call->facts.n = (uint16_t)p->n;
	call->facts.stream_n = (uint32_t)p->stream.n;
	memcpy(call->facts.bytes, p->stream.n ? p->stream.p : "", p->stream.n);
	err = facts_adopt(&tab->facts, &call->facts);
	if (!err && !opens(tab->facts.events, call->facts.n) && call->revision)
		err = -EBADMSG;
	if (!err && call->item.closed_by == CLOSED_NOT)
		call->item.flags = facts_flags(tab->facts.events, call->facts.n);
	if (!err)
		err = account_ref(tab, p->account, &call->account);
	if (err) {
		call_free(tab, call);
		return err;
	}
	*ret = call;
	return 0;
}

static int read_calls(struct calltab *tab, struct cursor *c, unsigned slice, uint32_t n,
		      struct content *content)
{
	for (uint32_t i = 0; i < n; i++) {
		struct packed_call p = { .head = { .open = { TIME_NONE, TIME_NONE, TIME_NONE,
							     TIME_NONE } } };
		int err;

		get_call(c, &p);
		if (c->bad || calltab_slice_of(&p.head.item.id) != slice ||
		    item_find(tab, &p.head.item.id) ||
		    (i && uuid_cmp(&content->calls[i - 1]->item.id, &p.head.item.id) >= 0))
			return -EBADMSG;
		err = adopt(tab, &p, &content->calls[i]);
		if (err)
			return err;
		content->calls_n++;
	}
	return 0;
}

static struct orphan *get_orphan(struct cursor *c)
{
	struct slice id = cur_take(c, UUID_LEN), event_id = cur_take(c, UUID_LEN), json;
	int64_t append_ms = get_time(c);
	struct orphan *orphan;

	json = cur_slice(c);
	if (c->bad || !id.n || !event_id.n)
		return NULL;
	orphan = calloc(1, sizeof(*orphan) + json.n);
	if (!orphan)
		return NULL;
	memcpy(orphan->item.id.b, id.p, UUID_LEN);
	memcpy(orphan->event_id.b, event_id.p, UUID_LEN);
	orphan->append_ms = append_ms;
	orphan->json_n = (uint32_t)json.n;
	if (json.n)
		memcpy(orphan->json, json.p, json.n);
	return orphan;
}

static bool has_call(const struct content *content, const struct uuid *id)
{
	size_t low = 0, high = content->calls_n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = uuid_cmp(&content->calls[middle]->item.id, id);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static int read_orphans(struct calltab *tab, struct cursor *c, unsigned slice, uint32_t n,
			struct content *content)
{
	for (uint32_t i = 0; i < n; i++) {
		struct orphan *orphan = get_orphan(c);

		if (!orphan)
			return c->bad ? -EBADMSG : -ENOMEM;
		content->orphans[content->orphans_n++] = orphan;
		if (calltab_slice_of(&orphan->item.id) != slice ||
		    item_find(tab, &orphan->item.id) || has_call(content, &orphan->item.id) ||
		    (i && order_of_orphans(&content->orphans[i - 1], &content->orphans[i]) >= 0))
			return -EBADMSG;
	}
	return 0;
}

/* The bytes without their sum, or an empty slice when they are not whole. */
static struct slice whole(struct slice bytes)
{
	struct slice body = slice_head(bytes, bytes.n - MIN(bytes.n, SUM_LEN));
	uint64_t sum;

	if (bytes.n < HEAD_LEN + SUM_LEN || (uint8_t)bytes.p[0] != VERSION)
		return SLICE_NONE;
	memcpy(&sum, bytes.p + body.n, SUM_LEN);
	return sum == XXH3_64bits(body.p, body.n) ? body : SLICE_NONE;
}

static int read_content(struct calltab *tab, unsigned slice, struct slice bytes,
			struct content *content)
{
	struct cursor c = cur_make(slice_skip(whole(bytes), 1));
	uint32_t calls_n = cur_u32le(&c), orphans_n = cur_u32le(&c);
	int err;

	/* Each takes more bytes than its pointer, so that a lie about their number costs little. */
	if (c.bad || calls_n > bytes.n / UUID_LEN || orphans_n > bytes.n / UUID_LEN)
		return -EBADMSG;
	err = content_new(content, calls_n, orphans_n);
	if (err)
		return err;
	err = read_calls(tab, &c, slice, calls_n, content);
	if (!err)
		err = read_orphans(tab, &c, slice, orphans_n, content);
	if (!err && (c.bad || c.p != c.end))
		err = -EBADMSG;
	if (!err) {
		buf_reset(&tab->text_a);
		err = put_content(&tab->text_a, tab, content);
	}
	if (!err && !slice_eq(buf_slice(&tab->text_a), bytes))
		err = -EBADMSG;
	return err;
}

static void drop_content(struct calltab *tab, struct content *content)
{
	for (size_t i = 0; i < content->calls_n; i++) {
		account_unref(tab, content->calls[i]->account);
		call_free(tab, content->calls[i]);
	}
	for (size_t i = 0; i < content->orphans_n; i++)
		free(content->orphans[i]);
	content_free(content);
}

/* What has come in is the table's; the rest stays in content. */
static int enter(struct calltab *tab, struct content *content)
{
	while (content->calls_n) {
		if (call_add(tab, content->calls[content->calls_n - 1]))
			return -ENOMEM;
		content->calls_n--;
	}
	while (content->orphans_n) {
		if (orphan_add(tab, content->orphans[content->orphans_n - 1]))
			return -ENOMEM;
		content->orphans_n--;
	}
	return 0;
}

int calltab_slice_unpack(struct calltab *tab, unsigned slice, uint64_t n, struct slice bytes)
{
	struct content content = { NULL, NULL, 0, 0 };
	int err = slice < CALLTAB_SLICES && tab->slices[slice].by_id.n == 0 ? 0 : -EBADMSG;

	if (!err)
		err = read_content(tab, slice, bytes, &content);
	if (!err)
		err = enter(tab, &content);
	drop_content(tab, &content);
	if (!err)
		slice_clean(tab, slice, n);
	return err;
}
