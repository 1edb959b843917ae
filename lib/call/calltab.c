#include "call/calltab.h"

#include <errno.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/broken.h"
#include "call/calltab_priv.h"

/* ---- records ---- */

static int tell(struct calltab *tab, const struct call *call, const struct record *rec)
{
	struct calltab_record told = { .record = rec, .closed_by = call->item.closed_by };
	char text[UUID_TEXT_LEN];

	if (!tab->output_on || !tab->out.record)
		return 0;
	buf_reset(&tab->json);
	if (!tab->cfg.no_json)
		record_write(&tab->json, rec);
	if (tab->json.bad)
		return -ENOMEM;
	told.json = buf_slice(&tab->json);
	uuid_write(&call->item.id, text);
	told.id_text = slice_make(text, sizeof(text));
	tab->out.record(tab->out.arg, &told);
	return 0;
}

static uint32_t last_revision(const struct calltab *tab, const struct call *call)
{
	uint32_t known = 0;

	if (tab->output_on && tab->out.revision_known)
		known = tab->out.revision_known(tab->out.arg, &call->item.id);
	return MAX(call->revision, known);
}

/* The next revision leaves, if anything differs from the last one. */
static int revise(struct calltab *tab, struct call *call, struct record *rec)
{
	XXH128_hash_t hash;

	buf_reset(&tab->packed);
	record_pack(&tab->packed, rec);
	if (tab->packed.bad)
		return -ENOMEM;
	hash = XXH3_128bits(tab->packed.p, tab->packed.n);
	if (call->revision && call->closed.hash[0] == hash.low64 &&
	    call->closed.hash[1] == hash.high64)
		return 0;
	rec->revision = last_revision(tab, call) + 1;
	call->revision = rec->revision;
	call->closed.hash[0] = hash.low64;
	call->closed.hash[1] = hash.high64;
	return tell(tab, call, rec);
}

/* Folds a closed call again and says what came out of it. */
static int refold(struct calltab *tab, struct call *call, int64_t now_ms)
{
	struct fold_in in = {
		.events_n = call->facts.n,
		.call_id = call->item.id,
		.recordings = tab->accounts[call->account]->recordings,
		.record_role = tab->cfg.record_role,
		.recording_wait_over = call->item.flags & CALL_WAIT_OVER,
	};
	struct record rec;
	int err = facts_decode(&tab->facts, &call->facts, account_name(tab, call->account));

	if (err)
		return err;
	in.events = tab->facts.events;
	if (call->item.closed_by != CLOSED_BY_LIMIT)
		call->item.closed_by = facts_reason(in.events, in.events_n);
	in.closed_by = call->item.closed_by;
	err = fold(tab->folder, &in, &rec);
	if (!err)
		err = revise(tab, call, &rec);
	/* Nothing in it is a call's fact any more: its only one came again as something else. */
	if (err == -EINVAL)
		rec.complete = true;
	else if (err)
		return err;
	if (!rec.complete && !in.recording_wait_over) {
		call->item.flags &= (uint8_t)~CALL_COMPLETE;
	} else if (!(call->item.flags & CALL_COMPLETE)) {
		call->item.flags |= CALL_COMPLETE;
		call->closed.complete_ms = now_ms;
	}
	slice_touch(tab, &call->item.id);
	return 0;
}

int calltab_outrun(struct calltab *tab, const struct uuid *call_id, uint32_t revision,
		   int64_t now_ms)
{
	struct item *item = item_find(tab, call_id);
	struct call *call = item && !item->orphan ? as_call(item) : NULL;
	int err = 0;

	if (!call || call->revision >= revision)
		return 0;
	call->revision = revision;
	slice_touch(tab, call_id);
	if (call->item.closed_by != CLOSED_NOT) {
		memset(call->closed.hash, 0, sizeof(call->closed.hash));
		err = refold(tab, call, now_ms);
		item_arm(tab, &call->item);
	}
	return err;
}

/* ---- the life of a call ---- */

static int call_close(struct calltab *tab, struct call *call, enum closed_by by, int64_t now_ms)
{
	tab->counts.open--;
	tab->counts.remembered++;
	call->item.closed_by = by;
	call->item.flags = by == CLOSED_BY_LIMIT ? CALL_WAIT_OVER : 0;
	call->closed = (struct call_closed){ .closed_ms = now_ms, .complete_ms = now_ms };
	return refold(tab, call, now_ms);
}

int call_end_wait(struct calltab *tab, struct call *call, int64_t now_ms)
{
	if (call->item.closed_by == CLOSED_NOT && !(call->item.flags & CALL_HAS_END))
		return call_close(tab, call, CLOSED_BY_LIMIT, now_ms);
	if (call->item.closed_by == CLOSED_NOT) {
		int err = call_close(tab, call, CLOSED_BY_END, now_ms);

		if (err)
			return err;
	}
	if (call->item.flags & CALL_COMPLETE)
		return 0;
	call->item.flags |= CALL_WAIT_OVER;
	return refold(tab, call, now_ms);
}

int call_leave(struct calltab *tab, struct call *call, int64_t now_ms)
{
	int err = closed_add(tab->closed, &call->item.id, now_ms);

	if (err)
		return err;
	slice_touch(tab, &call->item.id);
	call_remove(tab, call);
	return 0;
}

/* Its timer is due: the next step of its life. */
static int step(struct calltab *tab, struct call *call, int64_t now_ms)
{
	if (call->item.closed_by == CLOSED_NOT)
		return call_close(tab, call, flags_reason(call->item.flags), now_ms);
	if (call->item.flags & CALL_COMPLETE)
		return call_leave(tab, call, now_ms);
	return call_end_wait(tab, call, now_ms);
}

static void give_up(struct calltab *tab, struct orphan *orphan)
{
	if (tab->output_on && tab->out.late)
		tab->out.late(tab->out.arg, &orphan->event_id,
			      slice_make(orphan->json, orphan->json_n));
	slice_touch(tab, &orphan->item.id);
	orphan_remove(tab, orphan);
}

void orphans_give_up(struct calltab *tab, struct orphan *first)
{
	for (uint32_t next = first->item.handle; next;) {
		struct orphan *orphan = as_orphan(tab->items[next]);

		next = orphan->next;
		give_up(tab, orphan);
	}
}

/* ---- facts ---- */

static bool take_min(int64_t *kept, int64_t ms)
{
	bool changes = *kept == TIME_NONE || ms < *kept;

	if (changes)
		*kept = ms;
	return changes;
}

static bool take_max(int64_t *kept, int64_t ms)
{
	bool changes = *kept == TIME_NONE || ms > *kept;

	if (changes)
		*kept = ms;
	return changes;
}

/* The timers count every arrival, of repetitions too: none of them is silence. */
static bool note_arrival(struct call *call, enum callev_kind kind, int64_t append_ms)
{
	bool changes = take_max(&call->last_ms, append_ms);

	if (call->item.closed_by != CLOSED_NOT)
		return changes;
	switch (kind) {
	case CALLEV_CALL_ENDED:
		return take_min(&call->open.end_ms, append_ms) || changes;
	case CALLEV_CALL_LOST:
		return take_min(&call->open.lost_ms, append_ms) || changes;
	case CALLEV_TALK_ENDED:
		return take_max(&call->open.talk_end_ms, append_ms) || changes;
	case CALLEV_LEG_ENDED:
		return take_max(&call->open.leg_end_ms, append_ms) || changes;
	default:
		return changes;
	}
}

static int read_flags(struct calltab *tab, struct call *call)
{
	int err = facts_decode(&tab->facts, &call->facts, account_name(tab, call->account));

	if (!err)
		call->item.flags = facts_flags(tab->facts.events, call->facts.n);
	return err;
}

/* The flags of an open call after one more event. Who talks is read when a timer asks for it. */
static void update_flags(struct call *call, const struct callev *ev)
{
	switch (ev->kind) {
	case CALLEV_CALL_ENDED:
		call->item.flags |= CALL_HAS_END;
		break;
	case CALLEV_CALL_LOST:
		call->item.flags |= CALL_HAS_LOST;
		break;
	case CALLEV_LEG_RINGING:
	case CALLEV_LEG_ANSWERED:
	case CALLEV_LEG_HELD:
	case CALLEV_LEG_RESUMED:
	case CALLEV_LEG_ENDED:
		call->item.flags |= source_has_summary(ev->source) ? CALL_UNREAD : 0;
		break;
	case CALLEV_TALK_STARTED:
	case CALLEV_TALK_ENDED:
		call->item.flags |= CALL_UNREAD;
		break;
	default:
		break;
	}
}

/* Of two tellings of one event the one that counts (rules.md 1.1): smaller received_at, at, bytes.
 */
static bool counts_before(struct calltab *tab, const struct callev *a, const struct callev *b)
{
	struct callev bare_a = *a, bare_b = *b;

	if (a->received_at_ms != b->received_at_ms)
		return a->received_at_ms < b->received_at_ms;
	if (callev_time(a) != callev_time(b))
		return callev_time(a) < callev_time(b);
	bare_a.raw.present = bare_b.raw.present = false;
	buf_reset(&tab->text_a);
	buf_reset(&tab->text_b);
	callev_write(&tab->text_a, &bare_a);
	callev_write(&tab->text_b, &bare_b);
	return slice_cmp(buf_slice(&tab->text_a), buf_slice(&tab->text_b)) < 0;
}

static struct callev *find_event(struct calltab *tab, const struct call *call,
				 const struct uuid *id)
{
	for (size_t i = 0; i < call->facts.n; i++) {
		if (uuid_eq(&tab->facts.events[i].id, id))
			return &tab->facts.events[i];
	}
	return NULL;
}

/* An event that is there already. CALLTAB_SAME, CALLTAB_CHANGED (it replaced the other) or -E. */
static int repeat(struct calltab *tab, struct call **call, const struct callev *ev,
		  const struct fact_key *kept)
{
	struct callev *there;
	int err;

	if (ev->received_at_ms > kept->received_ms)
		return CALLTAB_SAME;
	err = facts_decode(&tab->facts, &(*call)->facts, account_name(tab, (*call)->account));
	if (err)
		return err;
	there = find_event(tab, *call, &ev->id);
	if (!there || !counts_before(tab, ev, there))
		return CALLTAB_SAME;
	facts_replace(&tab->facts, there, ev);
	err = call_rebuild(tab, call);
	if (!err && (*call)->item.closed_by == CLOSED_NOT)
		err = read_flags(tab, *call);
	return err ? err : CALLTAB_CHANGED;
}

/* One more event into a call of the table, which may move. */
static int add_fact(struct calltab *tab, struct call **call, const struct callev *ev)
{
	struct fact_key key = fact_key_of(ev), kept, last = { .seq = 0 };
	int room;

	if (facts_find(&(*call)->facts, &ev->id, &kept, &last))
		return repeat(tab, call, ev, &kept);
	room = facts_encode(&tab->facts, &(*call)->facts, ev);
	if (room < 0)
		return room;
	if (call_grow(tab, call, (size_t)room))
		return -ENOMEM;
	facts_take(&tab->facts, &(*call)->facts, &key, &last);
	if ((*call)->item.closed_by == CLOSED_NOT)
		update_flags(*call, ev);
	return CALLTAB_CHANGED;
}

static bool closes_at_once(const struct calltab *tab, const struct call *call)
{
	return tab->cfg.end_at_once && call->item.closed_by == CLOSED_NOT &&
	       call->item.flags & CALL_HAS_END;
}

/* What follows a change: the next revision of a closed call, another deadline. */
static int settle(struct calltab *tab, struct call *call, int64_t now_ms)
{
	int err = 0;

	if (closes_at_once(tab, call))
		err = call_close(tab, call, CLOSED_BY_END, now_ms);
	else if (call->item.closed_by != CLOSED_NOT)
		err = refold(tab, call, now_ms);
	item_arm(tab, &call->item);
	return err;
}

static int apply_known(struct calltab *tab, struct call *call, const struct callev *ev,
		       int64_t append_ms)
{
	int change = add_fact(tab, &call, ev), err;

	if (change < 0)
		return change;
	if (note_arrival(call, ev->kind, append_ms) || change == CALLTAB_CHANGED)
		slice_touch(tab, &call->item.id);
	if (change == CALLTAB_SAME) {
		item_arm(tab, &call->item);
		return change;
	}
	err = settle(tab, call, append_ms);
	return err ? err : change;
}

/* ---- opening ---- */

/* What waited for the call comes into it; what does not fit any more is told as late. */
static int take_orphans(struct calltab *tab, struct orphan *first, struct call **call)
{
	for (uint32_t next = first->item.handle; next;) {
		struct orphan *orphan = as_orphan(tab->items[next]);
		struct parse_error error;
		struct callev ev;
		int err = callev_parse(tab->parser, slice_make(orphan->json, orphan->json_n), &ev,
				       &error);

		next = orphan->next;
		if (!err)
			err = add_fact(tab, call, &ev);
		if (err == -ENOMEM)
			return err;
		if (err < 0) {
			give_up(tab, orphan);
			continue;
		}
		note_arrival(*call, ev.kind, orphan->append_ms);
		orphan_remove(tab, orphan);
	}
	return 0;
}

/* What a short call needs; a longer one grows once or twice. */
#define FACTS_ROOM_FIRST 256u

/* The call with its first event, not in the table yet. */
static int first_fact(struct calltab *tab, const struct uuid *id, const struct callev *ev,
		      struct call **ret)
{
	struct fact_key key = fact_key_of(ev);
	struct call *call;
	int room;

	if (ev->call_session_id.n + ev->account.n > FACTS_BYTES_MAX / 2)
		return -ENOSPC;
	call = call_new(tab, id, FACTS_BEGIN_ROOM(ev->call_session_id.n) + FACTS_ROOM_FIRST);
	if (!call)
		return -ENOMEM;
	facts_begin(&call->facts, ev->call_session_id);
	room = facts_encode(&tab->facts, &call->facts, ev);
	if (room >= 0)
		room = call_grow(tab, &call, (size_t)room);
	if (room >= 0)
		room = account_ref(tab, ev->account, &call->account);
	if (room < 0) {
		call_free(tab, call);
		return room;
	}
	facts_take(&tab->facts, &call->facts, &key, &key);
	*ret = call;
	return 0;
}

/* orphans: NULL, or those that wait for this call. */
static int open_call(struct calltab *tab, const struct uuid *id, const struct callev *ev,
		     int64_t append_ms, struct orphan *orphans)
{
	struct call *call;
	int err = first_fact(tab, id, ev, &call);

	if (err)
		return err;
	note_arrival(call, ev->kind, append_ms);
	update_flags(call, ev);
	if (orphans)
		err = take_orphans(tab, orphans, &call);
	if (!err)
		err = call_add(tab, call);
	if (err) {
		account_unref(tab, call->account);
		call_free(tab, call);
		return err;
	}
	slice_touch(tab, id);
	err = settle(tab, call, append_ms);
	return err ? err : CALLTAB_OPENED;
}

/* ---- orphans ---- */

static int new_orphan(struct calltab *tab, const struct uuid *id, const struct callev *ev,
		      int64_t append_ms, struct slice json)
{
	struct orphan *orphan;
	int err;

	if (json.n > UINT32_MAX / 2)
		return -ENOSPC;
	orphan = calloc(1, sizeof(*orphan) + json.n);
	if (!orphan)
		return -ENOMEM;
	orphan->item.id = *id;
	orphan->event_id = ev->id;
	orphan->append_ms = append_ms;
	orphan->json_n = (uint32_t)json.n;
	if (json.n)
		memcpy(orphan->json, json.p, json.n);
	err = orphan_add(tab, orphan);
	if (err) {
		free(orphan);
		return err;
	}
	slice_touch(tab, id);
	return CALLTAB_ORPHAN;
}

/* The same event waits already: of the two the one that counts stays, as long as the older may. */
static int repeat_orphan(struct calltab *tab, struct orphan *there, const struct callev *ev,
			 int64_t append_ms, struct slice json)
{
	struct uuid id = there->item.id;
	struct parse_error error;
	struct callev kept;
	int err = callev_parse(tab->parser, slice_make(there->json, there->json_n), &kept, &error);

	if (err == -ENOMEM)
		return err;
	append_ms = MIN(append_ms, there->append_ms);
	if (!err && !counts_before(tab, ev, &kept)) {
		if (append_ms < there->append_ms) {
			there->append_ms = append_ms;
			item_arm(tab, &there->item);
			slice_touch(tab, &id);
		}
		return CALLTAB_SAME;
	}
	orphan_remove(tab, there);
	return new_orphan(tab, &id, ev, append_ms, json);
}

static int apply_orphan(struct calltab *tab, const struct uuid *id, const struct callev *ev,
			int64_t append_ms, struct slice json)
{
	struct item *item = item_find(tab, id);
	unsigned n = 0;

	for (uint32_t next = item ? item->handle : 0; next; n++) {
		struct orphan *orphan = as_orphan(tab->items[next]);

		if (uuid_eq(&orphan->event_id, &ev->id))
			return repeat_orphan(tab, orphan, ev, append_ms, json);
		next = orphan->next;
	}
	return n < FACTS_MAX ? new_orphan(tab, id, ev, append_ms, json) : -ENOSPC;
}

/* ---- the header's functions ---- */

/* By the id of the call, then of the event. */
static int tie(const void *arg, uint32_t a, uint32_t b)
{
	const struct calltab *tab = arg;
	struct item *x = tab->items[a], *y = tab->items[b];
	int order = uuid_cmp(&x->id, &y->id);

	if (order || !x->orphan || !y->orphan)
		return order;
	return uuid_cmp(&as_orphan(x)->event_id, &as_orphan(y)->event_id);
}

int calltab_new(const struct calltab_cfg *cfg, struct closed_index *closed,
		const struct calltab_out *out, struct calltab **ret)
{
	struct calltab *tab = calloc(1, sizeof(*tab));

	if (!tab)
		return -ENOMEM;
	tab->cfg = *cfg;
	tab->closed = closed;
	tab->out = *out;
	tab->output_on = true;
	tab->timers.tie = tie;
	tab->timers.arg = tab;
	tab->folder = folder_new();
	tab->parser = callev_parser_new();
	if (!tab->folder || !tab->parser) {
		calltab_free(tab);
		return -ENOMEM;
	}
	*ret = tab;
	return 0;
}

static void free_items(struct calltab *tab)
{
	for (uint32_t i = 1; i < tab->items_n; i++) {
		if (tab->items[i] && !tab->items[i]->orphan)
			call_free(tab, as_call(tab->items[i]));
		else
			free(tab->items[i]);
	}
	blocks_fini(&tab->blocks);
	for (uint32_t i = 1; i < tab->accounts_n; i++)
		free(tab->accounts[i]);
	for (unsigned i = 0; i < CALLTAB_SLICES; i++) {
		map_fini(&tab->sessions[i]);
		map_fini(&tab->slices[i].by_id);
	}
	map_fini(&tab->accounts_by_name);
	free(tab->items);
	free(tab->spare);
	free(tab->accounts);
	free(tab->accounts_spare);
}

void calltab_free(struct calltab *tab)
{
	if (!tab)
		return;
	free_items(tab);
	timers_fini(&tab->timers);
	victims_fini(&tab->silent);
	victims_fini(&tab->oldest);
	folder_free(tab->folder);
	callev_parser_free(tab->parser);
	facts_scratch_fini(&tab->facts);
	buf_fini(&tab->json);
	buf_fini(&tab->packed);
	buf_fini(&tab->text_a);
	buf_fini(&tab->text_b);
	free(tab->held);
	free(tab);
}

void calltab_set_cfg(struct calltab *tab, const struct calltab_cfg *cfg)
{
	tab->cfg = *cfg;
	accounts_set_cfg(tab);
	for (uint32_t i = 1; i < tab->items_n; i++) {
		struct item *item = tab->items[i];

		if (!item)
			continue;
		item->key_ms = item_due(tab, item);
		timers_move(&tab->timers, i, item->key_ms);
	}
}

void calltab_set_output(struct calltab *tab, bool on)
{
	tab->output_on = on;
}

/* rules.md 1.5: later than the index can tell whether its call had left. */
static bool too_old(const struct calltab *tab, const struct callev *ev, int64_t append_ms)
{
	if (tab->cfg.no_age_limit || ev->at_ms == TIME_NONE || ev->received_at_ms == TIME_NONE)
		return false;
	return ev->received_at_ms - ev->at_ms > closed_covers_ms(tab->closed, append_ms);
}

int calltab_apply(struct calltab *tab, const struct callev *ev, int64_t append_ms,
		  struct slice json)
{
	struct call *call;
	struct item *item;
	struct uuid id;

	if (!ev->account.n || !ev->call_session_id.n || callev_time(ev) == TIME_NONE)
		return -EINVAL;
	call = call_find(tab, ev->account, ev->call_session_id);
	if (call) {
		if (slice_masked(tab, &call->item.id))
			return CALLTAB_MASKED;
		return apply_known(tab, call, ev, append_ms);
	}
	uuid_of_call(ev->account, ev->call_session_id, &id);
	if (slice_masked(tab, &id))
		return CALLTAB_MASKED;
	if ((closed_has(tab->closed, &id) && !BROKEN(closed_forgotten)) ||
	    too_old(tab, ev, append_ms))
		return CALLTAB_LATE;
	if (!callev_is_call_fact(ev->kind))
		return apply_orphan(tab, &id, ev, append_ms, json);
	item = tab->counts.orphans ? item_find(tab, &id) : NULL;
	return open_call(tab, &id, ev, append_ms, item ? as_orphan(item) : NULL);
}

/* How far before its turn an item's address, its head, and the rest are fetched. */
#define AHEAD_ADDRESS 12u
#define AHEAD_HEAD    8u
#define AHEAD_REST    4u

static struct item *item_ahead(const struct calltab *tab, size_t by)
{
	const struct ahead *a = &tab->ahead;

	return a->at + by < a->n ? tab->items[a->v[a->at + by].handle] : NULL;
}

static void fetch_rest(const struct calltab *tab, const struct item *item)
{
	const struct call *call = (const struct call *)(const void *)item;

	if (!item || item->orphan)
		return;
	if (item->flags & CALL_COMPLETE) /* it leaves */
		call_fetch_places(tab, call);
	else
		call_fetch_facts(call);
}

/* One more timer has had its turn. Nothing here is needed, and an item may be gone by then. */
static void fetch_ahead(struct calltab *tab)
{
	struct ahead *a = &tab->ahead;
	const struct item *item;

	if (a->at + AHEAD_ADDRESS < a->n) {
		uint32_t handle = a->v[a->at + AHEAD_ADDRESS].handle;

		__builtin_prefetch(&tab->items[handle]);
		__builtin_prefetch(&tab->timers.at[handle], 1);
	}
	item = item_ahead(tab, AHEAD_HEAD);
	if (item)
		call_fetch_head(item);
	fetch_rest(tab, item_ahead(tab, AHEAD_REST));
	a->at += a->at < a->n;
}

static void look_ahead(struct calltab *tab, int64_t now_ms)
{
	struct ahead *a = &tab->ahead;

	if (a->at < a->n)
		return;
	a->at = 0;
	a->n = timers_due(&tab->timers, now_ms, a->v, AHEAD_MAX);
	for (size_t i = 0; i < MIN(a->n, AHEAD_ADDRESS); i++)
		__builtin_prefetch(&tab->items[a->v[i].handle]);
	for (size_t i = 0; i < AHEAD_HEAD; i++) {
		const struct item *item = item_ahead(tab, i);

		if (item)
			call_fetch_head(item);
	}
	for (size_t i = 0; i < AHEAD_REST; i++)
		fetch_rest(tab, item_ahead(tab, i));
}

static bool must_read(const struct item *item)
{
	return !item->orphan && item->closed_by == CLOSED_NOT && item->flags & CALL_UNREAD &&
	       !(item->flags & CALL_HAS_END);
}

/* The first timer with its real deadline; NULL when none runs. */
static struct item *first_due(struct calltab *tab)
{
	struct timers *t = &tab->timers;
	uint32_t handle;

	while ((handle = timers_first(t))) {
		struct item *item = tab->items[handle];
		int64_t due_ms = item_due(tab, item);

		fetch_ahead(tab);
		if (due_ms <= item->key_ms && !must_read(item))
			return item;
		if (due_ms <= item->key_ms && read_flags(tab, as_call(item)))
			return item; /* without memory: whoever runs it will find out */
		due_ms = item_due(tab, item);
		item->key_ms = due_ms;
		timers_move(t, item->handle, due_ms);
	}
	return NULL;
}

int64_t calltab_next_due(struct calltab *tab)
{
	const struct item *item = first_due(tab);

	return item ? item->key_ms : INT64_MAX;
}

/* Out of the way of this tick: its slice was loaded from a later commit. */
static int hold(struct calltab *tab, struct item *item)
{
	if (tab->held_n == tab->held_cap) {
		size_t cap = tab->held_cap ? tab->held_cap * 2 : 64;
		uint32_t *held = realloc(tab->held, cap * sizeof(*held));

		if (!held)
			return -ENOMEM;
		tab->held = held;
		tab->held_cap = cap;
	}
	tab->held[tab->held_n++] = item->handle;
	timers_move(&tab->timers, item->handle, INT64_MAX);
	item->key_ms = INT64_MAX;
	return 0;
}

static void release(struct calltab *tab)
{
	while (tab->held_n)
		item_arm(tab, tab->items[tab->held[--tab->held_n]]);
}

static int run_due(struct calltab *tab, struct item *item, int64_t now_ms)
{
	uint32_t handle = item->handle;
	int err;

	if (slice_masked(tab, &item->id))
		return hold(tab, item);
	if (item->orphan) {
		give_up(tab, as_orphan(item));
		return 0;
	}
	err = step(tab, as_call(item), now_ms);
	if (tab->items[handle]) {
		item->key_ms = item_due(tab, item);
		timers_move(&tab->timers, handle, item->key_ms);
	}
	return err;
}

int calltab_tick(struct calltab *tab, int64_t now_ms)
{
	int err = 0;

	closed_expire(tab->closed, now_ms);
	timers_advance(&tab->timers, now_ms);
	while (!err) {
		struct item *item;

		look_ahead(tab, now_ms);
		item = first_due(tab);
		if (!item || item->key_ms > now_ms || item->key_ms == INT64_MAX)
			break;
		err = run_due(tab, item, now_ms);
	}
	tab->ahead.n = tab->ahead.at = 0;
	release(tab);
	return err;
}

void calltab_begin_commit(struct calltab *tab, uint64_t n)
{
	tab->commit = n;
}

bool calltab_slice_dirty(const struct calltab *tab, unsigned slice)
{
	return tab->slices[slice].dirty;
}

size_t calltab_slices_dirty(const struct calltab *tab)
{
	return tab->slices_dirty;
}

uint64_t calltab_slice_n(const struct calltab *tab, unsigned slice)
{
	return tab->slices[slice].n;
}

void calltab_counts(const struct calltab *tab, struct calltab_counts *ret)
{
	*ret = tab->counts;
	ret->bytes += tab->blocks.spare_bytes +
		      tab->items_cap * (sizeof(struct item *) + sizeof(uint32_t)) +
		      timers_bytes(&tab->timers) + sizeof(*tab);
	for (unsigned i = 0; i < CALLTAB_SLICES; i++)
		ret->bytes += map_bytes(&tab->sessions[i]) + map_bytes(&tab->slices[i].by_id);
}
