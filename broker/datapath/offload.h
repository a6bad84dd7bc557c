/* SPDX-License-Identifier: MIT */
/*
 * offload - cuts a packet of the own kernel into what the path can carry
 *
 * Owner:    borrows packet and virtio header. Context: any; keeps no state.
 * A TSO or USO super-packet becomes segments whose headers are made one at a
 * time, while sealing; a TCP packet too large for the path is cut the same way,
 * smaller than the kernel asked, so that no connection stalls on a Packet Too
 * Big. Transport checksums are left holding the pseudo-header sum.
 */
#ifndef NTM_BROKER_DATAPATH_OFFLOAD_H
#define NTM_BROKER_DATAPATH_OFFLOAD_H

#include <linux/virtio_net.h>

#include "broker/datapath/inner.h"

/**
 * enum offload_how - how a packet leaves
 * @OFFLOAD_WHOLE:    as it is
 * @OFFLOAD_SEGMENTS: cut at the transport, offload_header() for each
 * @OFFLOAD_PARTS:    in two sealed parts
 * @OFFLOAD_TOOBIG:   not at all: Packet Too Big
 */
enum offload_how {
	OFFLOAD_WHOLE,
	OFFLOAD_SEGMENTS,
	OFFLOAD_PARTS,
	OFFLOAD_TOOBIG,
};

/**
 * struct offload - the plan for one packet
 * @pkt, @in:   the packet, parsed
 * @how:        see above
 * @nocsum:     the transport checksums hold the pseudo-header sum only
 * @finish:     the kernel left open a checksum that no receiver would complete:
 *              offload_finish() before the packet leaves
 * @header_len: bytes before the payload, in each segment
 * @mss:        payload bytes of each segment but the last
 * @payload:    payload bytes in all
 * @segments:   how many
 * the rest is for offload_header()
 */
struct offload {
	uint8_t *pkt;
	struct inner in;
	enum offload_how how;
	bool nocsum, finish;
	uint16_t header_len;
	uint32_t mss, payload, segments;
	uint64_t pseudo, ip_sum;
	uint32_t seq;
	uint16_t ip_id, csum_start, csum_at;
};

/**
 * offload_plan() - decide how a packet leaves
 * @vh:  its virtio header, as the TUN gave it
 * @in:  the packet parsed; the plan keeps a copy
 * @pkt: the packet
 * @max: largest inner packet that fits one datagram
 *
 * Return: 0, -NTM_EDECODE (headers that disagree)
 */
NTM_MUST_CHECK int offload_plan(const struct virtio_net_hdr *vh,
				const struct inner *in, uint8_t *pkt,
				size_t max, struct offload *out);
/**
 * offload_header() - the headers of segment @i
 * @head: @o->header_len bytes
 *
 * Return: payload bytes of this segment; they are at
 *         pkt + header_len + i * mss
 */
uint32_t offload_header(const struct offload *o, uint32_t i, uint8_t *head);

/** complete the checksum in the packet, once */
void offload_finish(struct offload *o);

#endif
