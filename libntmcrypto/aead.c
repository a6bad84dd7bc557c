/* SPDX-License-Identifier: MIT */
/*
 * aead - AES-256-GCM and ChaCha20-Poly1305
 *
 * Theory of operation
 *
 * Two libraries serve two needs. A tunnel seals hundreds of thousands of
 * packets a second under one key: struct ntmc_aead is a GnuTLS handle, whose
 * GCM interleaves AES and GHASH and is twice as fast as Nettle's; on CPUs with
 * VAES it is a key of vaes.c instead, more than twice as fast again. A server
 * seals one datagram under each of a million keys: ntmc_seal_once() expands
 * the key into a Nettle context on the stack and wipes it, so no handle and no
 * key outlives the call and no call allocates.
 *
 * The contiguous calls gnutls_aead_cipher_encrypt() and _decrypt() take the
 * same buffer for both sides; they are some 10 % faster than the scattered
 * encryptv2() and decryptv2(), so ntmc_aead_seal_iov() gathers first, unless
 * head and body lie one after the other already.
 *
 * GnuTLS leaves unverified plaintext in the buffer when the tag is wrong;
 * every open here wipes it.
 */
#include "libntmcrypto/aead.h"

#include <endian.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <nettle/chacha-poly1305.h>
#include <nettle/gcm.h>
#include <stdlib.h>
#include <string.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "libntmcrypto/vaes.h"

#define AD_MAX (1u << 16)

struct ntmc_aead {
	struct vaes_key *vaes; /* or else: */
	gnutls_aead_cipher_hd_t hd;
};

enum ntmc_aead_alg ntmc_aead_preferred(void)
{
#if defined(__x86_64__) || defined(__i386__)
	if (__builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul"))
		return NTMC_AES_256_GCM;
#elif defined(__aarch64__)
	unsigned long caps = getauxval(AT_HWCAP);

	if ((caps & HWCAP_AES) && (caps & HWCAP_PMULL))
		return NTMC_AES_256_GCM;
#endif
	return NTMC_CHACHA20_POLY1305;
}

/* 4 zero bytes and the counter, big-endian */
static void nonce_put(uint8_t nonce[static AEAD_NONCE_LEN], uint64_t counter)
{
	uint64_t be = htobe64(counter);

	memset(nonce, 0, 4);
	memcpy(nonce + 4, &be, sizeof(be));
}

/* --- handles: vaes.c or GnuTLS -------------------------------------------------------
 */

int ntmc_aead_new(enum ntmc_aead_alg alg, const struct ntmc_key *key,
		  struct ntmc_aead **out)
{
	gnutls_datum_t k = {.data = (uint8_t *)key->b, .size = sizeof(key->b)};
	gnutls_cipher_algorithm_t cipher;
	struct ntmc_aead *a;

	if (alg == NTMC_AES_256_GCM)
		cipher = GNUTLS_CIPHER_AES_256_GCM;
	else if (alg == NTMC_CHACHA20_POLY1305)
		cipher = GNUTLS_CIPHER_CHACHA20_POLY1305;
	else
		return -NTM_EINVAL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -NTM_ENOMEM;
	if (alg == NTMC_AES_256_GCM)
		a->vaes = vaes_key_new(key);
	if (!a->vaes && gnutls_aead_cipher_init(&a->hd, cipher, &k) < 0) {
		free(a);
		return -NTM_ENOMEM;
	}
	*out = a;
	return 0;
}

void ntmc_aead_free(struct ntmc_aead *a)
{
	if (!a)
		return;
	if (a->vaes)
		vaes_key_free(a->vaes);
	else
		gnutls_aead_cipher_deinit(a->hd); /* wipes its key schedule */
	free(a);
}

/* @out may equal @in */
static int seal_nonce(struct ntmc_aead *a, const uint8_t *nonce, const void *ad,
		      size_t ad_len, const uint8_t *in, size_t len,
		      uint8_t *out)
{
	size_t sealed = len + NTMC_TAG_LEN;

	if (ad_len > AD_MAX || sealed < len)
		return -NTM_EINVAL;
	if (a->vaes)
		vaes_seal(a->vaes, nonce, ad, ad_len, in, len, out);
	else if (gnutls_aead_cipher_encrypt(a->hd, nonce, AEAD_NONCE_LEN, ad,
					    ad_len, NTMC_TAG_LEN, in, len, out,
					    &sealed) < 0)
		return -NTM_EINVAL;
	return 0;
}

int aead_seal_nonce(struct ntmc_aead *a,
		    const uint8_t nonce[static AEAD_NONCE_LEN], const void *ad,
		    size_t ad_len, uint8_t *buf, size_t len)
{
	return seal_nonce(a, nonce, ad, ad_len, buf, len, buf);
}

static int seal_to(struct ntmc_aead *a, uint64_t counter, const void *ad,
		   size_t ad_len, const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t nonce[AEAD_NONCE_LEN];

	nonce_put(nonce, counter);
	return seal_nonce(a, nonce, ad, ad_len, in, len, out);
}

int ntmc_aead_seal(struct ntmc_aead *a, uint64_t counter, const void *ad,
		   size_t ad_len, uint8_t *buf, size_t len)
{
	return seal_to(a, counter, ad, ad_len, buf, len, buf);
}

/* Can @len bytes be read at @in while they are written, tag and all, at @out? */
static bool apart(const uint8_t *in, const uint8_t *out, size_t len)
{
	return in == out || in + len <= out || out + len + NTMC_TAG_LEN <= in;
}

int ntmc_aead_seal_iov(struct ntmc_aead *a, uint64_t counter, const void *ad,
		       size_t ad_len, const void *head, size_t head_len,
		       const void *body, size_t body_len, uint8_t *dst)
{
	size_t len = head_len + body_len;
	const uint8_t *in = head_len ? head : body;

	if (head_len > SIZE_MAX - NTMC_TAG_LEN - body_len)
		return -NTM_EINVAL;
	if (len && (!head_len || !body_len || in + head_len == body) &&
	    apart(in, dst, len))
		return seal_to(a, counter, ad, ad_len, in, len, dst);
	if (body_len)
		memmove(dst + head_len, body, body_len);
	if (head_len)
		memcpy(dst, head, head_len);
	return ntmc_aead_seal(a, counter, ad, ad_len, dst, len);
}

int ntmc_aead_open(struct ntmc_aead *a, uint64_t counter, const void *ad,
		   size_t ad_len, uint8_t *buf, size_t len)
{
	uint8_t nonce[AEAD_NONCE_LEN];

	nonce_put(nonce, counter);
	return aead_open_nonce(a, nonce, ad, ad_len, buf, len);
}

int aead_open_nonce(struct ntmc_aead *a,
		    const uint8_t nonce[static AEAD_NONCE_LEN], const void *ad,
		    size_t ad_len, uint8_t *buf, size_t len)
{
	size_t plain;

	if (ad_len > AD_MAX || len < NTMC_TAG_LEN)
		return -NTM_EINVAL;
	plain = len - NTMC_TAG_LEN;
	if (a->vaes && !vaes_open(a->vaes, nonce, ad, ad_len, buf, plain)) {
		ntmc_wipe(buf, len);
		return -NTM_EAUTH;
	}
	if (a->vaes)
		return 0;
	if (gnutls_aead_cipher_decrypt(a->hd, nonce, AEAD_NONCE_LEN, ad, ad_len,
				       NTMC_TAG_LEN, buf, len, buf,
				       &plain) < 0) {
		ntmc_wipe(buf, len);
		return -NTM_EAUTH;
	}
	return 0;
}

/* --- one shot: Nettle, on the stack ------------------------------------------
 */

/* both directions; the tag over the ciphertext is written to @tag */
static int gcm_once(const struct ntmc_key *key, const uint8_t *nonce,
		    const void *ad, size_t ad_len, const uint8_t *in,
		    size_t len, uint8_t *out, uint8_t *tag, bool encrypt)
{
	struct gcm_aes256_ctx c;

	gcm_aes256_set_key(&c, key->b);
	gcm_aes256_set_iv(&c, AEAD_NONCE_LEN, nonce);
	gcm_aes256_update(&c, ad_len, ad);
	if (encrypt)
		gcm_aes256_encrypt(&c, len, out, in);
	else
		gcm_aes256_decrypt(&c, len, out, in);
	gcm_aes256_digest(&c, NTMC_TAG_LEN, tag);
	ntmc_wipe(&c, sizeof(c));
	return 0;
}

static int chacha_once(const struct ntmc_key *key, const uint8_t *nonce,
		       const void *ad, size_t ad_len, const uint8_t *in,
		       size_t len, uint8_t *out, uint8_t *tag, bool encrypt)
{
	struct chacha_poly1305_ctx c;

	chacha_poly1305_set_key(&c, key->b);
	chacha_poly1305_set_nonce(&c, nonce);
	chacha_poly1305_update(&c, ad_len, ad);
	if (encrypt)
		chacha_poly1305_encrypt(&c, len, out, in);
	else
		chacha_poly1305_decrypt(&c, len, out, in);
	chacha_poly1305_digest(&c, NTMC_TAG_LEN, tag);
	ntmc_wipe(&c, sizeof(c));
	return 0;
}

static int aead_once(enum ntmc_aead_alg alg, const struct ntmc_key *key,
		     const uint8_t *nonce, const void *ad, size_t ad_len,
		     const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag,
		     bool encrypt)
{
	if (ad_len > AD_MAX)
		return -NTM_EINVAL;
	switch (alg) {
	case NTMC_AES_256_GCM:
		return gcm_once(key, nonce, ad, ad_len, in, len, out, tag,
				encrypt);
	case NTMC_CHACHA20_POLY1305:
		return chacha_once(key, nonce, ad, ad_len, in, len, out, tag,
				   encrypt);
	}
	return -NTM_EINVAL;
}

int aead_encrypt(enum ntmc_aead_alg alg, const struct ntmc_key *key,
		 const uint8_t nonce[static AEAD_NONCE_LEN], const void *ad,
		 size_t ad_len, const uint8_t *in, size_t len, uint8_t *out)
{
	return aead_once(alg, key, nonce, ad, ad_len, in, len, out, out + len,
			 true);
}

int aead_decrypt(enum ntmc_aead_alg alg, const struct ntmc_key *key,
		 const uint8_t nonce[static AEAD_NONCE_LEN], const void *ad,
		 size_t ad_len, const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t tag[NTMC_TAG_LEN];
	int r;

	if (len < NTMC_TAG_LEN)
		return -NTM_EINVAL;
	len -= NTMC_TAG_LEN;
	r = aead_once(alg, key, nonce, ad, ad_len, in, len, out, tag, false);
	if (!r && !ntmc_equal(tag, in + len, sizeof(tag)))
		r = -NTM_EAUTH;
	if (r == -NTM_EAUTH)
		ntmc_wipe(out, len);
	ntmc_wipe(tag, sizeof(tag)); /* of a forgery: not to be learned */
	return r;
}

int ntmc_seal_once(enum ntmc_aead_alg alg, const struct ntmc_key *key,
		   uint64_t counter, const void *ad, size_t ad_len,
		   uint8_t *buf, size_t len)
{
	uint8_t nonce[AEAD_NONCE_LEN];

	nonce_put(nonce, counter);
	return aead_encrypt(alg, key, nonce, ad, ad_len, buf, len, buf);
}

int ntmc_open_once(enum ntmc_aead_alg alg, const struct ntmc_key *key,
		   uint64_t counter, const void *ad, size_t ad_len,
		   uint8_t *buf, size_t len)
{
	uint8_t nonce[AEAD_NONCE_LEN];
	int r;

	nonce_put(nonce, counter);
	r = aead_decrypt(alg, key, nonce, ad, ad_len, buf, len, buf);
	if (r == -NTM_EAUTH)
		ntmc_wipe(buf, len); /* the tag too, as ntmc_aead_open() */
	return r;
}
