/* SPDX-License-Identifier: MIT */
/* chain - objects of a slab in an order, linked by their handles */
#include "servers/dc/chain.h"

struct chained {
	uint32_t slab_link;
	struct chain_link link;
};

static struct chain_link *link_at(const struct slab *s, uint32_t h)
{
	struct chained *x = slab_at(s, h);

	return &x->link;
}

void chain_append(struct chain *c, const struct slab *s, uint32_t h)
{
	*link_at(s, h) = (struct chain_link){.prev = c->tail};
	if (c->tail)
		link_at(s, c->tail)->next = h;
	else
		c->head = h;
	c->tail = h;
}

void chain_remove(struct chain *c, const struct slab *s, uint32_t h)
{
	const struct chain_link *x = link_at(s, h);

	if (x->prev)
		link_at(s, x->prev)->next = x->next;
	else
		c->head = x->next;
	if (x->next)
		link_at(s, x->next)->prev = x->prev;
	else
		c->tail = x->prev;
}
