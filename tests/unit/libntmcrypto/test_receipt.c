/* SPDX-License-Identifier: MIT */
/* test_receipt - a receiver's word on an item: of this one, and of no other */
#include "fixture.h"
#include "libntmcrypto/aead.h"
#include "libntmcrypto/receipt.h"

#include <string.h>

#define SENDER	 "laptop.mn.example.org"
#define RECEIVER "desk.cn.example.org"

struct world {
	struct ntmc_identity receiver, other;
	struct ntmc_key k;
	uint8_t item[ITEM_ID_LEN], blob[NTMC_HASH_LEN];
	struct receipt r;
	uint8_t msg[RECEIPT_LEN + 1];
};

static void world_open(struct world *w, unsigned int code)
{
	memset(w, 0, sizeof(*w));
	fixture_identity(50, &w->receiver);
	fixture_identity(60, &w->other);
	memset(w->k.b, 3, sizeof(w->k.b));
	memset(w->item, 4, sizeof(w->item));
	memset(w->blob, 5, sizeof(w->blob));
	w->r = (struct receipt){
		{w->item, SENDER, RECEIVER}, w->blob, .code = code};
	assert_int_equal(receipt_sign(&w->receiver, &w->k, &w->r, w->msg), 0);
}

static int verify(const struct world *w)
{
	return receipt_verify(w->receiver.ed_pub, &w->k, &w->r, w->msg,
			      RECEIPT_LEN);
}

static void test_good(void **state)
{
	uint8_t again[RECEIPT_LEN];
	struct world w;
	unsigned int i;
	static const unsigned int codes[] = {0, NTM_EAUTH, 65535};

	(void)state;
	for (i = 0; i < 3; i++) {
		world_open(&w, codes[i]);
		assert_int_equal(verify(&w), 0);
		/* said twice it is the same: servers learn nothing by that */
		assert_int_equal(receipt_sign(&w.receiver, &w.k, &w.r, again),
				 0);
		assert_memory_equal(again, w.msg, sizeof(again));
	}
}

/* Of another item, sender, receiver, blob, outcome; under another K; by another key */
static void test_other(void **state)
{
	struct world w;
	size_t i;

	(void)state;
	world_open(&w, 0);
	for (i = 0; i < ITEM_ID_LEN; i++) {
		w.item[i] ^= 1;
		assert_int_equal(verify(&w), -NTM_EAUTH);
		w.item[i] ^= 1;
	}
	for (i = 0; i < NTMC_HASH_LEN; i++) {
		w.blob[i] ^= 0x80;
		assert_int_equal(verify(&w), -NTM_EAUTH);
		w.blob[i] ^= 0x80;
		w.k.b[i] ^= 1;
		assert_int_equal(verify(&w), -NTM_EAUTH);
		w.k.b[i] ^= 1;
	}
	w.r.names.sender = "laptop2.mn.example.org";
	assert_int_equal(verify(&w), -NTM_EAUTH);
	w.r.names = (struct item_names){w.item, SENDER, "tv.cn.example.org"};
	assert_int_equal(verify(&w), -NTM_EAUTH);
	/* a receiver's word is none of a sender with the names swapped */
	w.r.names = (struct item_names){w.item, RECEIVER, SENDER};
	assert_int_equal(verify(&w), -NTM_EAUTH);
	w.r.names = (struct item_names){w.item, SENDER, RECEIVER};
	for (i = 1; i < 65536; i += i) {
		w.r.code = (unsigned int)i;
		assert_int_equal(verify(&w), -NTM_EAUTH);
	}
	w.r.code = 0;
	assert_int_equal(
		receipt_verify(w.other.ed_pub, &w.k, &w.r, w.msg, RECEIPT_LEN),
		-NTM_EAUTH);
	assert_int_equal(verify(&w), 0);
	/* what another receiver of the item, who has K, says in this one's name */
	assert_int_equal(receipt_sign(&w.other, &w.k, &w.r, w.msg), 0);
	assert_int_equal(verify(&w), -NTM_EAUTH);
}

static void test_bytes(void **state)
{
	struct world w;
	size_t i;
	int r;

	(void)state;
	world_open(&w, 0);
	for (i = 0; i < RECEIPT_LEN; i++) {
		assert_int_equal(
			receipt_verify(w.receiver.ed_pub, &w.k, &w.r, w.msg, i),
			-NTM_EDECODE);
		w.msg[i] ^= 3; /* of the first byte: the other algorithm */
		assert_int_equal(verify(&w), -NTM_EAUTH);
		w.msg[i] ^= 3;
	}
	assert_int_equal(receipt_verify(w.receiver.ed_pub, &w.k, &w.r, w.msg,
					RECEIPT_LEN + 1),
			 -NTM_EDECODE);
	for (i = 0; i < 256; i++) {
		w.msg[0] = (uint8_t)i;
		r = verify(&w);
		assert_true(i == ntmc_aead_preferred() ? !r
			    : i == NTMC_AES_256_GCM ||
					    i == NTMC_CHACHA20_POLY1305
				    ? r == -NTM_EAUTH
				    : r == -NTM_EDECODE);
	}
}

/* What docs/exchange.md says, byte by byte, and the key of it */
static size_t text_of(const struct world *w, uint8_t *out, struct ntmc_key *key)
{
	static const char head[] = "ntm item receipt v1";
	uint8_t *at = out, hash[NTMC_HASH_LEN];

	at = mempcpy(at, head, strlen(head));
	at = mempcpy(at, w->item, sizeof(w->item));
	at = mempcpy(at, "\0\x15" SENDER "\0\x13" RECEIVER, 44);
	at = mempcpy(at, w->blob, sizeof(w->blob));
	*at++ = 0;
	*at++ = (uint8_t)w->r.code;
	ntmc_sha256(out, (size_t)(at - out), hash);
	assert_int_equal(ntmc_derive(&w->k, w->item, sizeof(w->item),
				     "ntm item receipt key v1", hash,
				     sizeof(hash), key),
			 0);
	return (size_t)(at - out);
}

/* Who has K (another receiver, who was given this one's receipt) can seal a signature
 * anew: it is of what it was made for, all the same. */
static void test_exact(void **state)
{
	static const uint8_t nonce[AEAD_NONCE_LEN];
	uint8_t text[200], sig[NTMC_SIG_LEN], got[NTMC_SIG_LEN];
	struct ntmc_key key;
	struct world w;
	size_t len;

	(void)state;
	world_open(&w, 7);
	len = text_of(&w, text, &key);
	ntmc_ed25519_sign(&w.receiver.ed_priv, w.receiver.ed_pub, text, len,
			  sig);
	assert_int_equal(aead_decrypt((enum ntmc_aead_alg)w.msg[0], &key, nonce,
				      NULL, 0, w.msg + 1, RECEIPT_LEN - 1, got),
			 0);
	assert_memory_equal(got, sig, sizeof(sig));

	w.r.code = 0;
	(void)text_of(&w, text, &key);
	assert_int_equal(aead_encrypt((enum ntmc_aead_alg)w.msg[0], &key, nonce,
				      NULL, 0, sig, sizeof(sig), w.msg + 1),
			 0);
	assert_int_equal(verify(&w), -NTM_EAUTH);
}

static void test_names(void **state)
{
	char max[NTMC_FQDN_MAX + 2];
	struct world w;

	(void)state;
	world_open(&w, 0);
	memset(max, 'a', sizeof(max));
	max[NTMC_FQDN_MAX] = '\0';
	w.r.names.sender = w.r.names.receiver = max;
	assert_int_equal(receipt_sign(&w.receiver, &w.k, &w.r, w.msg), 0);
	assert_int_equal(verify(&w), 0);
	w.r.code = 65536;
	assert_int_equal(receipt_sign(&w.receiver, &w.k, &w.r, w.msg),
			 -NTM_EINVAL);
	w.r.code = 0;
	max[NTMC_FQDN_MAX] = 'a';
	max[NTMC_FQDN_MAX + 1] = '\0';
	assert_int_equal(receipt_sign(&w.receiver, &w.k, &w.r, w.msg),
			 -NTM_EINVAL);
	assert_int_equal(verify(&w), -NTM_EINVAL);
	w.r.names.sender = "";
	assert_int_equal(verify(&w), -NTM_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),  cmocka_unit_test(test_other),
		cmocka_unit_test(test_bytes), cmocka_unit_test(test_exact),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
