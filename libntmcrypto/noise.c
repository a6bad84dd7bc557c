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
 * its content ends the handshake: what follows could only be guessed at. A
 * call out of turn, or with too small a buffer, changes nothing.
 *
 * The nonce follows the specification: little-endian for ChaChaPoly,
 * big-endian for AESGCM. (The data path's ntmc_aead_* is big-endian for both;
 * with the first packet's counter 0 the two agree, later they do not.)
 */
#include "libntmcrypto/aead.h"

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
	struct ntmc_key s, psk;
	uint8_t s_pub[NTMC_KEY_LEN];
	struct noise_state st;
};

/* --- SymmetricState (section 5.2) --------------------------------------------- */

/* HKDF(ck, ikm, n): @n outputs of 32 bytes each */
static int noise_hkdf(const uint8_t *ck, const void *ikm, size_t ikm_len,
		      uint8_t *out, size_t n)
{
	uint8_t prk[NTMC_HASH_LEN];
	int r;

	r = ntmc_hkdf_extract(ck, NTMC_HASH_LEN, ikm, ikm_len, prk);
	if (!r)
		r = ntmc_hkdf_expand(prk, NULL, 0, out, n * NTMC_HASH_LEN);
	ntmc_wipe(prk, sizeof(prk));
	return r;
}

/* h = HASH(h || data), where data may be longer than any buffer here: hashed
 * by the caller's own bytes, so the copy is bounded by NTMC_NOISE_MSG_MAX */
static int mix_hash(struct noise_state *st, const void *data, size_t len)
{
	uint8_t small[NTMC_HASH_LEN + 256], *buf = small;

	if (len > sizeof(small) - NTMC_HASH_LEN)
		buf = malloc(NTMC_HASH_LEN + len);
	if (!buf)
		return -NTM_ENOMEM;
	memcpy(buf, st->h, NTMC_HASH_LEN);
	if (len)
		memcpy(buf + NTMC_HASH_LEN, data, len);
	ntmc_sha256(buf, NTMC_HASH_LEN + len, st->h);
	if (buf != small)
		free(buf);
	return 0;
}
