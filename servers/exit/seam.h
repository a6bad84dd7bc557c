/* SPDX-License-Identifier: MIT */
/*
 * seam - between the exit's two processes: packets as a TUN would carry them
 *
 * Owner:    a SOCK_SEQPACKET pair; one end each. Context: any.
 * The process with the keys runs the data path (broker/datapath) on its end as if it
 * were a TUN: each message is a virtio header of 10 bytes and an inner packet, of TCP
 * a super-packet. The other end is net.c's. A message whose first byte is SEAM_CONTROL
 * is no packet: see struct seam_control.
 */
#ifndef NTM_SERVERS_EXIT_SEAM_H
#define NTM_SERVERS_EXIT_SEAM_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/datapath/inner.h"
#include "common/err.h"

#define SEAM_PACKET_MAX 65535
#define SEAM_CONTROL	0xff /* no virtio header has all these flags */
#define SEAM_BUFFER	(4 << 20)

enum seam_op {
	SEAM_SELF = 1, /* our own virtual addresses, and the domain's slice */
	SEAM_FORGET =
		2, /* a node has gone for good: what it has open is closed */
	SEAM_ACCOUNT = 4, /* whose a node is; once a second */
	SEAM_PATH = 3	  /* a node's tunnel has a path again: see recover.h */
};

/** struct seam_control - one message of the worker to the net process; both are one
 *  program on one machine, so it travels as it lies in memory
 *  @slice_len: SEAM_SELF: of the virtual IPv4 addresses, which begin as @vip4 does
 *  @closed:    SEAM_ACCOUNT: it has used up its day
 *  @account:   SEAM_ACCOUNT: its number with the worker, not 0
 *  @node:      SEAM_ACCOUNT: the number under which its sockets are told */
struct seam_control {
	uint8_t mark; /* SEAM_CONTROL */
	uint8_t op;
	uint8_t slice_len;
	uint8_t closed;
	uint8_t vip4[4], vip6[16];
	uint32_t account, node;
};

/** both ends, non-blocking at the worker's. Return: 0, -NTM_ESYSTEM */
NTM_MUST_CHECK int seam_pair(int *worker, int *net);

/**
 * seam_complete() - make the checksums whole that an offload left open
 * @pkt, @in: parsed
 */
void seam_complete(const struct virtio_net_hdr *vh, uint8_t *pkt,
		   const struct inner *in);
/**
 * seam_super() - the virtio header for a packet from libslirp: TCP above @mtu is cut
 * by the data path, other packets are as they are
 */
void seam_super(const struct inner *in, uint32_t mtu,
		struct virtio_net_hdr *out);
/** TCP SYN: let libslirp send segments of @mss; the data path cuts them. The checksum
 *  stays right */
void seam_raise_mss(uint8_t *pkt, const struct inner *in, uint16_t mss);

#endif
