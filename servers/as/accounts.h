/* SPDX-License-Identifier: MIT */
/*
 * accounts - the AS's durable state: accounts, their devices, withdrawals to send
 *
 * Owner:   the AS process, or a command while no AS runs. Context: loop thread.
 * accounts.c: accounts; accounts_devices.c: devices, tokens; accounts_withdrawals.c.
 * A change and the withdrawals that follow from it are one transaction, so that
 * a disabled account is withdrawn even if the power fails in between.
 * All functions return 0, -NTM_ESTORE or what stands beside them.
 */
#ifndef NTM_SERVERS_AS_ACCOUNTS_H
#define NTM_SERVERS_AS_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/fqdn.h"
#include "libntmcrypto/ntmcrypto.h"

#define ACCOUNTS_VERSION_MAX 63
#define ACCOUNTS_BATCH_MAX   16 /* fingerprints in one withdrawal */
#define ACCOUNTS_CHURN	     4 /* times the limit: names kept, new keys a day */

struct accounts;

struct account {
	char name[FQDN_LABEL_MAX + 1];
	char hash[NTMC_PASSWORD_HASH_MAX]; /* wiped by the caller */
	bool enabled, exit; /* @exit: may use the domain's exits */
	int64_t created;
	unsigned int n_devices;
};

struct device {
	char fqdn[FQDN_MAX + 1];
	char account[FQDN_LABEL_MAX + 1];
	uint8_t fp[NTMC_FP_LEN];
	bool revoked;
	int64_t last_login;
	char version[ACCOUNTS_VERSION_MAX + 1];
};

/** struct withdrawal - what is still to be told to the DC */
struct withdrawal {
	int64_t id;
	bool release;
	size_t n;
	uint8_t fps[ACCOUNTS_BATCH_MAX][NTMC_FP_LEN];
};

NTM_MUST_CHECK int accounts_open(const char *path, struct accounts **out);
void accounts_close(struct accounts *a);
/** a consistent copy while running */
NTM_MUST_CHECK int accounts_backup(struct accounts *a, const char *path);

/** a name that may be given to an account: one label, not reserved */
bool accounts_name_ok(const char *name);
/** -NTM_EEXISTS, -NTM_EINVAL */
NTM_MUST_CHECK int accounts_add(struct accounts *a, const char *name,
				const char *hash, int64_t now);
/** -NTM_ENOTFOUND */
NTM_MUST_CHECK int accounts_get(struct accounts *a, const char *name,
				struct account *out);
NTM_MUST_CHECK int accounts_set_hash(struct accounts *a, const char *name,
				     const char *hash);
/** disabling withdraws every device; enabling lets them log in again */
NTM_MUST_CHECK int accounts_set_enabled(struct accounts *a, const char *name,
					bool enabled);
/** may its nodes use the domain's exits? -NTM_ENOTFOUND */
NTM_MUST_CHECK int accounts_set_exit(struct accounts *a, const char *name,
				     bool may);
/** the next accounts, by name, that may: at most @max after @after ("": the first) */
NTM_MUST_CHECK int accounts_exits(struct accounts *a, const char *after,
				  size_t max, char (*out)[FQDN_LABEL_MAX + 1],
				  size_t *n);
NTM_MUST_CHECK int accounts_delete(struct accounts *a, const char *name);
typedef void accounts_fn(void *arg, const struct account *account);
NTM_MUST_CHECK int accounts_each(struct accounts *a, accounts_fn *fn,
				 void *arg);

/** -NTM_ENOTFOUND */
NTM_MUST_CHECK int accounts_device(struct accounts *a, const char *fqdn,
				   struct device *out);
/**
 * accounts_device_login() - a device logs in: known, new, or refused
 * @d: fqdn, account, fp, version, last_login
 * @limit: devices of one account; ACCOUNTS_CHURN times as many with the revoked
 *         ones, and as many new ones in one day (UTC) of last_login
 *
 * Return: -NTM_EDISABLED (identity revoked), -NTM_EEXISTS (name held by another
 *         identity, or identity by another name), -NTM_ELIMIT
 */
NTM_MUST_CHECK int accounts_device_login(struct accounts *a,
					 const struct device *d,
					 unsigned int limit);
/** may this identity log in by certificate? -NTM_EDISABLED */
NTM_MUST_CHECK int accounts_device_live(struct accounts *a, const char *fqdn,
					const uint8_t fp[static NTMC_FP_LEN]);
/** the identity never comes back. @forget: the name and its lease are freed too.
 *  -NTM_ENOTFOUND */
NTM_MUST_CHECK int accounts_device_revoke(struct accounts *a, const char *fqdn,
					  bool forget, int64_t now);
#define ACCOUNTS_TOKENS_MAX                                                    \
	4 /* of a device; a new one takes the oldest's place */
/** struct accounts_token - what a device shows to CS and box */
struct accounts_token {
	uint8_t hash[NTMC_HASH_LEN];
	int64_t expires;
};
/** struct accounts_holder - a device and its tokens
 * @withdrawn: it is revoked, or its account disabled; then it has none
 */
struct accounts_holder {
	char fqdn[FQDN_MAX + 1];
	bool withdrawn;
	size_t n;
	struct accounts_token tokens[ACCOUNTS_TOKENS_MAX];
};
/** a login gave it to a live device. Tokens end with revoke, delete and disable */
NTM_MUST_CHECK int accounts_token_add(struct accounts *a, const char *fqdn,
				      const struct accounts_token *t,
				      int64_t now);
/** tokens that are valid at @now; -NTM_ENOTFOUND: no such device */
NTM_MUST_CHECK int accounts_holder(struct accounts *a, const char *fqdn,
				   int64_t now, struct accounts_holder *out);
/** the names of the next devices: at most @max after @after ("": the first) */
NTM_MUST_CHECK int accounts_names(struct accounts *a, const char *after,
				  size_t max, char (*out)[FQDN_MAX + 1],
				  size_t *n);

typedef void accounts_device_fn(void *arg, const struct device *device);
/** @account: NULL for all */
NTM_MUST_CHECK int accounts_device_each(struct accounts *a, const char *account,
					accounts_device_fn *fn, void *arg);

/** the oldest withdrawal after @after; -NTM_ENOTFOUND when none */
NTM_MUST_CHECK int accounts_withdrawal_next(struct accounts *a, int64_t after,
					    struct withdrawal *out);
NTM_MUST_CHECK int accounts_withdrawal_done(struct accounts *a, int64_t id);
/** -NTM_EAGAIN while a withdrawal that names @fp still waits for the DC */
NTM_MUST_CHECK int
accounts_withdrawal_settled(struct accounts *a,
			    const uint8_t fp[static NTMC_FP_LEN]);

#endif
