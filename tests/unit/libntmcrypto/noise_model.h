/* SPDX-License-Identifier: MIT */
/*
 * noise_model - the handshake hash of a published vector, worked out apart
 *
 * Owner:    none.
 */
#ifndef NTM_TESTS_UNIT_LIBNTMCRYPTO_NOISE_MODEL_H
#define NTM_TESTS_UNIT_LIBNTMCRYPTO_NOISE_MODEL_H

#include <stdint.h>

struct noise_vector;

/**
 * noise_model_hash() - h after the handshake, from the published one of an
 * earlier moment (noise_vectors.h): what is mixed in after it is mixed in here
 */
void noise_model_hash(const struct noise_vector *v, uint8_t h[static 32]);

#endif
