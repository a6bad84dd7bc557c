/* SPDX-License-Identifier: MIT */
/*
 * password - an account's password is tried, and changed
 *
 * Theory of operation
 *
 * A failure is counted before the password is checked and taken back afterwards,
 * so that guesses in parallel do not outrun the limit. An unknown account costs an
 * Argon2 like a known one, and "disabled" is said only to who knows the password.
 */
#include <stdio.h>
#include <string.h>

#include "common/fqdn.h"
#include "common/log.h"
#include "servers/as/request.h"

#define PASSWORD_MIN 8
#define PASSWORD_MAX 1024

unsigned int password_wait_s(struct request *r)
{
	uint64_t now = loop_now(r->as->loop);
	unsigned int a = limiter_wait_s(r->as->by_account, r->account,
					strlen(r->account), now);
	unsigned int s =
		limiter_wait_s(r->as->by_source, r->source, AS_SOURCE_LEN, now);

	return a > s ? a : s;
}

/* Return: 0 and the failure counted, or the error with @wait */
int password_try(struct request *r, const char *password, hasher_fn *fn,
		 unsigned int *wait)
{
	struct as *as = r->as;
	struct account account = {.enabled = false};
	uint64_t now = loop_now(as->loop);
	int err;

	*wait = password_wait_s(r);
	if (*wait) {
		as->stats.rate_limited++;
		return -NTM_ERATE;
	}
	err = accounts_get(as->accounts, r->account, &account);
	if (err && err != -NTM_ENOTFOUND)
		return err;
	err = hasher_verify(as->hasher, password, err ? NULL : account.hash, fn,
			    r);
	ntmc_wipe(account.hash, sizeof(account.hash));
	if (err) {
		*wait = 1;
		return request_public_error(err);
	}
	limiter_failure(as->by_account, r->account, strlen(r->account), now);
	limiter_failure(as->by_source, r->source, AS_SOURCE_LEN, now);
	return 0;
}

/* the password was right: Return: 0, or DISABLED, STORE ... */
int password_was_right(struct request *r)
{
	struct as *as = r->as;
	struct account account;
	int err;

	limiter_success(as->by_account, r->account, strlen(r->account));
	limiter_take_back(as->by_source, r->source, AS_SOURCE_LEN);
	err = accounts_get(as->accounts, r->account, &account);
	ntmc_wipe(account.hash, sizeof(account.hash));
	if (err == -NTM_ENOTFOUND) /* deleted in between */
		return -NTM_EPASSWORD;
	if (!err && !account.enabled)
		err = -NTM_EDISABLED;
	return err;
}

/* --- change ------------------------------------------------------------------------ */

static void change_end(struct request *r, int err, unsigned int wait)
{
	log_info("as", "password of %s: %s", r->account, err_text(err));
	request_ack(r->conn, r->txn, err, wait);
	request_free(r);
}

static void change_hashed(void *arg, int err, const char *hash)
{
	struct request *r = arg;

	if (!err)
		err = accounts_set_hash(r->as->accounts, r->account, hash);
	change_end(r, request_public_error(err), 0);
}

static void change_checked(void *arg, int err, const char *hash)
{
	struct request *r = arg;

	(void)hash;
	if (!err)
		err = password_was_right(r);
	if (!err)
		err = hasher_hash(r->as->hasher, r->new_password, change_hashed,
				  r);
	if (err)
		change_end(r, request_public_error(err), password_wait_s(r));
}

void password_start(struct request *r, const Ntm__PasswordRequest *q)
{
	size_t len = strlen(q->new_password);
	unsigned int wait = 0;
	int err = 0;

	if (!fqdn_label_is_valid(q->account))
		err = -NTM_EPASSWORD;
	else if (len < PASSWORD_MIN || len > PASSWORD_MAX)
		err = -NTM_EINVAL;
	if (!err) {
		snprintf(r->account, sizeof(r->account), "%.63s", q->account);
		r->new_password = strdup(q->new_password);
		err = r->new_password ? 0 : -NTM_ESERVER;
	}
	if (!err)
		err = password_try(r, q->old_password, change_checked, &wait);
	if (err)
		change_end(r, err, wait);
}
