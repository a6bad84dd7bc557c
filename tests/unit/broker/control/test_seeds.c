/* SPDX-License-Identifier: MIT */
/*
 * test_seeds - the property: whatever happened, afterwards the nodes reach each other
 *
 * Each seed draws a network (delay, jitter, loss, duplicates) and a story: look-ups,
 * traffic, moves of one or both, outages, killed workers, a DC that goes and comes
 * back, long silences. Then the network heals. Within HEAL_MS traffic must flow both
 * ways, every packet of it, under one Path ID; and nothing may have been sent more
 * often than a bound. A failing seed is printed; NTM_SEED=n runs it alone.
 *
 * Once more with two relays, which die and come back, and NATs, which change and
 * forget: NTM_NAT=1 with NTM_SEED.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/broker/control/world.h"

#define SEEDS	      200
#define EVENTS	      12
#define HEAL_MS	      45000 /* a node tries to register every 30 s at least */
#define SIGNALS_PER_S 120   /* by one node, all its signalling, on average */

static struct world world;
static bool nats; /* and relays */
static struct node *const a = &world.nodes[0], *const b = &world.nodes[1];

static void on_resolved(void *arg, int err, struct peer *p)
{
	(void)arg, (void)err, (void)p;
}

static void look_up(struct node *n, const char *name)
{
	struct resolve_wait *wait;

	if (n->running)
		resolve_name(n->w.resolve, name, on_resolved, NULL, &wait);
}

static void traffic(unsigned int ms)
{
	while (ms >= 20) {
		if (a->running)
			node_send(a, b);
		if (b->running && world_random(&world, 3))
			node_send(b, a);
		world_run(&world, 20);
		ms -= 20;
	}
}

static void move(struct node *n)
{
	char v4[32], v6[48];
	unsigned int net = world_random(&world, 200) + 1;
	unsigned int kind = world_random(&world, 5);

	snprintf(v4, sizeof(v4), "10.%u.%u.2", n->index + 1, net);
	snprintf(v6, sizeof(v6), "2001:db8:%u:%u::2", n->index + 1, net);
	if (world_random(&world, 2)) {
		node_move(n, NULL, NULL);
		world_run(&world, world_random(&world, 1500));
	}
	node_move(n, kind == 0 ? NULL : v4, kind == 1 ? NULL : v6);
}

/* another NAT, or none, in front of it */
static void nat_change(struct node *n)
{
	char outside[32];

	if (!nats)
		return;
	snprintf(outside, sizeof(outside), "203.0.%u.%u", n->index + 113,
		 world_random(&world, 200) + 1);
	nat_set(n, world_random(&world, 5) ? outside : NULL,
		world_random(&world, 2) ? NAT_ANY : NAT_PORT,
		(enum nat_rule)world_random(&world, 3));
}

static void nat_event(void)
{
	switch (world_random(&world, 5)) {
	case 0: /* nobody says so */
		nat_change(world_random(&world, 2) ? a : b);
		break;
	case 1:
		nat_change(a);
		move(a);
		break;
	case 2:
		nat_change(b);
		move(b);
		break;
	default:
		rs_set_down(world.rs[world_random(&world, WORLD_RELAYS)],
			    world_random(&world, 2));
		break;
	}
}

static void kill_worker(struct node *n)
{
	if (!n->running)
		return;
	node_kill(n);
	world_run(&world, world_random(&world, 3) ? 5 : 2000);
	node_start(n);
}

static void event(void)
{
	if (nats && !world_random(&world, 3))
		nat_event();
	switch (world_random(&world, 12)) {
	case 0:
		look_up(a, b->fqdn);
		break;
	case 1:
		look_up(b, a->fqdn);
		break;
	case 2:
		look_up(a, b->fqdn);
		look_up(b, a->fqdn);
		break;
	case 3:
		move(a);
		break;
	case 4:
		move(b);
		break;
	case 5:
		move(a);
		move(b);
		break;
	case 6:
		kill_worker(world_random(&world, 2) ? a : b);
		break;
	case 7:
		kill_worker(a);
		kill_worker(b);
		break;
	case 8:
		dc_set_down(world.dc, world_random(&world, 2));
		break;
	case 9:
		dc_restart(world.dc);
		break;
	case 10:
		world_run(&world, 100000 + world_random(&world, 100000));
		break;
	default:
		world_run(&world, world_random(&world, 400));
		break;
	}
	traffic(world_random(&world, 3000));
}

static bool flows(void)
{
	uint64_t at_a = a->got[1], at_b = b->got[0];

	for (int i = 0; i < 10; i++) {
		node_send(a, b);
		node_send(b, a);
		world_run(&world, 20);
	}
	world_run(&world, 400);
	return a->got[1] == at_a + 10 && b->got[0] == at_b + 10;
}

static bool heals(void)
{
	uint64_t end;

	world.wire.loss_percent = world.wire.dup_percent = 0;
	dc_set_down(world.dc, false);
	for (size_t i = 0; i < world.n_rs; i++)
		rs_set_down(world.rs[i], false);
	for (unsigned int i = 0; i < 2; i++)
		if (!world.nodes[i].n_addrs)
			node_move(&world.nodes[i], i ? "10.2.0.2" : "10.1.0.2",
				  NULL);
	/* one family in common; with a relay none need be */
	if (!nats)
		node_move(a, "10.1.255.2", "2001:db8:1:ff::2");
	for (end = world.now_ns + LOOP_MS(HEAL_MS); world.now_ns < end;) {
		look_up(a, b->fqdn);
		look_up(b, a->fqdn);
		traffic(1000);
		world_run(&world, 150);
		if (flows() && flows())
			return true;
	}
	return false;
}

static void log_in(struct node *n, const char *v4, const char *v6,
		   const char *fqdn)
{
	node_move(n, v4, v6);
	node_start(n);
	node_login(n, fqdn);
}

static void one(uint64_t seed)
{
	struct peer *pa, *pb;
	uint64_t seconds;

	world_up(&world, seed, 2);
	world.in_order = nats && seed % 2;
	world.wire.delay_ms = 1 + world_random(&world, 50);
	world.wire.jitter_ms = world_random(&world, 25);
	world.wire.loss_percent = world_random(&world, 20);
	world.wire.dup_percent = world_random(&world, 10);
	if (nats) {
		rs_add(&world);
		rs_add(&world);
		nat_change(a);
		nat_change(b);
	}
	log_in(a, "10.1.0.2", "2001:db8:1::2", "laptop.alice." WORLD_DOMAIN);
	log_in(b, "10.2.0.2", "2001:db8:2::2", "desk.alice." WORLD_DOMAIN);
	world_run(&world, world_random(&world, 1000));
	for (int i = 0; i < EVENTS; i++)
		event();
	if (!heals())
		fail_msg("seed %llu: no traffic %d s after everything healed",
			 (unsigned long long)seed, HEAL_MS / 1000);
	pa = node_peer(a, b);
	pb = node_peer(b, a);
	assert_non_null(pa);
	assert_non_null(pb);
	assert_int_equal(pa->state, PEER_UP);
	assert_int_equal(pb->state, PEER_UP);
	assert_int_equal(pa->path_id ^ 1, pb->path_id);
	/* new keys may be a moment old, and not yet used */
	traffic(1000);
	assert_memory_equal(&pa->secret, &pb->secret, sizeof(pa->secret));
	seconds = world.now_ns / 1000000000 + 1;
	assert_in_range(a->signals / seconds, 0, SIGNALS_PER_S);
	assert_in_range(b->signals / seconds, 0, SIGNALS_PER_S);
	world_down(&world);
}

static void seeds(void)
{
	const char *only = getenv("NTM_SEED"), *many = getenv("NTM_SEEDS");
	uint64_t n = many ? strtoull(many, NULL, 10) : SEEDS;

	if (only) {
		one(strtoull(only, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= n; seed++) {
		fprintf(stderr, "\r# seed %llu ", (unsigned long long)seed);
		one(seed);
	}
}

static void test_seeds(void **state)
{
	(void)state;
	nats = getenv("NTM_NAT") != NULL;
	seeds();
}

static void test_seeds_nat(void **state)
{
	(void)state;
	nats = true;
	seeds();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_seeds_nat),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
