/* SPDX-License-Identifier: MIT */
/*
 * crypto_keys - the fixed keys that fuzz targets and their seeds share
 *
 * Bodies in a header: each program has one file that wants them.
 */
#ifndef NTM_TESTS_FUZZ_CRYPTO_KEYS_H
#define NTM_TESTS_FUZZ_CRYPTO_KEYS_H

#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/blob.h"
#include "libntmcrypto/receipt.h"

#define FUZZ_NOW 1800000000 /* some second in 2027 */
#define FUZZ_DAY 86400

static inline void fuzz_random(void *ctx, void *buf, size_t len)
{
	memset(buf, *(uint8_t *)ctx, len);
}

static inline int64_t fuzz_now(void *ctx)
{
	(void)ctx;
	return FUZZ_NOW;
}

static inline struct ntmc_env fuzz_env(uint8_t *fill)
{
	return (struct ntmc_env){
		.random = fuzz_random, .now = fuzz_now, .ctx = fill};
}

static inline struct ntmc_ca *fuzz_ca(uint8_t prefix6[static 16])
{
	static const uint8_t slice[4] = {198, 18, 0, 0};
	uint8_t fill = 7;
	struct ntmc_env env = fuzz_env(&fill);
	struct ntmc_ca *ca;

	if (ntmc_ca_new(&env, "example.net", slice, 15, 3650, &ca, prefix6))
		abort();
	return ca;
}

/**
 * fuzz_noise_open() - one end of a handshake with fixed keys
 * @select: bit 0 pattern, bit 1 cipher, bit 2 initiator
 * @fill:   of the ephemeral key; lives as long as the handshake
 */
static inline struct ntmc_noise *fuzz_noise_open(unsigned int select,
						 struct ntmc_env *env)
{
	struct ntmc_key mine = {{0}}, other = {{0}}, psk = {{9}};
	bool initiator = select & 4;
	uint8_t peer[NTMC_KEY_LEN];
	struct ntmc_noise *n;
	struct ntmc_noise_config c = {
		.pattern = select & 1 ? NTMC_NOISE_X : NTMC_NOISE_IKPSK2,
		.aead = select & 2 ? NTMC_CHACHA20_POLY1305 : NTMC_AES_256_GCM,
		.initiator = initiator,
		.prologue = "fuzz",
		.prologue_len = 4,
		.static_priv = &mine,
		.peer_static = initiator ? peer : NULL,
		.psk = select & 1 ? NULL : &psk,
		.env = env,
	};

	mine.b[1] = initiator ? 1 : 2;
	other.b[1] = 2;
	ntmc_x25519_public(&other, peer);
	if (ntmc_noise_new(&c, &n))
		abort();
	return n;
}

/** struct fuzz_item - a sender, a receiver's prekey, K and the names of an item */
struct fuzz_item {
	uint8_t fill, der[NTMC_CERT_MAX], ca_der[NTMC_CERT_MAX];
	struct ntmc_env env;
	size_t der_len;
	struct ntmc_trust *trust;
	struct ntmc_identity sender;
	struct ntmc_key prekey_priv, k;
	struct prekey prekey;
	uint8_t item[ITEM_ID_LEN];
	struct item_names names;
};

static inline void fuzz_item_open(struct fuzz_item *f)
{
	struct ntmc_cert node = {.kind = NTMC_CERT_NODE,
				 .fqdn = "alice.example.net",
				 .vip4 = {198, 18, 0, 9}};
	uint8_t prefix6[16];
	struct ntmc_ca *ca = fuzz_ca(prefix6);
	size_t len = NTMC_CERT_MAX;

	memset(f, 0, sizeof(*f));
	f->fill = 8;
	f->env = fuzz_env(&f->fill);
	ntmc_identity_new(&f->env, &f->sender);
	memcpy(node.ed_pub, f->sender.ed_pub, sizeof(node.ed_pub));
	memcpy(node.x_pub, f->sender.x_pub, sizeof(node.x_pub));
	ntmc_static_sign(&f->sender, node.x_sig);
	memcpy(node.vip6, prefix6, 8);
	node.vip6[15] = 9;
	f->der_len = NTMC_CERT_MAX;
	if (ntmc_ca_der(ca, f->ca_der, &len) || ntmc_trust_new(&f->trust) ||
	    ntmc_trust_add(f->trust, f->ca_der, len, NULL, NULL) ||
	    ntmc_ca_issue(&f->env, ca, &node, FUZZ_NOW, FUZZ_NOW + FUZZ_DAY,
			  f->der, &f->der_len))
		abort();
	ntmc_ca_free(ca);
	f->prekey_priv.b[1] = 2;
	ntmc_x25519_public(&f->prekey_priv, f->prekey.pub);
	f->k.b[3] = 4;
	f->item[0] = 5;
	f->names = (struct item_names){f->item, "alice.example.net",
				       "bob.example.net"};
}

/* one identity is enough: the sender's is the receiver's, too */
static inline struct receipt fuzz_item_receipt(const struct fuzz_item *f)
{
	return (struct receipt){f->names, f->k.b, .code = 0};
}

static inline void fuzz_item_close(struct fuzz_item *f)
{
	ntmc_trust_free(f->trust);
}

#endif
