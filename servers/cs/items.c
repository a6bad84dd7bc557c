/* SPDX-License-Identifier: MIT */
/*
 * items - what a Cache Server knows of items: the tables, and how a row is read
 *
 * Theory of operation
 *
 * items is one row an item, receivers one row each, asks what the box has yet to be
 * told, accounts the sums that quotas look at: of OPEN and COMPLETE items alone, and
 * how many others there are, which stay for their status.
 * A ticket is found by its hash; the ticket itself stands there until the box knows it.
 * small has the blobs that came with their keys, as long as somebody waits for them; what
 * goes makes room in the file for the next ones.
 */
#include "servers/cs/items_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	/* a receiver's word, which its sender alone can read */
	"ALTER TABLE receivers ADD COLUMN receipt BLOB;",
	/* blobs that came with their keys; those of others are files */
	"ALTER TABLE items ADD COLUMN small INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE small (item INTEGER PRIMARY KEY REFERENCES items"
	" ON DELETE CASCADE, data BLOB NOT NULL);",
	/* the sender's: each account has its turn, however much another one has */
	"ALTER TABLE asks ADD COLUMN account TEXT NOT NULL DEFAULT '';"
	"UPDATE asks SET account = (SELECT account FROM items WHERE"
	" number = asks.item);"
	"DROP INDEX asks_due;"
	"CREATE INDEX asks_account ON asks (account, due, id);",
	/* bytes of sealed keys, which the account is charged with beside the blob */
	"ALTER TABLE items ADD COLUMN keys INTEGER NOT NULL DEFAULT 0;",
	/* what stood here before there were those two sums is part of them, too */
	"UPDATE items SET keys = (SELECT coalesce(sum(length(key)), 0)"
	" FROM receivers WHERE receivers.item = items.number)"
	" WHERE state <= 2;"
	"UPDATE accounts SET bytes = sums.bytes FROM (SELECT account,"
	" sum(size + keys) AS bytes FROM items WHERE state <= 2"
	" GROUP BY account) AS sums WHERE sums.account = accounts.name;"
	"INSERT INTO ended (account, item) SELECT account, number FROM items"
	" WHERE state > 2 AND number NOT IN (SELECT item FROM ended)"
	" ORDER BY number;"
	"UPDATE accounts SET ended = sums.n FROM (SELECT account,"
	" count(*) AS n FROM ended GROUP BY account) AS sums"
	" WHERE sums.account = accounts.name;",
};

static_assert(ITEMS_ENDED_MAX == 20000, "item_ends");

#define ITEM_COLUMNS                                                           \
	"number, sender, application, service, items.item, message,"           \
	" items.state, created, expires, size, hash, small"
#define RECEIVER_COLUMNS                                                       \
	"name, receivers.state, at, code, ticket, key_hash, key, receipt"
static const char *const statements[] = {
	[JOB_BEGIN] = "SAVEPOINT job",
	[JOB_KEEP] = "RELEASE job",
	[JOB_UNDO] = "ROLLBACK TO job",
	[ITEM_ADD] = "INSERT INTO items (sender, application, service, item,"
		     " message, account, state, created, expires, size, hash,"
		     " small, keys) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
		     " ?10, ?11, ?12, ?13)",
	[ITEM_KEYS] = "UPDATE items SET keys = keys + ?2 WHERE number = ?1",
	[ITEM_FIND] = "SELECT " ITEM_COLUMNS " FROM items WHERE sender = ?1"
		      " AND application = ?2 AND service = ?3 AND item = ?4",
	[ITEM_GET] = "SELECT " ITEM_COLUMNS " FROM items WHERE number = ?1",
	[ITEM_STATE] = "UPDATE items SET state = ?2 WHERE number = ?1",
	[ITEM_HASH] =
		"UPDATE items SET hash = ?2, small = ?3 WHERE number = ?1",
	[ITEM_ACCOUNT] = "SELECT account, keys FROM items WHERE number = ?1",
	[ITEM_FORGET] = "DELETE FROM items WHERE number = ?1",
	[ITEMS_LIST] = "SELECT " ITEM_COLUMNS " FROM items WHERE sender = ?1"
		       " AND number > ?2 ORDER BY number LIMIT ?3",
	[ITEMS_OF_STATE] = "SELECT " ITEM_COLUMNS " FROM items WHERE state = ?1"
			   " AND number > ?2 ORDER BY number LIMIT ?3",
	[ITEMS_EXPIRED] = "SELECT " ITEM_COLUMNS " FROM items"
			  " WHERE expires <= ?1 ORDER BY expires LIMIT ?2",
	[BLOB_USED] = "SELECT 1 FROM items WHERE hash = ?1 AND state = 2"
		      " AND small = 0 LIMIT 1",
	[SMALL_ADD] = "INSERT INTO small (item, data) VALUES (?1, ?2)",
	[SMALL_GET] = "SELECT data FROM small WHERE item = ?1",
	[SMALL_DELETE] = "DELETE FROM small WHERE item = ?1",
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
	[RECEIVER_RECEIPT] = "UPDATE receivers SET receipt = ?3"
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
	[ASK_ADD] = "INSERT OR REPLACE INTO asks"
		    " (item, kind, name, tries, due, account) VALUES"
		    " (?1, ?2, ?3, 0, 0,"
		    " (SELECT account FROM items WHERE number = ?1))",
	[ASK_ADD_ALL] = "INSERT OR REPLACE INTO asks"
			" (item, kind, name, tries, due, account)"
			" SELECT item, ?2, name, 0, 0,"
			" (SELECT account FROM items WHERE number = ?1)"
			" FROM receivers WHERE item = ?1 AND state IN (1, 2)",
	[ASK_DONE] = "DELETE FROM asks WHERE id = ?1",
	[ASK_LATER] = "UPDATE asks SET tries = tries + 1, due = ?2"
		      " WHERE id = ?1",
	[ASKS_DUE] = "SELECT id, item, kind, name, tries FROM asks"
		     " WHERE due <= ?1 AND id > ?2 ORDER BY id LIMIT ?3",
	[ASKS_OF] = "SELECT id, item, kind, name, tries FROM asks"
		    " WHERE account = ?1 AND due <= ?2"
		    " ORDER BY due, id LIMIT ?3",
	[ASKS_ACCOUNT] = "SELECT min(account) FROM asks WHERE account > ?1",
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

const char *const *items_schema(size_t *n)
{
	*n = sizeof(schema) / sizeof(schema[0]);
	return schema;
}

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

int items_run_number(struct items *s, enum statement st, int64_t number)
{
	store_bind_int(s->store, st, 1, number);
	return store_run(s->store, st);
}

void items_copy_text(struct items *s, enum statement st, int column, char *out,
		     size_t size)
{
	snprintf(out, size, "%s", store_text(s->store, st, column));
}

void items_read_item(struct items *s, enum statement st, struct item *out)
{
	memset(out, 0, sizeof(*out));
	out->number = store_int(s->store, st, 0);
	items_copy_text(s, st, 1, out->sender, sizeof(out->sender));
	items_copy_text(s, st, 2, out->application, sizeof(out->application));
	items_copy_text(s, st, 3, out->service, sizeof(out->service));
	items_copy_text(s, st, 4, out->item, sizeof(out->item));
	items_copy_text(s, st, 5, out->message, sizeof(out->message));
	out->state = (enum item_state)store_int(s->store, st, 6);
	out->created = store_int(s->store, st, 7);
	out->expires = store_int(s->store, st, 8);
	out->size = (uint64_t)store_int(s->store, st, 9);
	out->has_hash = store_blob(s->store, st, 10, out->hash,
				   NTMC_HASH_LEN) == NTMC_HASH_LEN;
	out->small = store_int(s->store, st, 11);
}

void items_read_receiver(struct items *s, enum statement st, int first,
			 struct receiver *out)
{
	memset(out, 0, sizeof(*out));
	items_copy_text(s, st, first, out->name, sizeof(out->name));
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
	out->has_receipt = store_blob(s->store, st, first + 7, out->receipt,
				      RECEIPT_LEN) == RECEIPT_LEN;
}

int items_one(struct items *s, enum statement st, struct item *out)
{
	int r = store_step(s->store, st);

	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	items_read_item(s, st, out);
	store_reset(s->store, st);
	return 0;
}

int items_each(struct items *s, enum statement st, items_fn *fn, void *arg)
{
	struct item item;
	int r;

	while ((r = store_step(s->store, st)) == 1) {
		items_read_item(s, st, &item);
		fn(arg, &item);
	}
	return r;
}

int items_has_row(struct items *s, enum statement st)
{
	int r = store_step(s->store, st);

	if (r == 1)
		store_reset(s->store, st);
	return r;
}
