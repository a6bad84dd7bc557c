/* SPDX-License-Identifier: MIT */
/*
 * item - prekeys, and K sealed to one
 *
 * Theory of operation
 *
 * K goes to each receiver in a Noise X message to its prekey: so whoever holds
 * the receiver's long-lived keys later cannot read what came before, once the
 * prekey is wiped. Noise X says who sealed only to the receiver itself (it could
 * have made the message with its own key), and by the static key; the identity's
 * signature inside says it by what is pinned, for this item, these names and
 * this prekey: it fits no other envelope.
 *
 * The second seal, under T, makes the first one need both halves of the way:
 * the CS has K sealed twice but no T, the DC's box has T but no K.
 *
 * All that is signed or hashed is written by struct text, of fixed size: names
 * are checked for their length before, so nothing is ever cut.
 */
#include "libntmcrypto/item.h"

#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/aead.h"
#include "libntmcrypto/cert.h"

#define NOISE_X_OVERHEAD 96
#define PLAIN_MIN	 (NTMC_KEY_LEN + 2 + 8 + NTMC_SIG_LEN)
#define HEAD_LEN	 (PREKEY_ID_LEN + 1)

/* bytes one after the other, to be signed or bound */
struct text {
	uint8_t b[1024];
	size_t len;
};

static void put(struct text *t, const void *data, size_t len)
{
	memcpy(t->b + t->len, data, len);
	t->len += len;
}

static void put_number(struct text *t, uint64_t v, unsigned int bytes)
{
	while (bytes--)
		t->b[t->len++] = (uint8_t)(v >> 8 * bytes);
}

static void put_name(struct text *t, const char *name)
{
	size_t len = strlen(name);

	put_number(t, len, 2);
	put(t, name, len);
}

static bool name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len && len <= NTMC_FQDN_MAX;
}

static uint64_t number(const uint8_t *p, unsigned int bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

/* --- prekeys
 * -------------------------------------------------------------------- */

static void prekey_text(const struct prekey *p, struct text *t)
{
	t->len = 0;
	put(t, "ntm prekey v1", 13);
	put_name(t, p->fqdn);
	put(t, p->id, sizeof(p->id));
	put(t, p->pub, sizeof(p->pub));
	put_number(t, (uint64_t)p->not_before, 8);
	put_number(t, (uint64_t)p->not_after, 8);
}

static bool prekey_life_ok(const struct prekey *p)
{
	return p->not_before > 0 && p->not_after > p->not_before &&
	       p->not_after - p->not_before <= PREKEY_LIFE_MAX_S;
}

int prekey_sign(const struct ntmc_identity *id, struct prekey *p)
{
	struct text t;

	if (!name_ok(p->fqdn) || !prekey_life_ok(p))
		return -NTM_EINVAL;
	prekey_text(p, &t);
	ntmc_ed25519_sign(&id->ed_priv, id->ed_pub, t.b, t.len, p->sig);
	return 0;
}

int prekey_verify(const struct prekey *p, const struct ntmc_trust *trust,
		  const uint8_t *cert, size_t cert_len, int64_t now,
		  struct ntmc_cert *out)
{
	struct ntmc_cert c;
	struct text t;
	int r;

	if (!name_ok(p->fqdn) || !prekey_life_ok(p))
		return -NTM_EINVAL;
	if (p->not_before > now + ITEM_CLOCK_S)
		return -NTM_ECLOCK;
	if (p->not_after <= now)
		return -NTM_EEXPIRED;
	r = ntmc_trust_verify(trust, cert, cert_len, p->not_before, &c);
	if (r)
		return r;
	if (c.kind != NTMC_CERT_NODE || strcmp(c.fqdn, p->fqdn))
		return -NTM_ECERT;
	prekey_text(p, &t);
	r = trust_signed(trust, c.ed_pub, t.b, t.len, p->sig);
	if (!r)
		*out = c;
	return r;
}

/* --- K, sealed to a prekey
 * ------------------------------------------------------ */

/* the Item ID and both names, behind @label */
static void names_text(struct text *t, const char *label,
		       const struct item_names *n)
{
	t->len = 0;
	put(t, label, strlen(label));
	put(t, n->item, ITEM_ID_LEN);
	put_name(t, n->sender);
	put_name(t, n->receiver);
}

static void signature_text(struct text *t, const struct item_names *n,
			   const uint8_t *prekey, const struct ntmc_key *k,
			   int64_t when)
{
	names_text(t, "ntm item sig v1", n);
	put(t, prekey, NTMC_KEY_LEN);
	put(t, k->b, sizeof(k->b));
	put_number(t, (uint64_t)when, 8);
}

static int noise_open(const struct ntmc_env *env, const struct item_names *n,
		      enum ntmc_aead_alg alg, const struct ntmc_key *priv,
		      const uint8_t *pub, const uint8_t *peer,
		      struct ntmc_agreed *agreed, struct ntmc_noise **out)
{
	struct text t;
	struct ntmc_noise_config c = {
		.pattern = NTMC_NOISE_X,
		.aead = alg,
		.initiator = peer != NULL,
		.prologue = t.b,
		.static_priv = priv,
		.static_pub = pub,
		.peer_static = peer,
		.env = env,
		.agreed = agreed,
	};

	names_text(&t, "ntm item key v1", n);
	c.prologue_len = t.len;
	return ntmc_noise_new(&c, out);
}

/* K | lp(certificate) | time | signature */
static size_t plain_put(const struct ntmc_env *env,
			const struct ntmc_identity *id, const uint8_t *cert,
			size_t cert_len, const struct item_names *n,
			const struct prekey *p, const struct ntmc_key *k,
			uint8_t *plain)
{
	int64_t when = ntmc_now(env);
	uint8_t *at = plain;
	struct text t;
	int i;

	memcpy(at, k->b, sizeof(k->b));
	at += sizeof(k->b);
	*at++ = (uint8_t)(cert_len >> 8);
	*at++ = (uint8_t)cert_len;
	memcpy(at, cert, cert_len);
	at += cert_len;
	for (i = 7; i >= 0; i--)
		*at++ = (uint8_t)((uint64_t)when >> 8 * i);
	signature_text(&t, n, p->pub, k, when);
	ntmc_ed25519_sign(&id->ed_priv, id->ed_pub, t.b, t.len, at);
	ntmc_wipe(&t, sizeof(t));
	return (size_t)(at - plain) + NTMC_SIG_LEN;
}

int item_key_wrap(const struct ntmc_env *env, const struct ntmc_identity *id,
		  const uint8_t *cert, size_t cert_len,
		  const struct item_names *n, const struct prekey *p,
		  const struct ntmc_key *k, struct ntmc_agreed *agreed,
		  uint8_t out[static ITEM_KEY_MAX], size_t *len)
{
	enum ntmc_aead_alg alg = ntmc_aead_preferred();
	uint8_t plain[ITEM_KEY_MAX];
	struct ntmc_noise *noise;
	size_t plain_len, got;
	int r;

	if (!name_ok(n->sender) || !name_ok(n->receiver))
		return -NTM_EINVAL;
	if (cert_len > NTMC_CERT_MAX)
		return -NTM_ETOOBIG;
	r = noise_open(env, n, alg, &id->x_priv, id->x_pub, p->pub, agreed,
		       &noise);
	if (r)
		return r;
	plain_len = plain_put(env, id, cert, cert_len, n, p, k, plain);
	memcpy(out, p->id, PREKEY_ID_LEN);
	out[PREKEY_ID_LEN] = (uint8_t)alg;
	r = ntmc_noise_write(noise, plain, plain_len, out + HEAD_LEN,
			     ITEM_KEY_MAX - HEAD_LEN, &got);
	if (!r)
		*len = HEAD_LEN + got;
	ntmc_wipe(plain, sizeof(plain));
	ntmc_noise_free(noise);
	return r;
}

int item_key_prekey(const uint8_t *msg, size_t len,
		    uint8_t id[static PREKEY_ID_LEN])
{
	if (len < HEAD_LEN + NOISE_X_OVERHEAD + PLAIN_MIN)
		return -NTM_EDECODE;
	memcpy(id, msg, PREKEY_ID_LEN);
	return 0;
}

/* what the message says, once opened: points into it */
struct plain {
	struct ntmc_key k;
	const uint8_t *cert, *sig;
	size_t cert_len;
	int64_t when;
};

static int plain_get(const uint8_t *b, size_t len, struct plain *p)
{
	if (len < PLAIN_MIN)
		return -NTM_EDECODE;
	memcpy(p->k.b, b, sizeof(p->k.b));
	p->cert = b + NTMC_KEY_LEN + 2;
	p->cert_len = (size_t)number(b + NTMC_KEY_LEN, 2);
	if (p->cert_len != len - PLAIN_MIN)
		return -NTM_EDECODE;
	p->when = (int64_t)number(p->cert + p->cert_len, 8);
	p->sig = p->cert + p->cert_len + 8;
	return 0;
}

/* time, certificate, static key, signature: in this order, nothing believed before */
static int plain_verify(const struct ntmc_env *env,
			const struct ntmc_trust *trust,
			const struct item_names *n, const struct plain *p,
			const uint8_t *prekey, const uint8_t *peer,
			struct ntmc_cert *out)
{
	int64_t now = ntmc_now(env);
	struct text t;
	int r;

	if (p->when > now + ITEM_CLOCK_S)
		return -NTM_ECLOCK;
	if (p->when < now - ITEM_RETENTION_S - PREKEY_LIFE_MAX_S)
		return -NTM_EEXPIRED;
	r = ntmc_trust_verify(trust, p->cert, p->cert_len, p->when, out);
	if (r)
		return r;
	if (out->kind != NTMC_CERT_NODE || strcmp(out->fqdn, n->sender) ||
	    !ntmc_equal(out->x_pub, peer, NTMC_KEY_LEN))
		return -NTM_ECERT;
	signature_text(&t, n, prekey, &p->k, p->when);
	r = ntmc_ed25519_verify(out->ed_pub, t.b, t.len, p->sig);
	ntmc_wipe(&t, sizeof(t));
	return r;
}

int item_key_unwrap(const struct ntmc_env *env, const struct ntmc_trust *trust,
		    const struct item_names *n, const struct ntmc_key *prekey,
		    const uint8_t pub[static NTMC_KEY_LEN],
		    struct ntmc_agreed *agreed, const uint8_t *msg, size_t len,
		    struct ntmc_key *k, struct ntmc_cert *out)
{
	uint8_t plain[ITEM_KEY_MAX];
	struct ntmc_noise *noise;
	struct ntmc_cert cert;
	struct plain p;
	size_t got = 0;
	int r;

	if (!name_ok(n->sender) || !name_ok(n->receiver) ||
	    len < HEAD_LEN + NOISE_X_OVERHEAD + PLAIN_MIN || len > ITEM_KEY_MAX)
		return -NTM_EDECODE;
	r = noise_open(env, n, (enum ntmc_aead_alg)msg[PREKEY_ID_LEN], prekey,
		       pub, NULL, agreed, &noise);
	if (r)
		return r == -NTM_EINVAL ? -NTM_EDECODE : r;
	r = ntmc_noise_read(noise, msg + HEAD_LEN, len - HEAD_LEN, plain,
			    sizeof(plain), &got);
	if (!r)
		r = plain_get(plain, got, &p);
	if (!r)
		r = plain_verify(env, trust, n, &p, pub,
				 ntmc_noise_peer_static(noise), &cert);
	if (!r) {
		*k = p.k;
		*out = cert;
	}
	ntmc_wipe(&p, sizeof(p));
	ntmc_wipe(plain, sizeof(plain));
	ntmc_noise_free(noise);
	return r;
}

/* --- under the temporal key
 * --------------------------------------------------- */

static int temporal_key(const struct ntmc_key *t, const uint8_t *item,
			struct ntmc_key *out)
{
	return ntmc_derive(t, item, ITEM_ID_LEN, "ntm item temporal v1", NULL,
			   0, out);
}

int item_temporal_seal(const struct ntmc_key *t,
		       const uint8_t item[static ITEM_ID_LEN],
		       const uint8_t *msg, size_t len, uint8_t *out,
		       size_t *out_len)
{
	static const uint8_t zero[AEAD_NONCE_LEN];
	enum ntmc_aead_alg alg = ntmc_aead_preferred();
	struct ntmc_key key;
	int r;

	if (len > ITEM_KEY_MAX)
		return -NTM_ETOOBIG;
	r = temporal_key(t, item, &key);
	if (!r)
		r = aead_encrypt(alg, &key, zero, item, ITEM_ID_LEN, msg, len,
				 out + 1);
	if (!r) {
		out[0] = (uint8_t)alg;
		*out_len = 1 + len + NTMC_TAG_LEN;
	}
	ntmc_key_clear(&key);
	return r;
}

int item_temporal_open(const struct ntmc_key *t,
		       const uint8_t item[static ITEM_ID_LEN],
		       const uint8_t *msg, size_t len, uint8_t *out,
		       size_t *out_len)
{
	static const uint8_t zero[AEAD_NONCE_LEN];
	struct ntmc_key key;
	int r;

	if (len > ITEM_SEALED_MAX)
		return -NTM_ETOOBIG;
	if (len < 1 + NTMC_TAG_LEN)
		return -NTM_EDECODE;
	r = temporal_key(t, item, &key);
	if (!r)
		r = aead_decrypt((enum ntmc_aead_alg)msg[0], &key, zero, item,
				 ITEM_ID_LEN, msg + 1, len - 1, out);
	ntmc_key_clear(&key);
	if (r == -NTM_EINVAL)
		return -NTM_EDECODE; /* no such algorithm */
	if (!r)
		*out_len = len - 1 - NTMC_TAG_LEN;
	return r;
}

void item_temporal_hash(const struct ntmc_key *t,
			uint8_t out[static NTMC_HASH_LEN])
{
	static const char label[] = "ntm temporal hash v1";
	uint8_t in[sizeof(label) - 1 + NTMC_KEY_LEN];

	memcpy(in, label, sizeof(label) - 1);
	memcpy(in + sizeof(label) - 1, t->b, NTMC_KEY_LEN);
	ntmc_sha256(in, sizeof(in), out);
	ntmc_wipe(in, sizeof(in));
}
