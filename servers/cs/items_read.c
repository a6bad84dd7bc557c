/* SPDX-License-Identifier: MIT */
/* items_read - what is asked of a Cache Server's items: one, those of somebody, sums */
#include "servers/cs/items_impl.h"

int items_find(struct items *s, const char *sender, const char *application,
	       const char *service, const char *item, struct item *out)
{
	store_bind_text(s->store, ITEM_FIND, 1, sender);
	store_bind_text(s->store, ITEM_FIND, 2, application);
	store_bind_text(s->store, ITEM_FIND, 3, service);
	store_bind_text(s->store, ITEM_FIND, 4, item);
	return items_one(s, ITEM_FIND, out);
}

int items_get(struct items *s, int64_t number, struct item *out)
{
	store_bind_int(s->store, ITEM_GET, 1, number);
	return items_one(s, ITEM_GET, out);
}

int items_by_ticket(struct items *s,
		    const uint8_t ticket[static ITEMS_TICKET_LEN],
		    struct item *item, struct receiver *out)
{
	uint8_t hash[NTMC_HASH_LEN];
	int64_t number;
	int r;

	ntmc_sha256(ticket, ITEMS_TICKET_LEN, hash);
	store_bind_blob(s->store, RECEIVER_BY_TICKET, 1, hash, sizeof(hash));
	r = store_step(s->store, RECEIVER_BY_TICKET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	number = store_int(s->store, RECEIVER_BY_TICKET, 0);
	items_read_receiver(s, RECEIVER_BY_TICKET, 1, out);
	store_reset(s->store, RECEIVER_BY_TICKET);
	return items_get(s, number, item);
}

int items_receiver(struct items *s, int64_t number, const char *name,
		   struct receiver *out)
{
	int r;

	store_bind_int(s->store, RECEIVER_GET, 1, number);
	store_bind_text(s->store, RECEIVER_GET, 2, name);
	r = store_step(s->store, RECEIVER_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	items_read_receiver(s, RECEIVER_GET, 0, out);
	store_reset(s->store, RECEIVER_GET);
	return 0;
}

int items_receivers(struct items *s, int64_t number, items_receiver_fn *fn,
		    void *arg)
{
	struct receiver row;
	int r;

	store_bind_int(s->store, RECEIVERS_OF, 1, number);
	while ((r = store_step(s->store, RECEIVERS_OF)) == 1) {
		items_read_receiver(s, RECEIVERS_OF, 0, &row);
		fn(arg, &row);
	}
	ntmc_wipe(&row, sizeof(row));
	return r;
}

int items_list(struct items *s, const char *sender, int64_t after,
	       unsigned int max, items_fn *fn, void *arg)
{
	store_bind_text(s->store, ITEMS_LIST, 1, sender);
	store_bind_int(s->store, ITEMS_LIST, 2, after);
	store_bind_int(s->store, ITEMS_LIST, 3, max);
	return items_each(s, ITEMS_LIST, fn, arg);
}

int items_of_state(struct items *s, enum item_state state, int64_t after,
		   unsigned int max, items_fn *fn, void *arg)
{
	store_bind_int(s->store, ITEMS_OF_STATE, 1, state);
	store_bind_int(s->store, ITEMS_OF_STATE, 2, after);
	store_bind_int(s->store, ITEMS_OF_STATE, 3, max);
	return items_each(s, ITEMS_OF_STATE, fn, arg);
}

int items_expired(struct items *s, int64_t now, unsigned int max, items_fn *fn,
		  void *arg)
{
	store_bind_int(s->store, ITEMS_EXPIRED, 1, now);
	store_bind_int(s->store, ITEMS_EXPIRED, 2, max);
	return items_each(s, ITEMS_EXPIRED, fn, arg);
}

int items_small_get(struct items *s, int64_t number, uint8_t *out, size_t size)
{
	size_t len;
	int r;

	store_bind_int(s->store, SMALL_GET, 1, number);
	r = store_step(s->store, SMALL_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	len = store_blob(s->store, SMALL_GET, 0, out, size);
	store_reset(s->store, SMALL_GET);
	return len == size ? 0 : -NTM_ENOTFOUND;
}

int items_use_blob(struct items *s, const uint8_t hash[static NTMC_HASH_LEN])
{
	store_bind_blob(s->store, BLOB_USED, 1, hash, NTMC_HASH_LEN);
	return items_has_row(s, BLOB_USED);
}

int items_totals(struct items *s, struct items_totals *out)
{
	int r = store_step(s->store, TOTALS);

	if (r != 1)
		return r < 0 ? r : -NTM_ESTORE;
	out->open = (uint64_t)store_int(s->store, TOTALS, 0);
	out->complete = (uint64_t)store_int(s->store, TOTALS, 1);
	out->bytes = (uint64_t)store_int(s->store, TOTALS, 2);
	out->asks = (uint64_t)store_int(s->store, TOTALS, 3);
	out->oldest = store_int(s->store, TOTALS, 4);
	store_reset(s->store, TOTALS);
	return 0;
}

int items_accounts(struct items *s, unsigned int max, items_account_fn *fn,
		   void *arg)
{
	int r;

	store_bind_int(s->store, ACCOUNTS_LARGE, 1, max);
	while ((r = store_step(s->store, ACCOUNTS_LARGE)) == 1)
		fn(arg, store_text(s->store, ACCOUNTS_LARGE, 0),
		   (uint64_t)store_int(s->store, ACCOUNTS_LARGE, 1),
		   (uint64_t)store_int(s->store, ACCOUNTS_LARGE, 2));
	return r;
}
