/* SPDX-License-Identifier: MIT */
/* test_punch - peers behind NATs: by the relay at once, then directly if it can be */
#include "tests/unit/broker/control/natted.h"

/* Both behind NATs that map alike for everybody: at once, and soon directly. */
static void test_relay_then_direct(void **state)
{
	uint64_t ms, forwarded;

	(void)state;
	natted_begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	assert_in_range(ms, 0, 150); /* DC, CN, DC, relay: 4 round trips */
	assert_true(relayed_is(node_peer(a, b)));
	node_send(a, b);
	world_run(&world, 60);
	assert_int_equal(b->got[0], 1); /* whichever way */
	assert_true(world_until(&world, 1000, both_direct, NULL));
	assert_flows();
	forwarded = rs_count(rs)->forwarded;
	exchange(20, 10);
	assert_int_equal(rs_count(rs)->forwarded, forwarded);
}

/* Punches go on every 20 s, and bring back the relay's cookies; after a minute of the direct path both leave. */
static void test_punches_and_leave(void **state)
{
	uint64_t punches;

	(void)state;
	natted_begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
	connect_both();
	assert_true(world_until(&world, 1000, both_direct, NULL));
	assert_int_equal(rs_bound(rs), 2);
	assert_int_equal(rs_sure(rs), 2);
	punches = rs_count(rs)->punches;
	world_run(&world, 41000);
	assert_int_equal(rs_count(rs)->punches - punches, 4);
	assert_int_equal(rs_sure(rs), 2);
	assert_int_equal(rs_count(rs)->leaves, 0);
	world_run(&world, 22000);
	assert_int_equal(rs_count(rs)->leaves, 2);
	assert_int_equal(rs_bound(rs), 0);
	assert_flows();
	punches = rs_count(rs)->punches;
	world_run(&world, 60000);
	assert_int_equal(rs_count(rs)->punches, punches);
}

/* Each destination another port, and only it may answer: the relay stays. */
static void test_both_dependent(void **state)
{
	uint64_t before, datagrams;

	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	connect_both();
	world_run(&world, 6000);
	assert_true(is_relayed(NULL));
	assert_string_equal(relayed_why(node_peer(a, b)),
			    "both NATs map by destination");
	assert_string_equal(peer_shown(node_peer(a, b)), "relayed");
	assert_flows();
	/* the direct addresses are tried on, and no more than that */
	before = world.now_ns;
	datagrams = a->datagrams;
	world_run(&world, 60000);
	assert_true(world.now_ns > before);
	assert_in_range(a->datagrams - datagrams, 6, 40);
	assert_true(is_relayed(NULL));
	assert_flows();
}

/* One maps by destination, the other lets in whoever it spoke to: the one that finds
 * the way is followed. */
static void test_one_dependent(void **state)
{
	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_ANY, NAT_ADDRESS);
	connect_both();
	assert_true(world_until(&world, 2000, both_direct, NULL));
	assert_flows();
}

/* MN can be reached, CN cannot: CN sends, without any relay. */
static void test_cn_sends(void **state)
{
	uint64_t ms;

	(void)state;
	world_up(&world, 8, 2);
	world.in_order = true;
	rs = rs_add(&world);
	nat_set(b, OUT_B, NAT_PORT, NAT_PORT);
	log_in(a, A4, NULL, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, NULL, "desk.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	world_run(&world, 300);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	assert_in_range(ms, 0, 100);
	assert_true(is_direct(a, b));
	assert_int_equal(node_peer(a, b)->path_id & 1, 0);
	assert_int_equal(node_peer(b, a)->path_id & 1, 1);
	assert_flows();
	assert_int_equal(rs_count(rs)->punches, 0);
}

/* Behind the relay, and the network changes: the end follows. */
static void test_move_relayed(void **state)
{
	unsigned int ms;

	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	connect_both();
	world_run(&world, 2000);
	assert_true(is_relayed(NULL));
	assert_flows();
	/* another NAT: the relay does not know the address, and asks back */
	nat_set(a, OUT_A2, NAT_PORT, NAT_PORT);
	node_move(a, A4B, NULL);
	ms = outage_ms(2000);
	assert_in_range(ms, 1, 200);
	assert_true(rs_count(rs)->cookies > 0);
	world_run(&world, 100);
	assert_true(is_relayed(NULL));
	assert_flows();
}

/* Both at once, behind the relay. */
static void test_both_move_relayed(void **state)
{
	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	connect_both();
	world_run(&world, 2000);
	nat_set(a, OUT_A2, NAT_PORT, NAT_PORT);
	nat_set(b, "203.0.113.8", NAT_PORT, NAT_PORT);
	node_move(a, A4B, NULL);
	node_move(b, B4B, NULL);
	assert_in_range(outage_ms(2000), 1, 400);
	world_run(&world, 100);
	assert_flows();
}

/* IPv4 alone meets IPv6 alone. */
static void test_families(void **state)
{
	uint64_t ms;

	(void)state;
	world_up(&world, 11, 2);
	world.in_order = true;
	rs = rs_add(&world);
	log_in(a, A4, NULL, "laptop.alice." WORLD_DOMAIN);
	log_in(b, NULL, B6, "desk.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	world_run(&world, 300);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	world_run(&world, 6000);
	assert_true(is_relayed(NULL));
	assert_string_equal(relayed_why(node_peer(a, b)),
			    "the peer has IPv6 only, and we do not");
	assert_string_equal(relayed_why(node_peer(b, a)),
			    "the peer has IPv4 only, and we do not");
	assert_flows();
	/* and from one family to the other */
	node_move(a, NULL, A6);
	assert_in_range(outage_ms(2000), 1, 300);
	assert_true(world_until(&world, 2000, both_direct, NULL));
	assert_flows();
}

/* The relay dies: the DC names another one. */
static void test_relay_dies(void **state)
{
	struct rs *other;

	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	other = rs_add(&world);
	connect_both();
	world_run(&world, 2000);
	assert_true(is_relayed(NULL));
	assert_flows();
	if (!rs_bound(rs)) {
		struct rs *t = rs;

		rs = other;
		other = t;
	}
	rs_set_down(rs, true);
	assert_in_range(outage_ms(4000), 100, 2500);
	world_run(&world, 500);
	assert_true(is_relayed(NULL));
	assert_true(rs_bound(other) == 2);
	assert_flows();
}

/* The direct way ends: the relay, still bound, takes over. */
static void test_direct_dies(void **state)
{
	(void)state;
	natted_begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
	connect_both();
	assert_true(world_until(&world, 1000, both_direct, NULL));
	exchange(10, 10);
	/* both NATs forget, and map by destination from now on */
	a->nat.n = 0;
	a->nat.mapping = b->nat.mapping = NAT_PORT;
	assert_in_range(outage_ms(4000), 100, 2000);
	world_run(&world, 3000);
	assert_flows();
}

/* NATs forget, and tell nobody; only one side has something to send. */
static void test_nat_forgets(void **state)
{
	struct node *const both[] = {a, b};

	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	connect_both();
	world_run(&world, 2000);
	assert_flows();
	for (int i = 0; i < 4; i++) {
		uint64_t at_b;
		int ms = 0;

		both[i % 2]->nat.n = 0;
		both[i % 2]->nat.shift += 100;
		for (at_b = b->got[0]; b->got[0] == at_b && ms < 9000;
		     ms += 20) {
			node_send(a, b);
			world_run(&world, 20);
		}
		/* a MOVE that CN did not hear of has changed the relay's keys:
		 * then it takes another one, when both can be reached again */
		assert_in_range(ms, 1, 4000);
		world_run(&world, 100);
		assert_flows();
	}
	assert_true(is_relayed(NULL));
}

/* The same on the direct way: through the relay, and back to a direct one. */
static void test_nat_forgets_direct(void **state)
{
	struct node *const both[] = {a, b};

	(void)state;
	natted_begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
	connect_both();
	assert_true(world_until(&world, 1000, both_direct, NULL));
	for (int i = 0; i < 4; i++) {
		exchange(100, 20);
		both[i % 2]->nat.n = 0;
		both[i % 2]->nat.shift += 100;
		assert_in_range(outage_ms(4000), 1, 2500);
		for (int k = 0; k < 200 && !both_direct(NULL); k++)
			exchange(1, 20);
		assert_true(both_direct(NULL));
		assert_flows();
	}
}

/* A direct way that fails at first: MN asks for a relay after 300 ms. */
static void test_asks_for_relay(void **state)
{
	uint64_t ms;

	(void)state;
	world_up(&world, 12, 2);
	world.in_order = true;
	rs = rs_add(&world);
	nat_set(b, OUT_B, NAT_PORT, NAT_PORT);
	log_in(a, A4, NULL, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, NULL, "desk.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	world_run(&world, 300);
	/* it looks reachable, and is not: a firewall */
	nat_set(a, A4, NAT_PORT, NAT_PORT);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	assert_in_range(ms, 300, 700);
	world_run(&world, 100);
	assert_flows();
	assert_true(rs_count(rs)->forwarded > 0);
}

/* A worker is killed: the next one goes on through the relay, with the DC down. */
static void test_restart_relayed(void **state)
{
	struct node *const both[] = {a, b};

	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	connect_both();
	world_run(&world, 2000);
	assert_flows();
	dc_set_down(world.dc, true);
	for (int i = 0; i < 2; i++) {
		node_kill(both[i]);
		world_run(&world, 50);
		node_start(both[i]);
		assert_in_range(outage_ms(2000), 1, 400);
		world_run(&world, 100);
		assert_flows();
		/* and its punches go on */
		world_run(&world, 70000);
		assert_int_equal(rs_bound(rs), 2);
		assert_flows();
	}
}

static void test_limit(void **state)
{
	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	connect_both();
	world_run(&world, 500);
	assert_flows();
	rs_set_limit(rs, true);
	world_run(&world, 25000);
	assert_int_equal(punch_of(a, b)->code, NTM_ELIMIT);
	assert_non_null(strstr(punch_limit(node_peer(a, b)), "this account"));
	rs_set_limit(rs, false);
	rs_set_limit_peer(rs, true);
	world_run(&world, 25000);
	assert_int_equal(punch_of(a, b)->code, 0);
	assert_non_null(strstr(punch_limit(node_peer(a, b)), "the peer's"));
	rs_set_limit_peer(rs, false);
	world_run(&world, 25000);
	assert_null(punch_limit(node_peer(a, b)));
}

/* What only opened NATs, and was not answered, is no loss of the path in use. */
static void test_no_loss_shown(void **state)
{
	const struct peer *p;

	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	connect_both();
	world_run(&world, 65000); /* rounds of challenges to direct addresses */
	p = node_peer(a, b);
	assert_true(relayed_is(p));
	assert_true(p->paths.sent > 0);
	assert_in_range(p->paths.sent - p->paths.answered, 0, 1);
}

static struct candidate *direct_of(struct peer *p)
{
	for (size_t i = 0; i < p->paths.n; i++)
		if (!p->paths.list[i].relay &&
		    p->paths.list[i].state == PATH_PROVEN)
			return &p->paths.list[i];
	fail_msg("no direct candidate");
	return NULL;
}

/* A handshake came from a direct address, and the relay's answer was faster than the
 * direct one's: that is no reason to leave the direct way alone. */
static void test_guess_was_slower(void **state)
{
	struct candidate *direct, *relay = NULL;
	struct peer *p;
	struct addr at;

	(void)state;
	natted_begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
	connect_both();
	assert_true(world_until(&world, 1000, both_direct, NULL));
	p = node_peer(a, b);
	direct = direct_of(p);
	at = direct->addr;
	direct->answered_ns = 0; /* as if it had never answered */
	path_use(p, &at, 100, false);
	assert_true(path_current(p) == direct && direct->guessed);
	direct->cookie = direct->due_ns = 0;
	for (size_t i = 0; i < p->paths.n; i++)
		if (p->paths.list[i].relay)
			relay = &p->paths.list[i];
	assert_non_null(relay);
	path_challenge(p, relay, 0);
	world_run(&world, 60);
	assert_true(world_until(&world, 1500, both_direct, NULL));
}

/* The peer, which has yet to find the direct way, tells its addresses through the relay
 * just when a handshake made us use that way: no reason to leave it alone, either. */
static void test_guess_and_told(void **state)
{
	struct candidate *direct;
	struct peer *p;
	struct addr at, relay;

	(void)state;
	natted_begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
	connect_both();
	assert_true(world_until(&world, 1000, both_direct, NULL));
	p = node_peer(a, b);
	direct = direct_of(p);
	at = direct->addr;
	assert_true(punch_addr(p, 0, &relay));
	direct->answered_ns = 0;
	path_use(p, &at, 100, false);
	direct->cookie = direct->due_ns = 0;
	path_peer_moved(p, &relay, 200, true);
	assert_true(relayed_is(p));
	assert_true(world_until(&world, 1500, both_direct, NULL));
}

/* The tunnel ends: the relay is told. */
static void test_end_leaves(void **state)
{
	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	connect_both();
	assert_int_equal(rs_bound(rs), 2);
	peer_close(node_peer(a, b), 0, true);
	world_run(&world, 100);
	assert_int_equal(rs_bound(rs), 0);
	assert_int_equal(rs_count(rs)->leaves, 2);
}

/* What is direct is lost while data flows there, and challenges are answered else. */
static uint64_t flowed_ns;

static bool only_sparse(struct world *wd, const struct packet *p)
{
	if (p->buf[0] != PACKET_DATA || rs_owns(rs, &p->from) ||
	    rs_owns(rs, &p->to))
		return false;
	if (!(p->buf[3] & PACKET_CONTROL) && p->len == 100 + PACKET_OVERHEAD)
		flowed_ns = wd->now_ns;
	return flowed_ns && wd->now_ns - flowed_ns < LOOP_MS(500);
}

static void test_fails_under_data(void **state)
{
	uint64_t at_a, at_b;

	(void)state;
	natted_begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
	connect_both();
	assert_true(world_until(&world, 1000, both_direct, NULL));
	flowed_ns = 0;
	world.watch = only_sparse;
	at_a = a->got[1];
	at_b = b->got[0];
	exchange(3000, 20);
	assert_in_range(a->got[1] - at_a, 2600, 3000);
	assert_in_range(b->got[0] - at_b, 2600, 3000);
	world.watch = NULL;
	/* it works again: taken when the time is over */
	for (int i = 0; i < 6000 && !both_direct(NULL); i++)
		exchange(1, 20);
	assert_true(both_direct(NULL));
	assert_flows();
}

/* --- the change to the direct way ------------------------------------------------------------ */

/* Packets wait for half of the difference of both round trips, and no longer than
 * TAKE_HOLD_MAX_MS; none is lost. */
static void test_hold_bounded(void **state)
{
	struct peer *p;
	uint64_t held = 0, sent = 0;

	(void)state;
	natted_begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
	assert_true(look_up(a, b->fqdn, &held) == 0);
	p = node_peer(a, b);
	held = 0;
	for (int i = 0; i < 2000 && !both_direct(NULL); i++) {
		node_send(a, b);
		sent++;
		world_run(&world, 1);
		held += relayed_taking(p);
	}
	assert_true(both_direct(NULL));
	assert_in_range(held, 1, TAKE_HOLD_MAX_MS + 1);
	world_run(&world, 100);
	assert_int_equal(b->got[0], sent);
}

#define P(name) cmocka_unit_test_teardown(name, story_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		P(test_relay_then_direct),
		P(test_punches_and_leave),
		P(test_both_dependent),
		P(test_one_dependent),
		P(test_cn_sends),
		P(test_move_relayed),
		P(test_both_move_relayed),
		P(test_families),
		P(test_relay_dies),
		P(test_direct_dies),
		P(test_nat_forgets),
		P(test_nat_forgets_direct),
		P(test_asks_for_relay),
		P(test_restart_relayed),
		P(test_limit),
		P(test_no_loss_shown),
		P(test_guess_was_slower),
		P(test_guess_and_told),
		P(test_end_leaves),
		P(test_hold_bounded),
		P(test_fails_under_data),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
