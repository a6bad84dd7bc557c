/* SPDX-License-Identifier: MIT */
/*
 * fuzz_item - any bytes as what an item's receiver opens
 *
 * The first byte chooses: 0 a key sealed to the prekey, 1 the same under T, 2 a
 * blob, 3 a saved state that is gone on from, 4 a receipt, which the sender opens. Keys
 * are fixed, so the seeds pass.
 */
#include "tests/fuzz/crypto_keys.h"

static struct fuzz_item world;

static void must(int ok)
{
	if (!ok)
		abort();
}

static void key_open(const uint8_t *data, size_t len)
{
	struct ntmc_key k;
	struct ntmc_cert c;

	if (!item_key_unwrap(&world.env, world.trust, &world.names,
			     &world.prekey_priv, world.prekey.pub, NULL, data,
			     len, &k, &c))
		must(!strcmp(c.fqdn, world.names.sender));
}

static void temporal_open(const uint8_t *data, size_t len)
{
	static uint8_t out[ITEM_SEALED_MAX];
	size_t got;

	if (!item_temporal_open(&world.k, world.item, data, len, out, &got))
		must(got + 17 == len);
}

static void chunks_open(struct blob *b, const uint8_t *data, size_t len)
{
	static uint8_t buf[BLOB_SEALED];
	uint64_t at = blob_at(b);
	int r = 0;
	size_t n;

	while (!r && (n = blob_next(b)) && len - at >= n + NTMC_TAG_LEN) {
		memcpy(buf, data + at, n + NTMC_TAG_LEN);
		r = blob_open_chunk(b, buf, n + NTMC_TAG_LEN);
		must(r || blob_at(b) == at + n + NTMC_TAG_LEN);
		at += n + NTMC_TAG_LEN;
	}
	if (r || blob_next(b) || len - at < BLOB_SEAL)
		return;
	memcpy(buf, data + at, BLOB_SEAL);
	if (blob_open_end(b, world.sender.ed_pub, world.names.sender, buf))
		must(blob_hash(b, buf) == -NTM_ESTATE);
}

/* Whatever passes is the receipt that fuzz_item_receipt() makes, in either cipher */
static void receipt_open(const uint8_t *data, size_t len)
{
	struct receipt r = fuzz_item_receipt(&world);
	uint8_t msg[RECEIPT_LEN];

	if (receipt_verify(world.sender.ed_pub, &world.k, &r, data, len))
		return;
	must(len == RECEIPT_LEN);
	must(!receipt_sign(&world.sender, &world.k, &r, msg));
	must(msg[0] != data[0] || !memcmp(msg, data, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct blob_state st;
	struct blob *b;
	uint8_t select;

	if (!world.trust)
		fuzz_item_open(&world);
	if (!len)
		return 0;
	select = *data++ % 5;
	len--;
	if (select == 0) {
		key_open(data, len);
	} else if (select == 1) {
		temporal_open(data, len);
	} else if (select == 2 && len >= BLOB_HEADER) {
		if (!blob_open_new(&world.k, world.item, data, len, &b)) {
			chunks_open(b, data, len);
			blob_free(b);
		}
	} else if (select == 4) {
		receipt_open(data, len);
	} else if (select == 3 && len >= sizeof(st.b)) {
		memcpy(st.b, data, sizeof(st.b));
		if (!blob_resume(&world.k, world.item, &st, &b)) {
			must(blob_at(b) <= blob_size(blob_payload_len(b)));
			blob_free(b);
		}
	}
	return 0;
}
