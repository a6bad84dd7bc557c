/* SPDX-License-Identifier: MIT */
/*
 * udp - the UDP sockets: what the kernel can do with them, and reading
 *
 * Owner:    the sockets are the keeper's; the buffer struct datapath's.
 * Context:  loop thread.
 */
#ifndef NTM_BROKER_DATAPATH_UDP_H
#define NTM_BROKER_DATAPATH_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"

#define UDP_BUFFER_WANTED (7 * 1024 * 1024)

struct udp_buffer;

/**
 * struct udp_read - one read: datagrams of @seg bytes, the last maybe shorter
 * @data: inside the buffer, until udp_rewind()
 */
struct udp_read {
	uint8_t *data;
	uint32_t len, seg;
	struct addr from;
	uint8_t ecn;
};

/**
 * udp_test() - does this kernel cut and join UDP datagrams rightly?
 * Sends equal datagrams as one over loopback and compares what arrives, with a
 * socket that joins them and one that does not.
 */
void udp_test(bool *gso, bool *gro);
/** path MTU probing, ECN, buffers of up to UDP_BUFFER_WANTED.
 *  Return: the receive buffer granted, in bytes */
uint32_t udp_setup(int fd);
void udp_set_gro(int fd, bool on);

NTM_MUST_CHECK int udp_buffer_new(struct udp_buffer **out);
void udp_buffer_free(struct udp_buffer *b);
/** is there room for another read? */
bool udp_room(const struct udp_buffer *b);
/** everything read is done with */
void udp_rewind(struct udp_buffer *b);
/** false: nothing waits */
bool udp_read(struct udp_buffer *b, int fd, struct udp_read *out);

#endif
