/* SPDX-License-Identifier: MIT */
/* test_blob - chunks: by the book, cut, grown, moved, swapped, resumed, of others */
#include "fixture.h"
#include "libntmcrypto/aead.h"
#include "libntmcrypto/blob.h"
#include "libntmcrypto/blobsum.h"

#include <stdlib.h>
#include <string.h>

#define SENDER "laptop.mn.example.org"

static const struct ntmc_key key = {{1, 2, 3}};
static const uint8_t item_id[ITEM_ID_LEN] = {0xaa, 1};

/* bytes of a blob in memory */
struct bytes {
	uint8_t *b;
	size_t len;
};

static uint8_t payload_byte(uint64_t at)
{
	return (uint8_t)(at * 31 + at / 65536);
}

static void seal_one(struct blob *b, uint8_t *out)
{
	uint64_t at = blob_payload_at(b);
	size_t i, n = blob_next(b);

	for (i = 0; i < n; i++)
		out[i] = payload_byte(at + i);
	assert_int_equal(blob_seal_chunk(b, out, n), 0);
}

static void seal_rest(struct blob *b, struct bytes *out)
{
	struct ntmc_identity id;

	while (blob_next(b)) {
		assert_int_equal(blob_at(b), out->len);
		seal_one(b, out->b + out->len);
		out->len = blob_at(b);
	}
	fixture_identity(3, &id);
	assert_int_equal(blob_seal_end(b, &id, SENDER, out->b + out->len), 0);
	out->len += BLOB_SEAL;
}

static struct bytes seal(uint64_t payload, enum ntmc_aead_alg alg)
{
	struct bytes out = {.b = malloc(blob_size(payload)),
			    .len = BLOB_HEADER};
	struct blob *b;

	assert_non_null(out.b);
	assert_int_equal(blob_seal_new(alg, &key, item_id, payload, &b), 0);
	blob_header(b, out.b);
	seal_rest(b, &out);
	assert_int_equal(out.len, blob_size(payload));
	blob_free(b);
	return out;
}

/* Open from where @b stands to the end; plaintext is compared. */
static int open_rest(struct blob *b, const struct bytes *in)
{
	static uint8_t buf[BLOB_SEALED];
	struct ntmc_identity id;
	uint64_t at;
	size_t i, n;
	int r;

	fixture_identity(3, &id);
	while ((n = blob_next(b))) {
		at = blob_payload_at(b);
		memcpy(buf, in->b + blob_at(b), n + NTMC_TAG_LEN);
		r = blob_open_chunk(b, buf, n + NTMC_TAG_LEN);
		if (r)
			return r;
		for (i = 0; i < n; i++)
			assert_int_equal(buf[i], payload_byte(at + i));
	}
	memcpy(buf, in->b + blob_at(b), BLOB_SEAL);
	return blob_open_end(b, id.ed_pub, SENDER, buf);
}

static int open_all(const struct bytes *in)
{
	struct blob *b;
	int r = in->len < BLOB_HEADER
			? -NTM_EDECODE
			: blob_open_new(&key, item_id, in->b, in->len, &b);

	if (r)
		return r;
	r = open_rest(b, in);
	blob_free(b);
	return r;
}

static const uint64_t sizes[] = {1,	4,     65535,  65536,
				 65537, 65552, 131072, 200000};

static void test_sizes(void **state)
{
	uint8_t hash[NTMC_HASH_LEN], whole[NTMC_HASH_LEN];
	uint64_t payload;
	struct bytes in;
	struct blob *b;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		in = seal(sizes[i],
			  i & 1 ? NTMC_AES_256_GCM : NTMC_CHACHA20_POLY1305);
		assert_int_equal(blob_payload(in.len, &payload), 0);
		assert_int_equal(payload, sizes[i]);
		assert_int_equal(blob_open_new(&key, item_id, in.b, in.len, &b),
				 0);
		assert_int_equal(blob_hash(b, hash), -NTM_ESTATE);
		assert_int_equal(open_rest(b, &in), 0);
		assert_int_equal(blob_hash(b, hash), 0);
		blobsum_of(in.b, in.len, whole);
		assert_memory_equal(hash, whole, sizeof(hash));
		blob_free(b);
		free(in.b);
	}
	/* between the sizes there is no blob */
	assert_int_equal(blob_payload(32 + 88 + 16, &payload), -NTM_EDECODE);
	assert_int_equal(blob_payload(32 + 88 + 65552 + 16, &payload),
			 -NTM_EDECODE);
	assert_int_equal(blob_payload(32 + 88 + 65552 + 17, &payload), 0);
	assert_int_equal(payload, 65537);
	assert_int_equal(blob_payload(UINT64_MAX, &payload), -NTM_EDECODE);
}

/* The second chunk, made of HKDF and AEAD by docs/exchange.md alone. */
static void test_by_the_book(void **state)
{
	struct bytes in = seal(100000, NTMC_AES_256_GCM);
	uint8_t prk[32], okm[44], nonce[12], ad[41] = {0}, *want;
	struct ntmc_key k;
	size_t i, n = 100000 - 65536;

	(void)state;
	assert_hex(in.b, 16, "6e746d206974656d0201000000000000");
	assert_memory_equal(in.b + 16, item_id, sizeof(item_id));
	assert_int_equal(ntmc_hkdf_extract(item_id, 16, key.b, 32, prk), 0);
	assert_int_equal(ntmc_hkdf_expand(prk, "ntm item data v1", 16, okm, 44),
			 0);
	memcpy(k.b, okm, 32);
	memcpy(nonce, okm + 32, 12);
	nonce[11] ^= 1;
	memcpy(ad, in.b, 32);
	ad[39] = 1; /* index */
	ad[40] = 1; /* the last */
	want = malloc(n + 16);
	assert_non_null(want);
	for (i = 0; i < n; i++)
		want[i] = payload_byte(65536 + i);
	assert_int_equal(aead_encrypt(NTMC_AES_256_GCM, &k, nonce, ad, 41, want,
				      n, want),
			 0);
	assert_memory_equal(in.b + 32 + 65552, want, n + 16);
	free(want);
	free(in.b);
}

static void test_cut_and_grown(void **state)
{
	struct bytes in = seal(3 * 65536, NTMC_AES_256_GCM), bad;
	size_t chunk = BLOB_SEALED, len = in.len, i;

	(void)state;
	in.b = realloc(in.b, len + chunk);
	assert_non_null(in.b);
	memset(in.b + len, 0, chunk);
	/* without its end, byte by byte and chunk by chunk */
	for (i = 1; i < 200; i++) {
		bad = (struct bytes){in.b, len - i};
		assert_true(open_all(&bad) < 0);
		bad.len = len + i;
		assert_true(open_all(&bad) < 0);
	}
	for (i = 1; i <= 3; i++) {
		bad = (struct bytes){in.b, len - i * chunk};
		assert_true(open_all(&bad) < 0);
	}
	bad = (struct bytes){in.b, len + chunk};
	assert_int_equal(open_all(&bad), -NTM_EAUTH);
	/* the middle left out, end and seal moved up */
	memmove(in.b + 32 + chunk, in.b + 32 + 2 * chunk, chunk + BLOB_SEAL);
	bad = (struct bytes){in.b, len - chunk};
	assert_int_equal(open_all(&bad), -NTM_EAUTH);
	free(in.b);
}

static void test_moved_and_changed(void **state)
{
	struct bytes in = seal(3 * 65536 + 10, NTMC_AES_256_GCM);
	uint8_t *a = in.b + 32, *b = a + BLOB_SEALED, *keep;
	size_t i;

	(void)state;
	keep = malloc(BLOB_SEALED);
	assert_non_null(keep);
	memcpy(keep, a, BLOB_SEALED);
	memcpy(a, b, BLOB_SEALED);
	assert_int_equal(open_all(&in), -NTM_EAUTH); /* one twice */
	memcpy(b, keep, BLOB_SEALED);
	assert_int_equal(open_all(&in), -NTM_EAUTH); /* swapped */
	memcpy(b, a, BLOB_SEALED);
	memcpy(a, keep, BLOB_SEALED);
	assert_int_equal(open_all(&in), 0);
	free(keep);
	for (i = 0; i < in.len; i += i < 40 || i + 120 > in.len ? 1 : 6007) {
		in.b[i] ^= 1;
		assert_true(open_all(&in) < 0);
		in.b[i] ^= 1;
	}
	assert_int_equal(open_all(&in), 0);
	free(in.b);
}

/* What somebody makes who has K, as every receiver has. */
static void test_others(void **state)
{
	struct bytes in = seal(70000, NTMC_AES_256_GCM);
	struct ntmc_identity other, id;
	uint8_t seal_bytes[BLOB_SEAL], end[BLOB_SEAL];
	struct ntmc_key k2 = {{2}};
	uint8_t item2[ITEM_ID_LEN] = {0xab};
	struct blob *b, *s;
	size_t n;

	(void)state;
	fixture_identity(3, &id);
	fixture_identity(4, &other);
	assert_int_equal(blob_open_new(&key, item2, in.b, in.len, &b),
			 -NTM_EAUTH);
	assert_int_equal(blob_open_new(&k2, item_id, in.b, in.len, &b), 0);
	assert_int_equal(open_rest(b, &in), -NTM_EAUTH);
	assert_int_equal(open_rest(b, &in), -NTM_ESTATE); /* it is dead */
	blob_free(b);
	/* all chunks the same, but sealed by another identity */
	assert_int_equal(
		blob_seal_new(NTMC_AES_256_GCM, &key, item_id, 70000, &s), 0);
	assert_int_equal(blob_open_new(&key, item_id, in.b, in.len, &b), 0);
	while ((n = blob_next(s))) {
		uint8_t *chunk = in.b + blob_at(s);

		assert_int_equal(blob_open_chunk(b, chunk, n + 16), 0);
		assert_int_equal(blob_seal_chunk(s, chunk, n), 0);
	}
	memcpy(end, in.b + in.len - BLOB_SEAL, BLOB_SEAL);
	assert_int_equal(blob_seal_end(s, &other, SENDER, seal_bytes), 0);
	assert_int_equal(blob_open_end(b, id.ed_pub, SENDER, seal_bytes),
			 -NTM_EAUTH);
	assert_int_equal(blob_open_end(b, id.ed_pub, SENDER, end), -NTM_ESTATE);
	blob_free(b);
	blob_free(s);
	/* the right seal, expected of another name */
	assert_int_equal(blob_open_new(&key, item_id, in.b, in.len, &b), 0);
	while ((n = blob_next(b)))
		assert_int_equal(blob_open_chunk(b, in.b + blob_at(b), n + 16),
				 0);
	assert_int_equal(
		blob_open_end(b, id.ed_pub, "desk.mn.example.org", end),
		-NTM_EAUTH);
	blob_free(b);
	free(in.b);
}

/* Both sides stop after every chunk and go on from what was saved. */
static void test_resume(void **state)
{
	const uint64_t payload = 3 * 65536 + 10;
	struct bytes whole = seal(payload, NTMC_AES_256_GCM), again;
	struct blob_state st;
	struct blob *b;
	unsigned int stop;
	size_t i, n;

	(void)state;
	again.b = malloc(whole.len);
	assert_non_null(again.b);
	for (stop = 0; stop <= 4; stop++) {
		assert_int_equal(blob_seal_new(NTMC_AES_256_GCM, &key, item_id,
					       payload, &b),
				 0);
		blob_header(b, again.b);
		for (i = 0; i < stop; i++)
			seal_one(b, again.b + blob_at(b));
		blob_save(b, &st);
		again.len = blob_at(b);
		blob_free(b);
		assert_int_equal(blob_resume(&key, item_id, &st, &b), 0);
		seal_rest(b, &again);
		blob_free(b);
		assert_int_equal(again.len, whole.len);
		assert_memory_equal(again.b, whole.b, whole.len);

		memcpy(again.b, whole.b, whole.len);
		assert_int_equal(
			blob_open_new(&key, item_id, whole.b, whole.len, &b),
			0);
		for (i = 0; i < stop; i++) {
			n = blob_next(b) + 16;
			assert_int_equal(
				blob_open_chunk(b, again.b + blob_at(b), n), 0);
		}
		blob_save(b, &st);
		blob_free(b);
		assert_int_equal(blob_resume(&key, item_id, &st, &b), 0);
		assert_int_equal(open_rest(b, &whole), 0);
		blob_free(b);
	}
	free(again.b);
	free(whole.b);
}

static void test_bad_state(void **state)
{
	static const uint8_t other[ITEM_ID_LEN] = {1};
	struct blob_state st, bad;
	struct blob *b;

	(void)state;
	assert_int_equal(blob_seal_new(NTMC_AES_256_GCM, &key, item_id, 0, &b),
			 -NTM_EINVAL);
	assert_int_equal(blob_seal_new(NTMC_AES_256_GCM, &key, item_id, 10, &b),
			 0);
	blob_save(b, &st);
	blob_free(b);
	assert_int_equal(blob_resume(&key, other, &st, &b), -NTM_EDECODE);
	bad = st;
	bad.b[0] = 0;
	assert_int_equal(blob_resume(&key, item_id, &bad, &b), -NTM_EDECODE);
	bad = st;
	bad.b[55] = 2; /* index beyond the only chunk */
	assert_int_equal(blob_resume(&key, item_id, &bad, &b), -NTM_EDECODE);
	bad = st;
	bad.b[47] = 0; /* no payload */
	assert_int_equal(blob_resume(&key, item_id, &bad, &b), -NTM_EDECODE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_by_the_book),
		cmocka_unit_test(test_cut_and_grown),
		cmocka_unit_test(test_moved_and_changed),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_bad_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
