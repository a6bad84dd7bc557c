/* SPDX-License-Identifier: MIT */
/*
 * shelf - what the box keeps on its disk: devices, prekeys, temporal keys, cache lists
 *
 * Owner:   the clerk. Context: its thread alone; every call is part of the transaction
 *          that the clerk has begun. Names are FQDNs; times seconds since 1970.
 *
 * The number of a list entry is one above the last of its receiver, and never below
 * the time: so a store that was restored from a backup gives none twice.
 */
#ifndef NTM_SERVERS_BOX_SHELF_H
#define NTM_SERVERS_BOX_SHELF_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"
#include "common/fqdn.h"
#include "libntmcrypto/ntmcrypto.h"

#define SHELF_ENTRIES_MAX 20000 /* of one receiver */
#define SHELF_ACCOUNT_MAX 10000 /* of them from one account */
#define SHELF_DOMAIN_MAX  5000	/* and from one other domain */
#define SHELF_FOREIGN_MAX 15000 /* and from all of those */
#define SHELF_DOMAIN_ALL_MAX                                                   \
	1000000 /* from one other domain for all receivers */
#define SHELF_OWN_ALL_MAX      200000 /* from one account of ours, the same */
#define SHELF_PREKEYS_MAX      8      /* of a device */
#define SHELF_DEVICES_MAX      16     /* of an account that are told of */
#define SHELF_LIFE_S	       (31 * 86400) /* of what waits; see cs.lifetime */
#define SHELF_PAGE_MAX	       20000
#define SHELF_EXPIRE_MAX       1000 /* rows of a kind in one call */
#define SHELF_ID_MAX	       64
#define SHELF_MESSAGE_MAX      256
#define SHELF_CS_ADDRESSES_MAX 4
#define SHELF_SERVER_S	       900 /* a CS that says nothing is forgotten */
#define SHELF_PREKEYS_TEXT_MAX 64000

struct shelf;

/** struct shelf_prekey - @id, @sig as docs/exchange.md, Prekey; @cert: valid at its
 *  not_before */
struct shelf_prekey {
	uint8_t id[8], key[NTMC_KEY_LEN], sig[NTMC_SIG_LEN];
	int64_t not_before, not_after;
	uint8_t cert[NTMC_CERT_MAX];
	size_t cert_len;
};

/** struct shelf_device - what PUT /v1/prekeys says; checked before */
struct shelf_device {
	char fqdn[FQDN_MAX + 1];
	uint8_t fp[NTMC_FP_LEN];
	size_t n;
	struct shelf_prekey prekeys[SHELF_PREKEYS_MAX];
};

/** struct shelf_item - which item, from whom for whom */
struct shelf_item {
	char from[FQDN_MAX + 1], to[FQDN_MAX + 1];
	char application[SHELF_ID_MAX + 1], service[SHELF_ID_MAX + 1],
		item[SHELF_ID_MAX + 1];
	int64_t expires;
};

/** what an exchange request says: as enum ExchangeKind */
enum shelf_kind { SHELF_KEY, SHELF_DATA, SHELF_STATUS };

/** struct shelf_exchange - @hash: of the sealed key or of the blob, @size of that;
 *  STATUS has none of them, and no ticket. @whole: a KEY that comes with its blob: @blob is
 *  that one's hash, and @size counts. @since: when the CS got the item, now at
 *  most: what one says that got it before another one changes nothing */
struct shelf_exchange {
	enum shelf_kind kind;
	struct shelf_item i;
	char message[SHELF_MESSAGE_MAX + 1];
	uint8_t hash[32], ticket[32];
	bool whole;
	uint8_t blob[32];
	uint64_t size;
	int64_t since;
	char cs[FQDN_MAX + 1];
	struct addr addrs[SHELF_CS_ADDRESSES_MAX];
	size_t n_addrs;
};

/** a receiver's list has another number now (0: it is empty) */
typedef void shelf_changed_fn(void *arg, const char *fqdn, uint32_t serial);

/** "account.domain" of a device, pointing into @fqdn */
const char *shelf_account(const char *fqdn);

NTM_MUST_CHECK int shelf_open(const char *path, struct shelf **out);
void shelf_close(struct shelf *s);
NTM_MUST_CHECK int shelf_backup(struct shelf *s, const char *path);

NTM_MUST_CHECK int shelf_begin(struct shelf *s, int64_t now);
/** then @fn for each list that changed */
NTM_MUST_CHECK int shelf_commit(struct shelf *s, shelf_changed_fn *fn,
				void *arg);
void shelf_rollback(struct shelf *s);

/** replaces its prekeys; where another identity had the name, all that it had goes.
 *  Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int shelf_put_device(struct shelf *s,
				    const struct shelf_device *d);
/** a device's or an account's newest prekeys that are valid now, and which devices of it
 *  have none any more, as JSON text {"prekeys":[...], "offline":[...]}; malloc()ed.
 *  Return: 0, -NTM_ENONAME, -NTM_EOFFLINE (none has), -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int shelf_prekeys(struct shelf *s, const char *name, char **out);
/** the newest one stands; the same once more changes nothing. Return: 0,
 *  -NTM_ENONAME (no such device), -NTM_EEXPIRED, -NTM_ELIMIT, -NTM_ESTORE */
NTM_MUST_CHECK int shelf_put_key(struct shelf *s, const struct shelf_item *i,
				 const struct ntmc_key *key);
/** the same */
NTM_MUST_CHECK int shelf_put_exchange(struct shelf *s,
				      const struct shelf_exchange *x);
/** new references; NULL: -NTM_ESTORE. @after: 0 for the first page */
json_t *shelf_keys(struct shelf *s, const char *fqdn, int64_t after,
		   unsigned int limit);
/** NULL: there is none. @err: 0 or -NTM_ESTORE then */
json_t *shelf_key(struct shelf *s, const char *fqdn,
		  const uint8_t hash[static 32], int *err);
/** GET /v1/cache as JSON text; malloc()ed */
NTM_MUST_CHECK int shelf_list(struct shelf *s, const char *fqdn, int64_t after,
			      unsigned int limit, char **out);
/** Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int shelf_delete_key(struct shelf *s, const char *fqdn,
				    const uint8_t hash[static 32]);
/** the entry and its temporal key */
NTM_MUST_CHECK int shelf_delete_entry(struct shelf *s, const char *fqdn,
				      int64_t id);
/** all that is kept for, and all prekeys of, a device that was withdrawn, and the temporal
 *  keys it has put for items that never came.
 *  Return: 0, -NTM_ENOTFOUND (there was nothing), -NTM_ESTORE */
NTM_MUST_CHECK int shelf_forget(struct shelf *s, const char *fqdn);

/** struct shelf_server - a Cache Server, as it says itself */
struct shelf_server {
	char name[FQDN_MAX + 1];
	uint8_t fp[NTMC_FP_LEN];
	struct addr addrs[SHELF_CS_ADDRESSES_MAX];
	size_t n_addrs;
	uint64_t room, items, bytes;
	bool draining;
};
NTM_MUST_CHECK int shelf_put_server(struct shelf *s,
				    const struct shelf_server *x);
/**
 * shelf_servers() - those that are not forgotten, as JSON
 * @removed: which are left out
 * @all: for an administrator: those that drain, fingerprints, loads, too
 */
json_t *shelf_servers(struct shelf *s,
		      bool (*removed)(void *arg, const uint8_t *fp), void *arg,
		      bool all);

/** some of what is over. Return: how many rows, or -NTM_ESTORE */
NTM_MUST_CHECK int shelf_expire(struct shelf *s);

/** struct shelf_named - a device of which anything is kept */
struct shelf_named {
	char fqdn[FQDN_MAX + 1];
	bool has_fp;
	uint8_t fp[NTMC_FP_LEN];
	uint32_t serial;
};
/** those after @after, "" first, by name. Return: how many, or -NTM_ESTORE */
NTM_MUST_CHECK int shelf_named(struct shelf *s, const char *after,
			       struct shelf_named *out, size_t max);

/** struct shelf_counts - for the status */
struct shelf_counts {
	int64_t devices, prekeys, keys, entries;
};
NTM_MUST_CHECK int shelf_count(struct shelf *s, struct shelf_counts *out);

#endif
