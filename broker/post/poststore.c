/* SPDX-License-Identifier: MIT */
/* poststore - what ntm-post must not forget: tables and statements */
#include "broker/post/poststore.h"

#include <limits.h>
#include <stdio.h>

static const char *const schema[] = {
	"CREATE TABLE out ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" application TEXT NOT NULL, service TEXT NOT NULL, item TEXT NOT NULL,"
	" state INTEGER NOT NULL, k BLOB, payload INTEGER NOT NULL,"
	" size INTEGER NOT NULL, hash BLOB, seal1 BLOB, seal2 BLOB,"
	" created INTEGER NOT NULL, expires INTEGER NOT NULL, message TEXT,"
	" title TEXT, err INTEGER NOT NULL DEFAULT 0, text TEXT,"
	" next_try INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT "
	"0,"
	" cs TEXT, sent INTEGER NOT NULL DEFAULT 0,"
	" UNIQUE (application, service, item));"
	/* names as the person gave them; devices are found later */
	"CREATE TABLE name (out INTEGER NOT NULL, name TEXT NOT NULL,"
	" done INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (out, name));"
	"CREATE TABLE receiver (out INTEGER NOT NULL, name TEXT NOT NULL,"
	" state INTEGER NOT NULL, t BLOB, wrapped BLOB,"
	" err INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (out, name));"
	"CREATE TABLE inb ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" sender TEXT NOT NULL, application TEXT NOT NULL,"
	" service TEXT NOT NULL, item TEXT NOT NULL, message TEXT,"
	" state INTEGER NOT NULL DEFAULT 0, wanted INTEGER NOT NULL DEFAULT 0,"
	" entry INTEGER, seen INTEGER NOT NULL DEFAULT 1, key_hash TEXT,"
	" data_hash TEXT, size INTEGER NOT NULL DEFAULT 0, cs TEXT,"
	" ticket TEXT, temporal TEXT, at INTEGER NOT NULL,"
	" expires INTEGER NOT NULL, k BLOB, signer BLOB, blob BLOB,"
	" fetched INTEGER NOT NULL DEFAULT 0, title TEXT,"
	" err INTEGER NOT NULL DEFAULT 0, text TEXT,"
	" next_try INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT "
	"0,"
	" UNIQUE (sender, application, service, item));"
	"CREATE TABLE prekey (id BLOB PRIMARY KEY, fqdn TEXT NOT NULL,"
	" priv BLOB NOT NULL, pub BLOB NOT NULL, not_before INTEGER NOT NULL,"
	" not_after INTEGER NOT NULL, sig BLOB NOT NULL, cert BLOB NOT NULL);"
	"CREATE TABLE pin (fqdn TEXT PRIMARY KEY, fp BLOB NOT NULL);",
	/* settled: the blob that a state of HAVE, REFUSED or TAKEN is of; had: blobs
	 * that were verified here, as long as their keys could be opened again */
	"ALTER TABLE inb ADD COLUMN settled TEXT;"
	"CREATE TABLE had (hash TEXT PRIMARY KEY, until INTEGER NOT NULL);",
	/* as whom it is sent: K is sealed in that name */
	"ALTER TABLE out ADD COLUMN sender TEXT;",
	/* payloads that are small, as they were when they were sent; what is due is
	 * found among thousands that are not */
	"CREATE TABLE small (out INTEGER PRIMARY KEY, payload BLOB NOT NULL);"
	"CREATE INDEX out_due ON out (next_try, id) WHERE state IN (0, 5, 6);"
	"CREATE INDEX inb_due ON inb (next_try, id) WHERE entry IS NOT NULL "
	"AND data_hash IS NOT NULL;",
	/* straight to who is online. Of a receiver: 1 it has some of it so, 2 all;
	 * posted: a CS has its key */
	"ALTER TABLE receiver ADD COLUMN direct INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE receiver ADD COLUMN posted INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE inb ADD COLUMN direct INTEGER NOT NULL DEFAULT 0;",
	/* what waits for the person, and what waits at a CS, is due seldom or never */
	"DROP INDEX out_due; DROP INDEX inb_due;"
	"CREATE INDEX out_due ON out (next_try, id) "
	"WHERE state IN (0, 1, 5, 6);"
	"CREATE INDEX inb_due ON inb (next_try, id) WHERE entry IS NOT NULL "
	"AND data_hash IS NOT NULL AND state <> 1;"
	/* few of many */
	"CREATE INDEX out_left ON out (id) WHERE cs LIKE '%\"left\":%';",
	/* who signed the prekey, and so the receipt; proven: the state is by a receipt;
	 * claims: how often a CS said that it was received, and had none. Our own, of
	 * what is here */
	"ALTER TABLE receiver ADD COLUMN signer BLOB;"
	"ALTER TABLE receiver ADD COLUMN proven INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE receiver ADD COLUMN claims INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE inb ADD COLUMN receipt BLOB;"
	"ALTER TABLE had ADD COLUMN receipt BLOB;",
	/* whole: its CS has had all of it; kept: until when, as the CS said */
	"ALTER TABLE out ADD COLUMN whole INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE out ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;",
	/* what stood here before those columns: as whom it was sent, by the prekey of
	 * that time; which blob it is that is here, or never will be, for as
	 * long as its key could be opened. K of those is wiped */
	"UPDATE out SET sender = coalesce((SELECT fqdn FROM prekey "
	"WHERE not_before <= out.created ORDER BY not_before DESC LIMIT 1), "
	"(SELECT fqdn FROM prekey ORDER BY not_before LIMIT 1)) "
	"WHERE sender IS NULL;"
	"UPDATE inb SET settled = coalesce(data_hash, ''), k = NULL, "
	"signer = NULL, blob = NULL, fetched = 0 "
	"WHERE state > 1 AND settled IS NULL;"
	"INSERT OR IGNORE INTO had (hash, until) SELECT data_hash, "
	"at + 5702400 FROM inb WHERE state IN (2, 5) AND data_hash > '' "
	"AND data_hash IS settled;"
	/* it came with a step that some stores had run by then */
	"CREATE INDEX IF NOT EXISTS out_left ON out (id) "
	"WHERE cs LIKE '%\"left\":%';",
};

#define OUT_COLUMNS                                                            \
	"id, application, service, item, state, k, payload, size, hash, "      \
	"seal1, seal2, created, expires, message, title, err, text, "          \
	"next_try, tries, cs, sent, sender, whole, kept"
#define IN_COLUMNS                                                             \
	"id, sender, application, service, item, message, state, wanted, "     \
	"entry, key_hash, data_hash, size, cs, ticket, temporal, at, "         \
	"expires, k, signer, blob, fetched, title, err, text, next_try, "      \
	"tries, direct, settled, receipt"

/* a blob that is to be fetched, or the word on it to be given */
#define IN_WORK                                                                \
	"entry IS NOT NULL AND data_hash IS NOT NULL AND state <> 1 AND "      \
	"((state = 0 AND key_hash IS NOT NULL) OR "                            \
	"(state > 1 AND data_hash IS settled))"

static const char *const statements[POST_STATEMENTS] = {
	[OUT_NEW] = "INSERT INTO out (application, service, item, state, k, "
		    "payload, size, created, expires, message, title, sender) "
		    "VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[OUT_LAST] = "SELECT last_insert_rowid()",
	[OUT_GET] = "SELECT " OUT_COLUMNS " FROM out WHERE id = ?1",
	/* from ?1 to ?2 */
	[OUT_LIST] =
		"SELECT " OUT_COLUMNS " FROM out WHERE id BETWEEN ?1 AND ?2 "
		"ORDER BY id LIMIT 1000",
	[OUT_DUE] =
		"SELECT id FROM out WHERE state IN (0, 1, 5, 6) AND next_try "
		"<= ?1 "
		"ORDER BY next_try, id LIMIT 64",
	/* the second: of more than there can be jobs it does not matter how many */
	[OUT_NEXT] = "SELECT (SELECT min(next_try) FROM out WHERE state IN "
		     "(0, 1, 5, 6)), (SELECT count(*) FROM (SELECT 1 FROM out "
		     "WHERE state IN (0, 1, 5, 6) LIMIT 100))",
	[OUT_FIND] = "SELECT id FROM out WHERE application = ?1 AND "
		     "service = ?2 AND item = ?3",
	/* 0: all of it is to be sent, again */
	[OUT_STATE] = "UPDATE out SET state = ?2, err = ?3, text = ?4, "
		      "next_try = ?5, tries = 0, whole = CASE ?2 WHEN 0 THEN 0 "
		      "ELSE whole END WHERE id = ?1",
	[OUT_TRY] = "UPDATE out SET next_try = ?2, tries = ?3, err = ?4, "
		    "text = ?5 WHERE id = ?1",
	[OUT_PUT_OFF] =
		"UPDATE out SET next_try = ?2, tries = ?3 WHERE id = ?1",
	[OUT_OVER] = "UPDATE out SET state = 3, next_try = 0 WHERE id = ?1",
	[OUT_CS] = "UPDATE out SET cs = ?2, whole = CASE "
		   "json_extract(cs, '$.name') WHEN json_extract(?2, '$.name') "
		   "THEN whole ELSE 0 END WHERE id = ?1",
	/* from ?1 on: an item whose Cache Servers are not all told that it left */
	[OUT_LEFT] = "SELECT id, application, service, item, cs FROM out "
		     "WHERE id >= ?1 AND cs LIKE '%\"left\":%' "
		     "ORDER BY id LIMIT 1",
	/* of this number: does no row need its folder? Numbers are given once */
	[OUT_FOLDER_OVER] = "SELECT NOT EXISTS (SELECT 1 FROM out WHERE "
			    "id = ?1 AND state IN (0, 1, 5)) AND ?1 <= "
			    "(SELECT seq FROM sqlite_sequence WHERE "
			    "name = 'out')",
	[OUT_SIZE] = "UPDATE out SET payload = ?2, size = ?3 WHERE id = ?1",
	[OUT_SEAL] = "UPDATE out SET seal2 = seal1, seal1 = ?2 WHERE id = ?1",
	[OUT_SENT] = "UPDATE out SET sent = ?2 WHERE id = ?1",
	[OUT_HASH] = "UPDATE out SET hash = ?2 WHERE id = ?1",
	[OUT_DONE] = "UPDATE out SET hash = ?2, sent = size, whole = 1 "
		     "WHERE id = ?1",
	[OUT_KEPT] = "UPDATE out SET kept = ?2 WHERE id = ?1",
	[OUT_WIPE] = "UPDATE out SET k = NULL, seal1 = NULL, seal2 = NULL "
		     "WHERE id = ?1",
	[OUT_DELETE] = "DELETE FROM out WHERE id = ?1",
	/* nobody will fetch it any more */
	[OUT_LATE] = "SELECT id FROM out WHERE state = 1 AND expires < ?1 "
		     "LIMIT 64",
	/* was shown long enough */
	[OUT_EXPIRED] = "SELECT id FROM out WHERE state IN (2, 3, 4) AND "
			"expires < ?1 LIMIT 64",
	/* what failed for want of a network (?1 to ?3), or is put off beyond any
	 * wait of ours (?4): the clock was ahead */
	[OUT_SOON] = "UPDATE out SET next_try = 0 WHERE state IN (0, 5, 6) AND "
		     "(err IN (?1, ?2, ?3) OR next_try > ?4)",
	[SMALL_PUT] = "INSERT INTO small (out, payload) VALUES (?1, ?2)",
	[SMALL_GET] = "SELECT payload FROM small WHERE out = ?1",
	[SMALL_DELETE] = "DELETE FROM small WHERE out = ?1",
	[NAME_NEW] = "INSERT OR IGNORE INTO name (out, name) VALUES (?1, ?2)",
	/* behind ?2 */
	[NAME_NEXT] = "SELECT name FROM name WHERE out = ?1 AND done = 0 AND "
		      "name > ?2 ORDER BY name LIMIT 1",
	[NAME_OPEN] = "SELECT name FROM name WHERE out = ?1 AND done = 0 "
		      "ORDER BY name",
	/* who was never found gets nothing, because of ?2 */
	[NAME_REST] = "INSERT OR IGNORE INTO receiver (out, name, state, err, "
		      "at) SELECT out, name, 6, ?2, ?3 FROM name WHERE "
		      "out = ?1 AND done = 0",
	[NAME_DONE_ALL] = "UPDATE name SET done = 1 WHERE out = ?1",
	[NAME_DONE] = "UPDATE name SET done = 1 WHERE out = ?1 AND name = ?2",
	[NAME_DELETE] = "DELETE FROM name WHERE out = ?1",
	[TO_NEW] = "INSERT OR REPLACE INTO receiver (out, name, state, t, "
		   "wrapped, err, at, signer) "
		   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[TO_LIST] = "SELECT name, state, t, err, at, direct, posted, proven, "
		    "claims FROM receiver "
		    "WHERE out = ?1 ORDER BY name",
	[TO_KEY] = "SELECT wrapped FROM receiver WHERE out = ?1 AND name = ?2",
	[TO_STATE] = "UPDATE receiver SET state = ?3, err = ?4, at = ?5 "
		     "WHERE out = ?1 AND name = ?2",
	[TO_SIGNER] = "SELECT signer, claims FROM receiver "
		      "WHERE out = ?1 AND name = ?2 AND state < 4",
	/* a CS's word; what has ended stays as it ended */
	[TO_HEARD] = "UPDATE receiver SET state = ?3, err = ?4, at = ?5, "
		     "proven = ?6 WHERE out = ?1 AND name = ?2 AND state < 4",
	[TO_CLAIM] = "UPDATE receiver SET claims = claims + 1 "
		     "WHERE out = ?1 AND name = ?2",
	[TO_LATE] = "UPDATE receiver SET state = 6, err = ?2, at = ?3 "
		    "WHERE out = ?1 AND state < 4",
	/* the same, of those that no CS has the key of */
	[TO_REST] = "UPDATE receiver SET state = 6, err = ?2, at = ?3 "
		    "WHERE out = ?1 AND state < 2",
	[TO_DIRECT] = "UPDATE receiver SET direct = ?3 "
		      "WHERE out = ?1 AND name = ?2",
	/* the CS has the keys of those who are ready */
	[TO_POSTED] = "UPDATE receiver SET posted = 1 "
		      "WHERE out = ?1 AND state BETWEEN 1 AND 3",
	/* those who are ready wait now */
	[TO_WAIT] = "UPDATE receiver SET state = 2, at = ?2 WHERE out = ?1 AND "
		    "state = 1",
	/* who has yet to get it gets all of it anew */
	[TO_ANEW] = "UPDATE receiver SET state = 0, posted = 0, claims = 0 "
		    "WHERE out = ?1 AND state BETWEEN 1 AND 3",
	/* how many are in each state */
	[TO_COUNT] = "SELECT sum(state = 0), sum(state = 1), sum(state = 2), "
		     "sum(state = 3), sum(state = 4), sum(state = 5), "
		     "sum(state = 6) FROM receiver WHERE out = ?1",
	[TO_WIPE] = "UPDATE receiver SET t = NULL, wrapped = NULL "
		    "WHERE out = ?1",
	[TO_DELETE] = "DELETE FROM receiver WHERE out = ?1",
	/* no upsert: each one would use up a number that the person sees */
	[IN_NEW] = "INSERT INTO inb (sender, application, service, item, "
		   "message, entry, key_hash, data_hash, size, cs, ticket, "
		   "temporal, at, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
		   "?8, ?9, ?10, ?11, ?12, ?13, ?14)",
	[IN_ENTRY] =
		"UPDATE inb SET entry = ?6, key_hash = ?7, data_hash = ?8, "
		"size = ?9, cs = ?10, ticket = ?11, temporal = ?12, "
		"expires = ?14, seen = 1, "
		/* without a hash: straight from the sender, as far as it came */
		"k = CASE WHEN key_hash IS ?7 OR "
		"(key_hash IS NULL AND blob IS NOT NULL) THEN k ELSE NULL END, "
		"blob = CASE WHEN (key_hash IS ?7 OR key_hash IS NULL) AND "
		"(data_hash IS ?8 OR data_hash IS NULL) "
		"THEN blob ELSE NULL END, next_try = CASE WHEN data_hash IS ?8 "
		"AND key_hash IS ?7 AND temporal IS ?12 THEN next_try ELSE 0 "
		"END WHERE sender = ?1 AND application = ?2 AND service = ?3 "
		"AND item = ?4",
	[IN_FIND] = "SELECT id FROM inb WHERE application = ?1 AND "
		    "service = ?2 AND item = ?3 AND sender = ?4",
	[IN_GET] = "SELECT " IN_COLUMNS " FROM inb WHERE id = ?1",
	[IN_LIST] = "SELECT " IN_COLUMNS " FROM inb WHERE id BETWEEN ?1 AND "
		    "?2 AND state < 5 ORDER BY id LIMIT 1000",
	[IN_ROWS] = "SELECT id, sender, title, message, size, state, "
		    "data_hash > '', err, text, application FROM inb "
		    "WHERE id > ?1 AND state < 5 ORDER BY id LIMIT 1000",
	/* what waits to be fetched, confirmed, or taken off the list */
	[IN_DUE] = "SELECT id FROM inb WHERE " IN_WORK
		   " AND next_try <= ?1 ORDER BY next_try, id LIMIT 64",
	[IN_NEXT] = "SELECT min(next_try), count(*) FROM inb WHERE " IN_WORK
		    " AND next_try > 0",
	[IN_STATE] = "UPDATE inb SET state = ?2, err = ?3, text = ?4, "
		     "next_try = 0, tries = 0 WHERE id = ?1",
	[IN_TRY] = "UPDATE inb SET next_try = ?2, tries = ?3, err = ?4, "
		   "text = ?5 WHERE id = ?1",
	/* a refusal's word: why it is refused stays */
	[IN_PUT_OFF] = "UPDATE inb SET next_try = ?2, tries = ?3 WHERE id = ?1",
	[IN_SOON] = "UPDATE inb SET next_try = 0 WHERE next_try > 0 AND "
		    "(err IN (?1, ?2, ?3) OR state IN (3, 6) OR next_try > ?4)",
	[IN_WANT] = "UPDATE inb SET wanted = 1, next_try = 0, "
		    "state = CASE state WHEN 1 THEN 0 ELSE state END "
		    "WHERE id = ?1",
	[IN_WANT_FROM] = "UPDATE inb SET next_try = 0, "
			 "state = CASE state WHEN 1 THEN 0 ELSE state END "
			 "WHERE state < 2",
	/* nothing of its key is kept when it is here, or will never be */
	[IN_SETTLE] = "UPDATE inb SET settled = ?2, receipt = ?3, k = NULL, "
		      "signer = NULL, blob = NULL, fetched = 0 WHERE id = ?1",
	/* of a refusal all stays but that it is shown */
	[IN_HIDE] = "UPDATE inb SET state = 6 WHERE id = ?1 AND state = 3",
	/* dropped before its blob was known: this one was meant */
	[IN_UNWANTED] = "UPDATE inb SET settled = data_hash WHERE id = ?1 AND "
			"state = 6 AND settled = '' AND data_hash IS NOT NULL",
	/* another item under the IDs of one that is done with */
	[IN_ANEW] = "UPDATE inb SET state = 0, err = 0, text = NULL, "
		    "wanted = 0, next_try = 0, tries = 0, title = NULL "
		    "WHERE id = ?1 AND state IN (3, 5, 6) AND entry IS NOT "
		    "NULL AND "
		    "data_hash IS NOT NULL AND data_hash IS NOT settled",
	/* one that was here before is not fetched again, whoever lists it */
	[IN_KNOWN] = "UPDATE inb SET state = 5, settled = data_hash, "
		     "receipt = (SELECT receipt FROM had "
		     "WHERE hash = data_hash), next_try = 0, tries = 0 WHERE "
		     "id = ?1 AND state IN "
		     "(0, 1) AND "
		     "entry IS NOT NULL AND "
		     "data_hash IN (SELECT hash FROM had)",
	[HAD_PUT] = "INSERT OR REPLACE INTO had (hash, until, receipt) "
		    "VALUES (?1, ?2, ?3)",
	[HAD_OLD] = "DELETE FROM had WHERE until < ?1",
	/* under another K what was here is nothing */
	[IN_KEY] = "UPDATE inb SET blob = CASE WHEN k = ?2 THEN blob "
		   "ELSE NULL END, k = ?2, signer = ?3 WHERE id = ?1",
	/* nothing of it counts: K is asked for anew */
	[IN_AT] = "UPDATE inb SET k = CASE WHEN ?2 IS NULL THEN NULL ELSE k "
		  "END, blob = ?2, fetched = ?3 WHERE id = ?1",
	[IN_TITLE] = "UPDATE inb SET title = ?2 WHERE id = ?1",
	/* before a listing; IN_GONE after it: what no list has and nobody has */
	[IN_MARK] = "UPDATE inb SET seen = 0 WHERE entry IS NOT NULL",
	[IN_SEEN] = "UPDATE inb SET entry = NULL WHERE id = ?1 AND entry = ?2",
	[IN_GONE] = "SELECT id FROM inb WHERE id > ?1 AND seen = 0 AND "
		    "entry IS NOT NULL ORDER BY id LIMIT 256",
	[IN_DELETE] = "DELETE FROM inb WHERE id = ?1",
	[IN_OLD] = "DELETE FROM inb WHERE state >= 3 AND entry IS NULL AND "
		   "expires < ?1",
	/* straight from its sender; there may be a list's entry of it too */
	[IN_DIRECT] =
		"UPDATE inb SET blob = CASE WHEN size IN (0, ?6) THEN blob "
		"ELSE NULL END, size = ?6, at = ?7, direct = 1 WHERE "
		"sender = ?1 AND application = ?2 AND service = ?3 AND "
		"item = ?4",
	[IN_DIRECT_NEW] =
		"INSERT INTO inb (sender, application, service, item, message, "
		"size, cs, ticket, at, expires, direct) VALUES (?1, ?2, ?3, "
		"?4, ?5, ?6, '', '', ?7, ?8, 1)",
	/* what began so, and was not heard of since ?1, by whatever way */
	[IN_STALE] = "SELECT id FROM inb WHERE direct = 1 AND entry IS NULL "
		     "AND state = 0 AND at < ?1",
	/* as OUT_FOLDER_OVER */
	[IN_OVER] = "SELECT NOT EXISTS (SELECT 1 FROM inb WHERE id = ?1 AND "
		    "state IN (0, 1, 2)) AND ?1 <= (SELECT seq FROM "
		    "sqlite_sequence WHERE name = 'inb')",
	/* of sender ?1: here, and not yet taken */
	[IN_COUNT] = "SELECT count(*) FROM inb WHERE sender = ?1 AND state < 3",
	[PREKEY_NEW] = "INSERT INTO prekey (id, fqdn, priv, pub, not_before, "
		       "not_after, sig, cert) "
		       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[PREKEY_GET] = "SELECT priv, pub FROM prekey WHERE id = ?1",
	[PREKEY_NEWEST] = "SELECT id, pub, not_before, not_after, sig, cert "
			  "FROM prekey WHERE fqdn = ?1 AND not_before <= ?2 "
			  "ORDER BY not_before DESC LIMIT 1",
	[PREKEY_OLD] = "DELETE FROM prekey WHERE not_after < ?1",
	[PIN_GET] = "SELECT fp FROM pin WHERE fqdn = ?1",
	[PIN_PUT] = "INSERT OR REPLACE INTO pin (fqdn, fp) VALUES (?1, ?2)",
	[PIN_FORGET] = "DELETE FROM pin WHERE fqdn = ?1",
};

const char *const *poststore_schema(size_t *n)
{
	*n = sizeof(schema) / sizeof(schema[0]);
	return schema;
}

int poststore_open(const char *dir, struct store **out)
{
	char path[PATH_MAX];
	int err;

	if (snprintf(path, sizeof(path), "%s/post.db", dir) >=
	    (int)sizeof(path))
		return -NTM_EINVAL;
	err = store_open(path, schema, sizeof(schema) / sizeof(schema[0]),
			 statements, POST_STATEMENTS, out);
	if (err)
		return err;
	/* one ntm-post has it */
	err = store_alone(*out);
	if (err)
		store_close(*out);
	return err;
}
