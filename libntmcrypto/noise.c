/* SPDX-License-Identifier: MIT */
/*
 * noise - Noise_IKpsk2 and Noise_X handshakes (noiseprotocol.org, revision 34)
 *
 * Theory of operation
 *
 *   IKpsk2:  <- s                      X:  <- s
 *            ...                           ...
 *            -> e, es, s, ss               -> e, es, s, ss
 *            <- e, ee, se, psk
 *
 * The functions below bear the names of the specification's section 5, and a
 * message is written or read by one line per token. Both patterns encrypt
 * everything after the token "es", so the specification's "no key yet" case
 * occurs only for the ephemeral keys, which travel in clear.
 *
 * A message is worked on in a copy of the handshake (struct noise_state) and
 * the copy is committed when the last step succeeded. A message that fails for
 * its content ends the handshake: what follows could only be guessed at. But the
 * initiator goes on waiting for message 2: whoever repeats an old one must not
 * keep the right one out. A call out of turn, or with too small a buffer, changes
 * nothing.
 *
 * The nonce follows the specification: little-endian for ChaChaPoly,
 * big-endian for AESGCM. (The data path's ntmc_aead_* is big-endian for both;
 * with the first packet's counter 0 the two agree, later they do not.)
 */
#include "libntmcrypto/aead.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#define SEALED_KEY_LEN (NTMC_KEY_LEN + NTMC_TAG_LEN)
#define MSG1_OVERHEAD  (NTMC_KEY_LEN + SEALED_KEY_LEN + NTMC_TAG_LEN)
#define MSG2_OVERHEAD  (NTMC_KEY_LEN + NTMC_TAG_LEN)

/**
 * enum noise_step - normally in this order
 * @NOISE_MSG1:  nothing sent. Leaves by: initiator's write, responder's read
 * @NOISE_MSG2:  IKpsk2 only. Leaves by: responder's write, initiator's read
 * @NOISE_DONE:  may be split, once. Leaves by: ntmc_noise_split()
 * @NOISE_SPLIT: keys handed out and wiped here; hash and peer key readable
 * @NOISE_DEAD:  a message failed; only ntmc_noise_free()
 */
enum noise_step { NOISE_MSG1, NOISE_MSG2, NOISE_DONE, NOISE_SPLIT, NOISE_DEAD };

struct noise_state {
	/* SymmetricState and CipherState */
	uint8_t ck[NTMC_HASH_LEN];
	uint8_t h[NTMC_HASH_LEN];
	struct ntmc_key k;
	uint64_t n;
	/* HandshakeState: e is ours, rs and re the peer's */
	struct ntmc_key e;
	uint8_t e_pub[NTMC_KEY_LEN];
	uint8_t rs[NTMC_KEY_LEN];
	uint8_t re[NTMC_KEY_LEN];
	bool has_rs;
};

struct ntmc_noise {
	enum noise_step step;
	enum ntmc_noise_pattern pattern;
	enum ntmc_aead_alg aead;
	bool initiator;
	bool has_psk;
	const struct ntmc_env *env;
	struct ntmc_agreed *agreed;
	struct ntmc_key s, psk;
	uint8_t s_pub[NTMC_KEY_LEN];
	struct noise_state st;
};

/* --- SymmetricState (section 5.2)
 * --------------------------------------------- */

/* HKDF(ck, ikm, n), section 4.3: @n outputs of 32 bytes, one after the other */
static void noise_hkdf(const uint8_t *ck, const void *ikm, size_t ikm_len,
		       uint8_t *out, unsigned int n)
{
	uint8_t temp_key[NTMC_HASH_LEN], in[NTMC_HASH_LEN + 1];
	size_t in_len = 0;

	ntmc_hmac(ck, NTMC_HASH_LEN, ikm, ikm_len, temp_key);
	for (unsigned int i = 1; i <= n; i++) {
		in[in_len] = (uint8_t)i;
		ntmc_hmac(temp_key, NTMC_HASH_LEN, in, in_len + 1, out);
		memcpy(in, out, NTMC_HASH_LEN);
		in_len = NTMC_HASH_LEN;
		out += NTMC_HASH_LEN;
	}
	ntmc_wipe(temp_key, sizeof(temp_key));
	ntmc_wipe(in, sizeof(in));
}

/* @out = HASH(h || data) */
static void hash_with(const uint8_t *h, const void *data, size_t len,
		      uint8_t out[static NTMC_HASH_LEN])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, NTMC_HASH_LEN, h);
	sha256_update(&ctx, len, data);
	sha256_digest(&ctx, NTMC_HASH_LEN, out);
}

static void mix_hash(struct noise_state *st, const void *data, size_t len)
{
	hash_with(st->h, data, len, st->h);
}

static void initialize_key(struct noise_state *st, const uint8_t *key)
{
	memcpy(st->k.b, key, NTMC_KEY_LEN);
	st->n = 0;
}

static void mix_key(struct noise_state *st, const uint8_t *ikm)
{
	uint8_t out[2 * NTMC_HASH_LEN];

	noise_hkdf(st->ck, ikm, NTMC_KEY_LEN, out, 2);
	memcpy(st->ck, out, NTMC_HASH_LEN);
	initialize_key(st, out + NTMC_HASH_LEN);
	ntmc_wipe(out, sizeof(out));
}

static void mix_key_and_hash(struct noise_state *st, const uint8_t *ikm)
{
	uint8_t out[3 * NTMC_HASH_LEN];

	noise_hkdf(st->ck, ikm, NTMC_KEY_LEN, out, 3);
	memcpy(st->ck, out, NTMC_HASH_LEN);
	mix_hash(st, out + NTMC_HASH_LEN, NTMC_HASH_LEN);
	initialize_key(st, out + 2 * NTMC_HASH_LEN);
	ntmc_wipe(out, sizeof(out));
}

/* 32 zero bits and n: little-endian for ChaChaPoly, big-endian for AESGCM */
static void noise_nonce(enum ntmc_aead_alg alg, uint64_t n,
			uint8_t nonce[static AEAD_NONCE_LEN])
{
	memset(nonce, 0, AEAD_NONCE_LEN);
	for (int i = 0; i < 8; i++)
		nonce[alg == NTMC_AES_256_GCM ? 11 - i : 4 + i] =
			(uint8_t)(n >> 8 * i);
}

/* @out: @len + NTMC_TAG_LEN bytes */
static int encrypt_and_hash(const struct ntmc_noise *hs, struct noise_state *st,
			    const void *plain, size_t len, uint8_t *out)
{
	uint8_t nonce[AEAD_NONCE_LEN];
	int r;

	noise_nonce(hs->aead, st->n, nonce);
	r = aead_encrypt(hs->aead, &st->k, nonce, st->h, sizeof(st->h), plain,
			 len, out);
	if (r)
		return r;
	st->n++;
	mix_hash(st, out, len + NTMC_TAG_LEN);
	return 0;
}

/* @out: @len - NTMC_TAG_LEN bytes; may be @in */
static int decrypt_and_hash(const struct ntmc_noise *hs, struct noise_state *st,
			    const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t nonce[AEAD_NONCE_LEN], next_h[NTMC_HASH_LEN];
	int r;

	noise_nonce(hs->aead, st->n, nonce);
	hash_with(st->h, in, len, next_h); /* before @out overwrites @in */
	r = aead_decrypt(hs->aead, &st->k, nonce, st->h, sizeof(st->h), in, len,
			 out);
	if (r)
		return r;
	st->n++;
	memcpy(st->h, next_h, sizeof(st->h));
	return 0;
}

/* MixKey(DH(priv, pub)) */
static int mix_dh(struct noise_state *st, const struct ntmc_key *priv,
		  const uint8_t *pub)
{
	struct ntmc_key dh;
	int r;

	r = ntmc_x25519(priv, pub, &dh);
	if (r)
		return r;
	mix_key(st, dh.b);
	ntmc_key_clear(&dh);
	return 0;
}

/* --- the tokens (sections 5.3 and 9.2)
 * ------------------------------------------ */

static void write_e(const struct ntmc_noise *hs, struct noise_state *st,
		    uint8_t *out)
{
	ntmc_x25519_keygen(hs->env, &st->e, st->e_pub);
	memcpy(out, st->e_pub, NTMC_KEY_LEN);
	mix_hash(st, st->e_pub, NTMC_KEY_LEN);
	if (hs->pattern == NTMC_NOISE_IKPSK2) /* in every psk handshake */
		mix_key(st, st->e_pub);
}

static void read_e(const struct ntmc_noise *hs, struct noise_state *st,
		   const uint8_t *in)
{
	memcpy(st->re, in, NTMC_KEY_LEN);
	mix_hash(st, st->re, NTMC_KEY_LEN);
	if (hs->pattern == NTMC_NOISE_IKPSK2)
		mix_key(st, st->re);
}

static int write_s(const struct ntmc_noise *hs, struct noise_state *st,
		   uint8_t *out)
{
	return encrypt_and_hash(hs, st, hs->s_pub, NTMC_KEY_LEN, out);
}

static int read_s(const struct ntmc_noise *hs, struct noise_state *st,
		  const uint8_t *in)
{
	int r = decrypt_and_hash(hs, st, in, SEALED_KEY_LEN, st->rs);

	st->has_rs = !r;
	return r;
}

/* Each DH token names the initiator's key first: es is DH(e, s) of them. */

static int mix_es(const struct ntmc_noise *hs, struct noise_state *st)
{
	return hs->initiator ? mix_dh(st, &st->e, st->rs)
			     : mix_dh(st, &hs->s, st->re);
}

static int mix_ss(const struct ntmc_noise *hs, struct noise_state *st)
{
	struct ntmc_key dh;
	int r = ntmc_agreed_x25519(hs->agreed, &hs->s, hs->s_pub, st->rs, &dh);

	if (r)
		return r;
	mix_key(st, dh.b);
	ntmc_key_clear(&dh);
	return 0;
}

static int mix_ee(struct noise_state *st)
{
	return mix_dh(st, &st->e, st->re);
}

static int mix_se(const struct ntmc_noise *hs, struct noise_state *st)
{
	return hs->initiator ? mix_dh(st, &hs->s, st->re)
			     : mix_dh(st, &st->e, st->rs);
}

/* --- the messages
 * --------------------------------------------------------------- */

/* -> e, es, s, ss, payload */
static int write_msg1(const struct ntmc_noise *hs, struct noise_state *st,
		      const void *payload, size_t len, uint8_t *out)
{
	int r;

	write_e(hs, st, out); /* e */
	out += NTMC_KEY_LEN;
	r = mix_es(hs, st); /* es */
	if (r)
		return r;
	r = write_s(hs, st, out); /* s */
	if (r)
		return r;
	out += SEALED_KEY_LEN;
	r = mix_ss(hs, st); /* ss */
	if (r)
		return r;
	return encrypt_and_hash(hs, st, payload, len, out);
}

static int read_msg1(const struct ntmc_noise *hs, struct noise_state *st,
		     const uint8_t *msg, size_t len, uint8_t *out)
{
	int r;

	read_e(hs, st, msg); /* e */
	msg += NTMC_KEY_LEN;
	r = mix_es(hs, st); /* es */
	if (r)
		return r;
	r = read_s(hs, st, msg); /* s */
	if (r)
		return r;
	msg += SEALED_KEY_LEN;
	r = mix_ss(hs, st); /* ss */
	if (r)
		return r;
	return decrypt_and_hash(hs, st, msg,
				len - NTMC_KEY_LEN - SEALED_KEY_LEN, out);
}

/* <- e, ee, se, psk, payload */
static int write_msg2(const struct ntmc_noise *hs, struct noise_state *st,
		      const void *payload, size_t len, uint8_t *out)
{
	int r;

	write_e(hs, st, out); /* e */
	r = mix_ee(st);	      /* ee */
	if (r)
		return r;
	r = mix_se(hs, st); /* se */
	if (r)
		return r;
	mix_key_and_hash(st, hs->psk.b); /* psk */
	return encrypt_and_hash(hs, st, payload, len, out + NTMC_KEY_LEN);
}

static int read_msg2(const struct ntmc_noise *hs, struct noise_state *st,
		     const uint8_t *msg, size_t len, uint8_t *out)
{
	int r;

	read_e(hs, st, msg); /* e */
	r = mix_ee(st);	     /* ee */
	if (r)
		return r;
	r = mix_se(hs, st); /* se */
	if (r)
		return r;
	mix_key_and_hash(st, hs->psk.b); /* psk */
	return decrypt_and_hash(hs, st, msg + NTMC_KEY_LEN, len - NTMC_KEY_LEN,
				out);
}

/* --- public
 * ---------------------------------------------------------------------- */

/* every name is longer than 32 bytes or not: section 5.2 treats them apart */
static void initialize_symmetric(struct noise_state *st,
				 enum ntmc_noise_pattern pattern,
				 enum ntmc_aead_alg aead)
{
	static const char *const names[][3] = {
		[NTMC_NOISE_IKPSK2] =
			{
				[NTMC_AES_256_GCM] =
					"Noise_IKpsk2_25519_AESGCM_SHA256",
				[NTMC_CHACHA20_POLY1305] =
					"Noise_IKpsk2_25519_ChaChaPoly_SHA256",
			},
		[NTMC_NOISE_X] =
			{
				[NTMC_AES_256_GCM] =
					"Noise_X_25519_AESGCM_SHA256",
				[NTMC_CHACHA20_POLY1305] =
					"Noise_X_25519_ChaChaPoly_SHA256",
			},
	};
	const char *name = names[pattern][aead];
	size_t len = strlen(name);

	if (len <= sizeof(st->h))
		memcpy(st->h, name, len); /* padded by the zeros there */
	else
		ntmc_sha256(name, len, st->h);
	memcpy(st->ck, st->h, sizeof(st->ck));
}

static bool config_ok(const struct ntmc_noise_config *c)
{
	if (c->pattern != NTMC_NOISE_IKPSK2 && c->pattern != NTMC_NOISE_X)
		return false;
	if (c->aead != NTMC_AES_256_GCM && c->aead != NTMC_CHACHA20_POLY1305)
		return false;
	if (!c->static_priv || (c->prologue_len && !c->prologue))
		return false;
	if (c->initiator != (c->peer_static != NULL))
		return false;
	return c->pattern == NTMC_NOISE_IKPSK2 || !c->psk;
}

int ntmc_noise_new(const struct ntmc_noise_config *conf,
		   struct ntmc_noise **out)
{
	struct ntmc_noise *hs;
	struct noise_state *st;

	if (!config_ok(conf))
		return -NTM_EINVAL;
	hs = calloc(1, sizeof(*hs));
	if (!hs)
		return -NTM_ENOMEM;
	hs->step = NOISE_MSG1;
	hs->pattern = conf->pattern;
	hs->aead = conf->aead;
	hs->initiator = conf->initiator;
	hs->env = conf->env;
	hs->agreed = conf->agreed;
	hs->s = *conf->static_priv;
	if (conf->static_pub)
		memcpy(hs->s_pub, conf->static_pub, NTMC_KEY_LEN);
	else
		ntmc_x25519_public(&hs->s, hs->s_pub);
	if (conf->psk) {
		hs->psk = *conf->psk;
		hs->has_psk = true;
	}

	st = &hs->st;
	initialize_symmetric(st, conf->pattern, conf->aead);
	mix_hash(st, conf->prologue, conf->prologue_len);
	if (conf->initiator) {
		memcpy(st->rs, conf->peer_static, NTMC_KEY_LEN);
		st->has_rs = true;
		mix_hash(st, st->rs, NTMC_KEY_LEN); /* <- s */
	} else {
		mix_hash(st, hs->s_pub, NTMC_KEY_LEN); /* <- s */
	}
	*out = hs;
	return 0;
}

void ntmc_noise_free(struct ntmc_noise *n)
{
	if (!n)
		return;
	ntmc_wipe(n, sizeof(*n));
	free(n);
}

/* the step's message was handled: commit the copy, or end the handshake */
static void noise_finish(struct ntmc_noise *hs, struct noise_state *st, int r)
{
	if (r) {
		hs->step = NOISE_DEAD;
		ntmc_wipe(&hs->st, sizeof(hs->st));
		ntmc_key_clear(&hs->s);
		ntmc_key_clear(&hs->psk);
	} else {
		hs->st = *st;
		hs->step = hs->step == NOISE_MSG1 &&
					   hs->pattern == NTMC_NOISE_IKPSK2
				   ? NOISE_MSG2
				   : NOISE_DONE;
	}
	ntmc_wipe(st, sizeof(*st));
}

/* message 1 is the initiator's; message 2 needs the psk on either side */
static bool noise_turn(const struct ntmc_noise *hs, bool write)
{
	if (hs->step == NOISE_MSG1)
		return hs->initiator == write;
	return hs->step == NOISE_MSG2 && hs->initiator != write && hs->has_psk;
}

int ntmc_noise_write(struct ntmc_noise *n, const void *payload, size_t len,
		     uint8_t *out, size_t out_size, size_t *out_len)
{
	bool first = n->step == NOISE_MSG1;
	size_t overhead = first ? MSG1_OVERHEAD : MSG2_OVERHEAD;
	struct noise_state st;
	int r;

	if (!noise_turn(n, true))
		return -NTM_ESTATE;
	if (len > NTMC_NOISE_MSG_MAX - overhead || out_size < len + overhead)
		return -NTM_ETOOBIG;
	st = n->st;
	r = first ? write_msg1(n, &st, payload, len, out)
		  : write_msg2(n, &st, payload, len, out);
	noise_finish(n, &st, r);
	if (r)
		ntmc_wipe(out, len + overhead);
	else
		*out_len = len + overhead;
	return r;
}

int ntmc_noise_read(struct ntmc_noise *n, const uint8_t *msg, size_t len,
		    void *out, size_t out_size, size_t *out_len)
{
	bool first = n->step == NOISE_MSG1;
	size_t overhead = first ? MSG1_OVERHEAD : MSG2_OVERHEAD;
	struct noise_state st;
	int r;

	if (!noise_turn(n, false))
		return -NTM_ESTATE;
	if (len > NTMC_NOISE_MSG_MAX ||
	    (len >= overhead && out_size < len - overhead))
		return -NTM_ETOOBIG;
	st = n->st;
	if (len < overhead)
		r = -NTM_EDECODE;
	else
		r = first ? read_msg1(n, &st, msg, len, out)
			  : read_msg2(n, &st, msg, len, out);
	if (r && !first)
		ntmc_wipe(&st, sizeof(st)); /* wait on: see Theory */
	else
		noise_finish(n, &st, r);
	if (!r)
		*out_len = len - overhead;
	return r;
}

bool ntmc_noise_done(const struct ntmc_noise *n)
{
	return n->step == NOISE_DONE || n->step == NOISE_SPLIT;
}

const uint8_t *ntmc_noise_peer_static(const struct ntmc_noise *n)
{
	return n->st.has_rs ? n->st.rs : NULL;
}

const uint8_t *ntmc_noise_hash(const struct ntmc_noise *n)
{
	return n->st.h;
}

int ntmc_noise_set_psk(struct ntmc_noise *n, const struct ntmc_key *psk)
{
	if (n->pattern != NTMC_NOISE_IKPSK2 || n->step > NOISE_MSG2)
		return -NTM_ESTATE;
	n->psk = *psk;
	n->has_psk = true;
	return 0;
}

int ntmc_noise_split(struct ntmc_noise *n, struct ntmc_key *send,
		     struct ntmc_key *recv, struct ntmc_key *resume)
{
	struct ntmc_key *k1 = n->initiator ? send : recv;
	struct ntmc_key *k2 = n->initiator ? recv : send;
	uint8_t keys[2 * NTMC_KEY_LEN];
	struct ntmc_key ck;
	int r = 0;

	if (n->step != NOISE_DONE)
		return -NTM_ESTATE;
	/* a one-way pattern has no key for the way back */
	if (!k1 || (n->pattern == NTMC_NOISE_X) != !k2)
		return -NTM_EINVAL;

	noise_hkdf(n->st.ck, NULL, 0, keys, 2);
	memcpy(ck.b, n->st.ck, sizeof(ck.b));
	if (resume)
		r = ntmc_derive(&ck, n->st.h, sizeof(n->st.h), "ntm resume v1",
				NULL, 0, resume);
	if (!r) {
		memcpy(k1->b, keys, NTMC_KEY_LEN);
		if (k2)
			memcpy(k2->b, keys + NTMC_KEY_LEN, NTMC_KEY_LEN);
		ntmc_wipe(n->st.ck, sizeof(n->st.ck));
		ntmc_key_clear(&n->st.k);
		ntmc_key_clear(&n->st.e);
		ntmc_key_clear(&n->s);
		ntmc_key_clear(&n->psk);
		n->step = NOISE_SPLIT;
	}
	ntmc_wipe(keys, sizeof(keys));
	ntmc_key_clear(&ck);
	return r;
}
