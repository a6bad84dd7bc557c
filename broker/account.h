/* SPDX-License-Identifier: MIT */
/*
 * account - who this device is: identity, certificate, session keys, boot number
 *
 * Owner:    the worker. Context: loop thread.
 * Files of the state folder: identity.key (made once), session (what a login
 * gave), boot (raised at each start). Pins of CAs are in pins.c. Secrets lie in
 * locked memory and in files of mode 0600.
 */
#ifndef NTM_BROKER_ACCOUNT_H
#define NTM_BROKER_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/worker.h"
#include "common/fqdn.h"
#include "common/join.h"
#include "common/ntm.pb-c.h"

#define ACCOUNT_DC_MAX 8
#define ACCOUNT_MANAGERS_MAX                                                   \
	4		   /* GMSs of the domain, in the session file alone */
#define ACCOUNT_WAYS_MAX 4 /* addresses of one */

/** struct account_secrets - in ntmc_secret_alloc() memory */
struct account_secrets {
	struct ntmc_identity id;
	struct ntmc_key kntmdc;
};

/**
 * struct account - read by all, written by account.c
 * @secrets:   id is valid after account_open(), kntmdc while logged in
 * @fp:        fingerprint of our identity
 * @boot:      number of this start, 1 .. 2^24 - 1
 * @sent_ms:   returned last; @promised_ms: on the disk, or on its way there
 * @logged_in: the fields below it are valid
 * @device, @name, @domain: labels of @fqdn
 * @ended:     enum ntm_err that ended the last session, 0 none
 * @damaged:   the file of the last session says nothing; log in again
 */
struct account {
	const struct worker_env *env;
	char *state_dir;
	struct account_secrets *secrets;
	uint8_t fp[NTMC_FP_LEN];
	uint32_t boot;
	uint64_t sent_ms, promised_ms;

	bool logged_in, damaged;
	int ended;
	struct join join;
	char fqdn[FQDN_MAX + 1];
	char device[FQDN_LABEL_MAX + 1], name[FQDN_LABEL_MAX + 1];
	char domain[FQDN_MAX + 1];
	uint64_t node_id;
	uint8_t cert_der[NTMC_CERT_MAX];
	size_t cert_len;
	struct ntmc_cert cert;
	uint8_t ca_der[NTMC_CERT_MAX];
	size_t ca_len;
	struct ntmc_trust *trust;
	struct ntmc_trust_domain constraint;
	struct addr dc[ACCOUNT_DC_MAX];
	size_t n_dc;
	int64_t obtained, expires;
};

/**
 * account_open() - identity (made once), boot number, saved session
 * @why: @why_size bytes: one sentence naming the file when it fails
 * Return: 0; -NTM_ESTORE, -NTM_EPERM, -NTM_EDECODE: nothing may be sent then. An
 *         unusable session file is logged and means logged out.
 */
NTM_MUST_CHECK int account_open(const struct worker_env *env,
				const char *state_dir, struct account **out,
				char *why, size_t why_size);
void account_free(struct account *a);

/**
 * account_adopt() - a Login Response becomes our session; durable on return
 * @join: where it came from
 * Checks: certificate under the CA whose fingerprint @join holds, our keys, name,
 * addresses. Nothing changes on failure.
 * Return: 0, -NTM_EDECODE, -NTM_EPIN, -NTM_ECERT, -NTM_ECLOCK, -NTM_ESTORE ...
 */
NTM_MUST_CHECK int account_adopt(struct account *a, const struct join *join,
				 const Ntm__LoginResponse *resp);
/** forget the session (the identity stays); @code as worker_logged_out() */
void account_forget(struct account *a, int code);

/** ms since 1970, later than any returned before, over restarts too if
 *  account_sent_keep() was called before it was used */
uint64_t account_sent_ms(struct account *a);
/** keep what was returned last: in the keeper, and on the disk where it is later than
 *  what stands there. Errors are logged: the next call tries again */
void account_sent_keep(struct account *a, struct keeper_link *k,
		       struct writer *w);
/** what the keeper has of a worker before this one; before any request is made */
void account_sent_restore(struct account *a, struct keeper_link *k);
/** both names belong to one account of the domain */
bool account_same(const char *fqdn_a, const char *fqdn_b);
/** "account.domain" of a device's name, pointing into @fqdn; NULL: none */
const char *account_of(const char *fqdn);

#endif
