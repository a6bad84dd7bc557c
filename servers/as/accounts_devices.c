/* SPDX-License-Identifier: MIT */
/* accounts_devices - the devices of accounts: identities, logins, tokens */
#include <stdio.h>
#include <string.h>

#include "servers/as/accounts_impl.h"

#define DAY_S 86400

void accounts_device_read(struct accounts *a, enum statement st,
			  struct device *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->fqdn, sizeof(out->fqdn), "%s",
		 store_text(a->store, st, 0));
	snprintf(out->account, sizeof(out->account), "%s",
		 store_text(a->store, st, 1));
	store_blob(a->store, st, 2, out->fp, sizeof(out->fp));
	out->revoked = store_int(a->store, st, 3);
	out->last_login = store_int(a->store, st, 4);
	snprintf(out->version, sizeof(out->version), "%s",
		 store_text(a->store, st, 5));
}

int accounts_device(struct accounts *a, const char *fqdn, struct device *out)
{
	int r;

	store_bind_text(a->store, DEVICE_GET, 1, fqdn);
	r = store_step(a->store, DEVICE_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	accounts_device_read(a, DEVICE_GET, out);
	store_reset(a->store, DEVICE_GET);
	return 0;
}

/* 1 when @fp is revoked, 0 when not, or an error */
static int is_revoked(struct accounts *a, const uint8_t *fp)
{
	int r;

	store_bind_blob(a->store, REVOKED_GET, 1, fp, NTMC_FP_LEN);
	r = store_step(a->store, REVOKED_GET);
	if (r == 1)
		store_reset(a->store, REVOKED_GET);
	return r;
}

/* a number that @st selects for text @key; negative error */
static int64_t select_number(struct accounts *a, enum statement st,
			     const char *key)
{
	int64_t n;
	int r;

	store_bind_text(a->store, st, 1, key);
	r = store_step(a->store, st);
	if (r <= 0)
		return r;
	n = store_int(a->store, st, 0);
	store_reset(a->store, st);
	return n;
}

/* Whoever logs in with new keys and revokes them keeps few devices, but each new
 * name is a lease and each new key a withdrawal that all nodes are told. */
static int device_has_room(struct accounts *a, const struct device *d,
			   bool replace, unsigned int limit)
{
	int64_t n = select_number(a, DEVICES_COUNT, d->account);
	int64_t most = (int64_t)limit * ACCOUNTS_CHURN;

	if (n >= limit)
		return -NTM_ELIMIT;
	if (n >= 0 && !replace) {
		n = select_number(a, NAMES_COUNT, d->account);
		if (n >= most)
			return -NTM_ELIMIT;
	}
	if (n >= 0) {
		store_bind_int(a->store, NEWCOMERS_COUNT, 2,
			       d->last_login / DAY_S);
		n = select_number(a, NEWCOMERS_COUNT, d->account);
		if (n >= most)
			return -NTM_ELIMIT;
	}
	return n < 0 ? (int)n : 0;
}

static int device_add(struct accounts *a, const struct device *d, bool replace,
		      unsigned int limit)
{
	int r = device_has_room(a, d, replace, limit);

	if (!r)
		r = store_begin(a->store);
	if (r)
		return r;
	if (replace) {
		store_bind_text(a->store, DEVICE_DELETE, 1, d->fqdn);
		r = store_run(a->store, DEVICE_DELETE);
	}
	if (!r) {
		store_bind_text(a->store, DEVICE_ADD, 1, d->fqdn);
		store_bind_text(a->store, DEVICE_ADD, 2, d->account);
		store_bind_blob(a->store, DEVICE_ADD, 3, d->fp, NTMC_FP_LEN);
		store_bind_int(a->store, DEVICE_ADD, 4, d->last_login);
		store_bind_text(a->store, DEVICE_ADD, 5, d->version);
		r = store_run(a->store, DEVICE_ADD);
	}
	if (!r) {
		store_bind_text(a->store, NEWCOMERS_ADD, 1, d->account);
		store_bind_int(a->store, NEWCOMERS_ADD, 2,
			       d->last_login / DAY_S);
		r = store_run(a->store, NEWCOMERS_ADD);
	}
	return accounts_finish(a, r);
}

int accounts_device_login(struct accounts *a, const struct device *d,
			  unsigned int limit)
{
	struct device known;
	int r = is_revoked(a, d->fp);

	if (r)
		return r < 0 ? r : -NTM_EDISABLED;
	r = accounts_device(a, d->fqdn, &known);
	if (r && r != -NTM_ENOTFOUND)
		return r;
	if (r || known.revoked)
		return device_add(a, d, !r, limit);
	if (memcmp(known.fp, d->fp, NTMC_FP_LEN))
		return -NTM_EEXISTS;
	store_bind_text(a->store, DEVICE_SEEN, 1, d->fqdn);
	store_bind_int(a->store, DEVICE_SEEN, 2, d->last_login);
	store_bind_text(a->store, DEVICE_SEEN, 3, d->version);
	return store_run(a->store, DEVICE_SEEN);
}

int accounts_device_live(struct accounts *a, const char *fqdn,
			 const uint8_t fp[static NTMC_FP_LEN])
{
	struct account account;
	struct device d;
	int r = accounts_device(a, fqdn, &d);

	if (r == -NTM_ENOTFOUND)
		return -NTM_EDISABLED;
	if (r)
		return r;
	if (d.revoked || memcmp(d.fp, fp, NTMC_FP_LEN))
		return -NTM_EDISABLED;
	r = accounts_get(a, d.account, &account);
	ntmc_wipe(account.hash, sizeof(account.hash));
	if (r)
		return r == -NTM_ENOTFOUND ? -NTM_EDISABLED : r;
	return account.enabled ? 0 : -NTM_EDISABLED;
}

int accounts_device_revoke(struct accounts *a, const char *fqdn, bool forget,
			   int64_t now)
{
	enum statement st = forget ? DEVICE_DELETE : DEVICE_REVOKE;
	struct device d;
	int r = accounts_device(a, fqdn, &d);

	if (!r)
		r = store_begin(a->store);
	if (r)
		return r;
	r = accounts_run_text(a, st, fqdn);
	if (!r)
		r = accounts_run_text(a, TOKENS_DELETE, fqdn);
	if (!r) {
		store_bind_blob(a->store, REVOKED_ADD, 1, d.fp, NTMC_FP_LEN);
		store_bind_int(a->store, REVOKED_ADD, 2, now);
		r = store_run(a->store, REVOKED_ADD);
	}
	if (!r)
		r = accounts_queue_withdrawal(a, d.fp, 1, forget);
	return accounts_finish(a, r);
}

int accounts_device_each(struct accounts *a, const char *account,
			 accounts_device_fn *fn, void *arg)
{
	enum statement st = account ? DEVICES_OF : DEVICES_ALL;
	struct device d;
	int r;

	if (account)
		store_bind_text(a->store, st, 1, account);
	while ((r = store_step(a->store, st)) == 1) {
		accounts_device_read(a, st, &d);
		fn(arg, &d);
	}
	return r;
}

/* --- tokens ------------------------------------------------------------------ */

int accounts_token_add(struct accounts *a, const char *fqdn,
		       const struct accounts_token *t, int64_t now)
{
	int r = store_begin(a->store);

	if (r)
		return r;
	store_bind_text(a->store, TOKEN_ADD, 1, fqdn);
	store_bind_blob(a->store, TOKEN_ADD, 2, t->hash, sizeof(t->hash));
	store_bind_int(a->store, TOKEN_ADD, 3, t->expires);
	r = store_run(a->store, TOKEN_ADD);
	if (!r) {
		store_bind_text(a->store, TOKENS_PRUNE, 1, fqdn);
		store_bind_int(a->store, TOKENS_PRUNE, 2, now);
		store_bind_int(a->store, TOKENS_PRUNE, 3, ACCOUNTS_TOKENS_MAX);
		r = store_run(a->store, TOKENS_PRUNE);
	}
	return accounts_finish(a, r);
}

int accounts_holder(struct accounts *a, const char *fqdn, int64_t now,
		    struct accounts_holder *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	snprintf(out->fqdn, sizeof(out->fqdn), "%s", fqdn);
	store_bind_text(a->store, HOLDER_GET, 1, fqdn);
	r = store_step(a->store, HOLDER_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	out->withdrawn = store_int(a->store, HOLDER_GET, 0);
	store_reset(a->store, HOLDER_GET);
	if (out->withdrawn)
		return 0;
	store_bind_text(a->store, TOKENS_OF, 1, fqdn);
	store_bind_int(a->store, TOKENS_OF, 2, now);
	store_bind_int(a->store, TOKENS_OF, 3, ACCOUNTS_TOKENS_MAX);
	while ((r = store_step(a->store, TOKENS_OF)) == 1) {
		struct accounts_token *t = &out->tokens[out->n++];

		store_blob(a->store, TOKENS_OF, 0, t->hash, sizeof(t->hash));
		t->expires = store_int(a->store, TOKENS_OF, 1);
	}
	return r;
}

int accounts_names(struct accounts *a, const char *after, size_t max,
		   char (*out)[FQDN_MAX + 1], size_t *n)
{
	int r;

	*n = 0;
	store_bind_text(a->store, NAMES_EACH, 1, after);
	store_bind_int(a->store, NAMES_EACH, 2, (int64_t)max);
	while ((r = store_step(a->store, NAMES_EACH)) == 1)
		snprintf(out[(*n)++], FQDN_MAX + 1, "%s",
			 store_text(a->store, NAMES_EACH, 0));
	return r;
}
