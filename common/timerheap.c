/* SPDX-License-Identifier: MIT */
/* timerheap - timers in the order they are due; the inside of loop.c */
#include "common/timerheap.h"

#include <stdlib.h>

int timerheap_reserve(struct timerheap *h)
{
	struct timerheap_entry **more;
	size_t size = h->size ? h->size * 2 : 16;

	if (h->reserved == h->size) {
		more = realloc(h->entries, size * sizeof(*more));
		if (!more)
			return -NTM_ENOMEM;
		h->entries = more;
		h->size = size;
	}
	h->reserved++;
	return 0;
}

void timerheap_unreserve(struct timerheap *h)
{
	h->reserved--;
}

void timerheap_clear(struct timerheap *h)
{
	free(h->entries);
	*h = (struct timerheap){0};
}

static bool before(const struct timerheap_entry *a,
		   const struct timerheap_entry *b)
{
	return a->due != b->due ? a->due < b->due : a->seq < b->seq;
}

static void place(struct timerheap *h, struct timerheap_entry *e, size_t i)
{
	h->entries[i] = e;
	e->at = i + 1;
}

static void sift_up(struct timerheap *h, struct timerheap_entry *e, size_t i)
{
	while (i > 0 && before(e, h->entries[(i - 1) / 2])) {
		place(h, h->entries[(i - 1) / 2], i);
		i = (i - 1) / 2;
	}
	place(h, e, i);
}

static void sift_down(struct timerheap *h, struct timerheap_entry *e, size_t i)
{
	size_t child;

	for (;;) {
		child = 2 * i + 1;
		if (child >= h->n)
			break;
		if (child + 1 < h->n &&
		    before(h->entries[child + 1], h->entries[child]))
			child++;
		if (!before(h->entries[child], e))
			break;
		place(h, h->entries[child], i);
		i = child;
	}
	place(h, e, i);
}

static void settle(struct timerheap *h, struct timerheap_entry *e, size_t i)
{
	if (i > 0 && before(e, h->entries[(i - 1) / 2]))
		sift_up(h, e, i);
	else
		sift_down(h, e, i);
}

void timerheap_put(struct timerheap *h, struct timerheap_entry *e, uint64_t due)
{
	e->due = due;
	e->seq = h->seq++;
	if (e->at)
		settle(h, e, e->at - 1);
	else
		sift_up(h, e, h->n++);
}

void timerheap_del(struct timerheap *h, struct timerheap_entry *e)
{
	size_t i = e->at - 1;
	struct timerheap_entry *last;

	if (!e->at)
		return;
	last = h->entries[--h->n];
	e->at = 0;
	if (last != e)
		settle(h, last, i);
}

struct timerheap_entry *timerheap_peek(const struct timerheap *h)
{
	return h->n ? h->entries[0] : NULL;
}
