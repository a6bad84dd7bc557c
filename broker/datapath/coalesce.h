/* SPDX-License-Identifier: MIT */
/*
 * coalesce - received packets, joined into super-packets for the TUN
 *
 * Owner:    struct datapath embeds a pointer. Context: loop thread.
 * Consecutive TCP segments of one flow that differ only in their place in the
 * stream, and UDP packets of one flow and size, become one write with a virtio
 * header. Nothing is ever reordered within a flow, and what leaves, cut again by
 * the kernel, is byte for byte what came in (but for IPv4 identifications).
 */
#ifndef NTM_BROKER_DATAPATH_COALESCE_H
#define NTM_BROKER_DATAPATH_COALESCE_H

#include "broker/datapath/inner.h"
#include "broker/datapath/tun.h"

#define COALESCE_FLOWS	  8
#define COALESCE_SEGMENTS 64

struct coalesce;

NTM_MUST_CHECK int coalesce_new(struct tun *tun, struct coalesce **out);
void coalesce_free(struct coalesce *c);
/** may super-packets be written at all; may UDP ones (Linux 6.2)? */
void coalesce_set(struct coalesce *c, bool tcp, bool udp);
/**
 * coalesce_add() - one packet, after every check
 * @pkt:    @in->len bytes, unchanged until coalesce_flush()
 * @in:     parsed; @in->transport holds when @nocsum
 * @nocsum: its transport checksum holds the pseudo-header sum only
 */
void coalesce_add(struct coalesce *c, uint8_t *pkt, const struct inner *in,
		  bool nocsum);
/** write what is held; afterwards no packet is borrowed */
void coalesce_flush(struct coalesce *c);

#endif
