/* SPDX-License-Identifier: MIT */
/*
 * batch - sealed datagrams on their way out, many to a system call
 *
 * Owner:    struct datapath embeds a pointer. Context: loop thread.
 * A run is datagrams to one tunnel's remote, equal in size (the last may be
 * shorter), one after the other in the buffer: one UDP_SEGMENT send. Runs leave in
 * order, by one sendmmsg(), or are handed to a carrier that takes their destination
 * (struct dp_carrier). When a socket is full the rest waits here and the
 * owner stops making more.
 */
#ifndef NTM_BROKER_DATAPATH_BATCH_H
#define NTM_BROKER_DATAPATH_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"

#define BATCH_BYTES	(160u * 1024)
#define BATCH_RUNS	64
#define BATCH_SEGMENTS	64    /* what every kernel with UDP_SEGMENT takes */
#define BATCH_RUN_BYTES 65487 /* what fits one IPv6 or IPv4 send */

struct batch;
struct dp_carrier;
struct dp_tunnel;

/**
 * struct batch_run - as shown to a failed() handler
 * @t:    NULL when its tunnel was closed meanwhile
 * @data: @len bytes, datagrams of @seg bytes, the last maybe shorter
 */
struct batch_run {
	struct dp_tunnel *t;
	const uint8_t *data;
	uint32_t len;
	uint16_t seg;
	uint8_t ecn;
};

/** what the owner is told; @fail must not touch the batch */
struct batch_ops {
	/** a socket is full; batch_flush() again when it is writable */
	void (*blocked)(void *arg, int fd);
	void (*failed)(void *arg, const struct batch_run *run, int err);
};

/** udp4, udp6: -1 when there is none */
NTM_MUST_CHECK int batch_new(int udp4, int udp6, const struct batch_ops *ops,
			     void *arg, struct batch **out);
void batch_free(struct batch *b);
/** UDP_SEGMENT may be used; also switched off by a kernel that refuses it */
void batch_set_gso(struct batch *b, bool on);
/** NULL: all go by UDP; @arg: its own */
void batch_set_carrier(struct batch *b, const struct dp_carrier *carrier,
		       void *arg);
bool batch_gso(const struct batch *b);
/** sends where UDP_SEGMENT failed and the datagrams went one by one */
uint64_t batch_fallbacks(const struct batch *b);

/** room for a datagram of @len bytes, or NULL while blocked and full; what is
 *  written there counts from batch_commit() on */
uint8_t *batch_room(struct batch *b, uint32_t len);
/** the @len bytes in the room just given, to @to, the remote of @t */
void batch_commit(struct batch *b, struct dp_tunnel *t, const struct addr *to,
		  uint32_t len, uint8_t ecn);
void batch_flush(struct batch *b);
/** something waits for a full socket */
bool batch_blocked(const struct batch *b);
/** @t goes away; its datagrams still leave */
void batch_forget(struct batch *b, struct dp_tunnel *t);

#endif
