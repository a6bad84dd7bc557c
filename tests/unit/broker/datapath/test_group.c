/* SPDX-License-Identifier: MIT */
/* test_group - packets to a group: once sealed, once taken, and only by members */
#include "tests/unit/libntmcrypto/groups.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/datapath/group.h"
#include "broker/datapath/inner.h"
#include "fixture.h"

static const uint8_t group6[16] = {0xff, 0x38, 0, 0x40, 0xfd, 0x6e, 1, 2,
				   3,	 4,    5, 6,	0x80, 1,    2, 3};
static const uint8_t group4[4] = {239, 193, 2, 3};
static const uint8_t stranger4[4] = {198, 18, 9, 9};

/* nodes 0 and 1 are persons 0 and 1; person 2 is a member that is not there */
struct stage {
	struct net net;
	struct circle c;
	struct dp_group *g[2];
	struct packet_list got;
};

static void epoch(struct stage *s, unsigned int i)
{
	struct person *p = &s->c.p[i];

	assert_int_equal(dp_group_epoch(s->g[i], &s->c.p[i].keys, p->g, &p->id,
					p->index),
			 0);
}

static void join(struct stage *s, unsigned int i)
{
	struct node *n = &s->net.n[i];

	assert_int_equal(dp_group_new(n->dp, &s->c.env, s, &s->g[i]), 0);
	assert_int_equal(dp_group_set_addresses(s->g[i], group6, group4), 0);
	epoch(s, i);
	dp_group_until(s->g[i], UINT64_MAX);
	dp_group_meet(s->g[i], s->c.p[!i].index, i ? vip6_a : vip6_b,
		      i ? vip4_a : vip4_b);
}

static struct stage *open_stage(enum group_auth auth)
{
	struct stage *s = calloc(1, sizeof(*s));
	struct group_policy p = group_policy_default;
	struct group_change change = {.kind = GROUP_POLICY, .policy = &p};

	circle_open(&s->c);
	circle_create(&s->c);
	circle_add(&s->c, 0, 1, GROUP_MAY_REMOVE);
	circle_add(&s->c, 0, 2, 0);
	p.auth = auth;
	circle_make(&s->c, 0, &change);
	circle_spread(&s->c);
	net_up(&s->net, true);
	join(s, 0);
	join(s, 1);
	return s;
}

static void close_stage(struct stage *s)
{
	packet_list_clear(&s->got);
	net_down(&s->net); /* and groups with it */
	circle_close(&s->c);
	free(s);
}

static struct dp_group_counters of(struct stage *s, unsigned int i)
{
	struct dp_group_counters n;

	dp_group_counters(s->g[i], &n);
	return n;
}

static struct spec to_group(int from, unsigned int version, uint32_t payload)
{
	struct spec sp = net_spec(from, version, IPPROTO_UDP, payload);

	sp.dst = version == 4 ? group4 : group6;
	return sp;
}

/* the packets that side @i's kernel got */
static size_t collect(struct stage *s, int i)
{
	packet_list_clear(&s->got);
	for (int k = 0; k < 3; k++)
		net_settle(&s->net);
	net_collect(&s->net, i, &s->got);
	return s->got.n;
}

static void check_same(struct stage *s, size_t at, const struct spec *sp)
{
	static struct packet_list want;
	static uint8_t pkt[PACKET_BYTES];
	struct virtio_net_hdr vh;
	size_t len = packet_build(sp, &vh, pkt);

	packet_list_clear(&want);
	packet_expand(&vh, pkt, len, &want);
	assert_true(s->got.p[at].checksum_ok);
	assert_int_equal(s->got.p[at].len, want.p[0].len);
	assert_memory_equal(s->got.p[at].bytes, want.p[0].bytes, want.p[0].len);
	packet_list_clear(&want);
}

/* --- there and back ---------------------------------------------------------------------- */

static void test_arrives(void **state)
{
	static const uint32_t sizes[] = {0, 1, 100, 1200};
	enum group_auth auth;

	(void)state;
	for (auth = GROUP_AUTH_MAC; auth <= GROUP_AUTH_BATCH; auth++) {
		struct stage *s = open_stage(auth);

		for (unsigned int k = 0; k < 4; k++) {
			for (int from = 0; from < 2; from++) {
				struct spec sp =
					to_group(from, k & 1 ? 6 : 4, sizes[k]);

				sp.partial = k & 2;
				net_send(&s->net, from, &sp);
				assert_int_equal(collect(s, !from), 1);
				check_same(s, 0, &sp);
			}
		}
		assert_int_equal(of(s, 0).rx_packets, 4);
		assert_int_equal(of(s, 0).tx_packets, 4);
		/* person 2 has no tunnel, and was asked for at both ends */
		assert_true(of(s, 0).no_tunnel >= 4);
		assert_true(s->net.n[0].wants && s->net.n[1].wants);
		assert_int_equal(s->net.n[0].wanted, s->c.p[2].index);
		close_stage(s);
	}
}

static void test_super(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct spec sp = to_group(0, 6, 30000);

	(void)state;
	sp.gso = 1000;
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 30);
	for (size_t i = 0; i < 30; i++)
		assert_true(s->got.p[i].checksum_ok);
	assert_int_equal(of(s, 1).rx_packets, 30);
	close_stage(s);
}

/* what no datagram holds travels in fragments */
static void test_large(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct spec sp = to_group(0, 4, 1380);
	size_t sum = 0;

	(void)state;
	net_send(&s->net, 0, &sp); /* 1408 + 36 + 16 = 1460 > 1452 */
	assert_int_equal(collect(s, 1), 2);
	for (size_t i = 0; i < 2; i++)
		sum += s->got.p[i].len - 20u;
	assert_int_equal(sum, 1380 + 8);
	close_stage(s);
}

static void test_control(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);

	(void)state;
	assert_int_equal(dp_group_control(s->g[0], (uint8_t *)"hello", 5), 0);
	net_settle(&s->net);
	assert_int_equal(s->net.n[1].heard, 1);
	assert_int_equal(s->net.n[1].heard_of, s->c.p[0].index);
	assert_int_equal(s->net.n[1].control_len, 5);
	assert_memory_equal(s->net.n[1].control, "hello", 5);
	assert_int_equal(collect(s, 1), 0); /* nothing of it in the TUN */
	close_stage(s);
}

static void test_batch(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_BATCH);
	struct spec sp = to_group(0, 4, 64);

	(void)state;
	for (int i = 0; i < 40; i++)
		net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 40);
	assert_int_equal(of(s, 1).rx.signed_ok, 32);
	s->net.now += LOOP_MS(GROUP_BATCH_MS) + 1;
	net_settle(&s->net);
	assert_int_equal(of(s, 1).rx.signed_ok, 40);
	assert_int_equal(of(s, 1).rx.signed_bad, 0);
	close_stage(s);
}

/* --- tunnels ------------------------------------------------------------------------------- */

static void test_waits(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct spec sp = to_group(0, 6, 64);

	(void)state;
	dp_tunnel_hold(s->net.n[0].t);
	for (int i = 0; i < 3; i++)
		net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 0);
	assert_int_equal(of(s, 0).waited, 3);
	dp_tunnel_open(s->net.n[0].t, &s->net.n[1].at);
	assert_int_equal(collect(s, 1), 3);
	check_same(s, 2, &sp);
	close_stage(s);
}

/* no relay passes on a group's datagram: it travels inside one of the tunnel */
static void test_relayed(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct spec sp = to_group(0, 6, 1200);
	struct dp_counters n;

	(void)state;
	dp_tunnel_set_relayed(s->net.n[0].t, true);
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 1);
	n = net_counters(&s->net, 1);
	assert_true(n.rx_datagrams > 0);   /* the tunnel's */
	assert_int_equal(n.rx_packets, 1); /* traffic, to keep the path by */
	/* and every one fits the path */
	sp.payload = 100;
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 1);
	check_same(s, 0, &sp);
	close_stage(s);
}

static void test_asks(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct spec sp = to_group(0, 4, 64);
	unsigned int before;

	(void)state;
	for (int i = 0; i < 10; i++) {
		net_send(&s->net, 0, &sp);
		collect(s, 1);
	}
	assert_int_equal(s->net.n[0].wants, 1);
	before = s->net.n[0].wants;
	for (int i = 0; i < 60; i++) {
		s->net.now += LOOP_S(1);
		net_send(&s->net, 0, &sp);
		collect(s, 1);
	}
	/* after 1, 2, 4, 8, then each 16 s */
	assert_in_range(s->net.n[0].wants - before, 5, 8);
	close_stage(s);
}

/* a member that nobody has met: its first words are kept until it is */
static void test_missed(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct spec sp = to_group(0, 6, 64);

	(void)state;
	/* once more, without the addresses */
	dp_group_free(s->g[0]);
	assert_int_equal(dp_group_new(s->net.n[0].dp, &s->c.env, s, &s->g[0]),
			 0);
	assert_int_equal(dp_group_set_addresses(s->g[0], group6, group4), 0);
	epoch(s, 0);
	dp_group_until(s->g[0], UINT64_MAX);
	for (int i = 0; i < 3; i++)
		net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 0);
	s->net.now += LOOP_S(1);
	dp_group_meet(s->g[0], s->c.p[1].index, vip6_b, vip4_b);
	assert_int_equal(collect(s, 1), 3);
	check_same(s, 2, &sp);
	dp_group_meet(s->g[0], s->c.p[1].index, vip6_b, vip4_b);
	assert_int_equal(collect(s, 1), 0); /* once */
	close_stage(s);
}

static void test_frozen(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct spec sp = to_group(0, 4, 64);

	(void)state;
	dp_group_until(s->g[0], s->net.now + LOOP_S(10));
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 1);
	s->net.now += LOOP_S(11);
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 0);
	assert_int_equal(of(s, 0).frozen, 1);
	close_stage(s);
}

/* --- who is not to be heard ------------------------------------------------------------------ */

/* a datagram straight to the socket of node 1 */
static void inject(struct stage *s, const uint8_t *b, size_t len)
{
	assert_int_equal(sendto(s->net.n[0].udp, b, len, 0, &s->net.n[1].at.sa,
				addr_len(&s->net.n[1].at)),
			 (int)len);
	net_settle(&s->net);
}

static struct group_sender *sender(struct stage *s, unsigned int who)
{
	struct person *p = &s->c.p[who];
	struct group_sender *tx = NULL;

	assert_int_equal(group_sender_new(&s->c.env, &p->keys, &p->id, p->index,
					  GROUP_AUTH_MAC, &tx),
			 0);
	return tx;
}

static size_t sealed(struct group_sender *tx, const struct spec *sp,
		     uint8_t buf[2048])
{
	static uint8_t pkt[PACKET_BYTES];
	struct virtio_net_hdr vh;
	struct spec whole = *sp;
	size_t len;

	whole.partial = false;
	len = packet_build(&whole, &vh, pkt);
	assert_true(len + GROUP_PACKET_MORE <= 2048);
	memcpy(buf + GROUP_PACKET_HEADER, pkt, len);
	assert_int_equal(group_sender_seal(tx, 0, buf, len, &len), 0);
	return len;
}

static void test_sources(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct group_sender *tx = sender(s, 0);
	struct spec sp = to_group(0, 4, 64);
	uint8_t b[2048];

	(void)state;
	inject(s, b, sealed(tx, &sp, b));
	assert_int_equal(collect(s, 1), 1);
	sp.src = stranger4; /* a member that says to be another node */
	inject(s, b, sealed(tx, &sp, b));
	assert_int_equal(of(s, 1).bad_source, 1);
	sp = net_spec(0, 4, IPPROTO_UDP, 64); /* to us, not to the group */
	inject(s, b, sealed(tx, &sp, b));
	assert_int_equal(of(s, 1).bad_destination, 1);
	sp = to_group(0, 4, 64);
	sp.proto = IPPROTO_TCP;
	inject(s, b, sealed(tx, &sp, b));
	assert_int_equal(of(s, 1).malformed, 1);
	assert_int_equal(collect(s, 1), 0);
	group_sender_free(tx);

	/* one whose addresses nobody has shown us */
	tx = sender(s, 2);
	sp = to_group(0, 4, 64);
	inject(s, b, sealed(tx, &sp, b));
	assert_int_equal(of(s, 1).unmet, 1);
	assert_int_equal(s->net.n[1].wanted, s->c.p[2].index);
	assert_int_equal(collect(s, 1), 0);
	group_sender_free(tx);
	close_stage(s);
}

static void test_replays(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct group_sender *tx = sender(s, 0);
	struct spec sp = to_group(0, 4, 64);
	uint8_t b[2048], bad[2048];
	size_t len = sealed(tx, &sp, b);

	(void)state;
	inject(s, b, len);
	assert_int_equal(collect(s, 1), 1);
	inject(s, b, len);
	assert_int_equal(collect(s, 1), 0);
	assert_int_equal(of(s, 1).rx.replayed, 1);
	len = sealed(tx, &sp, b);
	for (size_t i = 0; i < len; i++) {
		memcpy(bad, b, len);
		bad[i] ^= 1;
		inject(s, bad, len);
		inject(s, b, i);
	}
	assert_int_equal(collect(s, 1), 0);
	inject(s, b, len);
	assert_int_equal(collect(s, 1), 1);
	group_sender_free(tx);
	close_stage(s);
}

/* the removed one at once; the others send under the new epoch at once, too */
static void test_removed(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct group_sender *tx = sender(s, 2), *late = sender(s, 0);
	struct spec sp = to_group(0, 4, 64);
	uint64_t before = dp_group_sends(s->g[0]);
	uint8_t b[2048];

	(void)state;
	dp_group_meet(s->g[1], s->c.p[2].index, vip6_a, vip4_a);
	inject(s, b, sealed(tx, &sp, b));
	assert_int_equal(collect(s, 1), 1);
	circle_remove(&s->c, 0, 2);
	epoch(s, 1);
	epoch(s, 0);
	inject(s, b, sealed(tx, &sp, b));
	assert_int_equal(collect(s, 1), 0);
	assert_int_equal(of(s, 1).rx.strangers, 1);
	/* on its way still: of a member, under the epoch before */
	inject(s, b, sealed(late, &sp, b));
	assert_int_equal(collect(s, 1), 1);
	assert_int_equal(dp_group_sends(s->g[0]), before + 1);
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 1);
	group_sender_free(tx);
	group_sender_free(late);
	close_stage(s);
}

/* nobody has gone: who is late with the news loses nothing for a second */
static void test_renewed(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct spec sp = to_group(0, 4, 64);
	uint64_t before = dp_group_sends(s->g[0]);

	(void)state;
	circle_timer(&s->c);
	epoch(s, 0); /* node 1 does not know yet */
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 1);
	assert_int_equal(dp_group_sends(s->g[0]), before);
	epoch(s, 1);
	s->net.now += DP_GROUP_SWITCH + 1;
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 1);
	assert_int_equal(dp_group_sends(s->g[0]), before + 1);
	/* two, one behind the other: who has both lacks the one before them */
	circle_timer(&s->c);
	epoch(s, 0);
	epoch(s, 1);
	circle_timer(&s->c);
	epoch(s, 0);
	epoch(s, 1);
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 1);
	assert_int_equal(dp_group_sends(s->g[0]), before + 2);
	/* the same again: not a later one */
	assert_int_equal(dp_group_epoch(s->g[0], &s->c.p[0].keys, s->c.p[0].g,
					&s->c.p[0].id, s->c.p[0].index),
			 -NTM_ESTATE);
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 1);
	close_stage(s);
}

/* strangers: a look-up, or so many keys derived a second and no more */
static void test_strangers(void **state)
{
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct group_sender *tx = sender(s, 0);
	struct spec sp = to_group(0, 4, 64);
	struct dp_totals t;
	uint8_t b[2048], bad[2048];
	size_t len = sealed(tx, &sp, b);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	memcpy(bad, b, len);
	bad[4] ^= 1;
	inject(s, bad, len);
	datapath_totals(s->net.n[1].dp, &t);
	assert_int_equal(t.unknown_group, 1);
	for (unsigned int i = 0; i < DP_GROUP_FRESH_PER_S + 50; i++) {
		memcpy(bad, b, len);
		put32(bad + 30, i); /* a salt of its own */
		assert_int_equal(sendto(fd, bad, len, 0, &s->net.n[1].at.sa,
					addr_len(&s->net.n[1].at)),
				 (int)len);
		if (i % 16 == 0)
			net_settle(&s->net);
	}
	for (int i = 0; i < 8; i++)
		net_settle(&s->net);
	assert_int_equal(of(s, 1).rx.forged, DP_GROUP_FRESH_PER_S);
	assert_int_equal(of(s, 1).limited, 50);
	/* the member itself is heard all the same, from where its tunnel is */
	inject(s, b, len);
	assert_int_equal(collect(s, 1), 1);
	close(fd);
	group_sender_free(tx);
	close_stage(s);
}

/* what a relay does with a datagram: the hop is good, and the others get it as it is */
static size_t pass_on(struct stage *s, int relay, const struct group_keys *k)
{
	struct addr to = s->net.n[1].at;
	uint8_t b[2048];
	size_t n = 0;
	ssize_t len;

	while ((len = recv(relay, b, sizeof(b), MSG_DONTWAIT)) > 0) {
		assert_int_equal(
			group_hop_check(&k->relay, k->tag, b, (size_t)len), 0);
		assert_int_equal(
			sendto(relay, b, (size_t)len, 0, &to.sa, addr_len(&to)),
			len);
		n++;
	}
	return n;
}

static int relay_open(struct addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(addr_parse("127.0.0.1", 0, at), 0);
	assert_int_equal(bind(fd, &at->sa, addr_len(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, at),
			 0);
	return fd;
}

/* once to the relay for who is there, to the others as ever; nobody gets it twice */
static void test_replicated(void **state)
{
	/* positions of persons 0, 1, 2: whom the relay has, whether it gets it */
	static const struct {
		uint8_t places;
		size_t by_relay;
		uint64_t straight;
	} cases[] = {{3, 1, 0}, {7, 1, 0}, {1, 0, 1}, {6, 0, 1}, {5, 1, 1}};
	enum group_auth auth;

	(void)state;
	for (auth = GROUP_AUTH_MAC; auth <= GROUP_AUTH_BATCH; auth++) {
		struct stage *s = open_stage(auth);
		uint64_t e = s->c.p[0].keys.epoch, was;
		struct spec sp = to_group(0, 4, 100);
		struct addr at;
		int fd = relay_open(&at);

		for (unsigned int i = 0; i < 5; i++) {
			dp_group_relay(s->g[0], e, &at, &cases[i].places, 1);
			was = of(s, 0).tx_datagrams;
			sp.payload = 100 + i;
			net_send(&s->net, 0, &sp);
			net_settle(&s->net);
			assert_int_equal(pass_on(s, fd, &s->c.p[0].keys),
					 cases[i].by_relay);
			assert_int_equal(of(s, 0).tx_datagrams - was,
					 cases[i].straight);
			assert_int_equal(collect(s, 1), 1);
			check_same(s, 0, &sp);
		}
		/* of another epoch, and of none */
		dp_group_relay(s->g[0], e, NULL, NULL, 0);
		dp_group_relay(s->g[0], e + 1, &at, &cases[0].places, 1);
		net_send(&s->net, 0, &sp);
		net_settle(&s->net);
		assert_int_equal(pass_on(s, fd, &s->c.p[0].keys), 0);
		assert_int_equal(collect(s, 1), 1);
		assert_int_equal(of(s, 1).rx.replayed, 1); /* of the last */
		close(fd);
		close_stage(s);
	}
}

static void test_not_ours(void **state)
{
	static const uint8_t other[4] = {239, 193, 9, 9};
	struct stage *s = open_stage(GROUP_AUTH_MAC);
	struct spec sp = to_group(0, 4, 64);
	struct dp_group *g;

	(void)state;
	sp.dst = other;
	net_send(&s->net, 0, &sp);
	sp = to_group(0, 4, 64);
	sp.src = stranger4; /* not our lease */
	net_send(&s->net, 0, &sp);
	sp = to_group(0, 4, 64);
	sp.proto = IPPROTO_TCP;
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 0);
	assert_int_equal(of(s, 0).tx_packets, 0);
	/* an address is one group's */
	assert_int_equal(dp_group_new(s->net.n[0].dp, &s->c.env, s, &g), 0);
	assert_int_equal(dp_group_set_addresses(g, group6, other),
			 -NTM_EEXISTS);
	dp_group_free(g);
	/* gone: nothing comes in, and nothing breaks */
	dp_group_free(s->g[1]);
	sp = to_group(0, 4, 64);
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 0);
	close_stage(s);
}

/* node 1's member is removed, and joins again: as another one, without its past */
static void rejoin(struct stage *s)
{
	dp_group_free(s->g[1]);
	circle_remove(&s->c, 0, 1);
	epoch(s, 0);
	circle_add(&s->c, 0, 1, 0);
	epoch(s, 0);
	join(s, 1);
}

/* who has joined cannot open what is sent under the epoch before: it waits for nothing */
static void test_joined(void **state)
{
	enum group_auth auth;

	(void)state;
	for (auth = GROUP_AUTH_MAC; auth <= GROUP_AUTH_BATCH; auth++) {
		struct stage *s = open_stage(auth);
		struct spec sp = to_group(0, 6, 64);
		uint64_t was;

		rejoin(s);
		was = dp_group_sends(s->g[0]);
		assert_int_equal(s->c.p[0].keys.epoch, was + 1);
		/* kept until it is met, then straight */
		for (int i = 0; i < 3; i++)
			net_send(&s->net, 0, &sp);
		assert_int_equal(collect(s, 1), 0);
		dp_group_meet(s->g[0], s->c.p[1].index, vip6_b, vip4_b);
		assert_int_equal(collect(s, 1), 3);
		for (int i = 0; i < 40; i++)
			net_send(&s->net, 0, &sp);
		assert_int_equal(collect(s, 1), 40);
		check_same(s, 39, &sp);
		assert_int_equal(dp_group_sends(s->g[0]), was);
		s->net.now += DP_GROUP_SWITCH + 1;
		net_send(&s->net, 0, &sp);
		assert_int_equal(collect(s, 1), 1);
		assert_int_equal(dp_group_sends(s->g[0]), was + 1);
		s->net.now += LOOP_MS(GROUP_BATCH_MS) + 1;
		net_settle(&s->net);
		assert_int_equal(of(s, 1).rx.signed_ok,
				 auth == GROUP_AUTH_MAC ? 0 : 44);
		assert_int_equal(of(s, 1).rx.signed_bad, 0);
		assert_int_equal(of(s, 1).rx.replayed, 0);
		close_stage(s);
	}
}

/* and for the others all is as it was: one copy, straight or by the relay */
static void test_others_join(void **state)
{
	static const uint8_t places = 3; /* of persons 0 and 1 */
	struct stage *s = open_stage(GROUP_AUTH_BATCH);
	struct spec sp = to_group(0, 4, 64);
	struct group_keys before = s->c.p[0].keys;
	struct addr at;
	int fd = relay_open(&at);

	(void)state;
	dp_group_relay(s->g[0], before.epoch, &at, &places, 1);
	circle_add(&s->c, 0, 3, 0);
	epoch(s, 0);
	net_send(&s->net, 0, &sp);
	net_settle(&s->net);
	assert_int_equal(pass_on(s, fd, &before), 1);
	assert_int_equal(collect(s, 1), 1);
	dp_group_relay(s->g[0], before.epoch, NULL, NULL, 0);
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 1);
	/* two that come one behind the other: the first is one of the others then */
	epoch(s, 1);
	circle_add(&s->c, 0, 4, 0);
	epoch(s, 0);
	epoch(s, 1);
	net_send(&s->net, 0, &sp);
	assert_int_equal(collect(s, 1), 1);
	assert_int_equal(of(s, 1).rx.replayed, 0);
	close(fd);
	close_stage(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arrives),
		cmocka_unit_test(test_super),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_relayed),
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_missed),
		cmocka_unit_test(test_frozen),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_replays),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_renewed),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_replicated),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_others_join),
		cmocka_unit_test(test_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
