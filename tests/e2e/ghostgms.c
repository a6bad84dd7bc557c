/* SPDX-License-Identifier: MIT */
/*
 * ghostgms - a GMS that adds a member whom nobody has invited
 *
 * Usage: ghostgms GMS.DB SERVER.KEY GROUP server|member|index
 *
 * It has the GMS's database and its real key, and GROUP's ID (base64url). An add entry
 * for the next epoch is written behind the log, as the GMS would have put it there:
 *
 *   server   the GMS is its author, and signs it
 *   member   the founder is said to be, and the GMS signs it
 *   index    as `server`, and the ghost takes the index of member 1
 *
 * The GMS is not running. Status 0: it is there; 2: it could not be written.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sqlite3.h>

#include "libntmcrypto/group.h"
#include "libntmcrypto/wire.h"

static int give_up(const char *what)
{
	fprintf(stderr, "ghostgms: %s\n", what);
	return 2;
}

/* Return: bytes; signature included */
static size_t entry_make(const struct group *g, const struct ntmc_identity *gms,
			 const char *how, uint8_t *out, size_t size)
{
	static const char label[] = "ntm group entry v1";
	struct wire_out w = wire_out(out, size), c;
	uint8_t content[256], ghost[NTMC_KEY_LEN], token[GROUP_TOKEN_LEN];
	uint8_t text[1024];
	bool member = !strcmp(how, "member"), taken = !strcmp(how, "index");

	ntmc_random(NULL, ghost, sizeof(ghost));
	ntmc_random(NULL, token, sizeof(token));
	c = wire_out(content, sizeof(content));
	wire_put_number(&c, 1, 1);
	wire_put(&c, token, sizeof(token));
	wire_put_number(&c, taken ? 1 : group_next_index(g), 4);
	wire_put_number(&c, 0, 1);
	wire_put(&c, ghost, sizeof(ghost));
	wire_put_name(&c, "ghost.alice.ntm.example");

	wire_put_number(&w, 1, 1);
	wire_put_number(&w, GROUP_ADD, 1);
	wire_put(&w, group_id(g), GROUP_ID_LEN);
	wire_put_number(&w, group_epoch(g) + 1, 8);
	wire_put_number(&w, group_generation(g), 4);
	wire_put(&w, group_hash(g), NTMC_HASH_LEN);
	wire_put_number(&w, (uint64_t)time(NULL), 8);
	wire_put_number(&w, member ? 0 : GROUP_SERVER, 4);
	wire_put_lp(&w, content, c.len);

	memcpy(text, label, sizeof(label) - 1);
	memcpy(text + sizeof(label) - 1, out, w.len);
	ntmc_ed25519_sign(&gms->ed_priv, gms->ed_pub, text,
			  sizeof(label) - 1 + w.len, out + w.len);
	return w.len + NTMC_SIG_LEN;
}

int main(int argc, char **argv)
{
	uint8_t id[GROUP_ID_LEN], entry[1024];
	struct ntmc_identity gms;
	struct group *g;
	sqlite3_stmt *s;
	sqlite3 *db;
	size_t len;

	if (argc != 5)
		return give_up("what?");
	if (sqlite3_open(argv[1], &db) || ntmc_identity_load(argv[2], &gms) ||
	    ntmc_base64url_decode(argv[3], id, sizeof(id)))
		return give_up("no GMS, or no group");
	if (sqlite3_prepare_v2(db, "SELECT state FROM groups WHERE id = ?", -1,
			       &s, NULL) ||
	    sqlite3_bind_blob(s, 1, id, sizeof(id), NULL) ||
	    sqlite3_step(s) != SQLITE_ROW ||
	    group_load(sqlite3_column_blob(s, 0),
		       (size_t)sqlite3_column_bytes(s, 0), &g))
		return give_up("the group is not there");
	sqlite3_finalize(s);
	len = entry_make(g, &gms, argv[4], entry, sizeof(entry));
	if (sqlite3_prepare_v2(db, "INSERT INTO entries VALUES (?, ?, ?, NULL)",
			       -1, &s, NULL) ||
	    sqlite3_bind_blob(s, 1, id, sizeof(id), NULL) ||
	    sqlite3_bind_int64(s, 2, (int64_t)group_epoch(g) + 1) ||
	    sqlite3_bind_blob(s, 3, entry, (int)len, NULL) ||
	    sqlite3_step(s) != SQLITE_DONE)
		return give_up(sqlite3_errmsg(db));
	sqlite3_finalize(s);
	group_free(g);
	return sqlite3_close(db) ? 2 : 0;
}
