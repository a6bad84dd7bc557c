/* SPDX-License-Identifier: MIT */
/*
 * groupthief - opens a group's packets with whatever keys lie in disks and memories
 *
 * Usage: groupthief NAME PCAP STORE... -- [FILE | @DUMP | IDENTITY=GROUPS.DB]...
 *
 * Theory of operation
 *
 * It has what the GMS has in its STOREs (copies made at several times): the log, seals,
 * confirmations, public prekeys, parts that waited; the group's NAME, which no server
 * learns; and the packets of a capture. What it looks for are keys: whatever may be one
 * in the files and memories is a candidate (candidates.h), and what a member's own store
 * opens to with that device's identity. Then, with the members' own library:
 *
 *   as RN2            the hash in a seal says that it is one
 *   as a share        an entry's commitment does; the first one makes RN1
 *   as a prekey       its public half is known: it opens parts, which are shares
 *   as RN1            with each RN2: the key of the epoch, which a confirmation proves,
 *                     or a packet that opens
 *   as what hangs off HKDF's prk, GK, the keys of data and of confirmations
 *
 * From each RN1 it steps on, with each share that it has. At the end every packet of each
 * epoch whose key it has made is opened. (What the kernel had not cut into datagrams when it
 * was captured is none.) Status 0: some were opened; 1: none was; 2: it
 * could not try.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "broker/member/memberstore.h"
#include "libntmcrypto/grouppacket_impl.h"
#include "tests/e2e/candidates.h"

#define EPOCHS	64
#define CONFIRM 16 /* confirmations of an epoch */
#define PREKEYS 256
#define PARTS	64
#define PACKETS 65536
/* of a row in groups.db: memberstore.c's SALT_LEN, and OWN_LEN with its tag */
#define SALT_LEN 16
#define ROW_LEN                                                                \
	(1 + 2 + GROUP_WELCOME_MAX + 4 * NTMC_KEY_LEN + 8 + 2 +                \
	 NTMC_HASH_LEN + NTMC_KEY_LEN + NTMC_TAG_LEN)

struct packet {
	const uint8_t *b;
	size_t len;
};

struct epoch {
	struct group *g;
	struct group_entry e;
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	size_t len;
	uint8_t seal_hash[NTMC_HASH_LEN];
	struct {
		uint32_t index;
		uint8_t tag[GROUP_CONFIRM_LEN];
	} confirm[CONFIRM];
	unsigned int n_confirm;
	const struct packet *sample;
	bool sealed, has_rn2, has_share, has_rn1, has_data;
	struct ntmc_key rn2, share, data;
	struct group_secret rn1;
	uint8_t tag[GROUP_TAG_LEN];
	unsigned int packets, opened, below; /* below: by a sender's own key */
};

struct thief {
	const char *name;
	struct candidates c;
	struct epoch *e[EPOCHS]; /* by number; 0: none */
	uint64_t last;
	uint8_t id[GROUP_ID_LEN];
	uint8_t prekey[PREKEYS][NTMC_KEY_LEN];
	size_t n_prekeys;
	struct {
		uint64_t epoch;
		uint32_t index;
		uint8_t part[GROUP_PART_LEN];
	} part[PARTS];
	size_t n_parts;
	struct packet packet[PACKETS];
	size_t n_packets;
	unsigned int parts_opened, rows;
};

static void nonsense(const char *what)
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
		nonsense("the log");
	b = malloc(len);
	if (!b || group_save(g, b, len, &len) || group_load(b, len, &out))
		nonsense("the log");
	free(b);
	return out;
}

static void take_entry(struct thief *t, sqlite3_stmt *s)
{
	uint64_t n = (uint64_t)sqlite3_column_int64(s, 1);
	struct group *g;
	struct epoch *e;

	if (!n || n >= EPOCHS)
		nonsense("epochs");
	memcpy(t->id, sqlite3_column_blob(s, 0), sizeof(t->id));
	if (t->e[n])
		return;
	e = calloc(1, sizeof(*e));
	if (!e || (n > 1 && !t->e[n - 1]))
		nonsense("epochs");
	e->len = (size_t)sqlite3_column_bytes(s, 2);
	memcpy(e->entry, sqlite3_column_blob(s, 2), e->len);
	if (sqlite3_column_bytes(s, 3) == NTMC_KEY_LEN)
		memcpy(e->sealer, sqlite3_column_blob(s, 3), NTMC_KEY_LEN);
	if (n == 1 && group_new(&g))
		nonsense("memory");
	if (n > 1)
		g = copy_of(t->e[n - 1]->g);
	if (group_apply(g, e->entry, e->len, NULL) ||
	    group_entry_get(e->entry, e->len, &e->e))
		nonsense("an entry");
	e->g = g;
	t->e[n] = e;
	if (n > t->last)
		t->last = n;
}

static void take_part(struct thief *t, sqlite3_stmt *s)
{
	if (t->n_parts == PARTS)
		nonsense("parts");
	t->part[t->n_parts].index = (uint32_t)sqlite3_column_int64(s, 0);
	t->part[t->n_parts].epoch = (uint64_t)sqlite3_column_int64(s, 1);
	memcpy(t->part[t->n_parts++].part, sqlite3_column_blob(s, 2),
	       GROUP_PART_LEN);
}

static void take_person(struct thief *t, sqlite3_stmt *s)
{
	uint64_t acked = (uint64_t)sqlite3_column_int64(s, 1);
	struct epoch *e = acked < EPOCHS ? t->e[acked] : NULL;

	if (e && sqlite3_column_bytes(s, 2) == GROUP_CONFIRM_LEN &&
	    e->n_confirm < CONFIRM) {
		e->confirm[e->n_confirm].index =
			(uint32_t)sqlite3_column_int64(s, 0);
		memcpy(e->confirm[e->n_confirm++].tag,
		       sqlite3_column_blob(s, 2), GROUP_CONFIRM_LEN);
	}
	if (sqlite3_column_bytes(s, 3) == GROUP_PREKEY_LEN &&
	    t->n_prekeys < PREKEYS)
		memcpy(t->prekey[t->n_prekeys++], sqlite3_column_blob(s, 3),
		       NTMC_KEY_LEN);
}

/* GroupID | epoch | generation | th | hash of RN2 */
static void take_seal(struct thief *t, sqlite3_stmt *s)
{
	const uint8_t *b = sqlite3_column_blob(s, 0);
	struct epoch *e = t->e[t->last];

	if (sqlite3_column_bytes(s, 0) != GROUP_SEAL_LEN ||
	    memcmp(b + 28, group_hash(e->g), NTMC_HASH_LEN))
		nonsense("a seal");
	memcpy(e->seal_hash, b + 60, NTMC_HASH_LEN);
	e->sealed = true;
}

static void rows(struct thief *t, sqlite3 *db, const char *text,
		 void (*fn)(struct thief *t, sqlite3_stmt *s))
{
	sqlite3_stmt *s;

	if (sqlite3_prepare_v2(db, text, -1, &s, NULL))
		nonsense(sqlite3_errmsg(db));
	while (sqlite3_step(s) == SQLITE_ROW)
		fn(t, s);
	sqlite3_finalize(s);
}

/* stores come in the order in which they were copied; there is one group */
static void take_store(struct thief *t, const char *path)
{
	sqlite3 *db;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL))
		nonsense(path);
	/* what is in its WAL stays there, to be searched */
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	rows(t, db,
	     "SELECT id, epoch, entry, sealer FROM entries ORDER BY epoch",
	     take_entry);
	rows(t, db, "SELECT person, epoch, part FROM parts", take_part);
	rows(t, db, "SELECT person, acked, confirmation, prekey FROM people",
	     take_person);
	if (!t->last)
		nonsense(path);
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

static void take_packets(struct thief *t, const char *path)
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
		if (t->n_packets == PACKETS)
			nonsense("packets");
		t->packet[t->n_packets++] = (struct packet){d, n};
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
		nonsense(path);
	for (size_t at = 0; at + SALT_LEN + ROW_LEN <= len; at++) {
		if (ntmc_hkdf_expand(key, b + at, SALT_LEN, k.b, sizeof(k.b)))
			nonsense(path);
		for (uint64_t n = 1; n <= t->last; n++) {
			memcpy(row, b + at + SALT_LEN, sizeof(row));
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

static void take_own(struct thief *t, const char *arg)
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
		nonsense(arg);
	/* at first: to open and close it ends its write-ahead log */
	take_rows(t, &id, db);
	snprintf(path, sizeof(path), "%s-wal", db);
	if (!access(path, F_OK))
		take_rows(t, &id, path);
	if (memberstore_open(db, NULL, &id, &s))
		nonsense(arg);
	n = memberstore_list(s, ids, 4);
	for (i = 0; i < n && i < 4; i++) {
		if (memberstore_get(s, ids[i], &g, &own))
			nonsense(arg);
		group_free(g);
		candidates_add(&t->c, own.secret.rn1.b);
		candidates_add(&t->c, own.prekey[0].priv.b);
		candidates_add(&t->c, own.prekey[1].priv.b);
		candidates_add(&t->c, own.share.b);
	}
	memberstore_close(s);
}

/* --- each candidate, as anything ------------------------------------------------------- */

static void as_rn2(struct thief *t, const struct ntmc_key *k)
{
	uint8_t text[16 + NTMC_KEY_LEN] = "ntm group rn2 v1";
	uint8_t hash[NTMC_HASH_LEN];
	struct ntmc_key relay;

	memcpy(text + 16, k->b, NTMC_KEY_LEN);
	ntmc_sha256(text, sizeof(text), hash);
	for (uint64_t n = 1; n <= t->last; n++) {
		struct epoch *e = t->e[n];

		if (!e->sealed || memcmp(hash, e->seal_hash, sizeof(hash)))
			continue;
		e->rn2 = *k;
		e->has_rn2 = true;
		group_relay_derive(k, t->id, n, &relay, e->tag);
	}
}

static void as_share(struct thief *t, const struct ntmc_key *k)
{
	uint8_t hash[NTMC_HASH_LEN];

	for (uint64_t n = 1; n <= t->last; n++) {
		struct epoch *e = t->e[n];

		if (!e->e.commitment || e->has_share)
			continue;
		group_commit(t->id, n, e->e.generation, k, hash);
		if (memcmp(hash, e->e.commitment, sizeof(hash)))
			continue;
		e->share = *k;
		e->has_share = true;
	}
}

static void as_prekey(struct thief *t, const struct ntmc_key *k)
{
	uint8_t pub[NTMC_KEY_LEN];
	struct ntmc_key share;
	size_t i;

	ntmc_x25519_public(k, pub);
	for (i = 0; i < t->n_prekeys; i++)
		if (!memcmp(pub, t->prekey[i], sizeof(pub)))
			break;
	for (; i < t->n_prekeys; i = t->n_prekeys)
		for (size_t j = 0; j < t->n_parts; j++) {
			struct epoch *e = t->e[t->part[j].epoch];

			if (group_part_open(&e->e, t->part[j].index, e->sealer,
					    k, pub, t->part[j].part, &share))
				continue;
			t->parts_opened++;
			as_share(t, &share);
		}
}

/* @key: of the sender and its salt, or K_data (@below: false) */
static bool packet_opens(const struct ntmc_key *key, bool below,
			 const struct packet *p)
{
	uint8_t buf[2048], text[64];
	struct wire_out info = wire_out(text, sizeof(text));
	struct group_header h;
	struct ntmc_key sender = *key;
	size_t len = p->len;

	if (len > sizeof(buf) || group_header_get(p->b, len, &h))
		return false;
	if (h.flags & GROUP_PACKET_HOP)
		len -= GROUP_HOP_LEN;
	wire_put_name(&info, "ntm group sender v1");
	wire_put_number(&info, h.index, 4);
	wire_put(&info, h.salt, GROUP_SALT_LEN);
	if (!below && ntmc_hkdf_expand(key->b, text, info.len, sender.b,
				       sizeof(sender.b)))
		nonsense("hkdf");
	memcpy(buf, p->b, len);
	return !ntmc_open_once(
		h.flags & GROUP_PACKET_CHACHA ? NTMC_CHACHA20_POLY1305
					      : NTMC_AES_256_GCM,
		&sender, h.counter, buf, GROUP_PACKET_HEADER,
		buf + GROUP_PACKET_HEADER, len - GROUP_PACKET_HEADER);
}

static bool confirms(const struct epoch *e, const struct ntmc_key *confirm)
{
	struct group_keys k = {.confirm = *confirm, .epoch = group_epoch(e->g)};

	memcpy(k.id, group_id(e->g), sizeof(k.id));
	memcpy(k.hash, group_hash(e->g), sizeof(k.hash));
	for (unsigned int i = 0; i < e->n_confirm; i++)
		if (!group_confirmed(&k, e->confirm[i].index,
				     e->confirm[i].tag))
			return true;
	return false;
}

static void subkey(const struct epoch *e, const uint8_t *gk, const char *label,
		   struct ntmc_key *out)
{
	uint8_t text[96];
	struct wire_out info = wire_out(text, sizeof(text));

	wire_put_name(&info, label);
	wire_put(&info, group_id(e->g), GROUP_ID_LEN);
	wire_put_number(&info, group_epoch(e->g), 8);
	if (ntmc_hkdf_expand(gk, text, info.len, out->b, sizeof(out->b)))
		nonsense("hkdf");
}

static void as_gk(struct epoch *e, const uint8_t *gk)
{
	struct ntmc_key confirm;

	subkey(e, gk, "ntm group confirm v1", &confirm);
	if (!confirms(e, &confirm))
		return;
	subkey(e, gk, "ntm group data v1", &e->data);
	e->has_data = true;
}

static void as_prk(const struct thief *t, struct epoch *e, const uint8_t *prk)
{
	uint8_t text[256], gk[NTMC_KEY_LEN];
	struct wire_out ctx = wire_out(text, sizeof(text));

	wire_put_name(&ctx, "ntm group v1");
	wire_put(&ctx, t->id, sizeof(t->id));
	wire_put_name(&ctx, t->name);
	wire_put_number(&ctx, group_epoch(e->g), 8);
	wire_put_number(&ctx, group_generation(e->g), 4);
	wire_put(&ctx, group_hash(e->g), NTMC_HASH_LEN);
	if (ntmc_hkdf_expand(prk, text, ctx.len, gk, sizeof(gk)))
		nonsense("hkdf");
	as_gk(e, gk);
}

static void rn1_found(const struct thief *t, struct epoch *e,
		      const struct ntmc_key *k)
{
	memset(&e->rn1, 0, sizeof(e->rn1));
	memcpy(e->rn1.id, t->id, sizeof(e->rn1.id));
	snprintf(e->rn1.name, sizeof(e->rn1.name), "%s", t->name);
	e->rn1.epoch = group_epoch(e->g);
	e->rn1.generation = group_generation(e->g);
	e->rn1.rn1 = *k;
	e->has_rn1 = true;
}

/* in an epoch whose RN2 it has, and of which a confirmation is known */
static void as_rn1(const struct thief *t, struct epoch *e,
		   const struct ntmc_key *k)
{
	uint8_t prk[NTMC_HASH_LEN];
	bool had = e->has_data;

	if (ntmc_hkdf_extract(e->rn2.b, sizeof(e->rn2.b), k->b, sizeof(k->b),
			      prk))
		nonsense("hkdf");
	e->has_data = false;
	as_prk(t, e, prk);
	if (e->has_data)
		rn1_found(t, e, k);
	e->has_data |= had;
}

/* the keys below RN1 and RN2, wherever they may have been left */
static void as_below(const struct thief *t, struct epoch *e,
		     const struct ntmc_key *k)
{
	if (e->has_data)
		return;
	as_prk(t, e, k->b);
	if (!e->has_data)
		as_gk(e, k->b);
	if (!e->has_data && e->sample && packet_opens(k, false, e->sample)) {
		e->data = *k;
		e->has_data = true;
	}
	if (e->sample && packet_opens(k, true, e->sample))
		e->below++;
}

/* --- all of them ------------------------------------------------------------------------- */

static void each(struct thief *t,
		 void (*fn)(struct thief *t, const struct ntmc_key *k))
{
	for (size_t i = 0; i < t->c.n; i++)
		fn(t, &t->c.keys[i]);
}

static void in_epochs(struct thief *t, const struct ntmc_key *k)
{
	for (uint64_t n = 1; n <= t->last; n++) {
		struct epoch *e = t->e[n];

		if (e->has_rn2 && e->n_confirm && !e->has_rn1)
			as_rn1(t, e, k);
		if (e->n_confirm)
			as_below(t, e, k);
	}
}

/* from what it has of RN1 into all epochs that follow */
static void step_on(struct thief *t)
{
	struct group_keys keys;

	if (t->e[1]->has_share &&
	    !group_secret_first(&t->e[1]->rn1, t->id, t->name, &t->e[1]->share))
		t->e[1]->has_rn1 = true;
	for (uint64_t n = 1; n <= t->last; n++) {
		struct epoch *e = t->e[n], *before = t->e[n - 1];
		struct group_secret s;

		if (before && before->has_rn1 && !e->has_rn1) {
			s = before->rn1;
			if (!group_secret_step(&s, &e->e,
					       e->has_share ? &e->share
							    : NULL)) {
				e->rn1 = s;
				e->has_rn1 = true;
			}
		}
		if (!e->has_rn1 || !e->has_rn2 ||
		    group_keys_derive(&e->rn1, e->g, &e->rn2, &keys))
			continue;
		e->data = keys.data;
		e->has_data = true;
	}
}

static void packets_sort(struct thief *t)
{
	for (size_t i = 0; i < t->n_packets; i++)
		for (uint64_t n = 1; n <= t->last; n++) {
			struct epoch *e = t->e[n];

			if (!e->has_rn2 ||
			    memcmp(t->packet[i].b + 4, e->tag, sizeof(e->tag)))
				continue;
			e->packets++;
			e->sample = &t->packet[i];
		}
}

static unsigned int packets_open(struct thief *t)
{
	unsigned int all = 0;

	for (uint64_t n = 1; n <= t->last; n++)
		all += t->e[n]->below;
	for (size_t i = 0; i < t->n_packets; i++)
		for (uint64_t n = 1; n <= t->last; n++) {
			struct epoch *e = t->e[n];

			if (e->has_data &&
			    packet_opens(&e->data, false, &t->packet[i])) {
				e->opened++;
				all++;
			}
		}
	return all;
}

static void report(const struct thief *t)
{
	for (uint64_t n = 1; n <= t->last; n++) {
		const struct epoch *e = t->e[n];

		printf("epoch %d: %u members, RN2 %s, share %s, RN1 %s, key "
		       "%s, packets %u, opened %u\n",
		       (int)n, (unsigned int)group_size(e->g),
		       e->has_rn2 ? "yes" : "no",
		       !e->e.commitment ? "none"
		       : e->has_share	? "yes"
					: "no",
		       e->has_rn1 ? "yes" : "no", e->has_data ? "yes" : "no",
		       e->packets, e->opened);
	}
}

int main(int argc, char **argv)
{
	static struct thief t;
	unsigned int opened;
	int i;

	if (argc < 5)
		return 2;
	t.name = argv[1];
	take_packets(&t, argv[2]);
	for (i = 3; i < argc && strcmp(argv[i], "--"); i++)
		take_store(&t, argv[i]);
	for (i++; i < argc; i++) {
		if (strchr(argv[i], '='))
			take_own(&t, argv[i]);
		else
			candidates_search(&t.c, argv[i]);
	}
	each(&t, as_rn2);
	packets_sort(&t);
	each(&t, as_share);
	each(&t, as_prekey);
	each(&t, in_epochs);
	step_on(&t);
	opened = packets_open(&t);
	report(&t);
	printf("%llu bytes, %zu candidates, %zu packets, %zu parts: %u parts, "
	       "%u rows and %u packets opened\n",
	       (unsigned long long)t.c.bytes, t.c.n, t.n_packets, t.n_parts,
	       t.parts_opened, t.rows, opened);
	return opened ? 0 : 1;
}
