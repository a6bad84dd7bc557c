/* SPDX-License-Identifier: MIT */
/*
 * buffer - bytes in a queue with a hard limit; wiped when dropped
 *
 * Owner:    embedded by value; buffer_init() .. buffer_clear().
 * Context:  any. Grows by doubling up to @max; what is consumed is wiped when the
 *           memory is moved or freed (passwords pass through).
 */
#ifndef NTM_COMMON_BUFFER_H
#define NTM_COMMON_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct buffer {
	uint8_t *mem;
	size_t start, len; /* of what is in it */
	size_t size, max;
};

void buffer_init(struct buffer *b, size_t max);
void buffer_clear(struct buffer *b);

/** the first byte of buffer->len; valid until the next reserve or consume */
uint8_t *buffer_peek(const struct buffer *b);
/**
 * buffer_reserve() - room for @len bytes behind the content
 * @room: where they go; buffer_grow() then adds what was really put there
 *
 * Return: 0, -NTM_ELIMIT (beyond max), -NTM_ENOMEM
 */
NTM_MUST_CHECK int buffer_reserve(struct buffer *b, size_t len, uint8_t **room);
void buffer_grow(struct buffer *b, size_t len);
/** drop @len bytes (at most buffer->len) from the front */
void buffer_consume(struct buffer *b, size_t len);

#endif
