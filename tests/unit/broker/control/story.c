/* SPDX-License-Identifier: MIT */
/* story - what the tests of whole control planes begin with and ask */
#include "tests/unit/broker/control/story.h"

struct world world;

bool both_online(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < world.n_nodes; i++)
		if (session_state(world.nodes[i].w.session) != SESSION_ONLINE)
			return false;
	return true;
}

void log_in(struct node *n, const char *v4, const char *v6, const char *fqdn)
{
	node_move(n, v4, v6);
	node_start(n);
	node_login(n, fqdn);
}

int story_setup(void **state)
{
	(void)state;
	world_up(&world, 1, 2);
	log_in(a, A4, A6, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, B6, "desk.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	return 0;
}

int story_teardown(void **state)
{
	(void)state;
	world_down(&world);
	return 0;
}

void resolved(void *arg, int err, struct peer *p)
{
	struct lookup *l = arg;

	l->done = true;
	l->err = err;
	if (p)
		strcpy(l->fqdn, p->fqdn);
}

bool lookup_done(void *arg)
{
	return ((struct lookup *)arg)->done;
}

int look_up(struct node *n, const char *name, uint64_t *ms)
{
	struct lookup l = {0};
	struct resolve_wait *wait;
	uint64_t start = world.now_ns;

	resolve_name(n->w.resolve, name, resolved, &l, &wait);
	assert_true(world_until(&world, 10000, lookup_done, &l));
	*ms = (world.now_ns - start) / 1000000;
	return l.err;
}

void connect_both(void)
{
	uint64_t ms;

	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	world_run(&world, 100);
}

void exchange(unsigned int n, unsigned int every_ms)
{
	while (n--) {
		if (a->running)
			node_send(a, b);
		if (b->running)
			node_send(b, a);
		world_run(&world, every_ms);
	}
}

void assert_flows(void)
{
	uint64_t at_a, at_b;

	world_run(&world, 50); /* what is under way */
	at_a = a->got[1];
	at_b = b->got[0];
	exchange(10, 10);
	world_run(&world, 50);
	assert_int_equal(a->got[1] - at_a, 10);
	assert_int_equal(b->got[0] - at_b, 10);
}

unsigned int outage_ms(unsigned int limit)
{
	uint64_t at_a = a->got[1], at_b = b->got[0];
	unsigned int ms = 0;

	while ((a->got[1] == at_a || b->got[0] == at_b) && ms < limit) {
		node_send(a, b);
		node_send(b, a);
		world_run(&world, 1);
		ms++;
	}
	return ms;
}

void story_again(uint64_t seed, const char *fqdn)
{
	world_down(&world);
	world_up(&world, seed, 2);
	log_in(a, A4, A6, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, B6, fqdn);
	assert_true(world_until(&world, 500, both_online, NULL));
}
