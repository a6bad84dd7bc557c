/* SPDX-License-Identifier: MIT */
/* natted - two nodes behind NATs and a relay: what the tests of punching begin with */
#include "tests/unit/broker/control/natted.h"

struct rs *rs;

void natted_begin(enum nat_rule map_a, enum nat_rule filter_a,
		  enum nat_rule map_b, enum nat_rule filter_b)
{
	world_up(&world, 7, 2);
	world.in_order = true;
	rs = rs_add(&world);
	nat_set(a, OUT_A, map_a, filter_a);
	nat_set(b, OUT_B, map_b, filter_b);
	log_in(a, A4, NULL, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, NULL, "desk.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	world_run(&world, 300);
}

bool is_relayed(void *arg)
{
	(void)arg;
	return node_peer(a, b) && relayed_is(node_peer(a, b)) &&
	       node_peer(b, a) && relayed_is(node_peer(b, a));
}

bool is_direct(struct node *n, struct node *o)
{
	struct peer *p = node_peer(n, o);

	return p && p->state == PEER_UP && path_current(p) && !relayed_is(p);
}

bool both_direct(void *arg)
{
	(void)arg;
	return is_direct(a, b) && is_direct(b, a);
}

const struct punch *punch_of(struct node *n, struct node *o)
{
	return &node_peer(n, o)->punches.list[0];
}
