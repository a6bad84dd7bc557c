/* SPDX-License-Identifier: MIT */
/*
 * ledger_impl - what the files of the ledger share
 *
 * Owner: ledger.c makes and frees all of it. Context: as ledger.h.
 */
#ifndef NTM_SERVERS_GMS_LEDGER_IMPL_H
#define NTM_SERVERS_GMS_LEDGER_IMPL_H

#include <uthash.h>

#include "common/store.h"
#include "servers/gms/ledger.h"

struct ledger_group {
	UT_hash_handle hh;
	uint8_t id[GROUP_ID_LEN];
	struct group *g;
	struct ntmc_key rn2;
	uint8_t seal[GROUP_SEAL_LEN];
	int64_t renewed, ended;	      /* @ended: 0: it has not */
	struct ledger_person *people; /* as the group's members */
	size_t n, n_wants; /* @n_wants: people who want a welcome, at most */
	void *arg;
};

struct ledger {
	struct store *store;
	const struct ntmc_identity *id;
	const struct ntmc_env *env;
	struct ledger_group *groups;
	bool dirty, stale; /* stale: an RN2 was written over */
};

enum ledger_statement {
	GROUP_PUT,
	GROUPS_ALL,
	ENTRY_PUT,
	ENTRIES_AFTER,
	ENTRY_NEXT,
	PART_PUT,
	PARTS_DONE,
	PERSON_PUT,
	PEOPLE_OF,
	PEOPLE_GONE,
	PARTS_GONE,
	GROUP_END,
	PARTS_WIPE,
	PEOPLE_WIPE,
	ENTRIES_WIPE,
	GROUP_WIPE,
	SHARED_PUT,
	SHARED_OVER,
	SHARED_ALL,
	PLAN_PUT,
	PLAN_OVER,
	PLAN_DROP,
	PLANS_ALL,
	N_STATEMENTS
};

/** the steps of its tables, each as stores have run it: to try upgrades */
const char *const *ledger_schema(size_t *n);

/** NULL: no member */
struct ledger_person *ledger_person_of(const struct ledger_group *lg,
				       uint32_t index);

/** all that the store has. Return: 0, -NTM_ESTORE, -NTM_EDECODE, -NTM_ENOMEM */
NTM_MUST_CHECK int ledger_load(struct ledger *l);

/** one that is in no table; NULL is fine */
void ledger_group_free(struct ledger_group *lg);
/** of the transaction that is open. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int ledger_person_put(struct ledger *l,
				     const struct ledger_group *lg,
				     const struct ledger_person *p);

/** takes it out of memory; what follows it has gone */
void ledger_group_drop(struct ledger *l, struct ledger_group *lg);

#endif
