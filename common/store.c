/* SPDX-License-Identifier: MIT */
/*
 * store - durable state in SQLite
 *
 * Theory of operation
 *
 * WAL with synchronous=FULL: a commit returns after its pages are on the disk, so
 * what was acknowledged survives kill -9 and a power cut. Every statement is
 * prepared at the start; a wrong one is found then, not at night.
 *
 * A full disk fails the one call with -NTM_ESTORE. SQLite may have ended the
 * transaction by itself then; store_rollback() knows. Nothing is kept in a failed
 * state: the next call works again as soon as there is room.
 *
 * What can be undone in part is kept in memory (temp_store): a confined process may
 * not write where SQLite would put a file for it.
 *
 * In a group the first statement that writes begins a transaction, which stays open
 * until store_flush(); those of the caller are savepoints in it. SQLite may end it by
 * itself: what was written before is gone then, too, so nothing more is taken and the
 * flush fails.
 *
 * Errors of a bind are kept per statement and told by the step that follows, so
 * that a caller binds five values and checks once.
 */
#include "common/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define STORE_BUSY_MS                                                          \
	5000 /* another process of ours (ntm-server account) writes */

/* what is said so often that it is prepared, too */
enum store_word {
	WORD_BEGIN,
	WORD_COMMIT,
	WORD_PART,
	WORD_PART_END,
	STORE_WORDS
};

static const char *const words[STORE_WORDS] = {
	[WORD_BEGIN] = "BEGIN IMMEDIATE",
	[WORD_COMMIT] = "COMMIT",
	[WORD_PART] = "SAVEPOINT part",
	[WORD_PART_END] = "RELEASE part",
};

struct store {
	sqlite3 *db;
	char *name; /* for the log */
	size_t n;
	sqlite3_stmt **st;
	bool *bad_bind;			  /* per statement, until its step */
	sqlite3_stmt *words[STORE_WORDS]; /* of transactions */
	bool grouped, pending;
	int64_t undone; /* how often something was rolled back */
	void (*begun)(void *arg);
	void *begun_arg;
};

static int store_error(struct store *s, const char *what)
{
	log_err(s->name, "%s: %s", what, sqlite3_errmsg(s->db));
	return -NTM_ESTORE;
}

static int run_script(struct store *s, const char *sql)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_error(s, "cannot be written");
	return 0;
}

/* --- opening --------------------------------------------------------------------- */

/* SQLite counts each byte that it allocates, under a lock; nobody asks. Of no effect
 * where somebody else has begun with SQLite before. */
static void stop_counting(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* SQLite would make the file by the umask. */
static int touch_private(const char *path)
{
	/* Closing any descriptor of a file drops all locks that the process has on it
	 * (POSIX): of one that is there none is opened, as another store of this process
	 * may have it, and without its lock the next process that ends would take the
	 * write-ahead log away from under it. */
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY,
		      0600);

	if (fd < 0)
		return errno == EEXIST ? 0 : -NTM_ESTORE;
	close(fd);
	return 0;
}

static int get_version(struct store *s, int *version)
{
	sqlite3_stmt *st;
	int ret = -NTM_ESTORE;

	if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) !=
	    SQLITE_OK)
		return store_error(s, "cannot be read");
	if (sqlite3_step(st) == SQLITE_ROW) {
		*version = sqlite3_column_int(st, 0);
		ret = 0;
	}
	sqlite3_finalize(st);
	return ret;
}

/* One step of the schema and its number, both or neither. */
static int upgrade_once(struct store *s, const char *script, int to)
{
	char sql[64];
	int ret;

	ret = run_script(s, "BEGIN IMMEDIATE");
	if (ret)
		return ret;
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", to);
	ret = run_script(s, script);
	if (ret == 0)
		ret = run_script(s, sql);
	if (ret == 0)
		ret = run_script(s, "COMMIT");
	if (ret)
		store_rollback(s);
	return ret;
}

static int upgrade(struct store *s, const char *const *schema, size_t n)
{
	int version = 0, ret;

	ret = get_version(s, &version);
	if (ret)
		return ret;
	if (version < 0 || (size_t)version > n) {
		log_err(s->name,
			"was made by a newer version of this program "
			"(schema %d, known %zu)",
			version, n);
		return -NTM_EVERSION;
	}
	for (; (size_t)version < n && ret == 0; version++)
		ret = upgrade_once(s, schema[version], version + 1);
	return ret;
}

static int prepare_one(struct store *s, const char *sql, sqlite3_stmt **out)
{
	if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out,
			       NULL) != SQLITE_OK)
		return store_error(s, sql);
	return 0;
}

static int prepare(struct store *s, const char *const *sql, size_t n)
{
	int ret = 0;
	size_t i;

	s->st = calloc(n ? n : 1, sizeof(*s->st));
	s->bad_bind = calloc(n ? n : 1, sizeof(*s->bad_bind));
	if (!s->st || !s->bad_bind)
		return -NTM_ENOMEM;
	s->n = n;
	for (i = 0; i < n && !ret; i++)
		ret = prepare_one(s, sql[i], &s->st[i]);
	for (i = 0; i < STORE_WORDS && !ret; i++)
		ret = prepare_one(s, words[i], &s->words[i]);
	return ret;
}

int store_open(const char *path, const char *const *schema, size_t n_schema,
	       const char *const *statements, size_t n_statements,
	       struct store **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct store *s = calloc(1, sizeof(*s));
	int ret;

	pthread_once(&once, stop_counting);
	if (!s || asprintf(&s->name, "store %s", path) < 0) {
		free(s);
		return -NTM_ENOMEM;
	}
	ret = touch_private(path);
	if (ret) {
		log_err(s->name, "%s", strerror(errno));
		goto err_store;
	}
	if (sqlite3_open_v2(path, &s->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK) {
		ret = store_error(s, "cannot be opened");
		goto err_store;
	}
	sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
	ret = run_script(s, "PRAGMA journal_mode = WAL;"
			    "PRAGMA synchronous = FULL;"
			    "PRAGMA foreign_keys = ON;"
			    "PRAGMA temp_store = MEMORY;"
			    "PRAGMA secure_delete = ON");
	if (ret == 0)
		ret = upgrade(s, schema, n_schema);
	if (ret == 0)
		ret = prepare(s, statements, n_statements);
	if (ret)
		goto err_store;
	*out = s;
	return 0;
err_store:
	store_close(s);
	return ret;
}

int store_alone(struct store *s)
{
	return run_script(s, "PRAGMA locking_mode = EXCLUSIVE");
}

void store_close(struct store *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->n; i++)
		sqlite3_finalize(s->st[i]);
	for (i = 0; i < STORE_WORDS; i++)
		sqlite3_finalize(s->words[i]);
	if (s->db && sqlite3_close(s->db) != SQLITE_OK)
		log_err(s->name, "close: %s", sqlite3_errmsg(s->db));
	free(s->st);
	free(s->bad_bind);
	free(s->name);
	free(s);
}

/* --- transactions ------------------------------------------------------------------ */

static int say(struct store *s, enum store_word word)
{
	int code = sqlite3_step(s->words[word]);

	/* its own error is that of the step */
	if (code != SQLITE_DONE)
		store_error(s, "cannot be written");
	sqlite3_reset(s->words[word]);
	return code == SQLITE_DONE ? 0 : -NTM_ESTORE;
}

/* the group's transaction */
static int group_open(struct store *s)
{
	int ret;

	if (s->pending)
		return sqlite3_get_autocommit(s->db) ? -NTM_ESTORE : 0;
	ret = say(s, WORD_BEGIN);
	if (ret)
		return ret;
	s->pending = true;
	s->begun(s->begun_arg);
	return 0;
}

void store_group(struct store *s, void (*begun)(void *arg), void *arg)
{
	s->grouped = true;
	s->begun = begun;
	s->begun_arg = arg;
}

bool store_pending(const struct store *s)
{
	return s->pending;
}

void store_drop(struct store *s)
{
	s->pending = false;
	s->undone++;
	if (!sqlite3_get_autocommit(s->db))
		(void)run_script(s, "ROLLBACK");
}

int store_flush(struct store *s)
{
	int ret;

	if (!s->pending)
		return 0;
	ret = sqlite3_get_autocommit(s->db) ? -NTM_ESTORE : say(s, WORD_COMMIT);
	s->pending = false;
	if (ret)
		store_drop(s);
	return ret;
}

int store_begin(struct store *s)
{
	int ret;

	if (!s->grouped)
		return say(s, WORD_BEGIN);
	ret = group_open(s);
	return ret ? ret : say(s, WORD_PART);
}

int store_commit(struct store *s)
{
	return say(s, s->grouped ? WORD_PART_END : WORD_COMMIT);
}

void store_rollback(struct store *s)
{
	s->undone++;
	/* some errors (a full disk among them) end the transaction by themselves */
	if (!sqlite3_get_autocommit(s->db))
		(void)run_script(s, s->grouped ? "ROLLBACK TO part;"
						 "RELEASE part"
					       : "ROLLBACK");
}

/* --- statements --------------------------------------------------------------------- */

static void bound(struct store *s, size_t st, int ret)
{
	if (ret != SQLITE_OK)
		s->bad_bind[st] = true;
}

void store_bind_int(struct store *s, size_t st, int index, int64_t value)
{
	bound(s, st, sqlite3_bind_int64(s->st[st], index, value));
}

void store_bind_text(struct store *s, size_t st, int index, const char *text)
{
	bound(s, st,
	      sqlite3_bind_text(s->st[st], index, text, -1, SQLITE_TRANSIENT));
}

void store_bind_blob(struct store *s, size_t st, int index, const void *data,
		     size_t len)
{
	/* a NULL pointer would bind SQL's NULL: an empty blob is meant */
	bound(s, st,
	      len ? sqlite3_bind_blob64(s->st[st], index, data, len,
					SQLITE_TRANSIENT)
		  : sqlite3_bind_zeroblob(s->st[st], index, 0));
}

void store_reset(struct store *s, size_t st)
{
	sqlite3_reset(s->st[st]);
	sqlite3_clear_bindings(s->st[st]);
	s->bad_bind[st] = false;
}

int store_step(struct store *s, size_t st)
{
	int ret, code;

	if (s->bad_bind[st]) {
		log_err(s->name, "statement %zu: a value was not accepted", st);
		store_reset(s, st);
		return -NTM_ESTORE;
	}
	if (s->grouped && !sqlite3_stmt_readonly(s->st[st])) {
		ret = group_open(s);
		if (ret) {
			store_reset(s, st);
			return ret;
		}
	}
	code = sqlite3_step(s->st[st]);
	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE) {
		ret = 0;
	} else {
		code = sqlite3_extended_errcode(s->db);
		if (code == SQLITE_CONSTRAINT_UNIQUE ||
		    code == SQLITE_CONSTRAINT_PRIMARYKEY ||
		    code == SQLITE_CONSTRAINT_ROWID)
			ret = -NTM_EEXISTS;
		else
			ret = store_error(s, sqlite3_sql(s->st[st]));
	}
	store_reset(s, st);
	return ret;
}

int store_run(struct store *s, size_t st)
{
	int ret = store_step(s, st);

	if (ret == 1) {
		store_reset(s, st);
		return 0;
	}
	return ret;
}

int64_t store_int(struct store *s, size_t st, int column)
{
	return sqlite3_column_int64(s->st[st], column);
}

const char *store_text(struct store *s, size_t st, int column)
{
	const char *text = (const char *)sqlite3_column_text(s->st[st], column);

	return text ? text : "";
}

size_t store_blob(struct store *s, size_t st, int column, void *out,
		  size_t size)
{
	const void *data = sqlite3_column_blob(s->st[st], column);
	size_t len = (size_t)sqlite3_column_bytes(s->st[st], column);

	if (data && size)
		memcpy(out, data, len < size ? len : size);
	return len;
}

/* --- backup ------------------------------------------------------------------------- */

static int copy_to(struct store *s, const char *path)
{
	sqlite3_backup *copy;
	sqlite3 *db = NULL;
	int code;

	if (touch_private(path)) {
		log_err(s->name, "backup to %s: %s", path, strerror(errno));
		return -NTM_ESTORE;
	}
	code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
	if (code == SQLITE_OK) {
		copy = sqlite3_backup_init(db, "main", s->db, "main");
		if (copy) {
			(void)sqlite3_backup_step(copy, -1);
			code = sqlite3_backup_finish(copy);
		} else {
			code = sqlite3_errcode(db);
		}
	}
	if (code != SQLITE_OK)
		log_err(s->name, "backup to %s: %s", path,
			sqlite3_errstr(code));
	sqlite3_close(db);
	return code == SQLITE_OK ? 0 : -NTM_ESTORE;
}

int store_tidy(struct store *s)
{
	int r;

	/* who makes a backup may read for long: the next time will do */
	sqlite3_busy_timeout(s->db, 0);
	r = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
				      NULL, NULL);
	sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
	return r == SQLITE_OK ? 0 : -NTM_ESTORE;
}

int store_backup(struct store *s, const char *path)
{
	char tmp[PATH_MAX];
	int ret, n;

	n = snprintf(tmp, sizeof(tmp), "%s.part", path);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -NTM_EINVAL;
	unlink(tmp); /* of a backup that was interrupted */
	ret = copy_to(s, tmp);
	if (ret == 0 && rename(tmp, path) < 0) {
		log_err(s->name, "backup to %s: %s", path, strerror(errno));
		ret = -NTM_ESTORE;
	}
	if (ret)
		unlink(tmp);
	return ret;
}

int64_t store_changes(const struct store *s)
{
	return sqlite3_changes64(s->db);
}

int64_t store_moment(const struct store *s)
{
	return sqlite3_total_changes64(s->db) + s->undone;
}
