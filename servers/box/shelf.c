/* SPDX-License-Identifier: MIT */
/*
 * shelf - what the box keeps on its disk: devices, prekeys, temporal keys, cache lists
 *
 * Theory of operation
 *
 * One SQLite store. A device is there from its first prekey on, until it is withdrawn;
 * only what is there can be a receiver. An entry of a list is one item of one sender:
 * the key makes it, the data adds to it and gives it a new number, so that a reader
 * who has seen the first sees the second. What says the same once more changes nothing
 * and gives no number: requests between domains may come twice.
 *
 * Room. How many entries and temporal keys a receiver has, in all and of each account,
 * stands in tallies, which triggers keep: to count is no reason to read a list. Whoever
 * runs another domain has as many accounts there as he likes, and there are as many
 * domains: so what one of them has here is counted, and what all of them have of one
 * receiver. Status entries have room of their own; a sender who does not look at them
 * can still receive.
 *
 * Lists that changed are noted; at the commit each one's number is read, and told
 * once it is durable.
 */
#include "servers/box/shelf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "common/log.h"
#include "common/store.h"
#include "libntmcrypto/item.h"
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
		" p.not_before <= ?2 AND p.not_after > ?2 GROUP BY d.fqdn"
		" ORDER BY p.not_before DESC LIMIT ?3",
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

/* --- devices and prekeys ------------------------------------------------------------- */

const char *shelf_account(const char *fqdn)
{
	const char *dot = strchr(fqdn, '.');

	return dot ? dot + 1 : fqdn;
}

/* Return: 1 it is there, 0, -NTM_ESTORE; @number: its last one */
static int device_get(struct shelf *s, const char *fqdn, uint8_t *fp,
		      size_t *fp_len, int64_t *number)
{
	int r;

	store_bind_text(s->store, DEVICE_GET, 1, fqdn);
	r = store_step(s->store, DEVICE_GET);
	if (r <= 0)
		return r;
	*fp_len = store_blob(s->store, DEVICE_GET, 0, fp, NTMC_FP_LEN);
	*number = store_int(s->store, DEVICE_GET, 1);
	store_reset(s->store, DEVICE_GET);
	return 1;
}

int shelf_forget(struct shelf *s, const char *fqdn)
{
	static const enum shelf_statement all[] = {
		PREKEYS_DELETE, KEYS_FORGET, ENTRIES_FORGET, DEVICE_DELETE};
	bool had = false;
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(all) / sizeof(all[0]); i++) {
		store_bind_text(s->store, all[i], 1, fqdn);
		r = store_run(s->store, all[i]);
		had = had || (!r && store_changes(s->store));
	}
	if (!r && !had)
		return -NTM_ENOTFOUND;
	return r ? r : shelf_touch(s, fqdn);
}

static int prekey_put(struct shelf *s, const char *fqdn,
		      const struct shelf_prekey *p)
{
	store_bind_text(s->store, PREKEY_PUT, 1, fqdn);
	store_bind_blob(s->store, PREKEY_PUT, 2, p->id, sizeof(p->id));
	store_bind_blob(s->store, PREKEY_PUT, 3, p->key, sizeof(p->key));
	store_bind_int(s->store, PREKEY_PUT, 4, p->not_before);
	store_bind_int(s->store, PREKEY_PUT, 5, p->not_after);
	store_bind_blob(s->store, PREKEY_PUT, 6, p->sig, sizeof(p->sig));
	store_bind_blob(s->store, PREKEY_PUT, 7, p->cert, p->cert_len);
	return store_run(s->store, PREKEY_PUT);
}

int shelf_put_device(struct shelf *s, const struct shelf_device *d)
{
	uint8_t fp[NTMC_FP_LEN];
	size_t fp_len = 0;
	int64_t number;
	int r = device_get(s, d->fqdn, fp, &fp_len, &number);

	if (r > 0 && fp_len == NTMC_FP_LEN && memcmp(fp, d->fp, NTMC_FP_LEN)) {
		log_info("shelf",
			 "%s is another device now: what the one "
			 "before had is forgotten",
			 d->fqdn);
		r = shelf_forget(s, d->fqdn);
	}
	if (r < 0)
		return r;
	store_bind_text(s->store, DEVICE_PUT, 1, d->fqdn);
	store_bind_text(s->store, DEVICE_PUT, 2, shelf_account(d->fqdn));
	store_bind_blob(s->store, DEVICE_PUT, 3, d->fp, NTMC_FP_LEN);
	r = store_run(s->store, DEVICE_PUT);
	store_bind_text(s->store, PREKEYS_DELETE, 1, d->fqdn);
	if (!r)
		r = store_run(s->store, PREKEYS_DELETE);
	for (size_t i = 0; !r && i < d->n; i++)
		r = prekey_put(s, d->fqdn, &d->prekeys[i]);
	return r ? r
		 : shelf_touch(s, d->fqdn); /* the DC knows of it from now */
}

/* --- room ------------------------------------------------------------------------------ */

enum tally { TALLY_KEYS, TALLY_ENTRIES, TALLY_STATUS };

static int64_t tally(struct shelf *s, const char *receiver, int what,
		     const char *account)
{
	int64_t n = 0;
	int r;

	store_bind_text(s->store, TALLY, 1, receiver);
	store_bind_int(s->store, TALLY, 2, what);
	store_bind_text(s->store, TALLY, 3, account);
	r = store_step(s->store, TALLY);
	if (r > 0) {
		n = store_int(s->store, TALLY, 0);
		store_reset(s->store, TALLY);
	}
	return r < 0 ? r : n;
}

/* the sender's, pointing into @i; "": it is the receiver's */
static const char *other_domain(const struct shelf_item *i)
{
	const char *domain = shelf_account(shelf_account(i->from));

	return strcmp(domain, shelf_account(shelf_account(i->to))) ? domain
								   : "";
}

/* struct room - a tally and what it may reach */
struct room {
	const char *receiver, *account;
	int64_t max;
};

/* @what: of the tallies */
static int check_room(struct shelf *s, const struct shelf_item *i, int what)
{
	const char *account = shelf_account(i->from), *domain = other_domain(i);
	char of_it[FQDN_MAX + 2];
	const struct room rooms[] = {
		{i->to, "", SHELF_ENTRIES_MAX},
		{i->to, account, SHELF_ACCOUNT_MAX},
		{i->to, "@", SHELF_FOREIGN_MAX},
		{i->to, of_it, SHELF_DOMAIN_MAX},
		{"", of_it, SHELF_DOMAIN_ALL_MAX},
	};
	size_t n = what == TALLY_STATUS ? 1 : *domain ? 5 : 2;

	snprintf(of_it, sizeof(of_it), "@%s", domain);
	for (size_t k = 0; k < n; k++) {
		int64_t has =
			tally(s, rooms[k].receiver, what, rooms[k].account);

		if (has < 0)
			return -NTM_ESTORE;
		if (has >= rooms[k].max)
			return -NTM_ELIMIT;
	}
	return 0;
}

/* is there such a receiver, and time left? @expires: at most SHELF_LIFE_S from now */
static int check_item(struct shelf *s, const struct shelf_item *i,
		      int64_t *expires, int64_t *number)
{
	uint8_t fp[NTMC_FP_LEN];
	size_t fp_len;
	int r;

	*expires = i->expires > s->now + SHELF_LIFE_S ? s->now + SHELF_LIFE_S
						      : i->expires;
	if (*expires <= s->now)
		return -NTM_EEXPIRED;
	r = device_get(s, i->to, fp, &fp_len, number);
	if (r < 0)
		return r;
	if (!r)
		return -NTM_ENONAME;
	*number = *number + 1 > s->now ? *number + 1 : s->now;
	return 0;
}

static void bind_item(struct shelf *s, enum shelf_statement st,
		      const struct shelf_item *i)
{
	store_bind_text(s->store, st, 1, i->to);
	store_bind_text(s->store, st, 2, i->from);
	store_bind_text(s->store, st, 3, i->application);
	store_bind_text(s->store, st, 4, i->service);
	store_bind_text(s->store, st, 5, i->item);
}

/* --- temporal keys ----------------------------------------------------------------------- */

/* Return: 1: it is there as it is, 2: another one is, 0, -NTM_ESTORE */
static int key_known(struct shelf *s, const struct shelf_item *i,
		     const struct ntmc_key *key)
{
	uint8_t has[NTMC_KEY_LEN];
	size_t len;
	int r;

	bind_item(s, KEY_GET, i);
	r = store_step(s->store, KEY_GET);
	if (r <= 0)
		return r;
	len = store_blob(s->store, KEY_GET, 0, has, sizeof(has));
	r = len == sizeof(has) && ntmc_equal(has, key->b, len) ? 1 : 2;
	store_reset(s->store, KEY_GET);
	ntmc_wipe(has, sizeof(has));
	return r;
}

int shelf_put_key(struct shelf *s, const struct shelf_item *i,
		  const struct ntmc_key *key)
{
	int64_t expires, number;
	uint8_t hash[32];
	int r = check_item(s, i, &expires, &number), known;

	if (r)
		return r;
	known = key_known(s, i, key);
	if (known < 0 || known == 1)
		return known < 0 ? known : 0;
	if (!known)
		r = check_room(s, i, TALLY_KEYS);
	if (r)
		return r;
	item_temporal_hash(key, hash);
	bind_item(s, KEY_PUT, i);
	store_bind_text(s->store, KEY_PUT, 6, shelf_account(i->from));
	store_bind_blob(s->store, KEY_PUT, 7, key->b, NTMC_KEY_LEN);
	store_bind_blob(s->store, KEY_PUT, 8, hash, sizeof(hash));
	store_bind_int(s->store, KEY_PUT, 9, expires);
	store_bind_text(s->store, KEY_PUT, 10, other_domain(i));
	return store_run(s->store, KEY_PUT);
}

static int deleted(struct shelf *s, enum shelf_statement st)
{
	int r = store_run(s->store, st);

	if (r)
		return r;
	return store_changes(s->store) ? 0 : -NTM_ENOTFOUND;
}

int shelf_delete_key(struct shelf *s, const char *fqdn,
		     const uint8_t hash[static 32])
{
	store_bind_text(s->store, KEY_DELETE, 1, fqdn);
	store_bind_blob(s->store, KEY_DELETE, 2, hash, 32);
	return deleted(s, KEY_DELETE);
}

/* --- entries ---------------------------------------------------------------------------------- */

/* struct known - the entry as it is; @id 0: there is none. @moved: by another ticket: at
 * another Cache Server, or sent anew; what the ticket before led to is there no more */
struct known {
	int64_t id;
	bool same, moved;
};

static bool column_is(struct shelf *s, int column, const uint8_t *want)
{
	uint8_t has[32];

	return store_blob(s->store, ENTRY_GET, column, has, sizeof(has)) ==
		       sizeof(has) &&
	       !memcmp(has, want, sizeof(has));
}

static int entry_get(struct shelf *s, const struct shelf_exchange *x,
		     struct known *out)
{
	int column = x->kind == SHELF_KEY ? 1 : 2, r;

	memset(out, 0, sizeof(*out));
	bind_item(s, ENTRY_GET, &x->i);
	store_bind_int(s->store, ENTRY_GET, 6, x->kind == SHELF_STATUS);
	r = store_step(s->store, ENTRY_GET);
	if (r <= 0)
		return r;
	out->id = store_int(s->store, ENTRY_GET, 0);
	out->same = x->kind != SHELF_STATUS && column_is(s, column, x->hash) &&
		    column_is(s, 3, x->ticket);
	if (x->kind != SHELF_STATUS &&
	    strcmp(store_text(s->store, ENTRY_GET, 4), x->cs)) {
		/* its sender left that one for the one it is at */
		out->same = store_int(s->store, ENTRY_GET, 5) > x->since;
	}
	out->moved = x->kind != SHELF_STATUS && !column_is(s, 3, x->ticket);
	store_reset(s->store, ENTRY_GET);
	return 0;
}

static void addresses_text(const struct addr *addrs, size_t n,
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

static int entry_add(struct shelf *s, const struct shelf_exchange *x,
		     int64_t expires, int64_t number)
{
	char addresses[SHELF_ADDRESSES_TEXT];
	struct store *st = s->store;
	int r = check_room(s, &x->i,
			   x->kind == SHELF_STATUS ? TALLY_STATUS
						   : TALLY_ENTRIES);

	if (r)
		return r;
	addresses_text(x->addrs, x->n_addrs, addresses);
	bind_item(s, ENTRY_ADD, &x->i);
	store_bind_int(st, ENTRY_ADD, 6, x->kind == SHELF_STATUS);
	store_bind_text(st, ENTRY_ADD, 7, shelf_account(x->i.from));
	store_bind_text(st, ENTRY_ADD, 8, x->message);
	store_bind_blob(st, ENTRY_ADD, 9, x->hash,
			x->kind == SHELF_KEY ? sizeof(x->hash) : 0);
	store_bind_blob(st, ENTRY_ADD, 10, x->hash,
			x->kind == SHELF_DATA ? sizeof(x->hash) : 0);
	store_bind_int(st, ENTRY_ADD, 11,
		       x->kind == SHELF_DATA ? (int64_t)x->size : -1);
	store_bind_blob(st, ENTRY_ADD, 12, x->ticket,
			x->kind == SHELF_STATUS ? 0 : sizeof(x->ticket));
	store_bind_text(st, ENTRY_ADD, 13, x->cs);
	store_bind_text(st, ENTRY_ADD, 14, addresses);
	store_bind_int(st, ENTRY_ADD, 15, s->now);
	store_bind_int(st, ENTRY_ADD, 16, expires);
	store_bind_int(st, ENTRY_ADD, 17, number);
	store_bind_text(st, ENTRY_ADD, 18, other_domain(&x->i));
	store_bind_int(st, ENTRY_ADD, 19, x->since);
	return store_run(st, ENTRY_ADD);
}

static int entry_status(struct shelf *s, int64_t id, int64_t expires,
			int64_t number)
{
	store_bind_int(s->store, ENTRY_STATUS, 1, number);
	store_bind_int(s->store, ENTRY_STATUS, 2, s->now);
	store_bind_int(s->store, ENTRY_STATUS, 3, expires);
	store_bind_int(s->store, ENTRY_STATUS, 4, id);
	return store_run(s->store, ENTRY_STATUS);
}

static int entry_change(struct shelf *s, const struct shelf_exchange *x,
			int64_t id, int64_t expires, int64_t number)
{
	enum shelf_statement st = x->kind == SHELF_KEY ? ENTRY_KEY : ENTRY_DATA;
	char addresses[SHELF_ADDRESSES_TEXT];

	if (x->kind == SHELF_STATUS)
		return entry_status(s, id, expires, number);
	addresses_text(x->addrs, x->n_addrs, addresses);
	store_bind_blob(s->store, st, 1, x->hash, sizeof(x->hash));
	store_bind_blob(s->store, st, 2, x->ticket, sizeof(x->ticket));
	store_bind_text(s->store, st, 3, x->cs);
	store_bind_text(s->store, st, 4, addresses);
	if (x->kind == SHELF_KEY)
		store_bind_text(s->store, st, 5, x->message);
	else
		store_bind_int(s->store, st, 5, (int64_t)x->size);
	store_bind_int(s->store, st, 6, expires);
	store_bind_int(s->store, st, 7, number);
	store_bind_int(s->store, st, 8, x->since);
	store_bind_int(s->store, st, 9, id);
	return store_run(s->store, st);
}

static int entry_moved(struct shelf *s, const struct shelf_exchange *x,
		       int64_t id)
{
	enum shelf_statement st =
		x->kind == SHELF_KEY ? ENTRY_NO_DATA : ENTRY_NO_KEY;

	store_bind_int(s->store, st, 1, id);
	return store_run(s->store, st);
}

int shelf_put_exchange(struct shelf *s, const struct shelf_exchange *x)
{
	int64_t expires, number;
	struct known known;
	int r = check_item(s, &x->i, &expires, &number);

	if (!r)
		r = entry_get(s, x, &known);
	if (r || known.same)
		return r;
	if (known.moved)
		r = entry_moved(s, x, known.id);
	if (r)
		return r;
	if (known.id)
		r = entry_change(s, x, known.id, expires, number);
	else
		r = entry_add(s, x, expires, number);
	if (r)
		return r;
	store_bind_int(s->store, DEVICE_NUMBER, 1, number);
	store_bind_text(s->store, DEVICE_NUMBER, 2, x->i.to);
	r = store_run(s->store, DEVICE_NUMBER);
	return r ? r : shelf_touch(s, x->i.to);
}

/* its temporal key goes with it */
int shelf_delete_entry(struct shelf *s, const char *fqdn, int64_t id)
{
	struct shelf_item i;
	bool status;
	int r;

	store_bind_int(s->store, ENTRY_FIND, 1, id);
	store_bind_text(s->store, ENTRY_FIND, 2, fqdn);
	r = store_step(s->store, ENTRY_FIND);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	snprintf(i.to, sizeof(i.to), "%s", fqdn);
#define TAKE(f, c)                                                             \
	snprintf(i.f, sizeof(i.f), "%s", store_text(s->store, ENTRY_FIND, c))
	TAKE(from, 0);
	TAKE(application, 1);
	TAKE(service, 2);
	TAKE(item, 3);
#undef TAKE
	status = store_int(s->store, ENTRY_FIND, 4);
	store_reset(s->store, ENTRY_FIND);
	store_bind_int(s->store, ENTRY_DELETE, 1, id);
	r = store_run(s->store, ENTRY_DELETE);
	if (!r && !status) {
		bind_item(s, KEY_DELETE_ITEM, &i);
		r = store_run(s->store, KEY_DELETE_ITEM);
	}
	return r ? r : shelf_touch(s, fqdn);
}

/* --- servers -------------------------------------------------------------------------------------- */

int shelf_put_server(struct shelf *s, const struct shelf_server *x)
{
	char addresses[SHELF_ADDRESSES_TEXT];

	addresses_text(x->addrs, x->n_addrs, addresses);
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
