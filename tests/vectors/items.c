/* SPDX-License-Identifier: MIT */
/* items - of docs/vectors.txt: prekey, sealed key, blob, receipt (docs/exchange.md, Sealing) */
#include "tests/vectors/vectors.h"

#include <assert.h>
#include <string.h>

#include "libntmcrypto/blob.h"
#include "libntmcrypto/receipt.h"

#define NOW    1800000000 /* some second in 2027 */
#define DAY    86400
#define TEXT   "an item of one text\n"
#define SENDER "laptop.mn.example.org"

struct script {
	uint8_t fill;
};

static void script_random(void *ctx, void *buf, size_t len)
{
	struct script *s = ctx;
	uint8_t *b = buf;

	while (len--)
		*b++ = s->fill++;
}

static int64_t script_now(void *ctx)
{
	(void)ctx;
	return NOW;
}

/* The sender's certificate: of a CA whose randomness counts. */
static size_t certificate(const struct ntmc_env *env,
			  const struct ntmc_identity *id, uint8_t *der)
{
	static const uint8_t slice[4] = {198, 18, 0, 0};
	struct ntmc_cert c = {.kind = NTMC_CERT_NODE,
			      .fqdn = SENDER,
			      .vip4 = {198, 18, 0, 9}};
	size_t len = NTMC_CERT_MAX;
	uint8_t prefix6[16];
	struct ntmc_ca *ca;
	int r;

	r = ntmc_ca_new(env, "mn.example.org", slice, 15, 3650, &ca, prefix6);
	assert(!r);
	memcpy(c.ed_pub, id->ed_pub, sizeof(c.ed_pub));
	memcpy(c.x_pub, id->x_pub, sizeof(c.x_pub));
	ntmc_static_sign(id, c.x_sig);
	memcpy(c.vip6, prefix6, 8);
	c.vip6[15] = 9;
	r = ntmc_ca_issue(env, ca, &c, NOW, NOW + DAY, der, &len);
	assert(!r);
	ntmc_ca_free(ca);
	return len;
}

static void write_blob(FILE *out, vectors_hex_fn *hex, const struct ntmc_key *k,
		       const uint8_t *item, const struct ntmc_identity *id,
		       uint8_t hash[static NTMC_HASH_LEN])
{
	uint8_t buf[BLOB_HEADER + sizeof(TEXT) + NTMC_TAG_LEN + BLOB_SEAL];
	size_t len = strlen(TEXT);
	struct blob *b;
	int r;

	r = blob_seal_new(NTMC_AES_256_GCM, k, item, len, &b);
	assert(!r);
	blob_header(b, buf);
	memcpy(buf + BLOB_HEADER, TEXT, len);
	r = blob_seal_chunk(b, buf + BLOB_HEADER, len);
	assert(!r);
	r = blob_seal_end(b, id, SENDER, buf + blob_at(b));
	assert(!r);
	r = blob_hash(b, hash);
	assert(!r);
	fprintf(out, "\nname: blob\n");
	hex(out, "payload", TEXT, len);
	hex(out, "blob", buf, blob_size(len));
	hex(out, "hash", hash, NTMC_HASH_LEN);
	blob_free(b);
}

/* it is here; and it is refused */
static void write_receipts(FILE *out, vectors_hex_fn *hex,
			   const struct ntmc_key *k,
			   const struct item_names *names, const uint8_t *hash,
			   const struct ntmc_identity *receiver)
{
	struct receipt r = {*names, hash, .code = 0};
	uint8_t msg[RECEIPT_LEN];
	int err;

	fprintf(out, "\nname: receipt\n");
	err = receipt_sign(receiver, k, &r, msg);
	assert(!err && msg[0] == NTMC_AES_256_GCM);
	hex(out, "received", msg, sizeof(msg));
	r.code = NTM_EAUTH;
	err = receipt_sign(receiver, k, &r, msg);
	assert(!err);
	hex(out, "refused, code AUTH", msg, sizeof(msg));
}

void vectors_write_items(FILE *out, vectors_hex_fn *hex)
{
	static const uint8_t item[ITEM_ID_LEN] = {0x17, 0x23};
	struct script s = {1};
	struct ntmc_env env = {script_random, script_now, &s};
	struct item_names names = {item, SENDER, "desk.cn.example.org"};
	struct prekey p = {.fqdn = "desk.cn.example.org",
			   .id = {1, 2, 3, 4, 5, 6, 7, 8},
			   .not_before = NOW,
			   .not_after = NOW + 35 * DAY};
	uint8_t cert[NTMC_CERT_MAX], msg[ITEM_KEY_MAX], sealed[ITEM_SEALED_MAX];
	struct ntmc_identity sender, receiver;
	struct ntmc_key priv, k, t;
	uint8_t hash[NTMC_HASH_LEN];
	size_t cert_len, len, sealed_len;
	int r;

	ntmc_identity_new(&env, &sender);
	ntmc_identity_new(&env, &receiver);
	cert_len = certificate(&env, &sender, cert);
	ntmc_x25519_keygen(&env, &priv, p.pub);
	ntmc_key_random(&env, &k);
	ntmc_key_random(&env, &t);
	r = prekey_sign(&receiver, &p);
	assert(!r);
	fprintf(out, "\nname: prekey\n");
	hex(out, "identity", receiver.ed_pub, sizeof(receiver.ed_pub));
	hex(out, "id", p.id, sizeof(p.id));
	hex(out, "private", priv.b, sizeof(priv.b));
	hex(out, "public", p.pub, sizeof(p.pub));
	hex(out, "signature", p.sig, sizeof(p.sig));

	r = item_key_wrap(&env, &sender, cert, cert_len, &names, &p, &k, NULL,
			  msg, &len);
	assert(!r && msg[PREKEY_ID_LEN] == NTMC_AES_256_GCM);
	r = item_temporal_seal(&t, item, msg, len, sealed, &sealed_len);
	assert(!r);
	item_temporal_hash(&t, hash);
	fprintf(out, "\nname: shared key\n");
	hex(out, "Item ID", item, sizeof(item));
	hex(out, "sender's static private", sender.x_priv.b, NTMC_KEY_LEN);
	hex(out, "sender's identity", sender.ed_pub, NTMC_KEY_LEN);
	hex(out, "K", k.b, sizeof(k.b));
	hex(out, "sealed to the prekey", msg, len);
	hex(out, "T", t.b, sizeof(t.b));
	hex(out, "hash of T", hash, sizeof(hash));
	hex(out, "sealed twice", sealed, sealed_len);
	write_blob(out, hex, &k, item, &sender, hash);
	write_receipts(out, hex, &k, &names, hash, &receiver);
}
