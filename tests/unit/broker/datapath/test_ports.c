/* SPDX-License-Identifier: MIT */
/* test_ports - what a peer may open, what it is told, and what ends when it may no more */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "broker/datapath/ports.h"
#include "fixture.h"

static void test_ports(void **state)
{
	static const uint16_t open[] = {80};
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 0);

	dp_tunnel_set_ports(net->n[1].t, false, open, 1);
	s.flags = 2;
	s.dport = 80;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 1);
	s.dport = 81;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(net_get(net, 0), 1); /* and it is told: prohibited */
	s.flags = 0x12;			      /* of a connection of ours? */
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 1); /* the RST in its place */
	assert_int_equal(net_get(net, 0), 1);
	s = net_spec(1, 6, 6, 0);
	s.flags = 2;
	s.sport = 81;
	net_send(net, 1, &s);
	assert_int_equal(net_get(net, 0), 1);
	s = net_spec(0, 6, 6, 0);
	s.flags = 0x12; /* the answer to it */
	s.dport = 81;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net_get(net, 0), 0);
	s = net_spec(0, 4, 17, 10);
	s.dport = 5000;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(net_get(net, 0), 1);
	s = net_spec(1, 4, 17, 10);
	s.sport = 5000; /* we asked from there */
	net_send(net, 1, &s);
	assert_int_equal(net_get(net, 0), 1);
	s = net_spec(0, 4, 17, 10);
	s.dport = 5000;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net_counters(net, 1).bad_port, 3);
	dp_tunnel_set_ports(net->n[1].t, true, NULL, 0);
	s.dport = 5001;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 1);
}

/* the one packet that the kernel of side @i gets: a RST of that number? */
static bool is_reset(struct net *net, int i, uint32_t seq)
{
	return net_get(net, i) == 1 && net_got.p[0].checksum_ok &&
	       net_got.p[0].len == 60 && net_got.p[0].bytes[40 + 13] == 4 &&
	       get32(net_got.p[0].bytes + 44) == seq;
}

/* A permission taken back ends what the peer began, both ways, and nothing of ours. */
static void test_withdrawn(void **state)
{
	struct net *net = *state;
	struct spec in = net_spec(0, 6, 6, 0), out = net_spec(1, 6, 6, 0);
	struct spec ask = net_spec(0, 6, 17, 10), tell = net_spec(1, 6, 17, 10);
	struct ports *kept;

	dp_tunnel_set_ports(net->n[1].t, true, NULL, 0);
	in.flags = out.flags = 2;
	in.dport = 40000;
	out.sport = 81;
	ask.dport = tell.sport = 5000;
	net_send(net, 0, &in); /* the peer begins at 40000 and 5000 */
	net_send(net, 0, &ask);
	assert_int_equal(net_get(net, 1), 2);
	net_send(net, 1, &out); /* we from 81, and answer from 5000 */
	net_send(net, 1, &tell);
	assert_int_equal(net_get(net, 0), 2);
	dp_tunnel_set_ports(net->n[1].t, false, NULL, 0);
	/* as if the tunnel slept meanwhile */
	kept = dp_tunnel_take_ports(net->n[1].t);
	assert_non_null(kept);
	dp_tunnel_give_ports(net->n[1].t, kept);
	dp_tunnel_set_ports(net->n[1].t, false, NULL, 0);
	in.flags = out.flags = 0x10;
	in.seq = 7000;
	in.ack = 8000;
	net_send(net, 0, &in);
	assert_true(is_reset(net, 1, 7000));
	assert_true(is_reset(net, 0, 8000));
	in = out;
	in.sport = 40000;
	in.ack = 9000;
	net_send(net, 1, &in); /* nor do we say anything there */
	assert_true(is_reset(net, 1, 9000));
	assert_int_equal(net_get(net, 0), 0);
	net_send(net, 1, &out); /* ours goes on */
	assert_int_equal(net_get(net, 0), 1);
	in = net_spec(0, 6, 6, 0);
	in.flags = 0x10;
	in.dport = 81;
	net_send(net, 0, &in);
	assert_int_equal(net_get(net, 1), 1);
	/* UDP: as long as our program speaks, and longer */
	for (int i = 0; i < 3; i++) {
		net->now += LOOP_S(PORTS_OPEN_S);
		net_send(net, 1, &tell);
		assert_int_equal(net_get(net, 0), 0);
		assert_int_equal(net_get(net, 1), 1); /* unreachable */
		net_send(net, 0, &ask);
		assert_int_equal(net_get(net, 1), 0);
		assert_int_equal(net_get(net, 0), 1);
	}
	dp_tunnel_set_ports(net->n[1].t, true, NULL, 0);
	net_send(net, 0, &ask);
	assert_int_equal(net_get(net, 1), 1);
}

/* Of what began before the worker did, the number decides. */
static void test_withdrawn_unknown(void **state)
{
	struct net *net = *state;
	struct spec in = net_spec(0, 4, 6, 0);

	dp_tunnel_set_ports(net->n[1].t, false, NULL, 0);
	in.flags = 0x10;
	in.dport = PORTS_OURS;
	net_send(net, 0, &in);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net_get(net, 0), 0);
	in.dport = 22;
	net_send(net, 0, &in);
	assert_int_equal(net_get(net, 1), 1); /* RSTs */
	assert_int_equal(net_get(net, 0), 1);
	in.flags = 0x14; /* an end is always heard */
	net_send(net, 0, &in);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net_get(net, 0), 0);
}

/* A port that asked is open to answers as long as it is used, and some time more. */
static void test_ports_age(void **state)
{
	static const uint16_t open[] = {80};
	struct net *net = *state;
	struct spec ask = net_spec(1, 6, 17, 10), tell = net_spec(0, 6, 17, 10);

	dp_tunnel_set_ports(net->n[1].t, false, open, 1);
	ask.sport = tell.dport = 5000;
	net_send(net, 1, &ask);
	assert_int_equal(net_get(net, 0), 1);
	for (int i = 0; i < 5; i++) { /* each keeps it open */
		net->now += LOOP_S(PORTS_OPEN_S);
		net_send(net, 0, &tell);
		assert_int_equal(net_get(net, 1), 1);
	}
	net->now += LOOP_S(PORTS_OPEN_S + 1);
	net_send(net, 0, &tell);
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(net_counters(net, 1).bad_port, 1);
	tell.dport = 80; /* allowed by name, not by use */
	net_send(net, 0, &tell);
	assert_int_equal(net_get(net, 1), 1);
	tell.dport = 5000;
	net_send(net, 1, &ask);		      /* asked again */
	assert_int_equal(net_get(net, 0), 2); /* behind the refusal */
	net_send(net, 0, &tell);
	assert_int_equal(net_get(net, 1), 1);
}

/* Of a datagram in parts the one that names the port decides. */
static void test_ports_parts(void **state)
{
	static const uint16_t open[] = {80};
	uint8_t pkt[64] = {0x60, [6] = 44, [40] = 17}; /* a fragment header */
	struct ports *p;
	struct inner in;

	(void)state;
	assert_int_equal(ports_new(false, open, 1, &p), 0);
	put16(pkt + 4, 24);
	for (int offset = 0; offset < 16; offset += 8) {
		put16(pkt + 42, (uint32_t)offset | 1);
		assert_int_equal(inner_parse(pkt, sizeof(pkt), &in), 0);
		assert_int_equal(inner_part_offset(pkt, &in), offset);
		put16(pkt + 48, 4000); /* from, to */
		put16(pkt + 50, 5000);
		assert_int_equal(ports_pass(p, 0, pkt, &in), offset > 0);
		put16(pkt + 50, 80);
		assert_true(ports_pass(p, 0, pkt, &in));
	}
	/* TCP's flags may stand in the next part */
	pkt[40] = 6;
	assert_int_equal(inner_parse(pkt, sizeof(pkt), &in), 0);
	assert_false(ports_pass(p, 0, pkt, &in));
	/* what we sent in parts is answered */
	pkt[40] = 17;
	put16(pkt + 42, 1);
	put16(pkt + 48, 5000);
	put16(pkt + 50, 4000);
	assert_int_equal(inner_parse(pkt, sizeof(pkt), &in), 0);
	assert_true(ports_sent(p, 0, pkt, &in));
	put16(pkt + 48, 4000);
	put16(pkt + 50, 5000);
	assert_true(ports_pass(p, 0, pkt, &in));
	/* another header between hides where it stands */
	pkt[40] = 60;
	memset(pkt + 48, 0, 8);
	pkt[48] = 17;
	assert_int_equal(inner_parse(pkt, sizeof(pkt), &in), 0);
	assert_int_equal(inner_part_offset(pkt, &in), -1);
	assert_false(ports_pass(p, 0, pkt, &in));
	ports_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, net_setup, net_teardown)
		T(test_ports),
		T(test_ports_age),
		T(test_ports_parts),
		T(test_withdrawn),
		T(test_withdrawn_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
