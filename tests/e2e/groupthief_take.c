/* SPDX-License-Identifier: MIT */
/* groupthief_take - what the thief has: the GMS's stores, a capture, a member's own store */
#include "tests/e2e/groupthief.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "broker/member/memberstore.h"
#include "broker/member/rowkey.h"
#include "libntmcrypto/grouppacket_impl.h"

/* of a row in groups.db behind the salt: memberstore.c's OWN_LEN, with its tag */
#define ROW_LEN                                                                \
	(1 + 2 + GROUP_WELCOME_MAX + 4 * NTMC_KEY_LEN + 8 + 2 +                \
	 NTMC_HASH_LEN + NTMC_KEY_LEN + NTMC_TAG_LEN)

void thief_nonsense(const char *what)
{
	errno = EINVAL;
	give_up(what);
}

/* --- what the GMS has --------------------------------------------------------------- */

static struct group *copy_of(const struct group *g)
{
	size_t len;
	struct group *out;
	uint8_t *b;

	if (group_save(g, NULL, 0, &len))
		thief_nonsense("the log");
	b = malloc(len);
	if (!b || group_save(g, b, len, &len) || group_load(b, len, &out))
		thief_nonsense("the log");
	free(b);
	return out;
}

static void take_entry(struct thief *t, sqlite3_stmt *s)
{
	uint64_t n = (uint64_t)sqlite3_column_int64(s, 1);
	struct group *g;
	struct thief_epoch *e;

	if (!n || n >= THIEF_EPOCHS)
		thief_nonsense("epochs");
	memcpy(t->id, sqlite3_column_blob(s, 0), sizeof(t->id));
	if (t->e[n])
		return;
	e = calloc(1, sizeof(*e));
	if (!e || (n > 1 && !t->e[n - 1]))
		thief_nonsense("epochs");
	e->len = (size_t)sqlite3_column_bytes(s, 2);
	memcpy(e->entry, sqlite3_column_blob(s, 2), e->len);
	if (sqlite3_column_bytes(s, 3) == NTMC_KEY_LEN)
		memcpy(e->sealer, sqlite3_column_blob(s, 3), NTMC_KEY_LEN);
	if (n == 1 && group_new(&g))
		thief_nonsense("memory");
	if (n > 1)
		g = copy_of(t->e[n - 1]->g);
	if (group_apply(g, e->entry, e->len, NULL) ||
	    group_entry_get(e->entry, e->len, &e->e))
		thief_nonsense("an entry");
	e->g = g;
	t->e[n] = e;
	if (n > t->last)
		t->last = n;
}

static void take_part(struct thief *t, sqlite3_stmt *s)
{
	if (t->n_parts == THIEF_PARTS)
		thief_nonsense("parts");
	t->part[t->n_parts].index = (uint32_t)sqlite3_column_int64(s, 0);
	t->part[t->n_parts].epoch = (uint64_t)sqlite3_column_int64(s, 1);
	memcpy(t->part[t->n_parts++].part, sqlite3_column_blob(s, 2),
	       GROUP_PART_LEN);
}

static void take_person(struct thief *t, sqlite3_stmt *s)
{
	uint64_t acked = (uint64_t)sqlite3_column_int64(s, 1);
	struct thief_epoch *e = acked < THIEF_EPOCHS ? t->e[acked] : NULL;

	if (e && sqlite3_column_bytes(s, 2) == GROUP_CONFIRM_LEN &&
	    e->n_confirm < THIEF_CONFIRM) {
		e->confirm[e->n_confirm].index =
			(uint32_t)sqlite3_column_int64(s, 0);
		memcpy(e->confirm[e->n_confirm++].tag,
		       sqlite3_column_blob(s, 2), GROUP_CONFIRM_LEN);
	}
	if (sqlite3_column_bytes(s, 3) == GROUP_PREKEY_LEN &&
	    t->n_prekeys < THIEF_PREKEYS)
		memcpy(t->prekey[t->n_prekeys++], sqlite3_column_blob(s, 3),
		       NTMC_KEY_LEN);
}

/* GroupID | epoch | generation | th | hash of RN2 */
static void take_seal(struct thief *t, sqlite3_stmt *s)
{
	const uint8_t *b = sqlite3_column_blob(s, 0);
	struct thief_epoch *e = t->e[t->last];

	if (sqlite3_column_bytes(s, 0) != GROUP_SEAL_LEN ||
	    memcmp(b + 28, group_hash(e->g), NTMC_HASH_LEN))
		thief_nonsense("a seal");
	memcpy(e->seal_hash, b + 60, NTMC_HASH_LEN);
	e->sealed = true;
}

static void rows(struct thief *t, sqlite3 *db, const char *text,
		 void (*fn)(struct thief *t, sqlite3_stmt *s))
{
	sqlite3_stmt *s;

	if (sqlite3_prepare_v2(db, text, -1, &s, NULL))
		thief_nonsense(sqlite3_errmsg(db));
	while (sqlite3_step(s) == SQLITE_ROW)
		fn(t, s);
	sqlite3_finalize(s);
}

/* stores come in the order in which they were copied; there is one group */
void thief_take_store(struct thief *t, const char *path)
{
	sqlite3 *db;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL))
		thief_nonsense(path);
	/* what is in its WAL stays there, to be searched */
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	rows(t, db,
	     "SELECT id, epoch, entry, sealer FROM entries ORDER BY epoch",
	     take_entry);
	rows(t, db, "SELECT person, epoch, part FROM parts", take_part);
	rows(t, db, "SELECT person, acked, confirmation, prekey FROM people",
	     take_person);
	if (!t->last)
		thief_nonsense(path);
	rows(t, db, "SELECT seal FROM groups", take_seal);
	sqlite3_close(db);
}

/* --- what was recorded -------------------------------------------------------------- */

/* Ethernet, IPv4 or IPv6 without options, UDP. Return: the datagram, or NULL */
static const uint8_t *datagram(const uint8_t *b, size_t len, size_t *out)
{
	size_t at = 14;

	if (len < 14 + 20 + 8)
		return NULL;
	if (b[12] == 0x08 && b[13] == 0x00 && b[14] == 0x45 && b[23] == 17)
		at += 20;
	else if (b[12] == 0x86 && b[13] == 0xdd && b[20] == 17)
		at += 40;
	else
		return NULL;
	if (len < at + 8)
		return NULL;
	*out = ((size_t)b[at + 4] << 8 | b[at + 5]) - 8;
	return *out <= len - at - 8 ? b + at + 8 : NULL;
}

void thief_take_packets(struct thief *t, const char *path)
{
	size_t len, at = 24, n;
	const uint8_t *b = file_map(path, &len), *d;
	struct group_header h;
	uint32_t caught;

	for (; at + 16 <= len; at += 16 + caught) {
		memcpy(&caught, b + at + 8, sizeof(caught));
		if (at + 16 + caught > len)
			break;
		d = datagram(b + at + 16, caught, &n);
		if (!d || group_header_get(d, n, &h))
			continue;
		if (t->n_packets == THIEF_PACKETS)
			thief_nonsense("packets");
		t->packet[t->n_packets++] = (struct thief_packet){d, n};
	}
}

/* --- a member's own store, with its device's identity -------------------------------- */

/* sealed rows of before, wherever they lie in the file: opened as memberstore.c does */
static void take_rows(struct thief *t, const struct ntmc_identity *id,
		      const char *path)
{
	static const char label[] = "ntm group store v1";
	uint8_t key[NTMC_HASH_LEN], row[ROW_LEN];
	uint8_t ad[GROUP_ID_LEN + NTMC_HASH_LEN];
	size_t len;
	const uint8_t *b = file_map(path, &len);
	struct ntmc_key k;

	memcpy(ad, t->id, GROUP_ID_LEN);
	if (ntmc_hkdf_extract(label, sizeof(label) - 1, id->ed_priv.b,
			      sizeof(id->ed_priv.b), key))
		thief_nonsense(path);
	for (size_t at = 0; at + ROWKEY_SALT + ROW_LEN <= len; at++) {
		if (ntmc_hkdf_expand(key, b + at, ROWKEY_SALT, k.b,
				     sizeof(k.b)))
			thief_nonsense(path);
		for (uint64_t n = 1; n <= t->last; n++) {
			memcpy(row, b + at + ROWKEY_SALT, sizeof(row));
			memcpy(ad + GROUP_ID_LEN, group_hash(t->e[n]->g),
			       NTMC_HASH_LEN);
			if (ntmc_open_once(NTMC_AES_256_GCM, &k, 0, ad,
					   sizeof(ad), row, sizeof(row)))
				continue;
			t->rows++;
			for (size_t i = 0; i + NTMC_KEY_LEN <= sizeof(row); i++)
				candidates_add(&t->c, row + i);
		}
	}
}

void thief_take_own(struct thief *t, const char *arg)
{
	char path[512];
	const char *db = strchr(arg, '=') + 1;
	uint8_t ids[4][GROUP_ID_LEN];
	struct memberstore *s;
	struct ntmc_identity id;
	struct member_own own;
	struct group *g;
	int i, n;

	snprintf(path, sizeof(path), "%.*s", (int)(db - 1 - arg), arg);
	if (ntmc_identity_load(path, &id))
		thief_nonsense(arg);
	/* at first: to open and close it ends its write-ahead log */
	take_rows(t, &id, db);
	snprintf(path, sizeof(path), "%s-wal", db);
	if (!access(path, F_OK))
		take_rows(t, &id, path);
	if (memberstore_open(db, NULL, &id, &s))
		thief_nonsense(arg);
	n = memberstore_list(s, ids, 4);
	for (i = 0; i < n && i < 4; i++) {
		if (memberstore_get(s, ids[i], &g, &own))
			thief_nonsense(arg);
		group_free(g);
		candidates_add(&t->c, own.secret.rn1.b);
		candidates_add(&t->c, own.prekey[0].priv.b);
		candidates_add(&t->c, own.prekey[1].priv.b);
		candidates_add(&t->c, own.share.b);
	}
	memberstore_close(s);
}
