/* SPDX-License-Identifier: MIT */
/*
 * memberstore - the groups of a node on its disk
 *
 * Theory of operation
 *
 * A row is one group: its state as the log made it, which is no secret, and beside it one
 * sealed blob (rowkey.h) with RN1, prekeys and a share that waits. Additional data is
 * GroupID and th: what belongs to another epoch does not open. The list of members has rows
 * of its own (memberstore_pieces.c).
 *
 * What is written over lies in the write-ahead log still; memberstore_tidy() empties that,
 * so who takes the files and the identity has no RN1 of before.
 *
 * Whoever uses a key must have put it before: memberstore_put() first, then the packet.
 */
#include "broker/member/memberstore_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/wire.h"

#define OWN_VERSION 1
#define OWN_LEN                                                                \
	(1 + 2 + GROUP_WELCOME_MAX + 4 * NTMC_KEY_LEN + 8 + 2 +                \
	 NTMC_HASH_LEN + NTMC_KEY_LEN)
#define SEALED_LEN (OWN_LEN + ROWKEY_EXTRA)
#define AD_LEN	   (GROUP_ID_LEN + NTMC_HASH_LEN)
#define HEAD_MAX   1024 /* of a group: its server has the longest name */

static const char *const schema[] = {
	"CREATE TABLE groups (id BLOB PRIMARY KEY, state BLOB NOT NULL,"
	" own BLOB NOT NULL);"
	"CREATE TABLE log (id BLOB NOT NULL, epoch INTEGER NOT NULL,"
	" entry BLOB NOT NULL, sealer BLOB, UNIQUE (id, epoch));",
	"CREATE TABLE paper (token BLOB PRIMARY KEY, body BLOB NOT NULL);"
	"CREATE TABLE server (key BLOB PRIMARY KEY, ways TEXT NOT NULL);",
	"CREATE TABLE silence (id BLOB PRIMARY KEY, body BLOB NOT NULL);",
	"CREATE TABLE seal (id BLOB PRIMARY KEY, body BLOB NOT NULL);",
	"CREATE TABLE note (id BLOB NOT NULL, note INTEGER NOT NULL,"
	" body BLOB NOT NULL, PRIMARY KEY (id, note));",
	/* pieces: the epoch that they are of; 0: state is whole, as it was before */
	"ALTER TABLE groups ADD COLUMN pieces INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE piece (id BLOB NOT NULL, number INTEGER NOT NULL,"
	" body BLOB NOT NULL, PRIMARY KEY (id, number)) WITHOUT ROWID;",
};

static const char *const statements[N_STATEMENTS] = {
	[GROUP_PUT] = "INSERT INTO groups VALUES (?, ?, ?, ?) ON CONFLICT DO"
		      " UPDATE SET state = excluded.state, own = excluded.own,"
		      " pieces = excluded.pieces",
	[GROUP_GET] = "SELECT state, own FROM groups WHERE id = ?",
	[GROUP_PIECES] = "SELECT pieces FROM groups WHERE id = ?",
	[GROUP_DROP] = "DELETE FROM groups WHERE id = ?",
	[GROUP_LIST] = "SELECT id FROM groups ORDER BY id",
	[PIECE_PUT] = "INSERT INTO piece VALUES (?, ?, ?) ON CONFLICT DO"
		      " UPDATE SET body = excluded.body",
	[PIECE_LIST] = "SELECT body FROM piece WHERE id = ? ORDER BY number",
	[PIECE_END] = "DELETE FROM piece WHERE id = ? AND number = ?",
	[PIECE_DROP] = "DELETE FROM piece WHERE id = ?",
	[LOG_PUT] = "INSERT INTO log VALUES (?, ?, ?, ?)",
	[LOG_GET] = "SELECT entry, sealer FROM log WHERE id = ? AND epoch = ?",
	[LOG_DROP] = "DELETE FROM log WHERE id = ?",
	[PAPER_PUT] = "INSERT OR REPLACE INTO paper VALUES (?, ?)",
	[PAPER_DROP] = "DELETE FROM paper WHERE token = ?",
	[PAPER_LIST] = "SELECT token, body FROM paper ORDER BY token",
	[SERVER_PUT] = "INSERT OR REPLACE INTO server VALUES (?, ?)",
	[SERVER_GET] = "SELECT ways FROM server WHERE key = ?",
	[SILENCE_PUT] = "INSERT INTO silence VALUES (?, ?) ON CONFLICT DO"
			" UPDATE SET body = excluded.body",
	[SILENCE_GET] = "SELECT body FROM silence WHERE id = ?",
	[SILENCE_DROP] = "DELETE FROM silence WHERE id = ?",
	[SEAL_PUT] = "INSERT INTO seal VALUES (?, ?) ON CONFLICT DO"
		     " UPDATE SET body = excluded.body",
	[SEAL_GET] = "SELECT body FROM seal WHERE id = ?",
	[SEAL_DROP] = "DELETE FROM seal WHERE id = ?",
	[NOTE_PUT] = "INSERT OR REPLACE INTO note VALUES (?, ?, ?)",
	[NOTE_GET] = "SELECT body FROM note WHERE id = ? AND note = ?",
	[NOTE_END] = "DELETE FROM note WHERE id = ? AND note = ?",
	[NOTE_DROP] = "DELETE FROM note WHERE id = ?",
};

void member_own_clear(struct member_own *own)
{
	ntmc_wipe(own, sizeof(*own));
}

const char *const *memberstore_schema(size_t *n)
{
	*n = sizeof(schema) / sizeof(schema[0]);
	return schema;
}

int memberstore_open(const char *path, const struct ntmc_env *env,
		     const struct ntmc_identity *id, struct memberstore **out)
{
	struct memberstore *s = calloc(1, sizeof(*s));
	int r = s ? 0 : -NTM_ENOMEM;

	if (!r)
		r = rowkey_init(&s->key, env, "ntm group store v1", id);
	if (!r)
		r = store_open(path, schema, sizeof(schema) / sizeof(schema[0]),
			       statements, N_STATEMENTS, &s->store);
	if (r) {
		memberstore_close(s);
		return r;
	}
	*out = s;
	return 0;
}

void memberstore_close(struct memberstore *s)
{
	if (!s)
		return;
	store_close(s->store);
	rowkey_clear(&s->key);
	free(s);
}

int memberstore_begin(struct memberstore *s)
{
	int r = store_begin(s->store);

	s->begun = !r;
	return r;
}

int memberstore_commit(struct memberstore *s)
{
	int r = store_commit(s->store);

	s->begun = r;
	return r;
}

void memberstore_rollback(struct memberstore *s)
{
	store_rollback(s->store);
	s->begun = false;
}

int memberstore_tidy(struct memberstore *s)
{
	return store_tidy(s->store);
}

/* --- what is sealed ------------------------------------------------------------- */

/* one byte; what is not waiting, leaving or forked had a 0 or 1 in it always */
enum { WAITING = 1, LEAVING = 2, FORKED = 4, FLAGS_END = 8 };

static unsigned int flags_of(const struct member_own *own)
{
	return (own->waiting ? WAITING : 0) | (own->leaving ? LEAVING : 0) |
	       (own->forked ? FORKED : 0);
}

static void own_put(const struct member_own *own, const uint8_t *hash,
		    uint8_t out[static OWN_LEN])
{
	uint8_t welcome[GROUP_WELCOME_MAX];
	struct wire_out w = wire_out(out, OWN_LEN);
	size_t n = group_welcome_put(&own->secret, hash, welcome);
	int i;

	/* always as long: the group's name shows in no length */
	memset(out, 0, OWN_LEN);
	wire_put_number(&w, OWN_VERSION, 1);
	wire_put_number(&w, n, 2);
	wire_put(&w, welcome, n);
	w.len = 3 + GROUP_WELCOME_MAX;
	for (i = 0; i < 2; i++) {
		wire_put(&w, own->prekey[i].priv.b, NTMC_KEY_LEN);
		wire_put(&w, own->prekey[i].pub, NTMC_KEY_LEN);
	}
	wire_put_number(&w, own->serial, 8);
	wire_put_number(&w, own->used, 1);
	wire_put_number(&w, flags_of(own), 1);
	wire_put(&w, own->entry_hash, NTMC_HASH_LEN);
	wire_put(&w, own->share.b, NTMC_KEY_LEN);
	ntmc_wipe(welcome, sizeof(welcome));
}

static int own_get(const uint8_t b[static OWN_LEN], struct member_own *out,
		   uint8_t hash[static NTMC_HASH_LEN])
{
	struct wire_in w = wire_in(b, OWN_LEN);
	const uint8_t *welcome;
	unsigned int version, used, flags;
	size_t n;
	int i, r;

	memset(out, 0, sizeof(*out));
	version = (unsigned int)wire_get_number(&w, 1);
	n = (size_t)wire_get_number(&w, 2);
	welcome = wire_take(&w, GROUP_WELCOME_MAX);
	for (i = 0; i < 2; i++) {
		wire_get(&w, out->prekey[i].priv.b, NTMC_KEY_LEN);
		wire_get(&w, out->prekey[i].pub, NTMC_KEY_LEN);
	}
	out->serial = wire_get_number(&w, 8);
	used = (unsigned int)wire_get_number(&w, 1);
	flags = (unsigned int)wire_get_number(&w, 1);
	wire_get(&w, out->entry_hash, NTMC_HASH_LEN);
	wire_get(&w, out->share.b, NTMC_KEY_LEN);
	out->used = used;
	out->waiting = flags & WAITING;
	out->leaving = flags & LEAVING;
	out->forked = flags & FORKED;
	if (!wire_ends(&w) || version != OWN_VERSION || used > 1 ||
	    flags >= FLAGS_END || n > GROUP_WELCOME_MAX)
		r = -NTM_EDECODE;
	else
		r = group_welcome_get(welcome, n, &out->secret, hash);
	if (r)
		member_own_clear(out);
	return r;
}

/* what it is bound to */
static void own_ad(const struct group *g, uint8_t ad[static AD_LEN])
{
	memcpy(ad, group_id(g), GROUP_ID_LEN);
	memcpy(ad + GROUP_ID_LEN, group_hash(g), NTMC_HASH_LEN);
}

static int own_seal(const struct memberstore *s, const struct group *g,
		    const struct member_own *own,
		    uint8_t out[static SEALED_LEN])
{
	uint8_t ad[AD_LEN];
	int r;

	own_put(own, group_hash(g), out + ROWKEY_SALT);
	own_ad(g, ad);
	r = rowkey_seal(&s->key, ad, sizeof(ad), out, OWN_LEN);
	if (r)
		ntmc_wipe(out, SEALED_LEN);
	return r;
}

static int own_open(const struct memberstore *s, const struct group *g,
		    uint8_t sealed[static SEALED_LEN], struct member_own *out)
{
	uint8_t ad[AD_LEN], hash[NTMC_HASH_LEN];
	int r;

	own_ad(g, ad);
	r = rowkey_open(&s->key, ad, sizeof(ad), sealed, SEALED_LEN);
	if (!r)
		r = own_get(sealed + ROWKEY_SALT, out, hash);
	ntmc_wipe(sealed, SEALED_LEN);
	return r;
}

/* --- rows --------------------------------------------------------------------------- */

/* the group's own row; @s has its pieces */
static int row_put(struct memberstore *s, const struct group *g,
		   const struct member_own *own)
{
	uint8_t sealed[SEALED_LEN], head[HEAD_MAX];
	size_t len;
	int r = group_piece_save(g, GROUP_PIECE_HEAD, head, sizeof(head), &len);

	if (!r)
		r = own_seal(s, g, own, sealed);
	if (r)
		return r;
	store_bind_blob(s->store, GROUP_PUT, 1, group_id(g), GROUP_ID_LEN);
	store_bind_blob(s->store, GROUP_PUT, 2, head, len);
	store_bind_blob(s->store, GROUP_PUT, 3, sealed, sizeof(sealed));
	store_bind_int(s->store, GROUP_PUT, 4, (int64_t)group_epoch(g));
	return store_run(s->store, GROUP_PUT);
}

/* row and pieces, or neither */
static int put_all(struct memberstore *s, const struct group *g,
		   const struct member_own *own)
{
	bool alone = !s->begun;
	int r = alone ? memberstore_begin(s) : 0;

	if (!r)
		r = pieces_put(s, g);
	if (!r)
		r = row_put(s, g, own);
	if (alone && !r)
		r = memberstore_commit(s);
	if (alone && r)
		memberstore_rollback(s);
	return r;
}

int memberstore_put(struct memberstore *s, const struct group *g,
		    const struct member_own *own)
{
	if (memcmp(own->secret.id, group_id(g), GROUP_ID_LEN) ||
	    own->secret.epoch != group_epoch(g) ||
	    own->secret.generation != group_generation(g))
		return -NTM_ESTATE;
	return put_all(s, g, own);
}

/* the row that was stepped to */
static int row_get(struct memberstore *s, const uint8_t *id, struct group **out,
		   struct member_own *own)
{
	uint8_t sealed[SEALED_LEN], *state;
	struct group *g = NULL;
	size_t len;
	int r;

	if (store_blob(s->store, GROUP_GET, 1, sealed, sizeof(sealed)) !=
	    sizeof(sealed))
		return -NTM_EAUTH;
	r = pieces_get(s, id, &state, &len);
	if (!r) {
		r = group_load(state, len, &g);
		free(state);
	}
	if (!r)
		r = own_open(s, g, sealed, own);
	if (r) {
		group_free(g);
		return r == -NTM_ENOMEM || r == -NTM_ESTORE ? r : -NTM_EAUTH;
	}
	*out = g;
	return 0;
}

int memberstore_get(struct memberstore *s,
		    const uint8_t id[static GROUP_ID_LEN], struct group **g,
		    struct member_own *own)
{
	int r;

	store_bind_blob(s->store, GROUP_GET, 1, id, GROUP_ID_LEN);
	r = store_step(s->store, GROUP_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	r = row_get(s, id, g, own);
	store_reset(s->store, GROUP_GET);
	return r;
}

int memberstore_drop(struct memberstore *s,
		     const uint8_t id[static GROUP_ID_LEN])
{
	int r;

	store_bind_blob(s->store, GROUP_DROP, 1, id, GROUP_ID_LEN);
	store_bind_blob(s->store, PIECE_DROP, 1, id, GROUP_ID_LEN);
	store_bind_blob(s->store, LOG_DROP, 1, id, GROUP_ID_LEN);
	store_bind_blob(s->store, SILENCE_DROP, 1, id, GROUP_ID_LEN);
	store_bind_blob(s->store, SEAL_DROP, 1, id, GROUP_ID_LEN);
	store_bind_blob(s->store, NOTE_DROP, 1, id, GROUP_ID_LEN);
	r = store_run(s->store, GROUP_DROP);
	if (!r)
		r = store_run(s->store, PIECE_DROP);
	if (!r)
		r = store_run(s->store, LOG_DROP);
	if (!r)
		r = store_run(s->store, SILENCE_DROP);
	if (!r)
		r = store_run(s->store, NOTE_DROP);
	return r ? r : store_run(s->store, SEAL_DROP);
}

int memberstore_list(struct memberstore *s, uint8_t (*ids)[GROUP_ID_LEN],
		     size_t max)
{
	int n = 0, r;

	while ((r = store_step(s->store, GROUP_LIST)) == 1) {
		if ((size_t)n < max)
			store_blob(s->store, GROUP_LIST, 0, ids[n],
				   GROUP_ID_LEN);
		n++;
	}
	return r ? r : n;
}

/* --- the log ------------------------------------------------------------------------- */

int memberstore_log_put(struct memberstore *s,
			const uint8_t id[static GROUP_ID_LEN], uint64_t epoch,
			const uint8_t *entry, size_t len, const uint8_t *sealer)
{
	store_bind_blob(s->store, LOG_PUT, 1, id, GROUP_ID_LEN);
	store_bind_int(s->store, LOG_PUT, 2, (int64_t)epoch);
	store_bind_blob(s->store, LOG_PUT, 3, entry, len);
	if (sealer)
		store_bind_blob(s->store, LOG_PUT, 4, sealer, NTMC_KEY_LEN);
	return store_run(s->store, LOG_PUT);
}

int memberstore_log_get(struct memberstore *s,
			const uint8_t id[static GROUP_ID_LEN], uint64_t epoch,
			uint8_t entry[static GROUP_ENTRY_MAX], size_t *len,
			uint8_t sealer[static NTMC_KEY_LEN])
{
	int r;

	store_bind_blob(s->store, LOG_GET, 1, id, GROUP_ID_LEN);
	store_bind_int(s->store, LOG_GET, 2, (int64_t)epoch);
	r = store_step(s->store, LOG_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	*len = store_blob(s->store, LOG_GET, 0, entry, GROUP_ENTRY_MAX);
	memset(sealer, 0, NTMC_KEY_LEN);
	store_blob(s->store, LOG_GET, 1, sealer, NTMC_KEY_LEN);
	store_reset(s->store, LOG_GET);
	return *len <= GROUP_ENTRY_MAX ? 0 : -NTM_ESTORE;
}

int memberstore_seal_put(struct memberstore *s,
			 const uint8_t id[static GROUP_ID_LEN],
			 const uint8_t seal[static GROUP_SEAL_LEN])
{
	store_bind_blob(s->store, SEAL_PUT, 1, id, GROUP_ID_LEN);
	store_bind_blob(s->store, SEAL_PUT, 2, seal, GROUP_SEAL_LEN);
	return store_run(s->store, SEAL_PUT);
}

int memberstore_seal_get(struct memberstore *s,
			 const uint8_t id[static GROUP_ID_LEN],
			 uint8_t seal[static GROUP_SEAL_LEN])
{
	size_t len;
	int r;

	store_bind_blob(s->store, SEAL_GET, 1, id, GROUP_ID_LEN);
	r = store_step(s->store, SEAL_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	len = store_blob(s->store, SEAL_GET, 0, seal, GROUP_SEAL_LEN);
	store_reset(s->store, SEAL_GET);
	return len == GROUP_SEAL_LEN ? 0 : -NTM_ENOTFOUND;
}

int memberstore_silence_put(struct memberstore *s,
			    const uint8_t id[static GROUP_ID_LEN],
			    const void *body, size_t len)
{
	store_bind_blob(s->store, SILENCE_PUT, 1, id, GROUP_ID_LEN);
	store_bind_blob(s->store, SILENCE_PUT, 2, body, len);
	return store_run(s->store, SILENCE_PUT);
}

int memberstore_silence_get(struct memberstore *s,
			    const uint8_t id[static GROUP_ID_LEN], void *body,
			    size_t size, size_t *len)
{
	int r;

	store_bind_blob(s->store, SILENCE_GET, 1, id, GROUP_ID_LEN);
	r = store_step(s->store, SILENCE_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	*len = store_blob(s->store, SILENCE_GET, 0, body, size);
	store_reset(s->store, SILENCE_GET);
	return *len <= size ? 0 : -NTM_ESTORE;
}
