/* SPDX-License-Identifier: MIT */
/* test_ports - what a peer may open, who began what, also for a new worker, and what ends */
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

/* --- ports.c by itself ---------------------------------------------------------------- */

/* one packet of @proto by local @port; @in: the peer's. Return: it may pass */
static bool port_packet(struct ports *p, uint64_t now, bool in, int proto,
			uint16_t port, uint8_t flags)
{
	uint8_t pkt[60] = {0x60, [6] = (uint8_t)proto};
	struct inner h;

	put16(pkt + 4, 20);
	put16(pkt + 40 + (in ? 2 : 0), port);
	put16(pkt + 44, proto == 17 ? 20 : 0);
	pkt[52] = 0x50;
	pkt[53] = flags;
	assert_int_equal(inner_parse(pkt, sizeof(pkt), &h), 0);
	assert_true(h.transport);
	return in ? ports_pass(p, now, pkt, &h) : ports_sent(p, now, pkt, &h);
}

/* what each worker would say of these ports, with nothing admitted: U the peer may send
 * UDP there, T TCP of a connection may come */
static void ports_are(struct ports *p, uint64_t now, const char *expected)
{
	static const uint16_t udp[] = {5000, 5001, 40000, 40001};
	static const uint16_t tcp[] = {80, 81, 41000, 41001};
	char is[9] = "";

	assert_int_equal(ports_set(p, false, NULL, 0), 0);
	for (size_t i = 0; i < 4; i++)
		is[i] = port_packet(p, now, true, 17, udp[i], 0) ? 'U' : '-';
	for (size_t i = 0; i < 4; i++)
		is[4 + i] =
			port_packet(p, now, true, 6, tcp[i], 0x10) ? 'T' : '-';
	assert_string_equal(is, expected);
}

/* a worker dies: the next one knows who began, for as long as this one would have */
static void test_ports_kept(void **state)
{
	uint8_t saved[PORTS_SAVED_MAX];
	uint64_t now = LOOP_S(5000);
	struct ports *p, *next;
	size_t len;

	(void)state;
	assert_int_equal(ports_new(true, NULL, 0, &p), 0);
	assert_false(ports_due(p, now));
	/* the peer at 5000 and 40000 by UDP, at 80 and 41000 by TCP; we from the others */
	assert_true(port_packet(p, now, true, 17, 5000, 0));
	assert_true(port_packet(p, now, true, 17, 40000, 0));
	assert_true(port_packet(p, now, false, 17, 5001, 0));
	assert_true(port_packet(p, now, false, 17, 40001, 0));
	assert_true(port_packet(p, now, true, 6, 80, 2));
	assert_true(port_packet(p, now, true, 6, 41000, 2));
	assert_true(port_packet(p, now, false, 6, 81, 2));
	assert_true(port_packet(p, now, false, 6, 41001, 2));
	assert_true(ports_due(p, now));
	len = ports_save(p, now, saved, sizeof(saved));
	assert_int_equal(len, 6 * PORTS_SAVED_LEN); /* two are as numbers say */
	assert_false(ports_due(p, now));
	/* our answer does not make it ours, by the next worker neither */
	now += LOOP_S(3);
	assert_int_equal(ports_load(now, 3, saved, len, &next), 0);
	assert_int_equal(ports_set(next, true, NULL, 0), 0);
	assert_true(port_packet(next, now, false, 17, 5000, 0));
	ports_are(next, now, "-U-U-T-T");
	ports_free(next);
	/* in use: saved now and then, or it would be over for the next one */
	for (int i = 0; i < 6; i++) {
		now += LOOP_S(PORTS_SAVE_S);
		assert_true(port_packet(p, now, true, 17, 5001, 0));
		assert_true(ports_due(p, now));
		len = ports_save(p, now, saved, sizeof(saved));
	}
	assert_int_equal(len, 3 * PORTS_SAVED_LEN);
	assert_int_equal(ports_load(now, 0, saved, len, &next), 0);
	ports_are(next, now, "-U---T-T");
	ports_free(next);
	/* a worker that comes late */
	now += LOOP_S(PORTS_SAVE_S + PORTS_OPEN_S);
	assert_int_equal(
		ports_load(now, PORTS_SAVE_S + PORTS_OPEN_S, saved, len, &next),
		0);
	ports_are(next, now, "-U---T-T");
	ports_free(next);
	assert_int_equal(ports_load(now, UINT32_MAX, saved, len, &next), 0);
	ports_are(next, now, "-----T-T");
	ports_free(next);
	ports_free(p);
}

/* more than there is room for: the peer's are kept; bytes without sense are borne */
static void test_ports_kept_bounded(void **state)
{
	uint8_t saved[PORTS_SAVED_MAX], any[300];
	uint64_t now = LOOP_S(1);
	struct ports *p, *next;
	size_t len;

	(void)state;
	assert_int_equal(ports_new(true, NULL, 0, &p), 0);
	for (uint32_t i = 1; i <= 5000; i++)
		assert_true(
			port_packet(p, now, i % 10 == 0, 17, (uint16_t)i, 0));
	for (uint32_t i = 6000; i < 6200; i++)
		assert_true(port_packet(p, now, true, 17, (uint16_t)i, 0));
	for (uint32_t i = 50000; i < 50100; i++)
		assert_true(port_packet(p, now, true, 6, (uint16_t)i, 2));
	len = ports_save(p, now, saved, sizeof(saved));
	assert_int_equal(len, PORTS_SAVED_MAX);
	assert_int_equal(ports_load(now, 0, saved, len, &next), 0);
	assert_int_equal(ports_set(next, false, NULL, 0), 0);
	for (uint32_t i = 50000; i < 50100; i++)
		assert_false(
			port_packet(next, now, true, 6, (uint16_t)i, 0x10));
	ports_free(next);
	for (size_t i = 0; i < sizeof(any); i++)
		any[i] = (uint8_t)(i * 37 + 11);
	for (len = 0; len <= sizeof(any); len++) {
		assert_int_equal(ports_load(now, 1, any, len, &next), 0);
		ports_free(next);
	}
	ports_free(p);
}

/* against a plain list of all ports: thousands of flows that come, go on and end */
static void test_ports_many(void **state)
{
	static struct {
		uint32_t used;
		bool theirs;
	} plain[65536];
	uint64_t now = LOOP_S(100);
	uint32_t x = 1, s, port;
	bool admits = true;
	struct ports *p;

	(void)state;
	memset(plain, 0, sizeof(plain));
	assert_int_equal(ports_new(true, NULL, 0, &p), 0);
	for (int i = 0; i < 400000; i++) {
		bool in, live, expected;

		x ^= x << 13, x ^= x >> 17, x ^= x << 5;
		if (i % 50000 == 40000) /* the tunnel sleeps; some are over */
			ports_rest(p, now);
		if (i % 1000 == 0) {
			admits = i / 1000 % 3;
			assert_int_equal(ports_set(p, admits, NULL, 0), 0);
			now += LOOP_S(1);
		}
		s = (uint32_t)(now / LOOP_S(1));
		in = x & 1;
		/* some ports often, others once */
		port = x & 2 ? x >> 8 & 0xff : x >> 8 & 0xffff;
		live = plain[port].used && s - plain[port].used <= PORTS_OPEN_S;
		expected = in ? (live && !plain[port].theirs) || admits
			      : !live || !plain[port].theirs || admits;
		if (!live && (!in || admits))
			plain[port].theirs = in;
		if (!in || expected)
			plain[port].used = s;
		assert_int_equal(port_packet(p, now, in, 17, (uint16_t)port, 0),
				 expected);
	}
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
		cmocka_unit_test(test_ports_kept),
		cmocka_unit_test(test_ports_kept_bounded),
		cmocka_unit_test(test_ports_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
