/* SPDX-License-Identifier: MIT */
/*
 * shelf_impl - what shelf.c (changes), shelf_read.c (answers) and shelf_touched.c
 * (transactions) share
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
	PREKEYS_EXPIRE,
	KEY_GET,
	KEY_PUT,
	KEY_BY_HASH,
	KEY_EACH,
	KEY_DELETE,
	KEY_DELETE_ITEM,
	KEYS_FORGET,
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

int shelf_touch(struct shelf *s, const char *fqdn);
void shelf_touched_drop(struct shelf *s);

#endif
