/* SPDX-License-Identifier: MIT */
/* test_forged - whole control planes: sources that are not where they say they are */
#include "tests/unit/broker/control/story.h"

#define V4 "10.9.9.9" /* nobody of ours lives there */

static struct addr victim(void)
{
	struct addr v;

	assert_int_equal(addr_parse(V4, WORLD_PORT, &v), 0);
	return v;
}

/* takes what is on its way to the victim. Return: bytes of inner packets (@type
 * DATA) or datagrams of another type */
static size_t taken(uint8_t type)
{
	struct packet **at = &world.packets, *p;
	struct addr v = victim();
	struct packet_header h;
	size_t sum = 0;

	while ((p = *at)) {
		if (!addr_equal(&p->to, &v)) {
			at = &p->next;
			continue;
		}
		assert_int_equal(packet_header_get(p->buf, p->len, &h), 0);
		if (h.type == type && type != PACKET_DATA)
			sum++;
		else if (h.type == type && !(h.flags & PACKET_CONTROL))
			sum += p->len;
		*at = p->next;
		free(p);
	}
	return sum;
}

/* b speaks with a, packets wait, and a says from a forged source that it moved. */
static void forge_move(struct peer *p, size_t wire_len)
{
	Ntm__PeerAddresses pa = NTM__PEER_ADDRESSES__INIT;
	struct addr v = victim();

	pa.serial = p->paths.heard + 1;
	path_addresses(p, &pa, &v, wire_len);
}

static void forge_challenges(struct peer *p, unsigned int n, size_t wire_len)
{
	Ntm__PathChallenge ch = NTM__PATH_CHALLENGE__INIT;
	struct addr v = victim();

	while (n--) {
		for (int i = 0; i < 10; i++)
			node_send(b, a);
		path_challenged(p, &ch, &v, wire_len);
	}
}

/* --- the allowance of an address that has not answered ------------------------------------ */

static void test_three_times_once(void **state)
{
	struct peer *p;

	(void)state;
	connect_both();
	p = node_peer(b, a);
	forge_move(p, 200);
	forge_challenges(p, 30, 200);
	assert_in_range(taken(PACKET_DATA), 1, 3 * 31 * 200);
}

/* To and fro: what a change had paid for is not paid again by the next. */
static void test_flips_pay_once(void **state)
{
	const struct candidate *was;
	struct addr home;
	struct peer *p;

	(void)state;
	connect_both();
	p = node_peer(b, a);
	was = path_current(p);
	home = was->addr;
	forge_challenges(p, 10, 200); /* beside the path in use */
	for (int i = 0; i < 10; i++) {
		forge_move(p, 100);
		for (int j = 0; j < 50; j++)
			node_send(b, a);
		path_peer_moved(p, &home, 100, true);
	}
	assert_in_range(taken(PACKET_DATA), 1, 3 * (10 * 200 + 10 * 100));
}

/* --- what nobody has proven to have sent --------------------------------------------------- */

static bool is_candidate(struct peer *p, const struct addr *v)
{
	for (size_t i = 0; i < p->paths.n; i++)
		if (addr_equal(&p->paths.list[i].addr, v))
			return true;
	return false;
}

/* @ms pass. Return: requests that went to the victim meanwhile */
static size_t requests_in(unsigned int ms)
{
	size_t n = 0;

	while (ms--) {
		n += taken(PACKET_TUNNEL_REQUEST);
		world_run(&world, 1);
	}
	return n + taken(PACKET_TUNNEL_REQUEST);
}

static void test_data_of_anybody(void **state)
{
	struct addr v = victim();
	struct peer *p;

	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	p = node_peer(b, a);
	/* it is up and answers elsewhere: nothing for the victim */
	assert_int_equal(path_current(p)->state, PATH_PROVEN);
	peer_unknown(p, &v);
	assert_true(shake_running(p, SHAKE_RESUME));
	assert_int_equal(requests_in(3000), 0);
	/* nothing is known about where it is: one */
	node_kill(a);
	node_kill(b);
	node_start(b);
	p = node_peer(b, a);
	assert_non_null(p);
	requests_in(5000);
	assert_false(shake_running(p, SHAKE_RESUME));
	peer_unknown(p, &v);
	assert_true(shake_running(p, SHAKE_RESUME));
	assert_int_equal(requests_in(4000), 1);
	assert_false(is_candidate(p, &v));
}

/* --- sources of a handshake ---------------------------------------------------------------- */

/* Copies with the victim as source overtake what goes to @n, of type @type. */
static void overtake(struct node *n, uint8_t type)
{
	struct packet *p;
	struct addr v = victim();

	for (p = world.packets; p; p = p->next)
		for (size_t i = 0; i < n->n_addrs; i++)
			if (p->buf[0] == type &&
			    addr_equal_ip(&p->to, &n->addrs[i]))
				p->from = v;
}

static bool is_up(void *arg)
{
	struct peer *p = node_peer(arg, arg == a ? b : a);

	return p && p->state == PEER_UP;
}

/* @n comes up by packets of @type that say to be the victim's. */
static void up_by(struct node *n, uint8_t type)
{
	struct node *o = n == a ? b : a;
	struct resolve_wait *wait;
	struct lookup l = {0};
	struct addr v = victim();
	uint64_t before;
	size_t sum = 0;

	resolve_name(a->w.resolve, b->fqdn, resolved, &l, &wait);
	for (int ms = 0; ms < 1000 && !is_up(n); ms++) {
		overtake(n, type);
		world_run(&world, 1);
	}
	assert_true(is_up(n));
	assert_true(is_candidate(node_peer(n, o), &v));
	taken(PACKET_DATA);
	before = o->got[n->index];
	for (int ms = 0; ms < 500; ms++) {
		node_send(n, o);
		world_run(&world, 1);
		sum += taken(PACKET_DATA);
	}
	/* three times the largest datagram that could have come from there */
	assert_in_range(sum, 0, 3 * PACKET_SIGNAL_MAX);
	assert_true(o->got[n->index] - before > 300);
}

static void test_answer_from_elsewhere(void **state)
{
	(void)state;
	up_by(a, PACKET_TUNNEL_RESPONSE);
}

static void test_first_packet_from_elsewhere(void **state)
{
	(void)state;
	up_by(b, PACKET_DATA);
}

/* Our own request comes back: it costs the peer's share of handshakes nothing. */
static void test_reflected(void **state)
{
	struct peer *p;
	struct packet *k;

	(void)state;
	connect_both();
	world_run(&world, 2000);
	p = node_peer(b, a);
	assert_int_equal(shake_start(p, SHAKE_RESUME, NULL), 0);
	for (k = world.packets; k->buf[0] != PACKET_TUNNEL_REQUEST;)
		k = k->next;
	k->to = k->from;
	p->rate_used = 0;
	p->rate_ns = world.now_ns;
	world_run(&world, 50);
	assert_int_equal(p->rate_used, 0);
	assert_flows();
}

/* The peer's lease changed at a rekey: the tunnel made anew has a path at once. */
static void test_lease_changes(void **state)
{
	struct peer *p;

	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	p = node_peer(a, b);
	p->vip4[3] ^= 1; /* as if the certificate had named another */
	assert_int_equal(shake_start(node_peer(b, a), SHAKE_RESUME, NULL), 0);
	world_run(&world, 100);
	assert_int_equal(p->state, PEER_UP);
	assert_int_equal(dp_tunnel_state(p->tunnel), DP_OPEN);
	assert_flows();
}

static size_t peers_kept(const struct node *n)
{
	size_t sum = 0;

	for (const struct blob *k = n->keeper.blobs; k; k = k->next)
		sum += !strncmp(k->key, "peer.", 5);
	return sum;
}

/* Another identity under the name: what was kept of the first is gone with it. */
static void test_other_identity(void **state)
{
	struct node_info other = {.ed_pub = {1}, .x_pub = {2}, .fp = {3}};

	(void)state;
	connect_both();
	assert_int_equal(peers_kept(a), 1);
	assert_int_equal(pins_forget(a->w.pins, b->fqdn, NULL, NULL), 0);
	assert_int_equal(peer_identify(node_peer(a, b), &other), 0);
	assert_int_equal(peers_kept(a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_three_times_once),
		T(test_flips_pay_once),
		T(test_data_of_anybody),
		T(test_answer_from_elsewhere),
		T(test_first_packet_from_elsewhere),
		T(test_reflected),
		T(test_lease_changes),
		T(test_other_identity),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
