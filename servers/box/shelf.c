/* SPDX-License-Identifier: MIT */
/*
 * shelf - what the box keeps on its disk: devices, prekeys, temporal keys, cache lists
 *
 * Theory of operation
 *
 * One SQLite store. A device is there from its first prekey on, until it is withdrawn;
 * only what is there can be a receiver. What is put on the shelf and taken from it:
 * shelf_devices.c, shelf_keys.c, shelf_entries.c; how much there may be: shelf_room.c;
 * what is answered: shelf_read.c.
 *
 * Lists that changed are noted; at the commit each one's number is read, and told
 * once it is durable.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "servers/box/shelf_impl.h"

static const char *const schema[] = {
	"CREATE TABLE devices (fqdn TEXT PRIMARY KEY, account TEXT NOT NULL,"
	" fp BLOB, number INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX devices_account ON devices (account);"
	"CREATE TABLE prekeys (fqdn TEXT NOT NULL, id BLOB NOT NULL,"
	" key BLOB NOT NULL, not_before INTEGER NOT NULL,"
	" not_after INTEGER NOT NULL, sig BLOB NOT NULL, cert BLOB NOT NULL,"
	" PRIMARY KEY (fqdn, id)) WITHOUT ROWID;"
	"CREATE INDEX prekeys_over ON prekeys (not_after);"
	/* account, domain: of the sender; domain '': ours */
	"CREATE TABLE keys (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" receiver TEXT NOT NULL, account TEXT NOT NULL, domain TEXT NOT NULL,"
	" sender TEXT NOT NULL,"
	" application TEXT NOT NULL, service TEXT NOT NULL, item TEXT NOT NULL,"
	" key BLOB NOT NULL, hash BLOB NOT NULL, expires INTEGER NOT NULL,"
	" UNIQUE (receiver, sender, application, service, item));"
	"CREATE INDEX keys_hash ON keys (receiver, hash);"
	"CREATE INDEX keys_over ON keys (expires);"
	"CREATE TABLE entries (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" receiver TEXT NOT NULL, account TEXT NOT NULL, domain TEXT NOT NULL,"
	" sender TEXT NOT NULL,"
	" application TEXT NOT NULL, service TEXT NOT NULL, item TEXT NOT NULL,"
	" status INTEGER NOT NULL, message TEXT NOT NULL, key_hash BLOB,"
	" data_hash BLOB, size INTEGER, ticket BLOB, cs TEXT NOT NULL,"
	" addresses TEXT NOT NULL, at INTEGER NOT NULL,"
	" expires INTEGER NOT NULL, number INTEGER NOT NULL,"
	" UNIQUE (receiver, sender, application, service, item, status));"
	"CREATE INDEX entries_number ON entries (receiver, number);"
	"CREATE INDEX entries_over ON entries (expires);"
	/* what 0: keys, 1: entries, 2: those of kind status; account '': of all,
	 * '@DOMAIN': of another domain, '@': of all of those; receiver '': of all */
	"CREATE TABLE tallies (receiver TEXT NOT NULL, what INTEGER NOT NULL,"
	" account TEXT NOT NULL, n INTEGER NOT NULL,"
	" PRIMARY KEY (receiver, what, account)) WITHOUT ROWID;"
	"CREATE TRIGGER key_in AFTER INSERT ON keys BEGIN"
	" INSERT INTO tallies VALUES (new.receiver, 0, '', 1),"
	" (new.receiver, 0, new.account, 1)"
	" ON CONFLICT DO UPDATE SET n = n + 1; END;"
	"CREATE TRIGGER key_out AFTER DELETE ON keys BEGIN"
	" UPDATE tallies SET n = n - 1 WHERE receiver = old.receiver AND"
	" what = 0 AND account IN ('', old.account);"
	" DELETE FROM tallies WHERE receiver = old.receiver AND what = 0 AND"
	" n = 0; END;"
	"CREATE TRIGGER key_in_other AFTER INSERT ON keys"
	" WHEN new.domain <> '' BEGIN"
	" INSERT INTO tallies VALUES (new.receiver, 0, '@', 1),"
	" (new.receiver, 0, '@' || new.domain, 1), ('', 0, '@' || new.domain, "
	"1)"
	" ON CONFLICT DO UPDATE SET n = n + 1; END;"
	"CREATE TRIGGER key_out_other AFTER DELETE ON keys"
	" WHEN old.domain <> '' BEGIN"
	" UPDATE tallies SET n = n - 1 WHERE receiver = old.receiver AND"
	" what = 0 AND account IN ('@', '@' || old.domain);"
	" UPDATE tallies SET n = n - 1 WHERE receiver = '' AND what = 0 AND"
	" account = '@' || old.domain;"
	" DELETE FROM tallies WHERE receiver IN (old.receiver, '') AND"
	" what = 0 AND account IN ('@', '@' || old.domain) AND n = 0; END;"
	"CREATE TRIGGER entry_in AFTER INSERT ON entries BEGIN"
	" INSERT INTO tallies VALUES (new.receiver, 1 + new.status, '', 1),"
	" (new.receiver, 1 + new.status, new.account, 1)"
	" ON CONFLICT DO UPDATE SET n = n + 1; END;"
	"CREATE TRIGGER entry_out AFTER DELETE ON entries BEGIN"
	" UPDATE tallies SET n = n - 1 WHERE receiver = old.receiver AND"
	" what = 1 + old.status AND account IN ('', old.account);"
	" DELETE FROM tallies WHERE receiver = old.receiver AND"
	" what = 1 + old.status AND n = 0; END;"
	"CREATE TRIGGER entry_in_other AFTER INSERT ON entries"
	" WHEN new.domain <> '' BEGIN"
	" INSERT INTO tallies VALUES (new.receiver, 1 + new.status, '@', 1),"
	" (new.receiver, 1 + new.status, '@' || new.domain, 1),"
	" ('', 1 + new.status, '@' || new.domain, 1)"
	" ON CONFLICT DO UPDATE SET n = n + 1; END;"
	"CREATE TRIGGER entry_out_other AFTER DELETE ON entries"
	" WHEN old.domain <> '' BEGIN"
	" UPDATE tallies SET n = n - 1 WHERE receiver = old.receiver AND"
	" what = 1 + old.status AND account IN ('@', '@' || old.domain);"
	" UPDATE tallies SET n = n - 1 WHERE receiver = '' AND"
	" what = 1 + old.status AND account = '@' || old.domain;"
	" DELETE FROM tallies WHERE receiver IN (old.receiver, '') AND"
	" what = 1 + old.status AND account IN ('@', '@' || old.domain) AND"
	" n = 0; END;"
	"CREATE TABLE servers (name TEXT PRIMARY KEY, addresses TEXT NOT NULL,"
	" at INTEGER NOT NULL) WITHOUT ROWID;",
	"ALTER TABLE servers ADD COLUMN fp BLOB;"
	"ALTER TABLE servers ADD COLUMN room INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE servers ADD COLUMN items INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE servers ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE servers ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE entries ADD COLUMN since INTEGER NOT NULL DEFAULT 0;",
	/* receiver '', account: of one account of ours for all receivers */
	"CREATE INDEX keys_sender ON keys (sender);"
	"INSERT INTO tallies SELECT '', 0, account, count(*) FROM keys"
	" WHERE domain = '' GROUP BY account;"
	"INSERT INTO tallies SELECT '', 1 + status, account, count(*)"
	" FROM entries WHERE domain = '' GROUP BY status, account;"
	"CREATE TRIGGER key_in_own AFTER INSERT ON keys"
	" WHEN new.domain = '' BEGIN"
	" INSERT INTO tallies VALUES ('', 0, new.account, 1)"
	" ON CONFLICT DO UPDATE SET n = n + 1; END;"
	"CREATE TRIGGER key_out_own AFTER DELETE ON keys"
	" WHEN old.domain = '' BEGIN"
	" UPDATE tallies SET n = n - 1 WHERE receiver = '' AND what = 0 AND"
	" account = old.account;"
	" DELETE FROM tallies WHERE receiver = '' AND what = 0 AND"
	" account = old.account AND n = 0; END;"
	"CREATE TRIGGER entry_in_own AFTER INSERT ON entries"
	" WHEN new.domain = '' BEGIN"
	" INSERT INTO tallies VALUES ('', 1 + new.status, new.account, 1)"
	" ON CONFLICT DO UPDATE SET n = n + 1; END;"
	"CREATE TRIGGER entry_out_own AFTER DELETE ON entries"
	" WHEN old.domain = '' BEGIN"
	" UPDATE tallies SET n = n - 1 WHERE receiver = '' AND"
	" what = 1 + old.status AND account = old.account;"
	" DELETE FROM tallies WHERE receiver = '' AND"
	" what = 1 + old.status AND account = old.account AND n = 0; END;",
};

#define KEY_IS                                                                 \
	"receiver = ? AND sender = ? AND application = ? AND service = ? AND " \
	"item = ?"

static const char *const statements[] = {
	[DEVICE_GET] = "SELECT fp, number FROM devices WHERE fqdn = ?",
	[DEVICE_PUT] = "INSERT INTO devices VALUES (?, ?, ?, 0)"
		       " ON CONFLICT DO UPDATE SET fp = excluded.fp",
	[DEVICE_NUMBER] = "UPDATE devices SET number = ? WHERE fqdn = ?",
	[DEVICE_DELETE] = "DELETE FROM devices WHERE fqdn = ?",
	[DEVICE_EACH] =
		"SELECT d.fqdn, d.fp, (SELECT max(number) FROM entries e WHERE"
		" e.receiver = d.fqdn) FROM devices d WHERE d.fqdn > ?"
		" ORDER BY d.fqdn LIMIT ?",
	[PREKEYS_DELETE] = "DELETE FROM prekeys WHERE fqdn = ?",
	[PREKEY_PUT] = "INSERT OR REPLACE INTO prekeys VALUES"
		       " (?, ?, ?, ?, ?, ?, ?)",
	[PREKEYS_OF] =
		"SELECT d.fqdn, p.cert, p.id, p.key, max(p.not_before),"
		" p.not_after, p.sig FROM devices d JOIN prekeys p ON"
		" p.fqdn = d.fqdn WHERE (d.fqdn = ?1 OR d.account = ?1) AND"
		" p.not_after > ?2 GROUP BY d.fqdn"
		" ORDER BY p.not_before DESC LIMIT ?3",
	/* those that have been off for longer than a prekey lives */
	[DEVICES_WITHOUT] =
		"SELECT fqdn FROM devices d WHERE (fqdn = ?1 OR account = ?1)"
		" AND NOT EXISTS (SELECT 1 FROM prekeys p WHERE"
		" p.fqdn = d.fqdn AND p.not_after > ?2)"
		" ORDER BY fqdn LIMIT ?3",
	[PREKEYS_EXPIRE] =
		"DELETE FROM prekeys WHERE (fqdn, id) IN (SELECT fqdn, id FROM"
		" prekeys WHERE not_after <= ? LIMIT ?)",
	[KEY_GET] = "SELECT key, expires FROM keys WHERE " KEY_IS,
	[KEY_PUT] = "INSERT INTO keys (receiver, sender, application, service,"
		    " item, account, key, hash, expires, domain) VALUES"
		    " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT"
		    " (receiver, sender, application, service, item)"
		    " DO UPDATE SET key = excluded.key, hash = excluded.hash,"
		    " expires = excluded.expires",
	[KEY_BY_HASH] =
		"SELECT id, sender, application, service, item, expires, hash,"
		" key FROM keys WHERE receiver = ? AND hash = ?",
	[KEY_EACH] =
		"SELECT id, sender, application, service, item, expires, hash"
		" FROM keys WHERE receiver = ? AND id > ? ORDER BY id LIMIT ?",
	[KEY_DELETE] = "DELETE FROM keys WHERE receiver = ? AND hash = ?",
	[KEY_DELETE_ITEM] = "DELETE FROM keys WHERE " KEY_IS,
	[KEYS_FORGET] = "DELETE FROM keys WHERE receiver = ?",
	/* of a sender that brings no more of what they are for */
	[KEYS_ORPHANED] =
		"DELETE FROM keys WHERE sender = ?1 AND NOT EXISTS (SELECT 1"
		" FROM entries e WHERE e.receiver = keys.receiver AND"
		" e.sender = keys.sender AND e.application = keys.application"
		" AND e.service = keys.service AND e.item = keys.item AND"
		" e.status = 0)",
	[KEYS_EXPIRE] = "DELETE FROM keys WHERE id IN (SELECT id FROM keys"
			" WHERE expires <= ? LIMIT ?)",
	[ENTRY_GET] =
		"SELECT id, key_hash, data_hash, ticket, cs, since FROM entries"
		" WHERE " KEY_IS " AND status = ?",
	[ENTRY_ADD] =
		"INSERT INTO entries (receiver, sender, application, service,"
		" item, status, account, message, key_hash, data_hash, size,"
		" ticket, cs, addresses, at, expires, number, domain,"
		" since) VALUES"
		" (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ENTRY_KEY] = "UPDATE entries SET key_hash = ?, ticket = ?, cs = ?,"
		      " addresses = ?, message = ?, expires = ?, number = ?,"
		      " since = ? WHERE id = ?",
	[ENTRY_DATA] = "UPDATE entries SET data_hash = ?, ticket = ?, cs = ?,"
		       " addresses = ?, size = ?, expires = ?, number = ?,"
		       " since = ? WHERE id = ?",
	[ENTRY_NO_DATA] = "UPDATE entries SET data_hash = NULL, size = -1"
			  " WHERE id = ?",
	[ENTRY_NO_KEY] = "UPDATE entries SET key_hash = NULL WHERE id = ?",
	[ENTRY_STATUS] = "UPDATE entries SET number = ?, at = ?, expires = ?"
			 " WHERE id = ?",
	[ENTRY_EACH] =
		"SELECT e.id, e.number, e.status, e.sender, e.application,"
		" e.service, e.item, e.message, e.key_hash, e.data_hash,"
		" e.size, e.ticket, e.cs, e.addresses, e.at, e.expires, k.hash"
		" FROM entries e LEFT JOIN keys k ON e.status = 0 AND"
		" k.receiver = e.receiver AND k.sender = e.sender AND"
		" k.application = e.application AND k.service = e.service AND"
		" k.item = e.item WHERE e.receiver = ? AND e.number > ?"
		" ORDER BY e.number LIMIT ?",
	[ENTRY_FIND] = "SELECT sender, application, service, item, status"
		       " FROM entries WHERE id = ? AND receiver = ?",
	[ENTRY_DELETE] = "DELETE FROM entries WHERE id = ?",
	[ENTRIES_FORGET] = "DELETE FROM entries WHERE receiver = ?",
	[ENTRIES_OVER] = "SELECT id, receiver FROM entries WHERE expires <= ?"
			 " LIMIT ?",
	[SERIAL] = "SELECT max(number) FROM entries WHERE receiver = ?",
	[TALLY] = "SELECT n FROM tallies WHERE receiver = ? AND what = ? AND"
		  " account = ?",
	[SERVER_PUT] =
		"INSERT OR REPLACE INTO servers (name, addresses, at, fp,"
		" room, items, bytes, draining) VALUES"
		" (?, ?, ?, ?, ?, ?, ?, ?)",
	[SERVER_EACH] = "SELECT name, addresses, at, fp, room, items, bytes,"
			" draining FROM servers WHERE at > ?"
			" ORDER BY name LIMIT 256",
	[SERVERS_EXPIRE] = "DELETE FROM servers WHERE at <= ?",
	[COUNT] = "SELECT (SELECT count(*) FROM devices),"
		  " (SELECT count(*) FROM prekeys),"
		  " (SELECT coalesce(sum(n), 0) FROM tallies WHERE what = 0"
		  " AND account = ''),"
		  " (SELECT coalesce(sum(n), 0) FROM tallies WHERE what > 0"
		  " AND account = '')",
};

/* --- rows --------------------------------------------------------------------------- */

void shelf_bind_item(struct shelf *s, enum shelf_statement st,
		     const struct shelf_item *i)
{
	store_bind_text(s->store, st, 1, i->to);
	store_bind_text(s->store, st, 2, i->from);
	store_bind_text(s->store, st, 3, i->application);
	store_bind_text(s->store, st, 4, i->service);
	store_bind_text(s->store, st, 5, i->item);
}

void shelf_addresses_text(const struct addr *addrs, size_t n,
			  char out[static SHELF_ADDRESSES_TEXT])
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && i < SHELF_CS_ADDRESSES_MAX; i++) {
		char text[ADDR_TEXT_LEN];

		len += (size_t)snprintf(out + len, SHELF_ADDRESSES_TEXT - len,
					"%s\"%s\"", i ? "," : "",
					addr_format(&addrs[i], text));
	}
}

/* --- servers -------------------------------------------------------------------------------------- */

int shelf_put_server(struct shelf *s, const struct shelf_server *x)
{
	char addresses[SHELF_ADDRESSES_TEXT];

	shelf_addresses_text(x->addrs, x->n_addrs, addresses);
	store_bind_text(s->store, SERVER_PUT, 1, x->name);
	store_bind_text(s->store, SERVER_PUT, 2, addresses);
	store_bind_int(s->store, SERVER_PUT, 3, s->now);
	store_bind_blob(s->store, SERVER_PUT, 4, x->fp, sizeof(x->fp));
	store_bind_int(s->store, SERVER_PUT, 5, (int64_t)x->room);
	store_bind_int(s->store, SERVER_PUT, 6, (int64_t)x->items);
	store_bind_int(s->store, SERVER_PUT, 7, (int64_t)x->bytes);
	store_bind_int(s->store, SERVER_PUT, 8, x->draining);
	return store_run(s->store, SERVER_PUT);
}

/* --- what is over ------------------------------------------------------------------------------------ */

static int expire_rows(struct shelf *s, enum shelf_statement st)
{
	int r;

	store_bind_int(s->store, st, 1, s->now);
	store_bind_int(s->store, st, 2, SHELF_EXPIRE_MAX);
	r = store_run(s->store, st);
	return r ? r : (int)store_changes(s->store);
}

static int expire_entries(struct shelf *s)
{
	int64_t ids[SHELF_EXPIRE_MAX];
	int n = 0, r;

	store_bind_int(s->store, ENTRIES_OVER, 1, s->now);
	store_bind_int(s->store, ENTRIES_OVER, 2, SHELF_EXPIRE_MAX);
	while ((r = store_step(s->store, ENTRIES_OVER)) > 0 &&
	       n < SHELF_EXPIRE_MAX) {
		ids[n++] = store_int(s->store, ENTRIES_OVER, 0);
		if (shelf_touch(s, store_text(s->store, ENTRIES_OVER, 1))) {
			store_reset(s->store, ENTRIES_OVER);
			return -NTM_ENOMEM;
		}
	}
	for (int i = 0; !r && i < n; i++) {
		store_bind_int(s->store, ENTRY_DELETE, 1, ids[i]);
		r = store_run(s->store, ENTRY_DELETE);
	}
	return r ? r : n;
}

int shelf_expire(struct shelf *s)
{
	int a = expire_rows(s, PREKEYS_EXPIRE), b = 0, c = 0, r = 0;

	if (a >= 0)
		b = expire_rows(s, KEYS_EXPIRE);
	if (a >= 0 && b >= 0)
		c = expire_entries(s);
	if (a < 0 || b < 0 || c < 0)
		return -NTM_ESTORE;
	store_bind_int(s->store, SERVERS_EXPIRE, 1, s->now - SHELF_SERVER_S);
	r = store_run(s->store, SERVERS_EXPIRE);
	return r ? r : a + b + c;
}

/* --- life ----------------------------------------------------------------------------------------------- */

const char *const *shelf_schema(size_t *n)
{
	*n = sizeof(schema) / sizeof(schema[0]);
	return schema;
}

int shelf_open(const char *path, struct shelf **out)
{
	struct shelf *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -NTM_ENOMEM;
	r = store_open(path, schema, sizeof(schema) / sizeof(schema[0]),
		       statements, SHELF_STATEMENTS, &s->store);
	if (r)
		free(s);
	else
		*out = s;
	return r;
}

void shelf_close(struct shelf *s)
{
	if (!s)
		return;
	shelf_touched_drop(s);
	store_close(s->store);
	free(s);
}

int shelf_backup(struct shelf *s, const char *path)
{
	return store_backup(s->store, path);
}
