/* SPDX-License-Identifier: MIT */
/* test_kdf - SHA-256, HMAC (RFC 4231), HKDF (RFC 5869), labelled subkeys */
#include <string.h>

#include "fixture.h"

static void sha256_known(void **state)
{
	uint8_t h[32];

	(void)state;
	ntmc_sha256("", 0, h);
	assert_hex(h, 32,
		   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934c"
		   "a495991b7852b855");
	ntmc_sha256("abc", 3, h);
	assert_hex(h, 32,
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9c"
		   "b410ff61f20015ad");
}

static void repeat(uint8_t *p, uint8_t first, int step, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(first + step * (int)i);
}

/* RFC 4231 section 4, cases 1-4, 6 and 7 (5 tests truncation) */
static void hmac_rfc4231(void **state)
{
	static const char large_data[] =
		"This is a test using a larger than block-size key and a "
		"larger than block-size data. The key needs to be hashed "
		"before being used by the HMAC algorithm.";
	uint8_t key[131], data[50], mac[32];

	(void)state;
	repeat(key, 0x0b, 0, 20);
	ntmc_hmac(key, 20, "Hi There", 8, mac);
	assert_hex(mac, 32,
		   "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da7"
		   "26e9376c2e32cff7");
	ntmc_hmac("Jefe", 4, "what do ya want for nothing?", 28, mac);
	assert_hex(mac, 32,
		   "5bdcc146bf60754e6a042426089575c75a003f089d273983"
		   "9dec58b964ec3843");
	repeat(key, 0xaa, 0, 20);
	repeat(data, 0xdd, 0, 50);
	ntmc_hmac(key, 20, data, 50, mac);
	assert_hex(mac, 32,
		   "773ea91e36800e46854db8ebd09181a72959098b3ef8c122"
		   "d9635514ced565fe");
	repeat(key, 1, 1, 25);
	repeat(data, 0xcd, 0, 50);
	ntmc_hmac(key, 25, data, 50, mac);
	assert_hex(mac, 32,
		   "82558a389a443c0ea4cc819899f2083a85f0faa3e578f807"
		   "7a2e3ff46729665b");
	repeat(key, 0xaa, 0, 131);
	ntmc_hmac(key, 131,
		  "Test Using Larger Than Block-Size Key - Hash Key First", 54,
		  mac);
	assert_hex(mac, 32,
		   "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c514"
		   "0546040f0ee37f54");
	ntmc_hmac(key, 131, large_data, sizeof(large_data) - 1, mac);
	assert_hex(mac, 32,
		   "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f071393"
		   "8a7f51535c3a35e2");
}

/* RFC 5869 appendix A.1 - A.3 */
static void hkdf_rfc5869(void **state)
{
	uint8_t ikm[80], salt[80], info[80], prk[32], okm[82];

	(void)state;
	repeat(ikm, 0x0b, 0, 22);
	repeat(salt, 0, 1, 13);
	repeat(info, 0xf0, 1, 10);
	assert_int_equal(ntmc_hkdf_extract(salt, 13, ikm, 22, prk), 0);
	assert_hex(prk, 32,
		   "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c31"
		   "22ec844ad7c2b3e5");
	assert_int_equal(ntmc_hkdf_expand(prk, info, 10, okm, 42), 0);
	assert_hex(okm, 42,
		   "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c"
		   "5db02d56ecc4c5bf34007208d5b887185865");

	repeat(ikm, 0, 1, 80);
	repeat(salt, 0x60, 1, 80);
	repeat(info, 0xb0, 1, 80);
	assert_int_equal(ntmc_hkdf_extract(salt, 80, ikm, 80, prk), 0);
	assert_hex(prk, 32,
		   "06a6b88c5853361a06104c9ceb35b45cef760014904671014"
		   "a193f40c15fc244");
	assert_int_equal(ntmc_hkdf_expand(prk, info, 80, okm, 82), 0);
	assert_hex(okm, 82,
		   "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c"
		   "19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8"
		   "367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");

	repeat(ikm, 0x0b, 0, 22);
	assert_int_equal(ntmc_hkdf_extract(NULL, 0, ikm, 22, prk), 0);
	assert_hex(prk, 32,
		   "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377"
		   "ac434c1c293ccb04");
	assert_int_equal(ntmc_hkdf_expand(prk, NULL, 0, okm, 42), 0);
	assert_hex(okm, 42,
		   "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879e"
		   "c3454e5f3c738d2d9d201395faa4b61a96c8");
}

static void hkdf_limits(void **state)
{
	static uint8_t out[255 * 32 + 1];
	uint8_t prk[32] = {1};

	(void)state;
	assert_int_equal(ntmc_hkdf_expand(prk, NULL, 0, out, 255 * 32), 0);
	assert_int_equal(ntmc_hkdf_expand(prk, NULL, 0, out, 255 * 32 + 1),
			 -NTM_EINVAL);
	assert_int_equal(ntmc_hkdf_expand(prk, NULL, 3, out, 32), -NTM_EINVAL);
	assert_int_equal(ntmc_hkdf_extract(NULL, 1, prk, 32, out), -NTM_EINVAL);
	assert_int_equal(ntmc_hkdf_expand(prk, NULL, 0, out, 0), 0);
}

/* the label's encoding, spelled out with the two plain functions */
static void derive_is_expand_of_extract(void **state)
{
	static const char label[] = "ntm node->dc v1";
	struct ntmc_key ikm, got;
	uint8_t info[2 + sizeof(label) - 1 + 5], prk[32], want[32];

	(void)state;
	repeat(ikm.b, 7, 3, 32);
	info[0] = 0;
	info[1] = sizeof(label) - 1;
	memcpy(info + 2, label, sizeof(label) - 1);
	memcpy(info + 2 + sizeof(label) - 1, "\1\2\3\4\5", 5);
	assert_int_equal(ntmc_hkdf_extract("salt", 4, ikm.b, 32, prk), 0);
	assert_int_equal(ntmc_hkdf_expand(prk, info, sizeof(info), want, 32),
			 0);
	assert_int_equal(
		ntmc_derive(&ikm, "salt", 4, label, "\1\2\3\4\5", 5, &got), 0);
	assert_memory_equal(got.b, want, 32);
	/* moving a byte between label and context changes the key */
	assert_int_equal(ntmc_derive(&ikm, "salt", 4, "ntm node->dc v1\1",
				     "\2\3\4\5", 4, &got),
			 0);
	assert_memory_not_equal(got.b, want, 32);
	assert_int_equal(ntmc_derive(&ikm, "salt", 4, label, NULL, 1, &got),
			 -NTM_EINVAL);
	/* in place */
	got = ikm;
	assert_int_equal(
		ntmc_derive(&got, "salt", 4, label, "\1\2\3\4\5", 5, &got), 0);
	assert_memory_equal(got.b, want, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_known),
		cmocka_unit_test(hmac_rfc4231),
		cmocka_unit_test(hkdf_rfc5869),
		cmocka_unit_test(hkdf_limits),
		cmocka_unit_test(derive_is_expand_of_extract),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
