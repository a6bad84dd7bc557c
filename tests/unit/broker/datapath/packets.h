/* SPDX-License-Identifier: MIT */
/*
 * packets - inner packets for the tests, and an oracle that knows the RFCs alone
 *
 * Owner:    the caller's buffers. Shares no code with broker/datapath: what it
 *           says about a byte was written down a second time.
 */
#ifndef NTM_TESTS_DATAPATH_PACKETS_H
#define NTM_TESTS_DATAPATH_PACKETS_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKETS_MAX  4096
#define PACKET_BYTES 65535

extern const uint8_t vip6_a[16], vip6_b[16], vip4_a[4], vip4_b[4];

/**
 * struct spec - a packet to build
 * @gso:      payload of a segment; 0: no super-packet
 * @partial:  leave the transport checksum to offload
 * @options:  TCP option bytes, a multiple of 4
 */
struct spec {
	unsigned int version; /* 4 or 6 */
	uint8_t proto;
	const uint8_t *src, *dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags, tos, ttl;
	uint16_t ip_id;
	unsigned int options;
	uint32_t option_seed;
	uint32_t payload;
	uint32_t payload_seed;
	uint16_t gso;
	bool partial;
};

/** a whole packet with its virtio header. Return: bytes */
size_t packet_build(const struct spec *s, struct virtio_net_hdr *vh,
		    uint8_t *buf);

/** struct packet - one packet as it would look on an Ethernet without offloads */
struct packet {
	uint16_t len;
	bool checksum_ok;
	uint8_t *bytes;
};

/** struct packet_list - in order; freed by packet_list_clear() */
struct packet_list {
	size_t n;
	struct packet p[PACKETS_MAX];
};

/**
 * packet_expand() - what a packet with a virtio header stands for
 * Cuts super-packets, completes and checks checksums, appends to @list.
 * Asserts (by cmocka) that the headers agree with one another.
 */
void packet_expand(const struct virtio_net_hdr *vh, const uint8_t *pkt,
		   size_t len, struct packet_list *list);
void packet_list_clear(struct packet_list *list);
/** the flow of a packet: addresses, protocol, ports, as one comparable number */
uint64_t packet_flow(const struct packet *p);
/** the same packets flow by flow, in the same order, but for IPv4 idents */
void packet_lists_equal(const struct packet_list *a,
			const struct packet_list *b);

/** a small generator, so that a seed repeats a test */
uint32_t rnd(uint64_t *state);

#endif
