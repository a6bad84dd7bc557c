/* SPDX-License-Identifier: MIT */
/* buffer - bytes in a queue with a hard limit; wiped when dropped */
#include "common/buffer.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST 2048 /* bytes; most frames fit */

void buffer_init(struct buffer *b, size_t max)
{
	*b = (struct buffer){.max = max};
}

static void drop_memory(struct buffer *b)
{
	if (b->mem)
		explicit_bzero(b->mem, b->size);
	free(b->mem);
}

void buffer_clear(struct buffer *b)
{
	drop_memory(b);
	buffer_init(b, b->max);
}

uint8_t *buffer_peek(const struct buffer *b)
{
	return b->mem + b->start;
}

int buffer_reserve(struct buffer *b, size_t len, uint8_t **room)
{
	size_t size = b->size ? b->size : BUFFER_FIRST;
	uint8_t *mem;

	if (len > b->max || b->len > b->max - len)
		return -NTM_ELIMIT;
	if (b->size >= b->len + len) {
		if (b->start + b->len + len > b->size) {
			memmove(b->mem, b->mem + b->start, b->len);
			b->start = 0;
		}
	} else {
		while (size < b->len + len)
			size *= 2;
		mem = malloc(size);
		if (!mem)
			return -NTM_ENOMEM;
		if (b->len)
			memcpy(mem, b->mem + b->start, b->len);
		drop_memory(b);
		b->mem = mem;
		b->size = size;
		b->start = 0;
	}
	*room = b->mem + b->start + b->len;
	return 0;
}

void buffer_grow(struct buffer *b, size_t len)
{
	b->len += len;
}

void buffer_consume(struct buffer *b, size_t len)
{
	b->start += len;
	b->len -= len;
	if (b->len == 0)
		buffer_clear(b); /* an idle session holds no memory */
}
