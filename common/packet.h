/* SPDX-License-Identifier: MIT */
/*
 * packet - the 20-byte header of every UDP datagram, and its numbers
 *
 *   0      1        2      3      4                12               20
 *   +------+--------+------+------+----------------+----------------+---------...
 *   | type | version| phase| flags| id, 64 bit     | counter, 64 bit| sealed | tag 16
 *   +------+--------+------+------+----------------+----------------+---------...
 *
 * Big-endian. The header is the AEAD's additional data, the counter its nonce.
 * One UDP port per family carries signalling and tunnels, so that a NAT mapping
 * the DC has seen serves the peers too.
 *
 * id: DATA and TUNNEL_*: the Path ID. The DC draws 63 random bits; bit 0 names the
 *     receiver: 0 the node that sent the Direction Request (MN), 1 the other (CN).
 *     One Path ID lives through rekeys, moves and resumptions of its tunnel.
 *     HOLE_PUNCH*: the Path ID with the bit of the node's own end: 0 MN, 1 CN.
 *     SIGNAL: the Node ID, drawn by the AS at login; of an RS: by the DC.
 *     With PACKET_PLACE and GROUP: the tag of the group's epoch.
 *     RELAY_PROBE*: the relay's id.
 * counter: DATA: 0, 1, 2 ... under each key. SIGNAL: boot number of the sender in
 *     the upper 24 bits, raised durably before each start, then 40 bits of
 *     sequence: no state lost at a crash can repeat a nonce. TUNNEL_*, HOLE_PUNCH*,
 *     RELAY_PROBE: random; the answer to a probe repeats it. Of HOLE_PUNCH with
 *     PACKET_PLACE the upper 16 bits are the place, 48 are random.
 */
#ifndef NTM_COMMON_PACKET_H
#define NTM_COMMON_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define PACKET_VERSION	  1
#define PACKET_HEADER_LEN 20
#define PACKET_ID_AT	  4    /* in it */
#define PACKET_OVERHEAD	  36   /* header and tag */
#define PACKET_SIGNAL_MAX 1232 /* any datagram but DATA: fits IPv6's 1280 */
#define PACKET_DATA_MAX	  9216 /* a sealed datagram, header and tag included */
#define PACKET_BOOT_SHIFT 40

enum packet_type {
	PACKET_DATA = 1,
	PACKET_SIGNAL = 2,
	PACKET_TUNNEL_REQUEST = 3,
	PACKET_TUNNEL_RESPONSE = 4,
	PACKET_HOLE_PUNCH = 5,	   /* node -> RS */
	PACKET_HOLE_PUNCH_ACK = 6, /* RS -> node */
	PACKET_RELAY_PROBE = 7,	   /* anybody -> RS, clear; see below */
	PACKET_RELAY_PROBE_ACK = 8,
	PACKET_GROUP = 9, /* docs/groups.md, Packets */
};

/* flags of DATA */
#define PACKET_NOCSUM  0x01 /* transport checksum holds the pseudo-header only */
#define PACKET_PART    0x02 /* half of an inner packet; 4-byte part header first */
#define PACKET_LAST    0x04 /* with PART: the second half */
#define PACKET_CONTROL 0x08 /* a TunnelControl message, not an IP packet */
#define PACKET_INNER                                                           \
	0x10 /* a whole datagram of a group, which no relay passes on */
/* flags of TUNNEL_* */
#define PACKET_RESUME 0x01 /* sealed under the resumption secret, not Ktun */

/* flags of HOLE_PUNCH and its answer */
#define PACKET_PLACE	   0x01 /* of a group's relay, not of a path */
#define PACKET_PLACE_SHIFT 48

struct packet_header {
	uint8_t type, phase, flags;
	uint64_t id, counter;
};

/* flags of RELAY_PROBE */
#define PACKET_OTHER_PORT                                                      \
	0x01 /* answer from the other port: what does my NAT let in? */

/* A probe and its answer are 64 bytes: no more comes out than went in. After the
 * header: the answer's u16 family (4, 6), u16 port and 16 bytes of address as the RS
 * saw them; zeros in a probe and in what is left. It proves nothing to anybody: it
 * measures the way to a relay and what a NAT does. */
#define PACKET_PROBE_LEN 64

/* part header: u16 ident (per sender and tunnel, wrapping), u16 offset */
#define PACKET_PART_LEN 4

void packet_header_put(const struct packet_header *h,
		       uint8_t buf[static PACKET_HEADER_LEN]);
/** Return: 0, -NTM_EDECODE (short, unknown type, shorter than a tag),
 *  -NTM_EVERSION */
NTM_MUST_CHECK int packet_header_get(const uint8_t *buf, size_t len,
				     struct packet_header *out);

#endif
