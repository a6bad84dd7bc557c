/* SPDX-License-Identifier: MIT */
/*
 * fuzz_group - any bytes as what a member or a GMS takes of a group
 *
 * The first byte chooses: 0 an entry for the log, signature made good if it can be,
 * 1 the same as it is, 2 a saved group, 3 a group packet, 4 an invite, 5 an acceptance,
 * 6 a welcome, 7 a seal, 8 a group prekey, 9 a part, 10 RN2 sealed to a node, 11 a wish
 * to leave, 12 a confirmation. Keys are fixed, so the seeds pass.
 */
#include "tests/fuzz/crypto_keys.h"
#include "tests/fuzz/group_keys.h"

static struct fuzz_group world;

static void must(int ok)
{
	if (!ok)
		abort();
}

/* after whatever applied, the group must be one */
static void look_over(const struct group *g)
{
	static uint8_t b[1 << 16];
	struct group *again;
	bool admin = false;
	size_t i, len;

	must(group_size(g) > 0 && group_size(g) <= GROUP_MEMBERS_MAX);
	for (i = 0; i < group_size(g); i++) {
		const struct group_member *m = group_at(g, i);

		must(group_find(g, m->index) == m);
		must(m->index < group_next_index(g));
		admin |= (m->rights & GROUP_ADMIN) != 0;
	}
	must(admin && group_policy_ok(group_policy(g)));
	must(!group_save(g, b, sizeof(b), &len));
	must(!group_load(b, len, &again));
	must(!memcmp(group_hash(g), group_hash(again), NTMC_HASH_LEN));
	group_free(again);
}

/* @sign: by whoever it says that it is of, so that content is reached */
static void entry(const uint8_t *data, size_t len, bool sign)
{
	static uint8_t text[18 + GROUP_ENTRY_MAX];
	struct group *g = fuzz_group_copy(&world);
	uint8_t *b = text + 18;
	struct group_entry e;
	enum group_why why;

	if (len > GROUP_ENTRY_MAX)
		len = GROUP_ENTRY_MAX;
	memcpy(text, "ntm group entry v1", 18);
	memcpy(b, data, len);
	if (sign && !group_entry_get(b, len, &e)) {
		const struct ntmc_identity *id =
			e.author == GROUP_SERVER ? &world.gms
						 : &world.p[e.author & 1];

		ntmc_ed25519_sign(&id->ed_priv, id->ed_pub, text,
				  18 + len - NTMC_SIG_LEN,
				  b + len - NTMC_SIG_LEN);
	}
	if (!group_apply(g, b, len, &why)) {
		must(why == GROUP_FINE);
		look_over(g);
		must(group_epoch(g) == group_epoch(world.g) + 1);
		must(group_apply(g, b, len, &why) == -NTM_EEXISTS);
	} else {
		must(!memcmp(group_hash(g), group_hash(world.g),
			     NTMC_HASH_LEN));
	}
	group_free(g);
}

static void packet(const uint8_t *data, size_t len)
{
	static uint8_t b[2048];
	struct group_opened o;

	if (len > sizeof(b))
		return;
	memcpy(b, data, len);
	if (!group_receiver_open(world.rx, b, len, &o)) {
		must(o.data >= b && o.data + o.len <= b + len);
		memcpy(b, data, len);
		must(group_receiver_open(world.rx, b, len, &o));
	}
	if (!group_hop_check(&world.keys.relay, world.keys.tag, data, len))
		must(len >= GROUP_PACKET_HEADER + GROUP_HOP_LEN);
}

static void small(unsigned int select, const uint8_t *data, size_t len)
{
	uint8_t hash[NTMC_HASH_LEN];
	struct group_invite i;
	struct group_accept a;
	struct group_secret s;
	uint64_t epoch;
	int64_t t;

	if (select == 4) {
		if (!group_invite_get(data, len, world.p[1].ed_pub, FUZZ_NOW,
				      &i))
			must(group_name_ok(i.name));
	} else if (select == 5) {
		if (!group_accept_get(data, len, &world.invite, FUZZ_NOW, &a))
			must(!memcmp(a.id, world.invite.id, sizeof(a.id)));
	} else if (select == 6) {
		if (!group_welcome_get(data, len, &s, hash))
			must(group_name_ok(s.name));
	} else {
		if (!group_seal_read(world.g, data, len, &epoch, hash))
			must(len == GROUP_SEAL_LEN);
		if (!group_seal_check(world.g, data, len, &world.rn2, FUZZ_NOW,
				      &t))
			must(t > FUZZ_NOW);
	}
}

/* the entry of which the part of the seeds is */
static void part(const uint8_t *data, size_t len)
{
	struct group_entry e;
	struct ntmc_key share;

	if (len < NTMC_KEY_LEN + GROUP_PART_LEN)
		return;
	must(!group_entry_get(world.refresh, world.refresh_len, &e));
	if (!group_part_open(&e, 1, data, &world.prekey_priv, world.prekey.pub,
			     data + NTMC_KEY_LEN, &share))
		must(!memcmp(&share, &world.share, sizeof(share)));
}

static void of_members(unsigned int select, const uint8_t *data, size_t len)
{
	struct group_rn2_place at = {.epoch = 2, .index = 1};
	uint8_t b[GROUP_PREKEY_LEN];
	struct group_leave leave;
	struct group_prekey k;
	struct ntmc_key rn2;

	if (select == 8) {
		if (group_prekey_get(data, len, &k) ||
		    group_prekey_verify(&k, world.id, world.p[1].ed_pub))
			return;
		group_prekey_put(&k, b);
		must(!memcmp(b, data, len));
	} else if (select == 9) {
		part(data, len);
	} else if (select == 10 && len == GROUP_RN2_SEALED_LEN) {
		memcpy(at.group, world.id, sizeof(at.group));
		if (!group_rn2_open(&world.share, &at, data, &rn2))
			must(!memcmp(&rn2, &world.rn2, sizeof(rn2)));
	} else if (select == 11 && len == sizeof(leave.sig) + 1) {
		leave.index = data[0];
		leave.epoch = 2;
		memcpy(leave.sig, data + 1, sizeof(leave.sig));
		if (!group_leave_verify(world.g, &leave))
			must(group_find(world.g, leave.index) != NULL);
	} else if (select == 12 && len == GROUP_CONFIRM_LEN) {
		if (!group_confirmed(&world.keys, 1, data)) {
			group_confirm(&world.keys, 1, b);
			must(!memcmp(b, data, len));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct group *g;
	unsigned int select;

	if (!world.g)
		fuzz_group_open(&world);
	if (!len)
		return 0;
	select = *data++ & 15;
	len--;
	if (select <= 1) {
		entry(data, len, !select);
	} else if (select == 2) {
		if (!group_load(data, len, &g))
			group_free(g);
	} else if (select == 3) {
		packet(data, len);
	} else if (select <= 7) {
		small(select, data, len);
	} else {
		of_members(select, data, len);
	}
	return 0;
}
