#include <errno.h>
#include <stdlib.h>

#include "base/broken.h"
#include "call/calltab_priv.h"
#include "call/text.h"

/* ---- accounts ---- */

static uint32_t name_tag(struct slice name)
{
	return (uint32_t)text_hash(name, 0);
}

uint32_t account_find(const struct calltab *tab, struct slice name)
{
	uint32_t tag, at, account = tab->account_latest;

	if (account && text_eq(account_name(tab, account), name))
		return account;
	tag = name_tag(name);
	at = map_first(&tab->accounts_by_name, tag);
	while ((account = (uint32_t)map_next(&tab->accounts_by_name, tag, &at))) {
		if (text_eq(account_name(tab, account), name))
			return account;
	}
	return 0;
}

static void account_set_cfg(const struct calltab *tab, struct account *account)
{
	const struct cfg *cfg = tab->cfg.cfg;
	const struct cfg_account *known = cfg_account(cfg,
						      slice_make(account->name, account->name_n));

	account->closers = known ? &known->closers : &cfg->correlate.closers;
	account->recordings = known ? known->recordings : CFG_RECORDINGS_ANNOUNCED;
}

void accounts_set_cfg(struct calltab *tab)
{
	for (uint32_t i = 1; i < tab->accounts_n; i++) {
		if (tab->accounts[i])
			account_set_cfg(tab, tab->accounts[i]);
	}
}

static int accounts_reserve(struct calltab *tab)
{
	uint32_t cap = tab->accounts_cap ? tab->accounts_cap * 2 : 16;
	struct account **accounts;
	uint32_t *spare;

	if (tab->accounts_spare_n || tab->accounts_n < tab->accounts_cap)
		return 0;
	accounts = realloc(tab->accounts, cap * sizeof(struct account *));
	if (!accounts)
		return -ENOMEM;
	tab->accounts = accounts;
	spare = realloc(tab->accounts_spare, cap * sizeof(*spare));
	if (!spare)
		return -ENOMEM;
	tab->accounts_spare = spare;
	tab->accounts_cap = cap;
	if (tab->accounts_n == 0)
		tab->accounts[tab->accounts_n++] = NULL;
	return 0;
}

static int account_new(struct calltab *tab, struct slice name, uint32_t *ret)
{
	struct account *account = calloc(1, sizeof(*account) + name.n);
	uint32_t index;

	if (!account)
		return -ENOMEM;
	account->tag = name_tag(name);
	account->name_n = name.n;
	memcpy(account->name, name.p, name.n);
	account_set_cfg(tab, account);
	index = tab->accounts_spare_n ? tab->accounts_spare[tab->accounts_spare_n - 1]
				      : tab->accounts_n;
	if (map_add(&tab->accounts_by_name, account->tag, index)) {
		free(account);
		return -ENOMEM;
	}
	if (tab->accounts_spare_n)
		tab->accounts_spare_n--;
	else
		tab->accounts_n++;
	tab->accounts[index] = account;
	*ret = index;
	return 0;
}

int account_ref(struct calltab *tab, struct slice name, uint32_t *ret)
{
	uint32_t account = account_find(tab, name);
	int err = 0;

	if (!account)
		err = accounts_reserve(tab);
	if (!account && !err)
		err = account_new(tab, name, &account);
	if (err)
		return err;
	tab->accounts[account]->refs++;
	tab->account_latest = account;
	*ret = account;
	return 0;
}

void account_unref(struct calltab *tab, uint32_t account)
{
	struct account *a = tab->accounts[account];

	if (--a->refs > 0)
		return;
	map_remove(&tab->accounts_by_name, a->tag, account);
	if (tab->account_latest == account)
		tab->account_latest = 0;
	tab->accounts[account] = NULL;
	tab->accounts_spare[tab->accounts_spare_n++] = account;
	free(a);
}

/* ---- finding ---- */

/* Where a call of this account and session is found: a map and a tag in it. In memory alone. */
struct place {
	unsigned map;
	uint32_t tag;
};

static inline struct place session_place(struct slice account, struct slice session)
{
	uint64_t hash = text_hash(session, text_hash(account, 0));

	return (struct place){ hash % CALLTAB_SLICES, (uint32_t)(hash >> 32) };
}

static struct place call_place(const struct calltab *tab, const struct call *call)
{
	return session_place(account_name(tab, call->account), facts_session(&call->facts));
}

/* Calls lie where malloc put them: 16 bytes apart. */
static uint64_t call_value(const struct call *call)
{
	return (uint64_t)(uintptr_t)call >> 4;
}

static struct call *call_of(uint64_t value)
{
	return (struct call *)(uintptr_t)(value << 4);
}

static uint32_t id_tag(const struct uuid *call_id)
{
	uint32_t tag;

	memcpy(&tag, call_id->b, sizeof(tag));
	return tag;
}

unsigned calltab_slice_of(const struct uuid *call_id)
{
	return (unsigned)(call_id->b[14] | call_id->b[15] << 8) % CALLTAB_SLICES;
}

struct call *call_find(const struct calltab *tab, struct slice account, struct slice session)
{
	struct place place = session_place(account, session);
	const struct map *map = &tab->sessions[place.map];
	uint32_t at = map_first(map, place.tag);
	uint64_t value;

	while ((value = map_next(map, place.tag, &at))) {
		struct call *call = call_of(value);

		if (facts_is_session(&call->facts, session) &&
		    text_eq(account_name(tab, call->account), account))
			return call;
	}
	return NULL;
}

static void map_fetch(const struct map *map, uint32_t tag)
{
	if (map->slots)
		__builtin_prefetch(&map->slots[map_first(map, tag)], 1);
}

void calltab_prefetch(const struct calltab *tab, const struct callev *events, size_t n)
{
	struct place places[CALLTAB_BATCH];
	const struct call *calls[CALLTAB_BATCH];
	size_t calls_n = 0;

	n = MIN(n, CALLTAB_BATCH);
	for (size_t i = 0; i < n; i++) {
		places[i] = session_place(events[i].account, events[i].call_session_id);
		map_fetch(&tab->sessions[places[i].map], places[i].tag);
	}
	for (size_t i = 0; i < n; i++) {
		const struct map *map = &tab->sessions[places[i].map];
		uint32_t at = map_first(map, places[i].tag);
		uint64_t value = map_next(map, places[i].tag, &at);

		if (!value)
			continue;
		calls[calls_n] = call_of(value);
		call_fetch_head(calls[calls_n++]);
	}
	for (size_t i = 0; i < calls_n; i++)
		call_fetch_facts(calls[i]);
}

struct item *item_find(const struct calltab *tab, const struct uuid *call_id)
{
	const struct map *map = &tab->slices[calltab_slice_of(call_id)].by_id;
	uint32_t tag = id_tag(call_id), at, handle;

	for (at = map_first(map, tag); (handle = (uint32_t)map_next(map, tag, &at));) {
		if (uuid_eq(&tab->items[handle]->id, call_id))
			return tab->items[handle];
	}
	return NULL;
}

void call_fetch_places(const struct calltab *tab, const struct call *call)
{
	struct place place = call_place(tab, call);
	const struct uuid *id = &call->item.id;

	map_fetch(&tab->sessions[place.map], place.tag);
	map_fetch(&tab->slices[calltab_slice_of(id)].by_id, id_tag(id));
	closed_fetch(tab->closed, id);
}

/* ---- slices ---- */

void slice_touch(struct calltab *tab, const struct uuid *call_id)
{
	struct slice_of_table *slice = &tab->slices[calltab_slice_of(call_id)];

	if (!slice->dirty) {
		slice->dirty = true;
		tab->slices_dirty++;
	}
}

bool slice_masked(const struct calltab *tab, const struct uuid *call_id)
{
	return !BROKEN(unmasked) && tab->commit && tab->commit <= tab->masked_until &&
	       tab->slices[calltab_slice_of(call_id)].n >= tab->commit;
}

/* ---- handles ---- */

static int items_reserve(struct calltab *tab)
{
	uint32_t cap = tab->items_cap ? tab->items_cap + tab->items_cap / 2 : 1024;
	struct item **items;
	uint32_t *spare;

	if (tab->spare_n || tab->items_n < tab->items_cap)
		return 0;
	items = realloc(tab->items, cap * sizeof(struct item *));
	if (!items)
		return -ENOMEM;
	tab->items = items;
	spare = realloc(tab->spare, cap * sizeof(*spare));
	if (!spare)
		return -ENOMEM;
	tab->spare = spare;
	if (timers_reserve(&tab->timers, cap))
		return -ENOMEM;
	tab->items_cap = cap;
	if (tab->items_n == 0)
		tab->items[tab->items_n++] = NULL;
	return 0;
}

/* The first bytes of an id in its order. */
static uint32_t id_rank(const struct uuid *id)
{
	return (uint32_t)id->b[0] << 24 | (uint32_t)id->b[1] << 16 | (uint32_t)id->b[2] << 8 |
	       id->b[3];
}

/* The memory has been reserved. */
static void item_enter(struct calltab *tab, struct item *item)
{
	item->handle = tab->spare_n ? tab->spare[--tab->spare_n] : tab->items_n++;
	tab->items[item->handle] = item;
	item->key_ms = item_due(tab, item);
	timers_add(&tab->timers, item->handle, id_rank(&item->id), item->key_ms);
}

/* The memory stays the caller's. */
static void item_forget(struct calltab *tab, struct item *item)
{
	timers_remove(&tab->timers, item->handle);
	tab->items[item->handle] = NULL;
	tab->spare[tab->spare_n++] = item->handle;
}

void item_arm(struct calltab *tab, struct item *item)
{
	int64_t due_ms = item_due(tab, item);

	if (due_ms < item->key_ms) {
		item->key_ms = due_ms;
		timers_move(&tab->timers, item->handle, due_ms);
	}
}

static int id_add(struct calltab *tab, const struct item *item)
{
	return map_add(&tab->slices[calltab_slice_of(&item->id)].by_id, id_tag(&item->id),
		       item->handle);
}

static void id_remove(struct calltab *tab, const struct item *item)
{
	map_remove(&tab->slices[calltab_slice_of(&item->id)].by_id, id_tag(&item->id),
		   item->handle);
}

/* ---- calls ---- */

size_t call_bytes(const struct call *call)
{
	return sizeof(*call) + call->facts.cap + 8;
}

void call_free(struct calltab *tab, struct call *call)
{
	block_give(&tab->blocks, call, sizeof(*call) + call->facts.cap);
}

struct call *call_new(struct calltab *tab, const struct uuid *id, size_t room)
{
	size_t size = block_size(sizeof(struct call) + room);
	struct call *call = block_take(&tab->blocks, size);

	if (!call)
		return NULL;
	memset(call, 0, sizeof(*call));
	call->item.id = *id;
	call->last_ms = TIME_NONE;
	call->open = (struct call_open){ TIME_NONE, TIME_NONE, TIME_NONE, TIME_NONE };
	call->facts.cap = (uint32_t)(size - sizeof(*call));
	return call;
}

static void count_call(struct calltab *tab, const struct call *call, bool comes)
{
	uint64_t *count = call->item.closed_by == CLOSED_NOT ? &tab->counts.open
							     : &tab->counts.remembered;

	*count += comes ? 1 : UINT64_MAX;
	tab->counts.bytes += comes ? call_bytes(call) : -(uint64_t)call_bytes(call);
}

int call_add(struct calltab *tab, struct call *call)
{
	struct place place = call_place(tab, call);
	struct map *map = &tab->sessions[place.map];
	int err = items_reserve(tab);

	if (err)
		return err;
	item_enter(tab, &call->item);
	err = map_add(map, place.tag, call_value(call));
	if (!err) {
		err = id_add(tab, &call->item);
		if (err)
			map_remove(map, place.tag, call_value(call));
	}
	if (err) {
		item_forget(tab, &call->item);
		return err;
	}
	count_call(tab, call, true);
	victims_note(&tab->silent, call->last_ms);
	return 0;
}

void call_remove(struct calltab *tab, struct call *call)
{
	struct place place = call_place(tab, call);

	count_call(tab, call, false);
	map_remove(&tab->sessions[place.map], place.tag, call_value(call));
	id_remove(tab, &call->item);
	account_unref(tab, call->account);
	item_forget(tab, &call->item);
	call_free(tab, call);
}

/* A call that has grown, or is written anew, takes the old one's place. */
static void moved(struct calltab *tab, struct call *call, const struct call *old)
{
	struct place place;

	if (!call->item.handle)
		return;
	tab->counts.bytes += call_bytes(call) - call_bytes(old);
	tab->items[call->item.handle] = &call->item;
	place = call_place(tab, call);
	map_replace(&tab->sessions[place.map], place.tag, call_value(old), call_value(call));
}

int call_grow(struct calltab *tab, struct call **call, size_t room)
{
	struct call *old = *call, *bigger;
	size_t used = sizeof(*old) + old->facts.stream_n;

	if (room <= old->facts.cap)
		return 0;
	/* With something to spare for the next fact. */
	bigger = call_new(tab, &old->item.id, room + room / 4);
	if (!bigger)
		return -ENOMEM;
	room = bigger->facts.cap;
	memcpy(bigger, old, used);
	bigger->facts.cap = (uint32_t)room;
	moved(tab, bigger, old);
	*call = bigger;
	call_free(tab, old);
	return 0;
}

static int write_events(struct calltab *tab, struct call **call, size_t n)
{
	struct facts_scratch *s = &tab->facts;
	struct fact_key last = { .seq = 0 };

	for (size_t i = 0; i < n; i++) {
		struct fact_key key = fact_key_of(&s->events[i]);
		int room = facts_encode(s, &(*call)->facts, &s->events[i]);
		int err = room < 0 ? room : call_grow(tab, call, (size_t)room);

		if (err)
			return err;
		facts_take(s, &(*call)->facts, &key, &last);
		last = key;
	}
	return 0;
}

int call_rebuild(struct calltab *tab, struct call **call)
{
	struct call *old = *call, *anew = call_new(tab, &old->item.id, old->facts.cap);
	int err;

	if (!anew)
		return -ENOMEM;
	*anew = *old;
	anew->item.handle = 0;
	facts_begin(&anew->facts, facts_session(&old->facts));
	err = write_events(tab, &anew, old->facts.n);
	if (err) {
		call_free(tab, anew);
		return err;
	}
	anew->item.handle = old->item.handle;
	moved(tab, anew, old);
	*call = anew;
	call_free(tab, old);
	return 0;
}

/* ---- orphans ---- */

static size_t orphan_bytes(const struct orphan *orphan)
{
	return sizeof(*orphan) + orphan->json_n + 16;
}

int orphan_add(struct calltab *tab, struct orphan *orphan)
{
	struct item *there = item_find(tab, &orphan->item.id);
	int err = items_reserve(tab);

	if (err)
		return err;
	orphan->item.orphan = true;
	orphan->next = 0;
	item_enter(tab, &orphan->item);
	if (there) {
		orphan->next = as_orphan(there)->next;
		as_orphan(there)->next = orphan->item.handle;
	} else if (id_add(tab, &orphan->item)) {
		item_forget(tab, &orphan->item);
		return -ENOMEM;
	}
	tab->counts.orphans++;
	tab->counts.bytes += orphan_bytes(orphan);
	victims_note(&tab->oldest, orphan->append_ms);
	return 0;
}

/* Takes the orphan out of its call's chain; the first one's place under the id goes on. */
static void unchain(struct calltab *tab, struct orphan *orphan)
{
	struct orphan *first = as_orphan(item_find(tab, &orphan->item.id));
	struct map *map = &tab->slices[calltab_slice_of(&orphan->item.id)].by_id;

	if (first == orphan) {
		if (orphan->next)
			map_replace(map, id_tag(&orphan->item.id), orphan->item.handle,
				    orphan->next);
		else
			id_remove(tab, &orphan->item);
		return;
	}
	while (first->next != orphan->item.handle)
		first = as_orphan(tab->items[first->next]);
	first->next = orphan->next;
}

void orphan_remove(struct calltab *tab, struct orphan *orphan)
{
	unchain(tab, orphan);
	tab->counts.orphans--;
	tab->counts.bytes -= orphan_bytes(orphan);
	item_forget(tab, &orphan->item);
	free(orphan);
}
