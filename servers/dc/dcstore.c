/* SPDX-License-Identifier: MIT */
/*
 * dcstore - what stands in the DC's store, and how a job of the journal changes it
 *
 * Kntmdc stands in it, which is what lets a DC that was killed know its nodes at once.
 * The file is 0600; docs/threat-model.md says what it is worth.
 */
#include "servers/dc/dcstore.h"

#include <assert.h>
#include <stdio.h>

#include "common/log.h"

static const char *const schema[] = {
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('boot', 0), ('serial', 0);"
	"CREATE TABLE nodes (fqdn TEXT PRIMARY KEY, vip6 INTEGER NOT NULL"
	" UNIQUE, vip4 INTEGER NOT NULL, ed_pub BLOB NOT NULL,"
	" x_pub BLOB NOT NULL, x_sig BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE sessions (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" node_id INTEGER NOT NULL UNIQUE, fqdn TEXT NOT NULL,"
	" kntmdc BLOB NOT NULL, aead INTEGER NOT NULL,"
	" expires INTEGER NOT NULL);"
	"CREATE INDEX sessions_fqdn ON sessions (fqdn);"
	"CREATE INDEX sessions_expires ON sessions (expires);"
	"CREATE TABLE revocations (serial INTEGER PRIMARY KEY, fp BLOB NOT NULL"
	" UNIQUE, at INTEGER NOT NULL);",
	"CREATE TABLE push (fqdn TEXT PRIMARY KEY, kind INTEGER NOT NULL,"
	" token TEXT NOT NULL) WITHOUT ROWID;",
};

enum statement {
	META_GET,
	META_SET,
	NODE_PUT,
	NODE_DELETE,
	NODE_EACH,
	SESSION_ADD,
	SESSION_DELETE,
	SESSIONS_DELETE,
	SESSIONS_EXPIRE,
	SESSION_EACH,
	REVOKE,
	UNREVOKE,
	REVOKED_EACH,
	REVOKED_EXPIRE,
	PUSH_PUT,
	PUSH_DELETE,
	PUSH_EACH,
	N_STATEMENTS,
};

static const char *const statements[] = {
	[META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[META_SET] = "UPDATE meta SET value = ?2 WHERE key = ?1",
	[NODE_PUT] = "INSERT INTO nodes VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
		     " ON CONFLICT (fqdn) DO UPDATE SET ed_pub = ?4,"
		     " x_pub = ?5, x_sig = ?6",
	[NODE_DELETE] = "DELETE FROM nodes WHERE fqdn = ?1",
	[NODE_EACH] = "SELECT fqdn, vip6, vip4, ed_pub, x_pub, x_sig"
		      " FROM nodes",
	[SESSION_ADD] = "INSERT INTO sessions"
			" (node_id, fqdn, kntmdc, aead, expires)"
			" VALUES (?1, ?2, ?3, ?4, ?5)",
	[SESSION_DELETE] = "DELETE FROM sessions WHERE node_id = ?1",
	[SESSIONS_DELETE] = "DELETE FROM sessions WHERE fqdn = ?1",
	[SESSIONS_EXPIRE] = "DELETE FROM sessions WHERE expires <= ?1",
	[SESSION_EACH] = "SELECT node_id, fqdn, kntmdc, aead, expires"
			 " FROM sessions ORDER BY id",
	[REVOKE] = "INSERT OR REPLACE INTO revocations VALUES (?1, ?2, ?3)",
	[UNREVOKE] = "DELETE FROM revocations WHERE fp = ?1",
	[REVOKED_EACH] = "SELECT serial, fp, at FROM revocations"
			 " ORDER BY serial",
	[REVOKED_EXPIRE] = "DELETE FROM revocations WHERE at < ?1",
	[PUSH_PUT] = "INSERT OR REPLACE INTO push VALUES (?1, ?2, ?3)",
	[PUSH_DELETE] = "DELETE FROM push WHERE fqdn = ?1",
	[PUSH_EACH] = "SELECT fqdn, kind, token FROM push",
};
static_assert(sizeof(statements) / sizeof(statements[0]) == N_STATEMENTS,
	      "statements");

/* --- opening and reading -------------------------------------------------------- */

static int meta_get(struct store *s, const char *key, uint64_t *out)
{
	int r;

	store_bind_text(s, META_GET, 1, key);
	r = store_step(s, META_GET);
	if (r <= 0)
		return r ? r : -NTM_ESTORE;
	*out = (uint64_t)store_int(s, META_GET, 0);
	store_reset(s, META_GET);
	return 0;
}

static int meta_set(struct store *s, const char *key, uint64_t value)
{
	store_bind_text(s, META_SET, 1, key);
	store_bind_int(s, META_SET, 2, (int64_t)value);
	return store_run(s, META_SET);
}

const char *const *dcstore_schema(size_t *n)
{
	*n = sizeof(schema) / sizeof(schema[0]);
	return schema;
}

int dcstore_open(const char *path, bool start, struct store **out,
		 uint64_t *boot, uint64_t *serial)
{
	int r = store_open(path, schema, sizeof(schema) / sizeof(schema[0]),
			   statements, N_STATEMENTS, out);

	if (!r)
		r = meta_get(*out, "boot", boot);
	if (!r)
		r = meta_get(*out, "serial", serial);
	if (!r && start)
		r = meta_set(*out, "boot", ++*boot);
	return r;
}

int dcstore_forget_sessions(struct store *s)
{
	store_bind_int(s, SESSIONS_EXPIRE, 1, INT64_MAX);
	return store_run(s, SESSIONS_EXPIRE);
}

static int load_nodes(struct store *s, const struct journal_load_ops *ops,
		      void *arg)
{
	struct journal_node n;
	int r;

	while ((r = store_step(s, NODE_EACH)) == 1) {
		snprintf(n.fqdn, sizeof(n.fqdn), "%s",
			 store_text(s, NODE_EACH, 0));
		n.vip6_host = (uint64_t)store_int(s, NODE_EACH, 1);
		n.vip4 = (uint32_t)store_int(s, NODE_EACH, 2);
		store_blob(s, NODE_EACH, 3, n.ed_pub, sizeof(n.ed_pub));
		store_blob(s, NODE_EACH, 4, n.x_pub, sizeof(n.x_pub));
		store_blob(s, NODE_EACH, 5, n.x_sig, sizeof(n.x_sig));
		r = ops->node(arg, &n);
		if (r) {
			store_reset(s, NODE_EACH);
			break;
		}
	}
	return r;
}

static int load_sessions(struct store *s, const struct journal_load_ops *ops,
			 void *arg, int64_t now)
{
	struct journal_session se;
	int r;

	store_bind_int(s, SESSIONS_EXPIRE, 1, now);
	r = store_run(s, SESSIONS_EXPIRE);
	if (r)
		log_warn("journal", "expired sessions stay: %s", err_text(r));
	while ((r = store_step(s, SESSION_EACH)) == 1) {
		se.node_id = (uint64_t)store_int(s, SESSION_EACH, 0);
		store_blob(s, SESSION_EACH, 2, se.kntmdc.b, NTMC_KEY_LEN);
		se.aead = (uint32_t)store_int(s, SESSION_EACH, 3);
		se.expires = (uint32_t)store_int(s, SESSION_EACH, 4);
		if (se.expires <= now)
			continue;
		r = ops->session(arg, store_text(s, SESSION_EACH, 1), &se);
		if (r) {
			store_reset(s, SESSION_EACH);
			break;
		}
	}
	ntmc_key_clear(&se.kntmdc);
	return r;
}

static int load_push(struct store *s, const struct journal_load_ops *ops,
		     void *arg)
{
	int r;

	while ((r = store_step(s, PUSH_EACH)) == 1) {
		r = ops->push(arg, store_text(s, PUSH_EACH, 0),
			      (int)store_int(s, PUSH_EACH, 1),
			      store_text(s, PUSH_EACH, 2));
		if (r) {
			store_reset(s, PUSH_EACH);
			break;
		}
	}
	return r;
}

int dcstore_load(struct store *s, const struct journal_load_ops *ops, void *arg,
		 int64_t now)
{
	struct journal_revocation rev = {.serial = 0};
	int r = load_nodes(s, ops, arg);

	if (!r)
		r = load_sessions(s, ops, arg, now);
	if (!r)
		r = load_push(s, ops, arg);
	if (r)
		return r;
	while ((r = store_step(s, REVOKED_EACH)) == 1) {
		rev.serial = (uint64_t)store_int(s, REVOKED_EACH, 0);
		store_blob(s, REVOKED_EACH, 1, rev.fp, sizeof(rev.fp));
		rev.at = store_int(s, REVOKED_EACH, 2);
		r = ops->revocation(arg, &rev);
		if (r) {
			store_reset(s, REVOKED_EACH);
			break;
		}
	}
	return r;
}

/* --- writing ---------------------------------------------------------------------- */

static int do_push(struct store *s, const char *fqdn, int64_t kind,
		   const char *token)
{
	size_t st = token ? PUSH_PUT : PUSH_DELETE;

	store_bind_text(s, st, 1, fqdn);
	if (token) {
		store_bind_int(s, st, 2, kind);
		store_bind_text(s, st, 3, token);
	}
	return store_run(s, st);
}

static int do_session(struct store *s, const struct job *job)
{
	const struct journal_node *n = &job->node;
	uint8_t fp[NTMC_FP_LEN];
	int r;

	store_bind_text(s, NODE_PUT, 1, n->fqdn);
	store_bind_int(s, NODE_PUT, 2, (int64_t)n->vip6_host);
	store_bind_int(s, NODE_PUT, 3, n->vip4);
	store_bind_blob(s, NODE_PUT, 4, n->ed_pub, sizeof(n->ed_pub));
	store_bind_blob(s, NODE_PUT, 5, n->x_pub, sizeof(n->x_pub));
	store_bind_blob(s, NODE_PUT, 6, n->x_sig, sizeof(n->x_sig));
	r = store_run(s, NODE_PUT);
	if (!r && job->flag) {
		store_bind_text(s, SESSIONS_DELETE, 1, n->fqdn);
		r = store_run(s, SESSIONS_DELETE);
		if (!r)
			r = do_push(s, n->fqdn, 0, NULL);
	}
	if (!r) {
		const struct journal_session *se = &job->session;

		store_bind_int(s, SESSION_ADD, 1, (int64_t)se->node_id);
		store_bind_text(s, SESSION_ADD, 2, n->fqdn);
		store_bind_blob(s, SESSION_ADD, 3, se->kntmdc.b, NTMC_KEY_LEN);
		store_bind_int(s, SESSION_ADD, 4, se->aead);
		store_bind_int(s, SESSION_ADD, 5, se->expires);
		r = store_run(s, SESSION_ADD);
	}
	if (!r) {
		ntmc_fingerprint(n->ed_pub, fp);
		store_bind_blob(s, UNREVOKE, 1, fp, sizeof(fp));
		r = store_run(s, UNREVOKE);
	}
	return r;
}

static int do_revoke(struct store *s, const struct job *job)
{
	int r = 0;

	for (size_t i = 0; !r && i < job->n; i++) {
		const struct journal_revocation *v = &job->revocations[i];

		store_bind_int(s, REVOKE, 1, (int64_t)v->serial);
		store_bind_blob(s, REVOKE, 2, v->fp, sizeof(v->fp));
		store_bind_int(s, REVOKE, 3, v->at);
		r = store_run(s, REVOKE);
		if (!r)
			r = meta_set(s, "serial", v->serial);
		if (r || !v->fqdn[0])
			continue;
		store_bind_text(s, SESSIONS_DELETE, 1, v->fqdn);
		r = store_run(s, SESSIONS_DELETE);
		if (!r)
			r = do_push(s, v->fqdn, 0, NULL);
		if (r || !job->flag)
			continue;
		store_bind_text(s, NODE_DELETE, 1, v->fqdn);
		r = store_run(s, NODE_DELETE);
	}
	return r;
}

static int do_prune(struct store *s, const struct job *job)
{
	int r;

	store_bind_int(s, REVOKED_EXPIRE, 1, job->a);
	r = store_run(s, REVOKED_EXPIRE);
	if (r)
		return r;
	store_bind_int(s, SESSIONS_EXPIRE, 1, job->b);
	return store_run(s, SESSIONS_EXPIRE);
}

static int do_job(struct store *s, const struct job *job)
{
	switch (job->kind) {
	case JOB_SESSION:
		return do_session(s, job);
	case JOB_DROP:
		store_bind_int(s, SESSION_DELETE, 1, job->a);
		return store_run(s, SESSION_DELETE);
	case JOB_REVOKE:
		return do_revoke(s, job);
	case JOB_PRUNE:
		return do_prune(s, job);
	case JOB_PUSH:
		return do_push(s, job->node.fqdn, job->a, job->token);
	}
	return -NTM_EINVAL;
}

int dcstore_write(struct store *s, const struct job *list)
{
	int r = store_begin(s);

	if (r)
		return r;
	for (const struct job *job = list; !r && job; job = job->next)
		r = do_job(s, job);
	if (!r)
		r = store_commit(s);
	if (r)
		store_rollback(s);
	return r;
}
