/* SPDX-License-Identifier: MIT */
/*
 * noise_vectors - published handshakes, from the vectors of the Haskell library
 * cacophony (the same that other implementations of Noise test against)
 *
 * One set of keys serves all; a vector is a hash and what each message becomes.
 * The hash they publish is not h at the end, but as it stood earlier: for
 * IKpsk2 after the token "e" of message 2, for X before message 1.
 * Message 1 and, for IKpsk2, 2 are the handshake; the others
 * are transport messages, alternating for IKpsk2, all the initiator's for X.
 */
#ifndef NTM_TESTS_UNIT_LIBNTMCRYPTO_NOISE_VECTORS_H
#define NTM_TESTS_UNIT_LIBNTMCRYPTO_NOISE_VECTORS_H

#include "libntmcrypto/ntmcrypto.h"

#define NOISE_MESSAGES 6

#define NOISE_VECTORS 4

extern const char noise_prologue[];
extern const char noise_psk[];
extern const char noise_init_static[];
extern const char noise_init_ephemeral[];
extern const char noise_resp_static[];
extern const char noise_resp_static_pub[];
extern const char noise_init_static_pub[];
extern const char noise_resp_ephemeral[];
extern const char *const noise_payloads[NOISE_MESSAGES];

struct noise_vector {
	enum ntmc_noise_pattern pattern;
	enum ntmc_aead_alg aead;
	const char *hash;
	const char *message[NOISE_MESSAGES];
};

extern const struct noise_vector noise_vectors[NOISE_VECTORS];

#endif
