/* SPDX-License-Identifier: MIT */
/*
 * items_write - how items of a Cache Server begin, change and end
 *
 * Theory of operation
 *
 * Whatever changes an item's state changes the account's sums in the same transaction:
 * see set_state(). What a receiver, or the sender, has to hear of a change becomes an
 * ask, which stands until its box has been told.
 */
#include <string.h>

#include "servers/cs/items_impl.h"

static int account_change(struct items *s, const char *account, int64_t bytes,
			  int n)
{
	store_bind_text(s->store, ACCOUNT_CHANGE, 1, account);
	store_bind_int(s->store, ACCOUNT_CHANGE, 2, bytes);
	store_bind_int(s->store, ACCOUNT_CHANGE, 3, n);
	return store_run(s->store, ACCOUNT_CHANGE);
}

static bool counts(enum item_state state)
{
	return state == ITEM_OPEN || state == ITEM_COMPLETE;
}

static int uncharge(struct items *s, const struct item *item)
{
	char account[FQDN_MAX + 1];
	int64_t keys;
	int r;

	if (!counts(item->state))
		return 0;
	store_bind_int(s->store, ITEM_ACCOUNT, 1, item->number);
	r = store_step(s->store, ITEM_ACCOUNT);
	if (r != 1)
		return r < 0 ? r : -NTM_ENOTFOUND;
	items_copy_text(s, ITEM_ACCOUNT, 0, account, sizeof(account));
	keys = store_int(s->store, ITEM_ACCOUNT, 1);
	store_reset(s->store, ITEM_ACCOUNT);
	return account_change(s, account, -(int64_t)item->size - keys, -1);
}

/* the one place where an item's state changes */
static int set_state(struct items *s, const struct item *item,
		     enum item_state state)
{
	int r = counts(state) ? 0 : uncharge(s, item);

	if (r)
		return r;
	store_bind_int(s->store, ITEM_STATE, 1, item->number);
	store_bind_int(s->store, ITEM_STATE, 2, state);
	r = store_run(s->store, ITEM_STATE);
	if (r || counts(state))
		return r;
	/* nobody fetches it any more */
	r = items_run_number(s, RECEIVERS_WIPE, item->number);
	if (!r && item->small)
		r = items_run_number(s, SMALL_DELETE, item->number);
	return r ? r : items_run_number(s, ASKS_DELETE, item->number);
}

static int has_room(struct items *s, const char *account, uint64_t size,
		    const struct items_limits *limits)
{
	uint64_t bytes = 0, n = 0;
	int r;

	if (size > limits->bytes)
		return -NTM_ETOOBIG;
	store_bind_text(s->store, ACCOUNT_GET, 1, account);
	r = store_step(s->store, ACCOUNT_GET);
	if (r < 0)
		return r;
	if (r == 1) {
		bytes = (uint64_t)store_int(s->store, ACCOUNT_GET, 0);
		n = (uint64_t)store_int(s->store, ACCOUNT_GET, 1);
		store_reset(s->store, ACCOUNT_GET);
	}
	if (n >= limits->n)
		return -NTM_ELIMIT;
	return bytes > limits->bytes || size > limits->bytes - bytes
		       ? -NTM_EAGAIN
		       : 0;
}

static uint64_t keys_len(const struct receiver *r, size_t n)
{
	uint64_t len = 0;

	while (n--)
		len += r[n].key_len;
	return len;
}

static int add_receiver(struct items *s, int64_t number, int64_t now,
			struct receiver *r)
{
	uint8_t ticket_hash[NTMC_HASH_LEN];

	ntmc_random(NULL, r->ticket, ITEMS_TICKET_LEN);
	ntmc_sha256(r->ticket, ITEMS_TICKET_LEN, ticket_hash);
	ntmc_sha256(r->key, r->key_len, r->key_hash);
	store_bind_int(s->store, RECEIVER_ADD, 1, number);
	store_bind_text(s->store, RECEIVER_ADD, 2, r->name);
	store_bind_int(s->store, RECEIVER_ADD, 3, now);
	store_bind_blob(s->store, RECEIVER_ADD, 4, ticket_hash,
			sizeof(ticket_hash));
	store_bind_blob(s->store, RECEIVER_ADD, 5, r->ticket, ITEMS_TICKET_LEN);
	store_bind_blob(s->store, RECEIVER_ADD, 6, r->key_hash, NTMC_HASH_LEN);
	store_bind_blob(s->store, RECEIVER_ADD, 7, r->key, r->key_len);
	return store_run(s->store, RECEIVER_ADD);
}

static int ask_add(struct items *s, int64_t number, enum ask_kind kind,
		   const char *name)
{
	store_bind_int(s->store, ASK_ADD, 1, number);
	store_bind_int(s->store, ASK_ADD, 2, kind);
	store_bind_text(s->store, ASK_ADD, 3, name);
	return store_run(s->store, ASK_ADD);
}

/* struct same - @have: receivers that are there; @found: of those asked for */
struct same {
	const struct receiver *r;
	size_t n, have, found;
	bool differs;
};

static void compare(void *arg, const struct receiver *have)
{
	struct same *c = arg;
	uint8_t hash[NTMC_HASH_LEN];

	c->have++;
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->r[i].name, have->name))
			continue;
		ntmc_sha256(c->r[i].key, c->r[i].key_len, hash);
		c->found++;
		c->differs |= memcmp(hash, have->key_hash, NTMC_HASH_LEN) != 0;
		return;
	}
	/* who has it, or refused it, is not named any more */
	c->differs |=
		have->state == RECEIVER_WAITING || have->state == RECEIVER_TOLD;
}

/* Is what is there what is asked for, or a part of it? Also of one that all have by now, as
 * an answer may be lost for so long. Return: 1 the same, 0 there are receivers more,
 * -NTM_EEXISTS, -NTM_ELIMIT, -NTM_ESTORE */
static int is_same(struct items *s, const struct item *have,
		   const struct item *item, const struct receiver *r, size_t n)
{
	struct same c = {.r = r, .n = n};
	int err = items_receivers(s, have->number, compare, &c);

	if (err)
		return err;
	if (c.differs || have->size != item->size ||
	    (!counts(have->state) && have->state != ITEM_DONE))
		return -NTM_EEXISTS;
	if (c.found == n)
		return 1;
	return c.have + n - c.found > ITEMS_RECEIVERS_MAX ? -NTM_ELIMIT : 0;
}

/* Those of @r that @item has not yet: told of what there is. Return: 2, -NTM_ESTORE */
static int grow(struct items *s, const struct item *item, const char *account,
		struct receiver *r, size_t n, int64_t now)
{
	struct receiver have;
	int64_t keys = 0;
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		err = items_receiver(s, item->number, r[i].name, &have);
		if (err != -NTM_ENOTFOUND)
			continue;
		keys += (int64_t)r[i].key_len;
		err = add_receiver(s, item->number, now, &r[i]);
		if (!err)
			err = ask_add(s, item->number, ASK_KEY, r[i].name);
		if (!err && item->state == ITEM_COMPLETE)
			err = ask_add(s, item->number, ASK_DATA, r[i].name);
	}
	if (err)
		return err;
	store_bind_int(s->store, ITEM_KEYS, 1, item->number);
	store_bind_int(s->store, ITEM_KEYS, 2, keys);
	err = store_run(s->store, ITEM_KEYS);
	if (!err)
		err = account_change(s, account, keys, 0);
	return err ? err : 2;
}

static int small_add(struct items *s, int64_t number,
		     const struct items_small *small)
{
	store_bind_int(s->store, SMALL_ADD, 1, number);
	store_bind_blob(s->store, SMALL_ADD, 2, small->data, small->len);
	return store_run(s->store, SMALL_ADD);
}

static int insert_item(struct items *s, struct item *item, const char *account,
		       uint64_t keys, const struct items_small *small)
{
	int r;

	store_bind_text(s->store, ITEM_ADD, 1, item->sender);
	store_bind_text(s->store, ITEM_ADD, 2, item->application);
	store_bind_text(s->store, ITEM_ADD, 3, item->service);
	store_bind_text(s->store, ITEM_ADD, 4, item->item);
	store_bind_text(s->store, ITEM_ADD, 5, item->message);
	store_bind_text(s->store, ITEM_ADD, 6, account);
	store_bind_int(s->store, ITEM_ADD, 7,
		       small ? ITEM_COMPLETE : ITEM_OPEN);
	store_bind_int(s->store, ITEM_ADD, 8, item->created);
	store_bind_int(s->store, ITEM_ADD, 9, item->expires);
	store_bind_int(s->store, ITEM_ADD, 10, (int64_t)item->size);
	if (small)
		store_bind_blob(s->store, ITEM_ADD, 11, small->hash,
				NTMC_HASH_LEN);
	store_bind_int(s->store, ITEM_ADD, 12, small != NULL);
	store_bind_int(s->store, ITEM_ADD, 13, (int64_t)keys);
	r = store_run(s->store, ITEM_ADD);
	if (!r)
		r = items_find(s, item->sender, item->application,
			       item->service, item->item, item);
	return !r && small ? small_add(s, item->number, small) : r;
}

static int ask_all(struct items *s, int64_t number, enum ask_kind kind)
{
	store_bind_int(s->store, ASK_ADD_ALL, 1, number);
	store_bind_int(s->store, ASK_ADD_ALL, 2, kind);
	return store_run(s->store, ASK_ADD_ALL);
}

/* The data of one that waits for it. @small: it is kept here, else it is a file */
static int complete_open(struct items *s, struct item *item,
			 const uint8_t hash[static NTMC_HASH_LEN],
			 const struct items_small *small)
{
	int r;

	store_bind_int(s->store, ITEM_HASH, 1, item->number);
	store_bind_blob(s->store, ITEM_HASH, 2, hash, NTMC_HASH_LEN);
	store_bind_int(s->store, ITEM_HASH, 3, small != NULL);
	r = store_run(s->store, ITEM_HASH);
	if (!r && small)
		r = small_add(s, item->number, small);
	if (!r)
		r = set_state(s, item, ITEM_COMPLETE);
	return r ? r : ask_all(s, item->number, ASK_DATA);
}

/* @have was there, @added: as items_add() says; its data comes again, or at last: 3.
 * Return: that, or an error */
static int data_again(struct items *s, struct item *have, int added,
		      const struct items_small *small)
{
	int r;

	if (have->state != ITEM_OPEN)
		return have->has_hash && !memcmp(have->hash, small->hash,
						 NTMC_HASH_LEN)
			       ? added
			       : -NTM_EEXISTS;
	r = complete_open(s, have, small->hash, small);
	if (!r)
		r = items_get(s, have->number, have);
	return r ? r : 3;
}

int items_add(struct items *s, struct item *item, const char *account,
	      struct receiver *r, size_t n, const struct items_small *small,
	      const struct items_limits *limits)
{
	uint64_t keys = keys_len(r, n);
	struct item have;
	int err = items_find(s, item->sender, item->application, item->service,
			     item->item, &have);

	if (!err && have.state == ITEM_LOST) {
		/* its data is gone: what is sent again takes its place */
		err = items_forget(s, have.number);
	} else if (!err) {
		err = is_same(s, &have, item, r, n);
		if (!err && limits->closed)
			return -NTM_EOFFLINE;
		if (!err && counts(have.state))
			err = grow(s, &have, account, r, n, item->created);
		if (err > 0 && small)
			err = data_again(s, &have, err, small);
		if (err > 0)
			*item = have;
		if (err)
			return err;
		/* all others have it, and the data is gone: from the beginning */
		err = items_forget(s, have.number);
	} else if (err == -NTM_ENOTFOUND) {
		err = 0;
	}
	if (err)
		return err;
	err = limits->closed ? -NTM_EOFFLINE
			     : has_room(s, account, item->size + keys, limits);
	if (!err)
		err = insert_item(s, item, account, keys, small);
	for (size_t i = 0; !err && i < n; i++)
		err = add_receiver(s, item->number, item->created, &r[i]);
	if (!err)
		err = ask_all(s, item->number, ASK_KEY);
	if (!err && small)
		err = ask_all(s, item->number, ASK_DATA);
	return err ? err
		   : account_change(s, account, (int64_t)(item->size + keys),
				    1);
}

int items_complete(struct items *s, int64_t number,
		   const uint8_t hash[static NTMC_HASH_LEN])
{
	struct item item;
	int r = items_get(s, number, &item);

	if (r)
		return r;
	if (item.state != ITEM_OPEN)
		return item.has_hash && !memcmp(item.hash, hash, NTMC_HASH_LEN)
			       ? 0
			       : -NTM_ESTATE;
	return complete_open(s, &item, hash, NULL);
}

static int end_item(struct items *s, int64_t number, enum item_state state)
{
	struct item item;
	int r = items_get(s, number, &item);

	if (r || !counts(item.state))
		return r;
	return set_state(s, &item, state);
}

int items_cancel(struct items *s, int64_t number)
{
	return end_item(s, number, ITEM_CANCELLED);
}

int items_lose(struct items *s, int64_t number)
{
	int r = end_item(s, number, ITEM_LOST);

	/* its sender is told: of each who has yet to get it */
	return r ? r : ask_all(s, number, ASK_STATUS);
}

static int receiver_set(struct items *s, int64_t number, const char *name,
			enum receiver_state state, int code, int64_t now)
{
	store_bind_int(s->store, RECEIVER_STATE, 1, number);
	store_bind_text(s->store, RECEIVER_STATE, 2, name);
	store_bind_int(s->store, RECEIVER_STATE, 3, state);
	store_bind_int(s->store, RECEIVER_STATE, 4, now);
	store_bind_int(s->store, RECEIVER_STATE, 5, code);
	return store_run(s->store, RECEIVER_STATE);
}

/* somebody needs it no more: does anybody? */
static int close_receiver(struct items *s, int64_t number, bool *over)
{
	int r;

	store_bind_int(s->store, RECEIVERS_WAITING, 1, number);
	r = items_has_row(s, RECEIVERS_WAITING);
	if (r < 0)
		return r;
	*over = !r;
	return r ? 0 : end_item(s, number, ITEM_DONE);
}

static int receipt_keep(struct items *s, int64_t number, const char *name,
			const uint8_t *receipt)
{
	store_bind_int(s->store, RECEIVER_RECEIPT, 1, number);
	store_bind_text(s->store, RECEIVER_RECEIPT, 2, name);
	store_bind_blob(s->store, RECEIVER_RECEIPT, 3, receipt, RECEIPT_LEN);
	return store_run(s->store, RECEIVER_RECEIPT);
}

int items_confirm(struct items *s, int64_t number, const char *name, int code,
		  const uint8_t *receipt, int64_t now, bool *over)
{
	struct receiver have;
	int r = items_receiver(s, number, name, &have);

	*over = false;
	if (r)
		return r;
	if (have.state == RECEIVER_RECEIVED || have.state == RECEIVER_REFUSED)
		return 0; /* again: its answer was lost */
	r = receiver_set(s, number, name,
			 code ? RECEIVER_REFUSED : RECEIVER_RECEIVED, code,
			 now);
	if (!r && receipt)
		r = receipt_keep(s, number, name, receipt);
	if (!r)
		r = ask_add(s, number, ASK_STATUS, name);
	return r ? r : close_receiver(s, number, over);
}

int items_forget(struct items *s, int64_t number)
{
	struct item item;
	int r = items_get(s, number, &item);

	if (!r)
		r = uncharge(s, &item);
	return r ? r : items_run_number(s, ITEM_FORGET, number);
}

/* --- asks ---------------------------------------------------------------------------- */

static int asks_each(struct items *s, enum statement st, items_ask_fn *fn,
		     void *arg)
{
	struct ask a;
	int r;

	while ((r = store_step(s->store, st)) == 1) {
		a.id = store_int(s->store, st, 0);
		a.number = store_int(s->store, st, 1);
		a.kind = (enum ask_kind)store_int(s->store, st, 2);
		items_copy_text(s, st, 3, a.name, sizeof(a.name));
		a.tries = (unsigned int)store_int(s->store, st, 4);
		if (!fn(arg, &a)) {
			store_reset(s->store, st);
			return 0;
		}
	}
	return r;
}

int items_asks_due(struct items *s, int64_t now, int64_t after,
		   unsigned int max, items_ask_fn *fn, void *arg)
{
	store_bind_int(s->store, ASKS_DUE, 1, now);
	store_bind_int(s->store, ASKS_DUE, 2, after);
	store_bind_int(s->store, ASKS_DUE, 3, max);
	return asks_each(s, ASKS_DUE, fn, arg);
}

int items_asks_of(struct items *s, const char *account, int64_t now,
		  unsigned int max, items_ask_fn *fn, void *arg)
{
	store_bind_text(s->store, ASKS_OF, 1, account);
	store_bind_int(s->store, ASKS_OF, 2, now);
	store_bind_int(s->store, ASKS_OF, 3, max);
	return asks_each(s, ASKS_OF, fn, arg);
}

int items_asks_account(struct items *s, const char *after,
		       char out[static FQDN_MAX + 1])
{
	int r;

	*out = '\0';
	store_bind_text(s->store, ASKS_ACCOUNT, 1, after);
	r = store_step(s->store, ASKS_ACCOUNT);
	if (r <= 0)
		return r;
	items_copy_text(s, ASKS_ACCOUNT, 0, out, FQDN_MAX + 1);
	store_reset(s->store, ASKS_ACCOUNT);
	return 0;
}

int items_asked(struct items *s, const struct ask *ask, int code, int64_t now)
{
	struct receiver have;
	bool over;
	int r = items_run_number(s, ASK_DONE, ask->id);

	if (r || ask->kind == ASK_STATUS)
		return r;
	r = items_receiver(s, ask->number, ask->name, &have);
	if (r == -NTM_ENOTFOUND) /* forgotten meanwhile */
		return 0;
	if (!r && !code) {
		store_bind_int(s->store, TICKET_WIPE, 1, ask->number);
		store_bind_text(s->store, TICKET_WIPE, 2, ask->name);
		r = store_run(s->store, TICKET_WIPE);
	}
	if (r || (have.state != RECEIVER_WAITING &&
		  (have.state != RECEIVER_TOLD || !code)))
		return r;
	r = receiver_set(s, ask->number, ask->name,
			 code ? RECEIVER_REFUSED : RECEIVER_TOLD, code, now);
	if (!r && code)
		r = ask_add(s, ask->number, ASK_STATUS, ask->name);
	return !r && code ? close_receiver(s, ask->number, &over) : r;
}

int items_ask_later(struct items *s, int64_t id, int64_t due)
{
	store_bind_int(s->store, ASK_LATER, 1, id);
	store_bind_int(s->store, ASK_LATER, 2, due);
	return store_run(s->store, ASK_LATER);
}
