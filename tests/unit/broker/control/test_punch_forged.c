/* SPDX-License-Identifier: MIT */
/*
 * test_punch_forged - what strangers and bad peers say to nodes behind NATs: it costs
 * little, and makes no path
 */
#include "tests/unit/broker/control/natted.h"

static unsigned int requests;

/* Requests that nobody has asked for, all from one address */
static void junk_requests(const struct addr *to)
{
	struct packet_header h = {.type = PACKET_TUNNEL_REQUEST};
	struct addr from;
	uint8_t buf[200];

	assert_int_equal(addr_parse("198.51.100.66:7", 0, &from), 0);
	for (int i = 0; i < 40; i++) {
		ntmc_random(&world.crypto, buf, sizeof(buf));
		ntmc_random(&world.crypto, &h.id, sizeof(h.id));
		packet_header_put(&h, buf);
		world_send(&world, buf, sizeof(buf), &from, to);
	}
}

/* Only the first request arrives: it comes before MN has its direction. */
static bool first_request(struct world *wd, const struct packet *p)
{
	struct addr junk;

	(void)wd;
	assert_int_equal(addr_parse("198.51.100.66:7", 0, &junk), 0);
	if (p->buf[0] != PACKET_TUNNEL_REQUEST || addr_equal(&p->from, &junk))
		return false;
	if (++requests > 1)
		return true;
	junk_requests(&p->to);
	return false;
}

static void test_early_request(void **state)
{
	uint64_t ms;

	(void)state;
	world_up(&world, 9, 2);
	world.in_order = true;
	nat_set(b, OUT_B, NAT_PORT, NAT_PORT);
	log_in(a, A4, NULL, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, NULL, "desk.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	dc_cn_sends(world.dc, true);
	requests = 0;
	world.watch = first_request;
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	world.watch = NULL;
	assert_flows();
}

static struct packet *recorded;

static bool record_ack(struct world *wd, const struct packet *p)
{
	(void)wd;
	if (p->buf[0] != PACKET_HOLE_PUNCH_ACK || recorded)
		return false;
	recorded = malloc(sizeof(*p) + p->len);
	assert_non_null(recorded);
	memcpy(recorded, p, sizeof(*p) + p->len);
	return false;
}

/* A recorded answer, said again, and one under no key at all, change nothing. */
static void test_forged_acks(void **state)
{
	const struct punch *u;
	uint64_t acked, answered;
	uint8_t junk[PACKET_OVERHEAD + 60] = {0};
	struct packet_header h = {.type = PACKET_HOLE_PUNCH_ACK};
	struct addr relay, to;

	(void)state;
	recorded = NULL;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	world.watch = record_ack;
	connect_both();
	world_run(&world, 25000); /* punched again since */
	world.watch = NULL;
	assert_non_null(recorded);
	u = punch_of(a, b);
	if (addr_equal_ip(&recorded->to, &b->nat.outside))
		u = punch_of(b, a);
	acked = u->acked_ms;
	answered = u->answered_ns;
	world_send(&world, recorded->buf, recorded->len, &recorded->from,
		   &recorded->to);
	relay = recorded->from;
	to = recorded->to;
	h.id = u->path_id;
	for (int i = 0; i < 50; i++) {
		ntmc_random(&world.crypto, junk, sizeof(junk));
		packet_header_put(&h, junk);
		world_send(&world, junk, sizeof(junk), &relay, &to);
	}
	world_run(&world, 100);
	assert_int_equal(u->acked_ms, acked);
	assert_true(u->answered_ns == answered);
	assert_true(u->bound);
	free(recorded);
	assert_flows();
}

/* Somebody on the way gives a challenge that came by the relay another source: that
 * address is challenged, at a bounded price, and proves nothing. */
static uint64_t to_victim, victim_bytes, forged_bytes;

static bool forge_source(struct world *wd, const struct packet *p)
{
	struct addr victim;

	assert_int_equal(addr_parse("198.51.100.7:9999", 0, &victim), 0);
	if (addr_equal(&p->to, &victim)) {
		to_victim++;
		victim_bytes += p->len;
		return true;
	}
	if (p->buf[0] == PACKET_DATA && rs_owns(rs, &p->from)) {
		struct packet *q = (struct packet *)p;

		(void)wd;
		q->from = victim;
		forged_bytes += q->len;
	}
	return false;
}

static void test_forged_source(void **state)
{
	(void)state;
	natted_begin(NAT_PORT, NAT_ANY, NAT_PORT,
		     NAT_PORT); /* lets the forged in */
	connect_both();
	world_run(&world, 3000);
	assert_true(is_relayed(NULL));
	to_victim = victim_bytes = forged_bytes = 0;
	world.watch = forge_source;
	world_run(&world, 3000);
	exchange(50, 10);
	/* challenges, too: what opens NATs is answered and returned */
	for (int i = 0; i < 20; i++) {
		path_probe(node_peer(a, b), true);
		path_probe(node_peer(b, a), true);
		world_run(&world, 500);
	}
	world.watch = NULL;
	assert_true(to_victim > 0);
	assert_in_range(victim_bytes, 1, forged_bytes);
	assert_true(is_relayed(NULL));
	world_run(&world, 2000);
	assert_true(is_relayed(NULL));
	assert_flows();
}

/* A peer tells addresses of others again and again, each time some new ones: what we
 * send there is bounded. */
static bool count_named(struct world *wd, const struct packet *p)
{
	struct addr named;

	(void)wd;
	assert_int_equal(addr_parse("198.51.100.9", 0, &named), 0);
	if (!addr_equal_ip(&p->to, &named))
		return false;
	to_victim++;
	return true;
}

static void name_others(uint16_t first_port)
{
	Ntm__PeerAddresses m = NTM__PEER_ADDRESSES__INIT;
	struct peer *p = node_peer(a, b);
	Ntm__Address addrs[8], *list[8];
	struct addr named[8]; /* the message points into them */

	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(addr_parse("198.51.100.9", 0, &named[i]), 0);
		addr_set_port(&named[i], (uint16_t)(first_port + i));
		addr_to_message(&named[i], NTM__ADDRESS_KIND__ADDRESS_OBSERVED,
				&addrs[i]);
		list[i] = &addrs[i];
	}
	m.serial = p->paths.heard + 1;
	m.n_addresses = 8;
	m.addresses = list;
	path_addresses(p, &m, &path_current(p)->addr, 300);
}

static uint64_t named_for(unsigned int s, uint16_t step)
{
	uint64_t before = to_victim;

	while (s--) {
		name_others((uint16_t)(1000 + s * step));
		world_run(&world, 1000);
	}
	return to_victim - before;
}

static void test_named_addresses(void **state)
{
	(void)state;
	natted_begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	connect_both();
	world_run(&world, 3000);
	assert_true(is_relayed(NULL));
	to_victim = 0;
	world.watch = count_named;
	/* the same ones: two rounds (there is no place for all), singles */
	assert_in_range(named_for(60, 0), 8, 8 * (2 * OPEN_TRIES + 3));
	/* others each time: rounds every 1, 2, 4 .. 30 s */
	assert_in_range(named_for(120, 8), 1, 8 * OPEN_TRIES * 12);
	world.watch = NULL;
	assert_true(is_relayed(NULL));
	assert_flows();
}

#define P(name) cmocka_unit_test_teardown(name, story_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		P(test_early_request),
		P(test_forged_acks),
		P(test_forged_source),
		P(test_named_addresses),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
