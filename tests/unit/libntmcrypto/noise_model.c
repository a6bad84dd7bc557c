/* SPDX-License-Identifier: MIT */
/* noise_model - the handshake hash of a published vector, from HMAC and X25519 */
#include "noise_model.h"

#include <string.h>

#include "fixture.h"
#include "noise_vectors.h"

/* ck and output @which (1..3) of Noise's HKDF, from HMAC alone */
static void model_hkdf(uint8_t ck[32], const uint8_t *ikm, int n, int which,
		       uint8_t out[32])
{
	uint8_t temp[32], t[33], next_ck[32];

	ntmc_hmac(ck, 32, ikm, 32, temp);
	for (int i = 1; i <= n; i++) {
		t[i == 1 ? 0 : 32] = (uint8_t)i;
		ntmc_hmac(temp, 32, t, i == 1 ? 1 : 33, t);
		if (i == 1)
			memcpy(next_ck, t, 32);
		if (i == which)
			memcpy(out, t, 32);
	}
	memcpy(ck, next_ck, 32);
}

static void model_dh(uint8_t ck[32], const char *priv, const char *other)
{
	uint8_t pub[32], unused[32];
	struct ntmc_key a, b, dh;

	unhex(priv, a.b, 32);
	unhex(other, b.b, 32);
	ntmc_x25519_public(&b, pub);
	assert_int_equal(ntmc_x25519(&a, pub, &dh), 0);
	model_hkdf(ck, dh.b, 2, 2, unused);
}

/* the second output of MixKeyAndHash(psk), which goes into h */
static void model_psk_hash(const struct noise_vector *v, uint8_t out[32])
{
	const char *const name =
		v->aead == NTMC_AES_256_GCM
			? "Noise_IKpsk2_25519_AESGCM_SHA256"
			: "Noise_IKpsk2_25519_ChaChaPoly_SHA256";
	uint8_t ck[32], e[32], psk[32];

	if (strlen(name) <= 32)
		memcpy(ck, name, 32);
	else
		ntmc_sha256(name, strlen(name), ck);
	unhex("ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c794"
	      "4",
	      e, 32);
	model_hkdf(ck, e, 2, 2, e);			       /* e */
	model_dh(ck, noise_init_ephemeral, noise_resp_static); /* es */
	model_dh(ck, noise_init_static, noise_resp_static);    /* ss */
	unhex("95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884"
	      "3",
	      e, 32);
	model_hkdf(ck, e, 2, 2, e);				  /* e */
	model_dh(ck, noise_init_ephemeral, noise_resp_ephemeral); /* ee */
	model_dh(ck, noise_init_static, noise_resp_ephemeral);	  /* se */
	unhex(noise_psk, psk, 32);
	model_hkdf(ck, psk, 3, 2, out); /* psk */
}

static void model_mix(uint8_t h[32], const uint8_t *p, size_t len)
{
	uint8_t buf[32 + 256];

	memcpy(buf, h, 32);
	memcpy(buf + 32, p, len);
	ntmc_sha256(buf, 32 + len, h);
}

void noise_model_hash(const struct noise_vector *v, uint8_t h[static 32])
{
	uint8_t msg[256], t[32];
	size_t len;

	unhex(v->hash, h, 32);
	if (v->pattern == NTMC_NOISE_X) {
		len = unhex(v->message[0], msg, sizeof(msg));
		model_mix(h, msg, 32);		  /* e */
		model_mix(h, msg + 32, 48);	  /* s */
		model_mix(h, msg + 80, len - 80); /* payload */
	} else {
		len = unhex(v->message[1], msg, sizeof(msg));
		model_psk_hash(v, t);
		model_mix(h, t, 32);		  /* psk */
		model_mix(h, msg + 32, len - 32); /* payload */
	}
}
