/* SPDX-License-Identifier: MIT */
/*
 * items_impl - the store of items, as items.c and its parts see it
 *
 *   items.c        the tables, transactions, rows
 *   items_read.c   what is asked
 *   items_write.c  what changes; what the box is to be asked
 *   items_names.c  states as the API calls them
 *
 * Owner: as items.h says.
 */
#ifndef NTM_SERVERS_CS_ITEMS_IMPL_H
#define NTM_SERVERS_CS_ITEMS_IMPL_H

#include "common/store.h"
#include "servers/cs/items.h"

struct items {
	struct store *store;
};

/* their texts: items.c */
enum statement {
	JOB_BEGIN,
	JOB_KEEP,
	JOB_UNDO,
	ITEM_ADD,
	ITEM_KEYS,
	ITEM_FIND,
	ITEM_GET,
	ITEM_STATE,
	ITEM_HASH,
	ITEM_ACCOUNT,
	ITEM_FORGET,
	ITEMS_LIST,
	ITEMS_OF_STATE,
	ITEMS_EXPIRED,
	BLOB_USED,
	SMALL_ADD,
	SMALL_GET,
	SMALL_DELETE,
	RECEIVER_ADD,
	RECEIVER_GET,
	RECEIVER_BY_TICKET,
	RECEIVER_STATE,
	RECEIVER_RECEIPT,
	RECEIVERS_OF,
	RECEIVERS_WAITING,
	RECEIVERS_WIPE,
	TICKET_WIPE,
	ASK_ADD,
	ASK_ADD_ALL,
	ASK_DONE,
	ASK_LATER,
	ASKS_DUE,
	ASKS_OF,
	ASKS_ACCOUNT,
	ASKS_DELETE,
	ACCOUNT_GET,
	ACCOUNT_CHANGE,
	ACCOUNTS_LARGE,
	TOTALS,
	N_STATEMENTS,
};

/** the steps of its tables, each as stores have run it: to try upgrades */
const char *const *items_schema(size_t *n);

/** @st, whose one parameter is @number */
NTM_MUST_CHECK int items_run_number(struct items *s, enum statement st,
				    int64_t number);
void items_copy_text(struct items *s, enum statement st, int column, char *out,
		     size_t size);
/** the row that @st stands on: ITEM_COLUMNS */
void items_read_item(struct items *s, enum statement st, struct item *out);
/** RECEIVER_COLUMNS, from column @first on */
void items_read_receiver(struct items *s, enum statement st, int first,
			 struct receiver *out);
/** the one row of a bound statement. Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int items_one(struct items *s, enum statement st,
			     struct item *out);
/** all of its rows */
NTM_MUST_CHECK int items_each(struct items *s, enum statement st, items_fn *fn,
			      void *arg);
/** Return: 1 when a bound statement has a row, 0, -NTM_ESTORE */
NTM_MUST_CHECK int items_has_row(struct items *s, enum statement st);

#endif
