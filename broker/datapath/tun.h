/* SPDX-License-Identifier: MIT */
/*
 * tun - the packets of the namespace: reads and writes with a virtio header
 *
 * Owner:    struct datapath embeds it; the descriptor is the keeper's.
 * Context:  loop thread. A packet socket of a test can stand in for the TUN.
 */
#ifndef NTM_BROKER_DATAPATH_TUN_H
#define NTM_BROKER_DATAPATH_TUN_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2; headers may be older */
#endif

#define TUN_PACKET_MAX 65535
#define TUN_IOV_MAX    130 /* a super-packet's pieces */

/**
 * struct tun - the descriptor and what it can take
 * @header:  bytes of its virtio header (10; 12 when the keeper asked for it)
 * @broken:  a read failed: it will not be read again
 * @failed:  packets it refused
 * @refused: super-packets it refused and took one by one afterwards
 */
struct tun {
	int fd;
	unsigned int header;
	bool broken;
	uint64_t failed, refused;
};

void tun_init(struct tun *tun, int fd);
/**
 * tun_read() - the next packet
 * @buf: TUN_PACKET_MAX bytes
 *
 * Return: bytes of the packet; 0: none waits; -1: the descriptor is broken
 */
long tun_read(struct tun *tun, struct virtio_net_hdr *vh, uint8_t *buf);
/**
 * tun_writev() - one packet from pieces
 * @iov: @n pieces; iov[0] is left for the header and filled in here
 *
 * Return: 0 or the errno
 */
int tun_writev(struct tun *tun, const struct virtio_net_hdr *vh,
	       struct iovec *iov, unsigned int n);
/** one packet that is no super-packet; a refusal is counted and forgotten */
void tun_write(struct tun *tun, const struct virtio_net_hdr *vh,
	       const uint8_t *pkt, size_t len);

#endif
