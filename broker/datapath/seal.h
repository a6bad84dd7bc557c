/* SPDX-License-Identifier: MIT */
/*
 * seal - key phases: which keys send, which open, and their counters
 *
 * Owner:    a tunnel owns its phases. Context: loop thread.
 * A counter is used once: it is raised before the seal that uses it.
 */
#ifndef NTM_BROKER_DATAPATH_SEAL_H
#define NTM_BROKER_DATAPATH_SEAL_H

#include "broker/datapath/state.h"

/** wipe one, or all, of a tunnel's phases */
void seal_clear(struct dp_tunnel *t);
/** are there keys, and counters left, to send with? */
bool seal_ready(const struct dp_tunnel *t);
/** the phase named @phase, or NULL */
struct dp_phase *seal_find(struct dp_tunnel *t, uint8_t phase);
/** a valid packet came under @p. true: it was the first, and sending may have
 *  moved to @p */
bool seal_heard(struct dp_tunnel *t, struct dp_phase *p);
/**
 * seal_datagram() - header, ciphertext and tag at @dst
 * @flags: of PACKET_DATA
 * @head, @body: the plaintext in two pieces
 * @dst:   PACKET_OVERHEAD more bytes than the plaintext
 *
 * Return: bytes of the datagram, 0 when it may not be sealed
 */
uint32_t seal_datagram(struct dp_tunnel *t, uint8_t flags, const void *head,
		       size_t head_len, const void *body, size_t body_len,
		       uint8_t *dst);

#endif
