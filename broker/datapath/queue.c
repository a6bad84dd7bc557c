/* SPDX-License-Identifier: MIT */
/*
 * queue - what waits while a tunnel cannot send
 *
 * Theory of operation
 *
 * The pool is one anonymous mapping of equal blocks, each large enough for the
 * largest record. A queue is a list of blocks; records are appended one after the
 * other, 8-byte aligned, and never cross a block. A block fills, the next is taken
 * from the pool's free list; a block read to its end goes back, and its pages back
 * to the kernel, so that an outage leaves no memory behind.
 *
 * Limits: DP_QUEUE_BYTES and DP_QUEUE_PACKETS a tunnel, QUEUE_POOL_BLOCKS for all.
 * The last record of a queue is always kept, whatever its size.
 */
#include "broker/datapath/queue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "broker/datapath/datapath.h"

#define BLOCK_BYTES (68u * 1024)
#define BLOCK_KEEP  4096u /* left resident when a block is returned */

struct block_state {
	uint16_t next;
	uint32_t used;
};

struct queue_pool {
	uint8_t *mem;
	uint16_t free;
	struct block_state block[QUEUE_POOL_BLOCKS];
};

int queue_pool_new(struct queue_pool **out)
{
	struct queue_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -NTM_ENOMEM;
	pool->mem = mmap(NULL, (size_t)QUEUE_POOL_BLOCKS * BLOCK_BYTES,
			 PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool->mem == MAP_FAILED) {
		free(pool);
		return -NTM_ENOMEM;
	}
	for (uint16_t i = 0; i < QUEUE_POOL_BLOCKS; i++)
		pool->block[i].next = i + 1u < QUEUE_POOL_BLOCKS
					      ? (uint16_t)(i + 1)
					      : QUEUE_NONE;
	*out = pool;
	return 0;
}

void queue_pool_free(struct queue_pool *pool)
{
	if (!pool)
		return;
	munmap(pool->mem, (size_t)QUEUE_POOL_BLOCKS * BLOCK_BYTES);
	free(pool);
}

void queue_init(struct queue *q)
{
	memset(q, 0, sizeof(*q));
	q->first = QUEUE_NONE;
	q->last = QUEUE_NONE;
}

static uint8_t *block_mem(const struct queue_pool *pool, uint16_t block)
{
	return pool->mem + (size_t)block * BLOCK_BYTES;
}

static uint32_t record_size(uint32_t len)
{
	return ((uint32_t)sizeof(struct queue_record) + len + 7) & ~7u;
}

static bool block_take(struct queue_pool *pool, struct queue *q)
{
	uint16_t block = pool->free;

	if (block == QUEUE_NONE)
		return false;
	pool->free = pool->block[block].next;
	pool->block[block] = (struct block_state){.next = QUEUE_NONE};
	if (q->last == QUEUE_NONE)
		q->first = block;
	else
		pool->block[q->last].next = block;
	q->last = block;
	q->blocks++;
	return true;
}

static void block_return(struct queue_pool *pool, struct queue *q)
{
	uint16_t block = q->first;

	q->first = pool->block[block].next;
	if (q->first == QUEUE_NONE)
		q->last = QUEUE_NONE;
	q->blocks--;
	q->read = 0;
	if (pool->block[block].used > BLOCK_KEEP)
		madvise(block_mem(pool, block), BLOCK_BYTES, MADV_DONTNEED);
	pool->block[block].next = pool->free;
	pool->free = block;
}

bool queue_peek(struct queue_pool *pool, const struct queue *q,
		struct queue_record *rec, uint8_t **bytes)
{
	uint8_t *at;

	if (queue_empty(q))
		return false;
	at = block_mem(pool, q->first) + q->read;
	memcpy(rec, at, sizeof(*rec));
	*bytes = at + sizeof(*rec);
	return true;
}

void queue_pop(struct queue_pool *pool, struct queue *q)
{
	struct queue_record rec;
	uint8_t *bytes;

	if (!queue_peek(pool, q, &rec, &bytes))
		return;
	q->packets--;
	q->bytes -= rec.len;
	q->read += record_size(rec.len);
	if (q->read >= pool->block[q->first].used)
		block_return(pool, q);
}

void queue_clear(struct queue_pool *pool, struct queue *q)
{
	while (q->first != QUEUE_NONE)
		block_return(pool, q);
	queue_init(q);
}

/* Room at the end for @size bytes; when the pool is empty our own oldest go. */
static bool make_room(struct queue_pool *pool, struct queue *q, uint32_t size,
		      bool keep, unsigned int *dropped)
{
	for (;;) {
		if (q->last != QUEUE_NONE &&
		    pool->block[q->last].used + size <= BLOCK_BYTES)
			return true;
		if (block_take(pool, q))
			return true;
		if (keep || queue_empty(q))
			return false;
		queue_pop(pool, q);
		(*dropped)++;
	}
}

static bool too_full(const struct queue *q, uint32_t len)
{
	return !queue_empty(q) && (q->bytes + len > DP_QUEUE_BYTES ||
				   q->packets + 1 > DP_QUEUE_PACKETS);
}

unsigned int queue_push(struct queue_pool *pool, struct queue *q,
			const struct queue_record *rec, const void *bytes,
			bool keep)
{
	uint32_t size = record_size(rec->len);
	unsigned int dropped = 0;
	uint8_t *at;

	if (size > BLOCK_BYTES || (keep && too_full(q, rec->len)))
		return 1;
	while (too_full(q, rec->len)) {
		queue_pop(pool, q);
		dropped++;
	}
	if (!make_room(pool, q, size, keep, &dropped))
		return dropped + 1;
	at = block_mem(pool, q->last) + pool->block[q->last].used;
	memcpy(at, rec, sizeof(*rec));
	memcpy(at + sizeof(*rec), bytes, rec->len);
	pool->block[q->last].used += size;
	q->packets++;
	q->bytes += rec->len;
	return dropped;
}
