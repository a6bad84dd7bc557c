/* SPDX-License-Identifier: MIT */
/* shelf_keys - temporal keys that wait for their receivers */
#include <string.h>

#include "libntmcrypto/item.h"
#include "servers/box/shelf_impl.h"

/* Return: 1: it is there as it is, 2: another one is, 0, -NTM_ESTORE */
static int key_known(struct shelf *s, const struct shelf_item *i,
		     const struct ntmc_key *key)
{
	uint8_t has[NTMC_KEY_LEN];
	size_t len;
	int r;

	shelf_bind_item(s, KEY_GET, i);
	r = store_step(s->store, KEY_GET);
	if (r <= 0)
		return r;
	len = store_blob(s->store, KEY_GET, 0, has, sizeof(has));
	r = len == sizeof(has) && ntmc_equal(has, key->b, len) ? 1 : 2;
	store_reset(s->store, KEY_GET);
	ntmc_wipe(has, sizeof(has));
	return r;
}

int shelf_put_key(struct shelf *s, const struct shelf_item *i,
		  const struct ntmc_key *key)
{
	int64_t expires, number;
	uint8_t hash[32];
	int r = shelf_check_item(s, i, &expires, &number), known;

	if (r)
		return r;
	known = key_known(s, i, key);
	if (known < 0 || known == 1)
		return known < 0 ? known : 0;
	if (!known)
		r = shelf_check_room(s, i, TALLY_KEYS);
	if (r)
		return r;
	item_temporal_hash(key, hash);
	shelf_bind_item(s, KEY_PUT, i);
	store_bind_text(s->store, KEY_PUT, 6, shelf_account(i->from));
	store_bind_blob(s->store, KEY_PUT, 7, key->b, NTMC_KEY_LEN);
	store_bind_blob(s->store, KEY_PUT, 8, hash, sizeof(hash));
	store_bind_int(s->store, KEY_PUT, 9, expires);
	store_bind_text(s->store, KEY_PUT, 10, shelf_other_domain(i));
	return store_run(s->store, KEY_PUT);
}

static int deleted(struct shelf *s, enum shelf_statement st)
{
	int r = store_run(s->store, st);

	if (r)
		return r;
	return store_changes(s->store) ? 0 : -NTM_ENOTFOUND;
}

int shelf_delete_key(struct shelf *s, const char *fqdn,
		     const uint8_t hash[static 32])
{
	store_bind_text(s->store, KEY_DELETE, 1, fqdn);
	store_bind_blob(s->store, KEY_DELETE, 2, hash, 32);
	return deleted(s, KEY_DELETE);
}
