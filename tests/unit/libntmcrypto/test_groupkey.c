/* SPDX-License-Identifier: MIT */
/* test_groupkey - who can make which epoch's key, and who cannot */
#include "groups.h"

#include <string.h>

static void test_together(void **state)
{
	char code[2][NTMC_VERIFY_TEXT_LEN];
	uint8_t tag[GROUP_CONFIRM_LEN], out[2][70];
	struct group_keys before;
	struct circle c;
	unsigned int i;

	(void)state;
	circle_band(&c, 4);
	before = c.p[0].keys;
	circle_timer(&c);
	circle_refresh(&c, 3);
	for (i = 1; i < 4; i++)
		assert_true(circle_same_keys(&c.p[0].keys, &c.p[i].keys));
	assert_memory_not_equal(&before.data, &c.p[0].keys.data, NTMC_KEY_LEN);
	assert_memory_not_equal(before.tag, c.p[0].keys.tag, GROUP_TAG_LEN);

	group_confirm(&c.p[2].keys, c.p[2].index, tag);
	assert_int_equal(group_confirmed(&c.p[0].keys, c.p[2].index, tag), 0);
	assert_int_equal(group_confirmed(&c.p[0].keys, c.p[1].index, tag),
			 -NTM_EAUTH);
	assert_int_equal(group_confirmed(&before, c.p[2].index, tag),
			 -NTM_EAUTH);
	assert_int_equal(group_verify_code(&c.p[0].keys, c.p[0].g, code[0]), 0);
	assert_int_equal(group_verify_code(&c.p[3].keys, c.p[3].g, code[1]), 0);
	assert_string_equal(code[0], code[1]);
	assert_int_equal(strlen(code[0]), NTMC_VERIFY_TEXT_LEN - 1);
	assert_int_equal(group_export(&c.p[0].keys, "srtp", "1", 1, out[0], 70),
			 0);
	assert_int_equal(group_export(&c.p[1].keys, "srtp", "1", 1, out[1], 70),
			 0);
	assert_memory_equal(out[0], out[1], 70);
	assert_int_equal(group_export(&c.p[1].keys, "srtp", "2", 1, out[1], 70),
			 0);
	assert_memory_not_equal(out[0], out[1], 70);
	assert_int_equal(group_export(&c.p[1].keys, "", "2", 1, out[1], 70),
			 -NTM_EINVAL);
	assert_int_equal(
		group_export(&c.p[1].keys, "srtp", out, 65536, out[1], 70),
		-NTM_EINVAL);
	circle_close(&c);
}

/* W1: who was removed, with the GMS's RN2 and log, and everything on the wire */
static void test_removed_and_gms(void **state)
{
	uint8_t part[GROUP_PART_LEN];
	struct group_secret stolen;
	struct ntmc_key share;
	struct group_keys k;
	struct group_entry e;
	struct circle c;

	(void)state;
	circle_band(&c, 4);
	stolen = c.p[3].secret;
	circle_remove(&c, 1, 3);
	assert_true(circle_same_keys(&c.p[0].keys, &c.p[2].keys));
	assert_int_equal(group_entry_get(c.entry, c.len, &e), 0);
	/* without the share it gets nowhere, and no part is for it */
	assert_int_equal(group_secret_step(&stolen, &e, NULL), -NTM_ENOTFOUND);
	memset(&share, 0, sizeof(share));
	assert_int_equal(group_secret_step(&stolen, &e, &share), -NTM_EAUTH);
	group_sealer_open(&c.env, c.id, e.epoch, e.generation, &c.sealer);
	assert_int_equal(group_part_seal(&c.sealer, 1, c.p[1].prekey.pub,
					 &c.share, part),
			 0);
	assert_int_equal(group_part_open(&e, 1, c.sealer.pub,
					 &c.p[3].prekey_priv, c.p[3].prekey.pub,
					 part, &share),
			 -NTM_EAUTH);
	/* it pretends: ratchets only, with RN2 and log of the GMS */
	e.commitment = NULL;
	assert_int_equal(group_secret_step(&stolen, &e, NULL), 0);
	assert_int_equal(group_keys_derive(&stolen, c.log, &c.rn2, &k), 0);
	assert_memory_not_equal(&k.data, &c.p[0].keys.data, NTMC_KEY_LEN);
	assert_memory_not_equal(&k.control, &c.p[0].keys.control, NTMC_KEY_LEN);
	/* what the GMS has as well is the same */
	assert_memory_equal(&k.relay, &c.p[0].keys.relay, NTMC_KEY_LEN);
	circle_close(&c);
}

/* W2, W3: who joins, or steals a state, cannot go back; a refresh heals */
static void test_no_way_back(void **state)
{
	struct ntmc_key rn2_before;
	struct group_secret now, healed;
	struct group_entry e;
	struct group *log_before;
	struct group_keys k;
	static uint8_t b[4096];
	struct circle c;
	size_t len;

	(void)state;
	circle_band(&c, 2);
	k = c.p[0].keys;
	rn2_before = c.rn2;
	assert_int_equal(group_save(c.log, b, sizeof(b), &len), 0);
	assert_int_equal(group_load(b, len, &log_before), 0);
	circle_add(&c, 0, 2, 0);
	/* the joiner with the GMS's old RN2 and log: its RN1 is one step further */
	now = c.p[2].secret;
	now.epoch--;
	{
		struct group_keys wrong;

		assert_int_equal(group_keys_derive(&now, log_before,
						   &rn2_before, &wrong),
				 0);
		assert_memory_not_equal(&wrong.data, &k.data, NTMC_KEY_LEN);
	}
	/* the same thief, after a refresh whose part it cannot open */
	healed = c.p[1].secret;
	circle_refresh(&c, 0);
	assert_int_equal(group_entry_get(c.entry, c.len, &e), 0);
	assert_int_equal(group_secret_step(&healed, &e, NULL), -NTM_ENOTFOUND);
	/* not the next one */
	e.epoch++;
	assert_int_equal(group_secret_step(&healed, &e, &c.share), -NTM_ESTATE);
	group_free(log_before);
	circle_close(&c);
}

/* W17: away for long, then everything at once, by its own prekey */
static void test_away(void **state)
{
	static uint8_t entry[5][GROUP_ENTRY_MAX];
	uint8_t part[5][GROUP_PART_LEN], sealer[5][NTMC_KEY_LEN];
	struct group_secret secret;
	struct ntmc_key priv, share;
	struct group_prekey prekey;
	struct group_entry e;
	struct circle c;
	size_t len[5], i;

	(void)state;
	circle_band(&c, 4);
	secret = c.p[3].secret;
	priv = c.p[3].prekey_priv;
	prekey = c.p[3].prekey;
	for (i = 0; i < 5; i++) {
		if (i == 1)
			circle_timer(&c);
		else if (i == 3)
			circle_remove(&c, 0, 2);
		else
			circle_refresh(&c, 1);
		memcpy(entry[i], c.entry, c.len);
		len[i] = c.len;
		assert_int_equal(group_entry_get(entry[i], len[i], &e), 0);
		group_sealer_open(&c.env, c.id, e.epoch, e.generation,
				  &c.sealer);
		assert_int_equal(group_part_seal(&c.sealer, c.p[3].index,
						 prekey.pub, &c.share, part[i]),
				 0);
		memcpy(sealer[i], c.sealer.pub, NTMC_KEY_LEN);
	}
	for (i = 0; i < 5; i++) {
		assert_int_equal(group_entry_get(entry[i], len[i], &e), 0);
		if (e.commitment)
			assert_int_equal(group_part_open(&e, c.p[3].index,
							 sealer[i], &priv,
							 prekey.pub, part[i],
							 &share),
					 0);
		assert_int_equal(group_secret_step(&secret, &e, &share), 0);
	}
	assert_memory_equal(secret.rn1.b, c.p[0].secret.rn1.b, NTMC_KEY_LEN);
	circle_close(&c);
}

/* as person 1, in the place of @index */
static int part_open(struct circle *c, const struct group_entry *e,
		     uint32_t index, const uint8_t *part,
		     struct ntmc_key *share)
{
	return group_part_open(e, index, c->sealer.pub, &c->p[1].prekey_priv,
			       c->p[1].prekey.pub, part, share);
}

static void test_parts(void **state)
{
	uint8_t part[GROUP_PART_LEN], bad[GROUP_PART_LEN],
		low[NTMC_KEY_LEN] = {0};
	struct ntmc_key share, none = {{0}};
	struct group_entry e;
	struct circle c;
	size_t i;

	(void)state;
	circle_band(&c, 2);
	circle_make(&c, 0, &(struct group_change){.kind = GROUP_REFRESH});
	assert_int_equal(group_entry_get(c.entry, c.len, &e), 0);
	group_sealer_open(&c.env, c.id, e.epoch, e.generation, &c.sealer);
	assert_int_equal(group_part_seal(&c.sealer, 1, c.p[1].prekey.pub,
					 &c.share, part),
			 0);
	share = none;
	for (i = 0; i < sizeof(part); i++) {
		memcpy(bad, part, sizeof(bad));
		bad[i] ^= 1;
		assert_int_equal(part_open(&c, &e, 1, bad, &share), -NTM_EAUTH);
	}
	/* for another member, epoch, generation, by another sealer's key */
	assert_int_equal(part_open(&c, &e, 0, part, &share), -NTM_EAUTH);
	e.epoch++;
	assert_int_equal(part_open(&c, &e, 1, part, &share), -NTM_EAUTH);
	e.epoch--;
	e.generation++;
	assert_int_equal(part_open(&c, &e, 1, part, &share), -NTM_EAUTH);
	e.generation--;
	assert_int_equal(group_part_open(&e, 1, low, &c.p[1].prekey_priv,
					 c.p[1].prekey.pub, part, &share),
			 -NTM_EAUTH);
	assert_memory_equal(&share, &none, sizeof(share));
	assert_int_equal(group_part_seal(&c.sealer, 1, low, &c.share, part),
			 -NTM_EAUTH);
	/* two members cannot be given two shares: the second does not fit */
	share = c.share;
	share.b[0] ^= 1;
	assert_int_equal(
		group_part_seal(&c.sealer, 1, c.p[1].prekey.pub, &share, part),
		0);
	assert_int_equal(part_open(&c, &e, 1, part, &share), 0);
	assert_int_equal(group_secret_step(&c.p[1].secret, &e, &share),
			 -NTM_EAUTH);
	group_sealer_clear(&c.sealer);
	circle_close(&c);
}

static void test_prekey(void **state)
{
	uint8_t b[GROUP_PREKEY_LEN], other[GROUP_ID_LEN] = {1};
	struct group_prekey p;
	struct circle c;
	size_t i;

	(void)state;
	circle_band(&c, 2);
	group_prekey_put(&c.p[1].prekey, b);
	assert_int_equal(group_prekey_get(b, sizeof(b) - 1, &p), -NTM_EDECODE);
	for (i = 0; i < sizeof(b); i++) {
		b[i] ^= 1;
		assert_int_equal(group_prekey_get(b, sizeof(b), &p), 0);
		assert_int_equal(
			group_prekey_verify(&p, c.id, c.p[1].id.ed_pub),
			-NTM_EAUTH);
		b[i] ^= 1;
	}
	assert_int_equal(group_prekey_get(b, sizeof(b), &p), 0);
	assert_int_equal(group_prekey_verify(&p, c.id, c.p[1].id.ed_pub), 0);
	assert_int_equal(group_prekey_verify(&p, c.id, c.p[0].id.ed_pub),
			 -NTM_EAUTH);
	assert_int_equal(group_prekey_verify(&p, other, c.p[1].id.ed_pub),
			 -NTM_EAUTH);
	circle_close(&c);
}

static int check(struct circle *c, const uint8_t *seal, int64_t now)
{
	int64_t not_after = 0;
	int r = group_seal_check(c->p[1].g, seal, GROUP_SEAL_LEN, &c->rn2, now,
				 &not_after);

	assert_true(r ? !not_after : not_after == FIXTURE_NOW + 7200);
	return r;
}

static int check_read(struct circle *c, const uint8_t *seal,
		      const struct ntmc_key *rn2, int64_t now)
{
	int64_t not_after;

	return group_seal_check_read(c->p[1].g, seal, rn2, now, &not_after);
}

/* W10: how long a seal lasts the members have said, in the group's rules; the server may
 * say less, and have a clock of any kind */
static void test_seal_age(void **state)
{
	static const int64_t clocks[] = {INT64_MIN, -1, INT64_MAX,
					 INT64_MAX - 7200, (int64_t)1 << 53};
	uint8_t seal[GROUP_SEAL_LEN];
	int64_t not_after = 0, age;
	struct circle c;
	size_t i;

	(void)state;
	circle_band(&c, 2);
	age = group_policy(c.p[1].g)->max_age_s;
	assert_int_equal(
		group_seal_make(&c.gms, c.log, &c.rn2, FIXTURE_NOW,
				FIXTURE_NOW + (int64_t)10 * 365 * 86400, seal),
		0);
	assert_int_equal(group_seal_check(c.p[1].g, seal, sizeof(seal), &c.rn2,
					  FIXTURE_NOW + 7, &not_after),
			 0);
	assert_int_equal(not_after, FIXTURE_NOW + 7 + age);
	for (i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++)
		assert_int_not_equal(group_seal_check(c.p[1].g, seal,
						      sizeof(seal), &c.rn2,
						      clocks[i], &not_after),
				     0);
	circle_close(&c);
}

/* W7, W9: RN2 that is old, another's, or not the same for all */
static void test_seal(void **state)
{
	uint8_t bad[GROUP_SEAL_LEN], old[GROUP_SEAL_LEN], first[GROUP_SEAL_LEN];
	struct ntmc_key rn2;
	struct circle c;
	int64_t t;
	size_t i;

	(void)state;
	circle_band(&c, 2);
	memcpy(old, c.seal, sizeof(old));
	rn2 = c.rn2;
	circle_timer(&c);
	assert_int_equal(check(&c, c.seal, FIXTURE_NOW), 0);
	assert_int_equal(check(&c, c.seal, FIXTURE_NOW + 7200), -NTM_EEXPIRED);
	assert_int_equal(check(&c, c.seal, FIXTURE_NOW - 301), -NTM_ECLOCK);
	for (i = 0; i < sizeof(bad); i++) {
		memcpy(bad, c.seal, sizeof(bad));
		bad[i] ^= 1;
		assert_int_not_equal(check(&c, bad, FIXTURE_NOW), 0);
	}
	assert_int_equal(group_seal_check(c.p[1].g, c.seal, GROUP_SEAL_LEN - 1,
					  &c.rn2, FIXTURE_NOW, &t),
			 -NTM_EDECODE);
	/* replayed: RN2 and seal of the epoch before */
	assert_int_equal(group_seal_check(c.p[1].g, old, sizeof(old), &rn2,
					  FIXTURE_NOW, &t),
			 -NTM_ESTATE);
	/* this epoch's seal with another RN2 */
	assert_int_equal(group_seal_check(c.p[1].g, c.seal, sizeof(c.seal),
					  &rn2, FIXTURE_NOW, &t),
			 -NTM_EAUTH);
	/* one whose signature was verified before: all the rest counts */
	assert_int_equal(check_read(&c, c.seal, &c.rn2, FIXTURE_NOW), 0);
	assert_int_equal(check_read(&c, c.seal, &rn2, FIXTURE_NOW), -NTM_EAUTH);
	assert_int_equal(check_read(&c, old, &rn2, FIXTURE_NOW), -NTM_ESTATE);
	assert_int_equal(check_read(&c, c.seal, &c.rn2, FIXTURE_NOW + 7200),
			 -NTM_EEXPIRED);
	/* an epoch that the member has not seen yet */
	circle_make(&c, 0, &(struct group_change){.kind = GROUP_RENEW});
	memcpy(first, c.seal, sizeof(first));
	assert_false(group_seals_conflict(c.log, first, old));
	assert_int_equal(group_apply(c.log, c.entry, c.len, NULL), 0);
	circle_renew_rn2(&c);
	assert_int_equal(check(&c, c.seal, FIXTURE_NOW), -NTM_EAGAIN);
	/* the GMS tells one epoch two ways: anybody can prove it */
	memcpy(first, c.seal, sizeof(first));
	assert_false(group_seals_conflict(c.log, first, c.seal));
	circle_renew_rn2(&c);
	assert_true(group_seals_conflict(c.log, first, c.seal));
	first[GROUP_SEAL_LEN - 1] ^= 1;
	assert_false(group_seals_conflict(c.log, first, c.seal));
	assert_int_equal(group_seal_make(&c.gms, c.log, &c.rn2, 5, 5, bad),
			 -NTM_EINVAL);
	circle_close(&c);
}

/* W9: two members, two branches: nothing of one opens with the other's keys */
static void test_fork(void **state)
{
	struct group_change change = {.kind = GROUP_POLICY};
	struct group_policy p = group_policy_default;
	struct group_keys k[2];
	struct group_entry e;
	struct circle c;
	unsigned int i;

	(void)state;
	circle_band(&c, 2);
	change.policy = &p;
	for (i = 0; i < 2; i++) {
		struct group *g;
		static uint8_t b[4096];
		struct group_secret s = c.p[i].secret;
		size_t len;

		p.renew_s += i;
		circle_make(&c, 0, &change);
		assert_int_equal(group_save(c.p[i].g, b, sizeof(b), &len), 0);
		assert_int_equal(group_load(b, len, &g), 0);
		assert_int_equal(group_apply(g, c.entry, c.len, NULL), 0);
		assert_int_equal(group_entry_get(c.entry, c.len, &e), 0);
		assert_int_equal(group_secret_step(&s, &e, NULL), 0);
		assert_int_equal(group_keys_derive(&s, g, &c.rn2, &k[i]), 0);
		group_free(g);
	}
	assert_memory_not_equal(&k[0].data, &k[1].data, NTMC_KEY_LEN);
	assert_memory_not_equal(&k[0].confirm, &k[1].confirm, NTMC_KEY_LEN);
	circle_close(&c);
}

static void test_welcome(void **state)
{
	uint8_t b[GROUP_WELCOME_MAX + 1], hash[NTMC_HASH_LEN];
	static const char *const bad[] = {"",	 "-a",	"a-",	   "A",
					  "a b", "a\n", "\xd0\xb0"};
	struct group_secret s;
	struct ntmc_key share = {{1}};
	struct circle c;
	size_t n, i;

	(void)state;
	circle_band(&c, 2);
	n = group_welcome_put(&c.p[1].secret, group_hash(c.log), b);
	for (i = 0; i < n; i++)
		assert_int_equal(group_welcome_get(b, i, &s, hash),
				 -NTM_EDECODE);
	assert_int_equal(group_welcome_get(b, n + 1, &s, hash), -NTM_EDECODE);
	assert_int_equal(group_welcome_get(b, n, &s, hash), 0);
	assert_memory_equal(&s, &c.p[1].secret, sizeof(s));
	assert_memory_equal(hash, group_hash(c.log), sizeof(hash));
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(group_secret_first(&s, c.id, bad[i], &share),
				 -NTM_EINVAL);
	/* another name is another key */
	assert_int_equal(group_secret_first(&s, c.id, "gang", &share), 0);
	circle_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_removed_and_gms),
		cmocka_unit_test(test_no_way_back),
		cmocka_unit_test(test_away),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_prekey),
		cmocka_unit_test(test_seal),
		cmocka_unit_test(test_seal_age),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_welcome),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
