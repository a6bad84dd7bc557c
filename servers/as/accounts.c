/* SPDX-License-Identifier: MIT */
/* accounts - the AS's durable state: its store, and the accounts in it */
#include "servers/as/accounts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "servers/as/accounts_impl.h"

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

/* names of servers; NAME.group.DOMAIN is a group's address */
static const char *const reserved[] = {"ns", "dc",  "as",  "rs",
				       "cs", "gms", "box", "group"};

const char *const *accounts_schema(size_t *n)
{
	*n = sizeof(schema) / sizeof(schema[0]);
	return schema;
}

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

int accounts_run_text(struct accounts *a, enum statement st, const char *key)
{
	store_bind_text(a->store, st, 1, key);
	return store_run(a->store, st);
}

int accounts_finish(struct accounts *a, int r)
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
		r = accounts_withdraw_all(a, name, false);
	if (!r && !enabled)
		r = accounts_run_text(a, TOKENS_DELETE_OF, name);
	return accounts_finish(a, r);
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
	r = accounts_withdraw_all(a, name, true);
	if (!r)
		r = accounts_run_text(a, TOKENS_DELETE_OF, name);
	if (!r)
		r = accounts_run_text(a, DEVICES_DELETE, name);
	if (!r)
		r = accounts_run_text(a, NEWCOMERS_DELETE, name);
	if (!r)
		r = accounts_run_text(a, ACCOUNT_DELETE, name);
	return accounts_finish(a, r);
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
