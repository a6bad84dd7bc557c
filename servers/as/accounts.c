/* SPDX-License-Identifier: MIT */
/* accounts - the AS's durable state: accounts, their devices, withdrawals to send */
#include "servers/as/accounts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store.h"

#define DAY_S 86400

static const char *const schema[] = {
	"CREATE TABLE accounts (name TEXT PRIMARY KEY, hash TEXT NOT NULL,"
	" enabled INTEGER NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE devices (fqdn TEXT PRIMARY KEY, account TEXT NOT NULL,"
	" fp BLOB NOT NULL UNIQUE, revoked INTEGER NOT NULL,"
	" last_login INTEGER NOT NULL, version TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX devices_account ON devices (account);"
	/* identities that never come back, whatever becomes of their name */
	"CREATE TABLE revoked (fp BLOB PRIMARY KEY, at INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE withdrawals (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" fps BLOB NOT NULL, release INTEGER NOT NULL);",
	/* keys that an account brought on the newest day it brought any */
	"CREATE TABLE newcomers (account TEXT PRIMARY KEY,"
	" day INTEGER NOT NULL, n INTEGER NOT NULL) WITHOUT ROWID;",
	/* may its nodes use the domain's exits? */
	"ALTER TABLE accounts ADD COLUMN exit INTEGER NOT NULL DEFAULT 0;",
	/* id: their age */
	"CREATE TABLE tokens (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" fqdn TEXT NOT NULL, hash BLOB NOT NULL, expires INTEGER NOT NULL);"
	"CREATE INDEX tokens_fqdn ON tokens (fqdn);",
};

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

#define DEVICE_COLUMNS "fqdn, account, fp, revoked, last_login, version"
#define LIVE_DEVICES                                                           \
	"(SELECT count(*) FROM devices WHERE account = name AND NOT revoked)"
static const char *const statements[] = {
	[ACCOUNT_ADD] = "INSERT INTO accounts (name, hash, enabled, created)"
			" VALUES (?1, ?2, 1, ?3)",
	[ACCOUNT_GET] = "SELECT name, hash, enabled, created, " LIVE_DEVICES
			", exit FROM accounts WHERE name = ?1",
	[ACCOUNT_HASH] = "UPDATE accounts SET hash = ?2 WHERE name = ?1",
	[ACCOUNT_ENABLE] = "UPDATE accounts SET enabled = ?2 WHERE name = ?1",
	[ACCOUNT_DELETE] = "DELETE FROM accounts WHERE name = ?1",
	[ACCOUNT_EACH] = "SELECT name, '', enabled, created, " LIVE_DEVICES
			 ", exit FROM accounts ORDER BY name",
	[ACCOUNT_EXIT] = "UPDATE accounts SET exit = ?2 WHERE name = ?1",
	[EXITS_EACH] = "SELECT name FROM accounts WHERE exit AND enabled"
		       " AND name > ?1 ORDER BY name LIMIT ?2",
	[DEVICE_GET] = "SELECT " DEVICE_COLUMNS " FROM devices WHERE fqdn = ?1",
	[DEVICE_ADD] = "INSERT INTO devices (" DEVICE_COLUMNS ")"
		       " VALUES (?1, ?2, ?3, 0, ?4, ?5)",
	[DEVICE_SEEN] = "UPDATE devices SET last_login = ?2, version = ?3"
			" WHERE fqdn = ?1",
	[DEVICE_REVOKE] = "UPDATE devices SET revoked = 1 WHERE fqdn = ?1",
	[DEVICE_DELETE] = "DELETE FROM devices WHERE fqdn = ?1",
	[DEVICES_DELETE] = "DELETE FROM devices WHERE account = ?1",
	[DEVICES_COUNT] = "SELECT count(*) FROM devices"
			  " WHERE account = ?1 AND NOT revoked",
	[NAMES_COUNT] = "SELECT count(*) FROM devices WHERE account = ?1",
	[NEWCOMERS_COUNT] = "SELECT n FROM newcomers"
			    " WHERE account = ?1 AND day = ?2",
	[NEWCOMERS_ADD] = "INSERT INTO newcomers VALUES (?1, ?2, 1)"
			  " ON CONFLICT (account) DO UPDATE SET day = ?2,"
			  " n = CASE day WHEN ?2 THEN n + 1 ELSE 1 END",
	[NEWCOMERS_DELETE] = "DELETE FROM newcomers WHERE account = ?1",
	[DEVICES_OF] = "SELECT " DEVICE_COLUMNS " FROM devices"
		       " WHERE account = ?1 ORDER BY fqdn",
	[DEVICES_ALL] = "SELECT " DEVICE_COLUMNS " FROM devices"
			" ORDER BY account, fqdn",
	[REVOKED_ADD] = "INSERT OR IGNORE INTO revoked VALUES (?1, ?2)",
	[REVOKED_GET] = "SELECT 1 FROM revoked WHERE fp = ?1",
	[WITHDRAWAL_ADD] =
		"INSERT INTO withdrawals (fps, release) VALUES (?1, ?2)",
	[WITHDRAWAL_NEXT] = "SELECT id, fps, release FROM withdrawals"
			    " WHERE id > ?1 ORDER BY id LIMIT 1",
	[WITHDRAWAL_DONE] = "DELETE FROM withdrawals WHERE id = ?1",
	[WITHDRAWAL_OF] =
		"SELECT 1 FROM withdrawals WHERE instr(fps, ?1) LIMIT 1",
	[TOKEN_ADD] = "INSERT INTO tokens (fqdn, hash, expires)"
		      " VALUES (?1, ?2, ?3)",
	/* what has run out, and all but the newest */
	[TOKENS_PRUNE] = "DELETE FROM tokens WHERE fqdn = ?1 AND (expires <= ?2"
			 " OR id NOT IN (SELECT id FROM tokens WHERE fqdn = ?1"
			 " ORDER BY id DESC LIMIT ?3))",
	[TOKENS_OF] = "SELECT hash, expires FROM tokens WHERE fqdn = ?1"
		      " AND expires > ?2 ORDER BY id DESC LIMIT ?3",
	[TOKENS_DELETE] = "DELETE FROM tokens WHERE fqdn = ?1",
	[TOKENS_DELETE_OF] = "DELETE FROM tokens WHERE fqdn IN"
			     " (SELECT fqdn FROM devices WHERE account = ?1)",
	[HOLDER_GET] = "SELECT revoked OR NOT coalesce((SELECT enabled FROM"
		       " accounts WHERE name = account), 0)"
		       " FROM devices WHERE fqdn = ?1",
	[NAMES_EACH] = "SELECT fqdn FROM devices WHERE fqdn > ?1"
		       " ORDER BY fqdn LIMIT ?2",
};
static_assert(sizeof(statements) / sizeof(statements[0]) == N_STATEMENTS,
	      "statements");

struct accounts {
	struct store *store;
};

/* names of servers; NAME.group.DOMAIN is a group's address */
static const char *const reserved[] = {"ns", "dc",  "as",  "rs",
				       "cs", "gms", "box", "group"};

int accounts_open(const char *path, struct accounts **out)
{
	struct accounts *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -NTM_ENOMEM;
	r = store_open(path, schema, sizeof(schema) / sizeof(schema[0]),
		       statements, N_STATEMENTS, &a->store);
	if (r) {
		free(a);
		return r;
	}
	*out = a;
	return 0;
}

void accounts_close(struct accounts *a)
{
	if (!a)
		return;
	store_close(a->store);
	free(a);
}

int accounts_backup(struct accounts *a, const char *path)
{
	return store_backup(a->store, path);
}

bool accounts_name_ok(const char *name)
{
	if (!fqdn_label_is_valid(name))
		return false;
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (!strcmp(name, reserved[i]))
			return false;
	return true;
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

static void account_read(struct accounts *a, enum statement st,
			 struct account *out)
{
	snprintf(out->name, sizeof(out->name), "%s",
		 store_text(a->store, st, 0));
	snprintf(out->hash, sizeof(out->hash), "%s",
		 store_text(a->store, st, 1));
	out->enabled = store_int(a->store, st, 2);
	out->created = store_int(a->store, st, 3);
	out->n_devices = (unsigned int)store_int(a->store, st, 4);
	out->exit = store_int(a->store, st, 5);
}

static void device_read(struct accounts *a, enum statement st,
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

int accounts_add(struct accounts *a, const char *name, const char *hash,
		 int64_t now)
{
	if (!accounts_name_ok(name))
		return -NTM_EINVAL;
	store_bind_text(a->store, ACCOUNT_ADD, 1, name);
	store_bind_text(a->store, ACCOUNT_ADD, 2, hash);
	store_bind_int(a->store, ACCOUNT_ADD, 3, now);
	return store_run(a->store, ACCOUNT_ADD);
}

int accounts_get(struct accounts *a, const char *name, struct account *out)
{
	int r;

	store_bind_text(a->store, ACCOUNT_GET, 1, name);
	r = store_step(a->store, ACCOUNT_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	account_read(a, ACCOUNT_GET, out);
	store_reset(a->store, ACCOUNT_GET);
	return 0;
}

static int account_exists(struct accounts *a, const char *name)
{
	struct account found = {.enabled = false};
	int r = accounts_get(a, name, &found);

	ntmc_wipe(&found, sizeof(found));
	return r;
}

int accounts_set_hash(struct accounts *a, const char *name, const char *hash)
{
	int r = account_exists(a, name);

	if (r)
		return r;
	store_bind_text(a->store, ACCOUNT_HASH, 1, name);
	store_bind_text(a->store, ACCOUNT_HASH, 2, hash);
	return store_run(a->store, ACCOUNT_HASH);
}

static int queue_withdrawal(struct accounts *a, const void *fps, size_t n,
			    bool release)
{
	store_bind_blob(a->store, WITHDRAWAL_ADD, 1, fps, n * NTMC_FP_LEN);
	store_bind_int(a->store, WITHDRAWAL_ADD, 2, release);
	return store_run(a->store, WITHDRAWAL_ADD);
}

/* inside a transaction: withdraw every device of an account */
static int withdraw_devices(struct accounts *a, const char *name, bool release)
{
	uint8_t fps[ACCOUNTS_BATCH_MAX][NTMC_FP_LEN];
	struct device d;
	size_t n = 0;
	int r;

	store_bind_text(a->store, DEVICES_OF, 1, name);
	while ((r = store_step(a->store, DEVICES_OF)) == 1) {
		device_read(a, DEVICES_OF, &d);
		if (d.revoked && !release)
			continue;
		memcpy(fps[n++], d.fp, NTMC_FP_LEN);
		if (n < ACCOUNTS_BATCH_MAX)
			continue;
		r = queue_withdrawal(a, fps, n, release);
		if (r) {
			store_reset(a->store, DEVICES_OF);
			return r;
		}
		n = 0;
	}
	if (!r && n)
		r = queue_withdrawal(a, fps, n, release);
	return r;
}

static int run_text(struct accounts *a, enum statement st, const char *key)
{
	store_bind_text(a->store, st, 1, key);
	return store_run(a->store, st);
}

static int finish(struct accounts *a, int r)
{
	if (!r)
		r = store_commit(a->store);
	if (r)
		store_rollback(a->store);
	return r;
}

int accounts_set_enabled(struct accounts *a, const char *name, bool enabled)
{
	int r = account_exists(a, name);

	if (!r)
		r = store_begin(a->store);
	if (r)
		return r;
	store_bind_text(a->store, ACCOUNT_ENABLE, 1, name);
	store_bind_int(a->store, ACCOUNT_ENABLE, 2, enabled);
	r = store_run(a->store, ACCOUNT_ENABLE);
	if (!r && !enabled)
		r = withdraw_devices(a, name, false);
	if (!r && !enabled)
		r = run_text(a, TOKENS_DELETE_OF, name);
	return finish(a, r);
}

int accounts_set_exit(struct accounts *a, const char *name, bool may)
{
	int r = account_exists(a, name);

	if (r)
		return r;
	store_bind_text(a->store, ACCOUNT_EXIT, 1, name);
	store_bind_int(a->store, ACCOUNT_EXIT, 2, may);
	return store_run(a->store, ACCOUNT_EXIT);
}

int accounts_exits(struct accounts *a, const char *after, size_t max,
		   char (*out)[FQDN_LABEL_MAX + 1], size_t *n)
{
	int r;

	*n = 0;
	store_bind_text(a->store, EXITS_EACH, 1, after);
	store_bind_int(a->store, EXITS_EACH, 2, (int64_t)max);
	while ((r = store_step(a->store, EXITS_EACH)) == 1 && *n < max)
		snprintf(out[(*n)++], FQDN_LABEL_MAX + 1, "%s",
			 store_text(a->store, EXITS_EACH, 0));
	return r;
}

int accounts_delete(struct accounts *a, const char *name)
{
	int r = account_exists(a, name);

	if (!r)
		r = store_begin(a->store);
	if (r)
		return r;
	r = withdraw_devices(a, name, true);
	if (!r)
		r = run_text(a, TOKENS_DELETE_OF, name);
	if (!r)
		r = run_text(a, DEVICES_DELETE, name);
	if (!r)
		r = run_text(a, NEWCOMERS_DELETE, name);
	if (!r)
		r = run_text(a, ACCOUNT_DELETE, name);
	return finish(a, r);
}

int accounts_each(struct accounts *a, accounts_fn *fn, void *arg)
{
	struct account account;
	int r;

	while ((r = store_step(a->store, ACCOUNT_EACH)) == 1) {
		account_read(a, ACCOUNT_EACH, &account);
		fn(arg, &account);
	}
	return r;
}

int accounts_device(struct accounts *a, const char *fqdn, struct device *out)
{
	int r;

	store_bind_text(a->store, DEVICE_GET, 1, fqdn);
	r = store_step(a->store, DEVICE_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	device_read(a, DEVICE_GET, out);
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
	return finish(a, r);
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
	r = run_text(a, st, fqdn);
	if (!r)
		r = run_text(a, TOKENS_DELETE, fqdn);
	if (!r) {
		store_bind_blob(a->store, REVOKED_ADD, 1, d.fp, NTMC_FP_LEN);
		store_bind_int(a->store, REVOKED_ADD, 2, now);
		r = store_run(a->store, REVOKED_ADD);
	}
	if (!r)
		r = queue_withdrawal(a, d.fp, 1, forget);
	return finish(a, r);
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
		device_read(a, st, &d);
		fn(arg, &d);
	}
	return r;
}

int accounts_withdrawal_next(struct accounts *a, int64_t after,
			     struct withdrawal *out)
{
	size_t len;
	int r;

	store_bind_int(a->store, WITHDRAWAL_NEXT, 1, after);
	r = store_step(a->store, WITHDRAWAL_NEXT);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	out->id = store_int(a->store, WITHDRAWAL_NEXT, 0);
	len = store_blob(a->store, WITHDRAWAL_NEXT, 1, out->fps,
			 sizeof(out->fps));
	out->n =
		(len < sizeof(out->fps) ? len : sizeof(out->fps)) / NTMC_FP_LEN;
	out->release = store_int(a->store, WITHDRAWAL_NEXT, 2);
	store_reset(a->store, WITHDRAWAL_NEXT);
	return 0;
}

int accounts_withdrawal_done(struct accounts *a, int64_t id)
{
	store_bind_int(a->store, WITHDRAWAL_DONE, 1, id);
	return store_run(a->store, WITHDRAWAL_DONE);
}

int accounts_withdrawal_settled(struct accounts *a,
				const uint8_t fp[static NTMC_FP_LEN])
{
	int r;

	store_bind_blob(a->store, WITHDRAWAL_OF, 1, fp, NTMC_FP_LEN);
	r = store_step(a->store, WITHDRAWAL_OF);
	if (r == 1)
		store_reset(a->store, WITHDRAWAL_OF);
	return r == 1 ? -NTM_EAGAIN : r;
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
	return finish(a, r);
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
