/* SPDX-License-Identifier: MIT */
/* test_relay - the relays of the domain: measured, told to the DC, and no more often */
#include "broker/relay.h"
#include "tests/unit/broker/control/story.h"

static struct rs *rs;

static void begin(bool nat, enum nat_rule mapping)
{
	world_up(&world, 3, 1);
	world.in_order = true;
	rs = rs_add(&world);
	if (nat)
		nat_set(a, "203.0.113.1", mapping, NAT_PORT);
	log_in(a, A4, NULL, "laptop.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	world_run(&world, 200);
}

/* One probe, one more registration, and then silence. */
static void test_measured_and_told(void **state)
{
	const struct dc_told *told;
	unsigned int requests;

	(void)state;
	begin(false, NAT_ANY);
	told = dc_told(world.dc, a);
	assert_int_equal(rs_count(rs)->probes, 1);
	assert_int_equal(told->n_relays, 1);
	assert_in_range(told->rtt_us, 20000, 22000);
	assert_int_equal(told->mapping, NTM__NAT_MAPPING__MAPPING_NONE);
	requests = told->requests;
	assert_int_equal(requests, 3); /* asked, echoed, told */
	world_run(&world, 3600 * 1000);
	assert_int_equal(rs_count(rs)->probes, 1);
	assert_int_equal(told->requests, requests);
}

static void test_mapping(void **state)
{
	struct addr seen[4];

	(void)state;
	begin(true, NAT_ANY);
	assert_int_equal(dc_told(world.dc, a)->mapping,
			 NTM__NAT_MAPPING__MAPPING_INDEPENDENT);
	assert_int_equal(relays_observed(a->w.relays, seen, 4), 1);
	world_down(&world);
	begin(true, NAT_PORT);
	assert_int_equal(dc_told(world.dc, a)->mapping,
			 NTM__NAT_MAPPING__MAPPING_DEPENDENT);
	assert_int_equal(relays_observed(a->w.relays, seen, 4), 2);
}

/* Packets between the node and ports it has not written to are lost. */
static bool firewall(struct world *wd, const struct packet *p)
{
	(void)wd;
	return p->buf[0] == PACKET_RELAY_PROBE_ACK &&
	       p->buf[3] & PACKET_OTHER_PORT;
}

/* Over IPv6 the DC hears whether the relay's other port reaches us. */
static void test_firewall(void **state)
{
	const struct dc_told *told;

	(void)state;
	begin(false, NAT_ANY);
	told = dc_told(world.dc, a);
	assert_int_equal(told->unasked, 0); /* IPv4: nothing is asked */
	node_move(a, A4, A6);
	world_run(&world, 1000);
	assert_int_equal(told->unasked, 1);
	world.watch = firewall;
	node_move(a, A4, A6B);
	world_run(&world, 3000);
	assert_int_equal(told->unasked, 0);
	world.watch = NULL;
	node_move(a, A4, A6);
	world_run(&world, 1000);
	assert_int_equal(told->unasked, 1);
}

/* A move: measured anew, and told when it differs. */
static void test_move(void **state)
{
	const struct dc_told *told;
	uint64_t probes;

	(void)state;
	begin(false, NAT_ANY);
	told = dc_told(world.dc, a);
	probes = rs_count(rs)->probes;
	worker_moved(&a->w); /* a route that is none of ours */
	world_run(&world, 1000);
	assert_int_equal(rs_count(rs)->probes, probes);
	nat_set(a, "203.0.113.1", NAT_PORT, NAT_PORT);
	node_move(a, A4B, NULL);
	world_run(&world, 1000);
	assert_in_range(rs_count(rs)->probes - probes, 1, 3);
	assert_int_equal(told->mapping, NTM__NAT_MAPPING__MAPPING_DEPENDENT);
	/* both families now: the other address is measured, too */
	node_move(a, A4B, A6);
	world_run(&world, 1000);
	assert_true(relays_at(a->w.relays, 0)->addrs[1].rtt_ns > 0);
}

static unsigned int lost;

static bool lose_probes(struct world *wd, const struct packet *p)
{
	(void)wd;
	lost += p->buf[0] == PACKET_RELAY_PROBE;
	return p->buf[0] == PACKET_RELAY_PROBE;
}

/* One that does not answer is asked three times, and not told of. */
static void test_silent_relay(void **state)
{
	struct addr at;

	(void)state;
	begin(false, NAT_ANY);
	lost = 0;
	world.watch = lose_probes;
	node_move(a, A4B, NULL);
	world_run(&world, 5000);
	assert_in_range(lost, RELAY_PROBE_TRIES, 2 * RELAY_PROBE_TRIES);
	assert_int_equal(relays_count(a->w.relays), 1);
	assert_int_equal(relay_nearest(relays_at(a->w.relays, 0), &at), 0);
}

/* Probes are in clear; what was not asked for is not believed. */
static void test_forged_answers(void **state)
{
	uint8_t buf[PACKET_PROBE_LEN] = {0};
	struct packet_header h = {.type = PACKET_RELAY_PROBE_ACK};
	struct addr from, before[4], now[4];
	size_t n;

	(void)state;
	begin(false, NAT_ANY);
	h.id = rs_id(rs);
	n = relays_observed(a->w.relays, before, 4);
	assert_int_equal(addr_parse("192.0.2.10:4600", 0, &from), 0);
	buf[21] = 4;
	buf[22] = 1;
	memcpy(buf + 24, (uint8_t[]){9, 9, 9, 9}, 4);
	for (int i = 0; i < 100; i++) {
		struct addr to = a->addrs[0];

		addr_set_port(&to, WORLD_PORT);
		ntmc_random(&world.crypto, &h.counter, sizeof(h.counter));
		packet_header_put(&h, buf);
		world_send(&world, buf, sizeof(buf), &from, &to);
	}
	world_run(&world, 100);
	assert_int_equal(relays_observed(a->w.relays, now, 4), n);
	assert_memory_equal(now, before, n * sizeof(now[0]));
}

static void test_decode(void **state)
{
	uint8_t buf[PACKET_PROBE_LEN + 1] = {0};
	struct addr out;

	(void)state;
	buf[21] = 6;
	buf[23] = 80;
	buf[24] = 0x20;
	for (size_t i = 0; i <= sizeof(buf); i++)
		assert_int_equal(relay_ack_get(buf, i, &out),
				 i == PACKET_PROBE_LEN ? 0 : -NTM_EDECODE);
	assert_int_equal(addr_port(&out), 80);
	buf[23] = 0; /* no port */
	assert_int_equal(relay_ack_get(buf, PACKET_PROBE_LEN, &out),
			 -NTM_EDECODE);
	buf[23] = 80;
	buf[21] = 5;
	assert_int_equal(relay_ack_get(buf, PACKET_PROBE_LEN, &out),
			 -NTM_EDECODE);
	/* nobody is told that we are at a loopback or multicast address */
	buf[21] = 4;
	for (int ip = 1; ip < 256; ip++) {
		buf[24] = (uint8_t)ip;
		assert_int_equal(relay_ack_get(buf, PACKET_PROBE_LEN, &out),
				 ip == 127 || ip >> 4 == 14 ? -NTM_EDECODE : 0);
	}
}

/* Without relays: nothing more than ever is sent. */
static void test_none(void **state)
{
	(void)state;
	world_up(&world, 3, 1);
	log_in(a, A4, NULL, "laptop.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	world_run(&world, 60000);
	assert_int_equal(dc_told(world.dc, a)->requests, 2);
}

#define R(name) cmocka_unit_test_teardown(name, story_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		R(test_measured_and_told),
		R(test_mapping),
		R(test_firewall),
		R(test_move),
		R(test_silent_relay),
		R(test_forged_answers),
		cmocka_unit_test(test_decode),
		R(test_none),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
