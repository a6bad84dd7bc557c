/* SPDX-License-Identifier: MIT */
/*
 * journal - the DC's durable side: leases, sessions, push tokens, withdrawals, boot number
 *
 * Theory of operation
 *
 * The loop appends jobs to a list under a lock. The thread takes the whole list,
 * runs it as one transaction and puts it on the done list; an eventfd wakes the
 * loop, which calls back in the order the jobs were made. So a burst of ten
 * thousand logins costs a few commits, and a slow disk delays answers to the AS,
 * never a keep-alive.
 *
 * Kntmdc stands in the store, which is what lets a DC that was killed know its
 * nodes at once. The file is 0600; docs/threat-model.md says what it is worth.
 */
#include "servers/dc/journal.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"
#include "common/store.h"

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

enum job_kind { JOB_SESSION, JOB_DROP, JOB_REVOKE, JOB_PRUNE, JOB_PUSH };

struct job {
	struct job *next;
	enum job_kind kind;
	journal_fn *fn;
	void *arg;
	int err;
	bool flag; /* SESSION: replace; REVOKE: release */
	int64_t a, b;
	char *token; /* PUSH; NULL: none */
	struct journal_node node;
	struct journal_session session;
	size_t n;
	struct journal_revocation revocations[]; /* REVOKE: @n */
};

struct journal {
	struct store *store;
	uint64_t boot, serial;
	struct loop_io *io;
	int wake;
	bool running;
	pthread_t thread;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t more;
	struct job *todo, **todo_tail, *done, **done_tail;
	unsigned int waiting;
	bool stop;
};

/* --- opening ---------------------------------------------------------------- */

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

int journal_open(const char *path, bool start, struct journal **out)
{
	struct journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -NTM_ENOMEM;
	j->wake = -1;
	j->todo_tail = &j->todo;
	j->done_tail = &j->done;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->more, NULL);
	r = store_open(path, schema, sizeof(schema) / sizeof(schema[0]),
		       statements, N_STATEMENTS, &j->store);
	if (!r)
		r = meta_get(j->store, "boot", &j->boot);
	if (!r)
		r = meta_get(j->store, "serial", &j->serial);
	if (!r && start)
		r = meta_set(j->store, "boot", ++j->boot);
	if (r) {
		journal_close(j);
		return r;
	}
	*out = j;
	return 0;
}

int journal_forget_sessions(struct journal *j)
{
	store_bind_int(j->store, SESSIONS_EXPIRE, 1, INT64_MAX);
	return store_run(j->store, SESSIONS_EXPIRE);
}

int journal_backup(struct journal *j, const char *path)
{
	return store_backup(j->store, path);
}

uint64_t journal_boot(const struct journal *j)
{
	return j->boot;
}

uint64_t journal_serial(const struct journal *j)
{
	return j->serial;
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

int journal_load(struct journal *j, const struct journal_load_ops *ops,
		 void *arg, int64_t now)
{
	struct journal_revocation rev = {.serial = 0};
	struct store *s = j->store;
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

/* --- the thread ---------------------------------------------------------------- */

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

static int do_all(struct store *s, const struct job *list)
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

/* one bad job must not fail the others for ever: alone they may succeed */
static void do_each(struct store *s, struct job *list)
{
	struct job *next;

	for (struct job *job = list; job; job = next) {
		next = job->next;
		job->next = NULL;
		job->err = do_all(s, job);
		job->next = next;
	}
}

static void *journal_thread(void *arg)
{
	struct journal *j = arg;
	struct job *list, **end;
	uint64_t one = 1;

	pthread_mutex_lock(&j->lock);
	for (;;) {
		while (!j->todo && !j->stop)
			pthread_cond_wait(&j->more, &j->lock);
		list = j->todo;
		if (!list)
			break; /* told to stop, and all is written */
		j->todo = NULL;
		j->todo_tail = &j->todo;
		j->waiting = 0;
		pthread_mutex_unlock(&j->lock);
		if (do_all(j->store, list))
			do_each(j->store, list);
		pthread_mutex_lock(&j->lock);
		*j->done_tail = list;
		for (end = &list; *end; end = &(*end)->next)
			;
		j->done_tail = list ? end : j->done_tail;
		if (write(j->wake, &one, sizeof(one)) < 0)
			continue; /* counter full: the loop is woken anyway */
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

static void job_free(struct job *job)
{
	ntmc_key_clear(&job->session.kntmdc);
	free(job->token);
	free(job);
}

static void journal_finished(void *arg, int fd, unsigned int events)
{
	struct journal *j = arg;
	struct job *list, *job;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&j->lock);
	list = j->done;
	j->done = NULL;
	j->done_tail = &j->done;
	pthread_mutex_unlock(&j->lock);
	while ((job = list)) {
		list = job->next;
		if (job->fn)
			job->fn(job->arg, job->err);
		job_free(job);
	}
}

int journal_start(struct journal *j, struct loop *l)
{
	int r;

	j->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->wake < 0)
		return -NTM_ESYSTEM;
	r = loop_io_add(l, j->wake, LOOP_READ, false, journal_finished, j,
			&j->io);
	if (r)
		return r;
	if (pthread_create(&j->thread, NULL, journal_thread, j))
		return -NTM_ESYSTEM;
	j->running = true;
	return 0;
}

static void jobs_free(struct job *job)
{
	struct job *next;

	for (; job; job = next) {
		next = job->next;
		if (job->fn)
			job->fn(job->arg, -NTM_ECLOSED);
		job_free(job);
	}
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	pthread_mutex_lock(&j->lock);
	j->stop = true;
	pthread_cond_signal(&j->more);
	pthread_mutex_unlock(&j->lock);
	if (j->running)
		pthread_join(j->thread, NULL);
	jobs_free(j->todo);
	jobs_free(j->done);
	loop_io_del(j->io);
	if (j->wake >= 0)
		close(j->wake);
	store_close(j->store);
	pthread_cond_destroy(&j->more);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

/* --- jobs ------------------------------------------------------------------------ */

static struct job *job_new(enum job_kind kind, size_t n)
{
	struct job *job =
		calloc(1, sizeof(*job) + n * sizeof(job->revocations[0]));

	if (job) {
		job->kind = kind;
		job->n = n;
	}
	return job;
}

static int job_add(struct journal *j, struct job *job)
{
	int r = 0;

	pthread_mutex_lock(&j->lock);
	if (j->waiting == JOURNAL_QUEUE_MAX) {
		r = -NTM_ELIMIT;
	} else {
		j->waiting++;
		*j->todo_tail = job;
		j->todo_tail = &job->next;
		pthread_cond_signal(&j->more);
	}
	pthread_mutex_unlock(&j->lock);
	if (r)
		job_free(job);
	return r;
}

int journal_session(struct journal *j, const struct journal_node *n,
		    const struct journal_session *s, bool replace,
		    journal_fn *fn, void *arg)
{
	struct job *job = job_new(JOB_SESSION, 0);

	if (!job)
		return -NTM_ENOMEM;
	job->node = *n;
	job->session = *s;
	job->flag = replace;
	job->fn = fn;
	job->arg = arg;
	return job_add(j, job);
}

void journal_drop(struct journal *j, uint64_t node_id)
{
	struct job *job = job_new(JOB_DROP, 0);

	if (!job)
		return;
	job->a = (int64_t)node_id;
	if (job_add(j, job))
		log_debug("journal", "a session that ended stays for a day");
}

void journal_push(struct journal *j, const char *fqdn, int kind,
		  const char *token)
{
	struct job *job = job_new(JOB_PUSH, 0);

	if (!job)
		return;
	snprintf(job->node.fqdn, sizeof(job->node.fqdn), "%s", fqdn);
	job->a = kind;
	job->token = token ? strdup(token) : NULL;
	if (token && !job->token)
		job_free(job);
	else if (job_add(j, job))
		log_debug("journal", "a push token is in memory alone");
}

int journal_revoke(struct journal *j, const struct journal_revocation *r,
		   size_t n, bool release, journal_fn *fn, void *arg)
{
	struct job *job = job_new(JOB_REVOKE, n);

	if (!job)
		return -NTM_ENOMEM;
	memcpy(job->revocations, r, n * sizeof(*r));
	job->flag = release;
	job->fn = fn;
	job->arg = arg;
	return job_add(j, job);
}

void journal_prune(struct journal *j, int64_t revoked_before, int64_t now)
{
	struct job *job = job_new(JOB_PRUNE, 0);

	if (!job)
		return;
	job->a = revoked_before;
	job->b = now;
	if (job_add(j, job))
		log_debug("journal", "not pruned this time");
}
