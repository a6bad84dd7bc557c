/* SPDX-License-Identifier: MIT */
/* test_moves - moves that nobody can follow without DC or relay are quick all the same */
#include "broker/relayed.h"
#include "tests/unit/broker/control/story.h"

#define QUICK_MS 160 /* the network takes 20 ms from end to end and back */

static struct rs *rs;

static bool both_direct(void *arg)
{
	struct peer *p = node_peer(a, b), *q = node_peer(b, a);

	(void)arg;
	return p && q && p->state == PEER_UP && q->state == PEER_UP &&
	       !relayed_is(p) && !relayed_is(q);
}

static void begin(bool nat)
{
	world_up(&world, 11, 2);
	world.in_order = true;
	rs = rs_add(&world);
	if (nat) {
		nat_set(a, "203.0.113.1", NAT_ANY, NAT_PORT);
		nat_set(b, "203.0.113.2", NAT_ANY, NAT_PORT);
	}
	log_in(a, A4, NULL, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, NULL, "desk.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	world_run(&world, 300);
	connect_both();
	assert_true(world_until(&world, 1000, both_direct, NULL));
	assert_flows();
}

/* for the @n-th time */
static void move(struct node *node, int n, bool nat)
{
	char inside[32], outside[32];

	snprintf(inside, sizeof(inside), "10.0.%d.%d", node == a ? 3 : 4,
		 10 + n);
	snprintf(outside, sizeof(outside), "203.0.113.%d",
		 (node == a ? 50 : 100) + n);
	if (nat)
		nat_set(node, outside, NAT_ANY, NAT_PORT);
	node_move(node, inside, NULL);
}

/* From one NAT behind another, more often than a peer has room for addresses. */
static void test_nat_to_nat(void **state)
{
	(void)state;
	begin(true);
	for (int n = 0; n < 2 * PATHS_MAX; n++) {
		move(a, n, true);
		assert_in_range(outage_ms(2000), 1, QUICK_MS);
		assert_true(world_until(&world, 3000, both_direct, NULL));
		assert_flows();
	}
}

static void test_both(void **state)
{
	(void)state;
	for (int nat = 0; nat < 2; nat++) {
		begin(nat);
		for (int n = 0; n < PATHS_MAX; n++) {
			move(a, n, nat);
			move(b, n, nat);
			assert_in_range(outage_ms(2000), 1, QUICK_MS);
			assert_true(
				world_until(&world, 3000, both_direct, NULL));
			assert_flows();
		}
		world_down(&world);
	}
	begin(false);
}

/* To a family that the peer has not, and back: the peer, whose path has answered a
 * moment ago, follows at once. */
static void test_other_family(void **state)
{
	(void)state;
	begin(false);
	for (int n = 0; n < 12; n++) {
		exchange(20, 10);
		node_move(a, NULL, A6);
		assert_in_range(outage_ms(2000), 1, n ? QUICK_MS : 200);
		assert_true(relayed_is(node_peer(a, b)));
		assert_true(relayed_is(node_peer(b, a)));
		assert_flows();
		exchange(20, 10);
		move(a, n, false);
		assert_in_range(outage_ms(2000), 1, QUICK_MS);
		assert_true(world_until(&world, 3000, both_direct, NULL));
	}
}

/* The DC is away: what was seen of us before the move misleads nobody. */
static void test_without_dc(void **state)
{
	(void)state;
	begin(true);
	dc_set_down(world.dc, true);
	move(a, 0, true);
	assert_in_range(outage_ms(2000), 1, QUICK_MS);
	assert_flows();
}

/* Found before the session was up again: the DC is not asked. */
static void test_not_asked(void **state)
{
	uint32_t direction;

	(void)state;
	begin(false);
	node_move(a, NULL, NULL);
	world_run(&world, 500);
	direction = node_peer(a, b)->direction;
	assert_true(direction);
	move(a, 1, false);
	world_run(&world, 25); /* a round trip to the peer, not two to the DC */
	assert_int_equal(node_peer(a, b)->state, PEER_UP);
	assert_int_equal(node_peer(a, b)->direction, 0);
	world_run(&world, 1000);
	assert_flows();
}

#define M(name) cmocka_unit_test_teardown(name, story_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		M(test_nat_to_nat), M(test_both),      M(test_other_family),
		M(test_without_dc), M(test_not_asked),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
