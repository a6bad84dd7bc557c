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
#include "tests/e2e/groupthief.h"

#include <stdio.h>
#include <string.h>

#include "libntmcrypto/grouppacket_impl.h"

/* --- each candidate, as anything ------------------------------------------------------- */

static void as_rn2(struct thief *t, const struct ntmc_key *k)
{
	uint8_t text[16 + NTMC_KEY_LEN] = "ntm group rn2 v1";
	uint8_t hash[NTMC_HASH_LEN];
	struct ntmc_key relay;

	memcpy(text + 16, k->b, NTMC_KEY_LEN);
	ntmc_sha256(text, sizeof(text), hash);
	for (uint64_t n = 1; n <= t->last; n++) {
		struct thief_epoch *e = t->e[n];

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
		struct thief_epoch *e = t->e[n];

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
			struct thief_epoch *e = t->e[t->part[j].epoch];

			if (group_part_open(&e->e, t->part[j].index, e->sealer,
					    k, pub, t->part[j].part, &share))
				continue;
			t->parts_opened++;
			as_share(t, &share);
		}
}

/* @key: of the sender and its salt, or K_data (@below: false) */
static bool packet_opens(const struct ntmc_key *key, bool below,
			 const struct thief_packet *p)
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
		thief_nonsense("hkdf");
	memcpy(buf, p->b, len);
	return !ntmc_open_once(
		h.flags & GROUP_PACKET_CHACHA ? NTMC_CHACHA20_POLY1305
					      : NTMC_AES_256_GCM,
		&sender, h.counter, buf, GROUP_PACKET_HEADER,
		buf + GROUP_PACKET_HEADER, len - GROUP_PACKET_HEADER);
}

static bool confirms(const struct thief_epoch *e,
		     const struct ntmc_key *confirm)
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

static void subkey(const struct thief_epoch *e, const uint8_t *gk,
		   const char *label, struct ntmc_key *out)
{
	uint8_t text[96];
	struct wire_out info = wire_out(text, sizeof(text));

	wire_put_name(&info, label);
	wire_put(&info, group_id(e->g), GROUP_ID_LEN);
	wire_put_number(&info, group_epoch(e->g), 8);
	if (ntmc_hkdf_expand(gk, text, info.len, out->b, sizeof(out->b)))
		thief_nonsense("hkdf");
}

static void as_gk(struct thief_epoch *e, const uint8_t *gk)
{
	struct ntmc_key confirm;

	subkey(e, gk, "ntm group confirm v1", &confirm);
	if (!confirms(e, &confirm))
		return;
	subkey(e, gk, "ntm group data v1", &e->data);
	e->has_data = true;
}

static void as_prk(const struct thief *t, struct thief_epoch *e,
		   const uint8_t *prk)
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
		thief_nonsense("hkdf");
	as_gk(e, gk);
}

static void rn1_found(const struct thief *t, struct thief_epoch *e,
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
static void as_rn1(const struct thief *t, struct thief_epoch *e,
		   const struct ntmc_key *k)
{
	uint8_t prk[NTMC_HASH_LEN];
	bool had = e->has_data;

	if (ntmc_hkdf_extract(e->rn2.b, sizeof(e->rn2.b), k->b, sizeof(k->b),
			      prk))
		thief_nonsense("hkdf");
	e->has_data = false;
	as_prk(t, e, prk);
	if (e->has_data)
		rn1_found(t, e, k);
	e->has_data |= had;
}

/* the keys below RN1 and RN2, wherever they may have been left */
static void as_below(const struct thief *t, struct thief_epoch *e,
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
		struct thief_epoch *e = t->e[n];

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
		struct thief_epoch *e = t->e[n], *before = t->e[n - 1];
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
			struct thief_epoch *e = t->e[n];

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
			struct thief_epoch *e = t->e[n];

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
		const struct thief_epoch *e = t->e[n];

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
	thief_take_packets(&t, argv[2]);
	for (i = 3; i < argc && strcmp(argv[i], "--"); i++)
		thief_take_store(&t, argv[i]);
	for (i++; i < argc; i++) {
		if (strchr(argv[i], '='))
			thief_take_own(&t, argv[i]);
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
