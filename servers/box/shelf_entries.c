/* SPDX-License-Identifier: MIT */
/*
 * shelf_entries - the entries of cache lists
 *
 * Theory of operation
 *
 * An entry of a list is one item of one sender: the key makes it, the data adds to it
 * and gives it a new number, so that a reader who has seen the first sees the second. Both
 * may come at once.
 * What says the same once more changes nothing and gives no number: requests between
 * domains may come twice.
 */
#include <stdio.h>
#include <string.h>

#include "servers/box/shelf_impl.h"

/* struct known - the entry as it is; @id 0: there is none. @moved: by another ticket: at
 * another Cache Server, or sent anew; what the ticket before led to is there no more */
struct known {
	int64_t id;
	bool same, moved;
};

static bool column_is(struct shelf *s, int column, const uint8_t *want)
{
	uint8_t has[32];

	return store_blob(s->store, ENTRY_GET, column, has, sizeof(has)) ==
		       sizeof(has) &&
	       !memcmp(has, want, sizeof(has));
}

static int entry_get(struct shelf *s, const struct shelf_exchange *x,
		     struct known *out)
{
	int column = x->kind == SHELF_KEY ? 1 : 2, r;

	memset(out, 0, sizeof(*out));
	shelf_bind_item(s, ENTRY_GET, &x->i);
	store_bind_int(s->store, ENTRY_GET, 6, x->kind == SHELF_STATUS);
	r = store_step(s->store, ENTRY_GET);
	if (r <= 0)
		return r;
	out->id = store_int(s->store, ENTRY_GET, 0);
	out->same = x->kind != SHELF_STATUS && column_is(s, column, x->hash) &&
		    column_is(s, 3, x->ticket);
	if (x->kind != SHELF_STATUS &&
	    strcmp(store_text(s->store, ENTRY_GET, 4), x->cs)) {
		/* its sender left that one for the one it is at */
		int64_t since = store_int(s->store, ENTRY_GET, 5);

		/* in a store of before that was believed as it came */
		out->same = since <= s->now && since > x->since;
	}
	out->moved = x->kind != SHELF_STATUS && !column_is(s, 3, x->ticket);
	store_reset(s->store, ENTRY_GET);
	return 0;
}

static int entry_add(struct shelf *s, const struct shelf_exchange *x,
		     int64_t expires, int64_t number)
{
	char addresses[SHELF_ADDRESSES_TEXT];
	struct store *st = s->store;
	int r = shelf_check_room(s, &x->i,
				 x->kind == SHELF_STATUS ? TALLY_STATUS
							 : TALLY_ENTRIES);

	if (r)
		return r;
	shelf_addresses_text(x->addrs, x->n_addrs, addresses);
	shelf_bind_item(s, ENTRY_ADD, &x->i);
	store_bind_int(st, ENTRY_ADD, 6, x->kind == SHELF_STATUS);
	store_bind_text(st, ENTRY_ADD, 7, shelf_account(x->i.from));
	store_bind_text(st, ENTRY_ADD, 8, x->message);
	store_bind_blob(st, ENTRY_ADD, 9, x->hash,
			x->kind == SHELF_KEY ? sizeof(x->hash) : 0);
	store_bind_blob(st, ENTRY_ADD, 10, x->whole ? x->blob : x->hash,
			x->whole || x->kind == SHELF_DATA ? sizeof(x->hash)
							  : 0);
	store_bind_int(st, ENTRY_ADD, 11,
		       x->whole || x->kind == SHELF_DATA ? (int64_t)x->size
							 : -1);
	store_bind_blob(st, ENTRY_ADD, 12, x->ticket,
			x->kind == SHELF_STATUS ? 0 : sizeof(x->ticket));
	store_bind_text(st, ENTRY_ADD, 13, x->cs);
	store_bind_text(st, ENTRY_ADD, 14, addresses);
	store_bind_int(st, ENTRY_ADD, 15, s->now);
	store_bind_int(st, ENTRY_ADD, 16, expires);
	store_bind_int(st, ENTRY_ADD, 17, number);
	store_bind_text(st, ENTRY_ADD, 18, shelf_other_domain(&x->i));
	store_bind_int(st, ENTRY_ADD, 19, x->since);
	return store_run(st, ENTRY_ADD);
}

static int entry_status(struct shelf *s, int64_t id, int64_t expires,
			int64_t number)
{
	store_bind_int(s->store, ENTRY_STATUS, 1, number);
	store_bind_int(s->store, ENTRY_STATUS, 2, s->now);
	store_bind_int(s->store, ENTRY_STATUS, 3, expires);
	store_bind_int(s->store, ENTRY_STATUS, 4, id);
	return store_run(s->store, ENTRY_STATUS);
}

static int entry_change(struct shelf *s, const struct shelf_exchange *x,
			int64_t id, int64_t expires, int64_t number)
{
	enum shelf_statement st = x->kind == SHELF_KEY ? ENTRY_KEY : ENTRY_DATA;
	char addresses[SHELF_ADDRESSES_TEXT];

	if (x->kind == SHELF_STATUS)
		return entry_status(s, id, expires, number);
	shelf_addresses_text(x->addrs, x->n_addrs, addresses);
	store_bind_blob(s->store, st, 1, x->hash, sizeof(x->hash));
	store_bind_blob(s->store, st, 2, x->ticket, sizeof(x->ticket));
	store_bind_text(s->store, st, 3, x->cs);
	store_bind_text(s->store, st, 4, addresses);
	if (x->kind == SHELF_KEY)
		store_bind_text(s->store, st, 5, x->message);
	else
		store_bind_int(s->store, st, 5, (int64_t)x->size);
	store_bind_int(s->store, st, 6, expires);
	store_bind_int(s->store, st, 7, number);
	store_bind_int(s->store, st, 8, x->since);
	store_bind_int(s->store, st, 9, id);
	return store_run(s->store, st);
}

static int entry_moved(struct shelf *s, const struct shelf_exchange *x,
		       int64_t id)
{
	enum shelf_statement st =
		x->kind == SHELF_KEY ? ENTRY_NO_DATA : ENTRY_NO_KEY;

	store_bind_int(s->store, st, 1, id);
	return store_run(s->store, st);
}

/* @added: of a whole one there was no entry before, and now there is all of it */
static int put_one(struct shelf *s, const struct shelf_exchange *said,
		   bool *added)
{
	struct shelf_exchange here = *said, *x = &here;
	int64_t expires, number;
	struct known known;
	int r = shelf_check_item(s, &x->i, &expires, &number);

	/* a CS whose clock is ahead would keep the next one's word out */
	if (x->since > s->now)
		x->since = s->now;
	if (!r)
		r = entry_get(s, x, &known);
	if (r || known.same)
		return r;
	if (known.moved)
		r = entry_moved(s, x, known.id);
	if (r)
		return r;
	*added = !known.id;
	if (known.id)
		r = entry_change(s, x, known.id, expires, number);
	else
		r = entry_add(s, x, expires, number);
	if (r)
		return r;
	store_bind_int(s->store, DEVICE_NUMBER, 1, number);
	store_bind_text(s->store, DEVICE_NUMBER, 2, x->i.to);
	r = store_run(s->store, DEVICE_NUMBER);
	return r ? r : shelf_touch(s, x->i.to);
}

int shelf_put_exchange(struct shelf *s, const struct shelf_exchange *x)
{
	struct shelf_exchange data;
	bool added = false;
	int r = put_one(s, x, &added);

	if (r || !x->whole || added)
		return r;
	data = *x;
	data.kind = SHELF_DATA;
	data.whole = false;
	memcpy(data.hash, x->blob, sizeof(data.hash));
	return put_one(s, &data, &added);
}

/* its temporal key goes with it */
int shelf_delete_entry(struct shelf *s, const char *fqdn, int64_t id)
{
	struct shelf_item i;
	bool status;
	int r;

	store_bind_int(s->store, ENTRY_FIND, 1, id);
	store_bind_text(s->store, ENTRY_FIND, 2, fqdn);
	r = store_step(s->store, ENTRY_FIND);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	snprintf(i.to, sizeof(i.to), "%s", fqdn);
#define TAKE(f, c)                                                             \
	snprintf(i.f, sizeof(i.f), "%s", store_text(s->store, ENTRY_FIND, c))
	TAKE(from, 0);
	TAKE(application, 1);
	TAKE(service, 2);
	TAKE(item, 3);
#undef TAKE
	status = store_int(s->store, ENTRY_FIND, 4);
	store_reset(s->store, ENTRY_FIND);
	store_bind_int(s->store, ENTRY_DELETE, 1, id);
	r = store_run(s->store, ENTRY_DELETE);
	if (!r && !status) {
		shelf_bind_item(s, KEY_DELETE_ITEM, &i);
		r = store_run(s->store, KEY_DELETE_ITEM);
	}
	return r ? r : shelf_touch(s, fqdn);
}
