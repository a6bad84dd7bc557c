/* SPDX-License-Identifier: MIT */
/*
 * gateframe - datagrams in a stream: what travels between a node and a relay's gate
 *
 * Where no UDP passes, a node speaks TLS with its relay, and on that stream frames
 * of u16 length | u8 where | datagram. Lengths are big-endian and count the datagram
 * alone. Context: any.
 */
#ifndef NTM_COMMON_GATEFRAME_H
#define NTM_COMMON_GATEFRAME_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/packet.h"

#define GATEFRAME_HEAD 3
#define GATEFRAME_MAX  (GATEFRAME_HEAD + PACKET_DATA_MAX)

/** enum gate_side - who is spoken to behind the gate */
enum gate_side {
	GATE_RELAY, /* the relay itself: probes, punches, tunnels' packets */
	GATE_DC,    /* the DC that it works for: Signals */
	GATE_SIDES
};

/** writes the head of a datagram of @len bytes: GATEFRAME_HEAD bytes */
static inline void gateframe_put(uint8_t *out, enum gate_side side, size_t len)
{
	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	out[2] = (uint8_t)side;
}

/** struct gateframe - one datagram, where it lies */
struct gateframe {
	enum gate_side side;
	uint8_t *data;
	size_t len;
};

/** the first frame of @len bytes. Return: bytes of it; 0: more must come;
 *  -NTM_EDECODE. @out is untouched unless it is whole */
NTM_MUST_CHECK int gateframe_get(uint8_t *buf, size_t len,
				 struct gateframe *out);

#endif
