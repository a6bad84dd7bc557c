/* SPDX-License-Identifier: MIT */
/*
 * items - what a Cache Server knows of items: SQLite
 *
 * Theory of operation
 *
 * items is one row an item, receivers one row each, asks what the box has yet to be
 * told, accounts the sums that quotas look at: of OPEN and COMPLETE items alone, and
 * how many others there are, which stay for their status.
 * A ticket is found by its hash; the ticket itself stands there until the box knows it.
 * Whatever changes an item's state changes the account's sums in the same transaction:
 * see set_state().
 */
#include "servers/cs/items.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store.h"

static const char *const schema[] = {
	"CREATE TABLE items (number INTEGER PRIMARY KEY AUTOINCREMENT,"
	" sender TEXT NOT NULL, application TEXT NOT NULL,"
	" service TEXT NOT NULL, item TEXT NOT NULL, message TEXT NOT NULL,"
	" account TEXT NOT NULL, state INTEGER NOT NULL,"
	" created INTEGER NOT NULL, expires INTEGER NOT NULL,"
	" size INTEGER NOT NULL, hash BLOB,"
	" UNIQUE (sender, application, service, item));"
	"CREATE INDEX items_sender ON items (sender, number);"
	"CREATE INDEX items_expires ON items (expires);"
	"CREATE INDEX items_state ON items (state, number);"
	"CREATE INDEX items_hash ON items (hash);"
	"CREATE TABLE receivers (item INTEGER NOT NULL REFERENCES items"
	" ON DELETE CASCADE, name TEXT NOT NULL, state INTEGER NOT NULL,"
	" at INTEGER NOT NULL, code INTEGER NOT NULL, ticket_hash BLOB,"
	" ticket BLOB, key_hash BLOB, key BLOB, PRIMARY KEY (item, name))"
	" WITHOUT ROWID;"
	"CREATE INDEX receivers_ticket ON receivers (ticket_hash);"
	"CREATE TABLE asks (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,"
	" kind INTEGER NOT NULL, name TEXT NOT NULL, tries INTEGER NOT NULL,"
	" due INTEGER NOT NULL, UNIQUE (item, kind, name));"
	"CREATE INDEX asks_due ON asks (due, id);"
	"CREATE TABLE accounts (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL,"
	" n INTEGER NOT NULL) WITHOUT ROWID;",
	/* those that ended, in that order: the oldest beyond ITEMS_ENDED_MAX of an
	 * account goes, or else who sends and cancels fills the disk */
	"CREATE TABLE ended (seq INTEGER PRIMARY KEY, account TEXT NOT NULL,"
	" item INTEGER NOT NULL UNIQUE REFERENCES items ON DELETE CASCADE);"
	"CREATE INDEX ended_account ON ended (account, seq);"
	"ALTER TABLE accounts ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;"
	"CREATE TRIGGER ended_out AFTER DELETE ON ended BEGIN"
	" UPDATE accounts SET ended = ended - 1 WHERE name = old.account; END;"
	"CREATE TRIGGER item_ends AFTER UPDATE OF state ON items"
	" WHEN new.state > 2 AND old.state <= 2 BEGIN"
	" INSERT INTO ended (account, item) VALUES (new.account, new.number);"
	" UPDATE accounts SET ended = ended + 1 WHERE name = new.account;"
	" DELETE FROM items WHERE number = (SELECT item FROM ended WHERE"
	" account = new.account ORDER BY seq LIMIT 1) AND (SELECT ended FROM"
	" accounts WHERE name = new.account) > 20000; END;",
};

static_assert(ITEMS_ENDED_MAX == 20000, "item_ends");

enum statement {
	JOB_BEGIN,
	JOB_KEEP,
	JOB_UNDO,
	ITEM_ADD,
	ITEM_FIND,
	ITEM_GET,
	ITEM_STATE,
	ITEM_HASH,
	ITEM_ACCOUNT,
	ITEM_FORGET,
	ITEMS_LIST,
	ITEMS_OF_STATE,
	ITEMS_EXPIRED,
	BLOB_USED,
	RECEIVER_ADD,
	RECEIVER_GET,
	RECEIVER_BY_TICKET,
	RECEIVER_STATE,
	RECEIVERS_OF,
	RECEIVERS_WAITING,
	RECEIVERS_WIPE,
	TICKET_WIPE,
	ASK_ADD,
	ASK_ADD_ALL,
	ASK_DONE,
	ASK_LATER,
	ASKS_DUE,
	ASKS_DELETE,
	ACCOUNT_GET,
	ACCOUNT_CHANGE,
	ACCOUNTS_LARGE,
	TOTALS,
	N_STATEMENTS,
};

#define ITEM_COLUMNS                                                           \
	"number, sender, application, service, items.item, message,"           \
	" items.state, created, expires, size, hash"
#define RECEIVER_COLUMNS                                                       \
	"name, receivers.state, at, code, ticket, key_hash, key"
static const char *const statements[] = {
	[JOB_BEGIN] = "SAVEPOINT job",
	[JOB_KEEP] = "RELEASE job",
	[JOB_UNDO] = "ROLLBACK TO job",
	[ITEM_ADD] = "INSERT INTO items (sender, application, service, item,"
		     " message, account, state, created, expires, size)"
		     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9)",
	[ITEM_FIND] = "SELECT " ITEM_COLUMNS " FROM items WHERE sender = ?1"
		      " AND application = ?2 AND service = ?3 AND item = ?4",
	[ITEM_GET] = "SELECT " ITEM_COLUMNS " FROM items WHERE number = ?1",
	[ITEM_STATE] = "UPDATE items SET state = ?2 WHERE number = ?1",
	[ITEM_HASH] = "UPDATE items SET hash = ?2 WHERE number = ?1",
	[ITEM_ACCOUNT] = "SELECT account FROM items WHERE number = ?1",
	[ITEM_FORGET] = "DELETE FROM items WHERE number = ?1",
	[ITEMS_LIST] = "SELECT " ITEM_COLUMNS " FROM items WHERE sender = ?1"
		       " AND number > ?2 ORDER BY number LIMIT ?3",
	[ITEMS_OF_STATE] = "SELECT " ITEM_COLUMNS " FROM items WHERE state = ?1"
			   " AND number > ?2 ORDER BY number LIMIT ?3",
	[ITEMS_EXPIRED] = "SELECT " ITEM_COLUMNS " FROM items"
			  " WHERE expires <= ?1 ORDER BY expires LIMIT ?2",
	[BLOB_USED] = "SELECT 1 FROM items WHERE hash = ?1 AND state = 2"
		      " LIMIT 1",
	[RECEIVER_ADD] = "INSERT INTO receivers (item, name, state, at, code,"
			 " ticket_hash, ticket, key_hash, key)"
			 " VALUES (?1, ?2, 1, ?3, 0, ?4, ?5, ?6, ?7)",
	[RECEIVER_GET] = "SELECT " RECEIVER_COLUMNS " FROM receivers"
			 " WHERE item = ?1 AND name = ?2",
	[RECEIVER_BY_TICKET] =
		"SELECT item, " RECEIVER_COLUMNS " FROM receivers"
		" WHERE ticket_hash = ?1",
	[RECEIVER_STATE] = "UPDATE receivers SET state = ?3, at = ?4, code = ?5"
			   " WHERE item = ?1 AND name = ?2",
	[RECEIVERS_OF] = "SELECT " RECEIVER_COLUMNS " FROM receivers"
			 " WHERE item = ?1 ORDER BY name",
	[RECEIVERS_WAITING] = "SELECT 1 FROM receivers WHERE item = ?1"
			      " AND state IN (1, 2) LIMIT 1",
	/* the ticket's hash stays: a confirmation may come twice */
	[RECEIVERS_WIPE] = "UPDATE receivers SET ticket = NULL, key = NULL"
			   " WHERE item = ?1",
	/* of who has been told both: a key may be told later than the data */
	[TICKET_WIPE] = "UPDATE receivers SET ticket = NULL WHERE item = ?1"
			" AND name = ?2 AND NOT EXISTS (SELECT 1 FROM asks"
			" WHERE item = ?1 AND name = ?2 AND kind <> 3)"
			" AND EXISTS (SELECT 1 FROM items WHERE number = ?1"
			" AND state = 2)",
	[ASK_ADD] = "INSERT OR REPLACE INTO asks (item, kind, name, tries, due)"
		    " VALUES (?1, ?2, ?3, 0, 0)",
	[ASK_ADD_ALL] =
		"INSERT OR REPLACE INTO asks (item, kind, name, tries, due)"
		" SELECT item, ?2, name, 0, 0 FROM receivers"
		" WHERE item = ?1 AND state IN (1, 2)",
	[ASK_DONE] = "DELETE FROM asks WHERE id = ?1",
	[ASK_LATER] = "UPDATE asks SET tries = tries + 1, due = ?2"
		      " WHERE id = ?1",
	[ASKS_DUE] = "SELECT id, item, kind, name, tries FROM asks"
		     " WHERE due <= ?1 AND id > ?2 ORDER BY id LIMIT ?3",
	[ASKS_DELETE] = "DELETE FROM asks WHERE item = ?1 AND kind <> 3",
	[ACCOUNT_GET] = "SELECT bytes, n FROM accounts WHERE name = ?1",
	[ACCOUNT_CHANGE] = "INSERT INTO accounts (name, bytes, n)"
			   " VALUES (?1, ?2, ?3)"
			   " ON CONFLICT (name) DO UPDATE SET"
			   " bytes = bytes + ?2, n = n + ?3",
	[TOTALS] = "SELECT (SELECT count(*) FROM items WHERE state = 1),"
		   " (SELECT count(*) FROM items WHERE state = 2),"
		   " (SELECT coalesce(sum(bytes), 0) FROM accounts),"
		   " (SELECT count(*) FROM asks),"
		   " (SELECT coalesce(min(created), 0) FROM items"
		   " WHERE state IN (1, 2))",
	[ACCOUNTS_LARGE] = "SELECT name, bytes, n FROM accounts WHERE n > 0"
			   " ORDER BY bytes DESC LIMIT ?1",
};
static_assert(sizeof(statements) / sizeof(statements[0]) == N_STATEMENTS,
	      "statements");

struct items {
	struct store *store;
};

int items_open(const char *path, struct items **out)
{
	struct items *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -NTM_ENOMEM;
	r = store_open(path, schema, sizeof(schema) / sizeof(schema[0]),
		       statements, N_STATEMENTS, &s->store);
	if (r)
		free(s);
	else
		*out = s;
	return r;
}

void items_close(struct items *s)
{
	if (!s)
		return;
	store_close(s->store);
	free(s);
}

int items_backup(struct items *s, const char *path)
{
	return store_backup(s->store, path);
}

int items_begin(struct items *s)
{
	return store_begin(s->store);
}

int items_commit(struct items *s)
{
	return store_commit(s->store);
}

void items_rollback(struct items *s)
{
	store_rollback(s->store);
}

int items_job_begin(struct items *s)
{
	return store_run(s->store, JOB_BEGIN);
}

int items_job_end(struct items *s, bool keep)
{
	int r = keep ? 0 : store_run(s->store, JOB_UNDO);

	return r ? r : store_run(s->store, JOB_KEEP);
}

/* --- rows ------------------------------------------------------------------------- */

static int run_number(struct items *s, enum statement st, int64_t number)
{
	store_bind_int(s->store, st, 1, number);
	return store_run(s->store, st);
}

static void copy_text(struct items *s, enum statement st, int column, char *out,
		      size_t size)
{
	snprintf(out, size, "%s", store_text(s->store, st, column));
}

static void read_item(struct items *s, enum statement st, struct item *out)
{
	memset(out, 0, sizeof(*out));
	out->number = store_int(s->store, st, 0);
	copy_text(s, st, 1, out->sender, sizeof(out->sender));
	copy_text(s, st, 2, out->application, sizeof(out->application));
	copy_text(s, st, 3, out->service, sizeof(out->service));
	copy_text(s, st, 4, out->item, sizeof(out->item));
	copy_text(s, st, 5, out->message, sizeof(out->message));
	out->state = (enum item_state)store_int(s->store, st, 6);
	out->created = store_int(s->store, st, 7);
	out->expires = store_int(s->store, st, 8);
	out->size = (uint64_t)store_int(s->store, st, 9);
	out->has_hash = store_blob(s->store, st, 10, out->hash,
				   NTMC_HASH_LEN) == NTMC_HASH_LEN;
}

static void read_receiver(struct items *s, enum statement st, int first,
			  struct receiver *out)
{
	memset(out, 0, sizeof(*out));
	copy_text(s, st, first, out->name, sizeof(out->name));
	out->state = (enum receiver_state)store_int(s->store, st, first + 1);
	out->at = store_int(s->store, st, first + 2);
	out->code = (int)store_int(s->store, st, first + 3);
	out->has_ticket = store_blob(s->store, st, first + 4, out->ticket,
				     ITEMS_TICKET_LEN) == ITEMS_TICKET_LEN;
	store_blob(s->store, st, first + 5, out->key_hash, NTMC_HASH_LEN);
	out->key_len =
		store_blob(s->store, st, first + 6, out->key, sizeof(out->key));
	if (out->key_len > sizeof(out->key))
		out->key_len = 0;
}

/* the one row of a bound statement */
static int one_item(struct items *s, enum statement st, struct item *out)
{
	int r = store_step(s->store, st);

	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	read_item(s, st, out);
	store_reset(s->store, st);
	return 0;
}

static int each_item(struct items *s, enum statement st, items_fn *fn,
		     void *arg)
{
	struct item item;
	int r;

	while ((r = store_step(s->store, st)) == 1) {
		read_item(s, st, &item);
		fn(arg, &item);
	}
	return r;
}

/* --- reading ----------------------------------------------------------------------- */

int items_find(struct items *s, const char *sender, const char *application,
	       const char *service, const char *item, struct item *out)
{
	store_bind_text(s->store, ITEM_FIND, 1, sender);
	store_bind_text(s->store, ITEM_FIND, 2, application);
	store_bind_text(s->store, ITEM_FIND, 3, service);
	store_bind_text(s->store, ITEM_FIND, 4, item);
	return one_item(s, ITEM_FIND, out);
}

int items_get(struct items *s, int64_t number, struct item *out)
{
	store_bind_int(s->store, ITEM_GET, 1, number);
	return one_item(s, ITEM_GET, out);
}

int items_by_ticket(struct items *s,
		    const uint8_t ticket[static ITEMS_TICKET_LEN],
		    struct item *item, struct receiver *out)
{
	uint8_t hash[NTMC_HASH_LEN];
	int64_t number;
	int r;

	ntmc_sha256(ticket, ITEMS_TICKET_LEN, hash);
	store_bind_blob(s->store, RECEIVER_BY_TICKET, 1, hash, sizeof(hash));
	r = store_step(s->store, RECEIVER_BY_TICKET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	number = store_int(s->store, RECEIVER_BY_TICKET, 0);
	read_receiver(s, RECEIVER_BY_TICKET, 1, out);
	store_reset(s->store, RECEIVER_BY_TICKET);
	return items_get(s, number, item);
}

int items_receiver(struct items *s, int64_t number, const char *name,
		   struct receiver *out)
{
	int r;

	store_bind_int(s->store, RECEIVER_GET, 1, number);
	store_bind_text(s->store, RECEIVER_GET, 2, name);
	r = store_step(s->store, RECEIVER_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	read_receiver(s, RECEIVER_GET, 0, out);
	store_reset(s->store, RECEIVER_GET);
	return 0;
}

int items_receivers(struct items *s, int64_t number, items_receiver_fn *fn,
		    void *arg)
{
	struct receiver row;
	int r;

	store_bind_int(s->store, RECEIVERS_OF, 1, number);
	while ((r = store_step(s->store, RECEIVERS_OF)) == 1) {
		read_receiver(s, RECEIVERS_OF, 0, &row);
		fn(arg, &row);
	}
	ntmc_wipe(&row, sizeof(row));
	return r;
}

int items_list(struct items *s, const char *sender, int64_t after,
	       unsigned int max, items_fn *fn, void *arg)
{
	store_bind_text(s->store, ITEMS_LIST, 1, sender);
	store_bind_int(s->store, ITEMS_LIST, 2, after);
	store_bind_int(s->store, ITEMS_LIST, 3, max);
	return each_item(s, ITEMS_LIST, fn, arg);
}

int items_of_state(struct items *s, enum item_state state, int64_t after,
		   unsigned int max, items_fn *fn, void *arg)
{
	store_bind_int(s->store, ITEMS_OF_STATE, 1, state);
	store_bind_int(s->store, ITEMS_OF_STATE, 2, after);
	store_bind_int(s->store, ITEMS_OF_STATE, 3, max);
	return each_item(s, ITEMS_OF_STATE, fn, arg);
}

int items_expired(struct items *s, int64_t now, unsigned int max, items_fn *fn,
		  void *arg)
{
	store_bind_int(s->store, ITEMS_EXPIRED, 1, now);
	store_bind_int(s->store, ITEMS_EXPIRED, 2, max);
	return each_item(s, ITEMS_EXPIRED, fn, arg);
}

/* 1 when a bound statement has a row */
static int has_row(struct items *s, enum statement st)
{
	int r = store_step(s->store, st);

	if (r == 1)
		store_reset(s->store, st);
	return r;
}

int items_use_blob(struct items *s, const uint8_t hash[static NTMC_HASH_LEN])
{
	store_bind_blob(s->store, BLOB_USED, 1, hash, NTMC_HASH_LEN);
	return has_row(s, BLOB_USED);
}

int items_totals(struct items *s, struct items_totals *out)
{
	int r = store_step(s->store, TOTALS);

	if (r != 1)
		return r < 0 ? r : -NTM_ESTORE;
	out->open = (uint64_t)store_int(s->store, TOTALS, 0);
	out->complete = (uint64_t)store_int(s->store, TOTALS, 1);
	out->bytes = (uint64_t)store_int(s->store, TOTALS, 2);
	out->asks = (uint64_t)store_int(s->store, TOTALS, 3);
	out->oldest = store_int(s->store, TOTALS, 4);
	store_reset(s->store, TOTALS);
	return 0;
}

int items_accounts(struct items *s, unsigned int max, items_account_fn *fn,
		   void *arg)
{
	int r;

	store_bind_int(s->store, ACCOUNTS_LARGE, 1, max);
	while ((r = store_step(s->store, ACCOUNTS_LARGE)) == 1)
		fn(arg, store_text(s->store, ACCOUNTS_LARGE, 0),
		   (uint64_t)store_int(s->store, ACCOUNTS_LARGE, 1),
		   (uint64_t)store_int(s->store, ACCOUNTS_LARGE, 2));
	return r;
}

/* --- writing ------------------------------------------------------------------------- */

static int account_change(struct items *s, const char *account, int64_t bytes,
			  int n)
{
	store_bind_text(s->store, ACCOUNT_CHANGE, 1, account);
	store_bind_int(s->store, ACCOUNT_CHANGE, 2, bytes);
	store_bind_int(s->store, ACCOUNT_CHANGE, 3, n);
	return store_run(s->store, ACCOUNT_CHANGE);
}

static bool counts(enum item_state state)
{
	return state == ITEM_OPEN || state == ITEM_COMPLETE;
}

static int uncharge(struct items *s, const struct item *item)
{
	char account[FQDN_MAX + 1];
	int r;

	if (!counts(item->state))
		return 0;
	store_bind_int(s->store, ITEM_ACCOUNT, 1, item->number);
	r = store_step(s->store, ITEM_ACCOUNT);
	if (r != 1)
		return r < 0 ? r : -NTM_ENOTFOUND;
	copy_text(s, ITEM_ACCOUNT, 0, account, sizeof(account));
	store_reset(s->store, ITEM_ACCOUNT);
	return account_change(s, account, -(int64_t)item->size, -1);
}

/* the one place where an item's state changes */
static int set_state(struct items *s, const struct item *item,
		     enum item_state state)
{
	int r = counts(state) ? 0 : uncharge(s, item);

	if (r)
		return r;
	store_bind_int(s->store, ITEM_STATE, 1, item->number);
	store_bind_int(s->store, ITEM_STATE, 2, state);
	r = store_run(s->store, ITEM_STATE);
	if (r || counts(state))
		return r;
	/* nobody fetches it any more */
	r = run_number(s, RECEIVERS_WIPE, item->number);
	return r ? r : run_number(s, ASKS_DELETE, item->number);
}

static int has_room(struct items *s, const char *account, uint64_t size,
		    const struct items_limits *limits)
{
	uint64_t bytes = 0, n = 0;
	int r;

	store_bind_text(s->store, ACCOUNT_GET, 1, account);
	r = store_step(s->store, ACCOUNT_GET);
	if (r < 0)
		return r;
	if (r == 1) {
		bytes = (uint64_t)store_int(s->store, ACCOUNT_GET, 0);
		n = (uint64_t)store_int(s->store, ACCOUNT_GET, 1);
		store_reset(s->store, ACCOUNT_GET);
	}
	if (n >= limits->n)
		return -NTM_ELIMIT;
	return bytes > limits->bytes || size > limits->bytes - bytes
		       ? -NTM_ETOOBIG
		       : 0;
}

static int add_receiver(struct items *s, int64_t number, int64_t now,
			struct receiver *r)
{
	uint8_t ticket_hash[NTMC_HASH_LEN];
	int err;

	ntmc_random(NULL, r->ticket, ITEMS_TICKET_LEN);
	ntmc_sha256(r->ticket, ITEMS_TICKET_LEN, ticket_hash);
	ntmc_sha256(r->key, r->key_len, r->key_hash);
	store_bind_int(s->store, RECEIVER_ADD, 1, number);
	store_bind_text(s->store, RECEIVER_ADD, 2, r->name);
	store_bind_int(s->store, RECEIVER_ADD, 3, now);
	store_bind_blob(s->store, RECEIVER_ADD, 4, ticket_hash,
			sizeof(ticket_hash));
	store_bind_blob(s->store, RECEIVER_ADD, 5, r->ticket, ITEMS_TICKET_LEN);
	store_bind_blob(s->store, RECEIVER_ADD, 6, r->key_hash, NTMC_HASH_LEN);
	store_bind_blob(s->store, RECEIVER_ADD, 7, r->key, r->key_len);
	err = store_run(s->store, RECEIVER_ADD);
	return err;
}

struct same {
	const struct receiver *r;
	size_t n, found;
};

static void compare(void *arg, const struct receiver *have)
{
	struct same *c = arg;
	uint8_t hash[NTMC_HASH_LEN];

	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->r[i].name, have->name))
			continue;
		ntmc_sha256(c->r[i].key, c->r[i].key_len, hash);
		c->found += !memcmp(hash, have->key_hash, NTMC_HASH_LEN);
		return;
	}
	c->found = SIZE_MAX / 2; /* one more than asked for */
}

/* is what is there what is asked for once more? */
static int is_same(struct items *s, const struct item *have,
		   const struct item *item, const struct receiver *r, size_t n)
{
	struct same c = {.r = r, .n = n};
	int err = items_receivers(s, have->number, compare, &c);

	if (err)
		return err;
	return c.found == n && have->size == item->size && counts(have->state)
		       ? 1
		       : -NTM_EEXISTS;
}

static int insert_item(struct items *s, struct item *item, const char *account)
{
	int r;

	store_bind_text(s->store, ITEM_ADD, 1, item->sender);
	store_bind_text(s->store, ITEM_ADD, 2, item->application);
	store_bind_text(s->store, ITEM_ADD, 3, item->service);
	store_bind_text(s->store, ITEM_ADD, 4, item->item);
	store_bind_text(s->store, ITEM_ADD, 5, item->message);
	store_bind_text(s->store, ITEM_ADD, 6, account);
	store_bind_int(s->store, ITEM_ADD, 7, item->created);
	store_bind_int(s->store, ITEM_ADD, 8, item->expires);
	store_bind_int(s->store, ITEM_ADD, 9, (int64_t)item->size);
	r = store_run(s->store, ITEM_ADD);
	if (!r)
		r = items_find(s, item->sender, item->application,
			       item->service, item->item, item);
	return r;
}

int items_add(struct items *s, struct item *item, const char *account,
	      struct receiver *r, size_t n, const struct items_limits *limits)
{
	struct item have;
	int err = items_find(s, item->sender, item->application, item->service,
			     item->item, &have);

	if (!err && have.state == ITEM_LOST) {
		/* its data is gone: what is sent again takes its place */
		err = items_forget(s, have.number);
	} else if (!err) {
		err = is_same(s, &have, item, r, n);
		if (err == 1)
			*item = have;
		return err;
	} else if (err == -NTM_ENOTFOUND) {
		err = 0;
	}
	if (err)
		return err;
	err = limits->closed ? -NTM_EOFFLINE
			     : has_room(s, account, item->size, limits);
	if (!err)
		err = insert_item(s, item, account);
	for (size_t i = 0; !err && i < n; i++)
		err = add_receiver(s, item->number, item->created, &r[i]);
	if (!err) {
		store_bind_int(s->store, ASK_ADD_ALL, 1, item->number);
		store_bind_int(s->store, ASK_ADD_ALL, 2, ASK_KEY);
		err = store_run(s->store, ASK_ADD_ALL);
	}
	return err ? err : account_change(s, account, (int64_t)item->size, 1);
}

int items_complete(struct items *s, int64_t number,
		   const uint8_t hash[static NTMC_HASH_LEN])
{
	struct item item;
	int r = items_get(s, number, &item);

	if (r)
		return r;
	if (item.state != ITEM_OPEN)
		return item.has_hash && !memcmp(item.hash, hash, NTMC_HASH_LEN)
			       ? 0
			       : -NTM_ESTATE;
	store_bind_int(s->store, ITEM_HASH, 1, number);
	store_bind_blob(s->store, ITEM_HASH, 2, hash, NTMC_HASH_LEN);
	r = store_run(s->store, ITEM_HASH);
	if (!r)
		r = set_state(s, &item, ITEM_COMPLETE);
	if (r)
		return r;
	store_bind_int(s->store, ASK_ADD_ALL, 1, number);
	store_bind_int(s->store, ASK_ADD_ALL, 2, ASK_DATA);
	return store_run(s->store, ASK_ADD_ALL);
}

static int end_item(struct items *s, int64_t number, enum item_state state)
{
	struct item item;
	int r = items_get(s, number, &item);

	if (r || !counts(item.state))
		return r;
	return set_state(s, &item, state);
}

int items_cancel(struct items *s, int64_t number)
{
	return end_item(s, number, ITEM_CANCELLED);
}

int items_lose(struct items *s, int64_t number)
{
	int r = end_item(s, number, ITEM_LOST);

	if (r)
		return r;
	/* its sender is told: of each who has yet to get it */
	store_bind_int(s->store, ASK_ADD_ALL, 1, number);
	store_bind_int(s->store, ASK_ADD_ALL, 2, ASK_STATUS);
	return store_run(s->store, ASK_ADD_ALL);
}

static int receiver_set(struct items *s, int64_t number, const char *name,
			enum receiver_state state, int code, int64_t now)
{
	store_bind_int(s->store, RECEIVER_STATE, 1, number);
	store_bind_text(s->store, RECEIVER_STATE, 2, name);
	store_bind_int(s->store, RECEIVER_STATE, 3, state);
	store_bind_int(s->store, RECEIVER_STATE, 4, now);
	store_bind_int(s->store, RECEIVER_STATE, 5, code);
	return store_run(s->store, RECEIVER_STATE);
}

static int ask_add(struct items *s, int64_t number, enum ask_kind kind,
		   const char *name)
{
	store_bind_int(s->store, ASK_ADD, 1, number);
	store_bind_int(s->store, ASK_ADD, 2, kind);
	store_bind_text(s->store, ASK_ADD, 3, name);
	return store_run(s->store, ASK_ADD);
}

/* somebody needs it no more: does anybody? */
static int close_receiver(struct items *s, int64_t number, bool *over)
{
	int r;

	store_bind_int(s->store, RECEIVERS_WAITING, 1, number);
	r = has_row(s, RECEIVERS_WAITING);
	if (r < 0)
		return r;
	*over = !r;
	return r ? 0 : end_item(s, number, ITEM_DONE);
}

int items_confirm(struct items *s, int64_t number, const char *name, int code,
		  int64_t now, bool *over)
{
	struct receiver have;
	int r = items_receiver(s, number, name, &have);

	*over = false;
	if (r)
		return r;
	if (have.state == RECEIVER_RECEIVED || have.state == RECEIVER_REFUSED)
		return 0; /* again: its answer was lost */
	r = receiver_set(s, number, name,
			 code ? RECEIVER_REFUSED : RECEIVER_RECEIVED, code,
			 now);
	if (!r)
		r = ask_add(s, number, ASK_STATUS, name);
	return r ? r : close_receiver(s, number, over);
}

int items_forget(struct items *s, int64_t number)
{
	struct item item;
	int r = items_get(s, number, &item);

	if (!r)
		r = uncharge(s, &item);
	return r ? r : run_number(s, ITEM_FORGET, number);
}

/* --- asks ---------------------------------------------------------------------------- */

int items_asks_due(struct items *s, int64_t now, int64_t after,
		   unsigned int max, items_ask_fn *fn, void *arg)
{
	struct ask a;
	int r;

	store_bind_int(s->store, ASKS_DUE, 1, now);
	store_bind_int(s->store, ASKS_DUE, 2, after);
	store_bind_int(s->store, ASKS_DUE, 3, max);
	while ((r = store_step(s->store, ASKS_DUE)) == 1) {
		a.id = store_int(s->store, ASKS_DUE, 0);
		a.number = store_int(s->store, ASKS_DUE, 1);
		a.kind = (enum ask_kind)store_int(s->store, ASKS_DUE, 2);
		copy_text(s, ASKS_DUE, 3, a.name, sizeof(a.name));
		a.tries = (unsigned int)store_int(s->store, ASKS_DUE, 4);
		fn(arg, &a);
	}
	return r;
}

int items_asked(struct items *s, const struct ask *ask, int code, int64_t now)
{
	struct receiver have;
	bool over;
	int r = run_number(s, ASK_DONE, ask->id);

	if (r || ask->kind == ASK_STATUS)
		return r;
	r = items_receiver(s, ask->number, ask->name, &have);
	if (r == -NTM_ENOTFOUND) /* forgotten meanwhile */
		return 0;
	if (!r && !code) {
		store_bind_int(s->store, TICKET_WIPE, 1, ask->number);
		store_bind_text(s->store, TICKET_WIPE, 2, ask->name);
		r = store_run(s->store, TICKET_WIPE);
	}
	if (r || (have.state != RECEIVER_WAITING &&
		  (have.state != RECEIVER_TOLD || !code)))
		return r;
	r = receiver_set(s, ask->number, ask->name,
			 code ? RECEIVER_REFUSED : RECEIVER_TOLD, code, now);
	if (!r && code)
		r = ask_add(s, ask->number, ASK_STATUS, ask->name);
	return !r && code ? close_receiver(s, ask->number, &over) : r;
}

int items_ask_later(struct items *s, int64_t id, int64_t due)
{
	store_bind_int(s->store, ASK_LATER, 1, id);
	store_bind_int(s->store, ASK_LATER, 2, due);
	return store_run(s->store, ASK_LATER);
}
