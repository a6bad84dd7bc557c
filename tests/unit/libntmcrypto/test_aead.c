/* SPDX-License-Identifier: MIT */
/* test_aead - GCM and ChaCha20-Poly1305: published vectors, damage, limits */
#include <string.h>

#include "fixture.h"
#include "libntmcrypto/aead.h"

static const enum ntmc_aead_alg algs[] = {NTMC_AES_256_GCM,
					  NTMC_CHACHA20_POLY1305};

static struct ntmc_aead *open_zero_key(enum ntmc_aead_alg alg)
{
	struct ntmc_key key = {{0}};
	struct ntmc_aead *a = NULL;

	assert_int_equal(ntmc_aead_new(alg, &key, &a), 0);
	return a;
}

/* NIST's GCM submission, AES-256: cases 13 and 14 have the nonce of counter 0 */
static void gcm_nist_public(void **state)
{
	struct ntmc_aead *a = open_zero_key(NTMC_AES_256_GCM);
	struct ntmc_key key = {{0}};
	uint8_t buf[32] = {0};

	(void)state;
	assert_int_equal(ntmc_aead_seal(a, 0, NULL, 0, buf, 0), 0);
	assert_hex(buf, 16, "530f8afbc74536b9a963b4f1c4cb738b");
	assert_int_equal(ntmc_aead_open(a, 0, NULL, 0, buf, 16), 0);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(ntmc_aead_seal(a, 0, NULL, 0, buf, 16), 0);
	assert_hex(buf, 32,
		   "cea7403d4d606b6e074ec5d3baf39d18"
		   "d0d1c8a799996bf0265b98b5d48ab919");
	memset(buf, 0, sizeof(buf));
	assert_int_equal(
		ntmc_seal_once(NTMC_AES_256_GCM, &key, 0, NULL, 0, buf, 16), 0);
	assert_hex(buf, 32,
		   "cea7403d4d606b6e074ec5d3baf39d18"
		   "d0d1c8a799996bf0265b98b5d48ab919");
	ntmc_aead_free(a);
}

struct vector {
	enum ntmc_aead_alg alg;
	const char *key, *nonce, *ad, *plain, *sealed;
};

static const struct vector vectors[] = {
	/* NIST's GCM submission, cases 15 and 16 */
	{NTMC_AES_256_GCM,
	 "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	 "cafebabefacedbaddecaf888", "",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
	 "b094dac5d93471bdec1a502270e3cc6c"},
	{NTMC_AES_256_GCM,
	 "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	 "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
	 "76fc6ece0f4e1768cddf8853bb2d551b"},
	/* RFC 8439 section 2.8.2 */
	{NTMC_CHACHA20_POLY1305,
	 "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	 "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	 "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	 "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	 "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	 "637265656e20776f756c642062652069742e",
	 "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
	 "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
	 "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
	 "3ff4def08e4b7a9de576d26586cec64b6116"
	 "1ae10b594f09e26a7e902ecbd0600691"},
};

static void vectors_one_shot(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		uint8_t nonce[12], ad[64], plain[256], got[256];
		struct ntmc_key key;
		size_t ad_len = unhex(v->ad, ad, sizeof(ad));
		size_t len = unhex(v->plain, plain, sizeof(plain));

		unhex(v->key, key.b, sizeof(key.b));
		unhex(v->nonce, nonce, sizeof(nonce));
		assert_int_equal(aead_encrypt(v->alg, &key, nonce, ad, ad_len,
					      plain, len, got),
				 0);
		assert_hex(got, len + 16, v->sealed);
		assert_int_equal(aead_decrypt(v->alg, &key, nonce, ad, ad_len,
					      got, len + 16, got),
				 0);
		assert_memory_equal(got, plain, len);
	}
}

/* the handle, the one-shot form and the explicit nonce say the same */
static void counter_is_big_endian(void **state)
{
	static const uint8_t nonce[12] = {0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
	uint8_t a[100 + 16], b[100 + 16], c[100 + 16];
	const uint64_t counter = 0x0102030405060708;
	struct ntmc_key key = {{9, 8, 7}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		struct ntmc_aead *h = NULL;

		memset(a, 'p', 100);
		memset(b, 'p', 100);
		memset(c, 'p', 100);
		assert_int_equal(ntmc_aead_new(algs[i], &key, &h), 0);
		assert_int_equal(ntmc_aead_seal(h, counter, "ad", 2, a, 100),
				 0);
		assert_int_equal(
			ntmc_seal_once(algs[i], &key, counter, "ad", 2, b, 100),
			0);
		assert_int_equal(
			aead_encrypt(algs[i], &key, nonce, "ad", 2, c, 100, c),
			0);
		assert_memory_equal(a, b, sizeof(a));
		assert_memory_equal(a, c, sizeof(a));
		assert_int_equal(ntmc_aead_open(h, counter, "ad", 2, b, 116),
				 0);
		assert_int_equal(
			ntmc_open_once(algs[i], &key, counter, "ad", 2, c, 116),
			0);
		assert_memory_equal(b, c, 100);
		assert_int_equal(b[0], 'p');
		ntmc_aead_free(h);
	}
}

static void gather(void **state)
{
	uint8_t head[60], body[1360], want[1420 + 16], got[1420 + 16];

	(void)state;
	memset(head, 'h', sizeof(head));
	memset(body, 'b', sizeof(body));
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		struct ntmc_aead *a = open_zero_key(algs[i]);

		memcpy(want, head, 60);
		memcpy(want + 60, body, 1360);
		assert_int_equal(ntmc_aead_seal(a, 5, "x", 1, want, 1420), 0);
		assert_int_equal(ntmc_aead_seal_iov(a, 5, "x", 1, head, 60,
						    body, 1360, got),
				 0);
		assert_memory_equal(got, want, sizeof(want));
		/* the payload stands in place already */
		memset(got, 0, sizeof(got));
		memcpy(got + 60, body, 1360);
		assert_int_equal(ntmc_aead_seal_iov(a, 5, "x", 1, head, 60,
						    got + 60, 1360, got),
				 0);
		assert_memory_equal(got, want, sizeof(want));
		/* no head, no body */
		assert_int_equal(
			ntmc_aead_seal_iov(a, 6, "x", 1, NULL, 0, NULL, 0, got),
			0);
		assert_int_equal(ntmc_aead_open(a, 6, "x", 1, got, 16), 0);
		ntmc_aead_free(a);
	}
}

/* any flipped bit, wrong counter or wrong data: refused, and the buffer wiped */
static void refused_and_wiped(void **state)
{
	static const uint8_t zero[48];
	uint8_t sealed[48], buf[48];
	struct ntmc_key key = {{0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		struct ntmc_aead *a = open_zero_key(algs[i]);

		memset(sealed, 's', 32);
		assert_int_equal(ntmc_aead_seal(a, 1, "ad", 2, sealed, 32), 0);
		for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
			memcpy(buf, sealed, sizeof(buf));
			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(ntmc_aead_open(a, 1, "ad", 2, buf, 48),
					 -NTM_EAUTH);
			assert_memory_equal(buf, zero, 48);
			memcpy(buf, sealed, sizeof(buf));
			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(ntmc_open_once(algs[i], &key, 1, "ad",
							2, buf, 48),
					 -NTM_EAUTH);
			assert_memory_equal(buf, zero, 48);
		}
		memcpy(buf, sealed, sizeof(buf));
		assert_int_equal(ntmc_aead_open(a, 2, "ad", 2, buf, 48),
				 -NTM_EAUTH);
		memcpy(buf, sealed, sizeof(buf));
		assert_int_equal(ntmc_aead_open(a, 1, "aD", 2, buf, 48),
				 -NTM_EAUTH);
		for (size_t len = 0; len < 48; len++) {
			memcpy(buf, sealed, sizeof(buf));
			assert_int_equal(
				ntmc_aead_open(a, 1, "ad", 2, buf, len),
				len < 16 ? -NTM_EINVAL : -NTM_EAUTH);
			assert_int_equal(ntmc_open_once(algs[i], &key, 1, "ad",
							2, buf, len),
					 len < 16 ? -NTM_EINVAL : -NTM_EAUTH);
		}
		ntmc_aead_free(a);
	}
}

static void limits(void **state)
{
	static uint8_t ad[(1 << 16) + 1];
	struct ntmc_key key = {{0}};
	struct ntmc_aead *a = NULL;
	uint8_t buf[17] = {0};

	(void)state;
	assert_int_equal(ntmc_aead_new(7, &key, &a), -NTM_EINVAL);
	assert_null(a);
	assert_int_equal(ntmc_seal_once(7, &key, 0, NULL, 0, buf, 1),
			 -NTM_EINVAL);
	a = open_zero_key(NTMC_AES_256_GCM);
	assert_int_equal(ntmc_aead_seal(a, 0, ad, 1 << 16, buf, 1), 0);
	assert_int_equal(ntmc_aead_seal(a, 0, ad, sizeof(ad), buf, 1),
			 -NTM_EINVAL);
	assert_int_equal(ntmc_aead_open(a, 0, ad, sizeof(ad), buf, 17),
			 -NTM_EINVAL);
	assert_int_equal(ntmc_open_once(NTMC_AES_256_GCM, &key, 0, ad,
					sizeof(ad), buf, 17),
			 -NTM_EINVAL);
	ntmc_aead_free(a);
	ntmc_aead_free(NULL);
	assert_in_range(ntmc_aead_preferred(), NTMC_AES_256_GCM,
			NTMC_CHACHA20_POLY1305);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gcm_nist_public),
		cmocka_unit_test(vectors_one_shot),
		cmocka_unit_test(counter_is_big_endian),
		cmocka_unit_test(gather),
		cmocka_unit_test(refused_and_wiped),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
