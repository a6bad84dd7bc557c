/* SPDX-License-Identifier: MIT */
/* test_punch - peers behind NATs: by the relay at once, then directly if it can be */
#include "broker/path_impl.h"
#include "broker/punch.h"
#include "broker/relayed.h"
#include "tests/unit/broker/control/story.h"

#define OUT_A  "203.0.113.1"
#define OUT_B  "203.0.113.2"
#define OUT_A2 "203.0.113.9"

static struct rs *rs;

/* what the tests begin with: two nodes, IPv4 alone, behind these NATs */
static void begin(enum nat_rule map_a, enum nat_rule filter_a,
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

static bool is_relayed(void *arg)
{
	(void)arg;
	return node_peer(a, b) && relayed_is(node_peer(a, b)) &&
	       node_peer(b, a) && relayed_is(node_peer(b, a));
}

static bool is_direct(struct node *n, struct node *o)
{
	struct peer *p = node_peer(n, o);

	return p && p->state == PEER_UP && path_current(p) && !relayed_is(p);
}

static bool both_direct(void *arg)
{
	(void)arg;
	return is_direct(a, b) && is_direct(b, a);
}

static const struct punch *punch_of(struct node *n, struct node *o)
{
	return &node_peer(n, o)->punches.list[0];
}

/* Both behind NATs that map alike for everybody: at once, and soon directly. */
static void test_relay_then_direct(void **state)
{
	uint64_t ms, forwarded;

	(void)state;
	begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
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
	begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
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
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
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
	begin(NAT_PORT, NAT_PORT, NAT_ANY, NAT_ADDRESS);
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

/* Behind the relay, and the network changes: the end follows. */
static void test_move_relayed(void **state)
{
	unsigned int ms;

	(void)state;
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
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
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
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
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
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
	begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
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
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
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
	begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
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
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
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
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
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
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
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
	begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
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
	begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
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
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
	connect_both();
	assert_int_equal(rs_bound(rs), 2);
	peer_close(node_peer(a, b), 0, true);
	world_run(&world, 100);
	assert_int_equal(rs_bound(rs), 0);
	assert_int_equal(rs_count(rs)->leaves, 2);
}

/* --- forged ------------------------------------------------------------------------------- */

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
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
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
	begin(NAT_PORT, NAT_ANY, NAT_PORT, NAT_PORT); /* lets the forged in */
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
	begin(NAT_PORT, NAT_PORT, NAT_PORT, NAT_PORT);
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
	begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
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
	begin(NAT_ANY, NAT_PORT, NAT_ANY, NAT_PORT);
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

static int end(void **state)
{
	(void)state;
	world_down(&world);
	return 0;
}

#define P(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		P(test_relay_then_direct),  P(test_punches_and_leave),
		P(test_both_dependent),	    P(test_one_dependent),
		P(test_cn_sends),	    P(test_early_request),
		P(test_move_relayed),	    P(test_both_move_relayed),
		P(test_families),	    P(test_relay_dies),
		P(test_direct_dies),	    P(test_nat_forgets),
		P(test_nat_forgets_direct), P(test_asks_for_relay),
		P(test_restart_relayed),    P(test_limit),
		P(test_no_loss_shown),	    P(test_guess_was_slower),
		P(test_guess_and_told),	    P(test_end_leaves),
		P(test_forged_acks),	    P(test_forged_source),
		P(test_hold_bounded),	    P(test_named_addresses),
		P(test_fails_under_data),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
