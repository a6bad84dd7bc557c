/* SPDX-License-Identifier: MIT */
/*
 * items - what a Cache Server knows of items: SQLite
 *
 * Owner:   each thread that reads or writes has its own: the desk one that writes, the
 *          HTTP threads one behind a lock that reads, the exchange one that reads.
 * Sizes:   names FQDN_MAX, IDs HTTP_ID_MAX; a sealed key ITEMS_KEY_MAX; a blob that came
 *          with its keys ITEMS_SMALL_MAX: it lies in the store, others are files (blobs.h).
 */
#ifndef NTM_SERVERS_CS_ITEMS_H
#define NTM_SERVERS_CS_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/fqdn.h"
#include "libntmcrypto/receipt.h"
#include "servers/http.h"

#define ITEMS_KEY_MAX	    2048
#define ITEMS_SMALL_MAX	    16384 /* of a blob that the store keeps */
#define ITEMS_TICKET_LEN    32
#define ITEMS_RECEIVERS_MAX 256	  /* of one item, with those that came later */
#define ITEMS_WAITING_MAX   20000 /* of one account */
#define ITEMS_ENDED_MAX                                                        \
	20000 /* the same; the one that ended first is forgotten */

struct items;

/**
 * enum item_state -
 * @ITEM_OPEN:      keys are here, data is not all here.     Leaves by: complete,
 *                  cancel, expiry, 7 days without a byte
 * @ITEM_COMPLETE:  the blob is here, somebody waits for it. Leaves by: the last
 *                  confirmation, cancel, expiry, a restore without the blob
 * @ITEM_DONE:      everybody has confirmed; the blob is gone
 * @ITEM_CANCELLED: by its sender; keys, tickets and blob are gone
 * @ITEM_LOST:      a restored store knows it, but its blob is not here
 */
enum item_state {
	ITEM_OPEN = 1,
	ITEM_COMPLETE,
	ITEM_DONE,
	ITEM_CANCELLED,
	ITEM_LOST
};
const char *item_state_name(enum item_state state);

/**
 * enum receiver_state -
 * @RECEIVER_WAITING:  its box has not been told yet
 * @RECEIVER_TOLD:     it has
 * @RECEIVER_RECEIVED: it confirmed
 * @RECEIVER_REFUSED:  it, or its box, refused for good: @code
 */
enum receiver_state {
	RECEIVER_WAITING = 1,
	RECEIVER_TOLD,
	RECEIVER_RECEIVED,
	RECEIVER_REFUSED
};
const char *receiver_state_name(enum receiver_state state);

struct item {
	int64_t number;
	char sender[FQDN_MAX + 1];
	char application[HTTP_ID_MAX + 1], service[HTTP_ID_MAX + 1],
		item[HTTP_ID_MAX + 1], message[HTTP_MESSAGE_MAX + 1];
	enum item_state state;
	int64_t created, expires;
	uint64_t size;
	bool has_hash;
	uint8_t hash[NTMC_HASH_LEN]; /* of the blob */
	bool small;		     /* which is in the store, or was */
};

/** struct receiver - @receipt: what it confirmed with, for its sender to read */
struct receiver {
	char name[FQDN_MAX + 1];
	enum receiver_state state;
	int64_t at;
	int code;
	bool has_ticket; /* the box has yet to hear of key or data */
	uint8_t ticket[ITEMS_TICKET_LEN], key_hash[NTMC_HASH_LEN];
	size_t key_len;
	uint8_t key[ITEMS_KEY_MAX];
	bool has_receipt;
	uint8_t receipt[RECEIPT_LEN];
};

/** struct items_small - a whole blob of at most ITEMS_SMALL_MAX bytes, and its hash: borrowed */
struct items_small {
	const uint8_t *data, *hash;
	size_t len;
};

/** struct items_limits - of one account; @closed: nobody's new items */
struct items_limits {
	uint64_t bytes;
	unsigned int n;
	bool closed;
};

/** Return: 0, -NTM_ESTORE, -NTM_EVERSION */
NTM_MUST_CHECK int items_open(const char *path, struct items **out);
void items_close(struct items *s);
NTM_MUST_CHECK int items_backup(struct items *s, const char *path);

/* --- writing: the desk, between its begin and commit ------------------------------ */

NTM_MUST_CHECK int items_begin(struct items *s);
NTM_MUST_CHECK int items_commit(struct items *s);
void items_rollback(struct items *s);
/** one job of several in a transaction: @keep, or as if it had not been */
NTM_MUST_CHECK int items_job_begin(struct items *s);
NTM_MUST_CHECK int items_job_end(struct items *s, bool keep);

/**
 * items_add() - an item and its receivers, whose keys' hashes and tickets are made here
 * @item: number and state are set
 * @small: all of its data, as long as @item says; it is complete with it. Or NULL
 * Receivers may be added to one that is there: those that wait are named again.
 * Return: 0; 1: it was there, the same; 2: it was, and has receivers more; 3: it was,
 *         perhaps with receivers more, and its data has come now;
 *         -NTM_EEXISTS: another one of its name, or with other data;
 *         -NTM_EOFFLINE: closed; -NTM_ELIMIT: too many, -NTM_EAGAIN: too much of the
 *         account; -NTM_ETOOBIG: more than an account may have; -NTM_ESTORE
 */
NTM_MUST_CHECK int items_add(struct items *s, struct item *item,
			     const char *account, struct receiver *r, size_t n,
			     const struct items_small *small,
			     const struct items_limits *limits);
/** the data is here; Return: 0 (also when it was), -NTM_ESTATE, -NTM_ENOTFOUND */
NTM_MUST_CHECK int items_complete(struct items *s, int64_t number,
				  const uint8_t hash[static NTMC_HASH_LEN]);
/** Return: 0, -NTM_ENOTFOUND */
NTM_MUST_CHECK int items_cancel(struct items *s, int64_t number);
/** its blob is not here: the sender is told, and may send it again. Return: 0, -NTM_ENOTFOUND */
NTM_MUST_CHECK int items_lose(struct items *s, int64_t number);
/** @code: 0, or why not (positive); @receipt: RECEIPT_LEN bytes, or NULL.
 *  @over: nobody needs the blob any more */
NTM_MUST_CHECK int items_confirm(struct items *s, int64_t number,
				 const char *name, int code,
				 const uint8_t *receipt, int64_t now,
				 bool *over);
/** forgets an item: its time is over */
NTM_MUST_CHECK int items_forget(struct items *s, int64_t number);

/* --- reading ------------------------------------------------------------------------ */

/** Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int items_find(struct items *s, const char *sender,
			      const char *application, const char *service,
			      const char *item, struct item *out);
NTM_MUST_CHECK int items_get(struct items *s, int64_t number, struct item *out);
NTM_MUST_CHECK int
items_by_ticket(struct items *s, const uint8_t ticket[static ITEMS_TICKET_LEN],
		struct item *item, struct receiver *r);
typedef void items_receiver_fn(void *arg, const struct receiver *r);
NTM_MUST_CHECK int items_receivers(struct items *s, int64_t number,
				   items_receiver_fn *fn, void *arg);
typedef void items_fn(void *arg, const struct item *item);
/** at most @max of @sender's, with numbers after @after */
NTM_MUST_CHECK int items_list(struct items *s, const char *sender,
			      int64_t after, unsigned int max, items_fn *fn,
			      void *arg);
/** at most @max of that state, with numbers after @after */
NTM_MUST_CHECK int items_of_state(struct items *s, enum item_state state,
				  int64_t after, unsigned int max, items_fn *fn,
				  void *arg);
/** at most @max whose time is over */
NTM_MUST_CHECK int items_expired(struct items *s, int64_t now, unsigned int max,
				 items_fn *fn, void *arg);
/** the blob of one that is small. Return: 0 (all of @size bytes), -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int items_small_get(struct items *s, int64_t number,
				   uint8_t *out, size_t size);
/** does an item need this file's blob? Return: 1, 0, -NTM_ESTORE */
NTM_MUST_CHECK int items_use_blob(struct items *s,
				  const uint8_t hash[static NTMC_HASH_LEN]);
/** struct items_totals - for status; @oldest: when it came, 0: there is none */
struct items_totals {
	uint64_t open, complete, bytes, asks;
	int64_t oldest;
};
NTM_MUST_CHECK int items_totals(struct items *s, struct items_totals *out);
/** at most @max accounts, by their bytes */
typedef void items_account_fn(void *arg, const char *name, uint64_t bytes,
			      uint64_t n);
NTM_MUST_CHECK int items_accounts(struct items *s, unsigned int max,
				  items_account_fn *fn, void *arg);

/* --- what the box is to be asked ------------------------------------------------------ */

enum ask_kind { ASK_KEY = 1, ASK_DATA, ASK_STATUS };

/** struct ask - one receiver (ASK_STATUS: the sender is told of it) */
struct ask {
	int64_t id, number;
	enum ask_kind kind;
	unsigned int tries;
	char name[FQDN_MAX + 1]; /* of the receiver */
};
/** Return: false: no more of them */
typedef bool items_ask_fn(void *arg, const struct ask *ask);
/** at most @max of @account's that are due, what is due longest first */
NTM_MUST_CHECK int items_asks_of(struct items *s, const char *account,
				 int64_t now, unsigned int max,
				 items_ask_fn *fn, void *arg);
/** the first account behind @after that has any; "": there is none */
NTM_MUST_CHECK int items_asks_account(struct items *s, const char *after,
				      char out[static FQDN_MAX + 1]);
/** at most @max that are due, with ids after @after. */
NTM_MUST_CHECK int items_asks_due(struct items *s, int64_t now, int64_t after,
				  unsigned int max, items_ask_fn *fn,
				  void *arg);
/** asked with success, or refused for good by @code (positive) */
NTM_MUST_CHECK int items_asked(struct items *s, const struct ask *ask, int code,
			       int64_t now);
/** again at @due */
NTM_MUST_CHECK int items_ask_later(struct items *s, int64_t id, int64_t due);
NTM_MUST_CHECK int items_receiver(struct items *s, int64_t number,
				  const char *name, struct receiver *out);

#endif
