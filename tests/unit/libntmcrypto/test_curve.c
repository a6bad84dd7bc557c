/* SPDX-License-Identifier: MIT */
/* test_curve - X25519 (RFC 7748), Ed25519 (RFC 8032), small-order points */
#include <string.h>

#include "fixture.h"

/* RFC 7748 section 5.2 */
static void x25519_single(void **state)
{
	static const char *const v[][3] = {
		{"a546e36bf0527c9d3b16154b82465edd"
		 "62144c0ac1fc5a18506a2244ba449ac4",
		 "e6db6867583030db3594c1a424b15f7c"
		 "726624ec26b3353b10a903a6d0ab1c4c",
		 "c3da55379de9c6908e94ea4df28d084f"
		 "32eccf03491c71f754b4075577a28552"},
		{"4b66e9d4d1b4673c5ad22691957d6af5"
		 "c11b6421e0ea01d42ca4169e7918ba0d",
		 "e5210f12786811d3f4b7959d0538ae2c"
		 "31dbe7106fc03c3efc4cd549c715a493",
		 "95cbde9476e8907d7aade45cb4b873f8"
		 "8b595a68799fa152e6f8f7647aac7957"},
	};
	struct ntmc_key k, out;
	uint8_t u[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		unhex(v[i][0], k.b, 32);
		unhex(v[i][1], u, 32);
		assert_int_equal(ntmc_x25519(&k, u, &out), 0);
		assert_hex(out.b, 32, v[i][2]);
	}
}

/* RFC 7748 section 5.2, the iterated vector after 1 and 1000 rounds */
static void x25519_iterated(void **state)
{
	struct ntmc_key k = {{9}}, out;
	uint8_t u[32] = {9};

	(void)state;
	for (int i = 1; i <= 1000; i++) {
		assert_int_equal(ntmc_x25519(&k, u, &out), 0);
		memcpy(u, k.b, 32);
		k = out;
		if (i == 1)
			assert_hex(k.b, 32,
				   "422c8e7a6227d7bca1350b3e2bb7279f"
				   "7897b87bb6854b783c60e80311ae3079");
	}
	assert_hex(k.b, 32,
		   "684cf59ba83309552800ef566f2f4d3c"
		   "1c3887c49360e3875f2eb94d99532c51");
}

/* RFC 7748 section 6.1, through keygen with the private keys as randomness */
static void x25519_agreement(void **state)
{
	struct script a = {.len = 32}, b = {.len = 32};
	struct ntmc_env env_a = script_env(&a), env_b = script_env(&b);
	struct ntmc_key ka, kb, s1, s2;
	uint8_t pa[32], pb[32];

	(void)state;
	unhex("77076d0a7318a57d3c16c17251b26645"
	      "df4c2f87ebc0992ab177fba51db92c2a",
	      a.bytes, 32);
	unhex("5dab087e624a8a4b79e17f8b83800ee6"
	      "6f3bb1292618b6fd1c2f8b27ff88e0eb",
	      b.bytes, 32);
	ntmc_x25519_keygen(&env_a, &ka, pa);
	ntmc_x25519_keygen(&env_b, &kb, pb);
	assert_hex(pa, 32,
		   "8520f0098930a754748b7ddcb43ef75a"
		   "0dbf3a0d26381af4eba4a98eaa9b4e6a");
	assert_hex(pb, 32,
		   "de9edb7d7b7dc1b4d35b61c2ece43537"
		   "3f8343c85b78674dadfc7e146f882b4f");
	assert_int_equal(ntmc_x25519(&ka, pb, &s1), 0);
	assert_int_equal(ntmc_x25519(&kb, pa, &s2), 0);
	assert_hex(s1.b, 32,
		   "4a5d9d5ba4ce2de1728e3bf480350f25"
		   "e07e21c947d19e3376f09b3c1e161742");
	assert_memory_equal(s1.b, s2.b, 32);
}

/* u coordinates of low order give zero: refused, output untouched */
static void x25519_low_order(void **state)
{
	static const char *const u[] = {
		"00000000000000000000000000000000"
		"00000000000000000000000000000000",
		"01000000000000000000000000000000"
		"00000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffff7f",
		"e0eb7a7c3b41b8ae1656e3faf19fc46a"
		"da098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b"
		"04445cc4581c8e86d8224eddd09f1157",
	};
	struct ntmc_key k = {{1, 2, 3}}, out;
	uint8_t p[32];

	(void)state;
	memset(&out, 0x5a, sizeof(out));
	for (size_t i = 0; i < ARRAY_LEN(u); i++) {
		unhex(u[i], p, 32);
		assert_int_equal(ntmc_x25519(&k, p, &out), -NTM_EAUTH);
		assert_false(ntmc_x25519_public_ok(p));
		p[31] |= 0x80;
		assert_false(ntmc_x25519_public_ok(p));
		p[4] ^= 1;
		assert_true(ntmc_x25519_public_ok(p));
	}
	assert_int_equal(out.b[0], 0x5a);
}

/* RFC 8032 section 7.1, tests 1-3 and SHA(abc): secret, public, message, signature */
static const char *const rfc8032[][4] = {
	{"9d61b19deffd5a60ba844af492ec2cc4"
	 "4449c5697b326919703bac031cae7f60",
	 "d75a980182b10ab7d54bfed3c964073a"
	 "0ee172f3daa62325af021a68f707511a",
	 "",
	 "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490"
	 "155"
	 "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a1"
	 "00b"},
	{"4ccd089b28ff96da9db6c346ec114e0f"
	 "5b8a319f35aba624da8cf6ed4fb8a6fb",
	 "3d4017c3e843895a92b70aa74d1b7ebc"
	 "9c982ccf2ec4968cc0cd55f12af4660c",
	 "72",
	 "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb6"
	 "9da"
	 "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0"
	 "c00"},
	{"c5aa8df43f9f837bedb7442f31dcb7b1"
	 "66d38535076f094b85ce3a2e0b4458f7",
	 "fc51cd8e6218a1a38da47ed00230f058"
	 "0816ed13ba3303ac5deb911548908025",
	 "af82",
	 "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac"
	 "3ac"
	 "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec"
	 "40a"},
	{"833fe62409237b9d62ec77587520911e"
	 "9a759cec1d19755b7da901b96dca3d42",
	 "ec172b93ad5e563bf4932c70e1245034"
	 "c35467ef2efd4d64ebf819683467e2bf",
	 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d"
	 "39a"
	 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca"
	 "49f",
	 "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b"
	 "589"
	 "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a"
	 "704"},
};

static void ed25519_vectors(void **state)
{
	uint8_t pub[32], msg[64 + 1] = {0}, sig[64];
	struct ntmc_key k;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rfc8032); i++) {
		size_t len = unhex(rfc8032[i][2], msg, sizeof(msg));

		unhex(rfc8032[i][0], k.b, 32);
		ntmc_ed25519_public(&k, pub);
		assert_hex(pub, 32, rfc8032[i][1]);
		ntmc_ed25519_sign(&k, pub, msg, len, sig);
		assert_hex(sig, 64, rfc8032[i][3]);
		assert_int_equal(ntmc_ed25519_verify(pub, msg, len, sig), 0);
		for (size_t bit = 0; bit < 512; bit += 7) {
			sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(
				ntmc_ed25519_verify(pub, msg, len, sig),
				-NTM_EAUTH);
			sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(ntmc_ed25519_verify(pub, msg, len + 1, sig),
				 -NTM_EAUTH);
	}
}

/* S + L instead of S is another encoding of the same signature: refused */
static void ed25519_malleable(void **state)
{
	static const char order[] = "edd3f55c1a631258d69cf7a2def9de14"
				    "00000000000000000000000000000010";
	struct ntmc_identity id;
	uint8_t sig[64], l[32];
	unsigned int carry = 0;

	(void)state;
	fixture_identity(1, &id);
	ntmc_ed25519_sign(&id.ed_priv, id.ed_pub, "m", 1, sig);
	unhex(order, l, 32);
	for (int i = 0; i < 32; i++) {
		carry += sig[32 + i] + l[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(ntmc_ed25519_verify(id.ed_pub, "m", 1, sig),
			 -NTM_EAUTH);
}

/* the eight points of small order, and y that is not below the prime */
static void ed25519_small_order(void **state)
{
	static const char *const bad[] = {
		"00000000000000000000000000000000"
		"00000000000000000000000000000000",
		"01000000000000000000000000000000"
		"00000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0"
		"d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f"
		"2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffff7f",
		"ffffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffff7f",
	};
	/* with the identity as key, R = identity and S = 0 sign anything */
	uint8_t any[64] = {1}, pub[32];
	struct ntmc_identity id;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		unhex(bad[i], pub, 32);
		assert_false(ntmc_ed25519_public_ok(pub));
		assert_int_equal(ntmc_ed25519_verify(pub, "m", 1, any),
				 -NTM_EAUTH);
		pub[31] |= 0x80;
		assert_false(ntmc_ed25519_public_ok(pub));
	}
	unhex("ebffffffffffffffffffffffffffffff"
	      "ffffffffffffffffffffffffffffff7f",
	      pub, 32);
	assert_true(ntmc_ed25519_public_ok(pub));
	fixture_identity(1, &id);
	assert_true(ntmc_ed25519_public_ok(id.ed_pub));
}

/* Each pair has its own agreement, however many others were asked for between. */
static void x25519_agreed(void **state)
{
	enum { PAIRS = NTMC_AGREED_MAX + 3 };
	struct ntmc_agreed a = {0}, none = {0};
	struct ntmc_key own, peer[PAIRS], want, got;
	uint8_t own_pub[NTMC_KEY_LEN], pub[PAIRS][NTMC_KEY_LEN];
	uint8_t low[NTMC_KEY_LEN] = {0};
	int round, i;

	(void)state;
	ntmc_x25519_keygen(NULL, &own, own_pub);
	for (i = 0; i < PAIRS; i++)
		ntmc_x25519_keygen(NULL, &peer[i], pub[i]);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < PAIRS; i++) {
			assert_int_equal(ntmc_x25519(&peer[i], own_pub, &want),
					 0);
			assert_int_equal(ntmc_agreed_x25519(&a, &own, own_pub,
							    pub[i], &got),
					 0);
			assert_memory_equal(&got, &want, sizeof(got));
			/* the other way round it is another pair */
			assert_int_equal(ntmc_agreed_x25519(&a, &peer[i],
							    pub[i], own_pub,
							    &got),
					 0);
			assert_memory_equal(&got, &want, sizeof(got));
		}
	}
	assert_int_equal(ntmc_agreed_x25519(&a, &own, own_pub, low, &got),
			 -NTM_EAUTH);
	assert_int_equal(ntmc_agreed_x25519(&a, &own, own_pub, low, &got),
			 -NTM_EAUTH);
	/* it is kept: the private key is not asked again */
	assert_int_equal(ntmc_agreed_x25519(&a, &own, own_pub, pub[0], &want),
			 0);
	assert_int_equal(
		ntmc_agreed_x25519(&a, &peer[1], own_pub, pub[0], &got), 0);
	assert_memory_equal(&got, &want, sizeof(got));
	ntmc_agreed_clear(&a);
	assert_memory_equal(&a, &none, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x25519_single),
		cmocka_unit_test(x25519_iterated),
		cmocka_unit_test(x25519_agreement),
		cmocka_unit_test(x25519_low_order),
		cmocka_unit_test(x25519_agreed),
		cmocka_unit_test(ed25519_vectors),
		cmocka_unit_test(ed25519_malleable),
		cmocka_unit_test(ed25519_small_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
