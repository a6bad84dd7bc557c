/* SPDX-License-Identifier: MIT */
/*
 * shelf_impl - the shelf, as shelf.c (tables, servers, what is over), shelf_devices.c,
 * shelf_keys.c, shelf_entries.c, shelf_room.c (changes), shelf_read.c (answers) and
 * shelf_touched.c (transactions) see it
 *
 * Owner:   shelf.h; for these files alone.
 */
#ifndef NTM_SERVERS_BOX_SHELF_IMPL_H
#define NTM_SERVERS_BOX_SHELF_IMPL_H

#include <uthash.h>

#include "common/store.h"
#include "servers/box/shelf.h"

#define SHELF_ADDRESSES_TEXT (SHELF_CS_ADDRESSES_MAX * (ADDR_TEXT_LEN + 3) + 1)

enum shelf_statement {
	DEVICE_GET,
	DEVICE_PUT,
	DEVICE_NUMBER,
	DEVICE_DELETE,
	DEVICE_EACH,
	PREKEYS_DELETE,
	PREKEY_PUT,
	PREKEYS_OF,
	DEVICES_WITHOUT,
	PREKEYS_EXPIRE,
	KEY_GET,
	KEY_PUT,
	KEY_BY_HASH,
	KEY_EACH,
	KEY_DELETE,
	KEY_DELETE_ITEM,
	KEYS_FORGET,
	KEYS_ORPHANED,
	KEYS_EXPIRE,
	ENTRY_GET,
	ENTRY_ADD,
	ENTRY_KEY,
	ENTRY_DATA,
	ENTRY_NO_DATA,
	ENTRY_NO_KEY,
	ENTRY_STATUS,
	ENTRY_EACH,
	ENTRY_FIND,
	ENTRY_DELETE,
	ENTRIES_FORGET,
	ENTRIES_OVER,
	SERIAL,
	TALLY,
	SERVER_PUT,
	SERVER_EACH,
	SERVERS_EXPIRE,
	COUNT,
	SHELF_STATEMENTS
};

/** struct shelf_touched - a list whose number is to be told */
struct shelf_touched {
	char fqdn[FQDN_MAX + 1];
	uint32_t serial;
	UT_hash_handle hh;
};

struct shelf {
	struct store *store;
	int64_t now; /* of the transaction */
	struct shelf_touched *touched;
};

/* --- shelf.c --- */

/** the steps of its tables, each as stores have run it: to try upgrades */
const char *const *shelf_schema(size_t *n);

/** the five names of an item, from the first parameter on */
void shelf_bind_item(struct shelf *s, enum shelf_statement st,
		     const struct shelf_item *i);
/** a Cache Server's, as the list shows them */
void shelf_addresses_text(const struct addr *addrs, size_t n,
			  char out[static SHELF_ADDRESSES_TEXT]);

/* --- shelf_devices.c --- */

/** Return: 1 it is there, 0, -NTM_ESTORE; @fp: NTMC_FP_LEN; @number: its last one */
int shelf_device_get(struct shelf *s, const char *fqdn, uint8_t *fp,
		     size_t *fp_len, int64_t *number);

/* --- shelf_room.c --- */

enum tally { TALLY_KEYS, TALLY_ENTRIES, TALLY_STATUS };

/** the sender's domain, pointing into @i; "": it is the receiver's */
const char *shelf_other_domain(const struct shelf_item *i);
/** @what: enum tally. Return: 0, -NTM_ELIMIT, -NTM_ESTORE */
int shelf_check_room(struct shelf *s, const struct shelf_item *i, int what);
/** is there such a receiver, and time left? @expires: at most SHELF_LIFE_S from now.
 *  Return: 0, -NTM_EEXPIRED, -NTM_ENONAME, -NTM_ESTORE; @number: of the next entry */
int shelf_check_item(struct shelf *s, const struct shelf_item *i,
		     int64_t *expires, int64_t *number);

/* --- shelf_touched.c --- */

int shelf_touch(struct shelf *s, const char *fqdn);
void shelf_touched_drop(struct shelf *s);

#endif
