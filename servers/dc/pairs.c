/* SPDX-License-Identifier: MIT */
/* pairs - who was directed to whom in the last day, for withdrawals */
#include "servers/dc/pairs.h"

#include <stdlib.h>

#define LOOK_BACK 8 /* entries searched for the same pair before a new one */

struct pair {
	uint32_t node[2];
	uint64_t before[2]; /* the same node's entry before this one */
	uint32_t at_s;
};

int pairs_init(struct pairs *p)
{
	*p = (struct pairs){.next = 1};
	/* pages are taken by the kernel as the ring fills */
	p->ring = calloc(PAIRS_MAX, sizeof(*p->ring));
	return p->ring ? 0 : -NTM_ENOMEM;
}

void pairs_clear(struct pairs *p)
{
	free(p->ring);
	p->ring = NULL;
}

static struct pair *pair_at(const struct pairs *p, uint64_t seq)
{
	if (!seq || seq >= p->next || p->next - seq > PAIRS_MAX)
		return NULL;
	return &p->ring[seq % PAIRS_MAX];
}

static bool known(const struct pairs *p, uint64_t seq, uint32_t a, uint32_t b,
		  uint32_t now_s)
{
	struct pair *e;

	for (int i = 0; i < LOOK_BACK && (e = pair_at(p, seq)); i++) {
		int me = e->node[0] == a ? 0 : 1;

		if (e->node[me] != a)
			return false; /* the handle was another node's */
		if (e->node[1 - me] == b &&
		    now_s - e->at_s < PAIRS_DAY_S / 24) {
			e->at_s = now_s;
			return true;
		}
		seq = e->before[me];
	}
	return false;
}

void pairs_add(struct pairs *p, struct nodes *n, uint32_t a, uint32_t b,
	       uint32_t now_s)
{
	struct node *na = nodes_at(n, a), *nb = nodes_at(n, b);
	struct pair *e;

	if (known(p, na->last_pair, a, b, now_s))
		return;
	e = &p->ring[p->next % PAIRS_MAX];
	if (e->node[0] && now_s - e->at_s < PAIRS_DAY_S)
		p->lost_s = now_s + 1;
	e->node[0] = a;
	e->node[1] = b;
	e->before[0] = na->last_pair;
	e->before[1] = nb->last_pair;
	e->at_s = now_s;
	na->last_pair = nb->last_pair = p->next++;
}

void pairs_each(const struct pairs *p, const struct nodes *n, uint32_t node,
		uint32_t now_s, pairs_fn *fn, void *arg)
{
	uint64_t seq = nodes_at(n, node)->last_pair;
	struct pair *e;

	while ((e = pair_at(p, seq))) {
		int me = e->node[0] == node ? 0 : 1;

		if (e->node[me] != node)
			return;
		if (now_s - e->at_s < PAIRS_DAY_S)
			fn(arg, e->node[1 - me]);
		seq = e->before[me];
	}
}

bool pairs_incomplete(const struct pairs *p, uint32_t now_s)
{
	return p->lost_s && now_s + 1 - p->lost_s < PAIRS_DAY_S;
}
