/* SPDX-License-Identifier: MIT */
/*
 * queue - what waits while a tunnel cannot send: packets whole, oldest dropped first
 *
 * Owner:    a tunnel embeds its struct queue; the blocks come from one pool that
 *           all tunnels share and that touches memory only when used.
 * Context:  loop thread.
 * A record is a packet from the TUN with its virtio header (a super-packet stays
 * one), datagrams already sealed that the kernel refused for want of a route, or one
 * of a group, sealed for all its members.
 */
#ifndef NTM_BROKER_DATAPATH_QUEUE_H
#define NTM_BROKER_DATAPATH_QUEUE_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define QUEUE_POOL_BLOCKS 128 /* of all tunnels: 8.5 MiB */
#define QUEUE_NONE	  0xffff

enum queue_kind { QUEUE_PACKET, QUEUE_SEALED, QUEUE_GROUP };

/**
 * struct queue_record - before the bytes of each record
 * @len:  bytes that follow
 * @seg:  QUEUE_SEALED: size of each datagram but the last
 * @ecn:  but QUEUE_PACKET: of the outer header
 * @vh:   QUEUE_PACKET
 */
struct queue_record {
	uint32_t len;
	uint16_t seg;
	uint8_t kind, ecn;
	struct virtio_net_hdr vh;
};

struct queue_pool;

/** struct queue - zero-initialised by queue_init() */
struct queue {
	uint16_t first, last; /* blocks, QUEUE_NONE when empty */
	uint16_t blocks;
	uint32_t read; /* offset of the oldest record in ->first */
	uint32_t packets, bytes;
};

NTM_MUST_CHECK int queue_pool_new(struct queue_pool **out);
void queue_pool_free(struct queue_pool *pool);

void queue_init(struct queue *q);
/**
 * queue_push() - copy a record to the end
 * @keep: the oldest is in use: rather drop the new one
 * Drops the oldest of this queue while it is above DP_QUEUE_BYTES or
 * DP_QUEUE_PACKETS, or the pool is exhausted.
 *
 * Return: records dropped, the new one included
 */
unsigned int queue_push(struct queue_pool *pool, struct queue *q,
			const struct queue_record *rec, const void *bytes,
			bool keep);
/** the oldest; @bytes is valid, and writable, until the next call. false: empty */
bool queue_peek(struct queue_pool *pool, const struct queue *q,
		struct queue_record *rec, uint8_t **bytes);
void queue_pop(struct queue_pool *pool, struct queue *q);
void queue_clear(struct queue_pool *pool, struct queue *q);
static inline bool queue_empty(const struct queue *q)
{
	return q->packets == 0;
}

#endif
