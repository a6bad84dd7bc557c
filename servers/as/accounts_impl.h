/* SPDX-License-Identifier: MIT */
/*
 * accounts_impl - the AS's store, as accounts.c and its parts see it
 *
 *   accounts.c              the store itself, and accounts
 *   accounts_devices.c      their devices, with tokens
 *   accounts_withdrawals.c  what the DC has yet to hear
 *
 * Owner: struct accounts. Context: loop thread, or a command's.
 */
#ifndef NTM_SERVERS_AS_ACCOUNTS_IMPL_H
#define NTM_SERVERS_AS_ACCOUNTS_IMPL_H

#include "common/store.h"
#include "servers/as/accounts.h"

struct accounts {
	struct store *store;
};

/* their texts: accounts.c */
enum statement {
	ACCOUNT_ADD,
	ACCOUNT_GET,
	ACCOUNT_HASH,
	ACCOUNT_ENABLE,
	ACCOUNT_DELETE,
	ACCOUNT_EACH,
	ACCOUNT_EXIT,
	EXITS_EACH,
	DEVICE_GET,
	DEVICE_ADD,
	DEVICE_SEEN,
	DEVICE_REVOKE,
	DEVICE_DELETE,
	DEVICES_DELETE,
	DEVICES_COUNT,
	NAMES_COUNT,
	NEWCOMERS_COUNT,
	NEWCOMERS_ADD,
	NEWCOMERS_DELETE,
	DEVICES_OF,
	DEVICES_ALL,
	REVOKED_ADD,
	REVOKED_GET,
	WITHDRAWAL_ADD,
	WITHDRAWAL_NEXT,
	WITHDRAWAL_DONE,
	WITHDRAWAL_OF,
	TOKEN_ADD,
	TOKENS_PRUNE,
	TOKENS_OF,
	TOKENS_DELETE,
	TOKENS_DELETE_OF,
	HOLDER_GET,
	NAMES_EACH,
	N_STATEMENTS,
};

/* --- accounts.c --- */

/** the steps of its tables, each as stores have run it: to try upgrades */
const char *const *accounts_schema(size_t *n);

/** @st, with text @key in its first place */
NTM_MUST_CHECK int accounts_run_text(struct accounts *a, enum statement st,
				     const char *key);
/** the end of a transaction: commit when @r is 0, else roll back. Return: @r, or why
 *  it was not committed */
NTM_MUST_CHECK int accounts_finish(struct accounts *a, int r);

/* --- accounts_devices.c --- */

/** the row that @st stands on, which selects DEVICE_COLUMNS */
void accounts_device_read(struct accounts *a, enum statement st,
			  struct device *out);

/* --- accounts_withdrawals.c --- */

/** inside a transaction. @fps: @n of NTMC_FP_LEN, ACCOUNTS_BATCH_MAX at most.
 *  @release: their names and leases are free */
NTM_MUST_CHECK int accounts_queue_withdrawal(struct accounts *a,
					     const void *fps, size_t n,
					     bool release);
/** inside a transaction: every device of the account @name */
NTM_MUST_CHECK int accounts_withdraw_all(struct accounts *a, const char *name,
					 bool release);

#endif
